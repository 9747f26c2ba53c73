//! One of NetBox's own models, `ipam.vlan`: choices and references that rows show otherwise than they are written.
//!
//! Shaped after NetBox 4.7's REST answers; only the fields that a mapping may name.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::server::Asked;
use super::world::{Record, Refused, Shape, Table, World};

pub(super) const VLANS: &str = "ipam/vlans/";
/// Slugs of the sites there are; their ids count from 1.
const SITES: [&str; 2] = ["dc1", "dc2"];
const STATUSES: [&str; 3] = ["active", "reserved", "deprecated"];

pub(super) fn add(world: &mut World) {
    let table = Table { object_type: "ipam.vlan".to_owned(), shape: Shape::Vlan, rows: BTreeMap::new(), next_id: 1 };
    world.tables.insert(VLANS.to_owned(), table);
    world.more_kinds.insert("Vlan".to_owned(), VLANS.to_owned());
}

/// The fields after a write, as the database holds them.
pub(super) fn written(before: Option<&Map<String, Value>>, input: &Map<String, Value>) -> Map<String, Value> {
    let defaults = json!({
        "vid": null, "name": null, "status": "active", "description": "", "site": null,
        "custom_fields": {"fabric": null, "owner": null},
    });
    let mut fields = before.cloned().unwrap_or_else(|| defaults.as_object().cloned().unwrap_or_default());
    for (field, value) in input {
        match (fields.get_mut(field), value) {
            (Some(Value::Object(there)), Value::Object(given)) => there.extend(given.clone()),
            (Some(there), given) => *there = given.clone(),
            (None, _) => {}
        }
    }
    fields
}

pub(super) fn check(fields: &Map<String, Value>) -> Result<(), Refused> {
    let mut errors = Map::new();
    let mut no = |field: &str, words: &str| drop(errors.insert(field.to_owned(), json!([words])));
    match fields["vid"].as_u64() {
        Some(1..=4094) => {}
        Some(_) => no("vid", "Ensure this value is less than or equal to 4094."),
        None => no("vid", "This field is required."),
    }
    match fields["name"].as_str() {
        Some(name) if !name.is_empty() && name.len() <= 64 => {}
        _ => no("name", "This field is required."),
    }
    if !fields["status"].as_str().is_some_and(|status| STATUSES.contains(&status)) {
        no("status", &format!("{} is not a valid choice.", fields["status"]));
    }
    if !fields["description"].is_string() {
        no("description", "This field may not be null.");
    }
    if !fields["site"].is_null() && site_id(&fields["site"]).is_none() {
        no("site", "Related object not found using the provided attributes.");
    }
    if errors.is_empty() { Ok(()) } else { Err(Refused::Invalid(Value::Object(errors))) }
}

/// A site is written as an id or by its attributes.
fn site_id(site: &Value) -> Option<usize> {
    let by_slug = |slug: &str| SITES.iter().position(|known| *known == slug).map(|at| at + 1);
    match site {
        Value::Number(id) => id.as_u64().and_then(|id| usize::try_from(id).ok()).filter(|id| *id <= SITES.len()),
        Value::Object(attributes) => by_slug(attributes.get("slug")?.as_str()?),
        _ => None,
    }
}

/// The fields as REST and deliveries show them.
pub(super) fn shown(fields: &Map<String, Value>) -> Map<String, Value> {
    let mut shown = fields.clone();
    let status = fields["status"].as_str().unwrap_or_default();
    shown.insert("status".to_owned(), json!({"value": status, "label": status.to_uppercase()}));
    if let Some(id) = site_id(&fields["site"]) {
        let slug = SITES[id - 1];
        shown.insert("site".to_owned(), json!({"id": id, "display": slug, "name": slug, "slug": slug}));
    }
    shown
}

/// The fields as the change log has them: references are ids.
pub(super) fn snapshot(fields: &Map<String, Value>) -> Map<String, Value> {
    let mut raw = fields.clone();
    raw.insert("site".to_owned(), site_id(&fields["site"]).map_or(Value::Null, |id| json!(id)));
    raw
}

/// `id` and `name` exactly, custom fields of text by `icontains`; what is no filter filters nothing.
pub(super) fn passes(asked: &Asked, row: &Record) -> bool {
    let any = |name: &str, value: &str| asked.all(name).is_empty() || asked.all(name).contains(&value);
    let name = row.fields["name"].as_str().unwrap_or_default();
    let fabric = row.fields["custom_fields"]["fabric"].as_str().unwrap_or_default();
    let of_fabric =
        asked.query("cf_fabric").is_none_or(|wanted| fabric.to_lowercase().contains(&wanted.to_lowercase()));
    any("id", &row.id.to_string()) && any("name", name) && of_fabric
}
