//! A repository in memory: one branch, commits that never go away, and a swap that compares.
//!
//! It keeps the contract of `Repository` as far as a run needs it, in microseconds. `./dev chaos` storms over real Git.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fgd_sync::domain::edit::{CommitMessage, Edits, Mode, RUN_TRAILER, Tree, TreeEntry};
use fgd_sync::domain::lease::LeaseProof;
use fgd_sync::domain::names::{BranchName, Oid, RunId};
use fgd_sync::domain::path::RepoPath;
use fgd_sync::repo::{Error, History, Repository};

use crate::support::hold::Hold;

pub type Files = BTreeMap<RepoPath, Bytes>;

/// How long a push may take: what a commit demands of its lease.
const PUSH: Duration = Duration::from_secs(60);

/// What goes wrong with one call.
pub enum Trouble {
    /// It does not arrive.
    Refuse,
    /// It is done, and its answer is lost.
    ApplyThenCut,
    /// It stops, before or after it is done, until it is let go.
    Hold { applied: bool, hold: Hold },
}

#[derive(Debug, Clone)]
pub struct Commit {
    pub parent: Option<Oid>,
    pub files: Files,
    pub message: String,
}

impl Commit {
    /// The run that made it; a person's has none.
    pub fn run(&self) -> Option<&str> {
        self.message.lines().find_map(|line| line.strip_prefix(RUN_TRAILER)?.strip_prefix(": "))
    }
}

#[derive(Default)]
pub struct Remote {
    store: Mutex<Store>,
    /// The trouble of whatever call comes after so many others.
    trouble: Mutex<Option<(usize, Trouble)>>,
}

#[derive(Default)]
struct Store {
    head: Option<Oid>,
    commits: BTreeMap<Oid, Commit>,
    blobs: BTreeMap<Oid, Bytes>,
}

impl Remote {
    /// The call that comes after `others` more runs into the trouble. Replaces the last one.
    pub fn later(&self, trouble: Option<(usize, Trouble)>) {
        *lock(&self.trouble) = trouble;
    }

    pub fn head(&self) -> Option<Oid> {
        lock(&self.store).head.clone()
    }

    /// The files of the head.
    pub fn files(&self) -> Files {
        lock(&self.store).files()
    }

    /// The head's history, newest first.
    pub fn history(&self) -> Vec<(Oid, Commit)> {
        let store = lock(&self.store);
        let mut found = Vec::new();
        let mut next = store.head.clone();
        while let Some(oid) = next {
            let commit = store.commits[&oid].clone();
            next = commit.parent.clone();
            found.push((oid, commit));
        }
        found
    }

    /// A person's commit; `None` when it changes nothing.
    pub fn push(&self, change: impl FnOnce(&mut Files)) -> Option<Oid> {
        let mut store = lock(&self.store);
        let mut files = store.files();
        change(&mut files);
        (files != store.files()).then(|| store.add(files, "a person's\n".to_owned()))
    }

    /// A person moves the branch back by so many commits, as far as there are.
    pub fn rewind(&self, commits: usize) {
        let history = self.history();
        let to = history.get(commits.min(history.len().saturating_sub(1))).map(|(oid, _)| oid.clone());
        lock(&self.store).head = to;
    }

    /// Does the call, or what its trouble makes of it; `lost` is the error of an answer that does not arrive.
    async fn call<T: Send>(
        &self,
        act: impl FnOnce(&mut Store) -> Result<T, Error> + Send,
        lost: impl FnOnce() -> Error + Send,
    ) -> Result<T, Error> {
        let trouble = {
            let mut trouble = lock(&self.trouble);
            match trouble.take() {
                Some((0, now)) => Some(now),
                later => {
                    *trouble = later.map(|(left, trouble)| (left - 1, trouble));
                    None
                }
            }
        };
        match trouble {
            None => act(&mut lock(&self.store)),
            Some(Trouble::Refuse) => Err(unavailable()),
            Some(Trouble::ApplyThenCut) => act(&mut lock(&self.store)).and_then(|_| Err(lost())),
            Some(Trouble::Hold { applied: true, hold }) => {
                let answer = act(&mut lock(&self.store));
                hold.wait().await;
                answer
            }
            Some(Trouble::Hold { applied: false, hold }) => {
                hold.wait().await;
                act(&mut lock(&self.store))
            }
        }
    }
}

