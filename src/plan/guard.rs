//! Deletions are guarded: many at once, or those that went with their fabric, wait for a person.

use std::collections::BTreeSet;

use super::NetBoxWrite;
use super::keys::{Keys, Planned};
use super::table::{Context, Decision};
use crate::domain::fate::Reason;
use crate::domain::key::Key;

/// Holds the deletions that must be confirmed, and says which.
pub(super) fn hold_guarded(keys: &mut Keys, context: Context) -> BTreeSet<Key> {
    let confirmed = &context.sides.deletions.confirmed;
    let mut guarded = BTreeSet::new();
    let cascade: Vec<Key> = deletions(keys, |planned| planned.sides.cascade);
    if !cascade.iter().all(|key| confirmed.contains(key)) {
        let why = "it went with its fabric in NetBox: confirm the deletion of them all, or put the fabric back";
        hold(keys, &cascade, &Reason::new("fabric_deleted", why));
        guarded.extend(cascade.into_iter().filter(|key| !confirmed.contains(key)));
    }
    if context.sides.deletions.new_history {
        let mut rows = deletions(keys, |planned| matches!(planned.decision, Decision::Send { .. }));
        rows.retain(|key| !confirmed.contains(key));
        let why = "its file is not in the history that the branch has now: confirm the deletion in NetBox, or put the file \
                   back";
        hold(keys, &rows, &Reason::new("new_history", why));
        guarded.extend(rows);
    }
    let all = deletions(keys, |_| true);
    if exceeds(all.len() as u64, context) {
        let open: Vec<Key> = all.into_iter().filter(|key| !confirmed.contains(key)).collect();
        let guard = &context.policy.guard;
        let why = format!(
            "more than {} objects and {} % of the fabric would be deleted within {} s: confirm the deletions",
            guard.count,
            guard.percent,
            guard.window.as_secs()
        );
        hold(keys, &open, &Reason::new("deletion_guard", why));
        guarded.extend(open);
    }
    guarded
}

/// Keys whose deletion on either side is decided; the old name of a renamed object is no deletion.
fn deletions(keys: &Keys, wanted: impl Fn(&Planned) -> bool) -> Vec<Key> {
    let deletes = |decision: &Decision| match decision {
        Decision::DeleteFile { .. } => true,
        Decision::Send { write, .. } => match **write {
            NetBoxWrite::Delete { .. } => true,
            NetBoxWrite::Create { .. } | NetBoxWrite::Update { .. } => false,
        },
        Decision::Agreed
        | Decision::WriteFile { .. }
        | Decision::Ingest { .. }
        | Decision::Held(_)
        | Decision::Conflict(_) => false,
    };
    let chosen = keys.iter().filter(|(_, planned)| planned.renamed_to.is_none() && wanted(planned));
    chosen.filter(|(_, planned)| deletes(&planned.decision)).map(|(key, _)| (*key).clone()).collect()
}

/// Whether the window's deletions with these exceed both limits.
fn exceeds(deletions: u64, context: Context) -> bool {
    let window = &context.sides.deletions;
    let guard = &context.policy.guard;
    let total = window.recent.saturating_add(deletions);
    let at_start = window.objects.saturating_add(window.recent);
    deletions > 0 && total > guard.count && u128::from(total) * 100 > u128::from(guard.percent) * u128::from(at_start)
}

fn hold(keys: &mut Keys, which: &[Key], reason: &Reason) {
    for key in which {
        if let Some(planned) = keys.get_mut(key) {
            planned.decision = Decision::Held(reason.clone());
        }
    }
}
