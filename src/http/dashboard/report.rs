//! What a run did for one fabric: its plan, edits, writes, and the fate of every document.

use maud::{Markup, html};

use crate::domain::fate::{Effect, Fate, Reason};
use crate::domain::file_edit::{FileEdit, RunEdits};
use crate::domain::key::Key;
use crate::domain::names::{FabricName, Oid, RunId, Target};
use crate::domain::report::{Counts, FabricReport, Item, MAX_ITEMS, Outcome};
use crate::http::HttpState;
use crate::http::problem::Problem;

use super::session::Viewer;
use super::words::{Tone, badge, conflict_path, count, object, object_link, oid, run_link};

/// What a run did for a fabric, and what it changed in its files; `None` when it did not come through.
pub(super) async fn told(
    state: &HttpState,
    run: &RunId,
    fabric: &FabricName,
) -> Result<Option<(FabricReport, RunEdits)>, Problem> {
    let Some(report) = state.ledger.report(run, fabric).await? else { return Ok(None) };
    Ok(Some((report, state.ledger.edits(run, fabric).await?)))
}

/// A report as sections; `target` says where its commit is.
pub(super) fn report(
    viewer: &Viewer,
    state: &HttpState,
    target: &Target,
    (report, edits): (&FabricReport, &RunEdits),
) -> Markup {
    let objects: Vec<(&Key, &Outcome)> = report.items.iter().filter_map(as_object).collect();
    let of =
        |wanted: fn(&Outcome) -> bool| objects.iter().copied().filter(move |(_, outcome)| wanted(outcome)).collect();
    let (git, netbox, held): (Vec<_>, Vec<_>, Vec<_>) = (of(is_git), of(is_netbox), of(is_held));
    html! {
        @if report.dry_run {
            p.notice { "A dry run: this is what a sync would do. Nothing was written on either side." }
        }
        (numbers(&report.counts))
        p.quiet {
            "Run " (run_link(viewer, &report.run))
            @if let Some(head) = &report.planned_on { ", planned on " (oid(head)) }
            @if let Some(commit) = &report.commit { ", commit " (commit_link(state, target, commit)) }
            @if let Some(proposal) = &report.proposal { ", proposed as " (proposal_link(proposal)) }
            "."
        }
        (listed(viewer, report, "Waits for a person", &held))
        (documents(report))
        (listed(viewer, report, if report.dry_run { "Edits of Git, planned" } else { "Edits of Git" }, &git))
        (diffs(edits))
        (listed(viewer, report, if report.dry_run { "Writes to NetBox, planned" } else { "Writes to NetBox" }, &netbox))
        (others(report))
        @if report.items.len() >= MAX_ITEMS { p.quiet { "The first " (MAX_ITEMS) " are listed." } }
    }
}

/// The edits of files, each behind its name.
fn diffs(edits: &RunEdits) -> Markup {
    html! {
        @if edits.files.len() + usize::from(edits.left_out > 0) > 0 {
            h3 { "Changed files " span.quiet { (edits.files.len()) } }
            @for FileEdit { path, diff } in &edits.files {
                details.file id={ "file-" (path) } {
                    summary { code { (path) } " " span.quiet { (added_and_removed(diff)) } }
                    pre.diff tabindex="0" role="region" aria-label={ "What changed in " (path) } {
                        @for line in diff.lines() { span class=[class_of(line)] { (line) } }
                    }
                }
            }
            @if edits.left_out > 0 { p.quiet { (count(edits.left_out, "file", "files")) " more: the commit has them." } }
        }
    }
}

fn class_of(line: &str) -> Option<&'static str> {
    match line.chars().next() {
        Some('+') => Some("added"),
        Some('-') => Some("removed"),
        Some('@') => Some("hunk"),
        Some(_) | None => None,
    }
}

fn added_and_removed(diff: &str) -> String {
    let lines = |sign: char| diff.lines().filter(|line| line.starts_with(sign)).count();
    format!("+{} −{}", lines('+'), lines('-'))
}

fn as_object(item: &Item) -> Option<(&Key, &Outcome)> {
    match item {
        Item::Object { key, outcome, .. } => Some((key, outcome)),
        Item::Document { .. } | Item::File { .. } | Item::Warning { .. } => None,
    }
}

fn is_git(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::GitCreated | Outcome::GitUpdated | Outcome::GitDeleted)
}

