//! One commit on top of another, made in the cache without a work tree and without a blob of the base.
//!
//! `git fast-import` would follow orders that nobody meant: a write to a directory's path drops the directory, a delete
//! of one deletes everything below. So the edits are first held against the base's list of files.

use std::time::{SystemTime, UNIX_EPOCH};

use super::cache::Held;
use super::objects::{self, Listed};
use crate::domain::edit::{CommitMessage, Edits, Signature};
use crate::domain::names::{BranchName, Oid};
use crate::domain::path::RepoPath;
use crate::repo::Error;
use crate::repo::changes::{self, Change, Changes, Files};

/// Where a new commit stands until it is pushed, and until the next one keeps it from the garbage collection.
const NEW: &str = "refs/fgd-new";

/// The commit to push, if any.
pub(super) enum Composed {
    Commit(Oid),
    /// The base has what the edits want already.
    Nothing,
}

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
    let changes = changes::changes(&files, edits);
    changes::refuse_what_is_in_the_way(branch, &files, &changes)?;
    if changes.is_empty() {
        return Ok(Composed::Nothing);
    }
    let call = held.call("making a commit", ["fast-import", "--quiet", "--force", "--done"]);
    let answer = held.git().run(call.stdin(stream(base, &changes, message))).await?;
    objects::parse_oid(String::from_utf8_lossy(&answer).trim()).map(Composed::Commit)
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

/// `Name <email>`
fn ident(who: &Signature) -> String {
    let Signature { name, email } = changes::clean(who);
    format!("{name} <{email}>")
}

/// In quotes, a path may begin with anything. A `RepoPath` has neither backslashes nor control characters.
fn quoted(path: &str) -> String {
    format!("\"{}\"", path.replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_break_out_of_its_line() {
        let who = Signature { name: "Eve <root>\nfrom 0".to_owned(), email: "e@x>".to_owned() };

        assert_eq!(ident(&who), "Eve rootfrom 0 <e@x>");
        assert_eq!(ident(&Signature { name: String::new(), email: "e@x".to_owned() }), "e@x <e@x>");
    }
}
