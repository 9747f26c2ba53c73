//! What the holder of an API token may do.

use serde::{Deserialize, Serialize};

/// Each role may do what the ones before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Look at everything.
    Read,
    /// What operating takes from day to day: sync, retry, call off, pause and resume a fabric.
    Operate,
    /// Also what can lose something, or stops everything.
    Admin,
}

impl Role {
    /// The word, as the settings and the API spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Admin => "admin",
        }
    }
}
