//! The connections: one multiplexed for accepting, a pool for workers and the API.

use std::path::Path;
use std::time::Duration;

use deadpool_redis::{Manager, Pool, QueueMode, Runtime, Timeouts};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{AsyncConnectionConfig, Client, ConnectionInfo, IntoConnectionInfo, TlsCertificates};
use secrecy::{ExposeSecret, SecretString};

use super::Error;

/// A sender waits for its answer: NetBox 10 s, GitHub 10 s.
const ACCEPT_TIMEOUT: Duration = Duration::from_secs(3);
/// A settle of ten thousand jobs, or a fabric's whole memory, on a busy server.
const WORK_TIMEOUT: Duration = Duration::from_secs(15);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// And the whole of it, when the connection has to be made again first.
pub(super) const ACCEPTED_WITHIN: Duration = Duration::from_secs(6);
/// Longest wait between two attempts to connect again, so that accepting is back soon after Redis is.
const RECONNECT: Duration = Duration::from_millis(250);
/// Workers and API calls that talk to Redis at the same time.
const POOL: usize = 16;

/// Where to connect to, with TLS and credentials.
pub(super) fn address(url: &SecretString, ca_file: Option<&Path>) -> Result<ConnectionInfo, Error> {
    // redis's own message about a bad URL does not repeat it, which matters: a password may stand in it.
    let bad = |error: redis::RedisError| Error::Settings { detail: format!("the Redis URL cannot be used: {error}") };
    let info = url.expose_secret().into_connection_info().map_err(bad)?;
    let Some(path) = ca_file else { return Ok(info) };
    let root_cert = std::fs::read(path)
        .map_err(|error| Error::Settings { detail: format!("{} cannot be read: {error}", path.display()) })?;
    let certificates = TlsCertificates { client_tls: None, root_cert: Some(root_cert) };
    let client = Client::build_with_tls(info, certificates).map_err(bad)?;
    Ok(client.get_connection_info().clone())
}

/// The connection for accepting: requests are pipelined on it, and it connects again by itself.
pub(super) async fn multiplexed(address: &ConnectionInfo) -> Result<ConnectionManager, Error> {
    let config = ConnectionManagerConfig::new()
        .set_response_timeout(Some(ACCEPT_TIMEOUT))
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_number_of_retries(2)
        .set_max_delay(RECONNECT);
    let client = Client::open(address.clone()).map_err(Error::unavailable("connect to Redis"))?;
    client.get_connection_manager_with_config(config).await.map_err(Error::unavailable("connect to Redis"))
}

/// The pool; connects when first asked.
pub(super) fn pool(address: &ConnectionInfo) -> Result<Pool, Error> {
    let config = AsyncConnectionConfig::new()
        .set_response_timeout(Some(WORK_TIMEOUT))
        .set_connection_timeout(Some(CONNECT_TIMEOUT));
    let manager =
        Manager::new_with_config(address.clone(), config).map_err(Error::unavailable("prepare connections"))?;
    let timeouts = Timeouts { wait: Some(WORK_TIMEOUT), create: Some(CONNECT_TIMEOUT), recycle: Some(CONNECT_TIMEOUT) };
    Pool::builder(manager)
        .max_size(POOL)
        // The few that suffice are used again and again: each keeps a buffer as large as its largest answer.
        .queue_mode(QueueMode::Lifo)
        .timeouts(timeouts)
        .runtime(Runtime::Tokio1)
        .build()
        .map_err(Error::unavailable("prepare connections"))
}

/// Waits for an answer on the multiplexed connection, but not for longer than a sender waits for ours.
pub(super) async fn within_accept<T>(
    answer: impl Future<Output = redis::RedisResult<T>>,
    doing: &'static str,
) -> Result<T, Error> {
    match tokio::time::timeout(ACCEPTED_WITHIN, answer).await {
        Ok(answer) => answer.map_err(Error::unavailable(doing)),
        Err(elapsed) => Err(Error::unavailable(doing)(elapsed)),
    }
}
