//! Trees: the files of a commit, complete or an error.
//!
//! One recursive request has everything, unless GitHub cuts it off; then only the directories that are wanted are read,
//! level by level where a single one is too large. Trees never change under their id, so what was read once is kept.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::StatusCode;
use serde::Deserialize;

use super::bounded::Bounded;
use super::call::Call;
use super::http::Http;
use super::listing::{Entry, Kind, Listing, missing, request};
use crate::domain::edit::{Edits, Mode, Tree};
use crate::domain::names::Oid;
use crate::domain::path::RepoPath;
use crate::repo::changes::Files;
use crate::repo::{Error, Named, tree_of};

/// How many entries of trees are kept: some hundred bytes each.
const KEPT_ENTRIES: usize = 300_000;
/// How many commits are kept together with their trees.
const KEPT_COMMITS: usize = 64;

/// What is remembered of the repository's trees.
pub(super) struct Trees {
    /// By the id of the tree; recursive ones only if whole.
    whole: Mutex<Bounded<Oid, Listing>>,
    levels: Mutex<Bounded<Oid, Listing>>,
    /// Commit to its tree.
    roots: Mutex<Bounded<Oid, Oid>>,
    /// Commit to its author's name.
    authors: Mutex<Bounded<Oid, String>>,
    /// The repository is too large to be listed at once.
    is_large: AtomicBool,
}

impl Default for Trees {
    fn default() -> Self {
        Self {
            whole: Mutex::new(Bounded::new(KEPT_ENTRIES)),
            levels: Mutex::new(Bounded::new(KEPT_ENTRIES)),
            roots: Mutex::new(Bounded::new(KEPT_COMMITS)),
            authors: Mutex::new(Bounded::new(KEPT_COMMITS)),
            is_large: AtomicBool::new(false),
        }
    }
}

impl Trees {
    /// Every file of a commit below a directory.
    pub async fn tree(&self, http: &Http, commit: &Oid, directory: &RepoPath) -> Result<Tree, Error> {
        let root = self.root(http, commit).await?;
        if let Some(all) = self.whole_root(http, &root).await? {
            return Ok(into_tree(all.iter().map(|entry| (entry.path.clone(), entry)), directory));
        }
        let Some(found) = self.directory(http, root, directory).await? else { return Ok(Tree::new()) };
        let mut listed = Vec::new();
        self.list(http, &found, directory.as_str(), &mut listed).await?;
        Ok(into_tree(listed.iter().map(|(path, entry)| (path.clone(), entry)), directory))
    }

    /// The files of a commit, at least as far as these edits can touch or meet them.
    pub async fn files(&self, http: &Http, commit: &Oid, edits: &Edits) -> Result<Files, Error> {
        let root = self.root(http, commit).await?;
        let mut files = Files::new();
        if let Some(all) = self.whole_root(http, &root).await? {
            files.extend(all.iter().filter_map(|entry| file(&entry.path, entry)));
            return Ok(files);
        }
        for path in edits.keys() {
            self.files_on_the_way(http, &root, path.as_str(), &mut files).await?;
        }
        Ok(files)
    }

    /// All files of a tree; `None` where there are too many to be listed at once.
    pub async fn files_of(&self, http: &Http, tree: &Oid) -> Result<Option<Files>, Error> {
        let all = self.whole(http, tree).await?;
        Ok(all.map(|all| all.iter().filter_map(|entry| file(&entry.path, entry)).collect()))
    }

    /// The tree of a commit.
    pub async fn root(&self, http: &Http, commit: &Oid) -> Result<Oid, Error> {
        let known = lock(&self.roots).get(commit);
        match known {
            Some(root) => Ok(root),
            None => Ok(self.commit(http, commit).await?.0),
        }
    }

    /// The name of a commit's author. Of a commit that was read it is known.
    pub async fn author(&self, http: &Http, commit: &Oid) -> Result<Option<String>, Error> {
        let known = lock(&self.authors).get(commit);
        let name = match known {
            Some(name) => name,
            None => self.commit(http, commit).await?.1,
        };
        Ok(Some(name).filter(|name| !name.is_empty()))
    }

    /// The tree and the author's name of a commit.
    ///
    /// <https://docs.github.com/en/rest/git/commits#get-a-commit-object>
    async fn commit(&self, http: &Http, commit: &Oid) -> Result<(Oid, String), Error> {
        #[derive(Deserialize)]
        struct Commit {
            tree: Object,
            author: Person,
        }
        #[derive(Deserialize)]
        struct Object {
            sha: Oid,
        }
        #[derive(Deserialize)]
        struct Person {
            name: String,
        }
        let call = Call::get(["git", "commits", commit.as_str()]);
        let reply = http.read(&call).await?;
        if let StatusCode::NOT_FOUND | StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY = reply.status {
            return Err(missing(http, commit).await);
        }
        if reply.status != StatusCode::OK {
            return Err(http.failure(&call, &reply));
        }
        let read = http.parse::<Commit>(&call, &reply)?;
        self.remember_root(commit, &read.tree.sha);
        lock(&self.authors).put(commit.clone(), read.author.name.clone(), 1);
        Ok((read.tree.sha, read.author.name))
    }

    /// Takes note of the tree of a commit.
    pub fn remember_root(&self, commit: &Oid, root: &Oid) {
        lock(&self.roots).put(commit.clone(), root.clone(), 1);
    }

