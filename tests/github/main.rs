//! What runs against the GitHub emulator `emulate`: it needs npm, so it is a suite of its own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[path = "../support/mod.rs"]
mod support;

use serde_json::{Value, json};

use support::emulated::{Emulated, REPOSITORY, TOKEN};

async fn send(emulated: &Emulated, method: &str, path: &str, body: Option<Value>) -> Value {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().user_agent("a-test").build().unwrap();
    let url = format!("{}/repos/{REPOSITORY}/{path}", emulated.rest_url());
    let mut request = client.request(method.parse().unwrap(), url).bearer_auth(TOKEN);
    if let Some(body) = body {
        request = request.json(&body);
    }
    let answer = request.send().await.unwrap();
    assert!(answer.status().is_success(), "{method} {path}: {}", answer.status());
    answer.json().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_pushes_is_on_the_emulator_under_the_same_ids() {
    let emulated = Emulated::start();

    let person = emulated.person();
    person.write("a.yaml", "a: 1\n").write("dir/ö.yaml", [0, 159]).push("main", "first");
    let head = person.delete("a.yaml").push("main", "second");

    let found = send(&emulated, "GET", "git/ref/heads/main", None).await;
    assert_eq!(found["object"]["sha"], json!(head));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_over_rest_is_in_the_bare_repository_at_once() {
    let emulated = Emulated::start();
    let person = emulated.person();
    let head = person.write("a.yaml", "a: 1\n").push("main", "first");

    let entry = json!({"path": "b/c.yaml", "mode": "100755", "type": "blob", "content": "c: 1\n"});
    let tree =
        send(&emulated, "POST", "git/trees", Some(json!({"base_tree": tree_of(&emulated, &head), "tree": [entry]})));
    let tree = tree.await["sha"].clone();
    let alice = json!({"name": "Alice Ö", "email": "alice@example.com", "date": "2024-02-03T04:05:06+02:00"});
    let commit = json!({"message": "second\n", "tree": tree, "parents": [head], "author": alice});
    let commit = send(&emulated, "POST", "git/commits", Some(commit)).await["sha"].clone();
    send(&emulated, "PATCH", "git/refs/heads/main", Some(json!({"sha": commit}))).await;

    assert_eq!(emulated.bare().head("main").map(Value::from), Some(commit));
    assert_eq!(emulated.bare().paths("main"), ["a.yaml", "b/c.yaml"]);
    assert_eq!(person.update("main").git(&["log", "-1", "--format=%an %aI"]), "Alice Ö 2024-02-03T04:05:06+02:00");
    emulated.bare().assert_sound();
}

fn tree_of(emulated: &Emulated, commit: &str) -> String {
    emulated.bare().git(&["rev-parse", &format!("{commit}^{{tree}}")])
}
