//! Where one key stands: what each side has, and whether it moved since both agreed.

use super::{Ancestor, GitSide, KeySides, NetBoxSide};
use crate::domain::conflict::{Choice, LostEdit};
use crate::domain::digest::Digest;
use crate::domain::document::Document;
use crate::domain::fate::Reason;
use crate::domain::key::Key;
use crate::domain::names::Oid;
use crate::domain::path::RepoPath;
use crate::domain::row::{Base, GitBase, MergedFrom, NetBoxBase, Row};

/// The Git side: one file.
#[derive(Debug, Clone)]
pub(super) struct GitFile<'a> {
    pub path: &'a RepoPath,
    pub blob: &'a Oid,
    /// Of the whole document.
    pub digest: Digest,
    pub shared: Digest,
    /// `None` when the file is base's and was not read.
    pub document: Option<&'a Document>,
}

/// The NetBox side: one row.
#[derive(Debug, Clone)]
pub(super) struct NetBoxRow<'a> {
    pub id: u64,
    pub digest: Digest,
    pub last_updated: &'a str,
    /// `None` when the row is base's and was not read.
    pub row: Option<&'a Row>,
}

/// What both sides last agreed on, as far as each half is remembered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Common<'a> {
    pub git: Option<&'a GitBase>,
    /// Digest of the row.
    pub netbox: Option<&'a Digest>,
}

/// One key whose two sides are known.
#[derive(Debug, Clone)]
pub(super) struct Standing<'a> {
    pub key: &'a Key,
    pub sides: &'a KeySides,
    pub common: Common<'a>,
    pub git: Option<GitFile<'a>>,
    pub netbox: Option<NetBoxRow<'a>>,
    /// Both sides hold the same, or neither holds anything.
    pub agreed: bool,
    /// Git differs from what was last agreed on.
    pub git_moved: bool,
    /// NetBox differs from what was last agreed on, and not by a write of ours.
    pub netbox_moved: bool,
    /// Something is remembered of this key.
    pub known: bool,
    /// An edit in NetBox that a write of ours covered, while neither side has it and nobody gave it up.
    pub lost: Option<&'a LostEdit>,
}

impl<'a> Standing<'a> {
    /// Looks at both sides; fails with the reason for which the key must be held.
    pub(super) fn of(key: &'a Key, sides: &'a KeySides) -> Result<Self, Reason> {
        let git = git_file(sides)?;
        let netbox = netbox_row(sides)?;
        let common = common(sides, netbox.as_ref());
        let own_write = is_own_write(sides, netbox.as_ref());
        let agreed = match (&git, &netbox) {
            (None, None) => true,
            (Some(git), Some(netbox)) => git.shared == netbox.digest,
            (Some(_), None) | (None, Some(_)) => false,
        };
        let git_moved = match (common.git, &git) {
            (None, None) => false,
            (Some(base), Some(git)) => base.blob != *git.blob && base.digest != git.digest,
            (Some(_), None) | (None, Some(_)) => true,
        };
        let git_moved = git_moved && !is_what_we_wrote(sides, git.as_ref());
        let netbox_moved = match (common.netbox, &netbox) {
            (None, None) => false,
            (Some(base), Some(netbox)) => *base != netbox.digest,
            (Some(_), None) | (None, Some(_)) => true,
        };
        Ok(Self {
            agreed,
            git_moved: git_moved && !agreed && !(own_write && is_what_we_wrote_over(sides, git.as_ref())),
            netbox_moved: netbox_moved && !agreed && !own_write,
            known: common.git.is_some() || common.netbox.is_some() || own_write,
            lost: open_edit(sides, git.as_ref(), netbox.as_ref()),
            key,
            sides,
            common,
            git,
            netbox,
        })
    }

    /// Whether the row is what an intent of ours was to make of it.
    pub(super) fn row_is_ours(&self) -> bool {
        self.netbox.is_some() && is_own_write(self.sides, self.netbox.as_ref())
    }

