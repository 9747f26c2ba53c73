//! A pending change as it lies in Redis: what scripts must merge stands beside the rest, which they do not look into.

use serde::Deserialize;

use crate::domain::change::{Change, ObjectEvent};

use super::Error;

/// The texts that the accept script takes for one change.
pub(super) struct Parts {
    pub(super) slot: String,
    /// `created`, `updated`, `deleted`, or empty for what is no object's.
    pub(super) event: &'static str,
    pub(super) cascade: bool,
    pub(super) user: String,
    /// The change as JSON, without the event, cascade and user of this one delivery.
    pub(super) rest: String,
}

impl Parts {
    pub(super) fn of(change: &Change) -> Self {
        let (event, cascade, user, rest) = match change {
            Change::Object { netbox, object, event, cascade, user } => {
                let rest = Change::Object {
                    netbox: netbox.clone(),
                    object: object.clone(),
                    event: ObjectEvent::Updated,
                    cascade: false,
                    user: None,
                };
                (event.as_str(), *cascade, user.clone().unwrap_or_default(), rest)
            }
            Change::GitMoved
            | Change::Resolution { .. }
            | Change::Everything
            | Change::Restore
            | Change::DryRun
            | Change::RestoreDryRun
            | Change::Rollback(_) => ("", false, String::new(), change.clone()),
        };
        let rest = super::json(&rest);
        Self { slot: change.slot(), event, cascade, user, rest }
    }
}

/// A slot's merged change, as the scripts keep it.
#[derive(Debug, Deserialize)]
pub(super) struct Entry {
    #[serde(rename = "h")]
    rest: String,
    #[serde(rename = "e")]
    event: Option<ObjectEvent>,
    #[serde(rename = "c", default)]
    cascade: bool,
    #[serde(rename = "u", default)]
    users: Vec<String>,
    /// Sequence number of the first accept that asked for it.
    #[serde(rename = "s")]
    pub(super) first: f64,
}

impl Entry {
    pub(super) fn read(text: &str) -> Result<Self, Error> {
        serde_json::from_str(text).map_err(|error| Error::corrupt("pending change", error))
    }

    /// The change, once for each user who made it.
    pub(super) fn changes(self) -> Result<Vec<Change>, Error> {
        let change: Change =
            serde_json::from_str(&self.rest).map_err(|error| Error::corrupt("pending change", error))?;
        match change {
            Change::Object { netbox, object, event, .. } => {
                let event = self.event.unwrap_or(event);
                let users = match self.users.len() {
                    0 => vec![None],
                    _ => self.users.into_iter().map(Some).collect(),
                };
                let of = |user| Change::Object {
                    netbox: netbox.clone(),
                    object: object.clone(),
                    event,
                    cascade: self.cascade,
                    user,
                };
                Ok(users.into_iter().map(of).collect())
            }
            other @ (Change::GitMoved
            | Change::Resolution { .. }
            | Change::Everything
            | Change::Restore
            | Change::DryRun
            | Change::RestoreDryRun
            | Change::Rollback(_)) => Ok(vec![other]),
        }
    }
}
