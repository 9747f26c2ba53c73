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
    /// Raw documents that were refused, a line each, until a later run changes something: the first few, and how many.
    #[serde(default)]
    pub rejected: (u64, Vec<String>),
    /// When the last run came through that changed something, or the status: RFC 3339, UTC, milliseconds.
    pub last_sync: Option<String>,
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
        let rejected = rejected(facts, before);
        let (status, details) = match (facts.writing, facts.error, facts.last_run) {
            (Some(count), _, _) => (SyncStatus::Syncing, format!("{count} changes are being written")),
            (None, Some((message, remedy)), _) => (SyncStatus::Error, format!("{message}\nWhat to do: {remedy}")),
            (None, None, None) => (SyncStatus::NeverSynced, String::new()),
            (None, None, Some(_)) if held + rejected.0 > 0 => {
                (SyncStatus::OutOfSync, reasons(facts, waiting, &rejected))
            }
            (None, None, Some(_)) => (SyncStatus::InSync, String::new()),
        };
        let mut state = Self {
            status,
            details: details.chars().take(MOST_CHARACTERS).collect(),
            conflicts: facts.conflicts,
            held,
            commit: facts.commit.cloned(),
            rejected,
            last_sync: None,
        };
        state.last_sync = match before {
            // The time alone is no news: a run that finds nothing to do leaves NetBox alone.
            Some(before) if status == SyncStatus::Syncing => before.last_sync.clone(),
            Some(before) if !facts.last_run.is_some_and(changed_something) && state.says_the_same(before) => {
                before.last_sync.clone()
            }
            Some(_) | None => facts.last_sync.clone(),
        };
        state
    }

    fn says_the_same(&self, other: &Self) -> bool {
        Self { last_sync: other.last_sync.clone(), ..self.clone() } == *other
    }
}

/// The raw documents that the last run refused. Our own commit's webhook causes a run that finds nothing to do: it does
/// not make a partial success whole.
fn rejected(facts: &Facts<'_>, before: Option<&FabricState>) -> (u64, Vec<String>) {
    // A run that changed nothing may overtake the word about the one before it: its commit tells.
    let is_the_same = |run: &FabricReport, before: &FabricState| {
        run.counts.rejected == 0 && !changed_something(run) && facts.commit == before.commit.as_ref()
    };
    match (facts.last_run, before) {
        (Some(run), Some(before)) if is_the_same(run, before) => before.rejected.clone(),
        (Some(run), _) => {
            let lines = run.items.iter().filter_map(|item| match item {
                Item::Document { path, index, line, fate: Fate::Rejected { reason, .. }, .. } => {
                    Some(format!("{path}#{index}, line {line}: {}", reason.message))
                }
                Item::Document { .. } | Item::Object { .. } | Item::File { .. } | Item::Warning { .. } => None,
            });
            (run.counts.rejected, lines.take(MOST_NAMED).collect())
        }
        (None, _) => (0, Vec::new()),
    }
}

fn changed_something(run: &FabricReport) -> bool {
    let counts = &run.counts;
    run.commit.is_some() || counts.netbox_created + counts.netbox_updated + counts.netbox_deleted > 0
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

fn reasons(facts: &Facts<'_>, waiting: Vec<String>, (rejected, refused): &(u64, Vec<String>)) -> String {
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

        let state = FabricState::of(&Facts { held, conflicts: 1, last_run: Some(&run), ..Facts::default() }, None);

        assert_eq!((state.status, state.conflicts, state.held), (SyncStatus::OutOfSync, 1, 3));
        assert_eq!(
            state.details,
            "1 in conflict, 1 held, 1 raw documents or files held, 1 raw documents rejected\n\
             VPC/default/web: both changed it\nVPC/default/db: both changed it\n\
             lab/raw/a.yaml#1, line 7: a link\nlab/raw/a.yaml#1, line 7: no YAML"
        );
    }

    #[test]
    fn a_refusal_is_told_until_something_changes_even_where_an_idle_run_overtakes_the_word_about_it() {
        let commit = |digit: &str| -> Oid { digit.repeat(40).parse().unwrap() };
        let (first, second) = (commit("1"), commit("2"));
        let rejected = Fate::Rejected { key: None, reason: Reason::new("not_yaml", "no YAML") };
        let counts = Counts { rejected: 1, ..Counts::default() };
        let refusing = FabricReport { counts, items: vec![document(rejected)], commit: Some(first.clone()), ..run() };
        let idle = run();
        let facts = |run, commit| Facts { last_run: Some(run), commit: Some(commit), ..Facts::default() };
        let told = FabricState::of(&facts(&refusing, &first), None);

        assert_eq!(FabricState::of(&facts(&idle, &first), Some(&told)), told);
        assert_eq!(FabricState::of(&facts(&idle, &second), Some(&told)).status, SyncStatus::InSync);
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
        let (idle, busy) = (run(), FabricReport { commit: Some("2".repeat(40).parse().unwrap()), ..run() });
        let facts = |run, time| Facts { last_run: Some(run), last_sync: at(time), ..Facts::default() };
        let first = FabricState::of(&facts(&idle, "1"), None);

        assert_eq!(FabricState::of(&facts(&idle, "2"), Some(&first)), first);
        assert_eq!(FabricState::of(&facts(&busy, "3"), Some(&first)).last_sync, at("3"));
        let failed = FabricState::of(&Facts { error: Some(("no", "do")), ..facts(&idle, "1") }, Some(&first));
        assert_eq!(FabricState::of(&facts(&idle, "4"), Some(&failed)).last_sync, at("4"));
    }
}
