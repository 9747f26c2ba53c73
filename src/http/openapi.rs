//! The API's description, made from the handlers; `openapi/openapi.json` is its copy for readers.

use actix_web::App;
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_actix_web::AppExt;
use utoipa_actix_web::service_config::ServiceConfig;

use super::{conflicts, deliveries, fabrics, health, jobs, webhooks};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "fgd-sync",
        description = "Keeps a Fabric GitOps Directory in Git and NetBox equal: webhooks in, status out.\n\n\
            Every error is an RFC 9457 problem with a stable `code`. Unknown query parameters and body fields are errors.",
    ),
    tags(
        (name = "webhooks", description = "Signed deliveries of NetBox and GitHub"),
        (name = "jobs", description = "What became of every accepted delivery and request"),
        (name = "fabrics", description = "How each fabric stands"),
        (name = "conflicts", description = "Objects on which both sides contradict each other"),
        (name = "deliveries", description = "What came in and led to no job"),
        (name = "health", description = "For whoever restarts the process or sends it traffic"),
    )
)]
struct Description;

/// The description of every route.
pub fn openapi() -> utoipa::openapi::OpenApi {
    App::new().into_utoipa_app().openapi(base()).configure(routes).split_for_parts().1
}

fn base() -> utoipa::openapi::OpenApi {
    let mut description = Description::openapi();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("One of the settings' api_tokens"));
    let components = description.components.get_or_insert_default();
    components.add_security_scheme("api_token", SecurityScheme::Http(bearer.build()));
    description
}

/// Every route, once for the server and the description.
pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(webhooks::receive_netbox)
        .service(webhooks::receive_github)
        .service(jobs::list_jobs)
        .service(jobs::show_job)
        .service(jobs::cancel_job)
        .service(jobs::retry_job)
        .service(fabrics::list_fabrics)
        .service(fabrics::show_fabric)
        .service(fabrics::sync_fabric)
        .service(fabrics::confirm_deletions)
        .service(fabrics::adopt_fabric)
        .service(conflicts::list_conflicts)
        .service(conflicts::show_conflict)
        .service(conflicts::resolve_conflict)
        .service(deliveries::list_ignored)
        .service(health::healthz)
        .service(health::readyz);
}
