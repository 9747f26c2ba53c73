//! What differs between both sides of a fabric, and asking for a new look.

use actix_web::{HttpResponse, get, post, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::change::Change;
use crate::domain::drift::Difference;
use crate::ledger::drift::{Comparison, DriftRecord, DriftSubject, FabricDrift, Seen};

use super::HttpState;
use super::answers::AcceptedView;
use super::asking::answer_with_job;
use super::fabrics::find;
use super::input::{JsonBody, NoParameters, Query, bad_field, bad_parameter, limit};
use super::problem::Problem;
use super::report::{KeyView, ReasonView};
use super::time::rfc3339;
use super::token::{ApiToken, Operator};

/// Largest page, and the one when none is asked for.
const MOST: usize = 1_000;
const STANDARD: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DriftQuery {
    difference: Option<String>,
    cursor: Option<String>,
    limit: Option<String>,
}

/// What differs, by difference and object.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "fabric": "lab-fabric",
    "compared": {"at": "2026-11-21T04:49:07.120Z", "head": "2b7e151628aed2a6abf7158809cf4f3c762e7160",
        "run": "01KAJ3V2Q8H5J0B7D9F3G6K1MN", "dry_run": false},
    "counts": {"only_in_netbox": 0, "only_in_git": 0, "different": 0, "conflict": 1, "invalid": 0},
    "items": [{
        "difference": "conflict", "key": {"kind": "VPC", "namespace": "default", "name": "web"}, "path": null,
        "paths": ["/spec/subnets/web/vlan"],
        "reason": {"code": "changed_on_both_sides", "message": "It was changed in Git and in NetBox."},
        "seen": {"at": "2026-11-21T04:49:07.120Z", "head": "2b7e151628aed2a6abf7158809cf4f3c762e7160"},
    }],
    "next": null,
}))]
pub(super) struct DriftView {
    fabric: String,
    /// The last comparison of everything; null when there was none yet. Runs since then have kept up what they looked at.
    compared: Option<ComparisonView>,
    /// Of all items, whatever the filter and the page.
    counts: DifferenceCounts,
    items: Vec<DriftItemView>,
    /// Pass as `cursor` for the next page; null at the end.
    next: Option<String>,
}

/// A comparison of everything.
#[derive(Debug, Serialize, ToSchema)]
struct ComparisonView {
    #[serde(flatten)]
    seen: SeenView,
    run: String,
    /// Whether it only looked; otherwise it also brought together what it could, and that is no difference any more.
    dry_run: bool,
}

/// Of which state of both sides it is said.
#[derive(Debug, Serialize, ToSchema)]
struct SeenView {
    /// When both sides were read: RFC 3339, UTC.
    at: String,
    /// The head that was read; null where the branch did not exist.
    head: Option<String>,
}

/// How many objects and files differ in which way.
#[derive(Debug, Default, Serialize, ToSchema)]
struct DifferenceCounts {
    only_in_netbox: usize,
    only_in_git: usize,
    different: usize,
    conflict: usize,
    invalid: usize,
}

/// One object or file whose sides are not equal.
#[derive(Debug, Serialize, ToSchema)]
struct DriftItemView {
    difference: Difference,
    /// The object; null for a file that is none.
    key: Option<KeyView>,
    /// Of a file that is no object, from the repository's root; else null.
    path: Option<String>,
    /// JSON pointers into the document: where the sides differ. The first twenty; empty where one side is missing.
    paths: Vec<String>,
    /// Why it is left so; null for what the next run brings together.
    reason: Option<ReasonView>,
    /// When it was last looked at.
    seen: SeenView,
}

/// What a comparison of everything may do.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReconcileRequest {
    #[schema(required, value_type = ReconcileMode)]
    mode: Option<ReconcileMode>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ReconcileMode {
    /// Brings both sides together as far as the fabric's policies allow: the same as `sync`.
    Heal,
    /// Only looks; nothing is written on either side: the same as `sync` with `dry_run`.
    Report,
}

