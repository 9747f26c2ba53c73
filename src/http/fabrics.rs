//! `/api/v1/fabrics`: how each fabric stands, and what a person may ask for it.

use std::collections::BTreeSet;

use actix_web::{HttpResponse, get, post, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::change::Change;
use crate::domain::names::FabricName;
use crate::domain::policy::Fabric;
use crate::ledger::types::{Accept, Accepted, FabricStatus, Origin};

use super::HttpState;
use super::answers::{AcceptedView, ErrorView};
use super::input::{JsonBody, NoParameters, Query};
use super::problem::Problem;
use super::report::{KeyView, ReasonView, ReportView};
use super::time::rfc3339;
use super::token::ApiToken;

/// Every fabric of the settings, by name.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "fabrics": [{
        "name": "lab-fabric", "standing": "held", "repository": "fabrics", "branch": "main", "directory": "lab",
        "netbox": "lab", "pending_changes": 0, "objects": 142, "held": 1, "guarded_deletions": 0,
        "last_sync": "2026-11-21T04:49:07.120Z", "head": "2b7e151628aed2a6abf7158809cf4f3c762e7160", "error": null,
    }],
}))]
pub(super) struct FabricsView {
    fabrics: Vec<FabricView>,
}

/// How a fabric stands.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FabricView {
    name: String,
    standing: Standing,
    repository: String,
    branch: String,
    /// In the repository; empty for its root.
    directory: String,
    netbox: String,
    /// Changes that are recorded and not yet settled.
    pending_changes: u64,
    /// Objects that both sides have agreed on.
    objects: u64,
    /// Objects that wait for a person.
    held: usize,
    /// Deletions that wait for `confirm-deletions`.
    guarded_deletions: usize,
    /// End of the last run that came through: RFC 3339, UTC.
    last_sync: Option<String>,
    /// The head that the last run dealt with.
    head: Option<String>,
    /// Why the fabric is not being worked on.
    error: Option<ErrorView>,
}

/// A fabric's standing in a word; the first of these that is true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Standing {
    /// It cannot be worked on; `error` says why.
    Failing,
    /// Changes wait or are being worked on.
    Pending,
    /// At least one object waits for a person.
    Held,
    /// No run has come through yet.
    NeverSynced,
    /// Both sides agreed when they were last looked at.
    InSync,
}

/// A fabric with everything that waits for a person, and its last run.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "name": "lab-fabric", "standing": "held", "repository": "fabrics", "branch": "main", "directory": "lab",
    "netbox": "lab", "pending_changes": 0, "objects": 142, "held": 1, "guarded_deletions": 0,
    "last_sync": "2026-11-21T04:49:07.120Z", "head": "2b7e151628aed2a6abf7158809cf4f3c762e7160", "error": null,
    "held_objects": [{
        "key": {"kind": "VPC", "namespace": "default", "name": "web"},
        "reason": {"code": "both_changed", "message": "It changed in Git and in NetBox."},
    }],
    "guarded": [], "last_run": null,
}))]
pub(super) struct FabricDetailView {
    #[serde(flatten)]
    fabric: FabricView,
    held_objects: Vec<HeldView>,
    /// What `confirm-deletions` would let go.
    guarded: Vec<KeyView>,
    last_run: Option<ReportView>,
}

/// An object that waits for a person.
#[derive(Debug, Serialize, ToSchema)]
struct HeldView {
    key: KeyView,
    reason: ReasonView,
}

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
    "job": {"job_id": "01KAJ3V0M1W9T6N4ZC5X8R7QHD", "status_url": "/api/v1/jobs/01KAJ3V0M1W9T6N4ZC5X8R7QHD", "delivery": "new"},
}))]
pub(super) struct ConfirmedView {
    confirmed: Vec<KeyView>,
    /// The job that carries them out; null when nothing was held.
    job: Option<AcceptedView>,
}

/// Lists the fabrics
#[utoipa::path(
    tag = "fabrics",
    responses(
        (status = 200, description = "Every fabric of the settings, by name", body = FabricsView),
        (status = 400, description = "A parameter is unknown", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No token, or a wrong one", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Redis cannot be reached", body = Problem, content_type = "application/problem+json"),
    ),
    security(("api_token" = [])),
)]
#[get("/api/v1/fabrics")]
pub(super) async fn list_fabrics(
    _token: ApiToken,
    _query: Query<NoParameters>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let mut fabrics = Vec::new();
    for fabric in &state.routing.fabrics {
        fabrics.push(FabricView::of(fabric, &state.ledger.fabric_status(&fabric.name).await?));
    }
    fabrics.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(HttpResponse::Ok().json(FabricsView { fabrics }))
}

/// Shows one fabric, with what waits for a person
#[utoipa::path(
    tag = "fabrics",
    params(("name" = String, Path, description = "The fabric's name")),
    responses(
        (status = 200, description = "The fabric", body = FabricDetailView),
        (status = 400, description = "A parameter is unknown", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No token, or a wrong one", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "The settings have no such fabric", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Redis cannot be reached", body = Problem, content_type = "application/problem+json"),
    ),
    security(("api_token" = [])),
)]
#[get("/api/v1/fabrics/{name}")]
pub(super) async fn show_fabric(
    _token: ApiToken,
    _query: Query<NoParameters>,
    name: web::Path<String>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let fabric = find(&state, &name)?;
    let status = state.ledger.fabric_status(&fabric.name).await?;
    let view = FabricView::of(fabric, &status);
    let held = status.held.into_iter().map(|(key, reason)| HeldView { key: key.into(), reason: reason.into() });
    Ok(HttpResponse::Ok().json(FabricDetailView {
        fabric: view,
        held_objects: held.collect(),
        guarded: status.guarded.into_iter().map(KeyView::from).collect(),
        last_run: status.last_run.map(ReportView::from),
    }))
}

