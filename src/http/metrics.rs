//! `/metrics`, for Prometheus. What this process did is counted here and in the workers; what the ledger knows is asked
//! at each scrape: some commands for each fabric, whatever its size.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use actix_web::http::Method;
use actix_web::{HttpResponse, get, web};

use crate::domain::history::BreakKind;
use crate::ledger::budget::Budget;
use crate::ledger::servers::Endpoint;
use crate::ledger::types::{FabricStanding, Health, LedgerNumbers, Pauses, Server};
use crate::ledger::{self};
use crate::queue::metrics::{Histogram, WorkNumbers};
use crate::telemetry::{self, Counts};

use super::HttpState;
use super::events::MOST_LISTENERS;
use super::exposition::Page;
use super::token::ApiToken;

/// In seconds.
const REQUEST_SECONDS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// The requests that this process has answered, by method and route: there are as many of both as we wrote.
#[derive(Debug, Default)]
pub(super) struct RequestMetrics(Mutex<BTreeMap<(&'static str, String), Answered>>);

#[derive(Debug, Clone)]
struct Answered {
    by_status: BTreeMap<u16, u64>,
    seconds: Histogram,
}

impl RequestMetrics {
    /// Counts an answer; `route` is its pattern, or nothing for a path that there is not.
    pub(super) fn count(&self, method: &Method, route: Option<String>, status: u16, took: Duration) {
        let method = match *method {
            Method::GET => "GET",
            Method::POST => "POST",
            // Anything may be sent, and anything would be another series.
            _ => "other",
        };
        let key = (method, route.unwrap_or_else(|| "unknown".to_owned()));
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Answered { by_status: BTreeMap::new(), seconds: Histogram::new(REQUEST_SECONDS) };
        let answered = all.entry(key).or_insert_with(new);
        *answered.by_status.entry(status).or_default() += 1;
        answered.seconds.observe(took.as_secs_f64());
    }

    fn write(&self, page: &mut Page) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut total = page.counter("fgd_http_requests_total", "Requests answered, by route and status.");
        for ((method, route), answered) in &all {
            for (status, count) in &answered.by_status {
                total.sample(&[("method", method), ("route", route), ("status", &status.to_string())], *count as f64);
            }
        }
        let mut seconds = page.histogram("fgd_http_request_duration_seconds", "Time to answer, by route.");
        for ((method, route), answered) in &all {
            seconds.ranges(&[("method", method), ("route", route)], &answered.seconds);
        }
    }
}

/// Tells numbers for Prometheus
///
/// Counters are this process's; sum them over all. Gauges about jobs, fabrics, leases and servers are the ledger's: every
/// process tells the same, so take the maximum. Without Redis only `fgd_ledger_up 0` and this process's are told.
#[utoipa::path(
    tag = "health",
    responses(
        (status = 200, description = "Prometheus's text format, version 0.0.4", body = String, content_type = "text/plain", example = json!("# HELP fgd_ledger_up Whether Redis answers.\n# TYPE fgd_ledger_up gauge\nfgd_ledger_up 1\n")),
    ),
    security(("api_token" = ["read"])),
)]
#[get("/metrics")]
pub(super) async fn metrics(_token: ApiToken, state: web::Data<HttpState>) -> HttpResponse {
    let mut page = Page::default();
    page.gauge("fgd_build_info", "The version that runs.").sample(&[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    state.requests.write(&mut page);
    let listeners = MOST_LISTENERS - state.listeners.available_permits();
    page.gauge("fgd_event_listeners", "Connections that are told what changes.").sample(&[], listeners as f64);
    write_work(&mut page, &state.work.read());
    write_traces(&mut page);
    // One scrape at a time: several monitors together cost the ledger no more than one.
    let _turn = state.scrape.lock().await;
    let known = read_ledger(&state).await;
    if let Err(error) = &known {
        tracing::warn!(error = error as &dyn std::error::Error, "the ledger's numbers could not be read");
    }
    write_ledger(&mut page, &state, known.ok().as_ref());
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(page.into_text())
}

/// Of traces only the service's own loss is of interest here.
fn write_traces(page: &mut Page) {
    let counts = telemetry::counts();
    let mut one = |name, help, count: fn(&Counts) -> u64| {
        let mut family = page.counter(name, help);
        if let Some(counts) = &counts {
            family.sample(&[], count(counts) as f64);
        }
    };
    one("fgd_trace_spans_exported_total", "Spans that the collector took.", |counts| counts.exported);
    one("fgd_trace_spans_dropped_total", "Spans lost for want of room or of a collector.", |counts| counts.dropped);
}

fn write_work(page: &mut Page, work: &WorkNumbers) {
    page.gauge("fgd_runs_at_work", "Runs of this process that are at work.").sample(&[], work.at_work as f64);
    let mut batches = page.counter("fgd_batches_total", "Batches claimed, by why they closed.");
    for (because, count) in &work.batches {
        batches.sample(&[("closed_because", because)], *count as f64);
    }
    page.histogram("fgd_batch_changes", "Changes in a batch.").ranges(&[], &work.batch_changes);
    let mut outcomes = page.counter("fgd_runs_total", "Runs that were settled, counted for each fabric, by outcome.");
    for (outcome, count) in &work.outcomes {
        outcomes.sample(&[("outcome", outcome.as_str())], *count as f64);
    }
    page.histogram("fgd_run_duration_seconds", "Time from claim to settlement.").ranges(&[], &work.run_seconds);
    let help = "Time from the acceptance of a run's oldest job to its end, commit included, by who asked.";
    let mut lag = page.histogram("fgd_lag_seconds", help);
    for (asked_by, histogram) in &work.lag_seconds {
        lag.ranges(&[("asked_by", asked_by.as_str())], histogram);
    }
    let mut untold = page.counter("fgd_untold_changes_total", "Changes that only NetBox's change log told of.");
    for (netbox, count) in &work.untold {
        untold.sample(&[("netbox", netbox.as_str())], *count as f64);
    }
}

/// What one scrape asks the ledger.
struct Known {
    numbers: LedgerNumbers,
    pauses: Pauses,
    standings: Vec<FabricStanding>,
    budgets: Vec<Budget>,
    /// Every server that was ever asked: its side, its name, how it answered.
    servers: Vec<(&'static str, String, Health)>,
    /// What the settings' servers fail with: whether it is left alone.
    circuits: BTreeMap<String, bool>,
    /// Branches in line for a server.
    parked: BTreeMap<String, u64>,
}

async fn read_ledger(state: &HttpState) -> Result<Known, ledger::Error> {
    let fabrics = &state.routing.fabrics;
    let mut targets: Vec<_> = fabrics.iter().map(|fabric| &fabric.target).collect();
    targets.sort();
    targets.dedup();
    let asked: Vec<_> = fabrics.iter().map(|fabric| (&fabric.name, &fabric.target)).collect();
    let health = state.ledger.health().await?;
    let server = |(server, health): (Server, Health)| match server {
        Server::Repository(name) => ("repository", name.to_string(), health),
        Server::NetBox(name) => ("netbox", name.to_string(), health),
    };
    let repositories = state.routing.repositories.iter().map(|sender| state.ledger.endpoint_of(&sender.name));
    let netboxes = state.routing.netboxes.iter().map(|sender| Endpoint::NetBox(sender.name.clone()));
    let broken = state.ledger.circuits().await?;
    let circuit = |endpoint: Endpoint| (endpoint.to_string(), broken.contains_key(&endpoint));
    Ok(Known {
        circuits: repositories.chain(netboxes).map(circuit).collect(),
        parked: state.ledger.parked().await?,
        numbers: state.ledger.numbers(&targets).await?,
        pauses: state.ledger.pauses().await?,
        standings: state.ledger.standings(&asked).await?,
        budgets: state.ledger.budgets().await?,
        servers: health.into_iter().map(server).collect(),
    })
}

fn write_ledger(page: &mut Page, state: &HttpState, known: Option<&Known>) {
    page.gauge("fgd_ledger_up", "Whether Redis answers.").sample(&[], f64::from(u8::from(known.is_some())));
    let mut jobs = page.gauge("fgd_jobs", "Jobs that are kept, by state.");
    for (state, count) in known.iter().flat_map(|known| &known.numbers.jobs) {
        jobs.sample(&[("state", state)], *count as f64);
    }
    let mut one = |name, help, value: fn(&Known) -> f64| {
        let mut family = page.gauge(name, help);
        if let Some(known) = known {
            family.sample(&[], value(known));
        }
    };
    one("fgd_due_targets", "Branches that wait for a worker now.", |known| known.numbers.due_targets as f64);
    one("fgd_most_overdue_seconds", "How long the first of them has waited.", |known| {
        known.numbers.most_overdue.as_secs_f64()
    });
    one("fgd_scheduled_targets", "Branches with something pending or at work.", |known| {
        known.numbers.scheduled_targets as f64
    });
    one("fgd_dead_letters", "Dead letters that wait for a person.", |known| known.numbers.dead_letters as f64);
    one("fgd_paused", "Whether a person has stopped everything.", |known| {
        f64::from(u8::from(known.pauses.everything.is_some()))
    });
    let mut leases = page.gauge("fgd_lease_age_seconds", "How long a branch has been at work.");
    for lease in known.iter().flat_map(|known| &known.numbers.leases) {
        let labels = [("repository", lease.target.repo.as_str()), ("branch", lease.target.branch.as_str())];
        leases.sample(&labels, lease.age.as_secs_f64());
    }
    let mut servers =
        page.gauge("fgd_server_up", "Whether a repository's server or a NetBox answered when last asked.");
    for (side, name, health) in known.iter().flat_map(|known| &known.servers) {
        servers.sample(&[("side", side), ("name", name)], f64::from(u8::from(health.ok)));
    }
    let mut circuits = page.gauge("fgd_circuit_open", "Whether work waits for a server that run after run failed on.");
    for (server, open) in known.iter().flat_map(|known| &known.circuits) {
        circuits.sample(&[("server", server)], f64::from(u8::from(*open)));
    }
    let mut parked = page.gauge("fgd_waiting_targets", "Branches that are due and wait for a place on a server.");
    for (server, count) in known.iter().flat_map(|known| &known.parked) {
        parked.sample(&[("server", server)], *count as f64);
    }
    let help = "When our token for a server ends, in seconds since 1970, where the server says so.";
    let mut ends = page.gauge("fgd_server_token_expiry_timestamp_seconds", help);
    for (side, name, health) in known.iter().flat_map(|known| &known.servers) {
        if let Some(at) = health.token_expires {
            ends.sample(&[("side", side), ("name", name)], (at.0 / 1_000) as f64);
        }
    }
    let help = "Requests that a server still grants a token, as it last said; for an hour after that.";
    let mut budgets = page.gauge("fgd_rate_limit_remaining", help);
    for Budget { token, resource, left } in known.iter().flat_map(|known| &known.budgets) {
        budgets.sample(&[("token", token), ("resource", resource)], *left as f64);
    }
    write_fabrics(page, state, known);
}

/// A number of a fabric, when it has one.
type OfFabric = fn(&FabricStanding, &LedgerNumbers) -> Option<f64>;

const OF_FABRICS: [(&str, &str, OfFabric); 12] = [
    ("fgd_fabric_pending_changes", "Changes that are recorded and not yet settled.", |fabric, _| {
        Some(fabric.pending_changes as f64)
    }),
    ("fgd_fabric_pending_age_seconds", "How long the oldest of them has waited; 0 without any.", |fabric, numbers| {
        let waited = |since: ledger::types::Millis| numbers.now.0.saturating_sub(since.0) as f64 / 1_000.0;
        Some(fabric.oldest_pending.map_or(0.0, waited))
    }),
    ("fgd_fabric_objects", "Objects that both sides have agreed on.", |fabric, _| Some(fabric.objects as f64)),
    ("fgd_fabric_held_objects", "Objects that wait for a person.", |fabric, _| Some(fabric.held as f64)),
    ("fgd_fabric_conflicts", "Objects on which both sides contradict each other.", |fabric, _| {
        Some(fabric.conflicts as f64)
    }),
    ("fgd_fabric_drift_objects", "Objects and files that differ between both sides.", |fabric, _| {
        fabric.drift.map(|count| count as f64)
    }),
    ("fgd_fabric_guarded_deletions", "Deletions that wait to be confirmed.", |fabric, _| Some(fabric.guarded as f64)),
    ("fgd_fabric_dead_letters", "Dead letters of the fabric.", |fabric, _| Some(fabric.dead_letters as f64)),
    ("fgd_fabric_failing", "Whether the fabric cannot be worked on.", |fabric, _| {
        Some(f64::from(u8::from(fabric.error.is_some())))
    }),
    ("fgd_fabric_history_broken", "Whether its branch no longer contains what was dealt with.", |fabric, _| {
        let is_broken = fabric.error.as_ref().is_some_and(|error| BreakKind::is_code(&error.code));
        Some(f64::from(u8::from(is_broken)))
    }),
    ("fgd_fabric_last_sync_timestamp_seconds", "End of the last run that came through.", |fabric, _| {
        fabric.last_sync.map(|at| at.0 as f64 / 1_000.0)
    }),
    ("fgd_fabric_lag_seconds", "How long that run's oldest change took.", |fabric, _| {
        fabric.lag.map(|lag| lag.as_secs_f64())
    }),
];

fn write_fabrics(page: &mut Page, state: &HttpState, known: Option<&Known>) {
    for (name, help, number) in OF_FABRICS {
        let mut family = page.gauge(name, help);
        let Some(known) = known else { continue };
        for (fabric, standing) in state.routing.fabrics.iter().zip(&known.standings) {
            if let Some(number) = number(standing, &known.numbers) {
                family.sample(&[("fabric", fabric.name.as_str())], number);
            }
        }
    }
    let mut paused = page.gauge("fgd_fabric_paused", "Whether a person has stopped the work on the fabric.");
    let Some(known) = known else { return };
    for fabric in &state.routing.fabrics {
        let is_paused = known.pauses.fabrics.contains_key(&fabric.name);
        paused.sample(&[("fabric", fabric.name.as_str())], f64::from(u8::from(is_paused)));
    }
}
