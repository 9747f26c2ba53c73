//! The span of a run: in the trace of its oldest job, and linked to the others.

use std::time::SystemTime;

use tracing::Span;
use tracing::field::Empty;

use crate::domain::cause::with_causes;
use crate::ledger::Ledger;
use crate::ledger::types::Claim;
use crate::telemetry::{self, Kind, SpanContext};

/// The span of a claimed batch, which began when it was `asked` for.
pub(super) async fn of_run(ledger: &Ledger, claim: &Claim, asked: SystemTime) -> Span {
    let traces = traces(ledger, claim).await;
    let target = claim.proof.target();
    let span = tracing::info_span!(parent: None, "run", run.id = %claim.run, target.name = %target, trace.id = Empty);
    telemetry::describe(&span, |span| {
        span.kind(Kind::Consumer);
        span.begun(asked);
        if let Some((first, others)) = traces.split_first() {
            span.parent(*first);
            others.iter().for_each(|other| span.link(*other));
        }
        for part in &claim.parts {
            span.attribute("fabric", part.fabric.as_str());
        }
    });
    telemetry::name_trace(&span);
    span.in_scope(|| {
        let claimed = tracing::debug_span!("claim");
        telemetry::describe(&claimed, |span| span.begun(asked));
    });
    span
}

/// Where the jobs of a batch were accepted, oldest first. Tracing must not stop the work.
async fn traces(ledger: &Ledger, claim: &Claim) -> Vec<SpanContext> {
    if !telemetry::is_on() {
        return Vec::new();
    }
    let jobs: Vec<_> = claim.parts.iter().flat_map(|part| part.jobs.iter().cloned()).collect();
    match ledger.traces(&jobs).await {
        Ok(traces) => traces.iter().filter_map(|trace| trace.parse().ok()).collect(),
        Err(error) => {
            tracing::warn!(error = with_causes(&error), run.id = %claim.run, "the run's trace begins anew");
            Vec::new()
        }
    }
}
