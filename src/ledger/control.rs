//! What people and schedules do to the ledger: call off, take turns.

use std::time::Duration;

use crate::domain::names::JobId;

use super::options::millis;
use super::types::Intervention;
use super::{Error, Ledger, parse_word};

impl Ledger {
    /// Calls off a job that is queued, waiting, stalled or dead.
    ///
    /// Its changes are hints that it shares with other jobs: they stay pending, unless no other job of the fabric waits.
    pub async fn cancel(&self, id: &JobId) -> Result<Intervention, Error> {
        let mut call = self.call(&self.0.scripts.cancel);
        call.arg(id.as_str());
        let answer: Option<(bool, String)> =
            call.invoke_async(&mut self.connection().await?).await.map_err(Error::unavailable("cancel a job"))?;
        intervention(answer)
    }

    /// True for the first caller in each period, over all replicas: who gets it does what the schedule says.
    pub async fn take_turn(&self, what: &str, every: Duration) -> Result<bool, Error> {
        let mut call = self.call(&self.0.scripts.turn);
        call.arg(what).arg(millis(every));
        call.invoke_async(&mut self.connection().await?).await.map_err(Error::unavailable("take a turn"))
    }
}

/// From a script's answer: whether it was done, and the job's state.
pub(super) fn intervention(answer: Option<(bool, String)>) -> Result<Intervention, Error> {
    Ok(match answer {
        None => Intervention::Unknown,
        Some((true, _)) => Intervention::Done,
        Some((false, state)) => Intervention::NotNow(parse_word("job", &state)?),
    })
}
