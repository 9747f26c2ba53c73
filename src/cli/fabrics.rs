//! `fgd-sync fabrics`: whether every fabric is in sync, and what keeps one from it.

use std::fmt::Write as _;

use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{Client, Failure, ServiceArgs, read};
use super::exit::Exit;
use super::output::{Output, Table, on_one_line, print, print_json};
use super::settings::counted;
use super::views::{Failed, Key, Reason};
use super::wait::{WaitArgs, finish, for_each};

/// What to do with fabrics.
#[derive(Subcommand)]
pub enum Fabrics {
    /// List the fabrics, and how each stands; ends with 1 unless all are in sync.
    List(ListArgs),
    /// Show one fabric: how it stands, what waits for a person, and why.
    Get(GetArgs),
    /// Stop applying changes to fabrics; what is accepted meanwhile is kept.
    Pause(PauseArgs),
    /// Go on with fabrics that were paused.
    Resume(ResumeArgs),
    /// Let go the deletions that are held because there are many at once, and wait for the run that carries them out.
    ConfirmDeletions(ConfirmArgs),
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  fgd-sync fabrics list
  fgd-sync fabrics list --standing failing
  fgd-sync fabrics list --output json | jq -r '.fabrics[] | select(.standing != \"in_sync\") | .name'

Exit codes: 0 all that are listed are in sync; 1 some are not; the others as for every command.")]
pub struct ListArgs {
    /// Only those that stand so
    #[arg(long, value_parser = ["paused", "failing", "pending", "held", "never_synced", "in_sync"])]
    standing: Option<String>,
    #[command(flatten)]
    service: ServiceArgs,
}

#[derive(Args)]
#[command(after_help = "\
Example:
  fgd-sync fabrics get lab

Exit codes: 0 it is in sync; 1 it is not; the others as for every command.")]
pub struct GetArgs {
    /// The fabric's name
    fabric: String,
    #[command(flatten)]
    service: ServiceArgs,
}

#[derive(Args)]
#[command(after_help = "\
Example:
  fgd-sync fabrics pause lab --reason \"NetBox is being upgraded\"

The token (FGD_TOKEN, or --token-file) needs the role `operate`.")]
pub struct PauseArgs {
    /// Fabrics by their names
    #[arg(required = true, value_name = "FABRIC")]
    fabrics: Vec<String>,
    /// Why, for whoever finds it paused
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    service: ServiceArgs,
}

#[derive(Args)]
#[command(after_help = "\
Example:
  fgd-sync fabrics resume lab

The token (FGD_TOKEN, or --token-file) needs the role `operate`.")]
pub struct ResumeArgs {
    /// Fabrics by their names
    #[arg(required = true, value_name = "FABRIC")]
    fabrics: Vec<String>,
    #[command(flatten)]
    service: ServiceArgs,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  fgd-sync fabrics get lab                 # which deletions are held
  fgd-sync fabrics confirm-deletions lab

The token (FGD_TOKEN, or --token-file) needs the role `admin`.")]
pub struct ConfirmArgs {
    /// The fabric's name
    fabric: String,
    #[command(flatten)]
    wait: WaitArgs,
    #[command(flatten)]
    service: ServiceArgs,
}

#[derive(Deserialize)]
struct Confirmed {
    job: Option<Accepted>,
}

#[derive(Deserialize)]
struct Accepted {
    job_id: String,
}

/// A fabric, as far as tables show it.
#[derive(Deserialize)]
struct Fabric {
    name: String,
    standing: String,
    repository: String,
    branch: String,
    directory: String,
    netbox: String,
    objects: u64,
    pending_changes: usize,
    conflicts: usize,
    guarded_deletions: usize,
    held: usize,
    dead_letters: usize,
    last_sync: Option<String>,
    commit: Option<String>,
    error: Option<Failed>,
    paused: Option<Pause>,
    /// Only of one fabric alone.
    #[serde(default)]
    held_objects: Vec<Held>,
}

#[derive(Deserialize)]
struct Pause {
    since: String,
    by: String,
    reason: Option<String>,
}

#[derive(Deserialize)]
struct Held {
    key: Key,
    reason: Reason,
}

/// Runs it.
pub async fn run(command: Fabrics) -> Exit {
    let done = match command {
        Fabrics::List(args) => list(&args).await,
        Fabrics::Get(args) => get(&args).await,
        Fabrics::Pause(args) => {
            let body = args.reason.map_or_else(|| json!({}), |reason| json!({"reason": reason}));
            each(&args.fabrics, "pause", &body, &args.service).await
        }
        Fabrics::Resume(args) => each(&args.fabrics, "resume", &json!({}), &args.service).await,
        Fabrics::ConfirmDeletions(args) => confirm_deletions(&args).await,
    };
    done.unwrap_or_else(|failed| failed.tell())
}

async fn list(args: &ListArgs) -> Result<Exit, Failure> {
    let client = Client::new(&args.service)?;
    let (mut fabrics, _) = client.list(&["api", "v1", "fabrics"], &[], "fabrics").await?;
    if let Some(standing) = &args.standing {
        fabrics.retain(|fabric| fabric["standing"] == standing.as_str());
    }
    show(&fabrics, args.service.output)
}

async fn get(args: &GetArgs) -> Result<Exit, Failure> {
    let client = Client::new(&args.service)?;
    let shown = client.get(&["api", "v1", "fabrics", &args.fabric], &[]).await?;
    let fabric: Fabric = read(&shown)?;
    match args.service.output {
        Output::Table => print(&fabric.text()),
        Output::Json => print_json(&shown),
    }
    Ok(if fabric.is_in_sync() { Exit::Done } else { Exit::Failed })
}

/// Does one thing to each of the fabrics, and shows how they stand then.
async fn each(fabrics: &[String], action: &str, body: &Value, service: &ServiceArgs) -> Result<Exit, Failure> {
    let client = Client::new(service)?;
    let (done, exit) = for_each(fabrics, async |fabric| {
        client.post(&["api", "v1", "fabrics", fabric, action], body).await?;
        client.get(&["api", "v1", "fabrics", fabric], &[]).await
    })
    .await;
    let fabrics: Vec<Value> = done.into_iter().map(|(_, fabric)| fabric).collect();
    if !fabrics.is_empty() {
        // How they stand is told, and not judged: nobody asked whether they are in sync.
        show(&fabrics, service.output)?;
    }
    Ok(exit)
}

async fn confirm_deletions(args: &ConfirmArgs) -> Result<Exit, Failure> {
    let client = Client::new(&args.service)?;
    let path = ["api", "v1", "fabrics", &args.fabric, "confirm-deletions"];
    let answer = client.post(&path, &json!({})).await?;
    match (read::<Confirmed>(&answer)?.job, args.service.output) {
        (Some(Accepted { job_id }), output) => finish(&client, &[job_id], &args.wait, output).await,
        (None, Output::Table) => {
            print("No deletion is held.\n");
            Ok(Exit::Done)
        }
        (None, Output::Json) => {
            print_json(&json!({"jobs": []}));
            Ok(Exit::Done)
        }
    }
}

fn show(fabrics: &[Value], output: Output) -> Result<Exit, Failure> {
    let known = fabrics.iter().map(read).collect::<Result<Vec<Fabric>, _>>()?;
    match output {
        Output::Table if known.is_empty() => print("No fabric fits.\n"),
        Output::Table => print(&table(&known)),
        Output::Json => print_json(&json!({"fabrics": fabrics})),
    }
    Ok(if known.iter().all(Fabric::is_in_sync) { Exit::Done } else { Exit::Failed })
}

/// A line for each fabric.
fn table(fabrics: &[Fabric]) -> String {
    let mut table =
        Table::new(&["FABRIC", "STANDING", "OBJECTS", "PENDING", "LAST SYNC", "WAITS FOR A PERSON", "ERROR"]);
    for fabric in fabrics {
        table.row([
            fabric.name.clone(),
            fabric.standing.clone(),
            fabric.objects.to_string(),
            fabric.pending_changes.to_string(),
            fabric.last_sync.clone().unwrap_or_else(|| "never".to_owned()),
            fabric.waits(),
            fabric.error.as_ref().map(Failed::text).unwrap_or_default(),
        ]);
    }
    table.text()
}

impl Fabric {
    fn is_in_sync(&self) -> bool {
        self.standing == "in_sync"
    }

