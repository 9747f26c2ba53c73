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
/// Two, so that what grows with the fabric is told from what does not.
const SIZES: [usize; 2] = [10_000, 40_000];
const MB: f64 = 1_048_576.0;
/// What an object that is equal on both sides may take, in bytes; with its documents it is 10,000.
const FOR_EACH: f64 = 2_000.0;
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

/// The first comparison of large fabrics, and some that find nothing to do; what the latter take grows with the fabric.
pub async fn large_fabric() -> Result<Vec<Line>, Failure> {
    let (small, large) = (large_fabric_of(SIZES[0]).await?, large_fabric_of(SIZES[1]).await?);
    let bytes = (large.again - small.again) * MB / (SIZES[1] - SIZES[0]) as f64;
    let growth = Line {
        what: "memory of a repeated comparison for each object more".to_owned(),
        measured: format!("{} bytes", short(bytes)),
        beside: format!(
            "a first one: {} bytes",
            short((large.first - small.first) * MB / (SIZES[1] - SIZES[0]) as f64)
        ),
        ratio: None,
        goal: Goal::AtMost { figure: bytes, limit: FOR_EACH, unit: "bytes" },
    };
    Ok(small.lines.into_iter().chain(large.lines).chain([growth]).collect())
}

struct LargeFabric {
    /// Peaks in MB.
    first: f64,
    again: f64,
    lines: Vec<Line>,
}

async fn large_fabric_of(objects: usize) -> Result<LargeFabric, Failure> {
    let begun = Instant::now();
    let mut world = World::with_servers(objects).await?;
    let first = (begun.elapsed(), process::peak(world.service.pid())?);
    // What the first one took and the allocator kept would hide what the others take.
    world.restart().await?;
    let rest = process::memory(world.service.pid())?;
    let mut again = (Duration::ZERO, 0.0_f64);
    for number in 1..=AGAIN {
        process::forget_peak(world.service.pid())?;
        let begun = Instant::now();
        world.service.compare(&fabric_name(0)).await?;
        world.service.settled().await?;
        let (took, peak) = (begun.elapsed(), process::peak(world.service.pid())?);
        println!(
            "  {objects} objects, comparison {number} with nothing to do: {} s, {} MB",
            short(took.as_secs_f64()),
            short(peak)
        );
        again = (took, again.1.max(peak));
    }
    let line = |what: &str, (took, peak): (Duration, f64), goal: Goal| Line {
        what: format!("{what} comparison of {objects} objects, memory"),
        measured: format!("{} MB, {} s", short(peak), short(took.as_secs_f64())),
        beside: format!("at rest before: {} MB", short(rest)),
        ratio: Some(Spread::of([peak / rest])),
        goal,
    };
    let limit = 40.0 + objects as f64 * FOR_EACH / MB;
    let lines = vec![
        line("first", first, Goal::None),
        line("repeated", again, Goal::AtMost { figure: again.1, limit, unit: "MB" }),
    ];
    Ok(LargeFabric { first: first.1, again: again.1, lines })
}
