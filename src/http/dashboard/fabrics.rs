//! `/`: how every fabric stands, and what to do with many of them.

use actix_web::{HttpRequest, HttpResponse, web};
use maud::{Markup, html};
use url::form_urlencoded;

use crate::domain::policy::Fabric;
use crate::domain::role::Role;
use crate::http::HttpState;
use crate::http::bulk::{BulkAction, carry_out};
use crate::http::fabrics::{Standing, find};
use crate::http::input::{bad_field, reason};
use crate::http::pausing;
use crate::http::problem::Problem;
use crate::ledger::types::{FabricStanding, Note, Pauses};

use super::chart;
use super::session::{Form, Viewer};
use super::shell::{Tab, go_on, page, proof};
use super::words::{count, fabric_link, oid, span, standing, when, when_or};

/// Fabrics on a page.
const PAGE: usize = 200;

/// A fabric with its standing.
struct Row<'s> {
    fabric: &'s Fabric,
    standing: Standing,
    numbers: FabricStanding,
}

/// `GET /`
pub(super) async fn show(
    viewer: Viewer,
    request: HttpRequest,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let asked = |name: &str| {
        let mut pairs = form_urlencoded::parse(request.query_string().as_bytes());
        pairs.find(|(field, _)| field == name).map(|(_, text)| text.into_owned()).unwrap_or_default()
    };
    let (only, part, after) = (asked("standing"), asked("name"), asked("cursor"));
    let pauses = state.ledger.pauses().await?;
    let rows = rows(&state, &pauses).await?;
    let load = chart::load(&state, None).await?;
    let mut listed = rows.iter().filter(|row| only.is_empty() || word(row.standing) == only);
    let mut listed = listed.by_ref().filter(|row| {
        let name = row.fabric.name.as_str();
        name > after.as_str() && name.contains(&part)
    });
    let shown: Vec<&Row> = listed.by_ref().take(PAGE).collect();
    let next = shown.last().filter(|_| listed.next().is_some()).map(|row| row.fabric.name.as_str());
    let content = html! {
        div.title {
            h1 { "Fabrics" }
            (pause_of_everything(&viewer, &pauses))
        }
        section #overview data-live="fabric run service" {
            (overview(&viewer, &rows, &only))
            (chart::draw(&load))
        }
        @if rows.is_empty() {
            div.empty {
                h2 { "No fabric yet" }
                p { "Add one below " code { "fabrics:" } " in the settings, with its NetBox, repository and directory, and start the service again." }
            }
        } @else {
            form.filter method="get" action=(viewer.link("/")) {
                @if !only.is_empty() { input type="hidden" name="standing" value=(only); }
                label { "Name contains" input type="search" name="name" value=(part); }
                button type="submit" { "Show" }
            }
            form #fabrics data-live="fabric job run service" method="post" action=(viewer.link("/fabrics")) {
                (proof(&viewer))
                (table(&viewer, &shown))
                @if viewer.may(Role::Operate) { (actions()) }
            }
            (super::words::next_page(&viewer, "/", &[("standing", &only), ("name", &part)], next))
        }
    };
    Ok(page(&viewer, Tab::Fabrics, "Fabrics", content))
}

async fn rows<'s>(state: &'s HttpState, pauses: &Pauses) -> Result<Vec<Row<'s>>, Problem> {
    let fabrics = &state.routing.fabrics;
    let asked: Vec<_> = fabrics.iter().map(|fabric| (&fabric.name, &fabric.target)).collect();
    let standings = state.ledger.standings(&asked).await?;
    let row = |(fabric, numbers): (&'s Fabric, FabricStanding)| {
        let paused = pauses.everything.is_some() || pauses.fabrics.contains_key(&fabric.name);
        Row { fabric, standing: Standing::of(&numbers, paused), numbers }
    };
    Ok(fabrics.iter().zip(standings).map(row).collect())
}

/// The order of urgency, which is also that of the tiles.
const STANDINGS: [Standing; 6] =
    [Standing::Failing, Standing::Held, Standing::Pending, Standing::Paused, Standing::NeverSynced, Standing::InSync];

fn word(standing: Standing) -> &'static str {
    match standing {
        Standing::Paused => "paused",
        Standing::Failing => "failing",
        Standing::Pending => "pending",
        Standing::Held => "held",
        Standing::NeverSynced => "never_synced",
        Standing::InSync => "in_sync",
    }
}

fn overview(viewer: &Viewer, rows: &[Row], only: &str) -> Markup {
    let of = |standing: Standing| rows.iter().filter(|row| row.standing == standing).count();
    html! {
        ul.tiles {
            li { a href=(viewer.link("/")) aria-current=[only.is_empty().then_some("true")] { b { (rows.len()) } " all" } }
            @for each in STANDINGS.into_iter().filter(|each| of(*each) > 0) {
                li {
                    a href=(viewer.link(&format!("/?standing={}", word(each)))) aria-current=[(only == word(each)).then_some("true")] {
                        b { (of(each)) } " " (standing(each))
                    }
                }
            }
        }
    }
}

