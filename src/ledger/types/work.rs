//! A batch from claim to settlement.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::change::Change;
use crate::domain::lease::LeaseProof;
use crate::domain::names::{FabricName, JobId, Oid, RunId, Target};
use crate::domain::report::{ClosedBecause, FabricReport};
use crate::domain::rollback::Rollback;

/// A frozen batch with the right to work on it.
#[derive(Debug, Clone)]
pub struct Claim {
    pub proof: LeaseProof,
    pub run: RunId,
    pub closed_because: ClosedBecause,
    /// One part per fabric, at least one.
    pub parts: Vec<Part>,
}

/// One fabric's share of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    pub fabric: FabricName,
    pub changes: Vec<Change>,
    pub jobs: Vec<JobId>,
    /// 1 for the first try. A crash of the worker counts as one.
    pub attempt: u32,
}

impl Part {
    /// The earlier state that the part wants back; such a change is claimed by itself.
    pub fn rollback(&self) -> Option<&Rollback> {
        self.changes.iter().find_map(|change| match change {
            Change::Rollback(rollback) => Some(rollback.as_ref()),
            Change::Object { .. }
            | Change::GitMoved
            | Change::Resolution { .. }
            | Change::Everything
            | Change::Restore
            | Change::DryRun
            | Change::RestoreDryRun => None,
        })
    }
}

/// What became of one part.
#[derive(Debug, Clone, PartialEq)]
pub enum PartOutcome {
    /// Ends its jobs; `Held` when an item of the report needs a person.
    Done { report: Box<FabricReport>, held: bool },
    /// Tried again after the back-off for its attempt; dead letter after the last.
    Transient { error: JobError },
    /// Tried again at a known time; not an attempt.
    WaitUntil { after: Duration, error: JobError },
    /// Waits for a new input or a person; looked at again now and then.
    Stalled { error: JobError },
    /// Ends its jobs as failed: what was asked for cannot be done, now or later.
    Refused { error: JobError },
    /// Given back untouched: graceful shutdown, or a lost compare-and-swap too many. Not an attempt.
    Returned,
}

/// Why a job is not done, for the person who must act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobError {
    /// Stable word for programs, for example `netbox_unavailable`.
    pub code: String,
    /// What failed and for which thing, with its causes.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

/// The end of a run, recorded by one script.
#[derive(Debug, Clone)]
pub struct Settlement {
    pub parts: Vec<(FabricName, PartOutcome)>,
    /// The head that the run has seen and dealt with; `None` leaves the remembered one.
    pub head: Option<SettledHead>,
}

/// A head that a run has dealt with for the parts that are done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettledHead {
    pub head: Oid,
    /// When `head` is our own commit: what it was made on. Between the two lies nothing that others have yet to see.
    pub made_on: Option<Oid>,
}

impl From<Oid> for SettledHead {
    /// A head that was found.
    fn from(head: Oid) -> Self {
        Self { head, made_on: None }
    }
}

/// A target at work.
#[derive(Debug, Clone, PartialEq)]
pub struct Lease {
    pub target: Target,
    /// Since it was claimed.
    pub age: Duration,
}
