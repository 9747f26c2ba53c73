use super::*;
use fgd_sync::domain::names::Oid;
use fgd_sync::ledger::types::Intervention;

/// One accepted, claimed change of the fabric `lab`.
async fn at_work(test: &TestLedger) -> (JobId, Claim) {
    let job = accept(&test.ledger, &delivery("lab", updated(1))).await;
    test.clock.advance(QUIET);
    (job, claim(&test.ledger).await)
}

#[tokio::test]
async fn a_done_part_ends_its_jobs_and_leaves_its_report_and_head() {
    let test = TestLedger::open().await;
    let (job, claim) = at_work(&test).await;
    let head: Oid = "ce013625030ba8dba906f756967f9e9ca394464a".parse().unwrap();
    let report = report(&claim, &fabric("lab"));
    let parts = vec![(fabric("lab"), PartOutcome::Done { report: report.clone(), held: false })];

    let settlement = Settlement { parts, head: Some(head.clone().into()) };
    test.ledger.settle(&claim.proof, &claim.run, &settlement).await.unwrap();

    let job = test.ledger.job(&job).await.unwrap().unwrap();
    assert_eq!((job.state, job.parts[0].run.clone()), (JobState::Succeeded, Some(claim.run.clone())));
    assert_eq!(test.ledger.report(&claim.run, &fabric("lab")).await.unwrap(), Some(*report.clone()));
    assert_eq!(test.ledger.head(&target("lab")).await.unwrap().as_ref(), Some(&head));
    let status = test.ledger.fabric_status(&fabric("lab")).await.unwrap();
    assert_eq!((status.last_run, status.head, status.pending_changes), (Some(*report), Some(head), 0));
    assert!(status.last_sync.is_some());
    assert!(is_at_rest(&test.ledger).await);
}

#[tokio::test]
async fn settling_twice_is_settling_once() {
    let test = TestLedger::open().await;
    let (job, claim) = at_work(&test).await;
    done(&test.ledger, &claim).await.unwrap();

    settle(&test.ledger, &claim, &transient()).await.unwrap();

    assert_eq!(state(&test.ledger, &job).await, JobState::Succeeded);
    assert!(is_at_rest(&test.ledger).await);
}

#[tokio::test]
async fn a_held_part_holds_its_jobs() {
    let test = TestLedger::open().await;
    let (job, claim) = at_work(&test).await;

    let outcome = PartOutcome::Done { report: report(&claim, &fabric("lab")), held: true };
    settle(&test.ledger, &claim, &outcome).await.unwrap();

    assert_eq!(state(&test.ledger, &job).await, JobState::Held);
}

#[tokio::test]
async fn a_dry_run_leaves_the_last_real_report() {
    let test = TestLedger::open().await;
    let (_, claim) = at_work(&test).await;
    let dry = FabricReport { dry_run: true, ..*report(&claim, &fabric("lab")) };

    settle(&test.ledger, &claim, &PartOutcome::Done { report: Box::new(dry), held: false }).await.unwrap();

    let status = test.ledger.fabric_status(&fabric("lab")).await.unwrap();
    assert_eq!((status.last_run, status.last_sync), (None, None));
    assert!(test.ledger.report(&claim.run, &fabric("lab")).await.unwrap().unwrap().dry_run);
}

#[tokio::test]
async fn a_transient_failure_waits_twice_as_long_each_time() {
    let test = TestLedger::open().await;
    let (job, mut work) = at_work(&test).await;
    let mut waits = Vec::new();

    for _ in 0..4 {
        settle(&test.ledger, &work, &transient()).await.unwrap();
        let wait = test.ledger.next_due().await.unwrap().unwrap();
        let waiting = test.ledger.job(&job).await.unwrap().unwrap();
        assert_eq!(waiting.state, JobState::Waiting);
        assert!(waiting.parts[0].next_try.is_some());
        assert_eq!(waiting.parts[0].error, Some(error("netbox_unavailable")));
        waits.push(wait.as_secs_f64());
        test.clock.advance(wait);
        work = claim(&test.ledger).await;
        assert_eq!(work.closed_because, ClosedBecause::Retry);
    }

    for (wait, full) in waits.iter().zip([2.0, 4.0, 8.0, 16.0]) {
        assert!(*wait > full * 0.75 && *wait <= full, "{waits:?}");
    }
    assert_eq!(work.parts[0].attempt, 5);
}

#[tokio::test]
async fn a_back_off_goes_on_although_something_new_comes() {
    let test = TestLedger::with(|options| options.retry.first = SECOND * 60).await;
    let (_, claim) = at_work(&test).await;
    settle(&test.ledger, &claim, &transient()).await.unwrap();
    accept(&test.ledger, &Accept { at_once: true, ..delivery("lab", updated(2)) }).await;
    test.clock.advance(SECOND * 40);

    assert!(nothing_is_due(&test.ledger).await);
    test.clock.advance(SECOND * 20);
    assert_eq!(super::claim(&test.ledger).await.parts[0].changes, [updated(1), updated(2)]);
}

