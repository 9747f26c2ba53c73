//! The dashboard: what the API tells and takes, as pages for people.
//!
//! | file | knows |
//! |---|---|
//! | `session` | who signed in, with what cookie; that a form is ours |
//! | `visit` | what every request of a browser goes through |
//! | `shell`, `words`, `assets` | the frame of a page; times, names and states; the style sheet and the script |
//! | `fabrics`, `fabric`, `jobs`, `runs`, `report`, `conflicts`, `conflict`, `sides` | pages, and the parts they share |
//! | `drops`, `letters`, `deliveries`, `connections`, `chart` | more of them |
//!
//! Pages read the ledger as the API's handlers do, and forms end in the same functions. Nothing is loaded from elsewhere,
//! and everything works without the script but the live updates.

mod assets;
mod chart;
mod fabrics;
mod session;
mod shell;
mod visit;
mod words;

use actix_web::web::{ServiceConfig, get, post};

pub(super) use visit::visit;

/// Every page and form.
pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .route("/", get().to(fabrics::show))
        .route("/fabrics", post().to(fabrics::act))
        .route("/sign-in", get().to(session::show))
        .route("/sign-in", post().to(session::sign_in))
        .route("/sign-out", post().to(session::sign_out))
        .route("/assets/style.css", get().to(assets::style))
        .route("/assets/live.js", get().to(assets::script))
        .route("/assets/icon.svg", get().to(assets::icon));
}
