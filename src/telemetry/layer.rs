//! What turns spans of `tracing` into spans of a trace.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use tokio::sync::mpsc;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::{Extensions, ExtensionsMut, LookupSpan};

use super::context::SpanContext;
use super::otlp::{Attribute, Kind, Span};

/// Attributes of one span; more say nothing more.
const MOST_ATTRIBUTES: usize = 32;
/// Longest text of an attribute, in bytes.
const LONGEST: usize = 512;

/// Gives spans their ids, and sends ended ones on their way.
pub struct TraceLayer {
    ended: mpsc::Sender<Span>,
    counts: Arc<Counters>,
    propagate: bool,
}

/// What became of ended spans.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub exported: AtomicU64,
    pub dropped: AtomicU64,
}

/// What became of ended spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Taken by the collector.
    pub exported: u64,
    /// Lost: the queue was full, or the collector did not take them.
    pub dropped: u64,
}

impl TraceLayer {
    pub(super) fn new(ended: mpsc::Sender<Span>, counts: Arc<Counters>, propagate: bool) -> Self {
        Self { ended, counts, propagate }
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            exported: self.counts.exported.load(Ordering::Relaxed),
            dropped: self.counts.dropped.load(Ordering::Relaxed),
        }
    }

    pub(super) fn propagates(&self) -> bool {
        self.propagate
    }
}

/// A span that has not ended.
struct Open {
    context: SpanContext,
    span: Span,
}

pub(super) fn context_in(extensions: &Extensions<'_>) -> Option<SpanContext> {
    extensions.get::<Open>().map(|open| open.context)
}

pub(super) fn describe(extensions: &mut ExtensionsMut<'_>, describe: impl FnOnce(&mut Description<'_>)) {
    if let Some(open) = extensions.get_mut::<Open>() {
        describe(&mut Description(open));
    }
}

/// What a trace shows of a span, beside its fields.
pub struct Description<'a>(&'a mut Open);

impl Description<'_> {
    /// Takes the place of the name that the code gives it.
    pub fn name(&mut self, name: String) {
        self.0.span.name = name;
    }

    pub fn kind(&mut self, kind: Kind) {
        self.0.span.kind = kind;
    }

    /// Puts it below a span of elsewhere. To be said before it has spans below itself.
    pub fn parent(&mut self, parent: SpanContext) {
        self.0.context = parent.child();
        self.0.span.context = self.0.context;
        self.0.span.parent = Some(parent);
    }

    pub fn link(&mut self, to: SpanContext) {
        self.0.span.links.push(to);
    }

    /// When it began, where that was before the span was made.
    pub fn begun(&mut self, at: SystemTime) {
        self.0.span.begun = at;
    }

    pub fn attribute(&mut self, name: &'static str, value: impl Into<Attribute>) {
        self.0.span.attributes.push((name, value.into()));
    }
}

impl<S: Subscriber + for<'s> LookupSpan<'s>> Layer<S> for TraceLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let above = span.parent().and_then(|parent| context_in(&parent.extensions()));
        let own = above.map_or_else(SpanContext::new_trace, |above| above.child());
        let begun = Span {
            context: own,
            parent: above,
            name: span.name().to_owned(),
            kind: Kind::default(),
            begun: SystemTime::now(),
            ended: SystemTime::UNIX_EPOCH,
            attributes: fields.attributes,
            links: Vec::new(),
            failed: None,
        };
        span.extensions_mut().insert(Open { context: own, span: begun });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        values.record(&mut fields);
        if let Some(open) = span.extensions_mut().get_mut::<Open>() {
            open.span.attributes.extend(fields.attributes);
            open.span.attributes.truncate(MOST_ATTRIBUTES);
        }
    }

    /// What is logged as a warning or an error marks the span in which it happened.
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if *event.metadata().level() > Level::WARN {
            return;
        }
        let Some(span) = context.event_span(event) else { return };
        let mut fields = Fields::default();
        event.record(&mut fields);
        if let Some(open) = span.extensions_mut().get_mut::<Open>() {
            open.span.failed = Some(fields.message.unwrap_or_default());
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let Some(Open { span, .. }) = span.extensions_mut().remove::<Open>() else { return };
        if self.ended.try_send(Span { ended: SystemTime::now(), ..span }).is_err() {
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The fields of a span or an event.
#[derive(Default)]
struct Fields {
    message: Option<String>,
    attributes: Vec<(&'static str, Attribute)>,
}

impl Fields {
    fn text(&mut self, field: &Field, text: String) {
        match field.name() {
            // It is the span's own, and stands in the log for people.
            "trace.id" => {}
            "message" => self.message = Some(cut(text)),
            _ => self.add(field, Attribute::Text(cut(text))),
        }
    }

    fn add(&mut self, field: &Field, value: Attribute) {
        if self.attributes.len() < MOST_ATTRIBUTES {
            self.attributes.push((field.name(), value));
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, format!("{value:?}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, Attribute::Bool(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, Attribute::Integer(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, Attribute::Integer(i64::try_from(value).unwrap_or(i64::MAX)));
    }
}

fn cut(mut text: String) -> String {
    if text.len() > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST));
    }
    text
}
