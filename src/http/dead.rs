//! `/api/v1/dead-letters`: what was given up, and what a person does about it.

use actix_web::{HttpResponse, get, post, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::names::{FabricName, JobId};
use crate::ledger::types::{DeadLetter, LetterEnd, LetterFilter, LetterId, Note};

use super::HttpState;
use super::answers::{AcceptedView, ErrorView, JobView};
use super::input::{JsonBody, NoParameters, Query, bad_field, bad_parameter, limit, reason};
use super::jobs::{find, intervened, known_form};
use super::problem::Problem;
use super::time::rfc3339;
use super::token::{Admin, ApiToken, Operator};

/// Largest page, and the one when none is asked for.
const MOST: usize = 200;
const STANDARD: usize = 50;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LettersQuery {
    fabric: Option<String>,
    code: Option<String>,
    cursor: Option<String>,
    limit: Option<String>,
}

impl LettersQuery {
    /// A query with these; an empty text narrows nothing.
    pub(super) fn of(fabric: &str, cursor: Option<String>) -> Self {
        let fabric = Some(fabric).filter(|text| !text.is_empty()).map(str::to_owned);
        Self { fabric, code: None, cursor, limit: None }
    }

    pub(super) fn filter(self) -> Result<LetterFilter, Problem> {
        let bad = || bad_parameter("cursor", "the `next` of a page");
        let cursor = self.cursor.map(|text| read_cursor(&text).ok_or_else(bad)).transpose()?;
        Ok(LetterFilter {
            fabric: self.fabric.map(FabricName::new),
            code: self.code,
            after: cursor,
            limit: limit(self.limit.as_deref(), STANDARD, MOST)?,
        })
    }
}

/// A page of dead letters, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "dead_letters": [{
        "fabric": "lab-fabric", "repository": "fabrics", "branch": "main", "died": "2026-11-21T04:49:07.120Z",
        "attempts": 20, "run": "01KAJ3V2Q8H5J0B7D9F3G6K1MN",
        "error": {"code": "netbox_unavailable", "message": "NetBox lab could not be reached: connection refused",
            "remedy": "nothing if it passes; else check NetBox and the network"},
        "changes": ["VPC#6 updated"], "all_changes": 1, "jobs": ["01KAJ3V0M1W9T6N4ZC5X8R7QHD"], "all_jobs": 1,
    }],
    "next": null,
}))]
pub(super) struct LettersView {
    dead_letters: Vec<LetterView>,
    /// Pass as `cursor` for the next page; null at the end.
    next: Option<String>,
}

/// One fabric's share of a batch that was given up after its last attempt.
#[derive(Debug, Serialize, ToSchema)]
struct LetterView {
    fabric: String,
    repository: String,
    branch: String,
    /// RFC 3339, UTC.
    died: String,
    attempts: u32,
    /// The last run that tried.
    run: Option<String>,
    /// What it died of.
    error: ErrorView,
    /// What was to be looked at, some of it: NetBox's type and id and what happened, or the whole comparison's name.
    changes: Vec<String>,
    all_changes: u64,
    /// The jobs that asked for it, some of them, oldest first. Any of them replays or discards all of it.
    jobs: Vec<String>,
    all_jobs: u64,
}

/// Why dead letters are given up for good.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DiscardRequest {
    /// For whoever asks later; 1 to 500 characters.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
}

/// Which dead letters to replay: all that fit every field that is given, at least one.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplayManyRequest {
    fabric: Option<String>,
    /// Of the error that they died of.
    code: Option<String>,
    /// True to mean every one.
    #[serde(default)]
    #[schema(default = false)]
    all: bool,
}

/// Which dead letters to discard, as for a replay, and why.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DiscardManyRequest {
    fabric: Option<String>,
    /// Of the error that they died of.
    code: Option<String>,
    /// True to mean every one.
    #[serde(default)]
    #[schema(default = false)]
    all: bool,
    /// For whoever asks later; 1 to 500 characters.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
}

