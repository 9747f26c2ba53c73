//! What comes in, and what it led to.

use serde::{Deserialize, Serialize};

use crate::domain::change::Change;
use crate::domain::names::{FabricName, JobId, Target};

use super::time::Millis;

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
