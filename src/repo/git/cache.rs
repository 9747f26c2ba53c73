//! The disposable bare cache: commits and trees of the branches we look at, and the blobs that were read.
//!
//! One user at a time, on this machine: a mutex in the process and a lock file between processes. The promisor settings
//! that make a partial clone are given to fetches only, so that no other command can fetch a missing blob by itself,
//! one request for each.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, MutexGuard};

use super::Timeouts;
use super::command::{Call, Git, Ran};
use super::failure::{self, Fetch};
use super::objects;
use crate::domain::names::{BranchName, Oid};
use crate::repo::Error;

/// Told apart from caches that another version of this program made.
const LAYOUT: &str = "fgd-sync cache 1";
/// Not repaired again before this: an error that a new cache does not cure must not fetch everything each time.
const REPAIR_PAUSE: Duration = Duration::from_secs(600);
/// How often a lock that another process has is tried.
const LOCK_POLL: Duration = Duration::from_millis(20);
/// A partial clone, for the time of one fetch.
const PARTIAL: &[(&str, &str)] =
    &[("remote.origin.promisor", "true"), ("remote.origin.partialclonefilter", "blob:none")];
/// As PARTIAL, and without telling what we have: the server would leave out blobs of commits that it thinks complete.
const PARTIAL_BLOBS: &[(&str, &str)] = &[PARTIAL[0], PARTIAL[1], ("fetch.negotiationAlgorithm", "noop")];
/// Everything as an ordinary clone has it, without telling what we have.
const WHOLE: &[(&str, &str)] = &[("fetch.negotiationAlgorithm", "noop")];
/// Stands in a cache whose server gives no single objects: from then on it is fetched whole.
const WHOLE_MARK: &str = "fgd-whole";
/// Collects garbage when there is enough of it; the default limits, off in every other call.
const COLLECT: &[(&str, &str)] =
    &[PARTIAL[0], PARTIAL[1], ("gc.auto", "6700"), ("gc.autoDetach", "false"), ("gc.autoPackLimit", "50")];

/// A repository's cache, and the only way to its remote.
pub(super) struct Cache {
    /// Holds the lock, the marker and the bare repository.
    home: PathBuf,
    git: Git,
    timeouts: Timeouts,
    /// When the cache was last repaired.
    turn: Mutex<Option<Instant>>,
}

/// The cache, ours alone and usable, until dropped.
pub(super) struct Held<'a> {
    cache: &'a Cache,
    bare: PathBuf,
    /// Made in this turn: what fails now does not fail because the cache is broken.
    fresh: bool,
    turn: MutexGuard<'a, Option<Instant>>,
    _lock: File,
}

/// What a fetch leaves out.
#[derive(Clone, Copy)]
enum Filter {
    Blobless,
    Nothing,
}

impl Cache {
    pub(super) fn new(home: PathBuf, git: Git, timeouts: Timeouts) -> Self {
        Self { home, git, timeouts, turn: Mutex::new(None) }
    }

    /// Asks the remote; the cache is not needed.
    pub(super) async fn remote_head(&self, branch: &BranchName) -> Result<Option<Oid>, Error> {
        let name = format!("refs/heads/{branch}");
        let call = Call::new("asking for the branch's head", ["ls-remote", "origin", &name], self.timeouts.look);
        let answer = self.git.run(call.reaching_the_remote()).await?;
        let text = String::from_utf8_lossy(&answer);
        // The pattern also matches at the end of longer names.
        let line = text.lines().filter_map(|line| line.split_once('\t')).find(|(_, found)| *found == name);
        line.map(|(oid, _)| objects::parse_oid(oid)).transpose()
    }

    /// Waits for our turn, and makes the cache when it is missing or of another remote.
    pub(super) async fn hold(&self) -> Result<Held<'_>, Error> {
        // A secret that cannot be read is no reason to doubt the cache later.
        self.git.check_credentials()?;
        let turn = self.turn.lock().await;
        let lock = self.lock_between_processes().await?;
        let mut held = Held { cache: self, bare: self.home.join("bare.git"), fresh: false, turn, _lock: lock };
        if !held.is_ours() {
            held.rebuild().await?;
        }
        Ok(held)
    }

    async fn lock_between_processes(&self) -> Result<File, Error> {
        let local = |error: std::io::Error| Error::Local {
            doing: "locking the cache",
            detail: format!("{}: {error}", self.home.display()),
        };
        std::fs::create_dir_all(&self.home).map_err(local)?;
        let file =
            File::options().create(true).truncate(false).write(true).open(self.home.join("lock")).map_err(local)?;
        let started = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(error)) => return Err(local(error)),
                Err(TryLockError::WouldBlock) if started.elapsed() > self.timeouts.local => {
                    return Err(Error::Local {
                        doing: "locking the cache",
                        detail: format!("another process holds {}", self.home.display()),
                    });
                }
                Err(TryLockError::WouldBlock) => tokio::time::sleep(LOCK_POLL).await,
            }
        }
    }

    fn marker(&self) -> PathBuf {
        self.home.join("made-for")
    }

    fn marker_text(&self) -> String {
        format!("{LAYOUT}\n{}\n", self.git.remote())
    }
}

