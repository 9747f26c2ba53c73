//! One batch through GitHub's API, beside a commit for each file: two requests, one that asks for the file's id and one
//! that writes it. Every answer of the stand-in comes late.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use fgd_sync::domain::edit::{CommitMessage, Edit, Edits, RUN_TRAILER, Signature};
use fgd_sync::domain::names::{BranchName, RepoName, RunId, Target};
use fgd_sync::domain::path::RepoPath;
use fgd_sync::repo::github::GitHubRepository;
use fgd_sync::repo::{Error, Repository};
use reqwest::header::{ACCEPT, HeaderMap, HeaderValue};
use serde_json::{Value, json};

use crate::stats::Spread;
use crate::support::fakes::github::{GitHub, TOKEN};
use crate::support::git_server::Bare;
use crate::support::github_options::github_options;
use crate::support::lease::proof_for;
use crate::support::process::Failure;
use crate::table::{Goal, Line, short};
use crate::world::BRANCH;

const CHANGES: usize = 1_000;
const LATENCY: Duration = Duration::from_millis(300);
/// One by one, all of them would take ten minutes: so many are measured, and the rest is taken to be alike.
const SAMPLE: usize = 30;
const SCALE: f64 = CHANGES as f64 / SAMPLE as f64;
const ROUNDS: usize = 3;

/// What it took to bring changes into a repository.
#[derive(Clone, Copy)]
struct Cost {
    seconds: f64,
    requests: f64,
    commits: f64,
}

impl Cost {
    fn times(self, factor: f64) -> Self {
        let Self { seconds, requests, commits } = self;
        Self { seconds: seconds * factor, requests: requests * factor, commits: commits * factor }
    }
}

/// The same changed files in either way, in turns.
pub async fn run() -> Result<Vec<Line>, Failure> {
    let github = GitHub::start();
    for name in ["batch", "single"] {
        let person = github.create("acme", name).person();
        for number in 0..CHANGES {
            person.write(&file(number), content(number, 0));
        }
        person.push(BRANCH, "all files");
    }
    let repository = open(&github)?;
    let accept = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/vnd.github+json"))]);
    let client = reqwest::Client::builder().no_proxy().user_agent("bench").default_headers(accept).build()?;
    github.set_latency(LATENCY);
    let first = batch(&github, &repository, 1).await?;
    println!("  first batch of a process: {} s, {} requests", short(first.seconds), first.requests);
    let (mut ours, mut single) = (Vec::new(), Vec::new());
    for round in 2..2 + ROUNDS {
        let (batch, files) = (batch(&github, &repository, round).await?, one_by_one(&github, &client, round).await?);
        println!("  a batch {} s; {SAMPLE} files one by one {} s", short(batch.seconds), short(files.seconds));
        ours.push(batch);
        single.push(files.times(SCALE));
    }
    Ok(lines(&ours, &single))
}

fn lines(ours: &[Cost], single: &[Cost]) -> Vec<Line> {
    let compare = |what: &str, unit: &str, figure: fn(&Cost) -> f64, goal: fn(f64) -> Goal| {
        let middle = |costs: &[Cost]| Spread::of(costs.iter().map(figure)).median;
        let show = |figure: f64| format!("{}{unit}", short(figure));
        Line {
            what: format!("{CHANGES} changes to GitHub, {} ms a request: {what}", LATENCY.as_millis()),
            measured: show(middle(ours)),
            beside: format!("one by one: {} ({SAMPLE} files, scaled)", show(middle(single))),
            ratio: Some(Spread::of(ours.iter().zip(single).map(|(ours, single)| figure(single) / figure(ours)))),
            goal: goal(middle(ours)),
        }
    };
    vec![
        compare("time", " s", |cost| cost.seconds, |_| Goal::RatioAtLeast(200.0)),
        compare("requests", "", |cost| cost.requests, |figure| Goal::AtMost { figure, limit: 14.0, unit: "requests" }),
        compare("commits", "", |cost| cost.commits, |figure| Goal::AtMost { figure, limit: 2.0, unit: "commits" }),
    ]
}

