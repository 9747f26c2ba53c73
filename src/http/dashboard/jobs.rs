//! `/jobs`: what was accepted, and what became of it.

use actix_web::{HttpResponse, web};
use maud::{Markup, html};
use serde::Deserialize;

use crate::domain::file_edit::RunEdits;
use crate::domain::report::{FabricReport, JobState};
use crate::domain::role::Role;
use crate::http::HttpState;
use crate::http::input::{Query, bad_field};
use crate::http::jobs::{JobsQuery, call_off, find, replay};
use crate::http::problem::Problem;
use crate::ledger::types::{Job, JobPart, Millis, Run};

use super::report::{report, told};
use super::session::{Form, Viewer};
use super::shell::{Tab, go_on, page, proof};
use super::words::{closed_because, error, fabric_link, job_link, job_state, next_page, origin, run_link, span, when};

/// What the list is narrowed to.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JobsPage {
    #[serde(default)]
    fabric: String,
    #[serde(default)]
    state: String,
    cursor: Option<String>,
}

/// `GET /jobs`
pub(super) async fn list(
    viewer: Viewer,
    query: Query<JobsPage>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let JobsPage { fabric, state: wanted, cursor } = query.0;
    let page_of = state.ledger.jobs(&JobsQuery::of(&fabric, &wanted, cursor).filter()?).await?;
    let next = page_of.next.as_ref().map(|id| id.as_str());
    let content = html! {
        div.title { h1 { "Jobs" } }
        (filter(&viewer, &state, &fabric, &wanted))
        section #jobs data-live="job" {
            @if page_of.jobs.is_empty() { (nothing(&viewer, !fabric.is_empty() || !wanted.is_empty())) }
            @else { (table(&viewer, &page_of.jobs)) }
        }
        (next_page(&viewer, "/jobs", &[("fabric", &fabric), ("state", &wanted)], next))
    };
    Ok(page(&viewer, Tab::Jobs, "Jobs", content))
}

fn filter(viewer: &Viewer, state: &HttpState, fabric: &str, wanted: &str) -> Markup {
    html! {
        form.filter method="get" action=(viewer.link("/jobs")) {
            (fabric_choice(state, fabric))
            label {
                "State"
                select name="state" {
                    option value="" { "any" }
                    @for each in JobState::ALL {
                        option value=(each.as_str()) selected[each.as_str() == wanted] { (each.as_str()) }
                    }
                }
            }
            button type="submit" { "Show" }
        }
    }
}

/// The choice of a fabric, for the filters of lists.
pub(super) fn fabric_choice(state: &HttpState, chosen: &str) -> Markup {
    html! {
        label {
            "Fabric"
            select name="fabric" {
                option value="" { "any" }
                @for fabric in &state.routing.fabrics {
                    option value=(fabric.name) selected[fabric.name.as_str() == chosen] { (fabric.name) }
                }
            }
        }
    }
}

fn nothing(viewer: &Viewer, narrowed: bool) -> Markup {
    html! {
        div.empty {
            @if narrowed {
                h2 { "No such job" }
                p { "No kept job fits. " a href=(viewer.link("/jobs")) { "Show all jobs" } }
            } @else {
                h2 { "No job yet" }
                p { "A job appears for each webhook delivery, schedule and request. Change an object in NetBox, push to a repository, or ask for a sync of a " a href=(viewer.link("/")) { "fabric" } "." }
            }
        }
    }
}

/// Jobs as lines of a table.
pub(super) fn table(viewer: &Viewer, jobs: &[Job]) -> Markup {
    html! {
        div.table.cards {
            table {
                thead { tr { th { "Job" } th { "State" } th { "Progress" } th { "Asked by" } th { "Fabrics" } th { "Created" } th { "Changed" } } }
                tbody {
                    @for job in jobs {
                        tr {
                            th scope="row" { (job_link(viewer, &job.id)) }
                            td { (job_state(job.state)) }
                            td { (progress(job)) }
                            td.whole { (origin(&job.origin)) @if job.duplicates > 0 { span.quiet { " +" (job.duplicates) " repeated" } } }
                            td.whole { (fabrics(viewer, job)) }
                            td data-name="Created" { (when(job.created)) }
                            td data-name="Changed" { (when(job.updated)) }
                        }
                    }
                }
            }
        }
    }
}

fn fabrics(viewer: &Viewer, job: &Job) -> Markup {
    const MOST: usize = 3;
    html! {
        @for (place, part) in job.parts.iter().take(MOST).enumerate() { @if place > 0 { ", " } (fabric_link(viewer, &part.fabric)) }
        @if job.parts.len() > MOST { span.quiet { " and " (job.parts.len() - MOST) " more" } }
    }
}

