//! Accepting: signed deliveries answered with 202, beside Redis alone with the same script and the same arguments.

use std::time::Duration;

use serde_json::Value;

use crate::load::{self, Outcome, Request};
use crate::process;
use crate::redis::Benchmarked;
use crate::stats::Spread;
use crate::support::process::Failure;
use crate::table::{Goal, Line, short};
use crate::world::{NETBOX_SECRET, Shape, WEBHOOK, World, fabric_name};

pub const CONNECTIONS: usize = 50;
const CALLS: usize = 30_000;
const ROUNDS: usize = 5;
/// No batch closes while deliveries come: what a run costs is measured elsewhere.
pub const NO_RUNS: &str = "debounce: {quiet_ms: 3600000, max_wait_ms: 3600000, max_changes: 100000}";

/// A delivery of NetBox's custom objects as it was captured.
const BODY: &str = include_str!("../fixtures/netbox-webhooks/0030-custom-objects-vpc-updated.body");

/// Where rows are counted from: twelve digits, as many as `redis-benchmark` puts into a call.
const FIRST: usize = 100_000_000_000;
const RANDOM: &str = "__rand_int__";

struct Round {
    ours: Outcome,
    redis: Benchmarked,
    peak: f64,
    /// Processor time for one delivery in microseconds: the service's and Redis's, and Redis's under `redis-benchmark`.
    cost: [f64; 3],
}

/// Both in turns, each time on a new Redis.
pub async fn run() -> Result<Vec<Line>, Failure> {
    let mut rounds = Vec::new();
    for number in 1..=ROUNDS {
        let round = round().await?;
        println!(
            "  round {number}: {}/s, p50 {} ms, p99 {} ms, max {} ms; redis-benchmark {}/s, p50 {} ms, p99 {} ms; \
             processor {:.0?} us",
            short(round.ours.rate()),
            short(round.ours.latency_ms(0.5)),
            short(round.ours.latency_ms(0.99)),
            short(round.ours.latency_ms(1.0)),
            short(round.redis.rate),
            short(round.redis.p50_ms),
            short(round.redis.p99_ms),
            round.cost,
        );
        rounds.push(round);
    }
    let middle = |figure: fn(&Round) -> f64| Spread::of(rounds.iter().map(figure)).median;
    let measured = format!(
        "{}/s, p50 {} ms, p99 {} ms, max {} ms",
        short(middle(|round| round.ours.rate())),
        short(middle(|round| round.ours.latency_ms(0.5))),
        short(middle(|round| round.ours.latency_ms(0.99))),
        short(middle(|round| round.ours.latency_ms(1.0))),
    );
    let beside = format!(
        "redis-benchmark, same script: {}/s, p99 {} ms, max {} ms",
        short(middle(|round| round.redis.rate)),
        short(middle(|round| round.redis.p99_ms)),
        short(middle(|round| round.redis.max_ms)),
    );
    let cost = |at: usize| short(Spread::of(rounds.iter().map(|round| round.cost[at])).median);
    let spent = Line {
        what: "processor time for one delivery".to_owned(),
        measured: format!("{} us, and {} us of Redis", cost(0), cost(1)),
        beside: format!("redis-benchmark, same script: {} us of Redis", cost(2)),
        ratio: Some(Spread::of(rounds.iter().map(|round| (round.cost[0] + round.cost[1]) / round.cost[2]))),
        goal: Goal::None,
    };
    let peak = rounds.iter().map(|round| round.peak).fold(0.0, f64::max);
    Ok(vec![
        Line {
            what: format!("accept, {CONNECTIONS} connections, every write synced"),
            measured,
            beside,
            ratio: Some(Spread::of(rounds.iter().map(|round| round.ours.rate() / round.redis.rate))),
            goal: Goal::RatioAtLeast(0.65),
        },
        spent,
        Line {
            what: "memory, most while accepting".to_owned(),
            measured: format!("{} MB", short(peak)),
            beside: String::new(),
            ratio: None,
            goal: Goal::AtMost { figure: peak, limit: 150.0, unit: "MB" },
        },
    ])
}

async fn round() -> Result<Round, Failure> {
    let world = World::start(&Shape { settings: NO_RUNS, ..Shape::default() }).await?;
    script_call(&world).await?;
    process::forget_peak(world.service.pid())?;
    let requests = (1..=CALLS).map(signed).collect();
    let before = [process::processor_time(world.service.pid())?, process::processor_time(world.redis.pid())?];
    let ours = load::send(world.service.address(), requests, CONNECTIONS).await?.require(202)?;
    let peak = process::peak(world.service.pid())?;
    let ours_cost = a_call(process::processor_time(world.service.pid())? - before[0]);
    let redis_cost = a_call(process::processor_time(world.redis.pid())? - before[1]);
    require_recorded(&world).await?;
    drop(world);

    let world = World::start(&Shape { settings: NO_RUNS, ..Shape::default() }).await?;
    let command = script_call(&world).await?;
    let before = process::processor_time(world.redis.pid())?;
    let redis = world.redis.benchmark(CONNECTIONS, CALLS, &command).await?;
    let cost = [ours_cost, redis_cost, a_call(process::processor_time(world.redis.pid())? - before)];
    require_recorded(&world).await?;
    Ok(Round { ours, redis, peak, cost })
}

fn a_call(all: Duration) -> f64 {
    all.as_secs_f64() * 1_000_000.0 / CALLS as f64
}

/// Every call must have made a job of its own: a duplicate would be cheap.
async fn require_recorded(world: &World) -> Result<(), Failure> {
    let jobs: usize = world.redis.ask(&["ZCARD", "{fgd}:jobs:state:queued"]).await?;
    // A few random numbers are drawn twice.
    if jobs > CALLS - CALLS / 1_000 { Ok(()) } else { Err(Failure(format!("{CALLS} calls made only {jobs} jobs"))) }
}

/// A delivery about a row of its own, from a request of its own.
pub fn signed(number: usize) -> Request {
    let mut body: Value = serde_json::from_str(BODY).expect("the fixture is JSON");
    let unique = FIRST + number;
    body["data"]["id"] = unique.into();
    body["data"]["fabric"] = fabric_name(0).into();
    body["request"]["id"] = format!("{unique}-4593-bb0e-d85775446bdb").into();
    load::delivery(WEBHOOK, NETBOX_SECRET, body.to_string().as_bytes())
}

/// The call of the accept script that one delivery causes, with random digits where deliveries differ.
async fn script_call(world: &World) -> Result<Vec<String>, Failure> {
    let mut monitor = world.redis.monitor().await?;
    load::send(world.service.address(), vec![signed(0)], 1).await?.require(202)?;
    let call = monitor.next_with(&["\"EVALSHA\"", "netbox_delivery"]).await?;
    let unique = FIRST.to_string();
    let hash = |text: &str| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    Ok(call
        .into_iter()
        .map(|argument| match argument {
            dedupe if hash(&dedupe) => format!("{}{RANDOM}", &dedupe[RANDOM.len()..]),
            other => other.replace(&unique, RANDOM),
        })
        .collect())
}
