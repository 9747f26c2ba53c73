//! What guards a history and a tree, through whole runs: going back, branches that vanish or are rewritten, truncated trees.

use std::collections::BTreeSet;

use fgd_sync::app::App;
use fgd_sync::config;
use fgd_sync::domain::change::Change;
use fgd_sync::domain::key::Key;
use fgd_sync::domain::kind::Kind;
use fgd_sync::domain::names::FabricName;
use fgd_sync::domain::report::JobState;
use fgd_sync::domain::rollback::Rollback;
use fgd_sync::ledger::history::HistoryAccepted;
use fgd_sync::ledger::types::{Accept, FabricStatus, Job, Origin};
use fgd_sync::ledger::{Clock, Ledger};
use fgd_sync::run::Runner;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::support::app::drain;
use crate::support::fakes::netbox::{self, NetBox, Object};

const FABRIC: &str = "lab";

/// The whole service between the two stand-ins.
struct World {
    netbox: NetBox,
    github: GitHub,
    ledger: Ledger,
    clock: Clock,
    runner: Arc<Runner>,
    _directory: TempDir,
}

impl World {
    /// With servers of both sides, each described as `old`.
    async fn with_servers(names: &[&str]) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (netbox, github) = (NetBox::custom_objects(), GitHub::start());
        github.create("acme", "fabric").person().write("README", "ours\n").push("main", "first");
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("fgd-sync.yaml");
        let text = format!(
            "listen: 127.0.0.1:0\npublic_url: http://sync.example.com/\ndata_directory: data\nredis: embedded\n\
             netbox:\n  main: {{url: '{}', token: '{}', webhook_secret: a-secret-of-this-test}}\n\
             repositories:\n  main: {{kind: github, github: acme/fabric, api_url: '{}', token: '{TOKEN}', \
             webhook_secret: another-secret-of-it}}\n\
             fabrics:\n  {FABRIC}: {{netbox: main, repository: main, branch: main, directory: {FABRIC}, on_git_delete: delete}}\n",
            netbox.url(),
            netbox::TOKEN,
            github.rest_url(),
        );
        std::fs::write(&file, text).unwrap();
        let settings = config::load(Some(&file), &BTreeMap::new()).unwrap_or_else(|problems| panic!("{problems:#?}"));
        let clock = Clock::default();
        let app = App::build(settings, clock.clone()).await.unwrap();
        let (ledger, runner) = (app.ledger().clone(), app.runner().clone());
        let world = Self { netbox, github, ledger, clock, runner, _directory: directory };
        for name in names {
            world.netbox.user("alice").create(&Object::new("Server", FABRIC, name, json!({"description": "old"})));
        }
        world.compare().await;
        world
    }

    fn target() -> Target {
        Target { repo: RepoName::new("main"), branch: BranchName::new("main") }
    }

    fn bare(&self) -> Bare {
        self.github.hosted("acme/fabric").bare()
    }

    fn person(&self) -> Person {
        self.github.hosted("acme/fabric").person()
    }

    fn head(&self) -> String {
        self.bare().head("main").expect("the branch is there")
    }

    async fn compare(&self) -> Job {
        self.ask(Change::Everything).await
    }

    /// Asks for work, carries all of it to its end, and answers with its job.
    async fn ask(&self, change: Change) -> Job {
        let accept = Accept {
            origin: Origin::Request { what: "a test".to_owned() },
            dedupe: None,
            changes: vec![(FabricName::new(FABRIC), Self::target(), change)],
            at_once: true,
        };
        let job = self.ledger.accept(&accept).await.unwrap().job;
        self.work().await;
        self.ledger.job(&job).await.unwrap().unwrap()
    }

    async fn work(&self) {
        drain(&self.ledger, &self.runner, &self.clock).await;
    }

    async fn status(&self) -> FabricStatus {
        self.ledger.fabric_status(&FabricName::new(FABRIC)).await.unwrap()
    }

    async fn stalled(&self) -> Option<String> {
        self.status().await.error.map(|error| error.code)
    }

    async fn describe_all(&self, names: &[&str], description: &str) {
        for name in names {
            let mut alice = self.netbox.user("alice");
            let id = alice.id("Server", name);
            alice.update("Server", id, json!({"spec": {"description": description}}));
        }
        self.compare().await;
    }

    async fn roll_back(&self, to: &str, objects: &[&str]) -> Job {
        let key =
            |name: &&str| Key { kind: Kind::new("Server"), namespace: "default".to_owned(), name: (*name).to_owned() };
        let objects: BTreeSet<Key> = objects.iter().map(key).collect();
        let rollback = Rollback { to: to.parse().unwrap(), job: None, objects, dry_run: false, by: "ann".to_owned() };
        self.ask(Change::Rollback(Box::new(rollback))).await
    }

    /// A person says that the history is meant to be so, and the fabric is compared.
    async fn accept_history(&self) {
        let accepted = self.ledger.accept_history(&Self::target(), None, &[&FabricName::new(FABRIC)]).await.unwrap();
        assert!(matches!(accepted, HistoryAccepted::Done(_)), "{accepted:?}");
        self.compare().await;
    }

    /// The description that NetBox has of a server, and whether the file says the same.
    fn description(&self, name: &str) -> Option<(String, bool)> {
        let row = self.netbox.rows("Server").into_iter().find(|row| row["name"] == name)?;
        let said = row["spec"]["description"].as_str().unwrap().to_owned();
        let same = self.bare().paths("main").contains(&file(name))
            && self.bare().show("main", &file(name)).contains(&format!("description: {said}"));
        Some((said, same))
    }
}

fn file(name: &str) -> String {
    format!("{FABRIC}/managed/servers/{name}.yaml")
}

