//! The ledger: Redis holds the truth about what was accepted, who works on it and what both sides last agreed on.
//!
//! A change of state is one atomic script (`scripts/`), so a killed process leaves either the state before or the state
//! after. What lies where: `keys.rs`. The way of a change:
//!
//! ```text
//! accept -> pending (per fabric, one entry a slot) -> claim -> batch (frozen, under a lease) -> settle -> gone
//!              ^                                                 |  transient, wait, stalled, returned
//!              +-------------------------------------------------+  the last attempt -> dead letter -> replay
//! ```
//!
//! A worker that dies leaves its batch; when the lease ends the target is due again and the same batch goes to another
//! worker, with a higher fence. Whatever the first one still sends is refused.

mod accept;
pub mod budget;
pub mod circuits;
mod claim;
pub mod conflicts;
mod connect;
mod control;
mod dead;
mod deliveries;
pub mod drift;
mod durability;
mod edits;
mod embedded;
mod entry;
mod error;
mod events;
mod examine;
mod health;
pub mod history;
mod keys;
mod memory;
mod numbers;
pub mod objects;
mod once;
mod options;
mod pages;
mod pause;
mod proposals;
mod query;
mod recorder;
mod runs;
mod scripts;
pub mod servers;
mod sessions;
pub mod shown;
mod standing;
pub mod touches;
pub mod types;

use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::Pool;
use redis::aio::ConnectionManager;
use redis::{Script, ScriptInvocation};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;
use ulid::Ulid;

use crate::domain::names::LedgerId;

use embedded::Embedded;
use keys::Keys;
use options::millis;
use recorder::Recorder;
use scripts::Scripts;

pub use error::Error;
pub use examine::{Examined, examine};
pub use once::{Begun, KeptAnswer, Repeatable};
pub use options::{CircuitBreaker, Clock, Connection, Options, Retention, Retry};
pub use sessions::Session;

/// A handle to the ledger; clones share connections.
#[derive(Clone)]
pub struct Ledger(Arc<Inner>);

struct Inner {
    id: LedgerId,
    keys: Keys,
    options: Options,
    clock: Clock,
    scripts: Scripts,
    accepting: ConnectionManager,
    recorder: Recorder,
    pool: Pool,
    embedded: Mutex<Option<Embedded>>,
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger").field("id", &self.0.id).field("prefix", &self.0.options.prefix).finish_non_exhaustive()
    }
}

impl Ledger {
    /// Connects, starting the private server when it is an embedded one, and gives a new ledger its id.
    ///
    /// `Error::Layout` when the keys were written by a version with another layout.
    pub async fn open(options: Options, clock: Clock) -> Result<Self, Error> {
        let keys = Keys::new(&options.prefix)?;
        let (address, embedded) = match &options.connection {
            Connection::Url { url, ca_file } => (connect::address(url, ca_file.as_deref())?, None),
            Connection::Embedded { directory } => {
                let server = Embedded::start(directory).await?;
                (server.address().clone(), Some(server))
            }
        };
        let accepting = connect::multiplexed(&address).await?;
        let pool = connect::pool(&address)?;
        let id = identify(&keys, accepting.clone()).await?;
        servers::learn(&keys, &options.needs, accepting.clone()).await?;
        let scripts = Scripts::new();
        let embedded = Mutex::new(embedded);
        let (recorder, queue) = Recorder::new();
        let inner = Arc::new(Inner { id, keys, options, clock, scripts, accepting, recorder, pool, embedded });
        queue.carry_out(Arc::downgrade(&inner));
        Ok(Self(inner))
    }

    /// The ledger's identity: made when it was first opened, the same for all replicas.
    pub fn id(&self) -> &LedgerId {
        &self.0.id
    }

    /// Its clock.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// How long a lease lasts: what keeps one renews it at a third of this.
    pub fn lease(&self) -> Duration {
        self.0.options.lease
    }

