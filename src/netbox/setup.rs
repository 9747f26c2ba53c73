//! What NetBox needs before it can be kept equal: object types with their fields, the fabrics' own rows or the custom
//! fields that their rows lack, a webhook, an event rule, links to our pages.
//!
//! Idempotent: everything is looked up by its name first; what is missing is created, what differs is patched, nothing
//! is deleted. A run that was cut short is simply run again. What the token lacks is told before anything is changed.

mod custom_fields;
mod links;
pub(super) mod permissions;

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use url::Url;

use crate::domain::fabric_state::SyncStatus;
use crate::domain::kind::{FABRICS_SLUG, Home, KindSpec};
use crate::domain::names::FabricName;

use super::client::{Client, Model};
use super::fabric::{FABRICS_TYPE, STATUS_FIELDS};
use super::form::Form;
use super::http::{NoAnswer, Write};
use super::journal::JOURNAL;
use super::{Error, rows::FIELDS};
use custom_fields::{CUSTOM_FIELDS, Columns};
use links::Link;
use permissions::{ALL, Action, Need};

/// The webhook's and the event rule's name in NetBox.
const NAME: &str = "fgd-sync";
pub(super) const TYPES: &str = "plugins/custom-objects/custom-object-types/";
const TYPE_FIELDS: &str = "plugins/custom-objects/custom-object-type-fields/";
pub(super) const WEBHOOKS: &str = "extras/webhooks/";
pub(super) const EVENT_RULES: &str = "extras/event-rules/";
/// What an event rule must send.
pub(super) const EVENTS: [&str; 3] = ["object_created", "object_updated", "object_deleted"];
const CUSTOM_LINKS: &str = "extras/custom-links/";
/// The menu that the links are in.
const GROUP: &str = "fgd-sync";

/// What to set up.
pub struct SetupOptions {
    /// Where this service takes NetBox's deliveries.
    pub receiver_url: Url,
    /// The secret that NetBox signs them with.
    pub secret: SecretString,
    /// Fabrics that get a row of their own where they are custom objects.
    pub fabrics: Vec<FabricName>,
    /// Whether NetBox is told how its fabrics stand, and so needs a place for that.
    pub fabric_status: Telling,
    /// Whether objects get journal entries.
    pub journal: Telling,
    /// Where people reach this service, when NetBox's pages shall link to it; ends with `/`.
    pub links: Option<Url>,
    /// Look, and say what would be done.
    pub dry_run: bool,
}

/// Whether NetBox is told of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Telling {
    Off,
    On,
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
    /// The token may not do what the service does with this: view, add or change.
    Lacking,
    /// Whether it is needed shows once there is a fabric.
    AfterTheFirstFabric,
}

/// Makes NetBox ready: for custom objects the types of all kinds and of the fabrics, for the plugin the custom fields of
/// the columns that its fabrics lack, and for either model a webhook with its event rule, and links.
///
/// The token needs permission to view, add and change these; what it lacks is one `Error::Denied`, before any change. What
/// it lacks for the work afterwards is told as a step: that may be another token's. The first error ends it.
pub async fn setup(client: &Client, options: &SetupOptions) -> Result<Vec<SetupStep>, Error> {
    let mut setup = Setup { client, options, steps: Vec::new() };
    let columns = setup.missing_columns().await?;
    setup.check_permissions(&columns).await?;
    let custom = setup.custom_object_types().await?;
    let object_types: BTreeMap<Subject<'_>, String> = custom.into_iter().chain(types_that_are_there(client)).collect();
    let webhook = setup.webhook().await?;
    setup.event_rule(object_types.values().collect(), webhook).await?;
    setup.fabric_rows().await?;
    setup.custom_fields(&columns).await?;
    setup.custom_links(&object_types).await?;
    Ok(setup.steps)
}

/// What an object type holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject<'s> {
    Fabrics,
    Kind(&'s str),
}

