use super::*;
use fgd_sync::ledger::types::{Note, Pauses};

fn note(reason: &str) -> Note {
    Note { by: "kim".to_owned(), reason: Some(reason.to_owned()) }
}

#[tokio::test]
async fn a_paused_fabric_accepts_and_is_not_claimed_until_resumed() {
    let test = TestLedger::open().await;
    test.ledger.pause(Some(&fabric("lab")), &note("cabling")).await.unwrap();
    let job = accept(&test.ledger, &delivery("lab", updated(1))).await;
    test.clock.advance(QUIET);

    assert!(nothing_is_due(&test.ledger).await);
    assert_eq!(test.ledger.next_due().await.unwrap(), None, "workers need not look for it");
    assert_eq!(state(&test.ledger, &job).await, JobState::Queued);
    test.ledger.resume(Some(&fabric("lab"))).await.unwrap();

    let claim = claim(&test.ledger).await;
    assert_eq!(claim.parts[0].changes, [updated(1)]);
    done(&test.ledger, &claim).await.unwrap();
    assert_eq!(state(&test.ledger, &job).await, JobState::Succeeded);
}

#[tokio::test]
async fn the_other_fabrics_of_a_target_go_on() {
    let test = TestLedger::open().await;
    let both = vec![(fabric("a"), target("repo"), updated(1)), (fabric("b"), target("repo"), updated(2))];
    accept(&test.ledger, &Accept { changes: both, ..delivery("a", updated(1)) }).await;
    test.ledger.pause(Some(&fabric("a")), &note("")).await.unwrap();
    test.clock.advance(QUIET);

    let first = claim(&test.ledger).await;

    assert_eq!((first.parts.len(), &first.parts[0].fabric), (1, &fabric("b")));
    done(&test.ledger, &first).await.unwrap();
    assert!(nothing_is_due(&test.ledger).await);
    test.ledger.resume(Some(&fabric("a"))).await.unwrap();
    assert_eq!(claim(&test.ledger).await.parts[0].fabric, fabric("a"));
}

#[tokio::test]
async fn a_pause_of_everything_stops_every_claim_and_leaves_the_due_times() {
    let test = TestLedger::open().await;
    accept(&test.ledger, &delivery("a", updated(1))).await;
    test.ledger.pause(None, &note("NetBox is upgraded")).await.unwrap();
    accept(&test.ledger, &delivery("b", updated(1))).await;
    test.clock.advance(QUIET);
    assert!(nothing_is_due(&test.ledger).await);
    assert_eq!(test.ledger.next_due().await.unwrap(), None);

    test.ledger.resume(None).await.unwrap();

    assert_eq!(test.ledger.next_due().await.unwrap(), Some(Duration::ZERO));
    let fabrics = [claim(&test.ledger).await, claim(&test.ledger).await].map(|claim| claim.parts[0].fabric.clone());
    assert_eq!(fabrics, [fabric("a"), fabric("b")]);
}

#[tokio::test]
async fn what_is_at_work_when_a_pause_comes_ends_as_it_would() {
    let test = TestLedger::open().await;
    let job = accept(&test.ledger, &delivery("lab", updated(1))).await;
    test.clock.advance(QUIET);
    let claim = claim(&test.ledger).await;

    test.ledger.pause(Some(&fabric("lab")), &note("")).await.unwrap();
    test.ledger.renew(&claim.proof).await.unwrap();
    done(&test.ledger, &claim).await.unwrap();

    assert_eq!(state(&test.ledger, &job).await, JobState::Succeeded);
}

#[tokio::test]
async fn a_failure_under_a_pause_is_tried_again_only_after_it() {
    let test = TestLedger::open().await;
    accept(&test.ledger, &delivery("lab", updated(1))).await;
    test.clock.advance(QUIET);
    let first = claim(&test.ledger).await;
    test.ledger.pause(Some(&fabric("lab")), &note("")).await.unwrap();
    settle(&test.ledger, &first, &transient()).await.unwrap();
    test.clock.advance(SECOND * 60);
    assert!(nothing_is_due(&test.ledger).await);

    test.ledger.resume(Some(&fabric("lab"))).await.unwrap();

    assert_eq!(claim(&test.ledger).await.parts[0].attempt, 2);
}

#[tokio::test]
async fn a_paused_fabrics_share_of_a_dead_workers_batch_waits_and_the_rest_is_given_again() {
    let test = TestLedger::open().await;
    let both = vec![(fabric("a"), target("repo"), updated(1)), (fabric("b"), target("repo"), updated(2))];
    let job = accept(&test.ledger, &Accept { changes: both, ..delivery("a", updated(1)) }).await;
    test.clock.advance(QUIET);
    let lost = claim(&test.ledger).await;
    assert_eq!(lost.parts.len(), 2);
    test.ledger.pause(Some(&fabric("a")), &note("")).await.unwrap();
    test.clock.advance(LEASE);

    let heir = claim(&test.ledger).await;

    assert_eq!((heir.parts.len(), &heir.parts[0].fabric, heir.parts[0].attempt), (1, &fabric("b"), 2));
    done(&test.ledger, &heir).await.unwrap();
    assert!(nothing_is_due(&test.ledger).await);
    test.ledger.resume(Some(&fabric("a"))).await.unwrap();
    let rest = claim(&test.ledger).await;
    assert_eq!((&rest.parts[0].changes, rest.parts[0].attempt), (&vec![updated(1)], 2));
    done(&test.ledger, &rest).await.unwrap();
    assert_eq!(state(&test.ledger, &job).await, JobState::Succeeded);
    assert!(is_at_rest(&test.ledger).await);
}

#[tokio::test]
async fn pauses_are_told_with_who_ordered_them_and_survive_a_restart() {
    let test = TestLedger::open().await;
    let first = test.ledger.pause(Some(&fabric("lab")), &note("cabling")).await.unwrap();
    test.clock.advance(SECOND);
    let again = test.ledger.pause(Some(&fabric("lab")), &note("something else")).await.unwrap();
    assert_eq!(again, first, "the pause that holds stays");

    let reopened = Ledger::open(test.server.options(), test.clock.clone()).await.unwrap();

    let pauses = reopened.pauses().await.unwrap();
    assert_eq!(pauses, Pauses { everything: None, fabrics: BTreeMap::from([(fabric("lab"), first)]) });
    reopened.resume(Some(&fabric("lab"))).await.unwrap();
    reopened.resume(Some(&fabric("lab"))).await.unwrap();
    assert_eq!(reopened.pauses().await.unwrap(), Pauses::default());
}
