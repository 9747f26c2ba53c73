//! One batch from claim to settlement.

use std::collections::{BTreeMap, BTreeSet};

use tracing::{Instrument, debug_span};

use crate::domain::change::Change;
use crate::domain::conflict::Documents;
use crate::domain::edit::{CommitMessage, Edits};
use crate::domain::fate::Reason;
use crate::domain::key::Key;
use crate::domain::names::{FabricName, Oid, RunId};
use crate::domain::report::{Item, Outcome};
use crate::ledger::conflicts::ConflictRecord;
use crate::ledger::history::Touch;
use crate::ledger::types::{Advance, Claim, FabricMemory, Part, PartOutcome, Settlement};
use crate::plan::message::commit_message;
use crate::plan::{FabricPlan, plan_fabric};

use super::apply::{Applied, Asking, write_netbox};
use super::deliver::{deliver, only_agreed};
use super::failure::{Failure, error};
use super::gather::gather;
use super::shown::show;
use super::{Runner, edits, report};

/// How often a run plans again because the world moved, before it gives the batch back.
const MAX_PLANS: usize = 8;

/// Works on the batch until it is settled or somebody else must go on.
pub async fn until_settled(runner: &Runner, claim: &Claim) -> Settlement {
    let mut last = None;
    for _ in 0..MAX_PLANS {
        match once(runner, claim).await {
            Ok(settlement) => return settlement,
            Err(Failure::Conflict(moved)) => {
                tracing::info!(target.name = %claim.proof.target(), run.id = %claim.run, reason = %moved.message, "planning again");
                last = Some(Failure::Conflict(moved));
            }
            Err(failure) => return all_parts(claim, &failure),
        }
    }
    let failure = last.unwrap_or_else(|| Failure::Transient(error("not_tried", "nothing was tried", "")));
    all_parts(claim, &failure)
}

fn all_parts(claim: &Claim, failure: &Failure) -> Settlement {
    log_failure(claim, None, failure);
    let parts = claim.parts.iter().map(|part| (part.fabric.clone(), failure.clone().into_outcome())).collect();
    Settlement { parts, head: None }
}

fn log_failure(claim: &Claim, fabric: Option<&FabricName>, failure: &Failure) {
    let problem = failure.error();
    tracing::warn!(
        target.name = %claim.proof.target(),
        run.id = %claim.run,
        fabric = fabric.map_or("", FabricName::as_str),
        code = %problem.code,
        remedy = %problem.remedy,
        "{}",
        problem.message
    );
}

/// One fabric's share of a run that is ready to be committed.
struct Ready<'a> {
    part: &'a Part,
    applied: Applied,
}

async fn once(runner: &Runner, claim: &Claim) -> Result<Settlement, Failure> {
    let target = claim.proof.target();
    let repository = &runner.site(target)?.repository;
    if let Some(settled) = runner.ledger.head(target).await? {
        repository.expect_head(&target.branch, &settled);
    }
    let head = repository.head(&target.branch).await?;

    let mut outcomes: Vec<(FabricName, PartOutcome)> = Vec::new();
    let mut ready: Vec<Ready<'_>> = Vec::new();
    for part in &claim.parts {
        match prepare(runner, claim, part, head.as_ref()).await {
            Ok(Prepared::Ready(share)) => ready.push(*share),
            Ok(Prepared::Planned(outcome)) => outcomes.push((part.fabric.clone(), outcome)),
            Err(moved @ Failure::Conflict(_)) => return Err(moved),
            Err(failure) => {
                // One fabric's trouble is its own: the others of the target go on.
                log_failure(claim, Some(&part.fabric), &failure);
                outcomes.push((part.fabric.clone(), failure.into_outcome()));
            }
        }
    }

    let (all_edits, message) = together(runner, claim, &ready);
    let delivering = deliver(runner, claim, head.as_ref(), (&all_edits, &message));
    let delivered = delivering.instrument(debug_span!("commit", edits = all_edits.len())).await?;
    for share in &ready {
        let plan = &share.applied.plan;
        let review = delivered.review().filter(|_| !plan.edits.is_empty());
        let advance = match review {
            Some(review) => only_agreed(remembered(share), plan, review),
            None => Advance { touched: touched(&claim.run, share, delivered.commit()), ..remembered(share) },
        };
        runner.ledger.advance(&claim.proof, &share.part.fabric, &advance).await?;
        edits::keep(runner, claim, &share.part.fabric, &share.applied.gathered.sides, plan).await;
        let report = report::of(claim, &share.part.fabric, head.as_ref(), &delivered, &share.applied);
        let held = review.is_some() || report::needs_a_person(&report, share.part, &share.applied.gathered.memory);
        outcomes.push((share.part.fabric.clone(), PartOutcome::Done { report: Box::new(report), held }));
    }
    let settlement = Settlement { parts: outcomes, head: delivered.commit().cloned().or(head.clone()) };
    show(runner, claim, head.as_ref(), &settlement).await;
    Ok(settlement)
}

