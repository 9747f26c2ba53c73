//! What a fabric's directory needs besides its objects: a marker, a skeleton, and an end of its onboarding.
//!
//! The skeleton is written once. A part of it that is missing later is put back once more, with the next commit or at
//! a full comparison, and the marker remembers that: who deletes it again means it.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::foreign::foreign;
use super::layout::{self, Marker, MarkerState, marker_path, raw_dir, read_marker, render_marker};
use super::table::Context;
use super::{FabricPlan, Sides};
use crate::domain::directory::{Condition, DirectoryStatus, DirectoryWork};
use crate::domain::edit::{Edit, Edits};
use crate::domain::fate::Reason;
use crate::domain::names::{FabricName, LedgerId};
use crate::domain::path::RepoPath;
use crate::domain::policy::Archive;
use crate::domain::report::Item;

/// How the directory stands by its marker alone; `None` where there is no marker.
pub fn condition_by(marker: Option<&[u8]>, fabric: &FabricName, ledger: &LedgerId) -> Condition {
    let error = |reason| Condition::of(DirectoryStatus::Error, Some(reason));
    match marker.map(read_marker) {
        None | Some(MarkerState::NoLedger) => Condition::default(),
        Some(MarkerState::Broken(reason)) => error(reason),
        Some(MarkerState::Named(found)) if found.ledger != *ledger => {
            let why = format!("the directory belongs to the ledger {}, and this is {ledger}", found.ledger);
            error(Reason::new("other_ledger", why))
        }
        Some(MarkerState::Named(found)) if found.fabric != *fabric => {
            let why = format!("the directory is marked as that of the fabric {}", found.fabric);
            error(Reason::new("other_fabric", why))
        }
        Some(MarkerState::Named(found)) if found.onboarding => {
            let why = "files that were found at first sight wait to be taken over: each is among what is held";
            Condition::of(DirectoryStatus::Initializing, Some(Reason::new("documents_wait", why)))
        }
        Some(MarkerState::Named(_)) => Condition::of(DirectoryStatus::Initialized, None),
    }
}

/// The code of a directory that waits for its fabric to appear in NetBox.
pub const FABRIC_UNKNOWN: &str = "fabric_unknown_to_netbox";

/// What a run that looks at a directory knows of it besides its files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Look {
    /// It was ours before.
    pub known: bool,
    /// A person wants it whole again, and everything in it looked through.
    pub restores: bool,
}

/// Whether documents are looked for in the whole directory: until it was once taken over completely, and on request.
pub fn is_onboarding(marker: Option<&[u8]>, look: Look) -> bool {
    let begins = match marker.map(read_marker) {
        None | Some(MarkerState::NoLedger) => !look.known,
        Some(MarkerState::Named(found)) => found.onboarding,
        Some(MarkerState::Broken(_)) => return false,
    };
    begins || look.restores
}

/// Adds what the directory needs; the plan's other edits are complete.
pub(super) fn tend(plan: &mut FabricPlan, context: Context) {
    let sides = context.sides;
    let path = marker_path(&sides.directory);
    let existing = sides.own_files.get(&path).map(|bytes| bytes.as_ref());
    if sides.fabric_missing {
        let why = "NetBox does not know this fabric: create it there";
        plan.directory = condition_by(existing, &sides.fabric, &sides.ledger);
        plan.directory.reason = Some(Reason::new(FABRIC_UNKNOWN, why));
        return;
    }
    if existing.is_none() && sides.tree.contains_key(&path) {
        plan.directory.reason = Some(super::standing::not_read("marker_not_read", "the marker"));
        return;
    }
    let mut marker = Marker::new(sides.fabric.clone(), sides.ledger.clone());
    marker.onboarding = is_onboarding(existing, sides.look) && still_waiting(plan, sides);
    let restores = sides.look.restores;
    let parts = parts(context);
    let work = match existing.map(read_marker) {
        None => {
            repair(plan, &parts, sides, |_| true);
            if sides.look.known { DirectoryWork::Tend } else { DirectoryWork::Initialize }
        }
        Some(MarkerState::Broken(reason)) => {
            plan.directory = Condition::of(DirectoryStatus::Error, Some(reason.clone()));
            plan.items.push(Item::File { path: path.to_string(), reason });
            return;
        }
        Some(MarkerState::Named(found)) if found.fabric == marker.fabric && found.ledger == marker.ledger => {
            marker.restored = found.restored;
            let mends = sides.compared_in_full || !plan.edits.is_empty();
            repair(plan, &parts, sides, |part| (mends && marker.restored.insert(part.name.clone())) || restores);
            DirectoryWork::Tend
        }
        Some(MarkerState::Named(found)) => {
            marker.restored = found.restored;
            repair(plan, &parts, sides, |_| restores);
            DirectoryWork::Adopt
        }
        Some(MarkerState::NoLedger) => {
            // It is taken as it was found.
            repair(plan, &parts, sides, |part| {
                marker.restored.insert(part.name.clone());
                restores
            });
            DirectoryWork::Adopt
        }
    };
    if existing.map(read_marker) != Some(MarkerState::Named(marker.clone())) {
        plan.edits.insert(path, Edit::Write(render_marker(&marker, existing)));
        plan.directory_report.work = work;
    }
    let condition = condition_by(Some(&render_marker(&marker, existing)), &sides.fabric, &sides.ledger);
    let missing = parts.iter().filter(|part| !part.is_there(sides, Some(&plan.edits))).map(|part| part.name.clone());
    plan.directory = Condition { missing: missing.collect(), foreign: foreign(plan, sides), ..condition };
}

