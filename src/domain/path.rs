//! Paths inside a repository, which cannot leave it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest name of one file that common file systems take, in bytes.
pub const MAX_COMPONENT: usize = 255;
/// The longest path that we write, in bytes (Linux's PATH_MAX less room for a checkout's own directory).
pub const MAX_PATH: usize = 3_072;

/// A relative path with `/` between its parts: no empty, `.`, `..` or `.git` part, no backslash, no control character.
///
/// The empty path is the repository's root.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RepoPath(String);

/// Why a text cannot be a path in a repository.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` cannot be a path in a repository: {reason}")]
pub struct BadPath {
    pub path: String,
    pub reason: &'static str,
}

impl RepoPath {
    /// The repository's root.
    pub fn root() -> Self {
        Self::default()
    }

    /// Checks a path. Leading and trailing `/` are not accepted; the empty text is the root.
    pub fn new(text: &str) -> Result<Self, BadPath> {
        let bad = |reason| Err(BadPath { path: text.to_owned(), reason });
        if text.is_empty() {
            return Ok(Self::root());
        }
        if text.len() > MAX_PATH {
            return bad("it is longer than 3072 bytes");
        }
        for part in text.split('/') {
            match part {
                "" => return bad("it has an empty part, or `/` at its start or end"),
                "." | ".." => return bad("`.` and `..` are not allowed"),
                part if part.eq_ignore_ascii_case(".git") => return bad("`.git` belongs to Git"),
                part if part.len() > MAX_COMPONENT => {
                    return bad("one of its parts is longer than 255 bytes");
                }
                part if part.contains('\\') => return bad("it has a backslash"),
                part if part.chars().any(char::is_control) => {
                    return bad("it has a control character");
                }
                _ => {}
            }
        }
        Ok(Self(text.to_owned()))
    }

    /// Appends a path; fails as `new` does.
    pub fn join(&self, rest: &str) -> Result<Self, BadPath> {
        match (self.0.is_empty(), rest.is_empty()) {
            (true, _) => Self::new(rest),
            (_, true) => Ok(self.clone()),
            (false, false) => Self::new(&format!("{}/{rest}", self.0)),
        }
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the repository's root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The part below `dir`, without a leading `/`; `None` when the path is not below it.
    pub fn below(&self, dir: &RepoPath) -> Option<&str> {
        if dir.is_root() {
            return (!self.is_root()).then_some(&self.0);
        }
        self.0.strip_prefix(&dir.0)?.strip_prefix('/')
    }

    /// Whether the path is `dir` or below it.
    pub fn is_within(&self, dir: &RepoPath) -> bool {
        self == dir || self.below(dir).is_some()
    }

    /// The last part; empty for the root.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }
}

impl fmt::Display for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for RepoPath {
    type Error = BadPath;

    fn try_from(text: String) -> Result<Self, BadPath> {
        Self::new(&text)
    }
}

impl From<RepoPath> for String {
    fn from(path: RepoPath) -> Self {
        path.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_cannot_leave_the_repository() {
        for bad in ["/a", "a/", "a//b", "..", "a/../b", "./a", "a/.GIT/b", "a\\b", "a\nb"] {
            assert!(RepoPath::new(bad).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn below_compares_whole_parts() {
        let dir = RepoPath::new("fabrics/lab").unwrap();

        assert_eq!(RepoPath::new("fabrics/lab/raw/a.yaml").unwrap().below(&dir), Some("raw/a.yaml"));
        assert_eq!(RepoPath::new("fabrics/lab2/raw").unwrap().below(&dir), None);
        assert_eq!(RepoPath::new("a").unwrap().below(&RepoPath::root()), Some("a"));
    }
}
