//! Repositories on github.com and GitHub Enterprise Server, over REST and GraphQL: no `git`, no disk.
//!
//! Reading: trees are listed and blobs are read by id, and nothing is asked for twice. Writing: Git objects are made
//! that no branch shows, trees of 200 changes at a time on top of each other; then one compare-and-swap moves the
//! branch. What cannot be settled by looking is `Error::Uncertain`, never a guess.
//!
//! | file | knows |
//! |---|---|
//! | `transport`, `http`, `call`, `graphql`, `answer` | requests: redirects, the token, what answers mean |
//! | `auth`, `jwt`, `expiry`, `pace`, `limits` | tokens, their end and their budget |
//! | `heads`, `listing`, `trees`, `blobs`, `runs` | reading |
//! | `compose`, `entries`, `objects`, `merkle`, `swap`, `begin`, `signed` | writing |
//! | `refusal` | branches that may not be written |
//! | `proposals`, `hooks` | pull requests; the webhook |
//! | `address`, `place`, `capabilities` | where GitHub and the repository are, and what they can do |

mod address;
mod answer;
mod auth;
mod begin;
mod blobs;
mod bounded;
mod call;
mod capabilities;
mod compose;
mod entries;
mod expiry;
mod graphql;
mod heads;
mod hooks;
mod http;
mod jwt;
mod limits;
mod listing;
mod merkle;
mod objects;
pub mod pace;
mod place;
mod proposals;
mod refusal;
mod runs;
mod signed;
mod status;
mod swap;
mod transport;
mod trees;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use url::Url;

use super::changes::{self, Change, Changes, Files};
use super::{Error, History, HookEffect, HookState, Repository, StatusReport, Webhook};
use crate::domain::edit::{CommitMessage, Edits, Tree};
use crate::domain::lease::LeaseProof;
use crate::domain::names::{BranchName, Oid, RunId};
use crate::domain::path::RepoPath;
use crate::domain::proposal::{self, Proposal, Review};
use auth::Authorizer;
use blobs::Blobs;
use capabilities::Capabilities;
use compose::{Planned, Writer};
use heads::Heads;
use http::Http;
use pace::Pace;
use proposals::{Proposer, Proposing, Standing};
use refusal::{Rules, Writing};
use signed::Signer;
use swap::{Swapper, moved};
use transport::Transport;
use trees::Trees;

pub use auth::{Auth, Installations};

/// Where a repository is and how to reach it.
pub struct Options {
    /// `https://api.github.com`, or `https://HOST/api/v3` of GitHub Enterprise Server.
    pub api: Url,
    pub owner: String,
    pub name: String,
    pub auth: Auth,
    /// The tokens of Apps, for all repositories of the process.
    pub installations: Arc<Installations>,
    /// The budget of tokens, for all repositories of the process.
    pub pace: Arc<dyn Pace>,
    /// PEM certificates trusted besides the system's.
    pub ca_file: Option<PathBuf>,
    /// `None` takes the proxy of the environment (`HTTPS_PROXY`, `NO_PROXY`).
    pub proxy: Option<Url>,
    pub timeouts: Timeouts,
    pub signing: Signing,
    pub now: Now,
}

/// The time that an old head is doubted by: the ledger's clock, which tests move.
pub type Now = Arc<dyn Fn() -> Instant + Send + Sync>;

/// How long one request may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    pub connect: Duration,
    /// For a whole read, its body included.
    pub read: Duration,
    /// For a whole write; a commit needs a lease that lasts longer than this.
    pub write: Duration,
}

impl Default for Timeouts {
    /// GitHub itself gives up after ten seconds; the rest is for the way.
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), read: Duration::from_secs(60), write: Duration::from_secs(60) }
    }
}

/// Who signs commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Signing {
    /// Nobody; authors and committers are as the message has them.
    #[default]
    Nobody,
    /// GitHub, in the name of the token's account. A new branch's first commit is not signed.
    GitHub,
}

/// A repository of kind `github`.
pub struct GitHubRepository {
    http: Http,
    signing: Signing,
    heads: Heads,
    trees: Trees,
    blobs: Blobs,
    rules: Rules,
    can: Capabilities,
    /// GitHub wants one write at a time.
    turn: tokio::sync::Mutex<()>,
}

