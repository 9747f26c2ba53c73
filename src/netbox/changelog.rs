//! NetBox's change log: proof of deletions, and edits that a write of ours covered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::domain::key::ObjectId;
use crate::domain::kind::{Kind, KindSpec};
use crate::domain::row::Row;

use super::Error;
use super::client::Client;
use super::rows::{Found, MissingField};

pub(super) const PATH: &str = "core/object-changes/";
/// Above this many rows of one type, all deletions of the type are listed instead of asking row by row.
const MAX_SINGLE_QUESTIONS: usize = 20;
/// Without the rows' content: a deletion's record holds the whole row.
const BARE: &str = "id,action,changed_object_type,changed_object_id";

#[derive(Deserialize)]
struct Record {
    id: u64,
    action: Action,
    changed_object_type: String,
    changed_object_id: u64,
    #[serde(default)]
    request_id: String,
    #[serde(default)]
    user_name: Option<String>,
    #[serde(default)]
    prechange_data: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
pub(super) struct Action {
    pub value: String,
}

/// A user's edit that one of our writes covered.
pub(super) struct Covered {
    pub by: Option<String>,
    pub before: Value,
}

impl Client {
    /// Those of the rows whose deletion NetBox's change log records (NetBox keeps it for 90 days by default).
    ///
    /// Proof of a deletion together with a read that finds nothing: ids are never used again.
    pub async fn deleted(&self, objects: &BTreeSet<ObjectId>) -> Result<BTreeSet<ObjectId>, Error> {
        let mut by_kind: BTreeMap<&Kind, BTreeSet<u64>> = BTreeMap::new();
        for object in objects {
            by_kind.entry(&object.kind).or_default().insert(object.id);
        }
        let mut proven = BTreeSet::new();
        for (kind, ids) in by_kind {
            let object_type = self.object_type(self.spec(kind)?).await?;
            for id in self.deleted_of_type(&object_type, &ids).await? {
                proven.insert(ObjectId { kind: kind.clone(), id });
            }
        }
        Ok(proven)
    }

    async fn deleted_of_type(&self, object_type: &str, ids: &BTreeSet<u64>) -> Result<BTreeSet<u64>, Error> {
        let filters = vec![
            ("action", "delete".to_owned()),
            ("changed_object_type", object_type.to_owned()),
            ("fields", BARE.to_owned()),
        ];
        let mut records = Vec::new();
        if ids.len() > MAX_SINGLE_QUESTIONS {
            records = self.records(&filters).await?;
        } else {
            for id in ids {
                let mut filters = filters.clone();
                filters.push(("changed_object_id", id.to_string()));
                records.extend(self.records(&filters).await?);
            }
        }
        let is_deletion =
            |record: &Record| record.action.value == "delete" && record.changed_object_type == object_type;
        let deleted = records.iter().filter(|record| is_deletion(record)).map(|record| record.changed_object_id);
        Ok(deleted.filter(|id| ids.contains(id)).collect())
    }

    /// NetBox's name of a kind's rows, for example `netbox_hedgehog.vpc`.
    pub(super) async fn object_type(&self, spec: &KindSpec) -> Result<String, Error> {
        let form = self.form(spec);
        let known = Arc::clone(&self.object_types.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(object_type) = form.object_type(&known) {
            return Ok(object_type);
        }
        let types = self.custom_object_types().await?;
        form.object_type(&types).ok_or_else(|| {
            let remedy = "run `fgd-sync setup netbox`".to_owned();
            self.http.no_endpoint(&format!("custom object type for {}", spec.kind), remedy)
        })
    }

    pub(super) async fn custom_object_types(&self) -> Result<Arc<BTreeMap<String, String>>, Error> {
        #[derive(Deserialize)]
        struct WireType {
            slug: String,
            object_type_name: String,
        }
        let path = "plugins/custom-objects/custom-object-types/";
        let rows = self.http.list(path, &[("fields", "id,slug,object_type_name".to_owned())]).await?;
        let mut types = BTreeMap::new();
        for row in rows {
            let found: WireType = serde_json::from_value(Value::Object(row))
                .map_err(|error| self.http.unexpected(&format!("GET {}", self.http.shown(path)), error.to_string()))?;
            types.insert(found.slug, found.object_type_name);
        }
        let types = Arc::new(types);
        *self.object_types.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&types);
        Ok(types)
    }

