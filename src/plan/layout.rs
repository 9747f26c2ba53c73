//! Where everything stands in a fabric's directory, and what a new one begins with.

pub use super::marker::{Marker, MarkerState, read_marker, render_marker};
use super::names::{name_fault, namespace_fault};
use crate::domain::key::{DEFAULT_NAMESPACE, Key};
use crate::domain::kind::KindSpec;
use crate::domain::names::FabricName;
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
    fixed(directory, ARCHIVE_LOG)
}

/// The ending of raw files that were taken over and kept: nobody's documents any more.
pub const ARCHIVED: &str = ".archived";

/// Whether a file below raw/ is nobody's document: one that keeps a directory in Git, or an archived one.
pub fn is_passed_over(path: &RepoPath) -> bool {
    path.file_name() == KEEP || path.file_name().ends_with(ARCHIVED)
}

/// The name of files that keep a directory in Git.
pub(super) const KEEP: &str = ".gitkeep";
/// What a directory says of itself to people, below the directory.
pub(super) const README: &str = "README.md";
/// The archive log, below the directory.
pub(super) const ARCHIVE_LOG: &str = ".hnp/archive-log.yaml";

/// The files that a run must read, where they exist, for the plan: marker and archive log.
pub fn own_paths(directory: &RepoPath) -> [RepoPath; 2] {
    [marker_path(directory), archive_log_path(directory)]
}

/// A directory so deep that one of our short names does not fit below it is refused with the settings; should one
/// come here all the same, the directory itself stands for the path, which Git then refuses to make a file.
pub(super) fn fixed(directory: &RepoPath, rest: &str) -> RepoPath {
    directory.join(rest).unwrap_or_else(|_| directory.clone())
}

/// Whether a file that is not where files belong may hold documents of ours, as they are found at first sight.
///
/// Hidden directories are other tools' own.
pub fn may_hold_documents(directory: &RepoPath, path: &RepoPath) -> bool {
    let Some(below) = path.below(directory) else { return false };
    let first = below.split('/').next().unwrap_or_default();
    let named_as_yaml = is_yaml(path);
    named_as_yaml
        && !matches!(first, "raw" | "managed" | "unmanaged")
        && !below.split('/').any(|part| part.starts_with('.'))
}

/// Whether a file's name says that it is YAML.
pub fn is_yaml(path: &RepoPath) -> bool {
    let name = path.file_name().to_ascii_lowercase();
    name.ends_with(".yaml") || name.ends_with(".yml")
}

/// What stands in the directory's own README.md.
pub(super) fn readme(fabric: &FabricName) -> String {
    format!(
        "# Fabric {fabric}\n\n\
         This directory and NetBox are kept equal by fgd-sync.\n\n\
         - `raw/`: drop Kubernetes documents here (.yaml or .yml, any depth, several in a file); they are taken over and leave.\n\
         - `managed/`: one object in a file. Edit it here or in NetBox. Point deployment tools at this directory.\n\
         - `unmanaged/`: documents that were not taken, each with its reasons beside it.\n\
         - `.hnp/`: fgd-sync's own records.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::kind::{Catalogue, Kind};

    fn path(text: &str) -> RepoPath {
        RepoPath::new(text).unwrap()
    }

    fn of(namespace: &str, name: &str) -> Result<RepoPath, BadPath> {
        let key = Key { kind: Kind::new("VPC"), namespace: namespace.to_owned(), name: name.to_owned() };
        managed_path(&path("fabrics/lab"), Catalogue::hedgehog().get(&key.kind).unwrap(), &key)
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
    fn only_yaml_outside_our_own_and_hidden_directories_may_hold_documents() {
        let may = |below: &str| may_hold_documents(&path("lab"), &path(&format!("lab/{below}")));

        assert!(may("web.yaml") && may("old/vpcs/web.YML"));
        for below in [
            "raw/a.yaml",
            "managed/vpcs/a.yaml",
            "unmanaged/a.yaml",
            ".hnp/manifest.yaml",
            "x/.git-stuff/a.yaml",
            "a.txt",
        ] {
            assert!(!may(below), "{below}");
        }
        assert!(!may_hold_documents(&path("lab"), &path("lab2/a.yaml")));
    }
}
