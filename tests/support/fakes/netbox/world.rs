//! NetBox's models: tables, change log, queue. Every change goes through here, whoever makes it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

use super::server::{Fault, Served};
use super::{admin, checks, wire};

/// Which plugin holds the objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavor {
    CustomObjects,
    Hedgehog,
}

/// kind, REST segment, model, and whether the plugin cannot build the rows' `display_url` (measured).
pub(super) const KINDS: [(&str, &str, &str, bool); 12] = [
    ("VPC", "vpcs", "vpc", false),
    ("External", "externals", "external", true),
    ("ExternalAttachment", "external-attachments", "externalattachment", true),
    ("ExternalPeering", "external-peerings", "externalpeering", true),
    ("IPv4Namespace", "ipv4-namespaces", "ipv4namespace", false),
    ("VPCAttachment", "vpc-attachments", "vpcattachment", true),
    ("VPCPeering", "vpc-peerings", "vpcpeering", true),
    ("Connection", "connections", "connection", false),
    ("Server", "servers", "server", false),
    ("Switch", "switches", "switch", false),
    ("SwitchGroup", "switch-groups", "switchgroup", false),
    ("VLANNamespace", "vlan-namespaces", "vlannamespace", false),
];

/// The path of the plugin's fabrics below `/api/`.
pub(super) const FABRICS: &str = "plugins/hedgehog/fabrics/";

#[derive(Clone)]
pub(super) enum Shape {
    /// A kind of the plugin.
    Plugin {
        broken_url: bool,
    },
    Fabric,
    /// Field name to (type, required).
    Custom(BTreeMap<String, (String, bool)>),
    /// A core model.
    Vlan,
}

#[derive(Clone)]
pub(super) struct Table {
    /// For example `netbox_hedgehog.vpc`.
    pub object_type: String,
    pub shape: Shape,
    pub rows: BTreeMap<u64, Record>,
    pub next_id: u64,
}

#[derive(Clone)]
pub(super) struct Record {
    pub id: u64,
    pub created: String,
    pub last_updated: String,
    pub fields: Map<String, Value>,
}

/// Who changes something, through what.
#[derive(Clone)]
pub(super) struct By {
    pub request_id: String,
    pub user: String,
    pub method: String,
    pub path: String,
    pub message: String,
    /// Nothing is queued: the request died before NetBox flushed its events.
    pub silent: bool,
}

#[derive(Clone)]
pub(super) struct ChangeRecord {
    pub id: u64,
    pub time: String,
    pub by: By,
    /// `create`, `update` or `delete`.
    pub action: &'static str,
    pub object_type: String,
    pub object_id: u64,
    pub before: Option<Value>,
    pub after: Option<Value>,
}

/// One queued webhook delivery.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Where the webhook says.
    pub url: String,
    pub body: Vec<u8>,
    /// Of `X-Hook-Signature`; `None` for a webhook without a secret.
    pub signature: Option<String>,
    pub event: &'static str,
    pub object_type: String,
    pub object_id: u64,
    pub request_id: String,
}

/// Why NetBox does not do it.
pub(super) enum Refused {
    /// 400 with errors by field.
    Invalid(Value),
    /// 409: others depend on it.
    Protected(String),
    /// 500.
    Broken(String),
}

pub(super) struct World {
    pub flavor: Flavor,
    /// By path below `/api/`.
    pub tables: BTreeMap<String, Table>,
    /// Kinds beside the 12, with their paths.
    pub more_kinds: BTreeMap<String, String>,
    pub admin: BTreeMap<&'static str, admin::Rows>,
    pub changes: Vec<ChangeRecord>,
    pub queue: VecDeque<Delivery>,
    pub faults: Vec<(String, String, Fault)>,
    /// A fault of whatever request comes after so many others.
    pub later: Option<(usize, Fault)>,
    pub broken_names: BTreeSet<String>,
    pub refused_names: BTreeMap<String, String>,
    pub protected_names: BTreeSet<String>,
    /// Types whose objects take no journal entries.
    pub without_journal: BTreeSet<String>,
    pub denied: Vec<String>,
    /// Permissions that the token's user does not have: action and the path that it is about.
    pub lacking: Vec<(String, String)>,
    /// Parts of paths whose rows the token may only view.
    pub read_only: Vec<String>,
    pub max_page: usize,
    pub served: Vec<Served>,
    pub unexpected: Vec<String>,
    /// Every connection is cut.
    pub down: bool,
    /// Requests that came while it was down.
    pub unanswered: usize,
    last_time: Duration,
}

