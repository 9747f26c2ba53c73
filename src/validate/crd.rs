//! CRDs as an operator supplies them: files of a repository, or what `kubectl get crds -o yaml` prints.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::check::check;
use super::schema::{Schema, Unchecked};
use super::{Finding, Severity};
use crate::domain::pointer::Pointer;

/// Every schema, by what it is for.
#[derive(Debug, Clone, Default)]
pub struct Crds {
    kinds: BTreeMap<(String, String), Versions>,
    /// The plural, by group and kind.
    plurals: BTreeMap<(String, String), String>,
    unchecked: Unchecked,
}

/// Version to schema; `None` for one that says nothing of its content.
type Versions = BTreeMap<String, Option<Schema>>;

/// What every object has is the API server's own business, and so is `status`.
const OWN: [&str; 4] = ["apiVersion", "kind", "metadata", "status"];

/// A text that was to hold CRDs cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not YAML that can be read: {0}")]
pub struct NotCrds(String);

impl Crds {
    /// Takes up every CRD of a text, in one document or many or in lists; other documents are passed over.
    ///
    /// Returns how many there were. A later one of the same kind takes the place of an earlier one.
    pub fn add(&mut self, text: &str) -> Result<usize, NotCrds> {
        let documents: Vec<Value> = serde_yaml::from_multiple_with_options(text, options())
            .map_err(|error| NotCrds(error.without_snippet().to_string()))?;
        Ok(documents.iter().map(|document| self.add_document(document)).sum())
    }

