//! Writes an object as YAML: a pure function of the object and of the file that it replaces, with no time in it.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::domain::digest::Digest;
use crate::domain::document::{Document, OWN_PREFIX, Shared};
use crate::domain::key::DEFAULT_NAMESPACE;
use crate::domain::kind::KindSpec;
use crate::domain::names::FabricName;

/// Where a file's content comes from, as far as our annotations say so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Provenance {
    /// The file exists: its own annotations stay as they are.
    Kept,
    /// The object was born in NetBox.
    Born { fabric: FabricName },
    /// The document was dropped into raw/: file below the fabric's directory, index among all its documents, and of a
    /// `kind: List` which item.
    Ingested { fabric: FabricName, file: String, index: usize, item: Option<usize> },
}

/// Annotations of the service before us that changed with every save.
const DROPPED: [&str; 3] = ["ingested-at", "ingestion-version", "last-synced"];

/// The file of an object.
///
/// Of `existing` everything is kept that NetBox cannot hold: its apiVersion, other fields, our annotations, and the
/// order of its keys everywhere; new keys follow in sorted order. Without it the file is the catalogue's.
pub fn render(want: &Shared, spec: &KindSpec, existing: Option<&Document>, provenance: &Provenance) -> Bytes {
    text(&body(want, spec, existing, provenance))
}

/// A mapping as YAML text.
pub(super) fn text(body: &Map<String, Value>) -> Bytes {
    let text = serde_yaml::to_string(body).expect("maps with text as keys are always written");
    Bytes::from(text)
}

/// A list as YAML text.
pub(super) fn list_text(items: Vec<Value>) -> Bytes {
    Bytes::from(serde_yaml::to_string(&Value::Array(items)).expect("maps with text as keys are always written"))
}

/// The document that `render` writes.
pub(super) fn body(
    want: &Shared,
    spec: &KindSpec,
    existing: Option<&Document>,
    provenance: &Provenance,
) -> Map<String, Value> {
    let mut body = existing.map_or_else(|| new_body(spec), |document| document.body.clone());
    body.insert("kind".to_owned(), Value::from(want.key.kind.as_str()));
    let metadata = take_map(&mut body, "metadata");
    put(&mut body, "metadata", Value::Object(new_metadata(want, metadata, provenance)));
    let spec = match (&want.spec, body.get("spec")) {
        (Value::Null, None | Some(Value::Null)) => None,
        (wanted, was) => Some(in_order_of(was, wanted)),
    };
    match spec {
        Some(Value::Null) => _ = body.shift_remove("spec"),
        Some(spec) => _ = body.insert("spec".to_owned(), spec),
        None => {}
    }
    body
}

/// Takes a mapping out but leaves its place, so that putting it back keeps the order of keys.
fn take_map(body: &mut Map<String, Value>, key: &str) -> Map<String, Value> {
    match body.get_mut(key).map(Value::take) {
        Some(Value::Object(map)) => map,
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) | None => Map::new(),
    }
}

fn put(map: &mut Map<String, Value>, key: &str, value: Value) {
    map.insert(key.to_owned(), value);
}

fn new_body(spec: &KindSpec) -> Map<String, Value> {
    let mut body = Map::new();
    put(&mut body, "apiVersion", Value::from(spec.api_version()));
    put(&mut body, "kind", Value::from(spec.kind.as_str()));
    body
}

fn new_metadata(want: &Shared, mut metadata: Map<String, Value>, provenance: &Provenance) -> Map<String, Value> {
    put(&mut metadata, "name", Value::from(want.key.name.as_str()));
    let namespace_is_said = match metadata.get("namespace") {
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) | None => false,
    };
    let kept_silent = *provenance == Provenance::Kept && want.key.namespace == DEFAULT_NAMESPACE;
    if namespace_is_said || !kept_silent {
        put(&mut metadata, "namespace", Value::from(want.key.namespace.as_str()));
    }
    put_texts(&mut metadata, "labels", &want.labels);
    let annotations = annotations(want, metadata.get("annotations"), provenance);
    put_texts(&mut metadata, "annotations", &annotations);
    metadata
}

/// Writes labels or annotations; an empty set leaves an empty field as it was and removes a full one.
fn put_texts(metadata: &mut Map<String, Value>, field: &str, wanted: &Map<String, Value>) {
    let was = metadata.get(field);
    let was_empty = was.is_some_and(|was| was.as_object().is_none_or(Map::is_empty));
    if !wanted.is_empty() {
        let value = in_order_of(was, &Value::Object(wanted.clone()));
        put(metadata, field, value);
    } else if !was_empty {
        metadata.shift_remove(field);
    }
}

