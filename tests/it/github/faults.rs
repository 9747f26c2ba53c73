//! Every call of a batch, and everything that can go wrong with it: one end.
//!
//! The batch is carried as a run does it: look, commit, look for the trailer when the outcome is not known, plan again
//! when the head moved, come back later when GitHub says so.

use super::*;
use crate::support::fakes::github::Fault;

/// How often a run may come back. One fault needs two at most, and a person's push one more.
const ATTEMPTS: usize = 4;
/// The most requests that a batch and its troubles may need.
const MOST_REQUESTS: usize = 80;

/// The calls of a batch of 110 changes, the first for a replica.
pub(super) const CALLS: [Route; 8] = [
    Route::GetRef,
    Route::GetGitCommit,
    Route::GetTree,
    Route::GetBranchRules,
    Route::PostTree,
    Route::PostGitCommit,
    Route::Query,
    Route::UpdateRefs,
];

/// Writes our files whatever happens.
async fn carry(scene: &Scene, proof: &LeaseProof) {
    for _ in 0..ATTEMPTS {
        match once(scene, proof).await {
            Ok(_) => return,
            Err(Error::Unavailable { after, .. }) => scene.github.advance(after.unwrap_or_default()),
            Err(Error::HeadMoved { .. } | Error::Uncertain { .. }) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    panic!("it never came to an end");
}

/// What one run does, in a process of its own, so that no wait of the one before counts.
async fn once(scene: &Scene, proof: &LeaseProof) -> Result<Oid, Error> {
    let repository = scene.open();
    let head = repository.head(&main()).await?;
    let present = match &head {
        Some(head) => repository.tree(head, &path("managed")).await?,
        None => Default::default(),
    };
    let missing: Edits = many(110).into_iter().filter(|(at, _)| !present.contains_key(at)).collect();
    if missing.is_empty() {
        return head.ok_or_else(|| unreachable!("files stand in a commit"));
    }
    match repository.commit(proof, head.as_ref(), &missing, &message("01RUN")).await {
        Err(uncertain @ Error::Uncertain { .. }) => {
            let found = repository.find_run(&main(), head.as_ref(), &RunId::new("01RUN")).await?;
            found.ok_or(uncertain)
        }
        done => done,
    }
}

/// The branch has our files once, in one commit, and every commit that must be there.
fn assert_end(scene: &Scene, kept: &[&Oid], what: &str) {
    let paths = scene.bare.paths("main");
    assert_eq!(paths.iter().filter(|path| path.starts_with("managed/")).count(), 110, "{what}");
    let runs = scene.bare.git(&["log", "--format=%H", "--grep=Fgd-Run: 01RUN", "main"]);
    assert_eq!(runs.lines().count(), 1, "{what}: {runs}");
    let history = scene.bare.git(&["rev-list", "main"]);
    for commit in kept {
        assert!(history.contains(commit.as_str()), "{what}: {commit} is gone");
    }
    let requests = scene.github.served().len();
    assert!(requests <= MOST_REQUESTS, "{what}: {requests} requests");
}

async fn every_call_with(fault: impl Fn() -> Fault) {
    let proof = proof();
    for route in CALLS {
        let scene = Scene::start();
        let what = format!("{route:?} with {:?}", fault());
        scene.github.fault(route, fault());

        carry(&scene, &proof).await;

        assert_end(&scene, &[&scene.first], &what);
    }
}

#[tokio::test]
async fn a_call_that_is_cut_before_it_is_done() {
    every_call_with(|| Fault::Drop).await;
}

#[tokio::test]
async fn a_call_that_is_done_and_then_cut() {
    every_call_with(|| Fault::ApplyThenDrop).await;
}

#[tokio::test]
async fn a_call_whose_answer_is_cut() {
    every_call_with(|| Fault::ApplyThenCut).await;
}

#[tokio::test]
async fn a_bad_gateway_before_a_call() {
    every_call_with(|| Fault::Status(502)).await;
}

#[tokio::test]
async fn a_bad_gateway_after_a_call() {
    every_call_with(|| Fault::ApplyThenStatus(504)).await;
}

#[tokio::test]
async fn a_secondary_limit_with_a_time() {
    every_call_with(|| Fault::Secondary { retry_after: Some(30) }).await;
}

#[tokio::test]
async fn a_secondary_limit_without_a_time() {
    every_call_with(|| Fault::Secondary { retry_after: None }).await;
}

#[tokio::test]
async fn too_many_requests() {
    every_call_with(|| Fault::TooMany { retry_after: None }).await;
}

#[tokio::test]
async fn a_page_of_a_proxy() {
    every_call_with(|| Fault::Html).await;
}

#[tokio::test]
async fn a_person_who_pushes_at_any_call_is_kept() {
    let proof = proof();
    for route in CALLS {
        let scene = Scene::start();
        let theirs = oid(&scene.person.write("theirs.yaml", "1").commit("theirs"));
        let push = pushing(&scene, &theirs);
        scene.github.before(route, push);

        carry(&scene, &proof).await;

        assert_end(&scene, &[&scene.first, &theirs], &format!("a push before {route:?}"));
    }
}

#[tokio::test]
async fn what_a_person_drops_at_any_call_stays_dropped() {
    let proof = proof();
    for route in CALLS {
        let scene = Scene::start();
        let dropped = oid(&scene.person.write("secret.yaml", "1").push("main", "a mistake"));
        let back = pushing(&scene, &scene.first);
        scene.github.before(route, back);

        carry(&scene, &proof).await;

        let what = format!("a reset before {route:?}");
        assert_end(&scene, &[&scene.first], &what);
        assert!(!scene.bare.git(&["rev-list", "main"]).contains(dropped.as_str()), "{what}");
    }
}

#[tokio::test]
async fn a_branch_that_is_deleted_at_any_call_is_made_anew() {
    let proof = proof();
    for route in CALLS {
        let scene = Scene::start();
        scene.person.push("keep", "another branch");
        let bare = scene.bare.clone();
        scene.github.before(route, move || {
            bare.git(&["update-ref", "-d", "refs/heads/main"]);
        });

        carry(&scene, &proof).await;

        assert_end(&scene, &[], &format!("deleted before {route:?}"));
        assert_eq!(scene.bare.git(&["rev-list", "--count", "main"]), "1");
    }
}

/// Moves main to a commit that the person has, by force.
fn pushing(scene: &Scene, commit: &Oid) -> impl FnOnce() + Send + 'static {
    let (dir, commit) = (scene.person.dir().to_owned(), commit.clone());
    move || {
        let refspec = format!("+{commit}:refs/heads/main");
        let pushed = std::process::Command::new("git")
            .args(["push", "--quiet", "origin", &refspec])
            .current_dir(dir)
            .status()
            .unwrap();
        assert!(pushed.success());
    }
}

#[tokio::test]
async fn a_head_that_is_shown_late_is_waited_for() {
    let scene = Scene::start();
    scene.github.fault(Route::UpdateRefs, Fault::StaleFor { reads: 2 });

    let ours = commit(&scene.open(), Some(&scene.first), &many(3)).await.unwrap();

    assert_eq!(scene.head(), Some(ours));
}

#[tokio::test]
async fn a_head_from_before_our_write_is_not_believed_for_a_while() {
    let scene = Scene::start();
    let repository = scene.open();
    commit(&repository, Some(&scene.first), &many(3)).await.unwrap();
    // An old replica answers so too.
    scene.bare.git(&["update-ref", "refs/heads/main", scene.first.as_str()]);

    let error = repository.head(&main()).await.unwrap_err();

    assert!(matches!(error, Error::Unavailable { after: Some(_), .. }), "{error:?}");
    assert_eq!(scene.open().head(&main()).await.unwrap(), Some(scene.first.clone()));
}

#[tokio::test]
async fn a_head_from_before_another_replicas_write_is_not_believed_for_a_while() {
    let scene = Scene::start();
    let ours = commit(&scene.open(), Some(&scene.first), &many(3)).await.unwrap();
    let replica = scene.open();
    scene.bare.git(&["update-ref", "refs/heads/main", scene.first.as_str()]);

    replica.expect_head(&main(), &ours);
    let error = replica.head(&main()).await.unwrap_err();
    scene.bare.git(&["update-ref", "refs/heads/main", ours.as_str()]);

    assert!(matches!(error, Error::Unavailable { after: Some(_), .. }), "{error:?}");
    assert_eq!(replica.head(&main()).await.unwrap(), Some(ours));
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_uncertain_and_found_later() {
    let scene = Scene::start();
    let never = Arc::new(tokio::sync::Notify::new());
    scene.github.fault(Route::UpdateRefs, Fault::Until(Arc::clone(&never)));
    let timeouts = Timeouts { write: Duration::from_secs(2), ..Timeouts::default() };
    let repository = GitHubRepository::open(Options { timeouts, ..scene.options() }).unwrap();

    let error = commit(&repository, Some(&scene.first), &many(3)).await.unwrap_err();

    assert!(matches!(error, Error::Uncertain { .. }), "{error:?}");
    assert_eq!(scene.head(), Some(scene.first.clone()));
}

#[tokio::test]
async fn a_server_that_is_down_is_unavailable_and_nothing_is_lost() {
    let scene = Scene::start();
    let repository = scene.open();
    scene.github.set_down(true);

    let errors = [
        repository.head(&main()).await.unwrap_err(),
        repository.read(&[Oid::of_blob(b"a: 1\n")]).await.unwrap_err(),
        commit(&repository, Some(&scene.first), &many(3)).await.unwrap_err(),
    ];
    scene.github.set_down(false);
    commit(&repository, Some(&scene.first), &many(3)).await.unwrap();

    for error in errors {
        assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    }
}
