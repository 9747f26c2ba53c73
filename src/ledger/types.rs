//! What goes into the ledger and comes out of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::change::Change;
use crate::domain::conflict::{Documents, LostEdit, Resolution};
use crate::domain::directory::DirectoryRecord;
use crate::domain::fate::{DocumentId, Fate, Reason};
use crate::domain::key::Key;
use crate::domain::lease::LeaseProof;
use crate::domain::names::{FabricName, JobId, NetBoxName, Oid, RepoName, RunId, Target};
use crate::domain::report::{ClosedBecause, Counts, FabricReport, JobState};
use crate::domain::rollback::Rollback;
use crate::domain::row::{Base, BaseUpdate, Intent};

use super::conflicts::ConflictRecord;
use super::drift::DriftUpdate;
use super::shown::Shown;
use super::touches::Touch;

/// Milliseconds since 1970 by the ledger's clock, which is Redis's: all replicas share it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(pub u64);

impl Millis {
    /// 9999-12-31T23:59:59.999Z, the last one that RFC 3339 can write.
    pub const LAST: u64 = 253_402_300_799_999;

    /// RFC 3339 in UTC with milliseconds, for example `2026-11-21T04:48:50.238Z`.
    pub fn rfc3339(self) -> String {
        let at = UNIX_EPOCH + Duration::from_millis(self.0.min(Self::LAST));
        humantime::format_rfc3339_millis(at).to_string()
    }
}

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

/// One authentic delivery of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// Its place in the log; later ones are greater.
    pub id: String,
    pub at: Millis,
    pub what: Delivered,
}

/// What a delivery led to.
#[derive(Debug, Clone, PartialEq)]
pub enum Delivered {
    /// A job, or for a repeated delivery the first one's.
    Accepted {
        origin: Origin,
        job: JobId,
        duplicate: bool,
    },
    Ignored(Ignored),
}

/// Which deliveries to list, newest first.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    pub ignored_only: bool,
    /// The last delivery of the page before.
    pub after: Option<String>,
    pub limit: usize,
}

/// A page of deliveries.
#[derive(Debug, Clone, Default)]
pub struct DeliveryPage {
    pub deliveries: Vec<Delivery>,
    /// Pass as `after` for the next page; `None` at the end.
    pub next: Option<String>,
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
    /// The fabric's directory, as the last run left it; `None` before the first.
    pub directory: Option<DirectoryRecord>,
    /// A person accepted another history of the branch, and what is deleted there is still to be looked at.
    pub new_history: bool,
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
    /// Replaces what is remembered of the directory, when given.
    pub directory: Option<DirectoryRecord>,
    /// What was done to which objects.
    pub touched: Vec<(Key, Touch)>,
    /// Nothing that the new history deletes is left to be looked at.
    pub history_settled: bool,
    /// What was found to differ, when the run compared anything.
    pub drift: Option<DriftUpdate>,
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
    pub conflicts: u64,
    /// Our last commit for it.
    pub commit: Option<Oid>,
    /// Whether a batch of it is claimed and not yet settled.
    pub at_work: bool,
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

/// The kinds of `Origin`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AskedBy {
    NetboxDelivery,
    GithubDelivery,
    Request,
    Schedule,
}

impl AskedBy {
    /// The word, as the ledger spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NetboxDelivery => "netbox_delivery",
            Self::GithubDelivery => "github_delivery",
            Self::Request => "request",
            Self::Schedule => "schedule",
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

/// A target at work.
#[derive(Debug, Clone, PartialEq)]
pub struct Lease {
    pub target: Target,
    /// Since it was claimed.
    pub age: Duration,
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

/// Something that changed, told by the script that changed it.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub id: EventId,
    pub at: Millis,
    pub what: Happening,
}

/// An event's place among all of them; later ones are greater.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventId {
    pub ms: u64,
    pub seq: u64,
}

/// What changed. It names the thing; how it is now is for the reader to ask.
#[derive(Debug, Clone, PartialEq)]
pub enum Happening {
    Job {
        job: JobId,
        state: JobState,
        fabrics: Vec<FabricName>,
    },
    Run {
        run: RunId,
        fabric: FabricName,
        outcome: RunOutcome,
        commit: Option<Oid>,
    },
    Fabric {
        fabric: FabricName,
        change: FabricChange,
    },
    /// Everything was paused or resumed.
    Service {
        change: FabricChange,
    },
    Server {
        server: Server,
        ok: bool,
    },
}

/// Why a fabric may stand differently now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FabricChange {
    /// A run on it ended.
    Settled,
    Paused,
    Resumed,
    /// It has one more dead letter.
    Buried,
    /// A dead letter is pending again.
    Replayed,
    /// A dead letter was given up for good.
    Discarded,
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
