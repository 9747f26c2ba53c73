//! What the change log says of a span of time, for changes that no webhook told of.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use serde_json::Value;

use crate::domain::change::ObjectEvent;
use crate::domain::fabric_ref::FabricRef;
use crate::domain::key::ObjectId;
use crate::domain::kind::KindSpec;

use super::Error;
use super::changelog::{Action, PATH};
use super::client::Client;
use super::form::Form;
use super::rows::fabric_ref;

/// What is asked of a record: of its rows only the fabric is kept.
const FIELDS: &str =
    "id,time,action,changed_object_type,changed_object_id,request_id,user_name,prechange_data,postchange_data";

/// What one request did to one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    pub object: ObjectId,
    pub event: ObjectEvent,
    /// Every fabric that it belongs or belonged to.
    pub fabrics: BTreeSet<FabricRef>,
    /// Login name.
    pub user: Option<String>,
    /// NetBox's own id of the request.
    pub request: String,
}

#[derive(Deserialize)]
struct Record {
    time: String,
    action: Action,
    changed_object_type: String,
    changed_object_id: u64,
    request_id: String,
    #[serde(default)]
    user_name: Option<String>,
    #[serde(default)]
    prechange_data: Value,
    #[serde(default)]
    postchange_data: Value,
}

impl Client {
    /// The time by NetBox's clock, to the second; by ours where it does not tell it.
    pub async fn time(&self) -> Result<SystemTime, Error> {
        Ok(self.dated_status().await?.1.unwrap_or_else(SystemTime::now))
    }

    /// What the change log says of our kinds' rows, from one time of NetBox's to another, whole seconds both, in no
    /// order. A record of another time is an error: a NetBox that does not know the filter gives its whole log.
    ///
    /// NetBox notes a change when it is made and shows it when it is committed, so a span that was read may have more in it later.
    pub async fn logged(&self, from: SystemTime, until: SystemTime) -> Result<Vec<Logged>, Error> {
        let specs = self.specs_by_type().await?;
        let filters = [("time_after", stamp(from)), ("time_before", stamp(until)), ("fields", FIELDS.to_owned())];
        let mut found: BTreeMap<(ObjectId, String), Logged> = BTreeMap::new();
        let read = |_, row| {
            let record: Record = serde_json::from_value(Value::Object(row)).map_err(|error| self.strange(error))?;
            let time = moment(&record.time).ok_or_else(|| self.strange(format!("the time `{}`", record.time)))?;
            if time < from || time > until + Duration::from_secs(1) {
                return Err(self.strange(format!("a record of {}, which was not asked for", record.time)));
            }
            if let Some(logged) = specs.get(&record.changed_object_type).and_then(|spec| self.logged_of(spec, record)) {
                let name = (logged.object.clone(), logged.request.clone());
                match found.get_mut(&name) {
                    Some(known) => known.join(logged),
                    None => drop(found.insert(name, logged)),
                }
            }
            Ok(None::<()>)
        };
        self.http.list_as(PATH, &filters, read).await?;
        Ok(found.into_values().collect())
    }

    fn strange(&self, what: impl std::fmt::Display) -> Error {
        self.http.unexpected(&format!("GET {}", self.http.shown(PATH)), what.to_string())
    }

    /// The kinds by NetBox's name of their rows; a kind that is not set up has none.
    async fn specs_by_type(&self) -> Result<BTreeMap<String, &KindSpec>, Error> {
        let specs: Vec<_> = self.catalogue().iter().map(|spec| (self.form(spec), spec)).collect();
        let custom = match specs.iter().any(|(form, _)| matches!(form, Form::CustomObject { .. })) {
            true => self.custom_object_types().await?,
            false => Arc::default(),
        };
        Ok(specs.into_iter().filter_map(|(form, spec)| Some((form.object_type(&custom)?, spec))).collect())
    }

    /// `None` for an action that is no change of a row.
    fn logged_of(&self, spec: &KindSpec, record: Record) -> Option<Logged> {
        let event = match record.action.value.as_str() {
            "create" => ObjectEvent::Created,
            "update" => ObjectEvent::Updated,
            "delete" => ObjectEvent::Deleted,
            _ => return None,
        };
        let fabrics = match self.form(spec) {
            // Its fabric is in another field, and records write references otherwise than rows.
            Form::Mapped(_) => BTreeSet::from([FabricRef::Any]),
            Form::Plugin { .. } | Form::CustomObject { .. } => {
                let states = [record.prechange_data, record.postchange_data];
                states.iter().filter_map(|state| fabric_ref(state.get("fabric")?)).collect()
            }
        };
        Some(Logged {
            object: ObjectId { kind: spec.kind.clone(), id: record.changed_object_id },
            event,
            fabrics,
            user: record.user_name,
            request: record.request_id,
        })
    }
}

impl Logged {
    /// Takes in what else the same request did to the same object.
    fn join(&mut self, other: Self) {
        self.event = self.event.and(other.event);
        self.fabrics.extend(other.fabrics);
    }
}

/// A time as the filters take it, to the second.
fn stamp(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

/// A time as NetBox writes it: RFC 3339, in the zone that it is set to.
fn moment(text: &str) -> Option<SystemTime> {
    if text.ends_with('Z') {
        return humantime::parse_rfc3339(text).ok();
    }
    let (local, zone) = text.split_at_checked(text.len().checked_sub("+00:00".len())?)?;
    let (sign, zone) = zone.split_at_checked(1)?;
    let (hours, minutes) = zone.split_once(':')?;
    let ahead = Duration::from_secs(hours.parse::<u64>().ok()? * 3_600 + minutes.parse::<u64>().ok()? * 60);
    let local = humantime::parse_rfc3339(&format!("{local}Z")).ok()?;
    let time = match sign {
        "+" => local.checked_sub(ahead),
        "-" => local.checked_add(ahead),
        _ => None,
    };
    time.filter(|time| *time >= UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_in_every_zone() {
        let noon = humantime::parse_rfc3339("2026-11-21T12:00:00.25Z").unwrap();

        for text in ["2026-11-21T12:00:00.250000Z", "2026-11-21T13:30:00.250000+01:30", "2026-11-21T05:00:00.25-07:00"]
        {
            assert_eq!(moment(text), Some(noon), "{text}");
        }
        for text in ["", "yesterday", "2026-11-21T12:00:00", "2026-11-21T12:00:00 01:00", "äääääää"] {
            assert_eq!(moment(text), None, "{text}");
        }
    }
}
