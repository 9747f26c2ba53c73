//! What happens without any delivery: polling the heads, reading NetBox's change logs, looking after both sides' servers,
//! and comparing everything now and then.
//!
//! The ledger gives each turn to one replica only, so more replicas do not mean more polling.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::Notify;

use crate::domain::change::Change;
use crate::domain::names::{FabricName, NetBoxName, RepoName, Target};
use crate::domain::policy::Fabric;
use crate::ledger::servers::Endpoint;
use crate::ledger::types::{Accept, Origin, Server};
use crate::ledger::{self, Ledger};
use crate::run::Runner;

use super::health;
use super::metrics::WorkMetrics;

/// How often the schedules look whether it is somebody's turn; a turn is late by at most this.
const TICK: Duration = Duration::from_secs(5);

/// How often servers are asked for deliveries that never arrived; the first time is at the start.
const ASK_AGAIN: Duration = Duration::from_secs(600);

/// How often fabrics are looked for whose state NetBox does not have.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// How often what happens.
#[derive(Debug, Clone, Copy)]
pub struct Schedules {
    pub poll_head: Duration,
    /// Also how old a change is when its webhook is taken for lost.
    pub catch_up: Duration,
    pub full_comparison: Duration,
}

/// Takes turns until `shutdown`. A failure is logged, and the next turn tries again.
pub async fn keep(
    runner: Arc<Runner>,
    schedules: Schedules,
    (wake, metrics): (Arc<Notify>, Arc<WorkMetrics>),
    shutdown: impl Future<Output = ()>,
) {
    tokio::pin!(shutdown);
    loop {
        if turn(&runner, schedules, &metrics).await {
            wake.notify_one();
        }
        tokio::select! {
            () = &mut shutdown => return,
            () = tokio::time::sleep(TICK) => {}
        }
    }
}

/// Does everything that is due now; true when work was recorded.
pub async fn turn(runner: &Runner, schedules: Schedules, metrics: &WorkMetrics) -> bool {
    let mut recorded = false;
    let targets: BTreeSet<&Target> = runner.fabrics.values().map(|fabric| &fabric.target).collect();
    let left_alone = runner.ledger.left_alone().await.unwrap_or_else(|failed| {
        tracing::warn!(error = %failed, "what is left alone could not be read");
        BTreeSet::new()
    });
    // Who is left alone is tried by a run; a thousand polls would each wait for it in vain.
    for target in targets.into_iter().filter(|target| !left_alone.contains(&runner.ledger.endpoint_of(&target.repo))) {
        recorded |= poll(runner, target, schedules.poll_head).await;
    }
    for name in runner.repositories.keys() {
        ask_again(runner, name).await;
    }
    for netbox in runner.netboxes.keys() {
        if my_turn(runner, &format!("check:{netbox}"), schedules.poll_head).await {
            health::check_netbox(runner, netbox).await;
            recorded |= find_new_fabrics(runner, netbox).await;
        }
        if !left_alone.contains(&Endpoint::NetBox(netbox.clone())) {
            recorded |= catch_up(runner, netbox, schedules, metrics).await;
        }
    }
    if my_turn(runner, "fabric states", TELL_AGAIN).await
        && let Err(failure) = runner.tell_again().await
    {
        tracing::warn!(code = %failure.error().code, "NetBox could not be told again: {}", failure.error().message);
    }
    for fabric in runner.fabrics.values() {
        match compare(&runner.ledger, fabric, schedules.full_comparison).await {
            Ok(due) => recorded |= due,
            Err(failed) => {
                tracing::warn!(fabric = %fabric.name, error = %failed, "the full comparison could not be recorded");
            }
        }
    }
    recorded
}

async fn my_turn(runner: &Runner, what: &str, period: Duration) -> bool {
    runner.ledger.take_turn(what, period).await.unwrap_or_else(|failed| {
        tracing::warn!(turn = what, error = %failed, "a schedule's turn could not be taken");
        false
    })
}

async fn poll(runner: &Runner, target: &Target, period: Duration) -> bool {
    if !my_turn(runner, &format!("poll:{target}"), period).await {
        return false;
    }
    let polled = runner.poll_head(target).await;
    health::note_poll(runner, &Server::Repository(target.repo.clone()), polled.as_ref().err()).await;
    match polled {
        Ok(moved) => moved.is_some(),
        Err(failure) => {
            let problem = failure.error();
            tracing::warn!(target.name = %target, code = %problem.code, remedy = %problem.remedy, "{}", problem.message);
            false
        }
    }
}

