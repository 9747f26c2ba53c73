//! `/api/v1/fabrics/{name}/init`, and how a fabric's directory stands.

use actix_web::{HttpResponse, post, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::change::Change;
use crate::domain::directory::{DirectoryReport, DirectoryStatus, DirectoryWork, Foreign, ForeignFile};
use crate::domain::fate::Reason;
use crate::ledger::types::FabricStanding;

use super::HttpState;
use super::answers::AcceptedView;
use super::asking::answer_with_job;
use super::fabrics::find;
use super::input::{JsonBody, NoParameters, Query};
use super::problem::Problem;
use super::report::ReasonView;
use super::token::Operator;

/// How to make a directory.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct InitRequest {
    /// Also put back what was deleted of the directory on purpose, and look through all of it for documents once more.
    /// Files that are there are never replaced, and a directory that another ledger's marker claims is not taken over:
    /// that is what `adopt` is for.
    #[serde(default)]
    #[schema(default = false)]
    force: bool,
    /// Only plan and tell; nothing is written on either side.
    #[serde(default)]
    #[schema(default = false)]
    dry_run: bool,
}

/// Makes a fabric's directory in the repository
///
/// The marker, the skeleton, documents that are there already and everything that NetBox has: one commit, and none when
/// all of it is right. With `dry_run` nothing is written; the plan is the report of the job.
#[utoipa::path(
    tag = "fabrics",
    params(("name" = String, Path, description = "The fabric's name")),
    request_body(content = Option<InitRequest>, description = "None is the same as `{}`", example = json!({"dry_run": true})),
    responses((status = 202, description = "The job that does it", body = AcceptedView)),
    security(("api_token" = ["operate"])),
)]
#[post("/api/v1/fabrics/{name}/init")]
pub(super) async fn init_fabric(
    Operator(token): Operator,
    _query: Query<NoParameters>,
    name: web::Path<String>,
    body: JsonBody<InitRequest>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let fabric = find(&state, &name)?;
    let (what, change) = match (body.0.force, body.0.dry_run) {
        (false, false) => ("init", Change::Everything),
        (false, true) => ("dry run of init", Change::DryRun),
        (true, false) => ("init with force", Change::Restore),
        (true, true) => ("dry run of init with force", Change::RestoreDryRun),
    };
    answer_with_job(&state, fabric, format!("{what} by {}", token.name), change).await
}

/// How a directory stands, apart from whether its objects agree.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DirectoryView {
    status: DirectoryStatus,
    /// Why it is not initialized, or what keeps it from being worked on.
    reason: Option<ReasonView>,
}

impl DirectoryView {
    /// What the last run left; before the first, what is to be expected of it.
    ///
    /// Nobody writes down that a run is about to begin, so nothing is left to say so when it was killed.
    pub(super) fn of(standing: &FabricStanding) -> Self {
        let known = standing.directory.as_ref().map(|record| &record.condition);
        let (status, reason) = match known {
            Some(condition) if condition.status != DirectoryStatus::NotInitialized => {
                (condition.status, condition.reason.clone())
            }
            Some(_) | None => match &standing.error {
                Some(error) => (DirectoryStatus::Error, Some(Reason::new(&error.code, error.message.clone()))),
                None if standing.pending_changes > 0 => (DirectoryStatus::Initializing, None),
                None => {
                    let never = || Reason::new("never_looked_at", "no run has looked at it yet");
                    let reason = known.map_or_else(|| Some(never()), |condition| condition.reason.clone());
                    (DirectoryStatus::NotInitialized, reason)
                }
            },
        };
        Self { status, reason: reason.map(ReasonView::from) }
    }
}

/// Files in a directory that are nobody's documents and are left alone.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct ForeignView {
    /// All of them.
    count: u64,
    /// The first hundred, by path.
    files: Vec<ForeignFileView>,
}

#[derive(Debug, Serialize, ToSchema)]
struct ForeignFileView {
    /// From the repository's root.
    path: String,
    reason: ReasonView,
}

impl From<Foreign> for ForeignView {
    fn from(foreign: Foreign) -> Self {
        let view = |ForeignFile { path, reason }| ForeignFileView { path: String::from(path), reason: reason.into() };
        Self { count: foreign.count, files: foreign.files.into_iter().map(view).collect() }
    }
}

/// What a run did to the directory itself, or would do.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DirectoryReportView {
    work: DirectoryWork,
    /// Parts of the skeleton that are written, from the repository's root.
    written: Vec<String>,
    /// How its files go to the place that the settings name now; null when they stay.
    moved: Option<MovedView>,
}

#[derive(Debug, Serialize, ToSchema)]
struct MovedView {
    /// The old directory; empty for the repository's root.
    from: String,
    to: String,
    /// How many files go to the new one.
    files: u64,
    /// What stays in the old one.
    left: ForeignView,
}

impl From<DirectoryReport> for DirectoryReportView {
    fn from(report: DirectoryReport) -> Self {
        let moved = report.moved.map(|moved| MovedView {
            from: String::from(moved.from),
            to: String::from(moved.to),
            files: moved.files,
            left: moved.left.into(),
        });
        Self { work: report.work, written: report.written.into_iter().map(String::from).collect(), moved }
    }
}
