//! `/api/v1/objects`: where one object is, how it stands on both sides, and what happened to it.

use std::collections::BTreeMap;

use actix_web::{HttpResponse, get, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::key::Key;
use crate::domain::kind::Kind;
use crate::domain::names::{JobId, RunId};
use crate::domain::policy::Fabric;
use crate::ledger::objects::ObjectKnown;
use crate::ledger::touches::Touch;
use crate::ledger::types::Millis;
use crate::webhook::netbox::Model;

use super::HttpState;
use super::fabrics::find;
use super::input::{NoParameters, Query, bad_parameter, limit};
use super::problem::Problem;
use super::report::{OutcomeWord, ReasonView, outcome_of};
use super::time::rfc3339;
use super::token::ApiToken;

/// Largest page, and the one when none is asked for.
const MOST: usize = 1_000;
const STANDARD: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ObjectsQuery {
    kind: Option<String>,
    cursor: Option<String>,
    limit: Option<String>,
}

/// A page of a fabric's objects, by kind, namespace and name.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "objects": [{
        "fabric": "lab-fabric", "kind": "VPC", "namespace": "default", "name": "web", "state": "agreed", "reason": null,
        "git": {"repository": "fabrics", "branch": "main", "path": "lab/managed/vpcs/web.yaml",
            "blob": "8f3c1d0b6a5e4f7982c1b0a9d8e7f6a5b4c3d2e1"},
        "netbox": {"netbox": "lab", "id": 6, "url": "https://netbox.example.com/plugins/hedgehog/vpcs/6/",
            "last_updated": "2026-11-21T04:48:50.238000Z"},
    }],
    "next": null,
}))]
pub(super) struct ObjectsView {
    objects: Vec<ObjectView>,
    /// Pass as `cursor` for the next page; null at the end.
    next: Option<String>,
}

/// One object, on both sides.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ObjectView {
    fabric: String,
    kind: String,
    namespace: String,
    name: String,
    state: ObjectState,
    /// Why it waits; null where it does not.
    reason: Option<ReasonView>,
    /// The file that both sides last agreed on; null where there is none.
    git: Option<ObjectFileView>,
    /// The row that both sides last agreed on; null where there is none.
    netbox: Option<ObjectRowView>,
}

/// How an object stands; the first of these that is true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ObjectState {
    /// Both sides contradict each other; `GET /api/v1/conflicts/...` shows how.
    Conflict,
    /// Its change is in a pull request.
    Proposed,
    /// It waits for a person; `reason` says why.
    Held,
    /// A change of it is recorded and not yet settled.
    Pending,
    /// Both sides agreed when they were last looked at.
    Agreed,
    /// Nothing is remembered of it but its history: it is gone on both sides.
    Gone,
}

#[derive(Debug, Serialize, ToSchema)]
struct ObjectFileView {
    repository: String,
    branch: String,
    /// From the repository's root.
    path: String,
    blob: String,
}

#[derive(Debug, Serialize, ToSchema)]
struct ObjectRowView {
    /// By its name in the settings.
    netbox: String,
    id: u64,
    /// Its page in NetBox.
    url: String,
    /// As NetBox wrote it.
    last_updated: String,
}

/// One object with what happened to it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "fabric": "lab-fabric", "kind": "VPC", "namespace": "default", "name": "web", "state": "agreed", "reason": null,
    "git": {"repository": "fabrics", "branch": "main", "path": "lab/managed/vpcs/web.yaml",
        "blob": "8f3c1d0b6a5e4f7982c1b0a9d8e7f6a5b4c3d2e1"},
    "netbox": {"netbox": "lab", "id": 6, "url": "https://netbox.example.com/plugins/hedgehog/vpcs/6/",
        "last_updated": "2026-11-21T04:48:50.238000Z"},
    "history": [{
        "at": "2026-11-21T04:49:07.120Z", "outcome": "git_updated", "reason": null, "run": "01KAJ3V2Q8H5J0B7D9F3G6K1MN",
        "jobs": ["01KAJ3V0M1W9T6N4ZC5X8R7QHD"], "commit": "2b7e151628aed2a6abf7158809cf4f3c762e7160", "by": ["ada"], "request": null,
    }],
}))]
pub(super) struct ObjectDetailView {
    #[serde(flatten)]
    object: ObjectView,
    /// Newest first: the last 20 things that runs did to it, as long as runs are kept.
    history: Vec<TouchView>,
}

