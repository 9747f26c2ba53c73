//! Dead letters: what was given up, kept until a person replays or discards it, or the retention ends.

use std::collections::HashMap;

use crate::domain::change::Change;
use crate::domain::names::{FabricName, JobId, RunId};

use super::entry::Entry;
use super::pages::cut;
use super::query::read_target;
use super::types::{DeadLetter, Intervention, LetterEnd, LetterFilter, LetterId, LetterPage, LettersEnded};
use super::{Error, Ledger, control, json, parse};

/// Letters on a page at most, and ended by one call at most.
const MOST: usize = 500;
/// Changes and jobs that a letter is shown with.
const SHOWN: usize = 50;

/// Fields, number of changes, some of them, number of jobs, some of them.
type Raw = (HashMap<String, String>, u64, (String, Vec<String>), u64, Vec<String>);

impl Ledger {
    /// A page of dead letters, newest first. Costs the page, however many letters there are.
    pub async fn dead_letters(&self, filter: &LetterFilter) -> Result<LetterPage, Error> {
        let (ids, next) = self.letter_ids(filter).await?;
        if ids.is_empty() {
            return Ok(LetterPage::default());
        }
        let mut pipe = redis::pipe();
        for id in &ids {
            let key = |name: &str| self.keys().of(name, format!("{}:{}", id.fence, id.fabric));
            let (dead, jobs) = (key("dead"), key("dead_jobs"));
            pipe.hgetall(key("dead_letter")).hlen(&dead);
            pipe.cmd("HSCAN").arg(&dead).arg(0).arg("COUNT").arg(SHOWN);
            pipe.zcard(&jobs).zrange(&jobs, 0, SHOWN as isize - 1);
        }
        let all: Vec<redis::Value> =
            pipe.query_async(&mut self.connection().await?).await.map_err(Error::unavailable("list dead letters"))?;
        let mut letters = Vec::with_capacity(ids.len());
        for (id, answers) in ids.into_iter().zip(all.chunks(5)) {
            let raw: Raw = redis::FromRedisValue::from_redis_value(redis::Value::Array(answers.to_vec()))
                .map_err(|error| Error::corrupt("dead_letter", error))?;
            // It may have ended since its id was read.
            if !raw.0.is_empty() {
                letters.push(read_letter(id, raw)?);
            }
        }
        Ok(LetterPage { letters, next })
    }

    async fn letter_ids(&self, filter: &LetterFilter) -> Result<(Vec<LetterId>, Option<LetterId>), Error> {
        let index = match (&filter.code, &filter.fabric) {
            (None, None) => self.keys().name("dead_letters"),
            (None, Some(fabric)) => self.keys().of("dead_letters:fabric", fabric),
            (Some(code), None) => self.keys().of("dead_letters:code", code),
            (Some(code), Some(fabric)) => self.keys().of("dead_letters:fabric_code", format!("{code}:{fabric}")),
        };
        let limit = filter.limit.clamp(1, MOST);
        let newest = filter.after.as_ref().map_or("+".to_owned(), |after| format!("({}", name(after)));
        let names: Vec<String> = redis::cmd("ZREVRANGEBYLEX")
            .arg((&index, newest, "-", "LIMIT", 0, limit + 1))
            .query_async(&mut self.connection().await?)
            .await
            .map_err(Error::unavailable("list dead letters"))?;
        let mut ids = names.iter().map(|name| read_name(&index, name)).collect::<Result<Vec<_>, Error>>()?;
        let next = cut(&mut ids, limit);
        Ok((ids, next))
    }

    /// Makes a dead job's changes pending again, due at once, with the other jobs that died in the same batch.
    pub async fn replay(&self, job: &JobId) -> Result<Intervention, Error> {
        self.end_letters_of(job, &LetterEnd::Replay).await
    }

    /// Ends the dead letters of one job, and with them the other jobs that died of the same batches. Atomic.
    pub async fn end_letters_of(&self, job: &JobId, end: &LetterEnd) -> Result<Intervention, Error> {
        let (action, note) = spelt(end);
        let mut call = self.call(&self.0.scripts.letters);
        call.arg(action).arg(note).arg(job.as_str());
        let answer: Option<(u64, u64, String)> =
            call.invoke_async(&mut self.connection().await?).await.map_err(Error::unavailable("end a dead letter"))?;
        control::intervention(answer.map(|(letters, _, state)| (letters > 0, state)))
    }

    /// Ends the newest dead letters that fit the filter, a bounded number of them. Each is atomic by itself.
    pub async fn end_letters(&self, filter: &LetterFilter, end: &LetterEnd) -> Result<LettersEnded, Error> {
        let (ids, next) = self.letter_ids(&LetterFilter { limit: MOST, ..filter.clone() }).await?;
        let mut ended = LettersEnded { more: next.is_some(), ..LettersEnded::default() };
        let (action, note) = spelt(end);
        for id in &ids {
            let mut call = self.call(&self.0.scripts.letters);
            call.arg(action).arg(&note).arg("").arg(id.fence).arg(id.fabric.as_str());
            let (letters, jobs, _): (u64, u64, String) = call
                .invoke_async(&mut self.connection().await?)
                .await
                .map_err(Error::unavailable("end a dead letter"))?;
            ended.letters += letters;
            ended.jobs += jobs;
        }
        Ok(ended)
    }
}

fn spelt(end: &LetterEnd) -> (&'static str, String) {
    match end {
        LetterEnd::Replay => ("replay", String::new()),
        LetterEnd::Discard(note) => ("discard", json(note)),
    }
}

/// As the scripts spell it.
fn name(id: &LetterId) -> String {
    format!("{:014}:{}", id.fence, id.fabric)
}

fn read_name(key: &str, name: &str) -> Result<LetterId, Error> {
    let parts = name.split_once(':').and_then(|(fence, fabric)| Some((fence.parse().ok()?, fabric)));
    let (fence, fabric) = parts.ok_or_else(|| Error::corrupt(key, name))?;
    Ok(LetterId { fence, fabric: FabricName::new(fabric) })
}

fn read_letter(id: LetterId, (fields, all_changes, (_, scanned), all_jobs, jobs): Raw) -> Result<DeadLetter, Error> {
    const KEY: &str = "dead_letter";
    let field = |name: &str| fields.get(name).ok_or_else(|| Error::corrupt(KEY, format!("no {name}")));
    // A scan answers slots and entries in turn; of a small hash all at once.
    let mut entries = scanned.iter().skip(1).step_by(2).map(|text| Entry::read(text)).collect::<Result<Vec<_>, _>>()?;
    entries.sort_by(|a, b| a.first.total_cmp(&b.first));
    let mut changes: Vec<Change> = Vec::new();
    for entry in entries.into_iter().take(SHOWN) {
        changes.extend(entry.changes()?);
    }
    Ok(DeadLetter {
        id,
        target: read_target(field("target")?)?,
        died: parse(KEY, field("died")?)?,
        attempts: parse(KEY, field("attempts")?)?,
        run: fields.get("run").filter(|run| !run.is_empty()).map(RunId::new),
        error: parse(KEY, field("error")?)?,
        changes,
        all_changes,
        jobs: jobs.into_iter().map(JobId::new).collect(),
        all_jobs,
    })
}
