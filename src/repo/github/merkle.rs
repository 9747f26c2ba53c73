//! The id of a tree, computed here: proof that GitHub stored what we meant, byte for byte, without reading it back.
//!
//! <https://git-scm.com/book/en/v2/Git-Internals-Git-Objects#_tree_objects>

use std::collections::BTreeMap;

use sha1::{Digest, Sha1};

use crate::domain::edit::Mode;
use crate::domain::names::Oid;
use crate::repo::changes::Files;

/// A file below some directory, by its path from there.
type Below<'a> = (&'a [u8], Mode, &'a Oid);

/// The id of the tree with exactly these files.
pub(super) fn tree_id(files: &Files) -> Oid {
    let entries: Vec<Below<'_>> = files.iter().map(|(path, (mode, oid))| (path.as_slice(), *mode, oid)).collect();
    id_of(&entries)
}

fn id_of(entries: &[Below<'_>]) -> Oid {
    // Git orders a directory as if its name ended with a slash.
    let mut lines: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    let mut below: BTreeMap<&[u8], Vec<Below<'_>>> = BTreeMap::new();
    for (path, mode, oid) in entries {
        match path.iter().position(|byte| *byte == b'/') {
            Some(at) => below.entry(&path[..at]).or_default().push((&path[at + 1..], *mode, oid)),
            None => {
                lines.insert(path.to_vec(), line(octal(*mode), path, oid));
            }
        }
    }
    for (name, entries) in below {
        let order = [name, b"/"].concat();
        lines.insert(order, line("40000", name, &id_of(&entries)));
    }
    let body: Vec<u8> = lines.into_values().flatten().collect();
    let mut hash = Sha1::new();
    hash.update(format!("tree {}\0", body.len()));
    hash.update(&body);
    hex::encode(hash.finalize()).parse().expect("a SHA-1 in hex is an object id")
}

fn line(mode: &str, name: &[u8], oid: &Oid) -> Vec<u8> {
    let id = hex::decode(oid.as_str()).unwrap_or_default();
    [mode.as_bytes(), b" ", name, b"\0", &id].concat()
}

fn octal(mode: Mode) -> &'static str {
    match mode {
        Mode::File => "100644",
        Mode::Executable => "100755",
        Mode::Symlink => "120000",
        Mode::Submodule => "160000",
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn git(dir: &std::path::Path, args: &[&str]) -> String {
        let output = Command::new("git").args(args).current_dir(dir).output().expect("git starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    #[test]
    fn the_id_is_gits_own_whatever_the_names() {
        let dir = tempfile::tempdir().unwrap();
        git(dir.path(), &["init", "--quiet"]);
        let mut files = Files::new();
        let names = ["a", "a.b", "a-b/c", "a0", "lib-x", "lib/y/z", "lib.d/q", "ünïcödé/日本"];
        for (at, name) in names.iter().enumerate() {
            let mode = if at == 0 { Mode::Executable } else { Mode::File };
            let blob = dir.path().join("blob");
            std::fs::write(&blob, name).unwrap();
            let oid = git(dir.path(), &["hash-object", "-w", "blob"]);
            git(dir.path(), &["update-index", "--add", "--cacheinfo", &format!("{},{oid},{name}", octal(mode))]);
            files.insert(name.as_bytes().to_vec(), (mode, oid.parse().unwrap()));
        }

        assert_eq!(tree_id(&files).as_str(), git(dir.path(), &["write-tree"]));
        assert_eq!(tree_id(&Files::new()).as_str(), "4b825dc642cb6eb9a060e54bf8d69288fbee4904");
    }
}
