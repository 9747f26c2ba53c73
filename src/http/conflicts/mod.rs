//! `/api/v1/conflicts`: what waits for a person, with both sides, and what the person says.

mod request;
mod views;

use actix_web::{HttpResponse, get, post, web};
use serde::Deserialize;

use crate::domain::change::Change;
use crate::domain::conflict::{Documents, Resolution};
use crate::domain::key::Key;
use crate::domain::kind::Kind;
use crate::domain::names::FabricName;
use crate::domain::policy::Fabric;
use crate::ledger::conflicts::ConflictRecord;
use crate::ledger::types::{Accept, Accepted, Origin};

use super::HttpState;
use super::answers::AcceptedView;
use super::input::{JsonBody, NoParameters, Query, limit};
use super::objects::spelling;
use super::problem::Problem;
use super::token::{ApiToken, Operator};

pub(super) use request::{ResolveRequest, SideWord};
use views::{ConflictDetailView, ConflictView, ConflictsView};

/// Largest page, and the one when none is asked for.
const MOST: usize = 1_000;
const STANDARD: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConflictsQuery {
    fabric: Option<String>,
    cursor: Option<String>,
    limit: Option<String>,
}

/// Lists conflicts, by fabric and object
///
/// Without their documents. A conflict goes by itself when both sides become equal.
#[utoipa::path(
    tag = "conflicts",
    params(
        ("fabric" = Option<String>, Query, description = "Only this fabric's"),
        ("cursor" = Option<String>, Query, description = "The `next` of the page before"),
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 1000, description = "Conflicts on a page; 100 when not given"),
    ),
    responses(
        (status = 200, description = "A page of conflicts", body = ConflictsView),
        (status = 404, description = "The settings have no such fabric", body = Problem, content_type = "application/problem+json"),
    ),
    security(("api_token" = ["read"])),
)]
#[get("/api/v1/conflicts")]
pub(super) async fn list_conflicts(
    _token: ApiToken,
    query: Query<ConflictsQuery>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let ConflictsQuery { fabric, cursor, limit: asked } = query.0;
    let limit = limit(asked.as_deref(), STANDARD, MOST)?;
    let (listed, next) = list(&state, fabric.as_deref(), cursor.as_deref(), limit).await?;
    let conflicts = listed.into_iter().map(|Listed { fabric, key, record }| ConflictView::of(&fabric, key, record));
    Ok(HttpResponse::Ok().json(ConflictsView { conflicts: conflicts.collect(), next }))
}

/// A conflict of a list.
pub(super) struct Listed {
    pub fabric: FabricName,
    pub key: Key,
    pub record: ConflictRecord,
}

/// A page of conflicts by fabric and object, and where the next one begins.
pub(super) async fn list(
    state: &HttpState,
    fabric: Option<&str>,
    cursor: Option<&str>,
    limit: usize,
) -> Result<(Vec<Listed>, Option<String>), Problem> {
    let fabrics: Vec<&Fabric> = match fabric {
        Some(name) => vec![find_fabric(state, name)?],
        None => state.routing.fabrics.iter().collect(),
    };
    let mut conflicts = Vec::new();
    for fabric in fabrics {
        for (key, record) in state.ledger.conflicts(&fabric.name).await? {
            let place = format!("{}/{key}", fabric.name);
            if cursor.is_none_or(|cursor| place.as_str() > cursor) {
                conflicts.push((place, Listed { fabric: fabric.name.clone(), key, record }));
            }
        }
    }
    conflicts.sort_by(|(a, _), (b, _)| a.cmp(b));
    let more = conflicts.len() > limit;
    conflicts.truncate(limit);
    let next = conflicts.last().filter(|_| more).map(|(place, _)| place.clone());
    Ok((conflicts.into_iter().map(|(_, listed)| listed).collect(), next))
}

