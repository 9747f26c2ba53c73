//! One object: where it is, how it stands on both sides, what happened to it and who did it.

use serde_json::{Value, json};

use crate::support::app::{TestApp, spec_of};

const ONE: &str = "/api/v1/objects/lab/Server/default/one";

fn server(name: &str) -> String {
    format!(
        "apiVersion: wiring.githedgehog.com/v1beta1\nkind: Server\nmetadata:\n  name: {name}\nspec:\n  description: x\n"
    )
}

/// The change log's records of our own writes: message and request.
fn our_records(app: &TestApp, object: &str) -> Vec<(String, String)> {
    let ours = |change: &Value| {
        change["user_name"] == "fgd-sync"
            && change["postchange_data"]["name"] == object
            && change["action"]["value"] == "create"
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let records = app.netbox.changes().into_iter().filter(ours);
    records.map(|change| (text(&change["message"]), text(&change["request_id"]))).collect()
}

#[tokio::test]
async fn an_object_born_in_netbox_names_its_file_its_row_its_user_and_its_commit() {
    for (app, page) in [
        (TestApp::ready().await, "plugins/custom-objects/hedgehog-servers/1/"),
        (TestApp::hedgehog().await, "plugins/hedgehog/servers/1/"),
    ] {
        app.netbox_user("alice").create("Server", "one", spec_of("Server")).await;
        let jobs = app.sync().await;

        let object = app.get(ONE).await;
        let commit = app.commits().await[0].oid.clone();
        assert_eq!(object["state"], "agreed");
        assert_eq!(
            (&object["git"]["path"], &object["git"]["branch"]),
            (&json!("lab/managed/servers/one.yaml"), &json!("main"))
        );
        assert_eq!(
            (&object["netbox"]["id"], &object["netbox"]["url"]),
            (&json!(1), &json!(format!("{}{page}", app.netbox.url())))
        );
        let touch = &object["history"][0];
        assert_eq!((&touch["outcome"], &touch["by"]), (&json!("git_created"), &json!(["alice"])));
        assert_eq!(touch["commit"], commit);
        let asked: Vec<String> = jobs.iter().map(|job| job.id.to_string()).collect();
        assert!(asked.iter().any(|job| touch["jobs"][0] == job.as_str()), "{touch} {asked:?}");
        app.finish().await;
    }
}

#[tokio::test]
async fn an_object_dropped_in_git_names_the_commit_its_author_and_the_raw_document_in_netbox_and_in_its_history() {
    for app in [TestApp::ready().await, TestApp::hedgehog().await] {
        app.push(&[("raw/some/servers.yaml", &format!("{}---\n{}", server("zero"), server("one")))]).await;
        let dropped = app.commits().await[0].clone();
        let jobs = app.sync().await;

        let (message, request) = our_records(&app, "one")[0].clone();
        for part in ["raw/some/servers.yaml#1", &dropped.oid, &dropped.author] {
            assert!(message.contains(part), "`{part}` is not in `{message}`");
        }
        let object = app.get(ONE).await;
        let history = object["history"].as_array().cloned().unwrap_or_default();
        let outcomes: Vec<&str> = history.iter().filter_map(|touch| touch["outcome"].as_str()).collect();
        assert_eq!(outcomes, ["git_created", "netbox_created"]);
        let written = &history[1];
        assert_eq!((&written["commit"], &written["by"]), (&json!(dropped.oid), &json!([dropped.author])));
        assert_eq!(written["request"], request);

        let mut reported = Vec::new();
        for job in &jobs {
            let answer = app.get(&format!("/api/v1/jobs/{}", job.id)).await;
            reported.push(answer["parts"][0]["report"]["items"].to_string());
        }
        assert!(
            reported.iter().any(|items| items.contains(&request)),
            "no job names the request {request}: {reported:#?}"
        );
        app.finish().await;
    }
}

#[tokio::test]
async fn an_edit_of_a_managed_file_names_its_commit_and_author() {
    let app = TestApp::ready().await;
    app.netbox_user("alice").create("Server", "one", json!({"description": "old"})).await;
    app.sync().await;
    let file = app.files().await["managed/servers/one.yaml"].clone();

    app.push(&[("managed/servers/one.yaml", &file.replace("old", "new"))]).await;
    let edit = app.commits().await[0].clone();
    app.sync().await;

    let changes = app.netbox.changes();
    let message = changes.last().unwrap()["message"].as_str().unwrap();
    assert!(
        message.starts_with(&format!("fgd-sync: commit {} by {} in main@main (run ", edit.oid, edit.author)),
        "{message}"
    );
    let history = app.get(ONE).await["history"].clone();
    assert_eq!((&history[0]["outcome"], &history[0]["commit"]), (&json!("netbox_updated"), &json!(edit.oid)));
    app.finish().await;
}

#[tokio::test]
async fn each_state_of_an_object_is_told() {
    let app = TestApp::ready().await;
    app.netbox_user("alice").create("Server", "one", json!({"description": "old"})).await;
    app.netbox_user("alice").create("Server", "kept", spec_of("Server")).await;
    app.sync().await;
    let file = app.files().await["managed/servers/one.yaml"].clone();

    app.netbox_user("alice").update("Server", "one", json!({"description": "from netbox"})).await;
    app.deliver().await;
    assert_eq!(app.get(ONE).await["state"], "pending");

    app.push(&[("managed/servers/one.yaml", &file.replace("old", "from git"))]).await;
    app.push_deletion(&["managed/servers/kept.yaml"]).await;
    app.sync().await;
    let object = app.get(ONE).await;
    assert_eq!((&object["state"], &object["history"][0]["outcome"]), (&json!("conflict"), &json!("held")));
    assert!(object["reason"]["message"].is_string(), "{object}");
    assert_eq!(app.get("/api/v1/objects/lab/Server/default/kept").await["state"], "held");

    app.netbox_user("alice").create("Server", "gone", spec_of("Server")).await;
    app.sync().await;
    app.netbox_user("alice").delete("Server", "gone").await;
    app.sync().await;
    let gone = app.get("/api/v1/objects/lab/Server/default/gone").await;
    assert_eq!(
        (&gone["state"], &gone["git"], &gone["history"][0]["outcome"]),
        (&json!("gone"), &Value::Null, &json!("git_deleted"))
    );
    assert_eq!(app.get("/api/v1/objects/lab/Server/default/never").await["code"], "unknown_object");
    app.finish().await;
}

#[tokio::test]
async fn a_fabrics_objects_come_in_pages() {
    let app = TestApp::ready().await;
    app.netbox_user("alice").bulk_create("Server", 5, spec_of("Server")).await;
    app.netbox_user("alice").create("VPC", "web", spec_of("VPC")).await;
    app.sync().await;

    let mut names = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = app.get(&format!("/api/v1/fabrics/lab/objects?kind=Server&limit=2{cursor}")).await;
        names.extend(
            page["objects"].as_array().unwrap().iter().map(|object| object["name"].as_str().unwrap().to_owned()),
        );
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }

    assert_eq!(names, ["server-000", "server-001", "server-002", "server-003", "server-004"]);
    let all = app.get("/api/v1/fabrics/lab/objects").await;
    assert_eq!((all["objects"].as_array().unwrap().len(), &all["next"]), (6, &Value::Null));
    app.finish().await;
}

#[tokio::test]
async fn a_history_keeps_the_newest_twenty() {
    let app = TestApp::ready().await;
    app.netbox_user("alice").create("Server", "one", json!({"description": "0"})).await;
    app.sync().await;
    for n in 1..=22 {
        app.netbox_user("bob").update("Server", "one", json!({"description": n.to_string()})).await;
        app.sync().await;
    }

    let history = app.get(ONE).await["history"].clone();
    let outcomes: Vec<&Value> = history.as_array().unwrap().iter().map(|touch| &touch["outcome"]).collect();
    assert_eq!(outcomes, vec!["git_updated"; 20]);
    assert_eq!(history[0]["commit"], app.commits().await[0].oid);
    app.finish().await;
}
