//! How one kind's rows look in one NetBox: where they are, what filters they know, how they are read and written.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::domain::document::Shared;
use crate::domain::fate::Reason;
use crate::domain::key::Key;
use crate::domain::kind::{Home, KindSpec};
use crate::domain::mapping::{FieldPath, Mapping};
use crate::domain::names::FabricName;
use crate::domain::row::Row;

use super::client::Model;
use super::rows::{self, Found, MissingField};

/// The form of a kind's rows.
#[derive(Debug, Clone)]
pub(super) enum Form<'s> {
    /// The Hedgehog plugin's: the fabric is an id, names are unique, filters do not work.
    Plugin { segment: &'s str, model: &'s str },
    /// A custom object type's: the fabric is a text.
    CustomObject { slug: String },
    /// Any other endpoint's, field by field.
    Mapped(&'s Mapping),
}

impl<'s> Form<'s> {
    pub fn of(spec: &'s KindSpec, model: Model) -> Self {
        match (&spec.home, model) {
            (Home::Hedgehog { segment, model }, Model::Hedgehog) => Self::Plugin { segment, model },
            (Home::Hedgehog { segment, .. }, Model::CustomObjects) => {
                Self::CustomObject { slug: format!("hedgehog-{segment}") }
            }
            (Home::CustomObject { slug }, _) => Self::CustomObject { slug: slug.clone() },
            (Home::Mapped(mapping), _) => Self::Mapped(mapping),
        }
    }

    /// The list endpoint, below `/api/`.
    pub fn path(&self) -> String {
        match self {
            Self::Plugin { segment, .. } => format!("plugins/hedgehog/{segment}/"),
            Self::CustomObject { slug } => format!("plugins/custom-objects/{slug}/"),
            Self::Mapped(mapping) => mapping.endpoint.clone(),
        }
    }

    /// NetBox's name of the type, for example `netbox_hedgehog.vpc`. That of a custom object type differs with each
    /// NetBox: `custom` are its names by slug.
    pub fn object_type(&self, custom: &BTreeMap<String, String>) -> Option<String> {
        match self {
            Self::Plugin { model, .. } => Some(format!("netbox_hedgehog.{model}")),
            Self::Mapped(mapping) => Some(mapping.object_type.clone()),
            Self::CustomObject { slug } => custom.get(slug).cloned(),
        }
    }

    /// What every request for rows carries: six of the plugin's endpoints answer 500 without it.
    pub fn query(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Plugin { .. } => vec![("omit", "display_url".to_owned())],
            Self::CustomObject { .. } | Self::Mapped(_) => Vec::new(),
        }
    }

    /// Filters that find at least the fabric's rows, and of them those with the name. Where none is safe, none.
    pub fn filters(&self, fabric: &FabricName, name: Option<&str>) -> Vec<(String, String)> {
        let filter = |field: &str, value: &str| (field.to_owned(), value.to_owned());
        let named = |field: &str| name.map(|name| filter(field, name));
        match self {
            Self::Plugin { .. } => Vec::new(),
            Self::CustomObject { .. } => {
                std::iter::once(filter("fabric", fabric.as_str())).chain(named("name")).collect()
            }
            Self::Mapped(mapping) => {
                let custom = mapping.fabric.to_string();
                let custom = custom.strip_prefix("custom_fields.").filter(|field| !field.contains('.'));
                let custom = custom.map(|field| filter(&format!("cf_{field}"), fabric.as_str()));
                let own = mapping.name.to_string();
                let name = named(&own).filter(|_| !own.contains('.'));
                custom.into_iter().chain(name).collect()
            }
        }
    }

    /// Whether the change log's copies of rows can be compared with rows; those of core models hold ids for names.
    pub fn is_told_by_the_change_log(&self) -> bool {
        !matches!(self, Self::Mapped(_))
    }

    /// Reads a row; `fabrics` are the plugin's.
    pub fn parse(
        &self,
        spec: &KindSpec,
        id: u64,
        wire: &Map<String, Value>,
        fabrics: &BTreeMap<u64, String>,
    ) -> Result<Found, MissingField> {
        match self {
            Self::Plugin { .. } | Self::CustomObject { .. } => rows::parse(spec, id, wire, fabrics),
            Self::Mapped(mapping) => mapped(spec, mapping, id, wire),
        }
    }

    /// The body of a new row; `fabric` is what its field says.
    pub fn creation(&self, want: &Shared, fabric: &Value, message: &str) -> Value {
        match self {
            Self::Plugin { .. } | Self::CustomObject { .. } => rows::creation(want, fabric, message),
            Self::Mapped(mapping) => with_message(mapping.body(&want.key.name, &want.spec, fabric.as_str()), message),
        }
    }

    /// The body of an update; the fabric stays.
    pub fn update(&self, want: &Shared, message: &str) -> Value {
        match self {
            Self::Plugin { .. } | Self::CustomObject { .. } => rows::update(want, message),
            Self::Mapped(mapping) => with_message(mapping.body(&want.key.name, &want.spec, None), message),
        }
    }
}

fn with_message(mut body: Map<String, Value>, message: &str) -> Value {
    body.insert("changelog_message".to_owned(), Value::from(message));
    Value::Object(body)
}

fn mapped(spec: &KindSpec, mapping: &Mapping, id: u64, wire: &Map<String, Value>) -> Result<Found, MissingField> {
    let paths = mapping.fields.iter().map(|(_, path)| path).chain([&mapping.fabric, &mapping.name]);
    if let Some(missing) = paths.into_iter().find(|path| !is_there(path, wire)) {
        return Err(MissingField(missing.to_string()));
    }
    let fabric = mapping.fabric.read(wire).as_str().filter(|name| !name.is_empty()).map(FabricName::new);
    let name = mapping.name.read(wire).as_str().unwrap_or_default();
    if let Err(why) = rows::usable(name) {
        let message = format!("the row's {} {name:?} {why}; change it in NetBox", mapping.name);
        return Ok(Found::Invalid { id, fabric, key: None, reason: Reason::new("unusable_name", message) });
    }
    let key = Key { kind: spec.kind.clone(), namespace: "default".to_owned(), name: name.to_owned() };
    let shared = Shared { key, labels: Map::new(), annotations: Map::new(), spec: mapping.spec_of(wire) };
    let last_updated = wire.get("last_updated").and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(Found::Row { row: Row { id, shared, last_updated }, fabric })
}

/// Whether the endpoint has the field; an empty one is there.
fn is_there(path: &FieldPath, wire: &Map<String, Value>) -> bool {
    let Some(found) = wire.get(path.field()) else { return false };
    let custom = path.to_string();
    custom.strip_prefix("custom_fields.").is_none_or(|field| found.get(field).is_some())
}
