//! From due work to settled work: one batch at a time (`step`), or as many as allowed until told to stop (`work`).
//!
//! The ledger is the queue: due times, leases, retries and dead letters are its. What is here holds a lease while the
//! work goes on, and turns a panic into a settled failure.

mod health;
pub mod metrics;
pub mod schedules;
mod spans;
mod workers;

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant, SystemTime};

use futures::FutureExt;
use tracing::Instrument;

use crate::domain::lease::LeaseProof;
use crate::ledger::types::{Claim, JobError, PartOutcome, Settlement};
use crate::ledger::{Error as LedgerError, Ledger};
use crate::run::Runner;

use metrics::WorkMetrics;

pub use workers::{Error, WorkerOptions, work};

/// What is done with a claim.
pub trait Work: Send + Sync + 'static {
    /// Does the work and says what became of each part; every failure is an outcome. May be called again with the same
    /// batch at any time, also while an earlier call that lost its lease still runs.
    fn run(&self, claim: Claim) -> impl Future<Output = Settlement> + Send;

    /// Called once what came of the claim is recorded; whoever has to be told of it is told here.
    fn settled(&self, _claim: &Claim) -> impl Future<Output = ()> + Send {
        async {}
    }
}

impl Work for Runner {
    async fn run(&self, claim: Claim) -> Settlement {
        let settlement = self.carry(&claim).await;
        health::note_run(self, &claim, &settlement).await;
        settlement
    }

    async fn settled(&self, claim: &Claim) {
        self.tell(claim).await;
    }
}

/// Between two attempts to settle with a Redis that does not answer.
const SETTLE_AGAIN: Duration = Duration::from_millis(500);

/// Does one batch now, if one is due; false when none is. Tests drive the product with it.
///
/// An error is the ledger's: of the claim, or of the settlement (the batch is then given again when its lease ends).
pub async fn step<W: Work>(ledger: &Ledger, work: &W, name: &str) -> Result<bool, LedgerError> {
    let asked = SystemTime::now();
    let Some(claim) = ledger.claim(name).await? else { return Ok(false) };
    run_claim(ledger, work, (claim, asked), &WorkMetrics::default()).await?;
    Ok(true)
}

/// Runs the work in a span of its own, which goes on where its jobs were accepted. `asked` is when it was claimed.
async fn run_claim<W: Work>(
    ledger: &Ledger,
    work: &W,
    (claim, asked): (Claim, SystemTime),
    metrics: &WorkMetrics,
) -> Result<(), LedgerError> {
    let span = spans::of_run(ledger, &claim, asked).await;
    carry(ledger, work, claim, metrics).instrument(span).await
}

/// Runs the work under a lease that is kept, and settles whatever came of it.
async fn carry<W: Work>(ledger: &Ledger, work: &W, claim: Claim, metrics: &WorkMetrics) -> Result<(), LedgerError> {
    let begun = Instant::now();
    metrics.begun(&claim);
    let renewer = Renewer::start(ledger.clone(), claim.proof.clone());
    let settlement = match AssertUnwindSafe(work.run(claim.clone())).catch_unwind().await {
        Ok(settlement) => settlement,
        Err(panic) => {
            tracing::error!(run.id = %claim.run, target.repo = %claim.proof.target(), "the run panicked");
            panicked(&claim, panic.as_ref())
        }
    };
    let settled = settle(ledger, &claim, &settlement).instrument(tracing::debug_span!("settle")).await;
    drop(renewer);
    metrics.ended(begun.elapsed());
    settled?;
    work.settled(&claim).await;
    // Only for the counters: whoever cannot read it back loses nothing else.
    if let Ok(Some(run)) = ledger.run(&claim.run).await {
        metrics.settled(&run);
    }
    Ok(())
}

/// Settles, again and again while the lease lasts: a Redis that restarts must not cost the whole run.
async fn settle(ledger: &Ledger, claim: &Claim, settlement: &Settlement) -> Result<(), LedgerError> {
    loop {
        match ledger.settle(&claim.proof, &claim.run, settlement).await {
            Err(LedgerError::Unavailable { .. }) if claim.proof.left() > SETTLE_AGAIN => {
                tokio::time::sleep(SETTLE_AGAIN).await;
            }
            settled => return settled,
        }
    }
}

/// A panic is a fault of ours, and may be one of the moment: it is tried again like any other, and then dead.
fn panicked(claim: &Claim, panic: &(dyn Any + Send)) -> Settlement {
    let said = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let said = said.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no text".to_owned());
    let error = JobError {
        code: "panicked".to_owned(),
        message: format!("the run panicked: {said}"),
        remedy: "report this fault of fgd-sync with the log around it; the batch is kept and can be replayed"
            .to_owned(),
    };
    let parts = claim.parts.iter();
    let parts = parts.map(|part| (part.fabric.clone(), PartOutcome::Transient { error: error.clone() }));
    Settlement { parts: parts.collect(), head: None }
}

/// Keeps a lease from a task of its own, so that a run that computes for long, or waits for a server, keeps it too.
struct Renewer(tokio::task::JoinHandle<()>);

impl Renewer {
    fn start(ledger: Ledger, proof: LeaseProof) -> Self {
        Self(tokio::spawn(async move {
            loop {
                tokio::time::sleep(ledger.lease() / 6).await;
                match ledger.renew(&proof).await {
                    Ok(()) => {}
                    // The proof is revoked: whatever the run still wants to write is refused.
                    Err(LedgerError::LeaseLost { target }) => {
                        tracing::warn!(target.repo = target, "the lease was lost while its run was at work");
                        return;
                    }
                    Err(error) => {
                        tracing::warn!(%error, left = ?proof.left(), "a lease could not be renewed");
                    }
                }
            }
        }))
    }
}

impl Drop for Renewer {
    fn drop(&mut self) {
        self.0.abort();
    }
}
