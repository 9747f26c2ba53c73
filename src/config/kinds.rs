//! Kinds beside the 12: custom object types of the same form, and rows of any endpoint, field by field.

use crate::domain::kind::{Catalogue, Home, Kind, KindSpec};
use crate::domain::mapping::{FieldPath, Mapping};

use super::declared::{Each, Group, Text};
use super::section::{Refusal, Section, Setting};

pub(super) const KINDS: Group = Group {
    name: "kinds",
    each: Each::Named,
    about: "Kinds beside the 12 of Hedgehog, by their Kubernetes name; each has `custom_object` or `mapped`.",
    settings: &[&API_VERSION, &DIRECTORY, &CUSTOM_OBJECT, &MAPPED],
};
const API_VERSION: Text =
    Text::required("api_version", "group/version", "What new files get, such as `gateway.githedgehog.com/v1alpha1`.");
const DIRECTORY: Text = Text::optional(
    "directory",
    "directory name",
    "Where below managed/ its files are; the kind in lower case with an s where it is not set.",
);
const CUSTOM_OBJECT: Text =
    Text::optional("custom_object", "slug", "A custom object type of its own, with the fields of the built-in kinds.");
const MAPPED: Group = Group::single(
    "mapped",
    "Rows of any other endpoint, field by field.",
    &[&ENDPOINT, &OBJECT_TYPE, &FABRIC, &NAME, &FIELDS],
);
const ENDPOINT: Text = Text::required("endpoint", "path", "The path below /api/, such as `ipam/vlans/`.");
const OBJECT_TYPE: Text =
    Text::required("object_type", "object type", "NetBox's name of the type in webhooks, such as `ipam.vlan`.");
const FABRIC: Text =
    Text::required("fabric", "field", "The field that names the fabric, such as `custom_fields.fabric`.");
const NAME: Text = Text::or("name", "field", "name", "The field that holds the object's name.");
const FIELDS: Text =
    Text::required("fields", "map of a key of the spec to a field", "What the spec holds, such as `site: site.slug`.");

/// The 12 kinds and those of the settings.
pub(super) fn kinds(root: &Section<'_>) -> Catalogue {
    let mut catalogue = Catalogue::hedgehog().clone();
    let named = root.get(KINDS.name).map(|setting| setting.named()).unwrap_or_default();
    for (name, setting) in named {
        let Some(spec) = kind(name, &setting) else { continue };
        match catalogue.with([spec]) {
            Ok(more) => catalogue = more,
            Err(clash) => setting.refuse(clash.to_string(), "Give each kind its own."),
        }
    }
    catalogue
}

fn kind(name: &str, setting: &Setting<'_>) -> Option<KindSpec> {
    let letters = name.starts_with(|c: char| c.is_ascii_uppercase()) && name.bytes().all(|b| b.is_ascii_alphanumeric());
    if !letters || name.len() > 63 {
        setting.refuse(
            format!("{name:?} cannot be a kind"),
            "Write it as Kubernetes does: letters and digits, the first a capital.",
        );
    }
    let section = setting.section(&KINDS)?;
    let api_version =
        section.require(API_VERSION.name, "Write group and version, such as `wiring.githedgehog.com/v1beta1`.");
    let api_version = api_version.and_then(|setting| setting.parse(api_version_of));
    let directory = match section.get(DIRECTORY.name) {
        None => Some(format!("{}s", name.to_ascii_lowercase())),
        Some(setting) => setting.parse(directory),
    };
    let home = home(&section);
    let (group, version) = api_version?;
    let keyed_lists = Vec::new();
    letters.then_some(KindSpec {
        kind: Kind::new(name),
        group,
        version,
        directory: directory?,
        home: home?,
        keyed_lists,
    })
}

