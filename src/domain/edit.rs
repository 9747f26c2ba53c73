//! Edits of a repository, and the message of the commit that carries them.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::names::{Oid, RunId};
use super::path::RepoPath;

/// Every file of a commit below one directory (or the root): path from the repository's root to entry.
///
/// A file whose name cannot be a path stands under its name in escapes (`RepoPath::escaped`), so that a tree is complete.
pub type Tree = BTreeMap<RepoPath, TreeEntry>;

/// One file of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeEntry {
    pub mode: Mode,
    pub blob: Oid,
    /// In bytes, where the repository told it without a download.
    pub size: Option<u64>,
    /// Why the file's name cannot be a path, where it cannot: its path here is for people, and names no file.
    pub misnamed: Option<String>,
}

/// What a tree entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    File,
    Executable,
    Symlink,
    Submodule,
}

/// What happens to one path. A commit has at most one edit a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// The file has these bytes from now on (mode kept, or 100644 when new).
    Write(Bytes),
    /// The same for a file that comes from another path: when new, it has the mode that the base has there.
    Move { from: RepoPath, bytes: Bytes },
    /// The same for a file that an earlier commit had: when new, it has the mode that it had there.
    Restore { bytes: Bytes, executable: bool },
    /// The path is gone; harmless where it is already.
    Delete,
}

impl Edit {
    /// What the file holds from now on; `None` when it is gone.
    pub fn bytes(&self) -> Option<&Bytes> {
        match self {
            Self::Write(bytes) | Self::Move { bytes, .. } | Self::Restore { bytes, .. } => Some(bytes),
            Self::Delete => None,
        }
    }
}

/// The edits of one commit, by path from the repository's root.
pub type Edits = BTreeMap<RepoPath, Edit>;

/// A person or the service, as a commit names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    pub name: String,
    pub email: String,
}

/// A commit's message and people. Its times are the only ones that we ever write to Git, and Git wants them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitMessage {
    /// The whole text: subject, blank line, body, trailers. Ends with one newline.
    pub text: String,
    pub author: Signature,
    pub committer: Signature,
    /// Stands in the text as the `Fgd-Run:` trailer.
    pub run: RunId,
}

/// The trailer that names the run in a commit's message.
pub const RUN_TRAILER: &str = "Fgd-Run";