impl World {
    pub fn new(flavor: Flavor) -> Self {
        let mut tables = BTreeMap::new();
        if flavor == Flavor::Hedgehog {
            let table = |model: &str, shape| Table {
                object_type: format!("netbox_hedgehog.{model}"),
                shape,
                rows: BTreeMap::new(),
                next_id: 1,
            };
            for (_, segment, model, broken_url) in KINDS {
                tables.insert(format!("plugins/hedgehog/{segment}/"), table(model, Shape::Plugin { broken_url }));
            }
            tables.insert(FABRICS.to_owned(), table("hedgehogfabric", Shape::Fabric));
        }
        Self {
            flavor,
            tables,
            more_kinds: BTreeMap::new(),
            admin: admin::empty(flavor),
            changes: Vec::new(),
            queue: VecDeque::new(),
            faults: Vec::new(),
            later: None,
            broken_names: BTreeSet::new(),
            refused_names: BTreeMap::new(),
            protected_names: BTreeSet::new(),
            without_journal: BTreeSet::new(),
            denied: Vec::new(),
            lacking: Vec::new(),
            read_only: Vec::new(),
            max_page: 1_000,
            served: Vec::new(),
            unexpected: Vec::new(),
            down: false,
            unanswered: 0,
            last_time: Duration::ZERO,
        }
    }

    /// The path of a kind's list endpoint below `/api/`.
    pub fn path_of_kind(&self, kind: &str) -> String {
        if let Some(path) = self.more_kinds.get(kind) {
            return path.clone();
        }
        if kind == "Fabric" {
            return match self.flavor {
                Flavor::CustomObjects => "plugins/custom-objects/hedgehog-fabrics/".to_owned(),
                Flavor::Hedgehog => FABRICS.to_owned(),
            };
        }
        let known = KINDS.iter().find(|known| known.0 == kind);
        let (_, segment, ..) = known.unwrap_or_else(|| panic!("the stand-in knows no kind {kind}"));
        match self.flavor {
            Flavor::CustomObjects => format!("plugins/custom-objects/hedgehog-{segment}/"),
            Flavor::Hedgehog => format!("plugins/hedgehog/{segment}/"),
        }
    }

    pub fn table_of_kind(&self, kind: &str) -> &Table {
        let path = self.path_of_kind(kind);
        self.tables.get(&path).unwrap_or_else(|| panic!("the stand-in has no {path}"))
    }

    /// Makes all that the change log has so much older.
    pub fn age_changes(&mut self, by: Duration) {
        for record in &mut self.changes {
            let time = humantime::parse_rfc3339(&record.time).expect("the stand-in wrote it");
            record.time = humantime::format_rfc3339_micros(time - by).to_string();
        }
    }