/// Compares a fabric as a whole, now
///
/// With `dry_run` nothing is written; the plan is the report of the job.
#[utoipa::path(
    tag = "fabrics",
    params(("name" = String, Path, description = "The fabric's name")),
    request_body(content = Option<SyncRequest>, description = "None is the same as `{}`", example = json!({"dry_run": true})),
    responses(
        (status = 202, description = "The job that does it", body = AcceptedView),
        (status = 400, description = "A parameter or field is unknown or wrong; it is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No token, or a wrong one", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "The settings have no such fabric", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The body is not JSON", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Redis cannot be reached", body = Problem, content_type = "application/problem+json"),
    ),
    security(("api_token" = [])),
)]
#[post("/api/v1/fabrics/{name}/sync")]
pub(super) async fn sync_fabric(
    token: ApiToken,
    _query: Query<NoParameters>,
    name: web::Path<String>,
    body: JsonBody<SyncRequest>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let fabric = find(&state, &name)?;
    let (what, change) = if body.0.dry_run { ("dry run", Change::DryRun) } else { ("sync", Change::Everything) };
    let accepted = ask(&state, fabric, format!("{what} by {}", token.name), change).await?;
    Ok(HttpResponse::Accepted().json(AcceptedView::of(&accepted)))
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
        (status = 400, description = "A parameter is unknown", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No token, or a wrong one", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "The settings have no such fabric", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Redis cannot be reached", body = Problem, content_type = "application/problem+json"),
    ),
    security(("api_token" = [])),
)]
#[post("/api/v1/fabrics/{name}/confirm-deletions")]
pub(super) async fn confirm_deletions(
    token: ApiToken,
    _query: Query<NoParameters>,
    name: web::Path<String>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let fabric = find(&state, &name)?;
    let keys: BTreeSet<_> = state.ledger.confirm_deletions(&fabric.name).await?;
    if keys.is_empty() {
        return Ok(HttpResponse::Ok().json(ConfirmedView { confirmed: Vec::new(), job: None }));
    }
    let what = format!("{} deletions confirmed by {}", keys.len(), token.name);
    let accepted = ask(&state, fabric, what, Change::Everything).await?;
    let confirmed = keys.into_iter().map(KeyView::from).collect();
    Ok(HttpResponse::Accepted().json(ConfirmedView { confirmed, job: Some(AcceptedView::of(&accepted)) }))
}

/// Lets this service take over a directory that another one's marker claims
///
/// Say it only when the other service is gone for good: two that write one directory undo each other's work.
#[utoipa::path(
    tag = "fabrics",
    params(("name" = String, Path, description = "The fabric's name")),
    responses(
        (status = 202, description = "The job that takes it over", body = AcceptedView),
        (status = 400, description = "A parameter is unknown", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No token, or a wrong one", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "The settings have no such fabric", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Redis cannot be reached", body = Problem, content_type = "application/problem+json"),
    ),
    security(("api_token" = [])),
)]
#[post("/api/v1/fabrics/{name}/adopt")]
pub(super) async fn adopt_fabric(
    token: ApiToken,
    _query: Query<NoParameters>,
    name: web::Path<String>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let fabric = find(&state, &name)?;
    state.ledger.allow_adoption(&fabric.name).await?;
    let accepted = ask(&state, fabric, format!("adoption allowed by {}", token.name), Change::Everything).await?;
    Ok(HttpResponse::Accepted().json(AcceptedView::of(&accepted)))
}

async fn ask(state: &HttpState, fabric: &Fabric, what: String, change: Change) -> Result<Accepted, Problem> {
    let changes = vec![(fabric.name.clone(), fabric.target.clone(), change)];
    let accept = Accept { origin: Origin::Request { what }, dedupe: None, changes, at_once: true };
    Ok(state.accept(&accept).await?)
}

fn find<'s>(state: &'s HttpState, name: &str) -> Result<&'s Fabric, Problem> {
    state.routing.fabric(&FabricName::new(name)).ok_or_else(|| {
        let detail = format!("the settings have no fabric {name}");
        Problem::not_found("unknown_fabric", detail, "List the fabrics with GET /api/v1/fabrics.")
    })
}

impl FabricView {
    fn of(fabric: &Fabric, status: &FabricStatus) -> Self {
        Self {
            name: fabric.name.to_string(),
            standing: Standing::of(status),
            repository: fabric.target.repo.to_string(),
            branch: fabric.target.branch.to_string(),
            directory: fabric.directory.to_string(),
            netbox: fabric.netbox.to_string(),
            pending_changes: status.pending_changes,
            objects: status.objects,
            held: status.held.len(),
            guarded_deletions: status.guarded.len(),
            last_sync: status.last_sync.map(rfc3339),
            head: status.head.clone().map(String::from),
            error: status.error.clone().map(ErrorView::from),
        }
    }
}

impl Standing {
    fn of(status: &FabricStatus) -> Self {
        if status.error.is_some() {
            Self::Failing
        } else if status.pending_changes > 0 {
            Self::Pending
        } else if !status.held.is_empty() || !status.guarded.is_empty() {
            Self::Held
        } else if status.last_sync.is_none() {
            Self::NeverSynced
        } else {
            Self::InSync
        }
    }
}
