//! What happened to each object, newest first: a bounded list for each, gone when nothing happened for the retention.

use redis::ScriptInvocation;
use serde::{Deserialize, Serialize};

use crate::domain::key::Key;
use crate::domain::names::{FabricName, Oid, RunId};
use crate::domain::report::Outcome;

use super::types::{Advance, Millis};
use super::{Error, Ledger, json, parse};

/// The most that is kept of one object.
pub(super) const MOST: usize = 20;

/// Something that a run did to an object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Touch {
    pub run: RunId,
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Our commit that has it, for what was done in Git; for NetBox the commit that asked for it.
    pub commit: Option<Oid>,
    /// NetBox users whose change it was, or the author of the commit that asked for it.
    pub by: Vec<String>,
    /// NetBox's id of our request, for what was done in NetBox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
}

impl Ledger {
    /// What happened to an object, newest first, at most `MOST`.
    pub async fn history(&self, fabric: &FabricName, key: &Key) -> Result<Vec<(Millis, Touch)>, Error> {
        let name = self.keys().of("history", format!("{fabric}:{}", json(key)));
        let entries: Vec<String> = redis::cmd("LRANGE")
            .arg((&name, 0, -1))
            .query_async(&mut self.connection().await?)
            .await
            .map_err(Error::unavailable("read an object's history"))?;
        let read = |entry: &String| {
            let (at, touch) = entry.split_once(' ').ok_or_else(|| Error::corrupt(&name, "no time"))?;
            Ok((parse(&name, at)?, parse(&name, touch)?))
        };
        entries.iter().map(read).collect()
    }
}

/// The operations of the advance script.
pub(super) fn write_operations(call: &mut ScriptInvocation<'_>, advance: &Advance) {
    for (key, touch) in &advance.touched {
        call.arg("touch").arg("history").arg(json(key)).arg(json(touch));
    }
}
