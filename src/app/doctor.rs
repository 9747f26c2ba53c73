//! Trying everything that the settings name, for real and reading only: each finding says what is, and what to change.

mod git;
mod netbox;
mod service;

use std::future::Future;

use futures::future::join_all;
use serde::Serialize;

use super::{StartError, ledger_options, netboxes, repositories};
use crate::config::Settings;
use crate::domain::cause::with_causes;
use crate::ledger::{self, Examined};

/// One thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// `redis`, `netbox main`, `repository main`, `service`.
    pub about: String,
    pub verdict: Verdict,
    /// What is.
    pub what: String,
    /// What to change; `None` where all is well.
    pub remedy: Option<String>,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Ok,
    /// It works, but something is at risk or comes late.
    Warning,
    /// It does not work.
    Failed,
}

/// Findings about one thing.
struct Notes {
    about: String,
    findings: Vec<Finding>,
}

impl Notes {
    fn about(about: impl Into<String>) -> Self {
        Self { about: about.into(), findings: Vec::new() }
    }

    fn ok(&mut self, what: impl Into<String>) {
        self.note(Verdict::Ok, what.into(), None);
    }

    fn warn(&mut self, what: impl Into<String>, remedy: impl Into<String>) {
        self.note(Verdict::Warning, what.into(), Some(remedy.into()));
    }

    fn fail(&mut self, what: impl Into<String>, remedy: impl Into<String>) {
        self.note(Verdict::Failed, what.into(), Some(remedy.into()));
    }

    fn note(&mut self, verdict: Verdict, what: String, remedy: Option<String>) {
        self.findings.push(Finding { about: self.about.clone(), verdict, what, remedy });
    }
}

/// Tries Redis, each NetBox, each repository and the service's own surroundings; all at once, told in this order.
///
/// An error is a setting that cannot even be tried.
pub async fn examine(settings: &Settings) -> Result<Vec<Finding>, StartError> {
    let netboxes = netboxes(settings)?;
    let repositories = repositories::open(settings, None)?;
    let redis = redis(settings)?;
    let netboxes = join_all(netboxes.values().map(|client| netbox::examine(settings, client)));
    let repositories = join_all(repositories.iter().map(|(name, site)| git::examine(settings, name, site)));
    let (redis, netboxes, repositories, service) =
        tokio::join!(redis, netboxes, repositories, service::examine(settings));
    let all = [redis].into_iter().chain(netboxes).chain(repositories).chain([service]);
    Ok(all.flat_map(|notes| notes.findings).collect())
}

fn redis(settings: &Settings) -> Result<impl Future<Output = Notes>, StartError> {
    let connection = ledger_options(settings)?.connection;
    Ok(async move {
        let mut notes = Notes::about("redis");
        match ledger::examine(&connection).await {
            Ok(Examined::Running { version, round_trip, risks }) => {
                notes.ok(format!("Redis {version} answers in {} µs", round_trip.as_micros()));
                if risks.is_empty() {
                    notes.ok("it evicts nothing and syncs every write");
                }
                for risk in risks {
                    let (what, remedy) = risk.split_once(". ").unwrap_or((&risk, "See the settings of your Redis."));
                    notes.warn(what, remedy);
                }
            }
            Ok(Examined::Installed { version }) => {
                notes.ok(format!("not running; serve starts a private one: {version}"))
            }
            Err(error) => notes.fail(
                with_causes(&error),
                "Start Redis, and check `redis` in the settings: address, password, certificates, network.",
            ),
        }
        notes
    })
}
