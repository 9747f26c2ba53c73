use super::*;
use fgd_sync::domain::change::{Change, ObjectEvent};
use fgd_sync::domain::key::ObjectId;
use fgd_sync::domain::kind::Kind;
use fgd_sync::domain::names::NetBoxName;
use fgd_sync::ledger::types::{Accept, Origin};
use futures::future::join_all;

use crate::receive::service::fabric;

const JOBS: u64 = 100_000;
/// Objects that the deliveries are about, so that a batch stays a batch.
const OBJECTS: u64 = 300;
/// As many at a time as Redis has in its pipe.
const AT_ONCE: u64 = 500;

fn delivery(n: u64) -> Accept {
    let fabric =
        [fabric("lab-fabric", "main", "lab"), fabric("far-fabric", "prod", "second")][(n % 2) as usize].clone();
    let change = Change::Object {
        netbox: fabric.netbox.clone(),
        object: ObjectId { kind: Kind::new("VPC"), id: n % OBJECTS },
        event: ObjectEvent::Updated,
        cascade: false,
        user: None,
    };
    let origin = Origin::NetboxDelivery {
        netbox: NetBoxName::new("lab").to_string(),
        object: format!("netbox_hedgehog.vpc#{n}"),
        event: "updated".to_owned(),
        request: String::new(),
        user: None,
    };
    Accept { origin, dedupe: None, changes: vec![(fabric.name, fabric.target, change)], at_once: false }
}

/// All commands that Redis has carried out, also those of scripts.
async fn commands(redis: &mut redis::aio::MultiplexedConnection) -> u64 {
    let stats: String = redis::cmd("INFO").arg("commandstats").query_async(redis).await.unwrap();
    let calls = stats.lines().filter_map(|line| line.split_once("calls=")?.1.split_once(',')?.0.parse::<u64>().ok());
    calls.sum()
}

#[tokio::test]
async fn answers_stay_small_and_cheap_with_a_hundred_thousand_jobs() {
    let service = service().await;
    for first in (0..JOBS).step_by(AT_ONCE as usize) {
        let some: Vec<_> = (first..first + AT_ONCE).map(delivery).collect();
        let accepted = join_all(some.iter().map(|accept| service.test.ledger.accept(accept))).await;
        assert!(accepted.into_iter().all(|accepted| accepted.is_ok()));
    }
    service.drain().await;
    let mut redis = service.test.server.connect().await;
    let total: u64 = redis::cmd("ZCARD").arg("{fgd}:jobs:state:succeeded").query_async(&mut redis).await.unwrap();
    assert_eq!(total, JOBS);
    let page = service.read("/api/v1/jobs?limit=1").await.body;
    let (job, run) = (page["jobs"][0]["id"].as_str().unwrap(), page["jobs"][0]["parts"][0]["run"].as_str().unwrap());

    for (path, most_commands, most_bytes) in [
        ("/api/v1/jobs".to_owned(), 70, 40_000),
        ("/api/v1/jobs?state=succeeded&fabric=far-fabric&limit=200".to_owned(), 220, 160_000),
        (format!("/api/v1/jobs?cursor={job}&limit=50"), 70, 40_000),
        ("/api/v1/jobs?state=held".to_owned(), 20, 1_000),
        ("/api/v1/jobs?since=1".to_owned(), 70, 40_000),
        (format!("/api/v1/jobs/{job}"), 20, 2_000),
        ("/api/v1/runs".to_owned(), 70, 40_000),
        (format!("/api/v1/runs/{run}"), 20, 4_000),
        ("/api/v1/fabrics".to_owned(), 60, 4_000),
        ("/api/v1/fabrics/far-fabric".to_owned(), 60, 4_000),
        ("/api/v1/dead-letters".to_owned(), 20, 1_000),
        ("/api/v1/deliveries".to_owned(), 20, 40_000),
        ("/api/v1/deliveries?outcome=ignored".to_owned(), 20, 1_000),
    ] {
        let before = commands(&mut redis).await;
        let answer = service.get(&path).bearer_auth(TOKEN).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200, "{path}");
        let bytes = answer.bytes().await.unwrap().len();
        // The second look counts itself, and the first was not yet counted.
        let asked = commands(&mut redis).await - before - 1;

        println!("{path}: {asked} commands, {bytes} bytes");
        assert!(asked <= most_commands, "{path} cost {asked} commands");
        assert!(bytes <= most_bytes, "{path} answered {bytes} bytes");
    }
}
