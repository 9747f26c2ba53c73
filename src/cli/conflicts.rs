//! `fgd-sync conflicts`: what both sides changed differently, and who is right.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value, json};

use fgd_sync::domain::cause::with_causes;

use super::client::{Client, Failure, ServiceArgs, read};
use super::exit::Exit;
use super::output::{Output, print, print_json};
use super::views::{Conflict, conflicts_table};
use super::wait::{WaitArgs, finish};

/// What to do with conflicts.
#[derive(Subcommand)]
pub enum Conflicts {
    /// List the conflicts, by fabric and object; ends with 1 when there are any.
    List(ListArgs),
    /// Show one conflict: the fields, and what each side says.
    Show(ShowArgs),
    /// Decide a conflict, and wait for the run that carries it out.
    Resolve(ResolveArgs),
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  fgd-sync conflicts list
  fgd-sync conflicts list --fabric lab --output json | jq '.conflicts[].paths'

Exit codes: 0 there are none; 1 there are some; the others as for every command.")]
pub struct ListArgs {
    /// Only of this fabric
    #[arg(long)]
    fabric: Option<String>,
    #[command(flatten)]
    service: ServiceArgs,
}

/// An object.
#[derive(Args)]
pub struct ObjectArgs {
    /// The fabric's name
    fabric: String,
    /// The object's kind, such as VPC
    kind: String,
    /// The object's name
    name: String,
    /// The object's namespace
    #[arg(long, default_value = "default")]
    namespace: String,
}

#[derive(Args)]
#[command(after_help = "\
Example:
  fgd-sync conflicts show lab VPC web")]
pub struct ShowArgs {
    #[command(flatten)]
    object: ObjectArgs,
    #[command(flatten)]
    service: ServiceArgs,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  fgd-sync conflicts resolve lab VPC web --side netbox
  fgd-sync conflicts resolve lab VPC web --side git --version 9f86d081884c...   # only if it is still as shown
  fgd-sync conflicts resolve lab VPC web --side merged --document web.yaml     # the whole object, for both sides

It ends with 0 when the run that carries it out succeeded.")]
pub struct ResolveArgs {
    #[command(flatten)]
    object: ObjectArgs,
    /// Whose content counts
    #[arg(long, value_enum)]
    side: Side,
    /// With --side merged: a file with the whole Kubernetes document, YAML or JSON; `-` reads standard input
    #[arg(long, value_name = "FILE", required_if_eq("side", "merged"))]
    document: Option<PathBuf>,
    /// The conflict's version as `show` printed it: refused when a side moved since
    #[arg(long)]
    version: Option<String>,
    #[command(flatten)]
    wait: WaitArgs,
    #[command(flatten)]
    service: ServiceArgs,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Side {
    Netbox,
    Git,
    Merged,
}

/// Runs it.
pub async fn run(command: Conflicts) -> Exit {
    let done = match command {
        Conflicts::List(args) => list(&args).await,
        Conflicts::Show(args) => show(&args).await,
        Conflicts::Resolve(args) => resolve(&args).await,
    };
    done.unwrap_or_else(|failed| failed.tell())
}

async fn list(args: &ListArgs) -> Result<Exit, Failure> {
    let client = Client::new(&args.service)?;
    let only = args.fabric.as_deref().map(|fabric| ("fabric", fabric));
    let (conflicts, _) = client.list(&["api", "v1", "conflicts"], only.as_slice(), "conflicts").await?;
    match args.service.output {
        Output::Table if conflicts.is_empty() => print("There are no conflicts.\n"),
        Output::Table => print(&conflicts_table(&conflicts.iter().map(read).collect::<Result<Vec<Conflict>, _>>()?)),
        Output::Json => print_json(&json!({"conflicts": conflicts})),
    }
    Ok(if conflicts.is_empty() { Exit::Done } else { Exit::Failed })
}

async fn show(args: &ShowArgs) -> Result<Exit, Failure> {
    let conflict = Client::new(&args.service)?.get(&args.object.path(), &[]).await?;
    match args.service.output {
        Output::Table => print(&read::<Conflict>(&conflict)?.text()),
        Output::Json => print_json(&conflict),
    }
    Ok(Exit::Done)
}

async fn resolve(args: &ResolveArgs) -> Result<Exit, Failure> {
    let side = match args.side {
        Side::Netbox => "netbox",
        Side::Git => "git",
        Side::Merged => "merged",
    };
    let mut body = Map::from_iter([("side".to_owned(), json!(side))]);
    if let Some(file) = &args.document {
        body.insert("document".to_owned(), Value::Object(read_document(file)?));
    }
    if let Some(version) = &args.version {
        body.insert("version".to_owned(), json!(version));
    }
    let client = Client::new(&args.service)?;
    let path = [&args.object.path()[..], &["resolve"]].concat();
    let job = client.ask(&path, &Value::Object(body)).await?;
    finish(&client, &[job], &args.wait, args.service.output).await
}

impl ObjectArgs {
    fn path(&self) -> [&str; 7] {
        ["api", "v1", "conflicts", &self.fabric, &self.kind, &self.namespace, &self.name]
    }
}

fn read_document(file: &Path) -> Result<Map<String, Value>, Failure> {
    let unusable = |why: String| Failure::Usage(format!("the document {} cannot be used: {why}", file.display()));
    let mut text = String::new();
    let got = if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|mut opened| opened.read_to_string(&mut text))
    };
    got.map_err(|error| unusable(error.to_string()))?;
    serde_yaml::from_str(&text).map_err(|error| unusable(with_causes(&error)))
}