#[tokio::test]
async fn a_persons_request_ends_a_back_off_but_not_a_wait_for_a_known_time() {
    let test = TestLedger::with(|options| options.retry.first = SECOND * 60).await;
    let origin = Origin::Request { what: "sync".to_owned() };
    let request = Accept { origin, at_once: true, ..delivery("lab", Change::Everything) };
    let (_, work) = at_work(&test).await;
    settle(&test.ledger, &work, &transient()).await.unwrap();
    accept(&test.ledger, &request).await;
    let work = claim(&test.ledger).await;
    let limited = PartOutcome::WaitUntil { after: SECOND * 300, error: error("rate_limited") };

    settle(&test.ledger, &work, &limited).await.unwrap();
    accept(&test.ledger, &request).await;

    assert_eq!(work.parts[0].attempt, 2);
    assert!(nothing_is_due(&test.ledger).await);
}

#[tokio::test]
async fn one_fabrics_back_off_does_not_stop_the_others_of_its_target() {
    let test = TestLedger::with(|options| options.retry.first = SECOND * 60).await;
    let both = |n| vec![(fabric("a"), target("repo"), updated(n)), (fabric("b"), target("repo"), updated(n))];
    let job = accept(&test.ledger, &Accept { changes: both(1), ..delivery("a", updated(1)) }).await;
    test.clock.advance(QUIET);
    let first = claim(&test.ledger).await;
    let parts = vec![
        (fabric("a"), transient()),
        (fabric("b"), PartOutcome::Done { report: report(&first, &fabric("b")), held: false }),
    ];
    test.ledger.settle(&first.proof, &first.run, &Settlement { parts, head: None }).await.unwrap();
    assert_eq!(state(&test.ledger, &job).await, JobState::Waiting);
    accept(&test.ledger, &Accept { changes: both(2), ..delivery("a", updated(2)) }).await;
    test.clock.advance(QUIET);

    let second = claim(&test.ledger).await;

    assert_eq!(second.parts.len(), 1);
    assert_eq!((&second.parts[0].fabric, &second.parts[0].changes), (&fabric("b"), &vec![updated(2)]));
    done(&test.ledger, &second).await.unwrap();
    test.clock.advance(SECOND * 60);
    done(&test.ledger, &claim(&test.ledger).await).await.unwrap();
    assert_eq!(state(&test.ledger, &job).await, JobState::Succeeded);
    assert!(is_at_rest(&test.ledger).await);
}

#[tokio::test]
async fn after_the_last_attempt_the_batch_is_kept_and_can_be_replayed() {
    let test = TestLedger::with(|options| options.retry.max_attempts = 2).await;
    let (job, work) = at_work(&test).await;
    settle(&test.ledger, &work, &transient()).await.unwrap();
    test.clock.advance(QUIET);
    settle(&test.ledger, &claim(&test.ledger).await, &transient()).await.unwrap();
    assert_eq!(state(&test.ledger, &job).await, JobState::Dead);
    assert!(is_at_rest(&test.ledger).await);

    let replayed = test.ledger.replay(&job).await.unwrap();

    assert_eq!(replayed, Intervention::Done);
    let work = claim(&test.ledger).await;
    assert_eq!(work.parts[0].changes, [updated(1)]);
    assert_eq!((work.parts[0].attempt, &work.parts[0].jobs[..]), (1, &[job.clone()][..]));
    done(&test.ledger, &work).await.unwrap();
    assert_eq!(state(&test.ledger, &job).await, JobState::Succeeded);
    assert_eq!(test.ledger.replay(&job).await.unwrap(), Intervention::NotNow(JobState::Succeeded));
}

#[tokio::test]
async fn a_job_of_many_batches_dies_whole_and_is_replayed_whole() {
    let test = TestLedger::with(|options| {
        options.retry.max_attempts = 1;
        options.debounce.max_changes = 2;
    })
    .await;
    let changes = (0..5).map(|n| (fabric("lab"), target("lab"), updated(n))).collect();
    let job = accept(&test.ledger, &Accept { changes, ..delivery("lab", updated(0)) }).await;

    settle(&test.ledger, &claim(&test.ledger).await, &transient()).await.unwrap();

    assert_eq!(state(&test.ledger, &job).await, JobState::Dead);
    assert!(is_at_rest(&test.ledger).await);
    test.ledger.replay(&job).await.unwrap();
    let mut seen = Vec::new();
    while !is_at_rest(&test.ledger).await {
        let work = claim(&test.ledger).await;
        seen.extend(work.parts[0].changes.clone());
        done(&test.ledger, &work).await.unwrap();
    }
    assert_eq!(seen, (0..5).map(updated).collect::<Vec<_>>());
    assert_eq!(state(&test.ledger, &job).await, JobState::Succeeded);
}

