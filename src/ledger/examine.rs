//! A look at Redis that leaves no trace: nothing is started, opened as a ledger, or written.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use redis::{ConnectionInfo, InfoDict};
use tokio::process::Command;

use super::durability::risks_with;
use super::{Connection, Error, connect, embedded};

/// What a Redis shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Examined {
    Running {
        version: String,
        /// Of one PING, the connection being there.
        round_trip: Duration,
        /// What accepted work risks there, a sentence each.
        risks: Vec<String>,
    },
    /// The private server does not run, but could: what `redis-server --version` says.
    Installed { version: String },
}

/// Asks the server that a ledger would be kept on.
pub async fn examine(connection: &Connection) -> Result<Examined, Error> {
    match connection {
        Connection::Url { url, ca_file } => running(&connect::address(url, ca_file.as_deref())?).await,
        Connection::Embedded { directory } => match embedded::address_of_running(directory).await {
            Some(address) => running(&address).await,
            None => Ok(Examined::Installed { version: installed(directory).await? }),
        },
    }
}

async fn running(address: &ConnectionInfo) -> Result<Examined, Error> {
    let mut connection = connect::multiplexed(address).await?;
    let ping = redis::cmd("PING");
    connect::within_accept(ping.query_async::<()>(&mut connection), "be reached").await?;
    let begun = Instant::now();
    connect::within_accept(ping.query_async::<()>(&mut connection), "be reached").await?;
    let round_trip = begun.elapsed();
    let info: InfoDict = redis::cmd("INFO")
        .arg("server")
        .query_async(&mut connection)
        .await
        .map_err(Error::unavailable("ask for the version"))?;
    let version = info.get::<String>("redis_version").unwrap_or_else(|| "of an unknown version".to_owned());
    Ok(Examined::Running { version, round_trip, risks: risks_with(&mut connection).await? })
}

async fn installed(directory: &Path) -> Result<String, Error> {
    let failed = |what: &str, source| Error::Embedded {
        directory: PathBuf::from(directory),
        what: what.to_owned(),
        source: Some(source),
    };
    let asked = Command::new("redis-server").arg("--version").output().await.map_err(|error| match error.kind() {
        ErrorKind::NotFound => failed("cannot start, for `redis-server` is not installed", error),
        _ => failed("cannot be started", error),
    })?;
    Ok(String::from_utf8_lossy(&asked.stdout).trim().to_owned())
}
