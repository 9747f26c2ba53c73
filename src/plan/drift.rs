//! What a plan leaves different: drift is what stands apart at rest, not what the run itself brings together.

use std::collections::BTreeMap;

use super::conflict::differences;
use super::standing::Standing;
use super::{FabricPlan, GitSide, KeySides, NetBoxSide, Sides};
use crate::domain::drift::{Difference, Drift, MAX_PATHS};
use crate::domain::fate::Reason;
use crate::domain::key::Key;
use crate::domain::path::RepoPath;
use crate::domain::report::{Item, Outcome};

/// Whether what a plan wants is so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planned {
    /// Its edits are in the head, and NetBox was written.
    Done,
    /// Nothing of it was done, or the edits wait for people to merge them.
    Outstanding,
}

/// What differs of a fabric.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FabricDrift {
    /// Of the keys in scope, those whose sides differ.
    pub objects: BTreeMap<Key, Drift>,
    /// Managed files that are not one object; always all of them.
    pub files: BTreeMap<RepoPath, Drift>,
}

/// What differs between the sides that a plan was made of.
///
/// Raw documents are no drift: they are what Git wants, not what it has.
pub fn drift(sides: &Sides, plan: &FabricPlan, planned: Planned) -> FabricDrift {
    let objects = plan.items.iter().filter_map(|item| match item {
        Item::Object { key, outcome, .. } => Some((key, outcome)),
        Item::Document { .. } | Item::File { .. } | Item::Warning { .. } => None,
    });
    let objects = objects.filter_map(|(key, outcome)| {
        let reason = left_for(outcome, planned)?;
        Some((key.clone(), of_key(key, sides.keys.get(key)?, plan, reason)?))
    });
    let files = sides.broken.iter().map(|file| {
        let reason = Some(file.reason.clone());
        (file.path.clone(), Drift { difference: Difference::Invalid, paths: Vec::new(), reason })
    });
    FabricDrift { objects: objects.collect(), files: files.collect() }
}

/// The reason, if any, for which an object is as it was; `None` when its sides agree or were brought together.
fn left_for(outcome: &Outcome, planned: Planned) -> Option<Option<Reason>> {
    match (outcome, planned) {
        (Outcome::Held { reason }, _) => Some(Some(reason.clone())),
        (Outcome::Unchanged, _) => None,
        (
            Outcome::GitCreated
            | Outcome::GitUpdated
            | Outcome::GitDeleted
            | Outcome::NetboxCreated
            | Outcome::NetboxUpdated
            | Outcome::NetboxDeleted,
            Planned::Outstanding,
        ) => Some(None),
        (
            Outcome::GitCreated
            | Outcome::GitUpdated
            | Outcome::GitDeleted
            | Outcome::NetboxCreated
            | Outcome::NetboxUpdated
            | Outcome::NetboxDeleted,
            Planned::Done,
        ) => None,
    }
}

fn of_key(key: &Key, sides: &KeySides, plan: &FabricPlan, reason: Option<Reason>) -> Option<Drift> {
    let of = |difference, mut paths: Vec<String>| {
        paths.truncate(MAX_PATHS);
        Some(Drift { difference, paths, reason: reason.clone() })
    };
    if let Some((conflict, _)) = plan.conflicts.get(key) {
        return of(Difference::Conflict, conflict.paths.clone());
    }
    let Ok(standing) = Standing::of(key, sides) else {
        return of(if is_only_in_git(sides) { Difference::OnlyInGit } else { Difference::Invalid }, Vec::new());
    };
    match (&standing.git, &standing.netbox) {
        _ if standing.agreed => None,
        (Some(_), None) => of(Difference::OnlyInGit, Vec::new()),
        (None, Some(_)) => of(Difference::OnlyInNetbox, Vec::new()),
        (Some(_), Some(_)) => of(Difference::Different, differences(&standing)),
        (None, None) => None,
    }
}

/// NetBox does not show the row, and nothing proves that it was deleted.
fn is_only_in_git(sides: &KeySides) -> bool {
    let has_file = matches!(sides.git, GitSide::AsBase | GitSide::File { .. });
    has_file && matches!(sides.netbox, NetBoxSide::Unproven { .. })
}
