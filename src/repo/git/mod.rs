//! Repositories behind any remote that speaks Git, driven through the `git` command (2.34 or newer).
//!
//! Reading: `head` asks the remote. Everything else goes through a disposable bare cache that holds commits and trees;
//! blobs are fetched in bulk when they are read. Writing: one `git fast-import` on top of the base commit, without a
//! work tree, then one push that the server takes only while the branch is still at the base.
//!
//! Nothing in the cache is precious: it is built again when it is missing, broken or of another remote. SHA-1
//! repositories only, as GitHub, GitLab and Gitea serve them.

mod cache;
mod command;
mod compose;
mod credentials;
mod failure;
mod objects;
mod push;
mod remote;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::{Error, History, Named, Repository, tree_of};
use crate::domain::edit::{CommitMessage, Edits, Tree};
use crate::domain::lease::LeaseProof;
use crate::domain::names::{BranchName, Oid, RunId};
use crate::domain::path::RepoPath;
use cache::Cache;
use command::Git;
use compose::Composed;
use push::Swap;

pub use credentials::Credentials;
pub use remote::{BadRemote, Remote};

/// Where a repository is and how to reach it.
pub struct Options {
    pub remote: Remote,
    /// A directory of our own for this repository; made when missing. Replicas on one machine may share it.
    pub cache: PathBuf,
    pub credentials: Credentials,
    /// Certificate authorities to trust instead of the system's, for https.
    pub ca_file: Option<PathBuf>,
    /// A proxy for http and https; `None` takes the one of the environment (`HTTPS_PROXY`, `NO_PROXY`).
    pub proxy: Option<String>,
    pub timeouts: Timeouts,
}

/// The longest that each kind of `git` call may take before it is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Asking for the branch's head.
    pub look: Duration,
    /// Fetching: a first fetch of a long history takes the longest.
    pub fetch: Duration,
    /// Pushing; a commit needs a lease that lasts longer than this.
    pub push: Duration,
    /// Work on the cache alone, and waiting for another process that uses it.
    pub local: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            look: Duration::from_secs(30),
            fetch: Duration::from_secs(300),
            push: Duration::from_secs(60),
            local: Duration::from_secs(120),
        }
    }
}

/// A repository of kind `git`.
pub struct GitRepository {
    cache: Cache,
}

impl GitRepository {
    /// Checks that `git` is there and that the options fit together; the remote is not asked.
    pub fn open(options: Options) -> Result<Self, Error> {
        command::check_version()?;
        let timeouts = options.timeouts;
        let git = Git::new(options.remote, options.credentials, options.ca_file, options.proxy)?;
        Ok(Self { cache: Cache::new(options.cache, git, timeouts) })
    }
}

/// Runs `$work` with the cache held; once more on a new cache when it fails as a broken cache does.
macro_rules! with_cache {
    ($repository:expr, |$held:ident| $work:expr) => {{
        let mut $held = $repository.cache.hold().await?;
        let result = match $work.await {
            Err(error) if $held.may_be_broken(&error) => {
                tracing::warn!(cache = %$held.dir().display(), %error, "The cache is built again after an error.");
                $held.repair().await?;
                $work.await
            }
            result => result,
        };
        ($held, result)
    }};
}

#[async_trait]
impl Repository for GitRepository {
    async fn head(&self, branch: &BranchName) -> Result<Option<Oid>, Error> {
        self.cache.remote_head(branch).await
    }

    async fn tree(&self, commit: &Oid, directory: &RepoPath) -> Result<Tree, Error> {
        let (_, listed) = with_cache!(self, |held| objects::list_commit(&held, commit, directory));
        let named = |file: objects::Listed| Named { name: file.path, mode: file.mode, blob: file.blob, size: None };
        Ok(tree_of(listed?.into_iter().map(named), directory))
    }

    async fn author(&self, commit: &Oid) -> Result<Option<String>, Error> {
        with_cache!(self, |held| objects::author(&held, commit)).1
    }

    async fn read(&self, blobs: &[Oid]) -> Result<BTreeMap<Oid, Bytes>, Error> {
        with_cache!(self, |held| objects::read(&held, blobs)).1
    }

    async fn commit(
        &self,
        proof: &LeaseProof,
        base: Option<&Oid>,
        edits: &Edits,
        message: &CommitMessage,
    ) -> Result<Oid, Error> {
        let branch = &proof.target().branch;
        let (held, composed) = with_cache!(self, |held| compose::commit(&held, branch, base, edits, message));
        match (composed, base) {
            (Ok(Composed::Commit(ours)), _) => push::push(&held, proof, Swap { branch, base, ours: &ours }).await,
            (Ok(Composed::Nothing), Some(unchanged)) => {
                push::confirm_unmoved(&held, branch, base).await.map(|()| unchanged.clone())
            }
            (Ok(Composed::Nothing), None) => {
                Err(Error::Local { doing: "making a commit", detail: "there is nothing to commit".to_owned() })
            }
            (Err(missing @ Error::Missing { .. }), _) => {
                // A base that the server dropped is no longer the head.
                push::confirm_unmoved(&held, branch, base).await?;
                Err(missing)
            }
            (Err(error), _) => Err(error),
        }
    }

    async fn find_run(&self, branch: &BranchName, since: Option<&Oid>, run: &RunId) -> Result<Option<Oid>, Error> {
        with_cache!(self, |held| objects::find_run(&held, branch, since, run)).1
    }

    async fn history(&self, known: &Oid, head: &Oid) -> Result<History, Error> {
        with_cache!(self, |held| objects::history(&held, known, head)).1
    }
}
