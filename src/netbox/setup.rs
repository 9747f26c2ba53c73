//! What NetBox needs before it can be kept equal: object types with their fields, a webhook, an event rule.
//!
//! Idempotent: everything is looked up by its name first; what is missing is created, what differs is patched, nothing
//! is deleted. A run that was cut short is simply run again.

use std::collections::BTreeSet;

use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use url::Url;

use crate::domain::kind::{Home, KindSpec};

use super::client::{Client, Model};
use super::form::Form;
use super::http::{NoAnswer, Write};
use super::{Error, rows::FIELDS};

/// The webhook's and the event rule's name in NetBox.
const NAME: &str = "fgd-sync";
pub(super) const TYPES: &str = "plugins/custom-objects/custom-object-types/";
const TYPE_FIELDS: &str = "plugins/custom-objects/custom-object-type-fields/";
pub(super) const WEBHOOKS: &str = "extras/webhooks/";
pub(super) const EVENT_RULES: &str = "extras/event-rules/";
/// What an event rule must send.
pub(super) const EVENTS: [&str; 3] = ["object_created", "object_updated", "object_deleted"];

/// What to set up.
pub struct SetupOptions {
    /// Where this service takes NetBox's deliveries.
    pub receiver_url: Url,
    /// The secret that NetBox signs them with.
    pub secret: SecretString,
    /// Look, and say what would be done.
    pub dry_run: bool,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetupStep {
    /// For example `custom object type hedgehog-vpcs` or `webhook fgd-sync`.
    pub what: String,
    pub effect: Effect,
}

/// What was done to it, or in a dry run would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    Created,
    /// The fields that differed.
    Updated(Vec<String>),
    Unchanged,
}

/// Makes NetBox ready: for custom objects the types of all kinds, and for either model a webhook with its event rule.
///
/// The token needs permission to view, add and change these; the one used afterwards does not. The first error ends it.
pub async fn setup(client: &Client, options: &SetupOptions) -> Result<Vec<SetupStep>, Error> {
    let mut setup = Setup { client, options, steps: Vec::new() };
    let custom = setup.custom_object_types().await?;
    let object_types = custom.into_iter().chain(types_that_are_there(client)).collect();
    let webhook = setup.webhook().await?;
    setup.event_rule(&object_types, webhook).await?;
    Ok(setup.steps)
}

/// NetBox's names of the types that need no setting up.
pub(super) fn types_that_are_there(client: &Client) -> BTreeSet<String> {
    let of_kind = |spec: &KindSpec| match client.form(spec) {
        Form::Plugin { model, .. } => Some(format!("netbox_hedgehog.{model}")),
        Form::Mapped(mapping) => Some(mapping.object_type.clone()),
        Form::CustomObject { .. } => None,
    };
    let fabric = match client.model() {
        Model::Hedgehog => Some("netbox_hedgehog.hedgehogfabric".to_owned()),
        Model::CustomObjects => None,
    };
    client.catalogue().iter().filter_map(of_kind).chain(fabric).collect()
}

struct Setup<'a> {
    client: &'a Client,
    options: &'a SetupOptions,
    steps: Vec<SetupStep>,
}

