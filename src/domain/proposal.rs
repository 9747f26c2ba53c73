//! Edits that are up for review instead of on the branch.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::edit::{Edit, Edits};
use super::names::{BranchName, Oid};

/// One pull request of ours: where it is, and what we put into it last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// The branch that it would merge.
    pub branch: BranchName,
    /// The commit that we left at the branch's tip; another tip is somebody else's work.
    pub commit: Oid,
    /// The target's head that the commit stands on.
    pub base: Oid,
    /// Fingerprint of the edits (`fingerprint`).
    pub edits: String,
    pub number: u64,
    /// For people.
    pub url: String,
}

/// How the review of a proposal stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Review {
    /// People have not decided.
    Open(Proposal),
    /// People closed it without merging it: the same edits are not proposed again.
    Declined(Proposal),
}

impl Review {
    /// The proposal that is reviewed.
    pub fn proposal(&self) -> &Proposal {
        match self {
            Self::Open(proposal) | Self::Declined(proposal) => proposal,
        }
    }
}

/// Equal for equal edits: SHA-256 in hex over every path and what it becomes.
pub fn fingerprint(edits: &Edits) -> String {
    let mut hash = Sha256::new();
    for (path, edit) in edits {
        let (verb, from, content): (u8, &str, &[u8]) = match edit {
            Edit::Write(bytes) => (b'w', "", bytes),
            Edit::Move { from, bytes } => (b'm', from.as_str(), bytes),
            Edit::Restore { bytes, executable: false } => (b'r', "", bytes),
            Edit::Restore { bytes, executable: true } => (b'x', "", bytes),
            Edit::Delete => (b'd', "", &[]),
        };
        hash.update([verb]);
        for part in [path.as_str().as_bytes(), from.as_bytes(), content] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
    }
    hex::encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::path::RepoPath;

    fn edits(list: &[(&str, Option<&'static str>)]) -> Edits {
        let edit = |text: &Option<&'static str>| text.map_or(Edit::Delete, |text| Edit::Write(text.into()));
        list.iter().map(|(path, text)| (RepoPath::new(path).unwrap(), edit(text))).collect()
    }

    #[test]
    fn only_equal_edits_have_equal_fingerprints() {
        let all = [
            edits(&[("a", Some("b"))]),
            edits(&[("ab", Some(""))]),
            edits(&[("a", None)]),
            edits(&[("a", Some("b")), ("c", None)]),
        ];

        for (n, one) in all.iter().enumerate() {
            for (m, other) in all.iter().enumerate() {
                assert_eq!(fingerprint(one) == fingerprint(other), n == m, "{n} {m}");
            }
        }
    }
}
