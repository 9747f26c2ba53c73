//! Runs, as they are listed.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::names::{FabricName, JobId, Oid, RunId, Target};
use crate::domain::report::{ClosedBecause, Counts};

use super::deliveries::AskedBy;
use super::time::Millis;
use super::work::JobError;

/// One run on a target.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    pub id: RunId,
    pub target: Target,
    pub worker: String,
    pub closed_because: ClosedBecause,
    pub started: Millis,
    /// `None` while it is at work.
    pub ended: Option<Millis>,
    /// The head that it has dealt with.
    pub head: Option<Oid>,
    /// By fabric.
    pub parts: Vec<RunPart>,
}

/// One fabric's share of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunPart {
    pub fabric: FabricName,
    pub outcome: RunOutcome,
    pub attempt: u32,
    pub changes: u64,
    /// The jobs that asked for it, oldest first; a few of them.
    pub jobs: Vec<JobId>,
    pub all_jobs: u64,
    pub error: Option<JobError>,
    pub commit: Option<Oid>,
    pub counts: Option<Counts>,
    /// From the acceptance of its oldest job to its end, when it came through.
    pub lag: Option<Duration>,
    /// The kind of whoever asked first.
    pub asked_by: Option<AskedBy>,
}

/// How a run ended for one fabric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunOutcome {
    Running,
    Succeeded,
    /// Done, but at least one object or document needs a person.
    Held,
    /// Failed in passing: tried again after a back-off.
    Transient,
    /// Told to come back at a known time.
    Wait,
    /// A person, or a new input, must change something first.
    Stalled,
    /// What was asked for cannot be done.
    Refused,
    /// Given back untouched.
    Returned,
    /// Failed for the last time.
    Dead,
    /// Its worker ended without a result.
    Lost,
}

impl RunOutcome {
    /// The word, as the API and the ledger spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Held => "held",
            Self::Transient => "transient",
            Self::Wait => "wait",
            Self::Stalled => "stalled",
            Self::Refused => "refused",
            Self::Returned => "returned",
            Self::Dead => "dead",
            Self::Lost => "lost",
        }
    }
}

/// Which runs to list, newest first.
#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    pub fabric: Option<FabricName>,
    /// The last run of the page before.
    pub after: Option<RunId>,
    pub limit: usize,
}

/// A page of runs.
#[derive(Debug, Clone, Default)]
pub struct RunPage {
    pub runs: Vec<Run>,
    /// Pass as `after` for the next page; `None` at the end.
    pub next: Option<RunId>,
}
