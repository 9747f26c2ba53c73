//! What a fabric's directory needs besides its objects: a marker, a skeleton, and an end of its onboarding.
//!
//! The skeleton is written once. A part of it that is missing later is put back once more, with the next commit or at
//! a full comparison, and the marker remembers that: who deletes it again means it.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::layout::{self, Marker, MarkerState, marker_path, raw_dir, read_marker, render_marker};
use super::table::Context;
use super::{FabricPlan, Sides};
use crate::domain::edit::{Edit, Edits};
use crate::domain::fate::Reason;
use crate::domain::names::{FabricName, LedgerId};
use crate::domain::path::RepoPath;
use crate::domain::policy::Archive;
use crate::domain::report::Item;

/// Whether a directory is ours to sync; apart from whether its objects agree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum DirectoryStatus {
    /// No marker of this service: the next run writes one.
    #[default]
    NotInitialized,
    /// Files that were found at first sight wait to be taken over; each is shown with its reason.
    Initializing,
    Initialized,
    /// A person has to look at the marker.
    Error(Reason),
}

/// What a commit does to the directory itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DirectoryWork {
    #[default]
    None,
    /// The first marker, with the skeleton.
    Initialize,
    /// A directory of the service before us, or of another ledger: only the marker changes.
    Adopt,
    /// Missing parts are put back, or the onboarding is over.
    Tend,
}

/// The status that a marker stands for; `None` where there is no marker.
pub fn directory_status(marker: Option<&[u8]>, fabric: &FabricName, ledger: &LedgerId) -> DirectoryStatus {
    match marker.map(read_marker) {
        None | Some(MarkerState::NoLedger) => DirectoryStatus::NotInitialized,
        Some(MarkerState::Broken(reason)) => DirectoryStatus::Error(reason),
        Some(MarkerState::Named(found)) if found.ledger != *ledger => {
            let why = format!("the directory belongs to the ledger {}, and this is {ledger}", found.ledger);
            DirectoryStatus::Error(Reason::new("other_ledger", why))
        }
        Some(MarkerState::Named(found)) if found.fabric != *fabric => {
            let why = format!("the directory is marked as that of the fabric {}", found.fabric);
            DirectoryStatus::Error(Reason::new("other_fabric", why))
        }
        Some(MarkerState::Named(found)) if found.onboarding => DirectoryStatus::Initializing,
        Some(MarkerState::Named(_)) => DirectoryStatus::Initialized,
    }
}

/// Whether documents are looked for in the whole directory: until it was once taken over completely.
pub fn is_onboarding(marker: Option<&[u8]>) -> bool {
    match marker.map(read_marker) {
        None | Some(MarkerState::NoLedger) => true,
        Some(MarkerState::Named(found)) => found.onboarding,
        Some(MarkerState::Broken(_)) => false,
    }
}

/// Adds what the directory needs; the plan's other edits are complete.
pub(super) fn tend(plan: &mut FabricPlan, context: Context) {
    let sides = context.sides;
    if sides.fabric_missing {
        return;
    }
    let path = marker_path(&sides.directory);
    let existing = sides.own_files.get(&path).map(|bytes| bytes.as_ref());
    if existing.is_none() && sides.tree.contains_key(&path) {
        return;
    }
    let mut marker = Marker::new(sides.fabric.clone(), sides.ledger.clone());
    marker.onboarding = is_onboarding(existing) && still_waiting(plan, sides);
    let parts = parts(context);
    let work = match existing.map(read_marker) {
        None => {
            repair(plan, &parts, sides, |_| true);
            DirectoryWork::Initialize
        }
        Some(MarkerState::Broken(reason)) => {
            plan.directory = DirectoryStatus::Error(reason.clone());
            plan.items.push(Item::File { path: path.to_string(), reason });
            return;
        }
        Some(MarkerState::Named(found)) if found.fabric == marker.fabric && found.ledger == marker.ledger => {
            marker.restored = found.restored;
            let mends = sides.compared_in_full || !plan.edits.is_empty();
            repair(plan, &parts, sides, |part| mends && marker.restored.insert(part.name.clone()));
            DirectoryWork::Tend
        }
        Some(MarkerState::Named(found)) => {
            marker.restored = found.restored;
            repair(plan, &parts, sides, |_| false);
            DirectoryWork::Adopt
        }
        Some(MarkerState::NoLedger) => {
            // It is taken as it was found.
            repair(plan, &parts, sides, |part| {
                marker.restored.insert(part.name.clone());
                false
            });
            DirectoryWork::Adopt
        }
    };
    if existing.map(read_marker) != Some(MarkerState::Named(marker.clone())) {
        plan.edits.insert(path, Edit::Write(render_marker(&marker, existing)));
        plan.directory_work = work;
    }
    plan.directory = directory_status(Some(&render_marker(&marker, existing)), &sides.fabric, &sides.ledger);
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
    file("README.md", Bytes::from(layout::readme(&sides.fabric)));
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
            plan.edits.insert(part.file.clone(), Edit::Write(part.bytes.clone()));
        }
    }
}
