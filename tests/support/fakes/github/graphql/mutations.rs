//! What changes: `updateRefs`, `createRef` and `createCommitOnBranch`.

use serde_json::Value;

use super::Failure;
use super::fields::{Node, Resolved, find_repo, ref_by_id, repo_by_id};
use crate::support::fakes::github::access::{Level, Permission};
use crate::support::fakes::github::body::Members;
use crate::support::fakes::github::git_data::signature;
use crate::support::fakes::github::push::{NotMoved, Wanted, push};
use crate::support::fakes::github::server::Asked;
use crate::support::fakes::github::show;
use crate::support::fakes::github::store::{Change, Commit, Stamp, ZERO};
use crate::support::fakes::github::world::World;

/// Name and mail of the committer when GitHub itself commits.
const GITHUB: (&str, &str) = ("GitHub", "noreply@github.com");

pub(super) fn mutate(world: &mut World, asked: &Asked, name: &str, input: &Value) -> Result<Resolved, Failure> {
    let id = ("clientMutationId", Resolved::Scalar(input["clientMutationId"].clone()));
    let (payload, mut members) = match name {
        "updateRefs" => ("UpdateRefsPayload", update_refs(world, asked, input)?),
        "createRef" => ("CreateRefPayload", create_ref(world, asked, input)?),
        _ => ("CreateCommitOnBranchPayload", commit(world, asked, input)?),
    };
    members.push(id);
    Ok(Resolved::Object(Node::Bag(payload, members)))
}

