//! The pure planner: three sides and the raw documents in, a plan out.
//!
//! There is no `Result`, no clock and no async here: bad input is data with a reason. One run calls `plan_fabric`
//! until its plan has no NetBox writes left: the writes are applied, their answers become part of the sides (a row as
//! read back, or a refusal), and the same function then decides the commit. A run that was killed in between starts
//! over and finds itself in the middle.

mod archive;
mod assemble;
mod conflict;
mod direction;
pub mod directory;
pub mod drift;
mod foreign;
mod guard;
mod keys;
pub mod layout;
pub mod managed;
mod marker;
pub mod merge;
pub mod message;
pub mod moving;
mod names;
pub mod outline;
mod overlay;
mod paths;
pub mod raw;
mod recognise;
mod record;
pub mod render;
pub mod rewrite;
pub mod rollback;
mod standing;
mod table;
#[cfg(test)]
mod tests;
pub mod written;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use crate::domain::conflict::{Conflict, Documents, LostEdit, Resolution};
use crate::domain::digest::Digest;
use crate::domain::directory::{Condition, DirectoryReport};
use crate::domain::document::{Document, Shared};
use crate::domain::edit::{Edits, Tree};
use crate::domain::fate::{DocumentId, Fate, Reason};
use crate::domain::key::Key;
use crate::domain::kind::Catalogue;
use crate::domain::names::{FabricName, LedgerId, Oid};
use crate::domain::path::RepoPath;
use crate::domain::pointer::Pointer;
use crate::domain::policy::Policy;
use crate::domain::report::{Counts, Item};
use crate::domain::rollback::Rollback;
use crate::domain::row::{Base, BaseUpdate, Intent, MergedFrom, Row};

use self::directory::Look;
use self::moving::Move;
use self::standing::Standing;
use self::table::Context;

/// Everything that is known of one fabric when a plan is made.
#[derive(Debug, Clone)]
pub struct Sides {
    pub fabric: FabricName,
    /// The fabric's directory.
    pub directory: RepoPath,
    /// This ledger; goes into the marker.
    pub ledger: LedgerId,
    /// Every kind that is kept equal.
    pub catalogue: Catalogue,
    /// The head planned on; the source of every intent.
    pub head: Option<Oid>,
    /// Every file below the directory at the head, paths from the repository's root.
    pub tree: Tree,
    /// The marker's, archive log's and other own files' bytes, as far as they exist.
    pub own_files: BTreeMap<RepoPath, Bytes>,
    /// Every key in scope: all that a dirty row, a changed file, a raw document, an intent or a full comparison names,
    /// but for those of `unchanged`.
    pub keys: BTreeMap<Key, KeySides>,
    /// Keys in scope of which both sides were seen to be as base has them, where base is an agreement of both.
    pub unchanged: Unchanged,
    /// Every base of the fabric: keys that have no sides here have their places all the same.
    pub base: Arc<BTreeMap<Key, Base>>,
    /// Managed files that are not one usable document.
    pub broken: Vec<BrokenFile>,
    /// Every file below raw/, taken apart; at first sight of the directory also files elsewhere with documents of ours.
    pub raw: Vec<RawFile>,
    /// Files found at first sight that hold the same as their key's own file; they go with the first commit.
    pub copies: BTreeMap<RepoPath, Key>,
    /// What earlier runs decided finally of documents whose file is still in raw/.
    pub remembered: BTreeMap<DocumentId, Fate>,
    /// What validation has against documents that are taken all the same.
    pub warnings: Vec<Warning>,
    /// Set when NetBox does not know the fabric at all: its raw files are held.
    pub fabric_missing: bool,
    /// The run was asked for everything: what is missing of the directory's skeleton is put back.
    pub compared_in_full: bool,
    pub look: Look,
    /// Set when the settings have moved the directory; the tree is as if its files had arrived.
    pub moved: Option<Move>,
    /// For the deletion guard.
    pub deletions: DeletionWindow,
}

/// Objects of which nothing has to be held to plan: how many there are, and the first `MAX_ITEMS` by key for the report.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unchanged {
    pub count: u64,
    pub first: Vec<Key>,
}

impl Sides {
    /// The files of keys without sides: nothing happens to them.
    pub fn other_files(&self) -> impl Iterator<Item = (&Key, &RepoPath)> {
        let others = self.base.iter().filter(|(key, _)| !self.keys.contains_key(key));
        others.filter_map(|(key, base)| Some((key, &base.git.as_ref()?.path)))
    }
}

