//! Merging a pull request: as a merge commit, squashed or rebased.

use super::git_data::signature;
use super::pulls::Pull;
use super::push::{NotMoved, Wanted, push};
use super::refs;
use super::reply::Reply;
use super::store::{Commit, Stamp};
use super::world::{Repo, World};

/// How a pull request is merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Merge,
    Squash,
    Rebase,
}

/// The tree that a merge would have; `None` on a conflict.
pub(super) fn tree(repo: &Repo, pull: &Pull) -> Option<String> {
    repo.store.merge_trees(None, &pull.base_sha, &pull.head_sha)
}

/// Merges and gives the new head of the base branch.
pub(super) fn merge(world: &mut World, at: usize, place: usize, login: &str, method: Method) -> Result<String, Reply> {
    let now = world.now();
    let pull = world.repos[at].pulls[place].clone();
    let not_mergeable = || Reply::refused(405, "Pull Request is not mergeable");
    if !pull.open || pull.draft {
        return Err(not_mergeable());
    }
    let repo = &world.repos[at];
    let tree = tree(repo, &pull).ok_or_else(not_mergeable)?;
    let email = format!("{login}@users.noreply.github.com");
    let author = Stamp { name: login.to_owned(), email, at: now, offset: 0 };
    let github = Stamp { name: "GitHub".to_owned(), email: "noreply@github.com".to_owned(), ..author.clone() };
    let made = |parents: Vec<String>, message: String| {
        let (author, committer) = (author.clone(), github.clone());
        let mut commit = Commit { tree: tree.clone(), parents, author, committer, signature: None, message };
        commit.signature = Some(signature(&commit));
        repo.store.write_commit(&commit)
    };
    let sha = match method {
        Method::Merge => {
            let (number, title) = (pull.number, &pull.title);
            let message = format!("Merge pull request #{number} from {}/{}\n\n{title}", repo.owner, pull.head);
            made(vec![pull.base_sha.clone(), pull.head_sha.clone()], message)
        }
        Method::Squash => {
            let subjects = squashed(repo, &pull);
            made(vec![pull.base_sha.clone()], format!("{} (#{})\n\n{subjects}", pull.title, pull.number))
        }
        Method::Rebase => rebased(repo, &pull, &github).ok_or_else(not_mergeable)?,
    };
    let name = format!("refs/heads/{}", pull.base);
    let wanted = Wanted { name, to: sha.clone(), before: Some(pull.base_sha), force: false, merges: true };
    push(world, at, login, &[wanted]).map_err(|reason| match reason {
        NotMoved::Against(violation) => Reply { status: 405, ..violation.reply() },
        NotMoved::Stale { .. } => Reply::refused(405, "Base branch was modified. Review and try the merge again."),
        other => refs::refused(&other),
    })?;
    let pull = &mut world.repos[at].pulls[place];
    (pull.open, pull.merged, pull.closed, pull.updated) = (false, Some(sha.clone()), Some(now), now);
    Ok(sha)
}

/// The commits of a pull request, oldest first.
fn commits(repo: &Repo, pull: &Pull) -> Vec<Commit> {
    let mut found = repo.store.log(&[&pull.head_sha, &format!("^{}", pull.base_sha)], None);
    found.reverse();
    found.iter().filter_map(|sha| repo.store.commit(sha)).collect()
}

fn squashed(repo: &Repo, pull: &Pull) -> String {
    let commits = commits(repo, pull);
    match commits.as_slice() {
        [only] => only.message.split_once("\n\n").map(|(_, body)| body.to_owned()).unwrap_or_default(),
        several => several.iter().map(|commit| format!("* {}\n", commit.message.trim_end())).collect(),
    }
}

/// Every commit again on the base; merges are left out.
fn rebased(repo: &Repo, pull: &Pull, committer: &Stamp) -> Option<String> {
    let mut head = pull.base_sha.clone();
    let ours = commits(repo, pull);
    for commit in ours.iter().filter(|commit| commit.parents.len() == 1) {
        let whole = repo.store.write_commit(commit);
        let tree = repo.store.merge_trees(Some(&commit.parents[0]), &head, &whole)?;
        let parents = vec![head];
        let again = Commit { tree, parents, committer: committer.clone(), signature: None, ..commit.clone() };
        head = repo.store.write_commit(&again);
    }
    Some(head)
}
