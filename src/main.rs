//! The command line.

mod cli;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use tracing_subscriber::EnvFilter;

use fgd_sync::app::{self, App, NetBoxSetup};
use fgd_sync::config::{self, LogFormat, ObjectModel, Settings};
use fgd_sync::domain::cause::with_causes;
use fgd_sync::domain::names::{NetBoxName, RepoName};
use fgd_sync::http;
use fgd_sync::ledger::Clock;

/// Keeps a Fabric GitOps Directory in Git and NetBox equal, both ways.
#[derive(Parser)]
#[command(version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 it failed, and the message says why; 2 the command line or the settings are wrong.

Start with `fgd-sync check --config fgd-sync.yaml`, then `fgd-sync setup netbox`, then `fgd-sync serve`.";

#[derive(Subcommand)]
enum Command {
    /// Receive webhooks, work on them and answer the status API, until SIGTERM or Ctrl-C.
    Serve(SettingsFile),
    /// Check the settings and report every error at once; reaches no server.
    Check(SettingsFile),
    /// Prepare a server that fgd-sync works with.
    Setup {
        #[command(subcommand)]
        server: Setup,
    },
    /// Check Kubernetes documents as the service and a cluster would; needs no server and no settings.
    Lint(cli::lint::LintArgs),
    /// Print the API description (OpenAPI, JSON).
    Openapi,
}

#[derive(Args)]
struct SettingsFile {
    /// The settings file [default: $FGD_CONFIG, else fgd-sync.yaml]
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Setup {
    /// Create object types, webhook and event rules in NetBox; what is right already is left alone.
    Netbox {
        #[command(flatten)]
        settings: SettingsFile,
        /// Only this NetBox of the settings [default: all]
        #[arg(long)]
        name: Option<String>,
        /// How the NetBox holds the objects [default: what the settings say]
        #[arg(long, value_enum)]
        model: Option<ModelArg>,
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
    },
    /// Create or mend the webhook of repositories of kind `github`; needs the permission Webhooks: write.
    Github {
        #[command(flatten)]
        settings: SettingsFile,
        /// Only this repository of the settings [default: all]
        #[arg(long)]
        name: Option<String>,
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
    },
}

/// `model` of a NetBox, as the command line spells it.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum ModelArg {
    /// Custom object types, which are created.
    CustomObjects,
    /// The Hedgehog plugin's own models.
    Hedgehog,
}

/// The command line or the settings are wrong.
const USAGE: u8 = 2;

#[tokio::main]
async fn main() -> ExitCode {
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        eprintln!("fgd-sync: a TLS provider is installed already; this is a defect");
        return ExitCode::FAILURE;
    }
    match Cli::parse().command {
        Command::Serve(file) => match load(&file) {
            Ok(settings) => serve(settings).await,
            Err(code) => code,
        },
        Command::Check(file) => check(&file),
        Command::Setup { server: Setup::Netbox { settings, name, model, dry_run } } => match load(&settings) {
            Ok(settings) => {
                let model = model.map(|model| match model {
                    ModelArg::CustomObjects => ObjectModel::CustomObjects,
                    ModelArg::Hedgehog => ObjectModel::Hedgehog,
                });
                setup_netbox(&settings, &NetBoxSetup { only: name.map(NetBoxName::new), model, dry_run }).await
            }
            Err(code) => code,
        },
        Command::Setup { server: Setup::Github { settings, name, dry_run } } => match load(&settings) {
            Ok(settings) => setup_github(&settings, name.map(RepoName::new), dry_run).await,
            Err(code) => code,
        },
        Command::Lint(args) => cli::lint::run(&args),
        Command::Openapi => openapi(),
    }
}

/// Reads the settings, or prints everything that is wrong with them.
fn load(file: &SettingsFile) -> Result<Settings, ExitCode> {
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let settings = config::load(file.config.as_deref(), &environment).map_err(|problems| {
        for problem in &problems {
            eprintln!("error: {problem}");
        }
        eprintln!("{} in the settings", counted(problems.len(), "error"));
        ExitCode::from(USAGE)
    })?;
    for warning in &settings.warnings {
        eprintln!("warning: {warning}");
    }
    Ok(settings)
}

fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn check(file: &SettingsFile) -> ExitCode {
    match load(file) {
        Ok(settings) => {
            if let Err(failed) = app::crds(&settings) {
                fail(&failed);
                return ExitCode::from(USAGE);
            }
            println!(
                "The settings are good: {}, {}, {}.",
                counted(settings.fabrics.len(), "fabric"),
                if settings.repositories.len() == 1 {
                    "1 repository".to_owned()
                } else {
                    format!("{} repositories", settings.repositories.len())
                },
                counted(settings.netboxes.len(), "NetBox instance"),
            );
            ExitCode::SUCCESS
        }
        Err(code) => code,
    }
}

async fn serve(settings: Settings) -> ExitCode {
    if let Err(code) = start_logging(&settings) {
        return code;
    }
    let app = match App::build(settings, Clock::default()).await {
        Ok(app) => app,
        Err(failed) => return fail(&failed),
    };
    match app.run_until(shutdown()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => fail(&failed),
    }
}

fn start_logging(settings: &Settings) -> Result<(), ExitCode> {
    let filter = EnvFilter::try_new(&settings.log.filter).map_err(|error| {
        eprintln!("error: log.filter: `{}` is not a filter: {error}", settings.log.filter);
        ExitCode::from(USAGE)
    })?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match settings.log.format {
        // Colours are for eyes: in a journal or file they would be noise.
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
    Ok(())
}

/// Ends with SIGTERM or SIGINT.
async fn shutdown() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        }
        Err(error) => {
            tracing::warn!(error = %error, "SIGTERM cannot be caught: only Ctrl-C stops gracefully");
            let _ = tokio::signal::ctrl_c().await;
        }
    }
    tracing::info!("stopping: no new work is taken, what runs is finished");
}

async fn setup_github(settings: &Settings, only: Option<RepoName>, dry_run: bool) -> ExitCode {
    match app::setup_githubs(settings, only.as_ref(), dry_run, |step| println!("{step}")).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => fail(&failed),
    }
}

async fn setup_netbox(settings: &Settings, wish: &NetBoxSetup) -> ExitCode {
    match app::setup_netboxes(settings, wish, |step| println!("{step}")).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => fail(&failed),
    }
}

fn openapi() -> ExitCode {
    match http::openapi().to_pretty_json() {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error),
    }
}

/// Prints an error with all its causes.
fn fail(failed: &dyn std::error::Error) -> ExitCode {
    eprintln!("error: {}", with_causes(failed));
    ExitCode::FAILURE
}