/// The three sides of one key.
#[derive(Debug, Clone, Default)]
pub struct KeySides {
    pub base: Option<Base>,
    pub git: GitSide,
    pub netbox: NetBoxSide,
    pub intent: Option<Intent>,
    /// Login names of who changed the row, from deliveries.
    pub changed_by: BTreeSet<String>,
    /// The row went with its fabric's own deletion.
    pub cascade: bool,
    /// NetBox refused what Git wanted for this key in this run, in its own words.
    pub refusal: Option<Reason>,
    /// NetBox could not be asked to take this key's write in this run although it answers otherwise.
    pub unanswered: Option<Reason>,
    /// The content of the blob that `ancestor_blob` names.
    pub ancestor: Ancestor,
    /// A user's edit that a write of ours covered, and that nobody has dealt with yet.
    pub lost: Option<LostEdit>,
    /// How a person decided this key's conflict.
    pub resolution: Option<Resolution>,
}

/// The file that both sides last agreed on, read for a merge.
#[derive(Debug, Clone, Default)]
pub enum Ancestor {
    #[default]
    NotRead,
    Document(Box<Document>),
    /// Git no longer has it, or it cannot be read.
    Gone(Reason),
}

/// What Git has of a key.
#[derive(Debug, Clone, Default)]
pub enum GitSide {
    /// No file holds it.
    #[default]
    Absent,
    /// One file holds it; its blob is base's, and its content was not needed.
    AsBase,
    /// One file holds it.
    File { path: RepoPath, blob: Oid, document: Box<Document>, bytes: Bytes },
    /// Its file cannot be read as what base says it is: held, never deleted.
    Broken { path: RepoPath, reason: Reason },
    /// Several files hold it.
    Several { paths: Vec<RepoPath> },
}

/// What NetBox has of a key.
#[derive(Debug, Clone, Default)]
pub enum NetBoxSide {
    /// Base says what is there and nothing suggests otherwise; not read in this run.
    #[default]
    AsBase,
    Row(Box<Row>),
    /// Read as 404, with evidence of a deletion; or never known and not found by a complete search.
    Absent,
    /// Not found, but nothing proves a deletion: held.
    Unproven {
        reason: Reason,
    },
    /// Two or more rows for one key: held.
    Several {
        ids: Vec<u64>,
    },
    /// The row cannot be a Kubernetes document (labels that are no strings, an unusable name): held or rejected.
    Invalid {
        id: u64,
        reason: Reason,
    },
}

/// What validation has against a document, and where it stands: a file's path, or an object of NetBox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    pub about: String,
    pub reason: Reason,
}

/// A file under managed/ that is not one document of a known kind with a usable name.
#[derive(Debug, Clone)]
pub struct BrokenFile {
    pub path: RepoPath,
    pub reason: Reason,
}

/// One file under raw/.
#[derive(Debug, Clone)]
pub struct RawFile {
    pub path: RepoPath,
    pub blob: Oid,
    pub bytes: Bytes,
    /// Every document between separators, in order, and in place of a `kind: List` its items.
    pub documents: Vec<RawDocument>,
}

impl RawFile {
    /// The identity of the document at a place of `documents`.
    pub fn id(&self, place: usize) -> DocumentId {
        let (index, item) = self.documents.get(place).map_or((place, None), |found| (found.index, found.item));
        DocumentId { path: self.path.clone(), blob: self.blob.clone(), index, item }
    }

    /// Line and column in the file (1-based) of each pointer into the document at a place of `documents`.
    pub fn places(&self, place: usize, pointers: &[&Pointer]) -> Vec<(u64, u64)> {
        match self.documents.get(place) {
            Some(document) if !pointers.is_empty() => raw::places(&self.bytes, document, pointers),
            Some(_) | None => Vec::new(),
        }
    }
}

/// One document of a raw file, or one item of a `kind: List` in it, read or not.
#[derive(Debug, Clone)]
pub struct RawDocument {
    /// Among all documents of the file, 0-based; the items of one list share it.
    pub index: usize,
    /// Of a `kind: List`, which item (0-based).
    pub item: Option<usize>,
    /// Byte range in the file, separator included; the ranges of a file's documents cover it without gaps, and the
    /// items of one list share the list's.
    pub bytes: std::ops::Range<usize>,
    /// 1-based line of its first content.
    pub line: u64,
    pub content: RawContent,
}

/// What a raw document turned out to be before anything is compared.
#[derive(Debug, Clone)]
pub enum RawContent {
    /// Ours and usable.
    Document(Box<Document>),
    /// Empty, or not ours.
    Unmanaged(Reason),
    /// Ours, or claims to be, and unusable; or not YAML.
    Rejected { key: Option<Key>, reason: Reason },
    /// Cannot be decided without a person (a symlink, for example).
    Held(Reason),
}

