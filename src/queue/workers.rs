//! The one file that names apalis: its workers, over the ledger's due targets.
//!
//! Four things that apalis 1.0 wants done just so:
//! - a fetcher that yields `None` puts the worker to sleep for ever, and one that yields an error ends it: ours waits
//!   inside, and its error type has no value;
//! - a fetcher that ends does not end the worker, and a worker that is stopped forgets a fetcher that is at work: so the
//!   fetcher ends first, and then stops the worker itself;
//! - without `concurrency` a worker fetches without end;
//! - a worker drops what it fetched, and what runs, when it ends early. So the fetcher yields work that has *begun*, in
//!   a task of its own: dropping the handle cannot cut a commit in half, and no claim lies about with its lease running.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use apalis::prelude::{BackendBuilder, Task, WorkerBuilder, WorkerBuilderExt, WorkerContext, WorkerError};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, sink, stream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::ledger::types::{PartOutcome, Settlement};
use crate::ledger::{Error as LedgerError, Ledger};

use super::metrics::WorkMetrics;
use super::{Work, run_claim};

/// How the workers of one process work.
#[derive(Debug, Clone)]
pub struct WorkerOptions {
    /// Targets at work at the same time.
    pub concurrency: usize,
    /// Stands with the lease, for people to see who holds it.
    pub name: String,
    /// How long a stop waits for what is at work.
    pub grace: Duration,
    /// Where the work is counted.
    pub metrics: Arc<WorkMetrics>,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self { concurrency: 4, name: "worker".to_owned(), grace: Duration::from_secs(60), metrics: Arc::default() }
    }
}

/// Why the workers did not end as they were told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The runs go on until the process ends; then their leases end by themselves, and their batches are given again.
    #[error("not everything at work ended within {grace:?} of the stop")]
    StillRunning { grace: Duration },
    /// A fault of ours: nothing that a run or Redis does ends the workers.
    #[error("the workers ended without being told to: {detail}")]
    Ended { detail: String },
}

/// A look at the ledger at least so often, for what another replica accepted.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// And not more often than this, when what is due goes to another replica each time.
const BREATH: Duration = Duration::from_millis(10);

/// Does due work until `shutdown` is ready; then claims nothing more and waits for what is at work.
///
/// `wake` is to be notified after each accept, so that work due at once is not waited for.
pub async fn work<W: Work>(
    ledger: Ledger,
    work: Arc<W>,
    options: WorkerOptions,
    wake: Arc<Notify>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Error> {
    let (stop, stopping) = watch::channel(false);
    let (name, metrics) = (options.name.clone(), options.metrics.clone());
    let source = Source { ledger, work, name, wake, stopping, metrics };
    let mut workers = pool(source, &options)?;
    tokio::select! {
        ended = &mut workers => {
            let detail = ended.map_or_else(|error| error.to_string(), |()| "no error".to_owned());
            return Err(Error::Ended { detail });
        }
        () = shutdown => {}
    }
    // Nobody listens any more only when the fetcher ended by itself, and then there is nothing to stop.
    let _ = stop.send(true);
    match tokio::time::timeout(options.grace, workers).await {
        Ok(ended) => ended.map_err(ended_early),
        Err(_) => Err(Error::StillRunning { grace: options.grace }),
    }
}

/// The workers, running when polled. (Not written into `work`, where the compiler cannot prove that they are `Send`.)
fn pool<W: Work>(
    source: Source<W>,
    options: &WorkerOptions,
) -> Result<BoxFuture<'static, Result<(), WorkerError>>, Error> {
    let backend = BackendBuilder::new()
        .database(source)
        .fetcher(|source: &mut Source<W>, _, worker| fetch(source.clone(), worker.clone()).boxed())
        .sink(|_, _| sink::drain())
        .build()
        .map_err(ended_early)?;
    let workers = WorkerBuilder::new(options.name.as_str())
        .backend(backend)
        .concurrency(options.concurrency.max(1))
        .catch_panic()
        .build(finish);
    Ok(workers.run().boxed())
}

fn ended_early(error: impl std::error::Error) -> Error {
    Error::Ended { detail: error.to_string() }
}

/// Work that has begun, in a task of its own.
struct Running(JoinHandle<()>);

/// The handler of the workers: waits for what the fetcher began.
async fn finish(running: Running) -> Result<(), tokio::task::JoinError> {
    running.0.await
}

/// Where work comes from.
struct Source<W> {
    ledger: Ledger,
    work: Arc<W>,
    name: String,
    wake: Arc<Notify>,
    stopping: watch::Receiver<bool>,
    metrics: Arc<WorkMetrics>,
}

impl<W> Clone for Source<W> {
    fn clone(&self) -> Self {
        Self {
            ledger: self.ledger.clone(),
            work: self.work.clone(),
            name: self.name.clone(),
            wake: self.wake.clone(),
            stopping: self.stopping.clone(),
            metrics: self.metrics.clone(),
        }
    }
}

/// Begun work, as it comes due. Told to stop it ends, and stops the worker: the end alone would leave that waiting.
fn fetch<W: Work>(
    source: Source<W>,
    worker: WorkerContext,
) -> impl futures::Stream<Item = Result<Option<Task<Running>>, Infallible>> {
    stream::unfold((source, worker), |(source, worker)| async move {
        let Some(running) = source.next().await else {
            if let Err(error) = worker.stop() {
                tracing::error!(%error, "the workers cannot be stopped");
            }
            return None;
        };
        Some((Ok(Some(Task::new(running))), (source, worker)))
    })
}

impl<W: Work> Source<W> {
    /// Waits until something is due and begins it; `None` once told to stop.
    async fn next(&self) -> Option<Running> {
        let mut stopping = self.stopping.clone();
        loop {
            if *stopping.borrow() {
                return None;
            }
            let wait = match self.begin().await {
                Ok(Some(running)) => return Some(running),
                Ok(None) => self.until_due().await,
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "no work could be claimed");
                    LOOK_AGAIN
                }
            };
            tokio::select! {
                _ = stopping.wait_for(|stop| *stop) => return None,
                () = self.wake.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    async fn until_due(&self) -> Duration {
        match self.ledger.next_due().await {
            Ok(due) => due.unwrap_or(LOOK_AGAIN).clamp(BREATH, LOOK_AGAIN),
            Err(_) => LOOK_AGAIN,
        }
    }

    /// Claims and begins in a task of its own, which ends well even when nobody waits for the answer any more.
    async fn begin(&self) -> Result<Option<Running>, LedgerError> {
        let source = self.clone();
        let begun = tokio::spawn(async move {
            let asked = SystemTime::now();
            let Some(claim) = source.ledger.claim(&source.name).await? else { return Ok(None) };
            if *source.stopping.borrow() {
                let returned = claim.parts.iter().map(|part| (part.fabric.clone(), PartOutcome::Returned)).collect();
                let settlement = Settlement { parts: returned, head: None };
                source.ledger.settle(&claim.proof, &claim.run, &settlement).await?;
                return Ok(None);
            }
            Ok(Some(Running(tokio::spawn(async move {
                if let Err(error) =
                    run_claim(&source.ledger, source.work.as_ref(), (claim, asked), &source.metrics).await
                {
                    tracing::error!(error = &error as &dyn std::error::Error, "a run could not be settled");
                }
                // Its target may have more to do.
                source.wake.notify_one();
            }))))
        });
        begun.await.unwrap_or_else(|panic| Err(LedgerError::Unavailable { doing: "claim work", source: panic.into() }))
    }
}