    /// Takes note of the whole content of a tree that we made ourselves from another, with the sizes of what is new.
    pub fn remember_files(&self, root: &Oid, files: &Files, base: Option<&Oid>, new: &HashMap<Oid, u64>) {
        if self.is_large.load(Ordering::Relaxed) {
            return;
        }
        let before = base.and_then(|base| lock(&self.whole).get(base)).unwrap_or_default();
        let mut sizes: HashMap<&Oid, u64> = before.iter().filter_map(|entry| Some((&entry.oid, entry.size?))).collect();
        sizes.extend(new.iter().map(|(oid, size)| (oid, *size)));
        let entry = |(path, (mode, oid)): (&Vec<u8>, &(Mode, Oid))| {
            let path = String::from_utf8(path.clone()).ok()?;
            Some(Entry { path, kind: Kind::File(*mode), oid: oid.clone(), size: sizes.get(oid).copied() })
        };
        if let Some(entries) = files.iter().map(entry).collect::<Option<Vec<_>>>() {
            let weight = entries.len();
            lock(&self.whole).put(root.clone(), Arc::new(entries), weight);
        }
    }

    /// The whole repository, unless it is too large for that.
    async fn whole_root(&self, http: &Http, root: &Oid) -> Result<Option<Listing>, Error> {
        if self.is_large.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let whole = self.whole(http, root).await?;
        if whole.is_none() {
            tracing::info!(repository = %http.shown(), "The repository is too large for one listing: read by directory.");
            self.is_large.store(true, Ordering::Relaxed);
        }
        Ok(whole)
    }

    /// Everything below a tree; `None` when GitHub cuts the listing off.
    async fn whole(&self, http: &Http, tree: &Oid) -> Result<Option<Listing>, Error> {
        if let Some(known) = lock(&self.whole).get(tree) {
            return Ok(Some(known));
        }
        let (listing, is_whole) = request(http, tree, true).await?;
        if !is_whole {
            return Ok(None);
        }
        lock(&self.whole).put(tree.clone(), listing.clone(), listing.len());
        Ok(Some(listing))
    }

    /// One directory without what is below its own.
    async fn level(&self, http: &Http, tree: &Oid) -> Result<Listing, Error> {
        if let Some(known) = lock(&self.levels).get(tree) {
            return Ok(known);
        }
        let (listing, is_whole) = request(http, tree, false).await?;
        if !is_whole {
            return Err(http.unavailable(format!("the directory {tree} has more entries than GitHub lists")));
        }
        lock(&self.levels).put(tree.clone(), listing.clone(), listing.len());
        Ok(listing)
    }

    /// The tree of a directory, walked to from the root.
    async fn directory(&self, http: &Http, root: Oid, directory: &RepoPath) -> Result<Option<Oid>, Error> {
        let mut tree = root;
        for part in directory.as_str().split('/').filter(|part| !part.is_empty()) {
            let level = self.level(http, &tree).await?;
            match level.iter().find(|entry| entry.path == part) {
                Some(entry) if entry.kind == Kind::Directory => tree = entry.oid.clone(),
                Some(_) | None => return Ok(None),
            }
        }
        Ok(Some(tree))
    }

    /// Every file below a tree, with its path from the repository's root.
    async fn list(&self, http: &Http, tree: &Oid, at: &str, listed: &mut Vec<(String, Entry)>) -> Result<(), Error> {
        let mut ahead = vec![(tree.clone(), at.to_owned())];
        while let Some((tree, at)) = ahead.pop() {
            let (listing, is_whole) = match self.whole(http, &tree).await? {
                Some(whole) => (whole, true),
                None => (self.level(http, &tree).await?, false),
            };
            for entry in listing.iter() {
                let path = join(&at, &entry.path);
                match entry.kind {
                    Kind::Directory if is_whole => {}
                    Kind::Directory => ahead.push((entry.oid.clone(), path)),
                    Kind::File(_) => listed.push((path, entry.clone())),
                }
            }
        }
        Ok(())
    }

    /// The files beside a path and above it, and those below it if it is a directory.
    async fn files_on_the_way(&self, http: &Http, root: &Oid, path: &str, files: &mut Files) -> Result<(), Error> {
        let (mut tree, mut at) = (root.clone(), String::new());
        for part in path.split('/') {
            let level = self.level(http, &tree).await?;
            files.extend(level.iter().filter_map(|entry| file(&join(&at, &entry.path), entry)));
            at = join(&at, part);
            match level.iter().find(|entry| entry.path == part) {
                Some(entry) if entry.kind == Kind::Directory => tree = entry.oid.clone(),
                Some(_) | None => return Ok(()),
            }
        }
        let mut below = Vec::new();
        self.list(http, &tree, &at, &mut below).await?;
        files.extend(below.iter().filter_map(|(path, entry)| file(path, entry)));
        Ok(())
    }
}

fn join(directory: &str, name: &str) -> String {
    if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") }
}

fn file(path: &str, entry: &Entry) -> Option<(Vec<u8>, (Mode, Oid))> {
    match entry.kind {
        Kind::Directory => None,
        Kind::File(mode) => Some((path.as_bytes().to_vec(), (mode, entry.oid.clone()))),
    }
}

fn into_tree<'a>(listed: impl Iterator<Item = (String, &'a Entry)>, directory: &RepoPath) -> Tree {
    let named = |(path, entry): (String, &Entry)| match entry.kind {
        Kind::Directory => None,
        Kind::File(mode) => Some(Named { name: as_in_git(path), mode, blob: entry.oid.clone(), size: entry.size }),
    };
    tree_of(listed.filter_map(named), directory)
}

/// JSON has no bytes that are not UTF-8: the replacement character stands for them, and names no file.
fn as_in_git(path: String) -> Vec<u8> {
    match path.contains(char::REPLACEMENT_CHARACTER) {
        true => path.split(char::REPLACEMENT_CHARACTER).map(str::as_bytes).collect::<Vec<_>>().join(&0xff),
        false => path.into_bytes(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
