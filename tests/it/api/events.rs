use std::net::TcpListener;
use std::sync::Arc;

use super::*;
use crate::receive::service::{client, routing, tokens};
use fgd_sync::http::{HttpState, serve};
use fgd_sync::ledger::Ledger;
use tokio::sync::oneshot;

/// A connection that hears what changes.
struct Listener {
    response: reqwest::Response,
    buffer: String,
    last: String,
}

impl Listener {
    async fn open(service: &Service, query: &str, last: Option<&str>) -> Self {
        let mut request = service.get(&format!("/api/v1/events{query}")).bearer_auth(TOKEN);
        if let Some(last) = last {
            request = request.header("Last-Event-ID", last);
        }
        Self::of(request.send().await.expect("answered")).await
    }

    /// Waits for the greeting, so that nothing that happens from now on is missed.
    async fn of(response: reqwest::Response) -> Self {
        assert_eq!(response.status().as_u16(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut listener = Self { response, buffer: String::new(), last: String::new() };
        listener.block().await.expect("the greeting");
        listener
    }

    /// The next block of lines; `None` when the connection has ended.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.buffer.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.buffer = rest;
                if let Some(id) = field(&block, "id") {
                    self.last = id;
                }
                return Some(block);
            }
            let chunk = self.response.chunk().await.expect("the connection is whole")?;
            self.buffer.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The next event: its name and data.
    async fn next(&mut self) -> (String, Value) {
        loop {
            let block = self.block().await.expect("it goes on");
            if let (Some(name), Some(data)) = (field(&block, "event"), field(&block, "data")) {
                return (name, serde_json::from_str(&data).unwrap());
            }
        }
    }

    /// Events up to one of this name, in a line each: name, and what tells it from others.
    async fn until(&mut self, last: &str) -> Vec<String> {
        let mut told = Vec::new();
        loop {
            let (name, data) = self.next().await;
            let word = ["state", "outcome", "change", "ok"].into_iter().find_map(|word| data.get(word)).unwrap();
            told.push(format!("{name} {}", word.to_string().trim_matches('"')));
            if name == last {
                return told;
            }
        }
    }
}

fn field(block: &str, name: &str) -> Option<String> {
    block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ").map(str::to_owned))
}

#[tokio::test]
async fn a_jobs_way_is_told_as_it_goes() {
    let service = service().await;
    let mut listener = Listener::open(&service, "", None).await;

    let job = service.ask("/api/v1/fabrics/lab-fabric/sync").await.job();
    let (name, queued) = listener.next().await;
    let claim = claim(&service).await;
    service.settle(&claim, |fabric| done(&claim, fabric)).await;

    assert_eq!((name.as_str(), &queued["job_id"], &queued["state"]), ("job", &json!(job), &json!("queued")));
    assert_eq!((&queued["fabrics"], &queued["finished"]), (&json!(["lab-fabric"]), &json!(false)));
    let rest = listener.until("fabric").await;
    assert_eq!(rest, ["job running", "run running", "job succeeded", "run succeeded", "fabric settled"]);
}

#[tokio::test]
async fn a_listener_that_comes_back_misses_nothing() {
    let service = service().await;
    let mut listener = Listener::open(&service, "", None).await;
    service.ask("/api/v1/fabrics/lab-fabric/sync").await.job();
    listener.next().await;
    let last = listener.last.clone();
    drop(listener);
    service.ask("/api/v1/fabrics/lab-fabric/pause").await;
    service.ask("/api/v1/pause").await;

    let mut again = Listener::open(&service, "", Some(&last)).await;

    assert_eq!(again.until("service").await, ["fabric paused", "service paused"]);
}

#[tokio::test]
async fn a_listener_that_lost_the_connection_before_the_first_event_misses_none() {
    let service = service().await;
    let listener = Listener::open(&service, "", None).await;
    let last = listener.last.clone();
    drop(listener);
    service.ask("/api/v1/pause").await;

    let mut again = Listener::open(&service, "", Some(&last)).await;

    assert_eq!((last.as_str(), again.next().await.0.as_str()), ("0-0", "service"));
}

#[tokio::test]
async fn a_listener_that_was_away_too_long_is_told_to_read_anew() {
    let service = service().await;
    service.ask("/api/v1/pause").await;

    for unknown in ["1-0", "99999999999999-0"] {
        let mut request = service.get("/api/v1/events").bearer_auth(TOKEN).header("Last-Event-ID", unknown).send();
        let mut listener =
            Listener { response: (&mut request).await.unwrap(), buffer: String::new(), last: String::new() };
        assert_eq!(listener.next().await, ("reset".to_owned(), json!({})), "{unknown}");
    }
    let wrong = service.get("/api/v1/events").bearer_auth(TOKEN).header("Last-Event-ID", "yesterday").send().await;
    Answer::of(wrong.unwrap()).await.is_problem(400, "bad_event_id");
}

#[tokio::test]
async fn a_listener_hears_of_the_fabric_that_it_asked_for() {
    let service = service().await;
    let mut listener = Listener::open(&service, "?fabric=far-fabric", None).await;

    service.ask("/api/v1/fabrics/lab-fabric/sync").await.job();
    service.ask("/api/v1/fabrics/lab-fabric/pause").await;
    service.ask("/api/v1/fabrics/far-fabric/pause").await;

    assert_eq!(listener.next().await.1["fabric"], "far-fabric");
}

#[tokio::test]
async fn what_one_replica_does_another_tells() {
    let service = service().await;
    let ledger = Ledger::open(service.test.server.options(), service.test.clock.clone()).await.unwrap();
    let state = HttpState::new(ledger, routing(Model::CustomObjects), tokens(), Arc::default());
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let other = tokio::spawn(serve(socket, state, async { stopped.await.unwrap_or(()) }));
    let request = client().get(format!("http://{address}/api/v1/events")).bearer_auth(TOKEN);
    let mut listener = Listener::of(request.send().await.unwrap()).await;

    service.ask("/api/v1/pause").await;

    assert_eq!(listener.next().await.0, "service");
    stop.send(()).unwrap();
    other.await.unwrap().unwrap();
    assert_eq!(listener.block().await, None, "a stop ends the connection well");
}
