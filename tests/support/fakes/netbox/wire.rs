//! Rows, snapshots, change records and deliveries as NetBox writes them.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value, json};
use sha2::Sha512;

use super::admin::CUSTOM_FIELDS;
use super::core;
use super::world::{By, ChangeRecord, Delivery, FABRICS, Record, Shape, Table, World};

/// PostgreSQL's jsonb: keys by length, then by bytes.
pub(super) fn as_jsonb(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(as_jsonb),
        Value::Object(map) => {
            let mut entries: Vec<(String, Value)> = std::mem::take(map).into_iter().collect();
            entries.sort_by(|(a, _), (b, _)| (a.len(), a.as_bytes()).cmp(&(b.len(), b.as_bytes())));
            for (key, mut item) in entries {
                as_jsonb(&mut item);
                map.insert(key, item);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A row as a REST answer shows it; `base` is the server's url with a trailing slash.
pub(super) fn rest(world: &World, table: &Table, row: &Record, base: &str) -> Value {
    let path = path_of(world, table);
    let mut map = Map::new();
    map.insert("id".to_owned(), json!(row.id));
    map.insert("url".to_owned(), json!(format!("{base}api/{path}{}/", row.id)));
    if !matches!(table.shape, Shape::Custom(_)) {
        map.insert("display_url".to_owned(), json!(format!("{base}{path}{}/", row.id)));
    }
    map.insert("display".to_owned(), json!(display(world, table, row)));
    map.extend(if let Shape::Vlan = table.shape { core::shown(&row.fields) } else { row.fields.clone() });
    map.insert("tags".to_owned(), json!([]));
    if !matches!(table.shape, Shape::Custom(_) | Shape::Vlan) {
        map.insert("custom_fields".to_owned(), Value::Object(custom_fields(world, &table.object_type, row)));
    }
    map.insert("created".to_owned(), json!(row.created));
    map.insert("last_updated".to_owned(), json!(row.last_updated));
    Value::Object(map)
}

/// The custom fields of a row; those that were never set are null.
pub(super) fn custom_fields(world: &World, object_type: &str, row: &Record) -> Map<String, Value> {
    let set = row.fields.get("custom_fields").and_then(Value::as_object);
    let of_type = world.admin[CUSTOM_FIELDS].rows.values().filter(|field| {
        field["object_types"].as_array().is_some_and(|types| types.iter().any(|known| known == object_type))
    });
    let named = of_type.filter_map(|field| field["name"].as_str());
    named.map(|name| (name.to_owned(), set.and_then(|set| set.get(name)).cloned().unwrap_or_default())).collect()
}

/// The ETag of a row: its `last_updated` as Python writes it.
pub(super) fn etag(row: &Record) -> String {
    format!("W/\"{}+00:00\"", row.last_updated.trim_end_matches('Z'))
}

fn path_of<'a>(world: &'a World, table: &Table) -> &'a str {
    let known = world.tables.iter().find(|(_, known)| known.object_type == table.object_type);
    known.map(|(path, _)| path.as_str()).unwrap_or_default()
}

fn display(world: &World, table: &Table, row: &Record) -> String {
    let name = row.fields.get("name").and_then(Value::as_str).unwrap_or_default();
    let fabric = row.fields.get("fabric").and_then(Value::as_u64);
    let fabric = fabric.and_then(|id| world.tables.get(FABRICS)?.rows.get(&id)?.fields.get("name")?.as_str());
    match (&table.shape, fabric) {
        (Shape::Plugin { .. }, Some(fabric)) => format!("{name} ({fabric})"),
        _ => name.to_owned(),
    }
}

/// The model-level copy of a row: foreign keys are ids, no object id, no last_updated.
pub(super) fn snapshot(table: &Table, row: &Record) -> Value {
    let mut map = Map::new();
    map.insert("created".to_owned(), json!(format!("{}Z", &row.created[..23])));
    if matches!(table.shape, Shape::Custom(_)) {
        map.insert("owner".to_owned(), Value::Null);
        map.extend(row.fields.clone());
    } else if let Shape::Vlan = table.shape {
        map.extend(core::snapshot(&row.fields));
    } else {
        map.insert("custom_fields".to_owned(), json!({}));
        map.extend(row.fields.clone());
    }
    map.insert("tags".to_owned(), json!([]));
    Value::Object(map)
}

/// A record of the change log as REST shows it.
pub(super) fn change(record: &ChangeRecord) -> Value {
    json!({
        "id": record.id,
        "time": record.time,
        "user": {"id": 1, "username": record.by.user},
        "user_name": record.by.user,
        "request_id": record.by.request_id,
        "action": {"value": record.action, "label": record.action},
        "changed_object_type": record.object_type,
        "changed_object_id": record.object_id,
        "message": record.by.message,
        "prechange_data": record.before,
        "postchange_data": record.after,
    })
}

/// One delivery for each enabled event rule that asks for it, in the shape of NetBox 4.7.
pub(super) fn deliveries(world: &World, path: &str, row: &Record, change: &ChangeRecord) -> Vec<Delivery> {
    let event = match change.action {
        "create" => "created",
        "update" => "updated",
        _ => "deleted",
    };
    let rules = world.admin.get("extras/event-rules/").into_iter().flat_map(|rules| rules.rows.values());
    let has = |rule: &Map<String, Value>, field: &str, wanted: &str| {
        rule.get(field).and_then(Value::as_array).is_some_and(|items| items.iter().any(|item| item == wanted))
    };
    rules
        .filter(|rule| rule.get("enabled") == Some(&Value::Bool(true)))
        .filter(|rule| has(rule, "object_types", &change.object_type))
        .filter(|rule| has(rule, "event_types", &format!("object_{event}")))
        .filter_map(|rule| {
            let id = rule.get("action_object_id")?.as_u64()?;
            let webhook = world.admin.get("extras/webhooks/")?.rows.get(&id)?;
            let body = python_json(&body(world, path, row, change, event)).into_bytes();
            let secret = webhook.get("secret").and_then(Value::as_str).filter(|secret| !secret.is_empty());
            Some(Delivery {
                url: webhook.get("payload_url")?.as_str()?.to_owned(),
                signature: secret.map(|secret| sign(secret, &body)),
                body,
                event,
                object_type: change.object_type.clone(),
                object_id: row.id,
                request_id: change.by.request_id.clone(),
            })
        })
        .collect()
}

fn body(world: &World, path: &str, row: &Record, change: &ChangeRecord, event: &str) -> Value {
    let By { request_id, user, method, path: request_path, .. } = &change.by;
    json!({
        "event": event,
        "timestamp": format!("{}+00:00", change.time.trim_end_matches('Z')),
        "object_type": change.object_type,
        "data": data(world, path, row),
        "request": {
            "id": request_id, "path": request_path, "path_info": request_path, "method": method, "GET": {}, "user": user,
        },
        "snapshots": {"prechange": change.before, "postchange": change.after},
    })
}

/// A row as deliveries serialise it: relative urls, an order of its own.
fn data(world: &World, path: &str, row: &Record) -> Value {
    let table = &world.tables[path];
    let url = json!(format!("/api/{path}{}/", row.id));
    let display = json!(display(world, table, row));
    let mut map = Map::new();
    let mut put = |field: &str, value: Value| drop(map.insert(field.to_owned(), value));
    put("id", json!(row.id));
    if let Shape::Vlan = table.shape {
        put("url", url);
        put("display", display);
        put("created", json!(row.created));
        put("last_updated", json!(row.last_updated));
        map.extend(core::shown(&row.fields));
        return Value::Object(map);
    }
    if matches!(table.shape, Shape::Custom(_)) {
        put("url", url);
        put("display", display);
        put("owner", Value::Null);
        put("created", json!(row.created));
        put("last_updated", json!(row.last_updated));
        put("tags", json!([]));
        map.extend(row.fields.clone());
        return Value::Object(map);
    }
    put("tags", json!([]));
    put("custom_fields", json!({}));
    put("url", url);
    put("display", display);
    if let Some(fabric) = row.fields.get("fabric") {
        put("fabric", fabric.clone());
    }
    put("created", json!(row.created));
    put("last_updated", json!(row.last_updated));
    put("custom_field_data", json!({}));
    let rest = row.fields.iter().filter(|(field, _)| *field != "fabric");
    map.extend(rest.map(|(field, value)| (field.clone(), value.clone())));
    Value::Object(map)
}

fn sign(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha512>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

/// JSON as Python's `json.dumps` writes it: ASCII only, a space after `,` and `:`.
fn python_json(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(python_json).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => {
            let entries = map.iter().map(|(key, item)| format!("{}: {}", python_string(key), python_json(item)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
        Value::String(text) => python_string(text),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

fn python_string(text: &str) -> String {
    let mut ascii = String::new();
    for c in Value::from(text).to_string().chars() {
        if c.is_ascii() {
            ascii.push(c);
        } else {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| ascii.push_str(&format!("\\u{unit:04x}")));
        }
    }
    ascii
}

impl Delivery {
    /// Sends it to `url`, or where its webhook says; NetBox does not try again by itself.
    pub async fn send(&self, url: Option<&str>) -> Result<u16, String> {
        Ok(self.send_for_answer(url.unwrap_or(&self.url)).await?.0)
    }

    /// Sends it to `url` and returns the status and the answer, `null` when that is not JSON.
    pub async fn send_for_answer(&self, url: &str) -> Result<(u16, Value), String> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| error.to_string())?;
        let mut request =
            client.post(url).header("User-Agent", "python-urllib3/2.8.0").header("Content-Type", "application/json");
        if let Some(signature) = &self.signature {
            request = request.header("X-Hook-Signature", signature);
        }
        let answer = request.body(self.body.clone()).send().await.map_err(|error| error.to_string())?;
        let status = answer.status().as_u16();
        Ok((status, answer.json().await.unwrap_or(Value::Null)))
    }
}
