//! NetBox's JSON to rows, and what is written back.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::domain::document::{Shared, without_ours};
use crate::domain::fabric_ref::FabricRef;
use crate::domain::fate::Reason;
use crate::domain::key::Key;
use crate::domain::kind::KindSpec;
use crate::domain::names::FabricName;
use crate::domain::row::Row;

/// One row as NetBox has it now.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// `fabric` is `None` when the field is empty, or names a fabric that the token does not show.
    Row { row: Row, fabric: Option<FabricName> },
    /// A row that cannot be a Kubernetes document; `key` when it still takes a key's place.
    Invalid { id: u64, fabric: Option<FabricName>, key: Option<Key>, reason: Reason },
}

impl Found {
    /// The row's id.
    pub fn id(&self) -> u64 {
        match self {
            Self::Row { row, .. } => row.id,
            Self::Invalid { id, .. } => *id,
        }
    }

    /// The key that it holds.
    pub fn key(&self) -> Option<&Key> {
        match self {
            Self::Row { row, .. } => Some(&row.shared.key),
            Self::Invalid { key, .. } => key.as_ref(),
        }
    }

    /// The fabric that it belongs to, as far as the token shows it.
    pub fn fabric(&self) -> Option<&FabricName> {
        match self {
            Self::Row { fabric, .. } | Self::Invalid { fabric, .. } => fabric.as_ref(),
        }
    }

    /// Whether it belongs to this fabric.
    pub fn is_of(&self, fabric: &FabricName) -> bool {
        self.fabric() == Some(fabric)
    }
}

/// The fields that every row has, in either model. One that is missing altogether is not an empty one.
pub(super) const FIELDS: [&str; 6] = ["name", "fabric", "namespace", "spec", "labels", "annotations"];

/// A field that the endpoint's rows do not have.
pub(super) struct MissingField(pub String);

/// Reads a row; `fabrics` are the plugin's, for rows that name their fabric by id.
pub(super) fn parse(
    spec: &KindSpec,
    id: u64,
    wire: &Map<String, Value>,
    fabrics: &BTreeMap<u64, String>,
) -> Result<Found, MissingField> {
    if let Some(missing) = FIELDS.iter().find(|field| !wire.contains_key(**field)) {
        return Err(MissingField((*missing).to_owned()));
    }
    let fabric = fabric_of(wire, fabrics);
    let key = match key_of(spec, wire) {
        Ok(key) => key,
        Err(reason) => return Ok(Found::Invalid { id, fabric, key: None, reason }),
    };
    match shared(&key, wire) {
        Ok(shared) => {
            let last_updated = wire.get("last_updated").and_then(Value::as_str).unwrap_or_default().to_owned();
            Ok(Found::Row { row: Row { id, shared, last_updated }, fabric })
        }
        Err(reason) => Ok(Found::Invalid { id, fabric, key: Some(key), reason }),
    }
}

/// The fabric's id that a plugin row names, when `fabrics` does not have it.
pub(super) fn unknown_fabric(wire: &Map<String, Value>, fabrics: &BTreeMap<u64, String>) -> bool {
    wire.get("fabric").and_then(fabric_id).is_some_and(|id| !fabrics.contains_key(&id))
}

fn fabric_of(wire: &Map<String, Value>, fabrics: &BTreeMap<u64, String>) -> Option<FabricName> {
    match fabric_ref(wire.get("fabric")?)? {
        FabricRef::Name(name) => Some(name),
        FabricRef::Id(id) => fabrics.get(&id).map(FabricName::new),
        FabricRef::Any => None,
    }
}

/// What a row's `fabric` field says; nothing when it is empty.
pub(super) fn fabric_ref(field: &Value) -> Option<FabricRef> {
    match field {
        Value::String(name) => (!name.is_empty()).then(|| FabricRef::Name(FabricName::new(name.as_str()))),
        field => fabric_id(field).map(FabricRef::Id),
    }
}

/// The plugin writes a bare id; a nested object is what other NetBox models write.
fn fabric_id(field: &Value) -> Option<u64> {
    field.as_u64().or_else(|| field.get("id").and_then(Value::as_u64))
}

/// The longest name that Kubernetes takes, in bytes.
const MAX_NAME: usize = 253;

fn key_of(spec: &KindSpec, wire: &Map<String, Value>) -> Result<Key, Reason> {
    let text = |field: &str| wire.get(field).and_then(Value::as_str).unwrap_or_default();
    let namespace = match text("namespace") {
        "" => "default",
        namespace => namespace,
    };
    let name = text("name");
    for (field, value) in [("name", name), ("namespace", namespace)] {
        if let Err(why) = usable(value) {
            let message = format!("the row's {field} {value:?} {why}; change it in NetBox");
            return Err(Reason::new("unusable_name", message));
        }
    }
    Ok(Key { kind: spec.kind.clone(), namespace: namespace.to_owned(), name: name.to_owned() })
}

/// Only what can be no file name and no Kubernetes name at all; the rest is for the validation of documents.
pub(super) fn usable(name: &str) -> Result<(), &'static str> {
    match name {
        "" => Err("is empty"),
        "." | ".." => Err("is no name"),
        name if name.len() > MAX_NAME => Err("is longer than 253 bytes"),
        name if name.contains(['/', '\\']) => Err("has a path separator"),
        name if name.chars().any(|c| c.is_control() || c.is_whitespace()) => Err("has a space or a control character"),
        _ => Ok(()),
    }
}

fn shared(key: &Key, wire: &Map<String, Value>) -> Result<Shared, Reason> {
    let spec = wire.get("spec").cloned().unwrap_or(Value::Null);
    if !spec.is_object() && !spec.is_null() {
        return Err(Reason::new("spec_not_an_object", "the row's spec is not a JSON object; correct it in NetBox"));
    }
    let labels = string_map(wire, "labels")?;
    let annotations = without_ours(string_map(wire, "annotations")?);
    Ok(Shared { key: key.clone(), labels, annotations, spec })
}

fn string_map(wire: &Map<String, Value>, field: &str) -> Result<Map<String, Value>, Reason> {
    let bad = |what: &str| {
        let message = format!("the row's {field} {what}; Kubernetes takes strings only: correct it in NetBox");
        Reason::new(&format!("{field}_not_strings"), message)
    };
    match wire.get(field) {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(map)) => match map.iter().find(|(_, value)| !value.is_string()) {
            None => Ok(map.clone()),
            Some((name, _)) => Err(bad(&format!("have a value for {name:?} that is not a string"))),
        },
        Some(_) => Err(bad("are not a JSON object")),
    }
}

/// The fields of a new row: always all of them.
pub(super) fn creation(want: &Shared, fabric: &Value, message: &str) -> Value {
    let mut body = update(want, message);
    body["fabric"] = fabric.clone();
    body
}

/// The fields of an update; the fabric stays.
pub(super) fn update(want: &Shared, message: &str) -> Value {
    json!({
        "name": want.key.name,
        "namespace": want.key.namespace,
        "spec": want.spec,
        "labels": want.labels,
        "annotations": want.annotations,
        "changelog_message": message,
    })
}

/// The ETag of a row, which listings do not carry: its `last_updated` as Python writes it.
pub(super) fn etag(last_updated: &str) -> Option<String> {
    let time = match last_updated.strip_suffix('Z') {
        Some(time) => format!("{time}+00:00"),
        None => last_updated.to_owned(),
    };
    (!time.is_empty()).then(|| format!("W/\"{time}\""))
}
