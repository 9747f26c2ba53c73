//! Leases: claiming a batch, keeping it, and ending it.

use std::time::{Duration, Instant};

use redis::{FromRedisValue, ScriptInvocation, Value};
use ulid::Ulid;

use crate::domain::fabric_state::Rejected;
use crate::domain::lease::LeaseProof;
use crate::domain::names::{FabricName, JobId, RunId};

use super::entry::Entry;
use super::options::millis;
use super::pause::EVERYTHING;
use super::types::{Claim, JobError, Part, PartOutcome, Settlement};
use super::{Error, Ledger, json, parse_word};

/// How often one claim steps over targets that had nothing left to give.
const MOST_STEPS: usize = 1_000;

/// A part of a claim as the script answers it: fabric, attempt, changes, jobs.
type RawPart = (String, u32, Vec<String>, Vec<String>);

impl Ledger {
    /// Freezes the most overdue target's changes into a batch and leases the target; `None` when nothing is due.
    ///
    /// A batch whose holder let its lease end is given again with the same changes, one attempt further, and becomes a
    /// dead letter after the last. `worker` is kept for people to see.
    pub async fn claim(&self, worker: &str) -> Result<Option<Claim>, Error> {
        let run = RunId::new(Ulid::generate().to_string());
        let died = JobError {
            code: "worker_died".to_owned(),
            message: "every worker that took this batch ended without a result".to_owned(),
            remedy: "look for the worker's end in its log (memory, a crash), then replay the job".to_owned(),
        };
        let mut connection = self.connection().await?;
        for _ in 0..MOST_STEPS {
            let asked = Instant::now();
            let mut call = self.call(&self.0.scripts.claim);
            call.arg(worker).arg(run.as_str()).arg(json(&died));
            let answer: Value = call.invoke_async(&mut connection).await.map_err(Error::unavailable("claim work"))?;
            match answer {
                Value::Nil => return Ok(None),
                Value::Array(_) => return self.read_claim(answer, run, asked).map(Some),
                // `again`: the target that was due first had nothing to give.
                _ => {}
            }
        }
        Ok(None)
    }

    fn read_claim(&self, answer: Value, run: RunId, asked: Instant) -> Result<Claim, Error> {
        let (target, fence, because, parts): (String, u64, String, Vec<RawPart>) =
            FromRedisValue::from_redis_value(answer).map_err(|error| Error::corrupt("batch", error))?;
        let target = target.parse().map_err(|error| Error::corrupt("due", error))?;
        Ok(Claim {
            proof: LeaseProof::grant(target, fence, asked, self.0.options.lease),
            run,
            closed_because: parse_word("target", &because)?,
            parts: parts.into_iter().map(read_part).collect::<Result<_, _>>()?,
        })
    }

    /// Time until the next target is due, zero when one is; `None` when nothing is pending or at work, or all is paused.
    ///
    /// A target at work is due when its lease ends; one that waits for a server that is left alone, when that is tried.
    pub async fn next_due(&self) -> Result<Option<Duration>, Error> {
        let mut connection = self.connection().await?;
        let (time, due, paused): ((u64, u64), Vec<(String, f64)>, bool) = redis::pipe()
            .cmd("TIME")
            .zrange_withscores(self.keys().name("due"), 0, 0)
            .hexists(self.keys().name("paused"), EVERYTHING)
            .query_async(&mut connection)
            .await
            .map_err(Error::unavailable("say what is due"))?;
        if paused {
            return Ok(None);
        }
        let tried = self.next_try(&mut connection).await?;
        // Whole milliseconds, as the scripts count.
        let now = Duration::from_millis(time.0 * 1_000 + time.1 / 1_000 + self.0.clock.shift_ms());
        let due = due.first().map(|(_, at)| Duration::from_millis(*at as u64));
        Ok(due.into_iter().chain(tried).min().map(|at| at.saturating_sub(now)))
    }

