//! Reads an earlier state of a fabric, and refuses what cannot be gone back to.

use std::collections::BTreeSet;

use crate::domain::edit::Tree;
use crate::domain::key::Key;
use crate::domain::names::Oid;
use crate::domain::rollback::Rollback;
use crate::ledger::types::FabricMemory;
use crate::plan::rollback::{Rewound, differing, rewind};
use crate::repo::{self, History, Repository};

use super::failure::{Failure, error};
use super::gather::Of;

/// The head's tree with the earlier state in it.
///
/// `Failure::Refused` for a commit that is not in the branch's history, and for objects that nobody knows.
pub async fn rewound(
    repository: &dyn Repository,
    of: Of<'_>,
    memory: &FabricMemory,
    (head, now): (Option<&Oid>, &Tree),
    rollback: &Rollback,
) -> Result<Rewound, Failure> {
    let (to, target) = (&rollback.to, &of.fabric.target);
    let refused = |code, message: String, remedy| Err(Failure::Refused(error(code, message, remedy)));
    let unknown = "name a commit of the branch, as `git log` shows it, or a job that made one";
    let Some(head) = head else {
        return refused("unknown_commit", format!("{target} has no commit yet, so none to go back to"), unknown);
    };
    let then = match repository.tree(to, &of.fabric.directory).await {
        Err(repo::Error::Missing { .. }) => {
            return refused("unknown_commit", format!("the repository of {target} has no commit {to}"), unknown);
        }
        tree => tree?,
    };
    if repository.history(to, head).await? != History::Contains {
        let message = format!("the commit {to} is not in the history of {target}");
        return refused("commit_elsewhere", message, unknown);
    }
    if then.is_empty() {
        // Where the directory has moved since, an earlier state stands in another place.
        let message = format!("the commit {to} has nothing in the directory `{}`", of.fabric.directory);
        return refused("no_directory", message, "name a commit in which the fabric has this directory");
    }
    let differing = differing(&of.fabric.directory, &then, now);
    let blobs = differing.iter().flat_map(|file| file.now.iter().chain(file.then.as_ref().map(|entry| &entry.blob)));
    let blobs: BTreeSet<Oid> = blobs.cloned().collect();
    let contents = repository.read(&blobs.into_iter().collect::<Vec<_>>()).await?;
    let rewound = rewind(of.catalogue, now, &differing, &contents, &rollback.objects);
    let is_known = |key: &&Key| rewound.objects.contains_key(*key) || memory.base.contains_key(*key);
    let strangers: Vec<String> =
        rollback.objects.iter().filter(|key| !is_known(key)).map(|key| key.to_string()).collect();
    if !strangers.is_empty() {
        let message = format!("neither the commit {to} nor {target} now has {}", strangers.join(", "));
        return refused("unknown_object", message, "name objects as GET /api/v1/fabrics/{name} and the jobs show them");
    }
    Ok(rewound)
}
