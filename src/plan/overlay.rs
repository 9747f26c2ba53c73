//! Raw documents as an overlay on the Git side: a raw document for a key is "Git wants this".
//!
//! The overlay applies only where the managed file still equals base, and it is consumed once. While it is in conflict
//! with either side its key is held too: else the key would go on, the next run would find base where the overlay
//! wants it, and the document would overwrite what it had not seen.

use std::collections::BTreeMap;

use super::conflict::{Clash, changed_on_both_sides, deleted_and_changed, first_difference};
use super::direction::{AGAINST, drifted};
use super::merge::differing_paths;
use super::standing::Standing;
use super::table::{
    Context, Decision, DocumentRef, FAILING, REFUSED, decide, failing, held, new_path, refused, send, to_git,
};
use super::{RawContent, RawFile, Sides};
use crate::domain::conflict::Choice;
use crate::domain::digest::Digest;
use crate::domain::fate::{Effect, Fate, Reason};
use crate::domain::key::Key;
use crate::domain::path::RepoPath;
use crate::domain::policy::{Direction, OnConflict, OnDrift};

/// The raw documents of one key.
#[derive(Debug, Clone)]
pub(super) struct Overlay<'a> {
    /// Not empty, in order of path and index; all of one content, unless their verdict holds them for that.
    pub documents: Vec<DocumentRef<'a>>,
    pub verdict: Verdict,
}

/// What becomes of a key's raw documents.
#[derive(Debug, Clone)]
pub(super) enum Verdict {
    /// What becomes of the key.
    Follows,
    Held(Reason),
    Rejected(Reason),
    Pending(Reason),
}

impl<'a> Overlay<'a> {
    /// Documents to which happens what happens to the key.
    pub(super) fn following(documents: Vec<DocumentRef<'a>>) -> Self {
        Self { documents, verdict: Verdict::Follows }
    }
}

/// Every raw document that wants something: usable, not yet consumed, of a fabric that NetBox knows.
pub(super) fn wanted_documents(context: Context<'_>) -> BTreeMap<&Key, Vec<DocumentRef<'_>>> {
    let mut wanted: BTreeMap<&Key, Vec<DocumentRef>> = BTreeMap::new();
    if context.sides.fabric_missing {
        return wanted;
    }
    for (file, raw) in context.sides.raw.iter().enumerate() {
        for (index, document) in raw.documents.iter().enumerate() {
            let RawContent::Document(document) = &document.content else { continue };
            if remembered(context.sides, raw, index).is_none() {
                wanted.entry(&document.key).or_default().push(DocumentRef { file, index, document });
            }
        }
    }
    for documents in wanted.values_mut() {
        documents.sort_by_key(|document| (&context.sides.raw[document.file].path, document.index));
    }
    wanted
}

/// The final fate that an earlier run gave to a document whose file is still in raw/.
pub(super) fn remembered<'a>(sides: &'a Sides, raw: &RawFile, index: usize) -> Option<&'a Fate> {
    sides.remembered.get(&raw.id(index)).filter(|fate| fate.is_final())
}

/// Decides a key that has raw documents; `documents` is not empty.
pub(super) fn decide_with<'a>(
    standing: &Standing<'a>,
    documents: Vec<DocumentRef<'a>>,
    context: Context,
) -> (Decision<'a>, Overlay<'a>) {
    let (decision, verdict) = match one_content(&documents) {
        Ok((first, digest)) => judge(standing, first, digest, context),
        Err(reason) => (until_one_is_left(standing, &reason, context), Verdict::Held(reason)),
    };
    (decision, Overlay { documents, verdict })
}

fn one_content<'a>(documents: &[DocumentRef<'a>]) -> Result<(DocumentRef<'a>, Digest), Reason> {
    let first = documents[0];
    let digest = first.document.shared().digest();
    if documents[1..].iter().all(|other| other.document.shared().digest() == digest) {
        return Ok((first, digest));
    }
    let why = format!("{} different documents want to be {}: keep one", documents.len(), first.document.key);
    Err(Reason::new("several_documents_for_one_key", why))
}

/// A key with contradicting documents stays as both sides have it: whichever document is left has not seen what moved.
fn until_one_is_left<'a>(standing: &Standing<'a>, reason: &Reason, context: Context) -> Decision<'a> {
    let decision = decide(standing, context);
    let moves_nothing = matches!(decision, Decision::Agreed | Decision::Held(_) | Decision::Conflict(_));
    if moves_nothing || standing.lost.is_some() { decision } else { Decision::Held(reason.clone()) }
}