fn is_netbox(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::NetboxCreated | Outcome::NetboxUpdated | Outcome::NetboxDeleted)
}

fn is_held(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Held { .. })
}

/// What a run did in numbers, those that are none left out.
pub(super) fn numbers(counts: &Counts) -> Markup {
    let all = [
        (counts.git_written, Tone::Good, "written to Git"),
        (counts.git_deleted, Tone::Attention, "deleted in Git"),
        (counts.netbox_created, Tone::Good, "created in NetBox"),
        (counts.netbox_updated, Tone::Good, "updated in NetBox"),
        (counts.netbox_deleted, Tone::Attention, "deleted in NetBox"),
        (counts.ingested, Tone::Good, "ingested"),
        (counts.unmanaged, Tone::Quiet, "unmanaged"),
        (counts.rejected, Tone::Bad, "rejected"),
        (counts.held, Tone::Attention, "held"),
        (counts.unchanged, Tone::Quiet, "unchanged"),
    ];
    html! {
        p.numbers {
            @if all.iter().all(|(number, ..)| *number == 0) { (badge(Tone::Quiet, "nothing to do")) }
            @for (number, tone, what) in all.into_iter().filter(|(number, ..)| *number > 0) {
                (badge(tone, &format!("{number} {what}"))) " "
            }
        }
    }
}

fn listed(viewer: &Viewer, report: &FabricReport, title: &str, objects: &[(&Key, &Outcome)]) -> Markup {
    html! {
        @if !objects.is_empty() {
            h3 { (title) " " span.quiet { (objects.len()) } }
            div.table.cards {
                table {
                    thead { tr { th { "Object" } th { "What" } th { "Why" } } }
                    tbody {
                        @for (key, outcome) in objects {
                            tr { th scope="row" { (object_link(viewer, &report.fabric, key)) } td { (outcome_word(outcome)) } td.whole { (why(viewer, &report.fabric, key, outcome)) } }
                        }
                    }
                }
            }
        }
    }
}

pub(super) fn outcome_word(outcome: &Outcome) -> Markup {
    let (tone, word) = match outcome {
        Outcome::Unchanged => (Tone::Quiet, "unchanged"),
        Outcome::GitCreated | Outcome::NetboxCreated => (Tone::Good, "created"),
        Outcome::GitUpdated | Outcome::NetboxUpdated => (Tone::Good, "updated"),
        Outcome::GitDeleted | Outcome::NetboxDeleted => (Tone::Attention, "deleted"),
        Outcome::Held { .. } => (Tone::Attention, "held"),
    };
    badge(tone, word)
}

fn why(viewer: &Viewer, fabric: &FabricName, key: &Key, outcome: &Outcome) -> Markup {
    match outcome {
        Outcome::Held { reason } => held_reason(viewer, fabric, key, reason),
        Outcome::Unchanged
        | Outcome::GitCreated
        | Outcome::GitUpdated
        | Outcome::GitDeleted
        | Outcome::NetboxCreated
        | Outcome::NetboxUpdated
        | Outcome::NetboxDeleted => html! {},
    }
}

/// Codes of what `GET /api/v1/conflicts` lists.
const CONFLICTS: [&str; 5] =
    ["changed_on_both_sides", "deleted_and_changed", "first_difference", "unexplained_difference", "lost_edit"];

/// Why an object is held, with the way to its conflict.
pub(super) fn held_reason(viewer: &Viewer, fabric: &FabricName, key: &Key, why: &Reason) -> Markup {
    html! {
        (reason(why))
        @if CONFLICTS.contains(&why.code.as_str()) {
            " " a href=(viewer.link(&conflict_path(fabric, key))) { "Decide" }
        }
    }
}

/// A reason with its code.
pub(super) fn reason(reason: &Reason) -> Markup {
    html! { span.reason { (super::shell::capitalised(&reason.message)) " " code.quiet { (reason.code) } } }
}

/// A document of a raw file and what became of it.
pub(super) struct Drop<'r> {
    pub path: &'r str,
    pub index: usize,
    pub item: Option<usize>,
    pub line: u64,
    pub fate: &'r Fate,
}

pub(super) fn as_drop(item: &Item) -> Option<Drop<'_>> {
    match item {
        Item::Document { path, index, item_index, line, fate } => {
            Some(Drop { path, index: *index, item: *item_index, line: *line, fate })
        }
        Item::Object { .. } | Item::File { .. } | Item::Warning { .. } => None,
    }
}

