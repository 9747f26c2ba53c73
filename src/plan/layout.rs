//! Where everything stands in a fabric's directory, and what a new one begins with.

use std::collections::BTreeSet;

use bytes::Bytes;

pub use super::marker::{Marker, MarkerState, read_marker, render_marker};
use super::names::{name_fault, namespace_fault};
use super::recognise::DEFAULT_NAMESPACE;
use crate::domain::edit::{Edit, Edits, Tree};
use crate::domain::key::Key;
use crate::domain::kind::{Catalogue, KindSpec};
use crate::domain::path::{BadPath, RepoPath};

/// The file of an object: `managed/<dir>/<name>.yaml`, or `<namespace>-<name>.yaml` outside the default namespace.
///
/// Fails for a name that Kubernetes would not take, or that no file system could hold.
pub fn managed_path(directory: &RepoPath, spec: &KindSpec, key: &Key) -> Result<RepoPath, BadPath> {
    let usable = name_fault(&key.name).is_none() && namespace_fault(&key.namespace).is_none();
    if !usable {
        return Err(BadPath {
            path: key.to_string(),
            reason: "its name or namespace is not one that Kubernetes takes",
        });
    }
    let name = match key.namespace.as_str() {
        DEFAULT_NAMESPACE => key.name.clone(),
        namespace => format!("{namespace}-{}", key.name),
    };
    directory.join(&format!("managed/{}/{name}.yaml", spec.directory))
}

/// Where people drop files.
pub fn raw_dir(directory: &RepoPath) -> RepoPath {
    fixed(directory, "raw")
}

/// The root of all objects' files.
pub fn managed_dir(directory: &RepoPath) -> RepoPath {
    fixed(directory, "managed")
}

/// Where documents go that are not ours or not usable.
pub fn unmanaged_dir(directory: &RepoPath) -> RepoPath {
    fixed(directory, "unmanaged")
}

/// The file that says whose directory it is.
pub fn marker_path(directory: &RepoPath) -> RepoPath {
    fixed(directory, ".hnp/manifest.yaml")
}

/// The record of what was ingested.
pub fn archive_log_path(directory: &RepoPath) -> RepoPath {
    fixed(directory, ".hnp/archive-log.yaml")
}

/// Keeps raw/ in Git when it has no files.
pub fn raw_keep_path(directory: &RepoPath) -> RepoPath {
    fixed(directory, "raw/.gitkeep")
}

/// The ending of raw files that were taken over and kept: nobody's documents any more.
pub const ARCHIVED: &str = ".archived";

/// Whether a file below raw/ is nobody's document: one that keeps a directory in Git, or an archived one.
pub fn is_passed_over(path: &RepoPath) -> bool {
    path.file_name() == KEEP || path.file_name().ends_with(ARCHIVED)
}

const KEEP: &str = ".gitkeep";

/// The files that a run must read, where they exist, for the plan: marker and archive log.
pub fn own_paths(directory: &RepoPath) -> [RepoPath; 2] {
    [marker_path(directory), archive_log_path(directory)]
}

/// A directory so deep that one of our short names does not fit below it is refused with the settings; should one
/// come here all the same, the directory itself stands for the path, which Git then refuses to make a file.
fn fixed(directory: &RepoPath, rest: &str) -> RepoPath {
    directory.join(rest).unwrap_or_else(|_| directory.clone())
}

/// What a directory without a marker is given: only files that do not exist.
pub fn skeleton(directory: &RepoPath, catalogue: &Catalogue, marker: &Marker, tree: &Tree) -> Edits {
    let mut wanted = vec![
        (marker_path(directory), render_marker(marker, None)),
        (archive_log_path(directory), Bytes::from_static(b"entries: []\n")),
        (fixed(directory, "README.md"), Bytes::from(readme(marker))),
        (raw_keep_path(directory), Bytes::new()),
        (fixed(directory, "unmanaged/.gitkeep"), Bytes::new()),
    ];
    let directories: BTreeSet<&str> = catalogue.iter().map(|spec| spec.directory.as_str()).collect();
    let kinds = directories.into_iter().map(|kind| fixed(directory, &format!("managed/{kind}/.gitkeep")));
    wanted.extend(kinds.map(|path| (path, Bytes::new())));
    wanted
        .into_iter()
        .filter(|(path, _)| !tree.contains_key(path))
        .map(|(path, bytes)| (path, Edit::Write(bytes)))
        .collect()
}

