//! What the ledger can answer instead of a result.

use std::io;
use std::path::PathBuf;

use crate::domain::lease::LeaseProof;

/// A variant for each choice that the caller has.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Redis cannot be reached, is too slow or refuses: try again later. The effect of a call that ends so is unknown.
    #[error("the ledger could not {doing}")]
    Unavailable { doing: &'static str, source: Box<dyn std::error::Error + Send + Sync> },
    /// Another worker has the target now: stop, and write nothing more.
    #[error("the lease on {target} is lost")]
    LeaseLost { target: String },
    /// The keys were written by a version with another layout; nothing was changed.
    #[error("{}", other_layout(found, *wants))]
    Layout { found: String, wants: u32 },
    /// A value in Redis is not what this version writes.
    #[error("the ledger's {key} cannot be read: {detail}")]
    Corrupt { key: String, detail: String },
    /// The settings cannot be used.
    #[error("the ledger cannot be opened: {detail}")]
    Settings { detail: String },
    /// The private server cannot be run.
    #[error("the private redis-server in {} {what}", directory.display())]
    Embedded { directory: PathBuf, what: String, source: Option<io::Error> },
}

fn other_layout(found: &str, wants: u32) -> String {
    let what_to_do = match found.parse::<u32>() {
        Ok(newer) if newer > wants => "a newer version of fgd-sync wrote it: start that version here, too",
        Ok(_) => {
            "an older version of fgd-sync wrote it: stop its replicas, let this version begin a ledger of its own (another \
             `redis.prefix`), and adopt the fabrics"
        }
        Err(_) => "fgd-sync did not write it: use another `redis.prefix`",
    };
    format!("the ledger has layout {found}, and this version works on layout {wants}: {what_to_do}")
}

impl Error {
    /// Whether Redis has no memory left for what was asked (`maxmemory` with `noeviction`).
    pub fn is_out_of_memory(&self) -> bool {
        let Self::Unavailable { source, .. } = self else { return false };
        source.downcast_ref::<redis::RedisError>().and_then(redis::RedisError::code) == Some("OOM")
    }

    pub(super) fn unavailable<E>(doing: &'static str) -> impl FnOnce(E) -> Self
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        move |source| Self::Unavailable { doing, source: source.into() }
    }

    pub(super) fn corrupt(key: &str, detail: impl ToString) -> Self {
        Self::Corrupt { key: key.to_owned(), detail: detail.to_string() }
    }

    /// Also revokes the proof, so that nothing is written on its strength any more.
    pub(super) fn lease_lost(proof: &LeaseProof) -> Self {
        proof.revoke();
        Self::LeaseLost { target: proof.target().to_string() }
    }
}
