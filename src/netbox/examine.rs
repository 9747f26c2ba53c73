//! A look at NetBox that changes nothing: what the token may do, whether changes are told to us, and its clock.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use url::Url;

use crate::domain::kind::{Kind, KindSpec};

use super::Error;
use super::client::{Client, Status};
use super::form::Form;
use super::setup::permissions::may_view;
use super::setup::{EVENT_RULES, EVENTS, TYPES, WEBHOOKS, choice, id_in, text, types_that_are_there};

/// What NetBox shows.
#[derive(Debug)]
pub struct Examined {
    pub status: Status,
    /// How far its clock is from ours, to the second, either way; `None` where it does not tell the time.
    pub skew: Option<Duration>,
    /// By kind, in the catalogue's order.
    pub access: Vec<(Kind, Result<Access, Error>)>,
    /// Whether the change log can be read, which proves deletions.
    pub change_log: Result<(), Error>,
    /// Whether changes are told to us; an error where the token may not see that.
    pub hooks: Result<Hooks, Error>,
}

/// What the token's user may do with the rows of a kind. Of deleting NetBox does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// Without it NetBox tells nothing of the others.
    pub view: bool,
    pub add: bool,
    pub change: bool,
}

/// What NetBox tells whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hooks {
    /// No webhook leads to this address.
    Missing,
    Found {
        /// Whether its secret is one that we know.
        secret: bool,
        /// Object type and event of what no enabled event rule sends: `netbox_hedgehog.vpc object_deleted`.
        uncovered: BTreeSet<String>,
        /// Event rules that send only what their conditions let through.
        conditional: Vec<String>,
    },
}

impl Client {
    /// Looks at everything that the service needs; only a NetBox that does not answer at all is an error.
    ///
    /// `receiver` is where its webhook should lead, `secrets` are those that we verify with.
    pub async fn examine(&self, receiver: &Url, secrets: &[SecretString]) -> Result<Examined, Error> {
        let (status, date) = self.dated_status().await?;
        let skew = date.map(|date| {
            let now = SystemTime::now();
            now.duration_since(date).unwrap_or_else(|ahead| ahead.duration())
        });
        let mut access = Vec::new();
        for spec in self.catalogue().iter() {
            access.push((spec.kind.clone(), self.access(spec).await));
        }
        let one = [("limit", "1".to_owned())];
        let change_log = self.http.get_present("core/object-changes/", &one).await.map(drop);
        Ok(Examined { status, skew, access, change_log, hooks: self.hooks(receiver, secrets).await })
    }

    /// NetBox names in its answer to OPTIONS what the user may do: POST to add, PUT to change.
    async fn access(&self, spec: &KindSpec) -> Result<Access, Error> {
        let path = self.path(spec);
        let view = may_view(self, &path).await?;
        let answer = self.http.options(&path).await?;
        let may = |method: &str| answer.pointer(&format!("/actions/{method}")).is_some();
        Ok(Access { view, add: may("POST"), change: may("PUT") })
    }

    async fn hooks(&self, receiver: &Url, secrets: &[SecretString]) -> Result<Hooks, Error> {
        let leads_here = |row: &&Map<String, Value>| text(row, "payload_url") == Some(receiver.as_str());
        let webhooks = self.http.list(WEBHOOKS, &[]).await?;
        let ours: Vec<_> = webhooks.iter().filter(leads_here).collect();
        if ours.is_empty() {
            return Ok(Hooks::Missing);
        }
        let known = |row: &&Map<String, Value>| {
            secrets.iter().any(|secret| text(row, "secret") == Some(secret.expose_secret()))
        };
        let ids: BTreeSet<u64> = ours.iter().filter_map(|row| row.get("id").and_then(Value::as_u64)).collect();
        let rules = self.http.list(EVENT_RULES, &[]).await?;
        let sends_here = |rule: &&Map<String, Value>| {
            rule.get("enabled") == Some(&Value::Bool(true))
                && rule.get("action_object_type").and_then(choice) == Some("extras.webhook")
                && id_in(rule, "action_object_id").is_some_and(|id| ids.contains(&id))
        };
        let rules: Vec<_> = rules.iter().filter(sends_here).collect();
        let mut uncovered = BTreeSet::new();
        for object_type in self.object_types().await? {
            for event in EVENTS {
                let sent =
                    rules.iter().any(|rule| has(rule, "object_types", &object_type) && has(rule, "event_types", event));
                if !sent {
                    uncovered.insert(format!("{object_type} {event}"));
                }
            }
        }
        let has_conditions = |rule: &&&Map<String, Value>| !matches!(rule.get("conditions"), None | Some(Value::Null));
        let conditional = rules.iter().filter(has_conditions).filter_map(|rule| text(rule, "name")).map(str::to_owned);
        Ok(Hooks::Found { secret: ours.iter().any(known), uncovered, conditional: conditional.collect() })
    }

    /// NetBox's names of all types that we must be told of; a custom object type that is missing is an error of its kind.
    async fn object_types(&self) -> Result<BTreeSet<String>, Error> {
        let mut types: BTreeSet<String> = types_that_are_there(self).into_iter().map(|(_, name)| name).collect();
        let slugs: BTreeSet<String> = self
            .catalogue()
            .iter()
            .filter_map(|spec| match self.form(spec) {
                Form::CustomObject { slug } => Some(slug),
                Form::Plugin { .. } | Form::Mapped(_) => None,
            })
            .collect();
        if !slugs.is_empty() {
            let rows = self.http.list(TYPES, &[]).await?;
            let ours = rows.iter().filter(|row| text(row, "slug").is_some_and(|slug| slugs.contains(slug)));
            types.extend(ours.filter_map(|row| text(row, "object_type_name")).map(str::to_owned));
        }
        Ok(types)
    }
}

fn has(rule: &Map<String, Value>, field: &str, wanted: &str) -> bool {
    let items = rule.get(field).and_then(Value::as_array);
    items.is_some_and(|items| items.iter().any(|item| choice(item) == Some(wanted)))
}
