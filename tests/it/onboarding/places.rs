//! Directories anywhere: at the root, side by side, with names that nobody expects; on either kind of repository.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fgd_sync::app::App;
use fgd_sync::config;
use fgd_sync::domain::change::Change;
use fgd_sync::domain::directory::DirectoryStatus;
use fgd_sync::ledger::types::{Accept, FabricStanding, Origin};
use fgd_sync::ledger::{Clock, Ledger};
use fgd_sync::run::Runner;
use serde_json::json;
use tempfile::TempDir;

use crate::adoption::{TOUCHED, left_by_the_service_before_us, rows_of_the_service_before_us};
use crate::support::app::drain;
use crate::support::fakes::github::{self, GitHub};
use crate::support::fakes::netbox::{self, NetBox, Object};
use crate::support::git_server::{Bare, Person};

const TWO: [(&str, &str); 2] = [("North Süd.1", "fabrics/Nord & Süd.v2/a b"), ("two", "fabrics/Nord & Süd.v2/.two")];

const GIT_NAME: &str = "nos fabriques d’été.v2.git";

/// The server of a repository, whose name has a blank and dots where its kind allows.
enum Server {
    Git { bare: Bare, _directory: TempDir },
    GitHub(GitHub),
}

impl Server {
    fn git() -> Self {
        let directory = TempDir::new().unwrap();
        Self::Git { bare: Bare::create(&directory.path().join(GIT_NAME)), _directory: directory }
    }

    fn github() -> Self {
        let server = GitHub::start();
        server.create("acme", "fabrics.v2").person().write("code.txt", "ours\n").push("main", "first");
        Self::GitHub(server)
    }

    fn git_in(&self, args: &[&str]) -> String {
        match self {
            Self::Git { bare, .. } => bare.git(args),
            Self::GitHub(server) => server.hosted("acme/fabrics.v2").bare().git(args),
        }
    }

    fn person(&self) -> Person {
        match self {
            Self::Git { bare, .. } => {
                let person = Person::clone_of(bare.path().to_str().expect("a path in UTF-8"));
                person.update("main");
                person
            }
            Self::GitHub(server) => {
                let person = server.hosted("acme/fabrics.v2").person();
                person.update("main");
                person
            }
        }
    }

    fn settings(&self) -> String {
        match self {
            Self::Git { bare, .. } => format!("kind: git, url: '{}'", bare.path().display()),
            Self::GitHub(server) => format!(
                "kind: github, github: acme/fabrics.v2, api_url: '{}', token: '{}'",
                server.rest_url(),
                github::TOKEN
            ),
        }
    }
}

/// The service between a NetBox stand-in and a repository of either kind.
struct World {
    netbox: NetBox,
    server: Server,
    ledger: Ledger,
    clock: Clock,
    runner: Arc<Runner>,
    directory: TempDir,
}

impl World {
    async fn start(server: Server, fabrics: &[(&str, &str)]) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (netbox, directory, clock) = (NetBox::custom_objects(), TempDir::new().unwrap(), Clock::default());
        let (ledger, runner) = build(&netbox, &server, (&directory, &clock), (fabrics, "main")).await;
        Self { netbox, server, ledger, clock, runner, directory }
    }

    /// The same world and ledger with other directories, on a branch.
    async fn moved(self, fabrics: &[(&str, &str)], branch: &str) -> Self {
        drop(self.runner);
        self.ledger.close().await;
        let place = (&self.directory, &self.clock);
        let (ledger, runner) = build(&self.netbox, &self.server, place, (fabrics, branch)).await;
        Self { ledger, runner, ..self }
    }

    /// Compares every fabric, all in one batch.
    async fn compare(&self) {
        let changes = self.runner.fabrics.values();
        let changes = changes.map(|fabric| (fabric.name.clone(), fabric.target.clone(), Change::Everything));
        let origin = Origin::Request { what: "a test".to_owned() };
        let accept = Accept { origin, dedupe: None, changes: changes.collect(), at_once: true };
        self.ledger.accept(&accept).await.unwrap();
        drain(&self.ledger, &self.runner, &self.clock).await;
    }

    fn create(&self, fabric: &str, name: &str) {
        self.netbox.user("alice").create(&Object::new("Server", fabric, name, json!({"description": "one"})));
    }

    fn push(&self, path: &str, content: &str) {
        self.server.person().write(path, content).push("main", "a person's change");
    }

    fn commits(&self) -> usize {
        self.server.git_in(&["rev-list", "--count", "main"]).parse().unwrap()
    }

    /// Makes a file executable.
    fn make_executable(&self, path: &str) {
        let person = self.server.person();
        person.git(&["update-index", "--chmod=+x", path]);
        person.git(&["commit", "--quiet", "--message", "executable"]);
        person.git(&["push", "--quiet", "origin", "HEAD:main"]);
    }

    /// Paths of the executable files.
    fn executables(&self) -> Vec<String> {
        let listed = self.server.git_in(&["ls-tree", "-r", "--format=%(objectmode) %(path)", "main"]);
        listed.lines().filter_map(|line| line.strip_prefix("100755 ").map(str::to_owned)).collect()
    }

    /// Blobs by path.
    fn files(&self) -> BTreeMap<String, String> {
        let listed = self.server.git_in(&[
            "-c",
            "core.quotePath=false",
            "ls-tree",
            "-r",
            "-z",
            "--format=%(objectname) %(path)",
            "main",
        ]);
        let files = listed.split('\0').filter_map(|line| line.trim().split_once(' '));
        files.map(|(blob, path)| (path.to_owned(), blob.to_owned())).collect()
    }

    async fn standings(&self) -> Vec<FabricStanding> {
        let asked: Vec<_> = self.runner.fabrics.values().map(|fabric| (&fabric.name, &fabric.target)).collect();
        self.ledger.standings(&asked).await.unwrap()
    }

    async fn assert_in_order(&self) {
        for standing in self.standings().await {
            assert_eq!((standing.held, &standing.error, standing.pending_changes), (0, &None, 0));
            assert_eq!(standing.directory.unwrap().condition.status, DirectoryStatus::Initialized);
        }
    }
}

