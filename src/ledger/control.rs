//! What people and schedules do to the ledger: call off, replay, take turns.

use std::time::Duration;

use redis::Script;

use crate::domain::names::JobId;

use super::options::millis;
use super::types::Intervention;
use super::{Error, Ledger, parse_word};

impl Ledger {
    /// Calls off a job that is queued, waiting, stalled or dead.
    ///
    /// Its changes are hints that it shares with other jobs: they stay pending, unless no other job of the fabric waits.
    pub async fn cancel(&self, id: &JobId) -> Result<Intervention, Error> {
        self.intervene(&self.0.scripts.cancel, id, "cancel a job").await
    }

    /// Makes a dead job's changes pending again, due at once, with the other jobs that died in the same batch.
    pub async fn replay(&self, id: &JobId) -> Result<Intervention, Error> {
        self.intervene(&self.0.scripts.replay, id, "replay a job").await
    }

    async fn intervene(&self, script: &Script, id: &JobId, doing: &'static str) -> Result<Intervention, Error> {
        let mut call = self.call(script);
        call.arg(id.as_str());
        let answer: Option<(bool, String)> =
            call.invoke_async(&mut self.connection().await?).await.map_err(Error::unavailable(doing))?;
        Ok(match answer {
            None => Intervention::Unknown,
            Some((true, _)) => Intervention::Done,
            Some((false, state)) => Intervention::NotNow(parse_word("job", &state)?),
        })
    }

    /// True for the first caller in each period, over all replicas: who gets it does what the schedule says.
    pub async fn take_turn(&self, what: &str, every: Duration) -> Result<bool, Error> {
        let mut call = self.call(&self.0.scripts.turn);
        call.arg(what).arg(millis(every));
        call.invoke_async(&mut self.connection().await?).await.map_err(Error::unavailable("take a turn"))
    }
}
