//! What a file of raw/ is taken apart into, whatever stands in it.

use bytes::Bytes;

use crate::domain::edit::{Mode, TreeEntry};
use crate::domain::kind::Catalogue;
use crate::domain::names::Oid;
use crate::domain::path::RepoPath;
use crate::plan::raw::{MAX_BYTES, MAX_DOCUMENTS, of_entry, take_apart};
use crate::plan::{RawContent, RawDocument, RawFile};

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
    let file =
        apart("raw/a.yaml", "kind: VPC\nspec: {z: 1, a: 2}\napiVersion: vpc.githedgehog.com/v1\nmetadata: {name: a}\n");

    let RawContent::Document(document) = &file.documents[0].content else { unreachable!() };
    let keys: Vec<_> = document.body.keys().map(String::as_str).collect();
    assert_eq!(keys, ["kind", "spec", "apiVersion", "metadata"]);
}

const DB: &str = "{apiVersion: vpc.githedgehog.com/v1beta1, kind: VPC, metadata: {name: db}}";

fn places(text: &str) -> Vec<(usize, Option<usize>, u64)> {
    apart("raw/a.yaml", text).documents.iter().map(|document| (document.index, document.item, document.line)).collect()
}

#[test]
fn every_item_of_a_list_is_a_document_of_its_own() {
    let text = format!(
        "{WEB}---\napiVersion: v1\nkind: List\nitems:\n- {DB}\n- {{apiVersion: v1, kind: ConfigMap, metadata: {{name: x}}}}\n\
         - {{apiVersion: vpc.githedgehog.com/v1beta1, kind: VPC, metadata: {{}}}}\n---\n{WEB}"
    );

    let web = "VPC/default/web";
    assert_eq!(words(&text), [web, "VPC/default/db", "unmanaged unknown_kind", "rejected no_name", web]);
    assert_eq!(places(&text), [(0, None, 1), (1, Some(0), 9), (1, Some(1), 10), (1, Some(2), 11), (2, None, 13)]);
}

#[test]
fn a_typed_list_says_what_its_items_are() {
    let list = "apiVersion: vpc.githedgehog.com/v1beta1\nkind: VPCList\nmetadata: {resourceVersion: '1'}\nitems:\n";

    assert_eq!(words(&format!("{list}- metadata: {{name: a}}\n- {DB}\n")), ["VPC/default/a", "VPC/default/db"]);
}

#[test]
fn a_list_without_items_is_empty_and_a_broken_one_rejected() {
    let list = "apiVersion: v1\nkind: List\n";

    assert_eq!(words(list), ["unmanaged empty"]);
    assert_eq!(words(&format!("{list}items: []\n")), ["unmanaged empty"]);
    assert_eq!(words(&format!("{list}items: {{a: 1}}\n")), ["rejected bad_list"]);
    let nested = format!("{list}items:\n- {{apiVersion: v1, kind: List, items: []}}\n- {DB}\n- null\n- 1\n");
    assert_eq!(
        words(&nested),
        ["rejected nested_list", "VPC/default/db", "unmanaged empty", "unmanaged not_a_mapping"]
    );
}

#[test]
fn a_list_of_others_is_not_ours() {
    assert_eq!(words("apiVersion: v1\nkind: ConfigMapList\nitems: []\n"), ["unmanaged unknown_kind"]);
    assert_eq!(words("apiVersion: v2\nkind: List\nitems: []\n"), ["unmanaged unknown_kind"]);
}

#[test]
fn the_items_of_lists_count_as_documents() {
    let list = format!("apiVersion: v1\nkind: List\nitems:\n{}", "- null\n".repeat(MAX_DOCUMENTS + 1));

    assert_eq!(words(&list), ["held too_many_documents"]);
}

#[test]
fn a_hundred_thousand_documents_are_held_whole() {
    let text = format!("{WEB}---\n").repeat(100_000);

    assert_eq!(words(&text), ["held too_many_documents"]);
}

#[test]
fn ten_megabytes_are_read_and_one_byte_more_is_held() {
    let mut text = format!("{WEB}#");
    text.push_str(&"x".repeat(MAX_BYTES - text.len()));
    assert_eq!(words(&text), ["VPC/default/web"]);

    text.push('x');

    assert_eq!(words(&text), ["held file_too_large"]);
}

