//! Repositories: where the fabric directories live. One trait, one contract suite, several kinds.

mod changes;
pub mod git;
pub mod github;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use secrecy::SecretString;
use url::Url;

use crate::domain::edit::{CommitMessage, Edits, Mode, Tree, TreeEntry};
use crate::domain::lease::{LeaseLost, LeaseProof};
use crate::domain::names::{BranchName, Oid, RunId};
use crate::domain::path::RepoPath;
use crate::domain::proposal::{Proposal, Review};

/// One repository, of any kind. All methods may be repeated; only `commit`,
/// `propose`, `withdraw`, `set_up_webhook` and `report_status` change anything.
#[async_trait]
pub trait Repository: Send + Sync {
    /// The branch's head as the server has it now; `None` when the branch does not exist or the repository is empty.
    async fn head(&self, branch: &BranchName) -> Result<Option<Oid>, Error>;

    /// Every file of a commit below `directory`, complete or an error; empty when the directory does not exist. A file whose
    /// name cannot be a path is there too, as misnamed.
    async fn tree(&self, commit: &Oid, directory: &RepoPath) -> Result<Tree, Error>;

    /// The name of a commit's author, as the commit has it; `None` where it has none.
    async fn author(&self, commit: &Oid) -> Result<Option<String>, Error>;

    /// The content of blobs, each exactly as Git has it; an error names a blob that is missing.
    async fn read(&self, blobs: &[Oid]) -> Result<BTreeMap<Oid, Bytes>, Error>;

    /// Puts one commit with these edits on the branch, whose head must still be `base` (`None`: must not exist).
    ///
    /// Atomic: the branch moves from `base` to the new commit or not at all. Returns the commit once the head was seen
    /// to be it or to contain it. `Error::HeadMoved` when the head is no longer `base`; `Error::Uncertain` when the
    /// server may or may not have taken it: look with `find_run` before trying again.
    async fn commit(
        &self,
        proof: &LeaseProof,
        base: Option<&Oid>,
        edits: &Edits,
        message: &CommitMessage,
    ) -> Result<Oid, Error>;

    /// The commit with this run's trailer that is reachable from the branch's head but not from `since`.
    async fn find_run(&self, branch: &BranchName, since: Option<&Oid>, run: &RunId) -> Result<Option<Oid>, Error>;

    /// How the history up to `head`, which is there, stands to a commit that was the branch's head before.
    async fn history(&self, known: &Oid, head: &Oid) -> Result<History, Error>;

    /// Puts the edits up for review in place of a commit on the target's branch, whose head is `base`.
    ///
    /// There is one rolling branch and one rolling pull request for each target. `last` is what the call before returned;
    /// it is rebuilt on `base`, unless it says the same already. Nobody else's commits are ever overwritten. Where the
    /// server has no such thing, `Error::Refused`.
    async fn propose(
        &self,
        proof: &LeaseProof,
        _base: &Oid,
        _edits: &Edits,
        (_message, _last): (&CommitMessage, Option<&Proposal>),
    ) -> Result<Review, Error> {
        let detail = "this kind of repository has no pull requests".to_owned();
        Err(Error::Refused { branch: proof.target().branch.clone(), detail })
    }

    /// Closes a proposal that has nothing left to say; does nothing where it is closed, or somebody else works on it.
    async fn withdraw(&self, _proof: &LeaseProof, _last: &Proposal) -> Result<(), Error> {
        Ok(())
    }

    /// Tells that this commit was the branch's head lately, as another process saw it: a server that answers from replicas
    /// may still show an older one for a while, in which files that were just written look deleted.
    fn expect_head(&self, _branch: &BranchName, _head: &Oid) {}

    /// When the credentials in use end, as the server tells it; `None` when they do not end or nobody knows.
    fn expires(&self) -> Option<SystemTime> {
        None
    }

    /// What the server's rules and permissions say against a commit on this branch, a sentence each; it writes nothing,
    /// and tells nothing where the server keeps such things to itself.
    async fn obstacles(&self, _branch: &BranchName, _exists: bool) -> Result<Vec<String>, Error> {
        Ok(Vec::new())
    }

    /// How the server tells a receiver of pushes; `None` where that is not known through an API.
    async fn webhook(&self, _receiver: &Url) -> Result<Option<HookState>, Error> {
        Ok(None)
    }

    /// Makes the server tell a receiver of pushes, or mends how it does; `None` where that is not done through an API.
    async fn set_up_webhook(&self, _webhook: &Webhook) -> Result<Option<HookEffect>, Error> {
        Ok(None)
    }

