use super::*;
use fgd_sync::ledger::types::{Advance, FabricStanding};

async fn standing(test: &TestLedger, name: &str) -> FabricStanding {
    let (fabric, target) = (fabric(name), target(name));
    test.ledger.standings(&[(&fabric, &target)]).await.unwrap().remove(0)
}

#[tokio::test]
async fn fabrics_stand_in_the_order_asked_and_an_unknown_one_stands_empty() {
    let test = TestLedger::open().await;
    accept(&test.ledger, &delivery("b", updated(1))).await;
    let names = ["a", "b", "c"].map(|name| (fabric(name), target(name)));
    let asked: Vec<_> = names.iter().map(|(fabric, target)| (fabric, target)).collect();

    let standings = test.ledger.standings(&asked).await.unwrap();

    assert_eq!(standings.iter().map(|each| each.pending_changes).collect::<Vec<_>>(), [0, 1, 0]);
    assert_eq!(standings[0], FabricStanding::default());
}

#[tokio::test]
async fn a_standing_counts_what_waits_and_knows_since_when() {
    let test = TestLedger::open().await;
    let first = accept(&test.ledger, &delivery("lab", updated(1))).await;
    let accepted = test.ledger.job(&first).await.unwrap().unwrap().created;
    test.clock.advance(QUIET);
    let claim = claim(&test.ledger).await;
    accept(&test.ledger, &delivery("lab", updated(2))).await;

    let at_work = standing(&test, "lab").await;
    assert_eq!((at_work.pending_changes, at_work.oldest_pending), (2, Some(accepted)));

    let held = Some(fgd_sync::domain::fate::Reason::new("both_changed", "it differs"));
    let held = BTreeMap::from([(key("a"), held)]);
    let advance = Advance { held, guarded: Some(BTreeSet::from([key("b")])), ..Advance::default() };
    test.ledger.advance(&claim.proof, &fabric("lab"), &advance).await.unwrap();
    let commit: fgd_sync::domain::names::Oid = "ce013625030ba8dba906f756967f9e9ca394464a".parse().unwrap();
    let report = FabricReport { commit: Some(commit.clone()), ..*report(&claim, &fabric("lab")) };
    let parts = vec![(fabric("lab"), PartOutcome::Done { report: Box::new(report), held: true })];
    test.ledger
        .settle(&claim.proof, &claim.run, &Settlement { parts, head: Some(commit.clone().into()) })
        .await
        .unwrap();

    let settled = standing(&test, "lab").await;
    assert_eq!((settled.pending_changes, settled.held, settled.guarded, settled.dead_letters), (1, 1, 1, 0));
    assert_eq!((settled.head.as_ref(), settled.commit.as_ref().map(|(oid, _)| oid)), (Some(&commit), Some(&commit)));
    assert!(settled.lag.unwrap() >= QUIET && settled.last_sync.is_some());
}

#[tokio::test]
async fn a_standing_counts_dead_letters_and_says_what_is_wrong() {
    let test = TestLedger::with(|options| options.retry.max_attempts = 1).await;
    accept(&test.ledger, &delivery("lab", updated(1))).await;
    test.clock.advance(QUIET);
    settle(&test.ledger, &claim(&test.ledger).await, &transient()).await.unwrap();

    let standing = standing(&test, "lab").await;

    assert_eq!((standing.dead_letters, standing.error), (1, Some(error("netbox_unavailable"))));
    assert_eq!(standing.oldest_pending, None);
}
