//! Going back to an earlier state, as a new commit that NetBox follows.

use fgd_sync::domain::report::{Item, JobState, Outcome};
use fgd_sync::ledger::types::Job;
use serde_json::{Value, json};

use crate::support::app::TestApp;

const ROLLBACK: &str = "/api/v1/fabrics/lab/rollback";

/// Servers `one` and `two` as `old` in the commit that is returned; since then changed to `new`, and `three` is new.
async fn moved_on(settings: &str) -> (TestApp, String) {
    let app = TestApp::with_fabric_settings(settings).await;
    for name in ["one", "two"] {
        app.netbox_user("alice").create("Server", name, json!({"description": "old"})).await;
    }
    app.sync().await;
    let then = app.commits().await[0].oid.clone();
    for name in ["one", "two"] {
        app.netbox_user("alice").update("Server", name, json!({"description": "new"})).await;
    }
    app.netbox_user("alice").create("Server", "three", json!({"description": "new"})).await;
    app.sync().await;
    (app, then)
}

async fn roll_back(app: &TestApp, request: Value) -> Job {
    app.post(ROLLBACK, request).await;
    let mut jobs = app.sync().await;
    jobs.retain(|job| format!("{:?}", job.origin).contains("rollback"));
    assert_eq!(jobs.len(), 1, "{jobs:?}");
    jobs.remove(0)
}

/// The description that both sides have of a server; each alone where they differ.
async fn both(app: &TestApp, name: &str) -> (Option<String>, Option<String>) {
    let files = app.files().await;
    let file = files.get(&format!("managed/servers/{name}.yaml"));
    let line = file.and_then(|file| file.lines().find_map(|line| line.trim().strip_prefix("description: ")));
    let row = app.rows("Server").await.into_iter().find(|row| row["name"] == name);
    let row = row.map(|row| row["spec"]["description"].as_str().unwrap().to_owned());
    (line.map(str::to_owned), row)
}

fn equal(text: &str) -> (Option<String>, Option<String>) {
    (Some(text.to_owned()), Some(text.to_owned()))
}

fn outcome(items: &[Item], wanted: &str) -> Outcome {
    let of = |item: &Item| match item {
        Item::Object { key, outcome, .. } if key.name == wanted => Some(outcome.clone()),
        _ => None,
    };
    items.iter().find_map(of).unwrap()
}

#[tokio::test]
async fn an_earlier_state_comes_back_as_a_new_commit_that_netbox_follows() {
    let (app, then) = moved_on("on_git_delete: delete").await;
    let before = app.commits().await;

    let job = roll_back(&app, json!({"to": then})).await;

    assert_eq!(job.state, JobState::Succeeded);
    assert_eq!(both(&app, "one").await, equal("old"));
    assert_eq!(both(&app, "two").await, equal("old"));
    assert_eq!(both(&app, "three").await, (None, None));
    let commits = app.commits().await;
    assert_eq!(commits[1..], before[..], "no history is lost, and one commit is enough");
    assert_eq!(commits[0].subject, format!("Roll back lab to {}", &then[..10]));
    assert!(
        commits[0].body.contains(&format!("as it was in commit {then}. Asked for by test.")),
        "{}",
        commits[0].body
    );
    let report = app.report_of(&job).await;
    assert_eq!(report.commit.as_ref().map(|commit| commit.as_str()), Some(commits[0].oid.as_str()));
    assert_eq!((report.counts.netbox_updated, report.counts.netbox_deleted), (2, 1));
    app.finish().await;
}

#[tokio::test]
async fn a_deleted_file_that_comes_back_has_the_mode_that_it_had() {
    let app = TestApp::with_fabric_settings("on_git_delete: delete").await;
    app.netbox_user("alice").create("Server", "one", json!({"description": "old"})).await;
    app.sync().await;
    let person = app.person();
    let then = person.make_executable("lab/managed/servers/one.yaml").push("main", "a mode");
    app.push_deletion(&["managed/servers/one.yaml"]).await;
    app.sync().await;
    assert_eq!(both(&app, "one").await, (None, None));

    roll_back(&app, json!({"to": then})).await;

    assert_eq!(both(&app, "one").await, equal("old"));
    assert_eq!(app.bare.mode("main", "lab/managed/servers/one.yaml"), "100755");
    app.finish().await;
}

