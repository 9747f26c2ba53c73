//! `fgd-sync sync`: a full comparison, now.

use clap::Args;
use serde::Deserialize;
use serde_json::json;

use super::client::{Client, Failure, ServiceArgs, read};
use super::exit::Exit;
use super::wait::{WaitArgs, finish, for_each};

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
    let body = json!({"dry_run": args.dry_run});
    let (asked, exit) =
        for_each(&fabrics, async |fabric| client.ask(&["api", "v1", "fabrics", fabric, "sync"], &body).await).await;
    let jobs: Vec<String> = asked.into_iter().map(|(_, job)| job).collect();
    Ok(exit.and(finish(&client, &jobs, &args.wait, args.service.output).await?))
}

/// The names of all fabrics of the service.
pub(super) async fn every_fabric(client: &Client) -> Result<Vec<String>, Failure> {
    let (fabrics, _) = client.list(&["api", "v1", "fabrics"], &[], "fabrics").await?;
    fabrics.iter().map(|fabric| Ok(read::<Fabric>(fabric)?.name)).collect()
}
