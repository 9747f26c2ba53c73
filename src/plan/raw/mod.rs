//! Takes a file of raw/ apart into documents, each with its exact bytes and what it is.

mod list;
pub mod split;

use bytes::Bytes;
use serde_json::Value;

use self::list::{Listed, is_list, listed};
use self::split::{first_content_line, line_breaks, split, without_mark};
use super::layout::is_yaml;
use super::outline::outline;
use super::recognise::{Recognised, recognise};
use super::yaml::{self, NOT_YAML};
use super::{RawContent, RawDocument, RawFile};
use crate::domain::edit::{Mode, TreeEntry};
use crate::domain::fate::Reason;
use crate::domain::kind::Catalogue;
use crate::domain::names::Oid;
use crate::domain::path::RepoPath;
use crate::domain::pointer::Pointer;

/// The largest raw file that is taken apart, in bytes.
pub const MAX_BYTES: usize = 10 * 1024 * 1024;
/// The most documents that one raw file may have, the items of its lists included.
pub const MAX_DOCUMENTS: usize = 10_000;
const UTF_16_LE: &[u8] = b"\xFF\xFE";
const UTF_16_BE: &[u8] = b"\xFE\xFF";
/// How a file begins whose content is kept in Git LFS (<https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md>).
const LFS_POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";

/// The raw file of a tree's entry; `None` for a file whose content was not read.
///
/// A symbolic link or a submodule is held: what it stands for is not in the entry, and not always in the repository. So is
/// a file whose name cannot be a path: it could not be removed.
pub fn of_entry(catalogue: &Catalogue, path: &RepoPath, entry: &TreeEntry, bytes: Option<Bytes>) -> Option<RawFile> {
    let link = |what| Reason::new("not_a_file", format!("it is {what}; put the file itself in its place"));
    let reason = match (&entry.misnamed, entry.mode) {
        (Some(why), _) => misnamed(why),
        (None, Mode::File | Mode::Executable) => return Some(take_apart(catalogue, path, &entry.blob, bytes?)),
        (None, Mode::Symlink) => link("a symbolic link"),
        (None, Mode::Submodule) => link("a submodule"),
    };
    let bytes = bytes.unwrap_or_default();
    let document =
        RawDocument { index: 0, item: None, bytes: 0..bytes.len(), line: 1, content: RawContent::Held(reason) };
    Some(RawFile { path: path.clone(), blob: entry.blob.clone(), bytes, documents: vec![document] })
}

/// Why a file whose name cannot be a path is left where it is. It is shown with its name in escapes.
pub fn misnamed(why: &str) -> Reason {
    Reason::new(
        "unusable_name",
        format!("its name, here with `%` and hex digits for what is in the way, is no path: {why}; rename the file"),
    )
}

/// Takes one raw file apart. Never fails: what cannot be read is a document with its reason.
///
/// The byte ranges of the documents cover the file. After an error of syntax the rest of the file, from the broken
/// document's separator on, is one document; every other fault is its own document's alone. In place of a `kind: List`
/// stand its items, which share its index and range.
pub fn take_apart(catalogue: &Catalogue, path: &RepoPath, blob: &Oid, bytes: Bytes) -> RawFile {
    let documents = match whole_file(path, &bytes) {
        Some(content) => vec![RawDocument { index: 0, item: None, bytes: 0..bytes.len(), line: 1, content }],
        None => documents(catalogue, &bytes),
    };
    RawFile { path: path.clone(), blob: blob.clone(), bytes, documents }
}

/// Line and column in the file of each pointer into one of its documents.
pub(super) fn places(file: &[u8], document: &RawDocument, pointers: &[&Pointer]) -> Vec<(u64, u64)> {
    let before = line_breaks(&file[..document.bytes.start]);
    let text = std::str::from_utf8(without_mark(&file[document.bytes.clone()])).unwrap_or_default();
    let outline = outline(text);
    let place = |pointer: &&Pointer| match &outline {
        None => (document.line, 1),
        Some(outline) => {
            let (line, column) = match document.item {
                None => outline.place(pointer),
                Some(item) => outline.place(&Pointer::default().key("items").index(item).join(pointer)),
            };
            (before + line, column)
        }
    };
    pointers.iter().map(place).collect()
}

/// What a file is that is not looked into.
fn whole_file(path: &RepoPath, bytes: &[u8]) -> Option<RawContent> {
    if !is_yaml(path) {
        let why = "only files ending in .yaml or .yml are read";
        return Some(RawContent::Unmanaged(Reason::new("not_a_yaml_file", why)));
    }
    if bytes.len() > MAX_BYTES {
        let why = format!("the file has {} bytes; {MAX_BYTES} is the most: split it", bytes.len());
        return Some(RawContent::Held(Reason::new("file_too_large", why)));
    }
    if bytes.starts_with(UTF_16_LE) || bytes.starts_with(UTF_16_BE) {
        let why = "the file is UTF-16, as PowerShell's `>` writes it: save it as UTF-8";
        return Some(RawContent::Rejected { key: None, reason: Reason::new("not_utf_8", why).at(1, 1) });
    }
    if bytes.starts_with(LFS_POINTER) {
        let why = "it is a pointer into Git LFS, and the content is not in the repository: commit the file itself \
                   (`git lfs untrack`, then add it again)";
        return Some(RawContent::Held(Reason::new("lfs_pointer", why)));
    }
    None
}