    /// Prolongs a lease to its full length from now. After `Error::LeaseLost` the proof allows nothing any more.
    pub async fn renew(&self, proof: &LeaseProof) -> Result<(), Error> {
        let asked = Instant::now();
        let mut call = self.call(&self.0.scripts.renew);
        call.arg(proof.target().to_string()).arg(proof.fence());
        let kept: bool =
            call.invoke_async(&mut self.connection().await?).await.map_err(Error::unavailable("renew a lease"))?;
        if !kept {
            return Err(Error::lease_lost(proof));
        }
        proof.extend(asked, self.0.options.lease);
        Ok(())
    }

    /// Ends a run: its jobs, its changes, its reports and its lease in one step. A part that is not mentioned is
    /// returned. Safe to repeat; `Error::LeaseLost` (and no effect) once the target was given to another worker.
    pub async fn settle(&self, proof: &LeaseProof, run: &RunId, settlement: &Settlement) -> Result<(), Error> {
        let mut call = self.call(&self.0.scripts.settle);
        call.arg(proof.target().to_string()).arg(proof.fence()).arg(run.as_str());
        call.arg(settlement.head.as_ref().map_or("", |settled| settled.head.as_str()));
        let made_on = settlement.head.as_ref().and_then(|settled| settled.made_on.as_ref());
        call.arg(made_on.map_or("", |parent| parent.as_str()));
        for (fabric, outcome) in &settlement.parts {
            call.arg(fabric.as_str());
            write_outcome(&mut call, outcome);
        }
        let settled: bool =
            call.invoke_async(&mut self.connection().await?).await.map_err(Error::unavailable("settle a run"))?;
        if settled {
            // Nothing may be written on a lease that was given up.
            proof.revoke();
            return Ok(());
        }
        Err(Error::lease_lost(proof))
    }
}

/// What the settle script takes of one part, after its fabric.
#[derive(Default)]
struct OutcomeTexts {
    word: &'static str,
    error: String,
    /// Milliseconds to wait.
    after: u64,
    report: String,
    is_real: bool,
    commit: String,
    counts: String,
    has_changed: bool,
    rejected: String,
}

fn write_outcome(call: &mut ScriptInvocation<'_>, outcome: &PartOutcome) {
    let texts = match outcome {
        PartOutcome::Done { report, held } => OutcomeTexts {
            word: if *held { "held" } else { "succeeded" },
            report: json(report),
            is_real: !report.dry_run,
            commit: report.commit.clone().map(String::from).unwrap_or_default(),
            counts: json(&report.counts),
            has_changed: report.changed_something(),
            rejected: if report.counts.rejected > 0 { json(&Rejected::of(report)) } else { String::new() },
            ..OutcomeTexts::default()
        },
        PartOutcome::Transient { error } => failed("transient", error),
        PartOutcome::WaitUntil { after, error } => OutcomeTexts { after: millis(*after), ..failed("wait", error) },
        PartOutcome::Stalled { error } => failed("stalled", error),
        PartOutcome::Refused { error } => failed("refused", error),
        PartOutcome::Returned => OutcomeTexts { word: "returned", ..OutcomeTexts::default() },
    };
    let OutcomeTexts { word, error, after, report, is_real, commit, counts, has_changed, rejected } = texts;
    call.arg(word).arg(error).arg(after).arg(report).arg(u8::from(is_real)).arg(commit).arg(counts);
    call.arg(u8::from(has_changed)).arg(rejected);
}

fn failed(word: &'static str, error: &JobError) -> OutcomeTexts {
    OutcomeTexts { word, error: json(error), ..OutcomeTexts::default() }
}

/// Changes come oldest first; those of one accept in their own order.
fn read_part((fabric, attempt, entries, jobs): RawPart) -> Result<Part, Error> {
    let mut changes = Vec::with_capacity(entries.len());
    for text in &entries {
        let entry = Entry::read(text)?;
        let first = entry.first;
        changes.extend(entry.changes()?.into_iter().map(|change| (first, change)));
    }
    changes.sort_by(|(a, this), (b, that)| a.total_cmp(b).then_with(|| this.cmp(that)));
    Ok(Part {
        fabric: FabricName::new(fabric),
        changes: changes.into_iter().map(|(_, change)| change).collect(),
        jobs: jobs.into_iter().map(JobId::new).collect(),
        attempt,
    })
}
