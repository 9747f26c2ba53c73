//! What the workers of this process did, counted for whoever watches. Whole numbers of the service add up over its
//! processes; what the ledger knows is asked there.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::domain::names::NetBoxName;
use crate::domain::report::ClosedBecause;
use crate::ledger::types::{AskedBy, Claim, Run, RunOutcome};

/// Numbers in ranges: how many were at most each bound, how many there were, and their sum.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    bounds: &'static [f64],
    /// One for each bound, not added up.
    counts: Vec<u64>,
    count: u64,
    sum: f64,
}

impl Histogram {
    /// An empty one; the bounds grow.
    pub fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, counts: vec![0; bounds.len()], count: 0, sum: 0.0 }
    }

    /// Takes one number in.
    pub fn observe(&mut self, value: f64) {
        if let Some(at) = self.bounds.iter().position(|bound| value <= *bound) {
            self.counts[at] += 1;
        }
        self.count += 1;
        self.sum += value;
    }

    /// Each bound with how many numbers were at most that.
    pub fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> {
        let added = self.counts.iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        });
        self.bounds.iter().copied().zip(added)
    }

    /// How many numbers there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their sum.
    pub fn sum(&self) -> f64 {
        self.sum
    }
}

/// In seconds: a run takes as long as the servers on both sides.
const RUN_SECONDS: &[f64] = &[0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];
/// In seconds: at least the debounce, at most what an outage lasts.
const LAG_SECONDS: &[f64] = &[1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3_600.0];
const BATCH_CHANGES: &[f64] = &[1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1_000.0];

/// Counters of the workers of one process.
#[derive(Debug, Default)]
pub struct WorkMetrics(Mutex<WorkNumbers>);

/// What was counted so far.
#[derive(Debug, Clone)]
pub struct WorkNumbers {
    /// Runs at work now.
    pub at_work: u64,
    pub batches: BTreeMap<&'static str, u64>,
    pub batch_changes: Histogram,
    /// By fabric's share, so that one run on two fabrics is two.
    pub outcomes: BTreeMap<RunOutcome, u64>,
    pub run_seconds: Histogram,
    /// From the acceptance of the oldest job of a run to its end, by who asked.
    pub lag_seconds: BTreeMap<AskedBy, Histogram>,
    /// Changes that no webhook told of.
    pub untold: BTreeMap<NetBoxName, u64>,
}

impl Default for WorkNumbers {
    fn default() -> Self {
        let asked = [AskedBy::NetboxDelivery, AskedBy::GithubDelivery, AskedBy::Request, AskedBy::Schedule];
        Self {
            at_work: 0,
            batches: BTreeMap::new(),
            batch_changes: Histogram::new(BATCH_CHANGES),
            outcomes: BTreeMap::new(),
            run_seconds: Histogram::new(RUN_SECONDS),
            lag_seconds: asked.map(|asked| (asked, Histogram::new(LAG_SECONDS))).into(),
            untold: BTreeMap::new(),
        }
    }
}

impl WorkMetrics {
    /// What was counted so far.
    pub fn read(&self) -> WorkNumbers {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, change: impl FnOnce(&mut WorkNumbers)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// A run begins.
    pub(super) fn begun(&self, claim: &Claim) {
        let changes: usize = claim.parts.iter().map(|part| part.changes.len()).sum();
        self.change(|numbers| {
            numbers.at_work += 1;
            *numbers.batches.entry(word(claim.closed_because)).or_default() += 1;
            numbers.batch_changes.observe(changes as f64);
        });
    }

    /// A run ended, settled or not.
    pub(super) fn ended(&self, took: Duration) {
        self.change(|numbers| {
            numbers.at_work = numbers.at_work.saturating_sub(1);
            numbers.run_seconds.observe(took.as_secs_f64());
        });
    }

    /// The ledger has the run's end.
    pub(super) fn settled(&self, run: &Run) {
        self.change(|numbers| {
            for part in &run.parts {
                *numbers.outcomes.entry(part.outcome).or_default() += 1;
                if let (Some(lag), Some(asked)) = (part.lag, part.asked_by)
                    && let Some(histogram) = numbers.lag_seconds.get_mut(&asked)
                {
                    histogram.observe(lag.as_secs_f64());
                }
            }
        });
    }

    /// NetBox's change log was read, and so many changes were in it that no webhook told of.
    pub(super) fn caught_up(&self, netbox: &NetBoxName, untold: u64) {
        self.change(|numbers| *numbers.untold.entry(netbox.clone()).or_default() += untold);
    }
}

/// As the API spells it.
fn word(because: ClosedBecause) -> &'static str {
    match because {
        ClosedBecause::Quiet => "quiet",
        ClosedBecause::MaxWait => "max_wait",
        ClosedBecause::MaxChanges => "max_changes",
        ClosedBecause::Requested => "requested",
        ClosedBecause::Retry => "retry",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_adds_up_and_keeps_what_is_beyond_its_bounds() {
        let mut histogram = Histogram::new(&[1.0, 2.0, 5.0]);
        for value in [0.5, 1.0, 1.5, 4.0, 100.0] {
            histogram.observe(value);
        }

        assert_eq!(histogram.cumulative().collect::<Vec<_>>(), [(1.0, 2), (2.0, 3), (5.0, 4)]);
        assert_eq!((histogram.count(), histogram.sum()), (5, 107.0));
    }
}
