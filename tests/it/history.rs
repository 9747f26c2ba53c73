//! Branches that vanish, are rewritten or become another repository's: nothing is written before a person has looked.

use fgd_sync::domain::report::JobState;
use serde_json::{Value, json};

use crate::support::app::TestApp;

const ACCEPT: &str = "/api/v1/fabrics/lab/accept-history";

/// A fabric with two servers; `one` has been edited since `before`.
async fn edited(settings: &str) -> (TestApp, String) {
    let app = TestApp::with_fabric_settings(settings).await;
    for name in ["one", "two"] {
        app.netbox_user("alice").create("Server", name, json!({"description": "old"})).await;
    }
    app.sync().await;
    let before = app.commits().await[0].oid.clone();
    app.netbox_user("alice").update("Server", "one", json!({"description": "new"})).await;
    app.sync().await;
    (app, before)
}

async fn description(app: &TestApp, name: &str) -> Value {
    app.rows("Server").await.into_iter().find(|row| row["name"] == name).unwrap()["spec"]["description"].clone()
}

/// The code of what stalls the fabric.
async fn stalled(app: &TestApp) -> Option<String> {
    app.fabric_status().await.error.map(|error| error.code)
}

async fn sync_now(app: &TestApp) -> JobState {
    app.post("/api/v1/fabrics/lab/sync", json!({})).await;
    let jobs = app.sync().await;
    jobs[0].state
}

#[tokio::test]
async fn a_rewritten_history_is_held_until_a_person_accepts_it() {
    let (app, before) = edited("").await;
    let dropped = app.commits().await[0].oid.clone();
    let writes = app.netbox_writes();

    app.person().force("main", &before);
    app.sync().await;
    app.netbox_user("bob").create("Server", "three", json!({"description": "x"})).await;
    app.sync().await;

    assert_eq!(stalled(&app).await.as_deref(), Some("history_rewritten"));
    assert_eq!(app.netbox_writes(), writes, "nothing was written to NetBox");
    assert_eq!(app.bare.head("main").as_deref(), Some(before.as_str()), "nor to Git");
    let fabric = app.get("/api/v1/fabrics/lab").await;
    assert_eq!(fabric["standing"], "failing");
    assert_eq!(fabric["broken_history"], json!({"kind": "history_rewritten", "known": dropped, "now": before}));
    assert!(fabric["error"]["remedy"].as_str().unwrap().contains("accept-history"), "{fabric}");

    let (status, problem) = app.ask(ACCEPT, json!({"head": dropped})).await;
    assert_eq!((status, &problem["code"]), (409, &json!("history_moved")));
    let answer = app.post(ACCEPT, json!({"head": before})).await;
    assert_eq!(answer["fabrics"], json!(["lab"]));
    app.sync().await;

    assert_eq!(stalled(&app).await, None);
    assert_eq!(description(&app, "one").await, "old", "what the new history says is Git's change");
    assert!(app.files().await.contains_key("managed/servers/three.yaml"), "what had waited goes on");
    assert_eq!(app.get("/api/v1/fabrics/lab").await["broken_history"], Value::Null);
    app.finish().await;
}

#[tokio::test]
async fn a_rewritten_history_can_be_tried_without_effect() {
    let (app, before) = edited("").await;
    let (writes, head) = (app.netbox_writes(), before.clone());
    app.person().force("main", &before);
    app.sync().await;

    app.post("/api/v1/fabrics/lab/reconcile", json!({"mode": "report"})).await;
    let jobs = app.sync().await;

    assert_eq!(jobs[0].state, JobState::Succeeded);
    assert_eq!(app.report_of(&jobs[0]).await.counts.netbox_updated, 1);
    let drift = app.get("/api/v1/fabrics/lab/drift").await;
    assert_eq!((&drift["counts"]["different"], &drift["compared"]["head"]), (&json!(1), &json!(head)));
    assert_eq!(app.netbox_writes(), writes);
    assert_eq!(sync_now(&app).await, JobState::Stalled, "having looked is not having accepted");
    app.finish().await;
}