fn api_version_of(text: &str) -> Result<(String, String), Refusal> {
    let parts = text.split_once('/').filter(|(group, version)| group.contains('.') && !version.is_empty());
    let (group, version) =
        parts.filter(|(_, version)| version.bytes().all(|b| b.is_ascii_alphanumeric())).ok_or_else(|| {
            Refusal::new(
                format!("`{text}` is not group and version"),
                "Write such as `wiring.githedgehog.com/v1beta1`.",
            )
        })?;
    Ok((group.to_owned(), version.to_owned()))
}

fn directory(text: &str) -> Result<String, Refusal> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if plain {
        return Ok(text.to_owned());
    }
    Err(Refusal::new(
        format!("`{text}` cannot be a directory of managed/"),
        "Write lower-case letters, digits and `-`.",
    ))
}

const ONE_OF: &str =
    "Write `custom_object: <slug>` for a custom object type of its own, or `mapped:` for any other endpoint.";

fn home(kind: &Section<'_>) -> Option<Home> {
    match (kind.get(CUSTOM_OBJECT.name), kind.get(MAPPED.name)) {
        (Some(slug), None) => slug.parse(slug_of).map(|slug| Home::CustomObject { slug }),
        (None, Some(mapped)) => mapping(&mapped).map(Home::Mapped),
        (None, None) => {
            kind.missing(CUSTOM_OBJECT.name, "is missing, and so is `mapped`", ONE_OF);
            None
        }
        (Some(_), Some(mapped)) => {
            mapped.refuse("stands beside `custom_object`", ONE_OF);
            None
        }
    }
}

fn slug_of(text: &str) -> Result<String, Refusal> {
    directory(text).map_err(|_| {
        Refusal::new(
            format!("`{text}` cannot be a slug"),
            "Write such as `hedgehog-gateways`: lower-case letters, digits, `-`.",
        )
    })
}

fn mapping(setting: &Setting<'_>) -> Option<Mapping> {
    let section = setting.section(&MAPPED)?;
    let endpoint = section.require(ENDPOINT.name, "Write the path below /api/, such as `ipam/vlans/`.");
    let object_type = section.require(OBJECT_TYPE.name, "Write NetBox's name of the type, such as `ipam.vlan`.");
    let fabric = section.require(FABRIC.name, "Write the field that names the fabric, such as `custom_fields.fabric`.");
    let name = section.read(&NAME, field);
    let fields = section.require(FIELDS.name, "Write `<key of spec>: <field of the row>` lines.");
    let endpoint = endpoint.and_then(|setting| setting.parse(endpoint_of));
    let object_type = object_type.and_then(|setting| setting.parse(object_type_of));
    let fabric = fabric.and_then(|setting| setting.parse(field));
    let fields = fields.map(|setting| setting.named()).unwrap_or_default();
    let fields: Vec<(String, Option<FieldPath>)> =
        fields.into_iter().map(|(key, setting)| (key.to_owned(), setting.parse(field))).collect();
    let fields = fields.into_iter().map(|(key, path)| Some((key, path?))).collect::<Option<Vec<_>>>();
    Some(Mapping { endpoint: endpoint?, object_type: object_type?, fabric: fabric?, name: name?, fields: fields? })
}

fn endpoint_of(text: &str) -> Result<String, Refusal> {
    let path = text.trim_matches('/');
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    if path.split('/').count() >= 2 && path.split('/').all(plain) && !path.starts_with("api/") {
        return Ok(format!("{path}/"));
    }
    Err(Refusal::new(format!("`{text}` is not an endpoint"), "Write the path below /api/, such as `ipam/vlans/`."))
}

fn object_type_of(text: &str) -> Result<String, Refusal> {
    let plain = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    match text.split_once('.') {
        Some((app, model)) if plain(app) && plain(model) => Ok(text.to_owned()),
        Some(_) | None => Err(Refusal::new(format!("`{text}` is not an object type"), "Write such as `ipam.vlan`.")),
    }
}

fn field(text: &str) -> Result<FieldPath, Refusal> {
    FieldPath::new(text).ok_or_else(|| {
        Refusal::new(format!("`{text}` is not a field"), "Write such as `vid`, `site.slug` or `custom_fields.fabric`.")
    })
}
