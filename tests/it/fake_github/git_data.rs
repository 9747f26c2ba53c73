//! Refs, commits, trees and blobs over REST.

use serde_json::json;

use super::{REPO, ask, get, seeded};
use crate::support::fakes::github::{GitHub, Route};

#[tokio::test]
async fn a_batch_becomes_a_commit_with_true_ids() {
    let github = GitHub::start();
    let head = seeded(&github);

    let tree = json!({"base_tree": head, "tree": [
        {"path": "new/c.yaml", "mode": "100644", "type": "blob", "content": "c: 1\n"},
        {"path": "a.yaml", "mode": "100644", "type": "blob", "sha": null},
    ]});
    let tree = ask(&github, "POST", &format!("{REPO}/git/trees"), tree).await;
    let person = json!({"name": "Alice Ö", "email": "alice@example.com", "date": "2024-02-03T04:05:06+02:00"});
    let commit = json!({"message": "second\n", "tree": tree.sha(), "parents": [head], "author": person});
    let commit = ask(&github, "POST", &format!("{REPO}/git/commits"), commit).await;
    let moved = ask(&github, "PATCH", &format!("{REPO}/git/refs/heads/main"), json!({"sha": commit.sha()})).await;

    assert_eq!((tree.status, commit.status, moved.status), (201, 201, 200));
    let bare = github.hosted("acme/fabric").bare();
    assert_eq!(bare.head("main"), Some(commit.sha()));
    assert_eq!(bare.paths("main"), ["dir/b.yaml", "new/c.yaml"]);
    assert_eq!(bare.git(&["log", "-1", "--format=%an|%cn|%aI|%B"]), "Alice Ö|Alice Ö|2024-02-03T04:05:06+02:00|second");
    assert_eq!(github.writes(), 3);
}

#[tokio::test]
async fn an_empty_repository_has_no_git_data() {
    let github = GitHub::start();
    github.create("acme", "fabric");

    for path in ["git/ref/heads/main", "git/trees/main", "commits"] {
        let answer = get(&github, &format!("{REPO}/{path}")).await;

        assert_eq!((answer.status, answer.message()), (409, "Git Repository is empty."), "{path}");
    }
    let blob = ask(&github, "POST", &format!("{REPO}/git/blobs"), json!({"content": "x"})).await;
    assert_eq!(blob.status, 409);
}

#[tokio::test]
async fn a_deleted_path_must_be_there() {
    let github = GitHub::start();
    let head = seeded(&github);

    let tree = json!({"base_tree": head, "tree": [{"path": "gone", "mode": "100644", "type": "blob", "sha": null}]});
    let answer = ask(&github, "POST", &format!("{REPO}/git/trees"), tree).await;

    assert_eq!((answer.status, answer.message()), (422, "GitRPC::BadObjectState"));
}

#[tokio::test]
async fn too_many_inline_contents_time_out() {
    let github = GitHub::start();
    let head = seeded(&github);
    github.set_inline_limit(2);

    let entry = |n: u8| json!({"path": format!("{n}"), "mode": "100644", "type": "blob", "content": "x"});
    let tree = json!({"base_tree": head, "tree": [entry(1), entry(2), entry(3)]});
    let answer = ask(&github, "POST", &format!("{REPO}/git/trees"), tree).await;

    assert_eq!(answer.status, 422);
    assert!(answer.message().contains("timed out"), "{answer:?}");
}

#[tokio::test]
async fn a_long_tree_is_truncated() {
    let github = GitHub::start();
    seeded(&github);
    github.set_tree_limit(1);

    let answer = get(&github, &format!("{REPO}/git/trees/main?recursive=1")).await;

    assert_eq!(answer.body["truncated"], true);
    assert_eq!(answer.body["tree"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_ref_moves_only_forward_unless_forced() {
    let github = GitHub::start();
    let first = seeded(&github);
    let person = github.hosted("acme/fabric").person();
    let second = person.write("c", "").push("main", "second");
    let path = format!("{REPO}/git/refs/heads/main");

    let refused = ask(&github, "PATCH", &path, json!({"sha": first})).await;
    let forced = ask(&github, "PATCH", &path, json!({"sha": first, "force": true})).await;
    let forward = ask(&github, "PATCH", &path, json!({"sha": second})).await;

    assert_eq!((refused.status, refused.message()), (422, "Update is not a fast forward"));
    assert_eq!((forced.status, forward.status), (200, 200));
}

#[tokio::test]
async fn a_ref_is_made_once_and_deleted_once() {
    let github = GitHub::start();
    let head = seeded(&github);
    let new = json!({"ref": "refs/heads/feature/x", "sha": head});

    let made = ask(&github, "POST", &format!("{REPO}/git/refs"), new.clone()).await;
    let again = ask(&github, "POST", &format!("{REPO}/git/refs"), new).await;
    let read = get(&github, &format!("{REPO}/git/ref/heads/feature%2Fx")).await;
    let gone = super::send(super::request(&github, "DELETE", &format!("{REPO}/git/refs/heads/feature/x"))).await;
    let missing = get(&github, &format!("{REPO}/git/ref/heads/feature/x")).await;

    assert_eq!((made.status, again.message()), (201, "Reference already exists"));
    assert_eq!(read.body["object"]["sha"], json!(head));
    assert_eq!((gone.status, missing.status), (204, 404));
    assert_eq!(github.count(Route::GetRef), 2);
}

#[tokio::test]
async fn blobs_come_back_byte_for_byte() {
    let github = GitHub::start();
    seeded(&github);

    let made =
        ask(&github, "POST", &format!("{REPO}/git/blobs"), json!({"content": "AP/+", "encoding": "base64"})).await;
    let read = get(&github, &format!("{REPO}/git/blobs/{}", made.sha())).await;

    assert_eq!(read.body["content"], "AP/+\n");
    assert_eq!(read.body["size"], 3);
}
