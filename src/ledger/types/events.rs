//! What changed, as it is told.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::names::{FabricName, JobId, Oid, RunId};
use crate::domain::report::JobState;

use super::runs::RunOutcome;
use super::standing::Server;
use super::time::Millis;

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
