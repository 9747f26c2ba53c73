//! `/api/v1/fabrics`: how each fabric stands.

use actix_web::{HttpResponse, get, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::names::FabricName;
use crate::domain::policy::Fabric;
use crate::ledger::types::{FabricStanding, Pauses};

use super::HttpState;
use super::answers::ErrorView;
use super::history::HistoryBreakView;
use super::input::{NoParameters, Query, limit};
use super::netbox_status::NetBoxStatusView;
use super::onboarding::{DirectoryView, ForeignView};
use super::pausing::PauseView;
use super::problem::Problem;
use super::report::{KeyView, ReasonView, ReportView};
use super::time::{millis, rfc3339};
use super::token::ApiToken;

/// Largest page, and the one when none is asked for.
const MOST: usize = 500;
const STANDARD: usize = 100;
/// Held objects that one answer lists.
const MOST_HELD: usize = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FabricsQuery {
    repository: Option<String>,
    netbox: Option<String>,
    cursor: Option<String>,
    limit: Option<String>,
}

/// A page of fabrics, by name.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "paused": null,
    "fabrics": [{
        "name": "lab-fabric", "standing": "held", "repository": "fabrics", "branch": "main", "directory": "lab",
        "directory_status": {"status": "initialized", "reason": null},
        "netbox": "lab", "pending_changes": 0, "pending_since": null, "objects": 142, "held": 1, "conflicts": 1, "drift": 1, "guarded_deletions": 0,
        "dead_letters": 0, "last_sync": "2026-11-21T04:49:07.120Z", "lag_ms": 3725,
        "head": "2b7e151628aed2a6abf7158809cf4f3c762e7160", "commit": "2b7e151628aed2a6abf7158809cf4f3c762e7160",
        "committed": "2026-11-21T04:49:07.120Z", "error": null, "paused": null,
        "netbox_status": {
            "status": "out_of_sync", "details": "1 in conflict\nVPC/default/web: both sides changed it", "told": "2026-11-21T04:49:07.310Z", "written": true, "error": null,
        },
    }],
    "next": null,
}))]
pub(super) struct FabricsView {
    /// The pause of everything; null when there is none.
    paused: Option<PauseView>,
    fabrics: Vec<FabricView>,
    /// Pass as `cursor` for the next page; null at the end.
    next: Option<String>,
}

/// How a fabric stands.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FabricView {
    name: String,
    standing: Standing,
    repository: String,
    branch: String,
    /// In the repository; empty for its root.
    directory: String,
    /// How the directory itself stands, apart from whether its objects agree.
    directory_status: DirectoryView,
    netbox: String,
    /// Changes that are recorded and not yet settled.
    pending_changes: u64,
    /// When the oldest of them was accepted: RFC 3339, UTC.
    pending_since: Option<String>,
    /// Objects that both sides have agreed on.
    objects: u64,
    /// Objects that wait for a person.
    held: u64,
    /// How many of them are conflicts, which `GET /api/v1/conflicts` lists.
    conflicts: u64,
    /// Objects and files that differ, which `GET /api/v1/fabrics/{name}/drift` lists; null before the first comparison.
    drift: Option<u64>,
    /// Deletions that wait for `confirm-deletions`.
    guarded_deletions: u64,
    /// What was given up and waits for a replay or a discard.
    dead_letters: u64,
    /// End of the last run that came through: RFC 3339, UTC.
    last_sync: Option<String>,
    /// How long the oldest change of that run took, from its acceptance to the end, in milliseconds.
    lag_ms: Option<u64>,
    /// The head that the last run dealt with.
    head: Option<String>,
    /// The last commit that we made for it.
    commit: Option<String>,
    /// When that commit was settled: RFC 3339, UTC.
    committed: Option<String>,
    /// Why the fabric is not being worked on.
    error: Option<ErrorView>,
    /// What keeps it from being worked on by a person's wish: its own pause, else that of everything.
    paused: Option<PauseView>,
    /// What NetBox was last told of it; null when it was told nothing.
    netbox_status: Option<NetBoxStatusView>,
}

