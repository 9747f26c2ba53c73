//! Waiting is an answer with a time, and whoever waits leaves the token to the others.

use super::*;
use crate::support::fakes::github::{Fault, Token};

fn wait(error: &Error) -> u64 {
    match error {
        Error::Unavailable { after: Some(after), .. } => after.as_secs(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_refusal_with_a_time_is_waited_for_that_long() {
    for fault in [Fault::Secondary { retry_after: Some(37) }, Fault::TooMany { retry_after: Some(37) }] {
        let scene = Scene::start();
        scene.github.fault(Route::GetRef, fault);

        let error = scene.open().head(&main()).await.unwrap_err();

        assert!((36..=37).contains(&wait(&error)), "{error:?}");
    }
}

#[tokio::test]
async fn a_refusal_without_a_time_is_waited_for_a_minute_at_least() {
    for fault in [Fault::Secondary { retry_after: None }, Fault::TooMany { retry_after: None }] {
        let scene = Scene::start();
        scene.github.fault(Route::GetRef, fault);

        let error = scene.open().head(&main()).await.unwrap_err();

        assert!((59..=60).contains(&wait(&error)), "{error:?}");
    }
}

#[tokio::test]
async fn a_used_up_budget_is_waited_for_until_its_reset() {
    let scene = Scene::start();
    scene.github.fault(Route::GetRef, Fault::Exhausted { reset_after: 500 });

    let error = scene.open().head(&main()).await.unwrap_err();

    assert!((498..=502).contains(&wait(&error)), "{error:?}");
}

#[tokio::test]
async fn while_one_waits_nobody_with_its_token_asks() {
    let scene = Scene::start();
    scene.github.create("acme", "other");
    let options = scene.options();
    let other = Options { pace: Arc::clone(&options.pace), ..options_for(&scene.github, "acme/other") };
    let (one, other) = (GitHubRepository::open(options).unwrap(), GitHubRepository::open(other).unwrap());
    scene.github.fault(Route::GetRef, Fault::Secondary { retry_after: Some(30) });
    one.head(&main()).await.unwrap_err();
    scene.github.forget_served();

    let errors = [one.head(&main()).await.unwrap_err(), other.head(&main()).await.unwrap_err()];

    for error in errors {
        assert!((28..=30).contains(&wait(&error)), "{error:?}");
    }
    assert!(scene.github.served().is_empty());
}

#[tokio::test]
async fn another_token_does_not_wait() {
    let scene = Scene::start();
    scene.github.add_token("github_pat_another", Token::of("another"));
    let options = scene.options();
    let auth = Auth::Token(SecretSource::Text("github_pat_another".into()));
    let another = Options { pace: Arc::clone(&options.pace), auth, ..scene.options() };
    scene.github.fault(Route::GetRef, Fault::Secondary { retry_after: Some(30) });
    GitHubRepository::open(options).unwrap().head(&main()).await.unwrap_err();

    let head = GitHubRepository::open(another).unwrap().head(&main()).await.unwrap();

    assert_eq!(head, Some(scene.first.clone()));
}

#[tokio::test]
async fn the_budget_of_graphql_is_its_own() {
    let scene = Scene::start();
    let repository = scene.open();
    let ids = [Oid::of_blob(b"a: 1\n"), Oid::of_blob(b"b: 1\n")];
    scene.github.fault(Route::Query, Fault::Exhausted { reset_after: 500 });

    let error = repository.read(&ids).await.unwrap_err();
    let head = repository.head(&main()).await.unwrap();

    assert!((498..=502).contains(&wait(&error)), "{error:?}");
    assert_eq!(head, Some(scene.first.clone()));
}

#[tokio::test]
async fn the_last_request_of_the_hour_still_counts() {
    let scene = Scene::start();
    scene.github.add_token("github_pat_small", Token::of("small").limited_to(1));
    let auth = Auth::Token(SecretSource::Text("github_pat_small".into()));
    let repository = GitHubRepository::open(Options { auth, ..scene.options() }).unwrap();

    let head = repository.head(&main()).await.unwrap();
    let error = repository.head(&main()).await.unwrap_err();

    assert_eq!(head, Some(scene.first.clone()));
    assert!(wait(&error) > 3_500, "{error:?}");
    assert_eq!(scene.github.served().len(), 1, "what is known to be used up is not tried");
}

#[tokio::test]
async fn a_limit_in_the_middle_of_a_commit_changes_nothing() {
    for route in [Route::PostTree, Route::PostGitCommit, Route::UpdateRefs] {
        let scene = Scene::start();
        scene.github.fault(route, Fault::Secondary { retry_after: Some(20) });

        let error = commit(&scene.open(), Some(&scene.first), &many(150)).await.unwrap_err();

        assert!((18..=20).contains(&wait(&error)), "{route:?}: {error:?}");
        assert_eq!(scene.head(), Some(scene.first.clone()));
    }
}