fn documents(report: &FabricReport) -> Markup {
    let drops: Vec<Drop> = report.items.iter().filter_map(as_drop).collect();
    html! {
        @if !drops.is_empty() {
            h3 { "Raw documents " span.quiet { (drops.len()) } }
            div.table.cards {
                table {
                    thead { tr { th { "File" } th { "Fate" } th { "Object" } th { "Why" } } }
                    tbody { @for drop in &drops { tr { (drop_cells(drop)) } } }
                }
            }
        }
    }
}

/// File and place, fate, object and reason.
pub(super) fn drop_cells(drop: &Drop) -> Markup {
    let (tone, word, key, why): (Tone, String, Option<&Key>, Option<&Reason>) = match drop.fate {
        Fate::Ingested { key, effect } => {
            let effect = match effect {
                Effect::Created => "created",
                Effect::Updated => "updated",
                Effect::Unchanged => "unchanged",
            };
            (Tone::Good, format!("ingested, {effect}"), Some(key), None)
        }
        Fate::Unmanaged { reason } => (Tone::Quiet, "unmanaged".to_owned(), None, Some(reason)),
        Fate::Rejected { key, reason } => (Tone::Bad, "rejected".to_owned(), key.as_ref(), Some(reason)),
        Fate::Held { key, reason } => (Tone::Attention, "held".to_owned(), key.as_ref(), Some(reason)),
        Fate::Pending { key, reason } => (Tone::Busy, "pending".to_owned(), Some(key), Some(reason)),
    };
    let line = why.and_then(|why| why.line).unwrap_or(drop.line);
    html! {
        th scope="row" {
            code { (drop.path) ":" (line) @if let Some(column) = why.and_then(|why| why.column) { ":" (column) } }
            div.below { "document " (drop.index) @if let Some(item) = drop.item { ", item " (item) } }
        }
        td { (badge(tone, &word)) }
        td { @if let Some(key) = key { (object(key)) } @else { span.quiet { "–" } } }
        td.whole { @if let Some(why) = why { (reason(why)) } }
    }
}

fn others(report: &FabricReport) -> Markup {
    let files: Vec<(&str, &Reason, Tone, &str)> = report
        .items
        .iter()
        .filter_map(|item| match item {
            Item::File { path, reason } => Some((path.as_str(), reason, Tone::Attention, "file")),
            Item::Warning { about, reason } => Some((about.as_str(), reason, Tone::Quiet, "warning")),
            Item::Object { .. } | Item::Document { .. } => None,
        })
        .collect();
    html! {
        @if !files.is_empty() {
            h3 { "Files and warnings " span.quiet { (files.len()) } }
            div.table.cards {
                table {
                    thead { tr { th { "About" } th { "What" } th { "Why" } } }
                    tbody {
                        @for (about, why, tone, word) in files {
                            tr { th scope="row" { code { (about) @if let Some(line) = why.line { ":" (line) } } } td { (badge(tone, word)) } td.whole { (reason(why)) } }
                        }
                    }
                }
            }
        }
    }
}

/// A commit, with the way to it where the repository's server is known to show commits.
pub(super) fn commit_link(state: &HttpState, target: &Target, commit: &Oid) -> Markup {
    let sender = state.routing.repositories.iter().find(|sender| sender.name == target.repo);
    let page = sender.filter(|sender| sender.full_name.is_some() && sender.clone_url.starts_with("https://"));
    let page = page.map(|sender| format!("{}/commit/{commit}", sender.clone_url.trim_end_matches(".git")));
    match page {
        Some(page) => html! { a href=(page) rel="noreferrer" { (oid(commit)) } },
        None => oid(commit),
    }
}

fn proposal_link(proposal: &str) -> Markup {
    html! {
        @if proposal.starts_with("https://") { a href=(proposal) rel="noreferrer" { (proposal) } } @else { (proposal) }
    }
}

/// How many deletions wait, and what they are.
pub(super) fn guarded<'k>(keys: impl ExactSizeIterator<Item = &'k Key>) -> Markup {
    html! {
        p { (count(keys.len() as u64, "deletion is", "deletions are")) " held because there are many at once." }
        details #guarded-objects {
            summary { "Which they are" }
            ul { @for key in keys { li { (object(key)) } } }
        }
    }
}
