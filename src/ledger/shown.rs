//! What NetBox was last told of how each fabric stands: so that it is told news only, and a failure is tried again.

use serde::{Deserialize, Serialize};

use crate::domain::fabric_state::FabricState;
use crate::domain::names::FabricName;

use super::types::{JobError, Millis};
use super::{Error, Ledger, json};

/// What NetBox was last told of a fabric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    pub state: FabricState,
    /// When it was tried.
    pub at: Millis,
    pub outcome: ShowOutcome,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "word", rename_all = "snake_case")]
pub enum ShowOutcome {
    /// The fabric's row says so.
    Written,
    /// NetBox has no row of the fabric with such fields.
    NoPlace,
    /// To be tried again.
    Failed { error: JobError },
}

impl Ledger {
    /// Remembers what NetBox was told of how a fabric stands; the last word counts.
    pub async fn note_shown(
        &self,
        fabric: &FabricName,
        state: &FabricState,
        outcome: ShowOutcome,
    ) -> Result<(), Error> {
        let doing = "remember what NetBox was told";
        let mut connection = self.connection().await?;
        let time: Result<(u64, u64), _> = redis::cmd("TIME").query_async(&mut connection).await;
        let (seconds, micros) = time.map_err(Error::unavailable(doing))?;
        let at = Millis(seconds * 1_000 + micros / 1_000 + self.0.clock.shift_ms());
        let shown = Shown { state: state.clone(), at, outcome };
        let mut set = redis::cmd("HSET");
        set.arg(self.keys().of("fabric", fabric)).arg("shown").arg(json(&shown));
        set.query_async(&mut connection).await.map_err(Error::unavailable(doing))
    }
}
