//! Builds the sides of one fabric for a test.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::domain::digest::Digest;
use crate::domain::document::{Document, Shared};
use crate::domain::edit::{Edit, Mode, TreeEntry};
use crate::domain::fate::{Fate, Reason};
use crate::domain::key::Key;
use crate::domain::kind::{Catalogue, Kind};
use crate::domain::names::{FabricName, LedgerId, Oid};
use crate::domain::path::RepoPath;
use crate::domain::policy::Policy;
use crate::domain::report::{Item, Outcome};
use crate::domain::row::{Base, GitBase, Intent, NetBoxBase, Row};
use crate::plan::directory::Look;
use crate::plan::layout::{Marker, marker_path, render_marker};
use crate::plan::managed::{ManagedFile, read_document};
use crate::plan::raw::take_apart;
use crate::plan::{
    Ancestor, DeletionWindow, FabricPlan, GitSide, KeySides, NetBoxSide, Sides, Unchanged, ancestor_blob, plan_fabric,
};

pub(super) const DIRECTORY: &str = "fabrics/lab";

pub(super) fn path(below: &str) -> RepoPath {
    RepoPath::new(&format!("{DIRECTORY}/{below}")).unwrap()
}

pub(super) fn key(name: &str) -> Key {
    key_in("default", name)
}

pub(super) fn key_in(namespace: &str, name: &str) -> Key {
    Key { kind: Kind::new("VPC"), namespace: namespace.to_owned(), name: name.to_owned() }
}

pub(super) fn text(name: &str, spec: &Value) -> String {
    format!("apiVersion: vpc.githedgehog.com/v1beta1\nkind: VPC\nmetadata:\n  name: {name}\nspec: {spec}\n")
}

pub(super) fn shared(key: &Key, spec: Value) -> Shared {
    Shared { key: key.clone(), labels: Map::new(), annotations: Map::new(), spec }
}

pub(super) fn document(text: &str) -> Document {
    match read_document(Catalogue::hedgehog(), text.as_bytes()) {
        ManagedFile::Document(document) => document,
        other => panic!("{text} gave {other:?}"),
    }
}

pub(super) fn entry(bytes: &[u8]) -> TreeEntry {
    TreeEntry { mode: Mode::File, blob: Oid::of_blob(bytes), size: Some(bytes.len() as u64), misnamed: None }
}

/// An empty fabric with our marker, to which a test adds.
pub(super) struct World {
    pub sides: Sides,
    pub policy: Policy,
    /// What Git's history has.
    history: BTreeMap<Oid, Document>,
}

impl World {
    pub(super) fn new() -> Self {
        let directory = RepoPath::new(DIRECTORY).unwrap();
        let mut marker = Marker::new(FabricName::new("lab"), LedgerId::new("01LEDGER"));
        // No part of the skeleton is put back unless a test is about that.
        let kinds = Catalogue::hedgehog().iter().map(|spec| format!("managed/{}", spec.directory));
        let others = ["raw", "unmanaged", "README.md", ".hnp/archive-log.yaml"].map(str::to_owned);
        marker.restored = kinds.chain(others).collect();
        let (marker_at, bytes) = (marker_path(&directory), render_marker(&marker, None));
        let sides = Sides {
            fabric: marker.fabric,
            directory,
            ledger: marker.ledger,
            catalogue: Catalogue::hedgehog().clone(),
            head: None,
            tree: BTreeMap::from([(marker_at.clone(), entry(&bytes))]),
            own_files: BTreeMap::from([(marker_at, bytes)]),
            keys: BTreeMap::new(),
            unchanged: Unchanged::default(),
            base: Arc::default(),
            broken: Vec::new(),
            raw: Vec::new(),
            copies: BTreeMap::new(),
            remembered: BTreeMap::new(),
            warnings: Vec::new(),
            fabric_missing: false,
            compared_in_full: false,
            look: Look::default(),
            moved: None,
            deletions: DeletionWindow { objects: 1_000, ..DeletionWindow::default() },
        };
        Self { sides, policy: Policy::default(), history: BTreeMap::new() }
    }

    pub(super) fn at(&mut self, key: &Key) -> &mut KeySides {
        self.sides
            .keys
            .entry(key.clone())
            .or_insert_with(|| KeySides { netbox: NetBoxSide::Absent, ..KeySides::default() })
    }

    pub(super) fn git(&mut self, name: &str, spec: Value) -> &mut Self {
        self.git_text(name, &text(name, &spec))
    }

    pub(super) fn git_text(&mut self, name: &str, text: &str) -> &mut Self {
        let document = document(text);
        let at = path(&format!("managed/vpcs/{name}.yaml"));
        self.sides.tree.insert(at.clone(), entry(text.as_bytes()));
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        let key = document.key.clone();
        self.at(&key).git = GitSide::File { path: at, blob: Oid::of_blob(&bytes), document: Box::new(document), bytes };
        self
    }

    pub(super) fn row(&mut self, name: &str, id: u64, spec: Value) -> &mut Self {
        self.row_at(&key(name), id, spec)
    }

    pub(super) fn row_at(&mut self, key: &Key, id: u64, spec: Value) -> &mut Self {
        let row = Row { id, shared: shared(key, spec), last_updated: "2026-01-01".to_owned() };
        self.at(key).netbox = NetBoxSide::Row(Box::new(row));
        self
    }

    /// Both sides once agreed on this, with the file and row as the other helpers make them.
    pub(super) fn base(&mut self, name: &str, id: u64, spec: Value) -> &mut Self {
        let text = text(name, &spec);
        self.base_text(name, id, &text)
    }

