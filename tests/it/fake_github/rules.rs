//! Protected branches and rulesets, in all the forms that refusals take.

use serde_json::{Value, json};

use super::{REPO, UPDATE, ask, commit_on, get, graphql, repository_id, seeded};
use crate::support::fakes::github::{GitHub, Rule};

async fn update_main(github: &GitHub, before: &str, after: &str) -> Value {
    let update = json!({"name": "refs/heads/main", "beforeOid": before, "afterOid": after});
    graphql(github, UPDATE, json!({"id": repository_id(github).await, "updates": [update]})).await
}

#[tokio::test]
async fn classic_protection_refuses_both_ways() {
    let github = GitHub::start();
    let head = seeded(&github);
    let new = commit_on(&github, &head, "c").await;
    github
        .hosted("acme/fabric")
        .protect("main", "At least 1 approving review is required by reviewers with write access.");

    let rest = ask(&github, "PATCH", &format!("{REPO}/git/refs/heads/main"), json!({"sha": new})).await;
    let mutation = update_main(&github, &head, &new).await;
    let protection = get(&github, &format!("{REPO}/branches/main/protection")).await;
    let rules = get(&github, &format!("{REPO}/rules/branches/main")).await;

    assert_eq!(rest.status, 422);
    assert!(rest.message().contains("Protected branch"), "{rest:?}");
    assert_eq!(mutation["errors"][0]["type"], "BRANCH_PROTECTION_RULE_VIOLATION");
    assert_eq!((protection.status, rules.body), (200, json!([])));
}

#[tokio::test]
async fn classic_protection_may_say_only_its_rule() {
    let github = GitHub::start();
    let head = seeded(&github);
    let new = commit_on(&github, &head, "c").await;
    github.hosted("acme/fabric").protect_saying_only("main", "Required status check \"ci\" is expected.");

    let rest = ask(&github, "PATCH", &format!("{REPO}/git/refs/heads/main"), json!({"sha": new})).await;

    assert_eq!((rest.status, rest.message()), (422, "Required status check \"ci\" is expected."));
    assert!(rest.body["documentation_url"].as_str().unwrap().contains("protected-branches"));
}

#[tokio::test]
async fn a_ruleset_refuses_both_ways_and_is_listed() {
    let github = GitHub::start();
    let head = seeded(&github);
    let new = commit_on(&github, &head, "c").await;
    github.hosted("acme/fabric").add_ruleset("main", &[Rule::PullRequest], &["somebody"]);

    let rest = ask(&github, "PATCH", &format!("{REPO}/git/refs/heads/main"), json!({"sha": new})).await;
    let mutation = update_main(&github, &head, &new).await;
    let protection = get(&github, &format!("{REPO}/branches/main/protection")).await;
    let rules = get(&github, &format!("{REPO}/rules/branches/main")).await;

    let words = "Repository rule violations found\n\nChanges must be made through a pull request.\n\n";
    assert_eq!((rest.status, rest.message()), (422, words));
    assert_eq!(mutation["errors"][0]["message"], words);
    assert_ne!(mutation["errors"][0]["type"], "BRANCH_PROTECTION_RULE_VIOLATION");
    assert_eq!(protection.status, 404);
    assert_eq!(rules.body[0]["type"], "pull_request");
    assert_eq!(github.hosted("acme/fabric").bare().head("main"), Some(head));
}

#[tokio::test]
async fn a_bypass_actor_need_not_keep_to_it() {
    let github = GitHub::start();
    let head = seeded(&github);
    let new = commit_on(&github, &head, "c").await;
    github.hosted("acme/fabric").add_ruleset("main", &[Rule::PullRequest], &["fgd-sync"]);

    let mutation = update_main(&github, &head, &new).await;

    assert!(mutation.get("errors").is_none(), "{mutation}");
}

#[tokio::test]
async fn required_signatures_take_only_signed_commits() {
    let github = GitHub::start();
    let head = seeded(&github);
    let new = commit_on(&github, &head, "c").await;
    github.hosted("acme/fabric").add_ruleset("main", &[Rule::RequiredSignatures], &[]);
    let signed = json!({"input": {
        "branch": {"repositoryNameWithOwner": "acme/fabric", "branchName": "main"}, "expectedHeadOid": head,
        "message": {"headline": "m"}, "fileChanges": {"additions": [{"path": "d", "contents": ""}]},
    }});

    let unsigned = update_main(&github, &head, &new).await;
    let mutation =
        "mutation($input: CreateCommitOnBranchInput!) { createCommitOnBranch(input: $input) { ref { name } } }";
    let signed = graphql(&github, mutation, signed).await;

    assert!(unsigned["errors"][0]["message"].as_str().unwrap().contains("verified signatures"), "{unsigned}");
    assert_eq!(signed["data"]["createCommitOnBranch"]["ref"]["name"], "main");
}
