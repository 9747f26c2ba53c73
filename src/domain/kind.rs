//! The catalogue of kinds: the one table that knows how Kubernetes, NetBox and the directory spell each.

use std::fmt;
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::mapping::Mapping;

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

/// The slug of the custom object type whose rows are the fabrics themselves; the plugin has a table of its own for them.
pub const FABRICS_SLUG: &str = "hedgehog-fabrics";

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
    pub home: Home,
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

/// Where NetBox keeps the objects of a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Home {
    /// One of the 12: in the Hedgehog plugin, or as a custom object, as the NetBox's own settings say.
    Hedgehog {
        /// Path segment below the plugin's REST root; custom objects prefix it with `hedgehog-`.
        segment: String,
        /// Model name in webhooks of the Hedgehog plugin, without the app label.
        model: String,
    },
    /// A custom object type with the same fields as the 12 have, in any NetBox.
    CustomObject { slug: String },
    /// Rows of any other endpoint, field by field.
    Mapped(Mapping),
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

    /// The REST slug of this kind as a custom object type; `None` for one that is held field by field.
    pub fn custom_object_slug(&self) -> Option<String> {
        match &self.home {
            Home::Hedgehog { segment, .. } => Some(format!("hedgehog-{segment}")),
            Home::CustomObject { slug } => Some(slug.clone()),
            Home::Mapped(_) => None,
        }
    }

    /// The list endpoint of this kind in the Hedgehog plugin, below `/api/`; its pages are at the same path below `/`.
    pub fn plugin_endpoint(&self) -> Option<String> {
        match &self.home {
            Home::Hedgehog { segment, .. } => Some(format!("plugins/hedgehog/{segment}/")),
            Home::CustomObject { .. } | Home::Mapped(_) => None,
        }
    }

    /// The same in a NetBox without the plugin.
    pub fn endpoint(&self) -> String {
        match (&self.home, self.custom_object_slug()) {
            (Home::Mapped(mapping), _) => mapping.endpoint.clone(),
            (_, slug) => format!("plugins/custom-objects/{}/", slug.unwrap_or_default()),
        }
    }

    /// The mapping of a kind that is held field by field.
    pub fn mapping(&self) -> Option<&Mapping> {
        match &self.home {
            Home::Mapped(mapping) => Some(mapping),
            Home::Hedgehog { .. } | Home::CustomObject { .. } => None,
        }
    }
}

/// All kinds that are kept equal. Order is the order of NetBox writes: what others refer to comes first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalogue {
    kinds: Arc<[KindSpec]>,
}

/// Two kinds of a catalogue are alike where they must differ.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} and {other} have the same {what}")]
pub struct Clash {
    pub kind: Kind,
    pub other: Kind,
    pub what: &'static str,
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
            home: Home::Hedgehog { segment: segment.to_owned(), model: model.to_owned() },
            keyed_lists: keyed_lists(kind),
        })
        .collect(),
});