fn table(viewer: &Viewer, rows: &[&Row]) -> Markup {
    let selects = viewer.may(Role::Operate);
    html! {
        div.table.cards {
            table {
                thead {
                    tr {
                        @if selects { th.pick { input #all type="checkbox" data-all="fabric" aria-label="Select all fabrics"; } }
                        th { "Fabric" } th { "State" } th.number { "Objects" } th { "Waits for you" } th.number { "Pending" }
                        th.number { "Lag" } th { "Last sync" } th { "Last commit" }
                    }
                }
                tbody {
                    @for row in rows { (line(viewer, row, selects)) }
                    @if rows.is_empty() { tr { td colspan="9" { span.quiet { "No fabric fits. " a href=(viewer.link("/")) { "Show all fabrics" } } } } }
                }
            }
        }
    }
}

fn line(viewer: &Viewer, row: &Row, selects: bool) -> Markup {
    let (fabric, numbers) = (row.fabric, &row.numbers);
    html! {
        tr {
            @if selects {
                td.pick {
                    input type="checkbox" name="fabric" value=(fabric.name) id={ "pick-" (fabric.name) } aria-label={ "Select " (fabric.name) };
                }
            }
            th scope="row" {
                (fabric_link(viewer, &fabric.name))
                div.below { (fabric.target) "/" (fabric.directory) }
            }
            td.whole {
                (standing(row.standing))
                @if let Some(error) = &numbers.error { div.below { span.reason.brief { (error.message) } } }
            }
            td.number data-name="Objects" { (numbers.objects) }
            td data-name="Waits for you" { (waits(viewer, fabric, numbers)) }
            td.number data-name="Pending" {
                (numbers.pending_changes)
                @if let Some(since) = numbers.oldest_pending { div.below { (when(since)) } }
            }
            td.number data-name="Lag" { @if let Some(lag) = numbers.lag { (span(lag)) } @else { span.quiet { "–" } } }
            td data-name="Last sync" { (when_or(numbers.last_sync, "never")) }
            td data-name="Last commit" {
                @if let Some((commit, at)) = &numbers.commit { (oid(commit)) div.below { (when(*at)) } }
                @else { span.quiet { "none" } }
            }
        }
    }
}

/// What a person must look at, each with its way there.
fn waits(viewer: &Viewer, fabric: &Fabric, numbers: &FabricStanding) -> Markup {
    let name = super::words::escaped(fabric.name.as_str());
    let own = super::words::fabric_path(&fabric.name);
    // Conflicts and guarded deletions are held too.
    let other = numbers.held.saturating_sub(numbers.conflicts).saturating_sub(numbers.guarded);
    let all = [
        (numbers.conflicts, "conflict", "conflicts", format!("/conflicts?fabric={name}")),
        (other, "held", "held", format!("{own}#held")),
        (numbers.guarded, "deletion", "deletions", format!("{own}#guarded")),
        (numbers.dead_letters, "dead letter", "dead letters", format!("/dead-letters?fabric={name}")),
    ];
    html! {
        @if all.iter().all(|(number, ..)| *number == 0) { span.quiet { "nothing" } }
        @for (number, one, many, path) in all.iter().filter(|(number, ..)| *number > 0) {
            a.wait href=(viewer.link(path)) { (count(*number, one, many)) } " "
        }
    }
}

fn actions() -> Markup {
    html! {
        div.actions {
            span.quiet { "With the selected:" }
            button type="submit" name="action" value="sync" { "Sync" }
            button type="submit" name="action" value="dry_run" { "Dry run" }
            button type="submit" name="action" value="pause" { "Pause" }
            button type="submit" name="action" value="resume" { "Resume" }
        }
    }
}

fn pause_of_everything(viewer: &Viewer, pauses: &Pauses) -> Markup {
    let is_paused = pauses.everything.is_some();
    html! {
        @if let Some(pause) = &pauses.everything {
            p.notice.attention {
                "Everything is paused since " (when(pause.since)) " by " (pause.note.by)
                @if let Some(reason) = &pause.note.reason { ": " (reason) }
            }
        }
        @if viewer.may(Role::Admin) {
            form method="post" action=(viewer.link("/fabrics")) {
                (proof(viewer))
                button type="submit" name="action" value=(if is_paused { "resume_everything" } else { "pause_everything" }) {
                    (if is_paused { "Resume everything" } else { "Pause everything" })
                }
            }
        }
    }
}

/// `POST /fabrics`: one action on the fabrics that were picked, or on everything.
pub(super) async fn act(form: Form, state: web::Data<HttpState>) -> Result<HttpResponse, Problem> {
    let note = |by: &str| -> Result<Note, Problem> {
        Ok(Note { by: by.to_owned(), reason: form.fields.text("reason").map(reason).transpose()? })
    };
    let action = match form.fields.first("action") {
        "sync" => BulkAction::Sync,
        "dry_run" => BulkAction::DryRun,
        "pause" => BulkAction::Pause,
        "resume" => BulkAction::Resume,
        "pause_everything" => {
            let admin = form.sender(Role::Admin)?;
            pausing::stop(&state, None, &note(&admin.name)?).await?;
            return Ok(go_on(&form.viewer, "/"));
        }
        "resume_everything" => {
            pausing::go_on(&state, &form.sender(Role::Admin)?, None).await?;
            return Ok(go_on(&form.viewer, "/"));
        }
        _ => return Err(bad_field("`action` is none of sync, dry_run, pause, resume")),
    };
    let token = form.sender(Role::Operate)?;
    let note = note(&token.name)?;
    let picked: Vec<&Fabric> =
        form.fields.all("fabric").map(|name| find(&state, name)).collect::<Result<_, Problem>>()?;
    if picked.is_empty() {
        return Err(bad_field("no fabric is selected"));
    }
    for fabric in &picked {
        carry_out(&state, &token, action, fabric, &note).await?;
    }
    state.wake.notify_one();
    tracing::info!(?action, fabrics = picked.len(), token = token.name, "acted on many fabrics");
    Ok(match action {
        BulkAction::Sync | BulkAction::DryRun => go_on(&form.viewer, "/jobs"),
        BulkAction::Pause | BulkAction::Resume => go_on(&form.viewer, "/"),
    })
}
