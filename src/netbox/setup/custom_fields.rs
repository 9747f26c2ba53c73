//! Custom fields for what the plugin's fabrics have no column for: its versions differ in what tells how a fabric stands.

use std::collections::BTreeSet;

use serde_json::json;

use super::{Effect, GROUP, Setup, Telling, choice, text};
use crate::netbox::Error;
use crate::netbox::client::Model;
use crate::netbox::fabric::custom_field;

pub(super) const CUSTOM_FIELDS: &str = "extras/custom-fields/";
const FABRIC_TYPE: &str = "netbox_hedgehog.hedgehogfabric";

/// What tells how a fabric stands, and has no column.
pub(super) enum Columns {
    /// Name and type of each.
    Missing(Vec<(&'static str, &'static str)>),
    /// There is no fabric yet whose row would show it.
    Unknown,
}

impl Columns {
    pub fn are_missing(&self) -> bool {
        matches!(self, Self::Missing(columns) if !columns.is_empty())
    }
}

impl Setup<'_> {
    /// Looks which columns a fabric's row has. What the token may not see is unknown here: it is told as a permission.
    pub(super) async fn missing_columns(&self) -> Result<Columns, Error> {
        if self.client.model() != Model::Hedgehog || self.options.fabric_status == Telling::Off {
            return Ok(Columns::Missing(Vec::new()));
        }
        match self.client.missing_columns().await {
            Ok(Some(columns)) => Ok(Columns::Missing(columns)),
            Ok(None) | Err(Error::Denied { .. }) => Ok(Columns::Unknown),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn custom_fields(&mut self, columns: &Columns) -> Result<(), Error> {
        let columns = match columns {
            Columns::Missing(columns) if columns.is_empty() => return Ok(()),
            Columns::Missing(columns) => columns,
            Columns::Unknown => {
                let what = "custom fields of the fabrics' status".to_owned();
                self.note(what, Effect::AfterTheFirstFabric);
                return Ok(());
            }
        };
        let rows = self.client.http.list(CUSTOM_FIELDS, &[]).await?;
        for (column, kind) in columns {
            let name = custom_field(column);
            let existing = rows.iter().find(|row| text(row, "name") == Some(&name));
            let found = existing.and_then(|row| choice(row.get("type")?));
            if let Some(found) = found.filter(|found| found != kind) {
                let detail = format!("it is of type {found}, not {kind}; rename or delete it in NetBox");
                return Err(self.client.http.no_endpoint(&format!("usable custom field `{name}`"), detail));
            }
            let wanted = match existing {
                // Label, group and further types are its owner's.
                Some(row) => {
                    let types = row.get("object_types").and_then(|types| types.as_array());
                    let types: BTreeSet<&str> =
                        types.into_iter().flatten().filter_map(choice).chain([FABRIC_TYPE]).collect();
                    json!({ "object_types": types })
                }
                None => json!({
                    "name": name,
                    "object_types": [FABRIC_TYPE],
                    "type": kind,
                    "label": label(column),
                    "group_name": GROUP,
                    "description": "How the fabric stands; fgd-sync writes it.",
                }),
            };
            self.ensure(&format!("custom field {name}"), CUSTOM_FIELDS, existing, wanted).await?;
        }
        Ok(())
    }
}

/// A column's name as people read it.
fn label(column: &str) -> String {
    let words = column.replace('_', " ");
    let first = words.chars().next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    first + words.get(1..).unwrap_or_default()
}
