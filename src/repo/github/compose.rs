//! One commit out of Git objects: what it must look like, and that GitHub made just that.

use std::collections::HashMap;

use super::begin::Beginner;
use super::heads::Heads;
use super::http::Http;
use super::merkle;
use super::objects::{Maker, NotMade};
use super::swap::{How, Swap, Swapper};
use super::trees::Trees;
use crate::domain::edit::{CommitMessage, Mode};
use crate::domain::lease::LeaseProof;
use crate::domain::names::{BranchName, Oid};
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
    pub branch: &'a BranchName,
}

/// A commit that no branch shows yet.
pub(super) struct Composed {
    pub commit: Oid,
    tree: Oid,
    /// The tree that it was made from.
    root: Option<Oid>,
    /// All files of the tree, where they are known.
    files: Option<Files>,
}

impl Writer<'_> {
    /// Makes the commit's objects and moves the branch.
    pub async fn commit(&self, planned: Planned<'_>) -> Result<Oid, Error> {
        let Planned { base, changes, message, .. } = planned;
        let composed = match self.compose(planned).await {
            Ok(composed) => composed,
            Err(NotMade::EmptyRepository) if base.is_none() => {
                let maker = &self.maker();
                let beginner = Beginner { http: self.http, heads: self.heads, maker, swapper: self.swapper };
                return beginner.begin(changes, message).await;
            }
            Err(failed) => return Err(failed.on(self.branch)),
        };
        let swap = Swap { branch: self.branch, base, ours: &composed.commit, how: How::OnTop };
        let taken = self.swapper.swap(swap).await?;
        self.trees.remember_root(&composed.commit, &composed.tree);
        if let Some(files) = &composed.files {
            self.trees.remember_files(&composed.tree, files, composed.root.as_ref(), &sizes(changes));
        }
        Ok(taken)
    }

    /// Makes the commit and everything in it, and proves by its tree's id that GitHub made what was meant.
    pub async fn compose(&self, planned: Planned<'_>) -> Result<Composed, NotMade> {
        let Planned { base, files, changes, message } = planned;
        let maker = self.maker();
        let root = match base {
            Some(base) => Some(self.trees.root(self.http, base).await?),
            None => None,
        };
        let after = after(root.as_ref(), files, changes);
        if after.as_ref().is_some_and(Files::is_empty) {
            let detail = "the commit would leave no file at all, and GitHub's API makes no empty tree".to_owned();
            return Err(NotMade::Error(Error::Refused { branch: self.branch.clone(), detail }));
        }
        let base_tree = root.as_ref().filter(|_| after.is_none() || !replaces_everything(files, changes));
        let tree = maker.tree(base_tree, files, changes).await?;
        if after.as_ref().is_some_and(|after| merkle::tree_id(after) != tree) {
            let words = format!("GitHub made the tree {tree}, which is not the one that was meant");
            return Err(NotMade::Error(self.http.unavailable(words)));
        }
        let commit = maker.commit(&tree, base, message).await?;
        Ok(Composed { commit, tree, root, files: after })
    }

    fn maker(&self) -> Maker<'_> {
        Maker { http: self.http, proof: self.proof, branch: self.branch }
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
