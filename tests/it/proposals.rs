//! Delivery by pull request: the whole service between a NetBox stand-in and a stand-in for GitHub.

mod moving;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fgd_sync::app::App;
use fgd_sync::config;
use fgd_sync::domain::change::Change;
use fgd_sync::domain::names::{BranchName, FabricName, RepoName, Target};
use fgd_sync::domain::report::JobState;
use fgd_sync::domain::rollback::Rollback;
use fgd_sync::ledger::types::{Accept, FabricStatus, JobFilter, Origin, Server};
use fgd_sync::ledger::{Clock, Ledger};
use fgd_sync::run::Runner;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::app::drain;
use crate::support::fakes::github::{self, GitHub, Method, Pull};
use crate::support::fakes::netbox::{self, NetBox, Object};
use crate::support::git_server::{Bare, Person};

const FABRIC: &str = "lab";
const ROLLING: &str = "fgd-sync/main";

/// A service whose repository may only be changed by pull request.
struct Reviewed {
    netbox: NetBox,
    github: GitHub,
    ledger: Ledger,
    clock: Clock,
    runner: Arc<Runner>,
    directory: TempDir,
}

impl Reviewed {
    /// With the directory's skeleton merged.
    async fn start() -> Self {
        let reviewed = Self::empty().await;
        reviewed.compare().await;
        reviewed.merge(Method::Merge);
        reviewed.compare().await;
        reviewed
    }

    async fn empty() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let netbox = NetBox::custom_objects();
        let github = GitHub::start();
        github.create("acme", "fabric").person().write("README", "ours\n").push("main", "first");
        let (directory, clock) = (TempDir::new().unwrap(), Clock::default());
        let (ledger, runner) = build((&netbox, &github), (&directory, &clock), FABRIC).await;
        Self { netbox, github, ledger, clock, runner, directory }
    }

    /// The same world and ledger with the fabric in another directory.
    async fn moved_to(self, place: &str) -> Self {
        drop(self.runner);
        self.ledger.close().await;
        let (ledger, runner) = build((&self.netbox, &self.github), (&self.directory, &self.clock), place).await;
        Self { ledger, runner, ..self }
    }

    fn bare(&self) -> Bare {
        self.github.hosted("acme/fabric").bare()
    }

    fn person(&self) -> Person {
        self.github.hosted("acme/fabric").person()
    }

    fn pulls(&self) -> Vec<Pull> {
        self.github.hosted("acme/fabric").pulls()
    }

    /// Somebody merges the newest pull request.
    fn merge(&self, method: Method) {
        let newest = self.pulls().iter().map(|pull| pull.number).max().expect("a pull request");
        self.github.hosted("acme/fabric").merge_pull(newest, method);
    }

    fn create(&self, name: &str) {
        self.netbox.user("alice").create(&Object::new("Server", FABRIC, name, json!({"description": "one"})));
    }

    fn update(&self, name: &str, description: &str) {
        let mut alice = self.netbox.user("alice");
        let id = alice.id("Server", name);
        alice.update("Server", id, json!({"spec": {"description": description}}));
    }

    fn row(&self, name: &str) -> Value {
        self.netbox.rows("Server").into_iter().find(|row| row["name"] == name).unwrap()
    }

    async fn compare(&self) {
        self.ask(Change::Everything).await;
    }

    async fn ask(&self, change: Change) {
        let target = Target { repo: RepoName::new("main"), branch: BranchName::new("main") };
        let accept = Accept {
            origin: Origin::Request { what: "a test".to_owned() },
            dedupe: None,
            changes: vec![(FabricName::new(FABRIC), target, change)],
            at_once: true,
        };
        self.ledger.accept(&accept).await.unwrap();
        drain(&self.ledger, &self.runner, &self.clock).await;
    }

    async fn status(&self) -> FabricStatus {
        self.ledger.fabric_status(&FabricName::new(FABRIC)).await.unwrap()
    }

    async fn held_codes(&self) -> Vec<String> {
        self.status().await.held.values().map(|reason| reason.code.clone()).collect()
    }

    fn has(&self, branch: &str, name: &str) -> bool {
        self.bare().paths(branch).contains(&file(name))
    }
}

async fn build(
    (netbox, github): (&NetBox, &GitHub),
    (directory, clock): (&TempDir, &Clock),
    place: &str,
) -> (Ledger, Arc<Runner>) {
    let file = directory.path().join("fgd-sync.yaml");
    let text = format!(
        "listen: 127.0.0.1:0\npublic_url: http://sync.example.com/\ndata_directory: data\nredis: embedded\n\
         netbox:\n  main: {{url: '{}', token: '{}', webhook_secret: a-secret-of-this-test}}\n\
         repositories:\n  main: {{kind: github, github: acme/fabric, api_url: '{}', token: '{}', delivery: pull_request, \
         commit_status: true, webhook_secret: another-secret-of-it}}\n\
         fabrics:\n  {FABRIC}: {{netbox: main, repository: main, branch: main, directory: {place}}}\n",
        netbox.url(),
        netbox::TOKEN,
        github.rest_url(),
        github::TOKEN,
    );
    std::fs::write(&file, text).unwrap();
    let settings = config::load(Some(&file), &BTreeMap::new()).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let app = App::build(settings, clock.clone()).await.unwrap();
    (app.ledger().clone(), app.runner().clone())
}