fn annotations(want: &Shared, was: Option<&Value>, provenance: &Provenance) -> Map<String, Value> {
    let mut annotations = want.annotations.clone();
    let ours = was.and_then(Value::as_object).into_iter().flatten();
    let kept = ours.filter(|(name, _)| name.strip_prefix(OWN_PREFIX).is_some_and(|own| !DROPPED.contains(&own)));
    annotations.extend(kept.map(|(name, value)| (name.clone(), value.clone())));
    if !matches!(provenance, Provenance::Kept) {
        annotations.shift_remove(&format!("{OWN_PREFIX}original-item-index"));
    }
    let mut own = |name: &str, value: String| {
        annotations.insert(format!("{OWN_PREFIX}{name}"), Value::String(value));
    };
    match provenance {
        Provenance::Kept => {}
        Provenance::Born { fabric } => {
            own("managed-by", "fgd-sync".to_owned());
            own("fabric", fabric.to_string());
        }
        Provenance::Ingested { fabric, file, index, item } => {
            own("managed-by", "fgd-sync".to_owned());
            own("fabric", fabric.to_string());
            own("original-file", file.clone());
            own("original-document-index", index.to_string());
            if let Some(item) = item {
                own("original-item-index", item.to_string());
            }
        }
    }
    annotations
}

