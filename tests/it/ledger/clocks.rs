//! Redis's clock is wrong, or was.

use super::*;
use fgd_sync::ledger::Clock;

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// A ledger whose clock was a day ahead when work was accepted, failed and taken, and the same one with a right clock.
async fn set_back() -> (TestLedger, Ledger, Clock) {
    let ahead = TestLedger::open().await;
    ahead.clock.advance(DAY);
    accept(&ahead.ledger, &delivery("failed", updated(1))).await;
    accept(&ahead.ledger, &delivery("left", updated(2))).await;
    ahead.clock.advance(QUIET);
    for _ in 0..2 {
        let work = claim(&ahead.ledger).await;
        if work.parts[0].fabric == fabric("failed") {
            settle(&ahead.ledger, &work, &transient()).await.unwrap();
        }
    }
    accept(&ahead.ledger, &delivery("waiting", updated(3))).await;
    let clock = Clock::default();
    let right = Ledger::open(ahead.server.options(), clock.clone()).await.unwrap();
    (ahead, right, clock)
}

#[tokio::test]
async fn a_clock_that_is_set_back_makes_nothing_wait_for_it() {
    let (_ahead, right, clock) = set_back().await;

    assert!(right.claim("worker").await.unwrap().is_none(), "what is due is due later, as before");
    let mut done = BTreeSet::new();
    for _ in 0..3 {
        // Longer than the debounce, the first back-off and the lease that somebody let go.
        clock.advance(LEASE + SECOND * 60);
        let work = claim(&right).await;
        done.insert(work.parts[0].fabric.to_string());
        super::done(&right, &work).await.unwrap();
    }

    assert_eq!(done.into_iter().collect::<Vec<_>>(), ["failed", "left", "waiting"]);
    assert!(is_at_rest(&right).await);
}

#[tokio::test]
async fn a_schedule_whose_last_turn_is_in_the_future_has_its_turn() {
    let (ahead, right, _) = set_back().await;
    assert!(ahead.ledger.take_turn("poll", SECOND * 60).await.unwrap());

    assert!(right.take_turn("poll", SECOND * 60).await.unwrap());
    assert!(!right.take_turn("poll", SECOND * 60).await.unwrap());
}

#[tokio::test]
async fn a_clock_that_jumps_ahead_ends_leases_and_the_old_holder_is_refused() {
    let test = TestLedger::open().await;
    accept(&test.ledger, &delivery("lab", updated(1))).await;
    test.clock.advance(QUIET);
    let old = claim(&test.ledger).await;

    test.clock.advance(DAY * 365);

    let new = claim(&test.ledger).await;
    assert_eq!((new.parts[0].changes.clone(), new.parts[0].attempt), (vec![updated(1)], 2));
    assert!(matches!(done(&test.ledger, &old).await, Err(Error::LeaseLost { .. })));
    done(&test.ledger, &new).await.unwrap();
}
