//! Takes a file of raw/ apart into documents, each with its exact bytes and what it is.

pub mod split;

use std::ops::Range;

use bytes::Bytes;

use self::split::{first_content_line, line_breaks, split, without_mark};
use super::recognise::{Recognised, recognise};
use super::yaml::{self, NOT_YAML};
use super::{RawContent, RawDocument, RawFile};
use crate::domain::fate::Reason;
use crate::domain::kind::Catalogue;
use crate::domain::names::Oid;
use crate::domain::path::RepoPath;

/// The largest raw file that is taken apart, in bytes.
pub const MAX_BYTES: usize = 10 * 1024 * 1024;
/// The most documents that one raw file may have.
pub const MAX_DOCUMENTS: usize = 10_000;

/// Takes one raw file apart. Never fails: what cannot be read is a document with its reason.
///
/// The byte ranges of the documents cover the file. After an error of syntax the rest of the file, from the broken
/// document's separator on, is one document; every other fault is its own document's alone.
pub fn take_apart(catalogue: &Catalogue, path: &RepoPath, blob: &Oid, bytes: Bytes) -> RawFile {
    let documents = documents(catalogue, path, &bytes);
    RawFile { path: path.clone(), blob: blob.clone(), bytes, documents }
}

fn documents(catalogue: &Catalogue, path: &RepoPath, bytes: &[u8]) -> Vec<RawDocument> {
    let whole = |content| vec![RawDocument { bytes: 0..bytes.len(), line: 1, content }];
    if !is_yaml_file(path) {
        let why = "only files ending in .yaml or .yml are read";
        return whole(RawContent::Unmanaged(Reason::new("not_a_yaml_file", why)));
    }
    if bytes.len() > MAX_BYTES {
        let why = format!("the file has {} bytes; {MAX_BYTES} is the most: split it", bytes.len());
        return whole(RawContent::Held(Reason::new("file_too_large", why)));
    }
    let ranges = split(bytes);
    if ranges.len() > MAX_DOCUMENTS {
        let why = format!("the file has {} documents; {MAX_DOCUMENTS} is the most: split it", ranges.len());
        return whole(RawContent::Held(Reason::new("too_many_documents", why)));
    }
    let mut documents = Vec::with_capacity(ranges.len());
    let mut before = 0;
    for range in ranges {
        let (document, readable) = document(catalogue, bytes, range.clone(), before);
        before += line_breaks(&bytes[range]);
        documents.push(document);
        if !readable {
            break;
        }
    }
    documents
}

fn is_yaml_file(path: &RepoPath) -> bool {
    let name = path.file_name().to_ascii_lowercase();
    name.ends_with(".yaml") || name.ends_with(".yml")
}

/// The document at a range, or everything from its start when it is not YAML (then also `false`).
fn document(catalogue: &Catalogue, file: &[u8], range: Range<usize>, lines_before: u64) -> (RawDocument, bool) {
    let bytes = &file[range.clone()];
    let line = lines_before + first_content_line(bytes);
    let (content, end) = match yaml::read(without_mark(bytes)) {
        Ok(value) => (content(recognise(catalogue, value), line), range.end),
        Err(fault) => {
            let end = if fault.code == NOT_YAML { file.len() } else { range.end };
            let reason = Reason::new(fault.code, fault.message).at(lines_before + fault.line, fault.column);
            (RawContent::Rejected { key: None, reason }, end)
        }
    };
    let readable = end == range.end;
    (RawDocument { bytes: range.start..end, line, content }, readable)
}

