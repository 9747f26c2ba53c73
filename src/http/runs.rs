//! `/api/v1/runs`: each turn of a worker on a target, with what it did for each fabric.

use actix_web::{HttpResponse, get, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::names::{FabricName, RunId};
use crate::domain::report::{ClosedBecause, Counts, FabricReport};
use crate::ledger::types::{Run, RunFilter, RunOutcome, RunPart};

use super::HttpState;
use super::answers::ErrorView;
use super::input::{NoParameters, Query, bad_parameter, limit, ulid};
use super::problem::Problem;
use super::report::ReportView;
use super::time::{millis, rfc3339};
use super::token::ApiToken;

/// Largest page, and the one when none is asked for.
const MOST: usize = 200;
const STANDARD: usize = 50;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RunsQuery {
    fabric: Option<String>,
    cursor: Option<String>,
    limit: Option<String>,
}

impl RunsQuery {
    /// A query with these; an empty text narrows nothing.
    pub(super) fn of(fabric: &str, cursor: Option<String>) -> Self {
        Self { fabric: Some(fabric).filter(|text| !text.is_empty()).map(str::to_owned), cursor, limit: None }
    }

    pub(super) fn filter(self) -> Result<RunFilter, Problem> {
        let bad = || bad_parameter("cursor", "the `next` of a page before");
        let cursor = self.cursor.map(|text| ulid(&text).ok_or_else(bad)).transpose()?;
        Ok(RunFilter {
            fabric: self.fabric.map(FabricName::new),
            after: cursor.map(RunId::new),
            limit: limit(self.limit.as_deref(), STANDARD, MOST)?,
        })
    }
}

/// A page of runs, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "runs": [{
        "id": "01KAJ3V2Q8H5J0B7D9F3G6K1MN", "repository": "fabrics", "branch": "main", "worker": "10.0.0.7:8080-1",
        "closed_because": "quiet", "started": "2026-11-21T04:49:05.601Z", "ended": "2026-11-21T04:49:07.120Z",
        "duration_ms": 1519, "head": "2b7e151628aed2a6abf7158809cf4f3c762e7160",
        "parts": [{
            "fabric": "lab-fabric", "outcome": "succeeded", "attempt": 1, "changes": 1, "all_jobs": 1,
            "jobs": ["01KAJ3V0M1W9T6N4ZC5X8R7QHD"], "commit": "2b7e151628aed2a6abf7158809cf4f3c762e7160",
            "lag_ms": 3725, "error": null,
            "counts": {"git_written": 1, "git_deleted": 0, "netbox_created": 0, "netbox_updated": 0,
                "netbox_deleted": 0, "unchanged": 0, "held": 0, "ingested": 0, "unmanaged": 0, "rejected": 0},
        }],
    }],
    "next": null,
}))]
pub(super) struct RunsView {
    runs: Vec<RunView>,
    /// Pass as `cursor` for the next page; null at the end.
    next: Option<String>,
}

/// One turn of a worker on a repository's branch.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "01KAJ3V2Q8H5J0B7D9F3G6K1MN", "repository": "fabrics", "branch": "main", "worker": "10.0.0.7:8080-1",
    "closed_because": "quiet", "started": "2026-11-21T04:49:05.601Z", "ended": "2026-11-21T04:49:07.120Z",
    "duration_ms": 1519, "head": "2b7e151628aed2a6abf7158809cf4f3c762e7160",
    "parts": [{
        "fabric": "lab-fabric", "outcome": "transient", "attempt": 1, "changes": 1, "all_jobs": 1,
        "jobs": ["01KAJ3V0M1W9T6N4ZC5X8R7QHD"], "commit": null, "lag_ms": null, "counts": null,
        "error": {"code": "netbox_unavailable", "message": "NetBox lab could not be reached: connection refused",
            "remedy": "nothing if it passes; else check NetBox and the network"},
        "report": null,
    }],
}))]
pub(super) struct RunView {
    id: String,
    repository: String,
    branch: String,
    /// Address and process of whoever did it.
    worker: String,
    /// Why its batch was closed.
    closed_because: ClosedBecause,
    /// RFC 3339, UTC.
    started: String,
    /// RFC 3339, UTC; null while it is at work.
    ended: Option<String>,
    duration_ms: Option<u64>,
    /// The head that it has dealt with.
    head: Option<String>,
    /// One for each fabric.
    parts: Vec<RunPartView>,
}