fn progress(job: &Job) -> Markup {
    let done = job.parts.iter().filter(|part| part.state.is_final()).count();
    let all = job.parts.len();
    html! {
        span.progress {
            progress value=(done) max=(all.max(1)) aria-label={ (done) " of " (all) " fabrics done" } {}
            span.quiet { (done) "/" (all) }
        }
    }
}

/// `GET /jobs/{id}`
pub(super) async fn show(
    viewer: Viewer,
    id: web::Path<String>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let job = find(&state, &id).await?;
    let mut parts = Vec::with_capacity(job.parts.len());
    for part in &job.parts {
        let (run, done) = match &part.run {
            Some(run) => (state.ledger.run(run).await?, told(&state, run, &part.fabric).await?),
            None => (None, None),
        };
        parts.push((part, run, done));
    }
    let content = html! {
        div.crumbs { a href=(viewer.link("/jobs")) { "Jobs" } " /" }
        section #job data-live="job run" {
            div.title {
                div.name { h1 { "Job " code { (job.id) } } (job_state(job.state)) }
                (actions(&viewer, &job))
            }
            dl.facts {
                div { dt { "Asked by" } dd { (origin(&job.origin)) } }
                div { dt { "Accepted" } dd { (when(job.created)) } }
                div { dt { "Last change" } dd { (when(job.updated)) } }
                div { dt { (if job.state.is_final() { "Took" } else { "So far" }) } dd { (took(&job)) } }
                div { dt { "Progress" } dd { (progress(&job)) } }
                @if job.duplicates > 0 { div { dt { "Repeated deliveries" } dd { (job.duplicates) } } }
            }
            @for (part, run, done) in &parts { (part_of(&viewer, &state, part, run.as_ref(), done.as_ref())) }
        }
    };
    Ok(page(&viewer, Tab::Jobs, &format!("Job {}", job.id), content))
}

fn took(job: &Job) -> Markup {
    let end = if job.state.is_final() { job.updated } else { super::words::now() };
    html! { (between(job.created, end)) }
}

fn between(from: Millis, to: Millis) -> String {
    span(std::time::Duration::from_millis(to.0.saturating_sub(from.0)))
}

fn part_of(
    viewer: &Viewer,
    state: &HttpState,
    part: &JobPart,
    run: Option<&Run>,
    done: Option<&(FabricReport, RunEdits)>,
) -> Markup {
    html! {
        h2 { (fabric_link(viewer, &part.fabric)) " " (job_state(part.state)) }
        @if let Some(why) = &part.error { (error(why)) }
        @if let Some(note) = &part.discarded {
            p.notice { "Discarded by " (note.by) @if let Some(reason) = &note.reason { ": " (reason) } }
        }
        @if let Some(run) = run { (timings(viewer, part, run)) }
        @else {
            p.quiet {
                @if part.attempts == 0 { "Not worked on yet." } @else { "Worked on " (part.attempts) " times; the last run is no longer kept." }
            }
        }
        @if let Some(at) = part.next_try { p { "Tried again " (when(at)) "." } }
        @if let Some((done, edits)) = done { (report(viewer, state, &part.target, (done, edits))) }
    }
}

fn timings(viewer: &Viewer, part: &JobPart, run: &Run) -> Markup {
    html! {
        dl.facts {
            div { dt { "Run" } dd { (run_link(viewer, &run.id)) span.quiet { " attempt " (part.attempts) } } }
            div { dt { "Started" } dd { (when(run.started)) } }
            div {
                dt { "Worked" }
                dd { @if let Some(ended) = run.ended { (between(run.started, ended)) } @else { "at work for " (between(run.started, super::words::now())) } }
            }
            div { dt { "Branch" } dd { (part.target) } }
            div { dt { "Batch closed because" } dd { (closed_because(run.closed_because)) } }
        }
    }
}

fn actions(viewer: &Viewer, job: &Job) -> Markup {
    let cancels = match job.state {
        JobState::Queued | JobState::Waiting | JobState::Stalled | JobState::Dead => true,
        JobState::Running | JobState::Held | JobState::Succeeded | JobState::Failed | JobState::Cancelled => false,
    };
    html! {
        @if viewer.may(Role::Operate) && cancels {
            form.actions method="post" action=(viewer.link(&format!("/jobs/{}", job.id))) {
                (proof(viewer))
                @if job.state == JobState::Dead { button.primary type="submit" name="action" value="retry" { "Try again" } }
                button type="submit" name="action" value="cancel" { "Call off" }
            }
        }
    }
}

/// `POST /jobs/{id}`
pub(super) async fn act(
    form: Form,
    id: web::Path<String>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let token = form.sender(Role::Operate)?;
    match form.fields.first("action") {
        "retry" => drop(replay(&state, &token, &id).await?),
        "cancel" => drop(call_off(&state, &token, &id).await?),
        _ => return Err(bad_field("`action` is neither retry nor cancel")),
    }
    Ok(go_on(&form.viewer, &format!("/jobs/{}", super::words::escaped(&id))))
}
