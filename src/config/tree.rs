//! The settings file as a tree that remembers where everything stands.
//!
//! Reading into structs would stop at the first error and forget the places; a tree is walked by hand and reports all.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::{Location, MessageFormatter as _, Spanned, UserMessageFormatter};

use super::problem::{Place, Problem};

/// One value and where it was written.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub value: Value,
    pub place: Option<Place>,
}

/// What YAML can hold, as far as settings use it: no setting is a fraction.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Null,
    /// `true`, `on`, `yes` and the like: a word of choices.
    Bool(bool),
    Integer(i128),
    Float,
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One entry of a map, in the file's order.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub key: String,
    pub place: Option<Place>,
    pub node: Node,
}

impl Value {
    /// What it is, for a message.
    pub fn describe(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a boolean",
            Self::Integer(_) => "a number",
            Self::Float => "a fraction",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}

/// Parses the text of a settings file. An empty file is an empty map.
pub(super) fn parse(file: &str, text: &str) -> Result<Node, Problem> {
    let root: Spanned<Raw> = serde_yaml::from_str(text).map_err(|error| Problem {
        setting: "settings file".to_owned(),
        place: error.location().and_then(|location| place(file, location)),
        // The crate's own rendering quotes the lines around the error, and a line may hold a secret.
        // Of the crate's two wordings the one for users names neither its options nor the place again.
        message: format!("not YAML that can be read: {}", UserMessageFormatter.format_message(error.without_snippet())),
        remedy: "Mend the YAML; nothing else was checked.".to_owned(),
    })?;
    Ok(root_map(node(file, root)))
}

fn root_map(node: Node) -> Node {
    match node.value {
        Value::Null => Node { value: Value::Map(Vec::new()), ..node },
        _ => node,
    }
}

fn place(file: &str, location: Location) -> Option<Place> {
    let known = location.line() > 0;
    known.then(|| Place::File { file: file.to_owned(), line: location.line(), column: location.column() })
}

fn node(file: &str, raw: Spanned<Raw>) -> Node {
    let value = match raw.value {
        Raw::Scalar(value) => value,
        Raw::List(items) => Value::List(items.into_iter().map(|item| node(file, item)).collect()),
        Raw::Map(entries) => Value::Map(entries.into_iter().map(|(key, value)| entry(file, key, value)).collect()),
    };
    Node { value, place: place(file, raw.referenced) }
}

fn entry(file: &str, key: Spanned<String>, value: Spanned<Raw>) -> Entry {
    Entry { place: place(file, key.referenced), key: key.value, node: node(file, value) }
}

/// What the YAML crate hands over, before the file's name is attached.
enum Raw {
    Scalar(Value),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        Raw::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Integer(value.into())))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Integer(value.into())))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Integer(value)))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Float))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Text(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}
