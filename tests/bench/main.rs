//! The benchmarks: each figure stands beside a baseline that was measured in the same run, in turns with it.
//!
//! The service is the real binary in a process of its own, with a Redis that syncs every write, a Git server and a NetBox
//! stand-in. Nothing here is a test: a machine that is busy is slow, so nothing fails because of a figure.

mod accept;
mod fabrics;
mod footprint;
mod github;
mod image;
mod ingest;
mod jobs;
mod lag;
mod load;
mod peers;
mod planner;
mod process;
mod redis;
mod service;
mod stats;
mod table;
mod world;

#[path = "../support/mod.rs"]
mod support;

use std::process::ExitCode;

use support::process::Failure;
use table::Line;

/// The benchmarks by name, in the order that they run in.
const NAMES: [&str; 11] =
    ["accept", "lag", "planner", "ingest", "footprint", "image", "large", "fabrics", "jobs", "github", "peers"];

async fn run(name: &str) -> Result<Vec<Line>, Failure> {
    match name {
        "accept" => accept::run().await,
        "lag" => lag::run().await,
        "planner" => planner::run().await,
        "ingest" => ingest::run().await,
        "footprint" => footprint::at_rest().await,
        "image" => image::run().await,
        "large" => footprint::large_fabric().await,
        "fabrics" => fabrics::run().await,
        "jobs" => jobs::run().await,
        "github" => github::run().await,
        "peers" => peers::run().await,
        other => Err(Failure(format!("there is no benchmark `{other}`; there are {}", NAMES.join(", ")))),
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut names: Vec<String> = std::env::args().skip(1).collect();
    if let Some(unknown) = names.iter().find(|name| !NAMES.contains(&name.as_str())) {
        eprintln!("bench: there is no benchmark `{unknown}`; there are {}", NAMES.join(", "));
        return ExitCode::from(2);
    }
    if names.is_empty() {
        names = NAMES.map(str::to_owned).to_vec();
    }
    let mut lines = Vec::new();
    for name in &names {
        println!("\n== {name}");
        match run(name).await {
            Ok(measured) => lines.extend(measured),
            Err(failure) => {
                eprintln!("\nbench: {name} could not be measured: {failure}");
                return ExitCode::FAILURE;
            }
        }
    }
    println!("\n{}", process::machine());
    table::print(&lines);
    ExitCode::SUCCESS
}
