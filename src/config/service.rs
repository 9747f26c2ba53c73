//! The settings of the service itself: where it listens, logs and keeps its ledger, how fast it works.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::ExposeSecret;
use tracing_subscriber::EnvFilter;
use url::Url;

use super::remote;
use super::secret::{self, Found, Names};
use super::section::{Refusal, Section, Setting};
use super::settings::{CircuitBreaker, Debounce, Log, LogFormat, Redis, Retry, Schedule};

const DAY_SECONDS: u64 = 86_400;

pub(super) fn listen(root: &Section<'_>) -> SocketAddr {
    address(root, "listen", 8080)
}

pub(super) fn worker_listen(root: &Section<'_>) -> SocketAddr {
    address(root, "worker_listen", 8081)
}

/// An address to listen on; this machine alone can reach the default.
fn address(root: &Section<'_>, name: &'static str, port: u16) -> SocketAddr {
    let default = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    let read = |text: &str| {
        text.parse().map_err(|_| {
            Refusal::new(
                format!("`{text}` is not an address and a port"),
                "Write such as 127.0.0.1:8080, 0.0.0.0:8080 or [::]:8080.",
            )
        })
    };
    root.get(name).and_then(|setting| setting.parse(read)).unwrap_or(default)
}

/// Where others reach us; made from `listen` where it is not set.
pub(super) fn public_url(root: &Section<'_>, listen: SocketAddr, tls: bool) -> Option<Url> {
    if let Some(setting) = root.get("public_url") {
        return setting.parse(remote::http).map(with_slash);
    }
    if !listen.ip().is_loopback() {
        root.warn_missing(
            "public_url",
            format!("is not set: status links and webhooks will point to {listen}"),
            "Set it to the address under which NetBox and people reach this service.",
        );
    }
    Url::parse(&format!("http{}://{listen}/", if tls { "s" } else { "" })).ok()
}

/// An address to which a path can be joined.
pub(super) fn with_slash(mut url: Url) -> Url {
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    url
}

pub(super) fn data_directory(root: &Section<'_>) -> PathBuf {
    let default = || PathBuf::from("/var/lib/fgd-sync");
    root.get("data_directory").and_then(|setting| setting.path_buf()).unwrap_or_else(default)
}

pub(super) fn workers(root: &Section<'_>) -> NonZeroUsize {
    let number = root.number("workers", 4, 1..=256);
    usize::try_from(number).ok().and_then(NonZeroUsize::new).unwrap_or(NonZeroUsize::MIN)
}

pub(super) fn lease(root: &Section<'_>) -> Duration {
    Duration::from_secs(root.number("lease_seconds", 90, 15..=3_600))
}

pub(super) fn log(root: &Section<'_>) -> Log {
    let mut log = Log { format: LogFormat::default(), filter: "info".to_owned() };
    let Some(section) = root.get("log").and_then(|setting| setting.section()) else { return log };
    let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    if let Some(format) = section.get("format").and_then(|setting| setting.choice(&formats)) {
        log.format = format;
    }
    let read = |text: &str| match EnvFilter::builder().parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(Refusal::new(
            format!("is not a log filter: {error}"),
            "Write such as `info` or `info,fgd_sync::run=debug`.",
        )),
    };
    if let Some(filter) = section.get("filter").and_then(|setting| setting.parse(read)) {
        log.filter = filter;
    }
    section.close();
    log
}

pub(super) fn redis(root: &Section<'_>) -> Option<Redis> {
    const CHOICES: &str = "Write `redis: embedded` (a private redis-server in the data directory) or \
                           `redis: {url: redis://host:6379}` (your own server; FGD_REDIS_URL does the same).";
    let setting = root.require("redis", CHOICES)?;
    match &setting.node.value {
        super::tree::Value::Text(text) if text == "embedded" => Some(Redis::Embedded),
        super::tree::Value::Map(_) => redis_server(setting.section()?, CHOICES),
        _ => {
            setting.refuse("neither `embedded` nor a map with `url`", CHOICES);
            None
        }
    }
}

fn redis_server(section: Section<'_>, choices: &str) -> Option<Redis> {
    let url = secret::required(&section, &Names { text: "url", file: "url_file" }, choices);
    let ca_file = section.get("ca_file");
    let usable = url.as_ref().is_none_or(|url| redis_url(url, ca_file.as_ref()));
    let ca_file = ca_file.and_then(|setting| setting.readable_file());
    let prefix = section.get("prefix").and_then(|setting| setting.parse(redis_prefix));
    section.close();
    let url = url.filter(|_| usable)?;
    Some(Redis::Server { url: url.source, ca_file, prefix: prefix.unwrap_or_else(|| "fgd".to_owned()) })
}