/// Tells what differs between Git and NetBox
///
/// As of the last comparison of everything, by schedule or on request, kept up by the runs since then. What a run brings
/// together is no difference. Documents in raw/ are not listed: they are what Git wants, not what it has.
#[utoipa::path(
    tag = "fabrics",
    params(
        ("name" = String, Path, description = "The fabric's name"),
        ("difference" = Option<Difference>, Query, description = "Only items that differ so"),
        ("cursor" = Option<String>, Query, description = "The `next` of the page before"),
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 1000, description = "Items on a page; 100 when not given"),
    ),
    responses((status = 200, description = "What differs", body = DriftView)),
    security(("api_token" = ["read"])),
)]
#[get("/api/v1/fabrics/{name}/drift")]
pub(super) async fn show_drift(
    _token: ApiToken,
    query: Query<DriftQuery>,
    name: web::Path<String>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let DriftQuery { difference, cursor, limit: size } = query.0;
    let size = limit(size.as_deref(), STANDARD, MOST)?;
    let wanted = difference.as_deref().map(read_difference).transpose()?;
    let fabric = find(&state, &name)?;
    let FabricDrift { compared, items } = state.ledger.drift(&fabric.name).await?;
    let mut counts = DifferenceCounts::default();
    let mut some: Vec<(String, DriftItemView)> = Vec::new();
    for ((difference, subject), record) in items {
        counts.add(difference);
        let place = format!("{difference}/{}", shown(&subject));
        let is_next = cursor.as_ref().is_none_or(|cursor| place > *cursor);
        if is_next && wanted.is_none_or(|wanted| wanted == difference) {
            some.push((place, DriftItemView::of(subject, record)));
        }
    }
    some.sort_by(|(a, _), (b, _)| a.cmp(b));
    let more = some.len() > size;
    some.truncate(size);
    let next = some.last().filter(|_| more).map(|(place, _)| place.clone());
    Ok(HttpResponse::Ok().json(DriftView {
        fabric: fabric.name.to_string(),
        compared: compared.map(ComparisonView::from),
        counts,
        items: some.into_iter().map(|(_, item)| item).collect(),
        next,
    }))
}

/// Compares a fabric as a whole, and heals or only reports what differs
#[utoipa::path(
    tag = "fabrics",
    params(("name" = String, Path, description = "The fabric's name")),
    request_body(content = ReconcileRequest, example = json!({"mode": "report"})),
    responses((status = 202, description = "The job that does it", body = AcceptedView)),
    security(("api_token" = ["operate"])),
)]
#[post("/api/v1/fabrics/{name}/reconcile")]
pub(super) async fn reconcile_fabric(
    Operator(token): Operator,
    _query: Query<NoParameters>,
    name: web::Path<String>,
    body: JsonBody<ReconcileRequest>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let fabric = find(&state, &name)?;
    let (what, change) = match body.0.mode {
        None => return Err(bad_field("`mode` is missing: one of heal, report")),
        Some(ReconcileMode::Heal) => ("reconciliation", Change::Everything),
        Some(ReconcileMode::Report) => ("drift report", Change::DryRun),
    };
    answer_with_job(&state, fabric, format!("{what} by {}", token.name), change).await
}

fn read_difference(text: &str) -> Result<Difference, Problem> {
    let all = "one of only_in_netbox, only_in_git, different, conflict, invalid";
    serde_json::from_value(text.into()).map_err(|_| bad_parameter("difference", all))
}

fn shown(subject: &DriftSubject) -> String {
    match subject {
        DriftSubject::Object(key) => key.to_string(),
        DriftSubject::File(path) => path.to_string(),
    }
}

impl DifferenceCounts {
    fn add(&mut self, difference: Difference) {
        *match difference {
            Difference::OnlyInNetbox => &mut self.only_in_netbox,
            Difference::OnlyInGit => &mut self.only_in_git,
            Difference::Different => &mut self.different,
            Difference::Conflict => &mut self.conflict,
            Difference::Invalid => &mut self.invalid,
        } += 1;
    }
}

impl DriftItemView {
    fn of(subject: DriftSubject, DriftRecord { drift, seen }: DriftRecord) -> Self {
        let (key, path) = match subject {
            DriftSubject::Object(key) => (Some(key.into()), None),
            DriftSubject::File(path) => (None, Some(path.to_string())),
        };
        Self {
            difference: drift.difference,
            key,
            path,
            paths: drift.paths,
            reason: drift.reason.map(ReasonView::from),
            seen: seen.into(),
        }
    }
}

impl From<Comparison> for ComparisonView {
    fn from(Comparison { seen, run, dry_run }: Comparison) -> Self {
        Self { seen: seen.into(), run: run.to_string(), dry_run }
    }
}

impl From<Seen> for SeenView {
    fn from(Seen { at, head }: Seen) -> Self {
        Self { at: rfc3339(at), head: head.map(String::from) }
    }
}