enum Prepared<'a> {
    Ready(Box<Ready<'a>>),
    /// A dry run: planned, reported, nothing applied.
    Planned(PartOutcome),
}

async fn prepare<'a>(
    runner: &Runner,
    claim: &Claim,
    part: &'a Part,
    head: Option<&Oid>,
) -> Result<Prepared<'a>, Failure> {
    let fabric = runner.fabric(&part.fabric)?;
    let gathered = gather(runner, part, head).instrument(debug_span!("gather", fabric = %part.fabric)).await?;
    if part.changes.iter().all(|change| *change == Change::DryRun) {
        let plan = debug_span!("plan").in_scope(|| plan_fabric(&gathered.sides, &fabric.policy));
        edits::keep(runner, claim, &part.fabric, &gathered.sides, &plan).await;
        let report = report::of_dry_run(claim, &part.fabric, head, &plan);
        return Ok(Prepared::Planned(PartOutcome::Done { report: Box::new(report), held: false }));
    }
    let asking = Asking { proof: &claim.proof, run: &claim.run };
    let applying = debug_span!("apply", fabric = %part.fabric);
    let applied = write_netbox(runner, asking, gathered).instrument(applying).await?;
    Ok(Prepared::Ready(Box::new(Ready { part, applied })))
}

/// The edits of all fabrics, and the message that they go under.
fn together(runner: &Runner, claim: &Claim, ready: &[Ready<'_>]) -> (Edits, CommitMessage) {
    let edits = ready.iter().flat_map(|share| share.applied.plan.edits.clone()).collect();
    let plans: Vec<(FabricName, &FabricPlan)> =
        ready.iter().map(|share| (share.part.fabric.clone(), &share.applied.plan)).collect();
    (edits, commit_message(&claim.run, &plans, &runner.people))
}

/// What the commit did to which objects, and which of them wait for a person from now on.
fn touched(run: &RunId, share: &Ready<'_>, commit: Option<&Oid>) -> Vec<(Key, Touch)> {
    let Applied { gathered, plan, .. } = &share.applied;
    let touch = |key: &Key, outcome: &Outcome, commit: Option<&Oid>| {
        let by = gathered.sides.keys.get(key).into_iter().flat_map(|sides| sides.changed_by.iter().cloned()).collect();
        (key.clone(), Touch { run: run.clone(), outcome: outcome.clone(), commit: commit.cloned(), by, request: None })
    };
    let is_news =
        |key: &Key, reason: &Reason| gathered.memory.held.get(key).is_none_or(|before| before.code != reason.code);
    plan.items
        .iter()
        .filter_map(|item| match item {
            Item::Object { key, outcome, .. } => match outcome {
                Outcome::GitCreated | Outcome::GitUpdated | Outcome::GitDeleted => Some(touch(key, outcome, commit)),
                Outcome::Held { reason } if is_news(key, reason) => Some(touch(key, outcome, None)),
                Outcome::Held { .. } | Outcome::Unchanged => None,
                // Told when NetBox answered.
                Outcome::NetboxCreated | Outcome::NetboxUpdated | Outcome::NetboxDeleted => None,
            },
            Item::Document { .. } | Item::File { .. } | Item::Warning { .. } => None,
        })
        .collect()
}

/// What the ledger keeps of a fabric's share once its edits are in the head.
fn remembered(share: &Ready<'_>) -> Advance {
    let Applied { gathered, plan, .. } = &share.applied;
    let held_now: BTreeMap<_, _> = plan
        .items
        .iter()
        .filter_map(|item| match item {
            Item::Object { key, outcome: Outcome::Held { reason }, .. } => Some((key.clone(), reason.clone())),
            Item::Object { .. } | Item::Document { .. } | Item::File { .. } | Item::Warning { .. } => None,
        })
        .collect();
    let keys = &gathered.sides.keys;
    // What a full comparison does not find on any side is gone, and so is the reason that it was held for.
    let is_full = share.part.changes.contains(&Change::Everything);
    let gone = gathered.memory.held.keys().filter(|key| is_full && !keys.contains_key(key));
    let held = keys
        .keys()
        .chain(gone)
        .map(|key| (key.clone(), held_now.get(key).cloned()))
        // What was not held and is not is no news: in a full comparison that is nearly every key.
        .filter(|(key, reason)| reason.is_some() || gathered.memory.held.contains_key(key))
        .collect();
    let deleted = plan
        .items
        .iter()
        .filter_map(|item| match item {
            Item::Object { key, outcome: Outcome::GitDeleted, .. } => Some(key.clone()),
            Item::Object { .. } | Item::Document { .. } | Item::File { .. } | Item::Warning { .. } => None,
        })
        .collect();
    // Guarded keys that this run did not look at stay guarded.
    let unseen = gathered.memory.guarded.iter().filter(|key| !keys.contains_key(key)).cloned();
    let guarded: BTreeSet<_> = plan.guarded.iter().cloned().chain(unseen).collect();
    let forget = gathered
        .memory
        .remembered
        .keys()
        .filter(|document| {
            let still = gathered.sides.tree.get(&document.path).is_some_and(|entry| entry.blob == document.blob);
            !still || plan.edits.contains_key(&document.path)
        })
        .cloned()
        .collect();
    Advance {
        base: plan.base.clone(),
        intents: Vec::new(),
        remember: plan.remember.clone(),
        forget,
        held,
        deleted,
        guarded: Some(guarded),
        adopted: gathered.memory.adopt,
        conflicts: conflicts(&share.applied),
        answered: gathered
            .memory
            .resolutions
            .iter()
            .filter(|(key, _)| plan.answered.contains(key))
            .map(|(key, resolution)| (key.clone(), resolution.clone()))
            .collect(),
        lost: plan.settled_edits.iter().map(|key| (key.clone(), None)).collect(),
        touched: Vec::new(),
    }
}

/// The contradictions of this run, and those that are over.
fn conflicts(applied: &Applied) -> BTreeMap<Key, Option<(ConflictRecord, Documents)>> {
    let Applied { gathered, plan, .. } = applied;
    let over = gathered.memory.conflicts.keys().filter(|key| gathered.sides.keys.contains_key(key));
    let mut conflicts: BTreeMap<_, _> = over.map(|key| (key.clone(), None)).collect();
    for (key, (conflict, documents)) in &plan.conflicts {
        let record =
            continued(&gathered.memory, key, ConflictRecord { since: gathered.memory.now, conflict: conflict.clone() });
        conflicts.insert(key.clone(), Some((record, documents.clone())));
    }
    conflicts
}

/// What an earlier run already knew of a conflict: since when it is there, and who changed the row.
fn continued(memory: &FabricMemory, key: &Key, mut now: ConflictRecord) -> ConflictRecord {
    let Some(before) = memory.conflicts.get(key) else { return now };
    now.since = before.since;
    if let (Some(was), Some(is)) = (&before.conflict.netbox, &mut now.conflict.netbox)
        && was.digest == is.digest
    {
        is.changed_by.extend(was.changed_by.iter().cloned());
    }
    now
}
