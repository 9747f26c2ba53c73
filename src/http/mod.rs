//! The HTTP surface: webhooks in, status API out.
//!
//! | path | who may | file |
//! |---|---|---|
//! | `/webhooks/netbox`, `/webhooks/github` | whoever signs with an active secret (`verified`) | `webhooks`, `route` |
//! | `/api/v1/...` | whoever has a token (`token`) | `jobs`, `runs`, `edits`, `fabrics`, `asking`, `onboarding`, `objects`, `drift`, `history`, `rollback`, `conflicts`, `bulk`, `pausing`, `dead`, `deliveries`, `connections`, `events` |
//! | `/metrics` | whoever has a token | `metrics` |
//! | `/healthz`, `/readyz` | everybody | `health` |
//! | `/openapi.json` | everybody | `openapi` |
//! | `/` and the pages below | whoever signed in with a token | `dashboard` |
//!
//! Every error is a `Problem`. No answer to a delivery or a request of the API is a redirect: NetBox takes one for success
//! and loses the body.

mod access;
mod answers;
mod asking;
mod bulk;
mod conditional;
mod conflicts;
mod connections;
mod dashboard;
mod dead;
mod deliveries;
mod drift;
mod edits;
mod events;
mod exposition;
mod fabrics;
mod head;
mod health;
mod history;
mod input;
mod jobs;
mod metrics;
mod netbox_status;
mod objects;
mod onboarding;
mod openapi;
mod pausing;
mod peer;
mod problem;
mod rates;
mod repeating;
mod report;
mod rollback;
mod route;
mod routing;
mod runs;
mod serve;
mod surface;
mod time;
mod tls;
mod token;
mod verified;
mod webhooks;

use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpRequest, web};
use tokio::sync::{Mutex, Notify, Semaphore, watch};
use url::Url;

use crate::domain::names::{NetBoxName, RepoName};
use crate::domain::network::Network;
use crate::ledger::types::{Accept, Accepted};
use crate::ledger::{self, Ledger};
use crate::queue::metrics::WorkMetrics;
use crate::webhook::signature::Keyring;

use metrics::RequestMetrics;
use rates::Buckets;

pub use openapi::openapi;
pub use rates::RateLimits;
pub use routing::{NetBoxSender, RepositorySender, Routing};
pub use serve::{app, serve};
pub use tls::{TlsError, TlsFiles};
pub use token::{Token, Tokens};

/// All that the handlers use; clones share it.
#[derive(Clone)]
pub struct HttpState {
    ledger: Ledger,
    routing: Arc<Routing>,
    netbox_keys: Arc<Keyring<NetBoxName>>,
    repository_keys: Arc<Keyring<RepoName>>,
    tokens: Arc<Tokens>,
    wake: Arc<Notify>,
    limits: Limits,
    /// One permit for each byte of `Limits::unverified_bodies`.
    unverified: Arc<Semaphore>,
    public_url: Option<Arc<Url>>,
    api_rates: Option<Arc<Buckets>>,
    webhook_rates: Option<Arc<Buckets>>,
    /// Whose word about the caller's address is believed.
    proxies: Arc<[Network]>,
    /// One permit for each connection that is told what changes.
    listeners: Arc<Semaphore>,
    /// Ends the answers that have no end of their own.
    stopping: Arc<watch::Sender<bool>>,
    requests: Arc<RequestMetrics>,
    work: Arc<WorkMetrics>,
    scrape: Arc<Mutex<()>>,
    surface: Surface,
    tls: Option<Arc<rustls::ServerConfig>>,
}

/// How much of it there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Surface {
    #[default]
    Whole,
    /// `/healthz`, `/readyz` and `/metrics`, for a process that only works.
    Health,
}

/// How large and how slow webhook bodies may be; sizes in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub netbox_body: usize,
    pub github_body: usize,
    /// Longest time for a body to arrive.
    pub body_time: Duration,
    /// What all bodies together may take that nobody has vouched for yet, beyond the first 64 KiB of each.
    pub unverified_bodies: usize,
}

