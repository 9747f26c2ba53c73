//! The settings of the service itself: where it listens, logs and keeps its ledger, how fast it works.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::ExposeSecret;
use tracing_subscriber::EnvFilter;
use url::Url;

use super::declared::{Choice, Group, Number, Secret, Standard, Text};
use super::remote;
use super::secret::{self, Found};
use super::section::{Refusal, Section, Setting};
use super::settings::{CircuitBreaker, Debounce, Log, LogFormat, Redis, Retry, Schedule};

const DATA: &str = "/var/lib/fgd-sync";
const DAY_SECONDS: u64 = 86_400;

const HOUR_MS: u64 = 3_600_000;

// This machine alone can reach the defaults.
pub(super) const LISTEN: Text =
    Text::or("listen", "address and port", "127.0.0.1:8080", "Where webhooks, the API and the dashboard are answered.");
pub(super) const WORKER_LISTEN: Text = Text::or(
    "worker_listen",
    "address and port",
    "127.0.0.1:8081",
    "Where `fgd-sync worker` answers for its health and metrics, and nothing else.",
);
pub(super) const PUBLIC_URL: Text = Text::optional(
    "public_url",
    "http or https address",
    "Where NetBox, the Git server and people reach this service; `listen` is taken where it is not set.",
);
pub(super) const DATA_DIRECTORY: Text =
    Text::or("data_directory", "path", DATA, "Where copies of repositories and an embedded Redis keep their files.");
pub(super) const WORKERS: Number = Number {
    name: "workers",
    default: 4,
    range: 1..=256,
    about: "Runs at the same time; a target (repository and branch) has one at most.",
};
pub(super) const LEASE_SECONDS: Number = Number {
    name: "lease_seconds",
    default: 90,
    range: 15..=3_600,
    about: "After a worker has been silent for so long another may take its target; two thirds of it, and at most 60 s, \
            bound each push and NetBox write.",
};

pub(super) const LOG: Group =
    Group::single("log", "What the service writes to its standard output.", &[&FORMAT, &FILTER]);
const FORMAT: Choice<LogFormat> = Choice {
    name: "format",
    words: &[("text", LogFormat::Text), ("json", LogFormat::Json)],
    about: "Lines for people, or one JSON object for each.",
};
const FILTER: Text = Text::or("filter", "log filter", "info", "What is logged, such as `info,fgd_sync::run=debug`.");

pub(super) const REDIS: Group = Group::single(
    "redis",
    "Where the ledger is kept: `redis: embedded` starts a private redis-server in the data directory, a map names a \
     server. One of the two is required.",
    &[&REDIS_URL, &REDIS_CA_FILE, &REDIS_PREFIX],
);
const REDIS_URL: Secret = Secret {
    text: "url",
    file: "url_file",
    standard: Standard::Required,
    about: "The server's address, such as `rediss://user:password@host:6379/0` or `unix:///run/redis.sock`.",
};
const REDIS_CA_FILE: Text =
    Text::optional("ca_file", "file", "PEM of the authority that a `rediss://` server is checked against.");
const REDIS_PREFIX: Text = Text::or("prefix", "text", "fgd", "What every key in Redis begins with.");

pub(super) const DEBOUNCE: Group = Group::single(
    "debounce",
    "When the pending changes of a target become a batch, which is one commit.",
    &[&QUIET_MS, &MAX_WAIT_MS, &MAX_CHANGES],
);
const QUIET_MS: Number = Number {
    name: "quiet_ms",
    default: 2_000,
    range: 0..=HOUR_MS,
    about: "After so much quiet; at most `max_wait_ms`.",
};
const MAX_WAIT_MS: Number = Number {
    name: "max_wait_ms",
    default: 15_000,
    range: 0..=HOUR_MS,
    about: "So long after the first change at the latest.",
};
const MAX_CHANGES: Number = Number {
    name: "max_changes",
    default: 500,
    range: 1..=100_000,
    about: "At once when so many changes are pending.",
};

