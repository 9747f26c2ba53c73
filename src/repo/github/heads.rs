//! Where a branch is: asked so that an unchanged answer is free, and doubted after our own writes.
//!
//! GitHub answers from replicas, which may show an old head for seconds after a write. An old head is worse than none:
//! files that we have just written would look deleted. So for a while after a write its commit is remembered, and a head
//! that is behind it is asked for again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde::Deserialize;

use super::Now;
use super::call::Call;
use super::http::Http;
use crate::domain::names::{BranchName, Oid};
use crate::repo::{Error, History};

/// How long after a write an older head may still be shown; some thirty seconds were seen.
const STALE_FOR: Duration = Duration::from_secs(30);
/// After how long a head is read again that shows what was before our own write.
const STALE_READS: &[Duration] =
    &[Duration::from_millis(250), Duration::from_millis(750), Duration::from_secs(2), Duration::from_secs(4)];

/// What is remembered of the repository's branches.
pub(super) struct Heads {
    now: Now,
    seen: Mutex<HashMap<BranchName, Seen>>,
    written: Mutex<HashMap<BranchName, Written>>,
}

/// The last answer about a branch, and its tag.
#[derive(Clone)]
struct Seen {
    etag: String,
    oid: Oid,
}

/// The newest commit that is known to have been a branch's head: our last write, or what others saw.
#[derive(Clone)]
struct Written {
    ours: Oid,
    /// Whether the write made the branch.
    was_new: bool,
    at: Instant,
}

/// How one commit stands to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    /// It is the other, or has it in its history.
    Contains,
    /// The other has it in its history.
    Behind,
    /// Neither, but both have a commit in common.
    Diverged,
    /// They have nothing in common, or one of them is gone.
    Apart,
}

impl Heads {
    pub fn new(now: Now) -> Self {
        Self { now, seen: Mutex::default(), written: Mutex::default() }
    }

    /// The head of the branch, never one from before our own last write.
    pub async fn head(&self, http: &Http, branch: &BranchName) -> Result<Option<Oid>, Error> {
        let mut now = self.look(http, branch).await?;
        for wait in STALE_READS {
            if !self.is_stale(http, branch, now.as_ref()).await? {
                return Ok(now);
            }
            tokio::time::sleep(*wait).await;
            now = self.look_anew(http, branch).await?;
        }
        match self.recent(branch) {
            Some(written) if self.is_stale(http, branch, now.as_ref()).await? => Err(Error::Unavailable {
                remote: http.shown(),
                detail: format!("it still shows a head of {branch} from before our commit {}", written.ours.short()),
                after: Some(STALE_FOR.saturating_sub(self.since(&written))),
            }),
            Some(_) | None => Ok(now),
        }
    }