impl Catalogue {
    /// The 12 Hedgehog kinds.
    pub fn hedgehog() -> &'static Catalogue {
        &BUILT_IN
    }

    /// These kinds and more, in this order; no two may share a name, a directory or a place in NetBox.
    pub fn with(&self, more: impl IntoIterator<Item = KindSpec>) -> Result<Catalogue, Clash> {
        let mut kinds: Vec<KindSpec> = self.kinds.to_vec();
        for spec in more {
            for known in &kinds {
                let clash = |what| Err(Clash { kind: spec.kind.clone(), other: known.kind.clone(), what });
                if known.kind == spec.kind {
                    return clash("name");
                }
                if known.directory == spec.directory {
                    return clash("directory");
                }
                if known.custom_object_slug().is_some() && known.custom_object_slug() == spec.custom_object_slug() {
                    return clash("custom object type");
                }
                if let (Some(one), Some(other)) = (known.mapping(), spec.mapping())
                    && (one.endpoint == other.endpoint || one.object_type == other.object_type)
                {
                    return clash("endpoint or object type");
                }
            }
            kinds.push(spec);
        }
        Ok(Catalogue { kinds: kinds.into() })
    }

    /// Every kind, in the order in which NetBox is written.
    pub fn iter(&self) -> impl Iterator<Item = &KindSpec> {
        self.kinds.iter()
    }

    /// The entry of a kind; `None` for one that this version does not know.
    pub fn get(&self, kind: &Kind) -> Option<&KindSpec> {
        self.kinds.iter().find(|spec| spec.kind == *kind)
    }

    /// The kind that a word means which is not one itself: `vpc` and `vpcs` mean `VPC`.
    pub fn meant_by(&self, word: &Kind) -> Option<&Kind> {
        let is_meant = |spec: &&KindSpec| {
            [spec.kind.as_str(), &spec.directory].iter().any(|spelling| spelling.eq_ignore_ascii_case(word.as_str()))
        };
        self.iter().find(is_meant).map(|spec| &spec.kind).filter(|kind| *kind != word)
    }

    /// The entry for a document's `apiVersion` and `kind`; any version of the group.
    pub fn of_document(&self, api_version: &str, kind: &str) -> Option<&KindSpec> {
        let (group, _) = api_version.split_once('/')?;
        self.kinds.iter().find(|spec| spec.group == group && spec.kind.as_str() == kind)
    }

    /// The entry whose plugin model has this name.
    pub fn of_model(&self, wanted: &str) -> Option<&KindSpec> {
        self.kinds.iter().find(|spec| matches!(&spec.home, Home::Hedgehog { model, .. } if model == wanted))
    }

    /// The entry with this plugin REST segment.
    pub fn of_segment(&self, wanted: &str) -> Option<&KindSpec> {
        self.kinds.iter().find(|spec| matches!(&spec.home, Home::Hedgehog { segment, .. } if segment == wanted))
    }

    /// The entry with this custom object slug.
    pub fn of_slug(&self, slug: &str) -> Option<&KindSpec> {
        self.kinds.iter().find(|spec| spec.custom_object_slug().as_deref() == Some(slug))
    }

    /// The entry that holds rows of this type field by field.
    pub fn of_mapped_type(&self, object_type: &str) -> Option<&KindSpec> {
        self.kinds.iter().find(|spec| spec.mapping().is_some_and(|mapping| mapping.object_type == object_type))
    }

    /// The entry that holds rows of the endpoint of this REST address field by field.
    pub fn of_mapped_url(&self, url: &str) -> Option<&KindSpec> {
        let (_, below) = url.split_once("/api/")?;
        self.kinds.iter().find(|spec| spec.mapping().is_some_and(|mapping| below.starts_with(&mapping.endpoint)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::mapping::FieldPath;

    #[test]
    fn every_spelling_leads_to_one_kind() {
        let catalogue = Catalogue::hedgehog();

        for spec in catalogue.iter() {
            let Home::Hedgehog { segment, model } = &spec.home else { unreachable!() };
            assert_eq!(catalogue.of_model(model), Some(spec));
            assert_eq!(catalogue.of_segment(segment), Some(spec));
            assert_eq!(catalogue.of_slug(&spec.custom_object_slug().unwrap()), Some(spec));
            assert_eq!(catalogue.of_document(&spec.api_version(), spec.kind.as_str()), Some(spec));
        }
    }

    fn custom(kind: &str, directory: &str, slug: &str) -> KindSpec {
        KindSpec {
            kind: Kind::new(kind),
            group: "example.com".to_owned(),
            version: "v1".to_owned(),
            directory: directory.to_owned(),
            home: Home::CustomObject { slug: slug.to_owned() },
            keyed_lists: Vec::new(),
        }
    }

    fn mapped(kind: &str, endpoint: &str, object_type: &str) -> KindSpec {
        let name = FieldPath::new("name").unwrap();
        let mapping = Mapping {
            endpoint: endpoint.to_owned(),
            object_type: object_type.to_owned(),
            fabric: name.clone(),
            name,
            fields: Vec::new(),
        };
        KindSpec { home: Home::Mapped(mapping), ..custom(kind, kind, "") }
    }

    #[test]
    fn more_kinds_follow_the_built_in_ones() {
        let more = [custom("Gateway", "gateways", "hedgehog-gateways"), mapped("Vlan", "ipam/vlans/", "ipam.vlan")];

        let catalogue = Catalogue::hedgehog().with(more).unwrap();

        assert_eq!(catalogue.iter().count(), 14);
        assert_eq!(catalogue.of_slug("hedgehog-gateways").unwrap().kind.as_str(), "Gateway");
        assert_eq!(catalogue.of_document("example.com/v7", "Gateway").unwrap().kind.as_str(), "Gateway");
        assert_eq!(catalogue.of_mapped_type("ipam.vlan").unwrap().kind.as_str(), "Vlan");
        assert_eq!(catalogue.of_mapped_url("https://nb/sub/api/ipam/vlans/7/").unwrap().kind.as_str(), "Vlan");
        assert!(catalogue.of_mapped_url("/api/ipam/vlan-groups/7/").is_none());
    }

    #[test]
    fn a_kind_is_recognised_in_another_spelling() {
        let catalogue = Catalogue::hedgehog();
        let meant = |word: &str| catalogue.meant_by(&Kind::new(word)).map(Kind::as_str);

        assert_eq!(meant("vpc"), Some("VPC"));
        assert_eq!(meant("VLANnamespaces"), Some("VLANNamespace"));
        assert_eq!(meant("VPC"), None);
        assert_eq!(meant("vp"), None);
    }

    #[test]
    fn kinds_that_could_be_taken_for_each_other_clash() {
        let clash = |more: Vec<KindSpec>| Catalogue::hedgehog().with(more).unwrap_err().what;

        assert_eq!(clash(vec![custom("VPC", "others", "others")]), "name");
        assert_eq!(clash(vec![custom("Other", "vpcs", "others")]), "directory");
        assert_eq!(clash(vec![custom("Other", "others", "hedgehog-vpcs")]), "custom object type");
        let twice = vec![mapped("A", "ipam/vlans/", "ipam.vlan"), mapped("B", "ipam/vlans/", "x")];
        assert_eq!(clash(twice), "endpoint or object type");
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
