//! Turns decisions into the plan: edits, writes, what to remember, and one item for everything.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde_json::{Map, Value};

use super::archive::add_raw;
use super::directory::tend;
use super::keys::{Keys, Planned};
use super::record::{overwritten, record, settle};
use super::render::{self, Provenance};
use super::rewrite::rewrite;
use super::standing::Standing;
use super::table::{Context, Decision, DocumentRef, REFUSED};
use super::{FabricPlan, GitSide, NetBoxWrite, PlannedChange, Unchanged, Verb, moving};
use crate::domain::digest::Digest;
use crate::domain::document::{Document, Shared};
use crate::domain::edit::Edit;
use crate::domain::fate::{DocumentId, Effect, Fate, Reason};
use crate::domain::key::Key;
use crate::domain::kind::KindSpec;
use crate::domain::names::Oid;
use crate::domain::path::RepoPath;
use crate::domain::report::{Counts, Item, Outcome};
use crate::domain::row::{Base, BaseUpdate, GitBase};

/// The plan of one fabric.
pub(super) fn plan(keys: &Keys, guarded: BTreeSet<Key>, context: Context) -> FabricPlan {
    let mut plan = FabricPlan { guarded, ..FabricPlan::default() };
    // Deletions first: a path that one object leaves may be the next one's.
    let leaves = |planned: &Planned| matches!(planned.decision, Decision::DeleteFile { .. });
    for (key, planned) in keys.iter().filter(|(_, planned)| leaves(planned)) {
        add_object(&mut plan, key, planned, keys, context);
    }
    for (key, planned) in keys.iter().filter(|(_, planned)| !leaves(planned)) {
        add_object(&mut plan, key, planned, keys, context);
    }
    order_writes(&mut plan.netbox, context);
    add_raw(&mut plan, keys, context);
    remove_copies(&mut plan, keys, context);
    tend(&mut plan, context);
    moving::add(&mut plan, context.sides);
    let Unchanged { count: unchanged, first } = &context.sides.unchanged;
    plan.unlisted = unchanged.saturating_sub(first.len() as u64);
    let unchanged = |key: &Key| Item::Object { key: key.clone(), outcome: Outcome::Unchanged, request: None };
    plan.items.extend(first.iter().map(unchanged));
    let broken = context.sides.broken.iter();
    plan.items.extend(broken.map(|file| Item::File { path: file.path.to_string(), reason: file.reason.clone() }));
    let warnings = context.sides.warnings.iter();
    plan.items
        .extend(warnings.map(|warning| Item::Warning { about: warning.about.clone(), reason: warning.reason.clone() }));
    plan.changes.sort();
    plan.base.sort_by(|one, other| one.key.cmp(&other.key));
    plan.items.sort_by(|one, other| rank(one).cmp(&rank(other)));
    plan.counts = count(&plan.items);
    plan.counts.unchanged += plan.unlisted;
    plan
}

fn add_object(plan: &mut FabricPlan, key: &Key, planned: &Planned, keys: &Keys, context: Context) {
    plan.overwritten.extend(overwritten(key, planned));
    settle(plan, key, planned);
    let outcome = match &planned.decision {
        Decision::Held(reason) => {
            end_refused_intent(plan, key, planned, reason);
            Outcome::Held { reason: reason.clone() }
        }
        Decision::Conflict(clash) => {
            // Around a lost edit both sides agree already.
            let agreed = planned.standing.as_ref().filter(|standing| standing.agreed);
            if let Some(standing) = agreed {
                remember(plan, key, planned, standing.agreed_base());
            }
            plan.conflicts.extend(record(planned, clash, context).map(|found| (key.clone(), found)));
            Outcome::Held { reason: clash.reason.clone() }
        }
        Decision::Agreed => {
            let base = planned.standing.as_ref().and_then(|standing| standing.agreed_base());
            remember(plan, key, planned, base);
            Outcome::Unchanged
        }
        Decision::DeleteFile { path } => {
            plan.edits.insert(path.clone(), Edit::Delete);
            if planned.renamed_to.is_none() {
                change(plan, key, Verb::Delete);
            }
            plan.changed_by.extend(planned.sides.changed_by.iter().cloned());
            remember(plan, key, planned, None);
            Outcome::GitDeleted
        }
        Decision::WriteFile { path, .. } => write_from_netbox(plan, key, planned, path, (keys, context)),
        Decision::Ingest { path, document, effect } => {
            ingest(plan, key, planned, (path, *document), context);
            change(plan, key, Verb::Ingest);
            match effect {
                Effect::Created => Outcome::GitCreated,
                Effect::Updated | Effect::Unchanged => Outcome::GitUpdated,
            }
        }
        Decision::Send { write, merged, .. } => {
            plan.netbox.push((**write).clone());
            plan.merged.extend(merged.as_deref().map(|merged| (key.clone(), merged.clone())));
            match **write {
                NetBoxWrite::Create { .. } => Outcome::NetboxCreated,
                NetBoxWrite::Update { .. } => Outcome::NetboxUpdated,
                NetBoxWrite::Delete { .. } => Outcome::NetboxDeleted,
            }
        }
    };
    plan.items.push(Item::Object { key: key.clone(), outcome, request: None });
}

