//! How a raw file leaves raw/: whole, once every one of its documents is final.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::directory::FABRIC_UNKNOWN;
use super::keys::Keys;
use super::layout::{ARCHIVED, archive_log_path, is_passed_over, raw_dir, unmanaged_dir};
use super::overlay::{fate, remembered};
use super::table::Context;
use super::{FabricPlan, RawContent, RawDocument, RawFile, render, yaml};
use crate::domain::edit::{Edit, Edits};
use crate::domain::fate::{Effect, Fate, Reason};
use crate::domain::names::Oid;
use crate::domain::path::{BadPath, RepoPath};
use crate::domain::policy::Archive;
use crate::domain::report::Item;

/// How many entries the archive log keeps; older ones are in Git's history.
const KEPT_ENTRIES: usize = 1_000;

/// A raw file with the fate of each of its documents.
struct Judged<'a> {
    raw: &'a RawFile,
    fates: Vec<Fate>,
}

impl Judged<'_> {
    fn is_done(&self) -> bool {
        self.fates.iter().all(Fate::is_final)
    }
}

/// Gives every raw document its fate, and the files that are done with their way out.
pub(super) fn add_raw(plan: &mut FabricPlan, keys: &Keys, context: Context) {
    let mut wanted: BTreeMap<(usize, usize), Fate> = BTreeMap::new();
    for (key, planned) in keys {
        let Some(overlay) = &planned.overlay else { continue };
        for document in &overlay.documents {
            wanted.insert((document.file, document.index), fate(key, overlay, &planned.decision, *document));
        }
    }
    let files = context.sides.raw.iter().enumerate().filter(|(_, raw)| !is_passed_over(&raw.path));
    let mut judged: Vec<Judged> = files.map(|(place, raw)| judge_file(place, raw, &mut wanted, context)).collect();
    judged.sort_by_key(|judged| &judged.raw.path);
    for judged in &judged {
        let documents = judged.raw.documents.iter().zip(&judged.fates);
        plan.items.extend(documents.map(|(document, fate)| Item::Document {
            path: judged.raw.path.to_string(),
            index: document.index,
            item_index: document.item,
            line: document.line,
            fate: fate.clone(),
        }));
    }
    for judged in archive(&judged, &mut plan.edits, context) {
        for (index, fate) in judged.fates.iter().enumerate().filter(|(_, fate)| fate.is_final()) {
            if remembered(context.sides, judged.raw, index).is_none() {
                plan.remember.push((judged.raw.id(index), fate.clone()));
            }
        }
    }
}

fn judge_file<'a>(
    place: usize,
    raw: &'a RawFile,
    wanted: &mut BTreeMap<(usize, usize), Fate>,
    context: Context,
) -> Judged<'a> {
    let fates = raw.documents.iter().enumerate().map(|(index, document)| {
        if let Some(fate) = remembered(context.sides, raw, index) {
            return fate.clone();
        }
        if context.sides.fabric_missing {
            let why = "NetBox does not know this fabric: create it there";
            return Fate::Held { key: None, reason: Reason::new(FABRIC_UNKNOWN, why) };
        }
        match &document.content {
            RawContent::Document(found) => wanted.remove(&(place, index)).unwrap_or_else(|| Fate::Held {
                key: Some(found.key.clone()),
                reason: super::standing::not_read("netbox_not_read", "its object"),
            }),
            RawContent::Unmanaged(reason) => Fate::Unmanaged { reason: reason.clone() },
            RawContent::Rejected { key, reason } => Fate::Rejected { key: key.clone(), reason: reason.clone() },
            RawContent::Held(reason) => Fate::Held { key: None, reason: reason.clone() },
        }
    });
    Judged { raw, fates: fates.collect() }
}

/// Adds the edits by which finished raw files leave, and says which stay.
fn archive<'j, 'a>(judged: &'j [Judged<'a>], edits: &mut Edits, context: Context) -> Vec<&'j Judged<'a>> {
    let (leaving, staying): (Vec<_>, Vec<_>) = judged.iter().partition(|judged| judged.is_done());
    if leaving.is_empty() {
        return staying;
    }
    for judged in &leaving {
        edits.insert(judged.raw.path.clone(), Edit::Delete);
        put_aside(judged, edits, context);
    }
    match context.policy.archive {
        Archive::Log => write_log(&leaving, edits, context),
        Archive::Rename => {
            write_log(&leaving, edits, context);
            leaving.iter().for_each(|judged| keep_original(judged, edits, context));
        }
        Archive::None => {}
    }
    staying
}

fn write_log(leaving: &[&Judged], edits: &mut Edits, context: Context) {
    let path = archive_log_path(&context.sides.directory);
    let log = log_with(context.sides.own_files.get(&path), leaving, context);
    edits.insert(path, Edit::Write(log));
}

