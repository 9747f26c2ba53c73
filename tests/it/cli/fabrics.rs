//! `fgd-sync fabrics`: whether each is in sync, and what an operator does about it.

use serde_json::json;

use super::{ask, ask_at_work, in_conflict};
use crate::support::app::TestApp;

#[tokio::test]
async fn the_fabrics_are_listed_with_what_keeps_them_from_being_in_sync() {
    let app = TestApp::ready().await;
    let good = ask(&app, &["fabrics", "list"]).await.code(0).out();
    in_conflict(&app).await;

    let listed = ask(&app, &["fabrics", "list"]).await;
    let narrowed = ask(&app, &["fabrics", "list", "--standing", "in_sync"]).await;
    let json = ask(&app, &["fabrics", "list", "--output", "json"]).await.code(1).json();
    let shown = ask(&app, &["fabrics", "get", "lab"]).await;

    assert!(good.starts_with("FABRIC  STANDING") && good.contains("in_sync") && good.contains("nothing"), "{good}");
    let out = listed.code(1).out();
    assert!(out.contains("held") && out.contains("1 conflict"), "{out}");
    assert_eq!(narrowed.code(0).out(), "No fabric fits.\n");
    assert_eq!(json["fabrics"][0]["conflicts"], 1);
    let out = shown.code(1).out();
    assert!(out.contains("standing   held") && out.contains("Server default/one"), "{out}");
    assert!(ask(&app, &["fabrics", "get", "lba"]).await.code(1).err().contains("unknown_fabric"));
    app.finish().await;
}

#[tokio::test]
async fn fabrics_are_paused_with_a_reason_and_resumed() {
    let app = TestApp::ready().await;

    let paused = ask(&app, &["fabrics", "pause", "lba", "lab", "--reason", "cabling"]).await;
    let shown = ask(&app, &["fabrics", "get", "lab"]).await.code(1).out();
    let resumed = ask(&app, &["fabrics", "resume", "lab"]).await.code(0).out();

    assert!(paused.code(1).err().contains("the settings have no fabric lba"), "{}", paused.err());
    assert!(paused.out().contains("lab     paused"), "{}", paused.out());
    assert!(shown.lines().any(|line| line.starts_with("paused") && line.ends_with("by test: cabling")), "{shown}");
    assert!(resumed.contains("in_sync"), "{resumed}");
    app.finish().await;
}

#[tokio::test]
async fn held_deletions_are_shown_and_let_go() {
    let app = TestApp::ready().await;
    app.netbox_user("alice").bulk_create("Server", 40, json!({})).await;
    app.sync().await;
    app.netbox_user("alice").delete_all("Server").await;
    app.sync().await;

    let shown = ask(&app, &["fabrics", "get", "lab"]).await.code(1).out();
    let done = ask_at_work(&app, &["fabrics", "confirm-deletions", "lab"]).await;
    let again = ask(&app, &["fabrics", "confirm-deletions", "lab"]).await;

    assert!(shown.contains("40 deletions") && shown.contains("(deletion_guard)"), "{shown}");
    assert!(done.code(0).out().contains("git_deleted 40"), "{}", done.out());
    assert!(!app.files().await.contains_key("managed/servers/server-000.yaml"));
    assert_eq!(again.code(0).out(), "No deletion is held.\n");
    app.finish().await;
}
