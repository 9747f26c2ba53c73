//! What the settings moved since the last run: the files on their way, and what the ledger remembers of their places.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::edit::Tree;
use crate::domain::fate::DocumentId;
use crate::domain::names::{LedgerId, Oid};
use crate::domain::path::RepoPath;
use crate::domain::policy::Fabric;
use crate::domain::row::{BaseUpdate, GitBase};
use crate::ledger::types::{Advance, FabricMemory};
use crate::plan::layout::{MarkerState, marker_path, read_marker};
use crate::plan::moving::{Move, Route, arrived, moved_path, route};
use crate::repo::Repository;

use super::failure::{Failure, error};

/// A fabric's directory at the head, as if all that moves into it were there.
pub struct Place {
    pub tree: Tree,
    pub moved: Option<Move>,
    /// What the ledger has to remember otherwise once the edits are in the head; empty for a directory that stayed.
    pub relocation: Advance,
}

impl Place {
    fn of(tree: Tree) -> Self {
        Self { tree, moved: None, relocation: Advance::default() }
    }
}

/// Reads the directory where the settings have it; a memory of another place is rewritten to this one.
///
/// After a move to another repository or branch nothing is remembered any more: everything is compared anew, and what
/// NetBox has is copied there. The same holds where neither the old nor the new place has the directory.
pub async fn read(
    repository: &dyn Repository,
    (fabric, ledger): (&Fabric, &LedgerId),
    head: Option<&Oid>,
    memory: &mut FabricMemory,
) -> Result<Place, Failure> {
    let new = tree(repository, head, &fabric.directory).await?;
    let Some(record) = memory.directory.clone().filter(|record| record.known) else { return Ok(Place::of(new)) };
    if record.target != fabric.target {
        return Ok(Place { relocation: forget(memory), ..Place::of(new) });
    }
    let (from, to) = (&record.path, &fabric.directory);
    if from == to {
        return Ok(Place::of(new));
    }
    let mut old = tree(repository, head, from).await?;
    if marked_as_ours(repository, (fabric, ledger), &old, from).await? == Some(false) {
        // Somebody else has it by now.
        old.clear();
    }
    let route = route(&fabric.name, (from, &old), (to, &new)).map_err(|reason| {
        let remedy = "clear the way in Git, or correct the fabric's `directory` in the settings";
        Failure::Directory(error(&reason.code, reason.message, remedy))
    })?;
    let is_there = marked_as_ours(repository, (fabric, ledger), &new, to).await? == Some(true);
    if route.files.is_empty() && !is_there {
        return Ok(Place { relocation: forget(memory), ..Place::of(new) });
    }
    let relocation = relocate(memory, from, to);
    let moved = Some(with_contents(repository, &old, &route).await?);
    Ok(Place { tree: arrived(&new, &old, &route), moved, relocation })
}

async fn tree(repository: &dyn Repository, head: Option<&Oid>, directory: &RepoPath) -> Result<Tree, Failure> {
    match head {
        Some(head) => Ok(repository.tree(head, directory).await?),
        None => Ok(Tree::new()),
    }
}

/// Whether a directory's marker names this fabric and ledger; `None` where it has no marker.
async fn marked_as_ours(
    repository: &dyn Repository,
    (fabric, ledger): (&Fabric, &LedgerId),
    tree: &Tree,
    directory: &RepoPath,
) -> Result<Option<bool>, Failure> {
    let Some(entry) = tree.get(&marker_path(directory)) else { return Ok(None) };
    let read = repository.read(std::slice::from_ref(&entry.blob)).await?;
    let marker = read.get(&entry.blob).map(|bytes| read_marker(bytes));
    let ours = |state| match state {
        MarkerState::Named(marker) => marker.ledger == *ledger && marker.fabric == fabric.name,
        MarkerState::NoLedger | MarkerState::Broken(_) => false,
    };
    Ok(Some(marker.is_some_and(ours)))
}

async fn with_contents(repository: &dyn Repository, old: &Tree, route: &Route) -> Result<Move, Failure> {
    let blobs: BTreeMap<&RepoPath, &Oid> =
        route.files.iter().filter_map(|(to, from)| Some((to, &old.get(from)?.blob))).collect();
    let wanted: BTreeSet<Oid> = blobs.values().map(|blob| (*blob).clone()).collect();
    let read = repository.read(&wanted.into_iter().collect::<Vec<_>>()).await?;
    let contents = blobs.into_iter().filter_map(|(to, blob)| Some((to.clone(), read.get(blob)?.clone())));
    Ok(Move { route: route.clone(), contents: contents.collect() })
}

/// Rewrites every path that is remembered, and says what the ledger has to write for it.
fn relocate(memory: &mut FabricMemory, from: &RepoPath, to: &RepoPath) -> Advance {
    let mut relocation = Advance::default();
    let goes = |git: &mut Option<GitBase>| {
        let place = git.as_mut().and_then(|git| Some((moved_path(&git.path, from, to)?, git)));
        place.map(|(path, git)| git.path = path).is_some()
    };
    for (key, base) in Arc::make_mut(&mut memory.base) {
        if goes(&mut base.git) {
            relocation.base.push(BaseUpdate { key: key.clone(), base: Some(base.clone()), clears_intent: false });
        }
    }
    for intent in memory.intents.values_mut() {
        if intent.merged.as_mut().is_some_and(|merged| goes(&mut merged.git)) {
            relocation.intents.push(intent.clone());
        }
    }
    for (document, fate) in std::mem::take(&mut memory.remembered) {
        let Some(path) = moved_path(&document.path, from, to) else {
            memory.remembered.insert(document, fate);
            continue;
        };
        let now = DocumentId { path, ..document.clone() };
        relocation.forget.push(document);
        relocation.remember.push((now.clone(), fate.clone()));
        memory.remembered.insert(now, fate);
    }
    relocation
}

/// Forgets what both sides agreed on: it was agreed on for another place.
fn forget(memory: &mut FabricMemory) -> Advance {
    let intents = std::mem::take(&mut memory.intents);
    let base = std::mem::take(&mut memory.base);
    let keys: BTreeSet<_> = base.keys().cloned().chain(intents.into_keys()).collect();
    let gone = |key| BaseUpdate { key, base: None, clears_intent: true };
    let forget = std::mem::take(&mut memory.remembered).into_keys().collect();
    Advance { base: keys.into_iter().map(gone).collect(), forget, ..Advance::default() }
}
