use super::*;
use fgd_sync::ledger::types::{Delivered, DeliveryFilter, Ignored};

#[tokio::test]
async fn an_accepted_delivery_is_a_queued_job_with_its_origin() {
    let test = TestLedger::open().await;

    let job = accept(&test.ledger, &delivery("lab", updated(1))).await;

    let job = test.ledger.job(&job).await.unwrap().unwrap();
    assert_eq!((job.state, job.origin, job.duplicates), (JobState::Queued, netbox_delivery(), 0));
    assert_eq!(job.parts.len(), 1);
    assert_eq!((&job.parts[0].fabric, &job.parts[0].target), (&fabric("lab"), &target("lab")));
}

#[tokio::test]
async fn a_repeated_delivery_points_to_the_first_job_and_changes_nothing() {
    let test = TestLedger::open().await;
    let once = Accept { dedupe: Some("VPC#1 updated r1".to_owned()), ..delivery("lab", updated(1)) };
    let first = accept(&test.ledger, &once).await;
    test.clock.advance(QUIET);
    done(&test.ledger, &claim(&test.ledger).await).await.unwrap();

    let again = test.ledger.accept(&once).await.unwrap();

    assert!(again.duplicate && again.job == first);
    assert_eq!(test.ledger.job(&first).await.unwrap().unwrap().duplicates, 1);
    assert!(is_at_rest(&test.ledger).await);
}

#[tokio::test]
async fn different_deliveries_are_different_jobs_whose_ids_grow() {
    let test = TestLedger::open().await;
    let mut ids = Vec::new();

    for n in 0..50 {
        let accepted = Accept { dedupe: Some(format!("delivery {n}")), ..delivery("lab", updated(1)) };
        ids.push(accept(&test.ledger, &accepted).await);
    }

    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    assert!(ids.iter().all(|id| id.as_str().len() == 26));
}

fn github(delivery: &str) -> Accept {
    let origin = Origin::GithubDelivery {
        delivery: delivery.to_owned(),
        repository: "o/r".to_owned(),
        branch: "main".to_owned(),
        pusher: None,
    };
    let changes = vec![(fabric("lab"), target("lab"), Change::GitMoved)];
    Accept { origin, dedupe: Some(format!("github {delivery}")), changes, at_once: false }
}

#[tokio::test]
async fn a_redelivery_of_githubs_is_a_duplicate_once_its_job_succeeded() {
    let test = TestLedger::open().await;
    let first = accept(&test.ledger, &github("d1")).await;
    test.clock.advance(QUIET);
    done(&test.ledger, &claim(&test.ledger).await).await.unwrap();

    let again = test.ledger.accept(&github("d1")).await.unwrap();

    assert!(again.duplicate && again.job == first);
}

#[tokio::test]
async fn a_redelivery_of_githubs_is_new_work_when_its_job_died_or_was_cancelled() {
    let test = TestLedger::with(|options| options.retry.max_attempts = 1).await;
    let first = accept(&test.ledger, &github("d1")).await;
    test.clock.advance(QUIET);
    settle(&test.ledger, &claim(&test.ledger).await, &transient()).await.unwrap();
    assert_eq!(state(&test.ledger, &first).await, JobState::Dead);

    let second = test.ledger.accept(&github("d1")).await.unwrap();
    test.ledger.cancel(&second.job).await.unwrap();
    let third = test.ledger.accept(&github("d1")).await.unwrap();

    assert!(!second.duplicate && second.job != first);
    assert!(!third.duplicate && third.job != second.job);
}

#[tokio::test]
async fn a_deletion_is_final_for_its_id_and_keeps_every_user() {
    let test = TestLedger::open().await;
    let cascade = Change::Object {
        netbox: NetBoxName::new("main"),
        object: ObjectId { kind: Kind::new("VPC"), id: 7 },
        event: ObjectEvent::Deleted,
        cascade: true,
        user: Some("ann".to_owned()),
    };
    accept(&test.ledger, &delivery("lab", vpc(7, ObjectEvent::Created, Some("bob")))).await;
    accept(&test.ledger, &delivery("lab", cascade)).await;
    accept(&test.ledger, &delivery("lab", vpc(7, ObjectEvent::Updated, Some("bob")))).await;
    test.clock.advance(QUIET);

    let claim = claim(&test.ledger).await;

    let mut seen = BTreeSet::new();
    for change in &claim.parts[0].changes {
        let Change::Object { event, cascade, user, .. } = change else { panic!("{change:?}") };
        assert_eq!((*event, *cascade), (ObjectEvent::Deleted, true));
        seen.insert(user.clone().unwrap());
    }
    assert_eq!(seen, BTreeSet::from(["ann".to_owned(), "bob".to_owned()]));
    assert_eq!(claim.parts[0].jobs.len(), 3);
}

