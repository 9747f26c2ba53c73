//! The fabric's own row, as far as it tells how the fabric stands.
//!
//! The Hedgehog plugin has such rows; for custom objects `setup` makes a type of them. Their columns differ between
//! versions: each is written where the row has it, and none is missed.

use reqwest::{Method, StatusCode};
use serde_json::{Map, Value, json};

use crate::domain::fabric_state::{FabricState, SyncStatus};
use crate::domain::kind::FABRICS_SLUG;
use crate::domain::names::FabricName;

use super::Error;
use super::client::{Client, Model};
use super::http::{NoAnswer, Write};
use super::rows;

/// NetBox's name for the fabrics' custom object type.
pub(super) const FABRICS_TYPE: &str = "hedgehog_fabric";

/// The columns that tell how a fabric stands, with the field types that `setup` gives them.
pub(super) const STATUS_FIELDS: [(&str, &str); 6] = [
    ("sync_status", "text"),
    ("last_sync", "datetime"),
    ("sync_error", "longtext"),
    ("drift_status", "text"),
    ("drift_count", "integer"),
    ("desired_state_commit", "text"),
];

/// A fabric's row as it is now, without its other columns: the plugin's hold cluster tokens in clear.
#[derive(Debug, Clone)]
pub struct FabricRow {
    pub id: u64,
    last_updated: String,
    /// The status columns that the row has.
    columns: Map<String, Value>,
}

/// What became of telling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateWritten {
    /// The row says so now, as its answer or a second look shows.
    Done,
    /// Somebody changed the row meanwhile: read it again.
    Changed,
}

impl Client {
    /// The fabric's row; `None` where NetBox has none, or none with a status.
    pub async fn fabric_row(&self, fabric: &FabricName) -> Result<Option<FabricRow>, Error> {
        let columns: Vec<&str> = STATUS_FIELDS.iter().map(|(name, _)| *name).collect();
        let fields = format!("id,name,last_updated,{}", columns.join(","));
        let mut query = vec![("fields", fields)];
        if self.model() == Model::CustomObjects {
            query.push(("name", fabric.to_string()));
        }
        let rows = match self.http.list(&self.fabrics_path(), &query).await {
            Ok(rows) => rows,
            // The type is not set up.
            Err(Error::NoEndpoint { .. }) if self.model() == Model::CustomObjects => return Ok(None),
            Err(error) => return Err(error),
        };
        // The filter finds more than equal names.
        let named = |row: &Map<String, Value>| row.get("name").and_then(Value::as_str) == Some(fabric.as_str());
        let mut rows = rows.into_iter().filter(named);
        let (row, second) = (rows.next(), rows.next());
        if second.is_some() {
            let detail = format!("several rows are called {fabric}; delete all but one of them in NetBox");
            return Err(self.http.unexpected("the fabric's status", detail));
        }
        Ok(row.and_then(FabricRow::read))
    }

    /// Makes the row tell this state, where it does not already. `message` is for NetBox's change log.
    pub async fn write_fabric_state(
        &self,
        row: &FabricRow,
        state: &FabricState,
        message: &str,
    ) -> Result<StateWritten, Error> {
        let mut patch = row.differing(state);
        if patch.is_empty() {
            return Ok(StateWritten::Done);
        }
        let message: String = message.chars().take(super::write::MAX_MESSAGE).collect();
        patch.insert("changelog_message".to_owned(), Value::from(message));
        let path = format!("{}{}/", self.fabrics_path(), row.id);
        let (method, body) = (Method::PATCH, Value::Object(patch));
        let query = match self.model() {
            Model::Hedgehog => vec![("omit", "display_url".to_owned())],
            Model::CustomObjects => Vec::new(),
        };
        let if_match = rows::etag(&row.last_updated);
        let write = Write { method: method.clone(), path: &path, query: &query, body: &body, if_match };
        match self.http.write(&write).await {
            Ok(answer) if answer.status.is_success() => Ok(StateWritten::Done),
            Ok(answer) if matches!(answer.status, StatusCode::PRECONDITION_FAILED | StatusCode::NOT_FOUND) => {
                Ok(StateWritten::Changed)
            }
            // The plugin may save a row and answer 500: a second look tells.
            Ok(answer) if answer.status.is_server_error() => Ok(StateWritten::Changed),
            Ok(answer) => Err(self.http.failure(&method, &path, &answer)),
            Err(NoAnswer::NotSent(error)) => Err(error),
            Err(NoAnswer::Lost(_)) => Ok(StateWritten::Changed),
        }
    }

