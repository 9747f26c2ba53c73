//! What the last hours were like: objects written, the longest lag and failed runs, a quarter of an hour a bar.

use std::time::Duration;

use maud::{Markup, html};

use crate::domain::names::{FabricName, RunId};
use crate::domain::report::Counts;
use crate::http::HttpState;
use crate::http::problem::Problem;
use crate::ledger::types::{Millis, Run, RunFilter, RunOutcome};

use super::words::{now, span};

/// Bars of a chart.
const BARS: usize = 24;
/// What one bar stands for.
const WIDTH: Duration = Duration::from_secs(15 * 60);
/// Runs that are looked at: two reads of the ledger, however busy it is.
const MOST_RUNS: usize = 1_000;
const PAGE: usize = 500;

/// One bar's worth of runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Bar {
    written: u64,
    lag: Duration,
    runs: u64,
    failures: u64,
}

/// The last hours of one fabric or of all.
pub(super) struct Load {
    bars: [Bar; BARS],
    /// Whether older runs were left out.
    partial: bool,
}

/// Reads the runs of the last hours.
pub(super) async fn load(state: &HttpState, fabric: Option<&FabricName>) -> Result<Load, Problem> {
    let now = now();
    let (mut runs, mut after): (Vec<Run>, Option<RunId>) = (Vec::new(), None);
    loop {
        let filter = RunFilter { fabric: fabric.cloned(), after, limit: PAGE };
        let page = state.ledger.runs(&filter).await?;
        runs.extend(page.runs);
        after = page.next;
        let is_past = runs.last().is_some_and(|run| place(now, run.started).is_none());
        if after.is_none() || is_past || runs.len() >= MOST_RUNS {
            return Ok(Load { bars: bars(now, fabric, &runs), partial: after.is_some() && !is_past });
        }
    }
}

/// Which bar a time belongs to, the oldest first; `None` before all of them.
fn place(now: Millis, at: Millis) -> Option<usize> {
    let ago = now.0.saturating_sub(at.0) / u64::try_from(WIDTH.as_millis()).unwrap_or(u64::MAX);
    usize::try_from(ago).ok().and_then(|ago| (BARS - 1).checked_sub(ago))
}

fn bars(now: Millis, fabric: Option<&FabricName>, runs: &[Run]) -> [Bar; BARS] {
    let mut bars = [Bar::default(); BARS];
    for run in runs {
        let Some(bar) = place(now, run.started).map(|place| &mut bars[place]) else { continue };
        for part in run.parts.iter().filter(|part| fabric.is_none_or(|fabric| part.fabric == *fabric)) {
            bar.runs += 1;
            bar.failures += u64::from(is_failure(part.outcome));
            bar.written += part.counts.as_ref().map_or(0, written);
            bar.lag = bar.lag.max(part.lag.unwrap_or_default());
        }
    }
    bars
}

fn is_failure(outcome: RunOutcome) -> bool {
    match outcome {
        RunOutcome::Transient | RunOutcome::Stalled | RunOutcome::Refused | RunOutcome::Dead | RunOutcome::Lost => true,
        RunOutcome::Running | RunOutcome::Succeeded | RunOutcome::Held | RunOutcome::Wait | RunOutcome::Returned => {
            false
        }
    }
}

fn written(counts: &Counts) -> u64 {
    counts.git_written + counts.git_deleted + counts.netbox_created + counts.netbox_updated + counts.netbox_deleted
}

/// Three small charts beside each other, with what they say in words.
pub(super) fn draw(load: &Load) -> Markup {
    let sum = |of: fn(&Bar) -> u64| load.bars.iter().map(of).sum::<u64>();
    let worst = load.bars.iter().map(|bar| bar.lag).max().unwrap_or_default();
    let lag = if worst.is_zero() { "–".to_owned() } else { span(worst) };
    let seconds = |bar: &Bar| u64::try_from(bar.lag.as_millis()).unwrap_or(u64::MAX);
    html! {
        div.charts {
            (one(load, "good", "Written", &format!("{} objects", sum(|bar| bar.written)), |bar| bar.written, |bar| format!("{} written", bar.written)))
            (one(load, "busy", "Longest lag", &lag, seconds, |bar| format!("{} at most", span(bar.lag))))
            (one(load, "bad", "Failed runs", &format!("{} of {}", sum(|bar| bar.failures), sum(|bar| bar.runs)), |bar| bar.failures, |bar| format!("{} of {} failed", bar.failures, bar.runs)))
        }
        @if load.partial { p.quiet { "From the newest " (MOST_RUNS) " runs only." } }
    }
}

const HEIGHT: u64 = 36;

fn one(
    load: &Load,
    tone: &str,
    name: &str,
    total: &str,
    of: impl Fn(&Bar) -> u64,
    told: impl Fn(&Bar) -> String,
) -> Markup {
    let most = load.bars.iter().map(&of).max().unwrap_or_default().max(1);
    let height = |bar: &Bar| of(bar).saturating_mul(HEIGHT).div_ceil(most);
    html! {
        figure class={ "chart " (tone) } {
            figcaption { span { (name) " " span.quiet { "6 h" } } b { (total) } }
            svg viewBox="0 0 192 37" preserveAspectRatio="none" role="img" aria-label={ (name) " in the last 6 hours: " (total) } {
                path.ground d="M0 36.5H192" {}
                @for (place, bar) in load.bars.iter().enumerate().filter(|(_, bar)| of(bar) > 0) {
                    rect x=(place * 8 + 1) width="6" y=(HEIGHT - height(bar)) height=(height(bar)) rx="1" {
                        title { (told(bar)) ", " (ago(place)) }
                    }
                }
            }
        }
    }
}

fn ago(place: usize) -> String {
    match (BARS - 1 - place) * 15 {
        0 => "in the last 15 minutes".to_owned(),
        minutes => format!("{} h {:02} min ago", minutes / 60, minutes % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_stands_in_the_quarter_of_an_hour_in_which_it_began() {
        let now = Millis(100_000_000);
        let minutes = |minutes: u64| Millis(now.0 - minutes * 60_000);

        assert_eq!(place(now, now), Some(BARS - 1));
        assert_eq!(place(now, Millis(now.0 + 5)), Some(BARS - 1), "another clock may be ahead");
        assert_eq!(place(now, minutes(15)), Some(BARS - 2));
        assert_eq!(place(now, minutes(6 * 60 - 1)), Some(0));
        assert_eq!(place(now, minutes(6 * 60)), None);
    }
}
