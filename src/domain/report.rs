//! What a run did, as the ledger keeps it and the status API shows it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::directory::DirectoryReport;
use super::fate::{Fate, Reason};
use super::key::Key;
use super::names::{FabricName, Oid, RunId};

/// The state of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Recorded, not yet claimed.
    Queued,
    /// A worker holds it.
    Running,
    /// Will be tried again at a known time.
    Waiting,
    /// Done, but at least one object or document needs a person.
    Held,
    /// Cannot go on until a person, or a new input, changes something.
    Stalled,
    /// Both sides were seen to agree on everything it asked about.
    Succeeded,
    /// Ended without its effect: it asked for what cannot be done, or a person discarded its dead letter and said why.
    Failed,
    /// Given up after the last attempt; kept with its changes for replay.
    Dead,
    /// Called off by a person.
    Cancelled,
}

impl JobState {
    /// Every state, in the order that jobs go through them.
    pub const ALL: [Self; 9] = [
        Self::Queued,
        Self::Running,
        Self::Waiting,
        Self::Held,
        Self::Stalled,
        Self::Succeeded,
        Self::Failed,
        Self::Dead,
        Self::Cancelled,
    ];

    /// The word, as the API and the ledger spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Held => "held",
            Self::Stalled => "stalled",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether the job will not change any more by itself.
    pub fn is_final(self) -> bool {
        match self {
            Self::Held | Self::Succeeded | Self::Failed | Self::Dead | Self::Cancelled => true,
            Self::Queued | Self::Running | Self::Waiting | Self::Stalled => false,
        }
    }
}

/// Why a batch was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClosedBecause {
    /// Nothing new came for the quiet time.
    Quiet,
    /// The oldest change waited as long as it may.
    MaxWait,
    /// The batch was full.
    MaxChanges,
    /// Something asked for it at once (a request, a schedule).
    Requested,
    /// A part came back after its back-off.
    Retry,
}

/// What a run did for one fabric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FabricReport {
    pub run: RunId,
    pub fabric: FabricName,
    pub closed_because: ClosedBecause,
    /// Whether this is a plan that was not applied.
    pub dry_run: bool,
    /// The head that was planned on; `None` for an empty repository.
    pub planned_on: Option<Oid>,
    /// The commit, seen in the head; `None` when nothing had to be committed.
    pub commit: Option<Oid>,
    /// The pull request that holds the edits in place of a commit.
    #[serde(default)]
    pub proposal: Option<String>,
    /// Numbers over all items, also those beyond the kept ones.
    pub counts: Counts,
    /// The first `MAX_ITEMS` items, held and rejected ones first.
    pub items: Vec<Item>,
    #[serde(default)]
    pub directory: DirectoryReport,
}

impl FabricReport {
    /// Of a run that found nothing and did nothing.
    pub fn empty(run: RunId, fabric: FabricName, closed_because: ClosedBecause) -> Self {
        Self {
            run,
            fabric,
            closed_because,
            dry_run: false,
            planned_on: None,
            commit: None,
            proposal: None,
            counts: Counts::default(),
            items: Vec::new(),
            directory: DirectoryReport::default(),
        }
    }

    /// Whether the run wrote anything on either side.
    pub fn changed_something(&self) -> bool {
        let counts = &self.counts;
        self.commit.is_some() || counts.netbox_created + counts.netbox_updated + counts.netbox_deleted > 0
    }
}

/// How many items a report keeps.
pub const MAX_ITEMS: usize = 1_000;

/// Numbers of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Counts {
    pub git_written: u64,
    pub git_deleted: u64,
    pub netbox_created: u64,
    pub netbox_updated: u64,
    pub netbox_deleted: u64,
    pub unchanged: u64,
    pub held: u64,
    pub ingested: u64,
    pub unmanaged: u64,
    pub rejected: u64,
}

/// What happened to one object or one raw document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "item", rename_all = "snake_case")]
pub enum Item {
    Object {
        key: Key,
        outcome: Outcome,
        /// `X-Request-ID` of our write to NetBox, the same as in its change log; `None` when nothing was written there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request: Option<String>,
    },
    Document {
        path: String,
        index: usize,
        /// Of a `kind: List`, which item.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item_index: Option<usize>,
        line: u64,
        #[serde(flatten)]
        fate: Fate,
    },
    /// A file that could not be taken apart at all, or a thing that is not one object's.
    File { path: String, reason: Reason },
    /// It was taken, but a cluster may see it otherwise.
    Warning {
        /// A file's path, or an object of NetBox.
        about: String,
        reason: Reason,
    },
}

/// What a run did with one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// Both sides agree already.
    Unchanged,
    GitCreated,
    GitUpdated,
    GitDeleted,
    NetboxCreated,
    NetboxUpdated,
    NetboxDeleted,
    /// Left as it is on both sides until a person decides.
    Held {
        reason: Reason,
    },
}
