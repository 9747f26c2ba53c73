//! Stops that people order: accepting goes on, nothing new is begun, and what is at work ends as it would.

use std::collections::BTreeMap;

use crate::domain::names::FabricName;

use super::types::{Note, Pause, Pauses};
use super::{Error, Ledger, json, parse};

/// The name under which everything is paused; no fabric has it.
pub(super) const EVERYTHING: &str = "";

impl Ledger {
    /// Begins no more work on a fabric, or with `None` on any, until it is resumed. Survives restarts.
    ///
    /// What is paused already stays as it is: the pause that holds is returned.
    pub async fn pause(&self, fabric: Option<&FabricName>, note: &Note) -> Result<Pause, Error> {
        let paused = self.set_pause(fabric, &json(note)).await?;
        paused.ok_or_else(|| Error::corrupt("paused", "a pause that was just ordered is not there"))
    }

    /// Ends a pause; what has come meanwhile is due as if there had been none. Safe to repeat.
    ///
    /// Everything resumed leaves the pauses of single fabrics.
    pub async fn resume(&self, fabric: Option<&FabricName>) -> Result<(), Error> {
        self.set_pause(fabric, "").await.map(drop)
    }

    async fn set_pause(&self, fabric: Option<&FabricName>, note: &str) -> Result<Option<Pause>, Error> {
        let mut call = self.call(&self.0.scripts.pause);
        call.arg(fabric.map_or(EVERYTHING, FabricName::as_str)).arg(note);
        let paused: Option<String> =
            call.invoke_async(&mut self.connection().await?).await.map_err(Error::unavailable("pause or resume"))?;
        paused.as_deref().map(read).transpose()
    }

    /// Everything that is paused.
    pub async fn pauses(&self) -> Result<Pauses, Error> {
        let mut all: BTreeMap<String, String> = redis::cmd("HGETALL")
            .arg(self.keys().name("paused"))
            .query_async(&mut self.connection().await?)
            .await
            .map_err(Error::unavailable("say what is paused"))?;
        let everything = all.remove(EVERYTHING).as_deref().map(read).transpose()?;
        let of = |(fabric, text): (String, String)| Ok((FabricName::new(fabric), read(&text)?));
        Ok(Pauses { everything, fabrics: all.into_iter().map(of).collect::<Result<_, Error>>()? })
    }
}

/// The time, a blank and the note.
fn read(text: &str) -> Result<Pause, Error> {
    let (since, note) = text.split_once(' ').ok_or_else(|| Error::corrupt("paused", "no time"))?;
    Ok(Pause { since: parse("paused", since)?, note: parse("paused", note)? })
}