#[tokio::test]
async fn a_history_that_is_put_back_needs_nobodys_word() {
    let (app, before) = edited("").await;
    let known = app.commits().await[0].oid.clone();
    let person = app.person();
    person.force("main", &before);
    assert_eq!(sync_now(&app).await, JobState::Stalled);

    person.force("main", &known);

    assert_eq!(sync_now(&app).await, JobState::Succeeded);
    assert_eq!(stalled(&app).await, None);
    assert_eq!(description(&app, "one").await, "new");
    let (status, problem) = app.ask(ACCEPT, json!({})).await;
    assert_eq!((status, &problem["code"]), (409, &json!("history_not_broken")));
    app.finish().await;
}

#[tokio::test]
async fn a_vanished_branch_is_held_and_not_made_anew() {
    let (app, _) = edited("").await;
    app.bare.git(&["update-ref", "-d", "refs/heads/main"]);

    app.netbox_user("bob").update("Server", "two", json!({"description": "x"})).await;
    app.sync().await;
    app.take_scheduled_turns().await;
    app.sync().await;

    assert_eq!(stalled(&app).await.as_deref(), Some("branch_gone"));
    assert_eq!(app.bare.head("main"), None);
    assert_eq!(app.rows("Server").await.len(), 2);

    app.post(ACCEPT, json!({})).await;
    app.sync().await;

    assert!(app.bare.head("main").is_some(), "the directory begins anew");
    assert_eq!(app.rows("Server").await.len(), 2, "and NetBox keeps what it has");
    let held = app.fabric_status().await.held;
    assert!(
        held.values().all(|reason| reason.code == "deleted_in_git" || reason.code == "deleted_and_changed"),
        "{held:?}"
    );
    assert_eq!(held.len(), 2);
    app.finish().await;
}

#[tokio::test]
async fn a_vanished_branch_is_asked_about_once_however_often_it_is_polled() {
    let (app, _) = edited("").await;
    app.bare.git(&["update-ref", "-d", "refs/heads/main"]);

    app.take_scheduled_turns().await;
    let first = app.sync().await.len();
    app.take_scheduled_turns().await;
    let second = app.sync().await.len();

    assert_eq!((first, second), (2, 1), "each turn compares, and only the first tells of the head");
    app.finish().await;
}

#[tokio::test]
async fn what_a_replaced_repository_lacks_is_deleted_in_netbox_only_when_confirmed() {
    let (app, _) = edited("on_git_delete: delete").await;
    let marker = app.files().await[".hnp/manifest.yaml"].clone();
    let file = app.files().await["managed/servers/one.yaml"].clone();
    let other = app.person();
    other.git(&["checkout", "--quiet", "--orphan", "other"]);
    other.git(&["rm", "-r", "--quiet", "--force", "."]);
    other.write("lab/.hnp/manifest.yaml", marker).write("lab/managed/servers/one.yaml", file);
    other.force("main", &other.commit("another repository"));

    app.sync().await;
    assert_eq!(sync_now(&app).await, JobState::Stalled);
    assert_eq!(stalled(&app).await.as_deref(), Some("repository_replaced"));
    app.post("/api/v1/fabrics/lab/sync", json!({"dry_run": true})).await;
    let tried = app.sync().await.remove(0);
    let counts = app.report_of(&tried).await.counts;
    assert_eq!((counts.netbox_deleted, counts.held), (0, 1), "the plan is that of the history once accepted");

    app.post(ACCEPT, json!({})).await;
    app.sync().await;
    sync_now(&app).await;

    assert_eq!(app.rows("Server").await.len(), 2, "one deletion would not wake the ordinary guard");
    let status = app.fabric_status().await;
    assert_eq!(status.guarded.len(), 1);
    assert!(status.held.values().any(|reason| reason.code == "new_history"), "{:?}", status.held);

    app.post("/api/v1/fabrics/lab/confirm-deletions", json!({})).await;
    app.sync().await;

    assert_eq!(app.rows("Server").await.len(), 1);
    app.push_deletion(&["managed/servers/one.yaml"]).await;
    app.sync().await;
    assert_eq!(app.rows("Server").await.len(), 0, "from then on deletions go their ordinary way");
    app.finish().await;
}

#[tokio::test]
async fn a_branch_that_never_was_is_no_vanished_one() {
    let app = TestApp::start().await;

    assert_eq!(sync_now(&app).await, JobState::Succeeded);

    assert!(app.bare.head("main").is_some());
    app.finish().await;
}
