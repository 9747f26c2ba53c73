//! The catalogue of kinds: the one table that knows how Kubernetes, NetBox and the directory spell each.

use std::fmt;
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A kind of the catalogue, by its Kubernetes name, for example `VPC`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(Arc<str>);

impl Kind {
    /// Takes a name that stands in the catalogue, or one that a ledger written by another version knew.
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The kind as Kubernetes writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(String::deserialize(deserializer)?.into()))
    }
}

/// One kind in all its spellings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KindSpec {
    pub kind: Kind,
    /// API group, for example `vpc.githedgehog.com`; any version of it is ours.
    pub group: String,
    /// Version given to documents that are born in NetBox, for example `v1beta1`.
    pub version: String,
    /// Directory below `managed/`.
    pub directory: String,
    /// Path segment below the plugin's REST root; custom objects prefix it with `hedgehog-`.
    pub segment: String,
    /// Model name in webhooks of the Hedgehog plugin, without the app label.
    pub model: String,
    /// Lists of its spec whose items are told apart by what they are, not by their place.
    pub keyed_lists: Vec<KeyedList>,
}

/// A list whose items have an identity: their order means nothing, and no two are the same thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyedList {
    /// Names on the way from the spec to the list; `*` is any name.
    pub path: Vec<String>,
    pub item: ItemKey,
}

/// What tells the items of a list apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ItemKey {
    /// The item is its own identity: a name, a prefix.
    Whole,
    /// The value at these names within the item.
    Field(Vec<String>),
}

impl KindSpec {
    /// `group/version` for documents that are born in NetBox.
    pub fn api_version(&self) -> String {
        format!("{}/{}", self.group, self.version)
    }

    /// What tells the items of the list at this path of the spec apart; `None` for a list that is one value.
    pub fn item_key(&self, path: &[String]) -> Option<&ItemKey> {
        let fits = |list: &&KeyedList| {
            list.path.len() == path.len()
                && list.path.iter().zip(path).all(|(wanted, name)| wanted == "*" || wanted == name)
        };
        self.keyed_lists.iter().find(fits).map(|list| &list.item)
    }

    /// The REST slug of this kind as a custom object type.
    pub fn custom_object_slug(&self) -> String {
        format!("hedgehog-{}", self.segment)
    }
}

/// All kinds that are kept equal. Order is the order of NetBox writes: what others refer to comes first.
#[derive(Debug, Clone)]
pub struct Catalogue {
    kinds: Vec<KindSpec>,
}

const WIRING: &str = "wiring.githedgehog.com";
const VPC: &str = "vpc.githedgehog.com";

/// kind, group, directory, REST segment, model. Source: the plugin's urls and models, the live repository's layout.
const HEDGEHOG: [(&str, &str, &str, &str, &str); 12] = [
    ("VLANNamespace", WIRING, "vlannamespaces", "vlan-namespaces", "vlannamespace"),
    ("IPv4Namespace", VPC, "ipv4namespaces", "ipv4-namespaces", "ipv4namespace"),
    ("SwitchGroup", WIRING, "switchgroups", "switch-groups", "switchgroup"),
    ("Switch", WIRING, "switches", "switches", "switch"),
    ("Server", WIRING, "servers", "servers", "server"),
    ("Connection", WIRING, "connections", "connections", "connection"),
    ("VPC", VPC, "vpcs", "vpcs", "vpc"),
    ("VPCAttachment", VPC, "vpcattachments", "vpc-attachments", "vpcattachment"),
    ("VPCPeering", VPC, "vpcpeerings", "vpc-peerings", "vpcpeering"),
    ("External", VPC, "externals", "externals", "external"),
    ("ExternalAttachment", VPC, "externalattachments", "external-attachments", "externalattachment"),
    ("ExternalPeering", VPC, "externalpeerings", "external-peerings", "externalpeering"),
];

/// kind, path of a list in its spec, and the field that tells its items apart (nothing: the item itself).
///
/// Only lists whose order means nothing to a fabric. A port ends one link only; routes, permits and statements are looked
/// up by prefix, destination and sequence number. Ranges, servers in order of preference and lists of lists are not here:
/// they are merged as a whole. Source: the kinds' published schemas.
const KEYED_LISTS: [(&str, &str, &str); 18] = [
    ("IPv4Namespace", "subnets", ""),
    ("Switch", "groups", ""),
    ("Switch", "vlanNamespaces", ""),
    ("Connection", "bundled/links", "switch/port"),
    ("Connection", "eslag/links", "switch/port"),
    ("Connection", "mclag/links", "switch/port"),
    ("Connection", "fabric/links", "leaf/port"),
    ("Connection", "gateway/links", "switch/port"),
    ("Connection", "mesh/links", "leaf1/port"),
    ("Connection", "mclagDomain/peerLinks", "switch1/port"),
    ("Connection", "mclagDomain/sessionLinks", "switch1/port"),
    ("Connection", "vpcLoopback/links", "switch1/port"),
    ("VPC", "staticRoutes", "prefix"),
    ("VPC", "subnets/*/dhcp/options/advertisedRoutes", "destination"),
    ("External", "static/prefixes", ""),
    ("ExternalAttachment", "inboundACL/statements", "seq"),
    ("ExternalPeering", "permit/vpc/subnets", ""),
    ("ExternalPeering", "permit/external/prefixes", "prefix"),
];

