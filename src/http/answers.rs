//! Jobs as the API shows them.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::report::{FabricReport, JobState};
use crate::ledger::types::{Accepted, Job, JobError, JobPart, Note, Origin};

use super::HttpState;
use super::report::ReportView;
use super::time::rfc3339;

/// Recorded; what becomes of it is at `status_url`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "job_id": "01KAJ3V0M1W9T6N4ZC5X8R7QHD", "status_url": "https://sync.example.com/api/v1/jobs/01KAJ3V0M1W9T6N4ZC5X8R7QHD", "delivery": "new",
}))]
pub(super) struct AcceptedView {
    job_id: String,
    /// Where the job is shown: a whole address when the settings have a `public_url`.
    status_url: String,
    delivery: DeliveryWord,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum DeliveryWord {
    New,
    /// It came before; the job is the first one's.
    Duplicate,
}

impl AcceptedView {
    pub(super) fn of(state: &HttpState, accepted: &Accepted) -> Self {
        let delivery = if accepted.duplicate { DeliveryWord::Duplicate } else { DeliveryWord::New };
        let status_url = state.address_of(&format!("/api/v1/jobs/{}", accepted.job));
        Self { job_id: accepted.job.to_string(), status_url, delivery }
    }
}

/// One accepted delivery or request.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "01KAJ3V0M1W9T6N4ZC5X8R7QHD", "state": "held", "finished": true,
    "origin": {"kind": "netbox_delivery", "netbox": "lab", "object": "netbox_hedgehog.vpc#6", "event": "updated",
        "request_id": "0a930016-58a2-433a-9268-111e9d80826a", "user": "admin"},
    "created": "2026-11-21T04:49:03.395Z", "updated": "2026-11-21T04:49:07.120Z", "duplicates": 0,
    "progress": {"done": 1, "total": 1},
    "parts": [{
        "fabric": "lab-fabric", "repository": "fabrics", "branch": "main", "state": "held", "attempts": 1,
        "run": "01KAJ3V2Q8H5J0B7D9F3G6K1MN", "next_try": null, "error": null,
        "discarded": null,
        "report": {
            "run": "01KAJ3V2Q8H5J0B7D9F3G6K1MN", "closed_because": "quiet", "dry_run": false,
            "planned_on": "8f3c1d0b6a5e4f7982c1b0a9d8e7f6a5b4c3d2e1",
            "commit": "2b7e151628aed2a6abf7158809cf4f3c762e7160", "proposal": null,
            "counts": {"git_written": 1, "git_deleted": 0, "netbox_created": 0, "netbox_updated": 0,
                "netbox_deleted": 0, "unchanged": 0, "held": 1, "ingested": 0, "unmanaged": 0, "rejected": 0},
            "items": [
                {"item": "object", "key": {"kind": "VPC", "namespace": "default", "name": "web"}, "outcome": "held",
                    "reason": {"code": "both_changed", "message": "It changed in Git and in NetBox."}},
                {"item": "object", "key": {"kind": "VPC", "namespace": "default", "name": "db"},
                    "outcome": "git_updated", "reason": null},
            ],
            "directory": {"work": "none", "written": [], "moved": null},
        },
    }],
}))]
pub(super) struct JobView {
    id: String,
    state: JobState,
    /// Whether the state will not change any more by itself.
    finished: bool,
    origin: OriginView,
    /// RFC 3339, UTC.
    created: String,
    /// RFC 3339, UTC; the last change of its state.
    updated: String,
    /// How often a repeated delivery pointed here.
    duplicates: u64,
    progress: Progress,
    /// One for each fabric.
    parts: Vec<PartView>,
}

/// How many of a job's parts are done.
#[derive(Debug, Serialize, ToSchema)]
struct Progress {
    done: usize,
    total: usize,
}

/// Who asked.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum OriginView {
    NetboxDelivery {
        netbox: String,
        /// Type and id as NetBox writes them.
        object: String,
        event: String,
        request_id: String,
        user: Option<String>,
    },
    GithubDelivery {
        delivery: String,
        repository: String,
        branch: String,
        pusher: Option<String>,
    },
    Request {
        what: String,
    },
    Schedule {
        what: String,
    },
}

/// One fabric's part of a job.
#[derive(Debug, Serialize, ToSchema)]
struct PartView {
    fabric: String,
    repository: String,
    branch: String,
    state: JobState,
    attempts: u32,
    /// The run that last worked on it; stands in the commit's `Fgd-Run:` trailer.
    run: Option<String>,
    /// When it will be tried again: RFC 3339, UTC.
    next_try: Option<String>,
    error: Option<ErrorView>,
    /// Who gave it up for good and why, for `failed`.
    discarded: Option<NoteView>,
    /// What that run did; only in the answer about one job, and only while it is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<ReportView>,
}

/// What a person said.
#[derive(Debug, Serialize, ToSchema)]
struct NoteView {
    /// The name of the token.
    by: String,
    reason: Option<String>,
}

/// Why a job is not done.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ErrorView {
    /// Stable word for programs.
    code: String,
    /// What failed and for which thing.
    message: String,
    /// What to do about it.
    remedy: String,
}

impl From<JobError> for ErrorView {
    fn from(error: JobError) -> Self {
        Self { code: error.code, message: error.message, remedy: error.remedy }
    }
}

impl JobView {
    /// `reports` holds one entry per part, in the parts' order; it may be shorter.
    pub(super) fn of(job: Job, reports: Vec<Option<FabricReport>>) -> Self {
        let done = job.parts.iter().filter(|part| part.state.is_final()).count();
        let progress = Progress { done, total: job.parts.len() };
        let reports = reports.into_iter().chain(std::iter::repeat_with(|| None));
        Self {
            id: job.id.to_string(),
            state: job.state,
            finished: job.state.is_final(),
            origin: job.origin.into(),
            created: rfc3339(job.created),
            updated: rfc3339(job.updated),
            duplicates: job.duplicates,
            progress,
            parts: job.parts.into_iter().zip(reports).map(|(part, report)| PartView::of(part, report)).collect(),
        }
    }
}

impl PartView {
    fn of(part: JobPart, report: Option<FabricReport>) -> Self {
        Self {
            fabric: part.fabric.to_string(),
            repository: part.target.repo.to_string(),
            branch: part.target.branch.to_string(),
            state: part.state,
            attempts: part.attempts,
            run: part.run.map(|run| run.to_string()),
            next_try: part.next_try.map(rfc3339),
            error: part.error.map(ErrorView::from),
            discarded: part.discarded.map(|Note { by, reason }| NoteView { by, reason }),
            report: report.map(ReportView::from),
        }
    }
}

impl From<Origin> for OriginView {
    fn from(origin: Origin) -> Self {
        match origin {
            Origin::NetboxDelivery { netbox, object, event, request, user } => {
                Self::NetboxDelivery { netbox, object, event, request_id: request, user }
            }
            Origin::GithubDelivery { delivery, repository, branch, pusher } => {
                Self::GithubDelivery { delivery, repository, branch, pusher }
            }
            Origin::Request { what } => Self::Request { what },
            Origin::Schedule { what } => Self::Schedule { what },
        }
    }
}
