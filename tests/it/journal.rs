//! Journal entries on NetBox's objects: what commits did to them, and conflicts; once, and nothing fails by them.

use std::collections::BTreeSet;

use fgd_sync::domain::report::JobState;
use fgd_sync::ledger::types::Job;
use serde_json::{Value, json};

use crate::support::app::{FABRIC, TestApp};
use crate::support::fakes::netbox::{Fault, NetBox, Object};

const ON: &str = "\n@netbox journal: on";
const JOURNAL: &str = "extras/journal-entries/";
const SERVERS: usize = 8;

async fn custom_objects() -> TestApp {
    TestApp::with(NetBox::custom_objects(), ON).await
}

async fn plugin() -> TestApp {
    let netbox = NetBox::hedgehog();
    netbox.user("admin").create_fabric(FABRIC);
    TestApp::with(netbox, ON).await
}

fn document(kind: &str, name: &str) -> String {
    let group = if kind == "External" { "vpc" } else { "wiring" };
    format!(
        "apiVersion: {group}.githedgehog.com/v1beta1\nkind: {kind}\nmetadata:\n  name: {name}\nspec:\n  description: old\n"
    )
}

/// Documents of a kind, `one-0` and on.
fn documents(kind: &str, count: usize) -> String {
    (0..count).map(|number| document(kind, &format!("one-{number}"))).collect::<Vec<_>>().join("---\n")
}

/// A commit drops one server.
async fn drop_one(app: &TestApp) -> Vec<Job> {
    app.push(&[("raw/one.yaml", &document("Server", "one"))]).await;
    app.sync().await
}

fn journal_requests(app: &TestApp) -> usize {
    app.netbox.served().iter().filter(|served| served.method == "POST" && served.path.contains(JOURNAL)).count()
}

async fn compare(app: &TestApp) -> Vec<Job> {
    app.post("/api/v1/fabrics/lab/sync", json!({})).await;
    app.sync().await
}

/// The warnings of the runs that worked on the jobs.
async fn warnings(app: &TestApp, jobs: &[Job]) -> Vec<String> {
    let mut warnings = BTreeSet::new();
    for job in jobs {
        let answer = app.get(&format!("/api/v1/jobs/{}", job.id)).await;
        let report = &answer["parts"][0]["report"];
        let items = report["items"].as_array().cloned().unwrap_or_default();
        let of_journal = |item: &&Value| item["item"] == "warning" && item["reason"]["code"] == "journal_not_written";
        warnings.extend(
            items
                .iter()
                .filter(of_journal)
                .map(|item| (report["run"].to_string(), item["reason"]["message"].to_string())),
        );
    }
    warnings.into_iter().map(|(_, message)| message).collect()
}

#[tokio::test]
async fn without_the_setting_there_are_no_entries() {
    let app = TestApp::hedgehog().await;

    drop_one(&app).await;

    assert_eq!((app.netbox.names("Server").len(), journal_requests(&app)), (1, 0));
    app.finish().await;
}

#[tokio::test]
async fn what_a_commit_wrote_is_an_entry_that_names_the_document_the_commit_and_its_author() {
    for app in [custom_objects().await, plugin().await] {
        app.push(&[("raw/some/servers.yaml", &documents("Server", SERVERS))]).await;
        let dropped = app.commits().await[0].clone();
        app.sync().await;

        let entries = app.netbox.journal("Server");
        assert_eq!((entries.len(), journal_requests(&app)), (SERVERS, 1), "one request for the lot");
        let (name, level, text) = &entries[1];
        assert_eq!((name.as_str(), level.as_str()), ("one-1", "info"));
        let said =
            format!("Created by fgd-sync for raw/some/servers.yaml#1 in commit {} by {} ", dropped.oid, dropped.author);
        assert!(text.starts_with(&said), "{text}");
        assert!(text.ends_with("[Its history](http://127.0.0.1/objects/lab/Server/default/one-1#history)"), "{text}");

        let file = app.files().await["managed/servers/one-1.yaml"].clone();
        app.push(&[("managed/servers/one-1.yaml", &file.replace("old", "new"))]).await;
        let edit = app.commits().await[0].clone();
        app.sync().await;
        let (name, _, text) = app.netbox.journal("Server").pop().unwrap();
        assert_eq!((name.as_str(), app.netbox.journal("Server").len()), ("one-1", SERVERS + 1));
        let said = format!(
            "Updated by fgd-sync for lab/managed/servers/one-1.yaml in commit {} by {} ",
            edit.oid, edit.author
        );
        assert!(text.starts_with(&said), "{text}");

        compare(&app).await;
        assert_eq!(app.netbox.journal("Server").len(), SERVERS + 1, "a comparison that changes nothing tells nothing");
        app.finish().await;
    }
}

#[tokio::test]
async fn a_row_that_the_plugin_saved_behind_a_500_has_its_entry() {
    for count in [1, SERVERS] {
        let app = plugin().await;

        app.push(&[("raw/edges.yaml", &documents("External", count))]).await;
        app.sync().await;

        assert_eq!((app.netbox.names("External").len(), app.netbox.journal("External").len()), (count, count));
        app.finish().await;
    }
}

