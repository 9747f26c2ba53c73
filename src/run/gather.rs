//! The three sides of every key in scope, read for one run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::change::Change;
use crate::domain::key::{Key, ObjectId};
use crate::domain::kind::Catalogue;
use crate::domain::names::{Oid, Target};
use crate::domain::policy::{Delivery, Fabric};
use crate::domain::rollback::Rollback;
use crate::ledger::types::{Advance, FabricMemory, Part};
use crate::netbox::Client;
use crate::plan::directory::Look;
use crate::plan::layout::{MarkerState, read_marker};
use crate::plan::rollback::Rewound;
use crate::plan::{DeletionWindow, KeySides, NetBoxSide, RawContent, Sides, layout};
use crate::validate::Crds;

use super::failure::{Failure, error};
use super::git_side::GitSides;
use super::moving::Place;
use super::netbox_side::{Dirty, NetBoxSides, Scope, dirty_rows};
use super::validation::hold_to_rules;
use super::{Runner, contents, git_side, moving, netbox_side, rollback};

/// The sides of one fabric, with what the ledger remembered of it when they were read.
pub struct Gathered {
    pub sides: Sides,
    pub memory: FabricMemory,
    /// Where the sides' directory is.
    pub target: Target,
    /// What the ledger must remember otherwise because the directory moved; comes before what the plan says.
    pub relocation: Advance,
    /// The earlier state that the Git side has in it.
    pub rewound: Option<(Rewound, Rollback)>,
}

/// Whose side is read, and which kinds it may have.
#[derive(Clone, Copy)]
pub struct Of<'a> {
    pub fabric: &'a Fabric,
    pub catalogue: &'a Catalogue,
}

/// Reads base, Git and NetBox for everything that the part's changes, the head and the raw area put into scope.
pub async fn gather(runner: &Runner, part: &Part, head: Option<&Oid>) -> Result<Gathered, Failure> {
    let fabric = runner.fabric(&part.fabric)?;
    let repository = &runner.site(&fabric.target)?.repository;
    let client = runner.netbox(&fabric.netbox)?;
    let mut memory = runner.ledger.memory(&fabric.name).await?;
    let ours = (fabric, runner.ledger.id());
    let Place { tree, moved, relocation } = moving::read(repository.as_ref(), ours, head, &mut memory).await?;

    let of = Of { fabric, catalogue: &runner.catalogue };
    let rewound = match part.rollback() {
        Some(rollback) => {
            require_push(runner, fabric)?;
            let rewound = rollback::rewound(repository.as_ref(), of, &memory, (head, &tree), rollback).await?;
            Some((rewound, rollback.clone()))
        }
        None => None,
    };
    let tree = rewound.as_ref().map_or(tree, |(rewound, _)| rewound.tree.clone());
    let known = moved.is_some() || is_known(fabric, &memory);
    let look = Look { known, restores: part.changes.iter().any(Change::restores) };
    let git = git_side::read(repository.as_ref(), of, tree, (&memory, look)).await?;
    let marker = git.own_files.get(&layout::marker_path(&fabric.directory));
    let known = check_marker(runner, fabric, &memory, marker.map(|bytes| bytes.as_ref()))?;
    if !known {
        may_be_put_back(fabric, &memory, look)?;
    }
    let fabric_missing = fabric_missing(runner, fabric, client).await?;

    let asked = part.changes.iter().any(Change::is_full);
    let dirty = dirty_rows(fabric, &part.changes);
    let scope = Scope {
        everything: asked || !known || moved.is_some() || memory.base.is_empty(),
        keys: keys_named_by_git(&git, &memory, rewound.as_ref().map(|(rewound, _)| rewound)),
        dirty: &dirty,
    };
    let NetBoxSides { keys: rows, unchanged, subnets } = netbox_side::read(client, of, &memory, &scope).await?;

    let mut keys = assemble(&memory, &git, rows, &dirty);
    contents::load_files(repository.as_ref(), of, &memory, &mut keys).await?;
    contents::load_ancestors(repository.as_ref(), &runner.catalogue, &mut keys).await?;
    let mut sides = Sides {
        fabric: fabric.name.clone(),
        directory: fabric.directory.clone(),
        ledger: runner.ledger.id().clone(),
        catalogue: runner.catalogue.clone(),
        head: head.cloned(),
        tree: git.tree,
        own_files: git.own_files,
        keys,
        unchanged,
        base: Arc::clone(&memory.base),
        broken: git.broken,
        raw: git.raw,
        copies: git.copies,
        remembered: memory.remembered.clone(),
        warnings: Vec::new(),
        fabric_missing,
        compared_in_full: asked,
        look,
        moved,
        deletions: DeletionWindow {
            recent: memory.recent_deletions,
            objects: memory.base.len() as u64,
            confirmed: memory.confirmed.clone(),
            new_history: memory.new_history,
        },
    };
    let none = Crds::default();
    let crds = runner.crds.get(&fabric.name).map_or(&none, Arc::as_ref);
    hold_to_rules(&mut sides, &subnets, crds, &fabric.policy);
    Ok(Gathered { sides, memory, target: fabric.target.clone(), relocation, rewound })
}

/// Whether the directory was ours before, at this very place.
fn is_known(fabric: &Fabric, memory: &FabricMemory) -> bool {
    let record = memory.directory.as_ref();
    record.is_some_and(|record| record.known && record.target == fabric.target && record.path == fabric.directory)
}

