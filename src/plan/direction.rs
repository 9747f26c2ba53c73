//! Fabrics whose changes go one way: the other side's changes are drift, shown or healed.
//!
//! What the leading side has is copied, changed and deleted on the other as everywhere. Healing never deletes what
//! exists on the other side only and was never agreed on: after a lost ledger, or with a directory named wrongly, that
//! would be everything.

use super::conflict::{decide, first_difference};
use super::standing::Standing;
use super::table::{Context, Decision, held, to_git, to_netbox, undo};
use crate::domain::fate::Reason;
use crate::domain::policy::{Direction, OnDrift, Policy};

/// NetBox leads.
pub(super) fn from_netbox<'a>(standing: &Standing<'a>, context: Context) -> Decision<'a> {
    match (standing.known, &standing.git, &standing.netbox) {
        (false, Some(_), Some(_)) => first(standing, context),
        (false, Some(_), None) => {
            drift("it is only in Git, and in this fabric changes come from NetBox: create it there, or delete the file")
        }
        (_, _, _) if standing.git_moved && context.policy.on_drift == OnDrift::Report => drift(
            "its file was changed in Git, and in this fabric changes come from NetBox: change it there, or take the \
             change in Git back",
        ),
        (_, _, _) => to_git(standing, context),
    }
}

/// Git leads.
pub(super) fn from_git<'a>(standing: &Standing<'a>, context: Context) -> Decision<'a> {
    match (standing.known, &standing.git, &standing.netbox) {
        (false, Some(_), Some(_)) => first(standing, context),
        (false, None, Some(_)) => drift(
            "it is only in NetBox, and in this fabric changes come from Git: add it there, or delete it in NetBox",
        ),
        (_, _, _) if standing.netbox_moved && context.policy.on_drift == OnDrift::Report => drift(
            "it was changed in NetBox, and in this fabric changes come from Git: change it there, or take the change in \
             NetBox back",
        ),
        (true, _, _) if !standing.git_moved && !standing.netbox_moved => undo(standing, context),
        (_, _, _) => to_netbox(standing, context.policy.on_git_delete),
    }
}

fn first<'a>(standing: &Standing<'a>, context: Context) -> Decision<'a> {
    decide(standing, first_difference(standing), context.policy.on_first_difference.into(), context)
}

fn drift<'a>(why: &str) -> Decision<'a> {
    Decision::Held(drifted(why))
}

/// A change on the side that does not lead.
pub(super) fn drifted(why: &str) -> Reason {
    Reason::new("drift", why)
}

/// The code of what would go against the fabric's direction.
pub(super) const AGAINST: &str = "direction";

/// Holds whatever would go against the fabric's direction: a resolution, or what began before the setting was changed.
pub(super) fn confine<'a>(decision: Decision<'a>, policy: &Policy) -> Decision<'a> {
    let against = match (&decision, policy.direction) {
        (Decision::Send { .. }, Direction::NetboxToGit) => "NetBox is never written in this fabric (`direction`)",
        (Decision::WriteFile { merged: false, .. } | Decision::DeleteFile { .. }, Direction::GitToNetbox) => {
            "managed files are never written from NetBox in this fabric (`direction`)"
        }
        (_, _) => return decision,
    };
    held(AGAINST, format!("{against}: make both sides equal by hand, or change the setting"))
}