/// How much was replayed or discarded.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"dead_letters": 12, "jobs": 31, "more": false}))]
pub(super) struct EndedView {
    dead_letters: u64,
    jobs: u64,
    /// Whether more of them fit: send the request again.
    more: bool,
}

/// Lists dead letters, newest first
///
/// A batch that failed its last attempt, or whose workers all died, is kept with its changes for a replay.
#[utoipa::path(
    tag = "dead letters",
    params(
        ("fabric" = Option<String>, Query, description = "Only of this fabric"),
        ("code" = Option<String>, Query, description = "Only those that died of this error", example = "netbox_unavailable"),
        ("cursor" = Option<String>, Query, description = "The `next` of the page before"),
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 200, description = "Letters on a page; 50 when not given"),
    ),
    responses((status = 200, description = "A page of dead letters", body = LettersView)),
    security(("api_token" = ["read"])),
)]
#[get("/api/v1/dead-letters")]
pub(super) async fn list_dead_letters(
    _token: ApiToken,
    query: Query<LettersQuery>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let page = state.ledger.dead_letters(&query.0.filter()?).await?;
    Ok(HttpResponse::Ok().json(LettersView {
        dead_letters: page.letters.into_iter().map(LetterView::from).collect(),
        next: page.next.as_ref().map(cursor_of),
    }))
}

/// Replays the dead letters of a job
///
/// Their changes are pending again and due at once, with the other jobs that died in the same batches.
#[utoipa::path(
    tag = "dead letters",
    params(("job" = String, Path, description = "A job of the letter")),
    responses(
        (status = 202, description = "The same job, queued again", body = AcceptedView),
        (status = 404, description = "There is no such job, or it is no longer kept", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It has no dead letter", body = Problem, content_type = "application/problem+json"),
    ),
    security(("api_token" = ["operate"])),
)]
#[post("/api/v1/dead-letters/{job}/replay")]
pub(super) async fn replay_dead_letter(
    Operator(token): Operator,
    _query: Query<NoParameters>,
    job: web::Path<String>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let accepted = super::jobs::replay(&state, &token, &job).await?;
    Ok(HttpResponse::Accepted().json(accepted))
}

/// Gives up the dead letters of a job for good
///
/// The job and the others of the same batches become `failed` with the reason. Their changes are not looked at again on
/// their account; a full comparison still finds what differs.
#[utoipa::path(
    tag = "dead letters",
    params(("job" = String, Path, description = "A job of the letter")),
    request_body(content = DiscardRequest, example = json!({"reason": "the fabric is dismantled"})),
    responses(
        (status = 200, description = "The job as it is now", body = JobView),
        (status = 404, description = "There is no such job, or it is no longer kept", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It has no dead letter", body = Problem, content_type = "application/problem+json"),
    ),
    security(("api_token" = ["admin"])),
)]
#[post("/api/v1/dead-letters/{job}/discard")]
pub(super) async fn discard_dead_letter(
    Admin(token): Admin,
    _query: Query<NoParameters>,
    job: web::Path<String>,
    body: JsonBody<DiscardRequest>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let id = discard(&state, &token, &job, body.0.reason).await?;
    Ok(HttpResponse::Ok().json(JobView::of(find(&state, id.as_str()).await?, Vec::new())))
}

/// Gives up a job's dead letters for good; its id.
pub(super) async fn discard(state: &HttpState, token: &ApiToken, job: &str, why: String) -> Result<JobId, Problem> {
    let id = known_form(job)?;
    let end = LetterEnd::Discard(note(token, why)?);
    let done = state.ledger.end_letters_of(&id, &end).await?;
    let remedy = "Only dead letters are discarded; a job that waits is called off with `cancel`.";
    intervened(done, &id, "discarded", remedy)?;
    tracing::info!(job.id = %id, token = token.name, "a dead letter was discarded");
    Ok(id)
}

