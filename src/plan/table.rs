//! The decision table: for each key, what brings both sides together without overwriting anybody's work unseen.

use super::conflict::{Clash, both_moved, first_difference, lost_edit, unexplained_difference};
use super::layout::managed_path;
use super::standing::{Standing, not_read};
use super::{NetBoxWrite, Sides, conflict, direction};
use crate::domain::document::{Document, Shared};
use crate::domain::fate::{Effect, Reason};
use crate::domain::key::Key;
use crate::domain::kind::Catalogue;
use crate::domain::path::RepoPath;
use crate::domain::policy::{Direction, OnConflict, OnGitDelete, Policy};
use crate::domain::row::MergedFrom;

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
    /// NetBox's content goes to Git, to this path; `merged` when it holds all that the file changed.
    WriteFile { path: RepoPath, merged: bool },
    /// The object is gone from NetBox, its file goes.
    DeleteFile { path: RepoPath },
    /// A raw document is in NetBox already; it becomes the file.
    Ingest { path: RepoPath, document: DocumentRef<'a>, effect: Effect },
    /// Git's content goes to NetBox; or, with `merged`, what Git and NetBox were merged into.
    Send { write: Box<NetBoxWrite>, file: Option<RepoPath>, merged: Option<Box<MergedFrom>> },
    /// A person must change something first.
    Held(Reason),
    /// Both sides contradict each other, and a person decides whose content counts.
    Conflict(Clash<'a>),
}

impl Decision<'_> {
    /// Why the object is left as it is; `None` where it is not.
    pub(super) fn held_for(&self) -> Option<&Reason> {
        match self {
            Self::Held(reason) | Self::Conflict(Clash { reason, .. }) => Some(reason),
            Self::Agreed
            | Self::WriteFile { .. }
            | Self::DeleteFile { .. }
            | Self::Ingest { .. }
            | Self::Send { .. } => None,
        }
    }
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
    if let Some(lost) = standing.lost {
        return lost_edit(standing, lost, context);
    }
    if standing.agreed {
        return Decision::Agreed;
    }
    match context.policy.direction {
        Direction::Both => both_ways(standing, context),
        Direction::NetboxToGit => direction::from_netbox(standing, context),
        Direction::GitToNetbox => direction::from_git(standing, context),
    }
}

fn both_ways<'a>(standing: &Standing<'a>, context: Context) -> Decision<'a> {
    if !standing.known {
        return first_sight(standing, context);
    }
    match (standing.git_moved, standing.netbox_moved) {
        (false, true) => to_git(standing, context),
        (true, false) => to_netbox(standing, context.policy.on_git_delete),
        (false, false) => undo(standing, context),
        (true, true) => both_moved(standing, context),
    }
}

/// Nothing is remembered of the key, and the sides differ: copy what is on one side only, else ask the policy.
fn first_sight<'a>(standing: &Standing<'a>, context: Context) -> Decision<'a> {
    match (&standing.git, &standing.netbox) {
        (Some(_), Some(_)) => {
            let policy = context.policy.on_first_difference.into();
            conflict::decide(standing, first_difference(standing), policy, context)
        }
        (Some(_), None) => to_netbox(standing, context.policy.on_git_delete),
        (None, Some(_)) => to_git(standing, context),
        (None, None) => Decision::Agreed,
    }
}

/// NetBox's content goes to Git, whatever Git has.
pub(super) fn to_git<'a>(standing: &Standing<'a>, context: Context) -> Decision<'a> {
    match (&standing.git, &standing.netbox) {
        (Some(git), Some(_)) if git.document.is_none() => Decision::Held(not_read("git_not_read", "its file")),
        (_, Some(row)) if row.row.is_none() => Decision::Held(not_read("netbox_not_read", "its row")),
        (Some(git), Some(_)) => Decision::WriteFile { path: git.path.clone(), merged: false },
        (None, Some(_)) => match new_path(standing.key, context) {
            Ok(path) => Decision::WriteFile { path, merged: false },
            Err(reason) => Decision::Held(reason),
        },
        (Some(git), None) => Decision::DeleteFile { path: git.path.clone() },
        (None, None) => Decision::Agreed,
    }
}

/// Git's content goes to NetBox, whatever NetBox has.
pub(super) fn to_netbox<'a>(standing: &Standing<'a>, on_git_delete: OnGitDelete) -> Decision<'a> {
    match (&standing.git, on_git_delete) {
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
pub(super) fn undo<'a>(standing: &Standing<'a>, context: Context) -> Decision<'a> {
    let unexplained = || conflict::decide(standing, unexplained_difference(standing), OnConflict::Hold, context);
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
    Decision::Send { write: Box::new(write), file, merged: None }
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
