//! What a person does in NetBox's own pages: rows change, the log grows, deliveries are queued.

use std::sync::MutexGuard;

use serde_json::{Map, Value, json};

use super::objects::broken_url;
use super::world::{By, FABRICS, Flavor, Refused, World, request_id};

/// A NetBox user at work. Holds the stand-in's lock: drop it before anything else is asked.
pub struct User<'a> {
    world: MutexGuard<'a, World>,
    name: String,
}

/// A row to be created. Labels and annotations are empty unless set.
#[derive(Debug, Clone)]
pub struct Object {
    pub kind: String,
    /// By name, in either model.
    pub fabric: String,
    pub namespace: String,
    pub name: String,
    pub spec: Value,
    pub labels: Value,
    pub annotations: Value,
}

impl Object {
    pub fn new(kind: &str, fabric: &str, name: &str, spec: Value) -> Self {
        Self {
            kind: kind.to_owned(),
            fabric: fabric.to_owned(),
            namespace: "default".to_owned(),
            name: name.to_owned(),
            spec,
            labels: json!({}),
            annotations: json!({}),
        }
    }
}

impl<'a> User<'a> {
    pub(super) fn new(world: MutexGuard<'a, World>, name: &str) -> Self {
        Self { world, name: name.to_owned() }
    }

    /// Another user, for acts in the middle of a request.
    pub fn named(&mut self, name: &str) -> &mut Self {
        self.name = name.to_owned();
        self
    }

    /// Creates a fabric. For custom objects a fabric is only a name: nothing happens, and the id is 0.
    pub fn create_fabric(&mut self, name: &str) -> u64 {
        match self.world.flavor {
            Flavor::CustomObjects => 0,
            Flavor::Hedgehog => {
                let by = self.by("POST", "/plugins/hedgehog/fabrics/add/");
                let fields = map(json!({"name": name}));
                done(self.world.create(FABRICS, &fields, &by))
            }
        }
    }

    pub fn rename_fabric(&mut self, old: &str, new: &str) {
        let id = self.fabric(old);
        let by = self.by("POST", &format!("/plugins/hedgehog/fabrics/{id}/edit/"));
        done(self.world.update(FABRICS, id, &map(json!({"name": new})), &by));
    }

    /// Changes fields of a fabric that are not its name.
    pub fn update_fabric(&mut self, name: &str, patch: Value) {
        let id = self.fabric(name);
        let by = self.by("PATCH", &format!("/api/plugins/hedgehog/fabrics/{id}/"));
        done(self.world.update(FABRICS, id, &map(patch), &by));
    }

    /// Deletes a fabric with all of its objects, in one request.
    pub fn delete_fabric(&mut self, name: &str) {
        let id = self.fabric(name);
        let by = self.by("DELETE", &format!("/api/plugins/hedgehog/fabrics/{id}/"));
        done(self.world.delete(FABRICS, id, &by));
    }

    /// Creates one row; returns its id.
    pub fn create(&mut self, object: &Object) -> u64 {
        let path = self.world.path_of_kind(&object.kind);
        let by = self.by("POST", &format!("/{path}add/"));
        self.insert(object, &by)
    }

    /// Creates one row over REST; on the six endpoints that is a 500 to the user, a row, and no delivery.
    pub fn create_over_rest(&mut self, object: &Object) -> u64 {
        let path = self.world.path_of_kind(&object.kind);
        let by = self.by("POST", &format!("/api/{path}"));
        let silent = broken_url(&self.world.tables[&path]);
        self.insert(object, &By { silent, ..by })
    }

    /// Creates a row of any kind from the fields that its endpoint takes.
    pub fn create_fields(&mut self, kind: &str, fields: Value) -> u64 {
        let path = self.world.path_of_kind(kind);
        let by = self.by("POST", &format!("/{path}add/"));
        done(self.world.create(&path, &map(fields), &by))
    }

    /// Creates many rows in one request, as the API's bulk endpoint does.
    pub fn bulk_create(&mut self, objects: &[Object]) -> Vec<u64> {
        let Some(first) = objects.first() else { return Vec::new() };
        let path = self.world.path_of_kind(&first.kind);
        let by = self.by("POST", &format!("/api/{path}"));
        objects.iter().map(|object| self.insert(object, &by)).collect()
    }

    /// Changes fields of a row; `null` values included.
    pub fn update(&mut self, kind: &str, id: u64, patch: Value) {
        let path = self.world.path_of_kind(kind);
        let by = self.by("PATCH", &format!("/api/{path}{id}/"));
        done(self.world.update(&path, id, &map(patch), &by));
    }

    pub fn rename(&mut self, kind: &str, id: u64, name: &str) {
        self.update(kind, id, json!({"name": name}));
    }

    pub fn delete(&mut self, kind: &str, id: u64) {
        self.bulk_delete(kind, &[id]);
    }

    /// Deletes many rows in one request.
    pub fn bulk_delete(&mut self, kind: &str, ids: &[u64]) {
        let path = self.world.path_of_kind(kind);
        let by = match ids {
            [id] => self.by("DELETE", &format!("/api/{path}{id}/")),
            _ => self.by("DELETE", &format!("/api/{path}")),
        };
        for id in ids {
            done(self.world.delete(&path, *id, &by));
        }
    }

    /// The id of the row of this name; panics when there is not exactly one.
    pub fn id(&self, kind: &str, name: &str) -> u64 {
        let table = self.world.table_of_kind(kind);
        let named = |fields: &Map<String, Value>| fields.get("name").and_then(Value::as_str) == Some(name);
        let ids: Vec<u64> = table.rows.values().filter(|row| named(&row.fields)).map(|row| row.id).collect();
        match ids.as_slice() {
            [id] => *id,
            other => panic!("{} rows of {kind} are called {name}", other.len()),
        }
    }

    fn insert(&mut self, object: &Object, by: &By) -> u64 {
        let path = self.world.path_of_kind(&object.kind);
        let fabric = match self.world.flavor {
            Flavor::CustomObjects => json!(object.fabric),
            Flavor::Hedgehog => json!(self.fabric(&object.fabric)),
        };
        let fields = map(json!({
            "fabric": fabric, "name": object.name, "namespace": object.namespace, "spec": object.spec,
            "labels": object.labels, "annotations": object.annotations,
        }));
        done(self.world.create(&path, &fields, by))
    }

    fn fabric(&self, name: &str) -> u64 {
        let rows = &self.world.tables[FABRICS].rows;
        let row = rows.values().find(|row| row.fields.get("name").and_then(Value::as_str) == Some(name));
        row.unwrap_or_else(|| panic!("no fabric {name}")).id
    }

    fn by(&self, method: &str, path: &str) -> By {
        By {
            request_id: request_id(),
            user: self.name.clone(),
            method: method.to_owned(),
            path: path.to_owned(),
            message: String::new(),
            silent: false,
        }
    }
}

fn map(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

fn done<T>(result: Result<T, Refused>) -> T {
    match result {
        Ok(value) => value,
        Err(Refused::Invalid(errors)) => panic!("NetBox refuses it: {errors}"),
        Err(Refused::Protected(detail) | Refused::Broken(detail)) => panic!("NetBox refuses it: {detail}"),
    }
}
