//! Many fabrics that change at the same time, each in a repository of its own: one worker beside four.

use std::time::{Duration, Instant};

use crate::load;
use crate::process;
use crate::stats::Spread;
use crate::support::git_server::Bare;
use crate::support::process::Failure;
use crate::table::{Goal, Line, short};
use crate::world::{BRANCH, Shape, World, fabric_name};

const FABRICS: usize = 100;
/// New rows in each fabric.
const ROWS: usize = 10;
const ROUNDS: usize = 3;
const SENDERS: usize = 4;
/// The debounce: all deliveries come within it, so every fabric is due at nearly the same time.
const QUIET: Duration = Duration::from_secs(5);
const SETTINGS: &str = "debounce: {quiet_ms: 5000}";
const PATIENCE: Duration = Duration::from_secs(300);

/// The time from the end of the debounce to the last fabric's commit.
pub async fn run() -> Result<Vec<Line>, Failure> {
    let (mut one, mut four, mut peak) = (Vec::new(), Vec::new(), 0.0_f64);
    for _ in 0..ROUNDS {
        for (workers, seconds) in [(1, &mut one), (4, &mut four)] {
            let (took, memory) = round(workers).await?;
            println!("  {workers} worker(s): {} s, {} MB", short(took.as_secs_f64()), short(memory));
            seconds.push(took.as_secs_f64());
            peak = peak.max(memory);
        }
    }
    let middle = |figures: &[f64]| Spread::of(figures.iter().copied()).median;
    Ok(vec![
        Line {
            what: format!("{FABRICS} fabrics at once, {ROWS} changes each, 4 workers"),
            measured: format!("{} s, {}/s", short(middle(&four)), short(FABRICS as f64 / middle(&four))),
            beside: format!("1 worker: {} s", short(middle(&one))),
            ratio: Some(Spread::of(one.iter().zip(&four).map(|(one, four)| one / four))),
            goal: Goal::None,
        },
        Line {
            what: format!("memory, most in {FABRICS} fabrics"),
            measured: format!("{} MB", short(peak)),
            beside: String::new(),
            ratio: None,
            goal: Goal::AtMost { figure: peak, limit: 150.0, unit: "MB" },
        },
    ])
}

async fn round(workers: usize) -> Result<(Duration, f64), Failure> {
    let world = World::start(&Shape { fabrics: FABRICS, workers, settings: SETTINGS }).await?;
    process::forget_peak(world.service.pid())?;
    let mut waiting: Vec<(usize, &Bare, Option<String>)> =
        world.repositories.iter().enumerate().map(|(number, bare)| (number, bare, head(bare))).collect();
    for number in 0..FABRICS {
        world.create_servers(number, ROWS, "server");
    }
    let begun = Instant::now();
    load::send(world.service.address(), world.deliveries(), SENDERS).await?.require(202)?;
    if begun.elapsed() > QUIET {
        return Err(Failure(format!("the deliveries took {:?}, longer than the debounce", begun.elapsed())));
    }
    while !waiting.is_empty() {
        if begun.elapsed() > PATIENCE {
            return Err(Failure(format!("{} fabrics have no commit after {PATIENCE:?}", waiting.len())));
        }
        waiting.retain(|(_, bare, before)| head(bare) == *before);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let took = begun.elapsed() - QUIET;
    world.service.settled().await?;
    for (number, bare) in world.repositories.iter().enumerate() {
        let below = format!("{}/managed/servers/server-", fabric_name(number));
        let files = bare.paths(BRANCH).iter().filter(|path| path.starts_with(&below)).count();
        if files != ROWS {
            return Err(Failure(format!("{} has {files} files, not {ROWS}", fabric_name(number))));
        }
    }
    Ok((took, process::peak(world.service.pid())?))
}

/// Read from the disk: a process of git for each look would cost what is measured.
fn head(bare: &Bare) -> Option<String> {
    std::fs::read_to_string(bare.path().join("refs/heads").join(BRANCH)).ok()
}
