//! One Kubernetes document, and the part of it that both sides can hold.

use serde_json::{Map, Value, json};

use super::digest::Digest;
use super::key::Key;

/// Annotations with this prefix are ours: they exist only in Git and are never sent to NetBox.
pub const OWN_PREFIX: &str = "hnp.githedgehog.com/";

/// A document as it stands in a file, key order kept. Checked at the edge: a known kind, a usable name.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    pub key: Key,
    /// The whole document, `apiVersion`, `kind` and `metadata` included.
    pub body: Map<String, Value>,
}

impl Document {
    /// The digest of the whole document: what Git is compared with Git by.
    pub fn digest(&self) -> Digest {
        Digest::of(&Value::Object(self.body.clone()))
    }

    /// The part that NetBox can hold.
    pub fn shared(&self) -> Shared {
        let metadata = self.body.get("metadata").and_then(Value::as_object);
        let part = |name: &str| metadata.and_then(|metadata| metadata.get(name)).and_then(Value::as_object).cloned();
        Shared {
            key: self.key.clone(),
            labels: part("labels").unwrap_or_default(),
            annotations: without_ours(part("annotations").unwrap_or_default()),
            spec: self.body.get("spec").cloned().unwrap_or(Value::Null),
        }
    }
}

/// What both sides can hold of one object: the only thing that Git and NetBox are compared by.
///
/// Absent, null and empty labels or annotations are equal; an empty `spec` is a value, an absent one is null.
#[derive(Debug, Clone, PartialEq)]
pub struct Shared {
    pub key: Key,
    pub labels: Map<String, Value>,
    /// Never holds one of our own.
    pub annotations: Map<String, Value>,
    pub spec: Value,
}

impl Shared {
    /// The object as a Kubernetes document of this `apiVersion`.
    pub fn document(&self, api_version: &str) -> Map<String, Value> {
        let mut metadata = Map::new();
        metadata.insert("name".to_owned(), Value::from(self.key.name.as_str()));
        metadata.insert("namespace".to_owned(), Value::from(self.key.namespace.as_str()));
        for (field, texts) in [("labels", &self.labels), ("annotations", &self.annotations)] {
            if !texts.is_empty() {
                metadata.insert(field.to_owned(), Value::Object(texts.clone()));
            }
        }
        let mut document = Map::new();
        document.insert("apiVersion".to_owned(), Value::from(api_version));
        document.insert("kind".to_owned(), Value::from(self.key.kind.as_str()));
        document.insert("metadata".to_owned(), Value::Object(metadata));
        if !self.spec.is_null() {
            document.insert("spec".to_owned(), self.spec.clone());
        }
        document
    }

    /// The digest by which Git and NetBox are compared.
    pub fn digest(&self) -> Digest {
        Digest::of(&json!({
            "kind": self.key.kind.as_str(),
            "namespace": self.key.namespace,
            "name": self.key.name,
            "labels": self.labels,
            "annotations": self.annotations,
            "spec": self.spec,
        }))
    }
}

/// Drops the annotations that are ours.
pub fn without_ours(mut annotations: Map<String, Value>) -> Map<String, Value> {
    annotations.retain(|name, _| !name.starts_with(OWN_PREFIX));
    annotations
}
