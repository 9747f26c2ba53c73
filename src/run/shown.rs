//! What people see beside the commit that they pushed.

use url::Url;

use crate::domain::cause::with_causes;
use crate::domain::change::Change;
use crate::domain::fate::{Fate, Reason};
use crate::domain::names::{FabricName, JobId, Oid};
use crate::domain::report::{FabricReport, Item};
use crate::ledger::types::{Claim, PartOutcome, Settlement};
use crate::repo::{StatusReport, StatusState};

use super::Runner;

/// How many documents get a status of their own; the job tells of all.
const MOST_DOCUMENTS: usize = 10;

/// Shows beside a pushed head how each fabric fared. Never fails the run: a status is a courtesy, and the job is the truth.
pub async fn show(runner: &Runner, claim: &Claim, head: Option<&Oid>, settlement: &Settlement) {
    let Ok(site) = runner.site(claim.proof.target()) else { return };
    let (Some(base), Some(head)) = (&site.status_url, head) else { return };
    // Dealt with before, or made by us: nobody waits for a word about it.
    if !matches!(runner.ledger.head(claim.proof.target()).await, Ok(known) if known.as_ref() != Some(head)) {
        return;
    }
    for part in claim.parts.iter().filter(|part| part.changes.contains(&Change::GitMoved)) {
        let Some((fabric, outcome)) = settlement.parts.iter().find(|(fabric, _)| *fabric == part.fabric) else {
            continue;
        };
        for status in statuses(fabric, outcome, address(base, part.jobs.first())) {
            if let Err(error) = site.repository.report_status(head, &status).await {
                tracing::warn!(commit = %head, error = with_causes(&error), "no status was written beside the commit");
                return;
            }
        }
    }
}

fn address(base: &Url, job: Option<&JobId>) -> Option<Url> {
    base.join(&format!("api/v1/jobs/{}", job?)).ok()
}

/// One status for the fabric, and one for each document that could not be taken.
fn statuses(fabric: &FabricName, outcome: &PartOutcome, address: Option<Url>) -> Vec<StatusReport> {
    let status = |state, description: String, context: String| StatusReport {
        state,
        description,
        target_url: address.clone(),
        context,
    };
    let whole = format!("fgd-sync/{fabric}");
    match outcome {
        PartOutcome::Done { report, .. } => {
            let (state, words) = summary(report);
            let documents = refused(report).take(MOST_DOCUMENTS).map(|(place, line, reason)| {
                status(StatusState::Failure, format!("line {line}: {}", reason.message), format!("{whole}: {place}"))
            });
            std::iter::once(status(state, words, whole.clone())).chain(documents).collect()
        }
        PartOutcome::Stalled { error } | PartOutcome::Refused { error } => {
            vec![status(StatusState::Error, error.message.clone(), whole)]
        }
        PartOutcome::Transient { error } | PartOutcome::WaitUntil { error, .. } => {
            vec![status(StatusState::Pending, format!("tried again: {}", error.message), whole)]
        }
        PartOutcome::Returned => Vec::new(),
    }
}

fn summary(report: &FabricReport) -> (StatusState, String) {
    let counts = &report.counts;
    let told = [
        (counts.ingested, "ingested"),
        (counts.netbox_created + counts.netbox_updated + counts.netbox_deleted, "written to NetBox"),
        (counts.rejected, "rejected"),
        (counts.unmanaged, "unmanaged"),
        (counts.held, "held for a person"),
    ];
    let words: Vec<String> =
        told.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    let state = if counts.rejected + counts.held > 0 { StatusState::Failure } else { StatusState::Success };
    (state, if words.is_empty() { "nothing to do".to_owned() } else { words.join(", ") })
}

/// Documents that were refused: `path#index` (of a list `path#index/item`), line and reason.
fn refused(report: &FabricReport) -> impl Iterator<Item = (String, u64, &Reason)> {
    report.items.iter().filter_map(|item| match item {
        Item::Document { path, index, item_index, line, fate } => {
            let (Fate::Rejected { reason, .. } | Fate::Held { reason, .. }) = fate else { return None };
            let item = item_index.map(|item| format!("/{item}")).unwrap_or_default();
            Some((format!("{path}#{index}{item}"), *line, reason))
        }
        Item::Object { .. } | Item::File { .. } | Item::Warning { .. } => None,
    })
}
