//! One commit out of Git objects: what it must look like, and that GitHub made just that.

use std::collections::HashMap;

use super::begin::Beginner;
use super::heads::Heads;
use super::http::Http;
use super::merkle;
use super::objects::{Maker, NotMade};
use super::swap::{How, Swap, Swapper, moved};
use super::trees::Trees;
use crate::domain::edit::{CommitMessage, Mode};
use crate::domain::lease::LeaseProof;
use crate::domain::names::Oid;
use crate::repo::Error;
use crate::repo::changes::{Change, Changes, Files};

/// A commit that is about to be made.
#[derive(Clone, Copy)]
pub(super) struct Planned<'a> {
    /// `None`: the branch must not exist.
    pub base: Option<&'a Oid>,
    /// The base's files, as far as the changes can touch or meet them.
    pub files: &'a Files,
    pub changes: &'a Changes<'a>,
    pub message: &'a CommitMessage,
}

/// Writes commits that nobody signs.
pub(super) struct Writer<'a> {
    pub http: &'a Http,
    pub heads: &'a Heads,
    pub trees: &'a Trees,
    pub swapper: &'a Swapper<'a>,
    pub proof: &'a LeaseProof,
}

/// A commit that was made.
struct Made {
    commit: Oid,
    tree: Oid,
    /// The base's tree.
    root: Option<Oid>,
    /// Its files, where all of the base's are known.
    after: Option<Files>,
}

impl Writer<'_> {
    /// Makes the commit's objects and moves the branch.
    pub async fn commit(&self, planned: Planned<'_>) -> Result<Oid, Error> {
        let Planned { base, changes, .. } = planned;
        let branch = &self.proof.target().branch;
        let made = match self.make(planned).await {
            Ok(made) => made,
            Err(NotMade::EmptyRepository) if base.is_none() => return self.begin(planned).await,
            Err(failed) => return Err(self.not_made(failed)),
        };
        let taken = self.swapper.swap(Swap { branch, base, ours: &made.commit, how: How::OnTop }).await?;
        self.trees.remember_root(&made.commit, &made.tree);
        if let Some(after) = made.after {
            self.trees.remember_files(&made.tree, &after, made.root.as_ref(), &sizes(changes));
        }
        Ok(taken)
    }

    /// Makes a commit that no branch shows yet.
    pub async fn unshown(&self, planned: Planned<'_>) -> Result<Oid, Error> {
        self.make(planned).await.map(|made| made.commit).map_err(|failed| self.not_made(failed))
    }

    async fn make(&self, planned: Planned<'_>) -> Result<Made, NotMade> {
        let Planned { base, files, changes, message } = planned;
        let maker = Maker { http: self.http, proof: self.proof };
        let root = match base {
            Some(base) => Some(self.trees.root(self.http, base).await?),
            None => None,
        };
        let after = after(root.as_ref(), files, changes);
        if after.as_ref().is_some_and(Files::is_empty) {
            let detail = "the commit would leave no file at all, and GitHub's API makes no empty tree".to_owned();
            return Err(Error::Refused { branch: self.proof.target().branch.clone(), detail }.into());
        }
        let base_tree = root.as_ref().filter(|_| after.is_none() || !replaces_everything(files, changes));
        let tree = maker.tree(base_tree, files, changes).await?;
        if let Some(after) = &after {
            self.prove(&tree, after).await?;
        }
        let commit = maker.commit(&tree, base, message).await?;
        Ok(Made { commit, tree, root, after })
    }

    /// Fails unless the tree has these files and no others.
    async fn prove(&self, tree: &Oid, files: &Files) -> Result<(), Error> {
        // The id tells it without a request. Only an implementation that keeps directories without files has another one.
        if merkle::tree_id(files) == *tree || self.trees.files_of(self.http, tree).await?.as_ref() == Some(files) {
            return Ok(());
        }
        Err(self.http.unavailable(format!("GitHub made the tree {tree}, which is not the one that was meant")))
    }

    async fn begin(&self, planned: Planned<'_>) -> Result<Oid, Error> {
        let maker = &Maker { http: self.http, proof: self.proof };
        let beginner = Beginner { http: self.http, heads: self.heads, maker, swapper: self.swapper, proof: self.proof };
        beginner.begin(planned.changes, planned.message).await
    }

    /// A repository that was not empty and is now has lost its branches.
    fn not_made(&self, failed: NotMade) -> Error {
        match failed {
            NotMade::EmptyRepository => moved(&self.proof.target().branch, None),
            NotMade::Error(error) => error,
        }
    }
}

/// The files of the new tree; `None` where the base is too large to be known whole, or not as Git stores it today.
fn after(root: Option<&Oid>, files: &Files, changes: &Changes<'_>) -> Option<Files> {
    if root.is_some_and(|root| merkle::tree_id(files) != *root) {
        return None;
    }
    let mut after = files.clone();
    for (path, change) in changes {
        match change {
            Change::Delete => {
                after.remove(path.as_bytes());
            }
            Change::Write { executable, bytes } => {
                let mode = if *executable { Mode::Executable } else { Mode::File };
                after.insert(path.as_bytes().to_vec(), (mode, Oid::of_blob(bytes)));
            }
        }
    }
    Some(after)
}

/// Whether no file stays: then the new tree needs no base, and GitHub makes no tree without files on the way.
fn replaces_everything(files: &Files, changes: &Changes<'_>) -> bool {
    files.keys().all(|path| str::from_utf8(path).is_ok_and(|path| matches!(changes.get(path), Some(Change::Delete))))
}

fn sizes(changes: &Changes<'_>) -> HashMap<Oid, u64> {
    let size = |change: &Change<'_>| match change {
        Change::Write { bytes, .. } => Some((Oid::of_blob(bytes), bytes.len() as u64)),
        Change::Delete => None,
    };
    changes.values().filter_map(size).collect()
}