#[tokio::test]
async fn a_dead_letter_leaves_what_a_later_job_asked_for_again() {
    let test = TestLedger::with(|options| {
        options.retry.max_attempts = 1;
        options.debounce.max_changes = 2;
    })
    .await;
    let early = accept(&test.ledger, &delivery("lab", updated(1))).await;
    accept(&test.ledger, &delivery("lab", updated(2))).await;
    accept(&test.ledger, &delivery("lab", updated(3))).await;
    let late = accept(&test.ledger, &delivery("lab", updated(1))).await;

    settle(&test.ledger, &claim(&test.ledger).await, &transient()).await.unwrap();

    assert_eq!(state(&test.ledger, &early).await, JobState::Dead);
    assert_eq!(state(&test.ledger, &late).await, JobState::Queued);
    let rest = claim(&test.ledger).await;
    assert_eq!(rest.parts[0].changes, [updated(1), updated(3)]);
    assert!(rest.parts[0].jobs.contains(&late));
}

#[tokio::test]
async fn waiting_for_a_known_time_is_no_attempt() {
    let test = TestLedger::with(|options| options.retry.max_attempts = 2).await;
    let (job, mut work) = at_work(&test).await;

    for _ in 0..5 {
        let outcome = PartOutcome::WaitUntil { after: SECOND * 300, error: error("rate_limited") };
        settle(&test.ledger, &work, &outcome).await.unwrap();
        assert_eq!(state(&test.ledger, &job).await, JobState::Waiting);
        test.clock.advance(SECOND * 299);
        assert!(nothing_is_due(&test.ledger).await);
        test.clock.advance(SECOND);
        work = claim(&test.ledger).await;
    }

    assert_eq!(work.parts[0].attempt, 1);
}

#[tokio::test]
async fn a_stalled_fabric_says_why_and_a_new_input_wakes_it() {
    let test = TestLedger::open().await;
    let (job, claim) = at_work(&test).await;
    settle(&test.ledger, &claim, &PartOutcome::Stalled { error: error("denied") }).await.unwrap();
    assert_eq!(state(&test.ledger, &job).await, JobState::Stalled);
    let status = test.ledger.fabric_status(&fabric("lab")).await.unwrap();
    assert_eq!((status.error, status.pending_changes), (Some(error("denied")), 1));
    test.clock.advance(SECOND * 60);
    assert!(nothing_is_due(&test.ledger).await);

    accept(&test.ledger, &delivery("lab", updated(2))).await;
    test.clock.advance(QUIET);
    let claim = super::claim(&test.ledger).await;

    assert_eq!(claim.parts[0].changes, [updated(1), updated(2)]);
    done(&test.ledger, &claim).await.unwrap();
    assert_eq!(state(&test.ledger, &job).await, JobState::Succeeded);
    assert_eq!(test.ledger.fabric_status(&fabric("lab")).await.unwrap().error, None);
}

#[tokio::test]
async fn a_stalled_fabric_is_looked_at_again_now_and_then() {
    let test = TestLedger::open().await;
    let (_, claim) = at_work(&test).await;
    settle(&test.ledger, &claim, &PartOutcome::Stalled { error: error("denied") }).await.unwrap();

    test.clock.advance(SECOND * 3_600);

    assert_eq!(super::claim(&test.ledger).await.parts[0].attempt, 1);
}

#[tokio::test]
async fn a_returned_part_is_due_at_once_and_no_attempt() {
    let test = TestLedger::open().await;
    let (job, first) = at_work(&test).await;

    settle(&test.ledger, &first, &PartOutcome::Returned).await.unwrap();

    assert_eq!(state(&test.ledger, &job).await, JobState::Queued);
    let second = claim(&test.ledger).await;
    assert_eq!((second.parts[0].attempt, second.closed_because), (1, ClosedBecause::Retry));
}

#[tokio::test]
async fn a_part_that_the_run_forgot_is_returned() {
    let test = TestLedger::open().await;
    let (job, claim) = at_work(&test).await;

    let nothing = Settlement { parts: Vec::new(), head: None };
    test.ledger.settle(&claim.proof, &claim.run, &nothing).await.unwrap();

    assert_eq!(state(&test.ledger, &job).await, JobState::Queued);
    assert_eq!(test.ledger.next_due().await.unwrap(), Some(Duration::ZERO));
}

#[tokio::test]
async fn a_settled_lease_allows_no_more_writes() {
    let test = TestLedger::open().await;
    let (_, claim) = at_work(&test).await;
    done(&test.ledger, &claim).await.unwrap();

    assert!(claim.proof.require(Duration::ZERO).is_err());
    let advance = test.ledger.advance(&claim.proof, &fabric("lab"), &Default::default()).await;
    assert!(matches!(advance, Err(Error::LeaseLost { .. })));
}
