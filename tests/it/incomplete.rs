//! Answers that show less or more than there is are never taken for deletions.

use fgd_sync::domain::report::JobState;
use serde_json::json;

use crate::support::app::TestApp;
use crate::support::fakes::netbox::{Fault, Object};

/// Where the stand-in lists the rows of the kind that the tests use.
const SERVERS: &str = "plugins/custom-objects/hedgehog-servers/";

/// Three servers that both sides have; what Git deletes is deleted in NetBox.
async fn agreed() -> TestApp {
    let app = TestApp::with_fabric_settings("on_git_delete: delete").await;
    app.netbox_user("alice").bulk_create("Server", 3, json!({"description": "x"})).await;
    app.sync().await;
    app
}

/// Compares everything while listings of servers run into the fault, and then once more without.
async fn compare_with(app: &TestApp, fault: fn() -> Fault) -> Vec<JobState> {
    let (commits, writes) = (app.commits().await, app.netbox_writes());
    app.netbox.before("GET", SERVERS, fault());

    app.post("/api/v1/fabrics/lab/sync", json!({})).await;
    let first = app.sync().await;
    app.post("/api/v1/fabrics/lab/sync", json!({})).await;
    let second = app.sync().await;

    assert_eq!(app.commits().await, commits, "nothing is deleted in Git");
    assert_eq!(app.netbox_writes(), writes, "nor is anything written to NetBox");
    first.iter().chain(&second).map(|job| job.state).collect()
}

#[tokio::test]
async fn a_login_page_deletes_nothing_and_is_tried_again() {
    let app = agreed().await;

    let states = compare_with(&app, || Fault::Html).await;

    assert_eq!(states, [JobState::Succeeded; 2]);
    app.finish().await;
}

#[tokio::test]
async fn half_a_page_deletes_nothing_and_is_tried_again() {
    let app = agreed().await;

    let states = compare_with(&app, || Fault::HalfPage).await;

    assert_eq!(states, [JobState::Succeeded; 2]);
    app.finish().await;
}

#[tokio::test]
async fn an_empty_page_holds_what_it_does_not_show() {
    let app = agreed().await;
    app.netbox.before("GET", SERVERS, Fault::EmptyPage);

    app.post("/api/v1/fabrics/lab/sync", json!({})).await;
    app.sync().await;

    let held = app.fabric_status().await.held;
    assert_eq!(held.len(), 3);
    assert!(held.values().all(|reason| reason.code == "absence_not_proven"), "{held:?}");
    assert_eq!(app.get("/api/v1/fabrics/lab/drift").await["counts"]["only_in_git"], 3);
    let states = compare_with(&app, || Fault::EmptyPage).await;
    assert_eq!(states, [JobState::Held, JobState::Succeeded], "and they go on once it shows them again");
    app.finish().await;
}

#[tokio::test]
async fn a_filter_that_is_ignored_mixes_no_fabrics() {
    let app = agreed().await;
    // Of another fabric, one with the name of ours, and one whose name we lack.
    for name in ["server-000", "theirs"] {
        app.netbox.user("admin").create(&Object::new("Server", "other", name, json!({"description": "theirs"})));
    }
    app.sync().await;

    let states = compare_with(&app, || Fault::Unfiltered).await;

    assert_eq!(states, [JobState::Succeeded; 2]);
    assert_eq!(app.rows("Server").await.len(), 5);
    assert!(!app.files().await.contains_key("managed/servers/theirs.yaml"));
    app.finish().await;
}
