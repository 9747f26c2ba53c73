use super::*;
use fgd_sync::ledger::types::{Intervention, JobFilter, Millis};

#[tokio::test]
async fn jobs_are_listed_newest_first_page_by_page() {
    let test = TestLedger::open().await;
    let mut all = Vec::new();
    for n in 0..25 {
        all.push(accept(&test.ledger, &delivery("lab", updated(n))).await);
    }
    all.reverse();

    let mut listed = Vec::new();
    let mut filter = JobFilter { limit: 10, ..JobFilter::default() };
    let mut pages = 0;
    loop {
        let page = test.ledger.jobs(&filter).await.unwrap();
        pages += 1;
        listed.extend(page.jobs.into_iter().map(|job| job.id));
        filter.after = page.next;
        if filter.after.is_none() {
            break;
        }
    }

    assert_eq!((listed, pages), (all, 3));
}

#[tokio::test]
async fn jobs_are_found_by_fabric_state_and_time() {
    let test = TestLedger::open().await;
    let a = accept(&test.ledger, &delivery("a", updated(1))).await;
    test.clock.advance(QUIET);
    done(&test.ledger, &claim(&test.ledger).await).await.unwrap();
    let since = test.ledger.job(&a).await.unwrap().unwrap().updated;
    test.clock.advance(SECOND);
    let a2 = accept(&test.ledger, &delivery("a", updated(1))).await;
    let b = accept(&test.ledger, &delivery("b", updated(1))).await;

    let find = async |filter: JobFilter| -> Vec<JobId> {
        test.ledger.jobs(&filter).await.unwrap().jobs.into_iter().map(|job| job.id).collect()
    };
    let any = JobFilter::default;

    assert_eq!(find(JobFilter { fabric: Some(fabric("a")), ..any() }).await, [a2.clone(), a.clone()]);
    assert_eq!(find(JobFilter { state: Some(JobState::Succeeded), ..any() }).await, [a]);
    assert_eq!(find(JobFilter { state: Some(JobState::Queued), ..any() }).await, [b.clone(), a2.clone()]);
    let queued_a = JobFilter { state: Some(JobState::Queued), fabric: Some(fabric("a")), ..any() };
    assert_eq!(find(queued_a).await, std::slice::from_ref(&a2));
    assert_eq!(find(JobFilter { since: Some(Millis(since.0 + 1)), ..any() }).await, [b, a2]);
    assert!(find(JobFilter { fabric: Some(fabric("nobody")), ..any() }).await.is_empty());
}

#[tokio::test]
async fn a_cancelled_jobs_changes_stay_while_another_job_waits() {
    let test = TestLedger::open().await;
    let first = accept(&test.ledger, &delivery("lab", updated(1))).await;
    let second = accept(&test.ledger, &delivery("lab", updated(2))).await;

    assert_eq!(test.ledger.cancel(&first).await.unwrap(), Intervention::Done);
    test.clock.advance(QUIET);
    let claim = claim(&test.ledger).await;

    assert_eq!(state(&test.ledger, &first).await, JobState::Cancelled);
    assert_eq!((claim.parts[0].changes.len(), &claim.parts[0].jobs[..]), (2, &[second][..]));
}

#[tokio::test]
async fn cancelling_the_last_job_leaves_nothing_pending() {
    let test = TestLedger::open().await;
    let job = accept(&test.ledger, &delivery("lab", updated(1))).await;

    test.ledger.cancel(&job).await.unwrap();

    assert!(is_at_rest(&test.ledger).await);
    assert_eq!(test.ledger.fabric_status(&fabric("lab")).await.unwrap().pending_changes, 0);
}

#[tokio::test]
async fn a_running_or_finished_job_is_not_cancelled_and_an_unknown_one_is_unknown() {
    let test = TestLedger::open().await;
    let job = accept(&test.ledger, &delivery("lab", updated(1))).await;
    test.clock.advance(QUIET);
    let claim = claim(&test.ledger).await;

    assert_eq!(test.ledger.cancel(&job).await.unwrap(), Intervention::NotNow(JobState::Running));
    done(&test.ledger, &claim).await.unwrap();
    assert_eq!(test.ledger.cancel(&job).await.unwrap(), Intervention::NotNow(JobState::Succeeded));
    assert_eq!(test.ledger.cancel(&JobId::new("nobody")).await.unwrap(), Intervention::Unknown);
    assert_eq!(test.ledger.replay(&JobId::new("nobody")).await.unwrap(), Intervention::Unknown);
}

#[tokio::test]
async fn finished_jobs_beyond_the_retention_are_forgotten_with_their_traces() {
    let test = TestLedger::with(|options| options.retention.most_jobs = 5).await;
    let mut jobs = Vec::new();
    for n in 0..8 {
        jobs.push(accept(&test.ledger, &delivery("lab", updated(n))).await);
        test.clock.advance(QUIET);
        done(&test.ledger, &claim(&test.ledger).await).await.unwrap();
    }
    let waiting = accept(&test.ledger, &delivery("lab", updated(1))).await;

    assert_eq!(test.ledger.job(&jobs[2]).await.unwrap(), None);
    assert!(test.ledger.job(&jobs[3]).await.unwrap().is_some());
    for filter in [JobFilter::default(), JobFilter { fabric: Some(fabric("lab")), ..JobFilter::default() }] {
        assert_eq!(test.ledger.jobs(&filter).await.unwrap().jobs.len(), 6);
    }
    test.clock.advance(Duration::from_secs(31 * 24 * 3_600));
    done(&test.ledger, &claim(&test.ledger).await).await.unwrap();
    let left = test.ledger.jobs(&JobFilter::default()).await.unwrap().jobs;
    assert_eq!(left.into_iter().map(|job| job.id).collect::<Vec<_>>(), [waiting]);
}

#[tokio::test]
async fn one_caller_gets_each_turn() {
    let test = TestLedger::open().await;
    let hour = Duration::from_secs(3_600);

    assert!(test.ledger.take_turn("compare lab", hour).await.unwrap());
    assert!(!test.ledger.take_turn("compare lab", hour).await.unwrap());
    assert!(test.ledger.take_turn("poll lab", hour).await.unwrap());
    test.clock.advance(hour);
    assert!(test.ledger.take_turn("compare lab", hour).await.unwrap());
}
