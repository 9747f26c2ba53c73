//! The Git side of a fabric: what its directory holds at the head, compared with base by blob id.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::domain::edit::{Mode, Tree, TreeEntry};
use crate::domain::fate::Reason;
use crate::domain::key::Key;
use crate::domain::names::Oid;
use crate::domain::path::RepoPath;
use crate::domain::policy::Fabric;
use crate::domain::row::{Base, GitBase};
use crate::ledger::types::FabricMemory;
use crate::plan::directory::{Look, is_onboarding};
use crate::plan::managed::{ManagedFile, read_document};
use crate::plan::{BrokenFile, GitSide, RawContent, RawFile, layout, raw};
use crate::repo::{self, Repository};

use super::gather::Of;

/// What Git holds of a fabric.
pub struct GitSides {
    pub tree: Tree,
    pub own_files: BTreeMap<RepoPath, Bytes>,
    /// Every key that a file names, or base, but for those whose file is as base has it.
    pub changed: BTreeMap<Key, GitSide>,
    pub broken: Vec<BrokenFile>,
    pub raw: Vec<RawFile>,
    /// Files that hold the same as their key's own; only while the directory is onboarded.
    pub copies: BTreeMap<RepoPath, Key>,
}

impl GitSides {
    /// What Git has of a key; `base` is the key's.
    pub fn of(&self, key: &Key, base: Option<&Base>) -> GitSide {
        match self.changed.get(key) {
            Some(side) => side.clone(),
            None if base.is_some_and(|base| base.git.is_some()) => GitSide::AsBase,
            None => GitSide::Absent,
        }
    }
}

/// Reads what the directory's tree holds: only the blobs that base does not know.
pub async fn read(
    repository: &dyn Repository,
    of: Of<'_>,
    tree: Tree,
    (memory, look): (&FabricMemory, Look),
) -> Result<GitSides, repo::Error> {
    let Of { fabric, catalogue } = of;
    let own = layout::own_paths(&fabric.directory);
    let own: BTreeMap<RepoPath, Oid> =
        own.into_iter().filter_map(|path| Some((path.clone(), tree.get(&path)?.blob.clone()))).collect();
    let contents = repository.read(&own.values().cloned().collect::<Vec<_>>()).await?;
    let own_files: BTreeMap<RepoPath, Bytes> =
        own.into_iter().filter_map(|(path, blob)| Some((path, contents.get(&blob)?.clone()))).collect();
    let marker = own_files.get(&layout::marker_path(&fabric.directory)).map(|bytes| bytes.as_ref());

    let sorted = Sorted::of(&tree, fabric, memory, is_onboarding(marker, look));
    let blobs: BTreeSet<Oid> = sorted.blobs();
    let contents = repository.read(&blobs.into_iter().collect::<Vec<_>>()).await?;
    let raw_file = |(path, entry): &(&RepoPath, &TreeEntry)| {
        raw::of_entry(catalogue, path, entry, contents.get(&entry.blob).cloned())
    };
    let mut raw: Vec<RawFile> = sorted.raw.iter().filter_map(raw_file).collect();
    // What holds nothing of ours is none of our business outside raw/.
    let ours = |file: &RawFile| file.documents.iter().any(|found| matches!(found.content, RawContent::Document(_)));
    raw.extend(sorted.strewn.iter().filter_map(raw_file).filter(ours));
    let Keys { changed, broken, copies } = sorted.managed_keys(&contents, of);
    Ok(GitSides { own_files, changed, broken, raw, copies, tree })
}

/// The keys that changed files name or leave, and the files that do not name one.
struct Keys {
    changed: BTreeMap<Key, GitSide>,
    broken: Vec<BrokenFile>,
    copies: BTreeMap<RepoPath, Key>,
}

/// The most files that are looked through when a directory is first seen.
const MAX_STREWN: usize = 10_000;