impl GitHubRepository {
    /// Checks the options; nothing is sent yet.
    pub fn open(options: Options) -> Result<Self, Error> {
        let Options { api, owner, name, auth, installations, pace, ca_file, proxy, timeouts, signing, now } = options;
        let transport = Transport::new(api, ca_file.as_deref(), proxy, timeouts)
            .map_err(|detail| Error::Local { doing: "preparing requests to GitHub", detail })?;
        Ok(Self {
            http: Http::new(transport, Authorizer::new(auth, installations), pace, (owner, name)),
            signing,
            heads: Heads::new(now),
            trees: Trees::default(),
            blobs: Blobs::default(),
            rules: Rules::default(),
            can: Capabilities::default(),
            turn: tokio::sync::Mutex::default(),
        })
    }

    fn swapper<'a>(&'a self, proof: &'a LeaseProof) -> Swapper<'a> {
        Swapper { http: &self.http, heads: &self.heads, can: &self.can, proof }
    }

    async fn files(&self, base: Option<&Oid>, edits: &Edits) -> Result<Files, Error> {
        match base {
            Some(base) => self.trees.files(&self.http, base, edits).await,
            None => Ok(Files::new()),
        }
    }

    /// Fails unless the branch is where the edits were planned on.
    async fn confirm_unmoved(&self, branch: &BranchName, base: Option<&Oid>) -> Result<(), Error> {
        let now = self.heads.head(&self.http, branch).await?;
        if now.as_ref() == base { Ok(()) } else { Err(moved(branch, now)) }
    }

    fn remember_blobs(&self, changes: &Changes<'_>) {
        for change in changes.values() {
            if let Change::Write { bytes, .. } = change {
                self.blobs.keep(&Oid::of_blob(bytes), bytes);
            }
        }
    }
}

#[async_trait]
impl Repository for GitHubRepository {
    async fn head(&self, branch: &BranchName) -> Result<Option<Oid>, Error> {
        self.heads.head(&self.http, branch).await
    }

    async fn tree(&self, commit: &Oid, directory: &RepoPath) -> Result<Tree, Error> {
        self.trees.tree(&self.http, commit, directory).await
    }

    async fn author(&self, commit: &Oid) -> Result<Option<String>, Error> {
        self.trees.author(&self.http, commit).await
    }

    async fn read(&self, blobs: &[Oid]) -> Result<BTreeMap<Oid, Bytes>, Error> {
        self.blobs.read(&self.http, &self.can, blobs).await
    }

    async fn commit(
        &self,
        proof: &LeaseProof,
        base: Option<&Oid>,
        edits: &Edits,
        message: &CommitMessage,
    ) -> Result<Oid, Error> {
        let branch = &proof.target().branch;
        let _turn = self.turn.lock().await;
        let files = match self.files(base, edits).await {
            Ok(files) => files,
            Err(missing @ Error::Missing { .. }) => {
                // A base that the server dropped is no longer the head.
                self.confirm_unmoved(branch, base).await?;
                return Err(missing);
            }
            Err(error) => return Err(error),
        };
        let changes = changes::changes(&files, edits);
        changes::refuse_what_is_in_the_way(branch, &files, &changes)?;
        if changes.is_empty() {
            let Some(unchanged) = base else {
                let detail = "there is nothing to commit".to_owned();
                return Err(Error::Local { doing: "making a commit", detail });
            };
            return self.confirm_unmoved(branch, base).await.map(|()| unchanged.clone());
        }
        let signed_on = base.filter(|_| self.signing == Signing::GitHub);
        let writing = Writing { creates: base.is_none(), signed: signed_on.is_some() };
        self.rules.check(&self.http, branch, writing).await?;
        let (http, heads, swapper) = (&self.http, &self.heads, &self.swapper(proof));
        let written = match signed_on {
            Some(base) => match signed::cannot_sign(&files, &changes) {
                Some(detail) => return Err(Error::Refused { branch: branch.clone(), detail }),
                None => Signer { http, heads, swapper, proof, branch }.commit(base, &changes, message).await,
            },
            None => {
                let writer = Writer { http, heads, trees: &self.trees, swapper, proof, branch };
                writer.commit(Planned { base, files: &files, changes: &changes, message }).await
            }
        };
        match &written {
            Ok(_) => self.remember_blobs(&changes),
            Err(Error::Refused { .. }) => self.rules.forget(branch),
            Err(_) => {}
        }
        written
    }

