//! What stands in `deploy/`, held against itself, the settings and the variables that there are.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use fgd_sync::config::{self, Settings};
use regex::Regex;
use serde_json::Value;
use tempfile::TempDir;

mod compose;
mod pages;

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

/// A constant of the source, in seconds.
fn seconds(file: &str, name: &str) -> u64 {
    let constant = Regex::new(&format!(r"const {name}: Duration = Duration::from_secs\((\d+)\);")).unwrap();
    constant.captures(&read(file)).unwrap()[1].parse().unwrap()
}

#[test]
fn nobody_is_killed_while_ending() {
    let pod =
        |half: &str| one(&format!("deploy/kubernetes/{half}.yaml"), "Deployment")["spec"]["template"]["spec"].clone();
    let (requests, batches) = (seconds("src/http/serve.rs", "GRACE"), seconds("src/app.rs", "GRACE"));
    let pause = container("deploy/kubernetes/receiver.yaml")["lifecycle"]["preStop"]["exec"]["command"][1].clone();
    let pause: u64 = pause.as_str().unwrap().parse().unwrap();
    let compose = documents("deploy/compose.yaml").remove(0);
    let unit = read("deploy/fgd-sync.service");
    let unit = unit.lines().find_map(|line| line.strip_prefix("TimeoutStopSec=")).unwrap().parse().unwrap();

    let granted = [
        (pod("receiver")["terminationGracePeriodSeconds"].as_u64().unwrap(), requests + pause),
        (pod("worker")["terminationGracePeriodSeconds"].as_u64().unwrap(), batches.max(requests)),
        (unit, batches.max(requests)),
    ];

    assert!(granted.iter().all(|(granted, needed)| granted > needed), "{granted:?}");
    assert_eq!(compose["services"]["fgd-sync"]["stop_grace_period"], "2m");
}

#[test]
fn a_full_redis_refuses_writes_before_it_is_killed() {
    let redis = one("deploy/kubernetes/redis.yaml", "StatefulSet")["spec"]["template"]["spec"]["containers"][0].clone();
    let args: Vec<&str> = redis["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap()).collect();
    let option = |name: &str| args[args.iter().position(|arg| *arg == format!("--{name}")).unwrap() + 1];

    assert_eq!(
        [option("appendonly"), option("appendfsync"), option("maxmemory-policy")],
        ["yes", "always", "noeviction"]
    );
    assert_eq!((option("maxmemory"), redis["resources"]["limits"]["memory"].as_str()), ("640mb", Some("1Gi")));
}

#[test]
fn the_way_in_is_where_the_settings_say() {
    let ingress = one("deploy/kubernetes/ingress.yaml", "Ingress")["spec"].clone();
    let service = one("deploy/kubernetes/receiver.yaml", "Service");

    let host = settings().public_url.host_str().unwrap().to_owned();

    let rule = &ingress["rules"][0];
    assert_eq!([&rule["host"], &ingress["tls"][0]["hosts"][0]], [host.as_str(); 2]);
    let backend = &rule["http"]["paths"][0]["backend"]["service"];
    assert_eq!(
        (&backend["name"], &backend["port"]["name"]),
        (&service["metadata"]["name"], &service["spec"]["ports"][0]["name"])
    );
}

#[test]
fn the_adapter_serves_what_the_workers_are_scaled_by() {
    let scaled_by = one("deploy/kubernetes/autoscaling.yaml", "HorizontalPodAutoscaler")["spec"]["metrics"][0].clone();
    let rule = documents("deploy/prometheus-adapter.yaml")[0]["rules"]["external"][0].clone();

    let series = rule["seriesQuery"].as_str().unwrap();

    assert_eq!(series.split('{').next(), scaled_by["external"]["metric"]["name"].as_str());
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
    let of_the_netbox = compose::made_secrets(&made).into_keys();

    let used: BTreeSet<String> = secrets().into_keys().chain(in_compose).chain(in_image).chain(of_the_netbox).collect();

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
