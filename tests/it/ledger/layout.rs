//! Versions side by side on one ledger.

use super::*;
use fgd_sync::domain::digest::Digest;
use fgd_sync::domain::fate::Reason;
use fgd_sync::domain::names::Oid;
use fgd_sync::domain::path::RepoPath;
use fgd_sync::domain::row::{Base, BaseUpdate, GitBase, Intent, NetBoxBase};
use fgd_sync::ledger::types::Advance;
use fgd_sync::ledger::{Clock, Options};
use serde_json::{Value, json};

/// Opens the ledger again with this layout written in it; the words of the refusal, and what is written afterwards.
async fn opened_with(layout: &str) -> (String, String) {
    let test = TestLedger::open().await;
    let mut connection = test.server.connect().await;
    ::redis::cmd("HSET").arg("{fgd}:meta").arg("layout").arg(layout).exec_async(&mut connection).await.unwrap();
    let options: Options = test.server.options();

    let refused = Ledger::open(options, Clock::default()).await.expect_err("another layout").to_string();

    let left = ::redis::cmd("HGET").arg("{fgd}:meta").arg("layout").query_async(&mut connection).await.unwrap();
    (refused, left)
}

#[tokio::test]
async fn another_layout_is_refused_with_what_to_do_and_left_alone() {
    let (newer, left) = opened_with("2").await;
    assert_eq!(
        newer,
        "the ledger has layout 2, and this version works on layout 1: a newer version of fgd-sync wrote it: start that \
         version here, too"
    );
    assert_eq!(left, "2");

    assert!(opened_with("0").await.0.contains("an older version of fgd-sync wrote it: stop its replicas"));
    assert!(opened_with("x").await.0.contains("fgd-sync did not write it"));
}

#[tokio::test]
async fn a_replica_of_the_same_layout_joins_and_sees_the_same_ledger() {
    let test = TestLedger::open().await;
    let job = accept(&test.ledger, &delivery("lab", updated(1))).await;

    let other = Ledger::open(test.server.options(), test.clock.clone()).await.unwrap();

    assert_eq!(other.id(), test.ledger.id());
    assert_eq!(state(&other, &job).await, JobState::Queued);
}

/// Adds a field that this version does not know to every record, as a later version of the same layout would.
async fn add_a_later_versions_fields(test: &TestLedger) -> usize {
    let mut connection = test.server.connect().await;
    let keys: Vec<String> = ::redis::cmd("KEYS").arg("*").query_async(&mut connection).await.unwrap();
    let mut count = 0;
    for key in keys {
        let kind: String = ::redis::cmd("TYPE").arg(&key).query_async(&mut connection).await.unwrap();
        if kind != "hash" {
            continue;
        }
        let fields: BTreeMap<String, String> =
            ::redis::cmd("HGETALL").arg(&key).query_async(&mut connection).await.unwrap();
        for (field, text) in fields {
            if let Ok(Value::Object(mut record)) = serde_json::from_str::<Value>(&text) {
                record.insert("of_a_later_version".to_owned(), json!({"a": [1]}));
                let text = Value::Object(record).to_string();
                ::redis::cmd("HSET").arg(&key).arg(field).arg(text).exec_async(&mut connection).await.unwrap();
                count += 1;
            }
        }
    }
    count
}

#[tokio::test]
async fn what_a_later_version_of_the_same_layout_adds_to_a_record_is_passed_over() {
    let test = TestLedger::open().await;
    let job = accept(&test.ledger, &delivery("lab", updated(1))).await;
    test.clock.advance(QUIET);
    let work = claim(&test.ledger).await;
    let digest = Digest::of(&json!(1));
    let base = Base {
        git: Some(GitBase {
            path: RepoPath::new("lab/managed/vpcs/web.yaml").unwrap(),
            blob: Oid::of_blob(b"text"),
            digest: digest.clone(),
            shared: digest.clone(),
        }),
        netbox: Some(NetBoxBase { id: 1, digest: digest.clone(), last_updated: "2026-11-21T08:00:00Z".to_owned() }),
    };
    let intent = Intent {
        key: key("db"),
        id: None,
        from: None,
        to: Some(digest),
        source: None,
        merged: None,
        restores_base: false,
    };
    let told = Advance {
        base: vec![BaseUpdate { key: key("web"), base: Some(base), clears_intent: true }],
        intents: vec![intent],
        held: BTreeMap::from([(key("web"), Some(Reason::new("conflict", "changed on both sides")))]),
        ..Advance::default()
    };
    test.ledger.advance(&work.proof, &fabric("lab"), &told).await.unwrap();
    let before = test.ledger.memory(&fabric("lab")).await.unwrap();

    assert!(add_a_later_versions_fields(&test).await >= 6);

    let after = test.ledger.memory(&fabric("lab")).await.unwrap();
    assert_eq!((&after.base, &after.intents, &after.held), (&before.base, &before.intents, &before.held));
    assert_eq!(state(&test.ledger, &job).await, JobState::Running);
    settle(&test.ledger, &work, &transient()).await.unwrap();
    test.clock.advance(LEASE);
    assert_eq!(claim(&test.ledger).await.parts[0].changes, [updated(1)]);
}
