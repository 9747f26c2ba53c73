//! The way of a directory's files to another place.

use super::sides::entry;
use crate::domain::edit::{Mode, Tree, TreeEntry};
use crate::domain::names::FabricName;
use crate::domain::path::RepoPath;
use crate::plan::layout::readme;
use crate::plan::moving::{Route, arrived, moved_path, route};

fn path(text: &str) -> RepoPath {
    RepoPath::new(text).unwrap()
}

fn tree(files: &[(&str, &str)]) -> Tree {
    files.iter().map(|(at, content)| (path(at), entry(content.as_bytes()))).collect()
}

/// The way of these files of `lab`, of which `there` stand in `to` already.
fn way(files: &[(&str, &str)], to: &str, there: &[(&str, &str)]) -> Result<Route, String> {
    let found = route(&FabricName::new("lab"), (&path("lab"), &tree(files)), (&path(to), &tree(there)));
    found.map_err(|reason| format!("{}: {}", reason.code, reason.message))
}

fn left(route: &Route) -> Vec<(&str, &str)> {
    route.left.files.iter().map(|file| (file.path.as_str(), file.reason.code.as_str())).collect()
}

#[test]
fn only_the_fabrics_own_files_go_and_the_others_are_named() {
    let readme = readme(&FabricName::new("lab"));
    let ours = [
        ("lab/.hnp/manifest.yaml", "m"),
        ("lab/.hnp/archive-log.yaml", "entries: []"),
        ("lab/README.md", readme.as_str()),
        ("lab/managed/vpcs/.gitkeep", ""),
        ("lab/managed/vpcs/web.yaml", "w"),
        ("lab/raw/deep/notes.txt", "n"),
        ("lab/unmanaged/x.bin", "x"),
    ];
    let others = [("lab/.hnp/mine", "?"), ("lab/kustomization.yaml", "k"), ("lab/managed/vpcs/notes.txt", "n")];
    let all = [&ours[..], &others].concat();

    let route = way(&all, "north", &[]).unwrap();

    let expected = ours.map(|(at, _)| (path(&at.replacen("lab", "north", 1)), path(at)));
    assert_eq!(route.files, expected.into());
    assert_eq!(left(&route), others.map(|(at, _)| (at, "outside")));
}

#[test]
fn a_readme_of_peoples_own_and_what_is_no_file_stay() {
    let mut old = tree(&[("lab/README.md", "# Ours")]);
    let link = TreeEntry { mode: Mode::Symlink, ..entry(b"x") };
    old.insert(path("lab/raw/link.yaml"), link);

    let route = route(&FabricName::new("lab"), (&path("lab"), &old), (&path("north"), &Tree::new())).unwrap();

    assert_eq!(left(&route), [("lab/README.md", "outside"), ("lab/raw/link.yaml", "not_a_file")]);
    assert!(route.files.is_empty());
}

#[test]
fn the_same_file_in_the_new_place_is_enough_and_another_one_is_in_the_way() {
    let old = [("lab/managed/vpcs/web.yaml", "w"), ("lab/raw/.gitkeep", "")];

    let same = way(&old, "north", &[("north/managed/vpcs/web.yaml", "w"), ("north/raw/.gitkeep", "# kept")]).unwrap();
    let other = way(&old, "north", &[("north/managed/vpcs/web.yaml", "theirs")]).unwrap_err();

    assert!(same.files.is_empty());
    assert_eq!(same.surplus, old.map(|(at, _)| path(at)).into());
    assert!(other.starts_with("move_blocked: ") && other.contains("north/managed/vpcs/web.yaml"), "{other}");
}

#[test]
fn a_directory_cannot_move_among_its_own_files() {
    for to in ["lab/managed", "lab/raw/new", "lab/.hnp/x"] {
        assert!(way(&[], to, &[]).unwrap_err().starts_with("move_blocked: "), "{to}");
    }
    assert!(way(&[], "lab/inner", &[]).is_ok() && way(&[], "", &[]).is_ok());
}

#[test]
fn the_new_tree_has_what_comes_and_not_what_goes() {
    let old = tree(&[("lab/raw/a.yaml", "a"), ("lab/notes", "n"), ("lab/inner/b", "b")]);
    let new = tree(&[("lab/inner/b", "b")]);
    let way = route(&FabricName::new("lab"), (&path("lab"), &old), (&path("lab/inner"), &new)).unwrap();

    let into = arrived(&new, &old, &way);

    let paths: Vec<&str> = into.keys().map(RepoPath::as_str).collect();
    assert_eq!(paths, ["lab/inner/b", "lab/inner/raw/a.yaml"]);
    assert_eq!(left(&way), [("lab/notes", "outside")]);
}

#[test]
fn what_is_remembered_of_a_place_follows_once() {
    let (from, to) = (path("lab"), path("lab/inner"));
    let moved = |at: &str| moved_path(&path(at), &from, &to).map(|path| path.to_string());

    assert_eq!(moved("lab/managed/vpcs/web.yaml").as_deref(), Some("lab/inner/managed/vpcs/web.yaml"));
    assert_eq!(moved("lab/raw/a.yaml").as_deref(), Some("lab/inner/raw/a.yaml"));
    assert_eq!(moved("lab/inner/managed/vpcs/web.yaml"), None);
}