/// Deletions of the last minutes, for the guard.
#[derive(Debug, Clone, Default)]
pub struct DeletionWindow {
    /// Deleted within the window, both directions.
    pub recent: u64,
    /// Objects of the fabric now.
    pub objects: u64,
    /// Keys whose deletion a person confirmed.
    pub confirmed: BTreeSet<Key>,
    /// The branch has another history than before: each deletion that Git asks of NetBox must be confirmed.
    pub new_history: bool,
}

/// What will be done for one fabric.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FabricPlan {
    /// In the order to be sent: creations and updates in catalogue order, then deletions in reverse.
    pub netbox: Vec<NetBoxWrite>,
    /// Git edits; complete only in a plan without NetBox writes.
    pub edits: Edits,
    /// To be recorded once the edits are seen in the head (at once when there are none).
    pub base: Vec<BaseUpdate>,
    /// Final fates of documents whose file stays in raw/: to be remembered with `base`.
    pub remember: Vec<(DocumentId, Fate)>,
    /// Every object and document in scope, each exactly once, ordered: held and rejected first, then by key or path. Of
    /// the sides' `unchanged` objects only the first.
    pub items: Vec<Item>,
    /// Unchanged objects that have no item.
    pub unlisted: u64,
    pub counts: Counts,
    /// One line per object for the commit's body: `create VPC default/web`.
    pub changes: Vec<PlannedChange>,
    /// Everybody whose NetBox change is in the edits.
    pub changed_by: BTreeSet<String>,
    /// Deletions that the guard holds; a person confirms exactly these.
    pub guarded: BTreeSet<Key>,
    /// How the directory itself stands once the edits are made.
    pub directory: Condition,
    /// What the edits do to the directory itself.
    pub directory_report: DirectoryReport,
    /// Writes of `netbox` whose content is more than Git's: what Git's part of them is.
    pub merged: BTreeMap<Key, MergedFrom>,
    /// Contents that nobody agreed to lose and that this plan overwrites because a policy or a person said so.
    pub overwritten: Vec<Overwritten>,
    /// Contradictions that wait for a person.
    pub conflicts: BTreeMap<Key, (Conflict, Documents)>,
    /// Lost edits that are found again, put back or given up.
    pub settled_edits: BTreeSet<Key>,
    /// Resolutions that are applied, or that do not fit (any more).
    pub answered: BTreeSet<Key>,
    /// The earlier state that the edits bring back.
    pub rolled_back: Option<Rollback>,
}

/// Where a content that is overwritten can still be found.
#[derive(Debug, Clone, PartialEq)]
pub enum Overwritten {
    /// In Git's history.
    File { key: Key, path: RepoPath, blob: Oid },
    /// In the change record of the write that overwrites it.
    Row { key: Key, digest: Digest },
}

/// One object's change in a commit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PlannedChange {
    pub key: Key,
    pub verb: Verb,
}

/// What a commit does to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    Create,
    Update,
    Delete,
    /// The file of a key that is now another name's: written there, deleted here.
    Rename,
    Ingest,
    /// A second file that held the same goes.
    RemoveCopy,
}

/// One write to NetBox, with what it was planned against.
#[derive(Debug, Clone, PartialEq)]
pub enum NetBoxWrite {
    Create { want: Shared },
    Update { against: Box<Row>, want: Shared },
    Delete { against: Box<Row> },
}

/// Chooses what brings both sides of one fabric together.
///
/// Planning again on the planned result yields nothing to do. Every key and every raw document in scope has one item.
/// With NetBox writes in it the plan is not the last: apply them, put their answers into the sides (a row as read back,
/// `refusal`, `unanswered`), keep the items of their keys, and plan again.
pub fn plan_fabric(sides: &Sides, policy: &Policy) -> FabricPlan {
    let context = Context { sides, policy, catalogue: &sides.catalogue };
    let mut keys = keys::decide_keys(context);
    paths::link_renames(&mut keys);
    let guarded = guard::hold_guarded(&mut keys, context);
    paths::settle(&mut keys, context);
    assemble::plan(&keys, guarded, context)
}

/// The blob whose content a merge of this key needs; `None` when nothing is to be merged.
pub fn ancestor_blob(key: &Key, sides: &KeySides) -> Option<Oid> {
    let standing = Standing::of(key, sides).ok()?;
    let both_moved = standing.git_moved && standing.netbox_moved;
    both_moved.then_some(standing.common.git)?.map(|git| git.blob.clone())
}
