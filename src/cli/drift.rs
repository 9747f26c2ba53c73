//! `fgd-sync drift`: what differs between both sides, as they were last compared.

use std::time::Duration;

use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{Client, Failure, ServiceArgs, read};
use super::exit::Exit;
use super::output::{Output, Table, print, print_json};
use super::views::Job;
use super::wait::until_ended;

/// What `drift` takes.
#[derive(Args)]
#[command(after_help = "\
Examples:
  fgd-sync drift lab                             # as of the last comparison
  fgd-sync drift lab --compare                   # compare first; nothing is written on either side
  fgd-sync drift lab --difference only_in_git --output json | jq '.items[].key'

Exit codes: 0 nothing differs; 1 something does, or it is not known; the others as for every command.")]
pub struct DriftArgs {
    /// The fabric's name
    fabric: String,
    /// Compare everything first, which writes nothing (needs the role `operate`)
    #[arg(long)]
    compare: bool,
    /// With --compare: wait no longer than this, such as 90s or 10m; the job goes on [default: as long as it takes]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, requires = "compare")]
    timeout: Option<Duration>,
    /// Only what differs so
    #[arg(long, value_parser = ["only_in_netbox", "only_in_git", "different", "conflict", "invalid"])]
    difference: Option<String>,
    #[command(flatten)]
    service: ServiceArgs,
}

#[derive(Deserialize)]
struct Item {
    difference: String,
    key: Option<Key>,
    path: Option<String>,
    paths: Vec<String>,
    reason: Option<Reason>,
}

#[derive(Deserialize)]
struct Key {
    kind: String,
    namespace: String,
    name: String,
}

#[derive(Deserialize)]
struct Reason {
    message: String,
}

/// Runs it.
pub async fn run(args: &DriftArgs) -> Exit {
    drift(args).await.unwrap_or_else(|failed| failed.tell())
}

async fn drift(args: &DriftArgs) -> Result<Exit, Failure> {
    let client = Client::new(&args.service)?;
    if args.compare {
        compare(&client, args).await?;
    }
    let path = ["api", "v1", "fabrics", &args.fabric, "drift"];
    let only = args.difference.as_deref().map(|difference| ("difference", difference));
    let (items, last) = client.list(&path, only.as_slice(), "items").await?;
    let at = last["compared"]["at"].as_str();
    match args.service.output {
        Output::Table => print(&text(&items, at)?),
        Output::Json => print_json(&json!({
            "fabric": args.fabric, "compared": last["compared"], "counts": last["counts"], "items": items,
        })),
    }
    // What nobody has compared yet is not known to be equal.
    Ok(if items.is_empty() && at.is_some() { Exit::Done } else { Exit::Failed })
}

/// Has everything compared anew; an old list would else pass for the answer.
async fn compare(client: &Client, args: &DriftArgs) -> Result<(), Failure> {
    let path = ["api", "v1", "fabrics", &args.fabric, "reconcile"];
    let id = client.ask(&path, &json!({"mode": "report"})).await?;
    for job in &until_ended(client, &[id], args.timeout).await? {
        let job: Job = read(job)?;
        if !job.is_good() {
            return Err(Failure::NotDone { why: format!("not compared: {}", job.progress()), job: job.id });
        }
    }
    Ok(())
}

fn text(items: &[Value], compared: Option<&str>) -> Result<String, Failure> {
    let as_of = compared.map_or_else(|| "never compared as a whole".to_owned(), |at| format!("as of {at}"));
    if items.is_empty() {
        return Ok(match compared {
            Some(_) => format!("Nothing differs, {as_of}.\n"),
            None => "Not known: it was never compared as a whole. Add --compare.\n".to_owned(),
        });
    }
    let mut table = Table::new(&["DIFFERENCE", "OBJECT", "FIELDS", "REASON"]);
    for item in items {
        let Item { difference, key, path, paths, reason } = read(item)?;
        let object = key.map(|Key { kind, namespace, name }| format!("{kind} {namespace}/{name}"));
        let object = object.or(path).unwrap_or_default();
        table.row([difference, object, paths.join(" "), reason.map(|reason| reason.message).unwrap_or_default()]);
    }
    Ok(format!("{}{}, {as_of}\n", table.text(), super::settings::counted(items.len(), "difference")))
}
