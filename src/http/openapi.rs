//! The API's description, made from the handlers; `openapi/openapi.json` is its copy for readers.

use actix_web::App;
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_actix_web::AppExt;
use utoipa_actix_web::service_config::ServiceConfig;

use super::{dead, deliveries, fabrics, health, jobs, pausing, runs, webhooks};

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
        (name = "runs", description = "Each turn of a worker on a repository's branch"),
        (name = "fabrics", description = "How each fabric stands"),
        (name = "dead letters", description = "What was given up, and what a person does about it"),
        (name = "service", description = "The service as a whole"),
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
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(
        "One of the settings' api_tokens. The word beside an operation is the role that it needs: `read`, `operate` or \
         `admin`; each may do what the ones before it may.",
    ));
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
        .service(runs::list_runs)
        .service(runs::show_run)
        .service(fabrics::list_fabrics)
        .service(fabrics::show_fabric)
        .service(fabrics::sync_fabric)
        .service(fabrics::confirm_deletions)
        .service(fabrics::adopt_fabric)
        .service(pausing::pause_fabric)
        .service(pausing::resume_fabric)
        .service(pausing::pause_everything)
        .service(pausing::resume_everything)
        .service(dead::list_dead_letters)
        .service(dead::replay_dead_letters)
        .service(dead::discard_dead_letters)
        .service(dead::replay_dead_letter)
        .service(dead::discard_dead_letter)
        .service(deliveries::list_ignored)
        .service(health::healthz)
        .service(health::readyz);
}
