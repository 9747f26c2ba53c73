//! A fabric, where it lives, and what it lets us do.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::names::{FabricName, NetBoxName, Target};
use super::path::RepoPath;

/// One fabric of the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fabric {
    pub name: FabricName,
    pub target: Target,
    /// Its directory in the repository; may be the root.
    pub directory: RepoPath,
    pub netbox: NetBoxName,
    pub policy: Policy,
}

/// What may be done without asking. Every default is the safe one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    pub on_git_delete: OnGitDelete,
    pub on_first_difference: OnFirstDifference,
    pub on_conflict: OnConflict,
    pub direction: Direction,
    pub on_drift: OnDrift,
    pub guard: DeletionGuard,
    pub archive: Archive,
    pub validation: Validation,
}

/// What happens to a document that a cluster would refuse. Structure, names and paths are always held to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Validation {
    /// What the operator's CRDs forbid is refused; what they do not say is a warning.
    #[default]
    Strict,
    /// Everything is a warning.
    Warn,
    /// Nothing is looked at.
    Off,
}

/// What is kept of a raw file that was taken over; Git's history keeps it always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Archive {
    /// An entry in the archive log.
    #[default]
    Log,
    /// The entry, and the file itself beside its old place as `<file>.archived`.
    Rename,
    /// Nothing.
    None,
}

/// A person deleted a managed file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnGitDelete {
    /// Keep the NetBox row, show the object as held.
    #[default]
    Hold,
    /// Delete the NetBox row.
    Delete,
}

/// Both sides have the object, they differ, and nothing is remembered of a time when they agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFirstDifference {
    #[default]
    Hold,
    /// NetBox's content goes to Git.
    Netbox,
    /// Git's content goes to NetBox.
    Git,
}

/// Both sides changed since they agreed, and their changes contradict each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnConflict {
    /// Leave both as they are and list the conflict.
    #[default]
    Hold,
    /// NetBox's content goes to Git.
    Netbox,
    /// Git's content goes to NetBox.
    Git,
}

impl From<OnFirstDifference> for OnConflict {
    fn from(policy: OnFirstDifference) -> Self {
        match policy {
            OnFirstDifference::Hold => Self::Hold,
            OnFirstDifference::Netbox => Self::Netbox,
            OnFirstDifference::Git => Self::Git,
        }
    }
}

/// Which way changes may go. Where they go one way only, changes of the other side are drift.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    #[default]
    Both,
    /// NetBox leads: nothing is ever written to it.
    NetboxToGit,
    /// Git leads: no managed file is written but from raw documents.
    GitToNetbox,
}

/// What happens to drift in a fabric whose changes go one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDrift {
    /// Show it and leave it.
    #[default]
    Report,
    /// The leading side's content wins on both.
    Heal,
}

/// How edits reach a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// A commit on the branch.
    #[default]
    Push,
    /// A pull request, which people merge.
    PullRequest,
}

/// Deletions beyond both limits within the window are held until a person confirms them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletionGuard {
    pub count: u64,
    /// Of the fabric's objects at the window's start.
    pub percent: u64,
    pub window: Duration,
}

impl DeletionGuard {
    /// What holds where nobody chose.
    pub const STANDARD: Self = Self { count: 20, percent: 30, window: Duration::from_secs(600) };
}

impl Default for DeletionGuard {
    fn default() -> Self {
        Self::STANDARD
    }
}
