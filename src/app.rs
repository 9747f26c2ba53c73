//! The composition root: settings in, a service out. Build, then ask for the port, then run.

pub mod doctor;
mod ledger_options;
mod onboarding;
mod pace;
mod repositories;
mod setup;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{Notify, watch};
use url::Url;

use crate::config::{self, ObjectModel, Settings, Switch, TokenSecret};
use crate::domain::names::{FabricName, NetBoxName, RepoName};
use crate::domain::secret::{SecretError, SecretSource};
use crate::http::{
    self, HttpState, NetBoxSender, RateLimits, RepositorySender, Routing, Surface, TlsFiles, Token, Tokens,
};
use crate::ledger::{self, Clock, Ledger};
use crate::lint;
use crate::netbox;
use crate::plan::message::People;
use crate::queue::metrics::WorkMetrics;
use crate::queue::schedules::{self, Schedules};
use crate::queue::{self, WorkerOptions};
use crate::repo;
use crate::run::Runner;
use crate::telemetry::{self, Exporting, TraceLayer};
use crate::validate::Crds;
use crate::webhook;

use ledger_options::ledger_options;

pub use onboarding::{Onboarded, init_fabrics};
pub use setup::{NetBoxSetup, setup_githubs, setup_netboxes};

/// How long running batches may take after the stop was asked for: less than what Kubernetes and systemd grant by default.
const GRACE: Duration = Duration::from_secs(25);

/// When a stalled fabric is looked at again although nothing new came: what a person mends elsewhere tells us nothing.
const STALLED_AGAIN: Duration = Duration::from_secs(600);

/// What one process does of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duty {
    Everything,
    /// Webhooks in, status API out.
    Receive,
    /// Batches and schedules; of HTTP only health and metrics.
    Work,
}

/// A service that is ready to run: its port is bound, its ledger is open.
pub struct App {
    duty: Duty,
    settings: Settings,
    ledger: Ledger,
    runner: Arc<Runner>,
    state: HttpState,
    wake: Arc<Notify>,
    metrics: Arc<WorkMetrics>,
    listener: TcpListener,
}

