//! Equality by meaning, as a value that can be stored.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Number, Value};
use sha2::{Digest as _, Sha256};

/// SHA-256 over a value's canonical form: keys sorted, numbers by value. Equal digests mean equal meaning.
///
/// Written as 64 hex digits; held as bytes, since a run holds several for each object of a fabric.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of a JSON value; the order of keys and the spelling of numbers do not matter.
    pub fn of(value: &Value) -> Self {
        let mut hash = Sha256::new();
        feed(&mut hash, value);
        Self(hash.finalize().into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(self.0))
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(&text, &mut bytes)
            .map_err(|error| serde::de::Error::custom(format!("`{text}` is no digest: {error}")))?;
        Ok(Self(bytes))
    }
}

/// Whether two values mean the same: the order of keys and the spelling of numbers do not matter.
pub fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => canonical_number(one) == canonical_number(other),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, one)| other.get(key).is_some_and(|other| same(one, other)))
        }
        (one, other) => one == other,
    }
}

/// Every piece is tagged and strings carry their length, so that no two values share a byte stream.
fn feed(hash: &mut Sha256, value: &Value) {
    match value {
        Value::Null => hash.update(b"z"),
        Value::Bool(true) => hash.update(b"t"),
        Value::Bool(false) => hash.update(b"f"),
        Value::Number(number) => text(hash, b'n', &canonical_number(number)),
        Value::String(string) => text(hash, b's', string),
        Value::Array(items) => {
            hash.update(format!("a{}:", items.len()));
            items.iter().for_each(|item| feed(hash, item));
        }
        Value::Object(map) => {
            hash.update(format!("o{}:", map.len()));
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            for (key, item) in entries {
                text(hash, b'k', key);
                feed(hash, item);
            }
        }
    }
}

fn text(hash: &mut Sha256, tag: u8, text: &str) {
    hash.update([tag]);
    hash.update(format!("{}:", text.len()));
    hash.update(text);
}

/// One spelling per number: integers as digits, integral floats that are exact as integers, others as Rust writes them.
fn canonical_number(number: &Number) -> String {
    /// Above this a float no longer names every integer, so `1e300` stays a float.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match number.as_f64() {
        Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() <= EXACT => {
            // `+ 0.0` turns -0.0 into 0.0.
            format!("{:.0}", float + 0.0)
        }
        _ => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn key_order_and_number_spelling_do_not_matter() {
        let a: Value = serde_json::from_str(r#"{"b": 1000.0, "a": [1]}"#).unwrap();
        let b: Value = serde_json::from_str(r#"{"a": [1.0], "b": 1000}"#).unwrap();

        assert_eq!(Digest::of(&a), Digest::of(&b));
        assert!(same(&a, &b));
    }

    #[test]
    fn different_meanings_differ() {
        let all = [
            json!(null),
            json!({}),
            json!([]),
            json!(""),
            json!(0),
            json!("0"),
            json!(false),
            json!([[]]),
            json!(-10),
            json!(10),
        ];

        for (i, a) in all.iter().enumerate() {
            for b in &all[i + 1..] {
                assert_ne!(Digest::of(a), Digest::of(b), "{a} and {b}");
                assert!(!same(a, b), "{a} and {b}");
            }
        }
    }

    #[test]
    fn numbers_beyond_the_exact_floats_stay_apart() {
        assert_ne!(Digest::of(&json!(u64::MAX)), Digest::of(&json!(u64::MAX - 1)));
    }
}
