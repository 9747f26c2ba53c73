//! Every key of the scope on its way to a plan.

use std::collections::BTreeMap;

use super::overlay::{self, Overlay};
use super::standing::{GitFile, Standing};
use super::table::{Context, Decision, DocumentRef, decide, unknown_kind};
use super::{KeySides, direction};
use crate::domain::key::Key;

/// Every key of the scope with what is done about it.
pub(super) type Keys<'a> = BTreeMap<&'a Key, Planned<'a>>;

/// One key on its way to a plan.
pub(super) struct Planned<'a> {
    pub sides: &'a KeySides,
    /// `None` when a side cannot be used; the decision is then to hold.
    pub standing: Option<Standing<'a>>,
    pub decision: Decision<'a>,
    pub overlay: Option<Overlay<'a>>,
    /// The key that the row had before.
    pub renamed_from: Option<&'a Key>,
    /// The key that the row has now.
    pub renamed_to: Option<&'a Key>,
}

impl<'a> Planned<'a> {
    /// Its file.
    pub(super) fn git(&self) -> Option<&GitFile<'a>> {
        self.standing.as_ref()?.git.as_ref()
    }
}

/// Decides every key by itself; what keys have to do with each other comes after.
pub(super) fn decide_keys(context: Context<'_>) -> Keys<'_> {
    let mut wanted = overlay::wanted_documents(context);
    let keys = context.sides.keys.iter();
    keys.map(|(key, sides)| (key, decide_key(key, sides, wanted.remove(key), context))).collect()
}

fn decide_key<'a>(
    key: &'a Key,
    sides: &'a KeySides,
    documents: Option<Vec<DocumentRef<'a>>>,
    context: Context<'a>,
) -> Planned<'a> {
    let standing = match context.catalogue.get(&key.kind) {
        Some(_) => Standing::of(key, sides),
        None => Err(unknown_kind(key)),
    };
    let (decision, overlay) = match (&standing, documents) {
        (Ok(standing), None) => (decide(standing, context), None),
        (Ok(standing), Some(documents)) => {
            let (decision, overlay) = overlay::decide_with(standing, documents, context);
            (decision, Some(overlay))
        }
        (Err(reason), documents) => (Decision::Held(reason.clone()), documents.map(Overlay::following)),
    };
    let decision = direction::confine(decision, context.policy);
    Planned { sides, standing: standing.ok(), decision, overlay, renamed_from: None, renamed_to: None }
}
