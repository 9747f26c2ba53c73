//! `/api/v1/runs/{id}/edits`: what a run changed in files, as diffs.

use actix_web::{HttpResponse, get, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::file_edit::{FileEdit, RunEdits};
use crate::domain::names::FabricName;

use super::HttpState;
use super::input::{Query, limit};
use super::problem::Problem;
use super::runs::find;
use super::token::ApiToken;

/// Largest page, and the one when none is asked for. A fabric's share has 64 KiB at most.
const MOST: usize = 50;
const STANDARD: usize = 10;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EditsQuery {
    fabric: Option<String>,
    cursor: Option<String>,
    limit: Option<String>,
}

/// What a run changed in files, by fabric.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "run": "01KAJ3V2Q8H5J0B7D9F3G6K1MN",
    "fabrics": [{
        "fabric": "lab-fabric",
        "files": [{
            "path": "lab/managed/vpcs/web.yaml",
            "diff": "@@ -8,4 +8,4 @@\n   subnets:\n     web:\n-      vlan: 1010\n+      vlan: 1011\n       subnet: 10.0.1.0/24\n",
        }],
        "left_out": 0,
    }],
    "next": null,
}))]
pub(super) struct EditsView {
    run: String,
    /// All of the run's, also those in which no file was changed.
    fabrics: Vec<FabricEditsView>,
    /// Pass as `cursor` for the next page; null at the end.
    next: Option<String>,
}

/// The changed files of one fabric: the first hundred, and up to 64 KiB.
#[derive(Debug, Serialize, ToSchema)]
struct FabricEditsView {
    fabric: String,
    /// By path.
    files: Vec<FileEditView>,
    /// Files that are not listed because they were too many or too large; the commit has them.
    left_out: u64,
}

/// One changed file.
#[derive(Debug, Serialize, ToSchema)]
struct FileEditView {
    /// From the repository's root.
    path: String,
    /// In the unified format, without the lines that name the file: from `@@` on.
    diff: String,
}

/// Shows what a run changed in files
///
/// Those below managed/, as kept for a week after the run; the commit has them for ever. A dry run's are those that it
/// would have made.
#[utoipa::path(
    tag = "runs",
    params(
        ("id" = String, Path, description = "The run's id", example = "01KAJ3V2Q8H5J0B7D9F3G6K1MN"),
        ("fabric" = Option<String>, Query, description = "Only this fabric's"),
        ("cursor" = Option<String>, Query, description = "The `next` of the page before"),
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 50, description = "Fabrics on a page; 10 when not given"),
    ),
    responses(
        (status = 200, description = "A page of the run's fabrics, by name", body = EditsView),
        (status = 404, description = "There is no such run, or it is no longer kept", body = Problem, content_type = "application/problem+json"),
    ),
    security(("api_token" = ["read"])),
)]
#[get("/api/v1/runs/{id}/edits")]
pub(super) async fn show_edits(
    _token: ApiToken,
    query: Query<EditsQuery>,
    id: web::Path<String>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let EditsQuery { fabric: wanted, cursor, limit: size } = query.0;
    let size = limit(size.as_deref(), STANDARD, MOST)?;
    let run = find(&state, &id).await?;
    let mut some = run.parts.iter().map(|part| &part.fabric).filter(|fabric| {
        wanted.as_deref().is_none_or(|wanted| fabric.as_str() == wanted)
            && cursor.as_deref().is_none_or(|after| fabric.as_str() > after)
    });
    let page: Vec<&FabricName> = some.by_ref().take(size).collect();
    let next = page.last().filter(|_| some.next().is_some()).map(|fabric| fabric.to_string());
    let mut fabrics = Vec::with_capacity(page.len());
    for fabric in page {
        fabrics.push(FabricEditsView::of(fabric, state.ledger.edits(&run.id, fabric).await?));
    }
    Ok(HttpResponse::Ok().json(EditsView { run: run.id.to_string(), fabrics, next }))
}

impl FabricEditsView {
    fn of(fabric: &FabricName, RunEdits { files, left_out }: RunEdits) -> Self {
        let view = |FileEdit { path, diff }| FileEditView { path, diff };
        Self { fabric: fabric.to_string(), files: files.into_iter().map(view).collect(), left_out }
    }
}
