//! An OTLP collector that takes nothing but what the specification allows.
//!
//! <https://opentelemetry.io/docs/specs/otlp/#otlphttp-request>, <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>

use std::sync::{Arc, Mutex, PoisonError};

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde_json::{Map, Value};

/// One span, as it came.
#[derive(Debug, Clone)]
pub struct Span {
    pub trace: String,
    pub id: String,
    pub parent: Option<String>,
    pub name: String,
    pub kind: u64,
    pub begun: u128,
    pub ended: u128,
    pub attributes: Map<String, Value>,
    /// Traces and spans.
    pub links: Vec<(String, String)>,
    /// The message of an error.
    pub failed: Option<String>,
}

#[derive(Default)]
struct Taken {
    spans: Vec<Span>,
    resources: Vec<Map<String, Value>>,
    headers: Vec<Option<String>>,
    faults: Vec<String>,
}

/// A collector on a port of its own.
pub struct Collector {
    taken: Arc<Mutex<Taken>>,
    server: ServerHandle,
    port: u16,
}

impl Collector {
    pub fn start() -> Self {
        let taken: Arc<Mutex<Taken>> = Arc::default();
        let shared = Arc::clone(&taken);
        let (send, receive) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let server = HttpServer::new(move || {
                    App::new().app_data(web::Data::new(Arc::clone(&shared))).default_service(web::route().to(take))
                })
                .workers(1)
                .shutdown_timeout(0)
                .disable_signals()
                .bind(("127.0.0.1", 0))
                .expect("a free port on 127.0.0.1");
                let port = server.addrs()[0].port();
                let server = server.run();
                let _ = send.send((server.handle(), port));
                let _ = server.await;
            });
        });
        let (server, port) = receive.recv().expect("the collector's thread starts");
        Self { taken, server, port }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn taken(&self) -> std::sync::MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All spans so far; fails on a request that was against the specification.
    pub fn spans(&self) -> Vec<Span> {
        let taken = self.taken();
        assert!(taken.faults.is_empty(), "requests that no exporter may make: {:#?}", taken.faults);
        taken.spans.clone()
    }

    /// The attributes of each request's resource.
    pub fn resources(&self) -> Vec<Map<String, Value>> {
        self.taken().resources.clone()
    }

    /// The `Authorization` of each request.
    pub fn authorizations(&self) -> Vec<Option<String>> {
        self.taken().headers.clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        drop(self.server.stop(false));
    }
}

async fn take(request: HttpRequest, body: web::Bytes, taken: web::Data<Arc<Mutex<Taken>>>) -> HttpResponse {
    let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let read = match (request.method().as_str(), request.path(), header("content-type").as_deref()) {
        ("POST", "/v1/traces", Some("application/json")) => read(&body),
        (method, path, kind) => Err(format!("{method} {path} with {kind:?}")),
    };
    taken.headers.push(header("authorization"));
    match read {
        Ok((resource, spans)) => {
            taken.resources.push(resource);
            taken.spans.extend(spans);
            HttpResponse::Ok().json(serde_json::json!({}))
        }
        Err(fault) => {
            taken.faults.push(fault);
            HttpResponse::BadRequest().finish()
        }
    }
}

fn read(body: &[u8]) -> Result<(Map<String, Value>, Vec<Span>), String> {
    let request: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let root = only(&request, &["resourceSpans"])?;
    let [of_resource] = list(root, "resourceSpans")? else { return Err("more than one resource".to_owned()) };
    let of_resource = only(of_resource, &["resource", "scopeSpans", "schemaUrl"])?;
    let resource = attributes(only(&of_resource["resource"], &["attributes"])?)?;
    let mut spans = Vec::new();
    for of_scope in list(of_resource, "scopeSpans")? {
        let of_scope = only(of_scope, &["scope", "spans", "schemaUrl"])?;
        only(&of_scope["scope"], &["name", "version", "attributes"])?;
        for span in list(of_scope, "spans")? {
            spans.push(read_span(span)?);
        }
    }
    Ok((resource, spans))
}