fn open(github: &GitHub) -> Result<GitHubRepository, Failure> {
    GitHubRepository::open(github_options(&github.rest_url(), "acme/batch", TOKEN)).map_err(failed)
}

/// As a run does it: where the branch is, what is there, one commit.
async fn batch(github: &GitHub, repository: &GitHubRepository, round: usize) -> Result<Cost, Failure> {
    let branch = BranchName::new(BRANCH);
    let proof = proof_for(&Target { repo: RepoName::new("bench"), branch: branch.clone() });
    let signature = Signature { name: "fgd-sync".to_owned(), email: "sync@example.com".to_owned() };
    let run = format!("BENCH{round}");
    let message = CommitMessage {
        text: format!("Sync {CHANGES} objects\n\n{RUN_TRAILER}: {run}\n"),
        author: signature.clone(),
        committer: signature,
        run: RunId::new(run),
    };
    let edits: Edits = (0..CHANGES)
        .filter_map(|number| {
            Some((RepoPath::new(&file(number)).ok()?, Edit::Write(Bytes::from(content(number, round)))))
        })
        .collect();
    let before = Before::look(github, "batch");
    let head = repository.head(&branch).await.map_err(failed)?;
    if let Some(head) = &head {
        repository.tree(head, &RepoPath::root()).await.map_err(failed)?;
    }
    repository.commit(&proof, head.as_ref(), &edits, &message).await.map_err(failed)?;
    before.cost(CHANGES, round)
}

async fn one_by_one(github: &GitHub, client: &reqwest::Client, round: usize) -> Result<Cost, Failure> {
    let before = Before::look(github, "single");
    for number in 0..SAMPLE {
        let url = format!("{}/repos/acme/single/contents/{}", github.rest_url(), file(number));
        let found = client.get(&url).query(&[("ref", BRANCH)]).bearer_auth(TOKEN).send().await?.error_for_status()?;
        let found: Value = found.json().await?;
        let body = json!({
            "message": format!("Update {}", file(number)), "branch": BRANCH, "sha": found["sha"],
            "content": BASE64_STANDARD.encode(content(number, round)),
        });
        client.put(&url).bearer_auth(TOKEN).json(&body).send().await?.error_for_status()?;
    }
    before.cost(SAMPLE, round)
}

/// The repository before changes came, and since when they come.
struct Before<'a> {
    github: &'a GitHub,
    bare: Bare,
    commits: f64,
    begun: Instant,
}

impl<'a> Before<'a> {
    fn look(github: &'a GitHub, name: &str) -> Self {
        let bare = github.hosted(&format!("acme/{name}")).bare();
        let commits = commits(&bare);
        github.forget_served();
        Self { github, bare, commits, begun: Instant::now() }
    }

    /// What it took until now; fails when a change of the round did not arrive.
    fn cost(self, changes: usize, round: usize) -> Result<Cost, Failure> {
        let (seconds, requests) = (self.begun.elapsed().as_secs_f64(), self.github.served().len() as f64);
        for number in [0, changes / 2, changes - 1] {
            let found = self.bare.show(BRANCH, &file(number));
            if found != content(number, round).trim_end() {
                return Err(Failure(format!("{} was not changed in round {round}: {found}", file(number))));
            }
        }
        Ok(Cost { seconds, requests, commits: commits(&self.bare) - self.commits })
    }
}

fn commits(bare: &Bare) -> f64 {
    bare.git(&["rev-list", "--count", BRANCH]).parse().unwrap_or(f64::NAN)
}

fn file(number: usize) -> String {
    format!("lab/managed/{}/object-{number}.yaml", number % 12)
}

fn content(number: usize, round: usize) -> String {
    format!("kind: Server\nmetadata:\n  name: object-{number}\nspec:\n  description: round {round}\n")
}

fn failed(error: Error) -> Failure {
    Failure(error.to_string())
}
