//! How NetBox names rows and requests: object types, URLs and paths.

use crate::domain::kind::{Catalogue, FABRICS_SLUG, Home, KindSpec};

use super::Model;

/// What a row is.
pub(super) enum Thing<'c> {
    Fabric(Model),
    /// The model where only one of NetBox's may hold it.
    Object(Option<Model>, &'c KindSpec),
}

impl<'c> Thing<'c> {
    /// What a type is. A bare model name and a custom object's table (`table2model`, another number in each NetBox)
    /// do not say it alone; the row's URL does.
    pub(super) fn named(catalogue: &'c Catalogue, object_type: &str, url: Option<&str>) -> Option<Self> {
        if let Some(spec) = catalogue.of_mapped_type(object_type) {
            return Some(Self::Object(None, spec));
        }
        match object_type.split_once('.') {
            Some(("netbox_hedgehog", "hedgehogfabric")) => Some(Self::Fabric(Model::Hedgehog)),
            Some(("netbox_hedgehog", model)) => {
                catalogue.of_model(model).map(|spec| Self::Object(Some(Model::Hedgehog), spec))
            }
            Some(("netbox_custom_objects", _)) => Self::custom_object(catalogue, url?),
            // Other apps, and those that only look like ours.
            Some(_) => None,
            None => Self::of_url(catalogue, url?),
        }
    }

    fn of_url(catalogue: &'c Catalogue, url: &str) -> Option<Self> {
        if let Some(thing) = Self::custom_object(catalogue, url) {
            return Some(thing);
        }
        if let Some(spec) = catalogue.of_mapped_url(url) {
            return Some(Self::Object(None, spec));
        }
        match segment_after(url, "/api/plugins/hedgehog/")? {
            "fabrics" => Some(Self::Fabric(Model::Hedgehog)),
            segment => catalogue.of_segment(segment).map(|spec| Self::Object(Some(Model::Hedgehog), spec)),
        }
    }

    fn custom_object(catalogue: &'c Catalogue, url: &str) -> Option<Self> {
        let slug = segment_after(url, "/api/plugins/custom-objects/")?;
        if slug == FABRICS_SLUG {
            return Some(Self::Fabric(Model::CustomObjects));
        }
        let spec = catalogue.of_slug(slug)?;
        match spec.home {
            Home::Hedgehog { .. } => Some(Self::Object(Some(Model::CustomObjects), spec)),
            Home::CustomObject { .. } | Home::Mapped(_) => Some(Self::Object(None, spec)),
        }
    }
}

/// The path segment behind a prefix; a NetBox below a path of its own puts that first.
fn segment_after<'u>(url: &'u str, prefix: &str) -> Option<&'u str> {
    let (_, rest) = url.split_once(prefix)?;
    rest.split('/').next().filter(|segment| !segment.is_empty())
}

/// Whether a request path is the deletion of a fabric, or of several: over REST or in the browser.
pub(super) fn deletes_a_fabric(path: &str) -> bool {
    let Some((before, rest)) = path.split_once("/plugins/hedgehog/fabrics/") else { return false };
    let (rest, api) = (rest.trim_end_matches('/'), before.ends_with("/api") || before == "api");
    let is_id = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match rest.rsplit_once('/') {
        Some((id, "delete")) => !api && is_id(id),
        Some(_) => false,
        None if api => rest.is_empty() || is_id(rest),
        None => rest == "delete",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_fabrics_own_deletion_is_a_cascade() {
        for path in [
            "/api/plugins/hedgehog/fabrics/3/",
            "/netbox/api/plugins/hedgehog/fabrics/3/",
            "/api/plugins/hedgehog/fabrics/",
            "/plugins/hedgehog/fabrics/3/delete/",
            "/netbox/plugins/hedgehog/fabrics/delete/",
        ] {
            assert!(deletes_a_fabric(path), "{path}");
        }
        for path in [
            "",
            "/api/plugins/hedgehog/vpcs/3/",
            "/plugins/hedgehog/fabrics/3/",
            "/plugins/hedgehog/fabrics/3/edit/",
            "/plugins/hedgehog/fabrics/x/delete/",
            "/api/plugins/hedgehog/fabrics/3/sync/",
        ] {
            assert!(!deletes_a_fabric(path), "{path}");
        }
    }
}
