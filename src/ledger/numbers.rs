//! The ledger in numbers, for whoever watches: a fixed number of commands, and one for each target.

use std::collections::BTreeMap;
use std::time::Duration;

use redis::{FromRedisValue, Value};

use crate::domain::names::Target;
use crate::domain::report::JobState;

use super::types::{Lease, LedgerNumbers, Millis};
use super::{Error, Ledger};

/// Time, due targets with their times, dead letters.
type Fixed = ((u64, u64), Vec<(String, f64)>, u64);

impl Ledger {
    /// The ledger's numbers as of now, with the leases on these targets.
    pub async fn numbers(&self, targets: &[&Target]) -> Result<LedgerNumbers, Error> {
        let mut pipe = redis::pipe();
        pipe.cmd("TIME").zrange_withscores(self.keys().name("due"), 0, -1).zcard(self.keys().name("dead_letters"));
        for state in JobState::ALL {
            pipe.zcard(self.keys().of("jobs:state", state.as_str()));
        }
        for target in targets {
            pipe.cmd("HMGET").arg(self.keys().of("target", target)).arg("batch").arg("claimed");
        }
        let mut answers: Vec<Value> =
            pipe.query_async(&mut self.connection().await?).await.map_err(Error::unavailable("count"))?;
        let leases = answers.split_off(3 + JobState::ALL.len());
        let states = answers.split_off(3);
        let bad = |error| Error::corrupt("numbers", error);
        let (time, due, dead_letters) = Fixed::from_redis_value(Value::Array(answers)).map_err(bad)?;
        let now = time.0 * 1_000 + time.1 / 1_000 + self.0.clock.shift_ms();

        let mut jobs = BTreeMap::new();
        for (state, count) in JobState::ALL.into_iter().zip(states) {
            jobs.insert(state.as_str(), u64::from_redis_value(count).map_err(bad)?);
        }
        let mut held = Vec::new();
        for (target, fields) in targets.iter().zip(leases) {
            let (batch, claimed): (Option<u64>, Option<u64>) = FromRedisValue::from_redis_value(fields).map_err(bad)?;
            if let (Some(_), Some(claimed)) = (batch, claimed) {
                held.push(Lease { target: (*target).clone(), age: since(Millis(claimed), now) });
            }
        }
        // A target at work is due when its lease ends, which is later.
        let overdue = due.iter().map(|(_, at)| since(Millis(*at as u64), now)).filter(|late| !late.is_zero());
        Ok(LedgerNumbers {
            now: Millis(now),
            jobs,
            due_targets: overdue.clone().count() as u64,
            most_overdue: overdue.max().unwrap_or_default(),
            scheduled_targets: due.len() as u64,
            dead_letters,
            leases: held,
        })
    }
}

fn since(at: Millis, now: u64) -> Duration {
    Duration::from_millis(now.saturating_sub(at.0))
}
