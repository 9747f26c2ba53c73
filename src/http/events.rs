//! `/api/v1/events`: what changes, as it changes (server-sent events).
//!
//! The ledger's scripts write each event in the step that changes the state, so every replica can tell all of them, and
//! a listener that comes back with the id of its last event misses none.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName};
use actix_web::{HttpRequest, HttpResponse, get, web};
use bytes::Bytes;
use futures::{Stream, stream};
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedSemaphorePermit;
use utoipa::ToSchema;

use crate::domain::names::FabricName;
use crate::domain::report::JobState;
use crate::ledger::types::{Event, EventId, FabricChange, Happening, RunOutcome, Server};

use super::HttpState;
use super::input::Query;
use super::problem::{Header, Problem};
use super::time::rfc3339;
use super::token::ApiToken;
use super::verified::header_text;

/// Listeners of one process at a time.
pub(super) const MOST_LISTENERS: usize = 200;
/// How often the ledger is asked for news, for each listener.
const LOOK: Duration = Duration::from_millis(500);
/// Longest silence: shorter than proxies wait.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long one connection lasts: whoever listens then shows its token again.
const LONGEST: Duration = Duration::from_secs(3_600);
/// When a listener that lost its connection should come back.
const RETRY: Duration = Duration::from_secs(2);
/// How soon to come back when there are too many.
const BUSY_SECONDS: u32 = 30;
/// Tells nginx not to hold events back.
const UNBUFFERED: HeaderName = HeaderName::from_static("x-accel-buffering");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventsQuery {
    fabric: Option<String>,
}

/// One event of the stream.
#[derive(ToSchema)]
#[schema(as = ServerSentEvent)]
#[expect(dead_code, reason = "it describes the stream's text, which is written as it comes")]
pub(super) struct Sent {
    /// What `Last-Event-ID` takes up again.
    id: Option<String>,
    event: Option<SentWord>,
    /// After how many milliseconds to connect again.
    retry: Option<u64>,
    /// JSON: an `EventView`, or `{}` with `reset`.
    data: Option<String>,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "as above")]
enum SentWord {
    Job,
    Run,
    Fabric,
    Service,
    Server,
    Reset,
}

/// The `data` of an event, as JSON.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum EventView {
    /// `job`: a job has another state.
    Job { job_id: String, state: JobState, finished: bool, fabrics: Vec<String>, at: String },
    /// `run`: a run has begun, or ended for one fabric.
    Run { run_id: String, fabric: String, outcome: RunOutcome, commit: Option<String>, at: String },
    /// `fabric`: a fabric may stand differently.
    Fabric { fabric: String, change: FabricChange, at: String },
    /// `service`: everything was paused or resumed.
    Service { change: FabricChange, at: String },
    /// `server`: a repository's or NetBox's health changed.
    Server { side: &'static str, name: String, ok: bool, at: String },
}

/// Tells what changes, as it changes
///
/// A stream of server-sent events: `job`, `run`, `fabric`, `service` and `server`, each with JSON `data` that names what
/// changed. Without `Last-Event-ID` it begins now; with it, after that event. About 20,000 events are kept: a listener
/// that comes later than that is told `reset`, and should read anew what it shows. The connection ends after an hour.
#[utoipa::path(
    tag = "events",
    params(
        ("fabric" = Option<String>, Query, description = "Only what concerns this fabric, the service and the servers"),
        ("Last-Event-ID" = Option<String>, Header, description = "The `id` of the last event that was seen", example = "1795236530238-0"),
    ),
    responses(
        (status = 200, description = "Events without an end", body = Sent, content_type = "text/event-stream",
            example = json!("id: 1795236530238-0\nevent: job\ndata: {\"job_id\":\"01KAJ3V0M1W9T6N4ZC5X8R7QHD\",\"state\":\"succeeded\",\"finished\":true,\"fabrics\":[\"lab-fabric\"],\"at\":\"2026-11-21T04:48:50.238Z\"}\n\n")),
        (status = 400, description = "A parameter or the Last-Event-ID is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Redis cannot be reached, or too many listen", body = Problem, content_type = "application/problem+json"),
    ),
    security(("api_token" = ["read"])),
)]
#[get("/api/v1/events")]
pub(super) async fn listen(
    _token: ApiToken,
    query: Query<EventsQuery>,
    request: HttpRequest,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let seen = header_text(request.headers(), "Last-Event-ID").filter(|text| !text.is_empty());
    let seen = seen.map(|text| {
        let bad = || {
            Problem::bad_request(
                "bad_event_id",
                format!("`{text}` is not the id of an event"),
                "Send none to begin now.",
            )
        };
        text.parse::<EventId>().map_err(|_| bad())
    });
    let permit = state.listeners.clone().try_acquire_owned().map_err(|_| too_many())?;
    let (after, greeting) = begin(&state, seen.transpose()?).await?;
    let listener = Listener {
        state: state.get_ref().clone(),
        fabric: query.0.fabric.map(FabricName::new),
        after,
        greeting: Some(greeting),
        begun: Instant::now(),
        told: Instant::now(),
        _permit: permit,
    };
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((UNBUFFERED, "no"))
        .streaming(listener.events()))
}

