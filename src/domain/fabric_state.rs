//! How a fabric stands, in the words that NetBox has for it: the one place where they are chosen.
//!
//! The state follows from what the ledger knows, never from the state before. So it cannot stay at a word that is no
//! longer true: whoever looks again, after a crash or a lost answer, finds the right one.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fate::{Fate, Reason};
use super::key::Key;
use super::names::Oid;
use super::report::{FabricReport, Item};

/// The five words that the Hedgehog plugin can store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SyncStatus {
    /// No run has come through yet.
    NeverSynced,
    /// A run is writing many changes now.
    Syncing,
    /// Both sides agreed when they were last looked at.
    InSync,
    /// The last run came through, but not everything did: a partial success.
    OutOfSync,
    /// The last run could not come through.
    Error,
}

impl SyncStatus {
    /// The word, as NetBox and the API spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NeverSynced => "never_synced",
            Self::Syncing => "syncing",
            Self::InSync => "in_sync",
            Self::OutOfSync => "out_of_sync",
            Self::Error => "error",
        }
    }
}

/// What is known of a fabric.
#[derive(Debug, Default)]
pub struct Facts<'a> {
    /// How many changes a run is about to write, while it is at it.
    pub writing: Option<usize>,
    /// Why the fabric is not being worked on: the error's message, and what to do about it.
    pub error: Option<(&'a str, &'a str)>,
    /// Objects that wait for a person.
    pub held: Vec<(&'a Key, &'a Reason)>,
    /// How many of them are conflicts.
    pub conflicts: u64,
    /// What the last run that came through did; `None` before the first.
    pub last_run: Option<&'a FabricReport>,
    /// What the last run refused that refused or changed something: one that finds nothing to do takes nothing back.
    pub rejected: Rejected,
    /// When the last run ended that changed something: RFC 3339, UTC, milliseconds.
    pub changed: Option<String>,
    /// Our last commit for it.
    pub commit: Option<&'a Oid>,
    /// When the last run came through: RFC 3339, UTC, milliseconds.
    pub last_sync: Option<String>,
}

/// What NetBox shall say of a fabric.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FabricState {
    pub status: SyncStatus,
    /// Why it is not in sync, one line each, bounded; empty when it is.
    pub details: String,
    /// Objects on which both sides contradict each other.
    pub conflicts: u64,
    /// Objects and raw documents that wait for a person, conflicts included.
    pub held: u64,
    /// Our last commit for it.
    pub commit: Option<Oid>,
    /// Raw documents that were refused, until a later run changes something.
    #[serde(default)]
    pub rejected: Rejected,
    /// When the last run came through that changed something, or the status: RFC 3339, UTC, milliseconds.
    pub last_sync: Option<String>,
}

/// Raw documents that a run refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    pub count: u64,
    /// The first few, with their places and reasons.
    pub lines: Vec<String>,
}

impl Rejected {
    /// What this run refused.
    pub fn of(run: &FabricReport) -> Self {
        let lines = run.items.iter().filter_map(|item| match item {
            Item::Document { path, index, line, fate: Fate::Rejected { reason, .. }, .. } => {
                Some(format!("{path}#{index}, line {line}: {}", reason.message))
            }
            Item::Document { .. } | Item::Object { .. } | Item::File { .. } | Item::Warning { .. } => None,
        });
        Self { count: run.counts.rejected, lines: lines.take(MOST_NAMED).collect() }
    }
}

/// The most objects and documents that the details name.
const MOST_NAMED: usize = 10;
/// The longest details, in characters.
const MOST_CHARACTERS: usize = 2_000;

impl FabricState {
    /// The state that follows from what is known, after `before` was shown.
    pub fn of(facts: &Facts<'_>, before: Option<&Self>) -> Self {
        let waiting: Vec<String> = facts.last_run.into_iter().flat_map(documents).collect();
        let held = facts.held.len() as u64 + waiting.len() as u64;
        let (status, details) = match (facts.writing, facts.error, facts.last_run) {
            (Some(count), _, _) => (SyncStatus::Syncing, format!("{count} changes are being written")),
            (None, Some((message, remedy)), _) => (SyncStatus::Error, format!("{message}\nWhat to do: {remedy}")),
            (None, None, None) => (SyncStatus::NeverSynced, String::new()),
            (None, None, Some(_)) if held + facts.rejected.count > 0 => {
                (SyncStatus::OutOfSync, reasons(facts, waiting))
            }
            (None, None, Some(_)) => (SyncStatus::InSync, String::new()),
        };
        let mut state = Self {
            status,
            details: details.chars().take(MOST_CHARACTERS).collect(),
            conflicts: facts.conflicts,
            held,
            commit: facts.commit.cloned(),
            rejected: facts.rejected.clone(),
            last_sync: None,
        };
        state.last_sync = match before {
            // The time alone is no news: a run that finds nothing to do leaves NetBox alone.
            Some(before) if status == SyncStatus::Syncing => before.last_sync.clone(),
            Some(before) if state.says_the_same(before) => before.last_sync.clone().max(facts.changed.clone()),
            Some(_) | None => facts.last_sync.clone(),
        };
        state
    }

    fn says_the_same(&self, other: &Self) -> bool {
        Self { last_sync: other.last_sync.clone(), ..self.clone() } == *other
    }
}

