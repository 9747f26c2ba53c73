//! The fabric's own row, as far as it tells how the fabric stands.
//!
//! The Hedgehog plugin has such rows; for custom objects `setup` makes a type of them. The plugin's columns differ between
//! versions: each is written where the row has it, else into the custom field that `setup` makes, and none is missed.

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

/// The custom field that stands for a column which the plugin's rows do not have. NetBox knows one custom field of a name,
/// whatever it belongs to: so these have a prefix.
pub(super) fn custom_field(column: &str) -> String {
    format!("fgd_{column}")
}

/// A fabric's row as it is now, without its other columns: the plugin's hold cluster tokens in clear.
#[derive(Debug, Clone)]
pub struct FabricRow {
    pub id: u64,
    last_updated: String,
    /// The status columns that the row has.
    columns: Map<String, Value>,
    /// The custom fields that stand for the others, by the column's name.
    custom: Map<String, Value>,
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
        let query = match self.model() {
            Model::CustomObjects => vec![("fields", status_fields("last_updated")), ("name", fabric.to_string())],
            Model::Hedgehog => vec![("fields", status_fields("last_updated,custom_fields"))],
        };
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

    /// The columns that the plugin's rows do not have; `None` where no row shows it.
    pub(super) async fn missing_columns(&self) -> Result<Option<Vec<(&'static str, &'static str)>>, Error> {
        let rows = self.http.list(&self.fabrics_path(), &[("fields", status_fields("last_updated"))]).await?;
        let missing =
            |row: &Map<String, Value>| STATUS_FIELDS.into_iter().filter(|(name, _)| !row.contains_key(*name)).collect();
        Ok(rows.first().map(missing))
    }

    /// Makes the row tell this state, where it does not already. `message` is for NetBox's change log.
    pub async fn write_fabric_state(
        &self,
        row: &FabricRow,
        state: &FabricState,
        message: &str,
    ) -> Result<StateWritten, Error> {
        let mut patch = row.patch(state);
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
        let custom = row.get("custom_fields").and_then(Value::as_object).cloned().unwrap_or_default();
        let custom = STATUS_FIELDS
            .iter()
            .filter(|(column, _)| !row.contains_key(*column))
            .filter_map(|(column, _)| Some(((*column).to_owned(), custom.get(&custom_field(column))?.clone())));
        let custom: Map<String, Value> = custom.collect();
        row.retain(|name, _| STATUS_FIELDS.iter().any(|(field, _)| field == name));
        let has_place = row.contains_key("sync_status") || custom.contains_key("sync_status");
        has_place.then_some(Self { id, last_updated, columns: row, custom })
    }

    /// What makes the row say it.
    fn patch(&self, state: &FabricState) -> Map<String, Value> {
        let mut patch = differing(&self.columns, state);
        let custom: Map<String, Value> =
            differing(&self.custom, state).into_iter().map(|(column, value)| (custom_field(&column), value)).collect();
        if !custom.is_empty() {
            patch.insert("custom_fields".to_owned(), Value::Object(custom));
        }
        patch
    }
}

/// For `fields=`: what tells how a fabric stands, and what else is asked for.
fn status_fields(more: &str) -> String {
    let columns: Vec<&str> = STATUS_FIELDS.iter().map(|(name, _)| *name).collect();
    format!("id,name,{more},{}", columns.join(","))
}

/// Of these columns those that say otherwise.
fn differing(columns: &Map<String, Value>, state: &FabricState) -> Map<String, Value> {
    wanted(state)
        .into_iter()
        .filter(|(name, wanted)| columns.get(*name).is_some_and(|found| !says(found, wanted)))
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
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
    use crate::domain::fabric_state::Rejected;

    fn state(status: SyncStatus) -> FabricState {
        FabricState {
            status,
            details: String::new(),
            conflicts: 0,
            held: 0,
            commit: None,
            rejected: Rejected::default(),
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
        let names = |row: &FabricRow, state| row.patch(&state).keys().cloned().collect::<Vec<_>>();

        assert!(row(told.clone()).patch(&state(SyncStatus::InSync)).is_empty());
        assert_eq!(names(&row(told), state(SyncStatus::Error)), ["sync_status"]);
        let newer = json!({"sync_status": {"value": "in_sync", "label": "In Sync"}, "drift_status": "conflicts", "drift_count": 0});
        assert_eq!(names(&row(newer), state(SyncStatus::InSync)), ["drift_status"]);
    }

    #[test]
    fn what_the_row_has_no_column_for_goes_into_its_custom_fields() {
        let told = json!({
            "sync_status": "in_sync", "last_sync": "2026-11-21T04:48:50.238000Z", "sync_error": "", "drift_count": 0,
            "custom_fields": {"fgd_drift_status": null, "fgd_drift_count": 7, "drift_status": "a user's"},
        });

        let patch = Value::Object(row(told).patch(&state(SyncStatus::InSync)));

        assert_eq!(patch, json!({"custom_fields": {"fgd_drift_status": "in_sync"}}));
    }

    #[test]
    fn a_row_without_a_status_is_no_place() {
        assert!(FabricRow::read(json!({"id": 1, "name": "lab"}).as_object().cloned().unwrap()).is_none());
    }
}
