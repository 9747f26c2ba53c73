//! `fgd-sync init`: makes the fabrics' directories, through a running service or without one.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use reqwest::Client;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use url::Url;

use fgd_sync::app::{self, Onboarded};
use fgd_sync::domain::change::Change;
use fgd_sync::domain::directory::DirectoryWork;
use fgd_sync::domain::names::FabricName;
use fgd_sync::domain::report::{FabricReport, JobState};
use fgd_sync::domain::secret::SecretSource;

use crate::{SettingsFile, USAGE, fail, load};

/// Make the fabrics' directories in their repositories; what is right already is left alone.
#[derive(Args)]
#[command(after_long_help = LONG_HELP)]
pub struct InitArgs {
    #[command(flatten)]
    settings: SettingsFile,
    /// Only this fabric; may be given several times [default: all]
    #[arg(long = "fabric", value_name = "NAME")]
    fabrics: Vec<String>,
    /// Also put back what was deleted of a directory on purpose, and look through all of it for documents
    #[arg(long)]
    force: bool,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// Ask the service that runs there, such as https://sync.example.com
    #[arg(long, value_name = "URL")]
    url: Option<Url>,
    /// The file with an API token for it [default: $FGD_API_TOKEN]
    #[arg(long, value_name = "FILE", requires = "url")]
    token_file: Option<PathBuf>,
}

const LONG_HELP: &str = "\
With --url a running service does it, with its own settings; a token of the role `operate` is needed.
Without --url this process does it with the settings file. That needs no running service; beside one it works
when both share a Redis server. With `redis: embedded` a running service holds the Redis: then use --url.

One commit for each repository and branch, none where everything is right. Documents that lie in a directory
when it is first seen are taken over. --force never replaces a file that is there, and never takes over a
directory that another service's marker claims: POST /api/v1/fabrics/{name}/adopt does that.

Exit codes: 0 done, though objects may wait for a person; 1 a directory could not be made; 2 the command line
or the settings are wrong.";

/// How long one answer of the service may take.
const ANSWER: Duration = Duration::from_secs(30);
/// Between two looks at a job.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Runs it.
pub async fn run(args: &InitArgs) -> ExitCode {
    let told = match &args.url {
        None => directly(args).await,
        Some(url) => through_the_service(args, url).await,
    };
    match told {
        Ok(all) => {
            all.iter().for_each(|told| println!("{}", told.line(args.dry_run)));
            if all.iter().all(Told::is_done) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(code) => code,
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

async fn directly(args: &InitArgs) -> Result<Vec<Told>, ExitCode> {
    let settings = load(&args.settings)?;
    let only: Vec<FabricName> = args.fabrics.iter().map(FabricName::new).collect();
    let change = match (args.force, args.dry_run) {
        (false, false) => Change::Everything,
        (false, true) => Change::DryRun,
        (true, false) => Change::Restore,
        (true, true) => Change::RestoreDryRun,
    };
    let all = app::init_fabrics(&settings, &only, &change).await.map_err(|failed| fail(&failed))?;
    Ok(all.into_iter().map(Told::from).collect())
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

async fn through_the_service(args: &InitArgs, url: &Url) -> Result<Vec<Told>, ExitCode> {
    let usage = |what: String| {
        eprintln!("error: {what}");
        ExitCode::from(USAGE)
    };
    let source = match (&args.token_file, std::env::var("FGD_API_TOKEN")) {
        (Some(file), _) => SecretSource::File(file.clone()),
        (None, Ok(token)) => SecretSource::Text(token.into()),
        (None, Err(_)) => return Err(usage("no API token: give --token-file, or set FGD_API_TOKEN".to_owned())),
    };
    let token = source.read().map_err(|error| usage(error.to_string()))?;
    let mut root = url.clone();
    if !root.path().ends_with('/') {
        root.set_path(&format!("{}/", root.path()));
    }
    let client = Client::builder().timeout(ANSWER).build().map_err(|error| fail(&error))?;
    let service = Service { client, root, token };
    service.init(args).await.map_err(|problem| {
        eprintln!("error: {problem}");
        ExitCode::FAILURE
    })
}

/// A running service's API.
struct Service {
    client: Client,
    root: Url,
    token: SecretString,
}

#[derive(Deserialize)]
struct FabricsPage {
    fabrics: Vec<Named>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct FabricSeen {
    paused: Option<Value>,
}

#[derive(Deserialize)]
struct AcceptedSeen {
    job_id: String,
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

impl Service {
    async fn init(&self, args: &InitArgs) -> Result<Vec<Told>, String> {
        let fabrics = if args.fabrics.is_empty() { self.all_fabrics().await? } else { args.fabrics.clone() };
        let mut asked = Vec::new();
        for fabric in fabrics {
            let url = self.at(&["fabrics", &fabric, "init"]);
            let body = json!({ "force": args.force, "dry_run": args.dry_run });
            let accepted: AcceptedSeen = self.ask(self.client.post(url).json(&body)).await?;
            asked.push((fabric, accepted.job_id));
        }
        let mut all = Vec::new();
        for (fabric, job) in asked {
            all.push(self.until_done(fabric, &job).await?);
        }
        Ok(all)
    }

    async fn all_fabrics(&self) -> Result<Vec<String>, String> {
        let mut names = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let mut url = self.at(&["fabrics"]);
            if let Some(cursor) = &cursor {
                url.query_pairs_mut().append_pair("cursor", cursor);
            }
            let page: FabricsPage = self.ask(self.client.get(url)).await?;
            names.extend(page.fabrics.into_iter().map(|fabric| fabric.name));
            match page.next {
                Some(next) => cursor = Some(next),
                None => return Ok(names),
            }
        }
    }

    async fn until_done(&self, fabric: String, job: &str) -> Result<Told, String> {
        loop {
            let JobSeen { state, mut parts } = self.ask(self.client.get(self.at(&["jobs", job]))).await?;
            if matches!(state, JobState::Queued | JobState::Running) {
                let FabricSeen { paused } = self.ask(self.client.get(self.at(&["fabrics", &fabric]))).await?;
                if state == JobState::Queued && paused.is_some() {
                    let error = "the work on it is paused; the request is kept, and done when it is resumed";
                    return Ok(Told { fabric, state, report: None, error: Some(error.to_owned()) });
                }
                tokio::time::sleep(LOOK_AGAIN).await;
                continue;
            }
            let (report, error) = parts.pop().map_or((None, None), |part| (part.report, part.error));
            let error = error.map(|error| format!("{}; {}", error.message, error.remedy));
            return Ok(Told { fabric, state, report, error });
        }
    }

    /// An address below `api/v1/`; whatever the names hold stays one part of it.
    fn at(&self, parts: &[&str]) -> Url {
        let mut url = self.root.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["api", "v1"]).extend(parts);
        }
        url
    }

    async fn ask<T: DeserializeOwned>(&self, request: reqwest::RequestBuilder) -> Result<T, String> {
        let answer = request.bearer_auth(self.token.expose_secret()).send().await;
        let answer = answer.map_err(|error| format!("the service at {} does not answer: {error}", self.root))?;
        let status = answer.status();
        let body: Value =
            answer.json().await.map_err(|error| format!("{} is no service of ours ({status}): {error}", self.root))?;
        if !status.is_success() {
            let text = |field: &str| body.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
            return Err(format!("the service answers {status}: {} {}", text("detail"), text("remedy")));
        }
        serde_json::from_value(body).map_err(|error| format!("the service's answer is of another version: {error}"))
    }
}
