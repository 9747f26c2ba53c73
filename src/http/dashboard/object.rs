//! `/objects/{fabric}/{kind}/{namespace}/{name}`: where one object is, how it stands, and what happened to it.

use actix_web::{HttpResponse, web};
use maud::{Markup, html};

use crate::domain::fate::Reason;
use crate::domain::policy::Fabric;
use crate::domain::report::Outcome;
use crate::http::HttpState;
use crate::http::objects::{Found, ObjectState, look_up, page_in_netbox, state_of};
use crate::http::problem::Problem;
use crate::ledger::objects::ObjectKnown;

use super::report::{commit_link, held_reason, outcome_word};
use super::session::Viewer;
use super::shell::{Tab, page};
use super::words::{Tone, badge, fabric_link, fabric_path, job_link, object, run_link, when};

/// `GET /objects/{fabric}/{kind}/{namespace}/{name}`
pub(super) async fn show(
    viewer: Viewer,
    place: web::Path<(String, String, String, String)>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let found = look_up(&state, place.into_inner()).await?;
    let Found { fabric, known, .. } = &found;
    let key = &known.key;
    let content = html! {
        div.crumbs {
            (fabric_link(&viewer, &fabric.name)) " / "
            a href=(viewer.link(&format!("{}/objects", fabric_path(&fabric.name)))) { "Objects" } " /"
        }
        div.title { h1 { (object(key)) } (stands(state_of(known))) }
        section #object data-live="fabric run" {
            @if let Some(why) = &known.held { p.notice.attention { (held_reason(&viewer, &fabric.name, key, why)) } }
            (places(&state, fabric, known))
            h2 #history { "History" }
            (touches(&viewer, &state, &found))
        }
    };
    Ok(page(&viewer, Tab::Fabrics, &key.to_string(), content))
}

/// How an object stands, in a word.
pub(super) fn stands(state: ObjectState) -> Markup {
    match state {
        ObjectState::Conflict => badge(Tone::Attention, "conflict"),
        ObjectState::Proposed => badge(Tone::Busy, "proposed"),
        ObjectState::Held => badge(Tone::Attention, "held"),
        ObjectState::Pending => badge(Tone::Busy, "pending"),
        ObjectState::Agreed => badge(Tone::Good, "agreed"),
        ObjectState::Gone => badge(Tone::Quiet, "gone"),
    }
}

/// The file and the row that both sides last agreed on.
fn places(state: &HttpState, fabric: &Fabric, known: &ObjectKnown) -> Markup {
    let base = known.base.as_ref();
    let (file, row) = (base.and_then(|base| base.git.as_ref()), base.and_then(|base| base.netbox.as_ref()));
    html! {
        dl.facts {
            div { dt { "Git" }
            dd {
                @match file {
                    Some(file) => { code { (file.path) } " in " (fabric.target) },
                    None => span.quiet { "no file that both sides agreed on" },
                }
            } }
            div { dt { "NetBox" }
            dd {
                @match row {
                    Some(row) => {
                        a href=(page_in_netbox(state, fabric, &known.key.kind, row.id)) { "row " (row.id) }
                        " of " (fabric.netbox) ", last updated " (row.last_updated)
                    },
                    None => span.quiet { "no row that both sides agreed on" },
                }
            } }
        }
    }
}

fn touches(viewer: &Viewer, state: &HttpState, found: &Found<'_>) -> Markup {
    let Found { fabric, known, history, jobs } = found;
    let why = |reason: &Reason| held_reason(viewer, &fabric.name, &known.key, reason);
    html! {
        @if history.is_empty() {
            div.empty {
                h3 { "Nothing happened to it lately" }
                p { "What runs do to it is listed here, for as long as runs are kept." }
            }
        } @else {
            div.table.cards {
                table {
                    thead { tr { th { "When" } th { "What" } th { "Commit" } th { "By" } th { "Run and jobs" } } }
                    tbody {
                        @for (at, touch) in history {
                            tr {
                                th scope="row" { (when(*at)) }
                                td.whole {
                                    (outcome_word(&touch.outcome)) " " (side(&touch.outcome))
                                    @if let Outcome::Held { reason } = &touch.outcome { div.below { (why(reason)) } }
                                }
                                td data-name="Commit" {
                                    @if let Some(commit) = &touch.commit { (commit_link(state, &fabric.target, commit)) }
                                }
                                td data-name="By" { (touch.by.join(", ")) }
                                td data-name="Run" {
                                    (run_link(viewer, &touch.run))
                                    @for job in jobs.get(&touch.run).into_iter().flatten() { " " (job_link(viewer, job)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The side on which it was done.
fn side(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::GitCreated | Outcome::GitUpdated | Outcome::GitDeleted => "in Git",
        Outcome::NetboxCreated | Outcome::NetboxUpdated | Outcome::NetboxDeleted => "in NetBox",
        Outcome::Unchanged | Outcome::Held { .. } => "",
    }
}
