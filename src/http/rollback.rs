//! Asking for an earlier state of a fabric.

use std::collections::BTreeSet;

use actix_web::{HttpResponse, post, web};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::domain::change::Change;
use crate::domain::key::{DEFAULT_NAMESPACE, Key};
use crate::domain::kind::{Catalogue, Kind};
use crate::domain::names::{FabricName, JobId, Oid};
use crate::domain::policy::Direction;
use crate::domain::rollback::Rollback;

use super::HttpState;
use super::answers::AcceptedView;
use super::asking::answer_with_job;
use super::fabrics::find;
use super::input::{JsonBody, NoParameters, Query, bad_field, job_id};
use super::problem::Problem;
use super::token::Operator;

/// Objects that one request may name.
const MOST: usize = 200;

/// Which state to go back to.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RollbackRequest {
    /// The whole id of a commit of the branch; or a job's, for the state after its commit.
    #[schema(required, value_type = String)]
    to: Option<String>,
    /// Only these objects; without it, all of managed/. At most 200.
    #[schema(max_items = 200)]
    objects: Option<Vec<ObjectName>>,
    /// Only plan and tell; nothing is written on either side.
    #[serde(default)]
    #[schema(default = false)]
    dry_run: bool,
}

/// An object within a fabric.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ObjectName {
    kind: String,
    /// `default` when not given.
    namespace: Option<String>,
    name: String,
}

/// Brings managed/ back to an earlier state
///
/// As a new commit; no history is lost. NetBox follows as it does when a person pushes that state: what was changed there since
/// the last run is merged or a conflict, and objects that did not exist then are deleted in NetBox as `on_git_delete` and the
/// deletion guard say. A commit that is unknown or not in the branch's history fails the job, with that reason.
#[utoipa::path(
    tag = "fabrics",
    params(("name" = String, Path, description = "The fabric's name")),
    request_body(content = RollbackRequest, example = json!({"to": "2b7e151628aed2a6abf7158809cf4f3c762e7160", "dry_run": true})),
    responses(
        (status = 202, description = "The job that does it", body = AcceptedView),
        (status = 404, description = "The settings have no such fabric, or there is no such job", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The job made no commit in this fabric, or NetBox leads in it", body = Problem, content_type = "application/problem+json"),
    ),
    security(("api_token" = ["operate"])),
)]
#[post("/api/v1/fabrics/{name}/rollback")]
pub(super) async fn roll_back_fabric(
    Operator(token): Operator,
    _query: Query<NoParameters>,
    name: web::Path<String>,
    body: JsonBody<RollbackRequest>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let fabric = find(&state, &name)?;
    let RollbackRequest { to, objects, dry_run } = body.0;
    let objects = match objects {
        None => BTreeSet::new(),
        Some(names) if names.is_empty() || names.len() > MOST => {
            return Err(bad_field(&format!("`objects` names {} objects, not 1 to {MOST}", names.len())));
        }
        Some(names) => names.into_iter().map(|name| name.key(&state.routing.catalogue)).collect::<Result<_, _>>()?,
    };
    if fabric.policy.direction == Direction::NetboxToGit {
        let detail = format!("in {name} changes come from NetBox, and what is put back in Git would be drift");
        return Err(Problem::conflict("direction", detail, "Change the objects back in NetBox."));
    }
    let (to, job) = match to {
        None => return Err(bad_field("`to` is missing: the id of a commit or of a job")),
        Some(text) => match (text.parse::<Oid>(), job_id(&text)) {
            (Ok(commit), _) => (commit, None),
            (Err(_), Some(job)) => (commit_of(&state, &fabric.name, &job).await?, Some(job)),
            (Err(_), None) => return Err(bad_field("`to` is neither the whole id of a commit nor that of a job")),
        },
    };
    let what = match (&job, dry_run) {
        (_, true) => format!("dry run of a rollback to {to} by {}", token.name),
        (None, false) => format!("rollback to {to} by {}", token.name),
        (Some(job), false) => format!("rollback to {to}, the commit of job {job}, by {}", token.name),
    };
    let rollback = Rollback { to, job, objects, dry_run, by: token.name };
    answer_with_job(&state, fabric, what, Change::Rollback(Box::new(rollback))).await
}

/// The commit that a job's run made for the fabric.
async fn commit_of(state: &HttpState, fabric: &FabricName, id: &JobId) -> Result<Oid, Problem> {
    let Some(job) = state.ledger.job(id).await? else {
        let detail = format!("there is no job {id}, or it is no longer kept");
        return Err(Problem::not_found("unknown_job", detail, "Name the commit: `git log` has the run of each."));
    };
    let run = job.parts.iter().find(|part| part.fabric == *fabric).and_then(|part| part.run.as_ref());
    let report = match run {
        Some(run) => state.ledger.report(run, fabric).await?,
        None => None,
    };
    report.and_then(|report| report.commit).ok_or_else(|| {
        let detail = format!("job {id} made no commit in {fabric}, or its report is no longer kept");
        Problem::conflict("no_commit", detail, "Name a job that shows a commit, or the commit itself.")
    })
}

impl ObjectName {
    fn key(self, catalogue: &Catalogue) -> Result<Key, Problem> {
        let kind = Kind::new(&self.kind);
        if catalogue.get(&kind).is_none() {
            return Err(bad_field(&format!(
                "`objects` names the kind {}, which is not one that is kept equal",
                self.kind
            )));
        }
        Ok(Key { kind, namespace: self.namespace.unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned()), name: self.name })
    }
}
