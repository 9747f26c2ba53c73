//! `/runs`: each turn of a worker, and what came of it.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use maud::{Markup, html};
use serde::Deserialize;

use crate::domain::names::FabricName;
use crate::http::HttpState;
use crate::http::input::Query;
use crate::http::problem::Problem;
use crate::http::runs::{RunsQuery, find};
use crate::ledger::types::{Run, RunPart};

use super::report::{commit_link, numbers, report, told};
use super::session::Viewer;
use super::shell::{Tab, page};
use super::words::{
    closed_because, error, fabric_link, job_link, next_page, now, oid, run_link, run_outcome, span, when,
};

/// What the list is narrowed to.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RunsPage {
    #[serde(default)]
    fabric: String,
    cursor: Option<String>,
}

/// `GET /runs`
pub(super) async fn list(
    viewer: Viewer,
    query: Query<RunsPage>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let RunsPage { fabric, cursor } = query.0;
    let runs = state.ledger.runs(&RunsQuery::of(&fabric, cursor).filter()?).await?;
    let only = (!fabric.is_empty()).then(|| FabricName::new(fabric.as_str()));
    let content = html! {
        div.title { h1 { "Runs" } }
        form.filter method="get" action=(viewer.link("/runs")) {
            (super::jobs::fabric_choice(&state, &fabric))
            button type="submit" { "Show" }
        }
        section #runs data-live="run" {
            @if runs.runs.is_empty() {
                div.empty { h2 { "No run yet" } p { "A worker makes one when changes are due. Ask for a sync of a " a href=(viewer.link("/")) { "fabric" } " to see the first." } }
            } @else {
                (table(&viewer, &state, &runs.runs, only.as_ref()))
            }
        }
        (next_page(&viewer, "/runs", &[("fabric", &fabric)], runs.next.as_ref().map(|id| id.as_str())))
    };
    Ok(page(&viewer, Tab::Runs, "Runs", content))
}

/// Runs as lines of a table, one for each fabric (or only this one).
pub(super) fn table(viewer: &Viewer, state: &HttpState, runs: &[Run], only: Option<&FabricName>) -> Markup {
    html! {
        div.table.cards {
            table {
                thead { tr { th { "Run" } th { "Outcome" } @if only.is_none() { th { "Fabric" } } th { "What" } th { "Commit" } th.number { "Worked" } th.number { "Lag" } th { "Started" } } }
                tbody {
                    @for run in runs {
                        @for part in run.parts.iter().filter(|part| only.is_none_or(|only| part.fabric == *only)) {
                            tr {
                                th scope="row" { (run_link(viewer, &run.id)) }
                                td { (run_outcome(part.outcome)) }
                                @if only.is_none() { td.whole { (fabric_link(viewer, &part.fabric)) } }
                                td.whole { (what(part)) }
                                td data-name="Commit" { @if let Some(commit) = &part.commit { (commit_link(state, &run.target, commit)) } @else { span.quiet { "none" } } }
                                td.number data-name="Worked" { (worked(run)) }
                                td.number data-name="Lag" { @if let Some(lag) = part.lag { (span(lag)) } @else { span.quiet { "–" } } }
                                td data-name="Started" { (when(run.started)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn what(part: &RunPart) -> Markup {
    html! {
        @if let Some(counts) = &part.counts { (numbers(counts)) }
        @if let Some(why) = &part.error { span.reason { (why.message) " " code.quiet { (why.code) } } }
    }
}

fn worked(run: &Run) -> String {
    span(Duration::from_millis(run.ended.unwrap_or_else(now).0.saturating_sub(run.started.0)))
}

/// `GET /runs/{id}`
pub(super) async fn show(
    viewer: Viewer,
    id: web::Path<String>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let run = find(&state, &id).await?;
    let mut parts = Vec::with_capacity(run.parts.len());
    for part in &run.parts {
        parts.push((part, told(&state, &run.id, &part.fabric).await?));
    }
    let content = html! {
        div.crumbs { a href=(viewer.link("/runs")) { "Runs" } " /" }
        section #run data-live="run" {
            div.title { h1 { "Run " code { (run.id) } } }
            dl.facts {
                div { dt { "Branch" } dd { (run.target) } }
                div { dt { "Started" } dd { (when(run.started)) } }
                div { dt { (if run.ended.is_some() { "Worked" } else { "At work for" }) } dd { (worked(&run)) } }
                div { dt { "Batch closed because" } dd { (closed_because(run.closed_because)) } }
                div { dt { "Head" } dd { @if let Some(head) = &run.head { (oid(head)) } @else { span.quiet { "–" } } } }
                div { dt { "Worker" } dd { (run.worker) } }
            }
            @for (part, done) in &parts {
                h2 { (fabric_link(&viewer, &part.fabric)) " " (run_outcome(part.outcome)) }
                (asked(&viewer, part))
                @if let Some(why) = &part.error { (error(why)) }
                @if let Some((done, edits)) = done { (report(&viewer, &state, &run.target, (done, edits))) }
            }
        }
    };
    Ok(page(&viewer, Tab::Runs, &format!("Run {}", run.id), content))
}

/// The jobs that a part was worked on for.
fn asked(viewer: &Viewer, part: &RunPart) -> Markup {
    let more = part.all_jobs.saturating_sub(part.jobs.len() as u64);
    html! {
        p {
            "Attempt " (part.attempt) " at " (super::words::count(part.changes, "change", "changes")) ", asked for by "
            @for (place, job) in part.jobs.iter().enumerate() { @if place > 0 { ", " } (job_link(viewer, job)) }
            @if more > 0 { " and " (more) " more" }
            @if let Some(lag) = part.lag { "; " (span(lag)) " after the first of them was accepted" }
            "."
        }
    }
}
