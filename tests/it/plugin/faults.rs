//! Each fault of the plugin that was measured, and the end that it must not spoil.

use fgd_sync::domain::report::JobState;
use serde_json::{Value, json};

use super::{BROKEN, all_kinds, at_rest, document, file, managed, words};
use crate::support::app::{FABRIC, TestApp};
use crate::support::fakes::netbox::{Fault, Object};

/// From so many rows on they travel in one request.
const LOT: usize = 8;

fn named(prefix: &str, count: usize) -> impl Iterator<Item = String> {
    let prefix = prefix.to_owned();
    (0..count).map(move |number| format!("{prefix}-{number}"))
}

fn spec(row: &Value) -> &Value {
    &row["spec"]["description"]
}

#[tokio::test]
async fn a_500_after_the_row_was_saved_doubles_nothing_and_loses_nothing() {
    let app = TestApp::hedgehog().await;
    let posts = app.netbox.count("POST");

    // One document of two kinds, a lot of the others.
    let drop = BROKEN.iter().enumerate().flat_map(|(place, kind)| {
        named("edge", if place < 2 { 1 } else { LOT }).map(move |name| document(kind, &name, "old"))
    });
    app.push(&[("raw/edges.yaml", &file(drop))]).await;
    let jobs = app.sync().await;

    assert!(jobs.iter().all(|job| job.state == JobState::Succeeded), "{jobs:?}");
    assert_eq!(app.netbox.count("POST"), posts + BROKEN.len(), "each lot was sent once");
    for (place, kind) in BROKEN.iter().enumerate() {
        assert_eq!(app.rows(kind).await.len(), if place < 2 { 1 } else { LOT }, "{kind}");
    }
    let files = app.files().await;
    let edits: Vec<_> = BROKEN
        .iter()
        .map(|kind| (managed(kind, "edge-0"), files[&managed(kind, "edge-0")].replace("old", "new")))
        .collect();
    app.push(&edits.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect::<Vec<_>>()).await;
    app.sync().await;
    for kind in BROKEN {
        assert_eq!(spec(&app.rows(kind).await[0]), "new", "{kind}");
    }
    at_rest(app).await;
}

#[tokio::test]
async fn a_500_before_the_row_was_saved_is_tried_again() {
    let app = TestApp::hedgehog().await;
    app.netbox.before("POST", "plugins/hedgehog/externals/", Fault::Status(500));
    app.netbox.before("POST", "plugins/hedgehog/servers/", Fault::Status(500));

    let drop = named("one", LOT).map(|name| document("Server", &name, "x")).chain([document("External", "edge", "x")]);
    app.push(&[("raw/both.yaml", &file(drop))]).await;
    let jobs = app.sync().await;

    assert!(jobs.iter().all(|job| job.state == JobState::Succeeded), "{jobs:?}");
    assert_eq!((app.rows("Server").await.len(), app.rows("External").await.len()), (LOT, 1));
    at_rest(app).await;
}

#[tokio::test]
async fn a_row_on_which_the_plugin_always_breaks_leaves_its_document_in_raw_and_the_others_go_on() {
    let app = TestApp::hedgehog().await;
    app.netbox.break_name("one-3");

    app.push(&[
        ("raw/good.yaml", &file(["one-1", "one-2"].map(|name| document("External", name, "x")))),
        ("raw/bad.yaml", &document("External", "one-3", "x")),
    ])
    .await;
    app.sync().await;

    let files = app.files().await;
    assert!(files.contains_key("raw/bad.yaml") && !files.contains_key("raw/good.yaml"), "{:?}", files.keys());
    assert_eq!(app.netbox.names("External"), ["one-1", "one-2"]);
    app.netbox.mend_name("one-3");
    app.post("/api/v1/fabrics/lab/sync", json!({})).await;
    app.sync().await;
    assert_eq!(app.netbox.names("External"), ["one-1", "one-2", "one-3"]);
    assert!(!app.files().await.contains_key("raw/bad.yaml"));
    at_rest(app).await;
}

#[tokio::test]
async fn a_row_that_was_made_without_a_delivery_is_found_by_comparing() {
    let app = TestApp::hedgehog().await;
    app.sync().await;

    for kind in BROKEN {
        app.netbox.user("alice").create_over_rest(&Object::new(kind, FABRIC, "edge", json!({"description": "x"})));
    }
    assert_eq!(app.deliver().await, 0, "the plugin's 500 swallows the delivery");
    app.take_scheduled_turns().await;
    app.drain().await;

    let files = app.files().await;
    assert!(BROKEN.iter().all(|kind| files.contains_key(&managed(kind, "edge"))), "{:?}", files.keys());
    at_rest(app).await;
}

