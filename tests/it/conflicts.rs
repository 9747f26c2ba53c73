//! What both sides changed: merged, listed, decided; nothing overwritten unseen.

use fgd_sync::domain::report::JobState;
use serde_json::{Value, json};

use crate::support::app::TestApp;

const FILE: &str = "managed/servers/one.yaml";
const CONFLICT: &str = "/api/v1/conflicts/lab/Server/default/one";

/// Both sides have a server with this spec.
async fn agreed_on(app: &TestApp, spec: Value) {
    app.netbox_user("alice").create("Server", "one", spec).await;
    app.sync().await;
}

async fn edit_file(app: &TestApp, old: &str, new: &str) {
    let file = app.files().await[FILE].clone();
    assert!(file.contains(old), "{file}");
    app.push(&[(FILE, &file.replace(old, new))]).await;
}

async fn row(app: &TestApp) -> Value {
    app.rows("Server").await.into_iter().find(|row| row["name"] == "one").expect("the row is there")
}

/// A conflict about the description, not yet told to anybody.
async fn in_conflict(app: &TestApp) {
    agreed_on(app, json!({"description": "old"})).await;
    app.netbox_user("bob").update("Server", "one", json!({"description": "from netbox"})).await;
    edit_file(app, "old", "from git").await;
    app.sync().await;
}

#[tokio::test]
async fn changes_of_different_fields_end_on_both_sides() {
    let app = TestApp::ready().await;
    agreed_on(&app, json!({"description": "old", "profile": "small"})).await;

    app.netbox_user("bob").update("Server", "one", json!({"description": "old", "profile": "large"})).await;
    edit_file(&app, "description: old", "description: new").await;
    let jobs = app.sync().await;

    let merged = json!({"description": "new", "profile": "large"});
    assert_eq!(row(&app).await["spec"], merged);
    let file = app.files().await[FILE].clone();
    assert!(file.contains("description: new") && file.contains("profile: large"), "{file}");
    assert!(jobs.iter().all(|job| job.state == JobState::Succeeded), "{jobs:?}");
    assert!(app.commits().await[0].body.contains("Changed-by: bob"));
    app.finish().await;
}

#[tokio::test]
async fn a_run_killed_between_a_merges_write_and_its_commit_is_finished_by_the_next() {
    let app = TestApp::ready().await;
    agreed_on(&app, json!({"description": "old", "profile": "small"})).await;
    app.netbox_user("bob").update("Server", "one", json!({"description": "old", "profile": "large"})).await;
    edit_file(&app, "description: old", "description: new").await;
    app.deliver().await;

    app.kill_the_run_before_its_push().await;
    let writes = app.netbox_writes();
    assert_eq!(row(&app).await["spec"]["description"], "new", "NetBox was written before the kill");
    app.let_the_lease_expire().await;
    app.sync().await;

    assert_eq!(app.netbox_writes(), writes, "only the commit was left");
    assert_eq!(row(&app).await["spec"], json!({"description": "new", "profile": "large"}));
    assert!(app.files().await[FILE].contains("profile: large"));
    app.finish().await;
}

#[tokio::test]
async fn a_push_between_a_merges_write_and_its_commit_loses_nothing() {
    let app = TestApp::ready().await;
    agreed_on(&app, json!({"description": "old", "profile": "small", "rack": "r1"})).await;
    app.netbox_user("bob")
        .update("Server", "one", json!({"description": "old", "profile": "large", "rack": "r1"}))
        .await;
    edit_file(&app, "description: old", "description: new").await;
    let file = app.files().await[FILE].clone();

    let newer = file.replace("description: new", "description: newer").replace("rack: r1", "rack: r2");
    app.before_next_push_a_person_commits(&[(&format!("lab/{FILE}"), &newer)]).await;
    app.sync().await;

    let merged = json!({"description": "newer", "profile": "large", "rack": "r2"});
    assert_eq!(row(&app).await["spec"], merged);
    assert!(app.files().await[FILE].contains("profile: large"));
    app.finish().await;
}

