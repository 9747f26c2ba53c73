//! Chaos: two replicas of the real binary, a Redis, a Git server and a NetBox under load, while somebody kills them.
//!
//! People edit in NetBox and push to Git, deliveries are lost and doubled, and replicas and Redis are killed without
//! warning. When it is quiet again everything is compared: both sides must be equal or in a listed hold, and nothing
//! that was acknowledged may be missing. Every number is printed; the seed repeats the sequence of acts.

#![allow(clippy::unwrap_used, reason = "a storm that cannot go on panics")]

mod acts;
mod parts;
mod verdict;

#[path = "../support/mod.rs"]
mod support;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use acts::Actors;
use parts::Parts;
use support::process::Failure;

/// How long the storm lasts when nobody says.
const SHORT: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> ExitCode {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (length, seed) = match arguments() {
        Ok(read) => read,
        Err(why) => {
            eprintln!("chaos: {why}; it takes --minutes <n>, --seconds <n> and --seed <n>");
            return ExitCode::from(2);
        }
    };
    println!("The storm lasts {} s; --seed {seed} repeats its acts.", length.as_secs());
    match storm(length, seed).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\nChaos found this (seed {seed}): {failure}");
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> Result<(Duration, u64), String> {
    let (mut length, mut seed) = (SHORT, fastrand::u64(..1 << 32));
    let mut rest = std::env::args().skip(1);
    while let Some(name) = rest.next() {
        let value = rest.next().and_then(|text| text.parse::<u64>().ok()).ok_or(format!("{name} needs a number"))?;
        match name.as_str() {
            "--minutes" => length = Duration::from_secs(60 * value),
            "--seconds" => length = Duration::from_secs(value),
            "--seed" => seed = value,
            other => return Err(format!("unknown argument `{other}`")),
        }
    }
    Ok((length, seed))
}

async fn storm(length: Duration, seed: u64) -> Result<(), Failure> {
    let mut parts = Parts::start().await?;
    let mut actors = Actors::new(seed, &parts);
    let started = Instant::now();
    while started.elapsed() < length {
        actors.act(&mut parts).await?;
    }
    println!("The storm is over; everything is started again and left alone.");
    parts.all_up().await?;
    actors.deliver_the_rest(&parts).await?;
    verdict::pass(&parts, &actors).await
}
