//! Where a secret comes from. Its text never stands in a log, an answer, an address, argv or a commit.

use std::fmt;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

/// Where a secret comes from. Its `Debug` shows the file's path, never the text.
#[derive(Debug, Clone)]
pub enum SecretSource {
    Text(SecretString),
    /// Read anew at each use, so that replacing the file rotates the secret without a restart.
    File(PathBuf),
}

/// A secret's file cannot be used now.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("the secret file {path} cannot be read")]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("the secret {of} {fault}")]
    Unusable { of: String, fault: Fault },
}

/// What makes a text no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Empty,
    ControlCharacter,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "is empty",
            Self::ControlCharacter => "holds a line break or another control character",
        })
    }
}

impl SecretSource {
    /// The secret as it is now. Line ends and blanks at the end of a file are not part of it.
    pub fn read(&self) -> Result<SecretString, SecretError> {
        match self {
            Self::Text(text) => checked(text.expose_secret(), || "text".to_owned()),
            Self::File(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|source| SecretError::Unreadable { path: path.clone(), source })?;
                checked(text.trim_end(), || format!("file {}", path.display()))
            }
        }
    }

    /// The file, when it is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Text(_) => None,
            Self::File(path) => Some(path),
        }
    }
}

fn checked(text: &str, of: impl FnOnce() -> String) -> Result<SecretString, SecretError> {
    let fault = if text.is_empty() {
        Fault::Empty
    } else if text.chars().any(char::is_control) {
        Fault::ControlCharacter
    } else {
        return Ok(SecretString::from(text));
    };
    Err(SecretError::Unusable { of: of(), fault })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotated_file_counts_at_the_next_use() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        let source = SecretSource::File(file.clone());
        std::fs::write(&file, "old\n").unwrap();
        let old = source.read().unwrap();

        std::fs::write(&file, "new\n").unwrap();

        assert_eq!((old.expose_secret(), source.read().unwrap().expose_secret()), ("old", "new"));
    }

    #[test]
    fn a_secret_of_several_lines_is_refused() {
        let secret = SecretSource::Text(SecretString::from("one\ntwo"));

        let error = secret.read().unwrap_err();

        assert_eq!(error.to_string(), "the secret text holds a line break or another control character");
    }

    #[test]
    fn its_debug_form_hides_the_text() {
        let secret = SecretSource::Text(SecretString::from("hunter2"));

        assert!(!format!("{secret:?}").contains("hunter2"));
    }
}
