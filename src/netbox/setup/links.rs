//! Links from NetBox's own pages of a fabric and its objects to the pages of this service that show them.
//!
//! A link only opens a page: what changes something is a button there. NetBox renders the address with Jinja, the row
//! being `object`.

use url::Url;

use crate::domain::kind::KindSpec;
use crate::domain::mapping::FieldPath;

use crate::netbox::client::{Client, Model};
use crate::netbox::form::Form;

/// One custom link.
pub(super) struct Link {
    pub name: String,
    /// NetBox's names of the types whose pages have it.
    pub object_types: Vec<String>,
    pub text: &'static str,
    /// A Jinja template.
    pub url: String,
    /// Its place among the links.
    pub weight: u16,
}

/// The links of a fabric's page.
pub(super) fn of_fabrics(base: &Url, object_type: &str) -> Vec<Link> {
    let link = |what: &str, text, part: &str, weight| Link {
        name: format!("fgd-sync fabric: {what}"),
        object_types: vec![object_type.to_owned()],
        text,
        url: format!("{base}fabrics/{}{part}", written("object.name")),
        weight,
    };
    vec![
        link("status", "Status", "", 100),
        link("sync now", "Sync now", "#sync", 110),
        link("history", "History", "#history", 120),
    ]
}

/// The links of the pages of one kind's objects.
pub(super) fn of_kind(base: &Url, client: &Client, spec: &KindSpec, object_type: &str) -> Vec<Link> {
    let (fabric, namespace, name) = match (client.form(spec), client.model()) {
        (Form::Mapped(mapping), _) => (field(&mapping.fabric), "'default'".to_owned(), field(&mapping.name)),
        (_, model) => {
            let fabric = match model {
                Model::Hedgehog if matches!(client.form(spec), Form::Plugin { .. }) => "object.fabric.name",
                Model::Hedgehog | Model::CustomObjects => "object.fabric",
            };
            (fabric.to_owned(), "object.namespace or 'default'".to_owned(), "object.name".to_owned())
        }
    };
    let (fabric, kind) = (written(&fabric), spec.kind.as_str());
    let object = format!("{base}objects/{fabric}/{kind}/{}/{}", written(&namespace), written(&name));
    let link = |what: &str, text, url, weight| Link {
        name: format!("fgd-sync {kind}: {what}"),
        object_types: vec![object_type.to_owned()],
        text,
        url,
        weight,
    };
    vec![
        link("status", "Status", object.clone(), 100),
        link("sync now", "Sync now", format!("{base}fabrics/{fabric}#sync"), 110),
        link("history", "History", format!("{object}#history"), 120),
    ]
}

fn field(path: &FieldPath) -> String {
    let path = path.to_string();
    match path.strip_prefix("custom_fields.") {
        Some(custom) => format!("object.cf.{custom}"),
        None => format!("object.{path}"),
    }
}

/// A value as a segment of a path.
fn written(expression: &str) -> String {
    format!("{{{{ ({expression})|string|urlencode|replace('/', '%2F') }}}}")
}