    pub(super) fn base_text(&mut self, name: &str, id: u64, text: &str) -> &mut Self {
        let document = document(text);
        let shared = document.shared().digest();
        let git = GitBase {
            path: path(&format!("managed/vpcs/{name}.yaml")),
            blob: Oid::of_blob(text.as_bytes()),
            digest: document.digest(),
            shared: shared.clone(),
        };
        let netbox = NetBoxBase { id, digest: shared, last_updated: "2026-01-01".to_owned() };
        self.history.insert(git.blob.clone(), document.clone());
        self.at(&document.key).base = Some(Base { git: Some(git), netbox: Some(netbox) });
        self
    }

    /// Git's history has this content of the object.
    pub(super) fn history_of(&mut self, name: &str, spec: Value) -> &mut Self {
        let text = text(name, &spec);
        self.history.insert(Oid::of_blob(text.as_bytes()), document(&text));
        self
    }

    /// File, row and base all equal.
    pub(super) fn agreed(&mut self, name: &str, id: u64, spec: Value) -> &mut Self {
        self.git(name, spec.clone()).row(name, id, spec.clone()).base(name, id, spec)
    }

    pub(super) fn intent(&mut self, name: &str, from: Option<Value>, to: Option<Value>) -> &mut Self {
        let key = key(name);
        let digest = |spec: Option<Value>| spec.map(|spec| shared(&key, spec).digest());
        let (from, to) = (digest(from), digest(to));
        let intent = Intent { key: key.clone(), id: None, from, to, source: None, merged: None, restores_base: false };
        self.at(&key).intent = Some(intent);
        self
    }

    pub(super) fn raw(&mut self, below: &str, text: &str) -> &mut Self {
        self.found(&format!("raw/{below}"), text)
    }

    /// A file that goes the way of raw files, wherever it stands.
    pub(super) fn found(&mut self, below: &str, text: &str) -> &mut Self {
        let at = path(below);
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        let file = take_apart(Catalogue::hedgehog(), &at, &Oid::of_blob(&bytes), bytes);
        for document in &file.documents {
            if let crate::plan::RawContent::Document(document) = &document.content {
                self.at(&document.key);
            }
        }
        self.sides.tree.insert(at, entry(text.as_bytes()));
        self.sides.raw.push(file);
        self
    }

    pub(super) fn plan(&self) -> FabricPlan {
        let mut sides = self.sides.clone();
        for (key, sides) in &mut sides.keys {
            let found = ancestor_blob(key, sides).and_then(|blob| self.history.get(&blob));
            if let (Ancestor::NotRead, Some(document)) = (&sides.ancestor, found) {
                sides.ancestor = Ancestor::Document(Box::new(document.clone()));
            }
        }
        plan_fabric(&sides, &self.policy)
    }

    /// The word for what the plan does with an object: `unchanged`, `git_created`, `held <code>`...
    pub(super) fn outcome(&self, name: &str) -> String {
        outcome(&self.plan(), &key(name))
    }
}

pub(super) fn outcome(plan: &FabricPlan, wanted: &Key) -> String {
    let found = plan.items.iter().find_map(|item| match item {
        Item::Object { key, outcome, .. } if key == wanted => Some(outcome),
        _ => None,
    });
    match found.unwrap_or_else(|| panic!("{wanted} has no item")) {
        Outcome::Unchanged => "unchanged".to_owned(),
        Outcome::GitCreated => "git_created".to_owned(),
        Outcome::GitUpdated => "git_updated".to_owned(),
        Outcome::GitDeleted => "git_deleted".to_owned(),
        Outcome::NetboxCreated => "netbox_created".to_owned(),
        Outcome::NetboxUpdated => "netbox_updated".to_owned(),
        Outcome::NetboxDeleted => "netbox_deleted".to_owned(),
        Outcome::Held { reason } => format!("held {}", reason.code),
    }
}

/// The word for a raw document's fate: `ingested created`, `held <code>`...
pub(super) fn fates(plan: &FabricPlan) -> Vec<String> {
    let mut documents: Vec<_> = plan
        .items
        .iter()
        .filter_map(|item| match item {
            Item::Document { path, index, item_index, fate, .. } => {
                Some((path.clone(), (*index, *item_index), word(fate)))
            }
            Item::Object { .. } | Item::File { .. } | Item::Warning { .. } => None,
        })
        .collect();
    documents.sort();
    documents.into_iter().map(|(_, _, word)| word).collect()
}

fn word(fate: &Fate) -> String {
    match fate {
        Fate::Ingested { effect, .. } => format!("ingested {effect:?}").to_lowercase(),
        Fate::Unmanaged { reason }
        | Fate::Rejected { reason, .. }
        | Fate::Held { reason, .. }
        | Fate::Pending { reason, .. } => format!("{} {}", fate.word(), reason.code),
    }
}

pub(super) fn written(plan: &FabricPlan, below: &str) -> Option<String> {
    let bytes = plan.edits.get(&path(below))?.bytes()?;
    Some(String::from_utf8_lossy(bytes).into_owned())
}

pub(super) fn deleted(plan: &FabricPlan, below: &str) -> bool {
    plan.edits.get(&path(below)) == Some(&Edit::Delete)
}

pub(super) fn reason(code: &str) -> Reason {
    Reason::new(code, "in words")
}

pub(super) fn digest(key: &Key, spec: Value) -> Digest {
    shared(key, spec).digest()
}

pub(super) fn one() -> Value {
    json!({"a": 1})
}

pub(super) fn two() -> Value {
    json!({"a": 2})
}

pub(super) fn three() -> Value {
    json!({"a": 3})
}
