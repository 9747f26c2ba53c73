//! Accepts that come at the same time are recorded by the same calls, and nobody can tell.

use super::*;
use futures::future::join_all;

fn of_row(number: u64) -> Accept {
    let change = vpc(number % 40, ObjectEvent::Updated, Some(["ann", "bob"][number as usize % 2]));
    let name = ["a", "b", "c"][number as usize % 3];
    Accept { dedupe: Some(format!("delivery {number}")), ..delivery(name, change) }
}

/// What a ledger has for its workers, by fabric: the changes, and how many jobs wait for them.
async fn claimed(test: &TestLedger) -> BTreeMap<FabricName, (Vec<Change>, usize)> {
    test.clock.advance(QUIET);
    let mut all = BTreeMap::new();
    while let Some(claim) = test.ledger.claim("worker").await.unwrap() {
        for part in &claim.parts {
            let mut changes = part.changes.clone();
            changes.sort();
            all.insert(part.fabric.clone(), (changes, part.jobs.len()));
        }
        done(&test.ledger, &claim).await.unwrap();
    }
    all
}

#[tokio::test]
async fn what_comes_together_is_what_comes_one_by_one() {
    let (together, one_by_one) = (TestLedger::open().await, TestLedger::open().await);
    let accepts: Vec<Accept> = (0..300).map(of_row).collect();

    join_all(accepts.iter().map(|each| accept(&together.ledger, each))).await;
    for each in &accepts {
        accept(&one_by_one.ledger, each).await;
    }

    let work = claimed(&together).await;
    assert_eq!(work, claimed(&one_by_one).await);
    assert_eq!(work.values().map(|(_, jobs)| jobs).sum::<usize>(), 300);
}

#[tokio::test]
async fn jobs_that_are_made_together_have_ids_of_their_own_later_than_those_before() {
    let test = TestLedger::open().await;
    let before = accept(&test.ledger, &delivery("a", updated(1))).await;
    let accepts: Vec<Accept> = (0..300).map(of_row).collect();

    let jobs = join_all(accepts.iter().map(|each| accept(&test.ledger, each))).await;

    assert_eq!(jobs.iter().collect::<BTreeSet<_>>().len(), 300);
    assert!(jobs.iter().all(|job| *job > before && job.as_str().len() == 26));
}

#[tokio::test]
async fn repeated_deliveries_that_come_together_have_one_job() {
    let test = TestLedger::open().await;
    let once = of_row(1);

    let accepted = join_all((0..100).map(|_| test.ledger.accept(&once))).await;

    let accepted: Vec<_> = accepted.into_iter().map(Result::unwrap).collect();
    assert_eq!(accepted.iter().map(|each| &each.job).collect::<BTreeSet<_>>().len(), 1);
    assert_eq!(accepted.iter().filter(|each| !each.duplicate).count(), 1);
    assert_eq!(test.ledger.job(&accepted[0].job).await.unwrap().unwrap().duplicates, 99);
    assert_eq!(claimed(&test).await.values().map(|(_, jobs)| jobs).sum::<usize>(), 1);
}

#[tokio::test]
async fn one_that_cannot_be_recorded_fails_alone_and_leaves_nothing() {
    let test = TestLedger::open().await;
    let mut redis = test.server.connect().await;
    ::redis::cmd("SET").arg("{fgd}:pending:bad").arg("not a hash").exec_async(&mut redis).await.unwrap();
    let bad = Accept { dedupe: Some("bad".to_owned()), ..delivery("bad", updated(1)) };
    let good: Vec<Accept> = (0..20).map(of_row).collect();

    let (refused, taken) =
        tokio::join!(test.ledger.accept(&bad), join_all(good.iter().map(|each| test.ledger.accept(each))));

    assert!(matches!(refused, Err(Error::Unavailable { .. })), "{refused:?}");
    assert!(taken.iter().all(Result::is_ok), "{taken:?}");
    ::redis::cmd("DEL").arg("{fgd}:pending:bad").exec_async(&mut redis).await.unwrap();
    assert!(!test.ledger.accept(&bad).await.unwrap().duplicate);
    let work = claimed(&test).await;
    assert_eq!(work[&fabric("bad")], (vec![updated(1)], 1));
    assert_eq!(work.values().map(|(_, jobs)| jobs).sum::<usize>(), 21);
}

#[tokio::test]
async fn more_targets_than_lua_takes_values_at_once_are_recorded_whole() {
    let test = TestLedger::open().await;
    let changes = (0..5_000).map(|n| (fabric(&format!("f{n}")), target("all"), Change::GitMoved)).collect();

    let job = accept(&test.ledger, &Accept { changes, ..delivery("a", updated(1)) }).await;

    assert_eq!(test.ledger.job(&job).await.unwrap().unwrap().parts.len(), 5_000);
}
