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
use super::call::Call;
use super::entries::{self, Entry, MAX_ENTRIES};
use super::http::{Http, NoAnswer};
use super::swap::moved;
use super::transport::Reply;
use crate::domain::edit::{CommitMessage, Signature};
use crate::domain::lease::LeaseProof;
use crate::domain::names::{BranchName, Oid};
use crate::repo::Error;
use crate::repo::changes::{self, Change, Changes, Files};

/// How often a commit object is asked for.
const TRIES: usize = 3;

/// Why there is no object.
#[derive(Debug)]
pub(super) enum NotMade {
    /// GitHub takes no objects into a repository without a commit.
    EmptyRepository,
    Error(Error),
}

impl NotMade {
    /// The error where the branch is known to have had a commit: the repository has lost it.
    pub(super) fn on(self, branch: &BranchName) -> Error {
        match self {
            Self::EmptyRepository => moved(branch, None),
            Self::Error(error) => error,
        }
    }
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
    /// What it is for, as errors name it.
    pub branch: &'a BranchName,
}

/// An object that was made, or is its part.
#[derive(Deserialize)]
struct Made {
    sha: Oid,
}

impl Maker<'_> {
    /// The tree with the changes on top of `base`: one request for every [`MAX_ENTRIES`] changes.
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
        let (first, then) = entries::in_turns(changes, entries);
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
            let take = entries::fitting(rest, *limit);
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
        if let Some(text) = entries::plain(bytes) {
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
                branch: self.branch.clone(),
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