    /// The head as it is shown now, whatever we wrote.
    pub async fn look_anew(&self, http: &Http, branch: &BranchName) -> Result<Option<Oid>, Error> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).remove(branch);
        self.look(http, branch).await
    }

    /// <https://docs.github.com/en/rest/git/refs#get-a-reference>
    async fn look(&self, http: &Http, branch: &BranchName) -> Result<Option<Oid>, Error> {
        #[derive(Deserialize)]
        struct Reference {
            #[serde(rename = "ref")]
            name: String,
            object: Object,
        }
        #[derive(Deserialize)]
        struct Object {
            sha: Oid,
        }
        let known = self.seen.lock().unwrap_or_else(PoisonError::into_inner).get(branch).cloned();
        let mut call = Call::get(["git", "ref", "heads"].into_iter().chain(branch.as_str().split('/')));
        call.etag = known.as_ref().map(|known| known.etag.as_str());
        let reply = http.read(&call).await?;
        match (reply.status, &known) {
            (StatusCode::NOT_MODIFIED, Some(known)) => return Ok(Some(known.oid.clone())),
            (StatusCode::OK, _) => {}
            (StatusCode::NOT_FOUND, _) => {
                // A repository that the token does not show answers the same.
                http.repository().await?;
                return Ok(None);
            }
            // "Git Repository is empty."
            (StatusCode::CONFLICT, _) => return Ok(None),
            _ => return Err(http.failure(&call, &reply)),
        }
        let found: Reference = http.parse(&call, &reply)?;
        // Old servers answered with a branch whose name only begins so.
        if found.name != format!("refs/heads/{branch}") {
            return Ok(None);
        }
        let oid = found.object.sha;
        if let Some(etag) = reply.header("etag") {
            let seen = Seen { etag: etag.to_owned(), oid: oid.clone() };
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(branch.clone(), seen);
        }
        Ok(Some(oid))
    }

    /// Takes note that GitHub took our commit, or showed one that contains it: no older one is the head.
    pub fn wrote(&self, branch: &BranchName, ours: &Oid, base: Option<&Oid>) {
        let mut all = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let written = Written { ours: ours.clone(), was_new: base.is_none(), at: (self.now)() };
        all.insert(branch.clone(), written);
        drop(all);
        // The tag is that of the head before.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).remove(branch);
    }

    /// Takes note of a head that another process saw; of the same one only once, so that it is not waited for for ever.
    pub fn expect(&self, branch: &BranchName, head: &Oid) {
        let known = self.written.lock().unwrap_or_else(PoisonError::into_inner).get(branch).cloned();
        if known.is_none_or(|known| known.ours != *head && self.since(&known) >= STALE_FOR) {
            self.wrote(branch, head, Some(head));
        }
    }

    fn since(&self, written: &Written) -> Duration {
        (self.now)().saturating_duration_since(written.at)
    }

    fn recent(&self, branch: &BranchName) -> Option<Written> {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.get(branch).filter(|written| self.since(written) < STALE_FOR).cloned()
    }

    /// Whether this head is one from before our last write.
    async fn is_stale(&self, http: &Http, branch: &BranchName, now: Option<&Oid>) -> Result<bool, Error> {
        let Some(written) = self.recent(branch) else { return Ok(false) };
        match now {
            None => Ok(written.was_new),
            Some(now) if *now == written.ours => Ok(false),
            Some(now) => match relation(http, now, &written.ours).await? {
                Relation::Behind => Ok(true),
                Relation::Contains => {
                    self.wrote(branch, now, Some(&written.ours));
                    Ok(false)
                }
                Relation::Diverged | Relation::Apart => Ok(false),
            },
        }
    }
}

/// How `commit` stands to `other`.
///
/// <https://docs.github.com/en/rest/commits/commits#compare-two-commits>
pub(super) async fn relation(http: &Http, commit: &Oid, other: &Oid) -> Result<Relation, Error> {
    #[derive(Deserialize)]
    struct Comparison {
        status: Status,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Status {
        Identical,
        Ahead,
        Behind,
        Diverged,
    }
    if commit == other {
        return Ok(Relation::Contains);
    }
    let range = format!("{other}...{commit}");
    let call = Call::get(["compare", &range]).query("per_page", 1);
    let reply = http.read(&call).await?;
    match reply.status {
        StatusCode::OK => {}
        // No common ancestor, or one of them is gone.
        StatusCode::NOT_FOUND => return Ok(Relation::Apart),
        _ => return Err(http.failure(&call, &reply)),
    }
    Ok(match http.parse::<Comparison>(&call, &reply)?.status {
        Status::Identical | Status::Ahead => Relation::Contains,
        Status::Behind => Relation::Behind,
        Status::Diverged => Relation::Diverged,
    })
}

/// How the history up to `head` stands to a commit that may be gone.
pub(super) async fn history(http: &Http, known: &Oid, head: &Oid) -> Result<History, Error> {
    Ok(match relation(http, head, known).await? {
        Relation::Contains => History::Contains,
        Relation::Behind | Relation::Diverged => History::Rewritten,
        Relation::Apart => History::Unrelated,
    })
}