fn keyed_lists(kind: &str) -> Vec<KeyedList> {
    let names = |path: &str| path.split('/').map(str::to_owned).collect::<Vec<_>>();
    let of_kind = KEYED_LISTS.iter().filter(|(of, _, _)| *of == kind);
    of_kind
        .map(|(_, path, field)| KeyedList {
            path: names(path),
            item: if field.is_empty() { ItemKey::Whole } else { ItemKey::Field(names(field)) },
        })
        .collect()
}

static BUILT_IN: LazyLock<Catalogue> = LazyLock::new(|| Catalogue {
    kinds: HEDGEHOG
        .iter()
        .map(|&(kind, group, directory, segment, model)| KindSpec {
            kind: Kind::new(kind),
            group: group.to_owned(),
            version: "v1beta1".to_owned(),
            directory: directory.to_owned(),
            segment: segment.to_owned(),
            model: model.to_owned(),
            keyed_lists: keyed_lists(kind),
        })
        .collect(),
});

impl Catalogue {
    /// The 12 Hedgehog kinds.
    pub fn hedgehog() -> &'static Catalogue {
        &BUILT_IN
    }

    /// Every kind, in the order in which NetBox is written.
    pub fn iter(&self) -> impl Iterator<Item = &KindSpec> {
        self.kinds.iter()
    }

    /// The entry of a kind; `None` for one that this version does not know.
    pub fn get(&self, kind: &Kind) -> Option<&KindSpec> {
        self.kinds.iter().find(|spec| spec.kind == *kind)
    }

    /// The entry for a document's `apiVersion` and `kind`; any version of the group.
    pub fn of_document(&self, api_version: &str, kind: &str) -> Option<&KindSpec> {
        let (group, _) = api_version.split_once('/')?;
        self.kinds.iter().find(|spec| spec.group == group && spec.kind.as_str() == kind)
    }

    /// The entry whose plugin model has this name.
    pub fn of_model(&self, model: &str) -> Option<&KindSpec> {
        self.kinds.iter().find(|spec| spec.model == model)
    }

    /// The entry with this plugin REST segment.
    pub fn of_segment(&self, segment: &str) -> Option<&KindSpec> {
        self.kinds.iter().find(|spec| spec.segment == segment)
    }

    /// The entry with this custom object slug.
    pub fn of_slug(&self, slug: &str) -> Option<&KindSpec> {
        self.of_segment(slug.strip_prefix("hedgehog-")?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_leads_to_one_kind() {
        let catalogue = Catalogue::hedgehog();

        for spec in catalogue.iter() {
            assert_eq!(catalogue.of_model(&spec.model), Some(spec));
            assert_eq!(catalogue.of_segment(&spec.segment), Some(spec));
            assert_eq!(catalogue.of_slug(&spec.custom_object_slug()), Some(spec));
            assert_eq!(catalogue.of_document(&spec.api_version(), spec.kind.as_str()), Some(spec));
        }
    }

    #[test]
    fn a_lists_items_are_told_apart_by_the_path_of_the_list() {
        let catalogue = Catalogue::hedgehog();
        let path = |text: &str| text.split('/').map(str::to_owned).collect::<Vec<_>>();
        let key = |kind: &str, text: &str| catalogue.get(&Kind::new(kind)).unwrap().item_key(&path(text));

        assert_eq!(key("Switch", "groups"), Some(&ItemKey::Whole));
        let destination = ItemKey::Field(path("destination"));
        assert_eq!(key("VPC", "subnets/web/dhcp/options/advertisedRoutes"), Some(&destination));
        assert_eq!(key("VPC", "subnets/web/dhcp/options/dnsServers"), None);
        assert_eq!(key("VLANNamespace", "ranges"), None);
        assert!(KEYED_LISTS.iter().all(|(kind, ..)| catalogue.get(&Kind::new(kind)).is_some()));
    }
}
