//! A directory that has another place in the settings: its files go there in one commit.
//!
//! The sides are gathered as if the files stood in the new place already. So every key has the file that it had, nothing
//! counts as deleted, and whatever else the run decides joins the same commit. The contents do not change, so that
//! `git log --follow` finds what was before.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::layout::{self, archive_log_path, managed_dir, marker_path, raw_dir, readme, unmanaged_dir};
use super::raw::misnamed;
use super::{FabricPlan, Sides};
use crate::domain::directory::{DirectoryWork, Foreign, MovedFiles};
use crate::domain::edit::{Edit, Mode, Tree, TreeEntry};
use crate::domain::fate::Reason;
use crate::domain::names::{FabricName, Oid};
use crate::domain::path::RepoPath;

/// The way of a directory's files to another one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Route {
    pub from: RepoPath,
    /// Files that move: the old path by the new one.
    pub files: BTreeMap<RepoPath, RepoPath>,
    /// Old files whose new place has the same already, or one that stands for it.
    pub surplus: BTreeSet<RepoPath>,
    /// What stays, because it is not ours.
    pub left: Foreign,
}

/// A route with the contents that go along it.
#[derive(Debug, Clone, Default)]
pub struct Move {
    pub route: Route,
    /// By the new path.
    pub contents: BTreeMap<RepoPath, Bytes>,
}

/// Finds the way from one directory to another; `old` and `new` are their trees.
///
/// Fails when a file of the new place is in the way, or when one directory lies among the other's own files: nothing is
/// moved by halves.
pub fn route(
    fabric: &FabricName,
    (from, old): (&RepoPath, &Tree),
    (to, new): (&RepoPath, &Tree),
) -> Result<Route, Reason> {
    if own_dirs(from).iter().any(|own| to.is_within(own)) || own_dirs(to).iter().any(|own| from.is_within(own)) {
        let why = format!("`{from}` cannot move to `{to}`: one of them lies among the files of the other");
        return Err(Reason::new("move_blocked", why));
    }
    let readme = Oid::of_blob(readme(fabric).as_bytes());
    let mut route = Route { from: from.clone(), ..Route::default() };
    let mut in_the_way = Vec::new();
    for (path, entry) in old {
        if !to.is_root() && path.is_within(to) && to.is_within(from) {
            continue;
        }
        if let Err(reason) = moves(path, entry, from, &readme) {
            // What lies in the new place too is no leftover.
            if !path.is_within(to) {
                route.left.push(path, reason);
            }
            continue;
        }
        let Some(goes_to) = path.below(from).and_then(|below| to.join(below).ok()) else { continue };
        let there = new.get(&goes_to).filter(|_| !old.contains_key(&goes_to) || !goes_to.is_within(from));
        match there {
            None => _ = route.files.insert(goes_to, path.clone()),
            Some(there) if there.blob == entry.blob || gives_way(path, from) => _ = route.surplus.insert(path.clone()),
            Some(_) => in_the_way.push(goes_to),
        }
    }
    match in_the_way.as_slice() {
        [] => Ok(route),
        [first, ..] => {
            let why = format!(
                "`{from}` cannot move to `{to}`, where {} files with other contents are in the way, such as {first}",
                in_the_way.len()
            );
            Err(Reason::new("move_blocked", why))
        }
    }
}

/// The new directory's tree with what moves into it, and without what leaves it.
pub fn arrived(new: &Tree, old: &Tree, route: &Route) -> Tree {
    let leaves: BTreeSet<&RepoPath> = route.files.values().chain(&route.surplus).collect();
    let stays = new.iter().filter(|(path, _)| !leaves.contains(path));
    let comes = route.files.iter().filter_map(|(to, from)| Some((to, old.get(from)?)));
    stays.chain(comes).map(|(path, entry)| (path.clone(), entry.clone())).collect()
}

/// Where a path of the old directory's objects and raw files is now; `None` for any other.
pub fn moved_path(path: &RepoPath, from: &RepoPath, to: &RepoPath) -> Option<RepoPath> {
    let of_old = [managed_dir(from), raw_dir(from)].iter().any(|own| path.is_within(own));
    let of_new = [managed_dir(to), raw_dir(to)].iter().any(|own| path.is_within(own));
    let below = path.below(from).filter(|_| of_old && !of_new)?;
    to.join(below).ok()
}

/// Adds the moves to a plan that is complete otherwise.
pub(super) fn add(plan: &mut FabricPlan, sides: &Sides) {
    let Some(Move { route, contents }) = &sides.moved else { return };
    for (to, from) in &route.files {
        let written = match plan.edits.remove(to) {
            Some(edit) => edit.bytes().cloned(),
            None => contents.get(to).cloned(),
        };
        if let Some(bytes) = written {
            plan.edits.insert(to.clone(), Edit::Move { from: from.clone(), bytes });
        }
    }
    for edit in plan.edits.values_mut() {
        // A renamed object's file has not arrived yet where the plan sees it.
        if let Edit::Move { from, .. } = edit
            && let Some(old) = route.files.get(from)
        {
            *from = old.clone();
        }
    }
    for old in route.files.values().chain(&route.surplus) {
        plan.edits.entry(old.clone()).or_insert(Edit::Delete);
    }
    if route.files.is_empty() && route.surplus.is_empty() {
        return;
    }
    plan.directory_report.work = DirectoryWork::Move;
    plan.directory_report.moved = Some(MovedFiles {
        from: route.from.clone(),
        to: sides.directory.clone(),
        files: route.files.len() as u64,
        left: route.left.clone(),
    });
}

fn own_dirs(directory: &RepoPath) -> [RepoPath; 4] {
    [raw_dir(directory), managed_dir(directory), unmanaged_dir(directory), layout::fixed(directory, ".hnp")]
}

/// Whether a file of the old directory is ours, or why it stays.
fn moves(path: &RepoPath, entry: &TreeEntry, from: &RepoPath, readme: &Oid) -> Result<(), Reason> {
    let in_managed = path.is_within(&managed_dir(from)) && (layout::is_yaml(path) || path.file_name() == layout::KEEP);
    let ours = in_managed
        || path.is_within(&raw_dir(from))
        || path.is_within(&unmanaged_dir(from))
        || *path == marker_path(from)
        || *path == archive_log_path(from)
        || (*path == layout::fixed(from, layout::README) && entry.blob == *readme);
    if !ours {
        return Err(Reason::new("outside", "it is none of the fabric's files: move it by hand, or leave it"));
    }
    if let Some(why) = &entry.misnamed {
        return Err(misnamed(why));
    }
    match entry.mode {
        Mode::File | Mode::Executable => Ok(()),
        Mode::Symlink | Mode::Submodule => {
            Err(Reason::new("not_a_file", "it is a symbolic link or a submodule: move it by hand"))
        }
    }
}

/// Files of the skeleton for which another one in the new place stands as well.
fn gives_way(path: &RepoPath, from: &RepoPath) -> bool {
    path.file_name() == layout::KEEP || *path == marker_path(from) || *path == layout::fixed(from, layout::README)
}
