//! What a run did, as the API shows it.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::fate::{Effect, Fate, Reason};
use crate::domain::key::Key;
use crate::domain::report::{ClosedBecause, Counts, FabricReport, Item, Outcome};

use super::onboarding::DirectoryReportView;

/// What a run did for one fabric.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReportView {
    run: String,
    /// Why its batch was closed.
    closed_because: ClosedBecause,
    /// A plan that was not applied.
    dry_run: bool,
    /// The head that was planned on; null for an empty repository.
    planned_on: Option<String>,
    /// The commit, seen in the head; null when nothing had to be committed.
    commit: Option<String>,
    /// The pull request that holds the edits in place of a commit; null where they were committed.
    proposal: Option<String>,
    /// Over all items, also those that are not listed.
    counts: Counts,
    /// The first thousand, held and rejected ones first.
    items: Vec<ItemView>,
    directory: DirectoryReportView,
}

/// What happened to one object, raw document or file.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "item", rename_all = "snake_case")]
enum ItemView {
    Object {
        key: KeyView,
        outcome: OutcomeWord,
        reason: Option<ReasonView>,
        /// `X-Request-ID` of our write to NetBox, the same as in its change log.
        #[serde(skip_serializing_if = "Option::is_none")]
        request: Option<String>,
    },
    Document {
        path: String,
        /// Among all documents of the file, from 0.
        index: usize,
        /// Of a `kind: List`, which item, from 0.
        #[serde(skip_serializing_if = "Option::is_none")]
        item_index: Option<usize>,
        /// Of its first content, from 1.
        line: u64,
        fate: FateWord,
        /// What ingesting did to the object.
        effect: Option<EffectWord>,
        key: Option<KeyView>,
        reason: Option<ReasonView>,
    },
    File {
        path: String,
        reason: ReasonView,
    },
    /// It was taken, but a cluster may see it otherwise.
    Warning {
        /// A file's path, or an object of NetBox.
        about: String,
        reason: ReasonView,
    },
}

/// An object within a fabric.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct KeyView {
    kind: String,
    namespace: String,
    name: String,
}

impl From<Key> for KeyView {
    fn from(key: Key) -> Self {
        Self { kind: key.kind.to_string(), namespace: key.namespace, name: key.name }
    }
}

/// Why, for a person, and where in the file.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReasonView {
    /// Stable word for programs.
    code: String,
    message: String,
    /// From 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    /// From 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<u64>,
}

impl From<Reason> for ReasonView {
    fn from(Reason { code, message, line, column }: Reason) -> Self {
        Self { code, message, line, column }
    }
}

#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum OutcomeWord {
    Unchanged,
    GitCreated,
    GitUpdated,
    GitDeleted,
    NetboxCreated,
    NetboxUpdated,
    NetboxDeleted,
    /// Left as it is on both sides until a person decides.
    Held,
}

#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum FateWord {
    Ingested,
    Unmanaged,
    Rejected,
    Held,
    Pending,
}

#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum EffectWord {
    Created,
    Updated,
    Unchanged,
}

impl From<FabricReport> for ReportView {
    fn from(report: FabricReport) -> Self {
        Self {
            run: report.run.to_string(),
            closed_because: report.closed_because,
            dry_run: report.dry_run,
            planned_on: report.planned_on.map(String::from),
            commit: report.commit.map(String::from),
            proposal: report.proposal,
            counts: report.counts,
            items: report.items.into_iter().map(ItemView::from).collect(),
            directory: report.directory.into(),
        }
    }
}

impl From<Item> for ItemView {
    fn from(item: Item) -> Self {
        match item {
            Item::Object { key, outcome, request } => {
                let (outcome, reason) = outcome_of(outcome);
                Self::Object { key: key.into(), outcome, reason: reason.map(ReasonView::from), request }
            }
            Item::Document { path, index, item_index, line, fate } => {
                let (fate, effect, key, reason) = fate_of(fate);
                let (key, reason) = (key.map(KeyView::from), reason.map(ReasonView::from));
                Self::Document { path, index, item_index, line, fate, effect, key, reason }
            }
            Item::File { path, reason } => Self::File { path, reason: reason.into() },
            Item::Warning { about, reason } => Self::Warning { about, reason: reason.into() },
        }
    }
}

pub(super) fn outcome_of(outcome: Outcome) -> (OutcomeWord, Option<Reason>) {
    match outcome {
        Outcome::Unchanged => (OutcomeWord::Unchanged, None),
        Outcome::GitCreated => (OutcomeWord::GitCreated, None),
        Outcome::GitUpdated => (OutcomeWord::GitUpdated, None),
        Outcome::GitDeleted => (OutcomeWord::GitDeleted, None),
        Outcome::NetboxCreated => (OutcomeWord::NetboxCreated, None),
        Outcome::NetboxUpdated => (OutcomeWord::NetboxUpdated, None),
        Outcome::NetboxDeleted => (OutcomeWord::NetboxDeleted, None),
        Outcome::Held { reason } => (OutcomeWord::Held, Some(reason)),
    }
}

fn fate_of(fate: Fate) -> (FateWord, Option<EffectWord>, Option<Key>, Option<Reason>) {
    match fate {
        Fate::Ingested { key, effect } => (FateWord::Ingested, Some(effect_of(effect)), Some(key), None),
        Fate::Unmanaged { reason } => (FateWord::Unmanaged, None, None, Some(reason)),
        Fate::Rejected { key, reason } => (FateWord::Rejected, None, key, Some(reason)),
        Fate::Held { key, reason } => (FateWord::Held, None, key, Some(reason)),
        Fate::Pending { key, reason } => (FateWord::Pending, None, Some(key), Some(reason)),
    }
}

fn effect_of(effect: Effect) -> EffectWord {
    match effect {
        Effect::Created => EffectWord::Created,
        Effect::Updated => EffectWord::Updated,
        Effect::Unchanged => EffectWord::Unchanged,
    }
}