    /// The list endpoint of the fabrics, below `/api/`.
    pub(super) fn fabrics_path(&self) -> String {
        match self.model() {
            Model::Hedgehog => "plugins/hedgehog/fabrics/".to_owned(),
            Model::CustomObjects => format!("plugins/custom-objects/{FABRICS_SLUG}/"),
        }
    }
}

impl FabricRow {
    fn read(mut row: Map<String, Value>) -> Option<Self> {
        let id = row.get("id")?.as_u64()?;
        let last_updated = row.get("last_updated").and_then(Value::as_str).unwrap_or_default().to_owned();
        row.retain(|name, _| STATUS_FIELDS.iter().any(|(field, _)| field == name));
        row.contains_key("sync_status").then_some(Self { id, last_updated, columns: row })
    }

    /// The columns that the row has and that say otherwise.
    fn differing(&self, state: &FabricState) -> Map<String, Value> {
        wanted(state)
            .into_iter()
            .filter(|(name, wanted)| self.columns.get(*name).is_some_and(|found| !says(found, wanted)))
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }
}

/// What each column shall say; what is not known is left as it is.
fn wanted(state: &FabricState) -> Vec<(&'static str, Value)> {
    let mut columns = vec![("sync_status", json!(state.status.as_str())), ("sync_error", json!(state.details))];
    columns.extend(state.last_sync.as_ref().map(|at| ("last_sync", json!(at))));
    columns.extend(state.commit.as_ref().map(|commit| ("desired_state_commit", json!(commit.as_str()))));
    let drift = match state.status {
        SyncStatus::InSync => Some("in_sync"),
        SyncStatus::OutOfSync if state.conflicts > 0 => Some("conflicts"),
        SyncStatus::OutOfSync if state.held > 0 => Some("drift_detected"),
        // Refused documents are on neither side.
        SyncStatus::OutOfSync => Some("in_sync"),
        // These say nothing about the contents of the two sides.
        SyncStatus::NeverSynced | SyncStatus::Syncing | SyncStatus::Error => None,
    };
    if let Some(drift) = drift {
        columns.extend([("drift_status", json!(drift)), ("drift_count", json!(state.held))]);
    }
    columns
}

/// Whether NetBox's spelling of a value means the same: times have microseconds there, and no text is null or empty.
fn says(found: &Value, wanted: &Value) -> bool {
    let time = |value: &Value| humantime::parse_rfc3339(value.as_str()?).ok();
    match (found, wanted) {
        (Value::Null, Value::String(text)) => text.is_empty(),
        (Value::Object(choice), Value::String(_)) => choice.get("value") == Some(wanted),
        _ => found == wanted || time(wanted).is_some_and(|at| time(found) == Some(at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(status: SyncStatus) -> FabricState {
        FabricState {
            status,
            details: String::new(),
            conflicts: 0,
            held: 0,
            commit: None,
            rejected: (0, Vec::new()),
            last_sync: Some("2026-11-21T04:48:50.238Z".to_owned()),
        }
    }

    fn row(columns: Value) -> FabricRow {
        let mut columns = columns.as_object().cloned().unwrap_or_default();
        columns.insert("id".to_owned(), json!(7));
        FabricRow::read(columns).unwrap()
    }

    #[test]
    fn only_columns_that_the_row_has_and_that_differ_are_written() {
        let told = json!({"sync_status": "in_sync", "last_sync": "2026-11-21T04:48:50.238000Z", "sync_error": null});
        let names = |row: &FabricRow, state| row.differing(&state).keys().cloned().collect::<Vec<_>>();

        assert!(row(told.clone()).differing(&state(SyncStatus::InSync)).is_empty());
        assert_eq!(names(&row(told), state(SyncStatus::Error)), ["sync_status"]);
        let newer = json!({"sync_status": {"value": "in_sync", "label": "In Sync"}, "drift_status": "conflicts", "drift_count": 0});
        assert_eq!(names(&row(newer), state(SyncStatus::InSync)), ["drift_status"]);
    }

    #[test]
    fn a_row_without_a_status_is_no_place() {
        assert!(FabricRow::read(json!({"id": 1, "name": "lab"}).as_object().cloned().unwrap()).is_none());
    }
}
