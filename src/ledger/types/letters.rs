//! Dead letters: what was given up.

use crate::domain::change::Change;
use crate::domain::names::{FabricName, JobId, RunId, Target};

use super::jobs::Note;
use super::time::Millis;
use super::work::JobError;

/// Names a dead letter; later ones are greater.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LetterId {
    /// The fence of the batch.
    pub fence: u64,
    pub fabric: FabricName,
}

/// One fabric's share of a batch that was given up.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadLetter {
    pub id: LetterId,
    pub target: Target,
    pub died: Millis,
    pub attempts: u32,
    /// The last run that tried; `None` when it never began one.
    pub run: Option<RunId>,
    pub error: JobError,
    /// What it was to look at; a few of them.
    pub changes: Vec<Change>,
    pub all_changes: u64,
    /// The jobs that asked for it, oldest first; a few of them, at least one.
    pub jobs: Vec<JobId>,
    pub all_jobs: u64,
}

/// Which dead letters to list, newest first.
#[derive(Debug, Clone, Default)]
pub struct LetterFilter {
    pub fabric: Option<FabricName>,
    /// Of the error that it died of.
    pub code: Option<String>,
    /// The last letter of the page before.
    pub after: Option<LetterId>,
    pub limit: usize,
}

/// A page of dead letters.
#[derive(Debug, Clone, Default)]
pub struct LetterPage {
    pub letters: Vec<DeadLetter>,
    /// Pass as `after` for the next page; `None` at the end.
    pub next: Option<LetterId>,
}

/// What becomes of a dead letter when a person has looked at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LetterEnd {
    /// Pending again, due at once.
    Replay,
    /// Given up for good: its jobs have failed.
    Discard(Note),
}

/// How much was ended by one call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LettersEnded {
    pub letters: u64,
    pub jobs: u64,
    /// Whether the filter fits more than one call ends.
    pub more: bool,
}
