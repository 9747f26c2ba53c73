//! Raw files of arbitrary bytes.

use std::collections::BTreeMap;

use bytes::Bytes;
use fgd_sync::domain::edit::Edit;
use fgd_sync::domain::kind::Catalogue;
use fgd_sync::domain::names::Oid;
use fgd_sync::domain::report::Item;
use fgd_sync::plan::raw::take_apart;
use fgd_sync::plan::{RawContent, RawDocument};
use proptest::prelude::*;

use crate::model::{DIRECTORY, Model, document_text, key, path};

/// Pieces that YAML cares about, in any order, and sometimes any bytes at all.
fn file() -> impl Strategy<Value = Vec<u8>> {
    let fixed = prop::sample::select(vec![
        "---\n",
        "---\r\n",
        "--- ",
        "...\n",
        "# c\n",
        "\n",
        "\r",
        "a: 1\n",
        "a: [1\n",
        "a: \"x\n",
        "- b\n",
        "\u{feff}",
        "%YAML 1.2\n",
        "%TAG ! x\n",
        "a: |\n  x\n",
        "\t",
        "*x\n",
        "&x a\n",
        "y: 1\n",
        "null\n",
        "~\n",
        "x: 99999999999999999999\n",
        "{",
        "}",
        "é\u{2028}",
        "\u{0}",
        "? k\n",
        ": v\n",
    ]);
    let text = (0u8..3, 0u8..3).prop_map(|(name, value)| document_text(&key(&format!("v{name}")), value));
    let ours = text.clone().prop_map(String::into_bytes);
    let lists = prop::collection::vec(prop_oneof![3 => text, 1 => Just("just text\n".to_owned())], 0..4);
    let lists = lists.prop_map(|items| list_text(&items).into_bytes());
    let piece = prop_oneof![
        6 => fixed.prop_map(|text| text.as_bytes().to_vec()),
        3 => ours,
        1 => lists,
        1 => prop::collection::vec(any::<u8>(), 0..6),
    ];
    prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

fn list_text(items: &[String]) -> String {
    let items: Vec<String> =
        items.iter().map(|item| format!("- {}\n", item.trim_end().replace('\n', "\n  "))).collect();
    format!("apiVersion: v1\nkind: List\nitems:\n{}", items.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_documents_cover_the_file_without_gaps(bytes in file()) {
        let blob = Oid::of_blob(&bytes);

        let raw = take_apart(Catalogue::hedgehog(), &path("raw/a.yaml"), &blob, Bytes::from(bytes.clone()));

        let mut end = 0;
        let mut index = None;
        let lines = bytes.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count() as u64 + 1;
        for document in &raw.documents {
            // The items of one list share its range.
            if index.replace(document.index) == Some(document.index) {
                prop_assert_eq!(document.bytes.end, end);
                continue;
            }
            prop_assert_eq!(document.bytes.start, end);
            prop_assert!(document.line >= 1 && document.line <= lines);
            end = document.bytes.end;
        }
        prop_assert_eq!(end, bytes.len());
        prop_assert!(!raw.documents.is_empty());
    }

    #[test]
    fn every_raw_document_has_one_fate_and_no_byte_of_a_refused_one_is_lost(bytes in file(), yaml in any::<bool>()) {
        let mut model = Model::default();
        let name = if yaml { "raw/d/a.yaml" } else { "raw/d/a.txt" };
        model.git.insert(path(name), Bytes::from(bytes.clone()));
        let raw = model.sides().raw.remove(0);

        prop_assert!(model.run(None));

        let items = items(&model, raw.documents.len());
        let left = model.git.contains_key(&path(name));
        prop_assert_eq!(left, !items.is_empty());
        // The items of one list go aside together, once.
        let ranges: BTreeMap<usize, std::ops::Range<usize>> = raw.documents.iter().filter(|document| is_refused(document)).map(|document| (document.index, document.bytes.clone())).collect();
        let refused: Vec<u8> = ranges.into_values().flat_map(|range| &bytes[range]).copied().collect();
        let aside = model.git.get(&path(&name.replacen("raw", "unmanaged", 1))).map(|aside| aside.to_vec());
        prop_assert_eq!(aside, (!left && raw.documents.iter().any(is_refused)).then_some(refused));
    }

    #[test]
    fn every_edit_stays_inside_the_directory(bytes in file(), name in "[a-z]{1,3}(/[a-z]{1,3}){0,2}\\.(yaml|yml|txt)") {
        let mut model = Model::default();
        model.git.insert(path(&format!("raw/{name}")), Bytes::from(bytes));

        let plan = model.plan();

        let directory = fgd_sync::domain::path::RepoPath::new(DIRECTORY).unwrap();
        for (edited, edit) in &plan.edits {
            prop_assert!(edited.below(&directory).is_some(), "{edited}");
            if *edit == Edit::Delete {
                prop_assert!(model.git.contains_key(edited));
            }
        }
    }
}

/// How many items each document of the raw area has in a new plan; panics unless it is one.
fn items(model: &Model, documents: usize) -> BTreeMap<(usize, Option<usize>), usize> {
    let mut counts = BTreeMap::new();
    for item in model.plan().items {
        if let Item::Document { index, item_index, .. } = item {
            *counts.entry((index, item_index)).or_insert(0) += 1;
        }
    }
    assert!(counts.is_empty() || (counts.len() == documents && counts.values().all(|count| *count == 1)), "{counts:?}");
    counts
}

fn is_refused(document: &RawDocument) -> bool {
    match &document.content {
        RawContent::Unmanaged(reason) => reason.code != "empty",
        RawContent::Rejected { .. } => true,
        RawContent::Document(_) | RawContent::Held(_) => false,
    }
}
