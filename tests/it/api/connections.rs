use super::*;
use crate::support::app::TestApp;
use crate::support::fakes::netbox;
use crate::support::git_server;
use fgd_sync::domain::names::{NetBoxName, RepoName};
use fgd_sync::ledger::types::{Millis, Server};

fn broken(code: &str) -> JobError {
    JobError { code: code.to_owned(), message: "it is down".to_owned(), remedy: "Look.".to_owned() }
}

#[tokio::test]
async fn servers_are_listed_with_their_health_and_who_needs_them() {
    let service = service().await;
    let lab = Server::NetBox(NetBoxName::new("lab"));
    service.test.ledger.record_health(&lab, None, None).await.unwrap();
    service.test.clock.advance(Duration::from_secs(60));
    service.test.ledger.record_health(&lab, Some(&broken("netbox_unavailable")), None).await.unwrap();

    let netboxes = service.read("/api/v1/netboxes").await.body["netboxes"].clone();

    assert_eq!(
        (&netboxes[0]["name"], &netboxes[0]["fabrics"]),
        (&json!("lab"), &json!(["lab-fabric", "other-fabric"]))
    );
    let health = &netboxes[0]["health"];
    assert_eq!((&health["state"], &health["error"]["code"]), (&json!("failing"), &json!("netbox_unavailable")));
    assert_eq!(health["since"], health["checked"]);
    assert!(health["last_ok"].as_str() < health["since"].as_str(), "{health}");
    assert_eq!((&netboxes[1]["name"], &netboxes[1]["health"]["state"]), (&json!("second"), &json!("unknown")));
}

#[tokio::test]
async fn a_server_is_well_since_its_first_good_answer() {
    let service = service().await;
    let fabrics = Server::Repository(RepoName::new("fabrics"));
    service.test.ledger.record_health(&fabrics, None, None).await.unwrap();
    service.test.clock.advance(Duration::from_secs(60));
    service.test.ledger.record_health(&fabrics, None, None).await.unwrap();

    let page = service.read("/api/v1/repositories?limit=1&cursor=archive").await.body;

    let repository = &page["repositories"][0];
    assert_eq!(
        (&repository["name"], &repository["all_fabrics"], &page["next"]),
        (&json!("fabrics"), &json!(3), &Value::Null)
    );
    assert_eq!(repository["url"], "https://git.example.com/acme/fabrics.git");
    let health = &repository["health"];
    assert!(health["state"] == "ok" && health["since"].as_str() < health["checked"].as_str(), "{health}");
    assert_eq!(service.read("/api/v1/repositories?limit=1").await.body["next"], "archive");
}

#[tokio::test]
async fn the_end_of_a_token_is_shown_as_long_as_the_server_tells_it() {
    let service = service().await;
    let fabrics = Server::Repository(RepoName::new("fabrics"));
    let series = r#"fgd_server_token_expiry_timestamp_seconds{side="repository",name="fabrics"}"#;
    let end = Millis(1_801_398_896_000);

    service.test.ledger.record_health(&fabrics, None, Some(end)).await.unwrap();
    let page = service.read("/api/v1/repositories?limit=1&cursor=archive").await.body;
    let told = metrics::Page::of(&service).await.value(series);
    service.test.ledger.record_health(&fabrics, None, None).await.unwrap();
    let later = service.read("/api/v1/repositories?limit=1&cursor=archive").await.body;

    assert_eq!(page["repositories"][0]["health"]["token_expires"], "2027-01-31T12:34:56.000Z");
    assert_eq!(told, 1_801_398_896.0);
    assert_eq!(later["repositories"][0]["health"]["token_expires"], Value::Null);
}

/// State and error code of both sides' servers.
async fn health(app: &TestApp) -> [(String, String); 2] {
    let of = |page: &Value, list: &str| {
        let health = &page[list][0]["health"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (text(&health["state"]), text(&health["error"]["code"]))
    };
    let netboxes = app.get("/api/v1/netboxes").await;
    let repositories = app.get("/api/v1/repositories").await;
    [of(&netboxes, "netboxes"), of(&repositories, "repositories")]
}

fn well() -> (String, String) {
    ("ok".to_owned(), String::new())
}

fn failing(code: &str) -> (String, String) {
    ("failing".to_owned(), code.to_owned())
}

#[tokio::test]
async fn the_schedules_look_after_both_sides_servers() {
    let app = TestApp::start().await;
    app.netbox.before("GET", "status/", netbox::Fault::Status(403));
    app.git.fault(git_server::Route::LookRefs, git_server::Fault::Status(403));

    app.take_scheduled_turns().await;
    let bad = health(&app).await;
    app.take_scheduled_turns().await;

    assert_eq!(bad, [failing("netbox_denied"), failing("git_denied")]);
    assert_eq!(health(&app).await, [well(), well()]);
    app.drain().await;
    app.finish().await;
}

#[tokio::test]
async fn a_run_tells_the_health_of_the_servers_that_it_needed() {
    let app = TestApp::ready().await;
    assert_eq!(health(&app).await, [well(), well()]);
    app.netbox.before("GET", "hedgehog-vpcs/", netbox::Fault::Status(403));

    app.post("/api/v1/fabrics/lab/sync", json!({})).await;
    app.step_until_idle_now().await;

    assert_eq!(health(&app).await, [failing("netbox_denied"), well()]);
    app.post("/api/v1/fabrics/lab/sync", json!({})).await;
    app.sync().await;
    assert_eq!(health(&app).await, [well(), well()]);
    app.finish().await;
}
