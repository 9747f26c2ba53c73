//! How fabrics, servers and the ledger itself stand.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::domain::directory::DirectoryRecord;
use crate::domain::fabric_state::Rejected;
use crate::domain::fate::Reason;
use crate::domain::key::Key;
use crate::domain::names::{NetBoxName, Oid, RepoName};
use crate::domain::report::FabricReport;
use crate::ledger::shown::Shown;

use super::time::Millis;
use super::work::{JobError, Lease};

/// A fabric's standing, as far as the ledger knows it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FabricStatus {
    pub pending_changes: u64,
    /// Objects in the base.
    pub objects: u64,
    pub held: BTreeMap<Key, Reason>,
    pub guarded: BTreeSet<Key>,
    pub last_run: Option<FabricReport>,
    /// End of the last run that succeeded or held.
    pub last_sync: Option<Millis>,
    /// The head that the last run on its target dealt with.
    pub head: Option<Oid>,
    /// Why the fabric is not being worked on.
    pub error: Option<JobError>,
    pub conflicts: u64,
    /// Our last commit for it.
    pub commit: Option<Oid>,
    /// Whether a batch of it is claimed and not yet settled.
    pub at_work: bool,
    /// What the last run refused that refused or changed something.
    pub rejected: Rejected,
    /// End of the last run that changed something.
    pub changed: Option<Millis>,
    /// What NetBox was last told.
    pub shown: Option<Shown>,
}

/// A fabric's standing in numbers, cheap enough to ask for all fabrics at once.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FabricStanding {
    pub pending_changes: u64,
    /// When the oldest request was accepted that is not settled.
    pub oldest_pending: Option<Millis>,
    /// Objects in the base.
    pub objects: u64,
    pub held: u64,
    pub conflicts: u64,
    pub guarded: u64,
    /// What differed when everything was last compared, kept up since; `None` before the first time.
    pub drift: Option<u64>,
    pub dead_letters: u64,
    /// End of the last run that succeeded or held.
    pub last_sync: Option<Millis>,
    /// The head that the last run on its target dealt with.
    pub head: Option<Oid>,
    /// Our last commit for it, and when it was settled.
    pub commit: Option<(Oid, Millis)>,
    /// From the acceptance of the oldest change of the last run that came through to its end.
    pub lag: Option<Duration>,
    pub error: Option<JobError>,
    /// Its directory, as the last run that looked at it found or left it.
    pub directory: Option<DirectoryRecord>,
    /// Whether a batch of it is claimed and not yet settled.
    pub at_work: bool,
    /// What NetBox was last told.
    pub shown: Option<Shown>,
}

/// The ledger in numbers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LedgerNumbers {
    /// By the ledger's clock.
    pub now: Millis,
    /// Jobs by the word of their state.
    pub jobs: BTreeMap<&'static str, u64>,
    /// Targets that wait for a worker now.
    pub due_targets: u64,
    /// How long the first of them has waited.
    pub most_overdue: Duration,
    /// Targets with something pending or at work.
    pub scheduled_targets: u64,
    pub dead_letters: u64,
    /// Of the targets at work.
    pub leases: Vec<Lease>,
}

/// A server on one of both sides, by its name in the settings.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Server {
    Repository(RepoName),
    NetBox(NetBoxName),
}

/// A server that is left alone, or tried by one run after it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Circuit {
    pub since: Millis,
    /// When one run may try it.
    pub until: Millis,
    /// Whether that time has come.
    pub may_be_tried: bool,
    /// Runs in a row.
    pub failures: u64,
    /// Targets that wait for it.
    pub waiting_targets: u64,
    /// What the last run failed with.
    pub error: JobError,
}

/// How a server answered when it was last asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    pub ok: bool,
    /// Since when it is so.
    pub since: Millis,
    pub checked: Millis,
    pub last_ok: Option<Millis>,
    pub error: Option<JobError>,
    /// When our token for it ends, where the server says so.
    pub token_expires: Option<Millis>,
}
