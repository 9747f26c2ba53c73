//! What upstream refuses in code and says in no schema. A cluster of another version may see it otherwise: warnings.
//!
//! Many fields are filled in by the cluster itself, so a missing one is told only where upstream requires it.

use core::net::Ipv4Addr;

use serde_json::{Map, Value};

use super::Finding;
use crate::domain::document::Document;
use crate::domain::pointer::Pointer;

const GROUPS: &str = ".githedgehog.com";
/// Of VPC, External and IPv4Namespace: the names of Linux interfaces and VRFs are made of them.
const SHORT_NAME: usize = 11;

/// What is suspect about a document of one of the 12 kinds.
pub(super) fn check(document: &Document) -> Vec<Finding> {
    let api_version = document.body.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
    let group = api_version.split('/').next().unwrap_or_default();
    if !group.ends_with(GROUPS) {
        return Vec::new();
    }
    let mut rules = Rules { findings: Vec::new() };
    let metadata = Pointer::default().key("metadata");
    if document.key.namespace != "default" {
        rules.warn(
            "namespace_not_taken",
            metadata.key("namespace"),
            "Hedgehog takes objects of the namespace `default` only",
        );
    }
    let kind = document.key.kind.as_str();
    if matches!(kind, "VPC" | "External" | "IPv4Namespace") && document.key.name.len() > SHORT_NAME {
        let message = format!("Hedgehog takes at most {SHORT_NAME} characters for the name of a {kind}");
        rules.warn("name_too_long", metadata.key("name"), message);
    }
    let empty = Map::new();
    let spec = document.body.get("spec").and_then(Value::as_object).unwrap_or(&empty);
    let at = Pointer::default().key("spec");
    match kind {
        "Switch" => rules.switch(spec, &at),
        "Connection" => rules.connection(spec, &at),
        "VPC" => rules.vpc(spec, &at),
        "VPCAttachment" => rules.vpc_attachment(spec, &at),
        "VPCPeering" => rules.vpc_peering(spec, &at),
        "ExternalAttachment" => rules.external_attachment(spec, &at),
        "ExternalPeering" => rules.external_peering(spec, &at),
        "IPv4Namespace" => rules.one_to_twenty(spec, &at, "subnets"),
        "VLANNamespace" => rules.one_to_twenty(spec, &at, "ranges"),
        _ => {}
    }
    rules.findings
}

struct Rules {
    findings: Vec<Finding>,
}

const ROLES: [&str; 5] = ["spine", "server-leaf", "border-leaf", "mixed-leaf", "virtual-edge"];
const REDUNDANCY: [&str; 2] = ["mclag", "eslag"];
const CONNECTIONS: [&str; 11] = [
    "bundled",
    "eslag",
    "external",
    "fabric",
    "gateway",
    "mclag",
    "mclagDomain",
    "mesh",
    "staticExternal",
    "unbundled",
    "vpcLoopback",
];
const DEPRECATED: [&str; 2] = ["mclag", "mclagDomain"];

impl Rules {
    fn warn(&mut self, code: &'static str, at: Pointer, message: impl Into<String>) {
        self.findings.push(Finding::warning(code, at, message));
    }

    /// A text that must be there and not be empty.
    fn require(&mut self, map: &Map<String, Value>, at: &Pointer, name: &str) {
        if map.get(name).and_then(Value::as_str).is_none_or(str::is_empty) {
            self.warn("field_missing", at.key(name), format!("`{name}` is required"));
        }
    }

    fn choice(&mut self, value: &Value, at: Pointer, choices: &[&str]) {
        if !value.as_str().is_some_and(|text| choices.contains(&text)) {
            self.warn("not_a_choice", at, format!("must be one of {}, is {value}", choices.join(", ")));
        }
    }

    fn one_to_twenty(&mut self, spec: &Map<String, Value>, at: &Pointer, name: &str) {
        let count = match spec.get(name) {
            Some(Value::Array(items)) => items.len(),
            Some(Value::Object(map)) => map.len(),
            Some(_) | None => 0,
        };
        if !(1..=20).contains(&count) {
            self.warn("wrong_count", at.key(name), format!("must have 1 to 20 {name}, has {count}"));
        }
    }

    fn switch(&mut self, spec: &Map<String, Value>, at: &Pointer) {
        self.choice(spec.get("role").unwrap_or(&Value::Null), at.key("role"), &ROLES);
        let of_group = spec.get("redundancy").and_then(|redundancy| redundancy.get("type"));
        if let Some(kind) = of_group.filter(|kind| **kind != "") {
            self.choice(kind, at.key("redundancy").key("type"), &REDUNDANCY);
        }
    }

