//! NetBox's event-rule webhooks, in all body schemas from 3.7 to 4.7.
//!
//! | NetBox | type | user | request id | request path |
//! |---|---|---|---|---|
//! | <= 4.3 | bare `model`, told apart by `data.url` | `username` | `request_id` | absent |
//! | 4.4 | `object_type` (and `model`) | `username` | `request_id` | absent |
//! | 4.5 | `object_type` | `username` | `request_id` | absent |
//! | 4.6 | `object_type` | both forms | both forms | `request.path` |
//! | >= 4.7 | `object_type` | `request.user` | `request.id` | `request.path` |
//!
//! The body does not name its version, so every field is looked for in all its places. Where no path is given, a
//! fabric's own deletion cannot be told from others; the deletion guard is what holds it then.

mod naming;

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::domain::change::{ObjectEvent, told_as};
use crate::domain::fabric_ref::FabricRef;
use crate::domain::key::ObjectId;
use crate::domain::kind::{Catalogue, KindSpec};
use crate::domain::names::{FabricName, NetBoxName};

use super::{Loose, NotADelivery};
use naming::{Thing, deletes_a_fabric};

/// What one delivery says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetBoxDelivery {
    pub what: What,
    /// Type and id as NetBox writes them, for example `netbox_hedgehog.vpc#6`; no content.
    pub subject: String,
    /// Equal for a repeated delivery; `None` when the body names no request.
    pub dedupe: Option<String>,
}

/// What a delivery is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    Object(ObjectChange),
    Fabric(FabricChange),
    /// Authentic, but nothing that could change a file; with the reason.
    Ignored(String),
}

/// A row of one of our kinds changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectChange {
    pub object: ObjectId,
    /// `None` for a kind that every NetBox holds alike.
    pub model: Option<Model>,
    pub event: ObjectEvent,
    /// Every fabric that it belongs or belonged to: two for a move, none when it has none.
    pub fabrics: BTreeSet<FabricRef>,
    /// Login name.
    pub user: Option<String>,
    pub request_id: Option<String>,
    /// Whether it went as part of its fabric's own deletion.
    pub cascade: bool,
}

/// A fabric appeared, got another name or went. What else changes on a fabric is no change of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FabricChange {
    /// Where the fabric's row lives.
    pub model: Model,
    pub id: u64,
    /// Its name, and for a renaming the one before too.
    pub names: BTreeSet<FabricName>,
    pub event: ObjectEvent,
    pub user: Option<String>,
    pub request_id: Option<String>,
}

/// Which of NetBox's data models a row lives in; the ids of one say nothing about the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    CustomObjects,
    /// The Hedgehog plugin's.
    Hedgehog,
}

/// Reads a delivery of this NetBox about one of these kinds. The signature must have been checked.
pub fn parse(catalogue: &Catalogue, netbox: &NetBoxName, body: &[u8]) -> Result<NetBoxDelivery, NotADelivery> {
    let body: Body = serde_json::from_slice(body).map_err(|error| NotADelivery::of(&error))?;
    let request: Request = part(body.request);
    let row: Row = part(body.data);
    let event = body.event.text().ok_or(NotADelivery::Field { field: "event", wants: "a text" })?;
    let typed = body.object_type.text().or_else(|| body.model.text());
    let typed = typed.ok_or(NotADelivery::Field { field: "object_type", wants: "a text" })?;
    let id = row.id.into_option();
    let subject = id.map_or_else(|| typed.clone(), |id| format!("{typed}#{id}"));
    let ignored = |reason: &str| {
        Ok(NetBoxDelivery { what: What::Ignored(reason.to_owned()), subject: subject.clone(), dedupe: None })
    };
    let Some(event) = object_event(&event) else { return ignored("its event is not about a change of an object") };
    let Some(thing) = Thing::named(catalogue, &typed, row.url.text().as_deref()) else {
        return ignored("its type is not one that is kept equal");
    };
    let id = id.ok_or(NotADelivery::Field { field: "data.id", wants: "a whole number" })?;
    let request_id = request.id.text().or_else(|| body.request_id.text());
    let dedupe = request_id.as_ref().map(|request| match &thing {
        Thing::Object(_, spec) => told_as(netbox, &ObjectId { kind: spec.kind.clone(), id }, event, request),
        Thing::Fabric(_) => format!("{netbox} {typed} {id} {} {request}", event.as_str()),
    });
    let seen = Seen {
        event,
        user: request.user.text().or_else(|| body.username.text()),
        request_id,
        path: request.path.text().unwrap_or_default(),
        name: row.name.text(),
        fabric: row.fabric,
        snapshots: part(body.snapshots),
    };
    let what = match thing {
        Thing::Fabric(model) => seen.fabric_change(model, id),
        Thing::Object(model, spec) => seen.object_change(model, spec, id),
    };
    Ok(NetBoxDelivery { what, subject, dedupe })
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(default)]
    event: Loose<String>,
    #[serde(default)]
    object_type: Loose<String>,
    #[serde(default)]
    model: Loose<String>,
    #[serde(default)]
    username: Loose<String>,
    #[serde(default)]
    request_id: Loose<String>,
    #[serde(borrow, default)]
    request: Option<&'a RawValue>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    snapshots: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Request {
    #[serde(default)]
    id: Loose<String>,
    #[serde(default)]
    user: Loose<String>,
    #[serde(default)]
    path: Loose<String>,
}

