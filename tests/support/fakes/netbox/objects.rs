//! The REST endpoints of rows and of the change log: single, list, bulk, with NetBox's answers and the plugin's faults.

use std::collections::BTreeSet;
use std::time::SystemTime;

use serde_json::{Map, Value, json};

use super::core;
use super::server::{Asked, Reply};
use super::wire;
use super::world::{By, FABRICS, Record, Refused, Shape, Table, World};

/// Answers requests for rows; `None` when the path is not theirs.
pub(super) fn serve(world: &mut World, asked: &Asked) -> Option<Reply> {
    if asked.path == "core/object-changes/" {
        return Some(change_log(world, asked));
    }
    if world.tables.contains_key(&asked.path) {
        let path = asked.path.clone();
        return Some(match (asked.method.as_str(), &asked.body) {
            ("GET", _) => list(world, asked, &path),
            ("POST", Some(Value::Array(items))) => bulk_create(world, asked, &path, items),
            ("POST", Some(Value::Object(fields))) => create(world, asked, &path, fields),
            ("PATCH", Some(Value::Array(items))) => bulk(world, asked, &path, items, Change::Update),
            ("DELETE", Some(Value::Array(items))) => bulk(world, asked, &path, items, Change::Delete),
            ("PATCH" | "DELETE", _) => Reply::detail(400, "Expected a list of objects, but no data was submitted."),
            _ => Reply::detail(405, "Method not allowed."),
        });
    }
    let (path, id) = asked.path.trim_end_matches('/').rsplit_once('/')?;
    let path = format!("{path}/");
    let id: u64 = id.parse().ok()?;
    let table = world.tables.get(&path)?;
    if !table.rows.contains_key(&id) {
        return Some(Reply::detail(404, "No object matches the given query."));
    }
    Some(match asked.method.as_str() {
        "GET" => single(world, asked, &path, id, 200),
        "PATCH" => update(world, asked, &path, id),
        "DELETE" => delete(world, asked, &path, id),
        _ => Reply::detail(405, "Method not allowed."),
    })
}

/// The six endpoints whose `display_url` cannot be built, and the fabrics.
pub(super) fn broken_url(table: &Table) -> bool {
    matches!(table.shape, Shape::Plugin { broken_url: true } | Shape::Fabric)
}

/// `omit=display_url`, or `fields=` without it.
fn avoids_url(asked: &Asked) -> bool {
    let has = |list: &str| list.split(',').any(|field| field == "display_url");
    asked.query("omit").is_some_and(has) || asked.query("fields").is_some_and(|fields| !has(fields))
}

fn trimmed(asked: &Asked, row: Value) -> Value {
    let Value::Object(mut map) = row else { return row };
    if let Some(fields) = asked.query("fields") {
        let wanted: BTreeSet<&str> = fields.split(',').collect();
        map.retain(|field, _| wanted.contains(field.as_str()));
    } else if let Some(omit) = asked.query("omit") {
        let omit: BTreeSet<&str> = omit.split(',').collect();
        map.retain(|field, _| !omit.contains(field.as_str()));
    }
    Value::Object(map)
}

fn single(world: &World, asked: &Asked, path: &str, id: u64, status: u16) -> Reply {
    let table = &world.tables[path];
    if broken_url(table) && (status == 201 || !avoids_url(asked)) {
        return Reply::broken("Could not resolve URL for display_url");
    }
    let row = &table.rows[&id];
    let json = trimmed(asked, wire::rest(world, table, row, &asked.base));
    Reply { status, json: Some(json), etag: Some(wire::etag(row)) }
}

fn list(world: &World, asked: &Asked, path: &str) -> Reply {
    let table = &world.tables[path];
    let ordering = asked.query("ordering");
    if !matches!(table.shape, Shape::Custom(_)) && ordering.is_none() && asked.query("start").is_none() {
        return Reply::broken("Paginating over an unordered queryset is unreliable.");
    }
    if broken_url(table) && !table.rows.is_empty() && !avoids_url(asked) {
        return Reply::broken("Could not resolve URL for display_url");
    }
    let rows: Vec<&Record> = table.rows.values().filter(|row| passes(asked, table, row)).collect();
    page(world, asked, &rows, |row| row.id, |row| trimmed(asked, wire::rest(world, table, row, &asked.base)))
}

/// Custom objects: `id` exactly, text fields by `icontains`, the last of repeated ones. The plugin filters nothing.
fn passes(asked: &Asked, table: &Table, row: &Record) -> bool {
    if let Shape::Vlan = table.shape {
        return core::passes(asked, row);
    }
    let Shape::Custom(types) = &table.shape else { return true };
    let ids = asked.all("id");
    let id = ids.is_empty() || ids.contains(&row.id.to_string().as_str());
    let text = types.iter().filter(|(_, (kind, _))| kind == "text").all(|(field, _)| match asked.query(field) {
        None | Some("") => true,
        Some(wanted) => {
            let value = row.fields.get(field).and_then(Value::as_str);
            value.is_some_and(|value| value.to_lowercase().contains(&wanted.to_lowercase()))
        }
    });
    id && text
}

