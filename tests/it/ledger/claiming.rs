use super::*;

#[tokio::test]
async fn a_change_is_due_after_the_quiet_time_and_not_before() {
    let test = TestLedger::open().await;
    accept(&test.ledger, &delivery("lab", updated(1))).await;
    test.clock.advance(SECOND);
    assert!(nothing_is_due(&test.ledger).await);
    accept(&test.ledger, &delivery("lab", updated(2))).await;
    test.clock.advance(SECOND + SECOND / 2);
    assert!(nothing_is_due(&test.ledger).await, "the second change began the quiet time anew");

    test.clock.advance(SECOND);
    let claim = claim(&test.ledger).await;

    assert_eq!(claim.closed_because, ClosedBecause::Quiet);
    assert_eq!(claim.parts[0].changes, [updated(1), updated(2)]);
}

#[tokio::test]
async fn steady_changes_wait_no_longer_than_the_longest_wait() {
    let test = TestLedger::open().await;
    for n in 0..15 {
        assert!(nothing_is_due(&test.ledger).await, "after {n} s");
        accept(&test.ledger, &delivery("lab", updated(n))).await;
        test.clock.advance(SECOND);
    }

    let claim = claim(&test.ledger).await;

    assert_eq!(claim.closed_because, ClosedBecause::MaxWait);
    assert_eq!(claim.parts[0].changes.len(), 15);
}

#[tokio::test]
async fn a_full_batch_is_due_at_once_and_the_rest_follows_in_a_second() {
    let test = TestLedger::with(|options| options.debounce.max_changes = 50).await;
    let mut jobs = Vec::new();
    for n in 0..100 {
        jobs.push(accept(&test.ledger, &delivery("lab", updated(n))).await);
    }

    let first = claim(&test.ledger).await;
    done(&test.ledger, &first).await.unwrap();
    let half: Vec<_> = [state(&test.ledger, &jobs[49]).await, state(&test.ledger, &jobs[50]).await].into();
    let second = claim(&test.ledger).await;
    done(&test.ledger, &second).await.unwrap();

    for (claim, ids) in [(&first, 0..50), (&second, 50..100)] {
        assert_eq!(claim.closed_because, ClosedBecause::MaxChanges);
        assert_eq!(claim.parts[0].changes, ids.map(updated).collect::<Vec<_>>());
        assert_eq!(claim.parts[0].jobs.len(), 50);
    }
    assert_eq!(half, [JobState::Succeeded, JobState::Queued]);
    assert!(is_at_rest(&test.ledger).await);
}

#[tokio::test]
async fn a_job_with_more_changes_than_a_batch_ends_with_its_last_batch() {
    let test = TestLedger::with(|options| options.debounce.max_changes = 2).await;
    let changes = (0..5).map(|n| (fabric("lab"), target("lab"), updated(n))).collect();
    let job = accept(&test.ledger, &Accept { changes, ..delivery("lab", updated(0)) }).await;

    let mut states = Vec::new();
    for _ in 0..3 {
        done(&test.ledger, &claim(&test.ledger).await).await.unwrap();
        states.push(state(&test.ledger, &job).await);
    }

    assert_eq!(states, [JobState::Queued, JobState::Queued, JobState::Succeeded]);
    assert!(is_at_rest(&test.ledger).await);
}

#[tokio::test]
async fn a_dry_run_is_a_batch_of_its_own_and_what_waited_follows() {
    let test = TestLedger::open().await;
    let change = accept(&test.ledger, &delivery("lab", updated(1))).await;
    let dry_run = accept(&test.ledger, &Accept { at_once: true, ..delivery("lab", Change::DryRun) }).await;
    let other = accept(&test.ledger, &delivery("lab", updated(2))).await;

    let first = claim(&test.ledger).await;
    done(&test.ledger, &first).await.unwrap();
    let second = claim(&test.ledger).await;
    done(&test.ledger, &second).await.unwrap();

    assert_eq!((&first.parts[0].changes, &first.parts[0].jobs), (&vec![Change::DryRun], &vec![dry_run]));
    assert_eq!(second.parts[0].changes, [updated(1), updated(2)]);
    assert_eq!(second.parts[0].jobs, [change, other]);
    assert!(is_at_rest(&test.ledger).await);
}

