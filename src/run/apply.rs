//! NetBox writes: recorded before they are sent, remembered as soon as they are answered.

use std::collections::BTreeMap;

use crate::domain::fate::Reason;
use crate::domain::key::Key;
use crate::domain::lease::LeaseProof;
use crate::domain::names::Oid;
use crate::domain::policy::Fabric;
use crate::domain::report::Outcome;
use crate::domain::row::{Base, BaseUpdate, Intent, NetBoxBase, Row};
use crate::ledger::types::Advance;
use crate::netbox::{MAX_LOT, Request, WriteContext, Written};
use crate::plan::{FabricPlan, KeySides, NetBoxSide, NetBoxWrite, plan_fabric};

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
    /// Users' edits that our writes covered, because NetBox has no fence for bulk writes.
    pub lost: BTreeMap<Key, Reason>,
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
    let plan = plan_fabric(&gathered.sides, &fabric.policy);
    let mut applied = Applied { gathered, plan, written: BTreeMap::new(), lost: BTreeMap::new() };
    let context = Writing { runner, fabric: &fabric, proof, asked_by };
    for _ in 0..MAX_ROUNDS {
        if applied.plan.netbox.is_empty() {
            return Ok(applied);
        }
        for lot in lots(std::mem::take(&mut applied.plan.netbox)) {
            context.write_lot(&mut applied, &lot).await?;
        }
        applied.plan = plan_fabric(&applied.gathered.sides, &fabric.policy);
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
    std::mem::discriminant(a) == std::mem::discriminant(b) && key_of(a).kind == key_of(b).kind
}

fn key_of(write: &NetBoxWrite) -> &Key {
    match write {
        NetBoxWrite::Create { want } | NetBoxWrite::Update { want, .. } => &want.key,
        NetBoxWrite::Delete { against } => &against.shared.key,
    }
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
        let Self { runner, fabric, proof, asked_by } = self;
        let sides = &mut applied.gathered.sides;
        let intents = lot.iter().map(|write| intent(write, sides.head.as_ref())).collect::<Vec<_>>();
        let before = Advance { intents: intents.clone(), ..Advance::default() };
        runner.ledger.advance(proof, &fabric.name, &before).await?;

        let requests: Vec<Request> = lot.iter().map(request).collect();
        let context = WriteContext { fabric: fabric.name.clone(), message: asked_by.clone() };
        let answers = runner.netbox(&fabric.netbox)?.write_lot(proof, &requests, &context).await?;

        let mut advance = Advance::default();
        let mut outcomes = BTreeMap::new();
        let mut lost = BTreeMap::new();
        let (mut changed, mut failed) = (None, None);
        for ((write, intent), answer) in lot.iter().zip(intents).zip(answers) {
            let key = key_of(write).clone();
            let Some(side) = sides.keys.get_mut(&key) else { continue };
            match answer {
                Written::Done(row) => {
                    let base = acknowledged(side, row.as_deref());
                    side.netbox = row.map_or(NetBoxSide::Absent, NetBoxSide::Row);
                    side.base = Some(base.clone());
                    side.intent = Some(intent);
                    advance.base.push(BaseUpdate { key: key.clone(), base: Some(base), clears_intent: false });
                    if let NetBoxWrite::Delete { .. } = write {
                        advance.deleted.push(key.clone());
                        // The next plan's guard counts what this one deleted.
                        sides.deletions.recent += 1;
                        sides.deletions.objects = sides.deletions.objects.saturating_sub(1);
                    }
                    outcomes.insert(key, outcome(write));
                }
                Written::Changed => {
                    advance.base.push(forget_intent(&key, side));
                    changed = Some(key);
                }
                Written::Refused { words } => {
                    side.refusal = Some(Reason::new("netbox_refused", words));
                    advance.base.push(forget_intent(&key, side));
                }
                Written::Failing { detail } => {
                    side.unanswered = Some(Reason::new("netbox_failing", detail));
                    advance.base.push(forget_intent(&key, side));
                }
                Written::LostEdit { object, by, before } => {
                    let who = by.as_deref().unwrap_or("somebody");
                    let words = format!(
                        "{who} changed {object} between our read and our write, which overwrote it; NetBox's change log has \
                     what they wrote: {before}"
                    );
                    lost.insert(key.clone(), Reason::new("lost_edit", words));
                    if let NetBoxWrite::Update { against, want } = write {
                        let row = Row { shared: want.clone(), ..against.as_ref().clone() };
                        let base = acknowledged(side, Some(&row));
                        side.netbox = NetBoxSide::Row(Box::new(row));
                        side.base = Some(base.clone());
                        side.intent = Some(intent);
                        advance.base.push(BaseUpdate { key: key.clone(), base: Some(base), clears_intent: false });
                    }
                    outcomes.insert(key, outcome(write));
                }
                // It may or may not be written: its intent stays, and the next run looks.
                Written::Unanswered(error) => failed = Some(Failure::from(error)),
            }
        }
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
        applied.written.extend(outcomes);
        applied.lost.extend(lost);
        Ok(())
    }
}

fn request(write: &NetBoxWrite) -> Request {
    match write.clone() {
        NetBoxWrite::Create { want } => Request::Create { want },
        NetBoxWrite::Update { against, want } => Request::Update { against, want },
        NetBoxWrite::Delete { against } => Request::Delete { against },
    }
}

fn intent(write: &NetBoxWrite, source: Option<&Oid>) -> Intent {
    let (id, from, to) = match write {
        NetBoxWrite::Create { want } => (None, None, Some(want.digest())),
        NetBoxWrite::Update { against, want } => (Some(against.id), Some(against.shared.digest()), Some(want.digest())),
        NetBoxWrite::Delete { against } => (Some(against.id), Some(against.shared.digest()), None),
    };
    Intent { key: key_of(write).clone(), id, from, to, source: source.cloned() }
}

/// The base after NetBox's acknowledgement: its own half moves, Git's half stays.
fn acknowledged(side: &KeySides, row: Option<&Row>) -> Base {
    let netbox =
        row.map(|row| NetBoxBase { id: row.id, digest: row.shared.digest(), last_updated: row.last_updated.clone() });
    Base { git: side.base.as_ref().and_then(|base| base.git.clone()), netbox }
}

/// Nothing was written, so nothing is outstanding; base stays as it is.
fn forget_intent(key: &Key, side: &mut KeySides) -> BaseUpdate {
    side.intent = None;
    BaseUpdate { key: key.clone(), base: side.base.clone(), clears_intent: true }
}

fn outcome(write: &NetBoxWrite) -> Outcome {
    match write {
        NetBoxWrite::Create { .. } => Outcome::NetboxCreated,
        NetBoxWrite::Update { .. } => Outcome::NetboxUpdated,
        NetBoxWrite::Delete { .. } => Outcome::NetboxDeleted,
    }
}