/// Shows one conflict with the documents of both sides and of what they last agreed on
#[utoipa::path(
    tag = "conflicts",
    params(
        ("fabric" = String, Path, description = "The fabric's name"),
        ("kind" = String, Path, description = "The object's kind", example = "VPC"),
        ("namespace" = String, Path, description = "The object's namespace", example = "default"),
        ("name" = String, Path, description = "The object's name", example = "web"),
    ),
    responses(
        (status = 200, description = "The conflict", body = ConflictDetailView),
        (status = 404, description = "The object has no conflict, or there is no such fabric", body = Problem, content_type = "application/problem+json"),
    ),
    security(("api_token" = ["read"])),
)]
#[get("/api/v1/conflicts/{fabric}/{kind}/{namespace}/{name}")]
pub(super) async fn show_conflict(
    _token: ApiToken,
    _query: Query<NoParameters>,
    path: web::Path<(String, String, String, String)>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let (fabric, key) = object(&state, path.into_inner())?;
    let (record, documents, resolution) = find(&state, fabric, &key).await?;
    Ok(HttpResponse::Ok().json(ConflictDetailView::of(&fabric.name, key, (record, documents, resolution))))
}

/// Decides a conflict
///
/// The decision counts for the two contents that the conflict shows now; should either side move before the run that
/// carries it out, the conflict stays. The job says what came of it.
#[utoipa::path(
    tag = "conflicts",
    params(
        ("fabric" = String, Path, description = "The fabric's name"),
        ("kind" = String, Path, description = "The object's kind", example = "VPC"),
        ("namespace" = String, Path, description = "The object's namespace", example = "default"),
        ("name" = String, Path, description = "The object's name", example = "web"),
    ),
    request_body(content = ResolveRequest, example = json!({"side": "netbox"})),
    responses(
        (status = 202, description = "The job that carries it out", body = AcceptedView),
        (status = 404, description = "The object has no conflict, or there is no such fabric", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The sides moved since `version`, or this side cannot be chosen here", body = Problem, content_type = "application/problem+json"),
    ),
    security(("api_token" = ["operate"])),
)]
#[post("/api/v1/conflicts/{fabric}/{kind}/{namespace}/{name}/resolve")]
pub(super) async fn resolve_conflict(
    Operator(token): Operator,
    _query: Query<NoParameters>,
    path: web::Path<(String, String, String, String)>,
    body: JsonBody<ResolveRequest>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let (fabric, key) = object(&state, path.into_inner())?;
    let accepted = decide(&state, &token, (fabric, key), &body.0).await?;
    Ok(HttpResponse::Accepted().json(AcceptedView::of(&state, &accepted)))
}

/// Records what a person decided about an object; the job that carries it out.
pub(super) async fn decide(
    state: &HttpState,
    token: &ApiToken,
    (fabric, key): (&Fabric, Key),
    asked: &ResolveRequest,
) -> Result<Accepted, Problem> {
    let choice = asked.choice(&key, &state.routing.catalogue)?;
    let (record, documents, _) = find(state, fabric, &key).await?;
    asked.require_version(&record.conflict)?;
    request::require_possible(&choice, fabric, &record.conflict, &documents)?;
    let resolution = Resolution {
        choice,
        git: record.conflict.git.map(|git| git.digest),
        netbox: record.conflict.netbox.map(|netbox| netbox.digest),
        by: token.name.clone(),
    };
    state.ledger.resolve(&fabric.name, &key, &resolution).await?;
    let what = format!("conflict of {key} resolved by {}", token.name);
    let changes = vec![(fabric.name.clone(), fabric.target.clone(), Change::Resolution { key })];
    let accept = Accept { origin: Origin::Request { what }, dedupe: None, changes, at_once: true };
    Ok(state.accept(&accept).await?)
}

fn find_fabric<'s>(state: &'s HttpState, name: &str) -> Result<&'s Fabric, Problem> {
    state.routing.fabric(&FabricName::new(name)).ok_or_else(|| {
        let detail = format!("the settings have no fabric {name}");
        Problem::not_found("unknown_fabric", detail, "List the fabrics with GET /api/v1/fabrics.")
    })
}

pub(super) fn object(
    state: &HttpState,
    (fabric, kind, namespace, name): (String, String, String, String),
) -> Result<(&Fabric, Key), Problem> {
    Ok((find_fabric(state, &fabric)?, Key { kind: Kind::new(&kind), namespace, name }))
}

pub(super) async fn find(
    state: &HttpState,
    fabric: &Fabric,
    key: &Key,
) -> Result<(ConflictRecord, Documents, Option<Resolution>), Problem> {
    state.ledger.conflict(&fabric.name, key).await?.ok_or_else(|| {
        let hint = spelling(state, &key.kind);
        let detail = format!("{key} of {} has no conflict (any more){hint}", fabric.name);
        Problem::not_found("no_conflict", detail, "List the conflicts with GET /api/v1/conflicts.")
    })
}
