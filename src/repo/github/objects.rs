//! Making Git objects: blobs, trees and commits that no branch shows yet. All of it may be repeated, because an object is
//! its content.

use std::collections::HashSet;
use std::time::SystemTime;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer;
use super::http::{Call, Http, NoAnswer};
use super::transport::Reply;
use crate::domain::edit::{CommitMessage, Signature};
use crate::domain::lease::LeaseProof;
use crate::domain::names::Oid;
use crate::repo::Error;
use crate::repo::changes::{self, Change, Changes, Files};

/// How many entries one request for a tree has; GitHub times out at some two hundred with their content.
const MAX_ENTRIES: usize = 100;
/// How much content one request for a tree has.
const MAX_CONTENT: usize = 4 * 1024 * 1024;
/// A longer text is sent as a blob of its own.
const LONG_TEXT: usize = 1024 * 1024;
/// How often a commit object is asked for.
const TRIES: usize = 3;

/// Why there is no object.
#[derive(Debug)]
pub(super) enum NotMade {
    /// GitHub takes no objects into a repository without a commit.
    EmptyRepository,
    Error(Error),
}

impl<E: Into<Error>> From<E> for NotMade {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}

/// Makes objects in one repository for one commit.
pub(super) struct Maker<'a> {
    pub http: &'a Http,
    pub proof: &'a LeaseProof,
}

/// An object that was made, or is its part.
#[derive(Deserialize)]
struct Made {
    sha: Oid,
}

