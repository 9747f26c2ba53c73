//! How a fabric's directory stands, apart from whether its objects agree.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fate::Reason;
use super::names::Target;
use super::path::RepoPath;

/// Whether a directory is ours to sync.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DirectoryStatus {
    /// It has no marker of this service: the next run writes one.
    #[default]
    NotInitialized,
    /// A run is about to write the marker, or files that were found at first sight wait to be taken over.
    Initializing,
    Initialized,
    /// A person has to look at it.
    Error,
}

/// A directory as a run found it, or left it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    pub status: DirectoryStatus,
    /// Why it is not initialized, or what keeps it from being worked on.
    pub reason: Option<Reason>,
    /// Parts of the skeleton that are not there and are not put back, below the directory; sorted.
    pub missing: Vec<String>,
    pub foreign: Foreign,
}

impl Condition {
    /// Nothing but a status, with its reason.
    pub fn of(status: DirectoryStatus, reason: Option<Reason>) -> Self {
        Self { status, reason, ..Self::default() }
    }
}

/// Files in a directory that are neither ours nor anybody's documents: they are left alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Foreign {
    /// All of them.
    pub count: u64,
    /// The first `MAX_FOREIGN`, by path.
    pub files: Vec<ForeignFile>,
}

/// How many foreign files are named.
pub const MAX_FOREIGN: usize = 100;

/// A foreign file, and what makes it one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignFile {
    /// From the repository's root.
    pub path: RepoPath,
    pub reason: Reason,
}

/// What is remembered of a fabric's directory between runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryRecord {
    /// Where it is; other settings than these mean that it was moved.
    pub target: Target,
    pub path: RepoPath,
    /// Its marker was ours once, so whatever lies about in it later is nobody's document.
    pub known: bool,
    /// It was deleted as a whole, and put back; the next time whoever deletes it means it.
    pub put_back: bool,
    pub condition: Condition,
}

/// What a commit does to the directory itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DirectoryWork {
    #[default]
    None,
    /// The first marker, with the skeleton.
    Initialize,
    /// A directory of the service before us, or of another ledger: only the marker changes.
    Adopt,
    /// Missing parts are put back, or the onboarding is over.
    Tend,
    /// The settings name another place for it: its files go there.
    Move,
}

/// What a run did to the directory itself, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryReport {
    pub work: DirectoryWork,
    /// Parts of the skeleton that are written, from the repository's root.
    pub written: Vec<RepoPath>,
    pub moved: Option<MovedFiles>,
}

/// How a directory moves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MovedFiles {
    /// The old directory.
    pub from: RepoPath,
    pub to: RepoPath,
    /// How many files go to the new one.
    pub files: u64,
    /// What stays in the old one.
    pub left: Foreign,
}

impl Foreign {
    /// Counts one more, and names it while there is room.
    pub fn push(&mut self, path: &RepoPath, reason: Reason) {
        self.count += 1;
        if self.files.len() < MAX_FOREIGN {
            self.files.push(ForeignFile { path: path.clone(), reason });
        }
    }
}