/// Why the service could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the address {address} (setting `{setting}`) cannot be listened on")]
    Listen { address: SocketAddr, setting: &'static str, source: std::io::Error },
    #[error("TLS (setting `tls`) cannot be used")]
    Tls(#[from] http::TlsError),
    #[error("the ledger cannot be opened")]
    Ledger(#[from] ledger::Error),
    #[error("the repository `{name}` cannot be used")]
    Repository { name: RepoName, source: repo::Error },
    #[error("the repository `{name}` cannot be used: {why}")]
    Remote { name: RepoName, why: String },
    #[error("the NetBox `{name}` cannot be used")]
    NetBox { name: NetBoxName, source: netbox::Error },
    #[error("the settings have no repository named `{name}`")]
    NoSuchRepository { name: RepoName },
    #[error("the repository `{name}` has no webhook secret: set its `webhook_secret` or `webhook_secret_file`")]
    NoWebhookSecret { name: RepoName },
    #[error("the NetBox `{name}` has no webhook secret in the settings, so its deliveries could not be verified")]
    NoSecret { name: NetBoxName },
    #[error("the CRDs of the fabric `{fabric}` cannot be used")]
    Crds { fabric: FabricName, source: lint::files::Error },
    #[error("the settings have no fabric named `{name}`")]
    NoSuchFabric { name: FabricName },
    #[error("the settings have no NetBox named `{name}`")]
    NoSuchNetBox { name: NetBoxName },
    #[error("a secret cannot be read")]
    Secret(#[from] SecretError),
    #[error("`{address}` is not an address that NetBox can send to")]
    Receiver { address: String, source: url::ParseError },
}

/// Why the service stopped before it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("the HTTP server failed")]
    Http(#[from] std::io::Error),
    #[error("the workers failed")]
    Queue(#[from] queue::Error),
}

impl App {
    /// The whole service: see `build_for`.
    pub async fn build(settings: Settings, clock: Clock) -> Result<Self, StartError> {
        Self::build_for(Duty::Everything, settings, clock).await
    }

    /// Opens everything that the settings name. Nothing is written but into the ledger: its identity,
    /// and how many runs each server takes.
    pub async fn build_for(duty: Duty, settings: Settings, clock: Clock) -> Result<Self, StartError> {
        let (address, setting, surface) = match duty {
            Duty::Everything | Duty::Receive => (settings.listen, "listen", Surface::Whole),
            Duty::Work => (settings.worker_listen, "worker_listen", Surface::Health),
        };
        let listener = TcpListener::bind(address).map_err(|source| StartError::Listen { address, setting, source })?;
        let (ledger, runner) = open(&settings, clock).await?;
        for risk in ledger.durability().await? {
            tracing::warn!(risk = %risk, "accepted work may be lost");
        }
        let (wake, metrics) = (Arc::new(Notify::new()), Arc::new(WorkMetrics::default()));
        let config::RateLimits { api_per_second, refused_webhooks_per_minute } = settings.rate_limits;
        let rates = RateLimits { api_per_second, refused_webhooks_per_minute };
        let state = HttpState::new(ledger.clone(), routing(&settings)?, tokens(&settings)?, wake.clone())
            .with_public_url(settings.public_url.clone())
            .with_rate_limits(rates, settings.trusted_proxies.clone())
            .with_work_metrics(metrics.clone())
            .with_surface(surface);
        let state = match &settings.tls {
            Some(tls) => {
                let files = TlsFiles { certificate: tls.certificate_file.clone(), key: tls.key_file.clone() };
                state.with_tls(files)?
            }
            None => state,
        };
        Ok(Self { duty, settings, ledger, runner, state, wake, metrics, listener })
    }

    /// Where it listens; tells the port when the settings left the choice to the system.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The ledger it works on.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// What its workers do with a batch.
    pub fn runner(&self) -> &Arc<Runner> {
        &self.runner
    }

    /// Does its duty (receives; works and keeps the schedules) until `shutdown`; then finishes or returns what it holds.
    pub async fn run_until(self, shutdown: impl Future<Output = ()>) -> Result<(), RunError> {
        let Self { duty, settings, ledger, runner, state, wake, metrics, listener } = self;
        let (stop, stopping) = watch::channel(false);
        let stopped = || {
            let mut stopping = stopping.clone();
            async move {
                // A closed channel means the same.
                let _ = stopping.wait_for(|stop| *stop).await;
            }
        };
        let address = listener.local_addr()?;
        let options = WorkerOptions {
            concurrency: settings.workers.get(),
            name: format!("{}-{}", address, std::process::id()),
            grace: GRACE,
            metrics: metrics.clone(),
        };
        let config::Schedule { poll_head, catch_up, full_comparison } = settings.schedule;
        let periods = Schedules { poll_head, catch_up, full_comparison };
        tracing::info!(address = %address, ?duty, ledger = %ledger.id(), fabrics = settings.fabrics.len(), "ready");
        let asked = async {
            shutdown.await;
            stop.send_replace(true);
        };
        let works = duty != Duty::Receive;
        let keeping = schedules::keep(runner.clone(), periods, (wake.clone(), metrics), stopped());
        let keeping = async {
            if works {
                keeping.await
            }
        };
        let working = queue::work(ledger.clone(), runner, options, wake, stopped());
        let working = async { if works { working.await } else { Ok(()) } };
        let serving = http::serve(listener, state, stopped());
        let all = async { tokio::join!(keeping, working, serving) };
        tokio::pin!(asked, all);
        let ((), worked, served) = tokio::select! {
            ended = &mut all => ended,
            () = &mut asked => all.await,
        };
        worked?;
        served?;
        ledger.close().await;
        tracing::info!("stopped");
        Ok(())
    }

    /// Only receives and answers, until `shutdown`: whoever builds the service this way steps the work.
    pub async fn receive_until(self, shutdown: impl Future<Output = ()>) -> Result<(), RunError> {
        Ok(http::serve(self.listener, self.state, shutdown).await?)
    }
}

/// The ledger, and what does the work on it.
async fn open(settings: &Settings, clock: Clock) -> Result<(Ledger, Arc<Runner>), StartError> {
    let ledger = Ledger::open(ledger_options(settings)?, clock).await?;
    let runner = Runner {
        ledger: ledger.clone(),
        repositories: repositories::open(settings, Some(&ledger))?,
        netboxes: netboxes(settings)?,
        told: told(settings),
        journals: journals(settings),
        fabrics: settings.fabrics.clone(),
        catalogue: settings.kinds.clone(),
        crds: crds(settings)?,
        people: people(settings),
    };
    Ok((ledger, Arc::new(runner)))
}

/// How long connecting, and then one write, may take. A write starts only while the lease lasts longer than both, and a
/// lease that is kept never has less than five sixths left.
fn write_limits(lease: Duration) -> (Duration, Duration) {
    ((lease / 9).min(Duration::from_secs(10)), (lease * 2 / 3).min(Duration::from_secs(60)))
}

fn netboxes(settings: &Settings) -> Result<BTreeMap<NetBoxName, Arc<netbox::Client>>, StartError> {
    let mut all = BTreeMap::new();
    let (connect, write) = write_limits(settings.lease);
    for (name, netbox) in &settings.netboxes {
        let options = netbox::Options {
            name: name.clone(),
            url: netbox.url.clone(),
            token: netbox.token.clone(),
            model: match netbox.model {
                ObjectModel::CustomObjects => netbox::Model::CustomObjects,
                ObjectModel::Hedgehog => netbox::Model::Hedgehog,
            },
            catalogue: settings.kinds.clone(),
            ca_file: netbox.ca_file.clone(),
            proxy: netbox.proxy.clone(),
            timeouts: netbox::Timeouts { connect, write, appear: write, ..netbox::Timeouts::default() },
        };
        let client =
            netbox::Client::new(options).map_err(|source| StartError::NetBox { name: name.clone(), source })?;
        all.insert(name.clone(), Arc::new(client));
    }
    Ok(all)
}

/// The NetBoxes that are told how their fabrics stand.
fn told(settings: &Settings) -> BTreeSet<NetBoxName> {
    let told = settings.netboxes.iter().filter(|(_, netbox)| netbox.fabric_status == Switch::On);
    told.map(|(name, _)| name.clone()).collect()
}

/// The NetBoxes whose objects get journal entries, and where their pages are.
fn journals(settings: &Settings) -> BTreeMap<NetBoxName, Url> {
    let kept = settings.netboxes.iter().filter(|(_, netbox)| netbox.journal == Switch::On);
    kept.map(|(name, _)| (name.clone(), settings.public_url.clone())).collect()
}

/// Reads the CRDs that the settings name; each place once.
pub fn crds(settings: &Settings) -> Result<BTreeMap<FabricName, Arc<Crds>>, StartError> {
    let mut read: BTreeMap<&Path, Arc<Crds>> = BTreeMap::new();
    let mut all = BTreeMap::new();
    for (fabric, path) in &settings.crds {
        let crds = match read.get(path.as_path()) {
            Some(crds) => crds.clone(),
            None => {
                let found = lint::files::read_crds(path);
                let found = found.map_err(|source| StartError::Crds { fabric: fabric.clone(), source })?;
                for what in found.unchecked() {
                    tracing::warn!(fabric = %fabric, crds = %path.display(), "{what}");
                }
                Arc::new(found)
            }
        };
        read.insert(path, crds.clone());
        all.insert(fabric.clone(), crds);
    }
    Ok(all)
}

/// Begins to send traces; `None` where the settings name no collector. Must be called within the runtime.
pub fn traces(settings: &Settings) -> Result<Option<(TraceLayer, Exporting)>, reqwest::Error> {
    let config::Telemetry { endpoint, headers, resource, propagate } = &settings.telemetry;
    let Some(endpoint) = endpoint.clone() else { return Ok(None) };
    let headers = headers.iter().filter_map(|(name, value)| telemetry::header(name, value.expose_secret())).collect();
    let options = telemetry::Options { endpoint, headers, resource: resource.clone(), propagate: *propagate };
    telemetry::start(options).map(Some)
}

fn people(settings: &Settings) -> People {
    People {
        service: settings.people.service.clone(),
        mail_domain: settings.people.domain.clone(),
        by_login: settings.people.known.clone(),
    }
}

fn secrets(sources: &[SecretSource]) -> Result<Vec<SecretString>, SecretError> {
    sources.iter().map(SecretSource::read).collect()
}

fn routing(settings: &Settings) -> Result<Routing, SecretError> {
    let netboxes = settings
        .netboxes
        .iter()
        .map(|(name, netbox)| {
            Ok(NetBoxSender {
                name: name.clone(),
                url: netbox.url.to_string(),
                secrets: secrets(&netbox.webhook_secrets)?,
                model: match netbox.model {
                    ObjectModel::CustomObjects => webhook::netbox::Model::CustomObjects,
                    ObjectModel::Hedgehog => webhook::netbox::Model::Hedgehog,
                },
            })
        })
        .collect::<Result<_, SecretError>>()?;
    let repositories = settings
        .repositories
        .iter()
        .map(|(name, repository)| {
            Ok(RepositorySender {
                name: name.clone(),
                secrets: secrets(&repository.webhook_secrets)?,
                full_name: repository.github.clone(),
                clone_url: repository.url.as_str().to_owned(),
            })
        })
        .collect::<Result<_, SecretError>>()?;
    Ok(Routing {
        netboxes,
        repositories,
        fabrics: settings.fabrics.values().cloned().collect(),
        catalogue: settings.kinds.clone(),
    })
}

fn tokens(settings: &Settings) -> Result<Tokens, SecretError> {
    let read = |token: &config::ApiToken| {
        let known = match &token.secret {
            TokenSecret::Text(source) => Token::of_text(&token.name, &source.read()?, token.role),
            TokenSecret::Sha256(digest) => {
                Token { name: token.name.clone(), digest: *digest, role: token.role, expires: None }
            }
        };
        Ok(Token { expires: token.expires, ..known })
    };
    Ok(Tokens::new(settings.api_tokens.iter().map(read).collect::<Result<Vec<_>, SecretError>>()?))
}