    fn connection(&mut self, spec: &Map<String, Value>, at: &Pointer) {
        let found: Vec<&str> =
            CONNECTIONS.into_iter().filter(|kind| spec.get(*kind).is_some_and(|it| !it.is_null())).collect();
        if found.len() != 1 {
            let what = if found.is_empty() { "none".to_owned() } else { found.join(" and ") };
            let message = format!("must be exactly one of {}, is {what}", CONNECTIONS.join(", "));
            self.warn("not_one_connection", at.clone(), message);
        }
        for kind in found.into_iter().filter(|kind| DEPRECATED.contains(kind)) {
            self.warn("deprecated", at.key(kind), format!("`{kind}` is deprecated upstream: use eslag"));
        }
        for (at, port) in ports(spec, at) {
            if device_of(port).is_none() {
                self.warn("not_a_port", at, format!("`{port}` is not <device>/<port>"));
            }
        }
    }

    fn vpc(&mut self, spec: &Map<String, Value>, at: &Pointer) {
        self.one_to_twenty(spec, at, "subnets");
        let subnets = spec.get("subnets").and_then(Value::as_object).into_iter().flatten();
        for (name, subnet) in subnets {
            let at = at.key("subnets").key(name);
            let text = |field: &str| subnet.get(field).and_then(Value::as_str);
            let Some(prefix) = text("subnet") else { continue };
            let Some(net) = Net::read(prefix) else {
                self.warn(
                    "not_a_subnet",
                    at.key("subnet"),
                    format!("`{prefix}` is not an IPv4 network such as 10.0.1.0/24"),
                );
                continue;
            };
            if net.length > 30 {
                self.warn("subnet_too_small", at.key("subnet"), format!("`{prefix}` has no room: /30 is the smallest"));
            }
            if let Some(gateway) = text("gateway").filter(|gateway| !gateway.is_empty())
                && !gateway.parse().is_ok_and(|gateway| net.contains(gateway))
            {
                self.warn("gateway_outside", at.key("gateway"), format!("`{gateway}` is not an address in {prefix}"));
            }
        }
    }

    fn vpc_attachment(&mut self, spec: &Map<String, Value>, at: &Pointer) {
        self.require(spec, at, "connection");
        let subnet = spec.get("subnet").and_then(Value::as_str).unwrap_or_default();
        if device_of(subnet).is_none() {
            self.warn("not_a_subnet", at.key("subnet"), format!("`{subnet}` is not <vpc>/<subnet>"));
        }
    }

    fn vpc_peering(&mut self, spec: &Map<String, Value>, at: &Pointer) {
        if spec.get("remote").and_then(Value::as_str).is_some_and(|remote| !remote.is_empty()) {
            self.warn("deprecated", at.key("remote"), "upstream takes no `remote` any more");
        }
        let entries = spec.get("permit").and_then(Value::as_array).into_iter().flatten();
        for (index, entry) in entries.enumerate() {
            let count = entry.as_object().map_or(0, Map::len);
            if count != 2 {
                let message = format!("must name exactly two VPCs, names {count}");
                self.warn("wrong_count", at.key("permit").index(index), message);
            }
        }
    }

    fn external_attachment(&mut self, spec: &Map<String, Value>, at: &Pointer) {
        match spec.get("static").and_then(Value::as_object) {
            Some(fixed) => self.require(fixed, &at.key("static"), "remoteIP"),
            None => {
                for name in ["neighbor", "switch"] {
                    if !spec.get(name).is_some_and(Value::is_object) {
                        self.warn(
                            "field_missing",
                            at.key(name),
                            format!("`{name}` is required, or `static` in its place"),
                        );
                    }
                }
            }
        }
    }

    fn external_peering(&mut self, spec: &Map<String, Value>, at: &Pointer) {
        let empty = Map::new();
        let at = at.key("permit");
        for side in ["vpc", "external"] {
            let side_of = spec.get("permit").and_then(|permit| permit.get(side)).and_then(Value::as_object);
            self.require(side_of.unwrap_or(&empty), &at.key(side), "name");
        }
    }
}

/// Every port that a connection names, wherever it stands.
pub(super) fn ports<'s>(spec: &'s Map<String, Value>, at: &Pointer) -> Vec<(Pointer, &'s str)> {
    let mut found = Vec::new();
    for (name, value) in spec {
        collect(value, at.key(name), name, &mut found);
    }
    found
}

