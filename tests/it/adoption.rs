//! A directory that the service before us left is taken over without a storm.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use fgd_sync::domain::report::{Item, JobState, Outcome};
use serde_json::{Value, json};

use crate::support::app::TestApp;

/// What the first commit after the adoption touches, paths below the fabric's directory, in order.
pub const TOUCHED: [&str; 7] = [
    ".hnp/archive-log.yaml",
    ".hnp/manifest.yaml",
    "late.yaml",
    "managed/servers/server-02.yaml",
    "managed/servers/server-03.yaml",
    "managed/vpcs/web-1.yaml",
    "raw/server-02.yaml",
];

/// The fixture's files, paths below the fabric's directory.
pub fn left_by_the_service_before_us() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/predecessor/lab");
    let mut files = BTreeMap::new();
    collect(&root, &root, &mut files);
    files
}

fn collect(root: &Path, directory: &Path, files: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            files.insert(name, std::fs::read_to_string(&path).unwrap());
        }
    }
}

/// What the old service had put into NetBox: kind, name and spec.
pub fn rows_of_the_service_before_us() -> Vec<(&'static str, &'static str, Value)> {
    let vpcs = ["web", "edge", "db"].map(|name| ("VPC", name, vpc()));
    let server = |name, description| ("Server", name, json!({"description": description}));
    let servers = [server("server-01", "first of its rack"), server("stray", "outside its directory")];
    vpcs.into_iter().chain(servers).collect()
}

fn vpc() -> Value {
    json!({"ipv4Namespace": "default", "vlanNamespace": "default",
        "subnets": {"default": {"subnet": "10.10.1.0/24", "vlan": 1001}}})
}

/// The directory pushed, and in NetBox what the old service had put there.
async fn left_behind() -> TestApp {
    let app = TestApp::start().await;
    let files = left_by_the_service_before_us();
    app.push(&files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect::<Vec<_>>()).await;
    for (kind, name, spec) in rows_of_the_service_before_us() {
        app.netbox_user("alice").create(kind, name, spec).await;
    }
    app
}

#[tokio::test]
async fn the_first_commit_touches_only_what_must_change_and_says_so() {
    let app = left_behind().await;
    let before = app.files().await;

    app.sync().await;

    let after = app.files().await;
    let changed: BTreeSet<&str> = before
        .keys()
        .chain(after.keys())
        .filter(|path| before.get(*path) != after.get(*path))
        .map(String::as_str)
        .collect();
    assert_eq!(changed, TOUCHED.into());
    assert!(!after.contains_key("managed/vpcs/web-1.yaml") && !after.contains_key("late.yaml"));
    let commit = &app.commits().await[0];
    assert!(commit.body.contains("The directory of lab is kept by fgd-sync from now on"), "{}", commit.body);
    assert!(commit.body.contains("- remove copy of VPC default/web\n"), "{}", commit.body);
    app.finish().await;
}

#[tokio::test]
async fn what_a_person_has_to_decide_is_shown_and_left_alone() {
    let app = left_behind().await;

    let jobs = app.sync().await;

    let job = jobs.iter().find(|job| job.state == JobState::Held).expect("a job that needs a person");
    let report = app.report_of(job).await;
    let held: Vec<String> = report
        .items
        .iter()
        .filter_map(|item| match item {
            Item::Object { key, outcome: Outcome::Held { reason }, .. } => Some(format!("{key} {}", reason.code)),
            Item::File { path, reason } => Some(format!("{path} {}", reason.code)),
            Item::Object { .. } | Item::Document { .. } | Item::Warning { .. } => None,
        })
        .collect();
    assert_eq!(held, ["VPC/default/edge several_files", "lab/managed/vpcs/notes.yaml not_yaml"]);
    app.finish().await;
}

#[tokio::test]
async fn what_is_missing_or_foreign_is_shown_and_only_force_completes_the_skeleton() {
    let app = left_behind().await;
    app.sync().await;

    let view = app.get("/api/v1/fabrics/lab").await;
    let foreign: Vec<&str> =
        view["foreign"]["files"].as_array().unwrap().iter().map(|file| file["path"].as_str().unwrap()).collect();
    assert_eq!(view["directory_status"]["status"], "initialized");
    assert_eq!(foreign, ["lab/kustomization.yaml", "lab/managed/vpcs/notes.yaml"]);
    assert!(view["missing_parts"].as_array().unwrap().contains(&json!("managed/switches")), "{view}");
    assert!(!app.files().await.contains_key("managed/switches/.gitkeep"));

    app.post("/api/v1/fabrics/lab/init", json!({"force": true})).await;
    app.sync().await;

    assert!(app.files().await.contains_key("managed/switches/.gitkeep"));
    assert_eq!(app.get("/api/v1/fabrics/lab").await["missing_parts"], json!([]));
    app.finish().await;
}

#[tokio::test]
async fn after_the_adoption_nothing_more_is_committed() {
    let app = left_behind().await;
    app.sync().await;
    let commits = app.commits().await.len();

    app.post("/api/v1/fabrics/lab/sync", json!({})).await;
    app.sync().await;

    assert_eq!(app.commits().await.len(), commits);
    app.finish().await;
}

#[tokio::test]
async fn times_go_when_an_object_really_changes_and_peoples_comments_stay() {
    let app = left_behind().await;
    app.sync().await;
    let mut spec = vpc();
    spec["subnets"]["default"]["vlan"] = json!(2002);

    app.netbox_user("bob").update("VPC", "db", spec).await;
    app.sync().await;

    let text = app.files().await["managed/vpcs/db.yaml"].clone();
    assert!(text.contains("vlan: 2002 # agreed with the network team"), "{text}");
    assert!(text.contains("apiVersion: vpc.githedgehog.com/v1alpha2"), "never another version: {text}");
    assert!(!text.contains("2025-") && text.starts_with("# Generated by"), "{text}");
    app.finish().await;
}

#[tokio::test]
async fn a_part_of_the_skeleton_that_is_deleted_twice_stays_deleted() {
    let app = TestApp::ready().await;
    app.push_deletion(&["README.md"]).await;
    app.post("/api/v1/fabrics/lab/sync", json!({})).await;
    app.sync().await;
    assert!(app.files().await.contains_key("README.md"), "once it is put back");

    app.push_deletion(&["README.md"]).await;
    app.post("/api/v1/fabrics/lab/sync", json!({})).await;
    app.sync().await;

    assert!(!app.files().await.contains_key("README.md"));
    app.finish().await;
}
