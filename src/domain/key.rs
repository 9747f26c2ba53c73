//! What identifies one object on both sides.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::kind::Kind;

/// The namespace of documents that name none.
pub const DEFAULT_NAMESPACE: &str = "default";

/// One object within a fabric. A NetBox id may change under it; the key is the identity.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    pub kind: Kind,
    pub namespace: String,
    pub name: String,
}

impl fmt::Display for Key {
    /// `Kind/namespace/name`: for people, logs and the ledger's fields.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.kind, self.namespace, self.name)
    }
}

/// A row's identity in one NetBox: ids are unique per type and never reused, so a deletion of one is final.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectId {
    pub kind: Kind,
    pub id: u64,
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.kind, self.id)
    }
}