    /// Asks the server to send again what a receiver never got; returns how many deliveries. Zero where nobody keeps them.
    async fn ask_again(&self, _receiver: &Url) -> Result<usize, Error> {
        Ok(0)
    }

    /// Shows a report beside a commit. Does nothing where the server has no place for it.
    async fn report_status(&self, _commit: &Oid, _report: &StatusReport) -> Result<(), Error> {
        Ok(())
    }
}

/// How a history stands to an earlier commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum History {
    /// The commit is in it.
    Contains,
    /// It is not, but both have a commit in common.
    Rewritten,
    /// They have nothing in common, or the commit is not there any more.
    Unrelated,
}

/// One file as a repository names it.
struct Named {
    name: Vec<u8>,
    mode: Mode,
    blob: Oid,
    size: Option<u64>,
}

/// The tree of these files, as far as they are below a directory. A tree without the misnamed ones would be a lie.
fn tree_of(files: impl IntoIterator<Item = Named>, directory: &RepoPath) -> Tree {
    let mut tree = Tree::new();
    let mut misnamed = Vec::new();
    for Named { name, mode, blob, size } in files {
        let path = str::from_utf8(&name).map_err(|_| "it is not UTF-8".to_owned());
        match path.and_then(|name| RepoPath::new(name).map_err(|bad| bad.reason.to_owned())) {
            Ok(path) => drop(tree.insert(path, TreeEntry { mode, blob, size, misnamed: None })),
            Err(why) => misnamed.push((RepoPath::escaped(&name), TreeEntry { mode, blob, size, misnamed: Some(why) })),
        }
    }
    for (shown, entry) in misnamed {
        tree.entry(shown).or_insert(entry);
    }
    tree.retain(|path, _| path.below(directory).is_some());
    tree
}

/// The webhook that a repository should have.
pub struct Webhook {
    pub receiver: Url,
    pub secret: SecretString,
    /// Only find out what would be done.
    pub dry_run: bool,
}

/// What setting up a webhook does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookEffect {
    Created,
    /// These were wrong.
    Mended(Vec<&'static str>),
    /// It was right, as far as it can be seen; its secret is set all the same.
    Unchanged,
}

/// A webhook as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookState {
    /// None leads to the receiver.
    Missing,
    Found {
        /// What is not as it should be, by name.
        wrong: Vec<&'static str>,
        /// HTTP status of the last delivery of a push, 0 when nobody answered; `None` before the first.
        last: Option<u16>,
    },
}

/// What the server shows beside a commit, where it has such a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusReport {
    pub state: StatusState,
    /// One line for people; cut off at 140 characters.
    pub description: String,
    /// Where the whole story is.
    pub target_url: Option<Url>,
    /// Told apart from other services' reports by this; a later report with the same one takes an earlier one's place.
    pub context: String,
}

/// How a commit fared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusState {
    Pending,
    Success,
    /// Something in the commit could not be used.
    Failure,
    /// We could not do our work.
    Error,
}

/// What a repository can answer instead of a result. A variant for each choice that the caller has.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Plan again on the new head.
    #[error("the head of {branch} moved to {}", now.as_ref().map_or("nothing (the branch is gone)", |oid| oid.as_str()))]
    HeadMoved { branch: BranchName, now: Option<Oid> },
    /// Look for the run before trying again.
    #[error("the outcome of the push to {branch} is not known: {detail}")]
    Uncertain { branch: BranchName, detail: String },
    /// A person, or another delivery, must help: protected branch, rule, hook.
    #[error("the server refused the push to {branch}: {detail}")]
    Refused { branch: BranchName, detail: String },
    /// Credentials are missing, wrong or not enough.
    #[error("access to {remote} was denied: {detail}")]
    Denied { remote: String, detail: String },
    /// There is no such repository (or the credentials do not show it).
    #[error("{remote} is not a repository that we can see: {detail}")]
    NotFound { remote: String, detail: String },
    /// Try again later; `after` when the server said when.
    #[error("{remote} could not be reached: {detail}")]
    Unavailable { remote: String, detail: String, after: Option<Duration> },
    /// A blob, tree or commit that should be there is not.
    #[error("object {oid} is not in {remote}")]
    Missing { remote: String, oid: Oid },
    /// This machine is the trouble: no git, no space, no permission for the cache.
    #[error("{doing} failed on this machine: {detail}")]
    Local { doing: &'static str, detail: String },
    #[error(transparent)]
    Lease(#[from] LeaseLost),
}