async fn build(
    netbox: &NetBox,
    server: &Server,
    (directory, clock): (&TempDir, &Clock),
    (fabrics, branch): (&[(&str, &str)], &str),
) -> (Ledger, Arc<Runner>) {
    let fabrics: String = fabrics
        .iter()
        .map(|(name, at)| {
            format!("  '{name}': {{netbox: main, repository: main, branch: {branch}, directory: '{at}'}}\n")
        })
        .collect();
    let text = format!(
        "listen: 127.0.0.1:0\npublic_url: http://sync.example.com/\ndata_directory: data\nredis: embedded\n\
         netbox:\n  main: {{url: '{}', token: '{}', webhook_secret: a-secret-of-this-test}}\n\
         repositories:\n  main: {{{}, webhook_secret: another-secret-of-it}}\n\
         fabrics:\n{fabrics}",
        netbox.url(),
        netbox::TOKEN,
        server.settings(),
    );
    let file = directory.path().join("fgd-sync.yaml");
    std::fs::write(&file, text).unwrap();
    let settings = config::load(Some(&file), &BTreeMap::new()).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let app = App::build(settings, clock.clone()).await.unwrap();
    (app.ledger().clone(), app.runner().clone())
}

fn server_document(name: &str) -> String {
    format!("apiVersion: wiring.githedgehog.com/v1beta1\nkind: Server\nmetadata: {{name: {name}}}\nspec: {{}}\n")
}

async fn two_fabrics_with_odd_names_share_a_repository(server: Server) {
    let world = World::start(server, &TWO).await;
    for (fabric, _) in TWO {
        world.create(fabric, "one");
    }
    world.compare().await;
    let first = world.commits();
    for (_, directory) in TWO {
        world.push(&format!("{directory}/raw/deep é/drop.yaml"), &server_document("dropped"));
    }
    world.compare().await;

    let files = world.files();
    for (_, directory) in TWO {
        for path in [".hnp/manifest.yaml", "managed/servers/one.yaml", "managed/servers/dropped.yaml"] {
            assert!(files.contains_key(&format!("{directory}/{path}")), "{directory}/{path} of {files:#?}");
        }
        assert!(!files.contains_key(&format!("{directory}/raw/deep é/drop.yaml")));
    }
    assert_eq!(world.commits(), first + 3, "two people's commits and one of ours for both");
    assert_eq!(world.netbox.rows("Server").len(), 4);
    world.assert_in_order().await;
}

async fn the_repositorys_root_can_be_the_directory(server: Server) {
    let world = World::start(server, &[("lab", ".")]).await;
    world.create("lab", "one");
    world.compare().await;
    world.push("raw/drop.yaml", &server_document("dropped"));
    world.push("README.md", "# Of the whole repository\n");
    world.push("docs/page.yaml", "page: 1\n");
    world.compare().await;
    let commits = world.commits();
    world.compare().await;

    let files: BTreeSet<String> = world.files().into_keys().collect();
    for path in [".hnp/manifest.yaml", "managed/servers/one.yaml", "managed/servers/dropped.yaml", "docs/page.yaml"] {
        assert!(files.contains(path), "{path} of {files:#?}");
    }
    assert_eq!(world.commits(), commits, "nothing more is to be done");
    world.assert_in_order().await;
    let foreign = world.standings().await[0].directory.clone().unwrap().condition.foreign;
    assert!(foreign.files.iter().any(|file| file.path.as_str() == "docs/page.yaml"), "{foreign:#?}");
}

