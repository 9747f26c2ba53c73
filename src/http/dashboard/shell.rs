//! The frame of every page, and the pages that have nothing else: the sign-in form and problems.

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::http::HttpState;
use crate::http::problem::Problem;

use super::session::{PROOF, Viewer};

/// Nothing from elsewhere, nothing inline. Forms go home; nobody frames us.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Where the service is mounted, for addresses.
#[derive(Debug, Clone)]
pub(in crate::http) struct Site {
    base: String,
}

impl Site {
    pub(super) fn of(state: &HttpState) -> Self {
        Self { base: state.base_path().to_owned() }
    }

    /// The address of a path of ours, which begins with `/`.
    pub(super) fn link(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
}

/// Which entry of the navigation a page belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tab {
    Fabrics,
    Jobs,
    Runs,
    Conflicts,
    Drift,
    Drops,
    DeadLetters,
    Deliveries,
    Connections,
    Api,
    None,
}

/// The navigation, in its order.
const TABS: [(Tab, &str, &str); 10] = [
    (Tab::Fabrics, "/", "Fabrics"),
    (Tab::Jobs, "/jobs", "Jobs"),
    (Tab::Runs, "/runs", "Runs"),
    (Tab::Conflicts, "/conflicts", "Conflicts"),
    (Tab::Drift, "/drift", "Drift"),
    (Tab::Drops, "/drops", "Raw drops"),
    (Tab::DeadLetters, "/dead-letters", "Dead letters"),
    (Tab::Deliveries, "/deliveries", "Deliveries"),
    (Tab::Connections, "/connections", "Connections"),
    (Tab::Api, "/docs", "API"),
];

/// A page for somebody who signed in.
pub(super) fn page(viewer: &Viewer, tab: Tab, title: &str, content: Markup) -> HttpResponse {
    respond(StatusCode::OK, frame(&viewer.site, Some(viewer), tab, title, content))
}

/// Goes on with a page of ours after a form was carried out.
pub(super) fn go_on(viewer: &Viewer, path: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((header::LOCATION, viewer.link(path))).finish()
}

/// What went wrong, as a page.
pub(super) fn problem(site: &Site, viewer: Option<&Viewer>, problem: &Problem) -> HttpResponse {
    let (detail, remedy) = problem.words();
    let status = problem.status_code();
    let title = if status == StatusCode::NOT_FOUND { "Not found" } else { "That did not work" };
    let content = html! {
        h1 { (title) }
        div.notice.bad role="alert" {
            p { (capitalised(detail)) "." }
            p.quiet { (remedy) " " code { (problem.code()) } }
        }
        p { a href=(site.link("/")) { "All fabrics" } }
    };
    respond(status, frame(site, viewer, Tab::None, title, content))
}

/// The form that takes a token.
pub(super) fn sign_in(site: &Site, to: &str, refused: Option<&Problem>, status: StatusCode) -> HttpResponse {
    let content = html! {
        div.sign-in {
            h1 { "Sign in" }
            @if let Some(problem) = refused {
                div.notice.bad role="alert" { p { (capitalised(problem.words().0)) ". " (problem.words().1) } }
            }
            form method="post" action=(site.link("/sign-in")) {
                input type="hidden" name="to" value=(to);
                label for="token" { "API token" }
                input #token type="password" name="token" autocomplete="current-password" required autofocus;
                p.quiet { "One of the settings' " code { "api_tokens" } ". Its role decides what you may do here." }
                button.primary type="submit" { "Sign in" }
            }
        }
    };
    respond(status, frame(site, None, Tab::None, "Sign in", content))
}

fn respond(status: StatusCode, page: Markup) -> HttpResponse {
    let mut response: HttpResponseBuilder = HttpResponse::build(status);
    response
        .content_type("text/html; charset=utf-8")
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        // Else a browser says nothing of where a form comes from.
        .insert_header((header::REFERRER_POLICY, "same-origin"))
        .body(page.into_string())
}

fn frame(site: &Site, viewer: Option<&Viewer>, tab: Tab, title: &str, content: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · fgd-sync" }
                link rel="icon" type="image/svg+xml" href=(site.link("/assets/icon.svg"));
                link rel="stylesheet" href=(site.link("/assets/style.css"));
                @if viewer.is_some() {
                    script defer src=(site.link("/assets/live.js")) data-events=(site.link("/api/v1/events")) {}
                }
            }
            body {
                a.skip href="#main" { "Skip to content" }
                header.bar {
                    a.brand href=(site.link("/")) { (mark()) "fgd-sync" }
                    @if let Some(viewer) = viewer { (who(viewer)) }
                }
                @if viewer.is_some() {
                    nav.tabs aria-label="Pages" {
                        @for (each, path, name) in TABS {
                            a href=(site.link(path)) aria-current=[(each == tab).then_some("page")] { (name) }
                        }
                    }
                }
                main #main tabindex="-1" { (content) }
            }
        }
    }
}

fn who(viewer: &Viewer) -> Markup {
    html! {
        div.who {
            span #live .live title="Whether this page is told what changes" role="status" { "" }
            span.name { (viewer.token.name) " " span.role { (viewer.token.role.as_str()) } }
            form method="post" action=(viewer.link("/sign-out")) {
                (proof(viewer))
                button type="submit" { "Sign out" }
            }
        }
    }
}

/// The field that every form carries.
pub(super) fn proof(viewer: &Viewer) -> Markup {
    html! { input type="hidden" name=(PROOF) value=(viewer.proof); }
}

fn mark() -> Markup {
    PreEscaped(include_str!("assets/mark.svg").to_owned())
}

/// A detail as a sentence begins.
pub(super) fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
