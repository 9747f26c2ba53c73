//! The compose file: fgd-sync with a Redis, and a NetBox for whoever has none.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use fgd_sync::config;
use tempfile::TempDir;

use super::{documents, here, read};

/// What `deploy/netbox/secrets` prints for fgd-sync; the other half is in `netbox.env` in the directory.
pub(super) fn made_secrets(directory: &TempDir) -> BTreeMap<String, String> {
    let made = Command::new(here("deploy/netbox/secrets")).arg(directory.path()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    variables(&String::from_utf8(made.stdout).unwrap())
}

fn variables(text: &str) -> BTreeMap<String, String> {
    text.lines().filter_map(|line| line.split_once('=')).map(|(name, value)| (name.into(), value.into())).collect()
}

#[test]
fn the_secrets_of_the_composed_netbox_fit_both_sides_and_are_never_made_twice() {
    let directory = TempDir::new().unwrap();
    let ours = made_secrets(&directory);
    let file = directory.path().join("netbox.env");
    let theirs = variables(&std::fs::read_to_string(&file).unwrap());

    assert_eq!(ours["FGD_NETBOX_MAIN_TOKEN"], theirs["NETBOX_TOKEN"]);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o077, 0);
    let again = Command::new(here("deploy/netbox/secrets")).arg(directory.path()).output().unwrap();
    assert_eq!(again.status.code(), Some(1));
    assert_eq!(variables(&std::fs::read_to_string(&file).unwrap()), theirs);
}

/// As the file's first lines tell to fill in the settings and the variables.
#[test]
fn the_composed_service_finds_its_redis_and_its_netbox() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("fgd-sync.yaml");
    std::fs::write(&file, read("deploy/fgd-sync.example.yaml")).unwrap();
    let compose = documents("deploy/compose.yaml").remove(0);
    let set: BTreeMap<String, String> =
        serde_json::from_value(compose["services"]["fgd-sync"]["environment"].clone()).unwrap();
    let filled_in = variables(&read(".env.example")).into_iter().chain(made_secrets(&directory)).chain(set);

    let settings = config::load(Some(&file), &filled_in.collect()).unwrap_or_else(|problems| panic!("{problems:#?}"));

    assert_eq!(settings.netboxes.values().next().unwrap().url.as_str(), "http://netbox:8080/");
    assert_eq!(settings.public_url.as_str(), "http://fgd-sync.localhost:8080/");
    let alias = &compose["services"]["fgd-sync"]["networks"]["default"]["aliases"][0];
    assert_eq!(alias.as_str(), settings.public_url.host_str());
    assert!(!settings.listen.ip().is_loopback());
}

#[test]
fn the_composed_netbox_gets_every_variable_that_it_needs() {
    let start = read("deploy/netbox/start");
    let needed = start.split_once("for name in ").unwrap().1.split_once("; do").unwrap().0;
    let needed: BTreeSet<String> = needed
        .split(|c: char| c.is_whitespace() || c == '\\')
        .filter(|name| !name.is_empty())
        .map(Into::into)
        .collect();
    let directory = TempDir::new().unwrap();
    made_secrets(&directory);
    let made = variables(&std::fs::read_to_string(directory.path().join("netbox.env")).unwrap());
    let compose = documents("deploy/compose.yaml").remove(0);
    let in_image = "NETBOX_ROOT".to_owned();
    assert!(read("deploy/netbox/Dockerfile").contains(&format!(" {in_image}=")));

    for service in ["netbox", "netbox-worker"] {
        let set = compose["services"][service]["environment"].as_object().unwrap().keys().cloned();
        let given: BTreeSet<String> = set.chain(made.keys().cloned()).chain([in_image.clone()]).collect();
        assert!(needed.len() > 6 && needed.is_subset(&given), "{service}: {needed:?}");
    }
}

#[test]
fn what_the_composed_netbox_needs_starts_with_it_and_only_then() {
    let compose = documents("deploy/compose.yaml").remove(0);
    let services = compose["services"].as_object().unwrap();

    for (name, service) in services {
        let of_netbox = name.starts_with("netbox");
        assert_eq!(service["profiles"] == serde_json::json!(["netbox"]), of_netbox, "{name}");
        let needs = service["depends_on"].as_object().into_iter().flatten();
        for (other, condition) in needs {
            assert_eq!(other.starts_with("netbox"), of_netbox, "{name} needs {other}");
            // Ready is what a check says.
            assert_eq!(condition["condition"], "service_healthy", "{name} needs {other}");
            assert!(
                services[other]["healthcheck"]["test"].is_array() || services[other]["build"].is_object(),
                "{other}"
            );
        }
    }
    assert!(services.len() > 5);
}