    /// The content that both sides last agreed on, when a merge on it is sound.
    pub(super) fn ancestor(&self) -> Result<&'a Document, Reason> {
        let (Some(git), Some(netbox)) = (self.common.git, self.common.netbox) else {
            return Err(Reason::new("no_common_base", "nothing is remembered of a time when both sides agreed"));
        };
        if git.shared != *netbox {
            let why = "a write to NetBox was still to be followed by a commit when both sides changed";
            return Err(Reason::new("no_common_base", why));
        }
        match &self.sides.ancestor {
            Ancestor::Document(document) if document.shared().digest() == git.shared => Ok(document),
            Ancestor::Document(_) | Ancestor::NotRead => Err(not_read("base_not_read", "what both sides agreed on")),
            Ancestor::Gone(reason) => Err(reason.clone()),
        }
    }

    /// What a person chose for exactly these two contents.
    pub(super) fn chosen(&self, git: Option<&Digest>, netbox: Option<&Digest>) -> Option<&'a Choice> {
        let resolution = self.sides.resolution.as_ref()?;
        let made_for_these = resolution.git.as_ref() == git && resolution.netbox.as_ref() == netbox;
        made_for_these.then_some(&resolution.choice)
    }

    /// What is remembered once both sides are seen to agree.
    pub(super) fn agreed_base(&self) -> Option<Base> {
        if self.git.is_none() && self.netbox.is_none() {
            return None;
        }
        Some(Base { git: self.git.as_ref().map(GitFile::base), netbox: self.netbox.as_ref().map(NetBoxRow::base) })
    }
}

impl GitFile<'_> {
    /// What is remembered of the file.
    pub(super) fn base(&self) -> GitBase {
        GitBase {
            path: self.path.clone(),
            blob: self.blob.clone(),
            digest: self.digest.clone(),
            shared: self.shared.clone(),
        }
    }
}

impl NetBoxRow<'_> {
    /// What is remembered of the row.
    pub(super) fn base(&self) -> NetBoxBase {
        NetBoxBase { id: self.id, digest: self.digest.clone(), last_updated: self.last_updated.to_owned() }
    }
}

/// What both sides last agreed on. A row that a merge of ours made agrees with the file that was merged into it.
fn common<'a>(sides: &'a KeySides, netbox: Option<&NetBoxRow>) -> Common<'a> {
    if let Some(intent) = sides.intent.as_ref().filter(|intent| intent.to.as_ref() == netbox.map(|row| &row.digest))
        && let Some(MergedFrom { git }) = &intent.merged
    {
        return Common { git: git.as_ref(), netbox: git.as_ref().map(|git| &git.shared) };
    }
    let base = sides.base.as_ref();
    Common {
        git: base.and_then(|base| base.git.as_ref()),
        netbox: base.and_then(|base| base.netbox.as_ref()).map(|netbox| &netbox.digest),
    }
}

/// The row is what an outstanding intent was to make it: no user's change, whatever base says.
///
/// A merged row is not: it holds what NetBox's users changed, and Git does not have that yet.
fn is_own_write(sides: &KeySides, netbox: Option<&NetBoxRow>) -> bool {
    let outstanding = sides.intent.as_ref().filter(|intent| intent.merged.is_none());
    outstanding.is_some_and(|intent| intent.to.as_ref() == netbox.map(|row| &row.digest))
}

/// A lost edit that neither side holds again, unless a person said to leave it so.
fn open_edit<'a>(sides: &'a KeySides, git: Option<&GitFile>, netbox: Option<&NetBoxRow>) -> Option<&'a LostEdit> {
    let lost = sides.lost.as_ref()?;
    let git = git.map(|git| &git.shared);
    let found_again = git == Some(&lost.digest) || netbox.is_some_and(|row| row.digest == lost.digest);
    let given_up = sides.resolution.as_ref().is_some_and(|resolution| {
        resolution.choice == Choice::Git
            && resolution.git.as_ref() == git
            && resolution.netbox.as_ref() == Some(&lost.digest)
    });
    (!found_again && !given_up).then_some(lost)
}

