//! Pause and resume, of one fabric and of everything.

use actix_web::{HttpResponse, post, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::names::FabricName;
use crate::ledger::types::{Note, Pause, Pauses};

use super::HttpState;
use super::fabrics;
use super::input::{JsonBody, NoParameters, Query, reason};
use super::problem::Problem;
use super::time::rfc3339;
use super::token::{Admin, ApiToken, Operator};

/// Why to pause.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PauseRequest {
    /// For whoever finds it paused; at most 500 characters.
    #[schema(max_length = 500)]
    reason: Option<String>,
}

/// What holds after the request.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "paused": {"scope": "fabric", "since": "2026-11-21T04:49:03.395Z", "by": "kim", "reason": "cabling is changed"},
}))]
pub(super) struct PausedView {
    /// Null when nothing is paused.
    paused: Option<PauseView>,
}

/// A stop that a person ordered.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PauseView {
    scope: PauseScope,
    /// RFC 3339, UTC.
    since: String,
    /// The name of the token that ordered it.
    by: String,
    reason: Option<String>,
}

/// What a pause stops.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum PauseScope {
    Fabric,
    Everything,
}

impl PauseView {
    fn of(scope: PauseScope, pause: &Pause) -> Self {
        let Note { by, reason } = pause.note.clone();
        Self { scope, since: rfc3339(pause.since), by, reason }
    }

    /// The pause of everything.
    pub(super) fn of_everything(pauses: &Pauses) -> Option<Self> {
        pauses.everything.as_ref().map(|pause| Self::of(PauseScope::Everything, pause))
    }

    /// What keeps a fabric from being worked on: its own pause, else the one of everything.
    pub(super) fn of_fabric(pauses: &Pauses, fabric: &FabricName) -> Option<Self> {
        let own = pauses.fabrics.get(fabric).map(|pause| Self::of(PauseScope::Fabric, pause));
        own.or_else(|| Self::of_everything(pauses))
    }
}

/// Stops the work on a fabric
///
/// Deliveries and requests are accepted and kept; nothing of them is applied until the fabric is resumed. A run that has
/// begun ends as it would. The other fabrics of the same branch go on. A fabric that is paused already stays as it is.
#[utoipa::path(
    tag = "fabrics",
    params(("name" = String, Path, description = "The fabric's name")),
    request_body(content = Option<PauseRequest>, description = "None is the same as `{}`", example = json!({"reason": "cabling is changed"})),
    responses((status = 200, description = "The pause that holds", body = PausedView)),
    security(("api_token" = ["operate"])),
)]
#[post("/api/v1/fabrics/{name}/pause")]
pub(super) async fn pause_fabric(
    Operator(token): Operator,
    _query: Query<NoParameters>,
    name: web::Path<String>,
    body: JsonBody<PauseRequest>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let fabric = fabrics::find(&state, &name)?;
    pause(&state, PauseScope::Fabric, Some(&fabric.name), note(&token, body.0)?).await
}

/// Resumes the work on a fabric
///
/// What was accepted meanwhile is due as if there had been no pause. A pause of everything still holds.
#[utoipa::path(
    tag = "fabrics",
    params(("name" = String, Path, description = "The fabric's name")),
    responses(
        (status = 200, description = "What still holds: a pause of everything, or null", body = PausedView, example = json!({"paused": null})),
    ),
    security(("api_token" = ["operate"])),
)]
#[post("/api/v1/fabrics/{name}/resume")]
pub(super) async fn resume_fabric(
    Operator(token): Operator,
    _query: Query<NoParameters>,
    name: web::Path<String>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let fabric = fabrics::find(&state, &name)?;
    resume(&state, &token, Some(&fabric.name)).await
}

/// Stops the work on all fabrics
///
/// As the pause of one fabric, for all of them and whatever is added to the settings. Survives restarts.
#[utoipa::path(
    tag = "service",
    request_body(content = Option<PauseRequest>, description = "None is the same as `{}`", example = json!({"reason": "NetBox is upgraded"})),
    responses(
        (status = 200, description = "The pause that holds", body = PausedView, example = json!({
            "paused": {"scope": "everything", "since": "2026-11-21T04:49:03.395Z", "by": "kim", "reason": "NetBox is upgraded"},
        })),
    ),
    security(("api_token" = ["admin"])),
)]
#[post("/api/v1/pause")]
pub(super) async fn pause_everything(
    Admin(token): Admin,
    _query: Query<NoParameters>,
    body: JsonBody<PauseRequest>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    pause(&state, PauseScope::Everything, None, note(&token, body.0)?).await
}

/// Ends the stop of all fabrics
///
/// Fabrics that were paused one by one stay paused.
#[utoipa::path(
    tag = "service",
    responses(
        (status = 200, description = "Nothing stops everything any more", body = PausedView, example = json!({"paused": null})),
    ),
    security(("api_token" = ["admin"])),
)]
#[post("/api/v1/resume")]
pub(super) async fn resume_everything(
    Admin(token): Admin,
    _query: Query<NoParameters>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    resume(&state, &token, None).await
}

fn note(token: &ApiToken, request: PauseRequest) -> Result<Note, Problem> {
    Ok(Note { by: token.name.clone(), reason: request.reason.map(reason).transpose()? })
}

async fn pause(
    state: &HttpState,
    scope: PauseScope,
    fabric: Option<&FabricName>,
    note: Note,
) -> Result<HttpResponse, Problem> {
    let pause = stop(state, fabric, &note).await?;
    Ok(HttpResponse::Ok().json(PausedView { paused: Some(PauseView::of(scope, &pause)) }))
}

/// Pauses a fabric, or everything.
pub(super) async fn stop(state: &HttpState, fabric: Option<&FabricName>, note: &Note) -> Result<Pause, Problem> {
    let pause = state.ledger.pause(fabric, note).await?;
    tracing::info!(fabric = fabric.map_or("*", FabricName::as_str), token = note.by, "paused");
    Ok(pause)
}

/// Ends the pause of a fabric, or of everything.
pub(super) async fn go_on(state: &HttpState, token: &ApiToken, fabric: Option<&FabricName>) -> Result<(), Problem> {
    state.ledger.resume(fabric).await?;
    state.wake.notify_one();
    tracing::info!(fabric = fabric.map_or("*", FabricName::as_str), token = token.name, "resumed");
    Ok(())
}

async fn resume(state: &HttpState, token: &ApiToken, fabric: Option<&FabricName>) -> Result<HttpResponse, Problem> {
    go_on(state, token, fabric).await?;
    let paused = PauseView::of_everything(&state.ledger.pauses().await?);
    Ok(HttpResponse::Ok().json(PausedView { paused }))
}
