//! Tells what a YAML value is to us: one of our documents, somebody else's, or one of ours that cannot be used.

use serde_json::{Map, Value};

use super::names::{name_fault, namespace_fault};
use crate::domain::document::Document;
use crate::domain::fate::Reason;
use crate::domain::key::{DEFAULT_NAMESPACE, Key};
use crate::domain::kind::{Catalogue, KindSpec};

/// What a value is; reasons carry no place.
#[derive(Debug, Clone, PartialEq)]
pub enum Recognised {
    Ours(Document),
    /// Nothing in it.
    Empty,
    NotOurs(Reason),
    Unusable(Reason),
}

/// Looks at one document's value.
pub fn recognise(catalogue: &Catalogue, value: Value) -> Recognised {
    let body = match value {
        Value::Null => return Recognised::Empty,
        Value::Object(body) => body,
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            return Recognised::NotOurs(Reason::new("not_a_mapping", "the document is not a mapping"));
        }
    };
    let text = |field: &str| body.get(field).and_then(Value::as_str).unwrap_or_default();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    if api_version.is_empty() || kind.is_empty() {
        let why = "it has no apiVersion and kind, so it is not a Kubernetes document";
        return Recognised::NotOurs(Reason::new("not_kubernetes", why));
    }
    let Some(spec) = catalogue.of_document(api_version, kind) else {
        let why = format!("{kind} of {api_version} is not one of the kinds that are kept in NetBox");
        return Recognised::NotOurs(Reason::new("unknown_kind", why));
    };
    match usable_key(spec, &body) {
        Ok(key) => Recognised::Ours(Document { key, body }),
        Err(reason) => Recognised::Unusable(reason),
    }
}

fn usable_key(spec: &KindSpec, body: &Map<String, Value>) -> Result<Key, Reason> {
    let metadata = match body.get("metadata") {
        Some(Value::Object(metadata)) => metadata,
        Some(Value::Null) | None => return Err(Reason::new("no_name", "it has no metadata.name")),
        Some(_) => return Err(Reason::new("bad_metadata", "metadata is not a mapping")),
    };
    let name = match metadata.get("name") {
        Some(Value::String(name)) => name.clone(),
        Some(Value::Null) | None => return Err(Reason::new("no_name", "it has no metadata.name")),
        Some(_) => return Err(Reason::new("bad_name", "metadata.name is not text: quote it")),
    };
    if let Some(why) = name_fault(&name) {
        return Err(Reason::new("bad_name", why));
    }
    let namespace = match metadata.get("namespace") {
        None | Some(Value::Null) => DEFAULT_NAMESPACE.to_owned(),
        Some(Value::String(namespace)) if namespace.is_empty() => DEFAULT_NAMESPACE.to_owned(),
        Some(Value::String(namespace)) => namespace.clone(),
        Some(_) => return Err(Reason::new("bad_namespace", "metadata.namespace is not text: quote it")),
    };
    if let Some(why) = namespace_fault(&namespace) {
        return Err(Reason::new("bad_namespace", why));
    }
    for (part, code) in [("labels", "bad_labels"), ("annotations", "bad_annotations")] {
        require_texts(part, metadata.get(part)).map_err(|why| Reason::new(code, why))?;
    }
    if let Some(why) = spec.mapping().and_then(|mapping| mapping.misfit(&namespace, metadata, body.get("spec"))) {
        return Err(Reason::new("not_kept", why));
    }
    Ok(Key { kind: spec.kind.clone(), namespace, name })
}

fn require_texts(part: &str, value: Option<&Value>) -> Result<(), String> {
    let map = match value {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::Object(map)) => map,
        Some(_) => return Err(format!("metadata.{part} is not a mapping")),
    };
    match map.iter().find(|(_, value)| !value.is_string()) {
        Some((key, _)) => Err(format!("metadata.{part}: the value of `{key}` is not text: quote it")),
        None => Ok(()),
    }
}