fn redis_prefix(text: &str) -> Result<String, Refusal> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
    // A brace would be taken for the cluster's hash tag.
    if !text.is_empty() && text.len() <= 64 && text.chars().all(plain) {
        return Ok(text.to_owned());
    }
    Err(Refusal::new("cannot stand in front of every key", "Write up to 64 letters, digits or any of `-_.:`."))
}

/// Checks the address without ever repeating it: it may hold the password.
fn redis_url(found: &Found<'_>, ca_file: Option<&Setting<'_>>) -> bool {
    const EXAMPLE: &str =
        "Write such as redis://host:6379, rediss://user:password@host:6379/0 or unix:///run/redis.sock.";
    let Ok(url) = Url::parse(found.now.expose_secret()) else {
        found.setting.refuse("is not an address", EXAMPLE);
        return false;
    };
    let scheme = url.scheme();
    if !matches!(scheme, "redis" | "rediss" | "unix" | "redis+unix") {
        found.setting.refuse(format!("`{scheme}` is not a way to reach Redis"), EXAMPLE);
        return false;
    }
    if let Some(ca_file) = ca_file.filter(|_| scheme != "rediss") {
        ca_file.refuse("has no effect without TLS", "Use a rediss:// address, or take the file away.");
    }
    if scheme == "redis" && remote::is_far(&url) && url.password().is_some() {
        found.setting.warn("sends the Redis password unencrypted over the network", "Use a rediss:// address.");
    }
    true
}

pub(super) fn debounce(root: &Section<'_>) -> Debounce {
    const HOUR_MS: u64 = 3_600_000;
    let (mut quiet_ms, mut max_wait_ms, mut max_changes) = (2_000, 15_000, 500);
    if let Some(section) = root.get("debounce").and_then(|setting| setting.section()) {
        quiet_ms = section.number("quiet_ms", quiet_ms, 0..=HOUR_MS);
        max_wait_ms = section.number("max_wait_ms", max_wait_ms, 0..=HOUR_MS);
        max_changes = section.number("max_changes", max_changes, 1..=100_000);
        if quiet_ms > max_wait_ms {
            section.missing(
                "quiet_ms",
                format!("{quiet_ms} is more than max_wait_ms, {max_wait_ms}"),
                "Wait at most as long for quiet as for the whole batch.",
            );
        }
        section.close();
    }
    let (quiet, max_wait) = (Duration::from_millis(quiet_ms), Duration::from_millis(max_wait_ms));
    Debounce { quiet, max_wait, max_changes }
}

pub(super) fn schedule(root: &Section<'_>) -> Schedule {
    let (mut minutes, mut seconds) = (360, 60);
    if let Some(section) = root.get("schedule").and_then(|setting| setting.section()) {
        minutes = section.number("full_comparison_minutes", minutes, 5..=7 * 24 * 60);
        seconds = section.number("poll_head_seconds", seconds, 5..=DAY_SECONDS);
        section.close();
    }
    Schedule { full_comparison: Duration::from_secs(minutes * 60), poll_head: Duration::from_secs(seconds) }
}

/// `first_wait_seconds` and `longest_wait_seconds` of a section.
fn waits(section: &Section<'_>, (first, longest): (u64, u64)) -> (Duration, Duration) {
    let first = section.number("first_wait_seconds", first, 1..=DAY_SECONDS);
    let longest = section.number("longest_wait_seconds", longest, 1..=DAY_SECONDS);
    if first > longest {
        section.missing(
            "first_wait_seconds",
            format!("{first} is more than longest_wait_seconds, {longest}"),
            "Begin with a shorter wait than the longest.",
        );
    }
    (Duration::from_secs(first), Duration::from_secs(longest))
}

pub(super) fn retry(root: &Section<'_>) -> Retry {
    let (mut waiting, mut attempts) = ((Duration::from_secs(5), Duration::from_secs(900)), 20);
    if let Some(section) = root.get("retry").and_then(|setting| setting.section()) {
        waiting = waits(&section, (5, 900));
        attempts = section.number("attempts", attempts, 1..=1_000);
        section.close();
    }
    let (first_wait, longest_wait) = waiting;
    Retry { first_wait, longest_wait, attempts: u32::try_from(attempts).unwrap_or(u32::MAX) }
}

pub(super) fn circuit_breaker(root: &Section<'_>) -> CircuitBreaker {
    let (mut waiting, mut failures) = ((Duration::from_secs(10), Duration::from_secs(300)), 5);
    if let Some(section) = root.get("circuit_breaker").and_then(|setting| setting.section()) {
        waiting = waits(&section, (10, 300));
        failures = section.number("failures", failures, 0..=1_000);
        section.close();
    }
    let (first_wait, longest_wait) = waiting;
    CircuitBreaker { failures: u32::try_from(failures).unwrap_or(u32::MAX), first_wait, longest_wait }
}