fn change(plan: &mut FabricPlan, key: &Key, verb: Verb) {
    plan.changes.push(PlannedChange { key: key.clone(), verb });
}

/// Records a base only where it changes, and ends an intent that both sides have outlived.
fn remember(plan: &mut FabricPlan, key: &Key, planned: &Planned, base: Option<Base>) {
    let clears_intent = planned.sides.intent.is_some();
    if base != planned.sides.base || clears_intent {
        plan.base.push(BaseUpdate { key: key.clone(), base, clears_intent });
    }
}

/// NetBox said no, so the write did not happen: should a user make the row the same later, it is theirs.
fn end_refused_intent(plan: &mut FabricPlan, key: &Key, planned: &Planned, reason: &Reason) {
    let row_is_ours = planned.standing.as_ref().is_some_and(Standing::row_is_ours);
    if reason.code == REFUSED && !row_is_ours {
        remember(plan, key, planned, planned.sides.base.clone());
    }
}

fn write_from_netbox(
    plan: &mut FabricPlan,
    key: &Key,
    planned: &Planned,
    path: &RepoPath,
    (keys, context): (&Keys, Context),
) -> Outcome {
    let row = planned.standing.as_ref().and_then(|standing| standing.netbox.as_ref()).and_then(|row| row.row);
    let (Some(row), Some(spec)) = (row, context.catalogue.get(&key.kind)) else {
        let reason = super::standing::not_read("netbox_not_read", "its row");
        return Outcome::Held { reason };
    };
    let own = planned.git().and_then(|git| git.document);
    let before = planned.renamed_from.and_then(|old| keys.get(old)).and_then(Planned::git);
    let existing = own.or(before.and_then(|git| git.document));
    let provenance = match existing {
        Some(_) => Provenance::Kept,
        None => Provenance::Born { fabric: context.sides.fabric.clone() },
    };
    let text = match own {
        Some(_) => file_text(planned),
        None => planned.renamed_from.and_then(|old| keys.get(old)).and_then(file_text),
    };
    let from = before.map(|git| git.path);
    let content = Content { want: &row.shared, existing, text, from, provenance };
    let base = content.write(plan, path, spec);
    plan.changed_by.extend(planned.sides.changed_by.iter().cloned());
    let verb = match (planned.renamed_from, own) {
        (Some(_), _) => Verb::Rename,
        (None, Some(_)) => Verb::Update,
        (None, None) => Verb::Create,
    };
    change(plan, key, verb);
    remember_written(plan, key, planned, base);
    if own.is_some() { Outcome::GitUpdated } else { Outcome::GitCreated }
}

fn ingest(
    plan: &mut FabricPlan,
    key: &Key,
    planned: &Planned,
    (path, from): (&RepoPath, DocumentRef),
    context: Context,
) {
    let Some(spec) = context.catalogue.get(&key.kind) else { return };
    let raw = &context.sides.raw[from.file];
    let DocumentId { path: file, index, item, .. } = raw.id(from.index);
    let file = file.below(&context.sides.directory).unwrap_or(file.as_str()).to_owned();
    let provenance = Provenance::Ingested { fabric: context.sides.fabric.clone(), file, index, item };
    let want = from.document.shared();
    let content = Content { want: &want, existing: Some(from.document), text: None, from: None, provenance };
    let base = content.write(plan, path, spec);
    remember_written(plan, key, planned, base);
}

fn remember_written(plan: &mut FabricPlan, key: &Key, planned: &Planned, git: GitBase) {
    let netbox = planned.standing.as_ref().and_then(|standing| standing.netbox.as_ref()).map(|row| row.base());
    remember(plan, key, planned, Some(Base { git: Some(git), netbox }));
}

