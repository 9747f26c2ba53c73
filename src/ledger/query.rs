//! What the status API asks: jobs, reports and the standing of a fabric.

use std::collections::BTreeMap;

use crate::domain::key::Key;
use crate::domain::names::{FabricName, JobId, RunId, Target};
use crate::domain::report::{FabricReport, JobState};

use super::pages::{Fields, cut, parts};
use super::types::{FabricStatus, Job, JobError, JobFilter, JobPage, JobPart, Millis};
use super::{Error, Ledger, parse, parse_word, word};

/// Jobs on a page whose filter did not say.
const PAGE: usize = 50;
/// Jobs on a page at most.
const MOST_PER_PAGE: usize = 1_000;

/// Traces that one run is linked to at most: OpenTelemetry keeps 128 links of a span.
const MOST_TRACES: usize = 100;

impl Ledger {
    /// A job; `None` for an unknown one and for one beyond the retention.
    pub async fn job(&self, id: &JobId) -> Result<Option<Job>, Error> {
        let fields = self.hash("job", id, "read a job").await?;
        read_job(id, fields, &self.broken(&mut self.connection().await?).await?)
    }

    /// The spans in which jobs were accepted, oldest job first; those that were not traced, or are gone, left out.
    pub async fn traces(&self, jobs: &[JobId]) -> Result<Vec<String>, Error> {
        let mut ids: Vec<&JobId> = jobs.iter().collect();
        ids.sort();
        ids.dedup();
        ids.truncate(MOST_TRACES);
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut asked = redis::pipe();
        for id in ids {
            asked.hget(self.keys().of("job", id), "trace");
        }
        let found: Vec<Option<String>> = asked
            .query_async(&mut self.connection().await?)
            .await
            .map_err(Error::unavailable("read the traces of jobs"))?;
        Ok(found.into_iter().flatten().collect())
    }

    /// A page of jobs, newest first. Costs the page, however many jobs there are.
    pub async fn jobs(&self, filter: &JobFilter) -> Result<JobPage, Error> {
        let limit = if filter.limit == 0 { PAGE } else { filter.limit.min(MOST_PER_PAGE) };
        let index = match (&filter.state, &filter.fabric) {
            (None, None) => self.keys().name("jobs"),
            (None, Some(fabric)) => self.keys().of("jobs:fabric", fabric),
            (Some(state), None) => self.keys().of("jobs:state", word(state)),
            (Some(state), Some(fabric)) => self.keys().of("jobs:fabric_state", format!("{}:{fabric}", word(state))),
        };
        let newest = filter.after.as_ref().map_or("+".to_owned(), |after| format!("({after}"));
        let oldest = filter.since.map_or("-".to_owned(), |since| format!("[{}", first_id_of(since)));
        let mut ids: Vec<String> = redis::cmd("ZREVRANGEBYLEX")
            .arg((index, newest, oldest, "LIMIT", 0, limit + 1))
            .query_async(&mut self.connection().await?)
            .await
            .map_err(Error::unavailable("list jobs"))?;
        let next = cut(&mut ids, limit).map(JobId::new);
        let all = self.hashes("job", &ids, "list jobs").await?;
        let broken = self.broken(&mut self.connection().await?).await?;
        let mut jobs = Vec::with_capacity(ids.len());
        for (id, fields) in ids.into_iter().zip(all) {
            jobs.extend(read_job(&JobId::new(id), fields, &broken)?);
        }
        Ok(JobPage { jobs, next })
    }

    /// What a run did for a fabric; `None` when it did not end with a report, or beyond the retention.
    pub async fn report(&self, run: &RunId, fabric: &FabricName) -> Result<Option<FabricReport>, Error> {
        let key = self.keys().of("report", format!("{run}:{fabric}"));
        let report: Option<String> = redis::cmd("GET")
            .arg(&key)
            .query_async(&mut self.connection().await?)
            .await
            .map_err(Error::unavailable("read a report"))?;
        report.map(|text| parse(&key, &text)).transpose()
    }

