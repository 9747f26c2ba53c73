//! One batch from claim to settlement.

use std::collections::{BTreeMap, BTreeSet};

use tracing::{Instrument, debug_span};

use crate::domain::change::Change;
use crate::domain::conflict::Documents;
use crate::domain::directory::{Condition, DirectoryRecord, DirectoryStatus};
use crate::domain::edit::{CommitMessage, Edit, Edits};
use crate::domain::fate::Reason;
use crate::domain::history::HistoryBreak;
use crate::domain::key::Key;
use crate::domain::names::{FabricName, Oid, RunId};
use crate::domain::policy::Fabric;
use crate::domain::report::{Item, Outcome};
use crate::ledger::conflicts::ConflictRecord;
use crate::ledger::drift::{Comparison, DriftUpdate, Seen};
use crate::ledger::touches::Touch;
use crate::ledger::types::{Advance, Claim, FabricMemory, JobError, Part, PartOutcome, SettledHead, Settlement};
use crate::plan::drift::{Planned, drift};
use crate::plan::layout::marker_path;
use crate::plan::message::commit_message;
use crate::plan::{FabricPlan, plan_fabric};

use super::apply::{Applied, Asking, write_netbox};
use super::deliver::{Delivered, deliver, only_agreed};
use super::failure::{Failure, error};
use super::gather::{Gathered, gather};
use super::history::{find_break, stalled};
use super::shown::show;
use super::unreachable::Unreachable;
use super::{Runner, edits, journal, report};

/// How often a run plans again because the world moved, before it gives the batch back.
const MAX_PLANS: usize = 8;

