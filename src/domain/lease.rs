//! The right to write one target, as a value.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::names::Target;

/// Proof that this process holds a target's lease.
///
/// Only the ledger grants one (`tests/it/borders.rs` holds that), and everything that writes to Git or NetBox asks for
/// it. Clones share one deadline, which the ledger's renewer moves. The fence grows with every grant of the target: the
/// ledger refuses an older one, so a holder that slept through its lease cannot settle.
#[derive(Debug, Clone)]
pub struct LeaseProof {
    target: Target,
    fence: u64,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    granted: Instant,
    /// Milliseconds after `granted` at which the lease ends.
    ends_ms: AtomicU64,
    lost: AtomicBool,
}

/// The lease is gone, or ends before the work that was about to start could.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the lease on {target} is lost or ends too soon: {left:?} left, {needed:?} needed")]
pub struct LeaseLost {
    pub target: Target,
    pub left: Duration,
    pub needed: Duration,
}

impl LeaseProof {
    /// For the ledger alone. `asked` is the instant before the ledger was asked, so that the proof never outlives the lease.
    pub(crate) fn grant(target: Target, fence: u64, asked: Instant, length: Duration) -> Self {
        let state = State { granted: asked, ends_ms: AtomicU64::new(millis(length)), lost: AtomicBool::new(false) };
        Self { target, fence, state: Arc::new(state) }
    }

    /// For the ledger alone: the lease was renewed by a call that began at `asked`.
    pub fn extend(&self, asked: Instant, length: Duration) {
        let ends = asked.saturating_duration_since(self.state.granted) + length;
        self.state.ends_ms.fetch_max(millis(ends), Ordering::AcqRel);
    }

    /// For the ledger alone: the ledger says that the lease is somebody else's.
    pub fn revoke(&self) {
        self.state.lost.store(true, Ordering::Release);
    }

    /// The target it holds for.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The fencing token; grows with every grant of the target.
    pub fn fence(&self) -> u64 {
        self.fence
    }

    /// Time left; zero once lost.
    pub fn left(&self) -> Duration {
        if self.state.lost.load(Ordering::Acquire) {
            return Duration::ZERO;
        }
        let end = Duration::from_millis(self.state.ends_ms.load(Ordering::Acquire));
        end.saturating_sub(self.state.granted.elapsed())
    }

    /// Fails unless the lease lasts longer than `needed`: asked before every request that writes.
    pub fn require(&self, needed: Duration) -> Result<(), LeaseLost> {
        let left = self.left();
        if left > needed {
            return Ok(());
        }
        Err(LeaseLost { target: self.target.clone(), left, needed })
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