fn file(name: &str) -> String {
    format!("{FABRIC}/managed/servers/{name}.yaml")
}

#[tokio::test]
async fn changes_are_proposed_and_later_ones_join_them() {
    let reviewed = Reviewed::start().await;
    let before = reviewed.bare().head("main");
    reviewed.create("one");
    reviewed.compare().await;
    let first = reviewed.pulls().last().unwrap().number;

    reviewed.create("two");
    reviewed.compare().await;

    let open: Vec<u64> = reviewed.pulls().iter().filter(|pull| pull.open).map(|pull| pull.number).collect();
    assert_eq!(open, [first], "one rolling pull request");
    assert_eq!(reviewed.bare().head("main"), before, "the target is as it was");
    assert!(reviewed.has(ROLLING, "one") && reviewed.has(ROLLING, "two"));
    assert_eq!(reviewed.held_codes().await, ["proposed", "proposed"]);
    assert_eq!(
        reviewed.bare().git(&["rev-list", "--count", &format!("main..{ROLLING}")]),
        "1",
        "rebuilt, not piled up"
    );
}

#[tokio::test]
async fn a_proposal_that_says_the_same_is_left_alone() {
    let reviewed = Reviewed::start().await;
    reviewed.create("one");
    reviewed.compare().await;
    let (tip, writes) = (reviewed.bare().head(ROLLING), reviewed.github.writes());

    reviewed.compare().await;

    assert_eq!((reviewed.bare().head(ROLLING), reviewed.github.writes()), (tip, writes));
}

#[tokio::test]
async fn a_proposal_is_agreed_once_it_is_merged_however_that_is_done() {
    for method in [Method::Merge, Method::Squash, Method::Rebase] {
        let reviewed = Reviewed::start().await;
        reviewed.create("one");
        reviewed.compare().await;
        assert_eq!(reviewed.status().await.objects, 0, "proposed is not agreed");

        reviewed.merge(method);
        reviewed.ask(Change::GitMoved).await;

        let status = reviewed.status().await;
        assert_eq!((status.objects, status.held.len()), (1, 0), "{method:?}: {:?}", status.held);
        assert!(reviewed.has("main", "one"));
    }
}

#[tokio::test]
async fn the_proposal_moves_on_when_the_target_does() {
    let reviewed = Reviewed::start().await;
    reviewed.create("one");
    reviewed.compare().await;
    let theirs = reviewed.person().update("main").write("notes.md", "new\n").push("main", "notes");

    reviewed.compare().await;

    assert_eq!(reviewed.bare().git(&["rev-parse", &format!("{ROLLING}^")]), theirs);
    assert_eq!(reviewed.pulls().iter().filter(|pull| pull.open).count(), 1);
}

#[tokio::test]
async fn a_reviewers_commits_are_never_overwritten() {
    let reviewed = Reviewed::start().await;
    reviewed.create("one");
    reviewed.compare().await;
    let text = reviewed.bare().show(ROLLING, &file("one")).replace("description: one", "description: better");
    let theirs = reviewed.person().update(ROLLING).write(&file("one"), format!("{text}\n")).push(ROLLING, "a word");

    reviewed.create("two");
    reviewed.compare().await;

    assert_eq!(reviewed.bare().head(ROLLING), Some(theirs));
    let own: Vec<String> =
        reviewed.bare().branches().into_keys().filter(|name| name.starts_with("fgd-sync/main-")).collect();
    assert_eq!(own.len(), 1, "{:?}", reviewed.bare().branches());
    assert!(reviewed.has(&own[0], "two"));
}

#[tokio::test]
async fn what_a_reviewer_changed_reaches_netbox_after_the_merge() {
    let reviewed = Reviewed::start().await;
    reviewed.create("one");
    reviewed.compare().await;
    reviewed.merge(Method::Squash);
    reviewed.ask(Change::GitMoved).await;
    reviewed.update("one", "two");
    reviewed.compare().await;
    let text = reviewed.bare().show(ROLLING, &file("one")).replace("description: two", "description: three");
    reviewed.person().update(ROLLING).write(&file("one"), format!("{text}\n")).push(ROLLING, "a word");

    reviewed.merge(Method::Squash);
    reviewed.ask(Change::GitMoved).await;

    let codes = reviewed.held_codes().await;
    assert_eq!(codes, ["changed_on_both_sides"], "NetBox says two, the reviewer says three: a person decides");
    assert_eq!(reviewed.row("one")["spec"]["description"], "two");
}