/// Works on the batch until it is settled or somebody else must go on.
pub async fn until_settled(runner: &Runner, claim: &Claim) -> Settlement {
    let mut last = None;
    for _ in 0..MAX_PLANS {
        match Box::pin(once(runner, claim)).await {
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
    let (head, broken) = look(runner, claim).await?;
    let mut outcomes: Vec<(FabricName, PartOutcome)> = Vec::new();
    let mut ready: Vec<Ready<'_>> = Vec::new();
    let mut unreachable = Unreachable::default();
    for part in &claim.parts {
        if let Some(broken) = broken.as_ref().filter(|_| !is_dry_run(part)) {
            let failure = stalled(broken, target);
            log_failure(claim, Some(&part.fabric), &failure);
            outcomes.push((part.fabric.clone(), failure.into_outcome()));
            continue;
        }
        let netbox = runner.fabrics.get(&part.fabric).map(|fabric| &fabric.netbox);
        if let Some(failure) = netbox.and_then(|netbox| unreachable.failure(netbox)) {
            log_failure(claim, Some(&part.fabric), failure);
            outcomes.push((part.fabric.clone(), failure.clone().into_outcome()));
            continue;
        }
        match Box::pin(prepare(runner, claim, part, (head.as_ref(), broken.as_ref()))).await {
            Ok(Prepared::Ready(share)) => ready.push(*share),
            Ok(Prepared::Dry(outcome)) => outcomes.push((part.fabric.clone(), outcome)),
            Err(moved @ Failure::Conflict(_)) => return Err(moved),
            Err(failure) => {
                // One fabric's trouble is its own: the others of the target go on.
                log_failure(claim, Some(&part.fabric), &failure);
                if let Some(netbox) = netbox {
                    unreachable.note(runner, netbox, &failure).await;
                }
                if let Failure::Directory(problem) = &failure {
                    note_directory(runner, claim, runner.fabric(&part.fabric)?, problem).await?;
                }
                outcomes.push((part.fabric.clone(), failure.into_outcome()));
            }
        }
    }

    // Where nothing is ready, nothing is known of what a proposal should say.
    let (all_edits, message) = together(runner, claim, &ready);
    let delivering = deliver(runner, claim, head.as_ref(), (&all_edits, &message));
    let delivered = match ready.is_empty() {
        true => Delivered::Nothing,
        false => delivering.instrument(debug_span!("commit", edits = all_edits.len())).await?,
    };
    for share in &ready {
        let outcome = conclude(runner, claim, share, (head.as_ref(), &delivered)).await?;
        outcomes.push((share.part.fabric.clone(), outcome));
    }
    // A head that was only looked at is not dealt with: polling must find it again.
    let dealt_with = match delivered.commit() {
        Some(ours) => Some(SettledHead { head: ours.clone(), made_on: head.clone() }),
        None => head.clone().map(SettledHead::from).filter(|_| !ready.is_empty()),
    };
    let settlement = Settlement { head: dealt_with, parts: outcomes };
    show(runner, claim, head.as_ref(), &settlement).await;
    Ok(settlement)
}

/// The branch's head, and the break in its history that a person has to look at.
async fn look(runner: &Runner, claim: &Claim) -> Result<(Option<Oid>, Option<HistoryBreak>), Failure> {
    let target = claim.proof.target();
    let repository = &runner.site(target)?.repository;
    let known = runner.ledger.head(target).await?;
    if let Some(settled) = &known {
        repository.expect_head(&target.branch, settled);
    }
    let head = repository.head(&target.branch).await?;
    let broken = find_break(repository.as_ref(), known.as_ref(), head.as_ref()).await?;
    if broken != runner.ledger.broken_history(target).await? {
        runner.ledger.note_history(&claim.proof, broken.as_ref()).await?;
    }
    Ok((head, broken))
}

/// Remembers a fabric's share once its edits are where they go, and tells what became of it.
async fn conclude(
    runner: &Runner,
    claim: &Claim,
    share: &Ready<'_>,
    (head, delivered): (Option<&Oid>, &Delivered),
) -> Result<PartOutcome, Failure> {
    let Ready { part, applied } = share;
    let review = delivered.review().filter(|_| !applied.plan.edits.is_empty());
    let advance = match review {
        Some(review) => only_agreed(remembered(share), &applied.plan, review),
        None => Advance { touched: touched(&claim.run, share, delivered.commit()), ..remembered(share) },
    };
    let planned = if review.is_some() { Planned::Outstanding } else { Planned::Done };
    let landed = delivered.commit().or(head);
    let mut drift = differing(claim, part, &applied.gathered, (&applied.plan, planned, landed));
    for (key, differs) in &mut drift.objects {
        // What a pull request holds is held for that.
        if let Some(differs) = differs.as_mut().filter(|differs| differs.reason.is_none()) {
            differs.reason = advance.held.get(key).cloned().flatten();
        }
    }
    let advance = Advance { drift: Some(drift), ..advance };
    runner.ledger.advance(&claim.proof, &part.fabric, &advance).await?;
    edits::keep(runner, claim, &applied.gathered, &applied.plan).await;
    let fabric = runner.fabric(&part.fabric)?;
    let unwritten =
        journal::tell_conflicts(runner, (&claim.proof, fabric), &applied.gathered.memory, &applied.plan).await;
    let warnings = [applied.warnings.as_slice(), &unwritten].concat();
    let report = report::of(claim, &part.fabric, (head, delivered), (applied, warnings));
    let held = review.is_some() || report::needs_a_person(&report, part, &applied.gathered.memory);
    Ok(PartOutcome::Done { report: Box::new(report), held })
}

enum Prepared<'a> {
    Ready(Box<Ready<'a>>),
    /// A dry run: planned, reported, nothing applied.
    Dry(PartOutcome),
}

async fn prepare<'a>(
    runner: &Runner,
    claim: &Claim,
    part: &'a Part,
    (head, broken): (Option<&Oid>, Option<&HistoryBreak>),
) -> Result<Prepared<'a>, Failure> {
    let fabric = runner.fabric(&part.fabric)?;
    let mut gathered = gather(runner, part, head).instrument(debug_span!("gather", fabric = %part.fabric)).await?;
    if is_dry_run(part) {
        // Deletions will be guarded should somebody accept the history.
        gathered.sides.deletions.new_history |= broken.is_some();
        let mut plan = debug_span!("plan").in_scope(|| plan_fabric(&gathered.sides, &fabric.policy));
        match &gathered.rewound {
            // What differs from an earlier state is no drift.
            Some((rewound, rollback)) => rewound.join(&mut plan, rollback, &BTreeSet::new()),
            None => {
                let drift = differing(claim, part, &gathered, (&plan, Planned::Outstanding, head));
                let advance = Advance { drift: Some(drift), ..Advance::default() };
                runner.ledger.advance(&claim.proof, &part.fabric, &advance).await?;
            }
        }
        edits::keep(runner, claim, &gathered, &plan).await;
        let report = report::of_dry_run(claim, &part.fabric, head, &plan);
        return Ok(Prepared::Dry(PartOutcome::Done { report: Box::new(report), held: false }));
    }
    let asking = Asking { proof: &claim.proof, run: &claim.run };
    let applying = debug_span!("apply", fabric = %part.fabric);
    let mut applied = write_netbox(runner, asking, gathered).instrument(applying).await?;
    if let Some((rewound, rollback)) = &applied.gathered.rewound {
        let written = applied.written.keys().cloned().collect();
        rewound.join(&mut applied.plan, rollback, &written);
    }
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
    let is_full = share.part.changes.iter().any(Change::is_full);
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
            !still || plan.edits.get(&document.path) == Some(&Edit::Delete)
        })
        .cloned();
    let relocation = gathered.relocation.clone();
    let ended = |key: &Key| plan.base.iter().any(|update| update.key == *key && update.clears_intent);
    Advance {
        base: relocation.base.into_iter().chain(plan.base.clone()).collect(),
        intents: relocation.intents.into_iter().filter(|intent| !ended(&intent.key)).collect(),
        remember: relocation.remember.into_iter().chain(plan.remember.clone()).collect(),
        forget: relocation.forget.into_iter().chain(forget).collect(),
        held,
        deleted,
        adopted: gathered.memory.adopt,
        directory: Some(directory_record(share)),
        history_settled: gathered.memory.new_history && is_full && guarded.is_empty(),
        guarded: Some(guarded),
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
        drift: None,
    }
}