/// The few fields that are looked at, of the REST form and of the snapshots.
#[derive(Default, Deserialize)]
struct Row {
    #[serde(default)]
    id: Loose<u64>,
    #[serde(default)]
    url: Loose<String>,
    #[serde(default)]
    name: Loose<String>,
    #[serde(default)]
    fabric: Loose<FabricField>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum FabricField {
    Id(u64),
    Name(String),
    Nested { id: u64 },
}

#[derive(Default, Deserialize)]
struct Snapshots<'a> {
    #[serde(borrow, default)]
    prechange: Option<&'a RawValue>,
    #[serde(borrow, default)]
    postchange: Option<&'a RawValue>,
}

/// A part that is absent or of another shape says nothing; what is needed of it is asked for by name.
fn part<'a, T: Default + Deserialize<'a>>(raw: Option<&'a RawValue>) -> T {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
}

fn object_event(event: &str) -> Option<ObjectEvent> {
    match event {
        "created" => Some(ObjectEvent::Created),
        "updated" => Some(ObjectEvent::Updated),
        "deleted" => Some(ObjectEvent::Deleted),
        // `job_started`, `job_ended`, and what later versions add.
        _ => None,
    }
}

/// What was read of a delivery whose type is ours.
struct Seen<'a> {
    event: ObjectEvent,
    user: Option<String>,
    request_id: Option<String>,
    path: String,
    name: Option<String>,
    fabric: Loose<FabricField>,
    snapshots: Snapshots<'a>,
}

impl Seen<'_> {
    fn object_change(self, model: Option<Model>, spec: &KindSpec, id: u64) -> What {
        if self.event == ObjectEvent::Updated && self.snapshots.are_equal() {
            return What::Ignored("nothing changed: its snapshots are equal".to_owned());
        }
        let before: Row = part(self.snapshots.prechange);
        let fabrics = match spec.mapping() {
            None => [self.fabric, before.fabric].into_iter().filter_map(fabric_ref).collect(),
            // Its field is elsewhere, and snapshots write references otherwise than rows.
            Some(_) => BTreeSet::from([FabricRef::Any]),
        };
        What::Object(ObjectChange {
            object: ObjectId { kind: spec.kind.clone(), id },
            model,
            event: self.event,
            fabrics,
            user: self.user,
            request_id: self.request_id,
            cascade: self.event == ObjectEvent::Deleted && deletes_a_fabric(&self.path),
        })
    }

    fn fabric_change(self, model: Model, id: u64) -> What {
        let before: Row = part(self.snapshots.prechange);
        let before = before.name.text();
        if self.event == ObjectEvent::Updated && (before.is_none() || before == self.name) {
            return What::Ignored("of a fabric only creation, renaming and deletion count".to_owned());
        }
        let names = [self.name, before].into_iter().flatten().map(FabricName::new).collect();
        let Self { event, user, request_id, .. } = self;
        What::Fabric(FabricChange { model, id, names, event, user, request_id })
    }
}

impl Snapshots<'_> {
    /// Whether both are there and mean the same; jsonb changes the order of keys on the way.
    fn are_equal(&self) -> bool {
        let (Some(before), Some(after)) = (self.prechange, self.postchange) else { return false };
        let value = |raw: &RawValue| serde_json::from_str::<Value>(raw.get()).ok();
        before.get() == after.get() || value(before).is_some_and(|before| Some(before) == value(after))
    }
}