    /// The rows of a kind that a request of ours wrote, whatever it was answered with.
    pub(super) async fn written_by(&self, spec: &KindSpec, request_id: &str) -> Result<BTreeSet<u64>, Error> {
        let object_type = self.object_type(spec).await?;
        let filters = [("request_id", request_id.to_owned()), ("fields", format!("{BARE},request_id"))];
        let records = self.records(&filters).await?;
        let ours = |record: &&Record| record.request_id == request_id && record.changed_object_type == object_type;
        Ok(records.iter().filter(ours).map(|record| record.changed_object_id).collect())
    }

    /// Which of the rows that a bulk write covered were not what it was planned against: a lost edit each.
    ///
    /// Cannot fail: without the change log (a token that may not read it) nothing is known, and that is said once.
    pub(super) async fn covered(
        &self,
        spec: &KindSpec,
        request_id: &str,
        against: &BTreeMap<u64, &Row>,
    ) -> BTreeMap<u64, Covered> {
        match self.try_covered(spec, request_id, against).await {
            Ok(covered) => covered,
            Err(error) => {
                if !self.audit_warned.swap(true, Ordering::Relaxed) {
                    tracing::warn!(netbox = %self.name(), %error, "edits that a bulk write covers cannot be found");
                }
                BTreeMap::new()
            }
        }
    }

    async fn try_covered(
        &self,
        spec: &KindSpec,
        request_id: &str,
        against: &BTreeMap<u64, &Row>,
    ) -> Result<BTreeMap<u64, Covered>, Error> {
        let object_type = self.object_type(spec).await?;
        let mut covered = BTreeMap::new();
        for record in self.records(&[("request_id", request_id.to_owned())]).await? {
            let ours = record.request_id == request_id && record.changed_object_type == object_type;
            let Some(planned) = against.get(&record.changed_object_id).filter(|_| ours) else { continue };
            let Some(before) = record.prechange_data else { continue };
            if self.says(spec, record.changed_object_id, &before, planned) {
                continue;
            }
            let by = self.last_editor(&object_type, record.changed_object_id, record.id).await?;
            covered.insert(record.changed_object_id, Covered { by, before: Value::Object(before) });
        }
        Ok(covered)
    }

    /// Whether a record's state of a row is the row that was planned against.
    fn says(&self, spec: &KindSpec, id: u64, state: &Map<String, Value>, planned: &Row) -> bool {
        match self.form(spec).parse(spec, id, state, &self.known_fabrics()) {
            Ok(Found::Row { row, .. }) => row.shared.digest() == planned.shared.digest(),
            Ok(Found::Invalid { .. }) | Err(MissingField(_)) => false,
        }
    }

    /// Who changed the row last before the record `ours`.
    async fn last_editor(&self, object_type: &str, id: u64, ours: u64) -> Result<Option<String>, Error> {
        let filters = [
            ("changed_object_type", object_type.to_owned()),
            ("changed_object_id", id.to_string()),
            ("fields", format!("{BARE},user_name")),
        ];
        let records = self.records(&filters).await?;
        let same = |record: &&Record| record.changed_object_id == id && record.changed_object_type == object_type;
        let last = records.iter().filter(same).filter(|record| record.id < ours).max_by_key(|record| record.id);
        Ok(last.and_then(|record| record.user_name.clone()))
    }

    async fn records(&self, filters: &[(&'static str, String)]) -> Result<Vec<Record>, Error> {
        let rows = self.http.list(PATH, filters).await?;
        let read = |row| serde_json::from_value(Value::Object(row));
        rows.into_iter()
            .map(read)
            .collect::<Result<_, _>>()
            .map_err(|error| self.http.unexpected(&format!("GET {}", self.http.shown(PATH)), error.to_string()))
    }
}
