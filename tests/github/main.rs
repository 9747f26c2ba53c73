//! The kind `github` against the GitHub emulator `emulate`: it needs npm, so it is a suite of its own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[path = "../support/mod.rs"]
mod support;

use std::sync::Arc;

use fgd_sync::repo::Repository;
use fgd_sync::repo::github::GitHubRepository;
use serde_json::{Value, json};

use support::contract::Subject;
use support::emulated::{Emulated, REPOSITORY, TOKEN};
use support::git_server::{Bare, Person};
use support::github_options::github_options;

/// The contract less what the emulator has nothing for: rules, and branches that go away beside it. It also gives out no
/// more than 5,000 requests an hour, which the largest commit's files use up on their way to the bare repository.
mod contract {
    use crate::support::contract::{Subject as _, racing, reading, tests, writing};

    tests!(super::OnEmulator, reading:
        an_empty_repository_has_no_head,
        a_missing_branch_has_no_head,
        the_tree_is_complete_whatever_the_names,
        the_tree_of_a_directory_has_only_what_is_below,
        a_directory_that_does_not_exist_is_empty,
        a_commit_that_does_not_exist_is_missing,
        blobs_are_read_byte_for_byte,
        a_blob_that_does_not_exist_is_missing,
        an_earlier_commit_can_be_read_after_a_forced_push,
        a_history_contains_what_came_before,
        a_forced_push_rewrites_the_history,
        a_history_without_the_commit_is_unrelated,
    );
    tests!(super::OnEmulator, writing:
        the_first_commit_makes_the_branch,
        a_new_branch_starts_beside_the_others,
        a_commit_writes_and_deletes_at_once,
        author_committer_and_message_are_exact,
        the_mode_of_a_file_is_kept,
        a_symlink_is_replaced_not_followed,
        a_directory_can_be_moved,
        deleting_an_absent_path_is_harmless,
        a_directory_is_never_replaced_or_deleted,
        every_name_can_be_written,
        edits_that_change_nothing_make_no_commit,
        edits_that_change_nothing_notice_a_moved_head,
    );
    tests!(super::OnEmulator, racing:
        a_head_that_moved_is_left_alone,
        a_branch_that_appeared_is_left_alone,
        what_a_person_dropped_by_force_stays_dropped,
        of_two_writers_exactly_one_wins,
        a_run_is_found_by_its_trailer,
        a_run_outside_the_range_is_not_found,
        a_run_of_another_name_is_not_found,
        a_lost_lease_stops_before_the_push,
    );
}

struct OnEmulator(Emulated);

impl OnEmulator {
    async fn start() -> Self {
        Self(Emulated::start())
    }
}

impl Subject for OnEmulator {
    fn repository(&self) -> Arc<dyn Repository> {
        Arc::new(GitHubRepository::open(github_options(&self.0.rest_url(), REPOSITORY, TOKEN)).unwrap())
    }

    fn person(&self) -> Person {
        self.0.person()
    }

    fn bare(&self) -> &Bare {
        self.0.bare()
    }
}

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
