//! The Git side of a fabric: what its directory holds at the head, compared with base by blob id.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::domain::edit::{Mode, Tree, TreeEntry};
use crate::domain::fate::Reason;
use crate::domain::key::Key;
use crate::domain::kind::Catalogue;
use crate::domain::names::Oid;
use crate::domain::path::RepoPath;
use crate::domain::policy::Fabric;
use crate::domain::row::GitBase;
use crate::ledger::types::FabricMemory;
use crate::plan::managed::{ManagedFile, read_document};
use crate::plan::{BrokenFile, GitSide, RawFile, layout, raw};
use crate::repo::{self, Repository};

/// What Git holds of a fabric.
pub struct GitSides {
    pub tree: Tree,
    pub own_files: BTreeMap<RepoPath, Bytes>,
    /// Every key that base or a file names; `AsBase` for those whose file is unchanged.
    pub keys: BTreeMap<Key, GitSide>,
    pub broken: Vec<BrokenFile>,
    pub raw: Vec<RawFile>,
}

/// Reads the directory at `head`: one tree, then only the blobs that base does not know.
pub async fn read(
    repository: &dyn Repository,
    fabric: &Fabric,
    head: Option<&Oid>,
    memory: &FabricMemory,
) -> Result<GitSides, repo::Error> {
    let tree = match head {
        Some(head) => repository.tree(head, &fabric.directory).await?,
        None => Tree::new(),
    };
    let sorted = Sorted::of(&tree, fabric, memory);
    let blobs: BTreeSet<Oid> = sorted.blobs();
    let contents = repository.read(&blobs.into_iter().collect::<Vec<_>>()).await?;

    let own_files =
        sorted.own.iter().filter_map(|(path, blob)| Some((path.clone(), contents.get(blob)?.clone()))).collect();
    let raw = sorted
        .raw
        .iter()
        .filter_map(|(path, entry)| {
            raw::of_entry(Catalogue::hedgehog(), path, entry, contents.get(&entry.blob).cloned())
        })
        .collect();
    let (keys, broken) = sorted.managed_keys(&contents);
    Ok(GitSides { own_files, keys, broken, raw, tree: tree.clone() })
}

/// The tree's files by what they are to us.
struct Sorted<'a> {
    own: Vec<(RepoPath, Oid)>,
    raw: Vec<(&'a RepoPath, &'a TreeEntry)>,
    /// Managed files that base does not know with this content.
    changed: Vec<(&'a RepoPath, &'a Oid)>,
    /// Keys whose file is as base has it.
    unchanged: BTreeMap<&'a Key, &'a RepoPath>,
    /// Keys whose file is gone from its place.
    gone: BTreeSet<&'a Key>,
    /// What base says of each path.
    known: BTreeMap<&'a RepoPath, (&'a Key, &'a GitBase)>,
    broken: Vec<BrokenFile>,
}

impl<'a> Sorted<'a> {
    fn of(tree: &'a Tree, fabric: &Fabric, memory: &'a FabricMemory) -> Self {
        let known: BTreeMap<_, _> =
            memory.base.iter().filter_map(|(key, base)| base.git.as_ref().map(|git| (&git.path, (key, git)))).collect();
        let gone = known.iter().filter(|(path, _)| !tree.contains_key(**path)).map(|(_, (key, _))| *key).collect();
        let mut sorted = Self {
            own: Vec::new(),
            raw: Vec::new(),
            changed: Vec::new(),
            unchanged: BTreeMap::new(),
            gone,
            known,
            broken: Vec::new(),
        };
        for own in [layout::marker_path(&fabric.directory), layout::archive_log_path(&fabric.directory)] {
            if let Some(entry) = tree.get(&own) {
                sorted.own.push((own, entry.blob.clone()));
            }
        }
        let (raw, managed) = (layout::raw_dir(&fabric.directory), layout::managed_dir(&fabric.directory));
        for (path, entry) in tree {
            if layout::is_passed_over(path) {
                continue;
            }
            if path.is_within(&raw) {
                sorted.raw.push((path, entry));
            } else if path.is_within(&managed) && is_yaml(path) {
                sorted.managed(path, entry);
            }
        }
        sorted
    }

    fn managed(&mut self, path: &'a RepoPath, entry: &'a TreeEntry) {
        if let Mode::Symlink | Mode::Submodule = entry.mode {
            let reason = Reason::new("not_a_file", "it is a symbolic link or a submodule; put a file in its place");
            self.broken.push(BrokenFile { path: path.clone(), reason });
            return;
        }
        match self.known.get(path) {
            Some((key, git)) if git.blob == entry.blob => {
                self.unchanged.insert(key, path);
            }
            Some(_) | None => self.changed.push((path, &entry.blob)),
        }
    }

    fn blobs(&self) -> BTreeSet<Oid> {
        let own = self.own.iter().map(|(_, blob)| blob.clone());
        let changed = self.changed.iter().map(|(_, blob)| (*blob).clone());
        let raw =
            self.raw.iter().filter(|(_, entry)| entry.mode != Mode::Submodule).map(|(_, entry)| entry.blob.clone());
        own.chain(changed).chain(raw).collect()
    }

    fn managed_keys(self, contents: &BTreeMap<Oid, Bytes>) -> (BTreeMap<Key, GitSide>, Vec<BrokenFile>) {
        let mut broken = self.broken;
        let mut keys: BTreeMap<Key, GitSide> = self.gone.iter().map(|key| ((*key).clone(), GitSide::Absent)).collect();
        keys.extend(self.unchanged.keys().map(|key| ((*key).clone(), GitSide::AsBase)));
        for (path, blob) in self.changed {
            let Some(bytes) = contents.get(blob) else { continue };
            // A file whose content became another key's leaves its old key without one.
            let before = self.known.get(path).map(|(key, _)| (*key).clone());
            let reason = match read_document(Catalogue::hedgehog(), bytes) {
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
                    let found = keys.remove(&document.key);
                    keys.insert(document.key, one_of(found, other, side, path));
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
        (keys, broken)
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

fn is_yaml(path: &RepoPath) -> bool {
    let name = path.file_name();
    name.ends_with(".yaml") || name.ends_with(".yml")
}
