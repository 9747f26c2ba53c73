//! Bytes of a delivery to our words. Pure.
//!
//! A delivery is only a hint: what it says is reduced to a type, an id, an event, a user and a request id. Its content
//! is skipped while reading, and never stored, believed or shown. `signature` comes first, over the bytes as they came;
//! nothing is parsed before it agrees.

pub mod github;
pub mod netbox;
pub mod signature;

use serde::Deserialize;
use serde::de::IgnoredAny;

/// An authentic body that is not a delivery: names the place, and never repeats what stands there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotADelivery {
    #[error("the body is not JSON: {what} at line {line}, column {column}")]
    NotJson { what: &'static str, line: usize, column: usize },
    #[error("the field `{field}` is missing or is not {wants}")]
    Field { field: &'static str, wants: &'static str },
    #[error("the form has no field `payload`")]
    NoPayload,
}

impl NotADelivery {
    /// Keeps the place and drops the message, which may quote the body.
    fn of(error: &serde_json::Error) -> Self {
        let what = match error.classify() {
            serde_json::error::Category::Syntax => "a syntax error",
            serde_json::error::Category::Eof => "it ends early",
            serde_json::error::Category::Data => "an unexpected value",
            serde_json::error::Category::Io => "it cannot be read",
        };
        Self::NotJson { what, line: error.line(), column: error.column() }
    }
}

/// In bytes; a ref or a URL may have this much, names have less.
const LONGEST: usize = 2_000;

/// A field that is taken when it has the wanted shape, and skipped when it has another: senders have many versions.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(untagged)]
enum Loose<T> {
    Is(T),
    #[default]
    Missing,
    Other(IgnoredAny),
}

impl<T> Loose<T> {
    fn into_option(self) -> Option<T> {
        match self {
            Self::Is(value) => Some(value),
            Self::Missing | Self::Other(_) => None,
        }
    }
}

impl Loose<String> {
    /// The text, unless it is empty or longer than any name is: it is kept with the job.
    fn text(self) -> Option<String> {
        self.into_option().filter(|text| !text.is_empty() && text.len() <= LONGEST)
    }
}
