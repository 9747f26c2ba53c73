//! What stands in `deploy/`, held against itself, the settings and the variables that there are.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

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

    let used: BTreeSet<String> = secrets().into_keys().chain(in_compose).chain(in_image).collect();

    assert!(used.len() > 6, "{used:?}");
    assert_eq!(used.difference(&known).collect::<Vec<_>>(), Vec::<&String>::new());
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
