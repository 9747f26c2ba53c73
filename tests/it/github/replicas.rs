//! Four replicas on one branch that a person pushes to all the while: what each of them put there stays.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use fgd_sync::app::App;
use fgd_sync::config;
use fgd_sync::domain::change::{Change, ObjectEvent};
use fgd_sync::domain::key::ObjectId;
use fgd_sync::domain::kind::Kind;
use fgd_sync::domain::names::{FabricName, NetBoxName};
use fgd_sync::domain::report::JobState;
use fgd_sync::ledger::types::{Accept, Claim, JobFilter, Origin, Settlement};
use fgd_sync::ledger::{Clock, Ledger};
use fgd_sync::queue::{self, Work, WorkerOptions};
use fgd_sync::run::Runner;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{Notify, watch};

use super::*;
use crate::support::fakes::netbox::{self, NetBox, Object};
use crate::support::redis::RedisServer;

const FABRIC: &str = "lab";
const REPLICAS: usize = 4;
/// What happens follows from it; how it interleaves does not.
const SEED: u64 = 20;
const ACTS: usize = 40;
/// Longer than a back-off, shorter than the pause after a stall.
const PATIENCE: Duration = Duration::from_secs(120);

/// Starts to note every move of `main`.
fn watch_moves(bare: &Bare) {
    bare.git(&["config", "core.logAllRefUpdates", "always"]);
}

/// Nothing that ever was the head has gone, and the moves were all forward; returns the commits, oldest first.
fn assert_only_forward(bare: &Bare) -> Vec<String> {
    let listed = bare.git(&["rev-list", "--reverse", "main"]);
    let history: Vec<String> = listed.lines().map(str::to_owned).collect();
    assert_eq!(bare.git(&["rev-list", "--merges", "--count", "main"]), "0", "the history is a line");
    let log = std::fs::read_to_string(bare.path().join("logs/refs/heads/main")).unwrap();
    let place = |oid: &str| history.iter().position(|commit| commit == oid);
    for moved in log.lines() {
        let (old, new) = (moved.split(' ').next().unwrap(), moved.split(' ').nth(1).unwrap());
        assert!(place(old).is_some() && place(old) < place(new), "a move that was no fast-forward: {moved}");
    }
    assert!(!log.is_empty(), "moves are noted");
    history
}

/// The runs that committed, each once.
fn assert_no_run_twice(bare: &Bare) -> usize {
    let listed = bare.git(&["log", &format!("--format=%(trailers:key={RUN_TRAILER},valueonly)"), "main"]);
    let runs: Vec<&str> = listed.lines().map(str::trim).filter(|run| !run.is_empty()).collect();
    let different: BTreeSet<&str> = runs.iter().copied().collect();
    assert_eq!(different.len(), runs.len(), "a run committed twice: {runs:#?}");
    runs.len()
}

