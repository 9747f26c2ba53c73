//! What is remembered of a fabric between runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::conflict::{Documents, LostEdit, Resolution};
use crate::domain::directory::DirectoryRecord;
use crate::domain::fate::{DocumentId, Fate, Reason};
use crate::domain::key::Key;
use crate::domain::row::{Base, BaseUpdate, Intent};
use crate::ledger::conflicts::ConflictRecord;
use crate::ledger::drift::DriftUpdate;
use crate::ledger::touches::Touch;

use super::time::Millis;

/// Everything that is remembered of a fabric between runs.
#[derive(Debug, Clone, Default)]
pub struct FabricMemory {
    /// When this was read.
    pub now: Millis,
    /// Shared, since it is the largest part of what a run holds.
    pub base: Arc<BTreeMap<Key, Base>>,
    pub intents: BTreeMap<Key, Intent>,
    pub remembered: BTreeMap<DocumentId, Fate>,
    /// Objects held for a person, with their reasons, as of the last run that looked at them.
    pub held: BTreeMap<Key, Reason>,
    /// Contradictions that wait for a person.
    pub conflicts: BTreeMap<Key, ConflictRecord>,
    /// What people decided and no run has applied yet.
    pub resolutions: BTreeMap<Key, Resolution>,
    /// Users' edits that writes of ours covered, and that nobody has dealt with.
    pub lost: BTreeMap<Key, LostEdit>,
    /// Deletions in the guard's window.
    pub recent_deletions: u64,
    pub confirmed: BTreeSet<Key>,
    /// Held deletions that a confirmation would let go.
    pub guarded: BTreeSet<Key>,
    /// A person said that this ledger may take over a directory whose marker names another.
    pub adopt: bool,
    /// The fabric's directory, as the last run left it; `None` before the first.
    pub directory: Option<DirectoryRecord>,
    /// A person accepted another history of the branch, and what is deleted there is still to be looked at.
    pub new_history: bool,
}

/// What a run wants remembered of one fabric, in one atomic step.
#[derive(Debug, Clone, Default)]
pub struct Advance {
    pub base: Vec<BaseUpdate>,
    pub intents: Vec<Intent>,
    pub remember: Vec<(DocumentId, Fate)>,
    /// Documents whose file left raw/.
    pub forget: Vec<DocumentId>,
    /// Keys looked at in this run: held now with a reason, or no longer.
    pub held: BTreeMap<Key, Option<Reason>>,
    /// Contradictions that are there now, or no longer.
    pub conflicts: BTreeMap<Key, Option<(ConflictRecord, Documents)>>,
    /// Resolutions that are done with; one that came since then stays.
    pub answered: BTreeMap<Key, Resolution>,
    /// Users' edits that a write of ours covered, or that are dealt with.
    pub lost: BTreeMap<Key, Option<LostEdit>>,
    /// Deletions that were carried out.
    pub deleted: Vec<Key>,
    /// Replaces the set of guarded deletions, when given.
    pub guarded: Option<BTreeSet<Key>>,
    /// Ends a person's permission to adopt, once the marker is ours.
    pub adopted: bool,
    /// Replaces what is remembered of the directory, when given.
    pub directory: Option<DirectoryRecord>,
    /// What was done to which objects.
    pub touched: Vec<(Key, Touch)>,
    /// Nothing that the new history deletes is left to be looked at.
    pub history_settled: bool,
    /// What was found to differ, when the run compared anything.
    pub drift: Option<DriftUpdate>,
}
