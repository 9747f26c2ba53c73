//! NetBox writes: recorded before they are sent, remembered as soon as they are answered.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::domain::conflict::{Content, LostEdit};
use crate::domain::digest::Digest;
use crate::domain::document::{Shared, without_ours};
use crate::domain::fate::Reason;
use crate::domain::key::Key;
use crate::domain::lease::LeaseProof;
use crate::domain::policy::Fabric;
use crate::domain::report::Outcome;
use crate::domain::row::{BaseUpdate, Intent, Row};
use crate::ledger::types::Advance;
use crate::netbox::{MAX_LOT, Request, WriteContext, Written};
use crate::plan::written::{acknowledged, intent};
use crate::plan::{FabricPlan, KeySides, NetBoxSide, NetBoxWrite, Overwritten, plan_fabric};

use super::Runner;
use super::failure::{Failure, error};
use super::gather::Gathered;

/// How often a plan may ask NetBox for more before we stop: writes, then what their refusals change, then nothing.
const MAX_ROUNDS: usize = 4;

/// What is left to be committed when NetBox has nothing more to be written, and what was written on the way.
pub struct Applied {
    /// With NetBox's answers in it.
    pub gathered: Gathered,
    pub plan: FabricPlan,
    pub written: BTreeMap<Key, Outcome>,
}

/// Plans, writes NetBox and plans again with the answers, until only the commit is left.
///
/// `asked_by` says in NetBox's change records what asked for the writes.
pub async fn write_netbox(
    runner: &Runner,
    proof: &LeaseProof,
    gathered: Gathered,
    asked_by: String,
) -> Result<Applied, Failure> {
    let fabric = runner.fabric(&gathered.sides.fabric)?.clone();
    let plan = planned(&gathered, &fabric);
    let mut applied = Applied { gathered, plan, written: BTreeMap::new() };
    let context = Writing { runner, fabric: &fabric, proof, asked_by };
    for _ in 0..MAX_ROUNDS {
        if applied.plan.netbox.is_empty() {
            return Ok(applied);
        }
        for lot in lots(std::mem::take(&mut applied.plan.netbox)) {
            context.write_lot(&mut applied, &lot).await?;
        }
        applied.plan = planned(&applied.gathered, &fabric);
    }
    if applied.plan.netbox.is_empty() {
        return Ok(applied);
    }
    Err(Failure::Transient(error(
        "plan_does_not_settle",
        format!("after {MAX_ROUNDS} rounds of writes the plan for {} still asks NetBox for more", fabric.name),
        "report this with the run's id: it is a defect",
    )))
}

fn planned(gathered: &Gathered, fabric: &Fabric) -> FabricPlan {
    tracing::debug_span!("plan").in_scope(|| plan_fabric(&gathered.sides, &fabric.policy))
}

/// Cuts the writes into lots of one kind and one verb, in the order planned.
fn lots(writes: Vec<NetBoxWrite>) -> Vec<Vec<NetBoxWrite>> {
    let mut lots: Vec<Vec<NetBoxWrite>> = Vec::new();
    for write in writes {
        match lots.last_mut() {
            Some(lot) if lot.len() < MAX_LOT && lot.first().is_some_and(|first| alike(first, &write)) => {
                lot.push(write)
            }
            _ => lots.push(vec![write]),
        }
    }
    lots
}

fn alike(a: &NetBoxWrite, b: &NetBoxWrite) -> bool {
    std::mem::discriminant(a) == std::mem::discriminant(b) && a.key().kind == b.key().kind
}

/// What every lot of a fabric's writes has in common.
struct Writing<'a> {
    runner: &'a Runner,
    fabric: &'a Fabric,
    proof: &'a LeaseProof,
    asked_by: String,
}

impl Writing<'_> {
    async fn write_lot(&self, applied: &mut Applied, lot: &[NetBoxWrite]) -> Result<(), Failure> {
        let Self { runner, fabric, proof, .. } = self;
        let head = applied.gathered.sides.head.clone();
        let intents: Vec<Intent> = lot.iter().map(|write| intent(&applied.plan, write, head.as_ref())).collect();
        let before = Advance { intents: intents.clone(), ..Advance::default() };
        runner.ledger.advance(proof, &fabric.name, &before).await?;

        let requests: Vec<Request> = lot.iter().map(request).collect();
        let context = self.write_context(&applied.plan);
        let answers = runner.netbox(&fabric.netbox)?.write_lot(proof, &requests, &context).await?;

        let mut answered = Answered { applied, advance: Advance::default(), changed: None, failed: None };
        for ((write, intent), answer) in lot.iter().zip(intents).zip(answers) {
            answered.take(write, intent, answer);
        }
        let Answered { advance, changed, failed, .. } = answered;
        runner.ledger.advance(proof, &fabric.name, &advance).await?;
        if let Some(failure) = failed {
            return Err(failure);
        }
        if let Some(key) = changed {
            return Err(Failure::Conflict(error(
                "netbox_changed",
                format!("{key} in {} changed between planning and writing", fabric.name),
                "nothing: the run plans again",
            )));
        }
        Ok(())
    }

    /// What NetBox's change records say of the writes; those that overwrite something say what.
    fn write_context(&self, plan: &FabricPlan) -> WriteContext {
        let notes = plan.overwritten.iter().filter_map(|overwritten| match overwritten {
            Overwritten::Row { key, digest } => Some((key.clone(), note(digest, &self.asked_by))),
            Overwritten::File { .. } => None,
        });
        WriteContext { fabric: self.fabric.name.clone(), message: self.asked_by.clone(), notes: notes.collect() }
    }
}

