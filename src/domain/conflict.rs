//! An object on which Git and NetBox contradict each other: what a person must see to decide, and what they decided.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::digest::Digest;
use super::document::{Document, Shared};
use super::fate::Reason;
use super::key::Key;
use super::names::Oid;
use super::path::RepoPath;

/// The most paths that a conflict names.
pub const MAX_PATHS: usize = 100;
/// The largest document that is kept with a conflict, as JSON; a larger one stays where it is.
pub const MAX_DOCUMENT_BYTES: usize = 64 * 1024;

/// What is known of a conflict, but for the documents themselves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Conflict {
    pub reason: Reason,
    /// JSON pointers into the document: where the sides contradict each other. The first `MAX_PATHS`.
    pub paths: Vec<String>,
    /// What both sides last agreed on; `None` where nothing is remembered.
    pub base: Option<BaseVersion>,
    /// `None` where Git does not have the object (any more).
    pub git: Option<GitVersion>,
    /// `None` where NetBox does not have it (any more).
    pub netbox: Option<NetBoxVersion>,
}

/// The file that both sides last agreed on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BaseVersion {
    pub blob: Oid,
    /// Of the part that NetBox can hold, as every digest here.
    pub digest: Digest,
}

/// What Git wants.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GitVersion {
    pub path: RepoPath,
    pub blob: Oid,
    /// Place among the documents of a raw file; `None` for a managed file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    /// Of a `kind: List` there, which item (0-based).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item_index: Option<usize>,
    /// The head in which it was seen.
    pub head: Option<Oid>,
    pub digest: Digest,
}

/// What NetBox's users want.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NetBoxVersion {
    pub id: u64,
    /// As NetBox wrote it; `None` for an edit that was overwritten.
    pub last_updated: Option<String>,
    /// Login names, as far as deliveries or the change log told them.
    pub changed_by: BTreeSet<String>,
    pub digest: Digest,
}

impl Conflict {
    /// Names the two contents that contradict each other: another version is another conflict.
    pub fn version(&self) -> Digest {
        let git = self.git.as_ref().map(|git| &git.digest);
        let netbox = self.netbox.as_ref().map(|netbox| &netbox.digest);
        Digest::of(&json!([git, netbox]))
    }
}

/// The documents of a conflict, as Kubernetes documents.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Documents {
    pub base: Option<Content>,
    pub git: Option<Content>,
    pub netbox: Option<Content>,
}

/// A document, or the note that it is too large to be kept here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    Document(Map<String, Value>),
    TooLarge { bytes: usize },
}

impl Content {
    /// Keeps a document of at most `MAX_DOCUMENT_BYTES`.
    pub fn of(document: &Map<String, Value>) -> Self {
        let bytes = serde_json::to_string(document).map_or(usize::MAX, |text| text.len());
        if bytes > MAX_DOCUMENT_BYTES { Self::TooLarge { bytes } } else { Self::Document(document.clone()) }
    }

    /// The part of it that both sides can hold; `None` when it was not kept.
    pub fn shared(&self, key: &Key) -> Option<Shared> {
        match self {
            Self::Document(body) => Some(Document { key: key.clone(), body: body.clone() }.shared()),
            Self::TooLarge { .. } => None,
        }
    }
}

/// A user's edit in NetBox that a write of ours overwrote before we could see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LostEdit {
    /// The row.
    pub id: u64,
    pub by: Option<String>,
    pub digest: Digest,
    pub content: Content,
}

/// How a person decided a conflict. It counts only for the two contents that it was made for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resolution {
    pub choice: Choice,
    pub git: Option<Digest>,
    pub netbox: Option<Digest>,
    /// Name of the API token.
    pub by: String,
}

/// Whose content counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "side", rename_all = "snake_case")]
pub enum Choice {
    /// NetBox's goes to Git; of a lost edit: it is put back.
    Netbox,
    /// Git's goes to NetBox; of a lost edit: it stays overwritten.
    Git,
    /// This document goes to both; of the file everything else is kept.
    Merged { document: Map<String, Value> },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_document_leaves_a_note() {
        let document = Map::from_iter([("a".to_owned(), Value::from("x".repeat(MAX_DOCUMENT_BYTES)))]);

        assert_eq!(Content::of(&document), Content::TooLarge { bytes: MAX_DOCUMENT_BYTES + 8 });
    }
}