    /// The time, later than any before; microseconds, as PostgreSQL keeps them.
    pub fn now(&mut self) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = Duration::from_micros(u64::try_from(now.as_micros()).unwrap_or_default());
        self.last_time = now.max(self.last_time + Duration::from_micros(1));
        humantime::format_rfc3339_micros(UNIX_EPOCH + self.last_time).to_string()
    }

    pub fn create(&mut self, path: &str, input: &Map<String, Value>, by: &By) -> Result<u64, Refused> {
        let fields = checks::creation(self, path, input)?;
        self.check_message(by)?;
        let now = self.now();
        let table = self.tables.get_mut(path).unwrap_or_else(|| panic!("no table {path}"));
        let id = table.next_id;
        table.next_id += 1;
        // The request's own copy keeps the order that was sent; what is read later has PostgreSQL's.
        let given = Record { id, created: now.clone(), last_updated: now, fields };
        let mut stored = given.clone();
        stored.fields.values_mut().for_each(wire::as_jsonb);
        table.rows.insert(id, stored);
        self.changed(path, "create", None, Some(given), by);
        Ok(id)
    }

    pub fn update(&mut self, path: &str, id: u64, input: &Map<String, Value>, by: &By) -> Result<(), Refused> {
        let fields = checks::update(self, path, id, input)?;
        self.check_message(by)?;
        let now = self.now();
        let table = self.tables.get_mut(path).unwrap_or_else(|| panic!("no table {path}"));
        let row = table.rows.get_mut(&id).unwrap_or_else(|| panic!("no row {id}"));
        let before = row.clone();
        let given = Record { last_updated: now, fields, ..before.clone() };
        *row = given.clone();
        row.fields.values_mut().for_each(wire::as_jsonb);
        self.changed(path, "update", Some(before), Some(given), by);
        Ok(())
    }

    /// Deletes a row; a fabric takes its objects with it.
    pub fn delete(&mut self, path: &str, id: u64, by: &By) -> Result<(), Refused> {
        self.check_message(by)?;
        let row = &self.tables[path].rows[&id];
        let name = row.fields.get("name").and_then(Value::as_str).unwrap_or_default();
        if self.protected_names.contains(name) {
            let detail = format!("Unable to delete object. 1 dependent objects were found: child of {name} (1)");
            return Err(Refused::Protected(detail));
        }
        if self.broken_names.contains(name) {
            return Err(Refused::Broken("RuntimeError".to_owned()));
        }
        if path == FABRICS {
            let of_fabric = |row: &Record| row.fields.get("fabric").and_then(Value::as_u64) == Some(id);
            let victims: Vec<(String, u64)> = self
                .tables
                .iter()
                .flat_map(|(path, table)| {
                    table.rows.values().filter(|row| of_fabric(row)).map(|row| (path.clone(), row.id))
                })
                .collect();
            for (path, id) in victims {
                self.remove(&path, id, by);
            }
        }
        self.remove(path, id, by);
        Ok(())
    }

    fn remove(&mut self, path: &str, id: u64, by: &By) {
        if let Some(row) = self.tables.get_mut(path).and_then(|table| table.rows.remove(&id)) {
            self.changed(path, "delete", Some(row), None, by);
        }
    }

    /// NetBox's change log has 200 characters for a message; a longer one fails in PostgreSQL.
    fn check_message(&self, by: &By) -> Result<(), Refused> {
        match by.message.chars().count() {
            0..=200 => Ok(()),
            _ => Err(Refused::Broken("DataError: value too long for type character varying(200)".to_owned())),
        }
    }

    fn changed(&mut self, path: &str, action: &'static str, before: Option<Record>, after: Option<Record>, by: &By) {
        let time = self.now();
        let table = &self.tables[path];
        let Some(row) = after.as_ref().or(before.as_ref()) else { return };
        let snapshot = |row: &Record| wire::snapshot(table, row);
        let record = ChangeRecord {
            id: self.changes.last().map_or(1, |last| last.id + 1),
            time: time.clone(),
            by: by.clone(),
            action,
            object_type: table.object_type.clone(),
            object_id: row.id,
            before: before.as_ref().map(snapshot),
            after: after.as_ref().map(snapshot),
        };
        if !by.silent {
            let deliveries = wire::deliveries(self, path, row, &record);
            self.queue.extend(deliveries);
        }
        self.changes.push(record);
    }

    /// Does all of it or nothing. Ids that were handed out stay used, as PostgreSQL's sequences do.
    pub fn atomic<T, E>(&mut self, act: impl FnOnce(&mut Self) -> Result<T, E>) -> Result<T, E> {
        let tables = self.tables.clone();
        let (changes, queue) = (self.changes.len(), self.queue.len());
        let result = act(self);
        if result.is_err() {
            let used: BTreeMap<String, u64> =
                self.tables.iter().map(|(path, table)| (path.clone(), table.next_id)).collect();
            self.tables = tables;
            for (path, table) in &mut self.tables {
                table.next_id = used[path];
            }
            self.changes.truncate(changes);
            self.queue.truncate(queue);
        }
        result
    }
}

/// A new request id, as NetBox writes them.
pub(super) fn request_id() -> String {
    let hex = format!("{:032x}", u128::from(ulid::Ulid::generate()));
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
