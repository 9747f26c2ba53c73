//! What an administrator sets up: webhooks, event rules, custom object types and their fields.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::objects::page;
use super::server::{Asked, Reply};
use super::world::{Flavor, KINDS, Shape, Table, World};

const WEBHOOKS: &str = "extras/webhooks/";
const EVENT_RULES: &str = "extras/event-rules/";
const CUSTOM_LINKS: &str = "extras/custom-links/";
pub(super) const CUSTOM_FIELDS: &str = "extras/custom-fields/";
const JOURNAL: &str = "extras/journal-entries/";
const TYPES: &str = "plugins/custom-objects/custom-object-types/";
const FIELDS: &str = "plugins/custom-objects/custom-object-type-fields/";

/// Rows of one administrative endpoint.
#[derive(Default)]
pub(super) struct Rows {
    pub rows: BTreeMap<u64, Map<String, Value>>,
    next_id: u64,
}

pub(super) fn empty(flavor: Flavor) -> BTreeMap<&'static str, Rows> {
    let common = [WEBHOOKS, EVENT_RULES, CUSTOM_LINKS, CUSTOM_FIELDS, JOURNAL];
    let mut admin: BTreeMap<&'static str, Rows> = common.into_iter().map(|path| (path, Rows::default())).collect();
    if flavor == Flavor::CustomObjects {
        admin.extend([(TYPES, Rows::default()), (FIELDS, Rows::default())]);
    }
    admin
}

/// Answers administrative requests; `None` when the path is not theirs.
pub(super) fn serve(world: &mut World, asked: &Asked) -> Option<Reply> {
    let endpoints: Vec<&'static str> = world.admin.keys().copied().collect();
    for endpoint in endpoints {
        let Some(rest) = asked.path.strip_prefix(endpoint) else { continue };
        let id: Option<u64> = rest.trim_end_matches('/').parse().ok();
        let empty = Map::new();
        let input = asked.body.as_ref().and_then(Value::as_object).unwrap_or(&empty);
        return Some(match (asked.method.as_str(), rest, id) {
            ("POST", "", _) if endpoint == JOURNAL => match asked.body.as_ref().and_then(Value::as_array) {
                Some(entries) => create_all(world, endpoint, entries),
                None => reply(201, create(world, endpoint, input)),
            },
            ("GET", "", _) => list(world, asked, endpoint),
            ("POST", "", _) => reply(201, create(world, endpoint, input)),
            ("GET", _, Some(id)) => match world.admin[endpoint].rows.get(&id) {
                Some(row) => Reply::json(200, Value::Object(row.clone())),
                None => Reply::detail(404, "Not found."),
            },
            ("PATCH", _, Some(id)) => reply(200, update(world, endpoint, id, input)),
            _ => Reply::detail(405, "Method not allowed."),
        });
    }
    None
}

fn list(world: &World, asked: &Asked, endpoint: &str) -> Reply {
    let matches = |row: &&Map<String, Value>| {
        ["name", "slug"].iter().all(|field| {
            let wanted = asked.all(field);
            wanted.is_empty() || row.get(*field).and_then(Value::as_str).is_some_and(|value| wanted.contains(&value))
        })
    };
    let rows: Vec<_> = world.admin[endpoint].rows.values().filter(matches).collect();
    let id = |row: &&Map<String, Value>| row.get("id").and_then(Value::as_u64).unwrap_or_default();
    page(world, asked, &rows, id, |row| Value::Object((*row).clone()))
}

fn reply(status: u16, result: Result<Map<String, Value>, Value>) -> Reply {
    match result {
        Ok(row) => Reply::json(status, Value::Object(row)),
        Err(errors) => Reply::json(400, errors),
    }
}

