//! What a delivery, a request or a schedule leaves behind: a hint where to look.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::key::{Key, ObjectId};
use super::names::NetBoxName;
use super::rollback::Rollback;

/// A hint that something in a fabric may have changed. It carries no content: what is true is read in the run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    /// A NetBox row was created, changed or deleted.
    Object {
        netbox: NetBoxName,
        object: ObjectId,
        event: ObjectEvent,
        /// Whether the row went as part of its fabric's own deletion.
        cascade: bool,
        /// Login name of who did it.
        user: Option<String>,
    },
    /// The branch's head may have moved.
    GitMoved,
    /// A person decided this object's conflict.
    Resolution { key: Key },
    /// Compare everything: by schedule, by request, or because a delivery said that a fabric appeared.
    Everything,
    /// Compare everything, and make the directory whole again: a person wants also what was deleted of it on purpose.
    Restore,
    /// Compare everything and only tell what would be done.
    DryRun,
    /// Tell what `Restore` would do.
    RestoreDryRun,
    /// Bring an earlier state back, or only tell what that would do.
    Rollback(Box<Rollback>),
}

/// What NetBox says happened to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectEvent {
    Created,
    Updated,
    Deleted,
}

/// The text that one change has by whatever way NetBox tells of it: a delivery, which comes once for each object and
/// request, or its change log.
pub fn told_as(netbox: &NetBoxName, object: &ObjectId, event: ObjectEvent, request: &str) -> String {
    format!("{netbox} {object} {} {request}", event.as_str())
}

impl ObjectEvent {
    /// What NetBox tells of an object that one request did both to: who is deleted is gone, and who was created is new.
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Deleted, _) | (_, Self::Deleted) => Self::Deleted,
            (Self::Created, _) | (_, Self::Created) => Self::Created,
            (Self::Updated, Self::Updated) => Self::Updated,
        }
    }

    /// The word, as NetBox spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
        }
    }
}

impl Change {
    /// Whether it only asks what would be done.
    pub fn is_dry_run(&self) -> bool {
        match self {
            Self::DryRun | Self::RestoreDryRun => true,
            Self::Rollback(rollback) => rollback.dry_run,
            Self::Object { .. } | Self::GitMoved | Self::Resolution { .. } | Self::Everything | Self::Restore => false,
        }
    }

    /// Whether it asks for a look at everything.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Everything | Self::Restore | Self::DryRun | Self::RestoreDryRun => true,
            Self::Object { .. } | Self::GitMoved | Self::Resolution { .. } | Self::Rollback(_) => false,
        }
    }

    /// Whether it wants the directory whole again.
    pub fn restores(&self) -> bool {
        match self {
            Self::Restore | Self::RestoreDryRun => true,
            Self::Object { .. }
            | Self::GitMoved
            | Self::Resolution { .. }
            | Self::Everything
            | Self::DryRun
            | Self::Rollback(_) => false,
        }
    }

    /// Names the change among its fabric's pending ones: changes of one slot are merged into one.
    pub fn slot(&self) -> String {
        match self {
            Self::Object { netbox, object, .. } => format!("object:{netbox}:{object}"),
            Self::GitMoved => "git".to_owned(),
            Self::Resolution { key } => format!("resolution:{key}"),
            Self::Everything => "everything".to_owned(),
            Self::Restore => "restore".to_owned(),
            Self::DryRun => "dry_run".to_owned(),
            Self::RestoreDryRun => "restore_dry_run".to_owned(),
            // What begins so is claimed by itself: see `travels_alone` in common.lua.
            Self::Rollback(rollback) => {
                let Rollback { to, objects, dry_run, .. } = rollback.as_ref();
                let objects: Vec<String> = objects.iter().map(Key::to_string).collect();
                format!("rollback:{to}:{dry_run}:{}", objects.join(","))
            }
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object { object, event, .. } => write!(f, "{object} {}", event.as_str()),
            Self::GitMoved => f.write_str("head moved"),
            Self::Resolution { key } => write!(f, "{key} resolved"),
            Self::Everything => f.write_str("full comparison"),
            Self::Restore => f.write_str("restoration of the directory"),
            Self::DryRun => f.write_str("dry run"),
            Self::RestoreDryRun => f.write_str("dry run of a restoration"),
            Self::Rollback(rollback) => write!(f, "rollback to {}", rollback.to.short()),
        }
    }
}
