use super::*;
use fgd_sync::domain::digest::Digest;
use fgd_sync::domain::fate::{DocumentId, Fate, Reason};
use fgd_sync::domain::names::Oid;
use fgd_sync::domain::path::RepoPath;
use fgd_sync::domain::row::{Base, BaseUpdate, GitBase, Intent, NetBoxBase};
use fgd_sync::ledger::types::{Advance, FabricMemory};

pub(super) async fn at_work(test: &TestLedger) -> Claim {
    accept(&test.ledger, &delivery("lab", updated(1))).await;
    test.clock.advance(QUIET);
    claim(&test.ledger).await
}

pub(super) async fn advance(test: &TestLedger, claim: &Claim, advance: &Advance) -> FabricMemory {
    test.ledger.advance(&claim.proof, &fabric("lab"), advance).await.unwrap();
    test.ledger.memory(&fabric("lab")).await.unwrap()
}

fn base(id: u64) -> Base {
    let digest = Digest::of(&serde_json::json!({ "id": id }));
    Base {
        git: Some(GitBase {
            path: RepoPath::new(&format!("fabrics/lab/managed/vpcs/default-{id}.yaml")).unwrap(),
            blob: Oid::of_blob(b"text"),
            digest: digest.clone(),
            shared: digest.clone(),
        }),
        netbox: Some(NetBoxBase { id, digest, last_updated: "2026-11-21T08:00:00.123456Z".to_owned() }),
    }
}

fn known(name: &str, id: u64) -> BaseUpdate {
    BaseUpdate { key: key(name), base: Some(base(id)), clears_intent: true }
}

fn intent(name: &str) -> Intent {
    Intent {
        key: key(name),
        id: None,
        from: None,
        to: Some(Digest::of(&serde_json::json!(1))),
        source: None,
        merged: None,
        restores_base: false,
    }
}

fn document(index: usize) -> DocumentId {
    DocumentId { path: RepoPath::new("fabrics/lab/raw/a.yaml").unwrap(), blob: Oid::of_blob(b"a"), index, item: None }
}

#[tokio::test]
async fn a_fabric_remembers_what_its_runs_told() {
    let test = TestLedger::open().await;
    let claim = at_work(&test).await;
    let fate = Fate::Unmanaged { reason: Reason::new("empty", "nothing between the separators").at(3, 1) };
    let reason = Reason::new("conflict", "changed on both sides");

    let told = Advance {
        base: vec![known("web", 1)],
        intents: vec![intent("db")],
        remember: vec![(document(0), fate.clone()), (document(1), fate.clone())],
        held: BTreeMap::from([(key("a/b \"c\""), Some(reason.clone()))]),
        ..Advance::default()
    };
    let memory = advance(&test, &claim, &told).await;

    assert_eq!(*memory.base, BTreeMap::from([(key("web"), base(1))]));
    assert_eq!(memory.intents, BTreeMap::from([(key("db"), intent("db"))]));
    assert_eq!(memory.remembered, BTreeMap::from([(document(0), fate.clone()), (document(1), fate)]));
    assert_eq!(memory.held, BTreeMap::from([(key("a/b \"c\""), reason)]));
    let status = test.ledger.fabric_status(&fabric("lab")).await.unwrap();
    assert_eq!((status.objects, status.held), (1, memory.held));
}

#[tokio::test]
async fn what_is_over_is_forgotten() {
    let test = TestLedger::open().await;
    let claim = at_work(&test).await;
    let fate = Fate::Unmanaged { reason: Reason::new("empty", "nothing") };
    let told = Advance {
        base: vec![known("web", 1), known("db", 2)],
        intents: vec![intent("web"), intent("db")],
        remember: vec![(document(0), fate)],
        held: BTreeMap::from([(key("web"), Some(Reason::new("conflict", "both")))]),
        ..Advance::default()
    };
    advance(&test, &claim, &told).await;

    let over = Advance {
        base: vec![
            BaseUpdate { key: key("web"), base: None, clears_intent: true },
            BaseUpdate { key: key("db"), base: Some(base(3)), clears_intent: false },
        ],
        forget: vec![document(0)],
        held: BTreeMap::from([(key("web"), None)]),
        ..Advance::default()
    };
    let memory = advance(&test, &claim, &over).await;

    assert_eq!(*memory.base, BTreeMap::from([(key("db"), base(3))]));
    assert_eq!(memory.intents.keys().collect::<Vec<_>>(), [&key("db")]);
    assert!(memory.remembered.is_empty() && memory.held.is_empty());
}

