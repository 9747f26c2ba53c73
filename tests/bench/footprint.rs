//! What the process takes from its machine: memory, processor time at rest, time to start; and a large fabric.

use std::time::{Duration, Instant};

use crate::process;
use crate::redis::Redis;
use crate::stats::Spread;
use crate::support::process::Failure;
use crate::table::{Goal, Line, short};
use crate::world::{Shape, World, fabric_name};

const STARTS: usize = 5;
/// Long enough for every schedule to look around a few times.
const REST: Duration = Duration::from_secs(20);
const OBJECTS: usize = 10_000;
/// What grows with each comparison would be seen.
const AGAIN: usize = 5;

/// A service with one small fabric, beside `redis-server`.
pub async fn at_rest() -> Result<Vec<Line>, Failure> {
    let (mut starts, mut redis_starts, mut memory, mut redis_memory) = (vec![], vec![], vec![], vec![]);
    let mut last = None;
    for _ in 0..STARTS {
        let world = World::start(&Shape::default()).await?;
        let begun = Instant::now();
        drop(Redis::start(world.home())?);
        redis_starts.push(begun.elapsed().as_secs_f64() * 1_000.0);
        starts.push(world.service.started_in.as_secs_f64() * 1_000.0);
        memory.push(process::memory(world.service.pid())?);
        redis_memory.push(process::memory(world.redis.pid())?);
        last = Some(world);
    }
    let world = last.ok_or_else(|| Failure("no world was started".to_owned()))?;
    let (ours, redis) = (world.service.pid(), world.redis.pid());
    let (ours_before, redis_before) = (process::processor_time(ours)?, process::processor_time(redis)?);
    tokio::time::sleep(REST).await;
    let share = |after: Duration, before: Duration| (after - before).as_secs_f64() / REST.as_secs_f64() * 100.0;
    let ours_share = share(process::processor_time(ours)?, ours_before);
    let redis_share = share(process::processor_time(redis)?, redis_before);
    memory.push(process::memory(ours)?);
    redis_memory.push(process::memory(redis)?);

    println!(
        "  starts {starts:.0?} ms, redis-server {redis_starts:.0?} ms; memory {memory:.1?} MB, {redis_memory:.1?} MB"
    );
    let pairs = |a: &[f64], b: &[f64]| Spread::of(a.iter().zip(b).map(|(a, b)| a / b));
    let middle = |figures: &[f64]| Spread::of(figures.iter().copied()).median;
    let most = memory.iter().copied().fold(0.0, f64::max);
    Ok(vec![
        Line {
            what: "memory at rest".to_owned(),
            measured: format!("{} MB", short(most)),
            beside: format!("redis-server: {} MB", short(middle(&redis_memory))),
            ratio: Some(pairs(&memory, &redis_memory)),
            goal: Goal::AtMost { figure: most, limit: 30.0, unit: "MB" },
        },
        Line {
            what: format!("processor at rest, over {} s", REST.as_secs()),
            measured: format!("{} % of one core", short(ours_share)),
            beside: format!("redis-server: {} %", short(redis_share)),
            ratio: Some(Spread::of([ours_share / redis_share])),
            goal: Goal::None,
        },
        Line {
            what: "start, until /readyz says so".to_owned(),
            measured: format!("{} ms", short(middle(&starts))),
            beside: format!("redis-server, until it listens: {} ms", short(middle(&redis_starts))),
            ratio: Some(pairs(&starts, &redis_starts)),
            goal: Goal::None,
        },
    ])
}

/// The first comparison of a large fabric, and some that find nothing to do.
pub async fn large_fabric() -> Result<Vec<Line>, Failure> {
    let begun = Instant::now();
    let world = World::with_servers(OBJECTS).await?;
    let first = (begun.elapsed(), process::peak(world.service.pid())?);
    let mut again = (Duration::ZERO, 0.0);
    for number in 1..=AGAIN {
        process::forget_peak(world.service.pid())?;
        let begun = Instant::now();
        world.service.compare(&fabric_name(0)).await?;
        world.service.settled().await?;
        again = (begun.elapsed(), process::peak(world.service.pid())?);
        println!("  comparison {number} with nothing to do: {} s, {} MB", short(again.0.as_secs_f64()), short(again.1));
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let rest = process::memory(world.service.pid())?;
    let line = |what: &str, (took, peak): (Duration, f64)| Line {
        what: format!("{what} comparison of {OBJECTS} objects, memory"),
        measured: format!("{} MB, {} s", short(peak), short(took.as_secs_f64())),
        beside: format!("afterwards, at rest: {} MB", short(rest)),
        ratio: Some(Spread::of([peak / rest])),
        goal: Goal::AtMost { figure: peak, limit: 150.0, unit: "MB" },
    };
    Ok(vec![line("first", first), line("repeated", again)])
}
