//! Renames, and objects that want one path.

use std::collections::BTreeMap;

use super::keys::{Keys, Planned};
use super::layout::managed_dir;
use super::table::{Context, Decision, held};
use super::{GitSide, NetBoxSide};
use crate::domain::key::Key;
use crate::domain::kind::Kind;
use crate::domain::path::RepoPath;

/// Finds the keys whose row has another key now, and links both.
pub(super) fn link_renames(keys: &mut Keys) {
    let now: BTreeMap<(&Kind, u64), &Key> =
        keys.iter().filter_map(|(key, planned)| Some(((&key.kind, row_id(planned)?), *key))).collect();
    let renamed: Vec<(&Key, &Key)> = keys
        .iter()
        .filter(|(_, planned)| matches!(planned.sides.netbox, NetBoxSide::Absent))
        .filter(|(_, planned)| planned.git().is_some())
        .filter_map(|(old, planned)| {
            let id = planned.sides.base.as_ref()?.netbox.as_ref()?.id;
            now.get(&(&old.kind, id)).map(|new| (*old, *new))
        })
        .collect();
    for (old, new) in renamed {
        if let Some(planned) = keys.get_mut(old) {
            planned.renamed_to = Some(new);
            // The old name would come back beside the new one, as a second object.
            if let Decision::Send { .. } = planned.decision {
                let why = format!("it is {new} in NetBox now: rename it back there, or rename it in Git too");
                planned.decision = held("renamed_in_netbox", why);
            }
        }
        if let Some(planned) = keys.get_mut(new) {
            planned.renamed_from = Some(old);
        }
    }
}

fn row_id(planned: &Planned) -> Option<u64> {
    match &planned.sides.netbox {
        NetBoxSide::Row(row) => Some(row.id),
        NetBoxSide::Invalid { id, .. } => Some(*id),
        NetBoxSide::AsBase | NetBoxSide::Absent | NetBoxSide::Unproven { .. } | NetBoxSide::Several { .. } => None,
    }
}

/// Holds what cannot have its path, and the other half of a rename whose one half is held, until nothing changes.
pub(super) fn settle(keys: &mut Keys, context: Context) {
    while settle_renames(keys) | hold_collisions(keys, context) {}
}

/// The old file of a renamed object goes only in a plan that writes the new one, and each waits for the other.
fn settle_renames(keys: &mut Keys) -> bool {
    let pairs: Vec<(&Key, &Key)> = keys.iter().filter_map(|(old, planned)| Some((*old, planned.renamed_to?))).collect();
    let mut any = false;
    for (old, new) in pairs {
        if let Some((waits, why)) = half_that_waits(keys, old, new)
            && let Some(planned) = keys.get_mut(waits)
        {
            planned.decision = held("rename_held", why);
            any = true;
        }
    }
    any
}

fn half_that_waits<'a>(keys: &Keys, old: &'a Key, new: &'a Key) -> Option<(&'a Key, String)> {
    let (was, is) = (keys.get(old)?, keys.get(new)?);
    let old_file_goes = matches!(was.decision, Decision::DeleteFile { .. });
    let new_is_written = matches!(is.decision, Decision::WriteFile { .. });
    match (was.decision.held_for(), is.decision.held_for()) {
        (_, Some(reason)) if old_file_goes => {
            Some((old, format!("it is {new} now, which is held: {}", reason.message)))
        }
        (Some(reason), _) if new_is_written => {
            Some((new, format!("it was {old} before, which is held: {}", reason.message)))
        }
        _ if new_is_written && is.git().is_none() && was.git().is_some_and(|git| git.document.is_none()) => {
            Some((new, format!("it was {old} before, whose file was not read in this run")))
        }
        _ => None,
    }
}

/// Who has a path.
enum Occupant<'a> {
    Object(&'a Key),
    /// A file that is not one object's.
    File,
}

/// Holds every object without a file whose path is taken; of two such the one with a base goes first.
///
/// Paths are compared without regard to case, because some file systems have none.
fn hold_collisions(keys: &mut Keys, context: Context) -> bool {
    let mut newcomers: Vec<(bool, &Key, RepoPath)> = keys
        .iter()
        .filter_map(|(key, planned)| Some((planned.sides.base.is_none(), *key, new_file(planned)?.clone())))
        .collect();
    if newcomers.is_empty() {
        return false;
    }
    let mut any = false;
    newcomers.sort();
    let mut occupants = occupants(keys, context);
    for (_, key, path) in newcomers {
        let place = path.as_str().to_lowercase();
        let taken_by = match occupants.get(&place) {
            None => None,
            Some(Occupant::Object(other)) => Some(other.to_string()),
            Some(Occupant::File) => Some("a file that is not one object's".to_owned()),
        };
        match taken_by {
            None => _ = occupants.insert(place, Occupant::Object(key)),
            Some(other) => {
                any = true;
                if let Some(planned) = keys.get_mut(key) {
                    planned.decision =
                        held("path_collision", format!("its file would be {path}, which is taken by {other}"));
                }
            }
        }
    }
    any
}

/// The path that a key without a file would get.
fn new_file<'k>(planned: &'k Planned) -> Option<&'k RepoPath> {
    if planned.standing.as_ref().is_none_or(|standing| standing.git.is_some()) {
        return None;
    }
    match &planned.decision {
        Decision::WriteFile { path, .. } | Decision::Ingest { path, .. } => Some(path),
        Decision::Send { file, .. } => file.as_ref(),
        Decision::Agreed | Decision::DeleteFile { .. } | Decision::Held(_) | Decision::Conflict(_) => None,
    }
}

fn occupants<'a>(keys: &Keys<'a>, context: Context<'a>) -> BTreeMap<String, Occupant<'a>> {
    let managed = managed_dir(&context.sides.directory);
    let place = |path: &RepoPath| path.as_str().to_lowercase();
    let files = context.sides.tree.keys().filter(|path| path.is_within(&managed));
    let mut occupants: BTreeMap<String, Occupant> = files.map(|path| (place(path), Occupant::File)).collect();
    occupants.extend(context.sides.other_files().map(|(key, path)| (place(path), Occupant::Object(key))));
    for (key, planned) in keys {
        if let GitSide::Broken { path, .. } = &planned.sides.git {
            occupants.insert(place(path), Occupant::Object(key));
        }
        let Some(git) = planned.git() else { continue };
        match &planned.decision {
            Decision::DeleteFile { .. } => _ = occupants.remove(&place(git.path)),
            Decision::Agreed
            | Decision::WriteFile { .. }
            | Decision::Ingest { .. }
            | Decision::Send { .. }
            | Decision::Held(_)
            | Decision::Conflict(_) => _ = occupants.insert(place(git.path), Occupant::Object(key)),
        }
    }
    occupants
}
