//! A fabric's directory that the settings move.

use std::collections::BTreeMap;

use super::*;

const NEW: &str = "sites/north";

fn server(name: &str) -> String {
    format!("apiVersion: wiring.githedgehog.com/v1beta1\nkind: Server\nmetadata: {{name: {name}}}\nspec: {{}}\n")
}

/// A fabric with more objects than the deletion guard lets go at once, all agreed on.
async fn full() -> TestApp {
    let app = TestApp::ready().await;
    app.netbox_user("alice").bulk_create("Server", 25, json!({"description": "one"})).await;
    app.sync().await;
    app.push(&[("kustomization.yaml", "resources: []\n")]).await;
    app.sync().await;
    app
}

/// The blob of each file by its path below a directory.
fn blobs(app: &TestApp, directory: &str) -> BTreeMap<String, String> {
    let below = if directory.is_empty() { String::new() } else { format!("{directory}/") };
    let listed = app.bare.git(&["ls-tree", "-r", "--format=%(path) %(objectname)", "main"]);
    let files = listed.lines().filter_map(|line| line.rsplit_once(' '));
    files.filter_map(|(path, blob)| Some((path.strip_prefix(&below)?.to_owned(), blob.to_owned()))).collect()
}

async fn compare(app: &TestApp) -> Value {
    init(app, json!({})).await
}

#[tokio::test]
async fn the_files_go_in_one_commit_with_their_history_and_nothing_counts_as_deleted() {
    let app = full().await;
    let (before, commits, writes) = (blobs(&app, "lab"), app.commits().await.len(), app.netbox_writes());

    let app = app.moved_to(NEW).await;
    app.take_scheduled_turns().await;
    app.sync().await;

    let after = blobs(&app, NEW);
    assert_eq!(blobs(&app, "lab").into_keys().collect::<Vec<_>>(), ["kustomization.yaml"], "what is not ours stays");
    assert_eq!(before.into_iter().filter(|(path, _)| path != "kustomization.yaml").collect::<BTreeMap<_, _>>(), after);
    assert_eq!((app.commits().await.len(), app.netbox_writes()), (commits + 1, writes));
    let commit = app.commits().await[0].clone();
    assert_eq!(commit.subject, "Move the directory of lab");
    assert!(commit.body.contains("moves from lab to sites/north: "), "{}", commit.body);
    assert!(commit.body.contains("- lab/kustomization.yaml\n"), "{}", commit.body);
    let path = format!("{NEW}/managed/servers/server-003.yaml");
    assert_eq!(app.bare.git(&["log", "--follow", "--format=%H", "main", "--", &path]).lines().count(), 2);
    let view = fabric(&app).await;
    assert_eq!((&view["held"], &view["objects"], &view["directory"]), (&json!(0), &json!(25), &json!(NEW)));

    compare(&app).await;
    assert_eq!(app.commits().await.len(), commits + 1, "and nothing more");
    app.finish().await;
}

#[tokio::test]
async fn a_dry_run_shows_the_move() {
    let app = full().await;
    let before = blobs(&app, "");
    let app = app.moved_to(NEW).await;

    let report = init(&app, json!({"dry_run": true})).await;

    let moved = &report["directory"]["moved"];
    assert_eq!(
        (&report["directory"]["work"], &moved["from"], &moved["to"]),
        (&json!("move"), &json!("lab"), &json!(NEW))
    );
    assert_eq!(moved["left"]["files"][0]["path"], "lab/kustomization.yaml");
    assert_eq!(blobs(&app, ""), before);
    compare(&app).await;
    app.finish().await;
}

#[tokio::test]
async fn what_changed_meanwhile_joins_the_same_commit() {
    let app = full().await;
    let commits = app.commits().await.len();
    let app = app.moved_to(NEW).await;
    app.netbox_user("bob").update("Server", "server-001", json!({"description": "two"})).await;
    app.netbox_user("bob").delete("Server", "server-002").await;
    app.netbox_user("bob").create("Server", "new", json!({"description": "three"})).await;
    let elsewhere = app.person();
    elsewhere.write("lab/raw/drop.yaml", server("dropped"));
    elsewhere.push("main", "to the old place");

    app.sync().await;

    let files = app.files().await;
    assert!(files["managed/servers/server-001.yaml"].contains("two"));
    assert!(files.contains_key("managed/servers/new.yaml") && files.contains_key("managed/servers/dropped.yaml"));
    assert!(!files.contains_key("managed/servers/server-002.yaml") && !files.contains_key("raw/drop.yaml"));
    assert_eq!(blobs(&app, "lab").len(), 1);
    assert_eq!(app.commits().await.len(), commits + 2, "the person's and ours");
    compare(&app).await;
    assert_eq!(fabric(&app).await["held"], 0);
    app.finish().await;
}

