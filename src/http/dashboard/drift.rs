//! `/drift`: what differs between both sides at rest.

use actix_web::{HttpResponse, web};
use maud::{Markup, html};
use serde::Deserialize;

use crate::domain::drift::Difference;
use crate::domain::names::FabricName;
use crate::http::HttpState;
use crate::http::fabrics::find;
use crate::http::input::Query;
use crate::http::problem::Problem;
use crate::ledger::drift::{DriftRecord, DriftSubject, FabricDrift};

use super::jobs::fabric_choice;
use super::report::held_reason;
use super::session::Viewer;
use super::shell::{Tab, page};
use super::words::{Tone, badge, fabric_link, fabric_path, object_link, oid, run_link, when};

/// Differences that the page lists.
const MOST: usize = 500;
/// Fabrics that are summed up when none is chosen: each costs a read.
const MOST_FABRICS: usize = 50;

/// What the page is about.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DriftPage {
    #[serde(default)]
    fabric: String,
}

/// `GET /drift`
pub(super) async fn show(
    viewer: Viewer,
    query: Query<DriftPage>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let fabric = query.0.fabric;
    let chosen = if fabric.is_empty() { None } else { Some(&find(&state, &fabric)?.name) };
    let listed = match chosen {
        Some(fabric) => one(&viewer, fabric, &state.ledger.drift(fabric).await?),
        None => all(&viewer, &state).await?,
    };
    let content = html! {
        div.title { h1 { "Drift" } }
        form.filter method="get" action=(viewer.link("/drift")) {
            (fabric_choice(&state, &fabric))
            button type="submit" { "Show" }
        }
        section #drift data-live="fabric run" { (listed) }
    };
    Ok(page(&viewer, Tab::Drift, "Drift", content))
}

/// Every fabric with how much differs.
async fn all(viewer: &Viewer, state: &HttpState) -> Result<Markup, Problem> {
    let fabrics = &state.routing.fabrics;
    let mut lines = Vec::new();
    for fabric in fabrics.iter().take(MOST_FABRICS) {
        lines.push((&fabric.name, state.ledger.drift(&fabric.name).await?));
    }
    Ok(html! {
        div.table.cards {
            table {
                thead { tr { th { "Fabric" } th { "Differs" } th { "Compared" } } }
                tbody {
                    @for (fabric, drift) in &lines {
                        tr {
                            th scope="row" { (fabric_link(viewer, fabric)) }
                            td.whole { a href=(viewer.link(&format!("/drift?fabric={}", super::words::escaped(fabric.as_str())))) { (counts(drift)) } }
                            td data-name="Compared" { (compared(viewer, drift)) }
                        }
                    }
                }
            }
        }
        @if fabrics.len() > MOST_FABRICS { p.quiet { "The first " (MOST_FABRICS) " fabrics; choose another above." } }
    })
}

fn one(viewer: &Viewer, fabric: &FabricName, drift: &FabricDrift) -> Markup {
    html! {
        p { (counts(drift)) " " span.quiet { "compared " (compared(viewer, drift)) } }
        @if drift.items.is_empty() {
            div.empty {
                h2 { "Nothing differs" }
                p { "Both sides were equal when they were last looked at. Ask for a dry run in the page of " a href=(viewer.link(&fabric_path(fabric))) { (fabric) } " to look again." }
            }
        } @else {
            div.table.cards {
                table {
                    thead { tr { th { "Object or file" } th { "How" } th { "Fields" } th { "Why it is left so" } th { "Seen" } } }
                    tbody { @for ((difference, subject), record) in drift.items.iter().take(MOST) { (line(viewer, fabric, *difference, (subject, record))) } }
                }
            }
            @if drift.items.len() > MOST { p.quiet { "The first " (MOST) " are listed." } }
        }
    }
}

fn line(
    viewer: &Viewer,
    fabric: &FabricName,
    difference: Difference,
    (subject, record): (&DriftSubject, &DriftRecord),
) -> Markup {
    let why = match (&record.drift.reason, subject) {
        (Some(reason), DriftSubject::Object(key)) => held_reason(viewer, fabric, key, reason),
        (Some(reason), DriftSubject::File(_)) => super::report::reason(reason),
        (None, _) => html! { span.quiet { "the next sync brings it together" } },
    };
    html! {
        tr {
            th scope="row" {
                @match subject {
                    DriftSubject::Object(key) => (object_link(viewer, fabric, key)),
                    DriftSubject::File(path) => code { (path) },
                }
            }
            td { (badge(tone(difference), word(difference))) }
            td.whole { @for path in &record.drift.paths { div { code { (path) } } } }
            td.whole { (why) }
            td data-name="Seen" { (when(record.seen.at)) @if let Some(head) = &record.seen.head { div.below { "at " (oid(head)) } } }
        }
    }
}

fn compared(viewer: &Viewer, drift: &FabricDrift) -> Markup {
    match &drift.compared {
        Some(comparison) => html! { (when(comparison.seen.at)) " in " (run_link(viewer, &comparison.run)) },
        None => html! { span.quiet { "never" } },
    }
}

fn counts(drift: &FabricDrift) -> Markup {
    let all = [
        Difference::Conflict,
        Difference::Different,
        Difference::OnlyInNetbox,
        Difference::OnlyInGit,
        Difference::Invalid,
    ];
    let count = |wanted: Difference| drift.items.keys().filter(|(difference, _)| *difference == wanted).count();
    html! {
        @if drift.items.is_empty() { (badge(if drift.compared.is_some() { Tone::Good } else { Tone::Quiet }, if drift.compared.is_some() { "nothing" } else { "not compared yet" })) }
        @for each in all.into_iter().filter(|each| count(*each) > 0) {
            (badge(tone(each), &format!("{} {}", count(each), word(each)))) " "
        }
    }
}

fn tone(difference: Difference) -> Tone {
    match difference {
        Difference::OnlyInNetbox | Difference::OnlyInGit | Difference::Different => Tone::Busy,
        Difference::Conflict => Tone::Attention,
        Difference::Invalid => Tone::Bad,
    }
}

fn word(difference: Difference) -> &'static str {
    match difference {
        Difference::OnlyInNetbox => "only in NetBox",
        Difference::OnlyInGit => "only in Git",
        Difference::Different => "different",
        Difference::Conflict => "conflict",
        Difference::Invalid => "invalid",
    }
}