#[tokio::test]
async fn what_a_user_wrote_himself_has_no_entry() {
    let app = plugin().await;
    app.netbox_user("alice").create("Server", "there", json!({"description": "old"})).await;
    app.sync().await;
    let same = Object::new("Server", FABRIC, "meanwhile", json!({"description": "old"}));
    app.netbox.meanwhile("POST", "plugins/hedgehog/servers/", move |user| {
        user.create(&same);
    });

    app.push(&[
        ("raw/there.yaml", &document("Server", "there")),
        ("raw/meanwhile.yaml", &document("Server", "meanwhile")),
    ])
    .await;
    app.sync().await;

    assert_eq!(app.netbox.names("Server"), ["meanwhile", "there"]);
    assert!(!app.files().await.keys().any(|path| path.starts_with("raw/") && path.ends_with(".yaml")));
    assert_eq!(app.netbox.journal("Server"), []);
    app.finish().await;
}

#[tokio::test]
async fn a_conflict_is_one_entry_with_the_way_to_its_decision() {
    for app in [custom_objects().await, plugin().await] {
        app.netbox_user("alice").create("Server", "one", json!({"description": "old"})).await;
        app.sync().await;
        let file = app.files().await["managed/servers/one.yaml"].clone();

        app.netbox_user("alice").update("Server", "one", json!({"description": "from netbox"})).await;
        app.push(&[("managed/servers/one.yaml", &file.replace("old", "from git"))]).await;
        app.sync().await;
        compare(&app).await;

        let entries = app.netbox.journal("Server");
        let [(name, level, text)] = entries.as_slice() else { panic!("{entries:?}") };
        assert_eq!((name.as_str(), level.as_str()), ("one", "warning"));
        assert!(text.starts_with("In conflict with lab/managed/servers/one.yaml (/spec/description): "), "{text}");
        assert!(text.ends_with("[Decide it](http://127.0.0.1/conflicts/lab/Server/default/one)"), "{text}");

        let conflict = app.get("/api/v1/conflicts/lab/Server/default/one").await;
        let decision = json!({"side": "git", "version": conflict["version"]});
        app.post("/api/v1/conflicts/lab/Server/default/one/resolve", decision).await;
        app.sync().await;
        let entries = app.netbox.journal("Server");
        assert_eq!(entries.len(), 2);
        assert!(entries[1].2.starts_with("Updated by fgd-sync for "), "{entries:?}");
        app.finish().await;
    }
}

#[tokio::test]
async fn a_run_that_is_killed_after_its_entries_were_written_doubles_none() {
    let app = plugin().await;
    app.push(&[("raw/servers.yaml", &documents("Server", SERVERS))]).await;
    app.deliver().await;

    app.kill_the_run_before_its_push().await;
    assert_eq!(app.netbox.journal("Server").len(), SERVERS);
    app.let_the_lease_expire().await;
    app.sync().await;

    assert!(app.files().await.contains_key("managed/servers/one-0.yaml"));
    assert_eq!(app.netbox.journal("Server").len(), SERVERS);
    app.finish().await;
}

#[tokio::test]
async fn an_entry_without_an_answer_is_not_sent_again_and_the_report_says_so() {
    for (fault, written) in [(Fault::ApplyThenDrop, 1), (Fault::Refuse, 0), (Fault::ApplyThenStatus(500), 1)] {
        let app = custom_objects().await;
        app.netbox.before("POST", JOURNAL, fault);

        let jobs = drop_one(&app).await;
        assert!(jobs.iter().all(|job| job.state == JobState::Succeeded), "{jobs:?}");
        assert_eq!(warnings(&app, &jobs).await.len(), 1);
        compare(&app).await;

        assert_eq!((app.netbox.journal("Server").len(), journal_requests(&app)), (written, 1));
        app.finish().await;
    }
}

#[tokio::test]
async fn a_token_that_may_not_write_entries_fails_no_run() {
    let app = plugin().await;
    app.netbox.take_permission("add", JOURNAL);

    let jobs = drop_one(&app).await;

    assert!(jobs.iter().all(|job| job.state == JobState::Succeeded), "{jobs:?}");
    let warnings = warnings(&app, &jobs).await;
    assert!(warnings.len() == 1 && warnings[0].contains("check the token and its user's permissions"), "{warnings:?}");
    app.finish().await;
}

#[tokio::test]
async fn a_type_without_a_journal_is_told_once_and_the_others_go_on() {
    let app = custom_objects().await;
    app.netbox.without_journal("External");

    let mut told = Vec::new();
    for number in 0..2 {
        let drop = format!(
            "{}---\n{}",
            document("External", &format!("edge-{number}")),
            document("Server", &format!("one-{number}"))
        );
        app.push(&[("raw/both.yaml", &drop)]).await;
        let jobs = app.sync().await;
        told.extend(warnings(&app, &jobs).await);
    }

    assert_eq!(app.netbox.names("External").len(), 2);
    assert_eq!((app.netbox.journal("External").len(), app.netbox.journal("Server").len()), (0, 2));
    assert!(told.len() == 1 && told[0].contains("objects of External have no journal"), "{told:?}");
    app.finish().await;
}

#[tokio::test]
async fn an_entry_that_is_refused_leaves_the_others() {
    let app = custom_objects().await;
    app.netbox.meanwhile("POST", JOURNAL, |user| {
        let id = user.id("Server", "one-3");
        user.delete("Server", id);
    });

    app.push(&[("raw/servers.yaml", &documents("Server", SERVERS))]).await;
    let jobs = app.sync().await;

    let names: Vec<_> = app.netbox.journal("Server").into_iter().map(|(name, ..)| name).collect();
    assert_eq!((names.len(), names.contains(&"one-3".to_owned()), journal_requests(&app)), (SERVERS - 1, false, 2));
    let warnings = warnings(&app, &jobs).await;
    assert!(warnings.len() == 1 && warnings[0].contains("Invalid assigned"), "{warnings:?}");
    app.finish().await;
}