/// Something that a run did to an object.
#[derive(Debug, Serialize, ToSchema)]
struct TouchView {
    /// RFC 3339, UTC.
    at: String,
    outcome: OutcomeWord,
    reason: Option<ReasonView>,
    run: String,
    /// The jobs that asked for the run, oldest first, a few of them; empty once the run is no longer kept.
    jobs: Vec<String>,
    /// Our commit, for what was done in Git; for what was done in NetBox the commit that asked for it.
    commit: Option<String>,
    /// NetBox users whose change it was; for what was done in NetBox the author of that commit.
    by: Vec<String>,
    /// `X-Request-ID` of our write to NetBox, the same as in its change log.
    request: Option<String>,
}

/// Lists a fabric's objects
///
/// All that both sides have agreed on, and those that wait for a person.
#[utoipa::path(
    tag = "objects",
    params(
        ("name" = String, Path, description = "The fabric's name"),
        ("kind" = Option<String>, Query, description = "Only objects of this kind"),
        ("cursor" = Option<String>, Query, description = "The `next` of the page before"),
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 1000, description = "Objects on a page; 100 when not given"),
    ),
    responses((status = 200, description = "A page of objects", body = ObjectsView)),
    security(("api_token" = ["read"])),
)]
#[get("/api/v1/fabrics/{name}/objects")]
pub(super) async fn list_objects(
    _token: ApiToken,
    name: web::Path<String>,
    query: Query<ObjectsQuery>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let ObjectsQuery { kind, cursor, limit: size } = query.0;
    let size = limit(size.as_deref(), STANDARD, MOST)?;
    let fabric = find(&state, &name)?;
    let after = cursor.map(|text| read_cursor(&text)).transpose()?;
    let keys = state.ledger.object_keys(&fabric.name).await?;
    let wanted = |key: &Key| {
        kind.as_deref().is_none_or(|kind| kind == key.kind.as_str()) && after.as_ref().is_none_or(|after| key > after)
    };
    let mut rest = keys.into_iter().filter(wanted);
    let page: Vec<Key> = rest.by_ref().take(size).collect();
    let next = page.last().filter(|_| rest.next().is_some()).map(ToString::to_string);
    let known = state.ledger.objects(&fabric.name, &fabric.netbox, &page).await?;
    let objects = known.into_iter().map(|known| ObjectView::of(&state, fabric, known)).collect();
    Ok(HttpResponse::Ok().json(ObjectsView { objects, next }))
}

/// Shows one object: where it is, how it stands, and what happened to it
#[utoipa::path(
    tag = "objects",
    params(
        ("fabric" = String, Path, description = "The fabric's name"),
        ("kind" = String, Path, description = "The object's kind", example = "VPC"),
        ("namespace" = String, Path, description = "The object's namespace", example = "default"),
        ("name" = String, Path, description = "The object's name", example = "web"),
    ),
    responses(
        (status = 200, description = "The object", body = ObjectDetailView),
        (status = 404, description = "Nothing is known of the object, or there is no such fabric", body = Problem, content_type = "application/problem+json"),
    ),
    security(("api_token" = ["read"])),
)]
#[get("/api/v1/objects/{fabric}/{kind}/{namespace}/{name}")]
pub(super) async fn show_object(
    _token: ApiToken,
    _query: Query<NoParameters>,
    path: web::Path<(String, String, String, String)>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let Found { fabric, known, history, jobs } = look_up(&state, path.into_inner()).await?;
    let history = history.into_iter().map(|(at, touch)| TouchView::of(at, touch, &jobs)).collect();
    Ok(HttpResponse::Ok().json(ObjectDetailView { object: ObjectView::of(&state, fabric, known), history }))
}

/// One object, and what happened to it, newest first.
pub(super) struct Found<'s> {
    pub fabric: &'s Fabric,
    pub known: ObjectKnown,
    pub history: Vec<(Millis, Touch)>,
    /// The jobs that asked for each run, as far as the runs are kept.
    pub jobs: BTreeMap<RunId, Vec<JobId>>,
}

/// Looks up what is known of an object: fabric, kind, namespace and name.
pub(super) async fn look_up(
    state: &HttpState,
    (fabric, kind, namespace, name): (String, String, String, String),
) -> Result<Found<'_>, Problem> {
    let fabric = find(state, &fabric)?;
    let key = Key { kind: Kind::new(&kind), namespace, name };
    let history = state.ledger.history(&fabric.name, &key).await?;
    let known = state.ledger.objects(&fabric.name, &fabric.netbox, std::slice::from_ref(&key)).await?;
    let is_known = |known: &ObjectKnown| known.base.is_some() || known.held.is_some() || !history.is_empty();
    let known = known.into_iter().next().filter(is_known).ok_or_else(|| {
        let detail = format!("nothing is known of {key} in {}{}", fabric.name, spelling(state, &key.kind));
        Problem::not_found("unknown_object", detail, "List the objects with GET /api/v1/fabrics/{name}/objects.")
    })?;
    let jobs = jobs_of(state, fabric, &history).await?;
    Ok(Found { fabric, known, history, jobs })
}

