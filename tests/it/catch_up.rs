//! Changes in NetBox whose webhooks were lost, found in NetBox's change log without a full comparison.

use std::time::Duration;

use fgd_sync::domain::report::JobState;
use fgd_sync::ledger::types::{Job, Origin};
use serde_json::json;

use crate::support::app::{TestApp, spec_of};
use crate::support::fakes::netbox::{Fault, Object};

const LOG: &str = "core/object-changes/";

/// The change log was read once, and all that comes is old enough to be missed.
async fn watched(app: TestApp) -> TestApp {
    assert_eq!(app.catch_up().await, 0, "what came before is for the full comparison");
    app
}

/// Webhooks are lost, and it is noticed; returns how many changes were found.
async fn lose(app: &TestApp) -> usize {
    app.lose_all_deliveries().await;
    app.netbox.age_changes(Duration::from_secs(60));
    app.catch_up().await
}

fn asked_by(job: &Job) -> String {
    match &job.origin {
        Origin::Schedule { what } => what.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_no_webhook_told_of_reaches_git_with_its_author() {
    let app = watched(TestApp::ready().await).await;
    app.netbox_user("alice").create("Server", "kept", spec_of("Server")).await;
    app.netbox_user("alice").create("Server", "gone", spec_of("Server")).await;
    app.sync().await;

    app.netbox_user("bob").update("Server", "kept", json!({"description": "edited"})).await;
    app.netbox_user("bob").delete("Server", "gone").await;
    app.netbox_user("bob").create("VPC", "new", spec_of("VPC")).await;
    assert_eq!(lose(&app).await, 3);
    let jobs = app.sync().await;

    let files = app.files().await;
    assert!(files["managed/servers/kept.yaml"].contains("description: edited"));
    assert!(files.contains_key("managed/vpcs/new.yaml"));
    assert!(!files.contains_key("managed/servers/gone.yaml"), "the deletion is proven by the same log");
    assert!(app.commits().await[0].body.contains("bob"), "{:?}", app.commits().await[0]);
    let mut asked: Vec<String> = jobs.iter().map(asked_by).collect();
    asked.sort();
    let told = |object: &str, event: &str| format!("{object} was {event} in NetBox, and no webhook told of it");
    assert_eq!(asked, [told("Server#1", "updated"), told("Server#2", "deleted"), told("VPC#1", "created")]);
    assert_eq!(app.catch_up().await, 0, "each is found once");
    app.finish().await;
}

#[tokio::test]
async fn what_a_webhook_told_of_is_not_looked_at_again() {
    let app = watched(TestApp::ready().await).await;
    app.netbox_user("alice").bulk_create("Server", 5, spec_of("Server")).await;
    app.netbox_user("alice").update("Server", "server-001", json!({"description": "x"})).await;
    app.sync().await;

    assert_eq!(lose(&app).await, 0);
    assert!(app.sync().await.is_empty(), "no job");
    app.finish().await;
}

#[tokio::test]
async fn a_webhook_that_comes_after_all_finds_its_job() {
    let app = watched(TestApp::ready().await).await;
    app.sync().await;
    app.netbox_user("alice").create("Server", "late", spec_of("Server")).await;
    app.netbox.age_changes(Duration::from_secs(60));
    assert_eq!(app.catch_up().await, 1);

    assert_eq!(app.deliver().await, 1);
    let jobs = app.sync().await;

    assert_eq!(jobs.len(), 1, "{jobs:?}");
    assert_eq!((jobs[0].state, jobs[0].duplicates), (JobState::Succeeded, 1));
    app.finish().await;
}

#[tokio::test]
async fn a_change_that_is_committed_late_is_found_in_the_overlap() {
    let app = watched(TestApp::ready().await).await;
    app.netbox_user("alice").create("Server", "slow", spec_of("Server")).await;
    app.lose_all_deliveries().await;
    // It was made before the end of the span that was read last, and shows only now.
    app.netbox.age_changes(Duration::from_secs(540));

    assert_eq!(app.catch_up().await, 1);
    app.sync().await;

    assert!(app.files().await.contains_key("managed/servers/slow.yaml"));
    app.finish().await;
}

#[tokio::test]
async fn an_object_of_another_fabric_and_a_row_that_is_none_of_ours_make_no_job() {
    let app = watched(TestApp::ready().await).await;
    app.netbox.user("alice").create(&Object::new("Server", "elsewhere", "theirs", spec_of("Server")));

    assert_eq!(lose(&app).await, 0);
    app.finish().await;
}

#[tokio::test]
async fn the_plugins_rows_name_their_fabric_by_its_id() {
    let app = watched(TestApp::hedgehog().await).await;
    app.netbox_user("alice").create("VPC", "web", spec_of("VPC")).await;

    assert_eq!(lose(&app).await, 1);
    app.sync().await;

    assert!(app.files().await.contains_key("managed/vpcs/web.yaml"));
    app.finish().await;
}

#[tokio::test]
async fn a_netbox_that_gives_its_whole_log_is_not_believed() {
    let app = watched(TestApp::ready().await).await;
    app.netbox_user("alice").create("Server", "old", spec_of("Server")).await;
    app.sync().await;
    app.netbox.age_changes(Duration::from_secs(24 * 60 * 60));
    app.netbox_user("bob").update("Server", "old", json!({"description": "edited"})).await;
    app.lose_all_deliveries().await;

    app.netbox.before("GET", LOG, Fault::Unfiltered);
    let netbox = app.runner.netboxes.keys().next().unwrap();
    let failed = app.runner.catch_up(netbox, Duration::ZERO, Duration::MAX).await.unwrap_err();

    assert_eq!(failed.error().code, "netbox_unexpected", "{:?}", failed.error());
    assert!(failed.error().message.contains("which was not asked for"), "{:?}", failed.error());
    app.netbox.age_changes(Duration::from_secs(60));
    assert_eq!(app.catch_up().await, 1, "nothing was passed over");
    app.sync().await;
    app.finish().await;
}

#[tokio::test]
async fn a_token_that_may_not_read_the_log_is_told_of_and_harms_nothing() {
    let app = TestApp::ready().await;
    app.take_scheduled_turns().await;
    app.netbox.deny(LOG);
    app.netbox_user("alice").create("Server", "web", spec_of("Server")).await;
    app.netbox_user("alice").delete("Server", "web").await;

    let netbox = app.runner.netboxes.keys().next().unwrap();
    let denied = app.runner.catch_up(netbox, Duration::ZERO, Duration::MAX).await.unwrap_err();
    app.take_scheduled_turns().await;
    let jobs = app.sync().await;

    assert_eq!(denied.error().code, "netbox_denied");
    assert!(jobs.iter().all(|job| job.state == JobState::Succeeded), "{jobs:?}");
    app.finish().await;
}

#[tokio::test]
async fn the_schedule_gives_webhooks_their_time_first() {
    let app = TestApp::ready().await;
    app.take_scheduled_turns().await;
    app.sync().await;
    app.netbox_user("alice").create("Server", "web", spec_of("Server")).await;
    app.lose_all_deliveries().await;

    app.take_short_turns().await;
    assert!(app.sync().await.is_empty(), "it is too young");
    app.netbox.age_changes(Duration::from_secs(180));
    assert_eq!(app.take_catch_up_turn().await, 1);
    let jobs = app.sync().await;

    assert_eq!(jobs.len(), 1);
    assert!(app.files().await.contains_key("managed/servers/web.yaml"));
    app.finish().await;
}