    /// A fabric's standing as of one instant; empty for an unknown one. Changes of a batch at work count as pending.
    pub async fn fabric_status(&self, fabric: &FabricName) -> Result<FabricStatus, Error> {
        let key = |name: &str| self.keys().of(name, fabric);
        type Raw = (Fields, u64, u64, u64, Vec<(String, String)>, u64, Vec<String>, Option<String>);
        let (mut fields, pending, batch, objects, held, conflicts, guarded, report): Raw = redis::pipe()
            .atomic()
            .hgetall(key("fabric"))
            .hlen(key("pending"))
            .hlen(key("batch"))
            .hlen(key("base"))
            .hgetall(key("held"))
            .hlen(key("conflicts"))
            .smembers(key("guarded"))
            .get(key("last_report"))
            .query_async(&mut self.connection().await?)
            .await
            .map_err(Error::unavailable("read a fabric's status"))?;
        let head = match fields.remove("target") {
            Some(text) => self.head(&read_target(&text)?).await?,
            None => None,
        };
        let held = held.iter().map(|(field, value)| Ok((parse("held", field)?, parse("held", value)?)));
        Ok(FabricStatus {
            pending_changes: pending + batch,
            objects,
            held: held.collect::<Result<BTreeMap<Key, _>, Error>>()?,
            guarded: guarded.iter().map(|text| parse("guarded", text)).collect::<Result<_, _>>()?,
            last_run: report.map(|text| parse("last_report", &text)).transpose()?,
            last_sync: fields.get("last_sync").map(|text| parse("fabric", text)).transpose()?,
            head,
            error: fields.get("error").map(|text| parse("fabric", text)).transpose()?,
            conflicts,
            commit: fields
                .get("commit")
                .map(|text| text.parse().map_err(|error| Error::corrupt("fabric", error)))
                .transpose()?,
            at_work: fields.contains_key("batch_of"),
            rejected: fields.get("rejected").map(|text| parse("fabric", text)).transpose()?.unwrap_or_default(),
            changed: fields.get("changed").map(|text| parse("fabric", text)).transpose()?,
            shown: fields.get("shown").map(|text| parse("fabric", text)).transpose()?,
        })
    }
}

/// A part as scripts keep it; `error` is JSON in JSON, since scripts do not look into it.
#[derive(serde::Deserialize)]
struct RawPart {
    target: String,
    state: JobState,
    #[serde(default)]
    attempts: f64,
    run: Option<RunId>,
    error: Option<String>,
    next: Option<f64>,
    /// The server, left alone, that it waits for.
    waits_for: Option<String>,
    discarded: Option<String>,
}

/// `broken`: until when servers are left alone.
fn read_job(id: &JobId, fields: Fields, broken: &BTreeMap<String, Millis>) -> Result<Option<Job>, Error> {
    if fields.is_empty() {
        return Ok(None);
    }
    let key = format!("job:{id}");
    let field = |name: &str| fields.get(name).ok_or_else(|| Error::corrupt(&key, format!("no {name}")));
    Ok(Some(Job {
        id: id.clone(),
        state: parse_word(&key, field("state")?)?,
        origin: parse(&key, field("origin")?)?,
        parts: parts(&fields, |fabric, text| read_part(&key, fabric, (text, broken)))?,
        created: parse(&key, field("created")?)?,
        updated: parse(&key, field("updated")?)?,
        duplicates: parse(&key, field("duplicates")?)?,
    }))
}

fn read_part(
    key: &str,
    fabric: FabricName,
    (text, broken): (&str, &BTreeMap<String, Millis>),
) -> Result<JobPart, Error> {
    let raw: RawPart = parse(key, text)?;
    let error: Option<JobError> = raw.error.map(|text| parse(key, &text)).transpose()?;
    let tried = raw.waits_for.as_ref().filter(|_| raw.state == JobState::Waiting);
    let tried = tried.and_then(|server| broken.get(server)).copied();
    let discarded = raw.discarded.map(|text| parse(key, &text)).transpose()?;
    Ok(JobPart {
        fabric,
        target: read_target(&raw.target)?,
        state: raw.state,
        attempts: raw.attempts as u32,
        run: raw.run,
        error,
        next_try: raw.next.map(|at| Millis(at as u64)).or(tried),
        discarded,
    })
}

pub(super) fn read_target(text: &str) -> Result<Target, Error> {
    text.parse().map_err(|error| Error::corrupt("target", error))
}

/// The lowest id that a job of this millisecond can have.
fn first_id_of(since: Millis) -> String {
    ulid::Ulid::from_parts(since.0, 0).to_string()
}
