//! What is remembered of a NetBox write: before it is sent, and when it was answered.

use super::{FabricPlan, KeySides, NetBoxWrite};
use crate::domain::key::Key;
use crate::domain::names::Oid;
use crate::domain::row::{Base, Intent, MergedFrom, NetBoxBase, Row};

impl NetBoxWrite {
    /// The key that the row has afterwards, or had before its deletion.
    pub fn key(&self) -> &Key {
        match self {
            Self::Create { want } | Self::Update { want, .. } => &want.key,
            Self::Delete { against } => &against.shared.key,
        }
    }
}

/// To be recorded before the write is sent; `base` is what is remembered of its key, `source` the head that was planned on.
pub fn intent(plan: &FabricPlan, write: &NetBoxWrite, base: Option<&Base>, source: Option<&Oid>) -> Intent {
    let (against, to) = match write {
        NetBoxWrite::Create { want } => (None, Some(want.digest())),
        NetBoxWrite::Update { against, want } => (Some(against), Some(want.digest())),
        NetBoxWrite::Delete { against } => (Some(against), None),
    };
    let remembered = base.and_then(|base| base.netbox.as_ref()).map(|netbox| &netbox.digest);
    Intent {
        restores_base: remembered == to.as_ref(),
        key: write.key().clone(),
        id: against.map(|row| row.id),
        from: against.map(|row| row.shared.digest()),
        to,
        source: source.cloned(),
        merged: plan.merged.get(write.key()).cloned(),
    }
}

/// The base once NetBox has acknowledged the write and shows `row`.
///
/// NetBox's half moves and Git's stays. After a merge both are the file that was merged: the row has all of it, and what
/// it has besides is NetBox's change, which an ordinary plan brings to Git.
pub fn acknowledged(intent: &Intent, side: &KeySides, row: Option<&Row>) -> Option<Base> {
    let netbox =
        row.map(|row| NetBoxBase { id: row.id, digest: row.shared.digest(), last_updated: row.last_updated.clone() });
    match &intent.merged {
        None => Some(Base { git: side.base.as_ref().and_then(|base| base.git.clone()), netbox }),
        Some(MergedFrom { git: None }) => None,
        Some(MergedFrom { git: Some(git) }) => {
            let netbox = netbox.map(|netbox| NetBoxBase { digest: git.shared.clone(), ..netbox });
            Some(Base { git: Some(git.clone()), netbox })
        }
    }
}