/// What is written to a managed file.
struct Content<'c> {
    want: &'c Shared,
    existing: Option<&'c Document>,
    /// Of the file that is replaced: its comments stay where they can.
    text: Option<&'c Bytes>,
    /// Where the object's file was under its old name.
    from: Option<&'c RepoPath>,
    provenance: Provenance,
}

fn file_text<'a>(planned: &Planned<'a>) -> Option<&'a Bytes> {
    match &planned.sides.git {
        GitSide::File { bytes, .. } => Some(bytes),
        GitSide::Absent | GitSide::AsBase | GitSide::Broken { .. } | GitSide::Several { .. } => None,
    }
}

impl Content<'_> {
    fn write(&self, plan: &mut FabricPlan, path: &RepoPath, spec: &KindSpec) -> GitBase {
        let body: Map<String, Value> = render::body(self.want, spec, self.existing, &self.provenance);
        let bytes = self.text.and_then(|text| rewrite(text, &body)).unwrap_or_else(|| render::text(&body));
        let base = GitBase {
            path: path.clone(),
            blob: Oid::of_blob(&bytes),
            digest: Digest::of(&Value::Object(body)),
            shared: self.want.digest(),
        };
        let edit = match self.from {
            Some(from) => Edit::Move { from: from.clone(), bytes },
            None => Edit::Write(bytes),
        };
        plan.edits.insert(path.clone(), edit);
        base
    }
}

/// Creations and updates in catalogue order, then deletions in reverse.
fn order_writes(writes: &mut [NetBoxWrite], context: Context) {
    let order: BTreeMap<&str, i64> = context.catalogue.iter().map(|spec| spec.kind.as_str()).zip(1..).collect();
    writes.sort_by_key(|write| {
        let (key, is_delete) = match write {
            NetBoxWrite::Create { want } | NetBoxWrite::Update { want, .. } => (&want.key, false),
            NetBoxWrite::Delete { against } => (&against.shared.key, true),
        };
        let place = order.get(key.kind.as_str()).copied().unwrap_or_default();
        (is_delete, if is_delete { -place } else { place }, key.clone())
    });
}

/// Second files of an object that has its own, unless a person has to look at it.
fn remove_copies(plan: &mut FabricPlan, keys: &Keys, context: Context) {
    for (path, key) in &context.sides.copies {
        if keys.get(key).is_some_and(|planned| planned.decision.held_for().is_none()) {
            plan.edits.insert(path.clone(), Edit::Delete);
            change(plan, key, Verb::RemoveCopy);
        }
    }
}

/// Held and rejected first, then objects by key, documents by file and index, files by path.
fn rank(item: &Item) -> (bool, u8, Option<&Key>, &str, (usize, Option<usize>)) {
    match item {
        Item::Object { key, outcome, .. } => (!matches!(outcome, Outcome::Held { .. }), 0, Some(key), "", (0, None)),
        Item::Document { path, index, item_index, fate, .. } => {
            (!matches!(fate, Fate::Held { .. } | Fate::Rejected { .. }), 1, None, path, (*index, *item_index))
        }
        Item::File { path, .. } => (false, 2, None, path, (0, None)),
        Item::Warning { about, reason } => {
            (true, 3, None, about, (reason.line.unwrap_or_default().try_into().unwrap_or(usize::MAX), None))
        }
    }
}

fn count(items: &[Item]) -> Counts {
    let mut counts = Counts::default();
    for item in items {
        let number = match item {
            Item::Object { outcome, .. } => match outcome {
                Outcome::Unchanged => &mut counts.unchanged,
                Outcome::GitCreated | Outcome::GitUpdated => &mut counts.git_written,
                Outcome::GitDeleted => &mut counts.git_deleted,
                Outcome::NetboxCreated => &mut counts.netbox_created,
                Outcome::NetboxUpdated => &mut counts.netbox_updated,
                Outcome::NetboxDeleted => &mut counts.netbox_deleted,
                Outcome::Held { .. } => &mut counts.held,
            },
            Item::Document { fate, .. } => match fate {
                Fate::Ingested { .. } => &mut counts.ingested,
                Fate::Unmanaged { .. } => &mut counts.unmanaged,
                Fate::Rejected { .. } => &mut counts.rejected,
                Fate::Held { .. } => &mut counts.held,
                Fate::Pending { .. } => continue,
            },
            Item::File { .. } => &mut counts.held,
            Item::Warning { .. } => continue,
        };
        *number += 1;
    }
    counts
}