/// A list of rows, all or none, as NetBox takes it.
fn create_all(world: &mut World, endpoint: &'static str, items: &[Value]) -> Reply {
    let refused: Vec<Value> = items
        .iter()
        .enumerate()
        .filter_map(|(index, item)| {
            let errors = check(world, endpoint, None, &map(item.clone())).err()?;
            Some(json!({"index": index, "errors": errors}))
        })
        .collect();
    if !refused.is_empty() {
        let detail = format!("{} of {} objects could not be created.", refused.len(), items.len());
        return Reply::json(400, json!({"detail": detail, "errors": refused}));
    }
    let rows = items.iter().filter_map(|item| create(world, endpoint, &map(item.clone())).ok());
    Reply::json(201, rows.map(Value::Object).collect())
}

fn create(world: &mut World, endpoint: &'static str, input: &Map<String, Value>) -> Result<Map<String, Value>, Value> {
    check(world, endpoint, None, input)?;
    let rows = world.admin.get_mut(endpoint).ok_or_else(|| json!({}))?;
    rows.next_id += 1;
    let id = rows.next_id;
    let mut row = input.clone();
    row.insert("id".to_owned(), json!(id));
    shown(endpoint, id, &mut row);
    rows.rows.insert(id, row.clone());
    match endpoint {
        TYPES => {
            let slug = row.get("slug").and_then(Value::as_str).unwrap_or_default();
            let table = Table {
                object_type: format!("netbox_custom_objects.table{id}model"),
                shape: Shape::Custom(BTreeMap::new()),
                rows: BTreeMap::new(),
                next_id: 1,
            };
            world.tables.insert(format!("plugins/custom-objects/{slug}/"), table);
        }
        FIELDS => add_field(world, &row),
        _ => {}
    }
    Ok(row)
}

/// What NetBox adds to, or shows otherwise than, what was sent.
fn shown(endpoint: &str, id: u64, row: &mut Map<String, Value>) {
    match endpoint {
        TYPES => {
            row.insert("object_type_name".to_owned(), json!(format!("netbox_custom_objects.table{id}model")));
            row.insert("table_model_name".to_owned(), json!(format!("Table{id}Model")));
        }
        EVENT_RULES => {
            if let Some(action) = row.get("action_type").filter(|action| action.is_string()).cloned() {
                row.insert("action_type".to_owned(), json!({"value": action, "label": "Webhook"}));
            }
        }
        CUSTOM_FIELDS => {
            if let Some(kind) = row.get("type").filter(|kind| kind.is_string()).cloned() {
                row.insert("type".to_owned(), json!({"value": kind, "label": kind}));
            }
        }
        WEBHOOKS => {
            for (field, default) in [("ssl_verification", json!(true)), ("timeout", json!(10))] {
                row.entry(field).or_insert(default);
            }
        }
        _ => {}
    }
}

fn update(
    world: &mut World,
    endpoint: &'static str,
    id: u64,
    input: &Map<String, Value>,
) -> Result<Map<String, Value>, Value> {
    let mut row = world.admin[endpoint].rows.get(&id).cloned().ok_or_else(|| json!({"detail": "Not found."}))?;
    row.extend(input.clone());
    check(world, endpoint, Some(id), &row)?;
    shown(endpoint, id, &mut row);
    if let Some(rows) = world.admin.get_mut(endpoint) {
        rows.rows.insert(id, row.clone());
    }
    Ok(row)
}