#[tokio::test]
async fn lists_without_filters_never_mix_the_objects_of_two_fabrics() {
    let app = TestApp::hedgehog().await;
    app.netbox.user("admin").create_fabric("other");
    for kind in all_kinds() {
        let theirs = Object::new(kind, "other", "one", json!({"description": "theirs"}));
        app.netbox.user("bob").create(&theirs);
    }
    app.sync().await;
    assert!(!app.files().await.contains_key(&managed("Server", "one")), "another fabric's object");

    app.push(&[("raw/all.yaml", &file(all_kinds().map(|kind| document(kind, "one", "ours"))))]).await;
    app.sync().await;
    for kind in all_kinds() {
        app.netbox.user("bob").update(kind, 1, json!({"spec": {"description": "still theirs"}}));
    }
    app.sync().await;

    let files = app.files().await;
    for kind in all_kinds() {
        assert!(files[&managed(kind, "one")].contains("description: ours"), "{kind}");
        let rows = app.rows(kind).await;
        assert_eq!(rows.iter().map(spec).collect::<Vec<_>>(), ["still theirs", "ours"], "{kind}");
    }
    at_rest(app).await;
}

#[tokio::test]
async fn lists_that_need_an_ordering_are_read_whole_over_many_pages() {
    let app = TestApp::hedgehog().await;
    app.netbox.set_max_page(7);

    for kind in ["Server", "External"] {
        app.netbox_user("alice").bulk_create(kind, 30, json!({"description": "x"})).await;
    }
    app.lose_all_deliveries().await;
    app.post("/api/v1/fabrics/lab/sync", json!({})).await;
    app.sync().await;

    let files = app.files().await;
    for directory in ["managed/servers/", "managed/externals/"] {
        let count = files.keys().filter(|path| path.starts_with(directory) && path.ends_with(".yaml")).count();
        assert_eq!(count, 30, "{directory}");
    }
    at_rest(app).await;
}

#[tokio::test]
async fn an_empty_spec_that_the_plugin_refuses_is_its_own_documents_rejection_in_the_plugins_words() {
    let app = TestApp::hedgehog().await;
    let empty =
        "apiVersion: wiring.githedgehog.com/v1beta1\nkind: SwitchGroup\nmetadata:\n  name: empty # mine\nspec: {}\n";

    let drop = named("group", LOT).map(|name| document("SwitchGroup", &name, "x")).chain([empty.to_owned()]);
    app.push(&[("raw/groups.yaml", &file(drop))]).await;
    let jobs = app.sync().await;

    assert_eq!(app.rows("SwitchGroup").await.len(), LOT);
    let files = app.files().await;
    assert!(!files.contains_key("raw/groups.yaml") && !files.contains_key(&managed("SwitchGroup", "empty")));
    assert!(files["unmanaged/groups.yaml"].contains(empty.trim_end()), "{}", files["unmanaged/groups.yaml"]);
    assert!(files["unmanaged/groups.yaml.reasons.yaml"].contains("spec: This field cannot be blank."));
    let words = words(&app, &jobs).await;
    assert!(words.contains("netbox_refused") && words.contains("spec: This field cannot be blank."), "{words}");
    at_rest(app).await;
}

#[tokio::test]
async fn an_edit_to_an_empty_spec_is_held_with_the_plugins_words_and_keeps_its_file() {
    let app = TestApp::hedgehog().await;
    app.netbox_user("alice").create("SwitchGroup", "group", json!({"description": "x"})).await;
    app.sync().await;
    let path = managed("SwitchGroup", "group");
    let edited = app.files().await[&path].replace("spec:\n  description: x", "spec: {}");

    app.push(&[(&path, &edited)]).await;
    let jobs = app.sync().await;

    assert!(jobs.iter().any(|job| job.state == JobState::Held), "{jobs:?}");
    let words = words(&app, &jobs).await;
    assert!(words.contains("spec: This field cannot be blank."), "{words}");
    assert_eq!(app.files().await[&path], edited);
    assert_eq!(spec(&app.rows("SwitchGroup").await[0]), "x");
    // Each comparison asks again: what NetBox refuses is up to its administrators.
    let (commits, changes) = (app.commits().await, app.netbox.changes().len());
    app.post("/api/v1/fabrics/lab/sync", json!({})).await;
    app.sync().await;
    assert_eq!((app.commits().await, app.netbox.changes().len()), (commits, changes));
    app.finish().await;
}