#[tokio::test]
async fn a_declined_proposal_is_shown_and_comes_again_only_with_other_content() {
    let reviewed = Reviewed::start().await;
    reviewed.create("one");
    reviewed.compare().await;
    let first = reviewed.pulls().last().unwrap().number;
    reviewed.github.hosted("acme/fabric").close_pull(first);

    reviewed.compare().await;
    let (codes, pulls) = (reviewed.held_codes().await, reviewed.pulls().len());
    reviewed.update("one", "changed since");
    reviewed.compare().await;

    assert_eq!(codes, ["proposal_declined"]);
    assert_eq!(reviewed.pulls().len(), pulls + 1);
    assert_eq!(reviewed.held_codes().await, ["proposed"]);
}

#[tokio::test]
async fn a_proposal_with_nothing_left_to_say_is_closed() {
    let reviewed = Reviewed::start().await;
    reviewed.create("one");
    reviewed.compare().await;
    let number = reviewed.pulls().last().unwrap().number;
    {
        let mut alice = reviewed.netbox.user("alice");
        let id = alice.id("Server", "one");
        alice.delete("Server", id);
    }

    reviewed.compare().await;

    let pull = reviewed.pulls().into_iter().find(|pull| pull.number == number).unwrap();
    assert!(!pull.open);
    assert_eq!(reviewed.held_codes().await, [] as [&str; 0]);
}

#[tokio::test]
async fn a_pushed_commit_shows_how_it_fared_with_each_refused_document() {
    let reviewed = Reviewed::start().await;
    let bad = "apiVersion: wiring.githedgehog.com/v1beta1\nkind: Server\nmetadata: {name: UPPER}\nspec: {}\n";
    let pushed = reviewed.person().update("main").write(&format!("{FABRIC}/raw/bad.yaml"), bad).push("main", "drop");

    reviewed.ask(Change::GitMoved).await;

    let statuses = reviewed.github.hosted("acme/fabric").statuses();
    let of_it: Vec<_> = statuses.iter().filter(|status| status.sha == pushed).collect();
    assert_eq!(of_it.len(), 2, "{statuses:?}");
    assert!(of_it.iter().all(|status| status.state == "failure"));
    assert!(of_it.iter().any(|status| status.context == "fgd-sync/lab"
        && status.description.as_deref().unwrap_or_default().contains("1 rejected")));
    assert!(of_it.iter().any(|status| status.context.contains("raw/bad.yaml#0")
        && status.description.as_deref().unwrap_or_default().starts_with("line ")));
}

#[tokio::test]
async fn the_end_of_the_token_is_noted_with_the_repositorys_health() {
    let reviewed = Reviewed::empty().await;
    let left = Duration::from_secs(5 * 86_400);
    reviewed.github.expire_token(github::TOKEN, left);

    reviewed.compare().await;

    let health = reviewed.ledger.health().await.unwrap();
    let end = health[&Server::Repository(RepoName::new("main"))].token_expires.unwrap();
    let end = UNIX_EPOCH + Duration::from_millis(end.0);
    let told = end.duration_since(SystemTime::now()).unwrap();
    assert!(told <= left && told > left - Duration::from_secs(600), "{told:?}");
}

#[tokio::test]
async fn a_rollback_is_left_to_a_pull_request_of_peoples_own() {
    let reviewed = Reviewed::start().await;
    let head = reviewed.bare().head("main").unwrap();
    let pulls = reviewed.pulls().len();
    let rollback = Rollback {
        to: head.parse().unwrap(),
        job: None,
        objects: BTreeSet::new(),
        dry_run: false,
        by: "ann".to_owned(),
    };

    reviewed.ask(Change::Rollback(Box::new(rollback))).await;

    let page = reviewed.ledger.jobs(&JobFilter { limit: 1, ..JobFilter::default() }).await.unwrap();
    assert_eq!(page.jobs[0].state, JobState::Failed);
    assert_eq!(page.jobs[0].parts[0].error.as_ref().map(|error| error.code.as_str()), Some("rollback_by_review"));
    assert_eq!(reviewed.pulls().len(), pulls);
}

#[tokio::test]
async fn a_dry_run_leaves_an_open_pull_request_as_it_is() {
    let reviewed = Reviewed::start().await;
    reviewed.create("one");
    reviewed.compare().await;
    let open = reviewed.pulls().into_iter().max_by_key(|pull| pull.number).unwrap();

    reviewed.ask(Change::DryRun).await;

    let still = reviewed.pulls().into_iter().max_by_key(|pull| pull.number).unwrap();
    assert!(open.open && still.open);
    assert_eq!(still.number, open.number);
    assert!(reviewed.has(ROLLING, "one"));
}
