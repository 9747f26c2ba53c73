//! Three documents beside each other, line by line: what was agreed on, NetBox's and Git's.
//!
//! They are aligned by their structure, not by their text: a field stands in one line on all sides that have it, however
//! its neighbours differ. Mappings and lists open where one side has one; everything else is a value.

use maud::{Markup, html};
use serde_json::{Map, Value};

use crate::domain::conflict::{Content, Documents};

/// Base, NetBox, Git.
const SIDES: usize = 3;
const BASE: usize = 0;
/// Deeper ones are indented like this one.
const DEEPEST: usize = 8;

/// One line on all sides.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    depth: usize,
    /// JSON pointer of what the line shows.
    pointer: String,
    /// What each side has there; `None` for nothing.
    texts: [Option<String>; SIDES],
    /// Which sides have something else than the base, there or below.
    changed: [bool; SIDES],
}

/// The documents as a table; `paths` are the JSON pointers on which the sides contradict each other.
pub(super) fn table(documents: &Documents, paths: &[String], heads: [Markup; SIDES]) -> Markup {
    let sides = [&documents.base, &documents.netbox, &documents.git];
    let values = sides.map(|side| side.as_ref().and_then(document));
    let lines = lines(values.each_ref().map(Option::as_ref));
    html! {
        div.sides tabindex="0" role="region" aria-label="The documents of both sides" {
            table {
                thead { tr { @for head in &heads { th scope="col" { (head) } } } }
                tbody {
                    @for side in &lines { (row(side, paths, &values)) }
                    @if lines.is_empty() { tr { @for side in sides { td { span.quiet { (absence(side.as_ref())) } } } } }
                }
            }
        }
        p.legend {
            span { i.contradicts {} "the sides contradict each other" }
            span { i.changed {} "one side changed it" }
        }
    }
}

fn document(content: &Content) -> Option<Value> {
    match content {
        Content::Document(document) => Some(Value::Object(document.clone())),
        Content::TooLarge { .. } => None,
    }
}

/// Why a side has nothing to show.
pub(super) fn absence(content: Option<&Content>) -> String {
    match content {
        Some(Content::TooLarge { bytes }) => format!("too large to be shown here ({} KiB)", bytes / 1024),
        Some(Content::Document(_)) | None => "not there".to_owned(),
    }
}

fn row(line: &Line, paths: &[String], values: &[Option<Value>; SIDES]) -> Markup {
    let contradicts = paths.iter().any(|path| is_at_or_below(&line.pointer, path));
    html! {
        tr.contradicts[contradicts] {
            @for side in 0..SIDES {
                @match &line.texts[side] {
                    Some(text) => td.changed[line.changed[side]] {
                        div class={ "depth-" (line.depth.min(DEEPEST)) } { @if contradicts { mark { (text) } } @else { (text) } }
                    },
                    None => td.none title=[values[side].is_none().then_some("not there")] {}
                }
            }
        }
    }
}

/// The root's pointer, which is empty, means the document as a whole.
fn is_at_or_below(pointer: &str, path: &str) -> bool {
    pointer.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn lines(documents: [Option<&Value>; SIDES]) -> Vec<Line> {
    let mut lines = Vec::new();
    add_fields(&mut lines, 0, "", documents);
    lines
}

/// The fields of mappings, in the order of the first side that has them.
fn add_fields(lines: &mut Vec<Line>, depth: usize, pointer: &str, values: [Option<&Value>; SIDES]) {
    let maps: [Option<&Map<String, Value>>; SIDES] = values.map(|value| value.and_then(Value::as_object));
    for name in names(maps) {
        let below = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
        add(lines, depth, below, &format!("{name}:"), maps.map(|map| map.and_then(|map| map.get(name))));
    }
}

/// All names, each once: a new one stands behind the one that precedes it on its side.
fn names(maps: [Option<&Map<String, Value>>; SIDES]) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for map in maps.into_iter().flatten() {
        let mut place = 0;
        for name in map.keys() {
            match names.iter().position(|known| known == name) {
                Some(known) => place = known + 1,
                None => {
                    names.insert(place, name);
                    place += 1;
                }
            }
        }
    }
    names
}

fn add_items(lines: &mut Vec<Line>, depth: usize, pointer: &str, values: [Option<&Value>; SIDES]) {
    let lists = values.map(|value| value.and_then(Value::as_array));
    let longest = lists.iter().flatten().map(|list| list.len()).max().unwrap_or_default();
    for place in 0..longest {
        let items = lists.map(|list| list.and_then(|list| list.get(place)));
        add(lines, depth, format!("{pointer}/{place}"), "-", items);
    }
}