#[tokio::test]
async fn a_request_is_due_at_once() {
    let test = TestLedger::open().await;
    accept(&test.ledger, &Accept { at_once: true, ..delivery("lab", Change::Everything) }).await;

    let claim = claim(&test.ledger).await;

    assert_eq!(claim.closed_because, ClosedBecause::Requested);
}

#[tokio::test]
async fn fabrics_of_one_target_share_a_batch() {
    let test = TestLedger::open().await;
    let changes = vec![(fabric("a"), target("repo"), updated(1)), (fabric("b"), target("repo"), updated(2))];
    let job = accept(&test.ledger, &Accept { changes, ..delivery("a", updated(1)) }).await;
    test.clock.advance(QUIET);

    let claim = claim(&test.ledger).await;

    let fabrics: BTreeSet<_> = claim.parts.iter().map(|part| part.fabric.as_str()).collect();
    assert_eq!(fabrics, BTreeSet::from(["a", "b"]));
    assert_eq!(claim.proof.target(), &target("repo"));
    assert_eq!(state(&test.ledger, &job).await, JobState::Running);
    assert!(nothing_is_due(&test.ledger).await, "one batch at a time");
}

#[tokio::test]
async fn what_comes_during_a_run_is_the_next_batch() {
    let test = TestLedger::open().await;
    accept(&test.ledger, &delivery("lab", updated(1))).await;
    test.clock.advance(QUIET);
    let first = claim(&test.ledger).await;
    let late = accept(&test.ledger, &delivery("lab", updated(1))).await;
    test.clock.advance(QUIET);
    assert!(nothing_is_due(&test.ledger).await);

    done(&test.ledger, &first).await.unwrap();
    assert_eq!(state(&test.ledger, &late).await, JobState::Queued);
    let second = claim(&test.ledger).await;

    assert_eq!(second.parts[0].jobs, [late]);
    assert_eq!(second.parts[0].attempt, 1);
}

#[tokio::test]
async fn a_batch_whose_worker_died_goes_to_another_and_the_old_holder_is_refused() {
    let test = TestLedger::open().await;
    let job = accept(&test.ledger, &delivery("lab", updated(1))).await;
    test.clock.advance(QUIET);
    let dead = claim(&test.ledger).await;
    accept(&test.ledger, &delivery("lab", updated(2))).await;
    test.clock.advance(LEASE);

    let heir = claim(&test.ledger).await;

    assert_eq!(heir.parts[0].changes, dead.parts[0].changes, "the same batch, without what came later");
    assert_eq!((dead.parts[0].attempt, heir.parts[0].attempt), (1, 2));
    assert!(heir.proof.fence() > dead.proof.fence());
    let advance = test.ledger.advance(&dead.proof, &fabric("lab"), &Default::default()).await;
    assert!(matches!(advance, Err(Error::LeaseLost { .. })));
    assert!(matches!(test.ledger.renew(&dead.proof).await, Err(Error::LeaseLost { .. })));
    assert!(matches!(done(&test.ledger, &dead).await, Err(Error::LeaseLost { .. })));
    assert_eq!(dead.proof.left(), Duration::ZERO, "the proof is revoked");
    assert_eq!(state(&test.ledger, &job).await, JobState::Running);
    done(&test.ledger, &heir).await.unwrap();
    assert_eq!(state(&test.ledger, &job).await, JobState::Succeeded);
}

#[tokio::test]
async fn a_renewed_lease_outlives_its_first_length() {
    let test = TestLedger::open().await;
    accept(&test.ledger, &delivery("lab", updated(1))).await;
    test.clock.advance(QUIET);
    let claim = claim(&test.ledger).await;
    test.clock.advance(LEASE - SECOND * 31);
    test.ledger.renew(&claim.proof).await.unwrap();
    test.clock.advance(LEASE - SECOND * 31);

    assert!(nothing_is_due(&test.ledger).await);
    done(&test.ledger, &claim).await.unwrap();
}

#[tokio::test]
async fn a_batch_that_kills_every_worker_is_a_dead_letter() {
    let test = TestLedger::with(|options| options.retry.max_attempts = 3).await;
    let job = accept(&test.ledger, &delivery("lab", updated(1))).await;
    let other = accept(&test.ledger, &delivery("other", updated(1))).await;
    test.clock.advance(QUIET);
    for _ in 0..2 {
        let claim = claim(&test.ledger).await;
        if claim.parts[0].fabric == fabric("other") {
            done(&test.ledger, &claim).await.unwrap();
        }
    }
    for _ in 0..2 {
        test.clock.advance(LEASE);
        claim(&test.ledger).await;
    }
    test.clock.advance(LEASE);

    assert!(nothing_is_due(&test.ledger).await);
    let dead = test.ledger.job(&job).await.unwrap().unwrap();
    assert_eq!(dead.state, JobState::Dead);
    assert_eq!(dead.parts[0].error.as_ref().unwrap().code, "worker_died");
    assert_eq!(state(&test.ledger, &other).await, JobState::Succeeded);
    assert!(is_at_rest(&test.ledger).await);
}

