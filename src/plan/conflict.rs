//! Both sides changed: their changes are merged, or somebody decides whose count.
//!
//! A person's decision for exactly these two contents comes first, then the fabric's policy; without either the object
//! is left as it is on both sides.

use super::merge::{Merged, differing_paths, merge};
use super::standing::Standing;
use super::table::{Context, Decision, DocumentRef, held, send, to_git, to_netbox};
use crate::domain::conflict::{Choice, LostEdit};
use crate::domain::document::{Document, Shared};
use crate::domain::fate::Reason;
use crate::domain::policy::{Direction, OnConflict, OnGitDelete};
use crate::domain::row::MergedFrom;

/// A contradiction of both sides.
#[derive(Debug, Clone)]
pub(super) struct Clash<'a> {
    pub reason: Reason,
    /// JSON pointers into the document.
    pub paths: Vec<String>,
    /// The raw document that speaks for Git; `None` where the managed file does.
    pub raw: Option<DocumentRef<'a>>,
}

impl Clash<'_> {
    /// Git's file and NetBox's row contradict each other.
    pub(super) fn new(code: &str, why: &str, paths: Vec<String>) -> Self {
        Self { reason: Reason::new(code, why), paths, raw: None }
    }

    /// A decision that was made for other contents does not count, and whoever made it should know.
    pub(super) fn after_stale_resolution(mut self, standing: &Standing) -> Self {
        if let Some(resolution) = &standing.sides.resolution {
            let note = format!(". The resolution by {} was for other content than now: look again", resolution.by);
            self.reason.message.push_str(&note);
        }
        self
    }
}

/// Both sides changed since they agreed, and they differ.
pub(super) fn both_moved<'a>(standing: &Standing<'a>, context: Context) -> Decision<'a> {
    let clash = match (&standing.git, &standing.netbox) {
        (Some(_), Some(_)) => match merged(standing, context) {
            Ok(want) => return write(standing, want, context),
            Err(clash) => *clash,
        },
        (_, _) => deleted_and_changed(),
    };
    decide(standing, clash, context.policy.on_conflict, context)
}

/// What both sides' changes make together, or where they contradict each other.
fn merged<'a>(standing: &Standing<'a>, context: Context) -> Result<Shared, Box<Clash<'a>>> {
    let (git, row) = sides(standing);
    let (Some(git), Some(row), Some(spec)) = (git, row, context.catalogue.get(&standing.key.kind)) else {
        return Err(Box::new(changed_on_both_sides(Vec::new())));
    };
    let base = standing.ancestor().map_err(|reason| {
        let why = format!(
            "it was changed in Git and in NetBox and cannot be merged: {}. Make them equal on either side, or resolve it",
            reason.message
        );
        Box::new(Clash::new(&reason.code, &why, differing_paths(Some(&git), Some(&row))))
    })?;
    match merge(spec, &base.shared(), &git, &row) {
        Merged::Clean(want) => Ok(*want),
        Merged::Overlap(paths) => Err(Box::new(changed_on_both_sides(paths))),
    }
}

/// What both sides hold, as far as it was read.
fn sides(standing: &Standing) -> (Option<Shared>, Option<Shared>) {
    let git = standing.git.as_ref().and_then(|git| git.document).map(Document::shared);
    let row = standing.netbox.as_ref().and_then(|row| row.row).map(|row| row.shared.clone());
    (git, row)
}

/// Where the two sides differ, whatever they were before.
pub(super) fn differences(standing: &Standing) -> Vec<String> {
    let (git, row) = sides(standing);
    differing_paths(git.as_ref(), row.as_ref())
}

/// Decides a contradiction of file and row.
pub(super) fn decide<'a>(
    standing: &Standing<'a>,
    clash: Clash<'a>,
    policy: OnConflict,
    context: Context,
) -> Decision<'a> {
    let git = standing.git.as_ref().map(|git| &git.shared);
    let netbox = standing.netbox.as_ref().map(|row| &row.digest);
    let chosen = standing.chosen(git, netbox).filter(|choice| is_possible(choice, context));
    match (chosen, policy) {
        (Some(Choice::Netbox), _) => to_git(standing, context),
        // The person saw that Git's side is a deletion.
        (Some(Choice::Git), _) => to_netbox(standing, OnGitDelete::Delete),
        (Some(Choice::Merged { document }), _) => write(standing, of_person(standing, document), context),
        (None, OnConflict::Netbox) => to_git(standing, context),
        (None, OnConflict::Git) => to_netbox(standing, context.policy.on_git_delete),
        (None, OnConflict::Hold) => Decision::Conflict(clash.after_stale_resolution(standing)),
    }
}

