//! `/fabrics/{name}`: one fabric, what waits for a person there, and what to do with it.

use actix_web::{HttpResponse, web};
use maud::{Markup, html};

use crate::domain::policy::{Direction, Fabric};
use crate::domain::role::Role;
use crate::http::HttpState;
use crate::http::asking::{adopt, confirm};
use crate::http::bulk::{BulkAction, carry_out};
use crate::http::fabrics::{Standing, find};
use crate::http::input::{bad_field, reason};
use crate::http::problem::Problem;
use crate::http::runs::RunsQuery;
use crate::ledger::types::{Accepted, FabricStanding, FabricStatus, JobFilter, Note, Pauses};

use super::chart;
use super::report::{commit_link, guarded, held_reason};
use super::session::{Form, Viewer};
use super::shell::{Tab, go_on, page, proof};
use super::words::{error, escaped, fabric_path, object_link, oid, span, standing, when, when_or};

/// Held objects that the page lists.
const MOST_HELD: usize = 200;
/// Jobs and runs that it lists.
const RECENT: usize = 10;

/// `GET /fabrics/{name}`
pub(super) async fn show(
    viewer: Viewer,
    name: web::Path<String>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let fabric = find(&state, &name)?;
    let pauses = state.ledger.pauses().await?;
    let status = state.ledger.fabric_status(&fabric.name).await?;
    let numbers = state.ledger.standings(&[(&fabric.name, &fabric.target)]).await?.into_iter().next();
    let numbers = numbers.unwrap_or_default();
    let recent = JobFilter { fabric: Some(fabric.name.clone()), limit: RECENT, ..JobFilter::default() };
    let jobs = state.ledger.jobs(&recent).await?.jobs;
    let runs = state.ledger.runs(&RunsQuery::of(fabric.name.as_str(), None).filter()?).await?.runs;
    let runs = &runs[..runs.len().min(RECENT)];
    let load = chart::load(&state, Some(&fabric.name)).await?;
    let is_paused = pauses.everything.is_some() || pauses.fabrics.contains_key(&fabric.name);
    let name = escaped(fabric.name.as_str());
    let content = html! {
        div.crumbs { a href=(viewer.link("/")) { "Fabrics" } " /" }
        section #fabric data-live="fabric job run service" {
            div.title {
                div.name { h1 { (fabric.name) } (standing(Standing::of(&numbers, is_paused))) }
                (actions(&viewer, fabric, &pauses))
            }
            (notices(&viewer, fabric, &status, &pauses))
            (facts(&viewer, &state, fabric, &numbers))
            (chart::draw(&load))
            (held(&viewer, fabric, &status))
            h2 #history { "Recent jobs" }
            @if jobs.is_empty() { p.quiet { "None yet: nothing has asked for this fabric." } }
            @else { (super::jobs::table(&viewer, &jobs)) p.more { a href=(viewer.link(&format!("/jobs?fabric={name}"))) { "All jobs" } } }
            h2 { "Recent runs" }
            @if runs.is_empty() { p.quiet { "None yet. A sync makes the first." } }
            @else { (super::runs::table(&viewer, &state, runs, Some(&fabric.name))) p.more { a href=(viewer.link(&format!("/runs?fabric={name}"))) { "All runs" } } }
        }
    };
    Ok(page(&viewer, Tab::Fabrics, fabric.name.as_str(), content))
}

fn actions(viewer: &Viewer, fabric: &Fabric, pauses: &Pauses) -> Markup {
    let is_paused = pauses.fabrics.contains_key(&fabric.name);
    html! {
        @if viewer.may(Role::Operate) {
            form.actions method="post" action=(viewer.link(&fabric_path(&fabric.name))) {
                (proof(viewer))
                button.primary #sync type="submit" name="action" value="sync" { "Sync" }
                button #dry-run type="submit" name="action" value="dry_run" { "Dry run" }
                button #pause type="submit" name="action" value=(if is_paused { "resume" } else { "pause" }) { (if is_paused { "Resume" } else { "Pause" }) }
            }
        }
    }
}

fn notices(viewer: &Viewer, fabric: &Fabric, status: &FabricStatus, pauses: &Pauses) -> Markup {
    let pause = pauses.fabrics.get(&fabric.name).or(pauses.everything.as_ref());
    html! {
        @if let Some(pause) = pause {
            p.notice.attention {
                @if pauses.fabrics.contains_key(&fabric.name) { "Paused" } @else { "Paused with everything" }
                " since " (when(pause.since)) " by " (pause.note.by) @if let Some(reason) = &pause.note.reason { ": " (reason) } "."
                " Changes are kept, and applied when it is resumed."
            }
        }
        @if let Some(why) = &status.error {
            (error(why))
            @if why.code == "other_ledger" && viewer.may(Role::Admin) {
                (admin_form(viewer, fabric, "adopt", "Take the directory over", "Is the other service gone for good?"))
            }
        }
        @if !status.guarded.is_empty() {
            div.notice.attention #guarded {
                (guarded(status.guarded.iter()))
                @if viewer.may(Role::Admin) {
                    (admin_form(viewer, fabric, "confirm_deletions", "Confirm these deletions", "Delete them on the other side?"))
                } @else { p { "Somebody with the role admin confirms them." } }
            }
        }
    }
}

