//! How a ledger is opened, and its clock.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use secrecy::SecretString;

use super::servers::Needs;
use super::types::Debounce;

/// Everything that a ledger is told when it is opened. All replicas of one ledger must be told the same.
#[derive(Debug, Clone)]
pub struct Options {
    pub connection: Connection,
    /// Begins every key, so that ledgers can share a server. No `{` or `}`.
    pub prefix: String,
    pub debounce: Debounce,
    /// Longest silence of a worker before another may take its target.
    pub lease: Duration,
    pub retry: Retry,
    pub retention: Retention,
    /// What runs need, and how many of them it takes at once.
    pub needs: Needs,
    pub circuit: CircuitBreaker,
    /// How far back `FabricMemory::recent_deletions` counts; the deletion guard's window.
    pub deletion_window: Duration,
}

impl Options {
    /// The defaults, for this server.
    pub fn new(connection: Connection) -> Self {
        Self {
            connection,
            prefix: "fgd".to_owned(),
            debounce: Debounce::default(),
            lease: LEASE,
            retry: Retry::default(),
            retention: Retention::default(),
            needs: Needs::default(),
            circuit: CircuitBreaker::default(),
            deletion_window: Duration::from_secs(600),
        }
    }
}

/// Three request time-outs of the slowest server that a run talks to.
const LEASE: Duration = Duration::from_secs(90);

/// Where Redis is.
#[derive(Debug, Clone)]
pub enum Connection {
    /// A `redis-server` of our own, with its files and its socket in this directory.
    Embedded { directory: PathBuf },
    /// `redis://`, `rediss://` or `unix://`; user and password may stand in it.
    Url {
        url: SecretString,
        /// PEM certificates that a `rediss://` server is checked against, instead of the system's.
        ca_file: Option<PathBuf>,
    },
}

impl Default for Debounce {
    fn default() -> Self {
        Self { quiet: Duration::from_secs(2), max_wait: Duration::from_secs(15), max_changes: 500 }
    }
}

/// When a part that failed is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// The wait after the first attempt; it doubles with each, up to `longest`, less a random part of up to a fifth.
    pub first: Duration,
    pub longest: Duration,
    /// After so many attempts the batch is a dead letter.
    pub max_attempts: u32,
    /// When a stalled part is looked at again, although nothing new came.
    pub stalled_again: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(2),
            longest: Duration::from_secs(600),
            max_attempts: 12,
            stalled_again: Duration::from_secs(3_600),
        }
    }
}

/// When a server that runs keep failing on is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CircuitBreaker {
    /// After so many runs in a row; zero: never.
    pub failures: u32,
    /// For how long at first; it doubles with each run that tries and fails, up to `longest`, less a random part of up to a
    /// fifth.
    pub first: Duration,
    pub longest: Duration,
}

impl Default for CircuitBreaker {
    fn default() -> Self {
        Self { failures: 5, first: Duration::from_secs(10), longest: Duration::from_secs(300) }
    }
}

/// How long finished jobs, reports and dead letters are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    pub keep: Duration,
    /// The newest so many finished jobs, and as many dead ones.
    pub most_jobs: u64,
    /// The newest so many runs, with their reports: of these one may hold a thousand items.
    pub most_runs: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self { keep: Duration::from_secs(30 * 24 * 3_600), most_jobs: 100_000, most_runs: 10_000 }
    }
}

/// Redis's clock, so that all replicas share one; moved forward by tests.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    shift_ms: Arc<AtomicU64>,
}

impl Clock {
    /// Lets this much time pass, for every ledger with a clone of this clock.
    pub fn advance(&self, by: Duration) {
        self.shift_ms.fetch_add(millis(by), Ordering::AcqRel);
    }

    /// A moment of this machine, as much later as time was let pass.
    pub fn now(&self) -> Instant {
        Instant::now() + Duration::from_millis(self.shift_ms())
    }

    /// How far it is ahead of Redis's clock, in milliseconds.
    pub(super) fn shift_ms(&self) -> u64 {
        self.shift_ms.load(Ordering::Acquire)
    }
}

/// Longer than anything is meant to last, and short enough for every sum to be exact in the scripts.
const CENTURY_MS: u128 = 100 * 366 * 24 * 3_600 * 1_000;

/// Whole milliseconds, at most a century of them.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis().min(CENTURY_MS)).expect("a century of milliseconds fits")
}
