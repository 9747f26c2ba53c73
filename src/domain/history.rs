//! A branch whose history is no longer the one that was dealt with.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::names::Oid;

/// What happened to a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BreakKind {
    /// The branch was there, and is not any more.
    BranchGone,
    /// The branch no longer contains the head that was dealt with.
    HistoryRewritten,
    /// The branch has no commit in common with the head that was dealt with, or that is nowhere in the repository.
    RepositoryReplaced,
}

impl BreakKind {
    /// Whether an error with this code is about a break.
    pub fn is_code(code: &str) -> bool {
        [Self::BranchGone, Self::HistoryRewritten, Self::RepositoryReplaced].iter().any(|kind| kind.as_str() == code)
    }

    /// The word, as the API and the ledger spell it; also the code of the error.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BranchGone => "branch_gone",
            Self::HistoryRewritten => "history_rewritten",
            Self::RepositoryReplaced => "repository_replaced",
        }
    }
}

/// A break that a person has to look at before anything is written on either side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryBreak {
    pub kind: BreakKind,
    /// The head that was last dealt with.
    pub known: Oid,
    /// The head that was found; `None` where there is no branch.
    pub now: Option<Oid>,
}