/// The wanted value, with keys in the order of the one it replaces and new ones sorted behind.
///
/// What is equal by value keeps its spelling (`1000.0` stays although NetBox says 1000).
fn in_order_of(was: Option<&Value>, wanted: &Value) -> Value {
    match (was, wanted) {
        (Some(Value::Object(was)), Value::Object(wanted)) => {
            let mut new: BTreeMap<&String, &Value> = wanted.iter().collect();
            let mut ordered = Map::new();
            for (key, old) in was {
                if let Some(value) = new.remove(key) {
                    ordered.insert(key.clone(), in_order_of(Some(old), value));
                }
            }
            ordered.extend(new.into_iter().map(|(key, value)| (key.clone(), in_order_of(None, value))));
            Value::Object(ordered)
        }
        (_, Value::Object(wanted)) => {
            let sorted: BTreeMap<&String, &Value> = wanted.iter().collect();
            Value::Object(sorted.into_iter().map(|(key, value)| (key.clone(), in_order_of(None, value))).collect())
        }
        (was, Value::Array(wanted)) => {
            let was = was.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            let olds = was.iter().map(Some).chain(std::iter::repeat(None));
            Value::Array(wanted.iter().zip(olds).map(|(value, old)| in_order_of(old, value)).collect())
        }
        (Some(was @ Value::Number(_)), Value::Number(_)) if Digest::of(was) == Digest::of(wanted) => was.clone(),
        (_, Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => wanted.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::key::Key;
    use crate::domain::kind::{Catalogue, Kind};
    use crate::plan::managed::{ManagedFile, read_document};

    fn spec() -> &'static KindSpec {
        Catalogue::hedgehog().get(&Kind::new("VPC")).unwrap()
    }

    fn born() -> Provenance {
        Provenance::Born { fabric: FabricName::new("lab") }
    }

    fn web(spec: Value) -> Shared {
        let key = Key { kind: Kind::new("VPC"), namespace: "default".to_owned(), name: "web".to_owned() };
        Shared { key, labels: Map::new(), annotations: Map::new(), spec }
    }

    fn document(text: &str) -> Document {
        match read_document(Catalogue::hedgehog(), text.as_bytes()) {
            ManagedFile::Document(document) => document,
            other => panic!("{text} gave {other:?}"),
        }
    }

    fn rendered(want: &Shared, existing: Option<&Document>, provenance: &Provenance) -> String {
        String::from_utf8(render(want, spec(), existing, provenance).to_vec()).unwrap()
    }

    #[test]
    fn a_new_file_says_everything_in_a_fixed_order() {
        let want = web(json!({"vlanNamespace": "default", "subnets": {"b": 2, "a": 1}}));

        let text = rendered(&want, None, &born());

        assert_eq!(
            text,
            "apiVersion: vpc.githedgehog.com/v1beta1\nkind: VPC\nmetadata:\n  name: web\n  namespace: default\n  \
             annotations:\n    hnp.githedgehog.com/fabric: lab\n    hnp.githedgehog.com/managed-by: fgd-sync\n\
             spec:\n  subnets:\n    a: 1\n    b: 2\n  vlanNamespace: default\n"
        );
    }

    #[test]
    fn the_order_in_which_netbox_lists_keys_does_not_matter() {
        let one = web(json!({"a": {"x": 1, "y": [{"p": 1, "q": 2}]}, "b": 2}));
        let other = web(json!({"b": 2, "a": {"y": [{"q": 2, "p": 1}], "x": 1}}));

        assert_eq!(rendered(&one, None, &born()), rendered(&other, None, &born()));
    }

    #[test]
    fn an_update_keeps_order_api_version_and_fields_that_netbox_cannot_hold() {
        let existing = document(
            "kind: VPC\napiVersion: vpc.githedgehog.com/v1alpha2\nspec:\n  z: 1\n  list:\n  - b: 1\n    a: 2\n  a: 0\n\
             metadata:\n  finalizers: [x]\n  name: web\n  annotations:\n    hnp.githedgehog.com/original-file: raw/a.yaml\n    \
             note: old\nstatus:\n  ready: true\n",
        );
        let mut want = web(json!({"a": 5, "list": [{"a": 2, "b": 9, "c": 3}], "new": 1, "z": 1}));
        want.annotations.insert("note".to_owned(), json!("new"));

        let text = rendered(&want, Some(&existing), &Provenance::Kept);

        assert_eq!(
            text,
            "kind: VPC\napiVersion: vpc.githedgehog.com/v1alpha2\nspec:\n  z: 1\n  list:\n  - b: 9\n    a: 2\n    c: 3\n  a: 5\n  \
             new: 1\nmetadata:\n  finalizers:\n  - x\n  name: web\n  annotations:\n    \
             hnp.githedgehog.com/original-file: raw/a.yaml\n    note: new\nstatus:\n  ready: true\n"
        );
    }

    #[test]
    fn times_of_the_service_before_us_go_when_the_file_is_written() {
        let existing = document(
            "apiVersion: vpc.githedgehog.com/v1beta1\nkind: VPC\nmetadata:\n  name: web\n  annotations:\n    \
             hnp.githedgehog.com/ingested-at: '2025'\n    hnp.githedgehog.com/last-synced: '2025'\n    \
             hnp.githedgehog.com/ingestion-version: '1'\n    hnp.githedgehog.com/managed-by: hnp\n",
        );

        let text = rendered(&web(json!({"a": 1})), Some(&existing), &Provenance::Kept);

        assert!(text.contains("hnp.githedgehog.com/managed-by: hnp"), "{text}");
        assert!(!text.contains("2025") && !text.contains("ingestion-version"), "{text}");
    }

    #[test]
    fn an_ingested_document_keeps_its_own_form_and_says_where_it_came_from() {
        let raw =
            document("kind: VPC\napiVersion: vpc.githedgehog.com/v1\nmetadata: {name: web}\nspec: {b: 1, a: 2}\n");
        let provenance = Provenance::Ingested {
            fabric: FabricName::new("lab"),
            file: "raw/a.yaml".to_owned(),
            index: 3,
            item: None,
        };

        let text = rendered(&raw.shared(), Some(&raw), &provenance);

        assert_eq!(
            text,
            "kind: VPC\napiVersion: vpc.githedgehog.com/v1\nmetadata:\n  name: web\n  namespace: default\n  annotations:\n    \
             hnp.githedgehog.com/fabric: lab\n    hnp.githedgehog.com/managed-by: fgd-sync\n    \
             hnp.githedgehog.com/original-document-index: \"3\"\n    hnp.githedgehog.com/original-file: raw/a.yaml\n\
             spec:\n  b: 1\n  a: 2\n"
        );
    }

    #[test]
    fn an_empty_spec_is_a_value_and_an_absent_one_stays_absent() {
        assert!(rendered(&web(json!({})), None, &born()).ends_with("spec: {}\n"));
        assert!(!rendered(&web(Value::Null), None, &born()).contains("spec"));
    }

    #[test]
    fn numbers_equal_by_value_keep_their_spelling() {
        let existing = document(
            "apiVersion: vpc.githedgehog.com/v1beta1\nkind: VPC\nmetadata: {name: web}\nspec: {mtu: 1e3, a: 1}\n",
        );

        let text = rendered(&web(json!({"mtu": 1000, "a": 2})), Some(&existing), &Provenance::Kept);

        assert!(text.contains("mtu: 1000.0"), "{text}");
    }

    #[test]
    fn strings_that_readers_take_for_something_else_are_quoted() {
        for word in [
            "y", "on", "No", "~", "null", "1__0", "1_000", "0755", "12:30:45", "1e3", "<<", "=", "- a", "---", "a: b",
            "",
        ] {
            let want = web(json!({ word: word }));

            let text = rendered(&want, None, &born());

            let plain = format!("  {word}: ");
            assert!(!text.contains(&plain) || word == "12:30:45", "{word:?} is plain as a key in {text}");
            assert_eq!(document(&text).shared(), want, "{text}");
        }
    }
}
