//! The first commit of an empty repository.
//!
//! GitHub takes no Git objects into a repository without a branch; only its Contents API can make the first commit, and
//! that with one file. So one file goes first that way. When there are more, the whole commit is made beside it, without
//! a parent, and takes its place by a strict swap: for that moment the branch shows one file of the commit, and if we are
//! killed then, the next run finds that file and goes on from it. Where that swap is not to be had, because a rule forbids
//! what is not a fast-forward or there is no GraphQL, the whole commit follows the first one.

use std::time::SystemTime;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::call::Call;
use super::heads::Heads;
use super::http::{Http, NoAnswer};
use super::objects::{self, Maker, NotMade};
use super::runs;
use super::swap::{How, Swap, Swapper, moved, uncertain};
use super::transport::Reply;
use super::{answer, refusal};
use crate::domain::edit::CommitMessage;
use crate::domain::names::{BranchName, Oid};
use crate::repo::Error;
use crate::repo::changes::{Change, Changes, Files};

/// The message of a first commit that another takes the place of. It names no run, so that nobody takes it for one.
const BEGINNING: &str = "Begin the repository\n\nGitHub takes the first commit of a repository file by file; the whole one follows at once.\n";

/// What beginning a repository needs.
pub(super) struct Beginner<'a> {
    pub http: &'a Http,
    pub heads: &'a Heads,
    pub maker: &'a Maker<'a>,
    pub swapper: &'a Swapper<'a>,
}

/// A commit that the Contents API made.
struct First {
    commit: Oid,
    /// Somebody else's commits are below it: the repository is no longer empty.
    has_parents: bool,
    /// On our branch, or only on the repository's default branch.
    on_branch: bool,
}

impl Beginner<'_> {
    /// Makes the branch with one commit of these changes.
    pub async fn begin(&self, changes: &Changes<'_>, message: &CommitMessage) -> Result<Oid, Error> {
        let branch = self.maker.branch;
        let written = |change: (&&'_ str, &Change<'_>)| match change.1 {
            Change::Write { bytes, .. } => Some(((*change.0).to_owned(), Bytes::clone(bytes))),
            Change::Delete => None,
        };
        let Some((path, bytes)) = changes.iter().find_map(written) else {
            return Err(Error::Local { doing: "making a commit", detail: "there is nothing to commit".to_owned() });
        };
        let is_all = changes.len() == 1;
        let text = if is_all { message.text.as_str() } else { BEGINNING };
        let first = self.first(&path, &bytes, &CommitMessage { text: text.to_owned(), ..message.clone() }).await?;
        if first.has_parents {
            return Err(moved(branch, Some(first.commit)));
        }
        if is_all && first.on_branch {
            let swap = Swap { branch, base: None, ours: &first.commit, how: How::OnTop };
            return self.swapper.confirm(swap).await;
        }
        let tree = self.maker.tree(None, &Files::new(), changes).await.map_err(|failed| self.still_empty(failed))?;
        let ours = self.maker.commit(&tree, None, message).await.map_err(|failed| self.still_empty(failed))?;
        if !first.on_branch {
            return self.swapper.swap(Swap { branch, base: None, ours: &ours, how: How::OnTop }).await;
        }
        let base = Some(&first.commit);
        match self.swapper.swap(Swap { branch, base, ours: &ours, how: How::InPlace }).await {
            Err(Error::Refused { .. } | Error::Unavailable { after: None, .. }) => {
                let ours = self.maker.commit(&tree, base, message).await.map_err(|failed| self.still_empty(failed))?;
                self.swapper.swap(Swap { branch, base, ours: &ours, how: How::OnTop }).await
            }
            done => done,
        }
    }

    /// <https://docs.github.com/en/rest/repos/contents#create-or-update-file-contents>
    async fn first(&self, path: &str, bytes: &Bytes, message: &CommitMessage) -> Result<First, Error> {
        let branch = self.maker.branch;
        let reply = self.put(path, bytes, message, Some(branch)).await?;
        match reply.status {
            StatusCode::CREATED | StatusCode::OK => self.made(&reply, true),
            // An empty repository whose default branch is another one.
            StatusCode::NOT_FOUND => {
                let reply = self.put(path, bytes, message, None).await?;
                match reply.status {
                    StatusCode::CREATED | StatusCode::OK => self.made(&reply, false),
                    _ => Err(self.refused(&reply).await),
                }
            }
            _ => Err(self.refused(&reply).await),
        }
    }

    async fn put(
        &self,
        path: &str,
        bytes: &Bytes,
        message: &CommitMessage,
        branch: Option<&BranchName>,
    ) -> Result<Reply, Error> {
        let now = SystemTime::now();
        let mut body = json!({
            "message": message.text,
            "content": BASE64_STANDARD.encode(bytes),
            "author": objects::person(&message.author, now),
            "committer": objects::person(&message.committer, now),
        });
        if let Some(branch) = branch {
            body["branch"] = json!(branch);
        }
        self.maker.proof.require(self.http.write_limit())?;
        let call = Call::of(Method::PUT, ["contents"].into_iter().chain(path.split('/'))).body(&body);
        match self.http.send(&call).await {
            Ok(reply) if reply.status.is_server_error() => self.after_silence(message, answer::words(&reply)).await,
            Ok(reply) => Ok(reply),
            Err(NoAnswer::NotDone(error)) => Err(error),
            Err(NoAnswer::Lost(words)) => self.after_silence(message, words).await,
        }
    }

    /// The branch tells whether the file was written, but not yet whether it never will be.
    async fn after_silence(&self, message: &CommitMessage, words: String) -> Result<Reply, Error> {
        let branch = self.maker.branch;
        let now = self.heads.look_anew(self.http, branch).await;
        match now {
            Ok(Some(head)) => match runs::find(self.http, &head, None, &message.run).await {
                Ok(Some(_)) => Err(uncertain(branch, words)),
                Ok(None) => Err(moved(branch, Some(head))),
                Err(error) => Err(uncertain(branch, format!("{words}; then {error}"))),
            },
            Ok(None) => Err(uncertain(branch, words)),
            Err(error) => Err(uncertain(branch, format!("{words}; then {error}"))),
        }
    }

    fn made(&self, reply: &Reply, on_branch: bool) -> Result<First, Error> {
        #[derive(Deserialize)]
        struct Made {
            commit: Commit,
        }
        #[derive(Deserialize)]
        struct Commit {
            sha: Oid,
            #[serde(default)]
            parents: Vec<serde_json::Value>,
        }
        let made: Made = self.http.parse(&Call::of(Method::PUT, ["contents"]), reply)?;
        Ok(First { commit: made.commit.sha, has_parents: !made.commit.parents.is_empty(), on_branch })
    }

    async fn refused(&self, reply: &Reply) -> Error {
        let branch = self.maker.branch;
        let words = answer::words(reply);
        if refusal::is_refusal(&words) {
            return Error::Refused { branch: branch.clone(), detail: words };
        }
        if let StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY = reply.status {
            // The file is there already: somebody else began the repository.
            return match self.heads.look_anew(self.http, branch).await {
                Ok(Some(now)) => moved(branch, Some(now)),
                Ok(None) => self.http.unavailable(words),
                Err(error) => error,
            };
        }
        self.http.write_failure(&Call::of(Method::PUT, ["contents"]), reply).await
    }

    fn still_empty(&self, failed: NotMade) -> Error {
        match failed {
            NotMade::Error(error) => error,
            NotMade::EmptyRepository => {
                self.http.unavailable("it has its first commit, but still takes no objects".to_owned())
            }
        }
    }
}
