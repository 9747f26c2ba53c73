//! A server that run after run fails on, in the whole service: who waits for it, where that shows, and how it ends.

use std::time::Duration;

use fgd_sync::queue;
use serde_json::{Value, json};

use crate::support::app::{API_TOKEN, TestApp};

const SETTINGS: &str = "on_conflict: hold\n  other: {netbox: main, repository: main, branch: main, directory: other}\n\
                        circuit_breaker: {failures: 2, first_wait_seconds: 100, longest_wait_seconds: 100}";

async fn step(app: &TestApp) -> bool {
    queue::step(&app.ledger, app.runner.as_ref(), "test").await.expect("Redis answers")
}

/// The newest job of the other fabric.
async fn newest(app: &TestApp) -> Value {
    app.get("/api/v1/jobs?limit=1&fabric=other").await["jobs"][0].clone()
}

async fn circuit(app: &TestApp, list: &str) -> Value {
    app.get(&format!("/api/v1/{list}")).await[list][0]["circuit"].clone()
}

async fn metrics(app: &TestApp) -> String {
    let asked = reqwest::Client::new().get(format!("{}/metrics", app.address())).bearer_auth(API_TOKEN);
    asked.send().await.unwrap().text().await.unwrap()
}

#[tokio::test]
async fn whoever_needs_a_netbox_that_is_down_waits_until_one_run_has_tried_it() {
    let app = TestApp::with_fabric_settings(SETTINGS).await;
    app.netbox.set_down(true);
    for _ in 0..2 {
        app.post("/api/v1/fabrics/lab/sync", json!({})).await;
        assert!(step(&app).await);
    }

    app.post("/api/v1/fabrics/other/sync", json!({})).await;
    assert!(!step(&app).await, "not even a person's request is tried");

    let job = newest(&app).await;
    let part = &job["parts"][0];
    assert_eq!((&job["state"], &part["attempts"]), (&json!("waiting"), &json!(0)));
    assert_eq!(part["error"]["code"], "server_left_alone");
    assert!(part["error"]["message"].as_str().unwrap().contains("netbox:main"), "{part}");
    let shown = circuit(&app, "netboxes").await;
    assert_eq!(
        (&shown["state"], &shown["failures"], &shown["waiting_branches"]),
        (&json!("open"), &json!(2), &json!(1))
    );
    assert_eq!((&part["next_try"], shown["next_try"].is_string()), (&shown["next_try"], true));
    assert_eq!(circuit(&app, "repositories").await["state"], "closed", "the Git server is well");
    assert_eq!(app.get("/api/v1/jobs?state=waiting&fabric=other").await["jobs"].as_array().unwrap().len(), 1);
    let told = metrics(&app).await;
    assert!(told.contains("fgd_circuit_open{server=\"netbox:main\"} 1"), "{told}");
    assert!(told.contains("fgd_waiting_targets{server=\"netbox:main\"} 1"), "{told}");

    app.clock.advance(Duration::from_secs(100));
    assert_eq!(circuit(&app, "netboxes").await["state"], "half_open");
    app.netbox.set_down(false);
    app.drain().await;

    assert_eq!(newest(&app).await["state"], "succeeded");
    assert_eq!(circuit(&app, "netboxes").await["state"], "closed");
    assert!(metrics(&app).await.contains("fgd_circuit_open{server=\"netbox:main\"} 0"));
    assert!(app.repository_files().await.contains_key("other/.hnp/manifest.yaml"));
    app.finish().await;
}

#[tokio::test]
async fn a_host_that_is_left_alone_is_not_polled() {
    let app = TestApp::with_fabric_settings(SETTINGS).await;
    app.git.stop().await;
    for _ in 0..2 {
        app.post("/api/v1/fabrics/lab/sync", json!({})).await;
        assert!(step(&app).await);
    }
    assert_eq!(circuit(&app, "repositories").await["state"], "open");
    let checked = app.get("/api/v1/repositories").await["repositories"][0]["health"]["checked"].clone();

    app.take_short_turns().await;

    assert_eq!(app.get("/api/v1/repositories").await["repositories"][0]["health"]["checked"], checked);
    app.git.start_again().await;
    app.drain().await;
    assert_eq!(circuit(&app, "repositories").await["state"], "closed");
    app.finish().await;
}
