//! The dashboard: what the API tells and takes, as pages for people.
//!
//! | file | knows |
//! |---|---|
//! | `session` | who signed in, with what cookie; that a form is ours |
//! | `visit` | what every request of a browser goes through |
//! | `shell`, `words`, `assets` | the frame of a page; times, names and states; the style sheet and the script |
//! | `fabrics`, `fabric`, `jobs`, `runs`, `conflicts`, `conflict` | pages |
//! | `drift`, `objects`, `object`, `drops`, `letters`, `deliveries`, `connections`, `description` | more of them |
//! | `report`, `sides`, `chart` | what a run did; documents beside each other; the last hours |
//!
//! Pages read the ledger as the API's handlers do, and forms end in the same functions. Nothing is loaded from elsewhere,
//! and everything works without the script but the live updates.

mod assets;
mod chart;
mod conflict;
mod conflicts;
mod connections;
mod deliveries;
mod description;
mod drift;
mod drops;
mod fabric;
mod fabrics;
mod jobs;
mod letters;
mod object;
mod objects;
mod report;
mod runs;
mod session;
mod shell;
mod sides;
mod visit;
mod words;

use actix_web::web::{ServiceConfig, get, post};

pub(super) use visit::visit;

/// Every page and form.
pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .route("/", get().to(fabrics::show))
        .route("/fabrics", post().to(fabrics::act))
        .route("/fabrics/{name}", get().to(fabric::show))
        .route("/fabrics/{name}", post().to(fabric::act))
        .route("/fabrics/{name}/objects", get().to(objects::list))
        .route("/jobs", get().to(jobs::list))
        .route("/jobs/{id}", get().to(jobs::show))
        .route("/jobs/{id}", post().to(jobs::act))
        .route("/runs", get().to(runs::list))
        .route("/runs/{id}", get().to(runs::show))
        .route("/conflicts", get().to(conflicts::list))
        .route("/conflicts/{fabric}/{kind}/{namespace}/{name}", get().to(conflict::show))
        .route("/conflicts/{fabric}/{kind}/{namespace}/{name}", post().to(conflict::decide))
        .route("/objects/{fabric}/{kind}/{namespace}/{name}", get().to(object::show))
        .route("/drift", get().to(drift::show))
        .route("/drops", get().to(drops::list))
        .route("/dead-letters", get().to(letters::list))
        .route("/dead-letters/{job}", post().to(letters::act))
        .route("/deliveries", get().to(deliveries::list))
        .route("/connections", get().to(connections::show))
        .route("/docs", get().to(description::show))
        .route("/sign-in", get().to(session::show))
        .route("/sign-in", post().to(session::sign_in))
        .route("/sign-out", post().to(session::sign_out))
        .route("/assets/style.css", get().to(assets::style))
        .route("/assets/live.js", get().to(assets::script))
        .route("/assets/docs.js", get().to(assets::docs))
        .route("/assets/icon.svg", get().to(assets::icon));
}