/// The tree's files by what they are to us.
struct Sorted<'a> {
    raw: Vec<(&'a RepoPath, &'a TreeEntry)>,
    /// Files outside raw/ and managed/ that may hold documents; only while the directory is onboarded.
    strewn: Vec<(&'a RepoPath, &'a TreeEntry)>,
    onboarding: bool,
    /// Managed files that base does not know with this content.
    changed: Vec<(&'a RepoPath, &'a Oid)>,
    /// Keys whose file is as base has it.
    unchanged: BTreeMap<&'a Key, &'a RepoPath>,
    /// Keys whose file is gone from its place.
    gone: BTreeSet<&'a Key>,
    /// Keys in whose file's place is something that cannot be read.
    unreadable: Vec<(&'a Key, BrokenFile)>,
    /// What base says of each path.
    known: BTreeMap<&'a RepoPath, (&'a Key, &'a GitBase)>,
    broken: Vec<BrokenFile>,
}

impl<'a> Sorted<'a> {
    fn of(tree: &'a Tree, fabric: &Fabric, memory: &'a FabricMemory, onboarding: bool) -> Self {
        let known: BTreeMap<_, _> =
            memory.base.iter().filter_map(|(key, base)| base.git.as_ref().map(|git| (&git.path, (key, git)))).collect();
        let (raw, managed) = (layout::raw_dir(&fabric.directory), layout::managed_dir(&fabric.directory));
        let is_managed = |path: &RepoPath| path.is_within(&managed) && layout::is_yaml(path);
        let is_there = |path: &RepoPath| tree.contains_key(path) && is_managed(path) && !layout::is_passed_over(path);
        let gone = known.iter().filter(|(path, _)| !is_there(path)).map(|(_, (key, _))| *key).collect();
        let mut sorted = Self {
            raw: Vec::new(),
            strewn: Vec::new(),
            onboarding,
            changed: Vec::new(),
            unchanged: BTreeMap::new(),
            gone,
            unreadable: Vec::new(),
            known,
            broken: Vec::new(),
        };
        for (path, entry) in tree {
            if layout::is_passed_over(path) {
                continue;
            }
            if path.is_within(&raw) {
                sorted.raw.push((path, entry));
            } else if is_managed(path) {
                sorted.managed(path, entry);
            } else if onboarding && is_file(entry) && layout::may_hold_documents(&fabric.directory, path) {
                sorted.strewn.push((path, entry));
            }
        }
        sorted.bound_strewn(&fabric.directory);
        sorted
    }

    fn bound_strewn(&mut self, directory: &RepoPath) {
        let count = self.strewn.len();
        if count > MAX_STREWN {
            let why = format!(
                "it has {count} YAML files that may hold documents; more than {MAX_STREWN} are not looked through: move those \
                 of the fabric to raw/"
            );
            self.broken.push(BrokenFile { path: directory.clone(), reason: Reason::new("too_many_files", why) });
            self.strewn.clear();
        }
    }

    fn managed(&mut self, path: &'a RepoPath, entry: &'a TreeEntry) {
        let known = self.known.get(path);
        let broken = |reason| BrokenFile { path: path.clone(), reason };
        match (unreadable(entry), known) {
            (Some(reason), Some((key, _))) => self.unreadable.push((key, broken(reason))),
            (Some(reason), None) => self.broken.push(broken(reason)),
            (None, Some((key, git))) if git.blob == entry.blob => _ = self.unchanged.insert(key, path),
            (None, _) => self.changed.push((path, &entry.blob)),
        }
    }

    fn blobs(&self) -> BTreeSet<Oid> {
        let changed = self.changed.iter().map(|(_, blob)| (*blob).clone());
        let raw = self.raw.iter().filter(|(_, entry)| has_content(entry)).map(|(_, entry)| entry.blob.clone());
        let strewn = self.strewn.iter().map(|(_, entry)| entry.blob.clone());
        changed.chain(raw).chain(strewn).collect()
    }