    fn add_document(&mut self, document: &Value) -> usize {
        if let Some(items) = document.get("items").and_then(Value::as_array) {
            return items.iter().map(|item| self.add_document(item)).sum();
        }
        let text = |pointer: &str| document.pointer(pointer).and_then(Value::as_str);
        let ("CustomResourceDefinition", Some(group), Some(kind)) =
            (text("/kind").unwrap_or_default(), text("/spec/group"), text("/spec/names/kind"))
        else {
            return 0;
        };
        let served = |version: &&Value| version.get("served").and_then(Value::as_bool).unwrap_or(true);
        let versions = document.pointer("/spec/versions").and_then(Value::as_array).into_iter().flatten();
        let versions: Versions = versions
            .filter(served)
            .filter_map(|version| {
                let schema = version.pointer("/schema/openAPIV3Schema");
                let schema = schema.map(|schema| {
                    let mut schema = Schema::read(schema, &mut self.unchecked);
                    schema.required.retain(|name| !OWN.contains(&name.as_str()));
                    schema
                });
                Some((version.get("name")?.as_str()?.to_owned(), schema))
            })
            .collect();
        let plural =
            text("/spec/names/plural").map_or_else(|| format!("{}s", kind.to_ascii_lowercase()), str::to_owned);
        self.plurals.insert((group.to_owned(), kind.to_owned()), plural);
        self.kinds.insert((group.to_owned(), kind.to_owned()), versions);
        1
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// Group, kind and plural of each.
    pub fn kinds(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.plurals.iter().map(|((group, kind), plural)| (group.as_str(), kind.as_str(), plural.as_str()))
    }

    /// Whether there is one for this group and kind.
    pub fn has(&self, api_version: &str, kind: &str) -> bool {
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        self.kinds.contains_key(&(group.to_owned(), kind.to_owned()))
    }

    /// What of the schemas is never checked, in sentences.
    pub fn unchecked(&self) -> Vec<String> {
        let rules = (self.unchecked.rules > 0).then(|| {
            format!("{} rules written in CEL (x-kubernetes-validations) are not checked", self.unchecked.rules)
        });
        let patterns = self.unchecked.patterns.iter().map(|pattern| format!("the pattern {pattern} cannot be checked"));
        rules.into_iter().chain(patterns).collect()
    }

    /// What is wrong with a document by its own CRD; nothing where there is none.
    pub(super) fn check(&self, body: &Map<String, Value>) -> Vec<Finding> {
        let text = |field: &str| body.get(field).and_then(Value::as_str).unwrap_or_default();
        let Some((group, version)) = text("apiVersion").split_once('/') else { return Vec::new() };
        let Some(versions) = self.kinds.get(&(group.to_owned(), text("kind").to_owned())) else { return Vec::new() };
        let Some(schema) = versions.get(version) else {
            let known: Vec<&str> = versions.keys().map(String::as_str).collect();
            return vec![Finding {
                severity: Severity::Error,
                code: "version_not_served",
                message: format!("the CRD has no version {version}: it has {}", known.join(", ")),
                at: Pointer::default().key("apiVersion"),
                schema: Some("spec.versions".to_owned()),
            }];
        };
        let Some(schema) = schema else { return Vec::new() };
        let content = body.iter().filter(|(name, _)| !OWN.contains(&name.as_str()));
        let content = Value::Object(content.map(|(name, value)| (name.clone(), value.clone())).collect());
        check(&content, schema, &Pointer::default(), "openAPIV3Schema")
    }
}

/// A CRD may be large, and a cluster has many.
fn options() -> serde_yaml::Options {
    let mut budget = serde_yaml::Budget::default();
    budget.max_nodes = 10_000_000;
    budget.max_events = 30_000_000;
    budget.max_total_scalar_bytes = 256 << 20;
    budget.max_documents = 10_000;
    let mut options = serde_yaml::Options::default();
    options.budget = Some(budget);
    options.legacy_octal_numbers = true;
    options.emit_comments = false;
    options.with_snippet = false;
    options
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const GATEWAYS: &str = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nspec:\n  group: example.com\n  \
        names: {kind: Gateway, plural: gateways}\n  versions:\n  - name: v1\n    served: true\n    schema:\n      openAPIV3Schema:\n        \
        type: object\n        required: [spec, metadata]\n        properties:\n          apiVersion: {type: string}\n          kind: {type: string}\n          \
        metadata: {type: object}\n          spec: {type: object, properties: {asn: {type: integer}}}\n  - name: v0\n    served: false\n";

    fn crds(text: &str) -> Crds {
        let mut crds = Crds::default();
        crds.add(text).unwrap();
        crds
    }

    fn codes(crds: &Crds, document: Value) -> Vec<String> {
        let found = crds.check(document.as_object().unwrap());
        found.iter().map(|finding| format!("{} {}", finding.code, finding.at)).collect()
    }

    #[test]
    fn a_document_is_held_to_the_schema_of_its_version() {
        let crds = crds(GATEWAYS);
        let gateway = |spec: Value| json!({"apiVersion": "example.com/v1", "kind": "Gateway", "metadata": {"name": "a"}, "spec": spec});

        assert_eq!(codes(&crds, gateway(json!({"asn": 1}))), Vec::<String>::new());
        assert_eq!(codes(&crds, gateway(json!({"asn": "1"}))), ["schema_type spec.asn"]);
        assert_eq!(codes(&crds, json!({"apiVersion": "example.com/v1", "kind": "Gateway"})), ["schema_required spec"]);
    }

    #[test]
    fn a_version_that_is_not_served_is_refused() {
        let crds = crds(GATEWAYS);

        for version in ["v0", "v9"] {
            let document = json!({"apiVersion": format!("example.com/{version}"), "kind": "Gateway", "spec": {}});
            assert_eq!(codes(&crds, document), ["version_not_served apiVersion"]);
        }
    }

    #[test]
    fn a_kind_without_a_crd_is_not_checked() {
        let crds = crds(GATEWAYS);

        assert_eq!(
            codes(&crds, json!({"apiVersion": "other.com/v1", "kind": "Gateway", "spec": 1})),
            Vec::<String>::new()
        );
        assert!(crds.has("example.com/v7", "Gateway") && !crds.has("v1", "Gateway"));
    }

    #[test]
    fn an_export_of_a_cluster_is_a_list() {
        let indented = GATEWAYS.trim_end().replace('\n', "\n  ");
        let text = format!("apiVersion: v1\nkind: List\nitems:\n- {indented}\n---\nkind: ConfigMap\n---\n");

        let mut crds = Crds::default();

        assert_eq!(crds.add(&text).unwrap(), 1);
        assert!(crds.has("example.com/v1", "Gateway"));
        assert!(Crds::default().add("a: [").is_err());
    }
}