/// What stands at one place: a value in one line, or a head with what is below it.
fn add(lines: &mut Vec<Line>, depth: usize, pointer: String, label: &str, values: [Option<&Value>; SIDES]) {
    let opens = |value: &Value| match value {
        Value::Object(map) => !map.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    };
    let open = values.map(|value| value.is_some_and(opens));
    let text = |side: usize| {
        values[side].map(|value| if open[side] { label.to_owned() } else { format!("{label} {}", scalar(value)) })
    };
    let texts = std::array::from_fn(text);
    let is_head = open.contains(&true);
    // A head is marked by what is below it, unless one side has nothing there, or something else.
    let other = |side: usize| {
        if is_head {
            values[side].is_some() != values[BASE].is_some() || open[side] != open[BASE]
        } else {
            values[side] != values[BASE]
        }
    };
    let has_base = values[BASE].is_some() || lines.iter().any(|line: &Line| line.texts[BASE].is_some());
    let changed = std::array::from_fn(|side| side != BASE && has_base && other(side));
    lines.push(Line { depth, pointer: pointer.clone(), texts, changed });
    if is_head {
        add_fields(lines, depth + 1, &pointer, values);
        add_items(lines, depth + 1, &pointer, values);
    }
}

/// A value as YAML people know it: plain where that is safe, else as JSON, which YAML reads too.
fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) if is_plain(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Whether a text needs no quotes to be seen as one. Only for the eye: nobody reads it back.
fn is_plain(text: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':' | ' ' | ',' | '(' | ')');
    let starts = text.starts_with(char::is_alphabetic);
    starts
        && text.chars().all(is_word)
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !matches!(text, "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shown(base: &Value, netbox: &Value, git: &Value) -> Vec<(String, [Option<String>; SIDES], [bool; SIDES])> {
        let lines = lines([Some(base), Some(netbox), Some(git)]);
        lines.into_iter().map(|line| (line.pointer, line.texts, line.changed)).collect()
    }

    fn texts(all: [&str; SIDES]) -> [Option<String>; SIDES] {
        all.map(|text| Some(text.to_owned()).filter(|text| !text.is_empty()))
    }

    #[test]
    fn a_field_stands_in_one_line_on_all_sides() {
        let lines = shown(
            &json!({"spec": {"vlan": 1, "mtu": 9000}}),
            &json!({"spec": {"vlan": 2, "mtu": 9000}}),
            &json!({"spec": {"mtu": 9000, "name": "a"}}),
        );

        let expected = [
            ("/spec", ["spec:", "spec:", "spec:"], [false, false, false]),
            ("/spec/vlan", ["vlan: 1", "vlan: 2", ""], [false, true, true]),
            ("/spec/mtu", ["mtu: 9000", "mtu: 9000", "mtu: 9000"], [false, false, false]),
            ("/spec/name", ["", "", "name: a"], [false, false, true]),
        ];
        let expected = expected.map(|(pointer, all, changed)| (pointer.to_owned(), texts(all), changed));
        assert_eq!(lines, expected);
    }

    #[test]
    fn lists_and_empty_things_are_shown_too() {
        let value = json!({"a": [], "b": [{"c": "yes"}, 2], "d": {}});

        let lines: Vec<_> = shown(&value, &value, &value).into_iter().map(|(_, texts, _)| texts[0].clone()).collect();

        let expected = ["a: []", "b:", "-", "c: \"yes\"", "- 2", "d: {}"];
        assert_eq!(lines, expected.map(|text| Some(text.to_owned())));
    }

    #[test]
    fn names_that_a_pointer_escapes_are_found_below_their_path() {
        let value = json!({"labels": {"a/b": "1"}});

        let pointers: Vec<_> = shown(&value, &value, &value).into_iter().map(|(pointer, ..)| pointer).collect();

        assert_eq!(pointers, ["/labels", "/labels/a~1b"]);
        assert!(is_at_or_below("/labels/a~1b", "/labels"));
        assert!(is_at_or_below("/labels", ""));
        assert!(!is_at_or_below("/labels", "/label"));
    }

    #[test]
    fn nothing_is_changed_where_nothing_was_agreed_on() {
        let (netbox, git) = (json!({"a": 1}), json!({"a": 2}));

        let lines = lines([None, Some(&netbox), Some(&git)]);

        assert_eq!(lines[0].texts, texts(["", "a: 1", "a: 2"]));
        assert_eq!(lines[0].changed, [false; SIDES]);
    }
}
