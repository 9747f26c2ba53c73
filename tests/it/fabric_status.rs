//! How a fabric stands, told in NetBox itself: only news, only what is so, and nothing fails by it.

use std::time::Duration;

use fgd_sync::domain::names::NetBoxName;
use fgd_sync::netbox::setup::{SetupOptions, Telling, setup};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::support::app::{FABRIC, NETBOX_SECRET, TestApp, drop_of_all_kinds, spec_of};
use crate::support::fakes::netbox::{Fault, NetBox};

const PLUGIN: &str = "hedgehog/fabrics";

async fn plugin_with(settings: &str) -> TestApp {
    let netbox = NetBox::hedgehog();
    netbox.user("admin").create_fabric(FABRIC);
    TestApp::with(netbox, settings).await
}

/// Custom objects with a row of the fabric.
async fn custom_objects() -> TestApp {
    let netbox = NetBox::custom_objects_and_fabrics();
    netbox.user("admin").create_fields("Fabric", json!({"name": FABRIC}));
    TestApp::with(netbox, "").await
}

/// The fabric's row.
async fn row(app: &TestApp) -> Value {
    app.rows("Fabric").await.into_iter().find(|row| row["name"] == FABRIC).expect("the fabric's row")
}

async fn status(app: &TestApp) -> String {
    row(app).await["sync_status"].as_str().unwrap_or_default().to_owned()
}

/// Two people change one field on both sides.
async fn make_a_conflict(app: &TestApp) {
    app.netbox_user("alice").create("Server", "one", json!({"description": "old"})).await;
    app.sync().await;
    let file = app.files().await["managed/servers/one.yaml"].clone();
    app.netbox_user("alice").update("Server", "one", json!({"description": "from netbox"})).await;
    app.push(&[("managed/servers/one.yaml", &file.replace("old", "from git"))]).await;
    app.sync().await;
}

async fn resolve(app: &TestApp) {
    let conflict = app.get("/api/v1/conflicts/lab/Server/default/one").await;
    let decision = json!({"side": "git", "version": conflict["version"]});
    app.post("/api/v1/conflicts/lab/Server/default/one/resolve", decision).await;
    app.sync().await;
}

fn status_writes(app: &TestApp) -> usize {
    let served = app.netbox.served();
    served.iter().filter(|served| served.method == "PATCH" && served.path.contains("fabrics/")).count()
}

#[tokio::test]
async fn a_fabric_is_shown_in_sync_and_only_news_are_written() {
    for app in [TestApp::hedgehog().await, custom_objects().await] {
        assert_eq!(status(&app).await, "in_sync");
        let told = status_writes(&app);

        app.post("/api/v1/fabrics/lab/sync", json!({})).await;
        app.sync().await;
        assert_eq!(status_writes(&app), told, "a run that changes nothing is no news");

        let before = row(&app).await["last_sync"].clone();
        app.netbox_user("alice").create("Server", "one", spec_of("Server")).await;
        app.sync().await;
        assert_eq!(status_writes(&app), told + 1);
        assert_ne!(row(&app).await["last_sync"], before);
        app.finish().await;
    }
}

#[tokio::test]
async fn the_echo_of_a_status_causes_no_job() {
    for app in [TestApp::hedgehog().await, custom_objects().await] {
        app.netbox_user("alice").create("Server", "one", spec_of("Server")).await;
        app.sync().await;
        app.netbox_user("alice").update("Server", "one", json!({"description": "new"})).await;
        app.deliver().await;
        let told = status_writes(&app);
        app.drain().await;
        assert_eq!(status_writes(&app), told + 1);
        app.sync().await;

        let echoes = app.deliver().await;
        assert_eq!((echoes, app.sync().await.len()), (0, 0), "everything was delivered, and nothing came of it");
        assert_eq!(status_writes(&app), told + 1);
        app.finish().await;
    }
}

#[tokio::test]
async fn a_partial_success_is_out_of_sync_with_its_reasons_until_it_is_whole() {
    for app in [TestApp::hedgehog().await, custom_objects().await] {
        make_a_conflict(&app).await;

        let told = row(&app).await;
        assert_eq!(told["sync_status"], "out_of_sync");
        let reasons = told["sync_error"].as_str().unwrap_or_default();
        assert!(reasons.starts_with("1 in conflict\nServer/default/one: "), "{reasons}");

        resolve(&app).await;
        let told = row(&app).await;
        assert_eq!((&told["sync_status"], &told["sync_error"]), (&json!("in_sync"), &json!("")));
        app.finish().await;
    }
}