/// What to add to an answer that nothing was found, when the kind is one in another spelling.
pub(super) fn spelling(state: &HttpState, kind: &Kind) -> String {
    let meant = state.routing.catalogue.meant_by(kind);
    meant.map(|meant| format!("; the kind is written {meant}")).unwrap_or_default()
}

async fn jobs_of(
    state: &HttpState,
    fabric: &Fabric,
    history: &[(Millis, Touch)],
) -> Result<BTreeMap<RunId, Vec<JobId>>, Problem> {
    let mut jobs: BTreeMap<RunId, Vec<JobId>> = BTreeMap::new();
    for (_, touch) in history {
        if jobs.contains_key(&touch.run) {
            continue;
        }
        let run = state.ledger.run(&touch.run).await?;
        let parts = run.into_iter().flat_map(|run| run.parts).filter(|part| part.fabric == fabric.name);
        jobs.insert(touch.run.clone(), parts.flat_map(|part| part.jobs).collect());
    }
    Ok(jobs)
}

/// `Kind/namespace/name`, as `next` writes it.
pub(super) fn read_cursor(text: &str) -> Result<Key, Problem> {
    let parts: Vec<&str> = text.splitn(3, '/').collect();
    match parts.as_slice() {
        [kind, namespace, name] => {
            Ok(Key { kind: Kind::new(kind), namespace: (*namespace).to_owned(), name: (*name).to_owned() })
        }
        _ => Err(bad_parameter("cursor", "the `next` of a page before")),
    }
}

impl ObjectView {
    fn of(state: &HttpState, fabric: &Fabric, known: ObjectKnown) -> Self {
        let stands = state_of(&known);
        let ObjectKnown { key, base, held, .. } = known;
        let (file, row) = base.map(|base| (base.git, base.netbox)).unwrap_or_default();
        Self {
            fabric: fabric.name.to_string(),
            state: stands,
            reason: held.map(ReasonView::from),
            git: file.map(|file| ObjectFileView {
                repository: fabric.target.repo.to_string(),
                branch: fabric.target.branch.to_string(),
                path: file.path.to_string(),
                blob: file.blob.to_string(),
            }),
            netbox: row.map(|row| ObjectRowView {
                netbox: fabric.netbox.to_string(),
                id: row.id,
                url: page_in_netbox(state, fabric, &key.kind, row.id),
                last_updated: row.last_updated,
            }),
            kind: key.kind.to_string(),
            namespace: key.namespace,
            name: key.name,
        }
    }
}

/// How an object stands.
pub(super) fn state_of(known: &ObjectKnown) -> ObjectState {
    let is_proposed = known.held.as_ref().is_some_and(|reason| reason.code == "proposed");
    match (known.in_conflict, is_proposed, known.held.is_some(), known.pending, known.base.is_some()) {
        (true, ..) => ObjectState::Conflict,
        (_, true, ..) => ObjectState::Proposed,
        (_, _, true, ..) => ObjectState::Held,
        (_, _, _, true, _) => ObjectState::Pending,
        (_, _, _, _, true) => ObjectState::Agreed,
        (_, _, _, _, false) => ObjectState::Gone,
    }
}

/// A row's page in NetBox.
pub(super) fn page_in_netbox(state: &HttpState, fabric: &Fabric, kind: &Kind, id: u64) -> String {
    let sender = state.routing.netboxes.iter().find(|sender| sender.name == fabric.netbox);
    let spec = state.routing.catalogue.get(kind);
    let list = spec.zip(sender).map(|(spec, sender)| match (sender.model, spec.plugin_endpoint()) {
        (Model::Hedgehog, Some(plugin)) => plugin,
        (Model::Hedgehog | Model::CustomObjects, _) => spec.endpoint(),
    });
    let base = sender.map(|sender| sender.url.trim_end_matches('/')).unwrap_or_default();
    format!("{base}/{}{id}/", list.unwrap_or_default())
}

impl TouchView {
    fn of(at: Millis, touch: Touch, jobs: &BTreeMap<RunId, Vec<JobId>>) -> Self {
        let Touch { run, outcome, commit, by, request } = touch;
        let (outcome, reason) = outcome_of(outcome);
        Self {
            at: rfc3339(at),
            outcome,
            reason: reason.map(ReasonView::from),
            jobs: jobs.get(&run).into_iter().flatten().map(ToString::to_string).collect(),
            run: run.to_string(),
            commit: commit.map(String::from),
            by,
            request,
        }
    }
}
