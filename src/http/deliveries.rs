//! `/api/v1/deliveries`: what came in, and what it led to.

use actix_web::{HttpResponse, get, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ledger::types::{Delivered, Delivery, DeliveryFilter, Ignored, Origin};

use super::HttpState;
use super::input::{Query, bad_parameter, limit};
use super::problem::Problem;
use super::time::rfc3339;
use super::token::ApiToken;

/// Largest page, and the one when none is asked for.
const MOST: usize = 500;
const STANDARD: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeliveriesQuery {
    outcome: Option<String>,
    cursor: Option<String>,
    limit: Option<String>,
}

impl DeliveriesQuery {
    /// A query with these; an empty text narrows nothing.
    pub(super) fn of(outcome: &str, cursor: Option<String>) -> Self {
        Self { outcome: Some(outcome).filter(|text| !text.is_empty()).map(str::to_owned), cursor, limit: None }
    }

    pub(super) fn filter(self) -> Result<DeliveryFilter, Problem> {
        let Self { outcome, cursor, limit: size } = self;
        let ignored_only = match outcome.as_deref() {
            None => false,
            Some("ignored") => true,
            Some(_) => return Err(bad_parameter("outcome", "`ignored`")),
        };
        if cursor.as_deref().is_some_and(|cursor| !is_cursor(cursor)) {
            return Err(bad_parameter("cursor", "the `next` of a page before"));
        }
        Ok(DeliveryFilter { ignored_only, after: cursor, limit: limit(size.as_deref(), STANDARD, MOST)? })
    }
}

/// A page of deliveries, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "deliveries": [
        {"received": "2026-11-21T04:49:17.012Z", "outcome": "ignored", "sender": "netbox",
            "subject": "netbox_hedgehog.vpc#6", "reason": "nothing changed: its snapshots are equal", "job_id": null},
        {"received": "2026-11-21T04:49:16.560Z", "outcome": "accepted", "sender": "netbox",
            "subject": "netbox_hedgehog.vpc#6", "reason": null, "job_id": "01KAJ3V0M1W9T6N4ZC5X8R7QHD"},
    ],
    "next": null,
}))]
pub(super) struct DeliveriesView {
    deliveries: Vec<DeliveryView>,
    /// Pass as `cursor` for the next page; null at the end.
    next: Option<String>,
}

/// An authentic delivery.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeliveryView {
    /// RFC 3339, UTC.
    received: String,
    outcome: DeliveryOutcome,
    /// `netbox` or `github`.
    sender: &'static str,
    /// What it was about: object type and id, or repository and branch or ref.
    subject: String,
    /// Why it was ignored.
    reason: Option<String>,
    /// The job that it led to; for a repeated delivery the first one's.
    job_id: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum DeliveryOutcome {
    Accepted,
    /// It came before.
    Duplicate,
    /// Authentic, but not about anything that is kept equal.
    Ignored,
}

/// Lists the newest authentic deliveries
#[utoipa::path(
    tag = "deliveries",
    params(
        ("outcome" = Option<String>, Query, description = "`ignored`: only those that led to no job"),
        ("cursor" = Option<String>, Query, description = "The `next` of the page before"),
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 500, description = "Deliveries on a page; 100 when not given"),
    ),
    responses(
        (status = 200, description = "Newest first; the newest 10,000 are kept, and the newest 1,000 ignored ones", body = DeliveriesView),
    ),
    security(("api_token" = ["read"])),
)]
#[get("/api/v1/deliveries")]
pub(super) async fn list_deliveries(
    _token: ApiToken,
    query: Query<DeliveriesQuery>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let page = state.ledger.deliveries(&query.0.filter()?).await?;
    let deliveries = page.deliveries.into_iter().map(DeliveryView::from).collect();
    Ok(HttpResponse::Ok().json(DeliveriesView { deliveries, next: page.next }))
}

/// Milliseconds and a number within them, as Redis names the entries of a log.
fn is_cursor(text: &str) -> bool {
    text.split_once('-').is_some_and(|(ms, seq)| ms.parse::<u64>().is_ok() && seq.parse::<u64>().is_ok())
}

impl From<Delivery> for DeliveryView {
    fn from(delivery: Delivery) -> Self {
        let received = rfc3339(delivery.at);
        match delivery.what {
            Delivered::Accepted { origin, job, duplicate } => {
                let outcome = if duplicate { DeliveryOutcome::Duplicate } else { DeliveryOutcome::Accepted };
                let (sender, subject) = about(origin);
                Self { received, outcome, sender, subject, reason: None, job_id: Some(job.to_string()) }
            }
            Delivered::Ignored(Ignored { sender, subject, reason }) => {
                let sender = if sender == "github" { "github" } else { "netbox" };
                Self {
                    received,
                    outcome: DeliveryOutcome::Ignored,
                    sender,
                    subject,
                    reason: Some(reason),
                    job_id: None,
                }
            }
        }
    }
}

fn about(origin: Origin) -> (&'static str, String) {
    match origin {
        Origin::NetboxDelivery { object, event, .. } => ("netbox", format!("{object} {event}")),
        Origin::GithubDelivery { repository, branch, .. } => ("github", format!("{repository} {branch}")),
        // Neither is a delivery.
        Origin::Request { what } | Origin::Schedule { what } => ("", what),
    }
}