/// One page, by offset or by cursor.
pub(super) fn page<T>(
    world: &World,
    asked: &Asked,
    rows: &[T],
    id: impl Fn(&T) -> u64,
    show: impl Fn(&T) -> Value,
) -> Reply {
    let number = |name: &str| asked.query(name).and_then(|value| value.parse::<usize>().ok());
    let limit = number("limit").unwrap_or(50).min(world.max_page);
    if let Some(start) = number("start") {
        if asked.query("ordering").is_some() {
            let detail = "Ordering cannot be specified in conjunction with cursor-based pagination.";
            return Reply::json(400, json!([detail]));
        }
        if asked.query("offset").is_some() {
            return Reply::json(400, json!(["'start' and 'offset' are mutually exclusive."]));
        }
        let from: Vec<&T> = rows.iter().filter(|row| id(row) >= start as u64).take(limit).collect();
        let next = (from.len() == limit).then(|| format!("{}api/{}?start=...", asked.base, asked.path));
        let results: Vec<Value> = from.into_iter().map(show).collect();
        return Reply::json(200, json!({"count": null, "next": next, "previous": null, "results": results}));
    }
    let offset = number("offset").unwrap_or(0);
    let results: Vec<Value> = rows.iter().skip(offset).take(limit).map(show).collect();
    let next = (offset + limit < rows.len()).then(|| format!("{}api/{}?offset=...", asked.base, asked.path));
    Reply::json(200, json!({"count": rows.len(), "next": next, "previous": null, "results": results}))
}

fn refusal(refused: Refused) -> Reply {
    match refused {
        Refused::Invalid(errors) => Reply::json(400, errors),
        Refused::Protected(detail) => Reply::detail(409, &detail),
        Refused::Broken(error) => Reply::broken(&error),
    }
}

/// Rows of the six endpoints are saved, but their request dies before its events are flushed. Only the PATCH of a fabric
/// is answered.
fn by(world: &World, asked: &Asked, path: &str) -> By {
    let dies = asked.method == "POST" || (asked.method == "PATCH" && path != FABRICS);
    By { silent: dies && broken_url(&world.tables[path]), ..asked.by.clone() }
}

fn create(world: &mut World, asked: &Asked, path: &str, fields: &Map<String, Value>) -> Reply {
    let by = by(world, asked, path);
    match world.create(path, fields, &by) {
        Ok(id) => single(world, asked, path, id, 201),
        Err(refused) => refusal(refused),
    }
}

fn update(world: &mut World, asked: &Asked, path: &str, id: u64) -> Reply {
    if let Some(stale) = stale(world, asked, path, id) {
        return stale;
    }
    let Some(Value::Object(fields)) = &asked.body else { return Reply::detail(400, "JSON parse error") };
    let by = by(world, asked, path);
    match world.update(path, id, fields, &by) {
        Ok(()) if by.silent => Reply::broken("Could not resolve URL for display_url"),
        Ok(()) => single(world, asked, path, id, 200),
        Err(refused) => refusal(refused),
    }
}

fn delete(world: &mut World, asked: &Asked, path: &str, id: u64) -> Reply {
    if let Some(stale) = stale(world, asked, path, id) {
        return stale;
    }
    match world.delete(path, id, &asked.by) {
        Ok(()) => Reply::empty(204),
        Err(refused) => refusal(refused),
    }
}

fn stale(world: &World, asked: &Asked, path: &str, id: u64) -> Option<Reply> {
    let etag = wire::etag(&world.tables[path].rows[&id]);
    let given = asked.if_match.as_deref().filter(|given| *given != "*")?;
    let fresh = given.split(',').any(|given| given.trim() == etag);
    (!fresh).then(|| Reply { etag: Some(etag), ..Reply::detail(412, "Precondition failed.") })
}

fn failed(verb: &str, total: usize, errors: Vec<Value>) -> Reply {
    let detail = format!("{} of {total} objects could not be {verb}.", errors.len());
    Reply::json(400, json!({"detail": detail, "errors": errors}))
}

/// Why a bulk write ended: rows that were refused, or an exception.
enum Ended {
    Refused(u16, Vec<Value>),
    Broken(String),
}

fn ended(verb: &str, total: usize, ended: Ended) -> Reply {
    match ended {
        Ended::Refused(status, errors) => Reply { status, ..failed(verb, total, errors) },
        Ended::Broken(error) => Reply::broken(&error),
    }
}

/// Takes one row's failure, or ends the whole request with it.
fn note(errors: &mut Vec<Value>, status: &mut u16, entry: (&str, Value), refused: Refused) -> Result<(), Ended> {
    let reasons = match refused {
        Refused::Invalid(reasons) => reasons,
        Refused::Protected(_) => {
            *status = 409;
            json!({"__all__": ["Unable to delete: 1 dependent object(s) prevent deletion."]})
        }
        Refused::Broken(error) => return Err(Ended::Broken(error)),
    };
    let mut item = json!({"errors": reasons});
    item[entry.0] = entry.1;
    errors.push(item);
    Ok(())
}