impl Default for Limits {
    /// NetBox has no limit of its own, and bodies of a few kB; GitHub never sends more than 25 MiB. Both wait 10 s for
    /// the whole answer.
    fn default() -> Self {
        Self {
            netbox_body: 8 * 1024 * 1024,
            github_body: 25 * 1024 * 1024,
            body_time: Duration::from_secs(30),
            unverified_bodies: 128 * 1024 * 1024,
        }
    }
}

impl HttpState {
    /// `wake` is notified whenever something was recorded, so that workers need not wait for their next look.
    pub fn new(ledger: Ledger, mut routing: Routing, tokens: Tokens, wake: Arc<Notify>) -> Self {
        routing.fabrics.sort_by(|a, b| a.name.cmp(&b.name));
        Self {
            ledger,
            netbox_keys: Arc::new(routing.netbox_keys()),
            repository_keys: Arc::new(routing.repository_keys()),
            routing: Arc::new(routing),
            tokens: Arc::new(tokens),
            wake,
            limits: Limits::default(),
            unverified: Arc::new(Semaphore::new(Limits::default().unverified_bodies)),
            public_url: None,
            api_rates: None,
            webhook_rates: None,
            proxies: Arc::default(),
            listeners: Arc::new(Semaphore::new(events::MOST_LISTENERS)),
            stopping: Arc::new(watch::Sender::new(false)),
            requests: Arc::default(),
            work: Arc::default(),
            scrape: Arc::default(),
            surface: Surface::default(),
            tls: None,
        }
    }

    /// The same with other limits.
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, unverified: Arc::new(Semaphore::new(limits.unverified_bodies)), ..self }
    }

    /// The same, where links in answers begin with this address, which ends with `/`.
    pub fn with_public_url(self, url: Url) -> Self {
        Self { public_url: Some(Arc::new(url)), ..self }
    }

    /// The same with limits on how often one address may call, told apart by what these proxies say of it.
    pub fn with_rate_limits(self, rates: RateLimits, proxies: Vec<Network>) -> Self {
        let (api_rates, webhook_rates) = (rates.api().map(Arc::new), rates.webhooks().map(Arc::new));
        Self { api_rates, webhook_rates, proxies: proxies.into(), ..self }
    }

    /// The same, telling also what these workers count.
    pub fn with_work_metrics(self, work: Arc<WorkMetrics>) -> Self {
        Self { work, ..self }
    }

    /// The same, with TLS by this certificate; fails when it cannot be used.
    pub fn with_tls(self, files: TlsFiles) -> Result<Self, TlsError> {
        Ok(Self { tls: Some(Arc::new(tls::config(files)?)), ..self })
    }

    /// The same with more or less of the surface.
    pub fn with_surface(self, surface: Surface) -> Self {
        Self { surface, ..self }
    }

    /// The whole address of a path below this service, as far as the settings know it.
    fn address_of(&self, path: &str) -> String {
        match &self.public_url {
            Some(url) => format!("{}{}", url.as_str(), path.trim_start_matches('/')),
            None => path.to_owned(),
        }
    }

    /// The part of the public address that stands before every path: empty, or `/` and more without a `/` at its end.
    fn base_path(&self) -> &str {
        self.public_url.as_ref().map_or("", |url| url.path().trim_end_matches('/'))
    }

    fn is_over_tls(&self) -> bool {
        self.tls.is_some() || self.public_url.as_ref().is_some_and(|url| url.scheme() == "https")
    }

    fn of(request: &HttpRequest) -> &Self {
        Self::shared(request)
    }

    /// To be kept while a request is waited for: cloning it is cheaper than cloning the state.
    fn shared(request: &HttpRequest) -> &web::Data<Self> {
        request.app_data::<web::Data<Self>>().expect("`app` puts the state into every app it makes")
    }

    async fn accept(&self, accept: &Accept) -> Result<Accepted, ledger::Error> {
        let accepted = self.ledger.accept(accept).await?;
        self.wake.notify_one();
        Ok(accepted)
    }
}