/// One fabric's share of a run.
#[derive(Debug, Serialize, ToSchema)]
struct RunPartView {
    fabric: String,
    outcome: RunOutcome,
    attempt: u32,
    /// How many changes it looked at.
    changes: u64,
    /// The jobs that asked for it, some of them, oldest first.
    jobs: Vec<String>,
    all_jobs: u64,
    /// Our commit; null when nothing had to be committed.
    commit: Option<String>,
    /// From the acceptance of the oldest job to the end, in milliseconds; null when it did not come through.
    lag_ms: Option<u64>,
    counts: Option<Counts>,
    error: Option<ErrorView>,
    /// What it did in full; only in the answer about one run, null when it did not come through.
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<Option<ReportView>>,
}

/// Lists runs, newest first
#[utoipa::path(
    tag = "runs",
    params(
        ("fabric" = Option<String>, Query, description = "Only runs with a part for this fabric"),
        ("cursor" = Option<String>, Query, description = "The `next` of the page before"),
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 200, description = "Runs on a page; 50 when not given"),
    ),
    responses((status = 200, description = "A page of runs, without reports", body = RunsView)),
    security(("api_token" = ["read"])),
)]
#[get("/api/v1/runs")]
pub(super) async fn list_runs(
    _token: ApiToken,
    query: Query<RunsQuery>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let page = state.ledger.runs(&query.0.filter()?).await?;
    let runs = page.runs.into_iter().map(RunView::brief).collect();
    Ok(HttpResponse::Ok().json(RunsView { runs, next: page.next.map(|id| id.to_string()) }))
}

/// Shows one run with what it did
///
/// The id stands in the commit's `Fgd-Run:` trailer.
#[utoipa::path(
    tag = "runs",
    params(("id" = String, Path, description = "The run's id", example = "01KAJ3V2Q8H5J0B7D9F3G6K1MN")),
    responses(
        (status = 200, description = "The run, with a report for each fabric it came through for", body = RunView),
        (status = 404, description = "There is no such run, or it is no longer kept", body = Problem, content_type = "application/problem+json"),
    ),
    security(("api_token" = ["read"])),
)]
#[get("/api/v1/runs/{id}")]
pub(super) async fn show_run(
    _token: ApiToken,
    _query: Query<NoParameters>,
    id: web::Path<String>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let run = find(&state, &id).await?;
    let mut reports = Vec::with_capacity(run.parts.len());
    for part in &run.parts {
        reports.push(state.ledger.report(&run.id, &part.fabric).await?);
    }
    Ok(HttpResponse::Ok().json(RunView::whole(run, reports)))
}

/// The run with this id.
pub(super) async fn find(state: &HttpState, id: &str) -> Result<Run, Problem> {
    let run = match ulid(id) {
        Some(id) => state.ledger.run(&RunId::new(id)).await?,
        None => None,
    };
    run.ok_or_else(|| {
        let detail = format!("there is no run {id}, or it is no longer kept");
        Problem::not_found("unknown_run", detail, "List the runs with GET /api/v1/runs.")
    })
}

impl RunView {
    fn brief(run: Run) -> Self {
        let parts = run.parts.iter().map(|part| RunPartView::of(part.clone(), None)).collect();
        Self::of(run, parts)
    }

    /// `reports` are in the order of the parts.
    fn whole(run: Run, reports: Vec<Option<FabricReport>>) -> Self {
        let parts = run.parts.iter().zip(reports);
        let parts =
            parts.map(|(part, report)| RunPartView::of(part.clone(), Some(report.map(ReportView::from)))).collect();
        Self::of(run, parts)
    }

    fn of(run: Run, parts: Vec<RunPartView>) -> Self {
        Self {
            id: run.id.to_string(),
            repository: run.target.repo.to_string(),
            branch: run.target.branch.to_string(),
            worker: run.worker,
            closed_because: run.closed_because,
            started: rfc3339(run.started),
            ended: run.ended.map(rfc3339),
            duration_ms: run.ended.map(|ended| ended.0.saturating_sub(run.started.0)),
            head: run.head.map(String::from),
            parts,
        }
    }
}

impl RunPartView {
    fn of(part: RunPart, report: Option<Option<ReportView>>) -> Self {
        Self {
            fabric: part.fabric.to_string(),
            outcome: part.outcome,
            attempt: part.attempt,
            changes: part.changes,
            jobs: part.jobs.iter().map(ToString::to_string).collect(),
            all_jobs: part.all_jobs,
            commit: part.commit.map(String::from),
            lag_ms: part.lag.map(millis),
            counts: part.counts,
            error: part.error.map(ErrorView::from),
            report,
        }
    }
}
