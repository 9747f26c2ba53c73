//! NetBox's errors in all their shapes, as words and as blame.
//!
//! A bulk write is refused as a whole. What it was about stands in one of these (NetBox 4.7 and older):
//! `{"detail": ..., "errors": [{"index": 1, "errors": {...}}, {"id": 7, "errors": {...}}]}`, a list with one object per
//! row (empty for good rows), `{"field": [...]}`, `{"detail": ...}`, or a list of words.

use std::collections::BTreeMap;

use serde_json::Value;

/// The longest words that are passed on, in characters.
const MAX_WORDS: usize = 1_000;

/// Which rows of a bulk write were refused, by their place in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Blame {
    Rows(BTreeMap<usize, Refusal>),
    /// The answer does not say which.
    Nobody,
}

/// Why one row was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub words: String,
    /// NetBox complains of the fabric itself: no fault of the row.
    pub about_fabric: bool,
}

impl Refusal {
    /// Reads what NetBox said of one row.
    pub fn of(errors: &Value) -> Self {
        Self { words: words(errors), about_fabric: errors.get("fabric").is_some() }
    }

    /// Whether NetBox takes no journal entries for objects of this type. It has no code for that, only these words.
    pub fn is_of_no_journal(&self) -> bool {
        self.words.contains("Journaling is not supported")
    }
}

/// Reads a refused bulk write of rows with these ids (none for rows that were to be created).
pub(super) fn blame(body: &Value, rows: usize, ids: &[u64]) -> Blame {
    let named: BTreeMap<usize, Refusal> = match body {
        Value::Object(map) => match map.get("errors").and_then(Value::as_array) {
            Some(errors) => errors.iter().filter_map(|entry| entry_of(entry, ids)).collect(),
            None => BTreeMap::new(),
        },
        Value::Array(items) if items.len() == rows && items.iter().all(Value::is_object) => items
            .iter()
            .enumerate()
            .filter(|(_, errors)| errors.as_object().is_some_and(|errors| !errors.is_empty()))
            .map(|(place, errors)| (place, Refusal::of(errors)))
            .collect(),
        _ => BTreeMap::new(),
    };
    let known = !named.is_empty() && named.keys().all(|place| *place < rows);
    if known { Blame::Rows(named) } else { Blame::Nobody }
}

fn entry_of(entry: &Value, ids: &[u64]) -> Option<(usize, Refusal)> {
    let errors = Refusal::of(entry.get("errors")?);
    let by_index = entry.get("index").and_then(Value::as_u64).and_then(|index| usize::try_from(index).ok());
    let by_id = || {
        let id = entry.get("id").and_then(Value::as_u64)?;
        ids.iter().position(|known| *known == id)
    };
    Some((by_index.or_else(by_id)?, errors))
}

/// All the words of an error in one line, fields named, bounded.
pub(super) fn words(body: &Value) -> String {
    let mut parts = Vec::new();
    collect(body, "", &mut parts);
    let text = parts.join("; ");
    match text.char_indices().nth(MAX_WORDS) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

fn collect(value: &Value, field: &str, parts: &mut Vec<String>) {
    match value {
        Value::Null => {}
        Value::String(text) if field.is_empty() => parts.push(text.clone()),
        Value::String(text) => parts.push(format!("{field}: {text}")),
        Value::Bool(_) | Value::Number(_) => parts.push(format!("{field}: {value}")),
        Value::Array(items) => items.iter().for_each(|item| collect(item, field, parts)),
        Value::Object(map) => {
            for (name, item) in map {
                collect(item, &path(field, name), parts);
            }
        }
    }
}

/// Names that stand for no field are left out.
fn path(outer: &str, name: &str) -> String {
    match (outer, name) {
        (outer, "detail" | "errors" | "__all__" | "non_field_errors" | "error") => outer.to_owned(),
        ("", name) => name.to_owned(),
        (outer, name) => format!("{outer}.{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rows(blame: Blame) -> Vec<(usize, String)> {
        match blame {
            Blame::Rows(rows) => rows.into_iter().map(|(place, refusal)| (place, refusal.words)).collect(),
            Blame::Nobody => Vec::new(),
        }
    }

    #[test]
    fn a_creation_is_blamed_by_index() {
        let body = json!({"detail": "1 of 3 objects could not be created.",
            "errors": [{"index": 1, "errors": {"spec": ["This field cannot be blank."]}}]});

        assert_eq!(rows(blame(&body, 3, &[])), [(1, "spec: This field cannot be blank.".to_owned())]);
    }

    #[test]
    fn an_update_is_blamed_by_id() {
        let body = json!({"detail": "x", "errors": [{"id": 7, "errors": {"__all__": ["No."]}}]});

        assert_eq!(rows(blame(&body, 2, &[5, 7])), [(1, "No.".to_owned())]);
    }

    #[test]
    fn an_older_list_is_blamed_by_its_places() {
        let body = json!([{}, {"name": ["Too long."]}]);

        assert_eq!(rows(blame(&body, 2, &[])), [(1, "name: Too long.".to_owned())]);
    }

    #[test]
    fn an_answer_that_names_no_row_blames_nobody() {
        for body in [
            json!({"name": ["Too long."]}),
            json!({"detail": "Expected a list of objects."}),
            json!(["No."]),
            json!([{}, {}]),
            json!({"detail": "x", "errors": [{"index": 9, "errors": {"name": ["No."]}}]}),
            json!(null),
        ] {
            assert_eq!(blame(&body, 2, &[]), Blame::Nobody, "{body}");
        }
    }

    #[test]
    fn a_complaint_of_the_fabric_is_told_apart() {
        assert!(Refusal::of(&json!({"fabric": ["Invalid pk \"3\" - object does not exist."]})).about_fabric);
        assert!(!Refusal::of(&json!({"spec": ["This field cannot be blank."]})).about_fabric);
    }

    #[test]
    fn words_are_bounded() {
        assert!(words(&json!({"detail": "x".repeat(5_000)})).len() < 1_100);
    }
}