fn read_span(span: &Value) -> Result<Span, String> {
    const FIELDS: &[&str] = &[
        "traceId",
        "spanId",
        "parentSpanId",
        "traceState",
        "name",
        "kind",
        "startTimeUnixNano",
        "endTimeUnixNano",
        "attributes",
        "links",
        "events",
        "status",
        "flags",
    ];
    let map = only(span, FIELDS)?;
    let parent = map.get("parentSpanId").map(|_| hex(map, "parentSpanId", 16)).transpose()?;
    let (begun, ended) = (nanoseconds(map, "startTimeUnixNano")?, nanoseconds(map, "endTimeUnixNano")?);
    if begun > ended {
        return Err(format!("it ends before it begins: {span}"));
    }
    let kind = map.get("kind").and_then(Value::as_u64).filter(|kind| (1..=5).contains(kind));
    let name = map.get("name").and_then(Value::as_str).filter(|name| !name.is_empty());
    let mut links = Vec::new();
    for link in map.get("links").and_then(Value::as_array).into_iter().flatten() {
        let link = only(link, &["traceId", "spanId", "attributes"])?;
        links.push((hex(link, "traceId", 32)?, hex(link, "spanId", 16)?));
    }
    let failed = match map.get("status") {
        None => None,
        Some(status) => {
            let status = only(status, &["code", "message"])?;
            let message = status.get("message").and_then(Value::as_str).unwrap_or_default();
            (status["code"] == 2).then(|| message.to_owned())
        }
    };
    Ok(Span {
        trace: hex(map, "traceId", 32)?,
        id: hex(map, "spanId", 16)?,
        parent,
        name: name.ok_or_else(|| format!("it has no name: {span}"))?.to_owned(),
        kind: kind.ok_or_else(|| format!("it has no kind: {span}"))?,
        begun,
        ended,
        attributes: attributes(map)?,
        links,
        failed,
    })
}

/// A map with no other fields.
fn only<'v>(value: &'v Value, fields: &[&str]) -> Result<&'v Map<String, Value>, String> {
    let map = value.as_object().ok_or_else(|| format!("{value} is no object"))?;
    match map.keys().find(|key| !fields.contains(&key.as_str())) {
        Some(stranger) => Err(format!("the specification has no {stranger} here")),
        None => Ok(map),
    }
}

fn list<'v>(map: &'v Map<String, Value>, field: &str) -> Result<&'v [Value], String> {
    map.get(field).and_then(Value::as_array).map(Vec::as_slice).ok_or_else(|| format!("{field} is no list"))
}

fn hex(map: &Map<String, Value>, field: &str, digits: usize) -> Result<String, String> {
    let text = map.get(field).and_then(Value::as_str).unwrap_or_default();
    let plain = |c: char| matches!(c, '0'..='9' | 'a'..='f');
    let good = text.len() == digits && text.chars().all(plain) && text.chars().any(|c| c != '0');
    if good { Ok(text.to_owned()) } else { Err(format!("{field} is `{text}`")) }
}

/// 64-bit numbers are texts in this encoding.
fn nanoseconds(map: &Map<String, Value>, field: &str) -> Result<u128, String> {
    let text = map.get(field).and_then(Value::as_str).ok_or_else(|| format!("{field} is no text"))?;
    text.parse().ok().filter(|at| *at > 0).ok_or_else(|| format!("{field} is `{text}`"))
}

fn attributes(map: &Map<String, Value>) -> Result<Map<String, Value>, String> {
    let mut read = Map::new();
    for attribute in map.get("attributes").and_then(Value::as_array).into_iter().flatten() {
        let attribute = only(attribute, &["key", "value"])?;
        let key = attribute["key"].as_str().ok_or("a key is no text")?;
        let value = only(&attribute["value"], &["stringValue", "intValue", "boolValue", "doubleValue"])?;
        let value = match value.iter().next().map(|(kind, value)| (kind.as_str(), value)) {
            Some(("stringValue", Value::String(text))) => Value::from(text.as_str()),
            Some(("intValue", Value::String(text))) => Value::from(text.parse::<i64>().map_err(|e| e.to_string())?),
            Some(("boolValue", Value::Bool(value))) => Value::from(*value),
            other => return Err(format!("{other:?} is no value")),
        };
        read.insert(key.to_owned(), value);
    }
    Ok(read)
}
