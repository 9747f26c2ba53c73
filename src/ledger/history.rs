//! Histories that broke: what was found, and a person's word that it is to be gone on with.

use crate::domain::history::HistoryBreak;
use crate::domain::lease::LeaseProof;
use crate::domain::names::{FabricName, Oid, Target};

use super::{Error, Ledger, json, parse};

/// What came of accepting a new history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HistoryAccepted {
    Done(HistoryBreak),
    /// The head is another than the person saw; nothing was done.
    Moved(HistoryBreak),
    /// No break is noted.
    Unbroken,
}

impl Ledger {
    /// The break that the last run on a target found; `None` when there was none.
    pub async fn broken_history(&self, target: &Target) -> Result<Option<HistoryBreak>, Error> {
        let key = self.keys().of("target", target);
        let text: Option<String> = redis::cmd("HGET")
            .arg(&key)
            .arg("broken")
            .query_async(&mut self.connection().await?)
            .await
            .map_err(Error::unavailable("recall a history"))?;
        text.map(|text| parse(&key, &text)).transpose()
    }

    /// Notes what a run that holds the target found. `Error::LeaseLost` (and no effect) otherwise.
    pub async fn note_history(&self, proof: &LeaseProof, broken: Option<&HistoryBreak>) -> Result<(), Error> {
        let mut call = self.call(&self.0.scripts.history);
        call.arg(proof.target().to_string()).arg(proof.fence()).arg(broken.map(json).unwrap_or_default());
        let noted: bool =
            call.invoke_async(&mut self.connection().await?).await.map_err(Error::unavailable("note a history"))?;
        if noted { Ok(()) } else { Err(Error::lease_lost(proof)) }
    }

    /// Takes the new history for the one that was dealt with. Until a comparison has found nothing of the kind, each
    /// deletion that it asks of NetBox in these fabrics is guarded.
    pub async fn accept_history(
        &self,
        target: &Target,
        seen: Option<&Oid>,
        fabrics: &[&FabricName],
    ) -> Result<HistoryAccepted, Error> {
        let mut call = self.call(&self.0.scripts.accept_history);
        call.arg(target.to_string()).arg(seen.map_or("", Oid::as_str));
        for fabric in fabrics {
            call.arg(fabric.as_str());
        }
        let answer: Option<(bool, String)> =
            call.invoke_async(&mut self.connection().await?).await.map_err(Error::unavailable("accept a history"))?;
        Ok(match answer {
            None => HistoryAccepted::Unbroken,
            Some((true, broken)) => HistoryAccepted::Done(parse("target", &broken)?),
            Some((false, broken)) => HistoryAccepted::Moved(parse("target", &broken)?),
        })
    }
}