async fn find_new_fabrics(runner: &Runner, netbox: &NetBoxName) -> bool {
    match runner.find_new_fabrics(netbox).await {
        Ok(found) => found > 0,
        Err(failure) => {
            let problem = failure.error();
            tracing::warn!(%netbox, code = %problem.code, remedy = %problem.remedy, "{}", problem.message);
            false
        }
    }
}

async fn catch_up(runner: &Runner, netbox: &NetBoxName, schedules: Schedules, metrics: &WorkMetrics) -> bool {
    if !my_turn(runner, &format!("catch up:{netbox}"), schedules.catch_up).await {
        return false;
    }
    match runner.catch_up(netbox, schedules.catch_up, schedules.full_comparison).await {
        Ok(count) => {
            metrics.caught_up(netbox, count as u64);
            if count == 0 {
                return false;
            }
            tracing::warn!(%netbox, count, "changes that no webhook told of; `fgd-sync doctor` looks for the cause");
            true
        }
        // A token may do without the log; `doctor` says what that costs.
        Err(failure) if failure.is_netbox_denied() => {
            tracing::debug!(%netbox, "changes that no webhook told of cannot be looked for: {}", failure.error().message);
            false
        }
        Err(failure) => {
            let problem = failure.error();
            tracing::warn!(%netbox, code = %problem.code, remedy = %problem.remedy, "changes that no webhook told of cannot be looked for: {}", problem.message);
            false
        }
    }
}

/// What comes again arrives as an ordinary delivery.
async fn ask_again(runner: &Runner, name: &RepoName) {
    match runner.ledger.take_turn(&format!("ask again:{name}"), ASK_AGAIN).await {
        Ok(true) => {}
        Ok(false) => return,
        Err(failed) => {
            tracing::warn!(repository = %name, error = %failed, "the turn to ask for lost deliveries could not be taken");
            return;
        }
    }
    match runner.ask_again(name).await {
        Ok(0) => {}
        Ok(count) => tracing::info!(repository = %name, count, "deliveries that never arrived were asked for again"),
        Err(failure) => {
            let problem = failure.error();
            tracing::warn!(repository = %name, code = %problem.code, "lost deliveries cannot be asked for: {}", problem.message);
        }
    }
}

async fn compare(ledger: &Ledger, fabric: &Fabric, period: Duration) -> Result<bool, ledger::Error> {
    let turn = format!("full:{}:{}:{}", fabric.name, fabric.target, fabric.directory);
    // Another place has a turn of its own, at once.
    if !ledger.take_turn(&turn, own_period(&fabric.name, period)).await? {
        return Ok(false);
    }
    ledger.accept(&full_comparison(&fabric.name, &fabric.target)).await?;
    Ok(true)
}

/// The period of one fabric, within a tenth of what is wished: those that begin together spread over time, and all replicas
/// find the same.
fn own_period(fabric: &FabricName, period: Duration) -> Duration {
    let digest = Sha256::digest(fabric.as_str());
    let share = f64::from(u16::from_be_bytes([digest[0], digest[1]])) / f64::from(u16::MAX);
    period.mul_f64(0.9 + 0.2 * share)
}

fn full_comparison(fabric: &FabricName, target: &Target) -> Accept {
    Accept {
        origin: Origin::Schedule { what: "full comparison".to_owned() },
        dedupe: None,
        changes: vec![(fabric.clone(), target.clone(), Change::Everything)],
        at_once: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fabrics_have_periods_of_their_own_that_stay_and_are_near_the_wished_one() {
        let period = Duration::from_secs(6 * 3_600);
        let own = |number: usize| own_period(&FabricName::new(format!("fabric-{number}")), period);
        let periods: BTreeSet<Duration> = (0..1_000).map(own).collect();

        assert_eq!(own(7), own(7));
        assert!(periods.len() > 900, "{} different ones", periods.len());
        let (first, last) = (periods.first().unwrap(), periods.last().unwrap());
        assert!(*first >= period.mul_f64(0.9) && *last <= period.mul_f64(1.1), "{first:?} to {last:?}");
        assert!(*last - *first > period.mul_f64(0.19), "they use the whole width");
    }
}
