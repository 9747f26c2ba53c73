//! Commits that GitHub signs.

use super::*;
use crate::support::fakes::github::{Fault, Rule};

fn signing(scene: &Scene) -> GitHubRepository {
    GitHubRepository::open(Options { signing: Signing::GitHub, ..scene.options() }).unwrap()
}

#[tokio::test]
async fn a_signed_commit_is_one_request_with_the_user_as_co_author() {
    let scene = Scene::start();
    scene.github.hosted("acme/fabric").add_ruleset("main", &[Rule::RequiredSignatures], &[]);
    let wanted = edits([("a.yaml", write("a: 2\n")), ("dir/b.yaml", Edit::Delete), ("absent", Edit::Delete)]);

    let ours = commit(&signing(&scene), Some(&scene.first), &wanted).await.unwrap();

    assert_eq!(scene.head(), Some(ours));
    assert_eq!(scene.bare.paths("main"), ["a.yaml"]);
    assert_eq!(scene.github.writes(), 1);
    let raw = scene.bare.git(&["cat-file", "commit", "main"]);
    assert!(raw.contains("gpgsig"), "{raw}");
    assert!(raw.ends_with("Fgd-Run: 01RUN\nCo-authored-by: Alice Ö <alice@example.com>"), "{raw}");
}

#[tokio::test]
async fn a_signed_commit_is_found_by_its_run() {
    let scene = Scene::start();
    let repository = signing(&scene);

    let ours = commit(&repository, Some(&scene.first), &edits([("a.yaml", write("a: 2\n"))])).await.unwrap();

    let found = repository.find_run(&main(), Some(&scene.first), &RunId::new("01RUN")).await.unwrap();
    assert_eq!(found, Some(ours));
}

#[tokio::test]
async fn a_head_that_moved_is_left_alone() {
    let scene = Scene::start();
    let theirs = oid(&scene.person.write("theirs", "1").push("main", "theirs"));

    let error = commit(&signing(&scene), Some(&scene.first), &edits([("a.yaml", write("2"))])).await.unwrap_err();

    assert!(matches!(&error, Error::HeadMoved { now: Some(now), .. } if *now == theirs), "{error:?}");
    assert_eq!(scene.head(), Some(theirs));
}

#[tokio::test]
async fn an_answer_that_was_lost_is_found_on_the_branch() {
    for fault in [Fault::ApplyThenDrop, Fault::ApplyThenCut, Fault::ApplyThenStatus(502)] {
        let scene = Scene::start();
        scene.github.fault(Route::CreateCommitOnBranch, fault);

        let ours = commit(&signing(&scene), Some(&scene.first), &edits([("a.yaml", write("2"))])).await.unwrap();

        assert_eq!(scene.head(), Some(ours));
        assert_eq!(scene.bare.git(&["rev-list", "--count", "main"]), "2");
    }
}

#[tokio::test]
async fn an_answer_that_never_came_is_uncertain() {
    let scene = Scene::start();
    scene.github.fault(Route::CreateCommitOnBranch, Fault::Status(502));

    let error = commit(&signing(&scene), Some(&scene.first), &edits([("a.yaml", write("2"))])).await.unwrap_err();

    assert!(matches!(error, Error::Uncertain { .. }), "{error:?}");
    assert_eq!(scene.head(), Some(scene.first.clone()));
}

#[tokio::test]
async fn what_a_signed_commit_would_break_is_refused_with_the_reason() {
    let scene = Scene::start();
    scene.person.write("run.sh", "1").git(&["add", "run.sh"]);
    scene.person.git(&["update-index", "--chmod=+x", "run.sh"]);
    scene.person.git(&["commit", "--quiet", "--message", "a script"]);
    scene.person.git(&["push", "--quiet", "origin", "HEAD:main"]);
    let base = scene.head().unwrap();

    let error = commit(&signing(&scene), Some(&base), &edits([("run.sh", write("2"))])).await.unwrap_err();

    assert!(matches!(&error, Error::Refused { detail, .. } if detail.contains("run.sh")), "{error:?}");
    assert_eq!(scene.github.writes(), 0);
}

#[tokio::test]
async fn a_new_branch_begins_unsigned() {
    let scene = Scene::start();
    let other = Target { repo: RepoName::new("lab"), branch: BranchName::new("other") };
    let repository = signing(&scene);

    let ours = repository.commit(&proof_for(&other), None, &many(2), &message("01RUN")).await.unwrap();

    assert_eq!(scene.bare.head("other").as_deref(), Some(ours.as_str()));
}