#[tokio::test]
async fn a_rejected_document_is_named_in_the_status() {
    let app = TestApp::hedgehog().await;

    app.push(&[("raw/bad.yaml", "kind: [broken\n")]).await;
    app.sync().await;

    let told = row(&app).await;
    assert_eq!(told["sync_status"], "out_of_sync");
    assert!(told["sync_error"].as_str().unwrap_or_default().contains("lab/raw/bad.yaml#0"), "{told}");

    app.netbox_user("alice").create("Server", "one", spec_of("Server")).await;
    app.sync().await;
    assert_eq!(status(&app).await, "in_sync", "a later change came through whole");
    app.finish().await;
}

#[tokio::test]
async fn an_idle_run_that_overtakes_a_refusing_one_does_not_hide_what_that_refused() {
    let app = TestApp::hedgehog().await;

    app.push(&[("raw/bad.yaml", "kind: [broken\n")]).await;
    app.deliver().await;
    app.clock.advance(Duration::from_secs(3));
    let refusing = app.ledger.claim("slow").await.unwrap().expect("the push is due");
    let settlement = app.runner.carry(&refusing).await;
    app.ledger.settle(&refusing.proof, &refusing.run, &settlement).await.unwrap();
    // Before it tells: our own commit's webhook, and a comparison that finds nothing.
    app.sync().await;
    app.post("/api/v1/fabrics/lab/sync", json!({})).await;
    app.sync().await;

    let told = row(&app).await;
    assert_eq!(told["sync_status"], "out_of_sync");
    assert!(told["sync_error"].as_str().unwrap_or_default().contains("lab/raw/bad.yaml#0"), "{told}");
    let writes = status_writes(&app);
    app.runner.tell(&refusing).await;
    assert_eq!((row(&app).await, status_writes(&app)), (told, writes), "the late word is no news");
    app.finish().await;
}

#[tokio::test]
async fn what_stops_a_run_is_an_error_with_its_remedy_until_a_run_comes_through() {
    let app = TestApp::hedgehog().await;
    let marker = app.files().await[".hnp/manifest.yaml"].clone();

    app.push(&[(".hnp/manifest.yaml", "ledger: [\n")]).await;
    app.deliver().await;
    app.step_until_idle_now().await;
    let told = row(&app).await;
    assert_eq!(told["sync_status"], "error");
    assert!(
        told["sync_error"].as_str().unwrap_or_default().contains("What to do: correct .hnp/manifest.yaml"),
        "{told}"
    );

    app.push(&[(".hnp/manifest.yaml", &marker)]).await;
    app.sync().await;
    assert_eq!(status(&app).await, "in_sync");
    app.finish().await;
}

#[tokio::test]
async fn a_status_that_cannot_be_written_fails_no_run_is_shown_and_is_written_later() {
    let app = TestApp::hedgehog().await;
    app.netbox_user("alice").create("Server", "one", spec_of("Server")).await;
    for _ in 0..3 {
        app.netbox.before("PATCH", PLUGIN, Fault::Status(503));
    }

    app.deliver().await;
    app.drain().await;

    assert!(app.files().await.contains_key("managed/servers/one.yaml"));
    let fabric = app.get("/api/v1/fabrics/lab").await;
    assert_eq!(fabric["standing"], "in_sync");
    assert_eq!(fabric["netbox_status"]["error"]["code"], "netbox_status_not_written", "{fabric}");

    app.take_scheduled_turns().await;
    let fabric = app.get("/api/v1/fabrics/lab").await;
    assert_eq!(
        (&fabric["netbox_status"]["status"], &fabric["netbox_status"]["error"]),
        (&json!("in_sync"), &Value::Null)
    );
    app.drain().await;
    app.finish().await;
}

#[tokio::test]
async fn a_status_that_was_saved_behind_a_500_is_not_written_twice() {
    let app = TestApp::hedgehog().await;
    app.netbox_user("alice").create("Server", "one", spec_of("Server")).await;
    let told = status_writes(&app);

    app.netbox.before("PATCH", PLUGIN, Fault::ApplyThenStatus(500));
    app.sync().await;

    assert_eq!((status(&app).await.as_str(), status_writes(&app)), ("in_sync", told + 1));
    assert_eq!(app.get("/api/v1/fabrics/lab").await["netbox_status"]["error"], Value::Null);
    app.finish().await;
}

