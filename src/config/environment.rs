//! The environment: one table of variables, laid over the tree of the file before it is read.
//!
//! A variable wins over the file, an empty one counts as not set (so that `.env.example` can be used as it is), and an
//! unknown one is a warning, not an error: Kubernetes adds variables of its own for every service name.

use std::collections::BTreeMap;

use super::problem::{Place, Problem, Report};
use super::spelling::nearest;
use super::tree::{Entry, Node, Value};

/// The variables that settings are read from; a map, so that a test needs no process of its own.
pub type Environment = BTreeMap<String, String>;

/// Names the settings file.
pub const FILE_VARIABLE: &str = "FGD_CONFIG";

/// One variable. `<NAME>` stands for the name of a NetBox or repository of the file: upper case, `_` for `-`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    pub name: &'static str,
    /// The setting that it stands for; `<name>` as in the file. A `*_file` setting names a file that holds the secret.
    pub setting: &'static str,
}

const fn variable(name: &'static str, setting: &'static str) -> Variable {
    Variable { name, setting }
}

/// Every variable but `FGD_CONFIG`, in the order of `.env.example`.
pub const VARIABLES: &[Variable] = &[
    variable("FGD_LISTEN", "listen"),
    variable("FGD_WORKER_LISTEN", "worker_listen"),
    variable("FGD_PUBLIC_URL", "public_url"),
    variable("FGD_DATA_DIRECTORY", "data_directory"),
    variable("FGD_LOG_FORMAT", "log.format"),
    variable("FGD_LOG_FILTER", "log.filter"),
    variable("FGD_TLS_CERTIFICATE_FILE", "tls.certificate_file"),
    variable("FGD_TLS_KEY_FILE", "tls.key_file"),
    variable("FGD_TELEMETRY_OTLP_ENDPOINT", "telemetry.otlp_endpoint"),
    variable("FGD_WORKERS", "workers"),
    variable("FGD_LEASE_SECONDS", "lease_seconds"),
    variable("FGD_REDIS", "redis"),
    variable("FGD_REDIS_URL", "redis.url"),
    variable("FGD_REDIS_URL_FILE", "redis.url_file"),
    variable("FGD_REDIS_CA_FILE", "redis.ca_file"),
    variable("FGD_REDIS_PREFIX", "redis.prefix"),
    variable("FGD_API_TOKEN", "api_token"),
    variable("FGD_API_TOKEN_FILE", "api_token_file"),
    variable("FGD_DEBOUNCE_QUIET_MS", "debounce.quiet_ms"),
    variable("FGD_DEBOUNCE_MAX_WAIT_MS", "debounce.max_wait_ms"),
    variable("FGD_DEBOUNCE_MAX_CHANGES", "debounce.max_changes"),
    variable("FGD_SCHEDULE_FULL_COMPARISON_MINUTES", "schedule.full_comparison_minutes"),
    variable("FGD_SCHEDULE_POLL_HEAD_SECONDS", "schedule.poll_head_seconds"),
    variable("FGD_SCHEDULE_CATCH_UP_SECONDS", "schedule.catch_up_seconds"),
    variable("FGD_NETBOX_<NAME>_URL", "netbox.<name>.url"),
    variable("FGD_NETBOX_<NAME>_TOKEN", "netbox.<name>.token"),
    variable("FGD_NETBOX_<NAME>_TOKEN_FILE", "netbox.<name>.token_file"),
    variable("FGD_NETBOX_<NAME>_WEBHOOK_SECRET", "netbox.<name>.webhook_secret"),
    variable("FGD_NETBOX_<NAME>_WEBHOOK_SECRET_FILE", "netbox.<name>.webhook_secret_file"),
    variable("FGD_REPOSITORY_<NAME>_URL", "repositories.<name>.url"),
    variable("FGD_REPOSITORY_<NAME>_TOKEN", "repositories.<name>.token"),
    variable("FGD_REPOSITORY_<NAME>_TOKEN_FILE", "repositories.<name>.token_file"),
    variable("FGD_REPOSITORY_<NAME>_APP_KEY_FILE", "repositories.<name>.app.key_file"),
    variable("FGD_REPOSITORY_<NAME>_SSH_KEY_FILE", "repositories.<name>.ssh_key_file"),
    variable("FGD_REPOSITORY_<NAME>_WEBHOOK_SECRET", "repositories.<name>.webhook_secret"),
    variable("FGD_REPOSITORY_<NAME>_WEBHOOK_SECRET_FILE", "repositories.<name>.webhook_secret_file"),
];

/// What the commands read that ask a running service; no setting stands for them.
pub const CLIENT_VARIABLES: [&str; 4] = ["FGD_URL", "FGD_TOKEN", "FGD_TOKEN_FILE", "FGD_CA_FILE"];

/// Variables that begin as ours do but belong to others: the tests, the lab, and a Kubernetes service `fgd-sync`.
const NOT_OURS: [&str; 4] = ["FGD_TEST_", "FGD_LAB_", "FGD_BENCH_", "FGD_SYNC_"];

