//! How the servers on both sides answered when they were last asked.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use crate::domain::names::{NetBoxName, RepoName};

use super::types::{Health, JobError, Millis, Server};
use super::{Error, Ledger, json, parse};

impl Ledger {
    /// Notes that a server answered, or why it did not, and when our token for it ends, if it says so.
    pub async fn record_health(
        &self,
        server: &Server,
        failed: Option<&JobError>,
        token_expires: Option<Millis>,
    ) -> Result<(), Error> {
        let mut call = self.call(&self.0.scripts.health);
        call.arg(name(server)).arg(failed.map(json).unwrap_or_default());
        call.arg(token_expires.map(|at| at.0.to_string()).unwrap_or_default());
        call.invoke_async(&mut self.connection().await?).await.map_err(Error::unavailable("note a server's health"))
    }

    /// Every server that was ever asked.
    pub async fn health(&self) -> Result<BTreeMap<Server, Health>, Error> {
        let all: HashMap<String, String> = redis::cmd("HGETALL")
            .arg(self.keys().name("health"))
            .query_async(&mut self.connection().await?)
            .await
            .map_err(Error::unavailable("read the servers' health"))?;
        all.iter().map(|(name, text)| Ok((read_name(name)?, read(text)?))).collect()
    }
}

fn name(server: &Server) -> String {
    match server {
        Server::Repository(name) => format!("repository:{name}"),
        Server::NetBox(name) => format!("netbox:{name}"),
    }
}

/// A server as the scripts spell it.
pub(super) fn read_name(text: &str) -> Result<Server, Error> {
    match text.split_once(':') {
        Some(("repository", name)) => Ok(Server::Repository(RepoName::new(name))),
        Some(("netbox", name)) => Ok(Server::NetBox(NetBoxName::new(name))),
        Some(_) | None => Err(Error::corrupt("health", text)),
    }
}

/// As the script keeps it; `error` is JSON in JSON, since scripts do not look into it.
#[derive(Deserialize)]
struct Raw {
    ok: bool,
    since: f64,
    checked: f64,
    last_ok: Option<f64>,
    error: Option<String>,
    token_expires: Option<f64>,
}

fn read(text: &str) -> Result<Health, Error> {
    let raw: Raw = parse("health", text)?;
    let time = |ms: f64| Millis(ms as u64);
    Ok(Health {
        ok: raw.ok,
        since: time(raw.since),
        checked: time(raw.checked),
        last_ok: raw.last_ok.map(time),
        error: raw.error.map(|text| parse("health", &text)).transpose()?,
        token_expires: raw.token_expires.map(time),
    })
}