fn content(recognised: Recognised, line: u64) -> RawContent {
    match recognised {
        Recognised::Ours(document) => RawContent::Document(Box::new(document)),
        Recognised::Empty => RawContent::Unmanaged(Reason::new("empty", "the document is empty").at(line, 1)),
        Recognised::NotOurs(reason) => RawContent::Unmanaged(reason.at(line, 1)),
        Recognised::Unusable(reason) => RawContent::Rejected { key: None, reason: reason.at(line, 1) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEB: &str = "apiVersion: vpc.githedgehog.com/v1beta1\nkind: VPC\nmetadata: {name: web}\nspec: {}\n";

    fn apart(path: &str, text: &str) -> RawFile {
        let path = RepoPath::new(path).unwrap();
        let blob = Oid::of_blob(text.as_bytes());
        take_apart(Catalogue::hedgehog(), &path, &blob, Bytes::copy_from_slice(text.as_bytes()))
    }

    fn word(document: &RawDocument) -> String {
        match &document.content {
            RawContent::Document(document) => document.key.to_string(),
            RawContent::Unmanaged(reason) => format!("unmanaged {}", reason.code),
            RawContent::Rejected { reason, .. } => format!("rejected {}", reason.code),
            RawContent::Held(reason) => format!("held {}", reason.code),
        }
    }

    fn words(text: &str) -> Vec<String> {
        apart("raw/a.yaml", text).documents.iter().map(word).collect()
    }

    #[test]
    fn every_document_counts_also_the_empty_ones() {
        let text = format!("---\n---\n# only a comment\n---\nnull\n---\n{WEB}");

        let empty = "unmanaged empty";
        assert_eq!(words(&text), [empty, empty, empty, "VPC/default/web"]);
        assert_eq!(words(""), [empty]);
    }

    #[test]
    fn one_bad_document_never_harms_another() {
        let text = format!("{WEB}---\na: 1\na: 2\n---\njust text\n---\n{WEB}");

        let expected = ["VPC/default/web", "rejected duplicate_key", "unmanaged not_a_mapping", "VPC/default/web"];
        assert_eq!(words(&text), expected);
    }

    #[test]
    fn after_a_syntax_error_the_rest_of_the_file_is_the_broken_document() {
        let text = format!("{WEB}---\na: [1\n---\n{WEB}");

        let file = apart("raw/a.yaml", &text);

        let words: Vec<_> = file.documents.iter().map(word).collect();
        assert_eq!(words, ["VPC/default/web", "rejected not_yaml"]);
        assert_eq!(file.documents[1].bytes, WEB.len()..text.len());
        let RawContent::Rejected { reason, .. } = &file.documents[1].content else { unreachable!() };
        assert_eq!(reason.line, Some(6), "{reason:?}");
    }

    #[test]
    fn lines_are_those_of_the_file() {
        let text = format!("# head\r\n---\r\n{WEB}---\n\n# x\nb: 1\nb: 2\n");

        let file = apart("raw/a.yaml", &text);

        assert_eq!((file.documents[0].line, file.documents[1].line), (3, 10));
        let RawContent::Rejected { reason, .. } = &file.documents[1].content else { unreachable!() };
        assert_eq!((reason.line, reason.column), (Some(11), Some(1)));
    }

    #[test]
    fn an_unusable_document_of_ours_is_rejected_with_its_reason() {
        let of = |metadata: &str| {
            words(&format!("apiVersion: vpc.githedgehog.com/v1alpha9\nkind: VPC\nmetadata: {metadata}\n")).remove(0)
        };

        for (metadata, code) in [
            ("{}", "no_name"),
            ("null", "no_name"),
            ("[]", "bad_metadata"),
            ("{name: 12}", "bad_name"),
            ("{name: ''}", "bad_name"),
            ("{name: a/b}", "bad_name"),
            ("{name: '..'}", "bad_name"),
            ("{name: \"a\\nb\"}", "bad_name"),
            ("{name: a, namespace: a/b}", "bad_namespace"),
            ("{name: a, labels: {x: 1}}", "bad_labels"),
            ("{name: a, annotations: [x]}", "bad_annotations"),
        ] {
            assert_eq!(of(metadata), format!("rejected {code}"), "{metadata}");
        }
        assert_eq!(of("{name: a, namespace: '', labels: null}"), "VPC/default/a");
    }

    #[test]
    fn documents_of_others_are_unmanaged() {
        assert_eq!(words("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"), ["unmanaged unknown_kind"]);
        assert_eq!(words("kind: VPC\n"), ["unmanaged not_kubernetes"]);
        let file = apart("raw/notes.txt", "apiVersion: [");
        assert_eq!(word(&file.documents[0]), "unmanaged not_a_yaml_file");
    }

    #[test]
    fn directives_and_marks_are_read() {
        assert_eq!(words(&format!("\u{feff}%YAML 1.2\n---\n{WEB}...\n--- # next\n{WEB}")).len(), 2);
        assert_eq!(words(&format!("\u{feff}{WEB}")), ["VPC/default/web"]);
        assert_eq!(words(&WEB.replace('\n', "\r\n")), ["VPC/default/web"]);
    }

    #[test]
    fn a_file_that_is_too_much_is_held_whole() {
        assert_eq!(words(&"---\n".repeat(MAX_DOCUMENTS + 1)), ["held too_many_documents"]);
        assert_eq!(words(&"#".repeat(MAX_BYTES + 1)), ["held file_too_large"]);
    }

    #[test]
    fn key_order_is_kept() {
        let file = apart(
            "raw/a.yaml",
            "kind: VPC\nspec: {z: 1, a: 2}\napiVersion: vpc.githedgehog.com/v1\nmetadata: {name: a}\n",
        );

        let RawContent::Document(document) = &file.documents[0].content else { unreachable!() };
        let keys: Vec<_> = document.body.keys().map(String::as_str).collect();
        assert_eq!(keys, ["kind", "spec", "apiVersion", "metadata"]);
    }
}