#[tokio::test]
async fn a_500_for_a_duplicate_that_is_as_wished_is_one_row_and_an_ingested_document() {
    for count in [1, LOT] {
        let app = TestApp::hedgehog().await;
        let same = Object::new("Server", FABRIC, "one-0", json!({"description": "x"}));
        app.netbox.meanwhile("POST", "plugins/hedgehog/servers/", move |user| {
            user.create(&same);
        });

        app.push(&[("raw/servers.yaml", &file(named("one", count).map(|name| document("Server", &name, "x"))))]).await;
        app.sync().await;

        assert_eq!(app.rows("Server").await.len(), count);
        let files = app.files().await;
        assert!(!files.contains_key("raw/servers.yaml") && files.contains_key(&managed("Server", "one-0")));
        at_rest(app).await;
    }
}

#[tokio::test]
async fn a_500_for_a_duplicate_that_says_something_else_is_held_and_overwrites_nothing() {
    for count in [1, LOT] {
        let app = TestApp::hedgehog().await;
        let other = Object::new("Server", FABRIC, "one-0", json!({"description": "a user's"}));
        app.netbox.meanwhile("POST", "plugins/hedgehog/servers/", move |user| {
            user.create(&other);
        });

        app.push(&[("raw/servers.yaml", &file(named("one", count).map(|name| document("Server", &name, "x"))))]).await;
        app.sync().await;

        let rows = app.rows("Server").await;
        assert_eq!(rows.len(), count);
        let theirs = rows.iter().find(|row| row["name"] == "one-0").unwrap();
        assert_eq!(spec(theirs), "a user's");
        let held = app.fabric_status().await.held;
        assert_eq!(held.keys().map(|key| key.name.as_str()).collect::<Vec<_>>(), ["one-0"]);
        assert!(app.files().await.contains_key("raw/servers.yaml"), "the document waits where it was dropped");
        at_rest(app).await;
    }
}

#[tokio::test]
async fn a_name_that_the_plugin_does_not_take_is_a_rejection_in_its_words() {
    let app = TestApp::hedgehog().await;

    app.push(&[("raw/dots.yaml", &file(["web.example", "web"].map(|name| document("Server", name, "x"))))]).await;
    app.sync().await;

    let files = app.files().await;
    assert_eq!(app.netbox.names("Server"), ["web"]);
    assert!(files["unmanaged/dots.yaml"].contains("web.example"));
    assert!(files["unmanaged/dots.yaml.reasons.yaml"].contains("name: Name must be a valid Kubernetes name"));
    at_rest(app).await;
}

#[tokio::test]
async fn a_fabrics_tokens_are_never_asked_for_and_never_shown() {
    let app = TestApp::hedgehog().await;
    app.netbox
        .user("alice")
        .update_fabric(FABRIC, json!({"description": "mine", "kubernetes_token": "SECRET-K8S-TOKEN"}));

    app.sync().await;

    let asked = app.netbox.served();
    let whole = asked.iter().filter(|served| {
        served.method == "GET" && served.path.contains("hedgehog/fabrics/") && !served.path.contains("fields=")
    });
    assert_eq!(whole.count(), 0, "{asked:?}");
    for page in ["deliveries", "jobs", "fabrics/lab"] {
        let answer = app.get(&format!("/api/v1/{page}")).await.to_string();
        assert!(!answer.contains("SECRET-K8S-TOKEN"), "{answer}");
    }
    at_rest(app).await;
}

#[tokio::test]
async fn a_deleted_fabrics_cascade_is_held_as_one_until_it_is_confirmed() {
    let app = TestApp::hedgehog().await;
    for kind in all_kinds() {
        app.netbox_user("alice").create(kind, "one", json!({"description": "x"})).await;
    }
    app.sync().await;
    let before = app.commits().await;

    app.netbox.user("admin").delete_fabric(FABRIC);
    app.sync().await;

    assert_eq!(app.commits().await, before, "nothing is deleted unconfirmed");
    assert_eq!(app.files().await.keys().filter(|path| path.ends_with("one.yaml")).count(), 12);
    let held = app.fabric_status().await.held;
    assert!(held.len() == 12 && held.values().all(|reason| reason.code == "fabric_deleted"), "{held:?}");
    app.post("/api/v1/fabrics/lab/confirm-deletions", json!({})).await;
    app.sync().await;

    assert_eq!(app.commits().await.len(), before.len() + 1);
    assert_eq!(app.files().await.keys().filter(|path| path.ends_with("one.yaml")).count(), 0);
    at_rest(app).await;
}
