//! Reads a file under managed/: exactly one document of ours.

use super::outline::{Shape, outline};
use super::raw::split::{line_breaks, split, without_mark};
use super::recognise::{Recognised, recognise};
use super::yaml;
use crate::domain::document::Document;
use crate::domain::fate::Reason;
use crate::domain::kind::Catalogue;
use crate::domain::pointer::Pointer;

/// What a managed file holds.
#[derive(Debug, Clone, PartialEq)]
pub enum ManagedFile {
    Document(Document),
    /// It has content, but is not one usable document of a known kind.
    Broken(Reason),
    /// Nothing but space and comments.
    Empty,
}

/// The largest managed file that is read; the largest spec that a cluster would take is far smaller.
const MAX_BYTES: usize = 4 << 20;

/// Reads a managed file. Comments and empty documents around the one document do not matter.
pub fn read_document(catalogue: &Catalogue, bytes: &[u8]) -> ManagedFile {
    if bytes.len() > MAX_BYTES {
        return ManagedFile::Broken(Reason::new("file_too_large", "the file is larger than 4 MiB"));
    }
    let mut found = None;
    for range in split(bytes) {
        let before = line_breaks(&bytes[..range.start]);
        let value = match yaml::read(without_mark(&bytes[range])) {
            Ok(value) => value,
            Err(fault) => {
                return ManagedFile::Broken(
                    Reason::new(fault.code, fault.message).at(before + fault.line, fault.column),
                );
            }
        };
        match (recognise(catalogue, value), &found) {
            (Recognised::Empty, _) => {}
            (Recognised::Ours(document), None) => found = Some(document),
            (Recognised::NotOurs(reason) | Recognised::Unusable(reason), None) => return ManagedFile::Broken(reason),
            (_, Some(_)) => {
                let why = "a managed file holds one document, this one holds several: give each its own file";
                return ManagedFile::Broken(Reason::new("several_documents", why).at(before + 1, 1));
            }
        }
    }
    found.map_or(ManagedFile::Empty, ManagedFile::Document)
}

/// Line and column in a managed file of each pointer into its document.
pub fn places(bytes: &[u8], pointers: &[&Pointer]) -> Vec<(u64, u64)> {
    let mut outlines = split(bytes).into_iter().filter_map(|range| {
        let before = line_breaks(&bytes[..range.start]);
        let text = std::str::from_utf8(without_mark(&bytes[range])).ok()?;
        outline(text).filter(|outline| outline.shape != Shape::Leaf).map(|outline| (before, outline))
    });
    let found = if pointers.is_empty() { None } else { outlines.next() };
    let place = |pointer: &&Pointer| match &found {
        Some((before, outline)) => {
            let (line, column) = outline.place(pointer);
            (before + line, column)
        }
        None => (1, 1),
    };
    pointers.iter().map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEB: &str = "apiVersion: vpc.githedgehog.com/v1beta1\nkind: VPC\nmetadata: {name: web}\n";

    fn read(text: &str) -> ManagedFile {
        read_document(Catalogue::hedgehog(), text.as_bytes())
    }

    fn broken(text: &str) -> String {
        match read(text) {
            ManagedFile::Broken(reason) => reason.code,
            other => panic!("{text} gave {other:?}"),
        }
    }

    #[test]
    fn comments_and_empty_documents_around_the_one_document_do_not_matter() {
        let text = format!("# Generated 2025-01-01\n---\n{WEB}---\n# end\n");

        assert!(matches!(read(&text), ManagedFile::Document(document) if document.key.name == "web"));
    }

    #[test]
    fn places_are_those_of_the_file() {
        let text = format!("---\n# head\n---\n{WEB}spec:\n  a: 1\n");

        let (a, missing) = (Pointer::default().key("spec").key("a"), Pointer::default().key("spec").key("b"));

        assert_eq!(places(text.as_bytes(), &[&a, &missing]), [(8, 3), (7, 1)]);
        assert_eq!(places(b"# nothing", &[&a]), [(1, 1)]);
    }

    #[test]
    fn several_documents_or_a_list_are_broken() {
        assert_eq!(broken(&format!("{WEB}---\n{WEB}")), "several_documents");
        assert_eq!(broken("apiVersion: v1\nkind: List\nitems: []\n"), "unknown_kind");
    }

    #[test]
    fn an_unusable_document_is_broken() {
        assert_eq!(broken("a: [1\n"), "not_yaml");
        assert_eq!(broken("apiVersion: vpc.githedgehog.com/v1beta1\nkind: VPC\nmetadata: {}\n"), "no_name");
    }

    #[test]
    fn a_file_without_content_is_empty() {
        assert_eq!(read("# nothing\n---\n"), ManagedFile::Empty);
        assert_eq!(read(""), ManagedFile::Empty);
    }
}
