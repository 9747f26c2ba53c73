//! One fabric with a Git directory, a NetBox and a ledger in memory: applies plans as a run does.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use fgd_sync::domain::document::Shared;
use fgd_sync::domain::edit::{Edit, Mode, Tree, TreeEntry};
use fgd_sync::domain::fate::{DocumentId, Fate, Reason};
use fgd_sync::domain::key::Key;
use fgd_sync::domain::kind::{Catalogue, Kind};
use fgd_sync::domain::names::{FabricName, LedgerId, Oid};
use fgd_sync::domain::path::RepoPath;
use fgd_sync::domain::policy::Policy;
use fgd_sync::domain::row::{Base, Intent, NetBoxBase, Row};
use fgd_sync::plan::managed::{ManagedFile, read_document};
use fgd_sync::plan::raw::take_apart;
use fgd_sync::plan::{
    BrokenFile, DeletionWindow, FabricPlan, GitSide, KeySides, NetBoxSide, NetBoxWrite, RawContent, Sides, plan_fabric,
};
use serde_json::{Map, Value, json};

pub const DIRECTORY: &str = "fabrics/lab";
/// NetBox of the model refuses this value.
pub const REFUSED: u8 = 9;

pub fn key(name: &str) -> Key {
    let (namespace, name) = name.split_once('/').unwrap_or(("default", name));
    Key { kind: Kind::new("VPC"), namespace: namespace.to_owned(), name: name.to_owned() }
}

pub fn shared(key: &Key, value: u8) -> Shared {
    Shared { key: key.clone(), labels: Map::new(), annotations: Map::new(), spec: json!({"v": value, "w": {"x": 1}}) }
}

pub fn document_text(key: &Key, value: u8) -> String {
    format!(
        "apiVersion: vpc.githedgehog.com/v1alpha2\nkind: VPC\nmetadata:\n  name: {}\n  namespace: {}\nspec:\n  w: {{x: 1}}\n  v: {value}\n",
        key.name, key.namespace
    )
}

pub fn path(below: &str) -> RepoPath {
    RepoPath::new(&format!("{DIRECTORY}/{below}")).expect("tests use good paths")
}

#[derive(Debug, Clone, Default)]
pub struct Model {
    pub git: BTreeMap<RepoPath, Bytes>,
    pub rows: BTreeMap<u64, Row>,
    pub policy: Policy,
    base: BTreeMap<Key, Base>,
    intents: BTreeMap<Key, Intent>,
    remembered: BTreeMap<DocumentId, Fate>,
    /// What NetBox refused in the last run; a new run asks again.
    refusals: BTreeMap<Key, Reason>,
    next: u64,
}

impl Model {
    pub fn put_row(&mut self, key: &Key, value: u8) {
        let id = self.id_of(key).unwrap_or_else(|| self.tick());
        self.store(id, shared(key, value));
    }

    pub fn delete_row(&mut self, key: &Key) {
        if let Some(id) = self.id_of(key) {
            self.rows.remove(&id);
        }
    }

    pub fn rename_row(&mut self, from: &Key, to: &Key) {
        if let (Some(id), None) = (self.id_of(from), self.id_of(to)) {
            let spec = self.rows[&id].shared.spec.clone();
            self.store(id, Shared { key: to.clone(), labels: Map::new(), annotations: Map::new(), spec });
        }
    }

    pub fn id_of(&self, key: &Key) -> Option<u64> {
        self.rows.iter().find(|(_, row)| row.shared.key == *key).map(|(id, _)| *id)
    }

