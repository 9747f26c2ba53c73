//! A run that is gone between NetBox's write and its record: the next one knows the write as ours, whatever people do
//! meanwhile, because it was recorded before it was sent.

use serde_json::{Value, json};

use crate::support::app::TestApp;

const FILE: &str = "managed/servers/one.yaml";
const ROWS: &str = "servers/";

fn server(description: &str) -> String {
    format!(
        "apiVersion: wiring.githedgehog.com/v1beta1\nkind: Server\nmetadata:\n  name: one\nspec:\n  description: \
         {description}\n"
    )
}

/// The descriptions in the file and in the row.
async fn both(app: &TestApp) -> [Option<String>; 2] {
    let described =
        |text: &String| text.lines().find_map(|line| line.trim().strip_prefix("description: ")?.parse().ok());
    let row = app.rows("Server").await.into_iter().find(|row| row["name"] == "one");
    let in_row = row.map(|row| row["spec"]["description"].as_str().expect("a description").to_owned());
    [app.files().await.get(FILE).and_then(described), in_row]
}

fn equal(description: &str) -> [Option<String>; 2] {
    [(); 2].map(|()| Some(description.to_owned()))
}

async fn no_conflict(app: &TestApp) {
    assert_eq!(app.get("/api/v1/conflicts").await["conflicts"], Value::Array(Vec::new()));
    assert!(app.fabric_status().await.held.is_empty());
}

/// Both sides have `old`; then a run wrote the file's `new` to NetBox and is gone.
async fn with_an_unheard_update(settings: &str) -> TestApp {
    let app = TestApp::with_fabric_settings(settings).await;
    app.push(&[(FILE, &server("old"))]).await;
    app.sync().await;
    app.push(&[(FILE, &server("new"))]).await;
    app.deliver().await;

    app.kill_the_run_once_netbox_did("PATCH", ROWS).await;

    assert_eq!(both(&app).await, equal("new"));
    app.let_the_lease_expire().await;
    app
}

#[tokio::test]
async fn a_file_that_is_changed_again_is_followed() {
    for direction in ["both", "git_to_netbox"] {
        let app = with_an_unheard_update(&format!("direction: {direction}")).await;

        app.push(&[(FILE, &server("newer"))]).await;
        app.sync().await;

        assert_eq!(both(&app).await, equal("newer"));
        no_conflict(&app).await;
        app.finish().await;
    }
}

#[tokio::test]
async fn a_file_that_is_changed_back_takes_the_row_back() {
    let app = with_an_unheard_update("").await;

    app.push(&[(FILE, &server("old"))]).await;
    app.sync().await;

    assert_eq!(both(&app).await, equal("old"));
    no_conflict(&app).await;
    app.finish().await;
}

#[tokio::test]
async fn a_users_edit_on_top_is_theirs() {
    let app = with_an_unheard_update("").await;

    app.netbox_user("bob").update("Server", "one", json!({"description": "new", "profile": "large"})).await;
    app.sync().await;

    assert_eq!(both(&app).await, equal("new"));
    assert!(app.files().await[FILE].contains("profile: large"));
    no_conflict(&app).await;
    app.finish().await;
}

#[tokio::test]
async fn a_creation_whose_file_is_gone_is_taken_back() {
    let app = TestApp::ready().await;
    app.push(&[(FILE, &server("new"))]).await;
    app.deliver().await;
    app.kill_the_run_once_netbox_did("POST", ROWS).await;
    assert_eq!(both(&app).await, equal("new"));
    app.let_the_lease_expire().await;

    app.push_deletion(&[FILE]).await;
    app.sync().await;

    assert_eq!(both(&app).await, [None, None]);
    no_conflict(&app).await;
    app.finish().await;
}

#[tokio::test]
async fn a_deletion_whose_file_is_back_is_taken_back() {
    let app = TestApp::with_fabric_settings("on_git_delete: delete").await;
    app.push(&[(FILE, &server("old"))]).await;
    app.sync().await;
    app.push_deletion(&[FILE]).await;
    app.deliver().await;
    app.kill_the_run_once_netbox_did("DELETE", ROWS).await;
    assert_eq!(both(&app).await, [None, None]);
    app.let_the_lease_expire().await;

    app.push(&[(FILE, &server("old"))]).await;
    app.sync().await;

    assert_eq!(both(&app).await, equal("old"));
    no_conflict(&app).await;
    app.finish().await;
}
