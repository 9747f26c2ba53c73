//! The way of ended spans to a collector.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::sync::{mpsc, oneshot};
use url::Url;

use crate::domain::cause::with_causes;

use super::layer::{Counters, TraceLayer};
use super::otlp::{self, Span};

/// Ended spans that may wait; some megabytes at most.
const QUEUE: usize = 4_096;
/// Spans in one request.
const MOST: usize = 512;
/// How long a span waits for others to go with it.
const GATHER: Duration = Duration::from_secs(2);
/// For a whole request.
const PATIENCE: Duration = Duration::from_secs(10);
/// For what is left when the process ends.
const LAST: Duration = Duration::from_secs(5);
/// A collector that is gone is complained of so often.
const COMPLAIN: Duration = Duration::from_secs(300);

/// Where spans go, and what is said of where they come from.
pub struct Options {
    /// The whole address, such as `http://127.0.0.1:4318/v1/traces`.
    pub endpoint: Url,
    /// With each request; their values are secrets.
    pub headers: HeaderMap,
    /// Attributes of this process, `service.name` among them.
    pub resource: Vec<(String, String)>,
    /// Whether requests to NetBox and Git servers name the trace.
    pub propagate: bool,
}

/// The task that sends spans.
pub struct Exporting {
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

impl Exporting {
    /// Sends what has ended so far, for a few seconds at most, and ends.
    pub async fn finish(self) {
        let _ = self.stop.send(());
        let abort = self.task.abort_handle();
        if tokio::time::timeout(LAST, self.task).await.is_err() {
            abort.abort();
        }
    }
}

/// Begins to send; nothing is asked of the collector yet. An error is a client that cannot be made.
pub fn start(options: Options) -> Result<(TraceLayer, Exporting), reqwest::Error> {
    let client = reqwest::Client::builder()
        .timeout(PATIENCE)
        .default_headers(options.headers)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("fgd-sync/", env!("CARGO_PKG_VERSION")))
        .build()?;
    let (ended, queue) = mpsc::channel(QUEUE);
    let counts = Arc::new(Counters::default());
    let layer = TraceLayer::new(ended, Arc::clone(&counts), options.propagate);
    let sender = Sender { client, endpoint: options.endpoint, resource: options.resource, counts, complained: None };
    let (stop, stopped) = oneshot::channel();
    Ok((layer, Exporting { stop, task: tokio::spawn(sender.carry(queue, stopped)) }))
}

struct Sender {
    client: reqwest::Client,
    endpoint: Url,
    resource: Vec<(String, String)>,
    counts: Arc<Counters>,
    complained: Option<Instant>,
}

impl Sender {
    async fn carry(mut self, mut queue: mpsc::Receiver<Span>, mut stopped: oneshot::Receiver<()>) {
        let mut spans = Vec::new();
        let mut gathering = tokio::time::interval(GATHER);
        loop {
            tokio::select! {
                _ = &mut stopped => break,
                Some(span) = queue.recv() => {
                    spans.push(span);
                    if spans.len() < MOST {
                        continue;
                    }
                }
                _ = gathering.tick() => {}
            }
            self.send(&mut spans).await;
        }
        while let Ok(span) = queue.try_recv() {
            spans.push(span);
        }
        self.send(&mut spans).await;
    }

    /// Sends them, once: a trace is not worth a queue of repetitions.
    async fn send(&mut self, all: &mut Vec<Span>) {
        for spans in std::mem::take(all).chunks(MOST) {
            let body = otlp::request(&self.resource, spans);
            let sent = self.client.post(self.endpoint.clone()).json(&body).send().await;
            let refused = match sent.and_then(reqwest::Response::error_for_status) {
                Ok(_) => None,
                Err(error) => Some(with_causes(&error.without_url())),
            };
            let count = if refused.is_none() { &self.counts.exported } else { &self.counts.dropped };
            count.fetch_add(spans.len() as u64, Ordering::Relaxed);
            if let Some(why) = refused.filter(|_| self.complained.is_none_or(|at| at.elapsed() > COMPLAIN)) {
                self.complained = Some(Instant::now());
                tracing::warn!(endpoint = %self.endpoint, why, "traces are lost: the collector does not take them");
            }
        }
    }
}

/// A header of the settings; `None` when it cannot be one.
pub fn header(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    let mut value = HeaderValue::try_from(value).ok()?;
    value.set_sensitive(true);
    Some((HeaderName::try_from(name).ok()?, value))
}
