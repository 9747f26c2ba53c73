//! One fabric with a Git directory, a NetBox and a ledger in memory: applies plans as a run does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use fgd_sync::domain::conflict::Resolution;
use fgd_sync::domain::digest::Digest;
use fgd_sync::domain::document::Shared;
use fgd_sync::domain::edit::{Mode, Tree, TreeEntry};
use fgd_sync::domain::fate::{DocumentId, Fate, Reason};
use fgd_sync::domain::key::Key;
use fgd_sync::domain::kind::{Catalogue, Kind};
use fgd_sync::domain::names::{FabricName, LedgerId, Oid};
use fgd_sync::domain::path::RepoPath;
use fgd_sync::domain::policy::Policy;
use fgd_sync::domain::row::{Base, Intent, Row};
use fgd_sync::plan::directory::Look;
use fgd_sync::plan::managed::{ManagedFile, read_document};
use fgd_sync::plan::raw::take_apart;
use fgd_sync::plan::written::{acknowledged, intent};
use fgd_sync::plan::{
    Ancestor, BrokenFile, DeletionWindow, FabricPlan, GitSide, KeySides, NetBoxSide, NetBoxWrite, RawContent, Sides,
    Unchanged, ancestor_blob, plan_fabric,
};
use serde_json::{Map, Value, json};

pub const DIRECTORY: &str = "fabrics/lab";
/// NetBox of the model refuses this value in the field `v`.
pub const REFUSED: u8 = 9;

pub fn key(name: &str) -> Key {
    let (namespace, name) = name.split_once('/').unwrap_or(("default", name));
    Key { kind: Kind::new("VPC"), namespace: namespace.to_owned(), name: name.to_owned() }
}

/// An object whose two fields are the value's two digits: changes of different digits merge.
pub fn shared(key: &Key, value: u8) -> Shared {
    let spec = json!({"v": value % 10, "w": {"x": value / 10}});
    Shared { key: key.clone(), labels: Map::new(), annotations: Map::new(), spec }
}

pub fn document_text(key: &Key, value: u8) -> String {
    format!(
        "apiVersion: vpc.githedgehog.com/v1alpha2\nkind: VPC\nmetadata:\n  name: {}\n  namespace: {}\nspec:\n  w: {{x: {}}}\n  v: {}\n",
        key.name,
        key.namespace,
        value / 10,
        value % 10
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
    /// What people decided.
    pub resolutions: BTreeMap<Key, Resolution>,
    /// Every file that ever was in Git.
    history: BTreeMap<Oid, Bytes>,
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

    pub fn put_file(&mut self, path: &RepoPath, bytes: Bytes) {
        self.history.insert(Oid::of_blob(&bytes), bytes.clone());
        self.git.insert(path.clone(), bytes);
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
        let entry =
            |bytes: &Bytes| TreeEntry { mode: Mode::File, blob: Oid::of_blob(bytes), size: None, misnamed: None };
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
            unchanged: Unchanged::default(),
            base: Arc::default(),
            broken: Vec::new(),
            raw: Vec::new(),
            copies: BTreeMap::new(),
            remembered: self.remembered.clone(),
            warnings: Vec::new(),
            fabric_missing: false,
            compared_in_full: true,
            look: Look::default(),
            moved: None,
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
        let mut sides = KeySides {
            base: self.base.get(key).cloned(),
            git,
            netbox,
            intent: self.intents.get(key).cloned(),
            changed_by: BTreeSet::from(["ann".to_owned()]),
            refusal: self.refusals.get(key).cloned(),
            resolution: self.resolutions.get(key).cloned(),
            ..KeySides::default()
        };
        if let Some(blob) = ancestor_blob(key, &sides)
            && let ManagedFile::Document(document) = read_document(Catalogue::hedgehog(), &self.history[&blob])
        {
            sides.ancestor = Ancestor::Document(Box::new(document));
        }
        sides
    }

    /// What the next plan would be if NetBox still says what it said in the last run.
    pub fn plan(&self) -> FabricPlan {
        plan_fabric(&self.sides(), &self.policy)
    }

    /// What Git had of each object when both sides last agreed.
    pub fn agreed_contents(&self) -> BTreeMap<Key, Digest> {
        let of_git = self.base.iter().filter_map(|(key, base)| Some((key.clone(), base.git.as_ref()?.shared.clone())));
        of_git.collect()
    }

    /// A run to its end, with each of its plans.
    pub fn run_and_show(&mut self) -> Vec<FabricPlan> {
        let mut plans = Vec::new();
        self.refusals.clear();
        for _ in 0..10 {
            let plan = self.plan();
            plans.push(plan.clone());
            if plan.netbox.is_empty() {
                self.settle(&plan, &mut || true);
                return plans;
            }
            for write in &plan.netbox {
                self.write(&plan, write, &mut || true);
            }
        }
        panic!("a run does not come to its end: {:?}", self.plan().netbox);
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
                if !self.write(&plan, write, &mut alive) {
                    return false;
                }
            }
        }
        panic!("a run does not come to its end: {:?}", self.plan().netbox);
    }

    fn write(&mut self, plan: &FabricPlan, write: &NetBoxWrite, alive: &mut impl FnMut() -> bool) -> bool {
        let key = write.key().clone();
        let (against, want) = match write {
            NetBoxWrite::Create { want } => (None, Some(want)),
            NetBoxWrite::Update { against, want } => (Some(against), Some(want)),
            NetBoxWrite::Delete { against } => (Some(against), None),
        };
        if !alive() {
            return false;
        }
        let intent = intent(plan, write, self.base.get(&key), None);
        self.intents.insert(key.clone(), intent.clone());
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
        let row = self.id_of(&key).map(|id| self.rows[&id].clone());
        let side = KeySides { base: self.base.get(&key).cloned(), ..KeySides::default() };
        match acknowledged(&intent, &side, row.as_ref()) {
            Some(base) => _ = self.base.insert(key, base),
            None => _ = self.base.remove(&key),
        }
        true
    }

    fn settle(&mut self, plan: &FabricPlan, alive: &mut impl FnMut() -> bool) -> bool {
        if !alive() {
            return false;
        }
        for (path, edit) in &plan.edits {
            match edit.bytes() {
                Some(bytes) => self.put_file(path, bytes.clone()),
                None => assert!(self.git.remove(path).is_some(), "{path} is deleted but not there"),
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
        self.resolutions.retain(|key, _| !plan.answered.contains(key));
        self.remembered.extend(plan.remember.iter().cloned());
        self.remembered.retain(|id, _| self.git.get(&id.path).is_some_and(|bytes| Oid::of_blob(bytes) == id.blob));
        true
    }
}
