//! What stands in `deploy/`, held against itself, the settings and the variables that there are.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use fgd_sync::config::{self, Settings};
use serde_json::Value;
use tempfile::TempDir;

fn here(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(file)
}

fn read(file: &str) -> String {
    std::fs::read_to_string(here(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn documents(file: &str) -> Vec<Value> {
    serde_yaml::from_multiple(&read(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn one(file: &str, kind: &str) -> Value {
    documents(file).into_iter().find(|document| document["kind"] == kind).unwrap_or_else(|| panic!("{file}: no {kind}"))
}

fn container(file: &str) -> Value {
    one(file, "Deployment")["spec"]["template"]["spec"]["containers"][0].clone()
}

/// The variables of the secret whose names are variables.
fn secrets() -> BTreeMap<String, String> {
    serde_json::from_value(documents("deploy/kubernetes/secret.example.yaml")[0]["stringData"].clone()).unwrap()
}

/// The pods' settings, with the secrets where the manifests put them.
fn settings() -> Settings {
    let directory = TempDir::new().unwrap();
    let (file, token) = (directory.path().join("fgd-sync.yaml"), directory.path().join("token"));
    std::fs::write(&token, "example-monitoring-token").unwrap();
    let text = read("deploy/kubernetes/fgd-sync.yaml");
    let mounted = "/run/secrets/monitoring/token";
    assert!(text.contains(mounted));
    std::fs::write(&file, text.replace(mounted, token.to_str().unwrap())).unwrap();
    config::load(Some(&file), &secrets()).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

#[test]
fn the_settings_of_the_pods_are_good() {
    let settings = settings();

    assert_eq!(settings.fabrics.len(), 1);
}

#[test]
fn pods_listen_where_their_probes_and_services_look() {
    let settings = settings();
    let halves = [("receiver", settings.listen.port()), ("worker", settings.worker_listen.port())];
    for (half, port) in halves {
        let file = format!("deploy/kubernetes/{half}.yaml");
        let (container, service) = (container(&file), one(&file, "Service"));

        assert_eq!(container["args"], serde_json::json!([half]));
        assert_eq!(container["ports"], serde_json::json!([{"name": "http", "containerPort": port}]));
        assert_eq!(service["spec"]["ports"][0]["targetPort"], "http");
        for (probe, path) in
            [("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")]
        {
            assert_eq!(
                container[probe]["httpGet"],
                serde_json::json!({"path": path, "port": "http"}),
                "{half} {probe}"
            );
        }
    }
    assert!(!settings.listen.ip().is_loopback() && !settings.worker_listen.ip().is_loopback());
}

#[test]
fn every_manifest_is_applied() {
    let listed = one("deploy/kubernetes/kustomization.yaml", "Kustomization")["resources"].clone();
    let listed: BTreeSet<String> = serde_json::from_value(listed).unwrap();

    let not_applied = ["kustomization.yaml", "fgd-sync.yaml", "secret.example.yaml"];
    let there: BTreeSet<String> = std::fs::read_dir(here("deploy/kubernetes"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !not_applied.contains(&name.as_str()))
        .collect();
    assert_eq!(listed, there);
}

#[test]
fn every_variable_that_is_set_exists() {
    let known: BTreeSet<String> =
        read(".env.example").lines().filter_map(|line| Some(line.split_once('=')?.0.to_owned())).collect();
    let compose = &documents("deploy/compose.yaml")[0]["services"]["fgd-sync"]["environment"];
    let in_compose = compose.as_object().unwrap().keys().cloned();
    let image = read("deploy/Dockerfile");
    let in_image = image.lines().filter_map(|line| line.strip_prefix("ENV ")).flat_map(str::split_whitespace);
    let in_image = in_image.filter_map(|pair| Some(pair.split_once('=')?.0.to_owned()));

    let made = TempDir::new().unwrap();
    let of_the_netbox = made_secrets(&made).into_keys();

    let used: BTreeSet<String> = secrets().into_keys().chain(in_compose).chain(in_image).chain(of_the_netbox).collect();

    assert!(used.len() > 6, "{used:?}");
    assert_eq!(used.difference(&known).collect::<Vec<_>>(), Vec::<&String>::new());
}

/// What `deploy/netbox/secrets` prints for fgd-sync; the other half is in `netbox.env` in the directory.
fn made_secrets(directory: &TempDir) -> BTreeMap<String, String> {
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
    let settings = directory.path().join("fgd-sync.yaml");
    std::fs::write(&settings, read("deploy/fgd-sync.example.yaml")).unwrap();
    config::load(Some(&settings), &ours).unwrap_or_else(|problems| panic!("{problems:#?}"));

    let again = Command::new(here("deploy/netbox/secrets")).arg(directory.path()).output().unwrap();
    assert_eq!(again.status.code(), Some(1));
    assert_eq!(variables(&std::fs::read_to_string(&file).unwrap()), theirs);
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

#[test]
fn argo_cd_and_flux_apply_what_the_settings_make() {
    let settings = settings();
    let (repository, fabric) = (&read("deploy/kubernetes/fgd-sync.yaml"), settings.fabrics.values().next().unwrap());
    let managed = format!("{}/managed", fabric.directory);
    let (argo, flux) = ("deploy/gitops/argo-cd.yaml", "deploy/gitops/flux.yaml");
    let application = one(argo, "Application")["spec"]["source"].clone();
    let (source, applied) = (one(flux, "GitRepository")["spec"].clone(), one(flux, "Kustomization")["spec"].clone());

    for url in [&application["repoURL"], &source["url"]] {
        assert!(repository.contains(url.as_str().unwrap()), "{url}");
    }
    assert_eq!([&application["targetRevision"], &source["ref"]["branch"]], ["main", "main"]);
    assert_eq!(application["path"], managed.as_str());
    assert_eq!(applied["path"], format!("./{managed}").as_str());
}
