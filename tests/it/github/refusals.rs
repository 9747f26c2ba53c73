//! Branches that may not be written, and tokens that may not write.

use super::*;
use crate::support::fakes::github::{Fault, Level, Permission, Rule, Token};

async fn refused(scene: &Scene) -> String {
    let error = commit(&scene.open(), Some(&scene.first), &edits([("a.yaml", write("a: 2\n"))])).await.unwrap_err();
    assert_eq!(scene.head(), Some(scene.first.clone()));
    match error {
        Error::Refused { detail, .. } => detail,
        other => panic!("{other:?}"),
    }
}

fn with_token(scene: &Scene, secret: &str, token: Token) -> GitHubRepository {
    scene.github.add_token(secret, token);
    let auth = Auth::Token(SecretSource::Text(secret.into()));
    GitHubRepository::open(Options { auth, ..scene.options() }).unwrap()
}

#[tokio::test]
async fn classic_protection_refuses_in_its_own_words() {
    let scene = Scene::start();
    scene.github.hosted("acme/fabric").protect("main", "At least 1 approving review is required.");

    let words = refused(&scene).await;

    assert!(words.contains("At least 1 approving review is required."), "{words}");
}

#[tokio::test]
async fn a_ruleset_refuses_before_anything_is_made() {
    let scene = Scene::start();
    scene.github.hosted("acme/fabric").add_ruleset("main", &[Rule::PullRequest], &[]);

    let words = refused(&scene).await;

    assert!(words.contains("through a pull request"), "{words}");
    assert_eq!(scene.github.writes(), 0);
}

#[tokio::test]
async fn a_rule_about_the_commit_refuses_in_its_own_words() {
    let scene = Scene::start();
    scene.github.hosted("acme/fabric").add_ruleset("main", &[Rule::MessageStart("JIRA-".to_owned())], &[]);

    let words = refused(&scene).await;

    assert!(words.contains("Repository rule violations found"), "{words}");
}

#[tokio::test]
async fn over_rest_alone_both_kinds_of_protection_are_recognised_too() {
    for classic in [true, false] {
        let scene = Scene::start();
        let hosted = scene.github.hosted("acme/fabric");
        match classic {
            true => hosted.protect("main", "Required status check \"build\" is expected."),
            false => hosted.add_ruleset("main", &[Rule::MessageStart("JIRA-".to_owned())], &[]),
        };
        scene.github.fault(Route::Query, Fault::Status(404));

        let words = refused(&scene).await;

        assert!(words.contains("is expected") || words.contains("rule violations"), "{words}");
    }
}

#[tokio::test]
async fn whoever_may_bypass_a_ruleset_writes() {
    let scene = Scene::start();
    scene.github.hosted("acme/fabric").add_ruleset("main", &[Rule::PullRequest, Rule::Update], &["fgd-sync"]);

    let ours = commit(&scene.open(), Some(&scene.first), &edits([("a.yaml", write("a: 2\n"))])).await.unwrap();

    assert_eq!(scene.head(), Some(ours));
}

#[tokio::test]
async fn a_rule_that_was_taken_away_counts_at_once() {
    let scene = Scene::start();
    let repository = scene.open();
    let hosted = scene.github.hosted("acme/fabric");
    hosted.add_ruleset("main", &[Rule::PullRequest], &[]);
    let wanted = edits([("a.yaml", write("a: 2\n"))]);
    commit(&repository, Some(&scene.first), &wanted).await.unwrap_err();

    hosted.unprotect();

    commit(&repository, Some(&scene.first), &wanted).await.unwrap();
}

#[tokio::test]
async fn rules_are_asked_for_once_in_a_while() {
    let scene = Scene::start();
    let repository = scene.open();
    let ours = commit(&repository, Some(&scene.first), &edits([("a.yaml", write("a: 2\n"))])).await.unwrap();
    scene.github.forget_served();

    commit(&repository, Some(&ours), &edits([("a.yaml", write("a: 3\n"))])).await.unwrap();

    assert_eq!(scene.github.count(Route::GetBranchRules), 0);
}

#[tokio::test]
async fn unsigned_commits_where_signatures_are_required_name_the_remedy() {
    let scene = Scene::start();
    scene.github.hosted("acme/fabric").add_ruleset("main", &[Rule::RequiredSignatures], &[]);

    let words = refused(&scene).await;

    assert!(words.contains("verified signatures") && words.contains("signed: true"), "{words}");
}

#[tokio::test]
async fn a_token_that_may_only_read_names_what_it_lacks() {
    let scene = Scene::start();
    let reader = Token::of("reader").may(&[(Permission::Contents, Level::Read)]);
    let repository = with_token(&scene, "github_pat_reader", reader);

    let error = commit(&repository, Some(&scene.first), &edits([("a.yaml", write("a: 2\n"))])).await.unwrap_err();

    assert!(matches!(&error, Error::Denied { detail, .. } if detail.contains("`contents: write`")), "{error:?}");
}

#[tokio::test]
async fn a_repository_that_the_token_does_not_show_is_not_found() {
    let scene = Scene::start();
    let repository = with_token(&scene, "github_pat_elsewhere", Token::of("stranger").only(&["acme/other"]));

    let errors = [
        repository.head(&main()).await.unwrap_err(),
        repository.tree(&scene.first, &RepoPath::root()).await.unwrap_err(),
        repository.read(std::slice::from_ref(&scene.first)).await.unwrap_err(),
    ];

    for error in errors {
        assert!(matches!(&error, Error::NotFound { detail, .. } if detail.contains("token")), "{error:?}");
    }
}
