//! What goes into the ledger and comes out of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::change::Change;
use crate::domain::conflict::{Documents, LostEdit, Resolution};
use crate::domain::fate::{DocumentId, Fate, Reason};
use crate::domain::key::Key;
use crate::domain::lease::LeaseProof;
use crate::domain::names::{FabricName, JobId, Oid, RunId, Target};
use crate::domain::report::{ClosedBecause, FabricReport, JobState};
use crate::domain::row::{Base, BaseUpdate, Intent};

use super::conflicts::ConflictRecord;

/// Milliseconds since 1970 by the ledger's clock, which is Redis's: all replicas share it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(pub u64);

/// When a batch closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Debounce {
    pub quiet: Duration,
    pub max_wait: Duration,
    pub max_changes: u64,
}

/// Something to record before it is answered with 202.
#[derive(Debug, Clone)]
pub struct Accept {
    pub origin: Origin,
    /// Text that is equal for a repeated delivery; `None` when every request is new.
    pub dedupe: Option<String>,
    /// What became dirty, per fabric; not empty.
    pub changes: Vec<(FabricName, Target, Change)>,
    /// Whether to skip the debounce (requests by people, schedules).
    pub at_once: bool,
}

/// Who asked for a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "origin", rename_all = "snake_case")]
pub enum Origin {
    NetboxDelivery {
        netbox: String,
        object: String,
        event: String,
        request: String,
        user: Option<String>,
    },
    GithubDelivery {
        delivery: String,
        repository: String,
        branch: String,
        pusher: Option<String>,
    },
    /// The status API or the command line.
    Request {
        what: String,
    },
    Schedule {
        what: String,
    },
}

/// The answer to an accept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The new job, or for a duplicate the first one.
    pub job: JobId,
    pub duplicate: bool,
}

/// An authentic delivery that is not ours: kept in a bounded log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ignored {
    /// `netbox` or `github`.
    pub sender: String,
    /// What it was about, without content: object type and id, or repository and ref.
    pub subject: String,
    pub reason: String,
}

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
    pub head: Option<Oid>,
}

/// Everything that is remembered of a fabric between runs.
#[derive(Debug, Clone, Default)]
pub struct FabricMemory {
    /// When this was read.
    pub now: Millis,
    pub base: BTreeMap<Key, Base>,
    pub intents: BTreeMap<Key, Intent>,
    pub remembered: BTreeMap<DocumentId, Fate>,
    /// Objects held for a person, with their reasons, as of the last run that looked at them.
    pub held: BTreeMap<Key, Reason>,
    /// Contradictions that wait for a person.
    pub conflicts: BTreeMap<Key, ConflictRecord>,
    /// What people decided and no run has applied yet.
    pub resolutions: BTreeMap<Key, Resolution>,
    /// Users' edits that writes of ours covered, and that nobody has dealt with.
    pub lost: BTreeMap<Key, LostEdit>,
    /// Deletions in the guard's window.
    pub recent_deletions: u64,
    pub confirmed: BTreeSet<Key>,
    /// Held deletions that a confirmation would let go.
    pub guarded: BTreeSet<Key>,
    /// A person said that this ledger may take over a directory whose marker names another.
    pub adopt: bool,
}

/// What a run wants remembered of one fabric, in one atomic step.
#[derive(Debug, Clone, Default)]
pub struct Advance {
    pub base: Vec<BaseUpdate>,
    pub intents: Vec<Intent>,
    pub remember: Vec<(DocumentId, Fate)>,
    /// Documents whose file left raw/.
    pub forget: Vec<DocumentId>,
    /// Keys looked at in this run: held now with a reason, or no longer.
    pub held: BTreeMap<Key, Option<Reason>>,
    /// Contradictions that are there now, or no longer.
    pub conflicts: BTreeMap<Key, Option<(ConflictRecord, Documents)>>,
    /// Resolutions that are done with; one that came since then stays.
    pub answered: BTreeMap<Key, Resolution>,
    /// Users' edits that a write of ours covered, or that are dealt with.
    pub lost: BTreeMap<Key, Option<LostEdit>>,
    /// Deletions that were carried out.
    pub deleted: Vec<Key>,
    /// Replaces the set of guarded deletions, when given.
    pub guarded: Option<BTreeSet<Key>>,
    /// Ends a person's permission to adopt, once the marker is ours.
    pub adopted: bool,
}

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
