use super::*;
use fgd_sync::ledger::types::{Intervention, LetterEnd, LetterFilter, LettersEnded, Note};

/// Every failure is the last one.
async fn strict() -> TestLedger {
    TestLedger::with(|options| options.retry.max_attempts = 1).await
}

/// A job whose batch died of an error.
async fn dead(test: &TestLedger, name: &str, change: Change, code: &str) -> JobId {
    let job = accept(&test.ledger, &delivery(name, change)).await;
    test.clock.advance(QUIET);
    let claim = claim(&test.ledger).await;
    settle(&test.ledger, &claim, &PartOutcome::Transient { error: error(code) }).await.unwrap();
    assert_eq!(state(&test.ledger, &job).await, JobState::Dead);
    job
}

fn all() -> LetterFilter {
    LetterFilter { limit: 100, ..LetterFilter::default() }
}

fn discard(reason: &str) -> LetterEnd {
    LetterEnd::Discard(Note { by: "kim".to_owned(), reason: Some(reason.to_owned()) })
}

/// Fabrics of the letters that fit, newest first.
async fn listed(test: &TestLedger, filter: &LetterFilter) -> Vec<String> {
    let letters = test.ledger.dead_letters(filter).await.unwrap().letters;
    letters.into_iter().map(|letter| letter.id.fabric.to_string()).collect()
}

#[tokio::test]
async fn a_dead_letter_tells_what_it_was_to_look_at_and_what_it_died_of() {
    let test = strict().await;
    let job = accept(&test.ledger, &delivery("lab", updated(1))).await;
    accept(&test.ledger, &delivery("lab", vpc(2, ObjectEvent::Deleted, Some("admin")))).await;
    test.clock.advance(QUIET);
    let claim = claim(&test.ledger).await;

    settle(&test.ledger, &claim, &transient()).await.unwrap();

    let letters = test.ledger.dead_letters(&all()).await.unwrap().letters;
    assert_eq!(letters.len(), 1);
    let letter = &letters[0];
    assert_eq!((&letter.id.fabric, &letter.target, letter.attempts), (&fabric("lab"), &target("lab"), 1));
    assert_eq!(letter.changes, [updated(1), vpc(2, ObjectEvent::Deleted, Some("admin"))]);
    assert_eq!((letter.all_changes, letter.all_jobs, &letter.jobs[0]), (2, 2, &job));
    assert_eq!((&letter.error, &letter.run), (&error("netbox_unavailable"), &Some(claim.run.clone())));
}

#[tokio::test]
async fn a_letter_of_a_worker_that_died_names_its_last_run() {
    let test = strict().await;
    accept(&test.ledger, &delivery("lab", updated(1))).await;
    test.clock.advance(QUIET);
    let lost = claim(&test.ledger).await;
    test.clock.advance(LEASE);

    assert!(nothing_is_due(&test.ledger).await);

    let letters = test.ledger.dead_letters(&all()).await.unwrap().letters;
    assert_eq!((letters[0].error.code.as_str(), &letters[0].run), ("worker_died", &Some(lost.run)));
}

#[tokio::test]
async fn letters_are_listed_newest_first_by_fabric_and_code_in_pages() {
    let test = strict().await;
    for (name, code) in [("a", "x"), ("b", "x"), ("a", "y"), ("c", "y")] {
        dead(&test, name, updated(1), code).await;
    }

    assert_eq!(listed(&test, &all()).await, ["c", "a", "b", "a"]);
    assert_eq!(listed(&test, &LetterFilter { code: Some("x".to_owned()), ..all() }).await, ["b", "a"]);
    assert_eq!(listed(&test, &LetterFilter { fabric: Some(fabric("a")), ..all() }).await, ["a", "a"]);
    let one = LetterFilter { fabric: Some(fabric("a")), code: Some("y".to_owned()), ..all() };
    assert_eq!(listed(&test, &one).await, ["a"]);
    let mut filter = LetterFilter { limit: 3, ..all() };
    let page = test.ledger.dead_letters(&filter).await.unwrap();
    assert_eq!(page.letters.len(), 3);
    filter.after = page.next;
    assert_eq!(listed(&test, &filter).await, ["a"]);
    assert_eq!(test.ledger.dead_letters(&filter).await.unwrap().next, None);
}