#[tokio::test]
async fn a_conflict_is_listed_with_both_sides_and_holds_nothing_else() {
    let app = TestApp::ready().await;
    app.netbox_user("alice").create("Server", "two", json!({"description": "old"})).await;
    in_conflict(&app).await;
    app.netbox_user("bob").update("Server", "two", json!({"description": "new"})).await;
    app.sync().await;

    let listed = app.get("/api/v1/conflicts").await;
    let [conflict] = listed["conflicts"].as_array().expect("a list").as_slice() else { panic!("{listed}") };
    assert_eq!(conflict["key"], json!({"kind": "Server", "namespace": "default", "name": "one"}));
    assert_eq!(conflict["paths"], json!(["/spec/description"]));
    assert_eq!(conflict["reason"]["code"], "changed_on_both_sides");
    assert_eq!(conflict["netbox"]["changed_by"], json!(["bob"]));
    assert_eq!(conflict["git"]["path"], format!("lab/{FILE}"));
    let shown = app.get(CONFLICT).await;
    let said =
        ["base", "git", "netbox"].map(|side| shown["documents"][side]["document"]["spec"]["description"].clone());
    assert_eq!(said, [json!("old"), json!("from git"), json!("from netbox")]);
    assert!(app.files().await["managed/servers/two.yaml"].contains("new"), "the other object goes on");
    app.finish().await;
}

#[tokio::test]
async fn without_the_file_that_both_agreed_on_nothing_is_merged() {
    let app = TestApp::ready().await;
    agreed_on(&app, json!({"description": "old", "profile": "small"})).await;
    app.netbox_user("bob").update("Server", "one", json!({"description": "old", "profile": "large"})).await;
    edit_file(&app, "description: old", "description: new").await;

    app.bare.forget_history("main");
    std::fs::remove_dir_all(app.directory().join("repositories")).expect("the cache is there");
    app.sync().await;
    app.post("/api/v1/fabrics/lab/accept-history", json!({})).await;
    app.sync().await;

    let shown = app.get(CONFLICT).await;
    assert_eq!(shown["reason"]["code"], "base_gone");
    assert_eq!(shown["paths"], json!(["/spec/description", "/spec/profile"]));
    assert_eq!(row(&app).await["spec"]["profile"], "large");
    assert!(app.files().await[FILE].contains("description: new"));
    app.finish().await;
}

#[tokio::test]
async fn a_conflict_goes_by_itself_when_the_sides_become_equal() {
    let app = TestApp::ready().await;
    in_conflict(&app).await;
    let since = app.get(CONFLICT).await["since"].clone();
    app.netbox_user("carol").update("Server", "one", json!({"description": "still another"})).await;
    app.sync().await;
    assert_eq!(app.get(CONFLICT).await["since"], since, "it is the same conflict");

    edit_file(&app, "from git", "still another").await;
    app.sync().await;

    assert_eq!(app.get("/api/v1/conflicts?fabric=lab").await["conflicts"], json!([]));
    assert!(app.fabric_status().await.held.is_empty());
    app.finish().await;
}

#[tokio::test]
async fn a_person_resolves_a_conflict_for_either_side_or_with_a_merge() {
    for (side, said) in [("netbox", "from netbox"), ("git", "from git"), ("merged", "from a person")] {
        let app = TestApp::ready().await;
        in_conflict(&app).await;
        let shown = app.get(CONFLICT).await;
        let mut request = json!({"side": side, "version": shown["version"]});
        if side == "merged" {
            request["document"] = shown["documents"]["git"]["document"].clone();
            request["document"]["spec"]["description"] = json!(said);
        }

        let job = app.post(&format!("{CONFLICT}/resolve"), request).await;
        app.sync().await;

        assert_eq!(row(&app).await["spec"]["description"], said);
        assert!(app.files().await[FILE].contains(said));
        assert_eq!(app.get(job["status_url"].as_str().expect("a path")).await["state"], "succeeded");
        assert_eq!(app.get("/api/v1/conflicts").await["conflicts"], json!([]));
        app.finish().await;
    }
}

#[tokio::test]
async fn a_resolution_for_contents_that_moved_is_refused_or_changes_nothing() {
    let app = TestApp::ready().await;
    in_conflict(&app).await;
    let version = app.get(CONFLICT).await["version"].clone();

    // The sides move after the decision and before the run.
    let job = app.post(&format!("{CONFLICT}/resolve"), json!({"side": "git", "version": version})).await;
    app.netbox_user("carol").update("Server", "one", json!({"description": "meanwhile"})).await;
    app.sync().await;

    assert_eq!(row(&app).await["spec"]["description"], "meanwhile");
    assert_eq!(app.get(job["status_url"].as_str().expect("a path")).await["state"], "held");
    let shown = app.get(CONFLICT).await;
    assert!(shown["reason"]["message"].as_str().expect("words").contains("The resolution by test"), "{shown}");
    assert_eq!(shown["resolution"], Value::Null, "it is over");
    // And a decision on what was shown before.
    let (status, problem) = app.ask(&format!("{CONFLICT}/resolve"), json!({"side": "git", "version": version})).await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("conflict_moved")));
    app.finish().await;
}

