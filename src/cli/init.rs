//! `fgd-sync init`: makes the fabrics' directories, through a running service or without one.

use std::time::Duration;

use clap::Args;
use serde::Deserialize;
use serde_json::json;

use fgd_sync::app::{self, Onboarded};
use fgd_sync::domain::change::Change;
use fgd_sync::domain::directory::DirectoryWork;
use fgd_sync::domain::names::FabricName;
use fgd_sync::domain::report::{FabricReport, JobState};

use super::client::{Client, Failure, ServiceArgs, read};
use super::exit::{Exit, fail};
use super::output::{Output, print, print_json};
use super::settings::SettingsFile;
use super::sync::every_fabric;
use super::wait::{for_each, until_ended};

/// What `init` takes.
#[derive(Args)]
#[command(after_help = HELP)]
pub struct InitArgs {
    /// Only this fabric; may be given several times [default: all]
    #[arg(long = "fabric", value_name = "NAME")]
    fabrics: Vec<String>,
    /// Also put back what was deleted of a directory on purpose, and look through all of it for documents
    #[arg(long)]
    force: bool,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// Wait no longer than this, such as 90s or 10m; the job goes on [default: as long as it takes]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, conflicts_with = "direct")]
    timeout: Option<Duration>,
    /// Do it here, with the settings file, instead of asking a running service
    #[arg(long)]
    direct: bool,
    #[command(flatten)]
    settings: SettingsFile,
    #[command(flatten)]
    service: ServiceArgs,
}

const HELP: &str = "\
A running service does it, with its own settings; its token (FGD_TOKEN, or --token-file) needs the role `operate`.
With --direct this process does it with the settings file (--config) and no service need run. Beside a running one
that works when both share a Redis server; with `redis: embedded` the service holds the Redis, so ask the service.

One commit for each repository and branch, none where everything is right. Documents that lie in a directory when
it is first seen are taken over. --force never replaces a file that is there, and never takes over a directory that
another service's marker claims: POST /api/v1/fabrics/{name}/adopt does that.

It ends with 0 when every directory is as it shall be, though objects may wait for a person; else with 1.";

/// Runs it.
pub async fn run(args: &InitArgs) -> Exit {
    let told = if args.direct {
        directly(args).await
    } else {
        through_the_service(args).await.map_err(|failed| failed.tell())
    };
    match told {
        Ok((all, refused)) => {
            if args.service.output == Output::Table || args.direct {
                all.iter().for_each(|told| print(&format!("{}\n", told.line(args.dry_run))));
            }
            refused.and(if all.iter().all(Told::is_done) { Exit::Done } else { Exit::Failed })
        }
        Err(exit) => exit,
    }
}

/// What became of one directory, for a person.
struct Told {
    fabric: String,
    state: JobState,
    report: Option<ReportSeen>,
    /// With its remedy.
    error: Option<String>,
}

/// What is told of a report.
#[derive(Deserialize)]
struct ReportSeen {
    commit: Option<String>,
    counts: HeldSeen,
    directory: DirectorySeen,
}

#[derive(Deserialize)]
struct HeldSeen {
    held: u64,
}

#[derive(Deserialize)]
struct DirectorySeen {
    work: DirectoryWork,
    written: Vec<String>,
}

impl Told {
    fn is_done(&self) -> bool {
        matches!(self.state, JobState::Succeeded | JobState::Held)
    }

    fn line(&self, dry_run: bool) -> String {
        let Some(report) = self.report.as_ref().filter(|_| self.is_done()) else {
            let why = self.error.as_deref().unwrap_or("see the job");
            return format!("{}: not done ({}): {why}", self.fabric, self.state.as_str());
        };
        let would = if dry_run { "would be " } else { "" };
        let done = match report.directory.work {
            DirectoryWork::None => "is right".to_owned(),
            DirectoryWork::Initialize => format!("{would}initialized"),
            DirectoryWork::Adopt => format!("{would}adopted"),
            DirectoryWork::Tend => format!("{would}mended"),
            DirectoryWork::Move => format!("{would}moved"),
        };
        let mut line = format!("{}: the directory {done}", self.fabric);
        match report.directory.written.len() {
            0 => {}
            1 => line += &format!(", 1 part {would}written ({})", report.directory.written[0]),
            parts => line += &format!(", {parts} parts {would}written"),
        }
        if let Some(commit) = &report.commit {
            line += &format!(", commit {}", &commit[..10.min(commit.len())]);
        }
        if report.counts.held > 0 {
            line += &format!("; {} objects or documents wait for a person", report.counts.held);
        }
        line
    }
}

async fn directly(args: &InitArgs) -> Result<(Vec<Told>, Exit), Exit> {
    let settings = args.settings.load()?;
    let only: Vec<FabricName> = args.fabrics.iter().map(FabricName::new).collect();
    let change = match (args.force, args.dry_run) {
        (false, false) => Change::Everything,
        (false, true) => Change::DryRun,
        (true, false) => Change::Restore,
        (true, true) => Change::RestoreDryRun,
    };
    let all = app::init_fabrics(&settings, &only, &change).await.map_err(|failed| fail(&failed))?;
    Ok((all.into_iter().map(Told::from).collect(), Exit::Done))
}

impl From<Onboarded> for Told {
    fn from(done: Onboarded) -> Self {
        Self {
            fabric: done.fabric.to_string(),
            state: done.state,
            report: done.report.map(ReportSeen::from),
            error: done.error.map(|error| format!("{}; {}", error.message, error.remedy)),
        }
    }
}

impl From<FabricReport> for ReportSeen {
    fn from(report: FabricReport) -> Self {
        let written = report.directory.written.into_iter().map(String::from).collect();
        Self {
            commit: report.commit.map(String::from),
            counts: HeldSeen { held: report.counts.held },
            directory: DirectorySeen { work: report.directory.work, written },
        }
    }
}

#[derive(Deserialize)]
struct JobSeen {
    state: JobState,
    parts: Vec<PartSeen>,
}

#[derive(Deserialize)]
struct PartSeen {
    report: Option<ReportSeen>,
    error: Option<ErrorSeen>,
}

#[derive(Deserialize)]
struct ErrorSeen {
    message: String,
    remedy: String,
}

async fn through_the_service(args: &InitArgs) -> Result<(Vec<Told>, Exit), Failure> {
    let client = Client::new(&args.service)?;
    let fabrics = if args.fabrics.is_empty() { every_fabric(&client).await? } else { args.fabrics.clone() };
    let body = json!({ "force": args.force, "dry_run": args.dry_run });
    let (asked, refused) =
        for_each(&fabrics, async |fabric| client.ask(&["api", "v1", "fabrics", fabric, "init"], &body).await).await;
    let (fabrics, ids): (Vec<&String>, Vec<String>) = asked.into_iter().unzip();
    let jobs = until_ended(&client, &ids, args.timeout).await?;
    let told = fabrics.into_iter().cloned().zip(&jobs).map(|(fabric, job)| {
        let JobSeen { state, mut parts } = read(job)?;
        let (report, error) = parts.pop().map_or((None, None), |part| (part.report, part.error));
        let error = error.map(|error| format!("{}; {}", error.message, error.remedy));
        Ok(Told { fabric, state, report, error })
    });
    let told = told.collect::<Result<Vec<Told>, Failure>>()?;
    if args.service.output == Output::Json {
        print_json(&json!({ "jobs": jobs }));
    }
    Ok((told, refused))
}