impl Setup<'_> {
    /// Creates what is missing of the types and fields; returns NetBox's names of the types.
    async fn custom_object_types(&mut self) -> Result<BTreeSet<String>, Error> {
        let wanted: Vec<(&KindSpec, String)> = self
            .client
            .catalogue()
            .iter()
            .filter_map(|spec| match self.client.form(spec) {
                Form::CustomObject { slug } => Some((spec, slug)),
                Form::Plugin { .. } | Form::Mapped(_) => None,
            })
            .collect();
        if wanted.is_empty() {
            return Ok(BTreeSet::new());
        }
        let types = self.client.http.list(TYPES, &[]).await?;
        let fields = self.client.http.list(TYPE_FIELDS, &[]).await?;
        let mut names = BTreeSet::new();
        for (spec, slug) in wanted {
            let existing = types.iter().find(|row| text(row, "slug") == Some(&slug));
            let row =
                self.ensure(&format!("custom object type {slug}"), TYPES, existing, type_body(spec, &slug)).await?;
            names.extend(row.get("object_type_name").and_then(Value::as_str).map(str::to_owned));
            let id = row.get("id").and_then(Value::as_u64);
            let of_type = |row: &&Map<String, Value>| id.is_some() && id_in(row, "custom_object_type") == id;
            let present: Vec<&Map<String, Value>> = fields.iter().filter(of_type).collect();
            for field in FIELDS {
                self.field(&slug, id, field, &present).await?;
            }
        }
        Ok(names)
    }

    async fn field(
        &mut self,
        slug: &str,
        of_type: Option<u64>,
        field: &str,
        present: &[&Map<String, Value>],
    ) -> Result<(), Error> {
        let wanted = field_body(field, of_type);
        let existing = present.iter().copied().find(|row| text(row, "name") == Some(field));
        let kind = existing.and_then(|row| choice(row.get("type")?));
        if let Some(kind) = kind.filter(|kind| wanted["type"].as_str() != Some(kind)) {
            let request = format!("usable field `{field}` at {slug}");
            let detail = format!("it is of type {kind}, not {}; rename or delete it in NetBox", wanted["type"]);
            return Err(self.client.http.no_endpoint(&request, detail));
        }
        // A field that is there is left as its owner shaped it: required, label and order are theirs.
        match existing {
            Some(_) => self.note(format!("field {slug}.{field}"), Effect::Unchanged),
            None => drop(self.ensure(&format!("field {slug}.{field}"), TYPE_FIELDS, None, wanted).await?),
        }
        Ok(())
    }

    async fn webhook(&mut self) -> Result<Option<u64>, Error> {
        let wanted = json!({
            "name": NAME,
            "payload_url": self.options.receiver_url.as_str(),
            "http_method": "POST",
            "http_content_type": "application/json",
            "secret": self.options.secret.expose_secret(),
            "ssl_verification": true,
        });
        let row = self.ensure_named("webhook", WEBHOOKS, wanted).await?;
        Ok(row.get("id").and_then(Value::as_u64))
    }

    async fn event_rule(&mut self, object_types: &BTreeSet<String>, webhook: Option<u64>) -> Result<(), Error> {
        let wanted = json!({
            "name": NAME,
            "object_types": object_types,
            "event_types": EVENTS,
            "enabled": true,
            "action_type": "webhook",
            "action_object_type": "extras.webhook",
            "action_object_id": webhook,
        });
        self.ensure_named("event rule", EVENT_RULES, wanted).await.map(drop)
    }

    async fn ensure_named(&mut self, what: &str, path: &str, wanted: Value) -> Result<Map<String, Value>, Error> {
        let rows = self.client.http.list(path, &[("name", NAME.to_owned())]).await?;
        let existing = rows.iter().find(|row| text(row, "name") == Some(NAME));
        self.ensure(&format!("{what} {NAME}"), path, existing, wanted).await
    }

    /// Creates or patches one row; returns it as it is afterwards (in a dry run: as far as it is there).
    async fn ensure(
        &mut self,
        what: &str,
        path: &str,
        existing: Option<&Map<String, Value>>,
        wanted: Value,
    ) -> Result<Map<String, Value>, Error> {
        let Some(existing) = existing else {
            self.note(what.to_owned(), Effect::Created);
            return self.change(Method::POST, path, &wanted).await;
        };
        let patch: Map<String, Value> = wanted
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(field, value)| !same(existing.get(*field), value))
            .map(|(field, value)| (field.clone(), value.clone()))
            .collect();
        let id = existing.get("id").and_then(Value::as_u64);
        match id.filter(|_| !patch.is_empty()) {
            None => {
                self.note(what.to_owned(), Effect::Unchanged);
                Ok(existing.clone())
            }
            Some(id) => {
                self.note(what.to_owned(), Effect::Updated(patch.keys().cloned().collect()));
                let changed = self.change(Method::PATCH, &format!("{path}{id}/"), &Value::Object(patch)).await?;
                Ok(if self.options.dry_run { existing.clone() } else { changed })
            }
        }
    }

    async fn change(&self, method: Method, path: &str, body: &Value) -> Result<Map<String, Value>, Error> {
        if self.options.dry_run {
            return Ok(Map::new());
        }
        let http = &self.client.http;
        let write = Write { method: method.clone(), path, query: &[], body, if_match: None };
        let answer = http.write(&write).await.map_err(|failed| match failed {
            NoAnswer::NotSent(error) => error,
            NoAnswer::Lost(detail) => {
                http.unavailable(format!("{method} {}: {detail}; run it again", http.shown(path)), None)
            }
        })?;
        match &answer.json {
            Some(Value::Object(row)) if answer.status.is_success() => Ok(row.clone()),
            _ => Err(http.failure(&method, path, &answer)),
        }
    }

    fn note(&mut self, what: String, effect: Effect) {
        self.steps.push(SetupStep { what, effect });
    }
}

fn type_body(spec: &KindSpec, slug: &str) -> Value {
    let kind = spec.kind.as_str();
    let (name, family) = match &spec.home {
        Home::Hedgehog { model, .. } => (format!("hedgehog_{model}"), "Hedgehog "),
        Home::CustomObject { .. } | Home::Mapped(_) => (slug.replace('-', "_"), ""),
    };
    json!({
        "name": name,
        "slug": slug,
        "verbose_name": format!("{family}{kind}"),
        "verbose_name_plural": format!("{family}{kind} objects"),
    })
}

fn field_body(field: &str, of_type: Option<u64>) -> Value {
    let text = matches!(field, "name" | "fabric" | "namespace");
    json!({
        "custom_object_type": of_type,
        "name": field,
        "type": if text { "text" } else { "json" },
        "primary": field == "name",
        "required": matches!(field, "name" | "fabric"),
    })
}

pub(super) fn text<'a>(row: &'a Map<String, Value>, field: &str) -> Option<&'a str> {
    row.get(field).and_then(Value::as_str)
}

/// A choice, which NetBox shows bare or as `{"value", "label"}`.
pub(super) fn choice(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value.get("value").and_then(Value::as_str))
}

/// A reference, which NetBox shows as an id or as a nested object.
pub(super) fn id_in(row: &Map<String, Value>, field: &str) -> Option<u64> {
    let value = row.get(field)?;
    value.as_u64().or_else(|| value.get("id").and_then(Value::as_u64))
}

/// Whether a row's field already says what is wanted; lists are sets here.
fn same(found: Option<&Value>, wanted: &Value) -> bool {
    let Some(found) = found else { return false };
    match wanted {
        Value::Array(wanted) => {
            let set = |items: &[Value]| -> BTreeSet<String> {
                items.iter().map(|item| choice(item).map_or_else(|| item.to_string(), str::to_owned)).collect()
            };
            found.as_array().is_some_and(|found| set(found) == set(wanted))
        }
        Value::String(wanted) => choice(found) == Some(wanted),
        wanted => found == wanted,
    }
}