fn check(world: &World, endpoint: &str, id: Option<u64>, row: &Map<String, Value>) -> Result<(), Value> {
    let required: &[&str] = match endpoint {
        WEBHOOKS => &["name", "payload_url"],
        EVENT_RULES => {
            &["name", "object_types", "event_types", "action_type", "action_object_type", "action_object_id"]
        }
        TYPES => &["name", "slug"],
        CUSTOM_LINKS => &["name", "object_types", "link_text", "link_url"],
        CUSTOM_FIELDS => &["name", "type", "object_types"],
        JOURNAL => &["assigned_object_type", "assigned_object_id", "comments"],
        _ => &["name", "type", "custom_object_type"],
    };
    for field in required {
        if row.get(*field).is_none_or(Value::is_null) {
            return Err(json!({ *field: ["This field is required."] }));
        }
    }
    let same = |field: &str, other: &Map<String, Value>| other.get(field) == row.get(field);
    let others = world.admin[endpoint].rows.iter().filter(|(other, _)| Some(**other) != id).map(|(_, other)| other);
    for other in others {
        let taken = if endpoint == JOURNAL {
            false
        } else if endpoint == FIELDS {
            same("custom_object_type", other) && same("name", other)
        } else {
            same("name", other)
        };
        if taken {
            return Err(json!({"name": ["object with this name already exists."]}));
        }
    }
    let name = row.get("name").and_then(Value::as_str).unwrap_or_default();
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if matches!(endpoint, TYPES | FIELDS | CUSTOM_FIELDS) && !name.chars().all(plain) {
        return Err(json!({"name": ["Only lowercase alphanumeric characters and underscores are allowed."]}));
    }
    if matches!(endpoint, EVENT_RULES | CUSTOM_LINKS | CUSTOM_FIELDS) {
        let known = |object_type: &Value| world.tables.values().any(|table| *object_type == table.object_type);
        let types = row.get("object_types").and_then(Value::as_array).cloned().unwrap_or_default();
        if let Some(unknown) = types.iter().find(|object_type| !known(object_type)) {
            return Err(json!({"object_types": [format!("Invalid content type: {unknown}")]}));
        }
    }
    if endpoint == JOURNAL {
        let table =
            world.tables.values().find(|table| row.get("assigned_object_type") == Some(&json!(table.object_type)));
        let table = table.ok_or_else(|| json!({"assigned_object_type": ["Invalid content type"]}))?;
        if world.without_journal.contains(&table.object_type) {
            let words = format!("Journaling is not supported for this object type ({}).", table.object_type);
            return Err(json!({"__all__": [words]}));
        }
        let id = row.get("assigned_object_id").and_then(Value::as_u64).unwrap_or_default();
        if !table.rows.contains_key(&id) {
            return Err(json!({"non_field_errors": ["Invalid assigned_object"]}));
        }
        let kinds = ["info", "success", "warning", "danger"];
        if !row.get("kind").and_then(Value::as_str).is_some_and(|kind| kinds.contains(&kind)) {
            return Err(json!({"kind": ["This is not a valid choice."]}));
        }
    }
    if endpoint == EVENT_RULES {
        let webhook = row.get("action_object_id").and_then(Value::as_u64);
        if !webhook.is_some_and(|id| world.admin[WEBHOOKS].rows.contains_key(&id)) {
            return Err(json!({"action_object_id": ["Object not found"]}));
        }
    }
    Ok(())
}

fn add_field(world: &mut World, field: &Map<String, Value>) {
    let of_type = field.get("custom_object_type").and_then(Value::as_u64);
    let object_type = format!("netbox_custom_objects.table{}model", of_type.unwrap_or_default());
    let text = |name: &str| field.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let required = field.get("required") == Some(&Value::Bool(true));
    let tables = world.tables.values_mut().filter(|table| table.object_type == object_type);
    for table in tables {
        if let Shape::Custom(fields) = &mut table.shape {
            fields.insert(text("name"), (text("type"), required));
            for row in table.rows.values_mut() {
                row.fields.entry(text("name")).or_insert(Value::Null);
            }
        }
    }
}

fn made(result: Result<Map<String, Value>, Value>) -> Map<String, Value> {
    result.unwrap_or_else(|errors| panic!("the stand-in refused its own set-up: {errors}"))
}

