//! Contents that a plan needs beyond what changed: files that are to be written anew, and what a merge starts from.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::domain::fate::Reason;
use crate::domain::key::{Key, ObjectId};
use crate::domain::kind::Catalogue;
use crate::domain::names::Oid;
use crate::domain::policy::Direction;
use crate::ledger::types::FabricMemory;
use crate::plan::managed::{ManagedFile, read_document};
use crate::plan::{Ancestor, GitSide, KeySides, NetBoxSide, ancestor_blob};
use crate::repo::{self, Repository};

use super::gather::Of;

/// Downloads the files that base knows but whose content the plan needs: their row changed, went or was renamed, a write
/// of ours is outstanding, they are to be written anew, or a person has decided about them.
pub async fn load_files(
    repository: &dyn Repository,
    of: Of<'_>,
    memory: &FabricMemory,
    keys: &mut BTreeMap<Key, KeySides>,
) -> Result<(), repo::Error> {
    let renamed: BTreeSet<ObjectId> = keys
        .values()
        .filter_map(|sides| match &sides.netbox {
            NetBoxSide::Row(row) => Some(row.object()),
            _ => None,
        })
        .collect();
    let wanted: Vec<(Key, Oid)> = keys
        .iter()
        .filter(|(_, sides)| matches!(sides.git, GitSide::AsBase))
        // Where Git leads, a row that went may come back from its file.
        .filter(|(key, sides)| {
            let went =
                of.fabric.policy.direction == Direction::GitToNetbox && matches!(sides.netbox, NetBoxSide::Absent);
            went || needs_file(key, sides, memory, &renamed)
        })
        .filter_map(|(key, _)| Some((key.clone(), memory.base.get(key)?.git.as_ref()?.blob.clone())))
        .collect();
    let blobs: BTreeSet<Oid> = wanted.iter().map(|(_, blob)| blob.clone()).collect();
    let contents = repository.read(&blobs.into_iter().collect::<Vec<_>>()).await?;
    for (key, blob) in wanted {
        let (Some(bytes), Some(sides)) = (contents.get(&blob), keys.get_mut(&key)) else { continue };
        let Some(path) = memory.base.get(&key).and_then(|base| base.git.as_ref()).map(|git| git.path.clone()) else {
            continue;
        };
        // Base was written from a readable file, so a blob that cannot be read is left `AsBase`: nothing depends on it.
        if let ManagedFile::Document(document) = read_document(of.catalogue, bytes) {
            sides.git = GitSide::File { path, blob, document: Box::new(document), bytes: bytes.clone() };
        }
    }
    Ok(())
}

fn needs_file(key: &Key, sides: &KeySides, memory: &FabricMemory, renamed: &BTreeSet<ObjectId>) -> bool {
    if sides.lost.is_some() || sides.resolution.is_some() || sides.intent.is_some() {
        return true;
    }
    let base = memory.base.get(key).and_then(|base| base.netbox.as_ref());
    match &sides.netbox {
        NetBoxSide::Row(row) => base.is_none_or(|base| base.digest != row.shared.digest()),
        _ => base.is_some_and(|base| renamed.contains(&ObjectId { kind: key.kind.clone(), id: base.id })),
    }
}

/// Reads what both sides last agreed on, for every key that both have changed: usually one request for all.
pub async fn load_ancestors(
    repository: &dyn Repository,
    catalogue: &Catalogue,
    keys: &mut BTreeMap<Key, KeySides>,
) -> Result<(), repo::Error> {
    let wanted: BTreeMap<Key, Oid> =
        keys.iter().filter_map(|(key, sides)| Some((key.clone(), ancestor_blob(key, sides)?))).collect();
    let contents = read_those_there(repository, wanted.values().cloned().collect()).await?;
    for (key, blob) in wanted {
        let Some(sides) = keys.get_mut(&key) else { continue };
        sides.ancestor = match contents.get(&blob).map(|bytes| read_document(catalogue, bytes)) {
            Some(ManagedFile::Document(document)) => Ancestor::Document(Box::new(document)),
            Some(ManagedFile::Broken(reason)) => Ancestor::Gone(reason),
            Some(ManagedFile::Empty) | None => {
                let why = format!("the file that both sides last agreed on (blob {blob}) is no longer in Git");
                Ancestor::Gone(Reason::new("base_gone", why))
            }
        };
    }
    Ok(())
}

/// How many missing blobs are left out one by one; beyond it nothing counts as read in this run.
const MAX_MISSING: usize = 16;

/// The contents of those blobs that Git still has: a rewritten history may have lost some.
async fn read_those_there(
    repository: &dyn Repository,
    mut blobs: BTreeSet<Oid>,
) -> Result<BTreeMap<Oid, Bytes>, repo::Error> {
    for _ in 0..MAX_MISSING {
        match repository.read(&blobs.iter().cloned().collect::<Vec<_>>()).await {
            Err(repo::Error::Missing { oid, .. }) if blobs.remove(&oid) => {}
            answer => return answer,
        }
    }
    Ok(BTreeMap::new())
}
