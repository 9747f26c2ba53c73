//! `fgd-sync sync`: a full comparison, now.

use clap::Args;
use serde::Deserialize;
use serde_json::json;

use super::client::{Client, Failure, ServiceArgs, read};
use super::exit::Exit;
use super::wait::{WaitArgs, finish};

/// What `sync` takes.
#[derive(Args)]
#[command(after_help = "\
Examples:
  fgd-sync sync lab                        # compare, bring both sides together, and wait for it
  fgd-sync sync lab --dry-run              # only tell what would be done
  fgd-sync sync --all --no-wait            # every fabric; print the jobs' ids
  fgd-sync sync lab --timeout 10m --output json

It ends with 0 when every job succeeded; 1 when one failed, stalled, or holds something for a person.
The token (FGD_TOKEN, or --token-file) needs the role `operate`.")]
pub struct SyncArgs {
    /// Fabrics by their names
    #[arg(required_unless_present = "all", value_name = "FABRIC")]
    fabrics: Vec<String>,
    /// Every fabric of the service
    #[arg(long, conflicts_with = "fabrics")]
    all: bool,
    /// Only plan and tell; nothing is written on either side
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    wait: WaitArgs,
    #[command(flatten)]
    service: ServiceArgs,
}

#[derive(Deserialize)]
struct Accepted {
    job_id: String,
}

#[derive(Deserialize)]
struct Fabrics {
    fabrics: Vec<Fabric>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct Fabric {
    name: String,
}

/// Runs it.
pub async fn run(args: &SyncArgs) -> Exit {
    sync(args).await.unwrap_or_else(|failed| failed.tell())
}

async fn sync(args: &SyncArgs) -> Result<Exit, Failure> {
    let client = Client::new(&args.service)?;
    let fabrics = if args.all { every_fabric(&client).await? } else { args.fabrics.clone() };
    let mut jobs = Vec::new();
    for fabric in &fabrics {
        let answer = client.post(&["api", "v1", "fabrics", fabric, "sync"], &json!({"dry_run": args.dry_run})).await?;
        jobs.push(read::<Accepted>(&answer)?.job_id);
    }
    finish(&client, &jobs, &args.wait, args.service.output).await
}

async fn every_fabric(client: &Client) -> Result<Vec<String>, Failure> {
    let (mut names, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let after = cursor.as_deref().map(|cursor| ("cursor", cursor));
        let page: Fabrics = read(&client.get(&["api", "v1", "fabrics"], after.as_slice()).await?)?;
        names.extend(page.fabrics.into_iter().map(|fabric| fabric.name));
        cursor = page.next;
        if cursor.is_none() {
            return Ok(names);
        }
    }
}
