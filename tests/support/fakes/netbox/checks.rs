//! What NetBox refuses, in its words.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::world::{FABRICS, Record, Refused, Shape, World};
use super::{core, wire};

/// Fields of a plugin row that we never set, with their defaults.
fn plugin_defaults() -> Map<String, Value> {
    object(json!({
        "kubernetes_status": "unknown", "kubernetes_uid": "", "kubernetes_resource_version": "",
        "last_applied": null, "last_synced": null, "sync_error": "", "auto_sync": true,
    }))
}

fn fabric_defaults() -> Map<String, Value> {
    object(json!({
        "description": "", "status": "planned", "connection_status": "unknown", "sync_status": "never_synced",
        "kubernetes_server": "", "kubernetes_token": "SECRET-K8S-TOKEN", "kubernetes_ca_cert": "",
        "kubernetes_namespace": "default", "sync_enabled": true, "sync_interval": 300, "last_sync": null,
        "sync_error": "", "connection_error": "", "cached_crd_count": 0, "cached_vpc_count": 0,
        "cached_connection_count": 0, "connections_count": 0, "servers_count": 0, "switches_count": 0, "vpcs_count": 0,
    }))
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("{other} is no object"),
    }
}

/// The fields of a new row, in the model's order.
pub(super) fn creation(world: &World, path: &str, input: &Map<String, Value>) -> Result<Map<String, Value>, Refused> {
    if matches!(world.tables[path].shape, Shape::Vlan) {
        let fields = core::written(None, input);
        check(world, path, None, &fields)?;
        return Ok(fields);
    }
    let mut fields = Map::new();
    match &world.tables[path].shape {
        Shape::Plugin { .. } => {
            for field in ["fabric", "name", "namespace", "spec", "labels", "annotations"] {
                let default = match field {
                    "namespace" => Some(json!("default")),
                    "labels" | "annotations" => Some(json!({})),
                    _ => None,
                };
                if let Some(value) = input.get(field).cloned().or(default) {
                    fields.insert(field.to_owned(), value);
                }
            }
            fields.extend(plugin_defaults());
        }
        Shape::Fabric => {
            fields.insert("name".to_owned(), input.get("name").cloned().unwrap_or_default());
            for (field, default) in fabric_defaults() {
                fields.insert(field.clone(), input.get(&field).cloned().unwrap_or(default));
            }
        }
        Shape::Vlan => {}
        Shape::Custom(types) => {
            for field in types.keys() {
                fields.insert(field.clone(), input.get(field).cloned().unwrap_or(Value::Null));
            }
        }
    }
    check(world, path, None, &fields)?;
    if let Shape::Custom(types) = &world.tables[path].shape {
        with_times(types, &mut fields);
    }
    Ok(fields)
}

/// The fields of a row after a PATCH. Unknown fields are ignored, as NetBox does.
pub(super) fn update(
    world: &World,
    path: &str,
    id: u64,
    input: &Map<String, Value>,
) -> Result<Map<String, Value>, Refused> {
    let mut fields = world.tables[path].rows[&id].fields.clone();
    if matches!(world.tables[path].shape, Shape::Vlan) {
        fields = core::written(Some(&fields), input);
    }
    for (field, value) in fields.iter_mut().filter(|_| !matches!(world.tables[path].shape, Shape::Vlan)) {
        if let Some(given) = input.get(field) {
            *value = given.clone();
        }
    }
    if let (Shape::Plugin { .. } | Shape::Fabric, Some(given)) = (&world.tables[path].shape, input.get("custom_fields"))
    {
        fields.insert("custom_fields".to_owned(), Value::Object(customised(world, path, id, given)?));
    }
    check(world, path, Some(id), &fields)?;
    if let Shape::Custom(types) = &world.tables[path].shape {
        with_times(types, &mut fields);
    }
    Ok(fields)
}

/// A row's custom fields with some of them given anew.
fn customised(world: &World, path: &str, id: u64, given: &Value) -> Result<Map<String, Value>, Refused> {
    let table = &world.tables[path];
    let mut fields = wire::custom_fields(world, &table.object_type, &table.rows[&id]);
    for (name, value) in given.as_object().into_iter().flatten() {
        let unknown = || json!({"custom_fields": [format!("Unknown field name '{name}' in custom field data.")]});
        *fields.get_mut(name).ok_or_else(|| Refused::Invalid(unknown()))? = value.clone();
    }
    Ok(fields)
}

