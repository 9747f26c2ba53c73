//! What lies in a fabric's directory and is neither ours nor anybody's document.

use super::layout::{self, archive_log_path, managed_dir, marker_path, raw_dir, unmanaged_dir};
use super::{FabricPlan, Sides};
use crate::domain::directory::Foreign;
use crate::domain::edit::Edit;
use crate::domain::fate::Reason;
use crate::domain::path::RepoPath;

/// The foreign files as they are once the plan's edits are made. Files in raw/ have fates, those in unmanaged/ reasons.
pub(super) fn foreign(plan: &FabricPlan, sides: &Sides) -> Foreign {
    let places = Places::of(&sides.directory);
    let broken = sides.broken.iter().map(|file| (&file.path, file.reason.clone()));
    let strange = sides.tree.keys().filter(|path| plan.edits.get(*path) != Some(&Edit::Delete));
    let strange = strange.filter_map(|path| Some((path, places.fault(path)?)));
    let mut all: Vec<(&RepoPath, Reason)> = broken.chain(strange).collect();
    all.sort_by_key(|(path, _)| *path);
    let mut foreign = Foreign::default();
    for (path, reason) in all {
        foreign.push(path, reason);
    }
    foreign
}

/// Where what is ours stands in a directory.
struct Places {
    raw: RepoPath,
    managed: RepoPath,
    unmanaged: RepoPath,
    own: [RepoPath; 3],
}

impl Places {
    fn of(directory: &RepoPath) -> Self {
        Self {
            raw: raw_dir(directory),
            managed: managed_dir(directory),
            unmanaged: unmanaged_dir(directory),
            own: [marker_path(directory), archive_log_path(directory), layout::fixed(directory, layout::README)],
        }
    }

    /// What makes a file foreign; `None` for what belongs here.
    fn fault(&self, path: &RepoPath) -> Option<Reason> {
        let belongs = path.file_name() == layout::KEEP
            || self.own.contains(path)
            || path.is_within(&self.raw)
            || path.is_within(&self.unmanaged);
        if belongs {
            return None;
        }
        if !path.is_within(&self.managed) {
            let why =
                "it is not in raw/, managed/ or unmanaged/, and is left alone; move it to raw/ to have it taken over";
            return Some(Reason::new("outside", why));
        }
        // Files that are YAML by name are objects, or broken.
        let why = "it stands among the objects' files and is not named .yaml or .yml; it is left alone";
        (!layout::is_yaml(path)).then(|| Reason::new("no_object", why))
    }
}
