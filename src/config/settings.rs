//! The settings, read and checked: whoever holds one of these need not look again.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use url::Url;

use crate::domain::edit::Signature;
use crate::domain::kind::Catalogue;
use crate::domain::names::{FabricName, NetBoxName, RepoName};
use crate::domain::network::Network;
use crate::domain::policy::{Delivery, Fabric};
use crate::domain::role::Role;
use crate::domain::secret::SecretSource;

use super::problem::Problem;
use super::remote::RemoteUrl;
use super::telemetry::Telemetry;
use super::tls::Tls;

/// Everything that an operator can set. Every reference in it leads somewhere.
#[derive(Debug, Clone)]
pub struct Settings {
    pub listen: SocketAddr,
    /// Where a worker without a receiver tells its health and numbers.
    pub worker_listen: SocketAddr,
    /// Where NetBox, GitHub and people reach this service; ends with `/`.
    pub public_url: Url,
    pub data_directory: PathBuf,
    /// `None`: plain HTTP, for a proxy in front to wrap.
    pub tls: Option<Tls>,
    pub telemetry: Telemetry,
    pub log: Log,
    pub redis: Redis,
    /// Empty: the API answers everybody with 401.
    pub api_tokens: Vec<ApiToken>,
    pub rate_limits: RateLimits,
    /// Proxies whose X-Forwarded-For names the caller.
    pub trusted_proxies: Vec<Network>,
    pub debounce: Debounce,
    pub workers: NonZeroUsize,
    /// Longest silence of a worker before another may take its target.
    pub lease: Duration,
    pub schedule: Schedule,
    pub retry: Retry,
    pub circuit_breaker: CircuitBreaker,
    pub netboxes: BTreeMap<NetBoxName, NetBox>,
    pub repositories: BTreeMap<RepoName, Repository>,
    pub fabrics: BTreeMap<FabricName, Fabric>,
    /// Where a fabric's CRDs are: a directory, or one file.
    pub crds: BTreeMap<FabricName, PathBuf>,
    pub people: People,
    /// The 12 kinds and those of the settings.
    pub kinds: Catalogue,
    /// What works as it is, but puts something at risk.
    pub warnings: Vec<Problem>,
}

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    pub format: LogFormat,
    /// As `tracing-subscriber` reads it: `info`, `info,fgd_sync::run=debug`.
    pub filter: String,
}

/// How a log line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    #[default]
    Text,
    /// One object a line.
    Json,
}

/// Where the ledger is kept.
#[derive(Debug, Clone)]
pub enum Redis {
    /// A private `redis-server` of our own, in the data directory.
    Embedded,
    Server {
        /// A secret, because a Redis address holds its password.
        url: SecretSource,
        ca_file: Option<PathBuf>,
        prefix: String,
    },
}

/// One bearer token of the API.
#[derive(Debug, Clone)]
pub struct ApiToken {
    /// Shown in logs and audit entries in place of the token.
    pub name: String,
    pub secret: TokenSecret,
    pub role: Role,
    /// From then on it lets nobody in; `None` is never.
    pub expires: Option<SystemTime>,
}

/// What a caller's token is compared with.
#[derive(Debug, Clone)]
pub enum TokenSecret {
    Text(SecretSource),
    /// The SHA-256 digest of the token, whose text is then known to nobody but its holder.
    Sha256([u8; 32]),
}

/// How often one address may call before it has to wait; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimits {
    pub api_per_second: Option<NonZeroU32>,
    /// Signed deliveries are never limited: NetBox would not send them again.
    pub refused_webhooks_per_minute: Option<NonZeroU32>,
}

/// When pending changes of a target become a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Debounce {
    pub quiet: Duration,
    /// Never less than `quiet`.
    pub max_wait: Duration,
    pub max_changes: u64,
}

/// What happens without any webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    pub full_comparison: Duration,
    pub poll_head: Duration,
    pub catch_up: Duration,
}

/// How a run that failed for a passing reason is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// Doubles with every attempt.
    pub first_wait: Duration,
    /// Never less than `first_wait`.
    pub longest_wait: Duration,
    /// After this many the batch is a dead letter.
    pub attempts: u32,
}