#[tokio::test]
async fn a_users_edit_of_the_fabric_beside_the_status_stays() {
    let app = TestApp::hedgehog().await;
    make_a_conflict(&app).await;

    app.netbox.meanwhile("PATCH", PLUGIN, |user| user.update_fabric(FABRIC, json!({"description": "theirs"})));
    resolve(&app).await;

    let told = row(&app).await;
    assert_eq!((&told["sync_status"], &told["description"]), (&json!("in_sync"), &json!("theirs")));
    app.finish().await;
}

/// A hundred changes and more: their run is shown while it writes.
async fn kill_a_large_run(app: &TestApp) {
    app.netbox_user("alice").bulk_create("Server", 120, spec_of("Server")).await;
    app.deliver().await;
    app.kill_the_run_before_its_push().await;
    assert_eq!(status(app).await, "syncing");
}

#[tokio::test]
async fn a_crash_in_the_middle_leaves_syncing_only_until_the_next_run() {
    let app = TestApp::hedgehog().await;

    kill_a_large_run(&app).await;
    app.take_short_turns().await;
    assert_eq!(status(&app).await, "syncing", "its batch is still claimed");
    app.let_the_lease_expire().await;
    app.sync().await;

    assert_eq!(status(&app).await, "in_sync");
    app.finish().await;
}

#[tokio::test]
async fn a_batch_that_dies_with_its_workers_leaves_an_error_and_not_syncing() {
    let app = TestApp::hedgehog().await;
    kill_a_large_run(&app).await;

    // Every further worker dies too, without a word.
    loop {
        app.let_the_lease_expire().await;
        if app.ledger.claim("doomed").await.expect("Redis answers").is_none() {
            break;
        }
    }
    app.take_short_turns().await;

    assert_eq!(status(&app).await, "error");
    app.drain().await;
    app.finish().await;
}

#[tokio::test]
async fn where_there_is_no_place_or_no_wish_nothing_is_written() {
    let without_a_row = TestApp::with(NetBox::custom_objects_and_fabrics(), "").await;
    let switched_off = plugin_with("\n@netbox fabric_status: off").await;
    for app in [TestApp::ready().await, without_a_row, switched_off] {
        app.push(&drop_of_all_kinds()).await;
        app.sync().await;

        assert_eq!(status_writes(&app), 0);
        assert_eq!(app.get("/api/v1/fabrics/lab").await["netbox_status"]["error"], Value::Null);
        app.finish().await;
    }
}

#[tokio::test]
async fn what_the_plugin_has_no_column_for_is_told_in_the_custom_fields_that_the_setup_made() {
    let app = TestApp::hedgehog().await;
    let options = SetupOptions {
        receiver_url: "http://127.0.0.1:9/webhooks/netbox".parse().unwrap(),
        secret: SecretString::from(NETBOX_SECRET),
        fabrics: Vec::new(),
        fabric_status: Telling::On,
        journal: Telling::Off,
        links: None,
        dry_run: false,
    };
    setup(&app.runner.netboxes[&NetBoxName::new("main")], &options).await.unwrap();
    assert_eq!(row(&app).await["custom_fields"]["fgd_drift_status"], Value::Null);

    make_a_conflict(&app).await;

    let told = row(&app).await["custom_fields"].clone();
    assert_eq!((&told["fgd_drift_status"], &told["fgd_drift_count"]), (&json!("conflicts"), &json!(1)));
    resolve(&app).await;
    let told = row(&app).await["custom_fields"].clone();
    assert_eq!((&told["fgd_drift_status"], &told["fgd_drift_count"]), (&json!("in_sync"), &json!(0)));
    assert!(app.commits().await.iter().any(|commit| told["fgd_desired_state_commit"] == commit.oid), "{told}");
    let writes = status_writes(&app);
    app.post("/api/v1/fabrics/lab/sync", json!({})).await;
    app.sync().await;
    assert_eq!(status_writes(&app), writes, "a run that changes nothing is no news");
    app.finish().await;
}