impl Store {
    fn files(&self) -> Files {
        self.head.as_ref().map(|head| self.commits[head].files.clone()).unwrap_or_default()
    }

    fn add(&mut self, files: Files, message: String) -> Oid {
        let oid = Oid::of_blob(format!("commit {} {message}", self.commits.len()).as_bytes());
        self.blobs.extend(files.values().map(|bytes| (Oid::of_blob(bytes), bytes.clone())));
        self.commits.insert(oid.clone(), Commit { parent: self.head.clone(), files, message });
        self.head = Some(oid.clone());
        oid
    }

    fn commit(&self, oid: &Oid) -> Result<&Commit, Error> {
        self.commits.get(oid).ok_or_else(|| missing(oid))
    }
}

#[async_trait]
impl Repository for Remote {
    async fn head(&self, _branch: &BranchName) -> Result<Option<Oid>, Error> {
        self.call(|store| Ok(store.head.clone()), unavailable).await
    }

    async fn tree(&self, commit: &Oid, directory: &RepoPath) -> Result<Tree, Error> {
        let tree = |store: &mut Store| {
            let files = &store.commit(commit)?.files;
            let below = files.iter().filter(|(path, _)| path.below(directory).is_some());
            let entry = |bytes| TreeEntry { mode: Mode::File, blob: Oid::of_blob(bytes), size: None, misnamed: None };
            Ok(below.map(|(path, bytes)| (path.clone(), entry(bytes))).collect())
        };
        self.call(tree, unavailable).await
    }

    async fn author(&self, _commit: &Oid) -> Result<Option<String>, Error> {
        Ok(None)
    }

    async fn read(&self, blobs: &[Oid]) -> Result<BTreeMap<Oid, Bytes>, Error> {
        if blobs.is_empty() {
            return Ok(BTreeMap::new());
        }
        let read = |store: &mut Store| {
            let blob = |oid: &Oid| Ok((oid.clone(), store.blobs.get(oid).cloned().ok_or_else(|| missing(oid))?));
            blobs.iter().map(blob).collect()
        };
        self.call(read, unavailable).await
    }

    async fn commit(
        &self,
        proof: &LeaseProof,
        base: Option<&Oid>,
        edits: &Edits,
        message: &CommitMessage,
    ) -> Result<Oid, Error> {
        proof.require(PUSH)?;
        let branch = &proof.target().branch;
        let swap = |store: &mut Store| {
            if store.head.as_ref() != base {
                return Err(Error::HeadMoved { branch: branch.clone(), now: store.head.clone() });
            }
            let before = store.files();
            let mut files = before.clone();
            for (path, edit) in edits {
                match edit.bytes() {
                    Some(bytes) => drop(files.insert(path.clone(), bytes.clone())),
                    None => drop(files.remove(path)),
                }
            }
            match base {
                Some(base) if files == before => Ok(base.clone()),
                Some(_) | None => Ok(store.add(files, message.text.clone())),
            }
        };
        let lost = || Error::Uncertain { branch: branch.clone(), detail: "the answer was lost".to_owned() };
        self.call(swap, lost).await
    }

    async fn history(&self, known: &Oid, head: &Oid) -> Result<History, Error> {
        let look = |store: &mut Store| {
            let mut next = Some(head.clone());
            while let Some(oid) = next {
                if oid == *known {
                    return Ok(History::Contains);
                }
                next = store.commit(&oid)?.parent.clone();
            }
            // All begin with the same commit.
            Ok(History::Rewritten)
        };
        self.call(look, unavailable).await
    }

    async fn find_run(&self, _branch: &BranchName, since: Option<&Oid>, run: &RunId) -> Result<Option<Oid>, Error> {
        let find = |store: &mut Store| {
            let mut next = store.head.clone();
            while let Some(oid) = next.filter(|oid| Some(oid) != since) {
                let commit = store.commit(&oid)?;
                if commit.run() == Some(run.as_str()) {
                    return Ok(Some(oid));
                }
                next = commit.parent.clone();
            }
            Ok(None)
        };
        self.call(find, unavailable).await
    }
}

fn unavailable() -> Error {
    Error::Unavailable { remote: "memory".to_owned(), detail: "the storm".to_owned(), after: None }
}

fn missing(oid: &Oid) -> Error {
    Error::Missing { remote: "memory".to_owned(), oid: oid.clone() }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