/// When a server that runs keep failing on is left alone but for one run that tries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CircuitBreaker {
    /// So many runs in a row; zero: never.
    pub failures: u32,
    /// Doubles with every run that tries in vain.
    pub first_wait: Duration,
    /// Never less than `first_wait`.
    pub longest_wait: Duration,
}

/// One NetBox.
#[derive(Debug, Clone)]
pub struct NetBox {
    /// Ends with `/`; the API is below it at `api/`.
    pub url: Url,
    pub token: SecretSource,
    pub model: ObjectModel,
    /// All valid at once.
    pub webhook_secrets: Vec<SecretSource>,
    pub ca_file: Option<PathBuf>,
    pub proxy: Option<Url>,
    /// Whether it is told how its fabrics stand, where it has a place for that.
    pub fabric_status: Switch,
    /// Whether `setup` makes links from its pages to ours.
    pub custom_links: Switch,
    /// Whether its objects get journal entries of what commits did to them, and of conflicts.
    pub journal: Switch,
    /// Runs that need it at the same time, over all replicas; zero is no limit.
    pub max_runs: u32,
}

/// Whether something is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    Off,
    On,
}

/// How a NetBox holds the Hedgehog objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ObjectModel {
    #[default]
    CustomObjects,
    /// The Hedgehog plugin's own models.
    Hedgehog,
}

/// One repository.
#[derive(Debug, Clone)]
pub struct Repository {
    pub url: RemoteUrl,
    pub access: Access,
    /// All valid at once.
    pub webhook_secrets: Vec<SecretSource>,
    /// `owner/name`, as GitHub's deliveries say it.
    pub github: Option<String>,
    /// The disposable copy below the data directory, for the kinds that have one.
    pub cache_directory: PathBuf,
    /// Runs on its branches at the same time, over all replicas; zero is no limit.
    pub max_runs: u32,
}

impl Repository {
    /// The host that requests go to, with its port where that is unusual; `None` for a path of this machine.
    pub fn host(&self) -> Option<String> {
        match &self.access {
            Access::GitHub(github) => {
                let port = github.api.port().map(|port| format!(":{port}")).unwrap_or_default();
                github.api.host_str().map(|host| format!("{host}{port}"))
            }
            Access::Http { .. } | Access::Ssh { .. } => {
                self.url.identity().split_once('/').map(|(host, _)| host.to_owned())
            }
            Access::Local => None,
        }
    }
}

/// What lets us into a repository.
#[derive(Debug, Clone)]
pub enum Access {
    Http {
        /// `None`: no credentials are sent.
        login: Option<Login>,
        ca_file: Option<PathBuf>,
        proxy: Option<Url>,
    },
    Ssh {
        /// `None`: what ssh finds by itself.
        key_file: Option<PathBuf>,
        /// `None`: the user's own.
        known_hosts_file: Option<PathBuf>,
    },
    Local,
    GitHub(GitHub),
}

/// What kind `github` needs: the API instead of git.
#[derive(Debug, Clone)]
pub struct GitHub {
    /// The REST root; ends with `/`.
    pub api: Url,
    pub owner: String,
    pub name: String,
    pub login: GitHubLogin,
    pub ca_file: Option<PathBuf>,
    pub proxy: Option<Url>,
    pub signing: Signing,
    pub commit_status: CommitStatus,
    pub delivery: Delivery,
}

/// How GitHub knows us.
#[derive(Debug, Clone)]
pub enum GitHubLogin {
    Token(SecretSource),
    App {
        /// The App's id or client id.
        id: String,
        /// `None`: GitHub is asked which one the repository has.
        installation: Option<u64>,
        key_file: PathBuf,
    },
}

/// Who signs commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Signing {
    #[default]
    Nobody,
    /// The server, in the name of the account that the token belongs to.
    Server,
}

/// Whether a report is shown beside the commits that were worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CommitStatus {
    #[default]
    Off,
    On,
}

/// A user and its token.
#[derive(Debug, Clone)]
pub struct Login {
    pub user: String,
    pub token: SecretSource,
}

/// Who stands in a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct People {
    /// The service itself: committer always, author when a batch has not exactly one user.
    pub service: Signature,
    /// By NetBox login.
    pub known: BTreeMap<String, Signature>,
    /// Mail domain of the others.
    pub domain: String,
}