/// The edit that makes an existing marker name this fabric and ledger; `None` when it does, or cannot be read.
pub fn marker_edit(existing: &[u8], marker: &Marker) -> Option<Edit> {
    match read_marker(existing) {
        MarkerState::Named(found) if found == *marker => None,
        MarkerState::Named(_) | MarkerState::NoLedger => Some(Edit::Write(render_marker(marker, Some(existing)))),
        MarkerState::Broken(_) => None,
    }
}

fn readme(marker: &Marker) -> String {
    format!(
        "# Fabric {}\n\n\
         This directory and NetBox are kept equal by fgd-sync.\n\n\
         - `raw/`: drop Kubernetes documents here (.yaml or .yml, any depth, several in a file); they are taken over and leave.\n\
         - `managed/`: one object in a file. Edit it here or in NetBox. Point deployment tools at this directory.\n\
         - `unmanaged/`: documents that were not taken, each with its reasons beside it.\n\
         - `.hnp/`: fgd-sync's own records.\n",
        marker.fabric
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::edit::{Mode, TreeEntry};
    use crate::domain::kind::Kind;
    use crate::domain::names::{FabricName, LedgerId, Oid};

    fn path(text: &str) -> RepoPath {
        RepoPath::new(text).unwrap()
    }

    fn of(namespace: &str, name: &str) -> Result<RepoPath, BadPath> {
        let key = Key { kind: Kind::new("VPC"), namespace: namespace.to_owned(), name: name.to_owned() };
        managed_path(&path("fabrics/lab"), Catalogue::hedgehog().get(&key.kind).unwrap(), &key)
    }

    fn marker() -> Marker {
        Marker { fabric: FabricName::new("lab"), ledger: LedgerId::new("01L") }
    }

    #[test]
    fn the_namespace_stands_in_the_file_name_unless_it_is_default() {
        assert_eq!(of("default", "web").unwrap(), path("fabrics/lab/managed/vpcs/web.yaml"));
        assert_eq!(of("prod", "web").unwrap(), path("fabrics/lab/managed/vpcs/prod-web.yaml"));
    }

    #[test]
    fn a_name_that_cannot_be_a_path_has_none() {
        for name in ["", "..", "a/b", "A", "a\nb", &"a".repeat(254)] {
            assert!(of("default", name).is_err(), "{name:?} got a path");
        }
        assert!(of("..", "a").is_err());
        assert!(of(&"n".repeat(63), &"a".repeat(200)).is_err());
    }

    #[test]
    fn a_skeleton_writes_only_what_does_not_exist() {
        let entry = TreeEntry { mode: Mode::File, blob: Oid::of_blob(b"x"), size: None };
        let tree = Tree::from([(path("lab/README.md"), entry)]);

        let edits = skeleton(&path("lab"), Catalogue::hedgehog(), &marker(), &tree);

        assert!(!edits.contains_key(&path("lab/README.md")));
        assert!(edits.contains_key(&path("lab/.hnp/manifest.yaml")));
        assert_eq!(edits.keys().filter(|path| path.as_str().starts_with("lab/managed/")).count(), 12);
    }

    #[test]
    fn a_marker_that_names_this_ledger_is_left_alone() {
        assert_eq!(marker_edit(&render_marker(&marker(), None), &marker()), None);
        assert!(marker_edit(b"{\"fabric\": \"lab\"}", &marker()).is_some());
        assert_eq!(marker_edit(b"[", &marker()), None);
    }
}
