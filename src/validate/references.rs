//! Objects that others name: a document whose reference leads nowhere is taken by a cluster, but does nothing there.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::Finding;
use super::hedgehog::{device_of, ports};
use crate::domain::document::Document;
use crate::domain::key::Key;
use crate::domain::kind::Kind;
use crate::domain::pointer::Pointer;

/// The subnets of VPCs, by name.
pub type Subnets = BTreeMap<Key, BTreeSet<String>>;

/// Which objects there are, and of VPCs which subnets, as far as that is known. Borrowed: there may be many.
#[derive(Debug, Clone, Default)]
pub struct Known<'a> {
    keys: BTreeSet<&'a Key>,
    subnets: BTreeMap<&'a Key, Cow<'a, BTreeSet<String>>>,
}

/// What others may name of an object besides itself: a VPC's subnets.
pub fn subnets_of(kind: &Kind, spec: &Value) -> Option<BTreeSet<String>> {
    let subnets = spec.get("subnets").filter(|_| kind.as_str() == "VPC")?;
    Some(subnets.as_object()?.keys().cloned().collect())
}

impl<'a> Known<'a> {
    /// Notes an object.
    pub fn add(&mut self, key: &'a Key) {
        self.keys.insert(key);
    }

    /// Notes an object with what others may name of it.
    pub fn add_spec(&mut self, key: &'a Key, spec: &Value) {
        self.add(key);
        self.subnets.extend(subnets_of(&key.kind, spec).map(|subnets| (key, Cow::Owned(subnets))));
    }

    /// Notes what a document is, and what others may name of it.
    pub fn add_document(&mut self, document: &'a Document) {
        self.add_spec(&document.key, document.body.get("spec").unwrap_or(&Value::Null));
    }

    /// Notes subnets of objects that are noted as well.
    pub fn add_subnets(&mut self, subnets: &'a Subnets) {
        self.subnets.extend(subnets.iter().map(|(key, subnets)| (key, Cow::Borrowed(subnets))));
    }

    fn find(&self, namespace: &str, kinds: &[&str], name: &str) -> Option<&'a Key> {
        let key = |kind: &&str| Key { kind: Kind::new(kind), namespace: namespace.to_owned(), name: name.to_owned() };
        kinds.iter().find_map(|kind| self.keys.get::<Key>(&key(kind)).copied())
    }

    /// Whether anything is known of these kinds; without that every reference to them would seem to lead nowhere.
    fn knows(&self, kinds: &[&str]) -> bool {
        let first = |kind: &&str| Key { kind: Kind::new(kind), namespace: String::new(), name: String::new() };
        kinds
            .iter()
            .any(|kind| self.keys.range::<Key, _>(first(kind)..).next().is_some_and(|key| key.kind.as_str() == *kind))
    }
}

/// Kinds that come from elsewhere where none of them is in sight: profiles are shipped with the fabric's software.
const OFTEN_ABSENT: [&str; 3] = ["SwitchProfile", "ServerProfile", "Gateway"];

