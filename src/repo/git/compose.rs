//! One commit on top of another, made in the cache without a work tree and without a blob of the base.
//!
//! `git fast-import` would follow orders that nobody meant: a write to a directory's path drops the directory, a delete
//! of one deletes everything below. So the edits are first held against the base's list of files.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use super::cache::Held;
use super::objects::{self, Listed};
use crate::domain::edit::{CommitMessage, Edit, Edits, Mode, Signature};
use crate::domain::names::{BranchName, Oid};
use crate::domain::path::RepoPath;
use crate::repo::Error;

/// Where a new commit stands until it is pushed, and until the next one keeps it from the garbage collection.
const NEW: &str = "refs/fgd-new";

/// The commit to push, if any.
pub(super) enum Composed {
    Commit(Oid),
    /// The base has what the edits want already.
    Nothing,
}

/// What a path of the base is and becomes.
type Files = BTreeMap<Vec<u8>, (Mode, Oid)>;

/// An edit that changes something.
#[derive(Debug, PartialEq, Eq)]
enum Change<'a> {
    Write { executable: bool, bytes: &'a Bytes },
    Delete,
}

type Changes<'a> = BTreeMap<&'a str, Change<'a>>;

/// Makes the commit in the cache. The branch of the remote is not touched.
pub(super) async fn commit(
    held: &Held<'_>,
    branch: &BranchName,
    base: Option<&Oid>,
    edits: &Edits,
    message: &CommitMessage,
) -> Result<Composed, Error> {
    let mut files = Files::new();
    if let Some(base) = base {
        held.need_commit(Some(branch), base).await?;
        let listed = objects::list(held, base, &RepoPath::root()).await?;
        files.extend(listed.into_iter().map(|Listed { path, mode, blob }| (path, (mode, blob))));
    }
    let changes = changes(&files, edits);
    if let Some(path) = in_the_way(&files, &changes) {
        let detail = format!("`{path}` would replace a directory, or stands below a file, of the repository");
        return Err(Error::Refused { branch: branch.clone(), detail });
    }
    if changes.is_empty() {
        return Ok(Composed::Nothing);
    }
    let call = held.call("making a commit", ["fast-import", "--quiet", "--force", "--done"]);
    let answer = held.git().run(call.stdin(stream(base, &changes, message))).await?;
    objects::parse_oid(String::from_utf8_lossy(&answer).trim()).map(Composed::Commit)
}

/// Leaves out what changes nothing: a deletion of what is no file, a write of what is there.
///
/// A write keeps the file's executable bit. A symlink or submodule becomes a file: the bytes are a document.
fn changes<'a>(files: &Files, edits: &'a Edits) -> Changes<'a> {
    let change = |(path, edit): (&'a RepoPath, &'a Edit)| {
        let change = match (edit, files.get(path.as_str().as_bytes())) {
            (Edit::Delete, None) => return None,
            (Edit::Delete, Some(_)) => Change::Delete,
            (Edit::Write(bytes), Some((Mode::File | Mode::Executable, blob))) if *blob == Oid::of_blob(bytes) => {
                return None;
            }
            (Edit::Write(bytes), there) => {
                Change::Write { executable: matches!(there, Some((Mode::Executable, _))), bytes }
            }
        };
        Some((path.as_str(), change))
    };
    edits.iter().filter_map(change).collect()
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

/// What `git fast-import` reads. Deletions come first, so that a directory can follow a file and the other way round.
fn stream(base: Option<&Oid>, changes: &Changes<'_>, message: &CommitMessage) -> Vec<u8> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let person = |role: &str, who: &Signature| format!("{role} {} {now} +0000\n", ident(who));
    let mut out = format!("feature done\nfeature get-mark\ncommit {NEW}\nmark :1\n").into_bytes();
    out.extend(person("author", &message.author).bytes());
    out.extend(person("committer", &message.committer).bytes());
    data(&mut out, message.text.as_bytes());
    if let Some(base) = base {
        out.extend(format!("from {base}\n").bytes());
    }
    for (path, change) in changes {
        if matches!(change, Change::Delete) {
            out.extend(format!("D {}\n", quoted(path)).bytes());
        }
    }
    for (path, change) in changes {
        if let Change::Write { executable, bytes } = change {
            let mode = if *executable { "100755" } else { "100644" };
            out.extend(format!("M {mode} inline {}\n", quoted(path)).bytes());
            data(&mut out, bytes);
        }
    }
    out.extend(b"get-mark :1\ndone\n");
    out
}

fn data(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(format!("data {}\n", bytes.len()).bytes());
    out.extend_from_slice(bytes);
    out.push(b'\n');
}

/// `Name <email>`, without what ends a name, an address or a line.
fn ident(who: &Signature) -> String {
    let clean = |text: &str| text.replace(['<', '>', '\n', '\r', '\0'], "").trim().to_owned();
    let (name, email) = (clean(&who.name), clean(&who.email));
    // `git fsck` finds fault with an empty name.
    let name = if name.is_empty() { email.clone() } else { name };
    format!("{name} <{email}>")
}

/// In quotes, a path may begin with anything. A `RepoPath` has neither backslashes nor control characters.
fn quoted(path: &str) -> String {
    format!("\"{}\"", path.replace('"', "\\\""))
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

    #[test]
    fn a_name_cannot_break_out_of_its_line() {
        let who = Signature { name: "Eve <root>\nfrom 0".to_owned(), email: "e@x>".to_owned() };

        assert_eq!(ident(&who), "Eve rootfrom 0 <e@x>");
        assert_eq!(ident(&Signature { name: String::new(), email: "e@x".to_owned() }), "e@x <e@x>");
    }
}