#[tokio::test]
async fn a_busy_target_does_not_starve_another() {
    let test = TestLedger::with(|options| options.debounce.max_changes = 10).await;
    for n in 0..200 {
        accept(&test.ledger, &delivery("busy", updated(n))).await;
    }
    accept(&test.ledger, &delivery("quiet", updated(1))).await;
    test.clock.advance(QUIET);

    let mut turns = 0;
    loop {
        let claim = claim(&test.ledger).await;
        turns += 1;
        for n in 0..10 {
            accept(&test.ledger, &delivery("busy", updated(1_000 * turns + n))).await;
        }
        done(&test.ledger, &claim).await.unwrap();
        if claim.proof.target() == &target("quiet") {
            break;
        }
        assert!(turns < 3, "the busy target was served {turns} times before the quiet one");
    }
}

#[tokio::test]
async fn twenty_claimers_never_share_a_target() {
    let test = TestLedger::open().await;
    for n in 0..40 {
        accept(&test.ledger, &delivery(&format!("fabric-{n}"), updated(n))).await;
    }
    test.clock.advance(QUIET);

    let mut claimers = tokio::task::JoinSet::new();
    for n in 0..20 {
        let ledger = test.ledger.clone();
        claimers.spawn(async move {
            let mut mine = Vec::new();
            while let Some(claim) = ledger.claim(&format!("worker-{n}")).await.unwrap() {
                mine.push(claim.proof.target().to_string());
            }
            mine
        });
    }
    let all: Vec<String> = claimers.join_all().await.concat();

    assert_eq!(all.len(), 40);
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 40, "{all:?}");
}

#[tokio::test]
async fn nine_thousand_pending_changes_and_jobs_go_through() {
    let test = TestLedger::with(|options| options.debounce.max_changes = 100_000).await;
    let changes = (0..9_000).map(|n| (fabric("lab"), target("lab"), updated(n))).collect();
    accept(&test.ledger, &Accept { changes, ..delivery("lab", updated(0)) }).await;
    for n in 0..9_000 {
        accept(&test.ledger, &delivery("lab", updated(n))).await;
    }
    test.clock.advance(QUIET);

    let first = claim(&test.ledger).await;
    assert_eq!((first.parts[0].changes.len(), first.parts[0].jobs.len()), (9_000, 9_001));
    settle(&test.ledger, &first, &transient()).await.unwrap();
    test.clock.advance(QUIET);
    let second = claim(&test.ledger).await;
    done(&test.ledger, &second).await.unwrap();

    assert_eq!(second.parts[0].changes.len(), 9_000);
    assert!(is_at_rest(&test.ledger).await);
}

#[tokio::test]
async fn next_due_tells_the_time_to_wait() {
    let test = TestLedger::open().await;
    assert_eq!(test.ledger.next_due().await.unwrap(), None);
    accept(&test.ledger, &delivery("lab", updated(1))).await;

    let wait = test.ledger.next_due().await.unwrap().unwrap();
    test.clock.advance(wait);

    assert!(wait > SECOND && wait <= SECOND * 2, "{wait:?}");
    assert_eq!(test.ledger.next_due().await.unwrap(), Some(Duration::ZERO));
    claim(&test.ledger).await;
}

#[tokio::test]
async fn a_fabric_that_moved_to_another_target_takes_its_changes_along() {
    let test = TestLedger::open().await;
    accept(&test.ledger, &delivery("lab", updated(1))).await;
    let changes = vec![(fabric("lab"), target("new-home"), updated(2))];
    accept(&test.ledger, &Accept { changes, ..delivery("lab", updated(2)) }).await;
    test.clock.advance(QUIET);

    let claim = claim(&test.ledger).await;

    assert_eq!(claim.proof.target(), &target("new-home"));
    assert_eq!(claim.parts[0].changes.len(), 2);
    assert!(nothing_is_due(&test.ledger).await);
}
