//! Contradictions, what people decide, and edits that were overwritten.

use fgd_sync::domain::conflict::{Choice, Conflict, Content, Documents, LostEdit, NetBoxVersion, Resolution};
use fgd_sync::domain::digest::Digest;
use fgd_sync::domain::fate::Reason;
use fgd_sync::ledger::conflicts::ConflictRecord;
use fgd_sync::ledger::types::{Advance, Millis};
use serde_json::json;

use super::remembering::{advance, at_work};
use super::*;

fn found() -> (ConflictRecord, Documents) {
    let netbox = NetBoxVersion {
        id: 7,
        last_updated: Some("2026-11-21T08:00:00.123456Z".to_owned()),
        changed_by: BTreeSet::from(["ann".to_owned()]),
        digest: Digest::of(&json!(1)),
    };
    let conflict = Conflict {
        reason: Reason::new("changed_on_both_sides", "resolve it"),
        paths: vec!["/spec/a".to_owned()],
        base: None,
        git: None,
        netbox: Some(netbox),
    };
    let document = json!({"spec": {"a": 1.0}}).as_object().unwrap().clone();
    let documents = Documents { netbox: Some(Content::Document(document)), ..Documents::default() };
    (ConflictRecord { since: Millis(5), conflict }, documents)
}

fn resolution(choice: Choice) -> Resolution {
    Resolution { choice, git: None, netbox: Some(Digest::of(&json!(1))), by: "kim".to_owned() }
}

#[tokio::test]
async fn a_conflict_is_kept_with_its_documents_until_it_is_over() {
    let test = TestLedger::open().await;
    let claim = at_work(&test).await;
    let (record, documents) = found();

    let conflicts = BTreeMap::from([(key("web"), Some((record.clone(), documents.clone())))]);
    let memory = advance(&test, &claim, &Advance { conflicts, ..Advance::default() }).await;

    let known = BTreeMap::from([(key("web"), record.clone())]);
    assert_eq!((&memory.conflicts, &test.ledger.conflicts(&fabric("lab")).await.unwrap()), (&known, &known));
    let shown = test.ledger.conflict(&fabric("lab"), &key("web")).await.unwrap();
    assert_eq!(shown, Some((record, documents, None)));
    assert!(memory.now.0 > 5);

    let conflicts = BTreeMap::from([(key("web"), None)]);
    advance(&test, &claim, &Advance { conflicts, ..Advance::default() }).await;

    assert_eq!(test.ledger.conflict(&fabric("lab"), &key("web")).await.unwrap(), None);
}

#[tokio::test]
async fn a_decision_is_forgotten_once_answered_but_not_one_that_came_since() {
    let test = TestLedger::open().await;
    let claim = at_work(&test).await;
    let lab = fabric("lab");
    let document = json!({"spec": {"a": 1e3, "b": "\u{e9}"}}).as_object().unwrap().clone();
    let (first, second) = (resolution(Choice::Merged { document }), resolution(Choice::Netbox));
    test.ledger.resolve(&lab, &key("web"), &first).await.unwrap();
    let seen = test.ledger.memory(&lab).await.unwrap().resolutions;
    assert_eq!(seen, BTreeMap::from([(key("web"), first)]));

    test.ledger.resolve(&lab, &key("web"), &second).await.unwrap();
    let memory = advance(&test, &claim, &Advance { answered: seen, ..Advance::default() }).await;
    assert_eq!(memory.resolutions, BTreeMap::from([(key("web"), second)]));

    let memory = advance(&test, &claim, &Advance { answered: memory.resolutions, ..Advance::default() }).await;
    assert!(memory.resolutions.is_empty());
}

#[tokio::test]
async fn a_lost_edit_is_kept_until_somebody_has_dealt_with_it() {
    let test = TestLedger::open().await;
    let claim = at_work(&test).await;
    let lost = LostEdit {
        id: 7,
        by: Some("bob".to_owned()),
        digest: Digest::of(&json!(1)),
        content: Content::TooLarge { bytes: 70_000 },
    };

    let told = Advance { lost: BTreeMap::from([(key("web"), Some(lost.clone()))]), ..Advance::default() };
    assert_eq!(advance(&test, &claim, &told).await.lost, BTreeMap::from([(key("web"), lost)]));

    let over = Advance { lost: BTreeMap::from([(key("web"), None)]), ..Advance::default() };
    assert!(advance(&test, &claim, &over).await.lost.is_empty());
}