#[tokio::test]
async fn a_discarded_letters_jobs_have_failed_and_tell_who_said_so() {
    let test = strict().await;
    let twin = accept(&test.ledger, &delivery("lab", updated(2))).await;
    let job = dead(&test, "lab", updated(1), "x").await;

    let done = test.ledger.end_letters_of(&job, &discard("the fabric is dismantled")).await.unwrap();

    assert_eq!(done, Intervention::Done);
    for id in [&job, &twin] {
        let failed = test.ledger.job(id).await.unwrap().unwrap();
        assert_eq!((failed.state, failed.parts[0].error.clone()), (JobState::Failed, Some(error("x"))));
        let note = failed.parts[0].discarded.clone().unwrap();
        assert_eq!((note.by.as_str(), note.reason.as_deref()), ("kim", Some("the fabric is dismantled")));
    }
    assert!(listed(&test, &all()).await.is_empty());
    assert!(is_at_rest(&test.ledger).await);
    assert_eq!(test.ledger.fabric_status(&fabric("lab")).await.unwrap().error, None);
    let again = test.ledger.end_letters_of(&job, &discard("")).await.unwrap();
    assert_eq!(again, Intervention::NotNow(JobState::Failed));
    assert_eq!(test.ledger.replay(&job).await.unwrap(), Intervention::NotNow(JobState::Failed));
}

#[tokio::test]
async fn letters_are_replayed_in_bulk_by_what_they_died_of() {
    let test = strict().await;
    dead(&test, "a", updated(1), "x").await;
    dead(&test, "b", updated(1), "y").await;
    dead(&test, "c", updated(1), "x").await;
    let filter = LetterFilter { code: Some("x".to_owned()), ..LetterFilter::default() };

    let ended = test.ledger.end_letters(&filter, &LetterEnd::Replay).await.unwrap();

    assert_eq!(ended, LettersEnded { letters: 2, jobs: 2, more: false });
    assert_eq!(listed(&test, &all()).await, ["b"]);
    let mut replayed = [claim(&test.ledger).await, claim(&test.ledger).await];
    replayed.sort_by_key(|claim| claim.parts[0].fabric.clone());
    assert_eq!(replayed[0].parts[0].fabric, fabric("a"));
    assert_eq!(replayed[1].parts[0].fabric, fabric("c"));
}

#[tokio::test]
async fn calling_off_the_last_dead_job_drops_the_letter() {
    let test = strict().await;
    let job = dead(&test, "lab", updated(1), "x").await;

    assert_eq!(test.ledger.cancel(&job).await.unwrap(), Intervention::Done);

    assert_eq!(state(&test.ledger, &job).await, JobState::Cancelled);
    assert!(listed(&test, &all()).await.is_empty());
}

#[tokio::test]
async fn many_that_succeed_push_no_dead_letter_out_and_age_does() {
    let test = TestLedger::with(|options| {
        options.retry.max_attempts = 1;
        options.retention.most_jobs = 3;
    })
    .await;
    let job = dead(&test, "lab", updated(1), "x").await;
    for n in 0..6 {
        accept(&test.ledger, &delivery("other", updated(n))).await;
        test.clock.advance(QUIET);
        done(&test.ledger, &claim(&test.ledger).await).await.unwrap();
    }
    assert_eq!(listed(&test, &all()).await, ["lab"]);
    assert_eq!(state(&test.ledger, &job).await, JobState::Dead);

    test.clock.advance(Duration::from_secs(31 * 24 * 3_600));
    accept(&test.ledger, &delivery("other", updated(1))).await;
    test.clock.advance(QUIET);
    done(&test.ledger, &claim(&test.ledger).await).await.unwrap();

    assert!(listed(&test, &all()).await.is_empty());
    assert_eq!(test.ledger.job(&job).await.unwrap(), None);
    let left: Vec<String> =
        ::redis::cmd("KEYS").arg("*dead*").query_async(&mut test.server.connect().await).await.unwrap();
    assert_eq!(left, Vec::<String>::new());
}
