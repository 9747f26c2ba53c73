//! A kind that NetBox holds field by field: which field of a row is which of a document.

use std::fmt;

use serde_json::{Map, Value, json};

use super::document::without_ours;
use super::key::DEFAULT_NAMESPACE;

/// The rows of one endpoint as objects of a kind.
///
/// Such an object has what the row has and nothing else: a name and exactly the mapped keys of `spec`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// Below `/api/`, with a `/` at the end, for example `ipam/vlans/`.
    pub endpoint: String,
    /// NetBox's name of the rows' type, for example `ipam.vlan`.
    pub object_type: String,
    /// What names the fabric that a row belongs to.
    pub fabric: FieldPath,
    /// What is the object's name; must be one that Kubernetes takes.
    pub name: FieldPath,
    /// Key of `spec` to field.
    pub fields: Vec<(String, FieldPath)>,
}

/// A field of a row, or a field of what it refers to: `vid`, `site.slug`, `custom_fields.fabric`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldPath(Vec<String>);

impl FieldPath {
    /// Reads `a.b`; `None` when a part is empty.
    pub fn new(text: &str) -> Option<Self> {
        let parts: Vec<String> = text.split('.').map(str::to_owned).collect();
        parts.iter().all(|part| !part.is_empty()).then_some(Self(parts))
    }

    /// The row's own field.
    pub fn field(&self) -> &str {
        &self.0[0]
    }

    /// What a row says there; null where it refers to nothing, the bare word for a choice.
    pub fn read<'v>(&self, row: &'v Map<String, Value>) -> &'v Value {
        const NULL: &Value = &Value::Null;
        let (first, rest) = (self.field(), &self.0[1..]);
        let found = rest.iter().try_fold(row.get(first).unwrap_or(NULL), |value, part| value.get(part)).unwrap_or(NULL);
        match found.get("value") {
            // NetBox writes a choice as `{"value", "label"}` and takes the bare word.
            Some(word) if found.get("label").is_some() => word,
            Some(_) | None => found,
        }
    }

    /// Puts a value into the body of a write; null takes the whole reference away.
    fn write(&self, value: &Value, body: &mut Map<String, Value>) {
        let own = self.field() == CUSTOM_FIELDS;
        let inner = match (value, &self.0[1..]) {
            (Value::Null, [_, ..]) if !own => Value::Null,
            (value, rest) => rest.iter().rev().fold(value.clone(), |inner, part| json!({ part.as_str(): inner })),
        };
        match (body.get_mut(self.field()), inner) {
            (Some(Value::Object(there)), Value::Object(more)) => there.extend(more),
            (_, inner) => _ = body.insert(self.field().to_owned(), inner),
        }
    }
}

/// The field whose parts are independent of each other.
const CUSTOM_FIELDS: &str = "custom_fields";

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

impl Mapping {
    /// The spec that a row stands for; every mapped key is there.
    pub fn spec_of(&self, row: &Map<String, Value>) -> Value {
        let entries = self.fields.iter().map(|(key, field)| (key.clone(), field.read(row).clone()));
        Value::Object(entries.collect())
    }

    /// The body that makes a row be this object; the fabric only where it is given.
    pub fn body(&self, name: &str, spec: &Value, fabric: Option<&str>) -> Map<String, Value> {
        let mut body = Map::new();
        if let Some(fabric) = fabric {
            self.fabric.write(&Value::from(fabric), &mut body);
        }
        self.name.write(&Value::from(name), &mut body);
        for (key, field) in &self.fields {
            field.write(spec.get(key).unwrap_or(&Value::Null), &mut body);
        }
        body
    }

