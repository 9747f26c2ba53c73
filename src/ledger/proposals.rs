//! What is up for review in place of a commit, one for each target.

use crate::domain::lease::LeaseProof;
use crate::domain::names::Target;
use crate::domain::proposal::Proposal;

use super::{Error, Ledger, json, parse};

impl Ledger {
    /// The last proposal for a target, however its review ended.
    pub async fn proposal(&self, target: &Target) -> Result<Option<Proposal>, Error> {
        let key = self.keys().of("target", target);
        let text: Option<String> = redis::cmd("HGET")
            .arg(&key)
            .arg("proposal")
            .query_async(&mut self.connection().await?)
            .await
            .map_err(Error::unavailable("recall a proposal"))?;
        text.map(|text| parse(&key, &text)).transpose()
    }

    /// Remembers the proposal of a run that holds its target. `Error::LeaseLost` (and no effect) otherwise.
    pub async fn remember_proposal(&self, proof: &LeaseProof, proposal: &Proposal) -> Result<(), Error> {
        let mut call = self.call(&self.0.scripts.propose);
        call.arg(proof.target().to_string()).arg(proof.fence()).arg(json(proposal));
        let kept: bool = call
            .invoke_async(&mut self.connection().await?)
            .await
            .map_err(Error::unavailable("remember a proposal"))?;
        if kept { Ok(()) } else { Err(Error::lease_lost(proof)) }
    }
}
