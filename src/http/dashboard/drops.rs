//! `/drops`: what became of the documents that people dropped into raw/.

use std::collections::BTreeSet;

use actix_web::{HttpResponse, web};
use maud::{Markup, html};
use serde::Deserialize;

use crate::domain::names::FabricName;
use crate::domain::report::{Counts, FabricReport};
use crate::http::HttpState;
use crate::http::input::Query;
use crate::http::problem::Problem;
use crate::ledger::types::{Millis, RunFilter};

use super::report::{as_drop, drop_cells};
use super::session::Viewer;
use super::shell::{Tab, page};
use super::words::{fabric_link, run_link, when};

/// Runs that are looked through for documents.
const RUNS: usize = 500;
/// Reports that are read for them.
const MOST_REPORTS: usize = 30;
/// Documents that are listed.
const MOST_DOCUMENTS: usize = 500;

/// What the list is narrowed to.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DropsPage {
    #[serde(default)]
    fabric: String,
}

/// `GET /drops`
pub(super) async fn list(
    viewer: Viewer,
    query: Query<DropsPage>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let fabric = query.0.fabric;
    let reports = reports(&state, &fabric).await?;
    let content = html! {
        div.title { h1 { "Raw drops" } }
        form.filter method="get" action=(viewer.link("/drops")) {
            (super::jobs::fabric_choice(&state, &fabric))
            button type="submit" { "Show" }
        }
        section #drops data-live="run" { (table(&viewer, &reports)) }
    };
    Ok(page(&viewer, Tab::Drops, "Raw drops", content))
}

/// The newest reports that speak of raw documents, newest first.
async fn reports(state: &HttpState, fabric: &str) -> Result<Vec<(Millis, FabricReport)>, Problem> {
    let only = Some(fabric).filter(|fabric| !fabric.is_empty()).map(FabricName::new);
    let filter = RunFilter { fabric: only.clone(), after: None, limit: RUNS };
    let mut reports = Vec::new();
    for run in state.ledger.runs(&filter).await?.runs {
        for part in run.parts.iter().filter(|part| only.as_ref().is_none_or(|only| part.fabric == *only)) {
            if reports.len() == MOST_REPORTS {
                return Ok(reports);
            }
            if !part.counts.as_ref().is_some_and(may_have_documents) {
                continue;
            }
            let report = state.ledger.report(&run.id, &part.fabric).await?;
            reports.extend(report.filter(has_documents).map(|report| (run.started, report)));
        }
    }
    Ok(reports)
}

/// Held objects are counted with held documents.
fn may_have_documents(counts: &Counts) -> bool {
    counts.ingested + counts.unmanaged + counts.rejected + counts.held > 0
}

fn has_documents(report: &FabricReport) -> bool {
    !report.dry_run && report.items.iter().any(|item| as_drop(item).is_some())
}

fn table(viewer: &Viewer, reports: &[(Millis, FabricReport)]) -> Markup {
    // A document that waits is told of in every run; the newest counts.
    let mut seen = BTreeSet::new();
    let mut documents = Vec::new();
    for (at, report) in reports {
        for drop in report.items.iter().filter_map(as_drop) {
            if seen.insert((&report.fabric, drop.path, drop.index, drop.item)) {
                documents.push((at, report, drop));
            }
        }
    }
    let more = documents.len() > MOST_DOCUMENTS;
    html! {
        @if documents.is_empty() {
            div.empty {
                h2 { "No raw document lately" }
                p { "Push Kubernetes YAML of any shape to " code { "<directory>/raw/" } " of a fabric: each document is taken over, or its reason not to be stands here." }
            }
        } @else {
            div.table.cards {
                table {
                    thead { tr { th { "File" } th { "Fate" } th { "Object" } th { "Why" } th { "Fabric" } th { "Run" } } }
                    tbody {
                        @for (at, report, drop) in documents.iter().take(MOST_DOCUMENTS) {
                            tr {
                                (drop_cells(drop))
                                td { (fabric_link(viewer, &report.fabric)) }
                                td { (run_link(viewer, &report.run)) div.below { (when(**at)) } }
                            }
                        }
                    }
                }
            }
            @if more { p.quiet { "The newest " (MOST_DOCUMENTS) " are listed; each run lists its own." } }
        }
    }
}
