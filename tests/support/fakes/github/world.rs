//! What the server holds: repositories, tokens, the clock, and what came in.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tempfile::TempDir;

use super::access::Token;
use super::apps::{App, Installation};
use super::deliveries::Parcel;
use super::faults::Fault;
use super::hooks::Hook;
use super::pulls::Pull;
use super::record::Record;
use super::routes::Route;
use super::rules::{Protection, Ruleset};
use super::statuses::Status;
use super::store::Store;
use crate::support::git_server::Bare;

/// One request that came in.
#[derive(Debug, Clone)]
pub struct Served {
    pub method: String,
    /// With its query, as it came.
    pub path: String,
    /// `None` when there is no such route.
    pub route: Option<Route>,
    /// Zero while it runs, and when the connection was cut.
    pub status: u16,
    pub body: Option<Value>,
}

/// A repository.
pub(super) struct Repo {
    pub id: u64,
    pub owner: String,
    pub name: String,
    /// Earlier `owner/name`s, which redirect.
    pub former: Vec<String>,
    pub default_branch: String,
    pub store: Store,
    pub protections: BTreeMap<String, Protection>,
    pub rulesets: Vec<Ruleset>,
    pub statuses: Vec<Status>,
    pub pulls: Vec<Pull>,
    pub hooks: Vec<Hook>,
    /// Refs as they were at the last look for pushes.
    pub known: BTreeMap<String, String>,
    /// Refs that reads see as they were, and for how many reads.
    pub stale: BTreeMap<String, (Option<String>, usize)>,
}

/// Limits of the service that a test may narrow.
pub(super) struct Limits {
    /// Entries of a recursive tree before it is truncated.
    pub tree: usize,
    /// Inline contents in one tree before the request times out.
    pub inline: usize,
    /// Content-creating requests in a minute before the secondary limit.
    pub creating: Option<usize>,
}

/// Everything.
pub(super) struct World {
    pub dir: TempDir,
    /// Scheme, host and port.
    pub origin: String,
    pub repos: Vec<Repo>,
    pub tokens: BTreeMap<String, Token>,
    pub apps: Vec<App>,
    pub installations: Vec<Installation>,
    /// Deliveries of all hooks, oldest first.
    pub parcels: Vec<Parcel>,
    pub limits: Limits,
    pub served: Vec<Served>,
    /// How many of those nobody counts any more.
    pub forgotten: usize,
    pub unexpected: Vec<String>,
    pub record: Record,
    pub faults: VecDeque<(Route, Fault)>,
    pub down: bool,
    pub latency: Duration,
    /// How far the clock was put forward.
    pub ahead: Duration,
    /// Times of content-creating requests within the last minute.
    pub created: VecDeque<i64>,
    pub under_way: BTreeMap<String, usize>,
    pub most_writes_at_once: usize,
    next_id: u64,
}

impl World {
    pub fn new(origin: String) -> Self {
        Self {
            dir: tempfile::tempdir().expect("a temporary directory"),
            origin,
            repos: Vec::new(),
            tokens: BTreeMap::new(),
            apps: Vec::new(),
            installations: Vec::new(),
            parcels: Vec::new(),
            limits: Limits { tree: 100_000, inline: 200, creating: None },
            served: Vec::new(),
            forgotten: 0,
            unexpected: Vec::new(),
            record: Record::new(),
            faults: VecDeque::new(),
            down: false,
            latency: Duration::ZERO,
            ahead: Duration::ZERO,
            created: VecDeque::new(),
            under_way: BTreeMap::new(),
            most_writes_at_once: 0,
            next_id: 1_000,
        }
    }

    /// Seconds since 1970.
    pub fn now(&self) -> i64 {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default() + self.ahead;
        since.as_secs().cast_signed()
    }

    /// REST's root in what nobody asked for.
    pub fn web(&self) -> String {
        format!("{}/api/v3", self.origin)
    }

    /// An id that nothing else has.
    pub fn next_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    pub fn add_repo(&mut self, owner: &str, name: &str) -> usize {
        let id = self.next_id();
        let store = Store::new(Bare::create(&self.dir.path().join(format!("{id}.git"))));
        self.repos.push(Repo {
            id,
            owner: owner.to_owned(),
            name: name.to_owned(),
            former: Vec::new(),
            default_branch: "main".to_owned(),
            store,
            protections: BTreeMap::new(),
            rulesets: Vec::new(),
            statuses: Vec::new(),
            pulls: Vec::new(),
            hooks: Vec::new(),
            known: BTreeMap::new(),
            stale: BTreeMap::new(),
        });
        self.repos.len() - 1
    }

    /// Where a repository is, by its present name.
    pub fn repo_named(&self, full_name: &str) -> Option<usize> {
        self.repos.iter().position(|repo| repo.full_name().eq_ignore_ascii_case(full_name))
    }

    /// Where a repository is that once had this name.
    pub fn repo_formerly(&self, full_name: &str) -> Option<usize> {
        let had = |repo: &Repo| repo.former.iter().any(|former| former.eq_ignore_ascii_case(full_name));
        self.repos.iter().position(had)
    }
}

impl Repo {
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }

    /// The number of the next pull request.
    pub fn next_number(&self) -> u64 {
        self.pulls.last().map_or(1, |pull| pull.number + 1)
    }

    /// Where reads see a ref: mostly where it is.
    pub fn seen(&mut self, name: &str) -> Option<String> {
        if let Some((then, reads)) = self.stale.get_mut(name) {
            if *reads > 0 {
                *reads -= 1;
                return then.clone();
            }
            self.stale.remove(name);
        }
        self.store.ref_target(name)
    }

    /// The commit that reads see for a branch, tag or id.
    pub fn seen_commit(&mut self, name: &str) -> Option<String> {
        let branch = name.strip_prefix("refs/heads/").or(name.strip_prefix("heads/")).unwrap_or(name);
        if self.stale.contains_key(&format!("refs/heads/{branch}")) {
            return self.seen(&format!("refs/heads/{branch}"));
        }
        self.store.resolve(branch)
    }
}

/// As GitHub writes times.
pub(super) fn iso(at: i64) -> String {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(at.max(0).cast_unsigned());
    humantime::format_rfc3339_seconds(time).to_string()
}

/// Reads a time with `Z` or an offset; gives the offset in minutes too.
pub(super) fn parse_time(text: &str) -> Option<(i64, i32)> {
    let (plain, offset) = match text.get(19..)? {
        "Z" => (text.to_owned(), 0),
        zone => {
            let sign = if zone.starts_with('-') { -1 } else { 1 };
            let (hours, minutes) = zone.get(1..)?.split_once(':')?;
            (format!("{}Z", text.get(..19)?), sign * (hours.parse::<i32>().ok()? * 60 + minutes.parse::<i32>().ok()?))
        }
    };
    let time = humantime::parse_rfc3339(&plain).ok()?;
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some((since.as_secs().cast_signed() - i64::from(offset) * 60, offset))
}