/// A content that is neither side's cannot come from the side that leads.
fn is_possible(choice: &Choice, context: Context) -> bool {
    match choice {
        Choice::Netbox | Choice::Git => true,
        Choice::Merged { .. } => context.policy.direction == Direction::Both,
    }
}

/// An edit in NetBox that a write of ours covered: nothing happens to the object before somebody has dealt with it.
pub(super) fn lost_edit<'a>(standing: &Standing<'a>, lost: &'a LostEdit, context: Context) -> Decision<'a> {
    let git = standing.git.as_ref().map(|git| &git.shared);
    let who = lost.by.as_deref().unwrap_or("somebody");
    let why = format!(
        "{who} changed it in NetBox between our read and our write, which covered the change: resolve it with `netbox` to \
         put the change back, or with `git` to leave it so"
    );
    let content = lost.content.shared(standing.key);
    let now = sides(standing).0;
    let clash = Clash::new("lost_edit", &why, differing_paths(now.as_ref(), content.as_ref()));
    // Where Git leads, what is put back in NetBox would be drift at once.
    let both_ways = context.policy.direction == Direction::Both;
    match (standing.chosen(git, Some(&lost.digest)).filter(|_| both_ways), content) {
        (Some(Choice::Netbox), Some(content)) => write(standing, content, context),
        (Some(Choice::Netbox), None) => {
            held("lost_edit", "what was lost is too large to be kept here: put it back from NetBox's change log")
        }
        (Some(Choice::Merged { document }), _) => write(standing, of_person(standing, document), context),
        // `Choice::Git` has closed the edit already.
        (Some(Choice::Git) | None, _) => Decision::Conflict(clash.after_stale_resolution(standing)),
    }
}

fn of_person(standing: &Standing, document: &serde_json::Map<String, serde_json::Value>) -> Shared {
    Document { key: standing.key.clone(), body: document.clone() }.shared()
}

/// Brings a content to both sides that is neither Git's nor, perhaps, NetBox's: first the row, then the file.
fn write<'a>(standing: &Standing<'a>, want: Shared, context: Context) -> Decision<'a> {
    let wanted = want.digest();
    let git_has_it = standing.git.as_ref().is_some_and(|git| git.shared == wanted);
    match &standing.netbox {
        Some(row) if row.digest == wanted && git_has_it => Decision::Agreed,
        Some(row) if row.digest == wanted => match to_git(standing, context) {
            Decision::WriteFile { path, .. } => Decision::WriteFile { path, merged: true },
            other => other,
        },
        Some(_) | None => {
            let from = MergedFrom { git: standing.git.as_ref().map(|git| git.base()) };
            match send(standing, want) {
                Decision::Send { write, file, .. } => Decision::Send { write, file, merged: Some(Box::new(from)) },
                other => other,
            }
        }
    }
}

pub(super) fn changed_on_both_sides<'a>(paths: Vec<String>) -> Clash<'a> {
    let why = "it was changed in Git and in NetBox since they last agreed, and not to the same: make them equal on either \
               side, or resolve it";
    Clash::new("changed_on_both_sides", why, paths)
}

pub(super) fn deleted_and_changed<'a>() -> Clash<'a> {
    let why = "it was deleted on one side and changed on the other: delete it on both, put it back, or resolve it";
    Clash::new("deleted_and_changed", why, vec![String::new()])
}

pub(super) fn first_difference<'a>(standing: &Standing<'a>) -> Clash<'a> {
    let why = "Git and NetBox differ, and nothing is remembered of a time when they agreed: make them equal on either \
               side, resolve it, or choose a side by `on_first_difference`";
    Clash::new("first_difference", why, differences(standing))
}

pub(super) fn unexplained_difference<'a>(standing: &Standing<'a>) -> Clash<'a> {
    let why = "Git and NetBox differ although neither changed since they last agreed: make them equal on either side, or \
               resolve it";
    Clash::new("unexplained_difference", why, differences(standing))
}