/// Whether a file outside raw/ that is being taken over stays where it is.
fn still_waiting(plan: &FabricPlan, sides: &Sides) -> bool {
    let raw = raw_dir(&sides.directory);
    sides.raw.iter().any(|file| !file.path.is_within(&raw) && plan.edits.get(&file.path) != Some(&Edit::Delete))
}

/// One part of the skeleton.
struct Part {
    /// Below the directory.
    name: String,
    /// The directory that must have a file, or the file itself.
    place: RepoPath,
    /// What is written when it is missing.
    file: RepoPath,
    bytes: Bytes,
}

impl Part {
    /// Whether it is there: in the tree, or with `edits` once these are made.
    fn is_there(&self, sides: &Sides, edits: Option<&Edits>) -> bool {
        // Other paths may sort between a directory and what is below it.
        let near = |path: &&RepoPath| path.as_str().starts_with(self.place.as_str());
        let of_tree = sides.tree.range(&self.place..).map(|(path, _)| path).take_while(near);
        let mut of_tree = of_tree.filter(|path| path.is_within(&self.place));
        let Some(edits) = edits else { return of_tree.next().is_some() };
        let mut written = edits.range(&self.place..).take_while(|(path, _)| near(path));
        of_tree.any(|path| edits.get(path) != Some(&Edit::Delete))
            || written.any(|(path, edit)| path.is_within(&self.place) && *edit != Edit::Delete)
    }
}

fn parts(context: Context) -> Vec<Part> {
    let sides = context.sides;
    let kinds: BTreeSet<&str> = context.catalogue.iter().map(|spec| spec.directory.as_str()).collect();
    let names = ["raw".to_owned(), "unmanaged".to_owned()].into_iter();
    let names = names.chain(kinds.into_iter().map(|kind| format!("managed/{kind}")));
    let mut parts: Vec<Part> = names
        .map(|name| Part {
            place: layout::fixed(&sides.directory, &name),
            file: layout::fixed(&sides.directory, &format!("{name}/{}", layout::KEEP)),
            bytes: Bytes::new(),
            name,
        })
        .collect();
    let mut file = |name: &str, bytes: Bytes| {
        let place = layout::fixed(&sides.directory, name);
        parts.push(Part { name: name.to_owned(), file: place.clone(), place, bytes });
    };
    file(layout::README, Bytes::from(layout::readme(&sides.fabric)));
    match context.policy.archive {
        Archive::Log | Archive::Rename => file(layout::ARCHIVE_LOG, Bytes::from_static(b"entries: []\n")),
        Archive::None => {}
    }
    parts
}

/// Keeps what our own edits would empty, and of what was missing before puts back what `wanted` says.
fn repair(plan: &mut FabricPlan, parts: &[Part], sides: &Sides, mut wanted: impl FnMut(&Part) -> bool) {
    let missing: Vec<&Part> = parts.iter().filter(|part| !part.is_there(sides, Some(&plan.edits))).collect();
    for part in missing {
        if part.is_there(sides, None) || wanted(part) {
            plan.directory_report.written.push(part.file.clone());
            plan.edits.insert(part.file.clone(), Edit::Write(part.bytes.clone()));
        }
    }
}