impl Held<'_> {
    pub(super) fn git(&self) -> &Git {
        &self.cache.git
    }

    pub(super) fn dir(&self) -> &Path {
        &self.bare
    }

    pub(super) fn timeouts(&self) -> &Timeouts {
        &self.cache.timeouts
    }

    /// A call inside the cache, that does not speak to the remote.
    pub(super) fn call<const N: usize>(&self, doing: &'static str, args: [&str; N]) -> Call<'_> {
        let mut call = Call::new(doing, args, self.cache.timeouts.local);
        call.repository = Some(&self.bare);
        call
    }

    pub(super) async fn remote_head(&self, branch: &BranchName) -> Result<Option<Oid>, Error> {
        self.cache.remote_head(branch).await
    }

    /// Whether an error may come from a broken cache, so that another try on a new one is worth while.
    pub(super) fn may_be_broken(&self, error: &Error) -> bool {
        let tried = self.turn.is_some_and(|at| at.elapsed() < REPAIR_PAUSE);
        !self.fresh && !tried && matches!(error, Error::Local { .. })
    }

    /// Makes a new cache because this one may be broken.
    pub(super) async fn repair(&mut self) -> Result<(), Error> {
        *self.turn = Some(Instant::now());
        self.rebuild().await
    }

    /// Throws the cache away and makes an empty one. The marker goes first and comes last: half a cache has none.
    async fn rebuild(&mut self) -> Result<(), Error> {
        let local = |error: std::io::Error| Error::Local {
            doing: "making the cache",
            detail: format!("{}: {error}", self.bare.display()),
        };
        let marker = self.cache.marker();
        for gone in [std::fs::remove_file(&marker), std::fs::remove_dir_all(&self.bare)] {
            match gone {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(local(error)),
                Ok(()) | Err(_) => {}
            }
        }
        let init = Call::new("making the cache", ["init", "--quiet", "--bare", "--template="], self.timeouts().local);
        self.git().run(init.arg(&self.bare)).await?;
        std::fs::write(&marker, self.cache.marker_text()).map_err(local)?;
        self.fresh = true;
        Ok(())
    }

    fn is_ours(&self) -> bool {
        let marked = std::fs::read_to_string(self.cache.marker()).is_ok_and(|text| text == self.cache.marker_text());
        marked && self.bare.join("HEAD").is_file()
    }

    /// Brings the branch's commits and trees here and returns its head; `None` when the branch does not exist.
    pub(super) async fn fetch_branch(&self, branch: &BranchName) -> Result<Option<Oid>, Error> {
        // One flat level: `a` here and `a/b` there, one after the other, must not collide.
        let local = format!("refs/fgd/{}", hex::encode(branch.as_str()));
        let (config, filter) = self.extent();
        match self.fetch(&[format!("+refs/heads/{branch}:{local}")], config, filter).await {
            Ok(()) => {}
            Err(Fetch::NoBranch) => return Ok(None),
            Err(other) => return Err(self.unexpected(other)),
        }
        let answer = self.git().run(self.call("reading the branch's head", ["rev-parse", "--verify", &local])).await?;
        objects::parse_oid(String::from_utf8_lossy(&answer).trim()).map(Some)
    }

    /// Makes sure that a commit and its trees are here.
    pub(super) async fn need_commit(&self, branch: Option<&BranchName>, commit: &Oid) -> Result<(), Error> {
        if self.has_commit(commit).await? {
            return Ok(());
        }
        // The branch also brings a ref, from which later fetches negotiate.
        if let Some(branch) = branch
            && self.fetch_branch(branch).await?.is_some()
            && self.has_commit(commit).await?
        {
            return Ok(());
        }
        let (config, filter) = self.extent();
        match self.fetch(&[commit.to_string()], config, filter).await {
            Ok(()) => {}
            Err(Fetch::NoObject(_)) => return Err(self.missing(commit)),
            Err(Fetch::OnlyTips) => self.fetch_everything().await?,
            Err(other) => return Err(self.unexpected(other)),
        }
        if self.has_commit(commit).await? { Ok(()) } else { Err(self.missing(commit)) }
    }

    /// Brings blobs here, all in one request.
    pub(super) async fn fetch_blobs(&self, blobs: &[&Oid]) -> Result<(), Error> {
        let wants: Vec<String> = blobs.iter().map(|oid| oid.to_string()).collect();
        match self.fetch(&wants, PARTIAL_BLOBS, Filter::Blobless).await {
            Ok(()) => Ok(()),
            Err(Fetch::NoObject(oid)) => Err(self.missing(&oid)),
            Err(Fetch::OnlyTips) => self.fetch_everything().await,
            Err(other) => Err(self.unexpected(other)),
        }
    }

    /// How much a fetch of commits brings.
    fn extent(&self) -> (&'static [(&'static str, &'static str)], Filter) {
        match self.bare.join(WHOLE_MARK).exists() {
            true => (&[], Filter::Nothing),
            false => (PARTIAL, Filter::Blobless),
        }
    }

    /// For servers that give no single objects (protocol 0, as over an ssh that does not pass `GIT_PROTOCOL` on): all
    /// branches with all their blobs, now and at every later fetch.
    async fn fetch_everything(&self) -> Result<(), Error> {
        // While a ref names a commit, git believes that all of it is here.
        let refs = self.call("listing the cache's refs", ["for-each-ref", "--format=delete %(refname)", "refs/"]);
        let deletions = self.git().run(refs).await?;
        self.git().run(self.call("dropping the cache's refs", ["update-ref", "--stdin"]).stdin(deletions)).await?;
        let all = ["+refs/heads/*:refs/fgd-all/*".to_owned()];
        self.fetch(&all, WHOLE, Filter::Nothing).await.map_err(|failed| self.unexpected(failed))?;
        let mark = self.bare.join(WHOLE_MARK);
        std::fs::write(&mark, "").map_err(|error| Error::Local {
            doing: "marking the cache",
            detail: format!("{}: {error}", mark.display()),
        })
    }

    async fn fetch(&self, wants: &[String], config: &[(&str, &str)], filter: Filter) -> Result<(), Fetch> {
        let doing = "fetching";
        let mut call = self
            .call(doing, ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--stdin"])
            .config(config)
            .stdin((wants.join("\n") + "\n").into_bytes())
            .reaching_the_remote()
            .arg(match filter {
                Filter::Blobless => "--filter=blob:none",
                Filter::Nothing => "--no-filter",
            })
            .arg("origin");
        call.limit = self.timeouts().fetch;
        let (reach, limit) = (call.reach, call.limit);
        match self.git().output(call).await.map_err(Fetch::Other)? {
            Ran::Ended(output) if output.status.success() => {
                self.collect_garbage().await;
                Ok(())
            }
            Ran::Ended(output) => Err(failure::fetch(self.git().remote(), doing, &output.words)),
            Ran::TimedOut => Err(Fetch::Other(failure::timed_out(self.git().remote(), doing, reach, limit))),
        }
    }

    pub(super) async fn has_commit(&self, commit: &Oid) -> Result<bool, Error> {
        let call = self.call("looking for a commit", ["cat-file", "--batch-check"]);
        let answer = self.git().run(call.stdin(format!("{commit}\n").into_bytes())).await?;
        Ok(String::from_utf8_lossy(&answer).contains(" commit "))
    }

    /// Whether `ancestor` is `commit` or in its history. Both must be here.
    pub(super) async fn is_ancestor(&self, ancestor: &Oid, commit: &Oid) -> Result<bool, Error> {
        self.yes_or_no(["merge-base", "--is-ancestor", ancestor.as_str(), commit.as_str()]).await
    }

    /// Whether both have a commit in their histories. Both must be here.
    pub(super) async fn have_a_common_ancestor(&self, one: &Oid, other: &Oid) -> Result<bool, Error> {
        self.yes_or_no(["merge-base", one.as_str(), other.as_str()]).await
    }

    /// A question about the history that git answers by how it ends.
    async fn yes_or_no<const N: usize>(&self, question: [&str; N]) -> Result<bool, Error> {
        let doing = "looking into the history";
        let call = self.call(doing, question);
        let (reach, limit) = (call.reach, call.limit);
        match self.git().output(call).await? {
            Ran::Ended(output) => match output.status.code() {
                Some(0) => Ok(true),
                Some(1) => Ok(false),
                Some(_) | None => Err(failure::error(self.git().remote(), doing, &output.words)),
            },
            Ran::TimedOut => Err(failure::timed_out(self.git().remote(), doing, reach, limit)),
        }
    }

    /// Keeps the cache small. A failure is no harm: the cache works as it is, and is made anew when it does not.
    pub(super) async fn collect_garbage(&self) {
        let call = self.call("collecting garbage", ["gc", "--auto", "--quiet"]).config(COLLECT);
        if let Err(error) = self.git().run(call).await {
            tracing::warn!(cache = %self.bare.display(), %error, "The cache could not be tidied.");
        }
    }

    pub(super) fn missing(&self, oid: &Oid) -> Error {
        Error::Missing { remote: self.git().remote().to_string(), oid: oid.clone() }
    }

    fn unexpected(&self, failed: Fetch) -> Error {
        match failed {
            Fetch::Other(error) => error,
            Fetch::NoObject(oid) => self.missing(&oid),
            Fetch::NoBranch | Fetch::OnlyTips => Error::Unavailable {
                remote: self.git().remote().to_string(),
                detail: "the branch went away while it was fetched".to_owned(),
                after: None,
            },
        }
    }
}
