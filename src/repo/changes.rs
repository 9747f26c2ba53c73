//! What edits really change in a base's files, for every kind of repository.
//!
//! No kind's own way of writing can be trusted with edits as they are: a write to a directory's path would drop the
//! directory, and a deletion of what is absent fails or deletes everything below. So the edits are first held against
//! the base's list of files.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::Error;
use crate::domain::edit::{Edit, Edits, Mode, Signature};
use crate::domain::names::{BranchName, Oid};
use crate::domain::path::RepoPath;

/// What a path of the base is and becomes.
pub(super) type Files = BTreeMap<Vec<u8>, (Mode, Oid)>;

/// An edit that changes something.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change<'a> {
    Write { executable: bool, bytes: &'a Bytes },
    Delete,
}

pub(super) type Changes<'a> = BTreeMap<&'a str, Change<'a>>;

/// Leaves out what changes nothing: a deletion of what is no file, a write of what is there.
///
/// A write keeps the file's executable bit, and a new file has that of the one it comes from, or that it had. A symlink or
/// submodule becomes a file: the bytes are a document.
pub(super) fn changes<'a>(files: &Files, edits: &'a Edits) -> Changes<'a> {
    let change = |(path, edit): (&'a RepoPath, &'a Edit)| {
        let at = |path: &RepoPath| files.get(path.as_str().as_bytes());
        let there = at(path);
        let (bytes, when_new) = match edit {
            Edit::Delete => return there.map(|_| (path.as_str(), Change::Delete)),
            Edit::Write(bytes) => (bytes, false),
            Edit::Move { from, bytes } => (bytes, is_executable(at(from))),
            Edit::Restore { bytes, executable } => (bytes, *executable),
        };
        if matches!(there, Some((Mode::File | Mode::Executable, blob)) if *blob == Oid::of_blob(bytes)) {
            return None;
        }
        let executable = if there.is_some() { is_executable(there) } else { when_new };
        Some((path.as_str(), Change::Write { executable, bytes }))
    };
    edits.iter().filter_map(change).collect()
}

fn is_executable(there: Option<&(Mode, Oid)>) -> bool {
    matches!(there, Some((Mode::Executable, _)))
}

/// A directory and a file never replace each other unseen.
pub(super) fn refuse_what_is_in_the_way(
    branch: &BranchName,
    files: &Files,
    changes: &Changes<'_>,
) -> Result<(), Error> {
    let Some(path) = in_the_way(files, changes) else { return Ok(()) };
    let detail = format!("`{path}` would replace a directory, or stands below a file, of the repository");
    Err(Error::Refused { branch: branch.clone(), detail })
}

/// A written path that is a directory afterwards, or that has a file above it.
fn in_the_way<'a>(files: &Files, changes: &Changes<'a>) -> Option<&'a str> {
    let deleted =
        |path: &[u8]| str::from_utf8(path).is_ok_and(|path| matches!(changes.get(path), Some(Change::Delete)));
    let written = |path: &str| matches!(changes.get(path), Some(Change::Write { .. }));
    let stays = |path: &[u8]| files.contains_key(path) && !deleted(path);
    let is_directory = |path: &str| {
        let inside = format!("{path}/").into_bytes();
        files.range(inside.clone()..).take_while(|(file, _)| file.starts_with(&inside)).any(|(file, _)| !deleted(file))
    };
    let has_file_above =
        |path: &str| path.match_indices('/').any(|(at, _)| written(&path[..at]) || stays(&path.as_bytes()[..at]));
    changes.keys().copied().find(|path| written(path) && (is_directory(path) || has_file_above(path)))
}

/// A person without what ends a name, an address or a line in a commit.
pub(super) fn clean(who: &Signature) -> Signature {
    let clean = |text: &str| text.replace(['<', '>', '\n', '\r', '\0'], "").trim().to_owned();
    let (name, email) = (clean(&who.name), clean(&who.email));
    // `git fsck` finds fault with an empty name.
    let name = if name.is_empty() { email.clone() } else { name };
    Signature { name, email }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(paths: &[&str]) -> Files {
        paths.iter().map(|path| (path.as_bytes().to_vec(), (Mode::File, Oid::of_blob(b"old")))).collect()
    }

    fn edits(list: &[(&str, Option<&'static str>)]) -> Edits {
        let edit = |text: Option<&'static str>| text.map_or(Edit::Delete, |text| Edit::Write(Bytes::from(text)));
        list.iter().map(|(path, text)| (RepoPath::new(path).unwrap(), edit(*text))).collect()
    }

    fn blocked(there: &[&str], wanted: &[(&str, Option<&'static str>)]) -> bool {
        let (files, edits) = (files(there), edits(wanted));
        in_the_way(&files, &changes(&files, &edits)).is_some()
    }

    #[test]
    fn what_is_already_so_is_no_change() {
        let edits = edits(&[("a", Some("old")), ("gone", None), ("dir", None)]);

        assert!(changes(&files(&["a", "dir/b"]), &edits).is_empty());
    }

    #[test]
    fn a_file_and_a_directory_never_replace_each_other_unseen() {
        assert!(blocked(&["dir/a"], &[("dir", Some("x"))]));
        assert!(blocked(&["file"], &[("file/a", Some("x"))]));
        assert!(blocked(&[], &[("a", Some("x")), ("a/b", Some("x"))]));
        assert!(!blocked(&["dir/a", "dir-b"], &[("dir", Some("x")), ("dir/a", None)]));
        assert!(!blocked(&["file"], &[("file/a", Some("x")), ("file", None)]));
        assert!(!blocked(&["dir-a", "dir/b"], &[("dir/c", Some("x"))]));
    }
}
