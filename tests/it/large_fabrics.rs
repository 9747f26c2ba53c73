//! Full comparisons of fabrics in which next to nothing changed: what is not held of the rest is not missed.

use std::time::Duration;

use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::support::app::{API_TOKEN, TestApp};
use crate::support::fakes::netbox::{self, NetBox, Object};
use crate::support::git_server::GitServer;
use crate::support::process::{Service, free_port};
use crate::support::redis::RedisServer;

async fn compare(app: &TestApp) -> Value {
    app.post("/api/v1/fabrics/lab/sync", json!({})).await;
    let jobs = app.sync().await;
    serde_json::to_value(app.report_of(&jobs[0]).await).unwrap()
}

async fn with_three_servers() -> TestApp {
    let app = TestApp::ready().await;
    for name in ["one", "three", "two"] {
        app.netbox_user("alice").create("Server", name, json!({"description": name})).await;
    }
    app.sync().await;
    app
}

#[tokio::test]
async fn what_did_not_change_is_counted_and_listed_beside_what_did() {
    let app = with_three_servers().await;
    app.netbox_user("bob").update("Server", "two", json!({"description": "new"})).await;
    app.lose_all_deliveries().await;

    let report = compare(&app).await;

    assert_eq!((&report["counts"]["unchanged"], &report["counts"]["git_written"]), (&json!(2), &json!(1)));
    let items = report["items"].as_array().unwrap();
    let shown = |item: &Value| format!("{} {}", item["key"]["name"].as_str().unwrap(), item["outcome"]["outcome"]);
    let shown: Vec<String> = items.iter().map(shown).collect();
    assert_eq!(shown, ["one \"unchanged\"", "three \"unchanged\"", "two \"git_updated\""], "{report}");
    app.finish().await;
}

#[tokio::test]
async fn a_second_row_of_an_unchanged_object_holds_it() {
    let app = with_three_servers().await;
    app.netbox_user("bob").create("Server", "one", json!({"description": "one"})).await;
    app.lose_all_deliveries().await;

    let report = compare(&app).await;

    assert_eq!(report["items"][0]["key"]["name"], "one");
    assert_eq!(report["items"][0]["outcome"]["reason"]["code"], "several_rows", "{report}");
    assert_eq!((&report["counts"]["held"], &report["counts"]["unchanged"]), (&json!(1), &json!(2)));
    app.finish().await;
}

#[tokio::test]
async fn a_link_in_place_of_a_managed_file_deletes_nothing() {
    let app = with_three_servers().await;
    let person = app.person();
    let file = person.dir().join(app.at("managed/servers/one.yaml"));
    std::fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink("two.yaml", &file).unwrap();
    person.push("main", "a link");

    let report = compare(&app).await;

    assert_eq!(report["items"][0]["key"]["name"], "one");
    assert_eq!(report["items"][0]["outcome"]["reason"]["code"], "not_a_file", "{report}");
    assert_eq!(app.rows("Server").await.len(), 3);
    app.finish().await;
}

const OBJECTS: usize = 2_000;
/// Of each object's spec; as JSON 6 KB, as a tree of values about four times as much.
const FIELDS: usize = 200;
/// For a comparison in which nothing changed. The documents alone would take twice as much, a page of rows a third.
const MOST_KB: u64 = 32 * 1_024;
const PATIENCE: Duration = Duration::from_secs(300);

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_comparison_without_a_change_does_not_hold_the_fabrics_documents() {
    let (netbox, git, redis) = (NetBox::custom_objects(), GitServer::start().await, RedisServer::start());
    git.create("fabrics.git");
    let spec: Map<String, Value> =
        (0..FIELDS).map(|number| (format!("field-{number:03}"), json!("some text"))).collect();
    let server = |number: usize| Object::new("Server", "lab", &format!("server-{number:04}"), json!(spec));
    netbox.user("alice").bulk_create(&(0..OBJECTS).map(server).collect::<Vec<_>>());
    let directory = TempDir::new().unwrap();
    let settings = directory.path().join("fgd-sync.yaml");
    let address = format!("127.0.0.1:{}", free_port().unwrap());
    let text = format!(
        "listen: {address}\npublic_url: http://sync.example.com/\ndata_directory: data\n\
         redis: {{url: '{}'}}\napi_tokens:\n  - {{name: test, token: {API_TOKEN}}}\n\
         netbox:\n  main: {{url: '{}', token: '{}', webhook_secret: a-secret-of-this-test}}\n\
         repositories:\n  main: {{kind: git, url: '{}', webhook_secret: another-secret-of-it}}\n\
         fabrics:\n  lab: {{netbox: main, repository: main, branch: main, directory: lab}}\n",
        redis.url(),
        netbox.url(),
        netbox::TOKEN,
        git.url("fabrics.git"),
    );
    std::fs::write(&settings, text).unwrap();
    let start = async || Service::start(&settings, &format!("http://{address}"), API_TOKEN).await.unwrap();
    let first = start().await;
    first.settled(PATIENCE).await.unwrap();
    drop(first);

    // Another process: what the first comparison took, and the allocator kept, would hide what this one takes.
    let service = start().await;
    let rest = memory_kb(service.pid(), "VmRSS:");
    service.post("/api/v1/fabrics/lab/sync").await.unwrap();
    service.settled(PATIENCE).await.unwrap();

    let jobs = service.get("/api/v1/jobs?limit=1").await.unwrap();
    assert_eq!(jobs["jobs"][0]["state"], "succeeded", "{jobs}");
    let most = memory_kb(service.pid(), "VmHWM:");
    assert!(most - rest < MOST_KB, "{most} kB at most, {rest} kB at rest");
}

/// A figure of a process, as Linux tells it.
fn memory_kb(pid: u32, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