#[test]
fn anchors_and_aliases_are_expanded_within_their_document() {
    let text = format!(
        "{}spec: {{a: &x {{b: 1}}, c: *x, d: {{<<: *x, e: 2}}}}\n---\n{WEB}other: *x\n",
        WEB.replace("spec: {}\n", "")
    );

    let file = apart("raw/a.yaml", &text);

    let RawContent::Document(document) = &file.documents[0].content else { panic!("{:?}", file.documents[0]) };
    assert_eq!(document.body["spec"], serde_json::json!({"a": {"b": 1}, "c": {"b": 1}, "d": {"b": 1, "e": 2}}));
    assert!(word(&file.documents[1]).starts_with("rejected "), "{:?}", file.documents[1]);
}

#[test]
fn a_billion_laughs_is_its_own_documents_trouble_alone() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let alias = format!("*a{}", level - 1);
        bomb += &format!("a{level}: &a{level} [{}]\n", [alias.as_str(); 10].join(", "));
    }

    assert_eq!(
        words(&format!("{WEB}---\n{bomb}---\n{WEB}")),
        ["VPC/default/web", "rejected too_complex", "VPC/default/web"]
    );
}

#[test]
fn a_nul_byte_is_not_yaml() {
    assert_eq!(words(&format!("{WEB}---\na: \u{0}\n")), ["VPC/default/web", "rejected not_yaml"]);
    assert_eq!(words("\u{0}\u{0}\u{0}"), ["rejected not_yaml"]);
}

#[test]
fn utf_16_is_rejected_whole_with_what_to_do() {
    let wide = |mark: u16, bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
        std::iter::once(mark).chain(WEB.encode_utf16()).flat_map(bytes).collect()
    };
    for bytes in [wide(0xFEFF, u16::to_le_bytes), wide(0xFEFF, u16::to_be_bytes)] {
        let path = RepoPath::new("raw/a.yaml").unwrap();
        let file = take_apart(Catalogue::hedgehog(), &path, &Oid::of_blob(&bytes), Bytes::from(bytes.clone()));

        assert_eq!(file.documents.iter().map(word).collect::<Vec<_>>(), ["rejected not_utf_8"]);
        assert_eq!(file.documents[0].bytes, 0..bytes.len());
    }
}

#[test]
fn line_endings_of_every_kind_give_the_same_documents() {
    let text = format!("{WEB}---\n{}", WEB.replace("name: web", "name: db"));

    for ending in ["\n", "\r\n", "\r"] {
        assert_eq!(words(&text.replace('\n', ending)), ["VPC/default/web", "VPC/default/db"], "{ending:?}");
    }
}

#[test]
fn a_tab_as_indentation_is_not_yaml_and_elsewhere_harmless() {
    let indented = WEB.replace("metadata: {name: web}", "metadata:\n\tname: web");
    assert_eq!(words(&indented), ["rejected not_yaml"]);

    let between = WEB.replace("kind: VPC", "kind:\tVPC\t# x\ty");
    assert_eq!(words(&between), ["VPC/default/web"]);
}

#[test]
fn a_duplicate_key_is_rejected_with_its_place_in_the_file() {
    let text = format!("{WEB}---\n{}", WEB.replace("spec: {}", "spec:\n  a: 1\n  a: 2"));

    let file = apart("raw/a.yaml", &text);

    let RawContent::Rejected { reason, .. } = &file.documents[1].content else { panic!("{:?}", file.documents[1]) };
    assert_eq!((reason.code.as_str(), reason.line, reason.column), ("duplicate_key", Some(11), Some(3)));
}

#[test]
fn a_git_lfs_pointer_is_held() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";

    assert_eq!(words(pointer), ["held lfs_pointer"]);
}

#[test]
fn a_symbolic_link_and_a_submodule_are_held() {
    let path = RepoPath::new("raw/a.yaml").unwrap();
    let of = |mode, bytes: Option<&'static str>| {
        let entry = TreeEntry { mode, blob: Oid::of_blob(b"x"), size: None, misnamed: None };
        of_entry(Catalogue::hedgehog(), &path, &entry, bytes.map(Bytes::from)).map(|file| word(&file.documents[0]))
    };

    assert_eq!(of(Mode::Symlink, Some("../managed/vpcs/web.yaml")).unwrap(), "held not_a_file");
    assert_eq!(of(Mode::Submodule, None).unwrap(), "held not_a_file");
    assert_eq!(of(Mode::Executable, Some(WEB)).unwrap(), "VPC/default/web");
    assert_eq!(of(Mode::File, None), None);
}
