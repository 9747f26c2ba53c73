//! The names and ids that are only ever compared and shown.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A string newtype: ordered, hashable, shown as itself.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Takes the text as it is; the settings and the webhook parsers have checked it.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// A fabric, by the name that NetBox gives it; unique over all settings.
    FabricName
);
name!(
    /// A repository, by its name in the settings.
    RepoName
);
name!(
    /// A branch without `refs/heads/`.
    BranchName
);
name!(
    /// A NetBox, by its name in the settings.
    NetBoxName
);
name!(
    /// One accepted delivery or request, as the status API names it (a ULID).
    JobId
);
name!(
    /// One run on a target (a ULID); stands in the commit's `Fgd-Run:` trailer.
    RunId
);
name!(
    /// The ledger's identity (a ULID), kept in the marker of every fabric it serves.
    LedgerId
);

/// What one commit goes to: a repository and a branch. One writer at a time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Target {
    pub repo: RepoName,
    pub branch: BranchName,
}

impl fmt::Display for Target {
    /// `repo@branch`; repository names hold no `@`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.repo, self.branch)
    }
}

impl FromStr for Target {
    type Err = NotATarget;

    fn from_str(text: &str) -> Result<Self, NotATarget> {
        let (repo, branch) = text
            .split_once('@')
            .filter(|(repo, branch)| !repo.is_empty() && !branch.is_empty())
            .ok_or_else(|| NotATarget(text.to_owned()))?;
        Ok(Self { repo: RepoName::new(repo), branch: BranchName::new(branch) })
    }
}

impl TryFrom<String> for Target {
    type Error = NotATarget;

    fn try_from(text: String) -> Result<Self, NotATarget> {
        text.parse()
    }
}

impl From<Target> for String {
    fn from(target: Target) -> Self {
        target.to_string()
    }
}

/// The text is not `repo@branch`.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a target (repository@branch)")]
pub struct NotATarget(String);

/// A Git object id: 40 (SHA-1) or 64 (SHA-256) lowercase hex digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Oid(String);

impl Oid {
    /// The id as hex.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first ten digits, for people.
    pub fn short(&self) -> &str {
        &self.0[..10]
    }

    /// The SHA-1 id that Git gives to a blob of these bytes.
    pub fn of_blob(bytes: &[u8]) -> Self {
        use sha1::{Digest, Sha1};
        let mut hash = Sha1::new();
        hash.update(format!("blob {}\0", bytes.len()));
        hash.update(bytes);
        Self(hex::encode(hash.finalize()))
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Oid {
    type Err = NotAnOid;

    fn from_str(text: &str) -> Result<Self, NotAnOid> {
        let hex = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if hex && matches!(text.len(), 40 | 64) { Ok(Self(text.to_owned())) } else { Err(NotAnOid(text.to_owned())) }
    }
}

impl TryFrom<String> for Oid {
    type Error = NotAnOid;

    fn try_from(text: String) -> Result<Self, NotAnOid> {
        text.parse()
    }
}

impl From<Oid> for String {
    fn from(oid: Oid) -> Self {
        oid.0
    }
}

/// The text is not a Git object id.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a Git object id (40 or 64 lowercase hex digits)")]
pub struct NotAnOid(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_id_is_gits_own() {
        // git hash-object --stdin <<< "hello"
        let oid = Oid::of_blob(b"hello\n");

        assert_eq!(oid.as_str(), "ce013625030ba8dba906f756967f9e9ca394464a");
    }

    #[test]
    fn a_target_reads_back_what_it_shows() {
        let target = Target { repo: RepoName::new("lab"), branch: BranchName::new("team/a@b") };

        assert_eq!(target.to_string().parse::<Target>().unwrap(), target);
    }
}
