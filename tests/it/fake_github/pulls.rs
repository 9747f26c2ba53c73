//! Pull requests and statuses.

use serde_json::{Value, json};

use super::{REPO, ask, get, seeded};
use crate::support::fakes::github::{GitHub, Method, Rule};

/// A branch `ours` with two commits, and a pull request of it.
async fn proposed(github: &GitHub) -> (String, Value) {
    seeded(github);
    let person = github.hosted("acme/fabric").person();
    person.write("c", "1").push("ours", "one");
    let head = person.write("c", "2").push("ours", "two");
    let body = json!({"title": "Ours", "head": "ours", "base": "main", "body": "Why."});
    let made = ask(github, "POST", &format!("{REPO}/pulls"), body).await;
    assert_eq!(made.status, 201, "{made:?}");
    (head, made.body)
}

#[tokio::test]
async fn a_pull_request_is_made_once() {
    let github = GitHub::start();
    let (head, made) = proposed(&github).await;

    let again =
        ask(&github, "POST", &format!("{REPO}/pulls"), json!({"title": "x", "head": "ours", "base": "main"})).await;
    let listed = get(&github, &format!("{REPO}/pulls?head=acme:ours&base=main&state=open")).await;

    assert_eq!((&made["head"]["sha"], &made["mergeable"]), (&json!(head), &json!(true)));
    assert_eq!((again.status, again.message()), (422, "Validation Failed"));
    assert_eq!(again.body["errors"][0]["message"], "A pull request already exists for acme:ours.");
    assert_eq!(listed.body[0]["number"], 1);
}

#[tokio::test]
async fn a_pull_request_needs_commits_and_branches() {
    let github = GitHub::start();
    let head = seeded(&github);
    ask(&github, "POST", &format!("{REPO}/git/refs"), json!({"ref": "refs/heads/same", "sha": head})).await;
    let open = |head: &str| json!({"title": "x", "head": head, "base": "main"});

    let same = ask(&github, "POST", &format!("{REPO}/pulls"), open("same")).await;
    let missing = ask(&github, "POST", &format!("{REPO}/pulls"), open("gone")).await;

    assert_eq!(same.body["errors"][0]["message"], "No commits between main and same");
    assert_eq!(missing.body["errors"][0]["field"], "head");
}

#[tokio::test]
async fn it_can_be_merged_squashed_and_rebased() {
    for (method, parents, on_top) in [(Method::Merge, 2, 3), (Method::Squash, 1, 1), (Method::Rebase, 1, 2)] {
        let github = GitHub::start();
        proposed(&github).await;
        let repo = github.hosted("acme/fabric");
        repo.person().write("beside", "").push("main", "beside");
        repo.add_ruleset("main", &[Rule::PullRequest], &[]);

        let merged = repo.merge_pull(1, method);

        let bare = repo.bare();
        assert_eq!(bare.head("main"), Some(merged.clone()), "{method:?}");
        assert_eq!(bare.show("main", "c"), "2");
        assert_eq!(bare.git(&["log", "-1", "--format=%P"]).split(' ').count(), parents, "{method:?}");
        assert_eq!(bare.git(&["rev-list", "--count", "main"]), (2 + on_top).to_string(), "{method:?}");
        let shown = get(&github, &format!("{REPO}/pulls/1")).await;
        assert_eq!((&shown.body["merged"], &shown.body["merge_commit_sha"]), (&json!(true), &json!(merged)));
    }
}

#[tokio::test]
async fn a_merge_is_of_the_head_that_was_seen() {
    let github = GitHub::start();
    let (head, _) = proposed(&github).await;
    github.hosted("acme/fabric").person().update("ours").write("d", "").push("ours", "three");

    let moved = ask(&github, "PUT", &format!("{REPO}/pulls/1/merge"), json!({"sha": head})).await;
    let merged = ask(&github, "PUT", &format!("{REPO}/pulls/1/merge"), json!({"merge_method": "squash"})).await;

    assert_eq!((moved.status, merged.status), (409, 200));
}

#[tokio::test]
async fn it_follows_its_branches() {
    let github = GitHub::start();
    let (head, _) = proposed(&github).await;
    let repo = github.hosted("acme/fabric");

    repo.person().git(&["push", "-q", "origin", &format!("{head}:refs/heads/main")]);

    let pull = repo.pulls().remove(0);
    assert_eq!((pull.open, pull.merged), (false, Some(head)));
}

#[tokio::test]
async fn it_can_be_closed_and_opened_again_while_its_branch_is_there() {
    let github = GitHub::start();
    proposed(&github).await;
    let path = format!("{REPO}/pulls/1");

    let closed = ask(&github, "PATCH", &path, json!({"state": "closed"})).await;
    let opened = ask(&github, "PATCH", &path, json!({"state": "open", "title": "New"})).await;
    github.hosted("acme/fabric").person().git(&["push", "-q", "origin", ":ours"]);
    let refused = ask(&github, "PATCH", &path, json!({"state": "open"})).await;

    assert_eq!((&closed.body["state"], &opened.body["title"]), (&json!("closed"), &json!("New")));
    assert_eq!(refused.status, 422);
}

#[tokio::test]
async fn the_latest_status_of_a_context_counts() {
    let github = GitHub::start();
    let head = seeded(&github);
    let path = format!("{REPO}/statuses/{head}");

    ask(&github, "POST", &path, json!({"state": "pending", "context": "sync"})).await;
    ask(&github, "POST", &path, json!({"state": "success", "context": "sync", "description": "12 objects"})).await;
    let combined = get(&github, &format!("{REPO}/commits/main/status")).await;
    let long = ask(&github, "POST", &path, json!({"state": "error", "description": "x".repeat(141)})).await;
    let nowhere = format!("{REPO}/statuses/1234567890123456789012345678901234567890");
    let nowhere = ask(&github, "POST", &nowhere, json!({"state": "error"})).await;

    assert_eq!((&combined.body["state"], &combined.body["total_count"]), (&json!("success"), &json!(1)));
    assert_eq!((long.status, nowhere.status), (422, 422));
    assert_eq!(github.hosted("acme/fabric").statuses().len(), 2);
}
