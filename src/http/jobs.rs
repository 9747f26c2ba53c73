//! `/api/v1/jobs`: what became of every accepted delivery and request.

use actix_web::{HttpResponse, get, post, web};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::domain::names::{FabricName, JobId};
use crate::domain::report::JobState;
use crate::ledger::types::{Accepted, Intervention, Job, JobFilter};

use super::HttpState;
use super::answers::{AcceptedView, JobView};
use super::input::{NoParameters, Query, bad_parameter, job_id, limit};
use super::problem::Problem;
use super::time;
use super::token::{ApiToken, Operator};

/// Largest page, and the one when none is asked for.
const MOST: usize = 200;
const STANDARD: usize = 50;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JobsQuery {
    fabric: Option<String>,
    state: Option<String>,
    since: Option<String>,
    cursor: Option<String>,
    limit: Option<String>,
}

impl JobsQuery {
    /// A query with these; an empty text narrows nothing.
    pub(super) fn of(fabric: &str, state: &str, cursor: Option<String>) -> Self {
        let given = |text: &str| Some(text).filter(|text| !text.is_empty()).map(str::to_owned);
        Self { fabric: given(fabric), state: given(state), since: None, cursor, limit: None }
    }

    pub(super) fn filter(self) -> Result<JobFilter, Problem> {
        let state = |text: String| serde_json::from_value::<JobState>(Value::from(text)).ok();
        let wants_state = "one of queued, running, waiting, held, stalled, succeeded, failed, dead, cancelled";
        Ok(JobFilter {
            fabric: self.fabric.map(FabricName::new),
            state: read("state", self.state, wants_state, state)?,
            since: read("since", self.since, "a time (RFC 3339, or milliseconds since 1970)", |at| time::parse(&at))?,
            after: read("cursor", self.cursor, "the `next` of a page before", |id| job_id(&id))?,
            limit: limit(self.limit.as_deref(), STANDARD, MOST)?,
        })
    }
}

fn read<T>(
    name: &str,
    text: Option<String>,
    wants: &str,
    parse: impl FnOnce(String) -> Option<T>,
) -> Result<Option<T>, Problem> {
    text.map(|text| parse(text).ok_or_else(|| bad_parameter(name, wants))).transpose()
}

/// A page of jobs, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "jobs": [{
        "id": "01KAJ3V0M1W9T6N4ZC5X8R7QHD", "state": "queued", "finished": false,
        "origin": {"kind": "request", "what": "sync by kim"},
        "created": "2026-11-21T04:49:03.395Z", "updated": "2026-11-21T04:49:03.395Z", "duplicates": 0,
        "progress": {"done": 0, "total": 1},
        "parts": [{"fabric": "lab-fabric", "repository": "fabrics", "branch": "main", "state": "queued",
            "attempts": 0, "run": null, "next_try": null, "error": null, "discarded": null}],
    }],
    "next": "01KAJ3V0M1W9T6N4ZC5X8R7QHD",
}))]
pub(super) struct JobsView {
    jobs: Vec<JobView>,
    /// Pass as `cursor` for the next page; null at the end.
    next: Option<String>,
}

/// Lists jobs, newest first
#[utoipa::path(
    tag = "jobs",
    params(
        ("fabric" = Option<String>, Query, description = "Only jobs with a part for this fabric"),
        ("state" = Option<JobState>, Query, description = "Only jobs in this state"),
        ("since" = Option<String>, Query, description = "Only jobs from this time on: RFC 3339, or milliseconds since 1970", example = "2026-11-21T00:00:00Z"),
        ("cursor" = Option<String>, Query, description = "The `next` of the page before"),
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 200, description = "Jobs on a page; 50 when not given"),
    ),
    responses((status = 200, description = "A page of jobs, without reports", body = JobsView)),
    security(("api_token" = ["read"])),
)]
#[get("/api/v1/jobs")]
pub(super) async fn list_jobs(
    _token: ApiToken,
    query: Query<JobsQuery>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let page = state.ledger.jobs(&query.0.filter()?).await?;
    let jobs = page.jobs.into_iter().map(|job| JobView::of(job, Vec::new())).collect();
    Ok(HttpResponse::Ok().json(JobsView { jobs, next: page.next.map(|id| id.to_string()) }))
}

