//! The NetBox side of an object, and what is remembered of both sides between runs.

use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::document::Shared;
use super::key::{Key, ObjectId};
use super::names::Oid;
use super::path::RepoPath;

/// A live NetBox row, read in this run.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub id: u64,
    pub shared: Shared,
    /// As NetBox wrote it (RFC 3339, microseconds); also the content of its ETag. Only ever compared.
    pub last_updated: String,
}

impl Row {
    /// Type and id.
    pub fn object(&self) -> ObjectId {
        ObjectId { kind: self.shared.key.kind.clone(), id: self.id }
    }
}

/// What both sides last agreed on for one key. Each half advances when its own side's write is acknowledged.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Base {
    pub git: Option<GitBase>,
    pub netbox: Option<NetBoxBase>,
}

/// The Git half of a base.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GitBase {
    /// Where the file was, from the repository's root.
    pub path: RepoPath,
    pub blob: Oid,
    /// Of the whole document.
    pub digest: Digest,
    /// Of the part that NetBox can hold.
    pub shared: Digest,
}

/// The NetBox half of a base, as read back after the write.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NetBoxBase {
    pub id: u64,
    pub digest: Digest,
    pub last_updated: String,
}

/// A NetBox write that was about to be sent: recorded before it, removed when both sides agree again.
///
/// A row that equals `to` after a crash is our own write, not a user's change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    pub key: Key,
    /// `None` for a row that was to be created.
    pub id: Option<u64>,
    /// Digest of the row planned against; `None` for a row that was to be created.
    pub from: Option<Digest>,
    /// Digest of the row after the write; `None` for a deletion.
    pub to: Option<Digest>,
    /// The commit whose content asked for it.
    pub source: Option<Oid>,
    /// Set when `to` is not Git's content but what Git and NetBox were merged into: the file is to follow the row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged: Option<MergedFrom>,
    /// Base had `to` before the write already, so that base does not tell whether the write was acknowledged.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restores_base: bool,
}

/// What Git had when a row was written that holds all of it and more.
///
/// From then on it is what both sides agree on: the row's other content is NetBox's change to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MergedFrom {
    /// `None` where Git had no file.
    pub git: Option<GitBase>,
}

/// One change to what the ledger remembers of a key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BaseUpdate {
    pub key: Key,
    /// The base from now on; `None` forgets the key (both sides are without it).
    pub base: Option<Base>,
    /// Whether the key's intent is done with.
    pub clears_intent: bool,
}
