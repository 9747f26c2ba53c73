//! What only shows when settings are held against each other.

use std::fmt::Display;

use secrecy::ExposeSecret;

use crate::domain::path::RepoPath;

use super::fabrics::ReadFabric;
use super::section::Setting;
use super::sides::{NetBoxes, Repositories, Side};
use super::spelling::nearest;

/// Every fabric's NetBox and repository must be configured.
pub(super) fn references(fabrics: &[ReadFabric<'_>], netboxes: &NetBoxes<'_>, repositories: &Repositories<'_>) {
    let known_netboxes: Vec<_> = netboxes.iter().map(|side| side.name.as_str()).collect();
    let known_repositories: Vec<_> = repositories.iter().map(|side| side.name.as_str()).collect();
    for fabric in fabrics {
        if let Some((setting, name)) = &fabric.netbox {
            reference(setting, name.as_str(), &known_netboxes);
        }
        if let Some((setting, name)) = &fabric.repository {
            reference(setting, name.as_str(), &known_repositories);
        }
    }
    unused(netboxes, |side| fabrics.iter().any(|f| f.netbox.as_ref().is_some_and(|(_, name)| *name == side.name)));
    unused(repositories, |side| {
        fabrics.iter().any(|f| f.repository.as_ref().is_some_and(|(_, name)| *name == side.name))
    });
}

fn reference(setting: &Setting<'_>, name: &str, known: &[&str]) {
    if known.contains(&name) {
        return;
    }
    let remedy = match (nearest(name, known.iter().copied()), known) {
        (Some(meant), _) => format!("Did you mean `{meant}`?"),
        (None, []) => "None is configured yet.".to_owned(),
        (None, known) => format!("Configured: {}.", known.join(", ")),
    };
    setting.refuse(format!("`{name}` is not configured"), remedy);
}

fn unused<Name: Display, Value>(sides: &[Side<'_, Name, Value>], used: impl Fn(&Side<'_, Name, Value>) -> bool) {
    for side in sides.iter().filter(|side| !used(side)) {
        side.setting.warn("no fabric uses it", "Take it away, or name it in a fabric.");
    }
}

/// One writer per branch holds only while each repository has one name.
pub(super) fn repositories_are_distinct(repositories: &Repositories<'_>) {
    let read: Vec<_> = repositories.iter().filter_map(|side| Some((side, side.value.as_ref()?))).collect();
    for (index, (side, value)) in read.iter().enumerate() {
        for (other, earlier) in &read[..index] {
            if value.url.identity() == earlier.url.identity() {
                side.setting.refuse(
                    format!("is the same repository as `{}`: two names would mean two writers", other.name),
                    format!("Let its fabrics use `{}`.", other.name),
                );
            }
            let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
            if value.github.as_deref().zip(earlier.github.as_deref()).is_some_and(|(a, b)| same(a, b)) {
                let message = format!("has the same `github` as `{}`: a push could mean either", other.name);
                side.setting.refuse(message, "Name each GitHub repository once.");
            }
        }
    }
}

/// No fabric's directory may be another's or lie in it, in any repository that is really the same.
pub(super) fn directories_are_apart(fabrics: &[ReadFabric<'_>], repositories: &Repositories<'_>) {
    let owned: Vec<_> = fabrics.iter().filter_map(|fabric| owned(fabric, repositories)).collect();
    for (index, one) in owned.iter().enumerate() {
        for other in owned[..index].iter().filter(|other| other.place == one.place) {
            let message = if one.folded == other.folded {
                format!("is also the directory of `{}`", other.fabric.name)
            } else if one.folded.is_within(&other.folded) {
                format!("lies in the directory of `{}`", other.fabric.name)
            } else if other.folded.is_within(&one.folded) {
                format!("contains the directory of `{}`", other.fabric.name)
            } else {
                continue;
            };
            one.setting.refuse(message, "Give each fabric a directory of its own, neither inside the other.");
        }
    }
}

struct Owned<'a> {
    fabric: &'a ReadFabric<'a>,
    setting: &'a Setting<'a>,
    /// Repository and branch.
    place: (String, String),
    /// In lower case: some checkouts cannot tell `Lab` from `lab`.
    folded: RepoPath,
}

fn owned<'a>(fabric: &'a ReadFabric<'a>, repositories: &Repositories<'_>) -> Option<Owned<'a>> {
    let (_, name) = fabric.repository.as_ref()?;
    let (setting, directory) = fabric.directory.as_ref()?;
    let repository = repositories.iter().find(|side| side.name == *name).and_then(|side| side.value.as_ref());
    let identity = repository.map_or(name.as_str(), |repository| repository.url.identity()).to_owned();
    let folded = RepoPath::new(&directory.as_str().to_lowercase()).ok()?;
    Some(Owned { fabric, setting, place: (identity, fabric.branch.as_ref()?.to_string()), folded })
}

/// A delivery's NetBox is found by the secret that matched it.
pub(super) fn netbox_secrets_are_distinct(netboxes: &NetBoxes<'_>) {
    for (index, side) in netboxes.iter().enumerate() {
        for (setting, secret) in &side.secrets {
            let same = |other: &&Side<'_, _, _>| {
                other.secrets.iter().any(|(_, text)| text.expose_secret() == secret.expose_secret())
            };
            if let Some(other) = netboxes[..index].iter().find(same) {
                let message = format!("is also a secret of `{}`: a delivery could come from either", other.name);
                setting.refuse(message, "Give each NetBox its own secret.");
            }
        }
    }
}

/// A working fabric's webhook must be able to find its repository.
pub(super) fn repositories_have_secrets(repositories: &Repositories<'_>) {
    for side in repositories.iter().filter(|side| side.secrets.is_empty() && side.value.is_some()) {
        side.setting.warn(
            "has no webhook secret: pushes are found by polling alone",
            "Set `webhook_secret_file` to the secret of the push webhook.",
        );
    }
}
