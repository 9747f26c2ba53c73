//! `/api/v1/bulk`: one action on many fabrics.

use actix_web::{HttpResponse, post, web};
use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::change::Change;
use crate::domain::policy::Fabric;
use crate::ledger::types::{Accepted, Note};

use super::HttpState;
use super::answers::AcceptedView;
use super::asking::ask;
use super::fabrics::find;
use super::input::{JsonBody, NoParameters, Query, bad_field, reason};
use super::problem::Problem;
use super::token::{ApiToken, Operator};

/// Fabrics that one request may select.
const MOST: usize = 1_000;
/// Fabrics that are dealt with at a time.
const AT_ONCE: usize = 16;

/// What to do, and with which fabrics: all that fit every selection that is given, at least one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BulkRequest {
    action: BulkAction,
    /// By name.
    fabrics: Option<Vec<String>>,
    /// All in this repository of the settings.
    repository: Option<String>,
    /// All of this NetBox of the settings.
    netbox: Option<String>,
    /// True to mean every fabric.
    #[serde(default)]
    #[schema(default = false)]
    all: bool,
    /// Why, for a pause; at most 500 characters.
    #[schema(max_length = 500)]
    reason: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum BulkAction {
    Sync,
    /// Only plan and tell.
    DryRun,
    Pause,
    Resume,
}

/// What was done, fabric by fabric.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "action": "sync",
    "fabrics": [{
        "fabric": "lab-fabric",
        "job": {"job_id": "01KAJ3V0M1W9T6N4ZC5X8R7QHD",
            "status_url": "https://sync.example.com/api/v1/jobs/01KAJ3V0M1W9T6N4ZC5X8R7QHD", "delivery": "new"},
    }],
}))]
pub(super) struct BulkView {
    action: BulkAction,
    fabrics: Vec<BulkItemView>,
}

#[derive(Debug, Serialize, ToSchema)]
struct BulkItemView {
    fabric: String,
    /// The job that does it; null for a pause and its end, which are done.
    job: Option<AcceptedView>,
}

/// Syncs, pauses or resumes a selection of fabrics
///
/// Each fabric gets a job of its own. At most 1,000 fabrics at once. When Redis fails in between, some may have theirs:
/// with an `Idempotency-Key` the request can be repeated, and a sync too many costs only time.
#[utoipa::path(
    tag = "fabrics",
    request_body(content = BulkRequest, example = json!({"action": "sync", "netbox": "lab"})),
    responses(
        (status = 202, description = "Every selected fabric with its job", body = BulkView),
        (status = 400, description = "A parameter or field is unknown or wrong, or nothing is selected", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "The settings have no such fabric; nothing was done", body = Problem, content_type = "application/problem+json"),
    ),
    security(("api_token" = ["operate"])),
)]
#[post("/api/v1/bulk")]
pub(super) async fn act_on_many(
    Operator(token): Operator,
    _query: Query<NoParameters>,
    body: JsonBody<Option<BulkRequest>>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let request = body.0.ok_or_else(|| bad_field("`action` is missing"))?;
    let note = Note { by: token.name.clone(), reason: request.reason.clone().map(reason).transpose()? };
    let selected = select(&state, &request)?;
    let (state, token, note) = (state.get_ref(), &token, &note);
    let act = |fabric: &Fabric| {
        let fabric = fabric.clone();
        async move { act(state, token, request.action, &fabric, note).await }
    };
    let done: Vec<BulkItemView> = stream::iter(selected.into_iter().map(act)).buffered(AT_ONCE).try_collect().await?;
    state.wake.notify_one();
    tracing::info!(action = ?request.action, fabrics = done.len(), token = token.name, "acted on many fabrics");
    Ok(HttpResponse::Accepted().json(BulkView { action: request.action, fabrics: done }))
}

fn select<'s>(state: &'s HttpState, request: &BulkRequest) -> Result<Vec<&'s Fabric>, Problem> {
    let narrowed = request.fabrics.is_some() || request.repository.is_some() || request.netbox.is_some();
    if request.all == narrowed {
        return Err(bad_field("select with `fabrics`, `repository` or `netbox`, or with `all: true` alone"));
    }
    let mut selected: Vec<&Fabric> = match &request.fabrics {
        Some(names) => names.iter().map(|name| find(state, name)).collect::<Result<_, _>>()?,
        None => state.routing.fabrics.iter().collect(),
    };
    let fits = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is);
    selected.retain(|fabric| {
        fits(&request.repository, fabric.target.repo.as_str()) && fits(&request.netbox, fabric.netbox.as_str())
    });
    selected.sort_by_key(|fabric| &fabric.name);
    selected.dedup_by_key(|fabric| &fabric.name);
    if selected.len() > MOST {
        return Err(bad_field(&format!("{} fabrics are selected, more than {MOST}", selected.len())));
    }
    Ok(selected)
}

async fn act(
    state: &HttpState,
    token: &ApiToken,
    action: BulkAction,
    fabric: &Fabric,
    note: &Note,
) -> Result<BulkItemView, Problem> {
    let job = carry_out(state, token, action, fabric, note).await?;
    let job = job.map(|accepted| AcceptedView::of(state, &accepted));
    Ok(BulkItemView { fabric: fabric.name.to_string(), job })
}

/// Does it for one fabric; the job that goes on with it, if there is one.
pub(super) async fn carry_out(
    state: &HttpState,
    token: &ApiToken,
    action: BulkAction,
    fabric: &Fabric,
    note: &Note,
) -> Result<Option<Accepted>, Problem> {
    Ok(match action {
        BulkAction::Sync => Some(ask(state, fabric, format!("sync by {}", token.name), Change::Everything).await?),
        BulkAction::DryRun => Some(ask(state, fabric, format!("dry run by {}", token.name), Change::DryRun).await?),
        BulkAction::Pause => {
            state.ledger.pause(Some(&fabric.name), note).await?;
            None
        }
        BulkAction::Resume => {
            state.ledger.resume(Some(&fabric.name)).await?;
            None
        }
    })
}
