//! What stands in `deploy/`, held against itself, the settings and the variables that there are.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use fgd_sync::config::{self, Settings};
use regex::Regex;
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

/// The files that people read, from the repository's root.
fn pages() -> Vec<String> {
    let folder = |folder: &str| {
        let names = std::fs::read_dir(here(folder)).unwrap().map(|entry| entry.unwrap().file_name());
        let names = names.map(|name| name.into_string().unwrap()).filter(|name| name.ends_with(".md"));
        names.map(|name| format!("{folder}/{name}")).collect::<Vec<_>>()
    };
    [vec!["README.md".to_owned()], folder("deploy"), folder(".github")].concat()
}

/// What a heading is linked by: its words in lower case, without marks, joined by dashes.
fn anchor(heading: &str) -> String {
    let words = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = words.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn every_link_in_the_pages_leads_somewhere() {
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let mut links = 0;

    for page in pages() {
        for found in link.captures_iter(&read(&page)) {
            let target = &found[1];
            if target.starts_with("https://") {
                continue;
            }
            let (file, place) = target.split_once('#').unwrap_or((target, ""));
            let beside = here(&page).parent().unwrap().join(file);
            let leads_to = if file.is_empty() { here(&page) } else { beside };
            assert!(leads_to.exists(), "{page}: {target}");
            if !place.is_empty() {
                let text = std::fs::read_to_string(&leads_to).unwrap();
                let mut headings = text.lines().filter(|line| line.starts_with('#')).map(anchor);
                assert!(headings.any(|heading| heading == place), "{page}: {target}");
            }
            links += 1;
        }
    }
    assert!(links > 30, "{links}");
}

/// A step that a page tells to run is one that `./dev` has.
#[test]
fn every_command_of_dev_in_the_pages_is_there() {
    let command = Regex::new(r"\./dev ([a-z]+)(?: ([a-z]+))?").unwrap();
    let known = read("dev");
    let known = |word: &str| Regex::new(&format!(r"(?m)^  {word}\b")).unwrap().is_match(&known);
    let benches = read("tests/bench/main.rs");
    let mut commands = 0;

    for page in pages() {
        for found in command.captures_iter(&read(&page)) {
            assert!(known(&found[1]), "{page}: {}", &found[0]);
            if let Some(name) = found.get(2).filter(|_| &found[1] == "bench") {
                assert!(benches.contains(&format!("\"{}\"", name.as_str())), "{page}: {}", &found[0]);
            }
            commands += 1;
        }
    }
    assert!(commands > 10, "{commands}");
}
