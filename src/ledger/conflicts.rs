//! Contradictions that wait for a person, and what the person said.

use std::collections::BTreeMap;

use redis::ScriptInvocation;
use serde::{Deserialize, Serialize};

use crate::domain::conflict::{Conflict, Documents, Resolution};
use crate::domain::key::Key;
use crate::domain::names::FabricName;

use super::types::{Advance, Millis};
use super::{Error, Ledger, json, parse};

/// A conflict as the ledger keeps it; its documents lie apart, so that a run need not read them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConflictRecord {
    /// When it was first seen; a change of its contents does not move it.
    pub since: Millis,
    #[serde(flatten)]
    pub conflict: Conflict,
}

impl Ledger {
    /// The conflicts of a fabric, without their documents.
    pub async fn conflicts(&self, fabric: &FabricName) -> Result<BTreeMap<Key, ConflictRecord>, Error> {
        let hash: Vec<(String, String)> = redis::cmd("HGETALL")
            .arg(self.keys().of("conflicts", fabric))
            .query_async(&mut self.connection().await?)
            .await
            .map_err(Error::unavailable("list conflicts"))?;
        hash.iter().map(|(key, record)| Ok((parse("conflicts", key)?, parse("conflicts", record)?))).collect()
    }

    /// One conflict with its documents, and how a person has resolved it if no run has seen that yet.
    pub async fn conflict(
        &self,
        fabric: &FabricName,
        key: &Key,
    ) -> Result<Option<(ConflictRecord, Documents, Option<Resolution>)>, Error> {
        let field = json(key);
        let (record, documents, resolution): (Option<String>, Option<String>, Option<String>) = redis::pipe()
            .atomic()
            .hget(self.keys().of("conflicts", fabric), &field)
            .hget(self.keys().of("conflict_documents", fabric), &field)
            .hget(self.keys().of("resolutions", fabric), &field)
            .query_async(&mut self.connection().await?)
            .await
            .map_err(Error::unavailable("read a conflict"))?;
        let Some(record) = record else { return Ok(None) };
        let documents = documents.map(|text| parse("conflict_documents", &text)).transpose()?;
        let resolution = resolution.map(|text| parse("resolutions", &text)).transpose()?;
        Ok(Some((parse("conflicts", &record)?, documents.unwrap_or_default(), resolution)))
    }

    /// Records how a person decided; the next run that looks at the object applies it. A later one replaces it.
    pub async fn resolve(&self, fabric: &FabricName, key: &Key, resolution: &Resolution) -> Result<(), Error> {
        redis::cmd("HSET")
            .arg(self.keys().of("resolutions", fabric))
            .arg(json(key))
            .arg(json(resolution))
            .query_async(&mut self.connection().await?)
            .await
            .map_err(Error::unavailable("record a resolution"))
    }
}

/// The operations of the advance script that are about conflicts.
pub(super) fn write_operations(call: &mut ScriptInvocation<'_>, advance: &Advance) {
    let mut operation = |what: &str, name: &str, field: &str, value: &str| {
        call.arg(what).arg(name).arg(field).arg(value);
    };
    for (key, found) in &advance.conflicts {
        let key = json(key);
        match found {
            Some((record, documents)) => {
                operation("set", "conflicts", &key, &json(record));
                operation("set", "conflict_documents", &key, &json(documents));
            }
            None => {
                operation("unset", "conflicts", &key, "");
                operation("unset", "conflict_documents", &key, "");
            }
        }
    }
    for (key, resolution) in &advance.answered {
        operation("unset_if", "resolutions", &json(key), &json(resolution));
    }
    for (key, lost) in &advance.lost {
        match lost {
            Some(lost) => operation("set", "lost_edits", &json(key), &json(lost)),
            None => operation("unset", "lost_edits", &json(key), ""),
        }
    }
}
