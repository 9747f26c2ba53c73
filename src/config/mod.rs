//! Settings from one YAML file and the environment.
//!
//! The file becomes a tree that knows its places (`tree`), the environment is laid over it (`environment`), and the tree
//! is walked (`section`) into `Settings`. Whatever is wrong goes into one report, so that `fgd-sync check` shows all of
//! it at once, each with the setting, its line and what to do. Secrets may stand in files; no message repeats one.

mod branch;
mod callers;
mod checks;
mod declared;
mod environment;
mod fabrics;
mod github;
mod kinds;
mod problem;
mod reference;
mod remote;
mod secret;
mod section;
mod service;
mod settings;
mod sides;
mod spelling;
mod telemetry;
mod tls;
mod tree;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

pub use declared::Standard;
pub use environment::{CLIENT_VARIABLES, Environment, FILE_VARIABLE, VARIABLES, Variable};
pub use problem::{Place, Problem};
pub use reference::{Described, described, reference};
pub use remote::{RemoteUrl, Transport};
pub use settings::{
    Access, ApiToken, CircuitBreaker, CommitStatus, Debounce, GitHub, GitHubLogin, Log, LogFormat, Login, NetBox,
    ObjectModel, People, RateLimits, Redis, Repository, Retry, Schedule, Settings, Signing, Switch, TokenSecret,
};

pub use telemetry::Telemetry;
pub use tls::Tls;

use declared::Group;
use problem::Report;
use section::Setting;
use tree::Node;

/// Every setting, in the reference's order.
const SETTINGS: Group = Group::single(
    "",
    "",
    &[
        &service::LISTEN,
        &service::WORKER_LISTEN,
        &service::PUBLIC_URL,
        &service::DATA_DIRECTORY,
        &service::WORKERS,
        &service::LEASE_SECONDS,
        &callers::API_TOKEN,
        &callers::TRUSTED_PROXIES,
        &fabrics::AUTHOR_EMAIL_DOMAIN,
        &sides::NETBOX,
        &sides::REPOSITORIES,
        &fabrics::FABRICS,
        &kinds::KINDS,
        &service::REDIS,
        &callers::API_TOKENS,
        &callers::RATE_LIMITS,
        &tls::TLS,
        &service::LOG,
        &telemetry::TELEMETRY,
        &service::DEBOUNCE,
        &service::SCHEDULE,
        &service::RETRY,
        &service::CIRCUIT_BREAKER,
        &fabrics::SERVICE,
        &fabrics::PEOPLE,
    ],
);

/// The settings file when neither the caller nor `FGD_CONFIG` names one.
pub const DEFAULT_FILE: &str = "fgd-sync.yaml";

/// Reads and checks all settings: `file`, or the one that `FGD_CONFIG` names, or `fgd-sync.yaml`.
///
/// Fails with every problem that was found, in the file's order. Reads the secret files and checks that other named
/// files can be opened; reaches no server.
pub fn load(file: Option<&Path>, environment: &Environment) -> Result<Settings, Vec<Problem>> {
    let path = chosen_file(file, environment);
    let text = std::fs::read_to_string(&path).map_err(|error| vec![unreadable(&path, &error)])?;
    let mut root = tree::parse(&path.display().to_string(), &text).map_err(|problem| vec![problem])?;
    let directory = path.parent().unwrap_or(Path::new(""));
    let report = Report::new(directory);
    environment::overlay(&mut root, environment, &report);
    let settings = read(&root, &report, environment);
    let (problems, warnings) = report.into_parts();
    match settings {
        Some(settings) if problems.is_empty() => Ok(Settings { warnings, ..settings }),
        Some(_) | None => Err(problems),
    }
}

fn chosen_file(file: Option<&Path>, environment: &Environment) -> PathBuf {
    let named = || environment.get(FILE_VARIABLE).filter(|name| !name.is_empty()).map(PathBuf::from);
    file.map(Path::to_owned).or_else(named).unwrap_or_else(|| PathBuf::from(DEFAULT_FILE))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Problem {
    let remedy = match error.kind() {
        ErrorKind::InvalidData => "Write it as UTF-8 text.".to_owned(),
        ErrorKind::PermissionDenied => "Let the service's user read it.".to_owned(),
        _ => format!("Name the file with --config or {FILE_VARIABLE}, or put it at {DEFAULT_FILE}."),
    };
    Problem {
        setting: "settings file".to_owned(),
        place: None,
        message: format!("{} cannot be read: {error}", path.display()),
        remedy,
    }
}

fn read(root: &Node, report: &Report, environment: &Environment) -> Option<Settings> {
    let root = Setting::root(root, report).section(&SETTINGS)?;
    let listen = service::listen(&root)?;
    let worker_listen = service::worker_listen(&root)?;
    let data_directory = service::data_directory(&root);
    let tls = tls::tls(&root);
    let public_url = service::public_url(&root, listen, tls.is_some());
    let telemetry = telemetry::telemetry(&root, environment);
    let redis = service::redis(&root);
    let netboxes = sides::netboxes(&root);
    let repositories = sides::repositories(&root, &data_directory);
    let fabrics = fabrics::fabrics(&root);
    checks::references(&fabrics, &netboxes, &repositories);
    checks::repositories_are_distinct(&repositories);
    checks::directories_are_apart(&fabrics, &repositories);
    checks::netbox_secrets_are_distinct(&netboxes);
    checks::repositories_have_secrets(&repositories);
    let log = service::log(&root);
    let api_tokens = callers::api_tokens(&root);
    let rate_limits = callers::rate_limits(&root);
    let trusted_proxies = callers::trusted_proxies(&root);
    let debounce = service::debounce(&root);
    let workers = service::workers(&root);
    let lease = service::lease(&root);
    let schedule = service::schedule(&root);
    let retry = service::retry(&root);
    let circuit_breaker = service::circuit_breaker(&root);
    let people = fabrics::people(&root);
    let kinds = kinds::kinds(&root);
    Some(Settings {
        listen,
        worker_listen,
        public_url: public_url?,
        data_directory,
        tls,
        telemetry,
        log: log?,
        redis: redis?,
        api_tokens,
        rate_limits,
        trusted_proxies,
        debounce,
        workers,
        lease,
        schedule,
        retry,
        circuit_breaker,
        netboxes: sides::usable(netboxes),
        repositories: sides::usable(repositories),
        crds: fabrics.iter().filter_map(|fabric| Some((fabric.name.clone(), fabric.crds.clone()?))).collect(),
        fabrics: fabrics.into_iter().filter_map(|f| f.whole()).map(|f| (f.name.clone(), f)).collect(),
        people: people?,
        kinds,
        warnings: Vec::new(),
    })
}