#[tokio::test]
async fn the_largest_id_and_every_kind_of_change_come_back_as_they_were() {
    let test = TestLedger::open().await;
    let resolved = Change::Resolution { key: key("web") };
    let row = vpc(u64::MAX, ObjectEvent::Created, None);
    let all = [row, Change::GitMoved, resolved, Change::Everything, Change::DryRun];
    for change in &all {
        accept(&test.ledger, &delivery("lab", change.clone())).await;
    }
    test.clock.advance(QUIET);

    let dry_run = claim(&test.ledger).await;
    done(&test.ledger, &dry_run).await.unwrap();
    let others = claim(&test.ledger).await;

    assert_eq!([&others.parts[0].changes[..], &dry_run.parts[0].changes[..]].concat(), all);
}

#[tokio::test]
async fn ledgers_with_different_prefixes_do_not_see_each_other() {
    let test = TestLedger::open().await;
    let mut options = test.server.options();
    options.prefix = "other".to_owned();
    let other = Ledger::open(options, test.clock.clone()).await.unwrap();
    let job = accept(&test.ledger, &delivery("lab", updated(1))).await;
    test.clock.advance(QUIET);

    assert!(nothing_is_due(&other).await);
    assert_eq!(other.job(&job).await.unwrap(), None);
    assert_ne!(other.id(), test.ledger.id());
}

#[tokio::test]
async fn every_key_carries_the_prefix_as_its_hash_tag() {
    let test = TestLedger::with(|options| options.retry.max_attempts = 2).await;
    for n in 0..2 {
        accept(&test.ledger, &Accept { dedupe: Some(n.to_string()), ..delivery("lab", updated(n)) }).await;
    }
    test.clock.advance(QUIET);
    settle(&test.ledger, &claim(&test.ledger).await, &transient()).await.unwrap();
    test.ledger.take_turn("poll", SECOND).await.unwrap();

    let keys: Vec<String> = ::redis::cmd("KEYS").arg("*").query_async(&mut test.server.connect().await).await.unwrap();

    assert!(keys.len() > 5 && keys.iter().all(|key| key.starts_with("{fgd}:")), "{keys:?}");
}

#[tokio::test]
async fn a_ledger_keeps_its_id() {
    let test = TestLedger::open().await;

    let again = Ledger::open(test.server.options(), test.clock.clone()).await.unwrap();

    assert_eq!(again.id(), test.ledger.id());
}

#[tokio::test]
async fn ignored_deliveries_are_listed_newest_first_and_bounded() {
    let test = TestLedger::open().await;
    for n in 0..1_005 {
        let subject = format!("o/r refs/tags/v{n}");
        let ignored = Ignored { sender: "github".to_owned(), subject, reason: "not a branch".to_owned() };
        test.ledger.ignore(&ignored).await.unwrap();
    }

    accept(&test.ledger, &delivery("lab", updated(1))).await;

    let list = async |ignored_only, after, limit| {
        test.ledger.deliveries(&DeliveryFilter { ignored_only, after, limit }).await.unwrap()
    };
    let ignored = list(true, None, 1_000).await;
    assert_eq!((ignored.deliveries.len(), &ignored.next), (1_000, &None));
    assert!(matches!(&ignored.deliveries[0].what, Delivered::Ignored(last) if last.subject == "o/r refs/tags/v1004"));
    let all = list(false, None, 2).await;
    assert!(matches!(&all.deliveries[0].what, Delivered::Accepted { duplicate: false, .. }), "{all:?}");
    assert!(all.deliveries[0].at >= all.deliveries[1].at);
    let rest = list(false, all.next, 1_000).await;
    assert!(matches!(&rest.deliveries[0].what, Delivered::Ignored(next) if next.subject == "o/r refs/tags/v1003"));
}

