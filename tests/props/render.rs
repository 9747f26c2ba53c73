//! What is written is read back as the same.

use fgd_sync::domain::document::Shared;
use fgd_sync::domain::kind::{Catalogue, Kind};
use fgd_sync::domain::names::FabricName;
use fgd_sync::plan::managed::{ManagedFile, read_document};
use fgd_sync::plan::render::{Provenance, render};
use fgd_sync::plan::rewrite::rewrite;
use proptest::prelude::*;
use serde_json::{Map, Number, Value};

use crate::model::key;

/// Texts that some reader of YAML takes for something else.
pub fn awkward_words() -> Vec<&'static str> {
    vec![
        "",
        " ",
        "y",
        "N",
        "yes",
        "on",
        "Off",
        "true",
        "null",
        "~",
        "0755",
        "0o17",
        "0x1F",
        "1_000",
        "1__0",
        "1e3",
        ".5",
        "1.",
        "+1",
        "-0",
        "12:30:45",
        "2001-01-01",
        "0c:20:12:ff:00:00",
        "18446744073709551616",
        ".inf",
        ".nan",
        "-.inf",
        "<<",
        "=",
        "---",
        "...",
        "--- a",
        "- a",
        "-",
        "? a",
        ": a",
        "a: b",
        "a #b",
        "#a",
        "&a",
        "*a",
        "!a",
        "|",
        ">",
        "%a",
        "@a",
        "`a",
        "'",
        "\"",
        "{a}",
        "[a]",
        ",",
        "a\nb",
        "a\n",
        "\na",
        "a\n\n",
        " a",
        "a ",
        "\ta",
        "a\tb",
        "a\r\nb",
        "a\rb",
        "é",
        "\u{feff}a",
        "\u{85}",
        "\u{2028}",
        "\u{0}",
        "\u{7f}",
        "\u{1f600}",
        "a\\b",
        "yEs",
        "nULL",
        "  a\n b\n",
        "a\n---\nb",
        "\n",
        "a:",
        "1:2",
        "0b1",
    ]
}

fn awkward() -> impl Strategy<Value = String> {
    let known = prop::sample::select(awkward_words());
    prop_oneof![4 => known.prop_map(str::to_owned), 2 => "\\PC{0,12}", 1 => any::<String>(), 1 => "[a-z \\n]{60,200}"]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter_map("finite", |float| Number::from_f64(float).map(Value::Number)),
        awkward().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            prop::collection::vec((awkward(), inner), 0..5)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

fn texts() -> impl Strategy<Value = Map<String, Value>> {
    let entries = prop::collection::vec((awkward(), awkward().prop_map(Value::from)), 0..4);
    entries
        .prop_map(|entries| entries.into_iter().filter(|(name, _)| !name.starts_with("hnp.githedgehog.com/")).collect())
}

pub fn object() -> impl Strategy<Value = Shared> {
    (texts(), texts(), value()).prop_map(|(labels, annotations, spec)| Shared {
        key: key("web"),
        labels,
        annotations,
        spec,
    })
}

pub fn rendered(want: &Shared, existing: Option<&fgd_sync::domain::document::Document>) -> Vec<u8> {
    let spec = Catalogue::hedgehog().get(&Kind::new("VPC")).expect("it is in the catalogue");
    let provenance = match existing {
        Some(_) => Provenance::Kept,
        None => Provenance::Born { fabric: FabricName::new("lab") },
    };
    render(want, spec, existing, &provenance).to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_new_file_reads_back_as_the_object(want in object()) {
        let text = rendered(&want, None);

        let ManagedFile::Document(document) = read_document(Catalogue::hedgehog(), &text) else {
            return Err(TestCaseError::fail(format!("{} gave {:?}", String::from_utf8_lossy(&text), read_document(Catalogue::hedgehog(), &text))));
        };
        prop_assert_eq!(document.shared().digest(), want.digest(), "{}", String::from_utf8_lossy(&text));
    }

    #[test]
    fn an_update_reads_back_as_the_object_and_writing_it_again_changes_nothing(old in object(), want in object()) {
        let ManagedFile::Document(existing) = read_document(Catalogue::hedgehog(), &rendered(&old, None)) else { unreachable!() };

        let text = rendered(&want, Some(&existing));

        let ManagedFile::Document(document) = read_document(Catalogue::hedgehog(), &text) else {
            return Err(TestCaseError::fail(String::from_utf8_lossy(&text).into_owned()));
        };
        prop_assert_eq!(document.shared().digest(), want.digest());
        prop_assert_eq!(rendered(&want, Some(&document)), text);
    }

    #[test]
    fn a_rewritten_file_holds_exactly_what_was_wanted_and_is_rewritten_once(
        old in object(), want in object(), comments in prop::collection::vec((0usize..60, 0usize..8), 0..8)
    ) {
        let text = with_comments(&String::from_utf8(rendered(&old, None)).unwrap(), &comments);
        let ManagedFile::Document(existing) = read_document(Catalogue::hedgehog(), text.as_bytes()) else {
            return Ok(()); // A comment fell into a text.
        };
        let ManagedFile::Document(wanted) = read_document(Catalogue::hedgehog(), &rendered(&want, Some(&existing))) else { unreachable!() };

        if let Some(text) = rewrite(text.as_bytes(), &wanted.body) {
            let ManagedFile::Document(found) = read_document(Catalogue::hedgehog(), &text) else {
                return Err(TestCaseError::fail(String::from_utf8_lossy(&text).into_owned()));
            };
            prop_assert_eq!(&found.body, &wanted.body);
            let again = rewrite(&text, &wanted.body);
            prop_assert_eq!(again.as_ref(), Some(&text));
        }
    }
}

fn with_comments(text: &str, comments: &[(usize, usize)]) -> String {
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    for (place, indent) in comments {
        let place = (*place).min(lines.len() - 1);
        lines.insert(place, format!("{}# about something", " ".repeat(*indent)));
    }
    lines.join("\n")
}
