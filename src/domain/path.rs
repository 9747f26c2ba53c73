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

    /// A path that shows a name which cannot be one: what is in the way stands as `%` and two hex digits for each byte.
    ///
    /// Too long a part, or too long a path, is cut. For a name that can be a path it is that path, unless it has a `%`.
    pub fn escaped(name: &[u8]) -> Self {
        let parts = name.split(|byte| *byte == b'/').map(escaped_part);
        let mut path = String::new();
        for part in parts {
            if path.len() + part.len() >= MAX_PATH {
                break;
            }
            if !path.is_empty() {
                path.push('/');
            }
            path.push_str(&part);
        }
        Self(path)
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

fn escaped_part(part: &[u8]) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let mut shown = String::new();
    for piece in part.utf8_chunks() {
        for c in piece.valid().chars() {
            match c {
                '\\' | '%' => shown.push_str(&hex(&[c as u8])),
                c if c.is_control() => shown.push_str(&hex(c.to_string().as_bytes())),
                c => shown.push(c),
            }
        }
        shown.push_str(&hex(piece.invalid()));
    }
    if matches!(shown.as_str(), "." | "..") || shown.eq_ignore_ascii_case(".git") {
        shown.replace_range(..1, "%2E");
    }
    shown.truncate(shown.floor_char_boundary(MAX_COMPONENT));
    if shown.is_empty() { "%".to_owned() } else { shown }
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
    fn every_name_can_be_shown_as_a_path() {
        let long = "ä".repeat(2_000);
        let names: [&[u8]; 9] =
            [b"a\\b", b"a\nb", b"\xff/x", b"../.GIT/.", b"//", b"", b"50%", long.as_bytes(), &b"ab/".repeat(3_000)];

        for name in names {
            let shown = RepoPath::escaped(name);
            assert!(RepoPath::new(shown.as_str()).is_ok(), "{shown}");
            assert!(!shown.is_root());
        }
        assert_eq!(RepoPath::escaped(b"raw/a\\b\xff.yaml").as_str(), "raw/a%5Cb%FF.yaml");
        assert_eq!(RepoPath::escaped("raw/ünï".as_bytes()).as_str(), "raw/ünï");
    }

    #[test]
    fn below_compares_whole_parts() {
        let dir = RepoPath::new("fabrics/lab").unwrap();

        assert_eq!(RepoPath::new("fabrics/lab/raw/a.yaml").unwrap().below(&dir), Some("raw/a.yaml"));
        assert_eq!(RepoPath::new("fabrics/lab2/raw").unwrap().below(&dir), None);
        assert_eq!(RepoPath::new("a").unwrap().below(&RepoPath::root()), Some("a"));
    }
}
