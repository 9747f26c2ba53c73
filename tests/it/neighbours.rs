//! Two fabrics on one branch: what is dealt with for one is still news for the other.

use fgd_sync::domain::names::{BranchName, FabricName, RepoName, Target};
use fgd_sync::ledger::types::{Job, Origin};
use fgd_sync::queue;
use serde_json::{Value, json};

use crate::support::app::{FABRIC, TestApp, spec_of};
use crate::support::fakes::netbox::{Fault, Object};

const OTHER: &str = "other";

fn main_branch() -> Target {
    Target { repo: RepoName::new("main"), branch: BranchName::new("main") }
}

/// Both fabrics compared, with an object in the other one that both sides have.
async fn two_fabrics() -> TestApp {
    let settings = "on_conflict: hold\n  other: {netbox: main, repository: main, branch: main, directory: other}";
    let app = TestApp::with_fabric_settings(settings).await;
    app.netbox.user("alice").create(&Object::new("Server", OTHER, "web-1", spec_of("Server")));
    app.post(&format!("/api/v1/fabrics/{OTHER}/sync"), json!({})).await;
    app.sync().await;
    assert_eq!(poll(&app).await, [] as [&str; 0], "both are at the head");
    app
}

/// Lets the poll of the head have its turn; answers with the fabrics of the jobs that came of it.
async fn poll(app: &TestApp) -> Vec<String> {
    app.lose_all_deliveries().await;
    app.runner.poll_head(&main_branch()).await.expect("the server answers");
    let polled = |job: &Job| matches!(job.origin, Origin::Schedule { .. });
    let jobs = app.sync().await.into_iter().filter(polled);
    jobs.flat_map(|job| job.parts).map(|part| part.fabric.to_string()).collect()
}

/// Somebody edits the other fabric's object in Git, and no webhook tells of it.
async fn push_unseen(app: &TestApp, description: &str) {
    let path = "other/managed/servers/web-1.yaml";
    let before = app.repository_files().await[path].clone();
    let person = app.person();
    person.write(path, before.replace("a Server", description));
    person.push("main", "a push whose webhook is lost");
    app.lose_all_deliveries().await;
}

fn description(app: &TestApp) -> serde_json::Value {
    app.netbox.rows("Server").into_iter().find(|row| row["fabric"] == OTHER).expect("the row is there")["spec"]["description"].clone()
}

#[tokio::test]
async fn a_push_whose_webhook_is_lost_arrives_although_the_neighbour_was_run_first() {
    let app = two_fabrics().await;

    push_unseen(&app, "racked").await;
    app.netbox_user("bob").create("Server", "db-1", spec_of("Server")).await;
    app.deliver().await;
    app.drain().await;
    assert!(app.files().await.contains_key("managed/servers/db-1.yaml"), "the neighbour has committed on top of it");
    assert_eq!(description(&app), "a Server");

    assert_eq!(poll(&app).await, [OTHER]);
    assert_eq!(description(&app), "racked");
    assert_eq!(poll(&app).await, [] as [&str; 0]);
    app.finish().await;
}

#[tokio::test]
async fn a_push_is_found_although_the_neighbour_has_looked_at_its_head_and_changed_nothing() {
    let app = two_fabrics().await;

    push_unseen(&app, "racked").await;
    app.post(&format!("/api/v1/fabrics/{FABRIC}/sync"), json!({})).await;
    app.drain().await;

    assert_eq!(poll(&app).await, [OTHER]);
    assert_eq!(description(&app), "racked");
    app.finish().await;
}

#[tokio::test]
async fn our_own_commit_for_one_fabric_is_no_news_for_its_neighbour() {
    let app = two_fabrics().await;

    app.netbox_user("bob").create("Server", "db-1", spec_of("Server")).await;
    app.deliver().await;
    app.drain().await;

    assert_eq!(poll(&app).await, [] as [&str; 0]);
    let heads = app.ledger.fabric_heads(&[&FabricName::new(FABRIC), &FabricName::new(OTHER)]).await.unwrap();
    let head = app.bare.head("main");
    assert_eq!(
        heads.iter().map(|head| head.as_ref().map(ToString::to_string)).collect::<Vec<_>>(),
        [head.clone(), head]
    );
    app.finish().await;
}

/// Asks for a comparison of every fabric; they share a run.
async fn ask_for_all(app: &TestApp, fabrics: &[String]) {
    for fabric in fabrics {
        app.post(&format!("/api/v1/fabrics/{fabric}/sync"), json!({})).await;
    }
    assert!(queue::step(&app.ledger, app.runner.as_ref(), "test").await.unwrap());
}

/// State, attempts and error code of the fabric's newest job.
async fn newest(app: &TestApp, fabric: &str) -> (String, u64, String) {
    let job = app.get(&format!("/api/v1/jobs?limit=1&fabric={fabric}")).await["jobs"][0].clone();
    let part = &job["parts"][0];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&job["state"]), part["attempts"].as_u64().unwrap_or_default(), text(&part["error"]["code"]))
}

#[tokio::test]
async fn twenty_fabrics_wait_once_for_a_netbox_that_is_down() {
    let others: Vec<String> = (1..20).map(|number| format!("fabric-{number:02}")).collect();
    let place =
        |name: &String| format!("\n  {name}: {{netbox: main, repository: main, branch: main, directory: {name}}}");
    let settings: String = others.iter().map(place).collect();
    let app = TestApp::with_fabric_settings(&format!("on_conflict: hold{settings}")).await;
    let fabrics: Vec<String> = others.into_iter().chain([FABRIC.to_owned()]).collect();
    app.netbox.set_down(true);

    ask_for_all(&app, &fabrics).await;

    // A read is tried three times; then NetBox itself is asked. Once for the run, once to tell how the fabrics stand.
    assert!(app.netbox.unanswered() <= 8, "{} requests", app.netbox.unanswered());
    for fabric in &fabrics {
        assert_eq!(newest(&app, fabric).await, ("waiting".to_owned(), 1, "netbox_unavailable".to_owned()), "{fabric}");
    }
    app.netbox.set_down(false);
    app.drain().await;
    for fabric in &fabrics {
        assert_eq!(newest(&app, fabric).await.0, "succeeded", "{fabric}");
        assert!(app.repository_files().await.contains_key(&format!("{fabric}/.hnp/manifest.yaml")), "{fabric}");
    }
    app.finish().await;
}

#[tokio::test]
async fn what_netbox_fails_with_for_one_fabric_keeps_its_neighbour_from_nothing() {
    let app = two_fabrics().await;
    for _ in 0..3 {
        app.netbox.before("GET", "custom-objects", Fault::Status(503));
    }

    ask_for_all(&app, &[FABRIC.to_owned(), OTHER.to_owned()]).await;

    let outcomes = [newest(&app, FABRIC).await, newest(&app, OTHER).await];
    assert_eq!(outcomes.iter().filter(|(state, ..)| state == "succeeded").count(), 1, "{outcomes:?}");
    assert_eq!(outcomes.iter().filter(|(_, _, code)| code == "netbox_unavailable").count(), 1, "{outcomes:?}");
    app.drain().await;
    app.finish().await;
}
