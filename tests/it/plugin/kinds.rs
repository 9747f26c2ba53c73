//! All twelve kinds, from birth to deletion, in both directions.

use fgd_sync::domain::report::JobState;
use fgd_sync::ledger::types::Origin;
use serde_json::json;

use super::{all_kinds, at_rest, document, file, managed, plugin, report};
use crate::support::app::TestApp;

#[tokio::test]
async fn objects_of_all_kinds_made_changed_and_deleted_in_netbox_are_so_in_git() {
    let app = TestApp::hedgehog().await;

    for kind in all_kinds() {
        app.netbox_user("alice").create(kind, "kept", json!({"description": "old"})).await;
        app.netbox_user("alice").create(kind, "gone", json!({"description": "old"})).await;
    }
    app.sync().await;
    let files = app.files().await;
    assert!(all_kinds().all(|kind| files.contains_key(&managed(kind, "kept"))), "{:?}", files.keys());
    for kind in all_kinds() {
        app.netbox_user("alice").update(kind, "kept", json!({"description": "new"})).await;
        app.netbox_user("alice").delete(kind, "gone").await;
    }
    app.sync().await;

    let files = app.files().await;
    for kind in all_kinds() {
        assert!(files[&managed(kind, "kept")].contains("description: new"), "{kind}");
        assert!(!files.contains_key(&managed(kind, "gone")), "{kind}");
    }
    at_rest(app).await;
}

#[tokio::test]
async fn documents_of_all_kinds_dropped_changed_and_deleted_in_git_are_so_in_netbox() {
    let app = TestApp::with(plugin(), "on_git_delete: delete").await;

    let drop = file(all_kinds().flat_map(|kind| ["kept", "gone"].map(|name| document(kind, name, "old"))));
    app.push(&[("raw/all.yaml", &drop)]).await;
    let jobs = app.sync().await;
    assert!(jobs.iter().all(|job| job.state == JobState::Succeeded), "{jobs:?}");
    let files = app.files().await;
    assert!(!files.contains_key("raw/all.yaml"));
    let changed: Vec<_> =
        all_kinds().map(|kind| (managed(kind, "kept"), files[&managed(kind, "kept")].replace("old", "new"))).collect();
    app.push(&changed.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect::<Vec<_>>()).await;
    let deleted: Vec<_> = all_kinds().map(|kind| managed(kind, "gone")).collect();
    app.push_deletion(&deleted.iter().map(String::as_str).collect::<Vec<_>>()).await;
    app.sync().await;

    for kind in all_kinds() {
        let rows = app.rows(kind).await;
        assert_eq!(rows.len(), 1, "{kind}: {rows:?}");
        assert_eq!((&rows[0]["name"], &rows[0]["spec"]), (&json!("kept"), &json!({"description": "new"})), "{kind}");
    }
    at_rest(app).await;
}

#[tokio::test]
async fn a_drop_tells_each_documents_fate_and_each_rows_write() {
    let app = TestApp::hedgehog().await;

    app.push(&[("raw/all.yaml", &file(all_kinds().map(|kind| document(kind, "one", "x"))))]).await;
    let jobs = app.sync().await;

    // The newest is of our own commit.
    let push = jobs.iter().rfind(|job| matches!(job.origin, Origin::GithubDelivery { .. })).expect("a job of the push");
    let report = report(&app, push).await;
    assert_eq!((&report["counts"]["ingested"], &report["counts"]["netbox_created"]), (&json!(12), &json!(12)));
    for (index, kind) in all_kinds().enumerate() {
        let items = report["items"].as_array().expect("items");
        let of_document = |item: &&serde_json::Value| item["item"] == "document" && item["index"] == index;
        let document = items.iter().find(of_document).expect("each document has an item");
        assert_eq!(document["fate"], "ingested", "{kind}: {document}");
    }
    at_rest(app).await;
}
