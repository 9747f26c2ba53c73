//! Ended spans in OTLP's JSON.
//!
//! <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>: ids are hex, 64-bit numbers are texts.

use std::time::SystemTime;

use serde_json::{Value, json};

use super::context::SpanContext;

/// A span that has ended.
#[derive(Debug, Clone)]
pub(super) struct Span {
    pub context: SpanContext,
    pub parent: Option<SpanContext>,
    pub name: String,
    pub kind: Kind,
    pub begun: SystemTime,
    pub ended: SystemTime,
    pub attributes: Vec<(&'static str, Attribute)>,
    pub links: Vec<SpanContext>,
    /// What was logged about its failure.
    pub failed: Option<String>,
}

/// Whose side of a request a span is, by OTLP's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    #[default]
    Internal = 1,
    Server = 2,
    Client = 3,
    /// It works on what was put in a queue.
    Consumer = 5,
}

/// A value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attribute {
    Text(String),
    Integer(i64),
    Bool(bool),
}

impl From<&str> for Attribute {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<i64> for Attribute {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

/// The body of one request.
pub(super) fn request(resource: &[(String, String)], spans: &[Span]) -> Value {
    let resource: Vec<Value> =
        resource.iter().map(|(key, value)| json!({"key": key, "value": {"stringValue": value}})).collect();
    let spans: Vec<Value> = spans.iter().map(span).collect();
    json!({
        "resourceSpans": [{
            "resource": {"attributes": resource},
            "scopeSpans": [{
                "scope": {"name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION")},
                "spans": spans,
            }],
        }],
    })
}

fn span(span: &Span) -> Value {
    let attributes: Vec<Value> =
        span.attributes.iter().map(|(key, value)| json!({"key": key, "value": attribute(value)})).collect();
    let links: Vec<Value> =
        span.links.iter().map(|link| json!({"traceId": link.trace(), "spanId": link.span()})).collect();
    let mut shown = json!({
        "traceId": span.context.trace(),
        "spanId": span.context.span(),
        "name": span.name,
        "kind": span.kind as u8,
        "startTimeUnixNano": nanoseconds(span.begun),
        "endTimeUnixNano": nanoseconds(span.ended),
        "attributes": attributes,
    });
    if let Some(parent) = &span.parent {
        shown["parentSpanId"] = json!(parent.span());
    }
    if !links.is_empty() {
        shown["links"] = json!(links);
    }
    if let Some(why) = &span.failed {
        const ERROR: u8 = 2;
        shown["status"] = json!({"code": ERROR, "message": why});
    }
    shown
}

fn attribute(value: &Attribute) -> Value {
    match value {
        Attribute::Text(text) => json!({"stringValue": text}),
        Attribute::Integer(number) => json!({"intValue": number.to_string()}),
        Attribute::Bool(value) => json!({"boolValue": value}),
    }
}

fn nanoseconds(at: SystemTime) -> String {
    at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos().to_string()
}