/// Begins with what matters: NetBox's messages are short.
fn note(digest: &Digest, asked_by: &str) -> String {
    let digest = &digest.as_str()[..16];
    format!("overwrites content sha256:{digest}, kept in this record's pre-change data. {asked_by}")
}

/// A lot's answers on their way into the sides and the ledger.
struct Answered<'a> {
    applied: &'a mut Applied,
    advance: Advance,
    changed: Option<Key>,
    failed: Option<Failure>,
}

impl Answered<'_> {
    fn take(&mut self, write: &NetBoxWrite, intent: Intent, answer: Written) {
        let key = write.key().clone();
        match answer {
            Written::Done(row) => self.done(write, intent, row),
            Written::LostEdit { object, by, before } => {
                let was = content_before(&key, &before);
                let spec = self.applied.gathered.sides.catalogue.get(&key.kind);
                let document = was.document(&spec.map(|spec| spec.api_version()).unwrap_or_default());
                let lost = LostEdit { id: object.id, by, digest: was.digest(), content: Content::of(&document) };
                self.advance.lost.insert(key.clone(), Some(lost.clone()));
                if let Some(side) = self.side(&key) {
                    side.lost = Some(lost);
                }
                let row = match write {
                    NetBoxWrite::Update { against, want } => Some(Row { shared: want.clone(), ..(**against).clone() }),
                    NetBoxWrite::Create { .. } | NetBoxWrite::Delete { .. } => None,
                };
                self.done(write, intent, row.map(Box::new));
            }
            Written::Changed => {
                self.forget_intent(&key);
                self.changed = Some(key);
            }
            Written::Refused { words } => {
                self.forget_intent(&key);
                if let Some(side) = self.side(&key) {
                    side.refusal = Some(Reason::new("netbox_refused", words));
                }
            }
            Written::Failing { detail } => {
                self.forget_intent(&key);
                if let Some(side) = self.side(&key) {
                    side.unanswered = Some(Reason::new("netbox_failing", detail));
                }
            }
            // It may or may not be written: its intent stays, and the next run looks.
            Written::Unanswered(error) => self.failed = Some(Failure::from(error)),
        }
    }

    fn side(&mut self, key: &Key) -> Option<&mut KeySides> {
        self.applied.gathered.sides.keys.get_mut(key)
    }

    /// The write is in NetBox, which now has this row.
    fn done(&mut self, write: &NetBoxWrite, intent: Intent, row: Option<Box<Row>>) {
        let key = write.key().clone();
        let Some(side) = self.side(&key) else { return };
        let base = acknowledged(&intent, side, row.as_deref());
        side.netbox = row.map_or(NetBoxSide::Absent, NetBoxSide::Row);
        side.base.clone_from(&base);
        side.intent = Some(intent);
        self.advance.base.push(BaseUpdate { key: key.clone(), base, clears_intent: false });
        if let NetBoxWrite::Delete { .. } = write {
            self.advance.deleted.push(key.clone());
            // The next plan's guard counts what this one deleted.
            let deletions = &mut self.applied.gathered.sides.deletions;
            deletions.recent += 1;
            deletions.objects = deletions.objects.saturating_sub(1);
        }
        self.applied.written.insert(key, outcome(write));
    }

    /// Nothing was written, so nothing is outstanding; base stays as it is.
    fn forget_intent(&mut self, key: &Key) {
        let Some(side) = self.side(key) else { return };
        side.intent = None;
        let base = side.base.clone();
        self.advance.base.push(BaseUpdate { key: key.clone(), base, clears_intent: true });
    }
}

/// What a user had written, from NetBox's record of what our write found there.
fn content_before(key: &Key, before: &Value) -> Shared {
    let map = |field: &str| before.get(field).and_then(Value::as_object).cloned().unwrap_or_default();
    Shared {
        key: key.clone(),
        labels: map("labels"),
        annotations: without_ours(map("annotations")),
        spec: before.get("spec").cloned().unwrap_or(Value::Null),
    }
}

fn request(write: &NetBoxWrite) -> Request {
    match write.clone() {
        NetBoxWrite::Create { want } => Request::Create { want },
        NetBoxWrite::Update { against, want } => Request::Update { against, want },
        NetBoxWrite::Delete { against } => Request::Delete { against },
    }
}

fn outcome(write: &NetBoxWrite) -> Outcome {
    match write {
        NetBoxWrite::Create { .. } => Outcome::NetboxCreated,
        NetBoxWrite::Update { .. } => Outcome::NetboxUpdated,
        NetBoxWrite::Delete { .. } => Outcome::NetboxDeleted,
    }
}
