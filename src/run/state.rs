//! Tells NetBox how a fabric stands: always what the ledger says then, so a late word cannot be an old one.
//!
//! Told are a run that begins to write much, and every settled run. NetBox's own echo of it names a fabric that was
//! neither made, renamed nor deleted, and so causes nothing.

use crate::domain::cause::with_causes;
use crate::domain::fabric_state::{FabricState, Facts, SyncStatus};
use crate::domain::lease::LeaseProof;
use crate::domain::names::FabricName;
use crate::domain::policy::Fabric;
use crate::ledger::shown::{ShowOutcome, Shown};
use crate::ledger::types::{FabricStanding, FabricStatus, Millis};
use crate::netbox::StateWritten;

use super::Runner;
use super::failure::{Failure, error};
use super::unreachable::Unreachable;

/// From so many changes on a run is shown while it writes: NetBox takes about 20 rows a second.
const MANY: usize = 100;
/// How often the row is read again because somebody else changed it.
const LOOKS: usize = 3;

/// Tells that a run begins to write, when that is going to take a while.
pub async fn tell_writing(runner: &Runner, proof: &LeaseProof, fabric: &Fabric, changes: usize) {
    if changes >= MANY && proof.left() > runner.ledger.lease() / 2 {
        show(runner, &fabric.name, Some(changes), &mut Unreachable::default()).await;
    }
}

/// Tells how fabrics stand. A failure is noted for people, and tried again with `tell_again`.
pub async fn tell(runner: &Runner, fabrics: &[&FabricName]) {
    let mut unreachable = Unreachable::default();
    for fabric in fabrics {
        show(runner, fabric, None, &mut unreachable).await;
    }
}

/// Tells of fabrics whose state NetBox does not have.
pub async fn tell_again(runner: &Runner) -> Result<(), Failure> {
    let told: Vec<&Fabric> = runner.fabrics.values().filter(|fabric| runner.told.contains(&fabric.netbox)).collect();
    let asked: Vec<_> = told.iter().map(|fabric| (&fabric.name, &fabric.target)).collect();
    let standings = runner.ledger.standings(&asked).await?;
    let stale = told.iter().zip(&standings).filter(|(_, standing)| is_stale(standing));
    let stale: Vec<_> = stale.map(|(fabric, _)| &fabric.name).collect();
    tell(runner, &stale).await;
    Ok(())
}

/// Whether what was told cannot be what is so. A fabric at work is told of when its run is settled.
fn is_stale(standing: &FabricStanding) -> bool {
    let is_error = standing.error.is_some();
    match &standing.shown {
        _ if standing.at_work => false,
        None => is_error || standing.last_sync.is_some(),
        Some(Shown { outcome: ShowOutcome::Failed { .. }, .. }) => true,
        Some(Shown { state, .. }) => {
            state.status == SyncStatus::Syncing || (state.status == SyncStatus::Error) != is_error
        }
    }
}

async fn show(runner: &Runner, name: &FabricName, writing: Option<usize>, unreachable: &mut Unreachable) {
    let Some(fabric) = runner.fabrics.get(name).filter(|fabric| runner.told.contains(&fabric.netbox)) else { return };
    if let Err(failure) = compare_and_write(runner, fabric, writing, unreachable).await {
        let problem = failure.error();
        tracing::warn!(fabric = %name, code = %problem.code, "NetBox was not told how the fabric stands: {}", problem.message);
    }
}

async fn compare_and_write(
    runner: &Runner,
    fabric: &Fabric,
    writing: Option<usize>,
    unreachable: &mut Unreachable,
) -> Result<(), Failure> {
    let known = runner.ledger.fabric_status(&fabric.name).await?;
    let mut state = state_of(&known, writing);
    let is_told = |shown: &Shown| shown.state == state && !matches!(shown.outcome, ShowOutcome::Failed { .. });
    if known.shown.as_ref().is_some_and(is_told) {
        return Ok(());
    }
    let told = match unreachable.failure(&fabric.netbox) {
        Some(failure) => Err(failure.clone()),
        None => write(runner, fabric, writing, &mut state).await,
    };
    if let Err(failure) = &told {
        unreachable.note(runner, &fabric.netbox, failure).await;
    }
    let outcome = match &told {
        Ok(true) => ShowOutcome::Written,
        Ok(false) => ShowOutcome::NoPlace,
        Err(failure) => ShowOutcome::Failed { error: failure.error().clone() },
    };
    if let Err(unnoted) = runner.ledger.note_shown(&fabric.name, &state, outcome).await {
        tracing::warn!(fabric = %fabric.name, error = with_causes(&unnoted), "what NetBox was told could not be noted");
    }
    told.map(drop)
}

/// Writes the state into the fabric's row; false when there is no place for it.
///
/// The row is read before the ledger is: when another worker told something newer in between, NetBox refuses this write,
/// and both are read again.
async fn write(
    runner: &Runner,
    fabric: &Fabric,
    writing: Option<usize>,
    state: &mut FabricState,
) -> Result<bool, Failure> {
    let client = runner.netbox(&fabric.netbox)?;
    for _ in 0..LOOKS {
        let Some(row) = client.fabric_row(&fabric.name).await? else { return Ok(false) };
        let known = runner.ledger.fabric_status(&fabric.name).await?;
        *state = state_of(&known, writing);
        let message = message(state, &known);
        match client.write_fabric_state(&row, state, &message).await? {
            StateWritten::Done => return Ok(true),
            StateWritten::Changed => {}
        }
    }
    Err(Failure::Transient(error(
        "netbox_status_not_written",
        format!("the status of {} did not arrive in {LOOKS} tries", fabric.name),
        "nothing if it passes: it is tried again every minute",
    )))
}

fn state_of(known: &FabricStatus, writing: Option<usize>) -> FabricState {
    let facts = Facts {
        writing,
        error: known.error.as_ref().map(|error| (error.message.as_str(), error.remedy.as_str())),
        held: known.held.iter().collect(),
        conflicts: known.conflicts,
        last_run: known.last_run.as_ref(),
        rejected: known.rejected.clone(),
        changed: known.changed.map(Millis::rfc3339),
        commit: known.commit.as_ref(),
        last_sync: known.last_sync.map(Millis::rfc3339),
    };
    FabricState::of(&facts, known.shown.as_ref().map(|shown| &shown.state))
}

/// What NetBox's change record says of the write.
fn message(state: &FabricState, known: &FabricStatus) -> String {
    let run = known.last_run.as_ref().map(|report| format!(" after run {}", report.run)).unwrap_or_default();
    format!("fgd-sync: {}{run}", state.status.as_str())
}