fn fabric_ref(field: Loose<FabricField>) -> Option<FabricRef> {
    match field.into_option()? {
        FabricField::Id(id) | FabricField::Nested { id } => Some(FabricRef::Id(id)),
        FabricField::Name(name) => Loose::Is(name).text().map(|name| FabricRef::Name(FabricName::new(name))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(body: &str) -> Result<NetBoxDelivery, NotADelivery> {
        parse(Catalogue::hedgehog(), &NetBoxName::new("lab"), body.as_bytes())
    }

    fn object(body: &str) -> ObjectChange {
        match parsed(body).unwrap().what {
            What::Object(change) => change,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_move_touches_both_fabrics() {
        let change = object(
            r#"{"event": "updated", "object_type": "netbox_hedgehog.vpc", "data": {"id": 6, "fabric": 4},
                "snapshots": {"prechange": {"fabric": 3}, "postchange": {"fabric": 4}}}"#,
        );

        assert_eq!(change.fabrics, BTreeSet::from([FabricRef::Id(3), FabricRef::Id(4)]));
    }

    #[test]
    fn snapshots_that_differ_in_key_order_alone_are_equal() {
        let delivery = parsed(
            r#"{"event": "updated", "object_type": "netbox_hedgehog.vpc", "data": {"id": 6, "fabric": 3},
                "snapshots": {"prechange": {"spec": {"a": 1, "b": 2}}, "postchange": {"spec": {"b": 2, "a": 1}}}}"#,
        );

        assert!(matches!(delivery.unwrap().what, What::Ignored(_)));
    }

    #[test]
    fn a_bare_model_is_told_apart_by_its_url() {
        let of = |url: &str| {
            parsed(&format!(
                r#"{{"event": "created", "model": "vpc", "data": {{"id": 6, "url": "{url}", "fabric": 3}}}}"#
            ))
            .unwrap()
            .what
        };

        assert!(matches!(of("/api/plugins/hedgehog/vpcs/6/"), What::Object(_)));
        assert!(matches!(of("https://netbox.example.com/base/api/plugins/hedgehog/vpcs/6/"), What::Object(_)));
        assert!(matches!(of("/api/plugins/cloud/vpcs/6/"), What::Ignored(_)));
    }

    #[test]
    fn other_types_are_ignored_whatever_their_fields_are() {
        let delivery = parsed(r#"{"event": "created", "object_type": "dcim.site", "data": [{"id": "x"}]}"#);

        assert!(matches!(delivery.unwrap().what, What::Ignored(_)));
    }

    #[test]
    fn what_is_missing_is_named() {
        let field = |body: &str| match parsed(body).unwrap_err() {
            NotADelivery::Field { field, .. } => field,
            other => panic!("{other:?}"),
        };

        assert_eq!(field("{}"), "event");
        assert_eq!(field(r#"{"event": "created"}"#), "object_type");
        assert_eq!(field(r#"{"event": "created", "object_type": "netbox_hedgehog.vpc", "data": {}}"#), "data.id");
    }

    #[test]
    fn what_is_not_json_is_placed_and_not_repeated() {
        let error = parsed("{\"event\": \"created\",\n \"data\": {\"kubernetes_token\": SECRET}}").unwrap_err();

        assert_eq!(error.to_string(), "the body is not JSON: a syntax error at line 2, column 31");
    }

    #[test]
    fn deep_nesting_is_skipped_or_refused_without_a_stack() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let of = |data: &str, snapshot: &str| {
            parsed(&format!(
                r#"{{"event": "updated", "object_type": "netbox_hedgehog.vpc", "data": {data},
                    "snapshots": {{"prechange": {snapshot}, "postchange": {snapshot} }}}}"#
            ))
        };

        let row = format!(r#"{{"id": 6, "fabric": 3, "spec": {deep}}}"#);
        assert!(matches!(of(&row, "null").unwrap().what, What::Object(_)));
        assert!(matches!(of(&row, &deep).unwrap().what, What::Ignored(_)));
        assert!(of(&deep, "null").is_err());
        assert!(parsed(&format!(r#"{{"event": {deep}}}"#)).is_err());
    }

    #[test]
    fn a_text_longer_than_any_name_is_not_kept() {
        let long = "x".repeat(5_000);
        let body = format!(
            r#"{{"event": "created", "object_type": "netbox_hedgehog.vpc", "data": {{"id": 6, "fabric": 3}},
                "username": "{long}"}}"#
        );

        assert_eq!(object(&body).user, None);
    }

    #[test]
    fn without_a_request_id_nothing_is_a_duplicate() {
        let body = r#"{"event": "created", "object_type": "netbox_hedgehog.vpc", "data": {"id": 6, "fabric": 3}}"#;

        assert_eq!(parsed(body).unwrap().dedupe, None);
    }
}