/// Pushes a file, again on the new head whenever somebody was faster; returns the commit.
fn push_patiently(person: &Person, path: &str, content: &str) -> String {
    loop {
        let commit = person.update("main").write(path, content).commit("a person's change");
        let mut push = Command::new("git");
        push.args(["push", "--quiet", "origin", "HEAD:refs/heads/main"]).current_dir(person.dir());
        if push.output().unwrap().status.success() {
            return commit;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn commits_that_race_for_one_head_all_stay_and_so_do_a_persons() {
    const EACH: usize = 5;
    let scene = Scene::start();
    watch_moves(&scene.bare);
    let replicas = (0..REPLICAS).map(|replica| {
        let (repository, proof) = (scene.open(), proof());
        tokio::spawn(async move {
            for round in 0..EACH {
                let wanted: Edits = edits([("shared.yaml", write(format!("by: {replica}-{round}\n")))]);
                let own = path(&format!("managed/{replica}/{round}.yaml"));
                let wanted: Edits = wanted.into_iter().chain([(own, write(format!("n: {round}\n")))]).collect();
                let words = message(&format!("01RUN{replica}{round}"));
                loop {
                    let base = repository.head(&main()).await.unwrap();
                    match repository.commit(&proof, base.as_ref(), &wanted, &words).await {
                        Ok(_) => break,
                        Err(Error::HeadMoved { .. }) => {}
                        Err(other) => panic!("{other:?}"),
                    }
                }
            }
        })
    });
    let replicas: Vec<_> = replicas.collect();
    let person = scene.github.hosted("acme/fabric").person();
    let pushing = tokio::task::spawn_blocking(move || {
        let push = |at: usize| push_patiently(&person, &format!("notes/{at}.md"), "a note\n");
        (0..EACH).map(push).collect::<Vec<_>>()
    });
    for replica in replicas {
        replica.await.unwrap();
    }
    let theirs = pushing.await.unwrap();

    let history = assert_only_forward(&scene.bare);
    assert!(theirs.iter().all(|commit| history.contains(commit)));
    assert_eq!(assert_no_run_twice(&scene.bare), REPLICAS * EACH);
    assert_eq!(scene.bare.paths("main").len(), 2 + 1 + REPLICAS * EACH + EACH);
}

/// A runner that counts its runs.
struct Counted {
    runner: Arc<Runner>,
    runs: AtomicUsize,
}

impl Work for Counted {
    async fn run(&self, claim: Claim) -> Settlement {
        self.runs.fetch_add(1, Ordering::Relaxed);
        Work::run(self.runner.as_ref(), claim).await
    }
}

/// One process of the service.
struct Replica {
    ledger: Ledger,
    work: Arc<Counted>,
    wake: Arc<Notify>,
    _directory: TempDir,
}

/// Replicas that share a Redis, and the world around them.
struct Fleet {
    netbox: NetBox,
    github: GitHub,
    clock: Clock,
    replicas: Vec<Replica>,
    redis: RedisServer,
}

impl Fleet {
    /// With the directory's skeleton committed.
    async fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (netbox, github, redis) = (NetBox::custom_objects(), GitHub::start(), RedisServer::start());
        github.create("acme", "fabric").person().write("README", "ours\n").push("main", "first");
        let mut fleet = Self { netbox, github, clock: Clock::default(), replicas: Vec::new(), redis };
        for _ in 0..REPLICAS {
            let replica = fleet.replica().await;
            fleet.replicas.push(replica);
        }
        fleet.hint(Change::Everything).await;
        fleet.settle().await;
        fleet
    }

    async fn replica(&self) -> Replica {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("fgd-sync.yaml");
        let text = format!(
            "listen: 127.0.0.1:0\npublic_url: http://sync.example.com/\ndata_directory: data\nredis: {{url: '{}'}}\n\
             netbox:\n  main: {{url: '{}', token: '{}', webhook_secret: a-secret-of-this-test}}\n\
             repositories:\n  main: {{kind: github, github: acme/fabric, api_url: '{}', token: '{TOKEN}', \
             webhook_secret: another-secret-of-it}}\n\
             fabrics:\n  {FABRIC}: {{netbox: main, repository: main, branch: main, directory: {FABRIC}}}\n",
            self.redis.url(),
            self.netbox.url(),
            netbox::TOKEN,
            self.github.rest_url(),
        );
        std::fs::write(&file, text).unwrap();
        let settings = config::load(Some(&file), &BTreeMap::new()).unwrap_or_else(|problems| panic!("{problems:#?}"));
        let app = App::build(settings, self.clock.clone()).await.unwrap();
        let work = Arc::new(Counted { runner: app.runner().clone(), runs: AtomicUsize::new(0) });
        Replica { ledger: app.ledger().clone(), work, wake: Arc::default(), _directory: directory }
    }

    fn bare(&self) -> Bare {
        self.github.hosted("acme/fabric").bare()
    }

    fn ledger(&self) -> &Ledger {
        &self.replicas[0].ledger
    }

    async fn hint(&self, change: Change) {
        let target = Target { repo: RepoName::new("main"), branch: main() };
        let accept = Accept {
            origin: Origin::Request { what: "a test".to_owned() },
            dedupe: None,
            changes: vec![(FabricName::new(FABRIC), target, change)],
            at_once: true,
        };
        self.ledger().accept(&accept).await.unwrap();
        self.replicas.iter().for_each(|replica| replica.wake.notify_one());
    }

    async fn hint_at(&self, id: u64, event: ObjectEvent) {
        let object = ObjectId { kind: Kind::new("Server"), id };
        let (netbox, user) = (NetBoxName::new("main"), Some("alice".to_owned()));
        self.hint(Change::Object { netbox, object, event, cascade: false, user }).await;
    }

    /// Every replica works until the acts are over and what it has begun is done.
    async fn work_during<T>(&self, acts: impl Future<Output = T>) -> T {
        let (stop, stopping) = watch::channel(false);
        let working = self.replicas.iter().enumerate().map(|(number, replica)| {
            let mut stopping = stopping.clone();
            let options =
                WorkerOptions { concurrency: 1, name: format!("replica-{number}"), ..WorkerOptions::default() };
            queue::work(replica.ledger.clone(), replica.work.clone(), options, replica.wake.clone(), async move {
                let _ = stopping.wait_for(|stop| *stop).await;
            })
        });
        let acting = async {
            let acted = acts.await;
            stop.send_replace(true);
            acted
        };
        let (worked, acted) = tokio::join!(futures::future::join_all(working), acting);
        worked.into_iter().for_each(|ended| ended.unwrap());
        acted
    }

    /// The replicas take turns until nothing is left to do.
    async fn settle(&self) {
        for turn in 0..100 {
            let replica = &self.replicas[turn % REPLICAS];
            while queue::step(&replica.ledger, replica.work.as_ref(), "test").await.unwrap() {}
            match self.ledger().next_due().await.unwrap() {
                Some(due) if due < PATIENCE => self.clock.advance(due + Duration::from_millis(1)),
                Some(_) | None => return,
            }
        }
        panic!("work does not come to an end");
    }

    fn row(&self, name: &str) -> Value {
        let named = self.netbox.rows("Server").into_iter().find(|row| row["name"] == name);
        named.unwrap_or_else(|| panic!("NetBox has no {name}"))
    }
}

/// What must be on both sides, and in the history.
#[derive(Default)]
struct Expected {
    /// Descriptions by name.
    servers: BTreeMap<String, String>,
    commits: Vec<String>,
}

/// Edits on both sides in a random order; now and then the replica at work loses its lease without knowing.
async fn act_at_random(fleet: &Fleet) -> Expected {
    let mut random = fastrand::Rng::with_seed(SEED);
    let person = fleet.github.hosted("acme/fabric").person();
    let mut expected = Expected::default();
    let mut ours: Vec<(String, u64)> = Vec::new();
    for act in 0..ACTS {
        let text = format!("act {act}");
        match random.u8(..10) {
            0..3 => {
                let pushed = tokio::task::block_in_place(|| push_patiently(&person, "notes.md", &text));
                expected.commits.push(pushed);
                fleet.hint(Change::GitMoved).await;
            }
            3..5 => {
                let name = format!("dropped-{act}");
                let document = json!({"apiVersion": "wiring.githedgehog.com/v1beta1", "kind": "Server",
                    "metadata": {"name": name}, "spec": {"description": text}});
                let file = format!("{FABRIC}/raw/{name}.yaml");
                let pushed = tokio::task::block_in_place(|| push_patiently(&person, &file, &document.to_string()));
                expected.commits.push(pushed);
                expected.servers.insert(name, text);
                fleet.hint(Change::GitMoved).await;
            }
            5..7 => {
                let name = format!("created-{act}");
                let object = Object::new("Server", FABRIC, &name, json!({"description": text}));
                let id = fleet.netbox.user("alice").create(&object);
                ours.push((name.clone(), id));
                expected.servers.insert(name, text);
                fleet.hint_at(id, ObjectEvent::Created).await;
            }
            7..9 => {
                let Some((name, id)) = random.choice(&ours).cloned() else { continue };
                fleet.netbox.user("alice").update("Server", id, json!({"spec": {"description": text}}));
                expected.servers.insert(name, text);
                fleet.hint_at(id, ObjectEvent::Updated).await;
            }
            _ => fleet.clock.advance(fleet.ledger().lease() + Duration::from_secs(1)),
        }
    }
    expected
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn all_changes_of_both_sides_arrive_while_a_person_pushes_at_random() {
    let fleet = Fleet::start().await;
    watch_moves(&fleet.bare());

    let expected = fleet.work_during(act_at_random(&fleet)).await;
    let runs: Vec<usize> = fleet.replicas.iter().map(|replica| replica.work.runs.load(Ordering::Relaxed)).collect();
    fleet.settle().await;

    let history = assert_only_forward(&fleet.bare());
    assert!(expected.commits.len() > 5 && expected.commits.iter().all(|commit| history.contains(commit)));
    assert_no_run_twice(&fleet.bare());
    assert_eq!(fleet.netbox.rows("Server").len(), expected.servers.len());
    for (name, description) in &expected.servers {
        assert_eq!(fleet.row(name)["spec"]["description"], **description, "{name} in NetBox");
        let file = fleet.bare().show("main", &format!("{FABRIC}/managed/servers/{name}.yaml"));
        assert!(file.contains(&format!("description: {description}")), "{name} in Git: {file}");
    }
    let page = fleet.ledger().jobs(&JobFilter { limit: 200, ..JobFilter::default() }).await.unwrap();
    let unfinished: Vec<_> = page.jobs.iter().filter(|job| job.state != JobState::Succeeded).collect();
    assert!(unfinished.is_empty(), "{unfinished:#?}");
    assert!(runs.iter().filter(|runs| **runs > 0).count() > 1, "only one replica worked: {runs:?}");
}
