//! What a run tells the ledger of one fabric.

use crate::domain::change::Change;
use crate::domain::fate::Fate;
use crate::domain::key::Key;
use crate::domain::names::{FabricName, Oid};
use crate::domain::report::{Counts, FabricReport, Item, MAX_ITEMS, Outcome};
use crate::ledger::types::{Claim, FabricMemory, Part};
use crate::plan::{FabricPlan, NetBoxWrite};

use super::apply::Applied;
use super::deliver::Delivered;

/// The report of a run that was applied.
pub fn of(
    claim: &Claim,
    fabric: &FabricName,
    (head, delivered): (Option<&Oid>, &Delivered),
    (applied, warnings): (&Applied, Vec<Item>),
) -> FabricReport {
    let Applied { plan, written, .. } = applied;
    let items: Vec<Item> = plan
        .items
        .iter()
        .map(|item| match item {
            Item::Object { key, outcome, .. } => match (written.get(key), outcome) {
                // The last plan sees both sides agree; what NetBox was told on the way is what happened.
                (Some(wrote), Outcome::Unchanged) => wrote.item(key, &wrote.outcome),
                (Some(wrote), outcome) => wrote.item(key, outcome),
                (None, _) => item.clone(),
            },
            Item::Document { .. } | Item::File { .. } | Item::Warning { .. } => item.clone(),
        })
        .chain(warnings)
        .collect();
    let mut counts = counts(&items);
    counts.unchanged += plan.unlisted;
    for wrote in written.values() {
        match wrote.outcome {
            Outcome::NetboxCreated => counts.netbox_created += 1,
            Outcome::NetboxUpdated => counts.netbox_updated += 1,
            Outcome::NetboxDeleted => counts.netbox_deleted += 1,
            Outcome::Unchanged
            | Outcome::GitCreated
            | Outcome::GitUpdated
            | Outcome::GitDeleted
            | Outcome::Held { .. } => {}
        }
    }
    FabricReport {
        commit: delivered.commit().filter(|_| !plan.edits.is_empty()).cloned(),
        proposal: delivered.review().filter(|_| !plan.edits.is_empty()).map(|review| review.proposal().url.clone()),
        counts,
        items: bounded(items),
        directory: plan.directory_report.clone(),
        dry_run: false,
        ..frame(claim, fabric, head)
    }
}

/// The report of a plan that was not applied.
pub fn of_dry_run(claim: &Claim, fabric: &FabricName, head: Option<&Oid>, plan: &FabricPlan) -> FabricReport {
    let mut counts = counts(&plan.items);
    counts.unchanged += plan.unlisted;
    for write in &plan.netbox {
        match write {
            NetBoxWrite::Create { .. } => counts.netbox_created += 1,
            NetBoxWrite::Update { .. } => counts.netbox_updated += 1,
            NetBoxWrite::Delete { .. } => counts.netbox_deleted += 1,
        }
    }
    FabricReport {
        counts,
        items: bounded(plan.items.clone()),
        directory: plan.directory_report.clone(),
        dry_run: true,
        ..frame(claim, fabric, head)
    }
}

/// Whether something that the part asked about waits for a person.
///
/// A run looks at everything that stands out in its fabric, so an old conflict would otherwise mark every later job.
pub fn needs_a_person(report: &FabricReport, part: &Part, memory: &FabricMemory) -> bool {
    let of_one_object = |change: &Change| matches!(change, Change::Object { .. } | Change::Resolution { .. });
    if !part.changes.iter().all(of_one_object) {
        return report.counts.held > 0;
    }
    report.items.iter().any(|item| match item {
        Item::Object { key, outcome: Outcome::Held { reason }, .. } => {
            let known = memory.held.get(key).is_some_and(|before| before.code == reason.code);
            !known || names(part, memory, key)
        }
        Item::Object { .. } | Item::Document { .. } | Item::File { .. } | Item::Warning { .. } => false,
    })
}

fn names(part: &Part, memory: &FabricMemory, key: &Key) -> bool {
    let row = memory.base.get(key).and_then(|base| base.netbox.as_ref()).map(|netbox| netbox.id);
    part.changes.iter().any(|change| match change {
        Change::Object { object, .. } => object.kind == key.kind && Some(object.id) == row,
        Change::Resolution { key: resolved } => resolved == key,
        Change::GitMoved
        | Change::Everything
        | Change::Restore
        | Change::DryRun
        | Change::RestoreDryRun
        | Change::Rollback(_) => false,
    })
}

fn frame(claim: &Claim, fabric: &FabricName, head: Option<&Oid>) -> FabricReport {
    let empty = FabricReport::empty(claim.run.clone(), fabric.clone(), claim.closed_because);
    FabricReport { planned_on: head.cloned(), ..empty }
}

/// Counts what the items say; NetBox's writes are counted from what was sent.
fn counts(items: &[Item]) -> Counts {
    let mut counts = Counts::default();
    for item in items {
        let counter = match item {
            Item::Object { outcome, .. } => match outcome {
                Outcome::Unchanged => &mut counts.unchanged,
                Outcome::GitCreated | Outcome::GitUpdated => &mut counts.git_written,
                Outcome::GitDeleted => &mut counts.git_deleted,
                Outcome::NetboxCreated | Outcome::NetboxUpdated | Outcome::NetboxDeleted => continue,
                Outcome::Held { .. } => &mut counts.held,
            },
            Item::Document { fate, .. } => match fate {
                Fate::Ingested { .. } => &mut counts.ingested,
                Fate::Unmanaged { .. } => &mut counts.unmanaged,
                Fate::Rejected { .. } => &mut counts.rejected,
                Fate::Held { .. } | Fate::Pending { .. } => &mut counts.held,
            },
            Item::File { .. } => &mut counts.held,
            Item::Warning { .. } => continue,
        };
        *counter += 1;
    }
    counts
}

fn bounded(mut items: Vec<Item>) -> Vec<Item> {
    items.truncate(MAX_ITEMS);
    items
}
