//! Rolling back: managed/ as it was in an earlier commit, as if a person had put it so, and the ordinary plan on top.
//!
//! Like a raw document an earlier state is an overlay on Git's side: NetBox is written and guarded by the same table, and
//! the files follow in one commit, a new one.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::layout::{is_passed_over, is_yaml, managed_dir};
use super::managed::{ManagedFile, read_document};
use super::{FabricPlan, PlannedChange, Verb};
use crate::domain::edit::{Edit, Edits, Mode, Tree, TreeEntry};
use crate::domain::key::Key;
use crate::domain::kind::Catalogue;
use crate::domain::names::Oid;
use crate::domain::path::RepoPath;
use crate::domain::report::{Item, Outcome};
use crate::domain::rollback::Rollback;

/// A managed file that is not what it was.
#[derive(Debug, Clone)]
pub struct Differing {
    pub path: RepoPath,
    /// `None` where the earlier state has no file.
    pub then: Option<TreeEntry>,
    /// `None` where the head has none.
    pub now: Option<Oid>,
}

/// Git's side with the earlier state in it.
#[derive(Debug, Clone, Default)]
pub struct Rewound {
    pub tree: Tree,
    /// What makes the head's tree this one.
    pub edits: Edits,
    /// What these files hold at the head, where they exist.
    pub before: BTreeMap<RepoPath, Bytes>,
    /// What that does to each object.
    pub objects: BTreeMap<Key, Verb>,
}

/// The files below managed/ that differ between two trees of a fabric's directory.
///
/// Only ordinary files with usable names are put back; a link is left as it is.
pub fn differing(directory: &RepoPath, then: &Tree, now: &Tree) -> Vec<Differing> {
    let managed = managed_dir(directory);
    let paths: BTreeSet<&RepoPath> = then.keys().chain(now.keys()).collect();
    let of_objects = |path: &&RepoPath| path.is_within(&managed) && is_yaml(path) && !is_passed_over(path);
    let found = paths.into_iter().filter(of_objects).filter_map(|path| {
        let (was, is) = (then.get(path), now.get(path));
        let same = was.map(|entry| &entry.blob) == is.map(|entry| &entry.blob);
        let is_file =
            |entry: &TreeEntry| entry.misnamed.is_none() && matches!(entry.mode, Mode::File | Mode::Executable);
        let ordinary = was.is_none_or(is_file) && is.is_none_or(is_file);
        (!same && ordinary).then(|| Differing {
            path: path.clone(),
            then: was.cloned(),
            now: is.map(|entry| entry.blob.clone()),
        })
    });
    found.collect()
}

/// The head's tree with the earlier state of the chosen objects. `contents` has every blob of the files that differ.
pub fn rewind(
    catalogue: &Catalogue,
    now: &Tree,
    differing: &[Differing],
    contents: &BTreeMap<Oid, Bytes>,
    objects: &BTreeSet<Key>,
) -> Rewound {
    let mut rewound = Rewound { tree: now.clone(), ..Rewound::default() };
    let key_of = |blob: Option<&Oid>| match read_document(catalogue, contents.get(blob?)?) {
        ManagedFile::Document(document) => Some(document.key),
        ManagedFile::Broken(_) | ManagedFile::Empty => None,
    };
    let (mut before, mut after) = (BTreeSet::new(), BTreeSet::new());
    for Differing { path, then, now } in differing {
        let keys = (key_of(now.as_ref()), key_of(then.as_ref().map(|entry| &entry.blob)));
        let is_chosen = |key: &Option<Key>| key.as_ref().is_some_and(|key| objects.contains(key));
        if !objects.is_empty() && !is_chosen(&keys.0) && !is_chosen(&keys.1) {
            continue;
        }
        match then.as_ref().and_then(|entry| Some((entry, contents.get(&entry.blob)?))) {
            Some((entry, bytes)) => {
                rewound.tree.insert(path.clone(), entry.clone());
                let executable = entry.mode == Mode::Executable;
                rewound.edits.insert(path.clone(), Edit::Restore { bytes: bytes.clone(), executable });
            }
            None => {
                rewound.tree.remove(path);
                rewound.edits.insert(path.clone(), Edit::Delete);
            }
        }
        let held = now.as_ref().and_then(|blob| contents.get(blob));
        rewound.before.extend(held.map(|bytes| (path.clone(), bytes.clone())));
        before.extend(keys.0);
        after.extend(keys.1);
    }
    let verb = |key: &Key| match (before.contains(key), after.contains(key)) {
        (true, false) => Verb::Delete,
        (false, true) => Verb::Create,
        (_, _) => Verb::Update,
    };
    rewound.objects = before.union(&after).map(|key| (key.clone(), verb(key))).collect();
    rewound
}

impl Rewound {
    /// Puts the way back into the plan that was made on top of it: its files, and what is told of its objects, but for those
    /// of which a write to NetBox is told.
    pub fn join(&self, plan: &mut FabricPlan, rollback: &Rollback, written: &BTreeSet<Key>) {
        let on_top = std::mem::replace(&mut plan.edits, self.edits.clone());
        for (path, edit) in on_top {
            match (plan.edits.get_mut(&path), edit) {
                // Another text for a file that comes back does not change how it does.
                (Some(Edit::Restore { bytes, .. }), Edit::Write(instead)) => *bytes = instead,
                (_, edit) => drop(plan.edits.insert(path, edit)),
            }
        }
        let told: BTreeSet<Key> = plan.changes.iter().map(|change| change.key.clone()).collect();
        let untold = self.objects.iter().filter(|(key, _)| !told.contains(*key));
        plan.changes.extend(untold.map(|(key, verb)| PlannedChange { key: key.clone(), verb: *verb }));
        plan.changes.sort();
        for item in &mut plan.items {
            if let Item::Object { key, outcome: outcome @ Outcome::Unchanged, .. } = item
                && let Some(verb) = self.objects.get(key).filter(|_| !written.contains(key))
            {
                *outcome = outcome_of(*verb);
            }
        }
        plan.rolled_back = Some(rollback.clone());
    }
}

fn outcome_of(verb: Verb) -> Outcome {
    match verb {
        Verb::Create => Outcome::GitCreated,
        Verb::Delete | Verb::RemoveCopy => Outcome::GitDeleted,
        Verb::Update | Verb::Rename | Verb::Ingest => Outcome::GitUpdated,
    }
}