/// Every reference of a document that leads to nothing known.
pub fn references(document: &Document, known: &Known<'_>) -> Vec<Finding> {
    let empty = Map::new();
    let spec = document.body.get("spec").and_then(Value::as_object).unwrap_or(&empty);
    let mut search =
        Search { known, namespace: &document.key.namespace, at: Pointer::default().key("spec"), findings: Vec::new() };
    match document.key.kind.as_str() {
        "Switch" => {
            search.names(spec, "groups", &["SwitchGroup"]);
            search.names(spec, "vlanNamespaces", &["VLANNamespace"]);
            search.field(spec, &["redundancy", "group"], &["SwitchGroup"]);
            search.field(spec, &["profile"], &["SwitchProfile"]);
        }
        "Server" => search.field(spec, &["profile"], &["ServerProfile"]),
        "Connection" => {
            search.devices(spec);
            search.subnet(spec, &["staticExternal", "withinVPC"], false);
        }
        "VPC" => {
            search.field(spec, &["ipv4Namespace"], &["IPv4Namespace"]);
            search.field(spec, &["vlanNamespace"], &["VLANNamespace"]);
        }
        "External" => search.field(spec, &["ipv4Namespace"], &["IPv4Namespace"]),
        "VPCAttachment" => {
            search.field(spec, &["connection"], &["Connection"]);
            search.subnet(spec, &["subnet"], true);
        }
        "VPCPeering" => {
            let entries = spec.get("permit").and_then(Value::as_array).into_iter().flatten();
            for (index, entry) in entries.enumerate() {
                for vpc in entry.as_object().into_iter().flat_map(Map::keys) {
                    search.name(vpc, search.at.key("permit").index(index).key(vpc), &["VPC"]);
                }
            }
        }
        "ExternalAttachment" => {
            search.field(spec, &["connection"], &["Connection"]);
            search.field(spec, &["external"], &["External"]);
        }
        "ExternalPeering" => {
            search.field(spec, &["permit", "vpc", "name"], &["VPC"]);
            search.field(spec, &["permit", "external", "name"], &["External"]);
        }
        _ => {}
    }
    search.findings
}

struct Search<'a> {
    known: &'a Known<'a>,
    namespace: &'a str,
    at: Pointer,
    findings: Vec<Finding>,
}

