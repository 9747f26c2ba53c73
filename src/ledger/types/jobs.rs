//! Jobs, and what people do about them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::names::{FabricName, JobId, RunId, Target};
use crate::domain::report::JobState;

use super::deliveries::Origin;
use super::time::Millis;
use super::work::JobError;

/// A job as the status API shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    pub id: JobId,
    pub state: JobState,
    pub origin: Origin,
    /// State of each fabric's part, and the run that last worked on it.
    pub parts: Vec<JobPart>,
    pub created: Millis,
    pub updated: Millis,
    /// How often a repeated delivery pointed here.
    pub duplicates: u64,
}

/// One fabric's part of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct JobPart {
    pub fabric: FabricName,
    pub target: Target,
    pub state: JobState,
    pub attempts: u32,
    pub run: Option<RunId>,
    pub error: Option<JobError>,
    /// When it will be tried again, for `Waiting` and `Stalled`.
    pub next_try: Option<Millis>,
    /// Who gave it up for good, for `Failed`.
    pub discarded: Option<Note>,
}

/// What a person said when they did something that others will ask about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    pub by: String,
    pub reason: Option<String>,
}

/// A stop of the work, on one fabric or on all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    pub since: Millis,
    pub note: Note,
}

/// What is paused now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pauses {
    pub everything: Option<Pause>,
    pub fabrics: BTreeMap<FabricName, Pause>,
}

/// Which jobs to list, newest first.
#[derive(Debug, Clone, Default)]
pub struct JobFilter {
    pub fabric: Option<FabricName>,
    pub state: Option<JobState>,
    pub since: Option<Millis>,
    /// The last job of the page before.
    pub after: Option<JobId>,
    pub limit: usize,
}

/// A page of jobs.
#[derive(Debug, Clone, Default)]
pub struct JobPage {
    pub jobs: Vec<Job>,
    /// Pass as `after` for the next page; `None` at the end.
    pub next: Option<JobId>,
}

/// What came of a person's wish to change a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intervention {
    Done,
    /// The job's state does not allow it.
    NotNow(JobState),
    /// There is no such job (any more).
    Unknown,
}
