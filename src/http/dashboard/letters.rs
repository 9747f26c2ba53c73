//! `/dead-letters`: what was given up, and what a person does about it.

use actix_web::{HttpResponse, web};
use maud::{Markup, html};
use serde::Deserialize;

use crate::domain::role::Role;
use crate::http::HttpState;
use crate::http::dead::{LettersQuery, cursor_of, discard};
use crate::http::input::{Query, bad_field};
use crate::http::jobs::replay;
use crate::http::problem::Problem;
use crate::ledger::types::DeadLetter;

use super::session::{Form, Viewer};
use super::shell::{Tab, go_on, page, proof};
use super::words::{count, error, escaped, fabric_link, job_link, next_page, run_link, when};

/// Changes of a letter that are named.
const MOST_CHANGES: usize = 5;

/// What the list is narrowed to.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LettersPage {
    #[serde(default)]
    fabric: String,
    cursor: Option<String>,
}

/// `GET /dead-letters`
pub(super) async fn list(
    viewer: Viewer,
    query: Query<LettersPage>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let LettersPage { fabric, cursor } = query.0;
    let letters = state.ledger.dead_letters(&LettersQuery::of(&fabric, cursor).filter()?).await?;
    let next = letters.next.as_ref().map(cursor_of);
    let content = html! {
        div.title { h1 { "Dead letters" } }
        form.filter method="get" action=(viewer.link("/dead-letters")) {
            (super::jobs::fabric_choice(&state, &fabric))
            button type="submit" { "Show" }
        }
        section #letters data-live="fabric job" {
            @if letters.letters.is_empty() {
                div.empty {
                    h2 { "Nothing was given up" }
                    p { "A batch that fails its last attempt is kept here with its changes, to be replayed when the cause is gone." }
                }
            }
            @for letter in &letters.letters { (one(&viewer, letter)) }
        }
        (next_page(&viewer, "/dead-letters", &[("fabric", &fabric)], next.as_deref()))
    };
    Ok(page(&viewer, Tab::DeadLetters, "Dead letters", content))
}

fn one(viewer: &Viewer, letter: &DeadLetter) -> Markup {
    let changes: Vec<String> = letter.changes.iter().take(MOST_CHANGES).map(ToString::to_string).collect();
    let more_changes = letter.all_changes.saturating_sub(changes.len() as u64);
    let more_jobs = letter.all_jobs.saturating_sub(letter.jobs.len() as u64);
    html! {
        article {
            h2 { (fabric_link(viewer, &letter.id.fabric)) " " span.quiet { "given up " (when(letter.died)) } }
            (error(&letter.error))
            p {
                (count(letter.all_changes, "change", "changes")) ": " (changes.join(", "))
                @if more_changes > 0 { " and " (more_changes) " more" }
                ". " (count(u64::from(letter.attempts), "attempt", "attempts"))
                @if let Some(run) = &letter.run { ", the last one " (run_link(viewer, run)) }
                ". Asked for by "
                @for (place, job) in letter.jobs.iter().enumerate() { @if place > 0 { ", " } (job_link(viewer, job)) }
                @if more_jobs > 0 { " and " (more_jobs) " more" }
                "."
            }
            @if let Some(job) = letter.jobs.first().filter(|_| viewer.may(Role::Operate)) {
                form.actions method="post" action=(viewer.link(&format!("/dead-letters/{}", escaped(job.as_str())))) {
                    (proof(viewer))
                    button.primary type="submit" name="action" value="replay" { "Replay" }
                    @if viewer.may(Role::Admin) {
                        input type="text" name="reason" maxlength="500" placeholder="Reason to discard it" aria-label="Reason to discard it";
                        button.danger type="submit" name="action" value="discard" { "Discard" }
                    }
                }
            }
        }
    }
}

/// `POST /dead-letters/{job}`
pub(super) async fn act(
    form: Form,
    job: web::Path<String>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    match form.fields.first("action") {
        "replay" => drop(replay(&state, &form.sender(Role::Operate)?, &job).await?),
        "discard" => {
            let why = form.fields.first("reason").to_owned();
            discard(&state, &form.sender(Role::Admin)?, &job, why).await?;
        }
        _ => return Err(bad_field("`action` is neither replay nor discard")),
    }
    Ok(go_on(&form.viewer, &format!("/jobs/{}", escaped(&job))))
}
