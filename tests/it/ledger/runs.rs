use super::*;
use fgd_sync::domain::names::RunId;
use fgd_sync::ledger::types::{AskedBy, Run, RunFilter, RunOutcome};

async fn run(ledger: &Ledger, id: &RunId) -> Run {
    ledger.run(id).await.unwrap().expect("the run is known")
}

#[tokio::test]
async fn a_run_tells_what_it_works_on_and_how_it_ended() {
    let test = TestLedger::open().await;
    let job = accept(&test.ledger, &delivery("lab", updated(1))).await;
    accept(&test.ledger, &delivery("lab", updated(2))).await;
    test.clock.advance(QUIET);
    let claim = claim(&test.ledger).await;

    let begun = run(&test.ledger, &claim.run).await;
    assert_eq!((&begun.target, begun.worker.as_str(), begun.ended), (&target("lab"), "worker", None));
    assert_eq!(begun.closed_because, ClosedBecause::Quiet);
    let part = &begun.parts[0];
    assert_eq!((part.outcome, part.attempt, part.changes, part.all_jobs), (RunOutcome::Running, 1, 2, 2));
    assert_eq!(part.jobs[0], job);

    test.clock.advance(SECOND);
    let commit: fgd_sync::domain::names::Oid = "ce013625030ba8dba906f756967f9e9ca394464a".parse().unwrap();
    let counts = Counts { git_written: 2, ..Counts::default() };
    let report = FabricReport { commit: Some(commit.clone()), counts, ..*report(&claim, &fabric("lab")) };
    let parts = vec![(fabric("lab"), PartOutcome::Done { report: Box::new(report), held: true })];
    let settlement = Settlement { parts, head: Some(commit.clone().into()) };
    test.ledger.settle(&claim.proof, &claim.run, &settlement).await.unwrap();

    let ended = run(&test.ledger, &claim.run).await;
    assert!(ended.ended.unwrap().0 >= ended.started.0 + 1_000);
    assert_eq!(ended.head, Some(commit.clone()));
    let part = &ended.parts[0];
    assert_eq!((part.outcome, &part.commit, part.all_jobs), (RunOutcome::Held, &Some(commit), 2));
    assert_eq!(part.counts.as_ref().unwrap().git_written, 2);
    let lag = part.lag.unwrap();
    assert!(lag >= QUIET + SECOND && lag < QUIET + SECOND * 30, "{lag:?}");
    assert_eq!(part.asked_by, Some(AskedBy::NetboxDelivery));
}

#[tokio::test]
async fn each_way_to_end_is_told() {
    let test = TestLedger::with(|options| options.retry.max_attempts = 2).await;
    let outcomes = [
        (transient(), RunOutcome::Transient),
        (PartOutcome::WaitUntil { after: SECOND, error: error("rate_limited") }, RunOutcome::Wait),
        (PartOutcome::Stalled { error: error("denied") }, RunOutcome::Stalled),
        (PartOutcome::Returned, RunOutcome::Returned),
    ];
    for (n, (outcome, told)) in outcomes.into_iter().enumerate() {
        let name = format!("fabric-{n}");
        accept(&test.ledger, &Accept { at_once: true, ..delivery(&name, updated(1)) }).await;
        let claim = claim(&test.ledger).await;
        assert_eq!(claim.parts[0].fabric, fabric(&name));

        settle(&test.ledger, &claim, &outcome).await.unwrap();

        let part = run(&test.ledger, &claim.run).await.parts.remove(0);
        assert_eq!((part.outcome, part.error.is_some()), (told, told != RunOutcome::Returned), "{outcome:?}");
        if told == RunOutcome::Returned {
            done(&test.ledger, &super::claim(&test.ledger).await).await.unwrap();
        }
    }
    test.clock.advance(SECOND * 3);
    let mut last = None;
    while let Some(claim) = test.ledger.claim("worker").await.unwrap() {
        if claim.parts[0].fabric == fabric("fabric-0") {
            last = Some(claim.run.clone());
            settle(&test.ledger, &claim, &transient()).await.unwrap();
        } else {
            done(&test.ledger, &claim).await.unwrap();
        }
    }
    assert_eq!(run(&test.ledger, &last.unwrap()).await.parts[0].outcome, RunOutcome::Dead);
}

#[tokio::test]
async fn a_run_whose_worker_died_is_lost_and_the_next_one_is_another_attempt() {
    let test = TestLedger::open().await;
    accept(&test.ledger, &delivery("lab", updated(1))).await;
    test.clock.advance(QUIET);
    let lost = claim(&test.ledger).await;
    test.clock.advance(LEASE);

    let heir = claim(&test.ledger).await;

    let lost = run(&test.ledger, &lost.run).await;
    assert_eq!((lost.parts[0].outcome, lost.ended.is_some()), (RunOutcome::Lost, true));
    assert_eq!(run(&test.ledger, &heir.run).await.parts[0].attempt, 2);
}

#[tokio::test]
async fn runs_are_listed_newest_first_by_fabric_and_forgotten_beyond_their_number() {
    let test = TestLedger::with(|options| options.retention.most_runs = 4).await;
    let mut all = Vec::new();
    for n in 0..6 {
        accept(&test.ledger, &delivery(["a", "b"][n % 2], updated(1))).await;
        test.clock.advance(QUIET);
        let claim = claim(&test.ledger).await;
        done(&test.ledger, &claim).await.unwrap();
        all.push(claim.run);
    }
    all.reverse();
    let list = async |filter: RunFilter| {
        let page = test.ledger.runs(&filter).await.unwrap();
        (page.runs.into_iter().map(|run| run.id).collect::<Vec<_>>(), page.next)
    };

    let first = list(RunFilter { limit: 3, ..RunFilter::default() }).await;
    assert_eq!(first, (all[..3].to_vec(), Some(all[2].clone())));
    let rest = list(RunFilter { limit: 3, after: first.1, ..RunFilter::default() }).await;
    assert_eq!(rest, (all[3..4].to_vec(), None));
    let of_a = list(RunFilter { limit: 3, fabric: Some(fabric("a")), ..RunFilter::default() }).await;
    assert_eq!(of_a, (vec![all[1].clone(), all[3].clone()], None));
    assert_eq!(test.ledger.run(&all[4]).await.unwrap(), None);
    assert_eq!(test.ledger.report(&all[4], &fabric("b")).await.unwrap(), None, "its report is gone with it");
    assert!(test.ledger.report(&all[3], &fabric("a")).await.unwrap().is_some());
}
