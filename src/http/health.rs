//! `/healthz` and `/readyz`: for whoever restarts the process or sends it traffic.

use actix_web::{HttpResponse, get, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::HttpState;
use super::problem::Problem;

/// It is well.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"status": "ok"}))]
struct HealthView {
    status: &'static str,
}

/// Tells whether the process is alive
///
/// Asks nobody else: a restart would not help when Redis is down.
#[utoipa::path(tag = "health", responses((status = 200, description = "It is alive", body = HealthView)))]
#[get("/healthz")]
pub(super) async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(HealthView { status: "ok" })
}

/// Tells whether deliveries can be accepted
#[utoipa::path(
    tag = "health",
    responses(
        (status = 200, description = "Redis answers, and takes writes", body = HealthView),
        (status = 503, description = "Redis cannot be reached, or takes no writes: its memory is full (`ledger_full`), for one", body = Problem, content_type = "application/problem+json"),
    )
)]
#[get("/readyz")]
pub(super) async fn readyz(state: web::Data<HttpState>) -> Result<HttpResponse, Problem> {
    state.ledger.can_record().await?;
    Ok(HttpResponse::Ok().json(HealthView { status: "ok" }))
}
