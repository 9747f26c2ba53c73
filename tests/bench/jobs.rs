//! The status API on a ledger full of finished jobs, beside one with a page of them.

use futures::stream::{self, StreamExt, TryStreamExt};
use secrecy::SecretString;

use fgd_sync::domain::change::{Change, ObjectEvent};
use fgd_sync::domain::key::ObjectId;
use fgd_sync::domain::kind::Kind;
use fgd_sync::domain::names::{BranchName, FabricName, NetBoxName, RepoName, Target};
use fgd_sync::domain::report::FabricReport;
use fgd_sync::ledger::types::{Accept, Claim, Origin, PartOutcome, Settlement};
use fgd_sync::ledger::{self, Clock, Connection, Ledger};

use crate::load::{self, Request};
use crate::redis::Redis;
use crate::stats::Spread;
use crate::support::process::Failure;
use crate::table::{Goal, Line, short};
use crate::world::{API_TOKEN, BRANCH, Shape, World, fabric_name, scratch};

/// As many as the ledger keeps.
const FULL: usize = 100_000;
/// Enough for every page that is asked for.
const FEW: usize = 200;
/// Accepted and settled together.
const BATCH: usize = 500;
const ROUNDS: usize = 5;
const REQUESTS: usize = 300;

/// The pages that people and dashboards ask for.
pub async fn run() -> Result<Vec<Line>, Failure> {
    let few = World::on(&Shape::default(), filled(FEW).await?).await?;
    let full = World::on(&Shape::default(), filled(FULL).await?).await?;
    let kept: usize = full.redis.ask(&["ZCARD", "{fgd}:jobs"]).await?;
    println!("  {kept} jobs in the full ledger");
    let pages = [
        ("50 newest jobs", "/api/v1/jobs?limit=50".to_owned()),
        ("50 jobs of a fabric and state", format!("/api/v1/jobs?limit=50&state=succeeded&fabric={}", fabric_name(0))),
        ("a fabric", format!("/api/v1/fabrics/{}", fabric_name(0))),
    ];
    let mut lines = Vec::new();
    for (what, path) in pages {
        lines.push(compare(&full, &few, what, &path).await?);
    }
    Ok(lines)
}

async fn compare(full: &World, few: &World, what: &str, path: &str) -> Result<Line, Failure> {
    let (mut ours, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(latencies(full, path).await?);
        beside.push(latencies(few, path).await?);
    }
    let middle = |figures: &[(f64, f64)]| {
        let p50 = Spread::of(figures.iter().map(|figure| figure.0)).median;
        let p99 = Spread::of(figures.iter().map(|figure| figure.1)).median;
        format!("p50 {} ms, p99 {} ms", short(p50), short(p99))
    };
    println!("  {what}: {}; {}", middle(&ours), middle(&beside));
    Ok(Line {
        what: format!("{what}, {FULL} jobs kept"),
        measured: middle(&ours),
        beside: format!("{FEW} jobs kept: {}", middle(&beside)),
        ratio: Some(Spread::of(ours.iter().zip(&beside).map(|(ours, beside)| ours.0 / beside.0))),
        goal: Goal::None,
    })
}

/// p50 and p99 in milliseconds of one client that asks again and again.
async fn latencies(world: &World, path: &str) -> Result<(f64, f64), Failure> {
    let requests: Vec<Request> = (0..REQUESTS).map(|_| load::get(path, API_TOKEN)).collect();
    let answers = load::send(world.service.address(), requests, 1).await?.require(200)?;
    Ok((answers.latency_ms(0.5), answers.latency_ms(0.99)))
}

/// A Redis whose ledger has so many finished jobs of the first fabric, as runs leave them.
async fn filled(count: usize) -> Result<Redis, Failure> {
    let failed = |error: ledger::Error| Failure(error.to_string());
    let redis = Redis::start(&scratch()?)?;
    let options = ledger::Options::new(Connection::Url { url: SecretString::from(redis.url()), ca_file: None });
    let ledger = Ledger::open(options, Clock::default()).await.map_err(failed)?;
    for first in (0..count).step_by(BATCH) {
        let accepts: Vec<Accept> = (first..first + BATCH.min(count - first)).map(accept).collect();
        let recorded = stream::iter(&accepts).map(|accept| ledger.accept(accept)).buffer_unordered(50);
        recorded.try_collect::<Vec<_>>().await.map_err(failed)?;
        while let Some(claim) = ledger.claim("bench").await.map_err(failed)? {
            ledger.settle(&claim.proof, &claim.run, &settlement(&claim)).await.map_err(failed)?;
        }
    }
    Ok(redis)
}

fn accept(number: usize) -> Accept {
    let netbox = NetBoxName::new("lab");
    let object = ObjectId { kind: Kind::new("Server"), id: number as u64 + 1 };
    let target = Target { repo: RepoName::new(fabric_name(0)), branch: BranchName::new(BRANCH) };
    let user = Some("alice".to_owned());
    Accept {
        origin: Origin::NetboxDelivery {
            netbox: netbox.to_string(),
            object: object.to_string(),
            event: "updated".to_owned(),
            request: format!("{number:08}-f3de-4593-bb0e-d85775446bdb"),
            user: user.clone(),
        },
        dedupe: Some(format!("bench {number}")),
        changes: vec![(
            FabricName::new(fabric_name(0)),
            target,
            Change::Object { netbox, object, event: ObjectEvent::Updated, cascade: false, user },
        )],
        at_once: true,
    }
}

fn settlement(claim: &Claim) -> Settlement {
    let report = |fabric: &FabricName| FabricReport::empty(claim.run.clone(), fabric.clone(), claim.closed_because);
    let done = |fabric: &FabricName| PartOutcome::Done { report: Box::new(report(fabric)), held: false };
    Settlement { parts: claim.parts.iter().map(|part| (part.fabric.clone(), done(&part.fabric))).collect(), head: None }
}
