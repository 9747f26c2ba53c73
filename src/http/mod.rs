//! The HTTP surface: webhooks in, status API out.
//!
//! | path | who may | file |
//! |---|---|---|
//! | `/webhooks/netbox`, `/webhooks/github` | whoever signs with an active secret (`verified`) | `webhooks`, `route` |
//! | `/api/v1/...` | whoever has a token (`token`) | `jobs`, `fabrics`, `conflicts`, `deliveries` |
//! | `/healthz`, `/readyz` | everybody | `health` |
//!
//! Every error is a `Problem`. No answer is a redirect: NetBox takes one for success and loses the body.

mod access;
mod answers;
mod conflicts;
mod deliveries;
mod fabrics;
mod health;
mod input;
mod jobs;
mod openapi;
mod problem;
mod report;
mod route;
mod routing;
mod serve;
mod time;
mod token;
mod verified;
mod webhooks;

use std::sync::Arc;

use actix_web::{HttpRequest, web};
use tokio::sync::Notify;

use crate::domain::names::{NetBoxName, RepoName};
use crate::ledger::types::{Accept, Accepted};
use crate::ledger::{self, Ledger};
use crate::webhook::signature::Keyring;

pub use openapi::openapi;
pub use routing::{NetBoxSender, RepositorySender, Routing};
pub use serve::{app, serve};
pub use token::Tokens;

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
}

/// Largest webhook bodies in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub netbox_body: usize,
    pub github_body: usize,
}

impl Default for Limits {
    /// NetBox has no limit of its own, and bodies of a few kB; GitHub never sends more than 25 MiB.
    fn default() -> Self {
        Self { netbox_body: 8 * 1024 * 1024, github_body: 25 * 1024 * 1024 }
    }
}

impl HttpState {
    /// `wake` is notified whenever something was recorded, so that workers need not wait for their next look.
    pub fn new(ledger: Ledger, routing: Routing, tokens: Tokens, wake: Arc<Notify>) -> Self {
        Self {
            ledger,
            netbox_keys: Arc::new(routing.netbox_keys()),
            repository_keys: Arc::new(routing.repository_keys()),
            routing: Arc::new(routing),
            tokens: Arc::new(tokens),
            wake,
            limits: Limits::default(),
        }
    }

    /// The same with other limits.
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    fn of(request: &HttpRequest) -> &Self {
        request.app_data::<web::Data<Self>>().expect("`app` puts the state into every app it makes")
    }

    async fn accept(&self, accept: &Accept) -> Result<Accepted, ledger::Error> {
        let accepted = self.ledger.accept(accept).await?;
        self.wake.notify_one();
        Ok(accepted)
    }
}