    /// `2 conflicts, 60 deletions`; what is held for other reasons comes last.
    fn waits(&self) -> String {
        let others = self.held.saturating_sub(self.conflicts + self.guarded_deletions);
        let each = [
            (self.conflicts, "conflict"),
            (self.guarded_deletions, "deletion"),
            (self.dead_letters, "dead letter"),
            (others, "held object"),
        ];
        let each = each.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| counted(count, what));
        let all: Vec<_> = each.collect();
        if all.is_empty() { "nothing".to_owned() } else { all.join(", ") }
    }

    /// Everything about one fabric.
    fn text(&self) -> String {
        let never = |text: &Option<String>| text.clone().unwrap_or_else(|| "never".to_owned());
        let mut lines = vec![
            ("fabric", self.name.clone()),
            ("standing", self.standing.clone()),
            ("directory", format!("{}@{}/{}", self.repository, self.branch, self.directory)),
            ("netbox", self.netbox.clone()),
            ("objects", self.objects.to_string()),
            ("pending", self.pending_changes.to_string()),
            ("last sync", never(&self.last_sync)),
            ("commit", never(&self.commit)),
            ("waits", self.waits()),
        ];
        if let Some(Pause { since, by, reason }) = &self.paused {
            let reason = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            lines.push(("paused", format!("since {since} by {by}{reason}")));
        }
        if let Some(error) = &self.error {
            lines.extend([("error", error.text()), ("remedy", error.remedy.clone())]);
        }
        let mut text = String::new();
        for (name, value) in lines {
            _ = writeln!(text, "{name:<10} {}", on_one_line(&value));
        }
        if !self.held_objects.is_empty() {
            let mut table = Table::new(&["OBJECT", "REASON"]);
            self.held_objects.iter().for_each(|Held { key, reason }| table.row([key.text(), reason.text()]));
            text.push('\n');
            text.push_str(&table.text());
        }
        text
    }
}