/// A fabric's standing in a word; the first of these that is true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Standing {
    /// A person has stopped the work on it; `paused` says who and why.
    Paused,
    /// It cannot be worked on; `error` says why.
    Failing,
    /// Changes wait or are being worked on.
    Pending,
    /// At least one object waits for a person.
    Held,
    /// No run has come through yet.
    NeverSynced,
    /// Both sides agreed when they were last looked at.
    InSync,
}

/// A fabric with everything that waits for a person, and its last run.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "name": "lab-fabric", "standing": "held", "repository": "fabrics", "branch": "main", "directory": "lab",
    "directory_status": {"status": "initialized", "reason": null},
    "netbox": "lab", "pending_changes": 0, "pending_since": null, "objects": 142, "held": 1, "conflicts": 1, "drift": 1, "guarded_deletions": 0,
    "dead_letters": 0, "last_sync": "2026-11-21T04:49:07.120Z", "lag_ms": 3725,
    "head": "2b7e151628aed2a6abf7158809cf4f3c762e7160", "commit": "2b7e151628aed2a6abf7158809cf4f3c762e7160",
    "committed": "2026-11-21T04:49:07.120Z", "error": null, "paused": null,
    "netbox_status": {
        "status": "out_of_sync", "details": "1 in conflict\nVPC/default/web: both sides changed it", "told": "2026-11-21T04:49:07.310Z", "written": true, "error": null,
    },
    "held_objects": [{
        "key": {"kind": "VPC", "namespace": "default", "name": "web"},
        "reason": {"code": "both_changed", "message": "It changed in Git and in NetBox."},
    }],
    "guarded": [], "missing_parts": ["README.md"],
    "foreign": {"count": 1, "files": [{
        "path": "lab/kustomization.yaml",
        "reason": {"code": "outside", "message": "It is not in raw/, managed/ or unmanaged/, and is left alone."},
    }]},
    "broken_history": null, "last_run": null,
}))]
pub(super) struct FabricDetailView {
    #[serde(flatten)]
    fabric: FabricView,
    /// The first thousand.
    held_objects: Vec<HeldView>,
    /// What `confirm-deletions` would let go.
    guarded: Vec<KeyView>,
    /// Parts of the directory's skeleton that somebody deleted, and that only `init` with `force` puts back.
    missing_parts: Vec<String>,
    /// Files in the directory that are left alone.
    foreign: ForeignView,
    /// Set while the branch no longer contains what was dealt with: `accept-history` goes on with what it is now.
    broken_history: Option<HistoryBreakView>,
    last_run: Option<ReportView>,
}

/// An object that waits for a person.
#[derive(Debug, Serialize, ToSchema)]
struct HeldView {
    key: KeyView,
    reason: ReasonView,
}

/// Lists the fabrics
#[utoipa::path(
    tag = "fabrics",
    params(
        ("repository" = Option<String>, Query, description = "Only those in this repository of the settings"),
        ("netbox" = Option<String>, Query, description = "Only those of this NetBox of the settings"),
        ("cursor" = Option<String>, Query, description = "The `next` of the page before"),
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 500, description = "Fabrics on a page; 100 when not given"),
    ),
    responses((status = 200, description = "A page of the settings' fabrics, by name", body = FabricsView)),
    security(("api_token" = ["read"])),
)]
#[get("/api/v1/fabrics")]
pub(super) async fn list_fabrics(
    _token: ApiToken,
    query: Query<FabricsQuery>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let FabricsQuery { repository, netbox, cursor, limit: size } = query.0;
    let size = limit(size.as_deref(), STANDARD, MOST)?;
    let fits = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is);
    let mut some = state.routing.fabrics.iter().filter(|fabric| {
        fits(&repository, fabric.target.repo.as_str())
            && fits(&netbox, fabric.netbox.as_str())
            && cursor.as_deref().is_none_or(|after| fabric.name.as_str() > after)
    });
    let page: Vec<&Fabric> = some.by_ref().take(size).collect();
    let next = page.last().filter(|_| some.next().is_some()).map(|fabric| fabric.name.to_string());
    let pauses = state.ledger.pauses().await?;
    let fabrics = views(&state, &page, &pauses).await?;
    Ok(HttpResponse::Ok().json(FabricsView { paused: PauseView::of_everything(&pauses), fabrics, next }))
}

