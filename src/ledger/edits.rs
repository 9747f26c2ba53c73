//! What runs changed in files: for whoever looks at a run soon after it, so kept for a week and in no script.

use std::time::Duration;

use crate::domain::file_edit::RunEdits;
use crate::domain::names::{FabricName, RunId};

use super::options::millis;
use super::{Error, Ledger, json, parse};

/// How long they are kept; Git has them for ever.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3_600);

impl Ledger {
    /// Keeps what a run changes in a fabric's files.
    pub async fn keep_edits(&self, run: &RunId, fabric: &FabricName, edits: &RunEdits) -> Result<(), Error> {
        redis::cmd("SET")
            .arg(self.keys().of("edits", format!("{run}:{fabric}")))
            .arg(json(edits))
            .arg("PX")
            .arg(millis(KEPT))
            .query_async(&mut self.connection().await?)
            .await
            .map_err(Error::unavailable("keep a run's edits"))
    }

    /// What a run changed in a fabric's files; empty when it changed none, and after a week.
    pub async fn edits(&self, run: &RunId, fabric: &FabricName) -> Result<RunEdits, Error> {
        let key = self.keys().of("edits", format!("{run}:{fabric}"));
        let text: Option<String> = redis::cmd("GET")
            .arg(&key)
            .query_async(&mut self.connection().await?)
            .await
            .map_err(Error::unavailable("read a run's edits"))?;
        Ok(text.map(|text| parse(&key, &text)).transpose()?.unwrap_or_default())
    }
}
