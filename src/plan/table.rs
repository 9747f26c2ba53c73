//! The decision table: for each key, what brings both sides together without overwriting anybody's work unseen.

use super::layout::managed_path;
use super::standing::{Standing, not_read};
use super::{NetBoxWrite, Sides};
use crate::domain::document::{Document, Shared};
use crate::domain::fate::{Effect, Reason};
use crate::domain::key::Key;
use crate::domain::kind::Catalogue;
use crate::domain::path::RepoPath;
use crate::domain::policy::{OnFirstDifference, OnGitDelete, Policy};

/// What the decision depends on besides the key's own sides.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub sides: &'a Sides,
    pub policy: &'a Policy,
    pub catalogue: &'a Catalogue,
}

/// What is done about one key.
#[derive(Debug, Clone)]
pub(super) enum Decision<'a> {
    /// Both sides agree.
    Agreed,
    /// NetBox's content goes to Git, to this path.
    WriteFile { path: RepoPath },
    /// The object is gone from NetBox, its file goes.
    DeleteFile { path: RepoPath },
    /// A raw document is in NetBox already; it becomes the file.
    Ingest { path: RepoPath, document: DocumentRef<'a>, effect: Effect },
    /// Git's content goes to NetBox.
    Send { write: Box<NetBoxWrite>, file: Option<RepoPath> },
    /// A person decides.
    Held(Reason),
}

/// One document of a raw file.
#[derive(Debug, Clone, Copy)]
pub(super) struct DocumentRef<'a> {
    /// Place of its file in `Sides::raw`.
    pub file: usize,
    pub index: usize,
    pub document: &'a Document,
}

/// Held with a code and a sentence.
pub(super) fn held<'a>(code: &str, message: impl Into<String>) -> Decision<'a> {
    Decision::Held(Reason::new(code, message))
}

/// Decides one key without regard to raw documents.
pub(super) fn decide<'a>(standing: &Standing<'a>, context: Context) -> Decision<'a> {
    if standing.agreed {
        return Decision::Agreed;
    }
    if !standing.known {
        return first_sight(standing, context);
    }
    match (standing.git_moved, standing.netbox_moved) {
        (false, true) => to_git(standing, context),
        (true, false) => to_netbox(standing, context.policy),
        (false, false) => undo(standing),
        (true, true) if standing.git.is_some() && standing.netbox.is_some() => changed_on_both_sides(),
        (true, true) => deleted_and_changed(),
    }
}

pub(super) fn changed_on_both_sides<'a>() -> Decision<'a> {
    let why = "it was changed in Git and in NetBox since they last agreed: make them equal on either side";
    held("changed_on_both_sides", why)
}

pub(super) fn deleted_and_changed<'a>() -> Decision<'a> {
    let why = "it was deleted on one side and changed on the other: delete it on both, or put it back";
    held("deleted_and_changed", why)
}

pub(super) fn first_difference<'a>() -> Decision<'a> {
    let why = "Git and NetBox differ, and nothing is remembered of a time when they agreed: make them equal on either \
               side, or choose a side by `on_first_difference`";
    held("first_difference", why)
}

/// Nothing is remembered of the key, and the sides differ: copy what is on one side only, else ask the policy.
fn first_sight<'a>(standing: &Standing<'a>, context: Context) -> Decision<'a> {
    match (&standing.git, &standing.netbox) {
        (Some(_), Some(_)) => match context.policy.on_first_difference {
            OnFirstDifference::Hold => first_difference(),
            OnFirstDifference::Netbox => to_git(standing, context),
            OnFirstDifference::Git => to_netbox(standing, context.policy),
        },
        (Some(_), None) => to_netbox(standing, context.policy),
        (None, Some(_)) => to_git(standing, context),
        (None, None) => Decision::Agreed,
    }
}

fn to_git<'a>(standing: &Standing<'a>, context: Context) -> Decision<'a> {
    match (&standing.git, &standing.netbox) {
        (Some(git), Some(_)) if git.document.is_none() => Decision::Held(not_read("git_not_read", "its file")),
        (_, Some(row)) if row.row.is_none() => Decision::Held(not_read("netbox_not_read", "its row")),
        (Some(git), Some(_)) => Decision::WriteFile { path: git.path.clone() },
        (None, Some(_)) => match new_path(standing.key, context) {
            Ok(path) => Decision::WriteFile { path },
            Err(reason) => Decision::Held(reason),
        },
        (Some(git), None) => Decision::DeleteFile { path: git.path.clone() },
        (None, None) => Decision::Agreed,
    }
}

