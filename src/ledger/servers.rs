//! What runs need, and how many of them it takes at once: so that one slow server has neither too many requests nor all
//! workers.
//!
//! The claim decides: a target whose repository, or whose fabrics' NetBox, has as many runs as it takes is parked, and is
//! due again, in its old place, once a run there has ended or lost its lease.

use std::collections::BTreeMap;
use std::fmt;

use redis::aio::ConnectionManager;
use serde::Serialize;

use crate::domain::names::{FabricName, NetBoxName, RepoName};

use super::keys::Keys;
use super::types::Server;
use super::{Error, Ledger, json};

/// Fabrics of one command.
const AT_ONCE: usize = 1_000;

/// What the settings say of both sides' servers. All replicas of one ledger must be told the same.
#[derive(Debug, Clone, Default)]
pub struct Needs {
    pub repositories: BTreeMap<RepoName, RepositoryNeeds>,
    /// How many runs each takes at once; zero: as many as there are.
    pub netboxes: BTreeMap<NetBoxName, u32>,
    pub fabrics: BTreeMap<FabricName, NetBoxName>,
}

/// What runs on a repository need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryNeeds {
    /// How many runs it takes at once; zero: as many as it has branches.
    pub max_runs: u32,
    /// The host that it shares with others, with its port where that is unusual; `None` for a path of this machine.
    pub host: Option<String>,
}

/// What fails as one: runs in a row that fail on it let the others wait.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Endpoint {
    NetBox(NetBoxName),
    /// Of repositories.
    Host(String),
    /// One that has no host.
    Repository(RepoName),
}

/// As the scripts spell it.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NetBox(name) => write!(f, "netbox:{name}"),
            Self::Host(host) => write!(f, "host:{host}"),
            Self::Repository(name) => write!(f, "repository:{name}"),
        }
    }
}

impl Endpoint {
    pub(super) fn read(text: &str) -> Result<Self, Error> {
        match text.split_once(':') {
            Some(("netbox", name)) => Ok(Self::NetBox(NetBoxName::new(name))),
            Some(("host", host)) => Ok(Self::Host(host.to_owned())),
            Some(("repository", name)) => Ok(Self::Repository(RepoName::new(name))),
            Some(_) | None => Err(Error::corrupt("broken", text)),
        }
    }
}

impl Ledger {
    /// How many runs a repository or NetBox takes at once; `None` without a limit.
    pub fn max_runs(&self, server: &Server) -> Option<u32> {
        let needs = &self.0.options.needs;
        let limit = match server {
            Server::Repository(name) => needs.repositories.get(name).map(|needs| needs.max_runs),
            Server::NetBox(name) => needs.netboxes.get(name).copied(),
        };
        limit.filter(|limit| *limit > 0)
    }

    /// How many targets are in line for a place on each server that has none; by its name in the scripts.
    pub async fn parked(&self) -> Result<BTreeMap<String, u64>, Error> {
        let mut connection = self.connection().await?;
        let unread = || Error::unavailable("count who is in line");
        let servers: Vec<String> = redis::cmd("SMEMBERS")
            .arg(self.keys().name("parked"))
            .query_async(&mut connection)
            .await
            .map_err(unread())?;
        if servers.is_empty() {
            return Ok(BTreeMap::new());
        }
        let mut pipe = redis::pipe();
        for server in &servers {
            pipe.zcard(self.keys().of("parked", server));
        }
        let counts: Vec<u64> = pipe.query_async(&mut connection).await.map_err(unread())?;
        Ok(servers.into_iter().zip(counts).collect())
    }

    /// What a server fails with.
    pub fn endpoint(&self, server: &Server) -> Endpoint {
        match server {
            Server::Repository(name) => self.endpoint_of(name),
            Server::NetBox(name) => Endpoint::NetBox(name.clone()),
        }
    }

    /// What a repository fails with: its host, where it has one.
    pub fn endpoint_of(&self, repository: &RepoName) -> Endpoint {
        let host = self.0.options.needs.repositories.get(repository).and_then(|needs| needs.host.clone());
        host.map_or_else(|| Endpoint::Repository(repository.clone()), Endpoint::Host)
    }
}

/// A server as the scripts read it.
#[derive(Serialize)]
struct Kept {
    max_runs: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
}

/// Leaves what the settings say where the scripts find it.
pub(super) async fn learn(keys: &Keys, needs: &Needs, mut connection: ConnectionManager) -> Result<(), Error> {
    let repositories = needs.repositories.iter().map(|(name, repository)| {
        let host = repository.host.as_ref().map(|host| Endpoint::Host(host.clone()).to_string());
        (format!("repository:{name}"), json(&Kept { max_runs: repository.max_runs, host }))
    });
    let netboxes = needs.netboxes.iter();
    let netboxes =
        netboxes.map(|(name, max_runs)| (format!("netbox:{name}"), json(&Kept { max_runs: *max_runs, host: None })));
    let servers: Vec<(String, String)> = repositories.chain(netboxes).collect();
    let mut pipe = redis::pipe();
    pipe.atomic().del(keys.name("servers"));
    if !servers.is_empty() {
        pipe.hset_multiple(keys.name("servers"), &servers);
    }
    let learned = pipe.query_async::<()>(&mut connection).await;
    learned.map_err(Error::unavailable("take the settings"))?;
    let fabrics: Vec<_> = needs.fabrics.iter().collect();
    for some in fabrics.chunks(AT_ONCE) {
        let mut pipe = redis::pipe();
        for (fabric, netbox) in some {
            pipe.hset(keys.of("fabric", fabric), "netbox", netbox.as_str()).ignore();
        }
        pipe.query_async::<()>(&mut connection).await.map_err(Error::unavailable("take the settings"))?;
    }
    Ok(())
}