/// The directory as it is once the edits are in the head.
fn directory_record(share: &Ready<'_>) -> DirectoryRecord {
    let Applied { gathered, plan, .. } = &share.applied;
    let Gathered { sides, memory, target, .. } = gathered;
    let before = memory.directory.as_ref().filter(|_| sides.look.known);
    // A person deletes a broken marker because we said so.
    let lost = |before: &DirectoryRecord| {
        !sides.tree.contains_key(&marker_path(&sides.directory)) && before.condition.status != DirectoryStatus::Error
    };
    let put_back = before.is_some_and(|before| before.put_back || lost(before)) && !sides.look.restores;
    let is_ours = match plan.directory.status {
        DirectoryStatus::Initialized | DirectoryStatus::Initializing => true,
        DirectoryStatus::NotInitialized | DirectoryStatus::Error => false,
    };
    DirectoryRecord {
        target: target.clone(),
        path: sides.directory.clone(),
        known: is_ours || before.is_some(),
        put_back,
        condition: plan.directory.clone(),
    }
}

/// Remembers why the directory cannot be worked on; what else was known of it stays.
async fn note_directory(runner: &Runner, claim: &Claim, fabric: &Fabric, problem: &JobError) -> Result<(), Failure> {
    let before = runner.ledger.memory(&fabric.name).await?.directory;
    let mut record = before.unwrap_or_else(|| DirectoryRecord {
        target: fabric.target.clone(),
        path: fabric.directory.clone(),
        known: false,
        put_back: false,
        condition: Condition::default(),
    });
    record.condition.status = DirectoryStatus::Error;
    record.condition.reason = Some(Reason::new(&problem.code, problem.message.clone()));
    let advance = Advance { directory: Some(record), ..Advance::default() };
    Ok(runner.ledger.advance(&claim.proof, &fabric.name, &advance).await?)
}

fn is_dry_run(part: &Part) -> bool {
    part.changes.iter().all(Change::is_dry_run)
}

/// What still differs of all that the part looked at, as of the head that this leaves.
fn differing(
    claim: &Claim,
    part: &Part,
    gathered: &Gathered,
    (plan, planned, head): (&FabricPlan, Planned, Option<&Oid>),
) -> DriftUpdate {
    let found = drift(&gathered.sides, plan, planned);
    let seen = Seen { at: gathered.memory.now, head: head.cloned() };
    let compares = |change: &Change| change.is_full();
    let compared = part.changes.iter().any(compares).then(|| Comparison {
        seen: seen.clone(),
        run: claim.run.clone(),
        dry_run: is_dry_run(part),
    });
    let mut objects: BTreeMap<_, _> = gathered.sides.keys.keys().map(|key| (key.clone(), None)).collect();
    objects.extend(found.objects.into_iter().map(|(key, drift)| (key, Some(drift))));
    DriftUpdate { compared, seen, objects, files: found.files }
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
