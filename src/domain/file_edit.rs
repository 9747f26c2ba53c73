//! What a run changed in files, for people.

use serde::{Deserialize, Serialize};

/// The edits of one fabric's files in one run, as far as they are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunEdits {
    /// By path.
    pub files: Vec<FileEdit>,
    /// Files whose edits are not kept, because there were too many or they were too large.
    pub left_out: u64,
}

/// One file's edit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEdit {
    /// From the repository's root.
    pub path: String,
    /// In the unified format, without the lines that name the file: from `@@` on.
    pub diff: String,
}
