//! The two receivers. 202 is said only after the ledger has everything; what is authentic but not ours is 200.

use actix_web::{HttpRequest, HttpResponse, post, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::names::RepoName;
use crate::ledger::types::{Accept, Ignored, Origin};
use crate::webhook::NotADelivery;
use crate::webhook::github::{self, Encoding, GitHubDelivery, Push};
use crate::webhook::netbox::{self, NetBoxDelivery, What};

use super::HttpState;
use super::answers::AcceptedView;
use super::problem::Problem;
use super::route::{self, Routed};
use super::verified::{GitHub, NetBox, Verified, header_text};

/// The answer to a delivery that leads to no work.
#[derive(Debug, Serialize, ToSchema)]
pub struct NoWork {
    status: NoWorkStatus,
    /// Why it leads to none.
    reason: String,
}

#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum NoWorkStatus {
    /// Authentic, but not about anything that is kept equal; noted in `GET /api/v1/deliveries`.
    Ignored,
    /// GitHub's greeting.
    Pong,
}

/// Takes a delivery of a NetBox event rule
///
/// The signature is checked over the raw bytes before anything is parsed. The content of a delivery is neither believed
/// nor stored. A repeated delivery answers with the first one's job.
#[utoipa::path(
    tag = "webhooks",
    params(("X-Hook-Signature" = String, Header, description = "Hex HMAC-SHA512 of the body, as NetBox sends it")),
    request_body(content = Object, description = "As NetBox 3.7 to 4.7 send it; at most 8 MiB"),
    responses(
        (status = 202, description = "Recorded: it will reach Git, or its job says why not", body = AcceptedView),
        (status = 200, description = "Authentic, but not ours", body = NoWork,
            example = json!({"status": "ignored", "reason": "nothing changed: its snapshots are equal"})),
        (status = 400, description = "Not JSON, or a field is missing; the place is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No signature, or a wrong one", body = Problem, content_type = "application/problem+json"),
        (status = 408, description = "The body came too slowly", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Redis cannot be reached, or too many large bodies arrive at once; see Retry-After", body = Problem, content_type = "application/problem+json"),
    )
)]
#[post("/webhooks/netbox")]
pub(super) async fn receive_netbox(
    delivery: Verified<NetBox>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let netbox = &delivery.signer;
    let NetBoxDelivery { what, subject, dedupe } =
        netbox::parse(&state.routing.catalogue, netbox, &delivery.body).map_err(not_a_delivery)?;
    let routed = match what {
        What::Object(change) => route::object(&state, netbox, change).await?,
        What::Fabric(change) => route::fabric(&state.routing, netbox, change),
        What::Ignored(reason) => Err(reason),
    };
    match routed {
        Ok(Routed { changes, event, user, request }) => {
            let request = request.unwrap_or_default();
            let origin = Origin::NetboxDelivery { netbox: netbox.to_string(), object: subject, event, request, user };
            accept(&state, Accept { origin, dedupe, changes, at_once: false }).await
        }
        Err(reason) => ignore(&state, "netbox", subject, reason).await,
    }
}

/// Takes a delivery of a GitHub webhook
///
/// JSON and form bodies. A push is only a hint that the branch's head moved. `ping` is answered with 200. A delivery
/// whose job failed may be sent again.
#[utoipa::path(
    tag = "webhooks",
    params(
        ("X-Hub-Signature-256" = String, Header, description = "`sha256=` and the hex HMAC-SHA256 of the body"),
        ("X-GitHub-Event" = String, Header, description = "`push`, `ping`; others are ignored"),
        ("X-GitHub-Delivery" = Option<String>, Header, description = "Recognises a repeated delivery"),
    ),
    request_body(content = Object, description = "As GitHub sends it, JSON or form; at most 25 MiB"),
    responses(
        (status = 202, description = "Recorded: it will reach NetBox, or its job says why not", body = AcceptedView),
        (status = 200, description = "Authentic, but not ours; or a ping", body = NoWork,
            example = json!({"status": "ignored", "reason": "refs/tags/v1 is no branch"})),
        (status = 400, description = "Not JSON, or a field or header is missing; it is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No SHA-256 signature, or a wrong one", body = Problem, content_type = "application/problem+json"),
        (status = 408, description = "The body came too slowly", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Redis cannot be reached, or too many large bodies arrive at once; see Retry-After", body = Problem, content_type = "application/problem+json"),
    )
)]
#[post("/webhooks/github")]
pub(super) async fn receive_github(
    delivery: Verified<GitHub>,
    request: HttpRequest,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let event = header_text(request.headers(), "X-GitHub-Event").ok_or_else(|| {
        let detail = "the request has no X-GitHub-Event header";
        Problem::bad_request("missing_event", detail, "A proxy in between must pass the sender's headers on.")
    })?;
    let encoding = Encoding::of(header_text(request.headers(), "Content-Type").unwrap_or_default());
    match github::parse(event, encoding, &delivery.body).map_err(not_a_delivery)? {
        GitHubDelivery::Ping => {
            Ok(HttpResponse::Ok().json(NoWork { status: NoWorkStatus::Pong, reason: "the webhook works".to_owned() }))
        }
        GitHubDelivery::Other { event, repository } => {
            let reason = format!("the event {event} is not about a moved branch");
            ignore(&state, "github", repository.unwrap_or_default(), reason).await
        }
        GitHubDelivery::Push(push) => {
            let id = header_text(request.headers(), "X-GitHub-Delivery").filter(|id| !id.is_empty());
            receive_push(&state, &delivery.signer, push, id).await
        }
    }
}

async fn receive_push(
    state: &HttpState,
    signers: &[RepoName],
    push: Push,
    id: Option<&str>,
) -> Result<HttpResponse, Problem> {
    match route::push(&state.routing, signers, &push) {
        Ok((branch, changes)) => {
            let origin = Origin::GithubDelivery {
                delivery: id.unwrap_or_default().to_owned(),
                repository: push.repository.full_name,
                branch: branch.to_string(),
                pusher: push.pusher,
            };
            let dedupe = id.map(|id| format!("github {id}"));
            accept(state, Accept { origin, dedupe, changes, at_once: false }).await
        }
        Err(reason) => {
            let subject = format!("{} {}", push.repository.full_name, push.reference);
            ignore(state, "github", subject, reason).await
        }
    }
}

async fn accept(state: &HttpState, accept: Accept) -> Result<HttpResponse, Problem> {
    let accepted = state.accept(&accept).await?;
    Ok(HttpResponse::Accepted().json(AcceptedView::of(state, &accepted)))
}

async fn ignore(state: &HttpState, sender: &str, subject: String, reason: String) -> Result<HttpResponse, Problem> {
    let ignored = Ignored { sender: sender.to_owned(), subject, reason };
    state.ledger.ignore(&ignored).await?;
    Ok(HttpResponse::Ok().json(NoWork { status: NoWorkStatus::Ignored, reason: ignored.reason }))
}

fn not_a_delivery(error: NotADelivery) -> Problem {
    let remedy = "Use the sender's own body: a NetBox webhook without a body template, or GitHub's push event.";
    Problem::bad_request("not_a_delivery", error.to_string(), remedy)
}
