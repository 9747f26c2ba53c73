//! Traces by OTLP: one change followed from its delivery to the commit.
//!
//! Spans are `tracing`'s; a layer gives each its ids, and ended ones go through a bounded queue to a collector, as
//! OTLP/HTTP in JSON. Nothing waits for that: what finds the queue full, or no collector, is counted and gone. A job
//! keeps the context that it was accepted in, and the run that works on it goes on in that trace: it is the child of
//! its oldest job, and linked to the others.
//!
//! What only a trace shows of a span is told with `describe`; fields stand in the log too. `trace.id` is shown in the log
//! alone, for whoever looks for the trace.
//!
//! The SDK of the OpenTelemetry project would bring 21 more crates, some in second versions.
//!
//! <https://opentelemetry.io/docs/specs/otlp/#otlphttp>, <https://www.w3.org/TR/trace-context/>

mod context;
mod export;
mod layer;
mod otlp;

use tracing::Span;
use tracing_subscriber::Registry;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

pub use context::SpanContext;
pub use export::{Exporting, Options, header, start};
pub use layer::{Counts, Description, TraceLayer};
pub use otlp::Kind;

/// Where the present span stands; `None` while nothing is traced.
pub fn current() -> Option<SpanContext> {
    context_of(&Span::current())
}

/// Where a span stands.
pub fn context_of(span: &Span) -> Option<SpanContext> {
    in_registry(span, |span| layer::context_in(&span.extensions()))?
}

/// Says of a span what its trace shall show; does nothing while nothing is traced.
pub fn describe(span: &Span, describe: impl FnOnce(&mut Description<'_>)) {
    in_registry(span, |span| layer::describe(&mut span.extensions_mut(), describe));
}

/// A span for a request to another server, named such as `NetBox GET`.
pub fn request_span(server: &str, method: &str, path: &str) -> Span {
    let span = tracing::debug_span!("asks");
    describe(&span, |span| {
        span.name(format!("{server} {method}"));
        span.kind(Kind::Client);
        span.attribute("http.request.method", method);
        span.attribute("url.path", path);
    });
    span
}

/// Says how the other server answered within the present span.
pub fn answered(status: u16) {
    describe(&Span::current(), |span| span.attribute("http.response.status_code", i64::from(status)));
}

fn in_registry<T>(span: &Span, read: impl FnOnce(SpanRef<'_, Registry>) -> T) -> Option<T> {
    span.with_subscriber(|(id, dispatch)| Some(read(dispatch.downcast_ref::<Registry>()?.span(id)?)))?
}

/// Shows a span's trace in the log, in its field `trace.id`.
pub fn name_trace(span: &Span) {
    if let Some(context) = context_of(span) {
        span.record("trace.id", context.trace());
    }
}

/// Whether anything is traced.
pub fn is_on() -> bool {
    with_layer(|_| ()).is_some()
}

/// What became of the spans of this process; `None` while nothing is traced.
pub fn counts() -> Option<Counts> {
    with_layer(TraceLayer::counts)
}

/// The `traceparent` header for a request to another server, where the settings let it be sent.
pub fn outgoing() -> Option<String> {
    let context = current()?;
    with_layer(TraceLayer::propagates)?.then(|| context.to_string())
}

fn with_layer<T>(read: impl FnOnce(&TraceLayer) -> T) -> Option<T> {
    let mut read = Some(read);
    tracing::dispatcher::get_default(|dispatch| Some(read.take()?(dispatch.downcast_ref::<TraceLayer>()?)))
}