/// NetBox's names of the types that need no setting up.
pub(super) fn types_that_are_there(client: &Client) -> Vec<(Subject<'_>, String)> {
    let of_kind = |spec: &KindSpec| client.form(spec).object_type(&BTreeMap::new());
    let kinds = client.catalogue().iter().filter_map(|spec| Some((Subject::Kind(spec.kind.as_str()), of_kind(spec)?)));
    let fabric = match client.model() {
        Model::Hedgehog => Some((Subject::Fabrics, "netbox_hedgehog.hedgehogfabric".to_owned())),
        Model::CustomObjects => None,
    };
    kinds.chain(fabric).collect()
}

/// A custom object type, as it should be.
struct ObjectType<'s> {
    subject: Subject<'s>,
    slug: String,
    body: Value,
    /// Name, type, and whether a row must have it.
    fields: Vec<(&'static str, &'static str, bool)>,
}

/// The custom object types that this NetBox should have.
fn wanted_types(client: &Client) -> Vec<ObjectType<'_>> {
    let of_kind = |spec| match client.form(spec) {
        Form::CustomObject { slug } => Some(ObjectType {
            subject: Subject::Kind(spec.kind.as_str()),
            body: type_body(spec, &slug),
            slug,
            fields: FIELDS.iter().map(|field| of_object(field)).collect(),
        }),
        Form::Plugin { .. } | Form::Mapped(_) => None,
    };
    let fabrics = ObjectType {
        subject: Subject::Fabrics,
        slug: FABRICS_SLUG.to_owned(),
        body: json!({
            "name": FABRICS_TYPE,
            "slug": FABRICS_SLUG,
            "verbose_name": "Hedgehog fabric",
            "verbose_name_plural": "Hedgehog fabrics",
        }),
        fields: [("name", "text", true)]
            .into_iter()
            .chain(STATUS_FIELDS.map(|(field, kind)| (field, kind, false)))
            .collect(),
    };
    let fabrics = Some(fabrics).filter(|_| client.model() == Model::CustomObjects);
    client.catalogue().iter().filter_map(of_kind).chain(fabrics).collect()
}

fn of_object(field: &'static str) -> (&'static str, &'static str, bool) {
    match field {
        "name" | "fabric" => (field, "text", true),
        "namespace" => (field, "text", false),
        _ => (field, "json", false),
    }
}

struct Setup<'a> {
    client: &'a Client,
    options: &'a SetupOptions,
    steps: Vec<SetupStep>,
}

impl<'a> Setup<'a> {
    /// Ends with everything that setting up needs and the token lacks; tells what the work afterwards would lack.
    async fn check_permissions(&mut self, columns: &Columns) -> Result<(), Error> {
        let client = self.client;
        let wanted = wanted_types(client);
        let custom = [TYPES, TYPE_FIELDS].into_iter().filter(|_| !wanted.is_empty());
        let links = self.options.links.as_ref().map(|_| CUSTOM_LINKS);
        let fields = columns.are_missing().then_some(CUSTOM_FIELDS);
        let own = [WEBHOOKS, EVENT_RULES].into_iter().chain(custom).chain(links).chain(fields);
        let own: Vec<Need> = own.map(|path| Need { path: path.to_owned(), actions: &ALL }).collect();
        let lacking = permissions::lacking(client, &own).await?;
        if !lacking.is_empty() {
            let detail = format!(
                "the token lacks {}; nothing was changed: let its user do this, or set NetBox up with another token",
                lacking.join("; ")
            );
            return Err(Error::Denied { netbox: client.name().to_string(), request: "the setup".to_owned(), detail });
        }
        let objects = client.catalogue().iter().map(|spec| Need { path: client.path(spec), actions: &ALL });
        let fabrics = Need { path: client.fabrics_path(), actions: &[Action::View, Action::Change] };
        let log = Need { path: "core/object-changes/".to_owned(), actions: &[Action::View] };
        let journal = Need { path: JOURNAL.to_owned(), actions: &[Action::Add] };
        let journal = Some(journal).filter(|_| self.options.journal == Telling::On);
        let work: Vec<Need> = objects.chain([fabrics, log]).chain(journal).collect();
        for lacking in permissions::lacking(client, &work).await? {
            self.note(format!("permission to {lacking}"), Effect::Lacking);
        }
        Ok(())
    }