pub(super) const SCHEDULE: Group = Group::single(
    "schedule",
    "What happens without any webhook.",
    &[&FULL_COMPARISON_MINUTES, &POLL_HEAD_SECONDS, &CATCH_UP_SECONDS],
);
const FULL_COMPARISON_MINUTES: Number = Number {
    name: "full_comparison_minutes",
    default: 360,
    range: 5..=7 * 24 * 60,
    about: "Each fabric is compared as a whole so often, up to a tenth more or less, so that they spread.",
};
const POLL_HEAD_SECONDS: Number = Number {
    name: "poll_head_seconds",
    default: 60,
    range: 5..=DAY_SECONDS,
    about: "Each branch is asked for its head so often.",
};
const CATCH_UP_SECONDS: Number = Number {
    name: "catch_up_seconds",
    default: 120,
    range: 10..=DAY_SECONDS,
    about: "Each NetBox's change log is read so often, for changes that are older than this and that no webhook told of.",
};

pub(super) const RETRY: Group = Group::single(
    "retry",
    "How a run that failed for a passing reason is tried again.",
    &[&FIRST_WAIT_SECONDS, &LONGEST_WAIT_SECONDS, &ATTEMPTS],
);
const FIRST_WAIT_SECONDS: Number = Number {
    name: "first_wait_seconds",
    default: 5,
    range: 1..=DAY_SECONDS,
    about: "The first wait; each is twice the one before.",
};
const LONGEST_WAIT_SECONDS: Number =
    Number { name: "longest_wait_seconds", default: 900, range: 1..=DAY_SECONDS, about: "No wait is longer." };
const ATTEMPTS: Number = Number {
    name: "attempts",
    default: 20,
    range: 1..=1_000,
    about: "After so many the batch is a dead letter, which waits for a person.",
};

pub(super) const CIRCUIT_BREAKER: Group = Group::single(
    "circuit_breaker",
    "When work that needs a server waits, because run after run failed on it: a NetBox, or a host of repositories.",
    &[&FAILURES, &FIRST_TRY_SECONDS, &LONGEST_TRY_SECONDS],
);
const FAILURES: Number = Number {
    name: "failures",
    default: 5,
    range: 0..=1_000,
    about: "After so many runs in a row; one run alone tries the server then. 0: never.",
};
const FIRST_TRY_SECONDS: Number = Number {
    name: "first_wait_seconds",
    default: 10,
    range: 1..=DAY_SECONDS,
    about: "The wait before the first try; each is twice the one before.",
};
const LONGEST_TRY_SECONDS: Number =
    Number { name: "longest_wait_seconds", default: 300, range: 1..=DAY_SECONDS, about: "No wait is longer." };

pub(super) fn listen(root: &Section<'_>) -> Option<SocketAddr> {
    root.read(&LISTEN, address)
}

pub(super) fn worker_listen(root: &Section<'_>) -> Option<SocketAddr> {
    root.read(&WORKER_LISTEN, address)
}

fn address(text: &str) -> Result<SocketAddr, Refusal> {
    text.parse().map_err(|_| {
        Refusal::new(
            format!("`{text}` is not an address and a port"),
            "Write such as 127.0.0.1:8080, 0.0.0.0:8080 or [::]:8080.",
        )
    })
}

