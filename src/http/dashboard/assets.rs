//! The style sheet, the script and the icon: part of the binary.

use actix_web::HttpResponse;

const STYLE: &str = include_str!("assets/style.css");
const SCRIPT: &str = include_str!("assets/live.js");
const DOCS: &str = include_str!("assets/docs.js");
const ICON: &str = include_str!("assets/icon.svg");

/// `GET /assets/style.css`
pub(super) async fn style() -> HttpResponse {
    HttpResponse::Ok().content_type("text/css; charset=utf-8").body(STYLE)
}

/// `GET /assets/live.js`
pub(super) async fn script() -> HttpResponse {
    HttpResponse::Ok().content_type("text/javascript; charset=utf-8").body(SCRIPT)
}

/// `GET /assets/docs.js`
pub(super) async fn docs() -> HttpResponse {
    HttpResponse::Ok().content_type("text/javascript; charset=utf-8").body(DOCS)
}

/// `GET /assets/icon.svg`
pub(super) async fn icon() -> HttpResponse {
    HttpResponse::Ok().content_type("image/svg+xml").body(ICON)
}