/// Lays the environment over the file's tree.
pub(super) fn overlay(root: &mut Node, environment: &Environment, report: &Report) {
    let concrete = concrete(root);
    let set = |name: &str| environment.get(name).is_some_and(|text| !text.is_empty());
    if set("FGD_REDIS") && (set("FGD_REDIS_URL") || set("FGD_REDIS_URL_FILE")) {
        report.problem(Problem {
            setting: "redis".to_owned(),
            place: Some(Place::Variable("FGD_REDIS".to_owned())),
            message: "both FGD_REDIS and an address of a Redis server are set".to_owned(),
            remedy: "Keep `FGD_REDIS=embedded` or FGD_REDIS_URL.".to_owned(),
        });
    }
    for (name, setting) in &concrete {
        if let Some(text) = environment.get(name).filter(|text| !text.is_empty()) {
            put(root, name, setting, text);
        }
    }
    for name in environment.keys().filter(|name| is_stray(name, &concrete)) {
        let remedy = match nearest(name, concrete.iter().map(|(known, _)| known.as_str())) {
            Some(meant) => format!("Did you mean {meant}?"),
            None => "Take it away, or look into .env.example for the names; <NAME> must be in the file.".to_owned(),
        };
        report.warning(Problem {
            setting: name.clone(),
            place: None,
            message: "not a variable of fgd-sync; ignored".to_owned(),
            remedy,
        });
    }
}

fn is_stray(name: &str, known: &[(String, Vec<String>)]) -> bool {
    name.starts_with("FGD_")
        && name != FILE_VARIABLE
        && !CLIENT_VARIABLES.contains(&name)
        && !NOT_OURS.iter().any(|prefix| name.starts_with(prefix))
        && !known.iter().any(|(known, _)| known == name)
}

/// The variables with the names of the file's NetBoxes and repositories in them, and the way to each setting.
fn concrete(root: &Node) -> Vec<(String, Vec<String>)> {
    let way = |setting: &str, name: &str| setting.split('.').map(|part| part.replace("<name>", name)).collect();
    let mut all = Vec::new();
    for variable in VARIABLES {
        match variable.setting.split_once(".<name>.") {
            None => all.push((variable.name.to_owned(), way(variable.setting, ""))),
            Some((section, _)) => {
                for name in names(root, section) {
                    let upper = name.to_uppercase().replace('-', "_");
                    all.push((variable.name.replace("<NAME>", &upper), way(variable.setting, &name)));
                }
            }
        }
    }
    all
}

fn names(root: &Node, section: &str) -> Vec<String> {
    let Value::Map(entries) = &root.value else { return Vec::new() };
    match entries.iter().find(|entry| entry.key == section).map(|entry| &entry.node.value) {
        Some(Value::Map(named)) => named.iter().map(|entry| entry.key.clone()).collect(),
        _ => Vec::new(),
    }
}

fn put(root: &mut Node, variable: &str, way: &[String], text: &str) {
    let place = Some(Place::Variable(variable.to_owned()));
    let Some((last, sections)) = way.split_last() else { return };
    let mut node = root;
    for section in sections {
        node = child(node, section, &place);
    }
    let entries = entries(node, &place);
    entries.retain(|entry| !replaces(last, entry));
    let node = Node { value: Value::Text(text.to_owned()), place: place.clone() };
    entries.push(Entry { key: last.clone(), place, node });
}

/// The map of a node. What is no map (`redis: embedded` under `FGD_REDIS_URL`) becomes one, since variables win.
fn entries<'a>(node: &'a mut Node, place: &Option<Place>) -> &'a mut Vec<Entry> {
    if !matches!(node.value, Value::Map(_)) {
        *node = Node { value: Value::Map(Vec::new()), place: place.clone() };
    }
    match &mut node.value {
        Value::Map(entries) => entries,
        _ => unreachable!("it was made a map just above"),
    }
}

fn child<'a>(node: &'a mut Node, name: &str, place: &Option<Place>) -> &'a mut Node {
    let entries = entries(node, place);
    let index = entries.iter().position(|entry| entry.key == name).unwrap_or_else(|| {
        let node = Node { value: Value::Map(Vec::new()), place: place.clone() };
        entries.push(Entry { key: name.to_owned(), place: place.clone(), node });
        entries.len() - 1
    });
    &mut entries[index].node
}

/// Whether an entry gives way to the setting `name`: the same setting, or the file's other forms of the same secret.
///
/// Two variables for one secret stay side by side, so that the reader can say so.
fn replaces(name: &str, entry: &Entry) -> bool {
    let stem = |name: &str| name.trim_end_matches("_file").replace("webhook_secrets", "webhook_secret");
    let from_file = !matches!(entry.node.place, Some(Place::Variable(_)));
    entry.key == name || (from_file && stem(&entry.key) == stem(name))
}
