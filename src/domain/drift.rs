//! What differs between Git and NetBox, at rest.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fate::Reason;

/// The most paths that one difference names.
pub const MAX_PATHS: usize = 20;

/// How the two sides of an object stand apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Difference {
    OnlyInNetbox,
    OnlyInGit,
    /// Both sides have the object, and its contents differ.
    Different,
    /// Both sides changed it, and their changes contradict each other.
    Conflict,
    /// One side has something that is not one usable object.
    Invalid,
}

impl Difference {
    /// The word, as the API and the ledger spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OnlyInNetbox => "only_in_netbox",
            Self::OnlyInGit => "only_in_git",
            Self::Different => "different",
            Self::Conflict => "conflict",
            Self::Invalid => "invalid",
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One object, or one file that is no object, whose two sides are not equal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drift {
    pub difference: Difference,
    /// JSON pointers into the document: where the sides differ. The first `MAX_PATHS`; empty where one side is missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// Why it is left so; `None` for what the next run that may write brings together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}