    /// Whether a delivery could be recorded now: Redis answers on the connection that they are accepted on, and takes
    /// writes.
    ///
    /// Asks for a write that changes nothing. Redis refuses it for the same reasons as any (no memory or disk left, a
    /// replica), and leaves no trace of it in its files.
    pub async fn can_record(&self) -> Result<(), Error> {
        let mut connection = self.0.accepting.clone();
        let mut write = redis::cmd("HSETNX");
        write.arg(self.keys().name("meta")).arg("layout").arg(keys::LAYOUT);
        connect::within_accept(write.query_async::<()>(&mut connection), "record anything").await
    }

    /// Stops the private server cleanly, when there is one. Other clones are of no use afterwards.
    pub async fn close(self) {
        if let Some(server) = self.0.embedded.lock().await.take() {
            server.stop().await;
        }
    }

    async fn connection(&self) -> Result<deadpool_redis::Connection, Error> {
        self.0.pool.get().await.map_err(Error::unavailable("be reached"))
    }

    fn keys(&self) -> &Keys {
        &self.0.keys
    }

    /// A call of a script, with the prefix and the settings that each takes first.
    fn call<'a>(&self, script: &'a Script) -> ScriptInvocation<'a> {
        let Options { debounce, lease, retry, retention, circuit, deletion_window, .. } = &self.0.options;
        let settings = serde_json::json!({
            "shift": self.0.clock.shift_ms(),
            "quiet": millis(debounce.quiet),
            "max_wait": millis(debounce.max_wait),
            "max_changes": debounce.max_changes.max(1),
            "lease": millis(*lease),
            "first": millis(retry.first),
            "longest": millis(retry.longest),
            "max_attempts": retry.max_attempts,
            "stalled_again": millis(retry.stalled_again),
            "jitter": jitter(),
            "circuit_failures": circuit.failures,
            "circuit_first": millis(circuit.first),
            "circuit_longest": millis(circuit.longest),
            "keep_for": millis(retention.keep),
            "keep_jobs": retention.most_jobs,
            "keep_runs": retention.most_runs,
            "deletion_window": millis(*deletion_window),
            "events": keys::MOST_EVENTS,
            "deliveries": keys::MOST_DELIVERIES,
            "ignored": keys::MOST_IGNORED,
            "touches": touches::MOST,
            "delivery": keys::DELIVERY_DAYS * 24 * 3_600 * 1_000,
        });
        let mut call = script.prepare_invoke();
        call.key(self.keys().prefix()).arg(settings.to_string());
        call
    }
}

/// Between 0.8 and 1, so that what failed together does not come back together.
fn jitter() -> f64 {
    let random = u32::try_from(Ulid::generate().random() % 1_000).unwrap_or_default();
    0.8 + f64::from(random) / 5_000.0
}

/// Checks the layout, or writes it into an empty ledger, and reads the ledger's id.
async fn identify(keys: &Keys, mut connection: ConnectionManager) -> Result<LedgerId, Error> {
    let meta = keys.name("meta");
    let (layout, id): (String, String) = redis::pipe()
        .atomic()
        .hset_nx(&meta, "layout", keys::LAYOUT)
        .ignore()
        .hset_nx(&meta, "id", Ulid::generate().to_string())
        .ignore()
        .hget(&meta, "layout")
        .hget(&meta, "id")
        .query_async(&mut connection)
        .await
        .map_err(Error::unavailable("be opened"))?;
    if layout != keys::LAYOUT.to_string() {
        return Err(Error::Layout { found: layout, wants: keys::LAYOUT });
    }
    Ok(LedgerId::new(id))
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("the ledger's types are plain JSON with text keys")
}

/// The word for a value of an enum, as JSON spells it.
fn word(value: &impl Serialize) -> String {
    json(value).trim_matches('"').to_owned()
}

/// Reads what this module wrote under a key.
fn parse<T: DeserializeOwned>(key: &str, text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|error| Error::corrupt(key, error))
}

fn parse_word<T: DeserializeOwned>(key: &str, text: &str) -> Result<T, Error> {
    serde_json::from_value(serde_json::Value::from(text)).map_err(|error| Error::corrupt(key, error))
}
