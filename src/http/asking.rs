//! What a person may ask of a fabric: each becomes a job.

use std::collections::BTreeSet;

use actix_web::{HttpResponse, post, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::change::Change;
use crate::domain::key::Key;
use crate::domain::policy::Fabric;
use crate::ledger::types::{Accept, Accepted, Origin};

use super::HttpState;
use super::answers::AcceptedView;
use super::fabrics::find;
use super::input::{JsonBody, NoParameters, Query};
use super::problem::Problem;
use super::report::KeyView;
use super::token::{Admin, ApiToken, Operator};

/// What to do in a sync.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SyncRequest {
    /// Only plan and tell; nothing is written on either side.
    #[serde(default)]
    #[schema(default = false)]
    dry_run: bool,
}

/// The deletions that were confirmed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "confirmed": [{"kind": "VPC", "namespace": "default", "name": "web"}],
    "job": {"job_id": "01KAJ3V0M1W9T6N4ZC5X8R7QHD", "status_url": "https://sync.example.com/api/v1/jobs/01KAJ3V0M1W9T6N4ZC5X8R7QHD", "delivery": "new"},
}))]
pub(super) struct ConfirmedView {
    confirmed: Vec<KeyView>,
    /// The job that carries them out; null when nothing was held.
    job: Option<AcceptedView>,
}

/// Compares a fabric as a whole, now
///
/// With `dry_run` nothing is written; the plan is the report of the job.
#[utoipa::path(
    tag = "fabrics",
    params(("name" = String, Path, description = "The fabric's name")),
    request_body(content = Option<SyncRequest>, description = "None is the same as `{}`", example = json!({"dry_run": true})),
    responses((status = 202, description = "The job that does it", body = AcceptedView)),
    security(("api_token" = ["operate"])),
)]
#[post("/api/v1/fabrics/{name}/sync")]
pub(super) async fn sync_fabric(
    Operator(token): Operator,
    _query: Query<NoParameters>,
    name: web::Path<String>,
    body: JsonBody<SyncRequest>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let fabric = find(&state, &name)?;
    let (what, change) = if body.0.dry_run { ("dry run", Change::DryRun) } else { ("sync", Change::Everything) };
    answer_with_job(&state, fabric, format!("{what} by {}", token.name), change).await
}

/// Lets the deletions go that the guard holds
///
/// Exactly those that `GET /api/v1/fabrics/{name}` lists as `guarded` when the request arrives.
#[utoipa::path(
    tag = "fabrics",
    params(("name" = String, Path, description = "The fabric's name")),
    responses(
        (status = 202, description = "What was confirmed, and the job that carries it out", body = ConfirmedView),
        (status = 200, description = "No deletion was held", body = ConfirmedView, example = json!({"confirmed": [], "job": null})),
    ),
    security(("api_token" = ["admin"])),
)]
#[post("/api/v1/fabrics/{name}/confirm-deletions")]
pub(super) async fn confirm_deletions(
    Admin(token): Admin,
    _query: Query<NoParameters>,
    name: web::Path<String>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let (keys, accepted) = confirm(&state, &token, find(&state, &name)?).await?;
    let Some(accepted) = accepted else {
        return Ok(HttpResponse::Ok().json(ConfirmedView { confirmed: Vec::new(), job: None }));
    };
    let confirmed = keys.into_iter().map(KeyView::from).collect();
    Ok(HttpResponse::Accepted().json(ConfirmedView { confirmed, job: Some(AcceptedView::of(&state, &accepted)) }))
}

/// Lets a fabric's guarded deletions go: which they are, and the job that carries them out when there are any.
pub(super) async fn confirm(
    state: &HttpState,
    token: &ApiToken,
    fabric: &Fabric,
) -> Result<(BTreeSet<Key>, Option<Accepted>), Problem> {
    let keys = state.ledger.confirm_deletions(&fabric.name).await?;
    if keys.is_empty() {
        return Ok((keys, None));
    }
    let what = format!("{} deletions confirmed by {}", keys.len(), token.name);
    let accepted = ask(state, fabric, what, Change::Everything).await?;
    Ok((keys, Some(accepted)))
}

/// Lets this service take over a directory that another one's marker claims
///
/// Say it only when the other service is gone for good: two that write one directory undo each other's work.
#[utoipa::path(
    tag = "fabrics",
    params(("name" = String, Path, description = "The fabric's name")),
    responses((status = 202, description = "The job that takes it over", body = AcceptedView)),
    security(("api_token" = ["admin"])),
)]
#[post("/api/v1/fabrics/{name}/adopt")]
pub(super) async fn adopt_fabric(
    Admin(token): Admin,
    _query: Query<NoParameters>,
    name: web::Path<String>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let accepted = adopt(&state, &token, find(&state, &name)?).await?;
    Ok(HttpResponse::Accepted().json(AcceptedView::of(&state, &accepted)))
}

/// Lets this service take a fabric's directory over.
pub(super) async fn adopt(state: &HttpState, token: &ApiToken, fabric: &Fabric) -> Result<Accepted, Problem> {
    state.ledger.allow_adoption(&fabric.name).await?;
    ask(state, fabric, format!("adoption allowed by {}", token.name), Change::Everything).await
}

/// Records what a person asks of a fabric, to be done at once.
pub(super) async fn ask(state: &HttpState, fabric: &Fabric, what: String, change: Change) -> Result<Accepted, Problem> {
    let changes = vec![(fabric.name.clone(), fabric.target.clone(), change)];
    let accept = Accept { origin: Origin::Request { what }, dedupe: None, changes, at_once: true };
    Ok(state.accept(&accept).await?)
}

/// As `ask`; the answer names the job.
pub(super) async fn answer_with_job(
    state: &HttpState,
    fabric: &Fabric,
    what: String,
    change: Change,
) -> Result<HttpResponse, Problem> {
    let accepted = ask(state, fabric, what, change).await?;
    Ok(HttpResponse::Accepted().json(AcceptedView::of(state, &accepted)))
}