    fn managed_keys(self, contents: &BTreeMap<Oid, Bytes>, of: Of) -> Keys {
        let mut broken = self.broken;
        let mut copies = BTreeMap::new();
        let mut keys: BTreeMap<Key, GitSide> = self.gone.iter().map(|key| ((*key).clone(), GitSide::Absent)).collect();
        for (key, BrokenFile { path, reason }) in self.unreadable {
            keys.insert(key.clone(), GitSide::Broken { path, reason });
        }
        for (path, blob) in self.changed {
            let Some(bytes) = contents.get(blob) else { continue };
            // A file whose content became another key's leaves its old key without one.
            let before = self.known.get(path).map(|(key, _)| (*key).clone());
            let reason = match read_document(of.catalogue, bytes) {
                ManagedFile::Document(document) => {
                    if let Some(before) = before.filter(|before| *before != document.key) {
                        keys.entry(before).or_insert(GitSide::Absent);
                    }
                    let other = self.unchanged.get(&document.key).map(|path| (*path).clone());
                    let side = GitSide::File {
                        path: path.clone(),
                        blob: blob.clone(),
                        bytes: bytes.clone(),
                        document: Box::new(document.clone()),
                    };
                    let found = keys.remove(&document.key).or_else(|| other.as_ref().map(|_| GitSide::AsBase));
                    let side = match found {
                        Some(found) if self.onboarding && hold_the_same(&found, &side) => {
                            let (side, copy) = own_file(found, side, of);
                            copies.extend(copy.map(|path| (path, document.key.clone())));
                            side
                        }
                        found => one_of(found, other, side, path),
                    };
                    keys.insert(document.key, side);
                    continue;
                }
                ManagedFile::Broken(reason) => reason,
                ManagedFile::Empty => Reason::new("empty", "the file holds no document; delete it or fill it"),
            };
            match before {
                Some(key) => {
                    keys.insert(key, GitSide::Broken { path: path.clone(), reason });
                }
                None => broken.push(BrokenFile { path: path.clone(), reason }),
            }
        }
        Keys { changed: keys, broken, copies }
    }
}

/// Why a managed file is not looked into, when it is not.
fn unreadable(entry: &TreeEntry) -> Option<Reason> {
    match (&entry.misnamed, entry.mode) {
        (Some(why), _) => Some(raw::misnamed(why)),
        (None, Mode::Symlink | Mode::Submodule) => {
            Some(Reason::new("not_a_file", "it is a symbolic link or a submodule; put a file in its place"))
        }
        (None, Mode::File | Mode::Executable) => None,
    }
}

/// Whether two files hold the same object alike, apart from what only Git knows of it.
fn hold_the_same(one: &GitSide, other: &GitSide) -> bool {
    match (one, other) {
        (GitSide::File { document: one, .. }, GitSide::File { document: other, .. }) => {
            one.shared().digest() == other.shared().digest()
        }
        _ => false,
    }
}

/// Of two files the one that stands where the object's file belongs, else the first; and the path of the other.
fn own_file(one: GitSide, other: GitSide, of: Of) -> (GitSide, Option<RepoPath>) {
    let path_of = |side: &GitSide| match side {
        GitSide::File { path, document, .. } => Some((path.clone(), document.key.clone())),
        GitSide::Absent | GitSide::AsBase | GitSide::Broken { .. } | GitSide::Several { .. } => None,
    };
    let belongs = |side: &GitSide| {
        path_of(side).is_some_and(|(path, key)| {
            let spec = of.catalogue.get(&key.kind);
            spec.and_then(|spec| layout::managed_path(&of.fabric.directory, spec, &key).ok()) == Some(path)
        })
    };
    let (own, copy) = if belongs(&other) { (other, one) } else { (one, other) };
    let copy = path_of(&copy).map(|(path, _)| path);
    (own, copy)
}

/// Whether a raw file is read: a misnamed one is not looked into, and a submodule's content is elsewhere.
fn has_content(entry: &TreeEntry) -> bool {
    entry.misnamed.is_none() && entry.mode != Mode::Submodule
}

fn is_file(entry: &TreeEntry) -> bool {
    match entry.mode {
        _ if entry.misnamed.is_some() => false,
        Mode::File | Mode::Executable => true,
        Mode::Symlink | Mode::Submodule => false,
    }
}

/// The side of a key for which one more file was found.
fn one_of(found: Option<GitSide>, unchanged: Option<RepoPath>, side: GitSide, path: &RepoPath) -> GitSide {
    match (found, unchanged) {
        (None | Some(GitSide::Absent), _) => side,
        (Some(GitSide::Several { mut paths }), _) => {
            paths.push(path.clone());
            GitSide::Several { paths }
        }
        (Some(GitSide::File { path: other, .. } | GitSide::Broken { path: other, .. }), _) => {
            GitSide::Several { paths: vec![other, path.clone()] }
        }
        (Some(GitSide::AsBase), other) => GitSide::Several { paths: other.into_iter().chain([path.clone()]).collect() },
    }
}
