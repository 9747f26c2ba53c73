//! `fgd-sync jobs`: what became of every accepted delivery and request.

use std::time::SystemTime;

use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{Client, Failure, ServiceArgs, read};
use super::exit::Exit;
use super::output::{Output, print, print_json};
use super::views::{Job, jobs_table};
use super::wait::{WaitArgs, finish, for_each};

mod watch;

/// What to do with jobs.
#[derive(Subcommand)]
pub enum Jobs {
    /// List jobs, newest first.
    List(ListArgs),
    /// Show what one job did to each object and document.
    Get(GetArgs),
    /// Try dead jobs again.
    Retry(RetryArgs),
    /// Call off jobs that are queued, waiting, stalled or dead.
    Cancel(CancelArgs),
    /// Wait for jobs, or without an id tell every change of every job until Ctrl-C.
    Watch(watch::WatchArgs),
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  fgd-sync jobs list --fabric lab --state stalled
  fgd-sync jobs list --since 2h
  fgd-sync jobs list --since 2026-11-21T00:00:00Z --limit 500 --output json | jq -r '.jobs[].id'")]
pub struct ListArgs {
    /// Only jobs with a part for this fabric
    #[arg(long)]
    fabric: Option<String>,
    /// Only jobs in this state
    #[arg(long, value_parser = STATES)]
    state: Option<String>,
    /// Only jobs from this time on: a time (RFC 3339), or how long ago, such as 90m or 2h
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    #[command(flatten)]
    service: ServiceArgs,
}

#[derive(Args)]
#[command(after_help = "\
Example:
  fgd-sync jobs get 01KAJ3V0M1W9T6N4ZC5X8R7QHD")]
pub struct GetArgs {
    /// The job's id
    #[arg(value_name = "JOB")]
    id: String,
    #[command(flatten)]
    service: ServiceArgs,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  fgd-sync jobs retry 01KAJ3V0M1W9T6N4ZC5X8R7QHD
  fgd-sync jobs list --state dead --output json | jq -r '.jobs[].id' | xargs fgd-sync jobs retry --no-wait")]
pub struct RetryArgs {
    /// Jobs by their ids
    #[arg(required = true, value_name = "JOB")]
    ids: Vec<String>,
    #[command(flatten)]
    wait: WaitArgs,
    #[command(flatten)]
    service: ServiceArgs,
}

#[derive(Args)]
#[command(after_help = "\
Example:
  fgd-sync jobs cancel 01KAJ3V0M1W9T6N4ZC5X8R7QHD")]
pub struct CancelArgs {
    /// Jobs by their ids
    #[arg(required = true, value_name = "JOB")]
    ids: Vec<String>,
    #[command(flatten)]
    service: ServiceArgs,
}

const STATES: [&str; 9] =
    ["queued", "running", "waiting", "held", "stalled", "succeeded", "failed", "dead", "cancelled"];

/// Jobs that one request may list.
const PAGE: u32 = 200;

#[derive(Deserialize)]
struct Page {
    jobs: Vec<Value>,
    next: Option<String>,
}

/// Runs it.
pub async fn run(command: Jobs) -> Exit {
    let done = match command {
        Jobs::List(args) => list(&args).await,
        Jobs::Get(args) => get(&args).await,
        Jobs::Retry(args) => retry(&args).await,
        Jobs::Cancel(args) => cancel(&args).await,
        Jobs::Watch(args) => watch::watch(&args).await,
    };
    done.unwrap_or_else(|failed| failed.tell())
}

async fn list(args: &ListArgs) -> Result<Exit, Failure> {
    let client = Client::new(&args.service)?;
    let (mut jobs, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let left = args.limit - u32::try_from(jobs.len()).unwrap_or(args.limit).min(args.limit);
        let size = left.min(PAGE).to_string();
        let given = [("fabric", &args.fabric), ("state", &args.state), ("since", &args.since), ("cursor", &cursor)];
        let mut query: Vec<_> = given.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))).collect();
        query.push(("limit", &size));
        let page: Page = read(&client.get(&["api", "v1", "jobs"], &query).await?)?;
        jobs.extend(page.jobs);
        cursor = page.next;
        if cursor.is_none() || jobs.len() >= args.limit as usize {
            break;
        }
    }
    match (jobs.is_empty(), args.service.output) {
        (true, Output::Table) => print("No kept job fits.\n"),
        _ => show(&jobs, args.service.output)?,
    }
    Ok(Exit::Done)
}

/// A time as the service takes it.
fn since(text: &str) -> Result<String, String> {
    let ago = humantime::parse_duration(text).ok().and_then(|ago| SystemTime::now().checked_sub(ago));
    match ago {
        Some(time) => Ok(humantime::format_rfc3339_seconds(time).to_string()),
        None if text.starts_with(|first: char| first.is_ascii_digit()) => Ok(text.to_owned()),
        None => Err("write such as 2h, 90m or 2026-11-21T00:00:00Z".to_owned()),
    }
}

async fn get(args: &GetArgs) -> Result<Exit, Failure> {
    let client = Client::new(&args.service)?;
    let job = client.get(&["api", "v1", "jobs", &args.id], &[]).await?;
    match args.service.output {
        Output::Table => print(&read::<Job>(&job)?.text()),
        Output::Json => print_json(&job),
    }
    Ok(Exit::Done)
}

async fn retry(args: &RetryArgs) -> Result<Exit, Failure> {
    let client = Client::new(&args.service)?;
    let (asked, exit) =
        for_each(&args.ids, async |id| client.post(&["api", "v1", "jobs", id, "retry"], &json!({})).await).await;
    let ids: Vec<String> = asked.into_iter().map(|(id, _)| id.clone()).collect();
    Ok(exit.and(finish(&client, &ids, &args.wait, args.service.output).await?))
}

async fn cancel(args: &CancelArgs) -> Result<Exit, Failure> {
    let client = Client::new(&args.service)?;
    let (asked, exit) =
        for_each(&args.ids, async |id| client.post(&["api", "v1", "jobs", id, "cancel"], &json!({})).await).await;
    let jobs: Vec<Value> = asked.into_iter().map(|(_, job)| job).collect();
    if !jobs.is_empty() {
        show(&jobs, args.service.output)?;
    }
    Ok(exit)
}

fn show(jobs: &[Value], output: Output) -> Result<(), Failure> {
    match output {
        Output::Table => print(&jobs_table(&jobs.iter().map(read).collect::<Result<Vec<Job>, _>>()?)),
        Output::Json => print_json(&json!({"jobs": jobs})),
    }
    Ok(())
}
