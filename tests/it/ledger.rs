//! The ledger's promises, on a real Redis.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fgd_sync::domain::change::{Change, ObjectEvent};
use fgd_sync::domain::key::{Key, ObjectId};
use fgd_sync::domain::kind::Kind;
use fgd_sync::domain::names::{BranchName, FabricName, JobId, NetBoxName, RepoName, Target};
use fgd_sync::domain::report::{ClosedBecause, Counts, FabricReport, JobState};
use fgd_sync::ledger::types::{Accept, Claim, JobError, Origin, PartOutcome, Settlement};
use fgd_sync::ledger::{Error, Ledger};

use crate::support::redis::TestLedger;

mod accepting;
mod budget;
mod claiming;
mod clocks;
mod conflicts;
mod dead_letters;
mod embedded;
mod interleavings;
mod jobs;
mod layout;
mod pausing;
mod remembering;
mod runs;
mod servers;
mod settling;
mod standing;
mod together;

const SECOND: Duration = Duration::from_secs(1);
/// Longer than the default quiet time.
const QUIET: Duration = Duration::from_secs(3);
/// Longer than the default lease.
const LEASE: Duration = Duration::from_secs(91);

fn target(repo: &str) -> Target {
    Target { repo: RepoName::new(repo), branch: BranchName::new("main") }
}

fn fabric(name: &str) -> FabricName {
    FabricName::new(name)
}

fn key(name: &str) -> Key {
    Key { kind: Kind::new("VPC"), namespace: "default".to_owned(), name: name.to_owned() }
}

/// A VPC row that changed.
fn vpc(id: u64, event: ObjectEvent, user: Option<&str>) -> Change {
    Change::Object {
        netbox: NetBoxName::new("main"),
        object: ObjectId { kind: Kind::new("VPC"), id },
        event,
        cascade: false,
        user: user.map(str::to_owned),
    }
}

fn updated(id: u64) -> Change {
    vpc(id, ObjectEvent::Updated, None)
}

fn netbox_delivery() -> Origin {
    Origin::NetboxDelivery {
        netbox: "main".to_owned(),
        object: "VPC#1".to_owned(),
        event: "updated".to_owned(),
        request: "r1".to_owned(),
        user: None,
    }
}

/// One NetBox delivery for a fabric whose target is a repository of the same name.
fn delivery(name: &str, change: Change) -> Accept {
    Accept {
        origin: netbox_delivery(),
        dedupe: None,
        changes: vec![(fabric(name), target(name), change)],
        at_once: false,
    }
}

async fn accept(ledger: &Ledger, accept: &Accept) -> JobId {
    ledger.accept(accept).await.expect("accepted").job
}

async fn claim(ledger: &Ledger) -> Claim {
    ledger.claim("worker").await.expect("Redis answers").expect("something is due")
}

async fn nothing_is_due(ledger: &Ledger) -> bool {
    ledger.claim("worker").await.expect("Redis answers").is_none()
}

async fn state(ledger: &Ledger, job: &JobId) -> JobState {
    ledger.job(job).await.expect("Redis answers").expect("the job is known").state
}

fn report(claim: &Claim, fabric: &FabricName) -> Box<FabricReport> {
    Box::new(FabricReport::empty(claim.run.clone(), fabric.clone(), claim.closed_because))
}

fn error(code: &str) -> JobError {
    JobError { code: code.to_owned(), message: "it failed".to_owned(), remedy: "wait".to_owned() }
}

fn transient() -> PartOutcome {
    PartOutcome::Transient { error: error("netbox_unavailable") }
}

/// Ends every part of a claim in the same way.
async fn settle(ledger: &Ledger, claim: &Claim, outcome: &PartOutcome) -> Result<(), Error> {
    let parts = claim.parts.iter().map(|part| (part.fabric.clone(), outcome.clone())).collect();
    ledger.settle(&claim.proof, &claim.run, &Settlement { parts, head: None }).await
}

/// Ends every part of a claim as done.
async fn done(ledger: &Ledger, claim: &Claim) -> Result<(), Error> {
    let part = |part: &fgd_sync::ledger::types::Part| {
        (part.fabric.clone(), PartOutcome::Done { report: report(claim, &part.fabric), held: false })
    };
    let parts = claim.parts.iter().map(part).collect();
    ledger.settle(&claim.proof, &claim.run, &Settlement { parts, head: None }).await
}

/// Nothing is pending, at work or due any more.
async fn is_at_rest(ledger: &Ledger) -> bool {
    ledger.next_due().await.expect("Redis answers").is_none()
}
