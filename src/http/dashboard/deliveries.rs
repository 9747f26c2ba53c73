//! `/deliveries`: which webhooks came in, and what they led to.

use actix_web::{HttpResponse, web};
use maud::{Markup, html};
use serde::Deserialize;

use crate::http::HttpState;
use crate::http::deliveries::DeliveriesQuery;
use crate::http::input::Query;
use crate::http::problem::Problem;
use crate::ledger::types::{Delivered, Delivery, Ignored};

use super::session::Viewer;
use super::shell::{Tab, page};
use super::words::{Tone, badge, job_link, next_page, origin, when};

/// What the list is narrowed to.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeliveriesPage {
    #[serde(default)]
    outcome: String,
    cursor: Option<String>,
}

/// `GET /deliveries`
pub(super) async fn list(
    viewer: Viewer,
    query: Query<DeliveriesPage>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let DeliveriesPage { outcome, cursor } = query.0;
    let deliveries = state.ledger.deliveries(&DeliveriesQuery::of(&outcome, cursor).filter()?).await?;
    let content = html! {
        div.title { h1 { "Deliveries" } }
        form.filter method="get" action=(viewer.link("/deliveries")) {
            label {
                "Outcome"
                select name="outcome" {
                    option value="" { "any" }
                    option value="ignored" selected[outcome == "ignored"] { "ignored" }
                }
            }
            button type="submit" { "Show" }
        }
        section #deliveries data-live="job" { (table(&viewer, &deliveries.deliveries)) }
        (next_page(&viewer, "/deliveries", &[("outcome", &outcome)], deliveries.next.as_deref()))
    };
    Ok(page(&viewer, Tab::Deliveries, "Deliveries", content))
}

fn table(viewer: &Viewer, deliveries: &[Delivery]) -> Markup {
    html! {
        @if deliveries.is_empty() {
            div.empty {
                h2 { "No signed delivery yet" }
                p { "Run " code { "fgd-sync setup netbox" } " to make NetBox send its changes, and point the repository's push webhook to " code { "/webhooks/github" } ". Until then changes are found by polling and comparing." }
            }
        } @else {
            div.table.cards {
                table {
                    thead { tr { th { "Received" } th { "Outcome" } th { "About" } th { "Led to" } } }
                    tbody {
                        @for delivery in deliveries { (line(viewer, delivery)) }
                    }
                }
            }
        }
    }
}

fn line(viewer: &Viewer, delivery: &Delivery) -> Markup {
    html! {
        tr {
            td { (when(delivery.at)) }
            @match &delivery.what {
                Delivered::Accepted { origin: from, job, duplicate } => {
                    td { @if *duplicate { (badge(Tone::Quiet, "repeated")) } @else { (badge(Tone::Good, "accepted")) } }
                    td.whole { (origin(from)) }
                    td.whole { (job_link(viewer, job)) }
                }
                Delivered::Ignored(Ignored { sender, subject, reason }) => {
                    td { (badge(Tone::Quiet, "ignored")) }
                    td.whole { span.from { (if sender == "github" { "Push" } else { "NetBox" }) } " " (subject) }
                    td.whole { span.quiet { (reason) } }
                }
            }
        }
    }
}