/// Keeps a raw file beside its old place, where nobody reads it again; one of the same name is never overwritten.
fn keep_original(judged: &Judged, edits: &mut Edits, context: Context) {
    let name = judged.raw.path.as_str();
    let places = (0..=context.sides.tree.len()).filter_map(|number| {
        let number = if number == 0 { String::new() } else { format!("-{number}") };
        RepoPath::new(&format!("{name}{number}{ARCHIVED}")).ok()
    });
    let mut places = places.filter(|place| has_room(place, edits, context));
    let place = places.find(|place| fits(place, &judged.raw.bytes, edits, context));
    if let Some(place) = place.filter(|place| !context.sides.tree.contains_key(place)) {
        edits.insert(place, Edit::Move { from: judged.raw.path.clone(), bytes: judged.raw.bytes.clone() });
    }
}

/// Writes what was not taken to unmanaged/, byte for byte, with the reasons beside it.
fn put_aside(judged: &Judged, edits: &mut Edits, context: Context) {
    let mut bytes = Vec::new();
    let mut reasons = Vec::new();
    let mut taken = None;
    for (document, fate) in judged.raw.documents.iter().zip(&judged.fates) {
        let reason = match fate {
            Fate::Rejected { reason, .. } => reason,
            Fate::Unmanaged { reason } if reason.code != EMPTY => reason,
            Fate::Unmanaged { .. } | Fate::Ingested { .. } | Fate::Held { .. } | Fate::Pending { .. } => continue,
        };
        // A list goes aside whole, once, when any of its items does: an item alone is no document.
        if taken.replace(document.index) != Some(document.index) {
            bytes.extend_from_slice(&judged.raw.bytes[document.bytes.clone()]);
        }
        reasons.push(reason_entry(document, reason));
    }
    if reasons.is_empty() {
        return;
    }
    let pair = Pair { file: Bytes::from(bytes), reasons: render::list_text(reasons) };
    let place = pair.place(&judged.raw.path, edits, context);
    if let Some((file, beside)) = place {
        edits.insert(file, Edit::Write(pair.file));
        edits.insert(beside, Edit::Write(pair.reasons));
    }
}

/// The code of documents without content: they leave no trace but the archive log's.
pub(super) const EMPTY: &str = "empty";

fn reason_entry(document: &RawDocument, reason: &Reason) -> Value {
    let mut entry = place(document);
    entry.insert("line".to_owned(), Value::from(reason.line.unwrap_or(document.line)));
    entry.insert("column".to_owned(), Value::from(reason.column.unwrap_or(1)));
    entry.insert("code".to_owned(), Value::from(reason.code.as_str()));
    entry.insert("message".to_owned(), Value::from(reason.message.as_str()));
    Value::Object(entry)
}

/// A document's place in its file, as both records say it.
fn place(document: &RawDocument) -> Map<String, Value> {
    let mut place = Map::from_iter([("index".to_owned(), Value::from(document.index))]);
    if let Some(item) = document.item {
        place.insert("item".to_owned(), Value::from(item));
    }
    place
}

/// What goes to unmanaged/ of one raw file: the bytes and their reasons, always side by side.
struct Pair {
    file: Bytes,
    reasons: Bytes,
}

impl Pair {
    /// Where to write; `None` when it is there already. A place with other content is never overwritten.
    fn place(&self, raw: &RepoPath, edits: &Edits, context: Context) -> Option<(RepoPath, RepoPath)> {
        let mut candidates = candidates(raw, context)
            .filter(|(file, beside)| has_room(file, edits, context) && has_room(beside, edits, context));
        let (file, beside) = candidates.find(|(file, beside)| {
            fits(file, &self.file, edits, context) && fits(beside, &self.reasons, edits, context)
        })?;
        let is_there = |path: &RepoPath| context.sides.tree.contains_key(path) || edits.contains_key(path);
        (!(is_there(&file) && is_there(&beside))).then_some((file, beside))
    }
}

/// Whether a path is free for these bytes, or has them already.
fn fits(path: &RepoPath, bytes: &Bytes, edits: &Edits, context: Context) -> bool {
    match (edits.get(path), context.sides.tree.get(path)) {
        (Some(edit), _) => edit.bytes().is_none_or(|planned| planned == bytes),
        (None, None) => true,
        (None, Some(entry)) => entry.blob == Oid::of_blob(bytes),
    }
}

