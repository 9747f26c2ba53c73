//! GraphQL: reading, the strict mutations, and what is refused.

use serde_json::json;

use super::{UPDATE, graphql, repository_id, seeded};
use crate::support::fakes::github::{GitHub, Route};

const COMMIT: &str = "mutation($input: CreateCommitOnBranchInput!) {
    createCommitOnBranch(input: $input) { commit { oid signature { isValid } } ref { name } }
}";

const ZERO: &str = "0000000000000000000000000000000000000000";

#[tokio::test]
async fn a_head_and_its_blobs_come_in_one_query() {
    let github = GitHub::start();
    let head = seeded(&github);
    let query = "query($owner: String!, $name: String!) { repository(owner: $owner, name: $name) {
        isEmpty ref(qualifiedName: \"refs/heads/main\") { target { oid } }
        one: object(expression: \"main:a.yaml\") { ... on Blob { text byteSize isBinary } }
        gone: object(oid: \"1234567890123456789012345678901234567890\") { oid }
        head: object(expression: \"main\") { ...C }
    } } fragment C on Commit { messageHeadline history(first: 1) { totalCount nodes { oid } } }";

    let answer = graphql(&github, query, json!({"owner": "acme", "name": "fabric"})).await;

    assert_eq!(
        answer["data"]["repository"],
        json!({
            "isEmpty": false, "ref": {"target": {"oid": head}},
            "one": {"text": "a: 1\n", "byteSize": 5, "isBinary": false}, "gone": null,
            "head": {"messageHeadline": "first", "history": {"totalCount": 1, "nodes": [{"oid": head}]}},
        })
    );
}

#[tokio::test]
async fn update_refs_moves_only_from_where_it_was_told() {
    let github = GitHub::start();
    let first = seeded(&github);
    let person = github.hosted("acme/fabric").person();
    let second = person.write("c", "").push("main", "second");
    let third = person.write("d", "").commit("third");
    person.git(&["push", "-q", "origin", "HEAD:refs/heads/other"]);
    let id = repository_id(&github).await;
    let update = |before: &str, after: &str| {
        json!({"id": id, "updates": [
            {"name": "refs/heads/main", "beforeOid": before, "afterOid": after, "force": false},
        ]})
    };

    let stale = graphql(&github, UPDATE, update(&first, &third)).await;
    let exists = graphql(&github, UPDATE, update(ZERO, &third)).await;
    let moved = graphql(&github, UPDATE, update(&second, &third)).await;

    assert_eq!(stale["errors"][0]["type"], "STALE_DATA");
    assert_eq!(exists["errors"][0]["type"], "STALE_DATA");
    assert_eq!(moved, json!({"data": {"updateRefs": {"clientMutationId": null}}}));
    assert_eq!(github.hosted("acme/fabric").bare().head("main"), Some(third));
    assert_eq!(github.count(Route::UpdateRefs), 3);
}

#[tokio::test]
async fn update_refs_is_all_or_nothing() {
    let github = GitHub::start();
    let head = seeded(&github);
    let updates = json!({"id": repository_id(&github).await, "updates": [
        {"name": "refs/heads/new", "beforeOid": ZERO, "afterOid": head},
        {"name": "refs/heads/main", "beforeOid": ZERO, "afterOid": head},
    ]});

    graphql(&github, UPDATE, updates).await;

    assert_eq!(github.hosted("acme/fabric").bare().head("new"), None);
}

#[tokio::test]
async fn create_commit_on_branch_is_signed_and_strict() {
    let github = GitHub::start();
    let head = seeded(&github);
    let input = |head: &str| {
        json!({"input": {
            "branch": {"repositoryNameWithOwner": "acme/fabric", "branchName": "main"}, "expectedHeadOid": head,
            "message": {"headline": "second", "body": "Why."},
            "fileChanges": {"additions": [{"path": "c.yaml", "contents": "YzogMQo="}], "deletions": [{"path": "a.yaml"}]},
        }})
    };

    let made = graphql(&github, COMMIT, input(&head)).await;
    let stale = graphql(&github, COMMIT, input(&head)).await;
    let absent =
        graphql(&github, COMMIT, input(made["data"]["createCommitOnBranch"]["commit"]["oid"].as_str().unwrap())).await;

    let bare = github.hosted("acme/fabric").bare();
    assert_eq!(made["data"]["createCommitOnBranch"]["commit"]["signature"]["isValid"], true);
    assert_eq!(bare.paths("main"), ["c.yaml", "dir/b.yaml"]);
    assert_eq!(bare.git(&["log", "-1", "--format=%B"]), "second\n\nWhy.");
    assert_eq!(stale["errors"][0]["type"], "STALE_DATA");
    assert!(absent["errors"][0]["message"].as_str().unwrap().contains("deletion"), "{absent}");
}

#[tokio::test]
async fn an_unknown_field_refuses_the_whole_document() {
    let github = GitHub::start();
    seeded(&github);

    let answer = graphql(&github, "{ repository(owner: \"acme\", name: \"fabric\") { id colour } }", json!({})).await;

    assert!(answer.get("data").is_none());
    assert_eq!(answer["errors"][0]["extensions"]["code"], "undefinedField");
    assert_eq!(github.forgive().len(), 1);
}

#[tokio::test]
async fn variables_are_held_against_their_types() {
    let github = GitHub::start();
    seeded(&github);

    let answer = graphql(&github, UPDATE, json!({"id": "x", "updates": [{"name": "refs/heads/main"}]})).await;

    assert!(answer["errors"][0]["message"].as_str().unwrap().contains("afterOid"), "{answer}");
    assert_eq!(github.forgive().len(), 1);
}