#[tokio::test]
async fn ten_thousand_keys_are_remembered_in_one_step() {
    let test = TestLedger::open().await;
    let claim = at_work(&test).await;
    let base = (0..10_000).map(|n| known(&format!("vpc-{n}"), n)).collect();

    let memory = advance(&test, &claim, &Advance { base, ..Advance::default() }).await;

    assert_eq!(memory.base.len(), 10_000);
    assert_eq!(memory.base[&key("vpc-9999")], super::remembering::base(9_999));
}

#[tokio::test]
async fn a_confirmation_lets_exactly_the_guarded_deletions_go() {
    let test = TestLedger::open().await;
    let claim = at_work(&test).await;
    let guarded = Some(BTreeSet::from([key("a"), key("b")]));
    advance(&test, &claim, &Advance { guarded, ..Advance::default() }).await;

    let confirmed = test.ledger.confirm_deletions(&fabric("lab")).await.unwrap();
    let later = Advance { guarded: Some(BTreeSet::from([key("c")])), deleted: vec![key("a")], ..Advance::default() };
    let memory = advance(&test, &claim, &later).await;

    assert_eq!(confirmed, BTreeSet::from([key("a"), key("b")]));
    assert_eq!(memory.confirmed, BTreeSet::from([key("b")]));
    assert_eq!(memory.guarded, BTreeSet::from([key("c")]));
}

#[tokio::test]
async fn deletions_count_for_as_long_as_the_guards_window() {
    let test = TestLedger::with(|options| options.lease = Duration::from_secs(7_200)).await;
    let claim = at_work(&test).await;
    let two = Advance { deleted: vec![key("a"), key("b")], ..Advance::default() };
    assert_eq!(advance(&test, &claim, &two).await.recent_deletions, 2);
    test.clock.advance(Duration::from_secs(400));
    let one = Advance { deleted: vec![key("c")], ..Advance::default() };
    assert_eq!(advance(&test, &claim, &one).await.recent_deletions, 3);

    test.clock.advance(Duration::from_secs(300));
    let memory = test.ledger.memory(&fabric("lab")).await.unwrap();

    assert_eq!(memory.recent_deletions, 1);
}

#[tokio::test]
async fn the_permission_to_adopt_lasts_until_it_was_used() {
    let test = TestLedger::open().await;
    let claim = at_work(&test).await;
    test.ledger.allow_adoption(&fabric("lab")).await.unwrap();
    assert!(test.ledger.memory(&fabric("lab")).await.unwrap().adopt);

    let memory = advance(&test, &claim, &Advance { adopted: true, ..Advance::default() }).await;

    assert!(!memory.adopt);
}

#[tokio::test]
async fn fabric_rows_are_known_by_name_after_they_are_gone() {
    let test = TestLedger::open().await;
    let netbox = NetBoxName::new("main");
    test.ledger.learn_fabrics(&netbox, &BTreeMap::from([(1, "lab".to_owned()), (2, "prod".to_owned())])).await.unwrap();
    test.ledger.learn_fabrics(&netbox, &BTreeMap::from([(2, "production".to_owned())])).await.unwrap();

    assert_eq!(test.ledger.fabric_named(&netbox, 1).await.unwrap().as_deref(), Some("lab"));
    assert_eq!(test.ledger.fabric_named(&netbox, 2).await.unwrap().as_deref(), Some("production"));
    assert_eq!(test.ledger.fabric_named(&NetBoxName::new("other"), 1).await.unwrap(), None);
}