#[tokio::test]
async fn a_run_killed_on_the_way_is_done_again_and_ends_right() {
    let app = full().await;
    let expected = blobs(&app, "lab").len() - 1;
    let app = app.moved_to(NEW).await;
    app.post("/api/v1/fabrics/lab/sync", json!({})).await;
    app.kill_the_run_before_its_push().await;
    app.let_the_lease_expire().await;
    app.cut_the_next_push_after_it_was_applied().await;

    app.sync().await;

    assert_eq!((blobs(&app, NEW).len(), blobs(&app, "lab").len()), (expected, 1));
    compare(&app).await;
    assert_eq!((&fabric(&app).await["held"], app.rows("Server").await.len()), (&json!(0), 25));
    app.finish().await;
}

/// The state after a run that was killed between its commit and the ledger is that of a move by hand.
#[tokio::test]
async fn files_that_are_moved_already_wholly_or_in_part_are_found_there() {
    for by_hand in ["lab", "lab/managed"] {
        let app = full().await;
        let expected = blobs(&app, "lab").len() - 1;
        let person = app.person();
        let to = by_hand.replacen("lab", NEW, 1);
        std::fs::create_dir_all(person.dir().join(&to).parent().unwrap()).unwrap();
        person.git(&["mv", by_hand, &to]);
        if by_hand == "lab" {
            std::fs::create_dir_all(person.dir().join("lab")).unwrap();
            person.git(&["mv", &format!("{NEW}/kustomization.yaml"), "lab/kustomization.yaml"]);
        }
        person.push("main", "moved by hand");
        app.lose_all_deliveries().await;
        let writes = app.netbox_writes();
        let app = app.moved_to(NEW).await;

        compare(&app).await;

        assert_eq!((blobs(&app, NEW).len(), blobs(&app, "lab").len()), (expected, 1), "{by_hand}");
        assert_eq!((&fabric(&app).await["held"], app.netbox_writes()), (&json!(0), writes));
        app.finish().await;
    }
}

#[tokio::test]
async fn a_file_in_the_way_stops_the_move_until_it_is_gone() {
    let app = full().await;
    let in_the_way = format!("{NEW}/managed/servers/server-004.yaml");
    let person = app.person();
    person.write(&in_the_way, server("server-004"));
    person.push("main", "somebody's");
    app.lose_all_deliveries().await;
    let before = blobs(&app, "");
    let app = app.moved_to(NEW).await;
    app.post("/api/v1/fabrics/lab/sync", json!({})).await;

    app.sync().await;

    assert_eq!(blobs(&app, ""), before, "nothing is moved by halves");
    assert_eq!(directory(&app).await, stands("error", "move_blocked"));
    assert!(fabric(&app).await["directory_status"]["reason"]["message"].as_str().unwrap().contains(&in_the_way));

    let person = app.person();
    person.delete(&in_the_way);
    person.push("main", "out of the way");
    app.sync().await;

    assert_eq!((blobs(&app, "lab").len(), directory(&app).await), (1, stands("initialized", "")));
    assert_eq!(fabric(&app).await["held"], 0);
    app.finish().await;
}

#[tokio::test]
async fn to_the_root_and_from_it_and_into_itself() {
    let app = full().await;
    let (objects, files) = (fabric(&app).await["objects"].clone(), blobs(&app, "lab").len() - 1);

    let mut app = app;
    for to in [".", "lab/inner", "lab"] {
        app = app.moved_to(to).await;
        compare(&app).await;

        let view = fabric(&app).await;
        assert_eq!((&view["objects"], &view["held"]), (&objects, &json!(0)), "{to}");
        let all = blobs(&app, "").len();
        assert_eq!(all, files + 1, "{to}: the fabric's files and the one that is not its");
        assert!(app.files().await.contains_key("managed/servers/server-000.yaml"), "{to}");
    }
    app.finish().await;
}

#[tokio::test]
async fn a_directory_that_is_gone_from_both_places_is_made_anew_from_netbox() {
    let app = full().await;
    delete_the_directory(&app);
    app.lose_all_deliveries().await;
    let app = app.moved_to(NEW).await;

    compare(&app).await;

    assert_eq!(app.files().await.keys().filter(|path| path.starts_with("managed/servers/server-")).count(), 25);
    assert_eq!((&fabric(&app).await["held"], app.rows("Server").await.len()), (&json!(0), 25));
    app.finish().await;
}