/// The file holds what an acknowledged write of ours made of the row: both agreed on it then, and only the record of
/// the commit is missing.
fn is_what_we_wrote(sides: &KeySides, git: Option<&GitFile>) -> bool {
    let (Some(intent), Some(base), Some(git)) = (&sides.intent, &sides.base, git) else { return false };
    let acknowledged = match &intent.merged {
        Some(merged) => merged.git.is_some() && merged.git == base.git,
        None => !intent.restores_base && base.netbox.as_ref().map(|netbox| &netbox.digest) == intent.to.as_ref(),
    };
    acknowledged && intent.to.as_ref() == Some(&git.shared)
}

/// The file still holds what the row held before our write: both agreed then, though nothing recorded it.
fn is_what_we_wrote_over(sides: &KeySides, git: Option<&GitFile>) -> bool {
    let from = sides.intent.as_ref().and_then(|intent| intent.from.as_ref());
    git.is_some_and(|git| from == Some(&git.shared))
}

fn git_file(sides: &KeySides) -> Result<Option<GitFile<'_>>, Reason> {
    match &sides.git {
        GitSide::Absent => Ok(None),
        GitSide::AsBase => match sides.base.as_ref().and_then(|base| base.git.as_ref()) {
            Some(GitBase { path, blob, digest, shared }) => {
                Ok(Some(GitFile { path, blob, digest: digest.clone(), shared: shared.clone(), document: None }))
            }
            None => Err(not_read("git_not_read", "its file")),
        },
        GitSide::File { path, blob, document, .. } => {
            let base = sides.base.as_ref().and_then(|base| base.git.as_ref()).filter(|base| base.blob == *blob);
            let (digest, shared) = match base {
                Some(base) => (base.digest.clone(), base.shared.clone()),
                None => (document.digest(), document.shared().digest()),
            };
            Ok(Some(GitFile { path, blob, digest, shared, document: Some(document) }))
        }
        GitSide::Broken { path, reason } => {
            Err(Reason { message: format!("{path}: {}", reason.message), ..reason.clone() })
        }
        GitSide::Several { paths } => {
            let list: Vec<&str> = paths.iter().map(RepoPath::as_str).collect();
            let why = format!("several files hold it: {}. Keep one", list.join(", "));
            Err(Reason::new("several_files", why))
        }
    }
}

fn netbox_row(sides: &KeySides) -> Result<Option<NetBoxRow<'_>>, Reason> {
    match &sides.netbox {
        NetBoxSide::Absent => Ok(None),
        NetBoxSide::AsBase => match sides.base.as_ref().and_then(|base| base.netbox.as_ref()) {
            Some(NetBoxBase { id, digest, last_updated }) => {
                Ok(Some(NetBoxRow { id: *id, digest: digest.clone(), last_updated, row: None }))
            }
            None => Err(not_read("netbox_not_read", "its row")),
        },
        NetBoxSide::Row(row) => Ok(Some(NetBoxRow {
            id: row.id,
            digest: row.shared.digest(),
            last_updated: &row.last_updated,
            row: Some(row),
        })),
        NetBoxSide::Unproven { reason } | NetBoxSide::Invalid { reason, .. } => Err(reason.clone()),
        NetBoxSide::Several { ids } => {
            let list: Vec<String> = ids.iter().map(u64::to_string).collect();
            let why = format!("NetBox has several rows for it (ids {}). Delete all but one", list.join(", "));
            Err(Reason::new("several_rows", why))
        }
    }
}

/// A side that the decision needs was not read in this run.
pub(super) fn not_read(code: &str, what: &str) -> Reason {
    Reason::new(code, format!("{what} was not read in this run, and nothing is changed unread"))
}