/// The raw documents and files of a run that wait, with their reasons.
fn documents(run: &FabricReport) -> impl Iterator<Item = String> {
    run.items.iter().filter_map(|item| match item {
        Item::Document {
            path, index, line, fate: Fate::Held { reason, .. } | Fate::Pending { reason, .. }, ..
        } => Some(format!("{path}#{index}, line {line}: {}", reason.message)),
        Item::File { path, reason } => Some(format!("{path}: {}", reason.message)),
        Item::Document { .. } | Item::Object { .. } | Item::Warning { .. } => None,
    })
}

fn reasons(facts: &Facts<'_>, waiting: Vec<String>) -> String {
    let Rejected { count: rejected, lines: refused } = &facts.rejected;
    let counted = [
        (facts.conflicts, "in conflict"),
        ((facts.held.len() as u64).saturating_sub(facts.conflicts), "held"),
        (waiting.len() as u64, "raw documents or files held"),
        (*rejected, "raw documents rejected"),
    ];
    let counted: Vec<String> =
        counted.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    let objects = facts.held.iter().map(|(key, reason)| format!("{key}: {}", reason.message));
    let mut lines: Vec<String> = objects.chain(waiting).collect();
    let more = (lines.len() + *rejected as usize).saturating_sub(MOST_NAMED);
    lines.extend(refused.iter().cloned());
    lines.truncate(MOST_NAMED);
    lines.insert(0, counted.join(", "));
    lines.extend((more > 0).then(|| format!("... and {more} more")));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::kind::Kind;
    use crate::domain::names::{FabricName, RunId};
    use crate::domain::report::{ClosedBecause, Counts};

    fn run() -> FabricReport {
        FabricReport::empty(RunId::new("01RUN"), FabricName::new("lab"), ClosedBecause::Quiet)
    }

    fn key(name: &str) -> Key {
        Key { kind: Kind::new("VPC"), namespace: "default".to_owned(), name: name.to_owned() }
    }

    fn document(fate: Fate) -> Item {
        Item::Document { path: "lab/raw/a.yaml".to_owned(), index: 1, item_index: None, line: 7, fate }
    }

    #[test]
    fn each_state_follows_from_what_is_known() {
        let (run, reason, web) = (run(), Reason::new("conflict", "both changed it"), key("web"));
        let status = |facts: Facts<'_>| FabricState::of(&facts, None).status;

        assert_eq!(status(Facts::default()), SyncStatus::NeverSynced);
        assert_eq!(status(Facts { last_run: Some(&run), ..Facts::default() }), SyncStatus::InSync);
        let held = || Facts { last_run: Some(&run), held: vec![(&web, &reason)], ..Facts::default() };
        assert_eq!(status(held()), SyncStatus::OutOfSync);
        assert_eq!(status(Facts { error: Some(("no", "do")), ..held() }), SyncStatus::Error);
        assert_eq!(status(Facts { writing: Some(9), error: Some(("no", "do")), ..held() }), SyncStatus::Syncing);
    }

    #[test]
    fn a_partial_success_names_what_it_left() {
        let (reason, web, db) = (Reason::new("conflict", "both changed it"), key("web"), key("db"));
        let rejected = Fate::Rejected { key: None, reason: Reason::new("not_yaml", "no YAML") };
        let waiting = Fate::Held { key: None, reason: Reason::new("symlink", "a link") };
        let counts = Counts { rejected: 1, held: 3, ..Counts::default() };
        let run = FabricReport { counts, items: vec![document(waiting), document(rejected)], ..run() };
        let held = vec![(&web, &reason), (&db, &reason)];

        let rejected = Rejected::of(&run);
        let facts = Facts { held, conflicts: 1, last_run: Some(&run), rejected, ..Facts::default() };
        let state = FabricState::of(&facts, None);

        assert_eq!((state.status, state.conflicts, state.held), (SyncStatus::OutOfSync, 1, 3));
        assert_eq!(
            state.details,
            "1 in conflict, 1 held, 1 raw documents or files held, 1 raw documents rejected\n\
             VPC/default/web: both changed it\nVPC/default/db: both changed it\n\
             lab/raw/a.yaml#1, line 7: a link\nlab/raw/a.yaml#1, line 7: no YAML"
        );
    }

    #[test]
    fn details_are_bounded() {
        let reason = Reason::new("conflict", "x".repeat(5_000));
        let keys: Vec<Key> = (0..50).map(|n| key(&format!("vpc-{n}"))).collect();
        let run = run();
        let facts = |reason| Facts {
            held: keys.iter().map(|key| (key, reason)).collect(),
            last_run: Some(&run),
            ..Facts::default()
        };

        assert_eq!(FabricState::of(&facts(&reason), None).details.chars().count(), MOST_CHARACTERS);
        let short = Reason::new("conflict", "both");
        assert!(FabricState::of(&facts(&short), None).details.ends_with("... and 40 more"));
    }

    #[test]
    fn the_time_is_told_with_a_change_only() {
        let at = |time: &str| Some(time.to_owned());
        let run = run();
        let facts = |time| Facts { last_run: Some(&run), last_sync: at(time), ..Facts::default() };
        let first = FabricState::of(&facts("1"), None);

        assert_eq!(FabricState::of(&facts("2"), Some(&first)), first);
        let changed = Facts { changed: at("2"), ..facts("3") };
        assert_eq!(
            FabricState::of(&changed, Some(&first)).last_sync,
            at("2"),
            "an idle run overtook the word about it"
        );
        let failed = FabricState::of(&Facts { error: Some(("no", "do")), ..facts("1") }, Some(&first));
        assert_eq!(FabricState::of(&facts("4"), Some(&failed)).last_sync, at("4"));
    }
}
