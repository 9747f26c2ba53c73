//! The drop all the way: a person pushes it, and it is in NetBox and in managed/. Beside it each document by itself, as a
//! script writes it: looked up, posted, committed, pushed.

use std::time::Instant;

use reqwest::Method;
use serde_json::json;

use crate::process;
use crate::stats::Spread;
use crate::support::fakes::netbox::TOKEN;
use crate::support::git_server::{Bare, Person};
use crate::support::process::Failure;
use crate::table::{Goal, Line, short};
use crate::world::{BRANCH, Shape, World, fabric_name, servers};

use super::{DOCUMENTS, expect};

/// One by one, all of them would take an hour: so many are measured, and the rest is taken to be alike.
const SAMPLE: usize = 30;
const SCALE: f64 = DOCUMENTS as f64 / SAMPLE as f64;
const SINGLE: &str = "single";

/// What it took to bring documents into NetBox and a repository.
struct Cost {
    seconds: f64,
    netbox: f64,
    writes: f64,
    git: f64,
    commits: f64,
}

/// In memory and in requests, with the drop pushed by a person.
pub(super) async fn run(drop: &str) -> Result<Vec<Line>, Failure> {
    let world = World::start(&Shape::default()).await?;
    let repository = &world.repositories[0];
    let person = Person::clone_of(repository.path().to_str().ok_or_else(|| Failure("a path is not UTF-8".to_owned()))?);
    person.update(BRANCH);
    person.write(&format!("{}/raw/drop.yaml", fabric_name(0)), drop);
    person.push(BRANCH, "a large drop");
    let rest = process::memory(world.service.pid())?;
    process::forget_peak(world.service.pid())?;

    let before = Before::look(&world, repository)?;
    world.service.compare(&fabric_name(0)).await?;
    world.service.settled().await?;
    let ours = before.cost()?;
    let peak = process::peak(world.service.pid())?;
    expect("servers in NetBox", world.netbox.rows("Server").len(), DOCUMENTS)?;

    let single = one_by_one(&world).await?;
    expect("servers in NetBox", world.netbox.rows("Server").len(), DOCUMENTS + SAMPLE)?;
    let mut lines = lines(&ours, &single);
    lines.push(Line {
        what: "the same drop: most memory".to_owned(),
        measured: format!("{} MB", short(peak)),
        beside: format!("before it, at rest: {} MB", short(rest)),
        ratio: Some(Spread::of([peak / rest])),
        goal: Goal::AtMost { figure: peak, limit: 250.0, unit: "MB" },
    });
    Ok(lines)
}

fn lines(ours: &Cost, single: &Cost) -> Vec<Line> {
    let compare = |what: &str, unit: &str, figure: fn(&Cost) -> f64| Line {
        what: format!("the same drop into NetBox and managed/: {what}"),
        measured: format!("{}{unit}", short(figure(ours))),
        beside: format!("one by one: {}{unit} ({SAMPLE} documents, scaled)", short(figure(single))),
        ratio: Some(Spread::of([figure(single) / figure(ours)])),
        goal: Goal::None,
    };
    vec![
        compare("time", " s", |cost| cost.seconds),
        compare("requests to NetBox", "", |cost| cost.netbox),
        compare("of them writes", "", |cost| cost.writes),
        compare("requests to Git", "", |cost| cost.git),
        compare("commits", "", |cost| cost.commits),
    ]
}

/// Some of the documents for a fabric and a repository of their own.
async fn one_by_one(world: &World) -> Result<Cost, Failure> {
    let repository = world.git.create(&format!("{SINGLE}.git"));
    let person = Person::clone_of(&world.git.url(&format!("{SINGLE}.git")));
    person.write("README.md", "ours\n").push(BRANCH, "first");
    let client = reqwest::Client::builder().no_proxy().build()?;
    let url = format!("{}api/plugins/custom-objects/hedgehog-servers/", world.netbox.url());

    let before = Before::look(world, &repository)?;
    for object in servers(0, SAMPLE, SINGLE) {
        let row = json!({
            "name": object.name, "fabric": SINGLE, "namespace": "default", "spec": object.spec,
            "labels": {}, "annotations": {},
        });
        let look = client.request(Method::GET, &url).query(&[("name", object.name.as_str()), ("limit", "1000")]);
        look.bearer_auth(TOKEN).send().await?.error_for_status()?;
        client.post(&url).bearer_auth(TOKEN).json(&row).send().await?.error_for_status()?;
        person.write(&format!("managed/servers/{}.yaml", object.name), row.to_string());
        person.push(BRANCH, &object.name);
    }
    let Cost { seconds, netbox, writes, git, commits } = before.cost()?;
    Ok(Cost {
        seconds: seconds * SCALE,
        netbox: netbox * SCALE,
        writes: writes * SCALE,
        git: git * SCALE,
        commits: commits * SCALE,
    })
}

/// Everything before documents came, and since when they come.
struct Before<'a> {
    world: &'a World,
    repository: &'a Bare,
    netbox: usize,
    git: usize,
    commits: usize,
    begun: Instant,
}

impl<'a> Before<'a> {
    fn look(world: &'a World, repository: &'a Bare) -> Result<Self, Failure> {
        let (netbox, git, commits) = (world.netbox.served().len(), world.git.requests().len(), commits(repository)?);
        Ok(Self { world, repository, netbox, git, commits, begun: Instant::now() })
    }

    fn cost(&self) -> Result<Cost, Failure> {
        let seconds = self.begun.elapsed().as_secs_f64();
        let asked = self.world.netbox.served().split_off(self.netbox);
        Ok(Cost {
            seconds,
            netbox: asked.len() as f64,
            writes: asked.iter().filter(|served| served.method != "GET").count() as f64,
            git: (self.world.git.requests().len() - self.git) as f64,
            commits: (commits(self.repository)? - self.commits) as f64,
        })
    }
}

fn commits(repository: &Bare) -> Result<usize, Failure> {
    let count = repository.git(&["rev-list", "--count", BRANCH]);
    count.parse().map_err(|_| Failure(format!("`{count}` is no number of commits")))
}