fn judge<'a>(
    standing: &Standing<'a>,
    document: DocumentRef<'a>,
    wanted: Digest,
    context: Context,
) -> (Decision<'a>, Verdict) {
    let row_has_it = standing.netbox.as_ref().is_some_and(|row| row.digest == wanted);
    if context.policy.direction == Direction::NetboxToGit && !row_has_it {
        return (decide(standing, context), Verdict::Held(netbox_leads()));
    }
    if standing.lost.is_some() {
        return (decide(standing, context), Verdict::Follows);
    }
    if standing.git.as_ref().is_some_and(|git| git.shared == wanted) {
        // Equal to the file: nothing is wanted of NetBox but what the file wants. A deletion there contradicts it.
        let gone = standing.netbox.is_none() && standing.netbox_moved;
        return match context.policy.direction {
            Direction::Both if gone => contradicts(standing, document, deleted_and_changed(), context),
            Direction::Both | Direction::NetboxToGit | Direction::GitToNetbox => {
                (decide(standing, context), Verdict::Follows)
            }
        };
    }
    if standing.git_moved {
        let why = "its managed file was changed too, and not to the same: make them equal, or remove one";
        return (held("managed_file_changed_too", why), Verdict::Follows);
    }
    let path = match path_of(standing, context) {
        Ok(path) => path,
        Err(reason) => return (decide(standing, context), Verdict::Rejected(reason)),
    };
    if row_has_it {
        let effect = if standing.git.is_some() { Effect::Updated } else { Effect::Created };
        return (Decision::Ingest { path, document, effect }, Verdict::Follows);
    }
    if !standing.known && !standing.agreed {
        return contradicts(standing, document, first_difference(standing), context);
    }
    if !standing.netbox_moved {
        return send_document(standing, document, context);
    }
    match (context.policy.direction, context.policy.on_drift, &standing.netbox) {
        (Direction::GitToNetbox, OnDrift::Heal, _) => send_document(standing, document, context),
        (Direction::GitToNetbox, OnDrift::Report, _) => {
            let why = "it was changed in NetBox since both sides agreed, and in this fabric changes come from Git: take \
                       the change in NetBox back";
            (Decision::Held(drifted(why)), Verdict::Follows)
        }
        (Direction::Both | Direction::NetboxToGit, _, Some(_)) => {
            contradicts(standing, document, changed_on_both_sides(Vec::new()), context)
        }
        (Direction::Both | Direction::NetboxToGit, _, None) => {
            contradicts(standing, document, deleted_and_changed(), context)
        }
    }
}

fn path_of(standing: &Standing, context: Context) -> Result<RepoPath, Reason> {
    match &standing.git {
        Some(git) => Ok(git.path.clone()),
        None => new_path(standing.key, context),
    }
}

/// A document against what NetBox's users made of the object.
///
/// It is not merged: whoever dropped it wrote the whole object, and did not begin with what both sides agreed on.
fn contradicts<'a>(
    standing: &Standing<'a>,
    document: DocumentRef<'a>,
    clash: Clash<'a>,
    context: Context,
) -> (Decision<'a>, Verdict) {
    let wanted = document.document.shared();
    let row = standing.netbox.as_ref();
    let policy = if standing.known { context.policy.on_conflict } else { context.policy.on_first_difference.into() };
    let chosen = standing.chosen(Some(&wanted.digest()), row.map(|row| &row.digest));
    match (chosen, policy) {
        (Some(Choice::Git), _) | (None, OnConflict::Git) => send_document(standing, document, context),
        (Some(Choice::Netbox), _) | (None, OnConflict::Netbox) => {
            (to_git(standing, context), Verdict::Rejected(netbox_kept()))
        }
        // A merged document is nobody's file: the raw one is edited instead.
        (Some(Choice::Merged { .. }) | None, _) => {
            let now = row.and_then(|row| row.row).map(|row| &row.shared);
            let paths = differing_paths(Some(&wanted), now);
            let clash = Clash { paths, raw: Some(document), ..clash }.after_stale_resolution(standing);
            (Decision::Conflict(clash), Verdict::Follows)
        }
    }
}

fn send_document<'a>(standing: &Standing<'a>, document: DocumentRef<'a>, context: Context) -> (Decision<'a>, Verdict) {
    let path = match path_of(standing, context) {
        Ok(path) => path,
        Err(reason) => return (decide(standing, context), Verdict::Rejected(reason)),
    };
    if let Some(refusal) = &standing.sides.refusal {
        return (decide(standing, context), Verdict::Rejected(refused(refusal)));
    }
    if let Some(failure) = &standing.sides.unanswered {
        return (decide(standing, context), Verdict::Pending(failing(failure)));
    }
    match send(standing, document.document.shared()) {
        Decision::Send { write, merged, .. } => (Decision::Send { write, file: Some(path), merged }, Verdict::Follows),
        other => (other, Verdict::Follows),
    }
}

fn netbox_kept() -> Reason {
    let why = "NetBox has this object with other content, and a policy or a person keeps NetBox's";
    Reason::new("netbox_kept", why)
}

fn netbox_leads() -> Reason {
    let why = "in this fabric changes come from NetBox (`direction`): make the object there, or remove the document";
    Reason::new(AGAINST, why)
}

/// The fate of one of a key's raw documents, given what was decided for the key in the end.
pub(super) fn fate(key: &Key, overlay: &Overlay, decision: &Decision, document: DocumentRef) -> Fate {
    let key = key.clone();
    match &overlay.verdict {
        Verdict::Held(reason) => Fate::Held { key: Some(key), reason: reason.clone() },
        Verdict::Rejected(reason) => Fate::Rejected { key: Some(key), reason: reason.clone() },
        Verdict::Pending(reason) => Fate::Pending { key, reason: reason.clone() },
        Verdict::Follows => follow(key, overlay, decision, document),
    }
}

fn follow(key: Key, overlay: &Overlay, decision: &Decision, document: DocumentRef) -> Fate {
    match decision {
        Decision::Send { .. } => {
            Fate::Pending { key, reason: Reason::new("netbox_write_to_come", "NetBox has not been written yet") }
        }
        Decision::Held(reason) if reason.code == REFUSED => Fate::Rejected { key: Some(key), reason: reason.clone() },
        Decision::Held(reason) if reason.code == FAILING => Fate::Pending { key, reason: reason.clone() },
        Decision::Held(reason) | Decision::Conflict(Clash { reason, .. }) => {
            Fate::Held { key: Some(key), reason: reason.clone() }
        }
        Decision::Ingest { effect, .. } => {
            let first = overlay.documents[0];
            let is_first = (first.file, first.index) == (document.file, document.index);
            Fate::Ingested { key, effect: if is_first { *effect } else { Effect::Unchanged } }
        }
        Decision::Agreed | Decision::WriteFile { .. } | Decision::DeleteFile { .. } => {
            Fate::Ingested { key, effect: Effect::Unchanged }
        }
    }
}