#[tokio::test]
async fn a_resolution_that_cannot_be_meant_is_refused() {
    let app = TestApp::ready().await;
    in_conflict(&app).await;
    let path = format!("{CONFLICT}/resolve");
    let other = json!({"apiVersion": "wiring.githedgehog.com/v1beta1", "kind": "Server", "metadata": {"name": "two"}});

    for (request, status, code) in [
        (json!({}), 400, "bad_body"),
        (json!({"side": "both"}), 400, "bad_body"),
        (json!({"side": "merged"}), 400, "bad_body"),
        (json!({"side": "git", "document": other}), 400, "bad_body"),
        (json!({"side": "merged", "document": other}), 400, "bad_document"),
        (json!({"side": "merged", "document": {}}), 400, "bad_document"),
    ] {
        let (answered, problem) = app.ask(&path, request.clone()).await;
        assert_eq!((answered, problem["code"].as_str()), (status, Some(code)), "{request}: {problem}");
    }
    let (status, problem) = app.ask("/api/v1/conflicts/lab/Server/default/two/resolve", json!({"side": "git"})).await;
    assert_eq!((status, problem["code"].as_str()), (404, Some("no_conflict")));
    app.finish().await;
}

#[tokio::test]
async fn a_kind_in_another_spelling_is_told_how_it_is_written() {
    let app = TestApp::ready().await;

    for (path, detail) in [
        (
            "conflicts/lab/server/default/one",
            "server/default/one of lab has no conflict (any more); the kind is written Server",
        ),
        ("conflicts/lab/Server/default/one", "Server/default/one of lab has no conflict (any more)"),
        ("objects/lab/vpcs/default/web", "nothing is known of vpcs/default/web in lab; the kind is written VPC"),
    ] {
        assert_eq!(app.get(&format!("/api/v1/{path}")).await["detail"], detail);
    }
    app.finish().await;
}

#[tokio::test]
async fn the_list_of_conflicts_has_pages() {
    let app = TestApp::ready().await;
    for name in ["a", "b", "c"] {
        app.netbox_user("alice").create("Server", name, json!({"description": "old"})).await;
    }
    app.sync().await;
    for name in ["a", "b", "c"] {
        app.netbox_user("bob").update("Server", name, json!({"description": "from netbox"})).await;
        let path = format!("managed/servers/{name}.yaml");
        let file = app.files().await[&path].replace("old", "from git");
        app.push(&[(&path, &file)]).await;
    }
    app.sync().await;

    let mut names = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = app.get(&format!("/api/v1/conflicts?limit=2{cursor}")).await;
        names.extend(page["conflicts"].as_array().expect("a list").iter().map(|each| each["key"]["name"].clone()));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }

    assert_eq!(names, ["a", "b", "c"]);
    app.finish().await;
}

#[tokio::test]
async fn what_netbox_overwrites_by_policy_is_named_in_the_commit_and_stays_in_git() {
    let app = TestApp::with_fabric_settings("on_conflict: netbox").await;
    in_conflict(&app).await;

    assert!(app.files().await[FILE].contains("from netbox"));
    assert_eq!(row(&app).await["spec"]["description"], "from netbox");
    let body = app.commits().await[0].body.clone();
    let blob = body.split("(blob ").nth(1).and_then(|rest| rest.split(')').next()).unwrap_or_else(|| panic!("{body}"));
    assert!(app.bare.git(&["cat-file", "blob", blob]).contains("from git"));
    assert!(app.fabric_status().await.held.is_empty());
    app.finish().await;
}

#[tokio::test]
async fn what_git_overwrites_by_policy_is_named_in_netboxs_change_record_and_stays_there() {
    let app = TestApp::with_fabric_settings("on_conflict: git").await;
    in_conflict(&app).await;

    assert_eq!(row(&app).await["spec"]["description"], "from git");
    let ours: Vec<Value> =
        app.netbox.changes().into_iter().filter(|change| change["user_name"] == "fgd-sync").collect();
    let [change] = ours.as_slice() else { panic!("{ours:?}") };
    let message = change["message"].as_str().expect("a message");
    assert!(message.starts_with("overwrites content sha256:"), "{message}");
    assert_eq!(change["prechange_data"]["spec"]["description"], "from netbox");
    app.finish().await;
}