/// Replays all dead letters that fit
#[utoipa::path(
    tag = "dead letters",
    request_body(content = ReplayManyRequest, example = json!({"code": "netbox_unavailable"})),
    responses(
        (status = 200, description = "How many", body = EndedView),
        (status = 400, description = "A parameter or field is unknown or wrong, or none is given", body = Problem, content_type = "application/problem+json"),
    ),
    security(("api_token" = ["operate"])),
)]
#[post("/api/v1/dead-letters/replay")]
pub(super) async fn replay_dead_letters(
    Operator(token): Operator,
    _query: Query<NoParameters>,
    body: JsonBody<ReplayManyRequest>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let ReplayManyRequest { fabric, code, all } = body.0;
    end_many(&state, &token, filter(fabric, code, all)?, LetterEnd::Replay).await
}

/// Gives up all dead letters that fit
#[utoipa::path(
    tag = "dead letters",
    request_body(content = DiscardManyRequest, example = json!({"fabric": "lab-fabric", "reason": "the fabric is dismantled"})),
    responses(
        (status = 200, description = "How many", body = EndedView),
        (status = 400, description = "A parameter or field is unknown or wrong, or none is given", body = Problem, content_type = "application/problem+json"),
    ),
    security(("api_token" = ["admin"])),
)]
#[post("/api/v1/dead-letters/discard")]
pub(super) async fn discard_dead_letters(
    Admin(token): Admin,
    _query: Query<NoParameters>,
    body: JsonBody<DiscardManyRequest>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let DiscardManyRequest { fabric, code, all, reason } = body.0;
    let filter = filter(fabric, code, all)?;
    end_many(&state, &token, filter, LetterEnd::Discard(note(&token, reason)?)).await
}

async fn end_many(
    state: &HttpState,
    token: &ApiToken,
    filter: LetterFilter,
    end: LetterEnd,
) -> Result<HttpResponse, Problem> {
    let ended = state.ledger.end_letters(&filter, &end).await?;
    state.wake.notify_one();
    let what = match end {
        LetterEnd::Replay => "replayed",
        LetterEnd::Discard(_) => "discarded",
    };
    tracing::info!(letters = ended.letters, token = token.name, "dead letters were {what}");
    Ok(HttpResponse::Ok().json(EndedView { dead_letters: ended.letters, jobs: ended.jobs, more: ended.more }))
}

/// An empty filter is more often a slip than a wish.
fn filter(fabric: Option<String>, code: Option<String>, all: bool) -> Result<LetterFilter, Problem> {
    if all == (fabric.is_some() || code.is_some()) {
        return Err(bad_field("give `fabric` or `code` or both, or `all: true` alone"));
    }
    Ok(LetterFilter { fabric: fabric.map(FabricName::new), code, ..LetterFilter::default() })
}

fn note(token: &ApiToken, text: String) -> Result<Note, Problem> {
    if text.trim().is_empty() {
        return Err(bad_field("`reason` is missing or empty"));
    }
    Ok(Note { by: token.name.clone(), reason: Some(reason(text)?) })
}

/// What `read_cursor` reads.
pub(super) fn cursor_of(id: &LetterId) -> String {
    format!("{}:{}", id.fence, id.fabric)
}

fn read_cursor(text: &str) -> Option<LetterId> {
    let (fence, fabric) = text.split_once(':')?;
    Some(LetterId { fence: fence.parse().ok()?, fabric: FabricName::new(fabric) })
}

impl From<DeadLetter> for LetterView {
    fn from(letter: DeadLetter) -> Self {
        let mut changes: Vec<String> = letter.changes.iter().map(ToString::to_string).collect();
        // One of an object's changes for each user who made it.
        changes.dedup();
        Self {
            fabric: letter.id.fabric.to_string(),
            repository: letter.target.repo.to_string(),
            branch: letter.target.branch.to_string(),
            died: rfc3339(letter.died),
            attempts: letter.attempts,
            run: letter.run.map(|run| run.to_string()),
            error: letter.error.into(),
            changes,
            all_changes: letter.all_changes,
            jobs: letter.jobs.iter().map(ToString::to_string).collect(),
            all_jobs: letter.all_jobs,
        }
    }
}
