//! `fgd-sync serve`, `receiver` and `worker`: the service, whole or in halves.

use std::io::IsTerminal;

use tracing::Level;
use tracing_subscriber::filter::{EnvFilter, Targets};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use fgd_sync::app::{self, App, Duty};
use fgd_sync::config::{LogFormat, Redis, Settings};
use fgd_sync::domain::cause::with_causes;
use fgd_sync::ledger::Clock;
use fgd_sync::telemetry::Exporting;

use super::exit::{Exit, fail};
use super::settings::SettingsFile;

/// Runs it until SIGTERM or Ctrl-C.
pub async fn run(file: &SettingsFile, duty: Duty) -> Exit {
    let settings = match file.load() {
        Ok(settings) => settings,
        Err(exit) => return exit,
    };
    let exporting = match can_be_shared(&settings, duty).and_then(|()| start_telling(&settings)) {
        Ok(exporting) => exporting,
        Err(exit) => return exit,
    };
    let exit = serve(duty, settings).await;
    if let Some(exporting) = exporting {
        exporting.finish().await;
    }
    exit
}

async fn serve(duty: Duty, settings: Settings) -> Exit {
    let app = match App::build_for(duty, settings, Clock::default()).await {
        Ok(app) => app,
        Err(failed) => return fail(&failed),
    };
    match app.run_until(shutdown()).await {
        Ok(()) => Exit::Done,
        Err(failed) => fail(&failed),
    }
}

/// A private Redis serves the one process that started it: halves would each have a ledger of their own.
fn can_be_shared(settings: &Settings, duty: Duty) -> Result<(), Exit> {
    match (&settings.redis, duty) {
        (Redis::Embedded, Duty::Receive | Duty::Work) => {
            eprintln!(
                "error: redis: `embedded` is for `fgd-sync serve` alone: receivers and workers share one Redis\n    \
                 Write `redis: {{url: redis://host:6379}}`, or set FGD_REDIS_URL."
            );
            Err(Exit::Usage)
        }
        (Redis::Embedded, Duty::Everything) | (Redis::Server { .. }, _) => Ok(()),
    }
}

/// Begins to write the log and, where the settings say so, to send traces.
fn start_telling(settings: &Settings) -> Result<Option<Exporting>, Exit> {
    let filter = EnvFilter::try_new(&settings.log.filter).map_err(|error| {
        eprintln!("error: log.filter: `{}` is not a filter: {error}", settings.log.filter);
        Exit::Usage
    })?;
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match settings.log.format {
        // Colours are for eyes: in a journal or file they would be noise.
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let (traces, exporting) = app::traces(settings)
        .map_err(|error| {
            eprintln!("error: telemetry: {}", with_causes(&error));
            Exit::Usage
        })?
        .unzip();
    // Our own spans, whatever the log shows of them.
    let ours = Targets::new().with_target("fgd_sync", Level::DEBUG);
    let traces = traces.map(|traces| traces.with_filter(ours));
    tracing_subscriber::registry().with(lines.with_filter(filter)).with(traces).init();
    Ok(exporting)
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