/// How fabrics stand now, in their order.
async fn views(state: &HttpState, fabrics: &[&Fabric], pauses: &Pauses) -> Result<Vec<FabricView>, Problem> {
    let asked: Vec<_> = fabrics.iter().map(|fabric| (&fabric.name, &fabric.target)).collect();
    let standings = state.ledger.standings(&asked).await?;
    let view = |(fabric, standing): (&&Fabric, &FabricStanding)| FabricView::of(fabric, standing, pauses);
    Ok(fabrics.iter().zip(&standings).map(view).collect())
}

/// Shows one fabric, with what waits for a person
#[utoipa::path(
    tag = "fabrics",
    params(("name" = String, Path, description = "The fabric's name")),
    responses((status = 200, description = "The fabric", body = FabricDetailView)),
    security(("api_token" = ["read"])),
)]
#[get("/api/v1/fabrics/{name}")]
pub(super) async fn show_fabric(
    _token: ApiToken,
    _query: Query<NoParameters>,
    name: web::Path<String>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let fabric = find(&state, &name)?;
    let status = state.ledger.fabric_status(&fabric.name).await?;
    let broken = state.ledger.broken_history(&fabric.target).await?;
    let pauses = state.ledger.pauses().await?;
    let standing = state.ledger.standings(&[(&fabric.name, &fabric.target)]).await?.pop().unwrap_or_default();
    let seen = standing.directory.as_ref().map(|record| record.condition.clone()).unwrap_or_default();
    let held = status.held.into_iter().map(|(key, reason)| HeldView { key: key.into(), reason: reason.into() });
    Ok(HttpResponse::Ok().json(FabricDetailView {
        fabric: FabricView::of(fabric, &standing, &pauses),
        held_objects: held.take(MOST_HELD).collect(),
        guarded: status.guarded.into_iter().map(KeyView::from).collect(),
        missing_parts: seen.missing,
        foreign: seen.foreign.into(),
        broken_history: broken.map(HistoryBreakView::from),
        last_run: status.last_run.map(ReportView::from),
    }))
}

/// The fabric of the settings with this name.
pub(super) fn find<'s>(state: &'s HttpState, name: &str) -> Result<&'s Fabric, Problem> {
    state.routing.fabric(&FabricName::new(name)).ok_or_else(|| {
        let detail = format!("the settings have no fabric {name}");
        Problem::not_found("unknown_fabric", detail, "List the fabrics with GET /api/v1/fabrics.")
    })
}

impl FabricView {
    fn of(fabric: &Fabric, standing: &FabricStanding, pauses: &Pauses) -> Self {
        let paused = PauseView::of_fabric(pauses, &fabric.name);
        let (commit, committed) = standing.commit.clone().unzip();
        Self {
            name: fabric.name.to_string(),
            standing: Standing::of(standing, paused.is_some()),
            repository: fabric.target.repo.to_string(),
            branch: fabric.target.branch.to_string(),
            directory: fabric.directory.to_string(),
            directory_status: DirectoryView::of(standing),
            netbox: fabric.netbox.to_string(),
            pending_changes: standing.pending_changes,
            pending_since: standing.oldest_pending.map(rfc3339),
            objects: standing.objects,
            held: standing.held,
            conflicts: standing.conflicts,
            drift: standing.drift,
            guarded_deletions: standing.guarded,
            dead_letters: standing.dead_letters,
            last_sync: standing.last_sync.map(rfc3339),
            lag_ms: standing.lag.map(millis),
            head: standing.head.clone().map(String::from),
            commit: commit.map(String::from),
            committed: committed.map(rfc3339),
            error: standing.error.clone().map(ErrorView::from),
            paused,
            netbox_status: standing.shown.clone().map(NetBoxStatusView::from),
        }
    }
}

impl Standing {
    pub(super) fn of(standing: &FabricStanding, paused: bool) -> Self {
        if paused {
            Self::Paused
        } else if standing.error.is_some() {
            Self::Failing
        } else if standing.pending_changes > 0 {
            Self::Pending
        } else if standing.held > 0 || standing.guarded > 0 {
            Self::Held
        } else if standing.last_sync.is_none() {
            Self::NeverSynced
        } else {
            Self::InSync
        }
    }
}
