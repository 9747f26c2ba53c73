//! What the settings say to the ledger.

use crate::config::{self, Settings};
use crate::domain::names::RepoName;
use crate::domain::secret::SecretError;
use crate::ledger::servers::{Needs, RepositoryNeeds};
use crate::ledger::types::Debounce;
use crate::ledger::{self, Connection};

use super::STALLED_AGAIN;

/// How the ledger of these settings is opened.
pub(super) fn ledger_options(settings: &Settings) -> Result<ledger::Options, SecretError> {
    let (connection, prefix) = match &settings.redis {
        config::Redis::Embedded => (Connection::Embedded { directory: settings.data_directory.join("redis") }, None),
        config::Redis::Server { url, ca_file, prefix } => {
            (Connection::Url { url: url.read()?, ca_file: ca_file.clone() }, Some(prefix))
        }
    };
    let mut options = ledger::Options::new(connection);
    if let Some(prefix) = prefix {
        options.prefix = prefix.clone();
    }
    options.debounce = Debounce {
        quiet: settings.debounce.quiet,
        max_wait: settings.debounce.max_wait,
        max_changes: settings.debounce.max_changes,
    };
    options.lease = settings.lease;
    options.retry.first = settings.retry.first_wait;
    options.retry.longest = settings.retry.longest_wait;
    options.retry.max_attempts = settings.retry.attempts;
    options.retry.stalled_again = STALLED_AGAIN;
    options.circuit.failures = settings.circuit_breaker.failures;
    options.circuit.first = settings.circuit_breaker.first_wait;
    options.circuit.longest = settings.circuit_breaker.longest_wait;
    options.needs = needs(settings);
    if let Some(window) = settings.fabrics.values().map(|fabric| fabric.policy.guard.window).max() {
        options.deletion_window = window;
    }
    Ok(options)
}

/// What runs need of both sides, for the ledger to decide who may run.
fn needs(settings: &Settings) -> Needs {
    let repository = |(name, repository): (&RepoName, &config::Repository)| {
        (name.clone(), RepositoryNeeds { max_runs: repository.max_runs, host: repository.host() })
    };
    Needs {
        repositories: settings.repositories.iter().map(repository).collect(),
        netboxes: settings.netboxes.iter().map(|(name, netbox)| (name.clone(), netbox.max_runs)).collect(),
        fabrics: settings.fabrics.iter().map(|(name, fabric)| (name.clone(), fabric.netbox.clone())).collect(),
    }
}