#[tokio::test]
async fn a_repeated_delivery_is_logged_with_the_first_ones_job() {
    let test = TestLedger::open().await;
    let once = Accept { dedupe: Some("d1".to_owned()), ..delivery("lab", updated(1)) };
    let job = accept(&test.ledger, &once).await;
    accept(&test.ledger, &once).await;
    let origin = Origin::Request { what: "sync".to_owned() };
    accept(&test.ledger, &Accept { origin, ..delivery("lab", Change::Everything) }).await;

    let logged = test.ledger.deliveries(&DeliveryFilter { limit: 10, ..DeliveryFilter::default() }).await.unwrap();

    let what: Vec<_> = logged.deliveries.into_iter().map(|delivery| delivery.what).collect();
    let accepted = |duplicate| Delivered::Accepted { origin: netbox_delivery(), job: job.clone(), duplicate };
    assert_eq!(what, [accepted(true), accepted(false)], "a request is no delivery");
}

#[tokio::test]
async fn a_server_that_is_gone_is_unavailable() {
    let TestLedger { ledger, server, .. } = TestLedger::open().await;
    drop(server);

    let accepted = ledger.accept(&delivery("lab", updated(1))).await;

    assert!(matches!(accepted, Err(Error::Unavailable { .. })), "{accepted:?}");
    assert!(matches!(ledger.claim("worker").await, Err(Error::Unavailable { .. })));
    assert!(matches!(ledger.can_record().await, Err(Error::Unavailable { .. })));
}

#[tokio::test]
async fn a_server_without_memory_refuses_a_delivery_whole() {
    let test = TestLedger::open().await;
    let mut connection = test.server.connect().await;
    let limit = async |connection: &mut ::redis::aio::MultiplexedConnection, bytes: u64| {
        ::redis::cmd("CONFIG").arg(("SET", "maxmemory", bytes)).exec_async(connection).await.unwrap();
    };
    limit(&mut connection, 1).await;

    let refused = test.ledger.accept(&delivery("lab", updated(1))).await;

    assert!(matches!(refused, Err(Error::Unavailable { .. })), "{refused:?}");
    limit(&mut connection, 0).await;
    assert!(is_at_rest(&test.ledger).await);
    assert!(test.ledger.jobs(&Default::default()).await.unwrap().jobs.is_empty());
}

#[tokio::test]
async fn a_prefix_that_would_break_the_hash_tag_is_refused() {
    let test = TestLedger::open().await;
    let mut options = test.server.options();
    options.prefix = "a}b".to_owned();

    let opened = Ledger::open(options, test.clock.clone()).await;

    assert!(matches!(opened, Err(Error::Settings { .. })), "{opened:?}");
}

#[tokio::test]
async fn no_message_repeats_a_password() {
    let url = secrecy::SecretString::from("redis://user:s3cret@127.0.0.1:1/x y");
    let options = fgd_sync::ledger::Options::new(fgd_sync::ledger::Connection::Url { url, ca_file: None });

    let opened = Ledger::open(options, Default::default()).await;

    assert!(!format!("{opened:?}").contains("s3cret"), "{opened:?}");
}

#[tokio::test]
async fn a_server_without_an_append_only_file_is_named_as_a_risk() {
    let test = TestLedger::open().await;

    let risks = test.ledger.durability().await.unwrap();

    assert!(risks.len() == 1 && risks[0].contains("appendonly"), "{risks:?}");
}

#[tokio::test]
async fn the_log_of_what_changed_keeps_its_newest_entries_only() {
    let test = TestLedger::open().await;
    let mut connection = test.server.connect().await;
    for _ in 0..25 {
        let mut pipe = ::redis::pipe();
        for _ in 0..1_000 {
            pipe.cmd("XADD").arg("{fgd}:events").arg("*").arg("kind").arg("fabric").ignore();
        }
        pipe.exec_async(&mut connection).await.unwrap();
    }

    accept(&test.ledger, &delivery("lab", updated(1))).await;

    let left: u64 = ::redis::cmd("XLEN").arg("{fgd}:events").query_async(&mut connection).await.unwrap();
    assert!((20_000..20_200).contains(&left), "{left} events are kept");
}
