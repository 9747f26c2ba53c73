//! Directories are made without a running service: the work is asked for and done here, under the same leases.

use std::sync::Arc;
use std::time::Duration;

use super::{StartError, open};
use crate::config::Settings;
use crate::domain::change::Change;
use crate::domain::names::{FabricName, JobId};
use crate::domain::policy::Fabric;
use crate::domain::report::{FabricReport, JobState};
use crate::ledger::types::{Accept, Job, JobError, Origin};
use crate::ledger::{self, Clock, Ledger};
use crate::queue;
use crate::run::Runner;

/// Between two looks at a job that another worker of the same Redis has taken.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// What became of one fabric's directory.
#[derive(Debug)]
pub struct Onboarded {
    pub fabric: FabricName,
    pub state: JobState,
    /// What was done; `None` when the run did not come through.
    pub report: Option<FabricReport>,
    pub error: Option<JobError>,
}

/// Does `change` for each of the fabrics, or for all when none is named, and waits for the end of it.
///
/// Whatever else is due meanwhile is done too. May be repeated.
pub async fn init_fabrics(
    settings: &Settings,
    only: &[FabricName],
    change: &Change,
) -> Result<Vec<Onboarded>, StartError> {
    if let Some(name) = only.iter().find(|name| !settings.fabrics.contains_key(name)) {
        return Err(StartError::NoSuchFabric { name: name.clone() });
    }
    let (ledger, runner) = open(settings, Clock::default()).await?;
    let chosen = settings.fabrics.values().filter(|fabric| only.is_empty() || only.contains(&fabric.name));
    let mut asked = Vec::new();
    for fabric in chosen {
        asked.push((fabric.name.clone(), ask(&ledger, fabric, change).await?));
    }
    let mut all = Vec::new();
    for (fabric, job) in asked {
        all.push(until_done(&ledger, &runner, fabric, &job).await?);
    }
    drop(runner);
    ledger.close().await;
    Ok(all)
}

async fn ask(ledger: &Ledger, fabric: &Fabric, change: &Change) -> Result<JobId, ledger::Error> {
    let changes = vec![(fabric.name.clone(), fabric.target.clone(), change.clone())];
    let origin = Origin::Request { what: format!("{change} by the command line") };
    Ok(ledger.accept(&Accept { origin, dedupe: None, changes, at_once: true }).await?.job)
}

async fn until_done(
    ledger: &Ledger,
    runner: &Arc<Runner>,
    fabric: FabricName,
    job: &JobId,
) -> Result<Onboarded, ledger::Error> {
    let worker = format!("init-{}", std::process::id());
    loop {
        let worked = queue::step(ledger, runner.as_ref(), &worker).await?;
        let Some(Job { state, mut parts, .. }) = ledger.job(job).await? else {
            return Ok(Onboarded { fabric, state: JobState::Cancelled, report: None, error: None });
        };
        let part = parts.pop();
        let error = part.as_ref().and_then(|part| part.error.clone());
        match state {
            JobState::Queued | JobState::Running if worked => {}
            JobState::Queued | JobState::Running => {
                let pauses = ledger.pauses().await?;
                if pauses.everything.is_some() || pauses.fabrics.contains_key(&fabric) {
                    return Ok(Onboarded { error: Some(paused(&fabric)), fabric, state, report: None });
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            // Tried again later, but not by this process.
            JobState::Waiting | JobState::Stalled => return Ok(Onboarded { fabric, state, report: None, error }),
            JobState::Held | JobState::Succeeded | JobState::Failed | JobState::Dead | JobState::Cancelled => {
                let report = match part.and_then(|part| part.run) {
                    Some(run) => ledger.report(&run, &fabric).await?,
                    None => None,
                };
                return Ok(Onboarded { fabric, state, report, error });
            }
        }
    }
}

fn paused(fabric: &FabricName) -> JobError {
    JobError {
        code: "paused".to_owned(),
        message: format!("the work on {fabric} is paused"),
        remedy: "resume it (POST /api/v1/fabrics/{name}/resume): the request is kept, and done then".to_owned(),
    }
}
