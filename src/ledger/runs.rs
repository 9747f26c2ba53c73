//! Runs: when each began and ended, on what, and what came of it.

use std::time::Duration;

use serde::Deserialize;

use crate::domain::names::{FabricName, JobId, Oid, RunId};

use super::pages::{Fields, cut, parts};
use super::query::read_target;
use super::types::{AskedBy, Run, RunFilter, RunOutcome, RunPage, RunPart};
use super::{Error, Ledger, parse, parse_word};

/// Runs on a page at most.
const MOST: usize = 500;

impl Ledger {
    /// A run; `None` for an unknown one and for one beyond the retention.
    pub async fn run(&self, id: &RunId) -> Result<Option<Run>, Error> {
        read_run(id.clone(), self.hash("run", id, "read a run").await?)
    }

    /// A page of runs, the newest first. Costs the page, however many runs there are.
    ///
    /// The page after a run that is no longer kept is empty: so are all that were older.
    pub async fn runs(&self, filter: &RunFilter) -> Result<RunPage, Error> {
        let index = match &filter.fabric {
            None => self.keys().name("runs"),
            Some(fabric) => self.keys().of("runs:fabric", fabric),
        };
        let limit = filter.limit.clamp(1, MOST);
        let mut connection = self.connection().await?;
        let mut first = 0;
        if let Some(after) = &filter.after {
            let rank: Option<usize> = redis::cmd("ZREVRANK")
                .arg(&index)
                .arg(after.as_str())
                .query_async(&mut connection)
                .await
                .map_err(Error::unavailable("list runs"))?;
            let Some(rank) = rank else { return Ok(RunPage::default()) };
            first = rank + 1;
        }
        let mut ids: Vec<String> = redis::cmd("ZREVRANGE")
            .arg((&index, first, first + limit))
            .query_async(&mut connection)
            .await
            .map_err(Error::unavailable("list runs"))?;
        let next = cut(&mut ids, limit).map(RunId::new);
        let all = self.hashes("run", &ids, "list runs").await?;
        let mut runs = Vec::with_capacity(ids.len());
        for (id, fields) in ids.into_iter().zip(all) {
            runs.extend(read_run(RunId::new(id), fields)?);
        }
        Ok(RunPage { runs, next })
    }
}

/// A part as scripts keep it; `error` and `counts` are JSON in JSON, since scripts do not look into them.
#[derive(Deserialize)]
struct RawPart {
    outcome: RunOutcome,
    #[serde(default)]
    attempt: f64,
    #[serde(default)]
    changes: f64,
    #[serde(default)]
    jobs: f64,
    #[serde(default)]
    some_jobs: Vec<JobId>,
    error: Option<String>,
    commit: Option<Oid>,
    counts: Option<String>,
    lag: Option<f64>,
    origin: Option<AskedBy>,
}

fn read_run(id: RunId, fields: Fields) -> Result<Option<Run>, Error> {
    if fields.is_empty() {
        return Ok(None);
    }
    let key = format!("run:{id}");
    let field = |name: &str| fields.get(name).ok_or_else(|| Error::corrupt(&key, format!("no {name}")));
    let head = fields.get("head").filter(|head| !head.is_empty());
    Ok(Some(Run {
        target: read_target(field("target")?)?,
        worker: field("worker")?.clone(),
        closed_because: parse_word(&key, field("because")?)?,
        started: parse(&key, field("started")?)?,
        ended: fields.get("ended").map(|text| parse(&key, text)).transpose()?,
        head: head.map(|head| head.parse().map_err(|error| Error::corrupt(&key, error))).transpose()?,
        parts: parts(&fields, |fabric, text| read_part(&key, fabric, text))?,
        id,
    }))
}

fn read_part(key: &str, fabric: FabricName, text: &str) -> Result<RunPart, Error> {
    let raw: RawPart = parse(key, text)?;
    Ok(RunPart {
        fabric,
        outcome: raw.outcome,
        attempt: raw.attempt as u32,
        changes: raw.changes as u64,
        jobs: raw.some_jobs,
        all_jobs: raw.jobs as u64,
        error: raw.error.map(|text| parse(key, &text)).transpose()?,
        commit: raw.commit,
        counts: raw.counts.map(|text| parse(key, &text)).transpose()?,
        lag: raw.lag.map(|ms| Duration::from_millis(ms as u64)),
        asked_by: raw.origin,
    })
}