impl Maker<'_> {
    /// The tree with the changes on top of `base`: as many requests as there are hundreds of changes.
    ///
    /// <https://docs.github.com/en/rest/git/trees#create-a-tree>
    pub async fn tree(&self, base: Option<&Oid>, files: &Files, changes: &Changes<'_>) -> Result<Oid, NotMade> {
        let there: HashSet<&Oid> = files.values().map(|(_, oid)| oid).collect();
        let mut entries = Vec::with_capacity(changes.len());
        for (path, change) in changes {
            if base.is_none() && matches!(change, Change::Delete) {
                continue;
            }
            entries.push(self.entry(path, change, &there).await?);
        }
        let (first, then) = in_turns(changes, entries);
        let mut tree = base.cloned();
        let mut limit = MAX_ENTRIES;
        for part in [first, then] {
            tree = self.chain(tree, &part, &mut limit).await?;
        }
        tree.ok_or_else(|| NotMade::Error(self.http.unavailable("GitHub made no tree".to_owned())))
    }

    /// Each request's tree is the base of the next one; their size shrinks when GitHub cannot take it.
    async fn chain(&self, mut tree: Option<Oid>, entries: &[Entry], limit: &mut usize) -> Result<Option<Oid>, NotMade> {
        let mut rest = entries;
        while !rest.is_empty() {
            let take = fitting(rest, *limit);
            match self.one_tree(tree.as_ref(), &rest[..take]).await {
                Ok(made) => {
                    tree = Some(made);
                    rest = &rest[take..];
                }
                Err(TooMuch::For(words)) if take > 1 => {
                    *limit = take / 2;
                    tracing::info!(repository = %self.http.shown(), entries = take, %words, "smaller trees from now on");
                }
                Err(TooMuch::For(words)) => return Err(NotMade::Error(self.http.unavailable(words))),
                Err(TooMuch::Not(error)) => return Err(error),
            }
        }
        Ok(tree)
    }

    async fn one_tree(&self, base: Option<&Oid>, entries: &[Entry]) -> Result<Oid, TooMuch> {
        let listed: Vec<&Value> = entries.iter().map(|entry| &entry.wire).collect();
        let mut body = json!({ "tree": listed });
        if let Some(base) = base {
            body["base_tree"] = json!(base);
        }
        let call = Call::of(Method::POST, ["git", "trees"]).body(&body);
        self.proof.require(self.http.write_limit()).map_err(|lost| TooMuch::Not(lost.into()))?;
        let reply = match self.http.send(&call).await {
            Ok(reply) => reply,
            Err(NoAnswer::NotDone(error)) => return Err(TooMuch::Not(error.into())),
            Err(NoAnswer::Lost(words)) => return Err(TooMuch::For(words)),
        };
        if is_too_much(&reply) {
            return Err(TooMuch::For(format!("POST git/trees: {}", answer::words(&reply))));
        }
        self.made(&call, &reply).await.map_err(TooMuch::Not)
    }

    /// What the change is in a request for a tree. Text travels inside it; other bytes become a blob first.
    async fn entry(&self, path: &str, change: &Change<'_>, there: &HashSet<&Oid>) -> Result<Entry, NotMade> {
        let wire = |mode: &str, content: (&str, Value)| {
            let mut wire = json!({ "path": path, "mode": mode, "type": "blob" });
            wire[content.0] = content.1;
            wire
        };
        let Change::Write { executable, bytes } = change else {
            return Ok(Entry { wire: wire("100644", ("sha", Value::Null)), weight: 0 });
        };
        let mode = if *executable { "100755" } else { "100644" };
        let oid = Oid::of_blob(bytes);
        if there.contains(&oid) {
            return Ok(Entry { wire: wire(mode, ("sha", json!(oid))), weight: 0 });
        }
        if let Some(text) = plain(bytes) {
            return Ok(Entry { wire: wire(mode, ("content", json!(text))), weight: text.len() });
        }
        let made = self.blob(bytes).await?;
        if made != oid {
            return Err(NotMade::Error(
                self.http.unavailable(format!("GitHub made the blob {made} of `{path}`, not {oid}")),
            ));
        }
        Ok(Entry { wire: wire(mode, ("sha", json!(oid))), weight: 0 })
    }

    /// <https://docs.github.com/en/rest/git/blobs#create-a-blob>
    async fn blob(&self, bytes: &Bytes) -> Result<Oid, NotMade> {
        let body = json!({ "content": BASE64_STANDARD.encode(bytes), "encoding": "base64" });
        self.make(&Call::of(Method::POST, ["git", "blobs"]).body(&body)).await
    }

    /// The commit of a tree, with at most one parent.
    ///
    /// <https://docs.github.com/en/rest/git/commits#create-a-commit>
    pub async fn commit(&self, tree: &Oid, parent: Option<&Oid>, message: &CommitMessage) -> Result<Oid, NotMade> {
        #[derive(Deserialize)]
        struct Commit {
            sha: Oid,
            tree: Made,
            parents: Vec<Made>,
        }
        // One time for all tries: the same commit is the same object.
        let now = SystemTime::now();
        let body = json!({
            "message": message.text,
            "tree": tree,
            "parents": parent.into_iter().collect::<Vec<_>>(),
            "author": person(&message.author, now),
            "committer": person(&message.committer, now),
        });
        let call = Call::of(Method::POST, ["git", "commits"]).body(&body);
        let reply = self.send(&call).await?;
        let sha = self.made(&call, &reply).await?;
        let commit: Commit = self.http.parse(&call, &reply)?;
        let parents: Vec<&Oid> = commit.parents.iter().map(|parent| &parent.sha).collect();
        // A swap compares the branch with its base, not with the commit's parent.
        if commit.sha != sha || commit.tree.sha != *tree || parents != parent.into_iter().collect::<Vec<_>>() {
            return Err(NotMade::Error(self.http.unavailable(format!("GitHub made another commit than asked: {sha}"))));
        }
        Ok(sha)
    }

    async fn make(&self, call: &Call<'_>) -> Result<Oid, NotMade> {
        let reply = self.send(call).await?;
        self.made(call, &reply).await
    }

    /// Sends it until there is an answer that says something.
    async fn send(&self, call: &Call<'_>) -> Result<Reply, NotMade> {
        let mut words = String::new();
        for _ in 0..TRIES {
            self.proof.require(self.http.write_limit())?;
            match self.http.send(call).await {
                Ok(reply) if reply.status.is_server_error() => words = answer::words(&reply),
                Ok(reply) => return Ok(reply),
                Err(NoAnswer::NotDone(error)) => return Err(error.into()),
                Err(NoAnswer::Lost(detail)) => words = detail,
            }
        }
        Err(NotMade::Error(self.http.unavailable(format!("POST {}: {words}", call.path.join("/")))))
    }

    async fn made(&self, call: &Call<'_>, reply: &Reply) -> Result<Oid, NotMade> {
        match reply.status {
            StatusCode::CREATED => Ok(self.http.parse::<Made>(call, reply)?.sha),
            StatusCode::CONFLICT if is_empty_repository(reply) => Err(NotMade::EmptyRepository),
            // A path that GitHub does not take, or content that its push protection refuses.
            StatusCode::UNPROCESSABLE_ENTITY => Err(NotMade::Error(Error::Refused {
                branch: self.proof.target().branch.clone(),
                detail: format!("POST {}: {}", call.path.join("/"), answer::words(reply)),
            })),
            _ => Err(NotMade::Error(self.http.write_failure(call, reply).await)),
        }
    }
}

/// Why one request for a tree made none.
enum TooMuch {
    /// GitHub may be able to take less.
    For(String),
    Not(NotMade),
}

