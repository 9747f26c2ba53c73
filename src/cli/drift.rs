//! `fgd-sync drift`: what differs between both sides, as they were last compared.

use clap::Args;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::client::{Client, Failure, ServiceArgs, read};
use super::exit::Exit;
use super::output::{Output, Table, print, print_json};
use super::wait::until_ended;

/// What `drift` takes.
#[derive(Args)]
#[command(after_help = "\
Examples:
  fgd-sync drift lab                             # as of the last comparison
  fgd-sync drift lab --compare                   # compare first; nothing is written on either side
  fgd-sync drift lab --difference only_in_git --output json | jq '.items[].key'

Exit codes: 0 nothing differs; 1 something does; the others as for every command.")]
pub struct DriftArgs {
    /// The fabric's name
    fabric: String,
    /// Compare everything first, which writes nothing (needs the role `operate`)
    #[arg(long)]
    compare: bool,
    /// Only what differs so: only_in_netbox, only_in_git, different, conflict or invalid
    #[arg(long)]
    difference: Option<String>,
    #[command(flatten)]
    service: ServiceArgs,
}

#[derive(Deserialize)]
struct Page {
    compared: Option<Value>,
    counts: Map<String, Value>,
    items: Vec<Value>,
    next: Option<String>,
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

#[derive(Deserialize)]
struct Accepted {
    job_id: String,
}

/// Runs it.
pub async fn run(args: &DriftArgs) -> Exit {
    drift(args).await.unwrap_or_else(|failed| failed.tell())
}

async fn drift(args: &DriftArgs) -> Result<Exit, Failure> {
    let client = Client::new(&args.service)?;
    if args.compare {
        let path = ["api", "v1", "fabrics", &args.fabric, "reconcile"];
        let accepted: Accepted = read(&client.post(&path, &json!({"mode": "report"})).await?)?;
        until_ended(&client, &[accepted.job_id], None).await?;
    }
    let (mut items, mut cursor) = (Vec::new(), None::<String>);
    let last = loop {
        let given = [("difference", &args.difference), ("cursor", &cursor)];
        let query: Vec<_> = given.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))).collect();
        let mut page: Page = read(&client.get(&["api", "v1", "fabrics", &args.fabric, "drift"], &query).await?)?;
        items.append(&mut page.items);
        cursor = page.next.take();
        if cursor.is_none() {
            break page;
        }
    };
    match args.service.output {
        Output::Table => print(&text(&items, last.compared.as_ref())?),
        Output::Json => print_json(
            &json!({"fabric": args.fabric, "compared": last.compared, "counts": last.counts, "items": items}),
        ),
    }
    Ok(if items.is_empty() { Exit::Done } else { Exit::Failed })
}

fn text(items: &[Value], compared: Option<&Value>) -> Result<String, Failure> {
    let as_of = match compared.and_then(|compared| compared["at"].as_str()) {
        Some(at) => format!("as of {at}"),
        None => "never compared as a whole yet: add --compare".to_owned(),
    };
    if items.is_empty() {
        return Ok(format!("Nothing differs, {as_of}.\n"));
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
