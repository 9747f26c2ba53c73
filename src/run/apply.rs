//! NetBox writes: recorded before they are sent, remembered as soon as they are answered.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::domain::conflict::{Content, LostEdit};
use crate::domain::digest::Digest;
use crate::domain::document::{Shared, without_ours};
use crate::domain::fate::Reason;
use crate::domain::key::Key;
use crate::domain::lease::LeaseProof;
use crate::domain::names::RunId;
use crate::domain::policy::Fabric;
use crate::domain::report::{Item, Outcome};
use crate::domain::row::{BaseUpdate, Intent, Row};
use crate::ledger::touches::Touch;
use crate::ledger::types::Advance;
use crate::netbox::{MAX_LOT, Request, WriteContext, Written};
use crate::plan::written::{acknowledged, intent};
use crate::plan::{FabricPlan, KeySides, NetBoxSide, NetBoxWrite, Overwritten, plan_fabric};

use super::failure::{Failure, error};
use super::gather::Gathered;
use super::journal::{self, Acknowledged};
use super::source::Source;
use super::{Runner, state};

/// How often a plan may ask NetBox for more before we stop: writes, then what their refusals change, then nothing.
const MAX_ROUNDS: usize = 4;

/// What is left to be committed when NetBox has nothing more to be written, and what was written on the way.
pub struct Applied {
    /// With NetBox's answers in it.
    pub gathered: Gathered,
    pub plan: FabricPlan,
    pub written: BTreeMap<Key, Wrote>,
    /// What else the report says.
    pub warnings: Vec<Item>,
}

/// A write that NetBox has acknowledged.
pub struct Wrote {
    pub outcome: Outcome,
    /// NetBox's own id of the request.
    pub request: Option<String>,
}

impl Wrote {
    /// The report's item of the object.
    pub fn item(&self, key: &Key, outcome: &Outcome) -> Item {
        Item::Object { key: key.clone(), outcome: outcome.clone(), request: self.request.clone() }
    }
}

/// Who asks for the writes.
pub struct Asking<'a> {
    pub proof: &'a LeaseProof,
    pub run: &'a RunId,
}

/// Plans, writes NetBox and plans again with the answers, until only the commit is left.
///
/// NetBox's change records say what asked for each write: the commit, its author and the raw document.
pub async fn write_netbox(runner: &Runner, asking: Asking<'_>, gathered: Gathered) -> Result<Applied, Failure> {
    let fabric = runner.fabric(&gathered.sides.fabric)?.clone();
    let plan = planned(&gathered, &fabric);
    state::tell_writing(runner, asking.proof, &fabric, plan.netbox.len() + plan.edits.len()).await;
    let mut applied = Applied { gathered, plan, written: BTreeMap::new(), warnings: Vec::new() };
    if applied.plan.netbox.is_empty() {
        return Ok(applied);
    }
    let source = Source::of(runner, &fabric, &applied.gathered.sides, asking.run).await;
    let context = Writing { runner, fabric: &fabric, asking, source };
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
    asking: Asking<'a>,
    source: Source,
}

impl Writing<'_> {
    async fn write_lot(&self, applied: &mut Applied, lot: &[NetBoxWrite]) -> Result<(), Failure> {
        let Self { runner, fabric, asking: Asking { proof, run }, source } = self;
        let head = applied.gathered.sides.head.clone();
        let base = |write: &NetBoxWrite| applied.gathered.sides.keys.get(write.key())?.base.as_ref();
        let intents: Vec<Intent> =
            lot.iter().map(|write| intent(&applied.plan, write, base(write), head.as_ref())).collect();
        let before = Advance { intents: intents.clone(), ..Advance::default() };
        runner.ledger.advance(proof, &fabric.name, &before).await?;

        let requests: Vec<Request> = lot.iter().map(request).collect();
        let context = self.write_context(&applied.plan);
        let answers = runner.netbox(&fabric.netbox)?.write_lot(proof, &requests, &context).await?;

        let mut answered = Answered {
            applied,
            source,
            run,
            advance: Advance::default(),
            acknowledged: Vec::new(),
            changed: None,
            failed: None,
        };
        for ((write, intent), answer) in lot.iter().zip(intents).zip(answers) {
            answered.take(write, intent, answer);
        }
        let Answered { advance, acknowledged, changed, failed, .. } = answered;
        runner.ledger.advance(proof, &fabric.name, &advance).await?;
        let of = (&applied.gathered.sides, source);
        let unwritten = journal::tell_writes(runner, (proof, fabric), of, &acknowledged).await;
        applied.warnings.extend(unwritten);
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
        let mut notes = self.source.of_documents.clone();
        for overwritten in &plan.overwritten {
            if let Overwritten::Row { key, digest } = overwritten {
                notes.insert(key.clone(), note(digest, self.source.message_of(key)));
            }
        }
        WriteContext { fabric: self.fabric.name.clone(), message: self.source.message.clone(), notes }
    }
}

/// Begins with what matters: NetBox's messages are short.
fn note(digest: &Digest, asked_by: &str) -> String {
    format!("overwrites content sha256:{digest:.16}, kept in this record's pre-change data. {asked_by}")
}

/// A lot's answers on their way into the sides and the ledger.
struct Answered<'a> {
    applied: &'a mut Applied,
    source: &'a Source,
    run: &'a RunId,
    advance: Advance,
    /// What NetBox's request ids prove to be ours.
    acknowledged: Vec<Acknowledged>,
    changed: Option<Key>,
    failed: Option<Failure>,
}

impl Answered<'_> {
    fn take(&mut self, write: &NetBoxWrite, intent: Intent, answer: Written) {
        let key = write.key().clone();
        match answer {
            Written::Done { row, request } => self.done(write, intent, (row, request)),
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
                self.done(write, intent, (row.map(Box::new), None));
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
    fn done(&mut self, write: &NetBoxWrite, intent: Intent, (row, request): (Option<Box<Row>>, Option<String>)) {
        let key = write.key().clone();
        let id = row.as_ref().map(|row| row.id);
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
        if let (Some(id), Some(_)) = (id, &request) {
            self.acknowledged.push(Acknowledged { key: key.clone(), id, outcome: outcome(write) });
        }
        let wrote = Wrote { outcome: outcome(write), request };
        let touch = Touch {
            run: self.run.clone(),
            outcome: wrote.outcome.clone(),
            commit: self.source.commit.clone(),
            by: self.source.author.iter().cloned().collect(),
            request: wrote.request.clone(),
        };
        self.advance.touched.push((key.clone(), touch));
        self.applied.written.insert(key, wrote);
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