/// Shows one job with what its runs did
#[utoipa::path(
    tag = "jobs",
    params(("id" = String, Path, description = "The job's id", example = "01KAJ3V0M1W9T6N4ZC5X8R7QHD")),
    responses(
        (status = 200, description = "The job, with a report for each part that a run has worked on", body = JobView),
        (status = 404, description = "There is no such job, or it is no longer kept", body = Problem, content_type = "application/problem+json"),
    ),
    security(("api_token" = ["read"])),
)]
#[get("/api/v1/jobs/{id}")]
pub(super) async fn show_job(
    _token: ApiToken,
    _query: Query<NoParameters>,
    id: web::Path<String>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let job = find(&state, &id).await?;
    let mut reports = Vec::new();
    for part in &job.parts {
        reports.push(match &part.run {
            Some(run) => state.ledger.report(run, &part.fabric).await?,
            None => None,
        });
    }
    Ok(HttpResponse::Ok().json(JobView::of(job, reports)))
}

/// Calls off a job that is queued, waiting, stalled or dead
///
/// Its changes are hints that it may share with other jobs; they stay while another job of the fabric waits.
#[utoipa::path(
    tag = "jobs",
    params(("id" = String, Path, description = "The job's id")),
    responses(
        (status = 200, description = "The job as it is now", body = JobView),
        (status = 404, description = "There is no such job, or it is no longer kept", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Its state does not allow it", body = Problem, content_type = "application/problem+json"),
    ),
    security(("api_token" = ["operate"])),
)]
#[post("/api/v1/jobs/{id}/cancel")]
pub(super) async fn cancel_job(
    Operator(token): Operator,
    _query: Query<NoParameters>,
    id: web::Path<String>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let id = call_off(&state, &token, &id).await?;
    Ok(HttpResponse::Ok().json(JobView::of(find(&state, id.as_str()).await?, Vec::new())))
}

/// Tries a dead job again
///
/// Its changes become pending again, with those of the other jobs that died in the same batch.
#[utoipa::path(
    tag = "jobs",
    params(("id" = String, Path, description = "The job's id")),
    responses(
        (status = 202, description = "The same job, queued again", body = AcceptedView),
        (status = 404, description = "There is no such job, or it is no longer kept", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is not dead", body = Problem, content_type = "application/problem+json"),
    ),
    security(("api_token" = ["operate"])),
)]
#[post("/api/v1/jobs/{id}/retry")]
pub(super) async fn retry_job(
    Operator(token): Operator,
    _query: Query<NoParameters>,
    id: web::Path<String>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Accepted().json(replay(&state, &token, &id).await?))
}

/// Calls a job off; its id.
pub(super) async fn call_off(state: &HttpState, token: &ApiToken, id: &str) -> Result<JobId, Problem> {
    let id = known_form(id)?;
    let done = state.ledger.cancel(&id).await?;
    intervened(done, &id, "called off", "Only queued, waiting, stalled and dead jobs can be called off.")?;
    tracing::info!(job.id = %id, token = token.name, "a job was called off");
    Ok(id)
}

/// Makes a job's dead letters pending again.
pub(super) async fn replay(state: &HttpState, token: &ApiToken, id: &str) -> Result<AcceptedView, Problem> {
    let id = known_form(id)?;
    let done = state.ledger.replay(&id).await?;
    let remedy = "Only dead jobs are tried again by hand; for the others ask for a sync of the fabric.";
    intervened(done, &id, "tried again", remedy)?;
    state.wake.notify_one();
    tracing::info!(job.id = %id, token = token.name, "a dead job is tried again");
    Ok(AcceptedView::of(state, &Accepted { job: id, duplicate: false }))
}

/// The job with this id.
pub(super) async fn find(state: &HttpState, id: &str) -> Result<Job, Problem> {
    let id = known_form(id)?;
    state.ledger.job(&id).await?.ok_or_else(|| unknown(id.as_str()))
}

/// The id, when it can be one.
pub(super) fn known_form(id: &str) -> Result<JobId, Problem> {
    job_id(id).ok_or_else(|| unknown(id))
}

/// A problem when a person's wish was not done.
pub(super) fn intervened(done: Intervention, id: &JobId, what: &str, remedy: &'static str) -> Result<(), Problem> {
    match done {
        Intervention::Done => Ok(()),
        Intervention::Unknown => Err(unknown(id.as_str())),
        Intervention::NotNow(now) => {
            let now = serde_json::to_value(now).ok().and_then(|word| word.as_str().map(str::to_owned));
            let detail = format!("the job {id} is {} and cannot be {what}", now.unwrap_or_default());
            Err(Problem::conflict("not_in_this_state", detail, remedy))
        }
    }
}

fn unknown(id: &str) -> Problem {
    let detail = format!("there is no job {id}, or it is no longer kept");
    Problem::not_found("unknown_job", detail, "List the jobs with GET /api/v1/jobs.")
}