impl Search<'_> {
    fn field(&mut self, spec: &Map<String, Value>, path: &[&str], kinds: &[&str]) {
        if let Some((at, name)) = self.text(spec, path) {
            self.name(name, at, kinds);
        }
    }

    fn text<'s>(&self, spec: &'s Map<String, Value>, path: &[&str]) -> Option<(Pointer, &'s str)> {
        let (first, rest) = path.split_first()?;
        let found = rest.iter().try_fold(spec.get(*first)?, |value, part| value.get(part))?;
        let at = path.iter().fold(self.at.clone(), |at, part| at.key(part));
        Some((at, found.as_str().filter(|name| !name.is_empty())?))
    }

    fn names(&mut self, spec: &Map<String, Value>, field: &str, kinds: &[&str]) {
        let names = spec.get(field).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        for (index, name) in names.enumerate() {
            self.name(name, self.at.key(field).index(index), kinds);
        }
    }

    fn name(&mut self, name: &str, at: Pointer, kinds: &[&str]) {
        let elsewhere = kinds.iter().all(|kind| OFTEN_ABSENT.contains(kind)) && !self.known.knows(kinds);
        // The namespaces called `default` are made by the fabric itself.
        let built_in = name == "default" && kinds.iter().all(|kind| kind.ends_with("Namespace"));
        if elsewhere || built_in || self.known.find(self.namespace, kinds, name).is_some() {
            return;
        }
        let message = format!("there is no {} `{name}`", kinds.join(" or "));
        self.findings.push(Finding::warning("unknown_reference", at, message));
    }

    /// `<vpc>/<subnet>`, or a VPC alone.
    fn subnet(&mut self, spec: &Map<String, Value>, path: &[&str], with_subnet: bool) {
        let Some((at, text)) = self.text(spec, path) else { return };
        if !with_subnet {
            return self.name(text, at, &["VPC"]);
        }
        let Some(vpc) = device_of(text) else { return };
        let subnet = &text[vpc.len() + 1..];
        self.name(vpc, at.clone(), &["VPC"]);
        let subnets = self.known.find(self.namespace, &["VPC"], vpc).and_then(|key| self.known.subnets.get(key));
        if subnets.is_some_and(|subnets| !subnets.contains(subnet)) {
            let message = format!("the VPC `{vpc}` has no subnet `{subnet}`");
            self.findings.push(Finding::warning("unknown_reference", at, message));
        }
    }

    /// A port is its device's: by its place a server's, a gateway's or a switch's.
    fn devices(&mut self, spec: &Map<String, Value>) {
        for (at, port) in ports(spec, &self.at.clone()) {
            let Some(device) = device_of(port) else { continue };
            let side = at.to_string();
            let kinds: &[&str] = match side.strip_suffix(".port").and_then(|side| side.rsplit('.').next()) {
                Some("server") => &["Server"],
                Some("gateway") => &["Gateway"],
                Some(_) | None => &["Switch"],
            };
            self.name(device, at, kinds);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(kind: &str, name: &str, spec: Value) -> Document {
        let key = Key { kind: Kind::new(kind), namespace: "default".to_owned(), name: name.to_owned() };
        Document { key, body: json!({"spec": spec}).as_object().unwrap().clone() }
    }

    fn known(documents: &[Document]) -> Known<'_> {
        let mut known = Known::default();
        documents.iter().for_each(|document| known.add_document(document));
        known
    }

    fn missing(of: &Document, others: &[Document]) -> Vec<String> {
        let found = references(of, &known(others));
        found.iter().map(|finding| format!("{}: {}", finding.at, finding.message)).collect()
    }

    #[test]
    fn an_attachment_names_a_connection_a_vpc_and_one_of_its_subnets() {
        let attachment = document("VPCAttachment", "a", json!({"connection": "c", "subnet": "web/front"}));
        let vpc = document("VPC", "web", json!({"subnets": {"back": {}}}));
        let connection = document("Connection", "c", json!({}));

        assert_eq!(
            missing(&attachment, &[]),
            ["spec.connection: there is no Connection `c`", "spec.subnet: there is no VPC `web`"]
        );
        assert_eq!(missing(&attachment, &[vpc, connection]), ["spec.subnet: the VPC `web` has no subnet `front`"]);
        let mut bare = Known::default();
        let web = document("VPC", "web", json!({}));
        bare.add(&web.key);
        assert_eq!(references(&attachment, &bare).len(), 1, "of a VPC whose content is not known every subnet may be");
    }

    #[test]
    fn a_port_names_a_device_of_its_side() {
        let link = json!({"server": {"port": "s1/e1"}, "switch": {"port": "l1/E1/1"}});
        let connection = document("Connection", "c", json!({"unbundled": {"link": link}}));
        let server_called_as_the_switch = document("Server", "l1", json!({}));

        assert_eq!(
            missing(&connection, &[document("Server", "s1", json!({})), server_called_as_the_switch]),
            ["spec.unbundled.link.switch.port: there is no Switch `l1`"]
        );
    }

    #[test]
    fn peerings_groups_and_namespaces_are_looked_for() {
        for (kind, spec, expected) in [
            ("VPCPeering", json!({"permit": [{"a": {}}]}), "spec.permit[0].a: there is no VPC `a`"),
            (
                "ExternalPeering",
                json!({"permit": {"external": {"name": "x"}}}),
                "spec.permit.external.name: there is no External `x`",
            ),
            ("ExternalAttachment", json!({"external": "x"}), "spec.external: there is no External `x`"),
            ("Switch", json!({"groups": ["g"]}), "spec.groups[0]: there is no SwitchGroup `g`"),
            ("VPC", json!({"vlanNamespace": "n"}), "spec.vlanNamespace: there is no VLANNamespace `n`"),
        ] {
            assert_eq!(missing(&document(kind, "o", spec), &[]), [expected]);
        }
        assert!(missing(&document("VPC", "o", json!({"vlanNamespace": "default"})), &[]).is_empty());
    }

    #[test]
    fn profiles_are_looked_for_only_where_there_are_any() {
        let switch = document("Switch", "s", json!({"profile": "p"}));

        assert!(missing(&switch, &[]).is_empty());
        assert_eq!(
            missing(&switch, &[document("SwitchProfile", "q", json!({}))]),
            ["spec.profile: there is no SwitchProfile `p`"]
        );
    }
}
