//! Real parts and strict stand-ins for tests and the lab.
#![allow(dead_code, reason = "each test binary and the lab use a part of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

pub mod app;
pub mod contract;
pub mod emulated;
pub mod fakes;
pub mod front;
pub mod git_server;
pub mod github_options;
pub mod hold;
pub mod lease;
pub mod process;
pub mod real_netbox;
pub mod redis;
pub mod ssh_server;

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// Tries until it works, for a few seconds: for servers that need a moment to end or to come up.
pub async fn eventually<T, E: Debug, F: Future<Output = Result<T, E>>>(mut attempt: impl FnMut() -> F) -> T {
    let start = Instant::now();
    loop {
        match attempt().await {
            Ok(value) => return value,
            Err(error) if start.elapsed() > Duration::from_secs(10) => panic!("it never worked: {error:?}"),
            Err(_) => tokio::task::yield_now().await,
        }
    }
}