#[tokio::test]
async fn a_deletion_against_an_edit_is_a_conflict_until_a_person_decides() {
    let app = TestApp::ready().await;
    agreed_on(&app, json!({"description": "old"})).await;
    app.netbox_user("bob").delete("Server", "one").await;
    edit_file(&app, "old", "from git").await;
    app.sync().await;
    let shown = app.get(CONFLICT).await;
    assert_eq!((&shown["netbox"], &shown["paths"]), (&Value::Null, &json!([""])));

    app.post(&format!("{CONFLICT}/resolve"), json!({"side": "netbox"})).await;
    app.sync().await;

    assert!(!app.files().await.contains_key(FILE));
    assert!(app.commits().await[0].body.contains("(blob "), "what was deleted is named");
    app.finish().await;
}

/// Five rows are one bulk request, which NetBox lets overwrite what came in between.
async fn with_lost_edit(app: &TestApp) {
    let names = ["one", "s2", "s3", "s4", "s5"];
    for name in names {
        app.netbox_user("alice").create("Server", name, json!({"description": "old"})).await;
    }
    app.sync().await;
    let files = app.files().await;
    let changed: Vec<(String, String)> = names
        .iter()
        .map(|name| format!("managed/servers/{name}.yaml"))
        .map(|path| (path.clone(), files[&path].replace("old", "from git")))
        .collect();
    let changed: Vec<(&str, &str)> = changed.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    app.push(&changed).await;
    app.netbox.meanwhile("PATCH", "hedgehog-servers", |user| {
        let id = user.id("Server", "one");
        user.update("Server", id, json!({"spec": {"description": "bob's"}}));
    });
    app.sync().await;
}

#[tokio::test]
async fn an_edit_that_a_bulk_write_covered_is_a_lasting_conflict_and_can_be_put_back() {
    let app = TestApp::ready().await;
    with_lost_edit(&app).await;
    assert_eq!(row(&app).await["spec"]["description"], "from git", "NetBox has no fence");

    // It outlives later runs.
    app.post("/api/v1/fabrics/lab/sync", json!({})).await;
    app.sync().await;
    let shown = app.get(CONFLICT).await;
    assert_eq!(shown["reason"]["code"], "lost_edit");
    assert_eq!((&shown["netbox"]["lost"], &shown["netbox"]["changed_by"]), (&json!(true), &json!(["somebody"])));
    assert_eq!(shown["documents"]["netbox"]["document"]["spec"]["description"], "bob's");

    app.post(&format!("{CONFLICT}/resolve"), json!({"side": "netbox"})).await;
    app.sync().await;

    assert_eq!(row(&app).await["spec"]["description"], "bob's");
    assert!(app.files().await[FILE].contains("bob's"));
    assert_eq!(app.get("/api/v1/conflicts").await["conflicts"], json!([]));
    app.finish().await;
}

#[tokio::test]
async fn a_lost_edit_that_is_given_up_stays_overwritten() {
    let app = TestApp::ready().await;
    with_lost_edit(&app).await;

    app.post(&format!("{CONFLICT}/resolve"), json!({"side": "git"})).await;
    app.sync().await;

    assert_eq!(row(&app).await["spec"]["description"], "from git");
    assert_eq!(app.get("/api/v1/conflicts").await["conflicts"], json!([]));
    assert!(app.fabric_status().await.held.is_empty());
    app.finish().await;
}

#[tokio::test]
async fn where_netbox_leads_an_edit_in_git_is_shown_and_left() {
    let app = TestApp::with_fabric_settings("direction: netbox_to_git").await;
    agreed_on(&app, json!({"description": "old"})).await;
    let writes = app.netbox_writes();

    edit_file(&app, "old", "from git").await;
    app.push(&[("raw/two.yaml", "apiVersion: wiring.githedgehog.com/v1beta1\nkind: Server\nmetadata: {name: two}\n")])
        .await;
    app.sync().await;

    assert_eq!(app.netbox_writes(), writes);
    let files = app.files().await;
    assert!(files[FILE].contains("from git") && files.contains_key("raw/two.yaml"));
    let held = app.fabric_status().await.held;
    assert_eq!(held.values().map(|reason| reason.code.as_str()).collect::<Vec<_>>(), ["drift"]);
    assert_eq!(app.get("/api/v1/conflicts").await["conflicts"], json!([]));
    app.finish().await;
}