type Members_ = Vec<(&'static str, Resolved)>;

fn must_write(world: &World, asked: &Asked) -> Result<(), Failure> {
    let token = world.token(asked);
    match token.can(Permission::Contents, Level::Write) {
        true => Ok(()),
        false => Err(Failure::new("FORBIDDEN", format!("Resource not accessible by {}", token.described()))),
    }
}

fn update_refs(world: &mut World, asked: &Asked, input: &Value) -> Result<Members_, Failure> {
    let repo = repo_by_id(world, asked, input.text("repositoryId").unwrap_or_default())?;
    must_write(world, asked)?;
    let updates = input["refUpdates"].as_array().cloned().unwrap_or_default();
    let wanted: Vec<Wanted> = updates
        .iter()
        .map(|update| Wanted {
            name: update.text("name").unwrap_or_default().to_owned(),
            to: update.text("afterOid").unwrap_or_default().to_owned(),
            before: update.text("beforeOid").map(str::to_owned),
            force: update.flag("force").unwrap_or_default(),
            merges: false,
        })
        .collect();
    push(world, repo, &asked.login, &wanted).map_err(|reason| refused(&reason))?;
    Ok(Vec::new())
}

fn create_ref(world: &mut World, asked: &Asked, input: &Value) -> Result<Members_, Failure> {
    let repo = repo_by_id(world, asked, input.text("repositoryId").unwrap_or_default())?;
    must_write(world, asked)?;
    let (name, to) = (input.text("name").unwrap_or_default(), input.text("oid").unwrap_or_default());
    let before = Some(ZERO.to_owned());
    let wanted = Wanted { name: name.to_owned(), to: to.to_owned(), before, force: false, merges: false };
    push(world, repo, &asked.login, &[wanted]).map_err(|reason| match reason {
        NotMoved::Stale { name } => {
            Failure::new("UNPROCESSABLE", format!("A ref named \"{name}\" already exists in the repository."))
        }
        other => refused(&other),
    })?;
    Ok(vec![("ref", Resolved::Object(Node::Ref(repo, name.to_owned(), to.to_owned())))])
}

fn refused(reason: &NotMoved) -> Failure {
    match reason {
        NotMoved::Stale { name } => {
            Failure::new("STALE_DATA", format!("Expected \"{name}\" to point to another object. Pull and try again."))
        }
        NotMoved::NotFastForward { .. } => Failure::new("UNPROCESSABLE", "Update is not a fast forward"),
        NotMoved::InvalidName { name } => Failure::new("UNPROCESSABLE", format!("{name} is not a valid ref name.")),
        NotMoved::NoCommit { sha } => {
            Failure::new("NOT_FOUND", format!("Could not resolve to a Commit with the oid of '{sha}'."))
        }
        NotMoved::Against(violation) => {
            let (kind, words) = violation.graphql();
            Failure::new(kind, words)
        }
    }
}

/// The branch that is meant: its repository and full name.
fn branch(world: &World, asked: &Asked, input: &Value) -> Result<(usize, String), Failure> {
    let branch = &input["branch"];
    match (branch.text("id"), branch.text("repositoryNameWithOwner"), branch.text("branchName")) {
        (Some(id), None, None) => ref_by_id(world, asked, id),
        (None, Some(repo), Some(name)) => {
            let at = find_repo(world, asked, repo).ok_or_else(|| {
                Failure::new("NOT_FOUND", format!("Could not resolve to a Repository with the name '{repo}'."))
            })?;
            // Also a qualified name is understood.
            let name = name.strip_prefix("refs/heads/").unwrap_or(name);
            Ok((at, format!("refs/heads/{name}")))
        }
        _ => Err(Failure::new(
            "UNPROCESSABLE",
            "Either `id` or both of `repositoryNameWithOwner` and `branchName` must be given for the branch.",
        )),
    }
}

fn commit(world: &mut World, asked: &Asked, input: &Value) -> Result<Members_, Failure> {
    let (repo, name) = branch(world, asked, input)?;
    must_write(world, asked)?;
    let store = world.repos[repo].store.clone();
    let expected = input.text("expectedHeadOid").unwrap_or_default().to_owned();
    let head = store.ref_target(&name).ok_or_else(|| {
        Failure::new("NOT_FOUND", "No commit exists with specified expectedHeadOid or the branch does not exist.")
    })?;
    let stale = || {
        let words = format!("Expected branch to point to \"{expected}\" but it did not. Pull and try again.");
        Failure::new("STALE_DATA", words)
    };
    if head != expected {
        return Err(stale());
    }
    let before = store.commit(&head).ok_or_else(stale)?;
    let changes = changes(world, repo, &input["fileChanges"])?;
    let tree = store.change_tree(Some(&before.tree), &changes).map_err(|path| {
        Failure::new(
            "UNPROCESSABLE",
            format!("A path was requested for deletion which does not exist as of commit oid {head}: {path}"),
        )
    })?;
    let (author, email) = world.token(asked).identity();
    let at = world.now();
    let message = &input["message"];
    let body = message.text("body").filter(|body| !body.is_empty()).map(|body| format!("\n\n{body}"));
    let mut commit = Commit {
        tree,
        parents: vec![head.clone()],
        author: Stamp { name: author, email, at, offset: 0 },
        committer: Stamp { name: GITHUB.0.to_owned(), email: GITHUB.1.to_owned(), at, offset: 0 },
        signature: None,
        message: format!("{}{}", message.text("headline").unwrap_or_default(), body.unwrap_or_default()),
    };
    commit.signature = Some(signature(&commit));
    let sha = store.write_commit(&commit);
    let wanted = Wanted { name: name.clone(), to: sha.clone(), before: Some(head), force: false, merges: false };
    push(world, repo, &asked.login, &[wanted]).map_err(|reason| match reason {
        NotMoved::Stale { .. } => stale(),
        other => refused(&other),
    })?;
    Ok(vec![
        ("commit", Resolved::Object(Node::Commit(repo, sha.clone()))),
        ("ref", Resolved::Object(Node::Ref(repo, name, sha))),
    ])
}

fn changes(world: &World, repo: usize, given: &Value) -> Result<Vec<Change>, Failure> {
    let list = |name: &str| given[name].as_array().cloned().unwrap_or_default();
    let path = |value: &Value| value.text("path").unwrap_or_default().to_owned();
    let (additions, deletions) = (list("additions"), list("deletions"));
    if additions.is_empty() && deletions.is_empty() {
        return Ok(Vec::new());
    }
    let paths = additions.iter().chain(&deletions).map(path);
    if let Some(bad) = { paths }.find(|path| path.is_empty() || path.starts_with('/') || path.contains("//")) {
        return Err(Failure::new("UNPROCESSABLE", format!("Path is invalid: {bad:?}")));
    }
    let contents = additions.iter().map(|addition| show::from_base64(addition.text("contents").unwrap_or_default()));
    let contents: Vec<Vec<u8>> = contents.map(Option::unwrap_or_default).collect();
    let shas = if contents.is_empty() { Vec::new() } else { world.repos[repo].store.write_blobs(&contents) };
    // Deletions first: a directory may make way for a file.
    let deleted = deletions.iter().map(|deletion| Change { path: path(deletion), to: None });
    let added = additions.iter().zip(shas).map(|(addition, sha)| {
        // The API cannot say a mode.
        Change { path: path(addition), to: Some(("100644".to_owned(), sha)) }
    });
    Ok(deleted.chain(added).collect())
}
