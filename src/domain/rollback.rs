//! An earlier state that a person wants back.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::key::Key;
use super::names::{JobId, Oid};

/// managed/, or some of its objects, as they were in a commit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rollback {
    pub to: Oid,
    /// The job by whose commit the state was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
    /// Only these; empty for all.
    pub objects: BTreeSet<Key>,
    /// Only plan and tell.
    pub dry_run: bool,
    /// Name of the API token.
    pub by: String,
}