/// Where to begin, and what to say first.
async fn begin(state: &HttpState, seen: Option<EventId>) -> Result<(EventId, String), Problem> {
    let retry = RETRY.as_millis();
    let kept = state.ledger.events_kept().await?;
    let newest = kept.map_or(EventId::default(), |(_, newest)| newest);
    let Some(seen) = seen else {
        // Named at once, so that whoever loses the connection before the first event misses none.
        return Ok((newest, format!("retry: {retry}\nid: {newest}\n\n")));
    };
    // Whoever came before the first event of all has missed none.
    let is_first = seen == EventId::default();
    let is_kept = kept.is_some_and(|(oldest, newest)| (oldest..=newest).contains(&seen));
    if !is_first && !is_kept {
        return Ok((newest, format!("retry: {retry}\nid: {newest}\nevent: reset\ndata: {{}}\n\n")));
    }
    Ok((seen, format!("retry: {retry}\n\n")))
}

fn too_many() -> Problem {
    let detail = format!("{MOST_LISTENERS} listeners are connected to this process already");
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "too_many_listeners",
        detail,
        "Come back later, or to another replica.",
    )
    .with_header(Header::RetryAfter(BUSY_SECONDS))
}

/// One connection that is told what changes.
struct Listener {
    state: HttpState,
    fabric: Option<FabricName>,
    after: EventId,
    greeting: Option<String>,
    begun: Instant,
    /// When it last heard of us.
    told: Instant,
    _permit: OwnedSemaphorePermit,
}

impl Listener {
    fn events(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        stream::unfold(self, |mut listener| async move {
            let text = listener.next().await?;
            listener.told = Instant::now();
            Some((Ok(Bytes::from(text)), listener))
        })
    }

    /// Waits for something to tell; `None` when the connection should end.
    async fn next(&mut self) -> Option<String> {
        if let Some(greeting) = self.greeting.take() {
            return Some(greeting);
        }
        let mut stopping = self.state.stopping.subscribe();
        while self.begun.elapsed() < LONGEST && !*stopping.borrow() {
            match self.news().await {
                Ok(text) if !text.is_empty() => return Some(text),
                Ok(_) => {}
                // Redis comes back, and what happened meanwhile is told then.
                Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "events could not be read"),
            }
            if self.told.elapsed() >= HEARTBEAT {
                return Some(format!("id: {}\n\n", self.after));
            }
            tokio::select! {
                _ = stopping.wait_for(|stop| *stop) => return None,
                () = tokio::time::sleep(LOOK) => {}
            }
        }
        None
    }

    async fn news(&mut self) -> Result<String, crate::ledger::Error> {
        let (events, last) = self.state.ledger.events_after(self.after).await?;
        self.after = last;
        let mut text = String::new();
        for event in events.into_iter().filter(|event| self.wants(event)) {
            let (name, id) = (name_of(&event), event.id);
            let data = serde_json::to_string(&EventView::from(event)).expect("a view is plain JSON");
            text.push_str(&format!("id: {id}\nevent: {name}\ndata: {data}\n\n"));
        }
        Ok(text)
    }

    fn wants(&self, event: &Event) -> bool {
        let Some(wanted) = &self.fabric else { return true };
        match &event.what {
            Happening::Job { fabrics, .. } => fabrics.contains(wanted),
            Happening::Run { fabric, .. } | Happening::Fabric { fabric, .. } => fabric == wanted,
            Happening::Service { .. } | Happening::Server { .. } => true,
        }
    }
}

fn name_of(event: &Event) -> &'static str {
    match event.what {
        Happening::Job { .. } => "job",
        Happening::Run { .. } => "run",
        Happening::Fabric { .. } => "fabric",
        Happening::Service { .. } => "service",
        Happening::Server { .. } => "server",
    }
}

impl From<Event> for EventView {
    fn from(event: Event) -> Self {
        let at = rfc3339(event.at);
        match event.what {
            Happening::Job { job, state, fabrics } => {
                let fabrics = fabrics.iter().map(ToString::to_string).collect();
                Self::Job { job_id: job.to_string(), state, finished: state.is_final(), fabrics, at }
            }
            Happening::Run { run, fabric, outcome, commit } => {
                let commit = commit.map(String::from);
                Self::Run { run_id: run.to_string(), fabric: fabric.to_string(), outcome, commit, at }
            }
            Happening::Fabric { fabric, change } => Self::Fabric { fabric: fabric.to_string(), change, at },
            Happening::Service { change } => Self::Service { change, at },
            Happening::Server { server: Server::Repository(name), ok } => {
                Self::Server { side: "repository", name: name.to_string(), ok, at }
            }
            Happening::Server { server: Server::NetBox(name), ok } => {
                Self::Server { side: "netbox", name: name.to_string(), ok, at }
            }
        }
    }
}