/// One change as a request for a tree has it.
struct Entry {
    wire: Value,
    /// Bytes of content in it.
    weight: usize,
}

/// Where a file takes a directory's place or the other way round, deletions go first, in requests of their own.
fn in_turns(changes: &Changes<'_>, entries: Vec<Entry>) -> (Vec<Entry>, Vec<Entry>) {
    let deleted = |path: &str| matches!(changes.get(path), Some(Change::Delete));
    let above = |path: &str| path.match_indices('/').any(|(at, _)| deleted(&path[..at]));
    let below = |path: &str| {
        let inside = format!("{path}/");
        changes.range(inside.as_str()..).next().is_some_and(|(next, _)| next.starts_with(&inside) && deleted(next))
    };
    let clash =
        changes.iter().any(|(path, change)| matches!(change, Change::Write { .. }) && (above(path) || below(path)));
    if !clash {
        return (Vec::new(), entries);
    }
    entries.into_iter().partition(|entry| entry.wire["sha"].is_null() && entry.wire.get("content").is_none())
}

/// How many entries go into the next request: one at least.
fn fitting(entries: &[Entry], limit: usize) -> usize {
    let mut weight = 0;
    let fits = entries.iter().take(limit).take_while(|entry| {
        weight += entry.weight;
        weight <= MAX_CONTENT
    });
    fits.count().max(1)
}

/// A text that survives JSON and every reader of it.
fn plain(bytes: &Bytes) -> Option<&str> {
    let text = str::from_utf8(bytes).ok()?;
    (!text.is_empty() && text.len() <= LONG_TEXT && !text.contains('\0')).then_some(text)
}

/// "Sorry, your request timed out. It's likely that your input was too large to process."
fn is_too_much(reply: &Reply) -> bool {
    let timed_out = || answer::said(reply).is_some_and(|words| words.to_ascii_lowercase().contains("timed out"));
    reply.status.is_server_error() || (reply.status == StatusCode::UNPROCESSABLE_ENTITY && timed_out())
}

/// "Git Repository is empty."
pub(super) fn is_empty_repository(reply: &Reply) -> bool {
    answer::said(reply).is_some_and(|words| words.to_ascii_lowercase().contains("empty"))
}

/// A person as GitHub takes one.
pub(super) fn person(who: &Signature, at: SystemTime) -> Value {
    let Signature { name, email } = changes::clean(who);
    json!({ "name": name, "email": email, "date": humantime::format_rfc3339_seconds(at).to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    static TEXT: Bytes = Bytes::from_static(b"x");

    fn turns(list: &[(&'static str, bool)]) -> (usize, usize) {
        let change =
            |write: bool| if write { Change::Write { executable: false, bytes: &TEXT } } else { Change::Delete };
        let changes: Changes<'_> = list.iter().map(|(path, write)| (*path, change(*write))).collect();
        let wire = |write: bool| if write { json!({ "content": "x" }) } else { json!({ "sha": null }) };
        let entries = list.iter().map(|(_, write)| Entry { wire: wire(*write), weight: 0 }).collect();
        let (first, then) = in_turns(&changes, entries);
        (first.len(), then.len())
    }

    #[test]
    fn deletions_go_first_only_where_a_file_and_a_directory_change_places() {
        assert_eq!(turns(&[("dir/a", false), ("other/a", true)]), (0, 2));
        assert_eq!(turns(&[("dir", true), ("dir/a", false), ("dir/b", false)]), (2, 1));
        assert_eq!(turns(&[("file", false), ("file/a", true)]), (1, 1));
        assert_eq!(turns(&[("dir", true), ("dir-x/a", false)]), (0, 2));
    }

    #[test]
    fn a_request_has_a_limit_of_entries_and_of_content() {
        let entries = |weights: &[usize]| -> Vec<Entry> {
            weights.iter().map(|weight| Entry { wire: Value::Null, weight: *weight }).collect()
        };

        assert_eq!(fitting(&entries(&[1; 250]), MAX_ENTRIES), 100);
        assert_eq!(fitting(&entries(&[MAX_CONTENT / 2; 10]), MAX_ENTRIES), 2);
        assert_eq!(fitting(&entries(&[MAX_CONTENT + 1, 1]), MAX_ENTRIES), 1);
    }

    #[test]
    fn only_text_that_survives_travels_inside_a_tree() {
        let plain = |bytes: &'static [u8]| plain(&Bytes::from_static(bytes)).is_some();

        assert!(plain("a: ü\r\n".as_bytes()));
        assert!(!plain(b"") && !plain(b"\xff") && !plain(b"a\0b"));
    }
}
