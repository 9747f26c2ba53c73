//! What a person is shown of a contradiction, and where overwritten contents are found.

use super::conflict::Clash;
use super::direction::AGAINST;
use super::keys::Planned;
use super::standing::Standing;
use super::table::{Context, Decision, REFUSED};
use super::{Ancestor, FabricPlan, NetBoxWrite, Overwritten};
use crate::domain::conflict::{
    BaseVersion, Conflict, Content, Documents, GitVersion, LostEdit, MAX_PATHS, NetBoxVersion,
};
use crate::domain::document::Shared;
use crate::domain::fate::DocumentId;
use crate::domain::key::Key;

/// The record of a contradiction, with the documents apart.
pub(super) fn record(planned: &Planned, clash: &Clash, context: Context) -> Option<(Conflict, Documents)> {
    let standing = planned.standing.as_ref()?;
    let api_version = context.catalogue.get(&standing.key.kind)?.api_version();
    let (git, git_document) = git_side(standing, clash, context);
    let row_document = |row: &Shared| Content::of(&row.document(&api_version));
    let (netbox, netbox_document) = match standing.lost {
        Some(lost) => (Some(lost_version(lost)), Some(lost.content.clone())),
        None => {
            let version = standing.netbox.as_ref().map(|row| NetBoxVersion {
                id: row.id,
                last_updated: Some(row.last_updated.to_owned()),
                changed_by: planned.sides.changed_by.clone(),
                digest: row.digest.clone(),
            });
            let row = standing.netbox.as_ref().and_then(|row| row.row);
            (version, row.map(|row| row_document(&row.shared)))
        }
    };
    let base = standing.common.git;
    let mut paths = clash.paths.clone();
    paths.truncate(MAX_PATHS);
    let conflict = Conflict {
        reason: clash.reason.clone(),
        paths,
        base: base.map(|base| BaseVersion { blob: base.blob.clone(), digest: base.shared.clone() }),
        git,
        netbox,
    };
    let documents = Documents { base: base_document(standing), git: git_document, netbox: netbox_document };
    Some((conflict, documents))
}

fn git_side(standing: &Standing, clash: &Clash, context: Context) -> (Option<GitVersion>, Option<Content>) {
    let head = context.sides.head.clone();
    match (&clash.raw, &standing.git) {
        (Some(from), _) => {
            let DocumentId { path, blob, index, item } = context.sides.raw[from.file].id(from.index);
            let version = GitVersion {
                path,
                blob,
                index: Some(index),
                item_index: item,
                head,
                digest: from.document.shared().digest(),
            };
            (Some(version), Some(Content::of(&from.document.body)))
        }
        (None, Some(git)) => {
            let version = GitVersion {
                path: git.path.clone(),
                blob: git.blob.clone(),
                index: None,
                item_index: None,
                head,
                digest: git.shared.clone(),
            };
            (Some(version), git.document.map(|document| Content::of(&document.body)))
        }
        (None, None) => (None, None),
    }
}

fn lost_version(lost: &LostEdit) -> NetBoxVersion {
    NetBoxVersion {
        id: lost.id,
        last_updated: None,
        changed_by: lost.by.iter().cloned().collect(),
        digest: lost.digest.clone(),
    }
}

/// The base's content, where it was read; the file's, where the file still is base's.
fn base_document(standing: &Standing) -> Option<Content> {
    let base = standing.common.git?;
    if let Ancestor::Document(document) = &standing.sides.ancestor {
        return Some(Content::of(&document.body));
    }
    let file = standing.git.as_ref().filter(|git| *git.blob == base.blob)?;
    file.document.map(|document| Content::of(&document.body))
}

/// The content that a decision overwrites although nobody agreed to lose it.
pub(super) fn overwritten(key: &Key, planned: &Planned) -> Option<Overwritten> {
    let standing = planned.standing.as_ref()?;
    match &planned.decision {
        Decision::WriteFile { merged: false, .. } | Decision::DeleteFile { .. } => {
            let git = standing.git.as_ref().filter(|_| standing.git_moved)?;
            Some(Overwritten::File { key: key.clone(), path: git.path.clone(), blob: git.blob.clone() })
        }
        Decision::Send { write, merged: None, .. } => {
            let row = standing.netbox.as_ref().filter(|_| standing.netbox_moved)?;
            match **write {
                NetBoxWrite::Create { .. } => None,
                NetBoxWrite::Update { .. } | NetBoxWrite::Delete { .. } => {
                    Some(Overwritten::Row { key: key.clone(), digest: row.digest.clone() })
                }
            }
        }
        Decision::Send { merged: Some(_), .. }
        | Decision::WriteFile { merged: true, .. }
        | Decision::Agreed
        | Decision::Ingest { .. }
        | Decision::Held(_)
        | Decision::Conflict(_) => None,
    }
}

/// Notes what is dealt with once nothing of it is left to be written: a lost edit, a resolution.
pub(super) fn settle(plan: &mut FabricPlan, key: &Key, planned: &Planned) {
    let found_or_given_up = planned.standing.as_ref().is_some_and(|standing| standing.lost.is_none());
    let (edit, resolution) = match &planned.decision {
        Decision::Agreed | Decision::WriteFile { .. } | Decision::DeleteFile { .. } | Decision::Ingest { .. } => {
            (true, true)
        }
        Decision::Conflict(_) => (found_or_given_up, true),
        // What holds the object for another reason (the guard, a path) may let the resolution through later.
        Decision::Held(reason) => (found_or_given_up, reason.code == REFUSED || reason.code == AGAINST),
        Decision::Send { .. } => (false, false),
    };
    if edit && planned.sides.lost.is_some() {
        plan.settled_edits.insert(key.clone());
    }
    if resolution && planned.sides.resolution.is_some() {
        plan.answered.insert(key.clone());
    }
}