#[tokio::test]
async fn where_netbox_leads_healing_puts_its_content_back() {
    let app = TestApp::with_fabric_settings("direction: netbox_to_git\n    on_drift: heal").await;
    agreed_on(&app, json!({"description": "old"})).await;
    let writes = app.netbox_writes();

    edit_file(&app, "old", "from git").await;
    app.sync().await;

    assert!(app.files().await[FILE].contains("old"));
    assert!(app.commits().await[0].body.contains("(blob "));
    assert_eq!(app.netbox_writes(), writes);
    app.finish().await;
}

#[tokio::test]
async fn where_git_leads_an_edit_in_netbox_is_shown_and_left() {
    let app = TestApp::with_fabric_settings("direction: git_to_netbox").await;
    let file =
        "apiVersion: wiring.githedgehog.com/v1beta1\nkind: Server\nmetadata:\n  name: one\nspec:\n  description: old\n";
    app.push(&[(FILE, file)]).await;
    app.sync().await;
    let (commits, writes) = (app.commits().await, app.netbox_writes());

    app.netbox_user("bob").update("Server", "one", json!({"description": "from netbox"})).await;
    app.sync().await;

    assert_eq!(row(&app).await["spec"]["description"], "from netbox");
    assert_eq!((app.commits().await, app.netbox_writes()), (commits, writes));
    let held = app.fabric_status().await.held;
    assert_eq!(held.values().map(|reason| reason.code.as_str()).collect::<Vec<_>>(), ["drift"]);
    app.finish().await;
}

#[tokio::test]
async fn where_git_leads_healing_puts_its_content_back() {
    let app = TestApp::with_fabric_settings("direction: git_to_netbox\n    on_drift: heal").await;
    app.push(&[(
        FILE,
        "apiVersion: wiring.githedgehog.com/v1beta1\nkind: Server\nmetadata:\n  name: one\nspec:\n  description: old\n",
    )])
    .await;
    app.sync().await;
    let commits = app.commits().await;

    app.netbox_user("bob").update("Server", "one", json!({"description": "from netbox"})).await;
    app.sync().await;
    assert_eq!(row(&app).await["spec"]["description"], "old");

    app.netbox_user("bob").delete("Server", "one").await;
    app.sync().await;
    assert_eq!(row(&app).await["spec"]["description"], "old");

    app.netbox_user("bob").create("Server", "two", json!({"description": "only here"})).await;
    app.sync().await;
    assert_eq!(app.rows("Server").await.len(), 2, "what was never agreed on is not deleted");
    assert_eq!(app.commits().await, commits);
    app.finish().await;
}

#[tokio::test]
async fn a_decision_against_the_fabrics_direction_is_refused() {
    let app = TestApp::with_fabric_settings("direction: netbox_to_git").await;
    app.push(&[(
        FILE,
        "apiVersion: wiring.githedgehog.com/v1beta1\nkind: Server\nmetadata:\n  name: one\nspec:\n  description: git\n",
    )])
    .await;
    app.netbox_user("bob").create("Server", "one", json!({"description": "netbox"})).await;
    app.sync().await;

    let (status, problem) = app.ask(&format!("{CONFLICT}/resolve"), json!({"side": "git"})).await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("direction")));

    app.post(&format!("{CONFLICT}/resolve"), json!({"side": "netbox"})).await;
    app.sync().await;
    assert!(app.files().await[FILE].contains("description: netbox"));
    app.finish().await;
}

#[tokio::test]
async fn a_raw_document_against_a_change_in_netbox_is_taken_or_put_aside_by_a_person() {
    let app = TestApp::ready().await;
    agreed_on(&app, json!({"description": "old"})).await;
    let document = "apiVersion: wiring.githedgehog.com/v1beta1\nkind: Server\nmetadata:\n  name: one\nspec:\n  description: dropped\n";
    app.netbox_user("bob").update("Server", "one", json!({"description": "from netbox"})).await;
    app.push(&[("raw/one.yaml", document)]).await;
    app.sync().await;
    let shown = app.get(CONFLICT).await;
    assert_eq!((&shown["git"]["path"], &shown["git"]["index"]), (&json!("lab/raw/one.yaml"), &json!(0)));
    let merged = json!({"side": "merged", "document": shown["documents"]["git"]["document"]});
    assert_eq!(app.ask(&format!("{CONFLICT}/resolve"), merged).await.1["code"], "raw_document");

    app.post(&format!("{CONFLICT}/resolve"), json!({"side": "netbox"})).await;
    app.sync().await;

    let files = app.files().await;
    assert!(files[FILE].contains("from netbox") && !files.contains_key("raw/one.yaml"));
    assert_eq!(files["unmanaged/one.yaml"], document.trim_end(), "the test's view has no last line break");
    app.finish().await;
}
