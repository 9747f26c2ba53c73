use fgd_sync::ledger::budget::{NoPlace, NoPlaceBecause, Place};

use super::*;

const READ: Place<'static> = Place { resource: "rest", gap: Duration::ZERO, burst: 20 };
const WRITE: Place<'static> = Place { gap: SECOND, ..READ };
const TOKEN: &str = "app-1-installation-2";

async fn take(test: &TestLedger, place: Place<'_>) -> Result<(), NoPlace> {
    test.ledger.take_place(TOKEN, place).await.unwrap()
}

/// Redis's clock goes on while a test runs.
fn about(wait: NoPlace, seconds: u64) {
    let seconds = Duration::from_secs(seconds);
    assert!(wait.after <= seconds && wait.after + Duration::from_secs(10) > seconds, "{wait:?}, not {seconds:?}");
}

#[tokio::test]
async fn an_empty_budget_waits_for_its_reset_and_no_other_with_it() {
    let test = TestLedger::open().await;
    test.ledger.budget_left(TOKEN, "rest", 0, Duration::from_secs(100)).await.unwrap();

    let wait = take(&test, READ).await.unwrap_err();

    about(wait, 101);
    assert_eq!(wait.why, NoPlaceBecause::UsedUp);
    assert_eq!(take(&test, Place { resource: "graphql", ..READ }).await, Ok(()));
    assert_eq!(test.ledger.take_place("another", READ).await.unwrap(), Ok(()));
    test.clock.advance(Duration::from_secs(101));
    assert_eq!(take(&test, READ).await, Ok(()));
}

#[tokio::test]
async fn a_refusal_without_a_time_pauses_all_replicas_a_minute_and_longer_each_time() {
    let test = TestLedger::open().await;
    let replica = Ledger::open(test.server.options(), test.clock.clone()).await.unwrap();

    for seconds in [60, 120, 240, 480, 900, 900] {
        test.ledger.budget_refused(TOKEN, None).await.unwrap();
        let wait = replica.take_place(TOKEN, READ).await.unwrap().unwrap_err();
        about(wait, seconds);
        assert_eq!(wait.why, NoPlaceBecause::Refused);
        test.clock.advance(Duration::from_secs(seconds));
    }
    replica.budget_left(TOKEN, "rest", 10, SECOND).await.unwrap();
    replica.budget_refused(TOKEN, None).await.unwrap();

    about(take(&test, READ).await.unwrap_err(), 60);
}

#[tokio::test]
async fn a_late_answer_does_not_shorten_a_pause() {
    let test = TestLedger::open().await;
    test.ledger.budget_refused(TOKEN, Some(Duration::from_secs(300))).await.unwrap();

    test.ledger.budget_refused(TOKEN, Some(SECOND)).await.unwrap();
    test.ledger.budget_left(TOKEN, "rest", 10, SECOND).await.unwrap();

    about(take(&test, READ).await.unwrap_err(), 300);
}

#[tokio::test]
async fn a_burst_of_writes_need_not_wait_but_many_keep_the_gap() {
    let test = TestLedger::open().await;
    let long = Place { gap: Duration::from_secs(60), ..WRITE };
    let mut at_once = 0;
    let wait = loop {
        match take(&test, long).await {
            Ok(()) => at_once += 1,
            Err(wait) => break wait,
        }
    };

    assert_eq!((at_once, wait.why), (21, NoPlaceBecause::Gap));
    about(wait, 60);
    assert_eq!(take(&test, READ).await, Ok(()));
    test.clock.advance(Duration::from_secs(60));
    assert_eq!(take(&test, long).await, Ok(()));
}
