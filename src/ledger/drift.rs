//! What differs between both sides of a fabric: replaced by every full comparison, kept up by the runs in between.

use std::collections::BTreeMap;

use redis::ScriptInvocation;
use serde::{Deserialize, Serialize};

use crate::domain::drift::{Difference, Drift};
use crate::domain::key::Key;
use crate::domain::names::{FabricName, Oid, RunId};
use crate::domain::path::RepoPath;

use super::types::Millis;
use super::{Error, Ledger, json, parse};

/// The last comparison of everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    pub seen: Seen,
    pub run: RunId,
    /// Whether it was a plan alone, or the run also brought together what it could.
    pub dry_run: bool,
}

/// Of which state of both sides something was said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// When NetBox and Git were read.
    pub at: Millis,
    /// The head that was read; `None` where the branch did not exist.
    pub head: Option<Oid>,
}

/// One difference, and when it was last seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriftRecord {
    #[serde(flatten)]
    pub drift: Drift,
    pub seen: Seen,
}

/// What a run found of the differences.
#[derive(Debug, Clone)]
pub struct DriftUpdate {
    /// When the run compared everything: what it did not find is gone.
    pub compared: Option<Comparison>,
    pub seen: Seen,
    /// Every key that was looked at: its difference, or that it has none.
    pub objects: BTreeMap<Key, Option<Drift>>,
    /// Every file that is no object.
    pub files: BTreeMap<RepoPath, Drift>,
}

/// What a difference is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum DriftSubject {
    Object(Key),
    File(RepoPath),
}

/// All differences of a fabric.
#[derive(Debug, Clone, Default)]
pub struct FabricDrift {
    /// `None` when there was none yet.
    pub compared: Option<Comparison>,
    pub items: BTreeMap<(Difference, DriftSubject), DriftRecord>,
}

impl Ledger {
    /// What differs, as of one instant of the ledger; at most as much as the fabric has objects and files.
    pub async fn drift(&self, fabric: &FabricName) -> Result<FabricDrift, Error> {
        let key = |name: &str| self.keys().of(name, fabric);
        type Hash = Vec<(String, String)>;
        let (compared, objects, files): (Option<String>, Hash, Hash) = redis::pipe()
            .atomic()
            .hget(key("fabric"), "compared")
            .hgetall(key("drift"))
            .hgetall(key("drift_files"))
            .query_async(&mut self.connection().await?)
            .await
            .map_err(Error::unavailable("read what differs"))?;
        let mut items = BTreeMap::new();
        let mut add = |subject, record: DriftRecord| items.insert((record.drift.difference, subject), record);
        for (object, record) in &objects {
            add(DriftSubject::Object(parse("drift", object)?), parse("drift", record)?);
        }
        for (file, record) in &files {
            add(DriftSubject::File(parse("drift_files", file)?), parse("drift_files", record)?);
        }
        Ok(FabricDrift { compared: compared.map(|text| parse("fabric", &text)).transpose()?, items })
    }
}

/// The operations of the advance script that are about drift.
pub(super) fn write_operations(call: &mut ScriptInvocation<'_>, update: &DriftUpdate) {
    let mut operation = |what: &str, name: &str, field: &str, value: &str| {
        call.arg(what).arg(name).arg(field).arg(value);
    };
    if let Some(comparison) = &update.compared {
        operation("clear", "drift", "", "");
        operation("set", "fabric", "compared", &json(comparison));
    }
    let record = |drift: &Drift| json(&DriftRecord { drift: drift.clone(), seen: update.seen.clone() });
    for (key, drift) in &update.objects {
        match drift {
            Some(drift) => operation("set", "drift", &json(key), &record(drift)),
            None if update.compared.is_none() => operation("unset", "drift", &json(key), ""),
            None => {}
        }
    }
    operation("clear", "drift_files", "", "");
    for (path, drift) in &update.files {
        operation("set", "drift_files", &json(path), &record(drift));
    }
}
