//! What becomes of each raw document: exactly one fate.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::key::Key;
use super::names::Oid;
use super::path::RepoPath;

/// A raw document's identity: a file's path and content, and the place among *all* documents of the file (0-based).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DocumentId {
    /// From the repository's root.
    pub path: RepoPath,
    pub blob: Oid,
    pub index: usize,
    /// Of a `kind: List`, which item (0-based).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<usize>,
}

impl fmt::Display for DocumentId {
    /// `path#index`, or `path#index.item`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.path, self.index)?;
        self.item.map_or(Ok(()), |item| write!(f, ".{item}"))
    }
}

/// The end, or the waiting, of one raw document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fate", rename_all = "snake_case")]
pub enum Fate {
    /// In managed/ and in NetBox.
    Ingested { key: Key, effect: Effect },
    /// Not ours.
    Unmanaged { reason: Reason },
    /// Ours, but unusable, or NetBox says no to it.
    Rejected { key: Option<Key>, reason: Reason },
    /// A person must decide.
    Held { key: Option<Key>, reason: Reason },
    /// A server could not be asked yet, or the write is still to come.
    Pending { key: Key, reason: Reason },
}

impl Fate {
    /// Whether the document is done with; a file leaves raw/ once all of its documents are.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Ingested { .. } | Self::Unmanaged { .. } | Self::Rejected { .. } => true,
            Self::Held { .. } | Self::Pending { .. } => false,
        }
    }

    /// The word for it, as the archive log and the API spell it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Ingested { .. } => "ingested",
            Self::Unmanaged { .. } => "unmanaged",
            Self::Rejected { .. } => "rejected",
            Self::Held { .. } => "held",
            Self::Pending { .. } => "pending",
        }
    }
}

/// What ingesting did to the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    Created,
    Updated,
    Unchanged,
}

/// Why, for a person, and where in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Stable word for programs, for example `duplicate_key`, `unknown_kind`, `netbox_refused`.
    pub code: String,
    /// A sentence that says what is wrong and, where we know it, what to do.
    pub message: String,
    /// 1-based, in the file; `None` where no one place is at fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u64>,
}

impl Reason {
    /// A reason without a place.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), line: None, column: None }
    }

    /// The same reason at a line and column (1-based).
    pub fn at(self, line: u64, column: u64) -> Self {
        Self { line: Some(line), column: Some(column), ..self }
    }
}