/// `a.yaml`, `a-1.yaml`, `a-2.yaml`, ... and, where those cannot be, a name made of the blob's id.
fn candidates<'c>(raw: &'c RepoPath, context: Context<'c>) -> impl Iterator<Item = (RepoPath, RepoPath)> + 'c {
    let of_raw = raw.below(&raw_dir(&context.sides.directory));
    let below = of_raw.or(raw.below(&context.sides.directory)).unwrap_or(raw.file_name());
    let directory = unmanaged_dir(&context.sides.directory);
    let id = Oid::of_blob(raw.as_str().as_bytes());
    let last = format!("{}.yaml", id.as_str());
    let names = (0..=context.sides.tree.len()).map(move |number| numbered(below, number));
    let more = (0..=context.sides.tree.len()).map(move |number| numbered(&last, number));
    names.chain(more).filter_map(move |name| pair_at(&directory, &name).ok())
}

fn pair_at(directory: &RepoPath, name: &str) -> Result<(RepoPath, RepoPath), BadPath> {
    Ok((directory.join(name)?, directory.join(&format!("{name}.reasons.yaml"))?))
}

fn numbered(name: &str, number: usize) -> String {
    if number == 0 {
        return name.to_owned();
    }
    let (directory, file) = name.rsplit_once('/').map_or(("", name), |(directory, file)| (directory, file));
    let slash = if directory.is_empty() { "" } else { "/" };
    match file.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()) {
        Some((stem, extension)) => format!("{directory}{slash}{stem}-{number}.{extension}"),
        None => format!("{directory}{slash}{file}-{number}"),
    }
}

/// Git cannot hold a file and a directory of one name.
fn has_room(path: &RepoPath, edits: &Edits, context: Context) -> bool {
    let tree = &context.sides.tree;
    let near = |other: &&RepoPath| other.as_str().starts_with(path.as_str());
    let below = |other: &RepoPath| other != path && other.is_within(path);
    let is_directory = tree.range(path..).map(|(other, _)| other).take_while(near).any(below)
        || edits.range(path..).map(|(other, _)| other).take_while(near).any(below);
    let is_file = |path: &RepoPath| tree.contains_key(path) || edits.get(path).and_then(Edit::bytes).is_some();
    let mut parents = path.as_str().match_indices('/').filter_map(|(at, _)| RepoPath::new(&path.as_str()[..at]).ok());
    !is_directory && !parents.any(|parent| is_file(&parent))
}

/// The archive log with an entry for each file that leaves; the newest last.
fn log_with(existing: Option<&Bytes>, leaving: &[&Judged], context: Context) -> Bytes {
    let mut log = match existing.map(|bytes| yaml::read_own(bytes)) {
        Some(Ok(Value::Object(log))) => log,
        // Git's history keeps a log that cannot be read.
        Some(Ok(_) | Err(_)) | None => Map::new(),
    };
    let mut entries = match log.remove("entries") {
        Some(Value::Array(entries)) => entries,
        Some(_) | None => Vec::new(),
    };
    for judged in leaving {
        let entry = log_entry(judged, &context.sides.directory);
        entries.retain(|old| (old.get("path"), old.get("blob")) != (entry.get("path"), entry.get("blob")));
        entries.push(entry);
    }
    let surplus = entries.len().saturating_sub(KEPT_ENTRIES);
    entries.drain(..surplus);
    log.insert("entries".to_owned(), Value::Array(entries));
    render::text(&log)
}

fn log_entry(judged: &Judged, directory: &RepoPath) -> Value {
    let documents = judged.raw.documents.iter().zip(&judged.fates);
    let documents: Vec<Value> = documents.map(|(document, fate)| document_entry(document, fate)).collect();
    json!({
        "path": judged.raw.path.below(directory).unwrap_or(judged.raw.path.as_str()),
        "blob": judged.raw.blob.as_str(),
        "documents": documents,
    })
}

fn document_entry(document: &RawDocument, fate: &Fate) -> Value {
    let mut entry = place(document);
    entry.insert("fate".to_owned(), Value::from(fate.word()));
    let (key, code) = match fate {
        Fate::Ingested { key, effect } => (Some(key), effect_word(*effect)),
        Fate::Unmanaged { reason } => (None, reason.code.as_str()),
        Fate::Rejected { key, reason } | Fate::Held { key, reason } => (key.as_ref(), reason.code.as_str()),
        Fate::Pending { key, reason } => (Some(key), reason.code.as_str()),
    };
    if let Some(key) = key {
        entry.insert("key".to_owned(), Value::from(key.to_string()));
    }
    entry.insert("code".to_owned(), Value::from(code));
    Value::Object(entry)
}

fn effect_word(effect: Effect) -> &'static str {
    match effect {
        Effect::Created => "created",
        Effect::Updated => "updated",
        Effect::Unchanged => "unchanged",
    }
}
