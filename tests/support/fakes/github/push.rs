//! The one way in which a request moves refs.

use super::rules::{self, Move, Violation};
use super::store::ZERO;
use super::world::World;

/// A move that a request asks for.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// Full name.
    pub name: String,
    /// `ZERO`: it goes away.
    pub to: String,
    /// Where it must be: `Some(ZERO)` means nowhere, `None` anywhere.
    pub before: Option<String>,
    pub force: bool,
    /// Whether it comes by merging a pull request.
    pub merges: bool,
}

/// Why nothing moved.
#[derive(Debug, Clone)]
pub(super) enum NotMoved {
    /// It is not where it must be.
    Stale {
        name: String,
    },
    NotFastForward {
        name: String,
    },
    InvalidName {
        name: String,
    },
    NoCommit {
        sha: String,
    },
    Against(Violation),
}

/// Moves all refs or none.
pub(super) fn push(world: &mut World, repo: usize, login: &str, wanted: &[Wanted]) -> Result<(), NotMoved> {
    let store = world.repos[repo].store.clone();
    let mut moves = Vec::new();
    for wanted in wanted {
        let name = &wanted.name;
        if !name.starts_with("refs/") || !store.is_valid_ref(name) {
            return Err(NotMoved::InvalidName { name: name.clone() });
        }
        let now = store.ref_target(name);
        let stale = match wanted.before.as_deref() {
            None => false,
            Some(ZERO) => now.is_some(),
            Some(before) => now.as_deref() != Some(before),
        };
        if stale {
            return Err(NotMoved::Stale { name: name.clone() });
        }
        let removed = wanted.to == ZERO;
        if !removed && store.kind(&wanted.to).as_deref() != Some("commit") {
            return Err(NotMoved::NoCommit { sha: wanted.to.clone() });
        }
        let moved = Move { name, to: &wanted.to, from: now.as_deref(), merges: wanted.merges };
        if let Some(violation) = rules::violation(&world.repos[repo], login, &moved) {
            return Err(NotMoved::Against(violation));
        }
        if let Some(now) = now.as_deref().filter(|_| !wanted.force && !removed)
            && !store.is_ancestor(now, &wanted.to)
        {
            return Err(NotMoved::NotFastForward { name: name.clone() });
        }
        moves.push((name.clone(), wanted.to.clone(), Some(now.unwrap_or_else(|| ZERO.to_owned()))));
    }
    if store.move_refs(&moves) {
        Ok(())
    } else {
        let name = moves.into_iter().next().map(|(name, ..)| name).unwrap_or_default();
        Err(NotMoved::Stale { name })
    }
}
