//! A branch whose history broke, and a person's word that it is to be gone on with.

use actix_web::{HttpResponse, post, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::change::Change;
use crate::domain::history::{BreakKind, HistoryBreak};
use crate::domain::names::{FabricName, Oid};
use crate::ledger::history::HistoryAccepted;
use crate::ledger::types::{Accept, Origin};

use super::HttpState;
use super::answers::AcceptedView;
use super::fabrics::find;
use super::input::{JsonBody, NoParameters, Query, bad_field};
use super::problem::Problem;
use super::token::Admin;

/// A branch that no longer contains what was dealt with.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HistoryBreakView {
    kind: BreakKind,
    /// The head that was last dealt with.
    known: String,
    /// The head that was found; null where there is no branch.
    now: Option<String>,
}

impl From<HistoryBreak> for HistoryBreakView {
    fn from(HistoryBreak { kind, known, now }: HistoryBreak) -> Self {
        Self { kind, known: known.into(), now: now.map(String::from) }
    }
}

/// Which history is accepted.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AcceptHistoryRequest {
    /// The head that was looked at: refused when the break is about another one. Without it, what is recorded now.
    head: Option<String>,
}

/// The history that was accepted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "accepted": {"kind": "history_rewritten", "known": "8f3c1d0b6a5e4f7982c1b0a9d8e7f6a5b4c3d2e1",
        "now": "2b7e151628aed2a6abf7158809cf4f3c762e7160"},
    "fabrics": ["lab-fabric"],
    "job": {"job_id": "01KAJ3V0M1W9T6N4ZC5X8R7QHD", "status_url": "https://sync.example.com/api/v1/jobs/01KAJ3V0M1W9T6N4ZC5X8R7QHD", "delivery": "new"},
}))]
pub(super) struct HistoryAcceptedView {
    accepted: HistoryBreakView,
    /// All that live on the branch: they are compared as a whole.
    fabrics: Vec<String>,
    job: AcceptedView,
}

/// Goes on with a branch that was deleted, rewritten or replaced
///
/// For every fabric on the fabric's branch. What the new history holds is Git's side from now on; what it lacks counts as
/// deleted there, and each deletion that follows in NetBox waits for `confirm-deletions`, whatever its number. A sync with
/// `dry_run` shows the plan before.
#[utoipa::path(
    tag = "fabrics",
    params(("name" = String, Path, description = "The name of a fabric on the branch")),
    request_body(content = Option<AcceptHistoryRequest>, description = "None is the same as `{}`", example = json!({"head": "2b7e151628aed2a6abf7158809cf4f3c762e7160"})),
    responses(
        (status = 202, description = "What was accepted, and the job that goes on with it", body = HistoryAcceptedView),
        (status = 409, description = "The branch's history is not broken, or its head is another than `head`", body = Problem, content_type = "application/problem+json"),
    ),
    security(("api_token" = ["admin"])),
)]
#[post("/api/v1/fabrics/{name}/accept-history")]
pub(super) async fn accept_history(
    Admin(token): Admin,
    _query: Query<NoParameters>,
    name: web::Path<String>,
    body: JsonBody<AcceptHistoryRequest>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let target = &find(&state, &name)?.target;
    let seen: Option<Oid> =
        body.0.head.map(|text| text.parse()).transpose().map_err(|_| bad_field("`head` is not the id of a commit"))?;
    let all = state.routing.fabrics.iter().filter(|fabric| fabric.target == *target);
    let fabrics: Vec<&FabricName> = all.map(|fabric| &fabric.name).collect();
    let accepted = match state.ledger.accept_history(target, seen.as_ref(), &fabrics).await? {
        HistoryAccepted::Done(accepted) => accepted,
        HistoryAccepted::Moved(broken) => {
            let now = broken.now.map_or("gone".to_owned(), |now| format!("at {now}"));
            let remedy = "Look at the fabric again, and decide on what it is now.";
            return Err(Problem::conflict("history_moved", format!("{target} is {now}"), remedy));
        }
        HistoryAccepted::Unbroken => {
            let detail = format!("no run has found the history of {target} broken");
            let remedy = "Nothing is to be done; a sync looks at the branch anew.";
            return Err(Problem::conflict("history_not_broken", detail, remedy));
        }
    };
    let what = format!("history of {target} accepted by {}", token.name);
    let changes = fabrics.iter().map(|name| ((*name).clone(), target.clone(), Change::Everything)).collect();
    let accept = Accept { origin: Origin::Request { what }, dedupe: None, changes, at_once: true };
    let job = AcceptedView::of(&state, &state.accept(&accept).await?);
    let fabrics = fabrics.into_iter().map(FabricName::to_string).collect();
    Ok(HttpResponse::Accepted().json(HistoryAcceptedView { accepted: accepted.into(), fabrics, job }))
}
