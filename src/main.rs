//! The command line.

mod cli;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use fgd_sync::app::Duty;

use cli::exit::{EXIT_CODES, Exit};
use cli::settings::SettingsFile;

/// Gives memory back to the system once a large fabric is done with; what glibc keeps would stay for good.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Keeps a Fabric GitOps Directory in Git and NetBox equal, both ways.
#[derive(Parser)]
#[command(version, after_help = START, after_long_help = format!("{START}\n\n{EXIT_CODES}"))]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const START: &str = "\
Begin with:
  fgd-sync check --config fgd-sync.yaml          # every error of the settings at once
  fgd-sync doctor --config fgd-sync.yaml         # every connection, tried for real
  fgd-sync setup netbox --config fgd-sync.yaml   # object types, webhook and event rules
  fgd-sync serve --config fgd-sync.yaml

Ask a running service (FGD_URL, and the token in FGD_TOKEN or a file):
  fgd-sync fabrics list
  fgd-sync sync lab
  fgd-sync jobs list --state stalled
  fgd-sync conflicts list";

const SERVING: &str = "\
Before the first start:
  fgd-sync check           # the settings; `fgd-sync settings` tells them all
  fgd-sync setup netbox    # object types, webhook and event rule
  fgd-sync doctor          # every connection

When told to end it finishes or hands back what runs. `serve` is `receiver` and `worker` in one process; any number of
each may share one Redis (not an embedded one).";

#[derive(Subcommand)]
enum Command {
    /// Receive webhooks, work on them and answer the status API, until SIGTERM or Ctrl-C.
    #[command(after_help = SERVING)]
    Serve(SettingsFile),
    /// Only receive webhooks and answer the status API; workers do the rest over the same Redis.
    #[command(after_help = SERVING)]
    Receiver(SettingsFile),
    /// Only work and keep the schedules; health and metrics are at the setting `worker_listen`.
    #[command(after_help = SERVING)]
    Worker(SettingsFile),
    /// Check the settings and report every error at once; reaches no server.
    Check(cli::check::CheckArgs),
    /// Try every connection of the settings for real, reading only, and say what to change.
    Doctor(cli::doctor::DoctorArgs),
    /// Prepare a server that fgd-sync works with.
    Setup {
        #[command(subcommand)]
        server: cli::setup::Setup,
    },
    /// Look at fabrics: whether each is in sync, and what waits for a person.
    Fabrics {
        #[command(subcommand)]
        command: cli::fabrics::Fabrics,
    },
    /// Compare fabrics as a whole and bring both sides together, now.
    Sync(cli::sync::SyncArgs),
    /// Look at jobs: what became of every accepted delivery and request.
    Jobs {
        #[command(subcommand)]
        command: cli::jobs::Jobs,
    },
    /// Look at conflicts, and decide them.
    Conflicts {
        #[command(subcommand)]
        command: cli::conflicts::Conflicts,
    },
    /// Tell what differs between Git and NetBox.
    Drift(cli::drift::DriftArgs),
    /// Make the fabrics' directories in their repositories; what is right already is left alone.
    Init(cli::init::InitArgs),
    /// Check Kubernetes documents as the service and a cluster would; needs no server and no settings.
    Lint(cli::lint::LintArgs),
    /// Print the API description (OpenAPI, JSON).
    Openapi,
    /// Print the reference of all settings (Markdown).
    Settings,
    /// Print the completions for a shell.
    Completions(cli::completions::CompletionsArgs),
}

#[tokio::main]
async fn main() -> ExitCode {
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        eprintln!("fgd-sync: a TLS provider is installed already; this is a defect");
        return ExitCode::FAILURE;
    }
    run(Cli::parse().command).await.into()
}

async fn run(command: Command) -> Exit {
    match command {
        Command::Serve(file) => cli::serve::run(&file, Duty::Everything).await,
        Command::Receiver(file) => cli::serve::run(&file, Duty::Receive).await,
        Command::Worker(file) => cli::serve::run(&file, Duty::Work).await,
        Command::Check(args) => cli::check::run(&args),
        Command::Doctor(args) => cli::doctor::run(&args).await,
        Command::Setup { server } => cli::setup::run(server).await,
        Command::Fabrics { command } => cli::fabrics::run(command).await,
        Command::Sync(args) => cli::sync::run(&args).await,
        Command::Jobs { command } => cli::jobs::run(command).await,
        Command::Conflicts { command } => cli::conflicts::run(command).await,
        Command::Drift(args) => cli::drift::run(&args).await,
        Command::Init(args) => cli::init::run(&args).await,
        Command::Lint(args) => cli::lint::run(&args),
        Command::Openapi => cli::openapi::run(),
        Command::Settings => cli::reference::run(),
        Command::Completions(args) => cli::completions::run(&args),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn every_command_and_every_argument_says_what_it_is() {
        let mut all = vec![Cli::command()];
        let mut seen = 0;
        while let Some(command) = all.pop() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{} {}", command.get_name(), argument.get_id());
                seen += 1;
            }
            all.extend(command.get_subcommands().cloned());
        }
        assert!(seen > 40, "{seen}");
    }
}