fn documents(catalogue: &Catalogue, bytes: &[u8]) -> Vec<RawDocument> {
    let ranges = split(bytes);
    if ranges.len() > MAX_DOCUMENTS {
        return too_many(bytes, ranges.len());
    }
    let mut documents = Vec::with_capacity(ranges.len());
    let mut before = 0;
    for (index, range) in ranges.into_iter().enumerate() {
        let piece = Piece { index, bytes: &bytes[range.clone()], start: range.start, lines_before: before };
        before += line_breaks(piece.bytes);
        let (found, readable) = piece.documents(catalogue, bytes.len());
        documents.extend(found);
        if documents.len() > MAX_DOCUMENTS {
            return too_many(bytes, documents.len());
        }
        if !readable {
            break;
        }
    }
    documents
}

fn too_many(bytes: &[u8], count: usize) -> Vec<RawDocument> {
    let why = format!("the file has at least {count} documents; {MAX_DOCUMENTS} is the most: split it");
    let content = RawContent::Held(Reason::new("too_many_documents", why));
    vec![RawDocument { index: 0, item: None, bytes: 0..bytes.len(), line: 1, content }]
}

/// What stands between two separators.
struct Piece<'a> {
    index: usize,
    bytes: &'a [u8],
    /// Its place in the file.
    start: usize,
    lines_before: u64,
}

impl Piece<'_> {
    /// Its documents; or everything from its start when it is not YAML, then also `false`.
    fn documents(&self, catalogue: &Catalogue, file_end: usize) -> (Vec<RawDocument>, bool) {
        let text = without_mark(self.bytes);
        let line = self.lines_before + first_content_line(self.bytes);
        let value = match yaml::read(text) {
            Ok(value) => value,
            Err(fault) => {
                let readable = fault.code != NOT_YAML;
                let reason = Reason::new(fault.code, fault.message).at(self.lines_before + fault.line, fault.column);
                let content = RawContent::Rejected { key: None, reason };
                let end = if readable { self.end() } else { file_end };
                return (vec![RawDocument { bytes: self.start..end, ..self.document(line, content) }], readable);
            }
        };
        let documents = match listed(catalogue, value) {
            Listed::No(value) => vec![self.document(line, content(recognise(catalogue, value), line))],
            Listed::Items(items) if items.is_empty() => {
                let reason = Reason::new("empty", "the list has no items").at(line, 1);
                vec![self.document(line, RawContent::Unmanaged(reason))]
            }
            Listed::Items(items) => self.items(catalogue, items, text),
            Listed::Unusable(reason) => {
                vec![self.document(line, RawContent::Rejected { key: None, reason: reason.at(line, 1) })]
            }
        };
        (documents, true)
    }

    fn items(&self, catalogue: &Catalogue, items: Vec<Value>, text: &[u8]) -> Vec<RawDocument> {
        let outline = std::str::from_utf8(text).ok().and_then(outline);
        let place = |item: usize| {
            let pointer = Pointer::default().key("items").index(item);
            outline.as_ref().map_or(1, |outline| outline.place(&pointer).0)
        };
        let items = items.into_iter().enumerate().map(|(item, value)| {
            let line = self.lines_before + place(item);
            let content = if is_list(catalogue, &value) {
                let why = "a list within a list is not taken apart: put its items into the outer one";
                RawContent::Rejected { key: None, reason: Reason::new("nested_list", why).at(line, 1) }
            } else {
                content(recognise(catalogue, value), line)
            };
            RawDocument { item: Some(item), ..self.document(line, content) }
        });
        items.collect()
    }

    fn document(&self, line: u64, content: RawContent) -> RawDocument {
        RawDocument { index: self.index, item: None, bytes: self.start..self.end(), line, content }
    }

    fn end(&self) -> usize {
        self.start + self.bytes.len()
    }
}

fn content(recognised: Recognised, line: u64) -> RawContent {
    match recognised {
        Recognised::Ours(document) => RawContent::Document(Box::new(document)),
        Recognised::Empty => RawContent::Unmanaged(Reason::new("empty", "the document is empty").at(line, 1)),
        Recognised::NotOurs(reason) => RawContent::Unmanaged(reason.at(line, 1)),
        Recognised::Unusable(reason) => RawContent::Rejected { key: None, reason: reason.at(line, 1) },
    }
}