#[tokio::test]
async fn a_dry_run_tells_the_plan_that_the_rollback_carries_out() {
    let (app, then) = moved_on("on_git_delete: delete").await;
    let (commits, writes) = (app.commits().await, app.netbox_writes());

    let dry = roll_back(&app, json!({"to": then, "dry_run": true})).await;

    assert_eq!(dry.state, JobState::Succeeded);
    assert_eq!((app.commits().await, app.netbox_writes()), (commits, writes));
    assert_eq!(app.get("/api/v1/fabrics/lab/drift").await["items"], json!([]), "an earlier state is no drift");
    let planned = app.report_of(&dry).await;
    let done = app.report_of(&roll_back(&app, json!({"to": then})).await).await;
    assert!(planned.dry_run && !done.dry_run);
    for name in ["one", "two", "three"] {
        assert_eq!(outcome(&planned.items, name), outcome(&done.items, name), "{name}");
    }
    app.finish().await;
}

#[tokio::test]
async fn chosen_objects_go_back_alone() {
    let (app, then) = moved_on("").await;

    let job = roll_back(&app, json!({"to": then, "objects": [{"kind": "Server", "name": "one"}]})).await;

    assert_eq!(job.state, JobState::Succeeded);
    assert_eq!(both(&app, "one").await, equal("old"));
    assert_eq!(both(&app, "two").await, equal("new"));
    assert_eq!(both(&app, "three").await, equal("new"));
    assert!(app.commits().await[0].body.contains("- update Server default/one"), "{}", app.commits().await[0].body);
    app.finish().await;
}

#[tokio::test]
async fn a_job_names_the_state_after_its_commit() {
    let app = TestApp::ready().await;
    app.netbox_user("alice").create("Server", "one", json!({"description": "old"})).await;
    let job = app.sync().await.pop().unwrap();
    let then = app.commits().await[0].oid.clone();
    app.netbox_user("alice").update("Server", "one", json!({"description": "new"})).await;
    app.sync().await;

    roll_back(&app, json!({"to": job.id.to_string()})).await;

    assert_eq!(both(&app, "one").await, equal("old"));
    let body = &app.commits().await[0].body;
    assert!(body.contains(&format!("commit {then} (job {})", job.id)), "{body}");
    app.finish().await;
}

#[tokio::test]
async fn what_came_since_is_deleted_in_netbox_only_as_the_policy_says() {
    let (app, then) = moved_on("").await;

    let job = roll_back(&app, json!({"to": then})).await;

    assert_eq!(job.state, JobState::Held);
    assert_eq!(both(&app, "one").await, equal("old"));
    assert_eq!(both(&app, "three").await, (None, Some("new".to_owned())));
    let held = app.fabric_status().await.held;
    assert_eq!(held.values().map(|reason| reason.code.as_str()).collect::<Vec<_>>(), ["deleted_in_git"]);
    app.finish().await;
}

#[tokio::test]
async fn a_rollback_of_many_objects_is_guarded() {
    let app = TestApp::with_fabric_settings("on_git_delete: delete").await;
    let empty = app.commits().await[0].oid.clone();
    app.netbox_user("alice").bulk_create("Server", 30, json!({"description": "x"})).await;
    app.sync().await;

    roll_back(&app, json!({"to": empty})).await;

    assert_eq!(app.rows("Server").await.len(), 30);
    assert_eq!(app.fabric_status().await.guarded.len(), 30);
    app.post("/api/v1/fabrics/lab/confirm-deletions", json!({})).await;
    app.sync().await;
    assert_eq!(app.rows("Server").await.len(), 0);
    app.finish().await;
}

#[tokio::test]
async fn what_a_user_changed_meanwhile_is_a_conflict_and_not_overwritten() {
    let (app, then) = moved_on("").await;
    app.netbox_user("bob").update("Server", "one", json!({"description": "newest"})).await;
    app.lose_all_deliveries().await;

    let objects = json!([{"kind": "Server", "namespace": "default", "name": "one"}]);
    let job = roll_back(&app, json!({"to": then, "objects": objects})).await;

    assert_eq!(job.state, JobState::Held);
    assert_eq!(both(&app, "one").await, (Some("old".to_owned()), Some("newest".to_owned())));
    assert_eq!(app.get("/api/v1/conflicts").await["conflicts"][0]["reason"]["code"], "changed_on_both_sides");
    app.finish().await;
}

#[tokio::test]
async fn a_rollback_to_what_is_there_changes_nothing() {
    let (app, _) = moved_on("").await;
    let commits = app.commits().await;

    let job = roll_back(&app, json!({"to": commits[0].oid})).await;

    assert_eq!(job.state, JobState::Succeeded);
    assert_eq!(app.commits().await, commits);
    app.finish().await;
}

