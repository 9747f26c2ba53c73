//! How a fabric gets its directory, what its view says of it, and how it is kept whole.

mod command_line;
mod hard_inputs;
mod moving;
mod places;

use fgd_sync::domain::report::JobState;
use serde_json::{Value, json};

use crate::support::app::{FABRIC, TestApp};
use crate::support::git_server::Person;

/// Asks for `init` and does it; returns the report of its job.
async fn init(app: &TestApp, body: Value) -> Value {
    let accepted = app.post("/api/v1/fabrics/lab/init", body).await;
    app.sync().await;
    let job = app.get(accepted["status_url"].as_str().unwrap()).await;
    job["parts"][0]["report"].clone()
}

async fn fabric(app: &TestApp) -> Value {
    app.get("/api/v1/fabrics/lab").await
}

/// Status and the reason's code.
async fn directory(app: &TestApp) -> (String, String) {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let status = fabric(app).await["directory_status"].clone();
    (word(&status["status"]), word(&status["reason"]["code"]))
}

fn stands(status: &str, code: &str) -> (String, String) {
    (status.to_owned(), code.to_owned())
}

/// Deletes the fabric's directory with all that is in it.
fn delete_the_directory(app: &TestApp) {
    let person: Person = app.person();
    person.git(&["rm", "-r", "--quiet", FABRIC]);
    person.write("elsewhere", "the branch is not empty\n");
    person.push("main", "away with it");
}

#[tokio::test]
async fn init_makes_the_whole_directory_in_one_commit_and_leaves_it_alone_then() {
    let app = TestApp::start().await;
    assert_eq!(directory(&app).await, stands("not_initialized", "never_looked_at"));

    let report = init(&app, json!({})).await;

    assert_eq!(report["directory"]["work"], "initialize");
    assert_eq!(report["directory"]["written"].as_array().unwrap().len(), 16, "{report}");
    assert_eq!(app.commits().await.len(), 1);
    assert_eq!(directory(&app).await, stands("initialized", ""));
    let again = init(&app, json!({})).await;
    let by_force = init(&app, json!({"force": true})).await;
    assert_eq!((&again["directory"]["work"], &by_force["directory"]["work"]), (&json!("none"), &json!("none")));
    assert_eq!(app.commits().await.len(), 1);
    app.finish().await;
}

#[tokio::test]
async fn a_dry_run_tells_what_would_be_written_and_writes_nothing() {
    let app = TestApp::start().await;

    let report = init(&app, json!({"dry_run": true})).await;

    assert_eq!((&report["dry_run"], &report["directory"]["work"]), (&json!(true), &json!("initialize")));
    assert!(report["directory"]["written"].as_array().unwrap().contains(&json!("lab/raw/.gitkeep")));
    assert!(app.commits().await.is_empty());
    assert_eq!(directory(&app).await, stands("not_initialized", "never_looked_at"));
    app.finish().await;
}

#[tokio::test]
async fn only_force_puts_back_what_was_deleted_on_purpose() {
    let app = TestApp::ready().await;
    for _ in 0..2 {
        app.push_deletion(&["README.md"]).await;
        init(&app, json!({})).await;
    }
    assert!(!app.files().await.contains_key("README.md"));
    assert_eq!(fabric(&app).await["missing_parts"], json!(["README.md"]));
    let plain = init(&app, json!({"dry_run": true})).await;
    let planned = init(&app, json!({"dry_run": true, "force": true})).await;

    let done = init(&app, json!({"force": true})).await;

    assert_eq!(plain["directory"]["written"], json!([]));
    assert_eq!(planned["directory"]["written"], json!(["lab/README.md"]));
    assert_eq!(done["directory"]["written"], planned["directory"]["written"]);
    assert!(app.files().await.contains_key("README.md"));
    assert_eq!(fabric(&app).await["missing_parts"], json!([]));
    app.finish().await;
}

#[tokio::test]
async fn a_directory_deleted_as_a_whole_is_put_back_once_and_then_only_by_force() {
    let app = TestApp::ready().await;
    delete_the_directory(&app);
    app.sync().await;
    assert!(app.files().await.contains_key(".hnp/manifest.yaml"), "once it is put back");

    delete_the_directory(&app);
    let jobs = app.sync().await;

    assert!(app.files().await.is_empty(), "the second time whoever deletes it means it");
    assert!(jobs.iter().any(|job| job.state == JobState::Stalled));
    assert_eq!(directory(&app).await, stands("error", "directory_deleted"));

    init(&app, json!({"force": true})).await;

    assert!(app.files().await.contains_key(".hnp/manifest.yaml"));
    assert_eq!(directory(&app).await, stands("initialized", ""));
    app.finish().await;
}