fn check(world: &World, path: &str, id: Option<u64>, fields: &Map<String, Value>) -> Result<(), Refused> {
    let mut errors: BTreeMap<&str, &str> = BTreeMap::new();
    let table = &world.tables[path];
    let name = fields.get("name").and_then(Value::as_str).unwrap_or_default();
    match &table.shape {
        Shape::Plugin { .. } => plugin_errors(world, fields, &mut errors),
        Shape::Fabric if name.is_empty() => drop(errors.insert("name", "This field may not be blank.")),
        Shape::Fabric => {
            let known = ["never_synced", "in_sync", "out_of_sync", "syncing", "error"];
            if !fields.get("sync_status").and_then(Value::as_str).is_some_and(|word| known.contains(&word)) {
                errors.insert("sync_status", "This is not a valid choice.");
            }
        }
        Shape::Custom(types) => custom_errors(types, fields, &mut errors),
        Shape::Vlan => core::check(fields)?,
    }
    if let Some(words) = world.refused_names.get(name) {
        errors.insert("__all__", words);
    }
    if world.broken_names.contains(name) {
        return Err(Refused::Broken("RuntimeError".to_owned()));
    }
    if !errors.is_empty() {
        let errors: Map<String, Value> =
            errors.into_iter().map(|(field, error)| (field.to_owned(), json!([error]))).collect();
        return Err(Refused::Invalid(Value::Object(errors)));
    }
    // The plugin's tables are unique; its serializer does not look, so PostgreSQL complains: a 500, not a 400.
    let same = |row: &Record| {
        let equal = |field: &str| row.fields.get(field) == fields.get(field);
        Some(row.id) != id && equal("name") && equal("fabric") && equal("namespace")
    };
    let unique = matches!(table.shape, Shape::Plugin { .. }) || path == FABRICS;
    if unique && table.rows.values().any(same) {
        return Err(Refused::Broken("IntegrityError: duplicate key value violates unique constraint".to_owned()));
    }
    Ok(())
}

fn plugin_errors<'a>(world: &World, fields: &Map<String, Value>, errors: &mut BTreeMap<&'a str, &'a str>) {
    match fields.get("fabric") {
        None => drop(errors.insert("fabric", "This field is required.")),
        Some(fabric) => match fabric.as_u64() {
            None => drop(errors.insert("fabric", "Incorrect type. Expected pk value, received str.")),
            Some(id) if !world.tables[FABRICS].rows.contains_key(&id) => {
                errors.insert("fabric", "Invalid pk - object does not exist.");
            }
            Some(_) => {}
        },
    }
    match fields.get("name") {
        None => drop(errors.insert("name", "This field is required.")),
        Some(Value::String(name)) if name.len() > 253 => {
            errors.insert("name", "Ensure this field has no more than 253 characters.");
        }
        Some(Value::String(name)) if is_plugin_name(name) => {}
        Some(_) => drop(errors.insert("name", "Name must be a valid Kubernetes name")),
    }
    match fields.get("spec") {
        None => drop(errors.insert("spec", "This field is required.")),
        Some(Value::Null) => drop(errors.insert("spec", "This field may not be null.")),
        Some(Value::Object(spec)) if spec.is_empty() => drop(errors.insert("spec", "This field cannot be blank.")),
        Some(_) => {}
    }
    for field in ["labels", "annotations"] {
        if fields.get(field) == Some(&Value::Null) {
            errors.insert(field, "This field may not be null.");
        }
    }
}

/// `^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`: no dots.
fn is_plugin_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.starts_with(plain) && name.ends_with(plain) && name.chars().all(|c| plain(c) || c == '-')
}

fn time(value: &Value) -> Option<std::time::SystemTime> {
    humantime::parse_rfc3339(value.as_str()?).ok()
}

/// Times are shown as Python writes them: with microseconds.
fn with_times(types: &BTreeMap<String, (String, bool)>, fields: &mut Map<String, Value>) {
    for (field, _) in types.iter().filter(|(_, (kind, _))| kind == "datetime") {
        if let Some(at) = fields.get(field).and_then(time) {
            fields.insert(field.clone(), json!(humantime::format_rfc3339_micros(at).to_string()));
        }
    }
}

fn custom_errors<'a>(
    types: &'a BTreeMap<String, (String, bool)>,
    fields: &Map<String, Value>,
    errors: &mut BTreeMap<&'a str, &'a str>,
) {
    for (field, (kind, required)) in types {
        match fields.get(field).unwrap_or(&Value::Null) {
            Value::Null if *required => drop(errors.insert(field, "This field is required.")),
            Value::Null => {}
            Value::String(text) if kind == "text" && text.is_empty() && *required => {
                errors.insert(field, "This field may not be blank.");
            }
            Value::String(_) if matches!(kind.as_str(), "text" | "longtext") => {}
            _ if matches!(kind.as_str(), "text" | "longtext") => drop(errors.insert(field, "Not a valid string.")),
            value if kind == "integer" && !value.is_i64() => drop(errors.insert(field, "A valid integer is required.")),
            value if kind == "datetime" && time(value).is_none() => {
                errors.insert(field, "Datetime has wrong format.");
            }
            _ => {}
        }
    }
}