fn collect<'s>(value: &'s Value, at: Pointer, name: &str, found: &mut Vec<(Pointer, &'s str)>) {
    match value {
        Value::String(port) if name == "port" => found.push((at, port)),
        Value::Object(map) => map.iter().for_each(|(name, value)| collect(value, at.key(name), name, found)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| collect(item, at.index(index), "", found));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What stands before the first `/`, when something stands on both sides of it.
pub(super) fn device_of(text: &str) -> Option<&str> {
    text.split_once('/').filter(|(device, rest)| !device.is_empty() && !rest.is_empty()).map(|(device, _)| device)
}

/// An IPv4 network.
struct Net {
    address: u32,
    length: u32,
}

impl Net {
    fn read(text: &str) -> Option<Self> {
        let (address, length) = text.split_once('/')?;
        let length = length.parse().ok().filter(|length| *length <= 32)?;
        Some(Self { address: address.parse::<Ipv4Addr>().ok()?.to_bits(), length })
    }

    fn contains(&self, address: Ipv4Addr) -> bool {
        let mask = u32::MAX.checked_shl(32 - self.length).unwrap_or(0);
        address.to_bits() & mask == self.address & mask
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::key::Key;
    use crate::domain::kind::{Catalogue, Kind};

    fn document(kind: &str, name: &str, spec: Value) -> Document {
        let known = Catalogue::hedgehog().get(&Kind::new(kind)).unwrap();
        let key = Key { kind: Kind::new(kind), namespace: "default".to_owned(), name: name.to_owned() };
        let body = json!({"apiVersion": known.api_version(), "kind": kind, "metadata": {"name": name}, "spec": spec});
        Document { key, body: body.as_object().unwrap().clone() }
    }

    fn codes(kind: &str, spec: Value) -> Vec<String> {
        let found = check(&document(kind, "a", spec));
        found.iter().map(|finding| format!("{} {}", finding.code, finding.at)).collect()
    }

    #[test]
    fn good_documents_have_no_findings() {
        for (kind, spec) in [
            ("Switch", json!({"role": "spine"})),
            ("Connection", json!({"unbundled": {"link": {"server": {"port": "s/e1"}, "switch": {"port": "l/E1/1"}}}})),
            ("VPC", json!({"subnets": {"a": {"subnet": "10.0.1.0/24", "gateway": "10.0.1.1"}}})),
            ("VPCAttachment", json!({"connection": "c", "subnet": "web/a"})),
            ("VPCPeering", json!({"permit": [{"a": {}, "b": {}}]})),
            ("External", json!({})),
            ("ExternalAttachment", json!({"neighbor": {}, "switch": {}})),
            ("ExternalAttachment", json!({"static": {"remoteIP": "10.0.0.1"}})),
            ("ExternalPeering", json!({"permit": {"vpc": {"name": "a"}, "external": {"name": "b"}}})),
            ("IPv4Namespace", json!({"subnets": ["10.0.0.0/16"]})),
            ("VLANNamespace", json!({"ranges": [{"from": 1, "to": 2}]})),
            ("Server", json!({})),
            ("SwitchGroup", json!({})),
        ] {
            assert_eq!(codes(kind, spec), Vec::<String>::new(), "{kind}");
        }
    }

    #[test]
    fn each_rule_finds_its_fault_at_its_place() {
        for (kind, spec, expected) in [
            ("Switch", json!({}), "not_a_choice spec.role"),
            ("Switch", json!({"role": "spine", "redundancy": {"type": "x"}}), "not_a_choice spec.redundancy.type"),
            ("Connection", json!({}), "not_one_connection spec"),
            ("Connection", json!({"mesh": {}, "fabric": {}}), "not_one_connection spec"),
            ("Connection", json!({"mclag": {}}), "deprecated spec.mclag"),
            (
                "Connection",
                json!({"mesh": {"links": [{"leaf1": {"port": "E1"}}]}}),
                "not_a_port spec.mesh.links[0].leaf1.port",
            ),
            ("VPC", json!({}), "wrong_count spec.subnets"),
            ("VPC", json!({"subnets": {"a": {"subnet": "10.0.0.0/31"}}}), "subnet_too_small spec.subnets.a.subnet"),
            ("VPC", json!({"subnets": {"a": {"subnet": "x"}}}), "not_a_subnet spec.subnets.a.subnet"),
            (
                "VPC",
                json!({"subnets": {"a": {"subnet": "10.0.0.0/24", "gateway": "10.0.1.1"}}}),
                "gateway_outside spec.subnets.a.gateway",
            ),
            ("VPCAttachment", json!({"subnet": "web/a"}), "field_missing spec.connection"),
            ("VPCAttachment", json!({"connection": "c", "subnet": "web"}), "not_a_subnet spec.subnet"),
            ("VPCPeering", json!({"permit": [{"a": {}}]}), "wrong_count spec.permit[0]"),
            ("VPCPeering", json!({"remote": "border"}), "deprecated spec.remote"),
            ("ExternalAttachment", json!({"switch": {}}), "field_missing spec.neighbor"),
            ("ExternalAttachment", json!({"static": {}}), "field_missing spec.static.remoteIP"),
            ("ExternalPeering", json!({"permit": {"vpc": {"name": "a"}}}), "field_missing spec.permit.external.name"),
            ("IPv4Namespace", json!({"subnets": []}), "wrong_count spec.subnets"),
            ("VLANNamespace", json!({}), "wrong_count spec.ranges"),
        ] {
            assert_eq!(codes(kind, spec), [expected], "{kind}");
        }
    }

    #[test]
    fn names_and_namespaces_that_hedgehog_does_not_take_are_told() {
        let mut long = document("External", "twelve-chars", json!({}));
        assert_eq!(check(&long)[0].code, "name_too_long");

        long.key.namespace = "prod".to_owned();

        assert_eq!(check(&long)[0].code, "namespace_not_taken");
        assert!(check(&document("Server", "twelve-chars", json!({}))).is_empty());
    }
}
