//! `/api/v1/deliveries`: what came in and led to no job.

use actix_web::{HttpResponse, get, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::HttpState;
use super::input::{Query, limit};
use super::problem::Problem;
use super::time::rfc3339;
use super::token::ApiToken;

/// As many as the ledger keeps, and as many as are shown when none is asked for.
const MOST: usize = 1_000;
const STANDARD: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IgnoredQuery {
    limit: Option<String>,
}

/// Ignored deliveries, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "deliveries": [{
        "received": "2026-11-21T04:49:16.560Z", "sender": "netbox", "subject": "netbox_hedgehog.vpc#6",
        "reason": "nothing changed: its snapshots are equal",
    }],
}))]
pub(super) struct IgnoredListView {
    deliveries: Vec<IgnoredView>,
}

/// An authentic delivery that is not ours.
#[derive(Debug, Serialize, ToSchema)]
struct IgnoredView {
    /// RFC 3339, UTC.
    received: String,
    /// `netbox` or `github`.
    sender: String,
    /// What it was about: object type and id, or repository and ref.
    subject: String,
    reason: String,
}

/// Lists the newest deliveries that were authentic but not ours
#[utoipa::path(
    tag = "deliveries",
    params(("limit" = Option<usize>, Query, minimum = 1, maximum = 1000, description = "100 when not given")),
    responses(
        (status = 200, description = "Newest first; the newest 1,000 are kept", body = IgnoredListView),
        (status = 400, description = "A parameter is unknown or wrong; it is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No token, or a wrong one", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Redis cannot be reached", body = Problem, content_type = "application/problem+json"),
    ),
    security(("api_token" = ["read"])),
)]
#[get("/api/v1/deliveries/ignored")]
pub(super) async fn list_ignored(
    _token: ApiToken,
    query: Query<IgnoredQuery>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let ignored = state.ledger.ignored(limit(query.0.limit.as_deref(), STANDARD, MOST)?).await?;
    let view = |(at, ignored): (_, crate::ledger::types::Ignored)| IgnoredView {
        received: rfc3339(at),
        sender: ignored.sender,
        subject: ignored.subject,
        reason: ignored.reason,
    };
    Ok(HttpResponse::Ok().json(IgnoredListView { deliveries: ignored.into_iter().map(view).collect() }))
}