    async fn find_run(&self, branch: &BranchName, since: Option<&Oid>, run: &RunId) -> Result<Option<Oid>, Error> {
        match self.heads.head(&self.http, branch).await? {
            Some(head) => runs::find(&self.http, &head, since, run).await,
            None => Ok(None),
        }
    }

    async fn history(&self, known: &Oid, head: &Oid) -> Result<History, Error> {
        heads::history(&self.http, known, head).await
    }

    async fn propose(
        &self,
        proof: &LeaseProof,
        base: &Oid,
        edits: &Edits,
        (message, last): (&CommitMessage, Option<&Proposal>),
    ) -> Result<Review, Error> {
        let _turn = self.turn.lock().await;
        let branch = &proof.target().branch;
        let swapper = self.swapper(proof);
        let proposer = Proposer { http: &self.http, heads: &self.heads, swapper: &swapper, proof };
        let fingerprint = proposal::fingerprint(edits);
        let standing = match proposer.standing(last, base, &fingerprint).await? {
            Standing::Settled(review) => return Ok(review),
            other => other,
        };
        let files = self.files(Some(base), edits).await?;
        let changes = changes::changes(&files, edits);
        changes::refuse_what_is_in_the_way(branch, &files, &changes)?;
        let planned = Planned { base: Some(base), files: &files, changes: &changes, message };
        let (http, heads, trees) = (&self.http, &self.heads, &self.trees);
        let writer = Writer { http, heads, trees, swapper: &swapper, proof, branch };
        let composed = writer.compose(planned).await.map_err(|failed| failed.on(branch))?;
        self.remember_blobs(&changes);
        let proposing = Proposing { base, ours: &composed.commit, edits: fingerprint, message };
        proposer.show(proposing, standing).await
    }

    async fn withdraw(&self, proof: &LeaseProof, last: &Proposal) -> Result<(), Error> {
        let _turn = self.turn.lock().await;
        let swapper = self.swapper(proof);
        Proposer { http: &self.http, heads: &self.heads, swapper: &swapper, proof }.withdraw(last).await
    }

    fn expect_head(&self, branch: &BranchName, head: &Oid) {
        self.heads.expect(branch, head);
    }

    fn expires(&self) -> Option<SystemTime> {
        self.http.expiry.at()
    }

    async fn obstacles(&self, branch: &BranchName, exists: bool) -> Result<Vec<String>, Error> {
        let mut found = Vec::new();
        if !self.http.may_push().await? {
            found.push("the token may not write to the repository (Contents: write)".to_owned());
        }
        let writing = Writing { creates: !exists, signed: exists && self.signing == Signing::GitHub };
        match self.rules.check(&self.http, branch, writing).await {
            Ok(()) => {}
            Err(Error::Refused { detail, .. }) => found.push(detail),
            Err(error) => return Err(error),
        }
        Ok(found)
    }

    async fn webhook(&self, receiver: &Url) -> Result<Option<HookState>, Error> {
        hooks::state(&self.http, receiver).await.map(Some)
    }

    async fn set_up_webhook(&self, webhook: &Webhook) -> Result<Option<HookEffect>, Error> {
        let _turn = self.turn.lock().await;
        hooks::set_up(&self.http, webhook).await.map(Some)
    }

    async fn ask_again(&self, receiver: &Url) -> Result<usize, Error> {
        let _turn = self.turn.lock().await;
        hooks::ask_again(&self.http, receiver).await
    }

    async fn report_status(&self, commit: &Oid, report: &StatusReport) -> Result<(), Error> {
        let _turn = self.turn.lock().await;
        status::report(&self.http, commit, report).await
    }
}