#[tokio::test]
async fn a_rollback_killed_before_its_commit_is_finished_by_the_next_run() {
    let (app, then) = moved_on("").await;
    let objects = json!([{"kind": "Server", "name": "one"}]);
    app.post(ROLLBACK, json!({"to": then, "objects": objects})).await;

    app.kill_the_run_before_its_push().await;
    let writes = app.netbox_writes();
    assert_eq!(both(&app, "one").await, (Some("new".to_owned()), Some("old".to_owned())));
    app.let_the_lease_expire().await;
    app.sync().await;

    assert_eq!(both(&app, "one").await, equal("old"));
    assert_eq!(app.netbox_writes(), writes, "only the commit was left");
    app.finish().await;
}

#[tokio::test]
async fn what_cannot_be_gone_back_to_fails_with_its_reason_and_blocks_nothing() {
    let (app, then) = moved_on("").await;
    let person = app.person();
    person.git(&["checkout", "--quiet", "-b", "aside", &then]);
    let aside = person.write("lab/managed/servers/four.yaml", "x").push("aside", "aside");
    let commits = app.commits().await;

    let elsewhere = roll_back(&app, json!({"to": aside})).await;
    let unknown = roll_back(&app, json!({"to": "1".repeat(40)})).await;
    let objects = json!([{"kind": "Server", "name": "nobody"}]);
    let stranger = roll_back(&app, json!({"to": then, "objects": objects})).await;

    for (job, code) in [(elsewhere, "commit_elsewhere"), (unknown, "unknown_commit"), (stranger, "unknown_object")] {
        assert_eq!(job.state, JobState::Failed);
        assert_eq!(job.parts[0].error.as_ref().map(|error| error.code.as_str()), Some(code));
    }
    assert_eq!(app.commits().await, commits);
    app.netbox_user("alice").update("Server", "two", json!({"description": "newer"})).await;
    app.sync().await;
    assert_eq!(both(&app, "two").await, equal("newer"));
    app.finish().await;
}

#[tokio::test]
async fn a_rollback_is_claimed_by_itself_and_two_are_two() {
    let (app, then) = moved_on("").await;
    app.netbox_user("bob").update("Server", "two", json!({"description": "newest"})).await;
    app.deliver().await;
    for name in ["one", "three"] {
        app.post(ROLLBACK, json!({"to": then, "objects": [{"kind": "Server", "name": name}]})).await;
    }

    app.sync().await;

    assert_eq!(both(&app, "one").await, equal("old"));
    assert_eq!(both(&app, "two").await, equal("newest"));
    assert_eq!(both(&app, "three").await, (None, Some("new".to_owned())));
    let subjects: Vec<String> = app.commits().await.into_iter().take(3).map(|commit| commit.subject).collect();
    assert_eq!(subjects.iter().filter(|subject| subject.starts_with("Roll back lab")).count(), 2, "{subjects:?}");
    app.finish().await;
}

#[tokio::test]
async fn a_bad_request_for_a_rollback_is_refused_at_once() {
    let app = TestApp::ready().await;
    app.netbox_user("alice").create("Server", "one", json!({"description": "old"})).await;
    app.sync().await;
    app.post("/api/v1/fabrics/lab/sync", json!({})).await;
    let idle = app.sync().await.remove(0).id.to_string();
    let commit = "1".repeat(40);
    let many: Vec<Value> = (0..201).map(|at| json!({"kind": "Server", "name": format!("s{at}")})).collect();

    for (request, status, code) in [
        (json!({}), 400, "bad_body"),
        (json!({"to": "main"}), 400, "bad_body"),
        (json!({"to": commit, "objects": []}), 400, "bad_body"),
        (json!({"to": commit, "objects": many}), 400, "bad_body"),
        (json!({"to": commit, "objects": [{"kind": "Pod", "name": "a"}]}), 400, "bad_body"),
        (json!({"to": "01KAJ3V0M1W9T6N4ZC5X8R7QHD"}), 404, "unknown_job"),
        (json!({"to": idle}), 409, "no_commit"),
    ] {
        let (found, problem) = app.ask(ROLLBACK, request.clone()).await;
        assert_eq!((found, &problem["code"]), (status, &json!(code)), "{request}: {problem}");
    }
    app.finish().await;
}

#[tokio::test]
async fn where_netbox_leads_nothing_is_rolled_back_in_git() {
    let app = TestApp::with_fabric_settings("direction: netbox_to_git").await;

    let (status, problem) = app.ask(ROLLBACK, json!({"to": "1".repeat(40)})).await;

    assert_eq!((status, &problem["code"]), (409, &json!("direction")));
    app.finish().await;
}
