//! The list of all routes, for whatever needs one: the server, its description, and the answer to a wrong method.

use actix_web::dev::HttpServiceFactory;
use actix_web::web;
use utoipa_actix_web::OpenApiFactory;
use utoipa_actix_web::service_config::ServiceConfig;

use super::{
    asking, bulk, conflicts, connections, dead, deliveries, drift, edits, events, fabrics, health, history, jobs,
    metrics, objects, onboarding, openapi, pausing, rollback, runs, webhooks,
};

/// What routes are added to.
pub(super) trait Routes {
    fn service<F: HttpServiceFactory + OpenApiFactory + 'static>(&mut self, route: F) -> &mut Self;
}

/// The server's. It describes nothing: a description for each of its threads would be most of their memory.
impl Routes for web::ServiceConfig {
    fn service<F: HttpServiceFactory + OpenApiFactory + 'static>(&mut self, route: F) -> &mut Self {
        self.service(route)
    }
}

/// The description's.
impl Routes for ServiceConfig<'_> {
    fn service<F: HttpServiceFactory + OpenApiFactory + 'static>(&mut self, route: F) -> &mut Self {
        self.service(route)
    }
}

/// Every route, once for the server and the description.
pub(super) fn routes(routes: &mut impl Routes) {
    routes
        .service(webhooks::receive_netbox)
        .service(webhooks::receive_github)
        .service(objects::list_objects)
        .service(objects::show_object)
        .service(jobs::list_jobs)
        .service(jobs::show_job)
        .service(jobs::cancel_job)
        .service(jobs::retry_job)
        .service(runs::list_runs)
        .service(runs::show_run)
        .service(edits::show_edits)
        .service(fabrics::list_fabrics)
        .service(fabrics::show_fabric)
        .service(asking::sync_fabric)
        .service(onboarding::init_fabric)
        .service(asking::confirm_deletions)
        .service(asking::adopt_fabric)
        .service(history::accept_history)
        .service(rollback::roll_back_fabric)
        .service(drift::show_drift)
        .service(drift::reconcile_fabric)
        .service(conflicts::list_conflicts)
        .service(conflicts::show_conflict)
        .service(conflicts::resolve_conflict)
        .service(bulk::act_on_many)
        .service(pausing::pause_fabric)
        .service(pausing::resume_fabric)
        .service(pausing::pause_everything)
        .service(pausing::resume_everything)
        .service(dead::list_dead_letters)
        .service(dead::replay_dead_letters)
        .service(dead::discard_dead_letters)
        .service(dead::replay_dead_letter)
        .service(dead::discard_dead_letter)
        .service(events::listen)
        .service(deliveries::list_deliveries)
        .service(connections::list_repositories)
        .service(connections::list_netboxes)
        .service(openapi::describe);
    health_routes(routes);
}

/// What a process tells of itself, also one that only works.
pub(super) fn health_routes(routes: &mut impl Routes) {
    routes.service(health::healthz).service(health::readyz).service(metrics::metrics);
}