/// Where others reach us; made from `listen` where it is not set.
pub(super) fn public_url(root: &Section<'_>, listen: SocketAddr, tls: bool) -> Option<Url> {
    if let Some(setting) = root.get(PUBLIC_URL.name) {
        return setting.parse(remote::http).map(with_slash);
    }
    if !listen.ip().is_loopback() {
        root.warn_missing(
            PUBLIC_URL.name,
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
    let written = root.get(DATA_DIRECTORY.name).and_then(|setting| setting.path_buf());
    written.unwrap_or_else(|| PathBuf::from(DATA))
}

pub(super) fn workers(root: &Section<'_>) -> NonZeroUsize {
    let number = root.number(&WORKERS);
    usize::try_from(number).ok().and_then(NonZeroUsize::new).unwrap_or(NonZeroUsize::MIN)
}

pub(super) fn lease(root: &Section<'_>) -> Duration {
    Duration::from_secs(root.number(&LEASE_SECONDS))
}

pub(super) fn log(root: &Section<'_>) -> Option<Log> {
    let section = root.group(&LOG);
    let read = |text: &str| match EnvFilter::builder().parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(Refusal::new(
            format!("is not a log filter: {error}"),
            "Write such as `info` or `info,fgd_sync::run=debug`.",
        )),
    };
    Some(Log { format: section.choice(&FORMAT), filter: section.read(&FILTER, read)? })
}

pub(super) fn redis(root: &Section<'_>) -> Option<Redis> {
    const CHOICES: &str = "Write `redis: embedded` (a private redis-server in the data directory) or \
                           `redis: {url: redis://host:6379}` (your own server; FGD_REDIS_URL does the same).";
    let setting = root.require(REDIS.name, CHOICES)?;
    match &setting.node.value {
        super::tree::Value::Text(text) if text == "embedded" => Some(Redis::Embedded),
        super::tree::Value::Map(_) => redis_server(&setting.section(&REDIS)?, CHOICES),
        _ => {
            setting.refuse("neither `embedded` nor a map with `url`", CHOICES);
            None
        }
    }
}

fn redis_server(section: &Section<'_>, choices: &str) -> Option<Redis> {
    let url = secret::required(section, &REDIS_URL, choices);
    let ca_file = section.get(REDIS_CA_FILE.name);
    let usable = url.as_ref().is_none_or(|url| redis_url(url, ca_file.as_ref()));
    let ca_file = ca_file.and_then(|setting| setting.readable_file());
    let prefix = section.read(&REDIS_PREFIX, redis_prefix);
    let url = url.filter(|_| usable)?;
    Some(Redis::Server { url: url.source, ca_file, prefix: prefix? })
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
    let section = root.group(&DEBOUNCE);
    let (quiet_ms, max_wait_ms) = (section.number(&QUIET_MS), section.number(&MAX_WAIT_MS));
    if quiet_ms > max_wait_ms {
        section.missing(
            QUIET_MS.name,
            format!("{quiet_ms} is more than max_wait_ms, {max_wait_ms}"),
            "Wait at most as long for quiet as for the whole batch.",
        );
    }
    Debounce {
        quiet: Duration::from_millis(quiet_ms),
        max_wait: Duration::from_millis(max_wait_ms),
        max_changes: section.number(&MAX_CHANGES),
    }
}

pub(super) fn schedule(root: &Section<'_>) -> Schedule {
    let section = root.group(&SCHEDULE);
    Schedule {
        full_comparison: Duration::from_secs(section.number(&FULL_COMPARISON_MINUTES) * 60),
        poll_head: Duration::from_secs(section.number(&POLL_HEAD_SECONDS)),
        catch_up: Duration::from_secs(section.number(&CATCH_UP_SECONDS)),
    }
}

/// The first and the longest wait of a section.
fn waits(section: &Section<'_>, (first, longest): (&Number, &Number)) -> (Duration, Duration) {
    let (name, first, longest) = (first.name, section.number(first), section.number(longest));
    if first > longest {
        section.missing(
            name,
            format!("{first} is more than longest_wait_seconds, {longest}"),
            "Begin with a shorter wait than the longest.",
        );
    }
    (Duration::from_secs(first), Duration::from_secs(longest))
}

pub(super) fn retry(root: &Section<'_>) -> Retry {
    let section = root.group(&RETRY);
    let (first_wait, longest_wait) = waits(&section, (&FIRST_WAIT_SECONDS, &LONGEST_WAIT_SECONDS));
    Retry { first_wait, longest_wait, attempts: u32::try_from(section.number(&ATTEMPTS)).unwrap_or(u32::MAX) }
}

pub(super) fn circuit_breaker(root: &Section<'_>) -> CircuitBreaker {
    let section = root.group(&CIRCUIT_BREAKER);
    let (first_wait, longest_wait) = waits(&section, (&FIRST_TRY_SECONDS, &LONGEST_TRY_SECONDS));
    CircuitBreaker { failures: u32::try_from(section.number(&FAILURES)).unwrap_or(u32::MAX), first_wait, longest_wait }
}