fn admin_form(viewer: &Viewer, fabric: &Fabric, action: &str, words: &str, question: &str) -> Markup {
    html! {
        form.actions method="post" action=(viewer.link(&fabric_path(&fabric.name))) {
            (proof(viewer))
            button.danger type="submit" name="action" value=(action) data-ask=(question) { (words) }
        }
    }
}

fn facts(viewer: &Viewer, state: &HttpState, fabric: &Fabric, numbers: &FabricStanding) -> Markup {
    let direction = match fabric.policy.direction {
        Direction::Both => "both ways",
        Direction::NetboxToGit => "NetBox to Git",
        Direction::GitToNetbox => "Git to NetBox",
    };
    html! {
        dl.facts {
            div { dt { "Directory" } dd { code { (fabric.target) "/" (fabric.directory) } } }
            div { dt { "NetBox" } dd { a href=(viewer.link("/connections")) { (fabric.netbox) } } }
            div { dt { "Direction" } dd { (direction) } }
            div { dt { "Objects" } dd { a href=(viewer.link(&format!("{}/objects", fabric_path(&fabric.name)))) { (numbers.objects) } } }
            div {
                dt { "Pending changes" }
                dd { (numbers.pending_changes) @if let Some(since) = numbers.oldest_pending { span.quiet { ", oldest " (when(since)) } } }
            }
            div { dt { "Last sync" } dd { (when_or(numbers.last_sync, "never")) } }
            div { dt { "Lag" } dd { @if let Some(lag) = numbers.lag { (span(lag)) } @else { span.quiet { "–" } } } }
            div { dt { "Head" } dd { @if let Some(head) = &numbers.head { (oid(head)) } @else { span.quiet { "–" } } } }
            div {
                dt { "Last commit" }
                dd {
                    @if let Some((commit, at)) = &numbers.commit { (commit_link(state, &fabric.target, commit)) " " span.quiet { (when(*at)) } }
                    @else { span.quiet { "none" } }
                }
            }
        }
    }
}

fn held(viewer: &Viewer, fabric: &Fabric, status: &FabricStatus) -> Markup {
    // Guarded deletions are held too, and told of above.
    let held: Vec<_> = status.held.iter().filter(|(key, _)| !status.guarded.contains(key)).collect();
    html! {
        h2 #held { "Held " span.quiet { (held.len()) } }
        @if held.is_empty() { p.quiet { "Nothing waits for a person." } }
        @else {
            div.table.cards {
                table {
                    thead { tr { th { "Object" } th { "Why" } } }
                    tbody {
                        @for (key, why) in held.iter().take(MOST_HELD) {
                            tr { th scope="row" { (object_link(viewer, &fabric.name, key)) } td.whole { (held_reason(viewer, &fabric.name, key, why)) } }
                        }
                    }
                }
            }
            @if held.len() > MOST_HELD { p.quiet { "The first " (MOST_HELD) " are listed." } }
        }
    }
}

/// `POST /fabrics/{name}`
pub(super) async fn act(
    form: Form,
    name: web::Path<String>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let fabric = find(&state, &name)?;
    let job = match form.fields.first("action") {
        "sync" => ask(&form, &state, fabric, BulkAction::Sync).await?,
        "dry_run" => ask(&form, &state, fabric, BulkAction::DryRun).await?,
        "pause" => ask(&form, &state, fabric, BulkAction::Pause).await?,
        "resume" => ask(&form, &state, fabric, BulkAction::Resume).await?,
        "confirm_deletions" => {
            let (_, accepted) = confirm(&state, &form.sender(Role::Admin)?, fabric).await?;
            accepted
        }
        "adopt" => Some(adopt(&state, &form.sender(Role::Admin)?, fabric).await?),
        _ => return Err(bad_field("`action` is none of sync, dry_run, pause, resume, confirm_deletions, adopt")),
    };
    Ok(match job {
        Some(accepted) => go_on(&form.viewer, &format!("/jobs/{}", accepted.job)),
        None => go_on(&form.viewer, &fabric_path(&fabric.name)),
    })
}

async fn ask(form: &Form, state: &HttpState, fabric: &Fabric, action: BulkAction) -> Result<Option<Accepted>, Problem> {
    let token = form.sender(Role::Operate)?;
    let note = Note { by: token.name.clone(), reason: form.fields.text("reason").map(reason).transpose()? };
    let accepted = carry_out(state, &token, action, fabric, &note).await?;
    state.wake.notify_one();
    Ok(accepted)
}