fn both(description: &str) -> Option<(String, bool)> {
    Some((description.to_owned(), true))
}

#[tokio::test]
async fn an_earlier_state_comes_back_as_one_commit_that_netbox_follows() {
    let world = World::with_servers(&["one", "two"]).await;
    let then = world.head();
    world.describe_all(&["one", "two"], "new").await;
    world.netbox.user("alice").create(&Object::new("Server", FABRIC, "three", json!({"description": "new"})));
    world.compare().await;
    let before = world.head();

    let job = world.roll_back(&then, &[]).await;

    assert_eq!(job.state, JobState::Succeeded);
    assert_eq!([world.description("one"), world.description("two")], [both("old"), both("old")]);
    assert_eq!(world.description("three"), None);
    assert!(!world.bare().paths("main").contains(&file("three")));
    assert_eq!(world.bare().git(&["rev-parse", "main~1"]), before, "no history is lost, and one commit is enough");
}

#[tokio::test]
async fn chosen_objects_go_back_alone() {
    let world = World::with_servers(&["one", "two"]).await;
    let then = world.head();
    world.describe_all(&["one", "two"], "new").await;

    let job = world.roll_back(&then, &["one"]).await;

    assert_eq!(job.state, JobState::Succeeded);
    assert_eq!([world.description("one"), world.description("two")], [both("old"), both("new")]);
}

#[tokio::test]
async fn a_vanished_branch_is_held_and_goes_on_when_it_is_back() {
    let world = World::with_servers(&["one"]).await;
    let head = world.head();
    world.bare().git(&["update-ref", "-d", "refs/heads/main"]);
    let writes = (world.netbox.writes(), world.github.writes());

    let job = world.compare().await;

    assert_eq!((job.state, world.stalled().await.as_deref()), (JobState::Stalled, Some("branch_gone")));
    assert_eq!((world.netbox.writes(), world.github.writes()), writes);
    assert_eq!(world.bare().head("main"), None);

    world.bare().git(&["update-ref", "refs/heads/main", &head]);
    assert_eq!(world.compare().await.state, JobState::Succeeded);
    assert_eq!(world.description("one"), both("old"));
}

#[tokio::test]
async fn a_rewritten_history_is_held_until_it_is_accepted() {
    let world = World::with_servers(&["one"]).await;
    let before = world.head();
    world.describe_all(&["one"], "new").await;
    let writes = (world.netbox.writes(), world.github.writes());

    // Sooner, it may be an old head from a replica of GitHub's.
    world.clock.advance(Duration::from_secs(30));
    world.person().force("main", &before);
    let job = world.ask(Change::GitMoved).await;

    assert_eq!((job.state, world.stalled().await.as_deref()), (JobState::Stalled, Some("history_rewritten")));
    assert_eq!((world.netbox.writes(), world.github.writes()), writes);

    world.accept_history().await;
    assert_eq!(world.stalled().await, None);
    assert_eq!(world.description("one"), both("old"), "what the new history says is Git's change");
    assert_eq!(world.head(), before);
}

#[tokio::test]
async fn a_replaced_repository_is_held_and_its_deletions_wait_for_a_word() {
    let world = World::with_servers(&["one", "two"]).await;
    let (marker, kept) = (world.bare().show("main", "lab/.hnp/manifest.yaml"), world.bare().show("main", &file("one")));
    let other = world.person();
    other.git(&["checkout", "--quiet", "--orphan", "other"]);
    other.git(&["rm", "-r", "--quiet", "--force", "."]);
    other.write("lab/.hnp/manifest.yaml", format!("{marker}\n")).write(&file("one"), format!("{kept}\n"));
    other.force("main", &other.commit("another repository"));

    let job = world.ask(Change::GitMoved).await;
    assert_eq!((job.state, world.stalled().await.as_deref()), (JobState::Stalled, Some("repository_replaced")));

    world.accept_history().await;

    assert_eq!(world.netbox.rows("Server").len(), 2, "nothing is deleted without a word");
    let status = world.status().await;
    assert_eq!(status.guarded.iter().map(|key| key.name.as_str()).collect::<Vec<_>>(), ["two"]);
    world.ledger.confirm_deletions(&FabricName::new(FABRIC)).await.unwrap();
    world.compare().await;
    assert_eq!(world.netbox.rows("Server").len(), 1);
    assert_eq!(world.description("one"), both("old"));
}

#[tokio::test]
async fn nothing_of_a_truncated_tree_is_taken_for_deleted_and_everything_is_found() {
    let names: Vec<String> = (0..25).map(|number| format!("s{number:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let world = World::with_servers(&names).await;
    // One tree alone has as many entries as are ever shown.
    world.github.set_tree_limit(26);
    let (head, writes) = (world.head(), world.netbox.writes());

    let job = world.compare().await;

    assert_eq!((job.state, world.head(), world.netbox.writes()), (JobState::Succeeded, head, writes));
    assert_eq!(world.netbox.rows("Server").len(), 25);

    let edited = world.bare().show("main", &file("s20")).replace("description: old", "description: edited");
    let dropped =
        "apiVersion: wiring.githedgehog.com/v1beta1\nkind: Server\nmetadata:\n  name: raw\nspec:\n  description: old\n";
    world
        .person()
        .write(&file("s20"), edited)
        .delete(&file("s24"))
        .write("lab/raw/deep/in/it.yaml", dropped)
        .push("main", "a person");
    world.ask(Change::GitMoved).await;

    let answers =
        [world.description("s20"), world.description("s24"), world.description("raw"), world.description("s00")];
    assert_eq!(answers, [both("edited"), None, both("old"), both("old")]);
    assert_eq!(world.netbox.rows("Server").len(), 25);
    assert!(world.status().await.held.is_empty(), "{:?}", world.status().await.held);
}
