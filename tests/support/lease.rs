//! A lease for tests that write a repository or NetBox without a run: from a real ledger, which alone can grant one.

use std::time::Duration;

use super::redis::RedisServer;
use fgd_sync::domain::change::Change;
use fgd_sync::domain::lease::LeaseProof;
use fgd_sync::domain::names::{FabricName, Target};
use fgd_sync::ledger::types::{Accept, Origin};
use fgd_sync::ledger::{Clock, Ledger};

/// Proof of a lease that lasts longer than any test.
pub fn proof_for(target: &Target) -> LeaseProof {
    proof_that_lasts(target, Duration::from_secs(3600))
}

/// Proof of a lease with this much time left.
pub fn proof_that_lasts(target: &Target, length: Duration) -> LeaseProof {
    let target = target.clone();
    // A runtime of its own: the callers are not async.
    let granting = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(granted(target, length))
    });
    granting.join().expect("the ledger grants a lease")
}

async fn granted(target: Target, length: Duration) -> LeaseProof {
    let server = RedisServer::start();
    let mut options = server.options();
    options.lease = length;
    let ledger = Ledger::open(options, Clock::default()).await.expect("redis-server starts");
    let accept = Accept {
        origin: Origin::Request { what: "a test".to_owned() },
        dedupe: None,
        changes: vec![(FabricName::new("test"), target, Change::GitMoved)],
        at_once: true,
    };
    ledger.accept(&accept).await.expect("Redis answers");
    ledger.claim("test").await.expect("Redis answers").expect("it is due at once").proof
}
