//! Local files: what is to be looked at, and CRDs.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::File;
use crate::domain::path::RepoPath;
use crate::plan::layout::{is_passed_over, is_yaml};
use crate::validate::{Crds, NotCrds};

/// Why files could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{} cannot be read", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{} holds no CRDs that can be read", path.display())]
    NotCrds { path: PathBuf, source: NotCrds },
    #[error("{} holds no CRD at all: name a directory of CustomResourceDefinitions in YAML", path.display())]
    NoCrds { path: PathBuf },
}

/// Every file that is named, and every YAML file below a directory that is, sorted.
///
/// Below a directory hidden ones and `unmanaged` are left out: the first are tools' own, the second holds what was
/// refused already.
pub fn read(paths: &[PathBuf]) -> Result<Vec<File>, Error> {
    let mut found = Vec::new();
    for path in paths {
        match path.is_dir() {
            true => walk(path, &mut found)?,
            false => found.push(path.clone()),
        }
    }
    found.sort();
    found.dedup();
    found.iter().map(|path| Ok(File { name: shown(path), bytes: Bytes::from(content(path)?) })).collect()
}

/// Every CRD in the YAML files of a directory and below it, or of one file.
pub fn read_crds(path: &Path) -> Result<Crds, Error> {
    let mut found = Vec::new();
    match path.is_dir() {
        true => walk(path, &mut found)?,
        false => found.push(path.to_owned()),
    }
    found.sort();
    let mut crds = Crds::default();
    for file in found {
        let text = String::from_utf8_lossy(&content(&file)?).into_owned();
        crds.add(&text).map_err(|source| Error::NotCrds { path: file, source })?;
    }
    match crds.is_empty() {
        true => Err(Error::NoCrds { path: path.to_owned() }),
        false => Ok(crds),
    }
}

fn walk(directory: &Path, found: &mut Vec<PathBuf>) -> Result<(), Error> {
    let unreadable = |source| Error::Unreadable { path: directory.to_owned(), source };
    for entry in std::fs::read_dir(directory).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        // What a link leads to is elsewhere, or here already.
        let kind = entry.file_type().map_err(unreadable)?;
        if kind.is_dir() && !name.starts_with('.') && name != "unmanaged" {
            walk(&path, found)?;
        } else if kind.is_file() && RepoPath::new(&name).is_ok_and(|name| is_yaml(&name) && !is_passed_over(&name)) {
            found.push(path);
        }
    }
    Ok(())
}

fn content(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::Unreadable { path: path.to_owned(), source })
}

fn shown(path: &Path) -> String {
    let text = path.to_string_lossy().into_owned();
    text.strip_prefix("./").map_or(text.clone(), str::to_owned)
}
