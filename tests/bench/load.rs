//! A load generator for webhooks: ready-made requests over keep-alive connections, one thread, nothing else.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha512;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::process::Failure;

/// One HTTP/1.1 request, as it goes over the wire.
pub type Request = Vec<u8>;

/// A delivery as NetBox sends it, signed beforehand: making signatures is not what is measured.
pub fn delivery(path: &str, secret: &str, body: &[u8]) -> Request {
    let mac = Hmac::<Sha512>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    with_signature(path, &hex::encode(mac.chain_update(body).finalize().into_bytes()), body)
}

/// A delivery that is signed already.
pub fn with_signature(path: &str, signature: &str, body: &[u8]) -> Request {
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nX-Hook-Signature: {signature}\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

/// A GET with a bearer token.
pub fn get(path: &str, token: &str) -> Request {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n").into_bytes()
}

/// What came of a load.
#[derive(Default)]
pub struct Outcome {
    pub took: Duration,
    /// Sorted.
    latencies: Vec<Duration>,
    statuses: BTreeMap<u16, usize>,
}

impl Outcome {
    /// Answers in a second.
    pub fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.took.as_secs_f64()
    }

    /// The latency that `share` of all answers stayed within, in milliseconds; 1.0 is the worst.
    pub fn latency_ms(&self, share: f64) -> f64 {
        let last = self.latencies.len().saturating_sub(1);
        let place = ((self.latencies.len() as f64 * share).ceil() as usize).saturating_sub(1).min(last);
        self.latencies.get(place).map_or(0.0, |latency| latency.as_secs_f64() * 1_000.0)
    }

    /// An error unless every answer had this status.
    pub fn require(self, status: u16) -> Result<Self, Failure> {
        if self.statuses.keys().all(|found| *found == status) {
            return Ok(self);
        }
        Err(Failure(format!("answers by status: {:?}; only {status} was expected", self.statuses)))
    }
}

/// Sends all requests over so many connections; each takes the next one once it has its answer.
pub async fn send(address: SocketAddr, requests: Vec<Request>, connections: usize) -> Result<Outcome, Failure> {
    let run = move || -> io::Result<Outcome> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        runtime.block_on(send_here(address, Arc::new(requests), connections))
    };
    let outcome = tokio::task::spawn_blocking(run).await.map_err(|error| Failure(error.to_string()))?;
    outcome.map_err(|error| Failure(format!("the load on {address} broke off: {error}")))
}

async fn send_here(address: SocketAddr, requests: Arc<Vec<Request>>, connections: usize) -> io::Result<Outcome> {
    let mut streams = Vec::with_capacity(connections);
    for _ in 0..connections {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        streams.push(stream);
    }
    let next = Arc::new(AtomicUsize::new(0));
    let begun = Instant::now();
    let local = tokio::task::LocalSet::new();
    let senders: Vec<_> = streams
        .into_iter()
        .map(|stream| local.spawn_local(send_on(stream, Arc::clone(&requests), Arc::clone(&next))))
        .collect();
    let mut outcome = Outcome::default();
    let answers = local.run_until(futures::future::try_join_all(senders)).await.map_err(io::Error::other)?;
    outcome.took = begun.elapsed();
    for answers in answers {
        for (status, latency) in answers? {
            *outcome.statuses.entry(status).or_default() += 1;
            outcome.latencies.push(latency);
        }
    }
    outcome.latencies.sort_unstable();
    Ok(outcome)
}

async fn send_on(
    mut stream: TcpStream,
    requests: Arc<Vec<Request>>,
    next: Arc<AtomicUsize>,
) -> io::Result<Vec<(u16, Duration)>> {
    let mut answers = Vec::with_capacity(requests.len() / 8);
    let mut buffer = Vec::with_capacity(4_096);
    while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
        let begun = Instant::now();
        stream.write_all(request).await?;
        let status = answer(&mut stream, &mut buffer).await?;
        answers.push((status, begun.elapsed()));
    }
    Ok(answers)
}

/// Reads one answer to its end and returns its status.
async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<u16> {
    buffer.clear();
    loop {
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection was closed"));
        }
        let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&buffer[..end]);
        let length = head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .and_then(|(_, value)| value.trim().parse::<usize>().ok())
            .ok_or_else(|| io::Error::other(format!("an answer without a length: {head}")))?;
        if buffer.len() >= end + 4 + length {
            let status = head.get(9..12).and_then(|status| status.parse().ok());
            return status.ok_or_else(|| io::Error::other(format!("no status: {head}")));
        }
    }
}
