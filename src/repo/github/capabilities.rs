//! What a server lets a token do, as far as it showed.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::http::Http;
use super::swap::NodeId;

/// How long a part of GraphQL that was refused is not tried again.
const REFUSED_FOR: Duration = Duration::from_secs(3600);

/// Everything is tried until it is refused.
#[derive(Default)]
pub(super) struct Capabilities {
    /// When all of GraphQL was refused.
    no_graphql: Mutex<Option<Instant>>,
    /// When the strict swap was refused.
    no_strict_swap: Mutex<Option<Instant>>,
    pub node_id: NodeId,
}

impl Capabilities {
    pub fn graphql(&self) -> bool {
        allowed(&self.no_graphql)
    }

    pub fn strict_swap(&self) -> bool {
        self.graphql() && allowed(&self.no_strict_swap)
    }

    pub fn without_graphql(&self, http: &Http, words: &str) {
        tracing::warn!(repository = %http.shown(), %words, "GraphQL is refused: reading and writing over REST alone.");
        *self.no_graphql.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    pub fn without_strict_swap(&self, http: &Http, words: &str) {
        tracing::warn!(
            repository = %http.shown(), %words,
            "GraphQL's updateRefs is refused: branches are moved by fast-forward, which a reset in that moment can slip past."
        );
        *self.no_strict_swap.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
}

fn allowed(refused: &Mutex<Option<Instant>>) -> bool {
    refused.lock().unwrap_or_else(PoisonError::into_inner).is_none_or(|at| at.elapsed() > REFUSED_FOR)
}