fn to_netbox<'a>(standing: &Standing<'a>, policy: &Policy) -> Decision<'a> {
    match (&standing.git, policy.on_git_delete) {
        (Some(git), _) => match git.document {
            Some(document) => send(standing, document.shared()),
            None => Decision::Held(not_read("git_not_read", "its file")),
        },
        (None, OnGitDelete::Delete) => send_delete(standing),
        (None, OnGitDelete::Hold) => {
            let why = "its file was deleted in Git: delete it in NetBox too, put the file back, or set `on_git_delete`";
            held("deleted_in_git", why)
        }
    }
}

/// Neither side moved and they differ: a write of ours whose source is gone from Git is taken back.
fn undo<'a>(standing: &Standing<'a>) -> Decision<'a> {
    let unexplained = || {
        let why =
            "Git and NetBox differ although neither changed since they last agreed: make them equal on either side";
        held("unexplained_difference", why)
    };
    match (&standing.sides.intent, &standing.git) {
        (None, _) => unexplained(),
        (Some(_), Some(git)) => match git.document {
            Some(document) => send(standing, document.shared()),
            None => Decision::Held(not_read("git_not_read", "its file")),
        },
        (Some(_), None) if standing.row_is_ours() => send_delete(standing),
        (Some(_), None) => unexplained(),
    }
}

/// The write that makes NetBox hold `want`, unless NetBox said no to it in this run.
pub(super) fn send<'a>(standing: &Standing<'a>, want: Shared) -> Decision<'a> {
    let write = match &standing.netbox {
        None => NetBoxWrite::Create { want },
        Some(row) => match row.row {
            Some(row) => NetBoxWrite::Update { against: Box::new(row.clone()), want },
            None => return Decision::Held(not_read("netbox_not_read", "its row")),
        },
    };
    unless_refused(standing, write)
}

fn send_delete<'a>(standing: &Standing<'a>) -> Decision<'a> {
    match standing.netbox.as_ref().map(|row| row.row) {
        Some(Some(row)) => unless_refused(standing, NetBoxWrite::Delete { against: Box::new(row.clone()) }),
        Some(None) => Decision::Held(not_read("netbox_not_read", "its row")),
        None => Decision::Agreed,
    }
}

fn unless_refused<'a>(standing: &Standing<'a>, write: NetBoxWrite) -> Decision<'a> {
    if let Some(refusal) = &standing.sides.refusal {
        return Decision::Held(refused(refusal));
    }
    if let Some(failure) = &standing.sides.unanswered {
        return Decision::Held(failing(failure));
    }
    let file = standing.git.as_ref().map(|git| git.path.clone());
    Decision::Send { write: Box::new(write), file }
}

pub(super) const REFUSED: &str = "netbox_refused";
pub(super) const FAILING: &str = "netbox_failing";

/// NetBox's no, in its words.
pub(super) fn refused(words: &Reason) -> Reason {
    Reason { code: REFUSED.to_owned(), ..words.clone() }
}

/// NetBox could not be asked about this one.
pub(super) fn failing(words: &Reason) -> Reason {
    Reason { code: FAILING.to_owned(), ..words.clone() }
}

/// Where the file of a key without one goes.
pub(super) fn new_path(key: &Key, context: Context) -> Result<RepoPath, Reason> {
    let Some(spec) = context.catalogue.get(&key.kind) else {
        return Err(unknown_kind(key));
    };
    managed_path(&context.sides.directory, spec, key)
        .map_err(|bad| Reason::new("bad_name", format!("it cannot have a file: {}. Rename it in NetBox", bad.reason)))
}

/// The key's kind is not in the catalogue: another version's ledger knew it.
pub(super) fn unknown_kind(key: &Key) -> Reason {
    Reason::new("unknown_kind", format!("{} is not a kind that this version knows", key.kind))
}