async fn both_move_in_one_commit(server: Server) {
    let world = World::start(server, &TWO).await;
    for (fabric, _) in TWO {
        world.create(fabric, "one");
    }
    world.compare().await;
    let (before, commits, writes) = (world.files(), world.commits(), world.netbox.writes());
    let places = [(TWO[0].0, "Łódź/été 1"), (TWO[1].0, "b.c")];

    let world = world.moved(&places, "main").await;
    world.compare().await;

    let expected: BTreeMap<String, String> = before
        .into_iter()
        .map(|(path, blob)| {
            let fabric = TWO.iter().position(|(_, old)| path.starts_with(&format!("{old}/")));
            (fabric.map_or(path.clone(), |at| path.replacen(TWO[at].1, places[at].1, 1)), blob)
        })
        .collect();
    assert_eq!(world.files(), expected);
    assert_eq!((world.commits(), world.netbox.writes()), (commits + 1, writes));
    world.assert_in_order().await;
}

/// One file moves as it is, one with its object's new name, one with what changed meanwhile.
async fn a_move_keeps_the_mode_of_each_file(server: Server) {
    let world = World::start(server, &[("lab", "lab")]).await;
    for name in ["plain", "same", "old-name", "changed"] {
        world.create("lab", name);
    }
    world.compare().await;
    for name in ["same", "old-name", "changed"] {
        world.make_executable(&format!("lab/managed/servers/{name}.yaml"));
    }
    world.compare().await;
    let world = world.moved(&[("lab", "sites/north")], "main").await;
    {
        let mut alice = world.netbox.user("alice");
        let (renamed, changed) = (alice.id("Server", "old-name"), alice.id("Server", "changed"));
        alice.update("Server", renamed, json!({"name": "new-name"}));
        alice.update("Server", changed, json!({"spec": {"description": "two"}}));
    }

    world.compare().await;

    let at = |name: &str| format!("sites/north/managed/servers/{name}.yaml");
    assert_eq!(world.executables(), [at("changed"), at("new-name"), at("same")]);
    assert!(world.files().contains_key(&at("plain")));
    world.assert_in_order().await;
}

#[tokio::test]
async fn a_move_keeps_modes_in_a_git_repository() {
    a_move_keeps_the_mode_of_each_file(Server::git()).await;
}

#[tokio::test]
async fn a_move_keeps_modes_in_a_repository_on_github() {
    a_move_keeps_the_mode_of_each_file(Server::github()).await;
}

#[tokio::test]
async fn two_fabrics_with_odd_names_share_a_git_repository() {
    two_fabrics_with_odd_names_share_a_repository(Server::git()).await;
}

#[tokio::test]
async fn two_fabrics_with_odd_names_share_a_repository_on_github() {
    two_fabrics_with_odd_names_share_a_repository(Server::github()).await;
}

#[tokio::test]
async fn the_root_of_a_git_repository_can_be_the_directory() {
    the_repositorys_root_can_be_the_directory(Server::git()).await;
}

#[tokio::test]
async fn the_root_of_a_repository_on_github_can_be_the_directory() {
    the_repositorys_root_can_be_the_directory(Server::github()).await;
}

#[tokio::test]
async fn two_fabrics_of_a_git_repository_move_in_one_commit() {
    both_move_in_one_commit(Server::git()).await;
}

#[tokio::test]
async fn two_fabrics_of_a_repository_on_github_move_in_one_commit() {
    both_move_in_one_commit(Server::github()).await;
}

#[tokio::test]
async fn a_directory_of_the_service_before_us_is_adopted_on_github() {
    let world = World::start(Server::github(), &[("lab", "sites/lab")]).await;
    for (kind, name, spec) in rows_of_the_service_before_us() {
        world.netbox.user("alice").create(&Object::new(kind, "lab", name, spec));
    }
    let person = world.server.person();
    for (path, text) in left_by_the_service_before_us() {
        person.write(&format!("sites/lab/{path}"), text);
    }
    person.push("main", "what the old service left");
    let (before, commits) = (world.files(), world.commits());

    world.compare().await;

    let after = world.files();
    let touched = before.keys().chain(after.keys()).filter(|path| before.get(*path) != after.get(*path));
    let touched: BTreeSet<&str> = touched.filter_map(|path| path.strip_prefix("sites/lab/")).collect();
    assert_eq!((touched, world.commits()), (TOUCHED.into(), commits + 1));
    let standing = world.standings().await.remove(0);
    assert_eq!((standing.held, standing.directory.unwrap().condition.status), (1, DirectoryStatus::Initialized));
    let writes = world.netbox.writes();
    world.compare().await;
    assert_eq!((world.commits(), world.netbox.writes()), (commits + 1, writes), "and nothing more");
}

#[tokio::test]
async fn on_another_branch_everything_is_compared_anew_and_copied() {
    let world = World::start(Server::git(), &[("lab", "lab")]).await;
    world.create("lab", "one");
    world.compare().await;
    let (before, writes) = (world.files(), world.netbox.writes());

    let world = world.moved(&[("lab", "lab")], "next").await;
    world.compare().await;

    let next = world.server.git_in(&["ls-tree", "-r", "--name-only", "next"]);
    assert!(next.lines().any(|path| path == "lab/managed/servers/one.yaml"), "{next}");
    assert_eq!((world.files(), world.netbox.writes()), (before, writes), "the old branch is left to people");
    world.assert_in_order().await;
}