    /// Creates what is missing of the types and fields; returns NetBox's names of the types.
    async fn custom_object_types(&mut self) -> Result<Vec<(Subject<'a>, String)>, Error> {
        let client: &'a Client = self.client;
        let wanted = wanted_types(client);
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let types = self.client.http.list(TYPES, &[]).await?;
        let fields = self.client.http.list(TYPE_FIELDS, &[]).await?;
        let mut names = Vec::new();
        for ObjectType { subject, slug, body, fields: columns } in wanted {
            let existing = types.iter().find(|row| text(row, "slug") == Some(&slug));
            let row = self.ensure(&format!("custom object type {slug}"), TYPES, existing, body).await?;
            names.extend(text(&row, "object_type_name").map(|name| (subject, name.to_owned())));
            let id = row.get("id").and_then(Value::as_u64);
            let of_type = |row: &&Map<String, Value>| id.is_some() && id_in(row, "custom_object_type") == id;
            let present: Vec<&Map<String, Value>> = fields.iter().filter(of_type).collect();
            for column in columns {
                let wanted = field_body(column, id);
                self.field(&slug, wanted, &present).await?;
            }
        }
        Ok(names)
    }

    async fn field(&mut self, slug: &str, wanted: Value, present: &[&Map<String, Value>]) -> Result<(), Error> {
        let field = wanted["name"].as_str().unwrap_or_default().to_owned();
        let existing = present.iter().copied().find(|row| text(row, "name") == Some(&field));
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

    /// The rows of the fabrics themselves: where their status is told.
    async fn fabric_rows(&mut self) -> Result<(), Error> {
        if self.client.model() != Model::CustomObjects || self.options.fabrics.is_empty() {
            return Ok(());
        }
        let path = self.client.fabrics_path();
        let rows = match self.client.http.list(&path, &[("fields", "id,name".to_owned())]).await {
            Ok(rows) => rows,
            // A dry run made no type.
            Err(Error::NoEndpoint { .. }) if self.options.dry_run => Vec::new(),
            Err(error) => return Err(error),
        };
        for fabric in &self.options.fabrics {
            let existing = rows.iter().find(|row| text(row, "name") == Some(fabric.as_str()));
            let mut wanted = json!({ "name": fabric.as_str() });
            if existing.is_none() {
                // Afterwards the status is the service's to tell.
                wanted["sync_status"] = json!(SyncStatus::NeverSynced.as_str());
            }
            self.ensure(&format!("fabric {fabric}"), &path, existing, wanted).await?;
        }
        Ok(())
    }

    async fn custom_links(&mut self, object_types: &BTreeMap<Subject<'_>, String>) -> Result<(), Error> {
        let Some(base) = &self.options.links else { return Ok(()) };
        // A dry run does not know the types that it did not make: the links are the same without.
        let named = |subject| object_types.get(&subject).map(String::as_str).unwrap_or_default();
        let of_kind = |spec| links::of_kind(base, self.client, spec, named(Subject::Kind(spec.kind.as_str())));
        let mut wanted = links::of_fabrics(base, named(Subject::Fabrics));
        wanted.extend(self.client.catalogue().iter().flat_map(of_kind));
        let rows = self.client.http.list(CUSTOM_LINKS, &[]).await?;
        for Link { name, object_types, text: link_text, url, weight } in wanted {
            let existing = rows.iter().find(|row| text(row, "name") == Some(&name));
            let body = json!({
                "name": name,
                "object_types": object_types,
                "enabled": true,
                "link_text": link_text,
                "link_url": url,
                "weight": weight,
                "group_name": GROUP,
                "new_window": true,
            });
            self.ensure(&format!("custom link {name}"), CUSTOM_LINKS, existing, body).await?;
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

    async fn event_rule(&mut self, object_types: BTreeSet<&String>, webhook: Option<u64>) -> Result<(), Error> {
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

fn field_body((field, kind, required): (&str, &str, bool), of_type: Option<u64>) -> Value {
    json!({
        "custom_object_type": of_type,
        "name": field,
        "type": kind,
        "primary": field == "name",
        "required": required,
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