    /// What a document has that a row of this type could not hold, or lacks that a row always has; `None` when nothing.
    pub fn misfit(&self, namespace: &str, metadata: &Map<String, Value>, spec: Option<&Value>) -> Option<String> {
        if namespace != DEFAULT_NAMESPACE {
            return Some(format!("NetBox has no field for a namespace of this kind: leave out `{namespace}`"));
        }
        let people = |part: &str| metadata.get(part).and_then(Value::as_object).cloned().unwrap_or_default();
        for part in ["labels", "annotations"] {
            if let Some(name) = without_ours(people(part)).keys().next() {
                return Some(format!("NetBox has no field for {part} of this kind: leave out `{name}`"));
            }
        }
        self.misfit_of_spec(spec.unwrap_or(&Value::Null))
    }

    fn misfit_of_spec(&self, spec: &Value) -> Option<String> {
        let Some(spec) = spec.as_object() else { return Some("its spec is not a mapping".to_owned()) };
        let surplus = spec.keys().find(|key| self.fields.iter().all(|(mapped, _)| mapped != *key));
        if let Some(key) = surplus {
            return Some(format!("NetBox has no field for spec.{key}: only {} are kept", self.keys()));
        }
        let missing = self.fields.iter().find(|(key, _)| !spec.contains_key(key));
        missing.map(|(key, _)| {
            format!("spec.{key} is missing: all of {} must be there, null where there is none", self.keys())
        })
    }

    fn keys(&self) -> String {
        let keys: Vec<String> = self.fields.iter().map(|(key, _)| format!("spec.{key}")).collect();
        keys.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> FieldPath {
        FieldPath::new(text).unwrap()
    }

    fn vlans() -> Mapping {
        let fields = [("vid", "vid"), ("status", "status"), ("site", "site.slug"), ("owner", "custom_fields.owner")];
        Mapping {
            endpoint: "ipam/vlans/".to_owned(),
            object_type: "ipam.vlan".to_owned(),
            fabric: path("custom_fields.fabric"),
            name: path("name"),
            fields: fields.map(|(key, field)| (key.to_owned(), path(field))).to_vec(),
        }
    }

    fn row(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_row_is_read_through_choices_and_references() {
        let row = row(json!({
            "vid": 7, "status": {"value": "active", "label": "Active"}, "site": {"id": 3, "slug": "dc1"},
            "custom_fields": {"fabric": "lab", "owner": null}
        }));

        assert_eq!(vlans().spec_of(&row), json!({"vid": 7, "status": "active", "site": "dc1", "owner": null}));
        assert_eq!(vlans().fabric.read(&row), "lab");
    }

    #[test]
    fn a_reference_to_nothing_is_null_both_ways() {
        let spec = vlans().spec_of(&row(json!({"vid": 7, "status": null, "site": null, "custom_fields": {}})));
        assert_eq!(spec, json!({"vid": 7, "status": null, "site": null, "owner": null}));

        let body = vlans().body("web", &spec, None);

        assert_eq!(
            Value::Object(body),
            json!({"name": "web", "vid": 7, "status": null, "site": null, "custom_fields": {"owner": null}})
        );
    }

    #[test]
    fn a_body_names_references_by_their_fields() {
        let spec = json!({"vid": 7, "status": "active", "site": "dc1", "owner": "ann"});

        let body = Value::Object(vlans().body("web", &spec, Some("lab")));

        assert_eq!(body["site"], json!({"slug": "dc1"}));
        assert_eq!(body["custom_fields"], json!({"fabric": "lab", "owner": "ann"}));
    }

    #[test]
    fn a_document_fits_only_with_exactly_the_mapped_keys() {
        let whole = json!({"vid": 7, "status": "active", "site": null, "owner": null});
        assert_eq!(vlans().misfit_of_spec(&whole), None);

        let mut less = whole.clone();
        less.as_object_mut().unwrap().remove("site");
        let mut more = whole;
        more["color"] = json!("red");

        assert!(vlans().misfit_of_spec(&less).unwrap().contains("spec.site is missing"));
        assert!(vlans().misfit_of_spec(&more).unwrap().contains("no field for spec.color"));
        assert!(vlans().misfit_of_spec(&Value::Null).is_some());
    }
}