fn map(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

/// The 12 kinds as custom object types.
pub(super) fn create_types(world: &mut World) {
    for (_, segment, model, _) in KINDS {
        create_type(world, &format!("hedgehog_{model}"), &format!("hedgehog-{segment}"));
    }
}

/// More kinds, of the same form.
pub(super) fn create_more_types(world: &mut World, kinds: &[(&str, &str)]) {
    for (kind, slug) in kinds {
        create_type(world, &slug.replace('-', "_"), slug);
        world.more_kinds.insert((*kind).to_owned(), format!("plugins/custom-objects/{slug}/"));
    }
}

/// The fabrics themselves as a custom object type, with what tells how they stand.
pub(super) fn create_fabrics_type(world: &mut World) {
    let body = json!({"name": "hedgehog_fabric", "slug": "hedgehog-fabrics"});
    let id = made(create(world, TYPES, &map(body)))["id"].clone();
    let status =
        [("sync_status", "text"), ("last_sync", "datetime"), ("sync_error", "longtext"), ("drift_count", "integer")];
    for (field, kind) in [("name", "text")].into_iter().chain(status) {
        let own = field == "name";
        let body = json!({
            "custom_object_type": id, "name": field, "type": kind, "required": own, "primary": own,
        });
        made(create(world, FIELDS, &map(body)));
    }
}

fn create_type(world: &mut World, name: &str, slug: &str) {
    let id = made(create(world, TYPES, &map(json!({"name": name, "slug": slug}))))["id"].clone();
    for field in ["name", "fabric", "namespace", "spec", "labels", "annotations"] {
        let text = matches!(field, "name" | "fabric" | "namespace");
        let body = json!({
            "custom_object_type": id, "name": field, "type": if text { "text" } else { "json" },
            "required": matches!(field, "name" | "fabric"), "primary": field == "name",
        });
        made(create(world, FIELDS, &map(body)));
    }
}

/// A webhook and an event rule for every object type there is.
pub(super) fn create_hook(world: &mut World, url: &str, secret: &str) {
    let name = format!("hook {}", world.admin[WEBHOOKS].rows.len() + 1);
    let webhook = json!({"name": name, "payload_url": url, "secret": secret});
    let id = made(create(world, WEBHOOKS, &map(webhook)))["id"].clone();
    let types: Vec<String> = world.tables.values().map(|table| table.object_type.clone()).collect();
    let rule = json!({
        "name": name, "object_types": types, "enabled": true, "action_type": "webhook",
        "event_types": ["object_created", "object_updated", "object_deleted"],
        "action_object_type": "extras.webhook", "action_object_id": id,
    });
    made(create(world, EVENT_RULES, &map(rule)));
}

pub(super) fn create_custom_field(world: &mut World, name: &str, kind: &str, object_types: &[&str]) {
    let field = json!({"name": name, "type": kind, "object_types": object_types});
    made(create(world, CUSTOM_FIELDS, &map(field)));
}

pub(super) fn change_hooks(world: &mut World, webhook: &Value, rule: &Value) {
    for (endpoint, fields) in [(WEBHOOKS, webhook), (EVENT_RULES, rule)] {
        for row in world.admin.get_mut(endpoint).into_iter().flat_map(|table| table.rows.values_mut()) {
            row.extend(map(fields.clone()));
        }
    }
}

pub(super) fn forget_field(world: &mut World, kind: &str, field: &str) {
    let path = world.path_of_kind(kind);
    if let Some(Table { shape: Shape::Custom(fields), rows, .. }) = world.tables.get_mut(&path) {
        fields.remove(field);
        rows.values_mut().for_each(|row| drop(row.fields.shift_remove(field)));
    }
}

pub(super) fn retype_field(world: &mut World, kind: &str, field: &str, kind_of_field: &str) {
    let table = world.table_of_kind(kind);
    let id: Option<u64> = table.object_type.trim_matches(|c: char| !c.is_ascii_digit()).parse().ok();
    let rows = world.admin.get_mut(FIELDS).into_iter().flat_map(|fields| fields.rows.values_mut());
    for row in rows.filter(|row| row["custom_object_type"].as_u64() == id && row["name"] == field) {
        row.insert("type".to_owned(), json!(kind_of_field));
    }
}

pub(super) fn forget_in_event_rules(world: &mut World, object_type: &str) {
    for row in world.admin.get_mut(EVENT_RULES).into_iter().flat_map(|rules| rules.rows.values_mut()) {
        if let Some(types) = row.get_mut("object_types").and_then(Value::as_array_mut) {
            types.retain(|known| known != object_type);
        }
    }
}