/// A directory that lost its marker is put back once; an error when that was done before and nobody asks for it.
fn may_be_put_back(fabric: &Fabric, memory: &FabricMemory, look: Look) -> Result<(), Failure> {
    let was_put_back = look.known && memory.directory.as_ref().is_some_and(|record| record.put_back);
    if look.restores || !was_put_back {
        return Ok(());
    }
    Err(Failure::Directory(error(
        "directory_deleted",
        format!(
            "the directory `{}` of {} was deleted, or lost its marker, after it had been put back once",
            fabric.directory, fabric.target
        ),
        "POST /api/v1/fabrics/{name}/init with `force`, or put the marker back in Git; else take the fabric out of the settings",
    )))
}

/// What was rolled back in a pull request would be taken back by the next run, before anybody merges it.
fn require_push(runner: &Runner, fabric: &Fabric) -> Result<(), Failure> {
    match runner.site(&fabric.target)?.delivery {
        Delivery::Push => Ok(()),
        Delivery::PullRequest => Err(Failure::Refused(error(
            "rollback_by_review",
            format!("{} is changed by pull requests only", fabric.target),
            "revert the commits in a pull request of your own",
        ))),
    }
}

/// Whether the directory is ours already; an error when it is another ledger's and nobody said to adopt it.
fn check_marker(
    runner: &Runner,
    fabric: &Fabric,
    memory: &FabricMemory,
    marker: Option<&[u8]>,
) -> Result<bool, Failure> {
    match marker.map(read_marker) {
        None | Some(MarkerState::NoLedger) => Ok(false),
        Some(MarkerState::Broken(reason)) => Err(Failure::Directory(error(
            "broken_marker",
            format!("the marker of `{}` in {} cannot be read: {}", fabric.directory, fabric.target, reason.message),
            "correct .hnp/manifest.yaml, or delete it: a new one is written",
        ))),
        Some(MarkerState::Named(marker)) if marker.ledger == *runner.ledger.id() => {
            if marker.fabric == fabric.name || !runner.fabrics.contains_key(&marker.fabric) {
                return Ok(true);
            }
            Err(Failure::Directory(error(
                "other_fabric",
                format!(
                    "the directory `{}` of {} is that of the fabric {}, which the settings still have",
                    fabric.directory, fabric.target, marker.fabric
                ),
                "give each fabric a directory of its own; two that change places go one after the other",
            )))
        }
        Some(MarkerState::Named(_)) if memory.adopt => Ok(false),
        Some(MarkerState::Named(marker)) => Err(Failure::Directory(error(
            "other_ledger",
            format!(
                "the directory `{}` of {} belongs to the ledger {}, and this is {}: two ledgers must not write one directory",
                fabric.directory,
                fabric.target,
                marker.ledger,
                runner.ledger.id()
            ),
            "if the other ledger is gone for good, POST /api/v1/fabrics/{name}/adopt; else stop one of the two services",
        ))),
    }
}

/// Asks NetBox for its fabrics, where it has such a thing, and remembers their ids for the receiver.
async fn fabric_missing(runner: &Runner, fabric: &Fabric, client: &Client) -> Result<bool, Failure> {
    let Some(fabrics) = client.fabrics().await? else {
        return Ok(false);
    };
    runner.ledger.learn_fabrics(&fabric.netbox, &fabrics).await?;
    Ok(!fabrics.values().any(|name| name == fabric.name.as_str()))
}

/// Keys that need their row although no delivery named it: changed, missing or broken files, raw documents, intents,
/// conflicts with what people decided of them, deletions that a person has confirmed, and objects that go back to an
/// earlier state.
fn keys_named_by_git(git: &GitSides, memory: &FabricMemory, rewound: Option<&Rewound>) -> BTreeSet<Key> {
    let rewound = rewound.into_iter().flat_map(|rewound| rewound.objects.keys());
    let raw = git.raw.iter().flat_map(|file| &file.documents).filter_map(|document| match &document.content {
        RawContent::Document(document) => Some(&document.key),
        RawContent::Unmanaged(_) | RawContent::Rejected { .. } | RawContent::Held(_) => None,
    });
    let waiting = memory.conflicts.keys().chain(memory.resolutions.keys()).chain(memory.lost.keys());
    let named = git.changed.keys().chain(raw).chain(rewound);
    named.chain(memory.intents.keys()).chain(waiting).chain(&memory.confirmed).cloned().collect()
}

fn assemble(
    memory: &FabricMemory,
    git: &GitSides,
    rows: BTreeMap<Key, NetBoxSide>,
    dirty: &BTreeMap<ObjectId, Dirty>,
) -> BTreeMap<Key, KeySides> {
    let said = |key: &Key, id: Option<u64>| dirty.get(&ObjectId { kind: key.kind.clone(), id: id? });
    rows.into_iter()
        .map(|(key, netbox)| {
            let base = memory.base.get(&key).cloned();
            let old = base.as_ref().and_then(|base| base.netbox.as_ref()).map(|netbox| netbox.id);
            let now = match &netbox {
                NetBoxSide::Row(row) => Some(row.id),
                _ => None,
            };
            let deliveries: Vec<&Dirty> = [said(&key, old), said(&key, now)].into_iter().flatten().collect();
            let sides = KeySides {
                git: git.of(&key, base.as_ref()),
                intent: memory.intents.get(&key).cloned(),
                changed_by: deliveries.iter().flat_map(|dirty| dirty.users.clone()).collect(),
                cascade: deliveries.iter().any(|dirty| dirty.cascade),
                lost: memory.lost.get(&key).cloned(),
                resolution: memory.resolutions.get(&key).cloned(),
                base,
                netbox,
                ..KeySides::default()
            };
            (key, sides)
        })
        .collect()
}