fn bulk_create(world: &mut World, asked: &Asked, path: &str, items: &[Value]) -> Reply {
    let by = by(world, asked, path);
    let result = world.atomic(|world| {
        let (mut ids, mut errors, mut status) = (Vec::new(), Vec::new(), 400);
        for (index, item) in items.iter().enumerate() {
            let Some(fields) = item.as_object() else { return Err(Ended::Broken("not a dictionary".to_owned())) };
            let by = By { message: message(item), ..by.clone() };
            match world.create(path, fields, &by) {
                Ok(id) => ids.push(id),
                Err(refused) => note(&mut errors, &mut status, ("index", json!(index)), refused)?,
            }
        }
        if errors.is_empty() { Ok(ids) } else { Err(Ended::Refused(status, errors)) }
    });
    match result {
        Ok(ids) => many(world, asked, path, &ids, 201),
        Err(end) => ended("created", items.len(), end),
    }
}

fn message(item: &Value) -> String {
    item.get("changelog_message").and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn many(world: &World, asked: &Asked, path: &str, ids: &[u64], status: u16) -> Reply {
    let table = &world.tables[path];
    if broken_url(table) {
        return Reply::broken("Could not resolve URL for display_url");
    }
    let rows = ids.iter().map(|id| trimmed(asked, wire::rest(world, table, &table.rows[id], &asked.base)));
    Reply::json(status, rows.collect())
}

#[derive(Clone, Copy, PartialEq)]
enum Change {
    Update,
    Delete,
}

fn bulk(world: &mut World, asked: &Asked, path: &str, items: &[Value], change: Change) -> Reply {
    let ids: Vec<u64> = items.iter().filter_map(|item| item.get("id")?.as_u64()).collect();
    if ids.len() != items.len() {
        return failed(
            "validated",
            items.len(),
            vec![json!({"index": 0, "errors": {"id": ["This field is required."]}})],
        );
    }
    if ids.iter().collect::<BTreeSet<_>>().len() != ids.len() {
        return Reply::detail(400, "objects are listed more than once.");
    }
    let missing: Vec<Value> = ids
        .iter()
        .filter(|id| !world.tables[path].rows.contains_key(id))
        .map(|id| json!({"id": id, "errors": {"id": [format!("Object with ID {id} does not exist")]}}))
        .collect();
    if !missing.is_empty() {
        return failed("found", items.len(), missing);
    }
    let by = by(world, asked, path);
    let result = world.atomic(|world| {
        let (mut errors, mut status) = (Vec::new(), 400);
        for (item, id) in items.iter().zip(&ids) {
            let by = By { message: message(item), ..by.clone() };
            let fields = item.as_object().cloned().unwrap_or_default();
            let done = match change {
                Change::Update => world.update(path, *id, &fields, &by),
                Change::Delete => world.delete(path, *id, &by),
            };
            if let Err(refused) = done {
                note(&mut errors, &mut status, ("id", json!(id)), refused)?;
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(Ended::Refused(status, errors)) }
    });
    match (result, change) {
        (Ok(()), Change::Update) => many(world, asked, path, &ids, 200),
        (Ok(()), Change::Delete) => Reply::empty(204),
        (Err(end), Change::Update) => ended("updated", items.len(), end),
        (Err(end), Change::Delete) => ended("deleted", items.len(), end),
    }
}

fn time(text: &str) -> Option<SystemTime> {
    humantime::parse_rfc3339(text).ok()
}

fn change_log(world: &World, asked: &Asked) -> Reply {
    if asked.method != "GET" {
        return Reply::detail(405, "Method not allowed.");
    }
    let any = |name: &str, value: &str| {
        let wanted = asked.all(name);
        wanted.is_empty() || wanted.contains(&value)
    };
    let (after, before) = (asked.query("time_after"), asked.query("time_before"));
    if [after, before].into_iter().flatten().any(|text| time(text).is_none()) {
        return Reply::json(400, json!({"time": ["Enter a valid date/time."]}));
    }
    let (after, before) = (after.and_then(time), before.and_then(time));
    let records: Vec<_> = world
        .changes
        .iter()
        .filter(|record| any("id", &record.id.to_string()))
        .filter(|record| any("request_id", &record.by.request_id))
        .filter(|record| any("action", record.action))
        .filter(|record| any("user_name", &record.by.user))
        .filter(|record| any("changed_object_type", &record.object_type))
        .filter(|record| any("changed_object_id", &record.object_id.to_string()))
        .filter(|record| after.is_none_or(|after| time(&record.time) >= Some(after)))
        .filter(|record| before.is_none_or(|before| time(&record.time) <= Some(before)))
        .collect();
    page(world, asked, &records, |record| record.id, |record| trimmed(asked, wire::change(record)))
}