    fn tick(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn store(&mut self, id: u64, shared: Shared) {
        let last_updated = format!("t{}", self.tick());
        self.rows.insert(id, Row { id, shared, last_updated });
    }

    /// The managed files by the key they hold.
    pub fn files(&self) -> BTreeMap<Key, Vec<RepoPath>> {
        let mut files: BTreeMap<Key, Vec<RepoPath>> = BTreeMap::new();
        for (path, bytes) in self.managed() {
            if let ManagedFile::Document(document) = read_document(Catalogue::hedgehog(), bytes) {
                files.entry(document.key).or_default().push(path.clone());
            }
        }
        files
    }

    fn managed(&self) -> impl Iterator<Item = (&RepoPath, &Bytes)> {
        let files = self.git.iter().filter(|(file, _)| file.is_within(&path("managed")));
        files.filter(|(file, _)| file.file_name() != ".gitkeep")
    }

    /// What both sides hold: of every key its spec in Git and its spec in NetBox.
    pub fn contents(&self) -> BTreeMap<Key, (Option<Value>, Option<Value>)> {
        let mut contents: BTreeMap<Key, (Option<Value>, Option<Value>)> = BTreeMap::new();
        for (_, bytes) in self.managed() {
            if let ManagedFile::Document(document) = read_document(Catalogue::hedgehog(), bytes) {
                contents.entry(document.key.clone()).or_default().0 = Some(document.shared().spec);
            }
        }
        for row in self.rows.values() {
            contents.entry(row.shared.key.clone()).or_default().1 = Some(row.shared.spec.clone());
        }
        contents
    }

    pub fn sides(&self) -> Sides {
        let mut sides = self.empty_sides();
        let mut keys: BTreeSet<Key> = self.base.keys().chain(self.intents.keys()).cloned().collect();
        for (file, bytes) in self.managed() {
            match read_document(Catalogue::hedgehog(), bytes) {
                ManagedFile::Document(document) => {
                    keys.insert(document.key);
                }
                ManagedFile::Broken(reason) => sides.broken.push(BrokenFile { path: file.clone(), reason }),
                ManagedFile::Empty => {}
            }
        }
        keys.extend(self.rows.values().map(|row| row.shared.key.clone()));
        for (file, bytes) in self.git.iter().filter(|(file, _)| file.is_within(&path("raw"))) {
            let raw = take_apart(Catalogue::hedgehog(), file, &Oid::of_blob(bytes), bytes.clone());
            for document in &raw.documents {
                if let RawContent::Document(document) = &document.content {
                    keys.insert(document.key.clone());
                }
            }
            sides.raw.push(raw);
        }
        let files = self.files();
        for key in keys {
            let found = self.key_sides(&key, files.get(&key));
            sides.keys.insert(key, found);
        }
        sides
    }

    fn empty_sides(&self) -> Sides {
        let entry = |bytes: &Bytes| TreeEntry { mode: Mode::File, blob: Oid::of_blob(bytes), size: None };
        let tree: Tree = self.git.iter().map(|(path, bytes)| (path.clone(), entry(bytes))).collect();
        let own = [path(".hnp/manifest.yaml"), path(".hnp/archive-log.yaml")];
        Sides {
            fabric: FabricName::new("lab"),
            directory: RepoPath::new(DIRECTORY).expect("it is a good path"),
            ledger: LedgerId::new("01LEDGER"),
            catalogue: Catalogue::hedgehog().clone(),
            head: None,
            tree,
            own_files: own.into_iter().filter_map(|path| Some((path.clone(), self.git.get(&path)?.clone()))).collect(),
            keys: BTreeMap::new(),
            other_paths: BTreeMap::new(),
            broken: Vec::new(),
            raw: Vec::new(),
            copies: BTreeMap::new(),
            remembered: self.remembered.clone(),
            warnings: Vec::new(),
            fabric_missing: false,
            compared_in_full: true,
            deletions: DeletionWindow { objects: 1_000, ..DeletionWindow::default() },
        }
    }

    fn key_sides(&self, key: &Key, files: Option<&Vec<RepoPath>>) -> KeySides {
        let git = match files.map(Vec::as_slice) {
            None | Some([]) => GitSide::Absent,
            Some([only]) => {
                let bytes = self.git[only].clone();
                let ManagedFile::Document(document) = read_document(Catalogue::hedgehog(), &bytes) else {
                    unreachable!()
                };
                GitSide::File { path: only.clone(), blob: Oid::of_blob(&bytes), document: Box::new(document), bytes }
            }
            Some(several) => GitSide::Several { paths: several.to_vec() },
        };
        let netbox = match self.id_of(key) {
            Some(id) => NetBoxSide::Row(Box::new(self.rows[&id].clone())),
            None => NetBoxSide::Absent,
        };
        KeySides {
            base: self.base.get(key).cloned(),
            git,
            netbox,
            intent: self.intents.get(key).cloned(),
            changed_by: BTreeSet::from(["ann".to_owned()]),
            refusal: self.refusals.get(key).cloned(),
            ..KeySides::default()
        }
    }

    /// What the next plan would be if NetBox still says what it said in the last run.
    pub fn plan(&self) -> FabricPlan {
        plan_fabric(&self.sides(), &self.policy)
    }

    /// A run; killed before its step number `kill_at`. Returns whether it came to its end.
    pub fn run(&mut self, kill_at: Option<usize>) -> bool {
        let mut step = 0;
        let mut alive = move || {
            step += 1;
            kill_at != Some(step)
        };
        self.refusals.clear();
        for _ in 0..10 {
            let plan = self.plan();
            if plan.netbox.is_empty() {
                return self.settle(&plan, &mut alive);
            }
            for write in &plan.netbox {
                if !self.write(write, &mut alive) {
                    return false;
                }
            }
        }
        panic!("a run does not come to its end: {:?}", self.plan().netbox);
    }

    fn write(&mut self, write: &NetBoxWrite, alive: &mut impl FnMut() -> bool) -> bool {
        let (key, against, want) = match write {
            NetBoxWrite::Create { want } => (want.key.clone(), None, Some(want)),
            NetBoxWrite::Update { against, want } => (want.key.clone(), Some(against), Some(want)),
            NetBoxWrite::Delete { against } => (against.shared.key.clone(), Some(against), None),
        };
        if !alive() {
            return false;
        }
        let from = against.map(|row| row.shared.digest());
        let intent = Intent { key: key.clone(), id: None, from, to: want.map(Shared::digest), source: None };
        self.intents.insert(key.clone(), intent);
        if !alive() {
            return false;
        }
        if want.is_some_and(|want| want.spec["v"] == json!(REFUSED)) {
            self.refusals.insert(key, Reason::new("no", "nine is not allowed"));
            return true;
        }
        match (against, want) {
            (Some(row), Some(want)) => self.store(row.id, want.clone()),
            (Some(row), None) => _ = self.rows.remove(&row.id),
            (None, Some(want)) => {
                assert_eq!(self.id_of(&key), None, "created twice");
                let id = self.tick();
                self.store(id, want.clone());
            }
            (None, None) => unreachable!(),
        }
        if !alive() {
            return false;
        }
        let netbox = self.id_of(&key).map(|id| &self.rows[&id]).map(|row| NetBoxBase {
            id: row.id,
            digest: row.shared.digest(),
            last_updated: row.last_updated.clone(),
        });
        self.base.entry(key).or_default().netbox = netbox;
        true
    }

    fn settle(&mut self, plan: &FabricPlan, alive: &mut impl FnMut() -> bool) -> bool {
        if !alive() {
            return false;
        }
        for (path, edit) in &plan.edits {
            match edit {
                Edit::Write(bytes) => _ = self.git.insert(path.clone(), bytes.clone()),
                Edit::Delete => assert!(self.git.remove(path).is_some(), "{path} is deleted but not there"),
            }
        }
        if !alive() {
            return false;
        }
        for update in &plan.base {
            match &update.base {
                Some(base) => _ = self.base.insert(update.key.clone(), base.clone()),
                None => _ = self.base.remove(&update.key),
            }
            if update.clears_intent {
                self.intents.remove(&update.key);
            }
        }
        self.remembered.extend(plan.remember.iter().cloned());
        self.remembered.retain(|id, _| self.git.get(&id.path).is_some_and(|bytes| Oid::of_blob(bytes) == id.blob));
        true
    }
}