#[tokio::test]
async fn a_marker_that_cannot_be_read_is_shown_until_it_is_mended() {
    let app = TestApp::ready().await;
    let marker = app.files().await[".hnp/manifest.yaml"].clone();

    app.push(&[(".hnp/manifest.yaml", "[")]).await;
    app.sync().await;
    assert_eq!(directory(&app).await, stands("error", "broken_marker"));
    app.push(&[(".hnp/manifest.yaml", &marker)]).await;
    app.sync().await;

    assert_eq!(directory(&app).await, stands("initialized", ""));
    app.finish().await;
}

#[tokio::test]
async fn a_broken_marker_that_is_deleted_as_we_said_is_written_anew_each_time() {
    let app = TestApp::ready().await;

    for _ in 0..2 {
        app.push(&[(".hnp/manifest.yaml", "[")]).await;
        app.sync().await;
        app.push_deletion(&[".hnp/manifest.yaml"]).await;
        app.sync().await;
    }

    assert_eq!(directory(&app).await, stands("initialized", ""));
    app.finish().await;
}

#[tokio::test]
async fn a_run_that_was_killed_leaves_nothing_that_says_initializing_for_ever() {
    let app = TestApp::start().await;
    app.post("/api/v1/fabrics/lab/init", json!({})).await;
    assert_eq!(directory(&app).await, stands("initializing", ""));
    app.kill_the_run_before_its_push().await;
    let job = app.get("/api/v1/jobs?limit=1").await["jobs"][0]["id"].as_str().unwrap().to_owned();

    app.let_the_lease_expire().await;
    app.sync().await;

    assert_eq!(app.get(&format!("/api/v1/jobs/{job}")).await["state"], "succeeded");
    assert_eq!(directory(&app).await, stands("initialized", ""));
    app.finish().await;
}

#[tokio::test]
async fn foreign_files_are_named_with_their_reason_and_left_alone() {
    let app = TestApp::start().await;
    app.push(&[
        ("kustomization.yaml", "resources: []\n"),
        ("managed/vpcs/notes.txt", "by hand\n"),
        ("managed/vpcs/half.yaml", "kind: VPC\n"),
        ("raw/deep/fine.yaml", ""),
        (".hnp/mine", "?\n"),
    ])
    .await;

    init(&app, json!({})).await;

    let foreign = fabric(&app).await["foreign"].clone();
    let files = foreign["files"].as_array().unwrap();
    let named: Vec<(&str, &str)> =
        files.iter().map(|file| (file["path"].as_str().unwrap(), file["reason"]["code"].as_str().unwrap())).collect();
    let expected = [
        ("lab/.hnp/mine", "outside"),
        ("lab/kustomization.yaml", "outside"),
        ("lab/managed/vpcs/half.yaml", "not_kubernetes"),
        ("lab/managed/vpcs/notes.txt", "no_object"),
    ];
    assert_eq!((&foreign["count"], named), (&json!(4), expected.to_vec()));
    let after = app.files().await;
    assert!(expected.iter().all(|(path, _)| after.contains_key(path.strip_prefix("lab/").unwrap())));
    app.finish().await;
}

#[tokio::test]
async fn documents_that_lie_about_are_taken_over_at_first_sight_and_then_only_by_force() {
    let document = |name: &str| {
        format!("apiVersion: wiring.githedgehog.com/v1beta1\nkind: Server\nmetadata: {{name: {name}}}\nspec: {{}}\n")
    };
    let app = TestApp::start().await;
    app.push(&[("old/servers.yaml", &document("first"))]).await;
    init(&app, json!({})).await;
    assert!(app.files().await.contains_key("managed/servers/first.yaml"));
    assert!(!app.files().await.contains_key("old/servers.yaml"));

    app.push(&[("old/servers.yaml", &document("second"))]).await;
    init(&app, json!({})).await;
    assert!(app.files().await.contains_key("old/servers.yaml"), "it is nobody's document later");
    // Nor is it when the marker has to be written again.
    app.push_deletion(&[".hnp/manifest.yaml"]).await;
    app.sync().await;
    assert!(app.files().await.contains_key("old/servers.yaml"));

    init(&app, json!({"force": true})).await;

    assert!(app.files().await.contains_key("managed/servers/second.yaml"));
    assert!(!app.files().await.contains_key("old/servers.yaml"));
    app.finish().await;
}

#[tokio::test]
async fn a_fabric_is_onboarded_when_it_appears_in_netbox_even_without_a_delivery() {
    let app = TestApp::start_with_hedgehog().await;
    init(&app, json!({})).await;
    assert_eq!(directory(&app).await, stands("not_initialized", "fabric_unknown_to_netbox"));
    assert!(app.commits().await.is_empty());

    app.netbox.user("alice").create_fabric(FABRIC);
    app.lose_all_deliveries().await;
    app.look_for_new_fabrics().await;
    app.sync().await;

    assert_eq!(directory(&app).await, stands("initialized", ""));
    assert_eq!(app.commits().await.len(), 1);
    app.finish().await;
}
