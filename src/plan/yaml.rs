//! Reads one YAML document as Kubernetes reads it, or says where it cannot be read.
//!
//! The measure is Go's sigs.k8s.io/yaml, which kubectl uses. Where our reader would take a scalar for something else
//! than Go, or could not keep it exactly, the document is refused with the place: a person then quotes it.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_yaml::granit_parser::{self, ErrorKind, Event, Parser, ScalarStyle};

/// Why a document cannot be read, and where in it (1-based).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub code: &'static str,
    pub message: String,
    pub line: u64,
    pub column: u64,
}

/// The text is not YAML: nothing after the fault can be trusted to be a document of its own.
pub const NOT_YAML: &str = "not_yaml";

/// Reads exactly one document. An empty one is null; key order is kept and integers are exact.
pub fn read(bytes: &[u8]) -> Result<Value, Fault> {
    let text = std::str::from_utf8(bytes).map_err(|error| not_utf8(bytes, error.valid_up_to()))?;
    let node = serde_yaml::from_str_with_options::<Node>(text, options()).map_err(|error| fault(text, &error))?;
    if may_hold_odd_scalars(text) {
        examine_scalars(text)?;
    }
    Ok(node.0)
}

/// Reads a file that we write ourselves and that may be large: the archive log.
pub fn read_own(bytes: &[u8]) -> Result<Value, Fault> {
    let text = std::str::from_utf8(bytes).map_err(|error| not_utf8(bytes, error.valid_up_to()))?;
    let mut options = options();
    if let Some(budget) = &mut options.budget {
        budget.max_nodes = 100_000_000;
        budget.max_events = 100_000_000;
        budget.max_total_scalar_bytes = 1 << 30;
    }
    serde_yaml::from_str_with_options::<Node>(text, options).map(|node| node.0).map_err(|error| fault(text, &error))
}

/// Budgets for one document; several times what the largest real one needs.
fn options() -> serde_yaml::Options {
    let mut budget = serde_yaml::Budget::default();
    budget.max_depth = 64;
    budget.max_nodes = 250_000;
    budget.max_events = 1_000_000;
    budget.max_aliases = 1_000;
    budget.max_anchors = 1_000;
    budget.max_merge_keys = 1_000;
    budget.max_total_scalar_bytes = 16 << 20;
    budget.max_documents = 1;
    let mut options = serde_yaml::Options::default();
    options.budget = Some(budget);
    options.alias_limits.max_total_replayed_events = 100_000;
    options.alias_limits.max_replay_stack_depth = 32;
    options.legacy_octal_numbers = true;
    options.emit_comments = false;
    options.with_snippet = false;
    options
}

fn not_utf8(bytes: &[u8], at: usize) -> Fault {
    let before = String::from_utf8_lossy(&bytes[..at]);
    let line = before.matches('\n').count() as u64 + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() as u64 + 1;
    Fault { code: NOT_YAML, message: "the text is not UTF-8".to_owned(), line, column }
}

fn fault(text: &str, error: &serde_yaml::Error) -> Fault {
    if let Err(fault) = scan(text, |_, _, _| Ok(())) {
        return fault;
    }
    use serde_yaml::Error as E;
    let code = match error.without_snippet() {
        E::MultipleDocuments { .. } => NOT_YAML,
        E::DuplicateMappingKey { .. } => "duplicate_key",
        E::NonFiniteFloat { .. } => "number_not_finite",
        E::Budget { .. }
        | E::AliasReplayLimitExceeded { .. }
        | E::AliasExpansionLimitExceeded { .. }
        | E::AliasReplayStackDepthExceeded { .. }
        | E::AliasReplayCounterOverflow { .. } => "too_complex",
        // The reader's enum has some fifty variants and grows; the words of all others say what is wrong.
        _ if error.to_string().contains(KEY_FAULT) => "key_not_a_string",
        _ if error.to_string().contains(TWICE) => "duplicate_key",
        E::AliasError { .. } => "too_complex",
        _ => "unreadable_value",
    };
    let (line, column) = error.location().map_or((1, 1), |at| (at.line().max(1), at.column().max(1)));
    // The reader's advice about its own options is of no use to whoever wrote the document.
    let message = error.to_string();
    let message = message.split(", set ").next().unwrap_or(&message);
    Fault { code, message: first_line(message), line, column }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// Walks the scalars without building anything; an error of the grammar is `NOT_YAML`.
fn scan(text: &str, mut each: impl FnMut(&str, bool, (u64, u64)) -> Result<(), Fault>) -> Result<(), Fault> {
    let mut options = granit_parser::Options::default();
    options.emit_comments = false;
    options.emit_unresolved_aliases = true;
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = match event {
            Ok(next) => next,
            Err(error) => {
                let code = match error.kind() {
                    ErrorKind::RecursionLimitExceeded => "too_complex",
                    // Everything else that the scanner refuses is not YAML.
                    _ => NOT_YAML,
                };
                let (line, column) = place(error.marker());
                return Err(Fault { code, message: first_line(&error.info()), line, column });
            }
        };
        if let Event::Scalar(value, style, _, tag) = event {
            each(&value, style == ScalarStyle::Plain && tag.is_none(), place(&span.start))?;
        }
    }
    Ok(())
}

fn place(marker: &granit_parser::Marker) -> (u64, u64) {
    (marker.line().max(1) as u64, marker.col() as u64 + 1)
}

/// A cheap look over the text for what `examine_scalars` might refuse; wrong only on the safe side.
fn may_hold_odd_scalars(text: &str) -> bool {
    let mut digits = 0;
    let mut before = b' ';
    for byte in text.bytes() {
        digits = if byte.is_ascii_digit() { digits + 1 } else { 0 };
        if digits >= 18 || (byte == b'_' && before.is_ascii_digit()) || (before == b'_' && byte.is_ascii_digit()) {
            return true;
        }
        before = byte;
    }
    text.split(|c: char| !c.is_ascii_alphabetic()).any(is_oddly_spelled_word)
}

fn examine_scalars(text: &str) -> Result<(), Fault> {
    scan(text, |value, plain, (line, column)| match plain.then(|| odd(value)).flatten() {
        Some((code, why)) => Err(Fault { code, message: format!("`{}` {why}", shortened(value)), line, column }),
        None => Ok(()),
    })
}

fn shortened(text: &str) -> String {
    text.chars().take(60).collect()
}

/// Why a plain scalar cannot be taken: readers disagree about it, or it would not stay exact.
fn odd(value: &str) -> Option<(&'static str, &'static str)> {
    const AMBIGUOUS: &str = "ambiguous_scalar";
    if is_oddly_spelled_word(value) {
        return Some((
            AMBIGUOUS,
            "is a word to some readers and a truth value to others: quote it, or write it in lower case",
        ));
    }
    let unsigned = value.strip_prefix(['+', '-']).unwrap_or(value);
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    let bare = unsigned.replace('_', "");
    if bare.bytes().all(|byte| byte.is_ascii_digit()) && !bare.is_empty() {
        let fits = match value.starts_with('-') {
            true => format!("-{bare}").parse::<i64>().is_ok(),
            false => bare.parse::<u64>().is_ok(),
        };
        if !fits {
            return Some((
                "number_too_large",
                "does not fit into 64 bits and would not stay exact: quote it if it is text",
            ));
        }
        let apart = unsigned.split('_').all(|part| !part.is_empty());
        return (!apart).then_some((AMBIGUOUS, "is a number to some readers and text to others: quote it"));
    }
    let float = bare.parse::<f64>().is_ok();
    (float && bare.len() < unsigned.len())
        .then_some((AMBIGUOUS, "is a number to some readers and text to others: quote it"))
}

/// `yEs`, `tRue`: our reader takes any case, Go only three.
fn is_oddly_spelled_word(word: &str) -> bool {
    const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    let Some(first) = word.chars().next().filter(|_| word.len() <= 5) else { return false };
    let rest = &word[first.len_utf8()..];
    let one_case = rest.chars().all(|c| c.is_ascii_lowercase())
        || (first.is_ascii_uppercase() && rest.chars().all(|c| c.is_ascii_uppercase()));
    !one_case && WORDS.iter().any(|known| known.eq_ignore_ascii_case(word))
}

const KEY_FAULT: &str = "must be text";
const TWICE: &str = "stands twice";

/// A value as YAML gives it; unlike `serde_json::Value` it sees what type a key has.
struct Node(Value);

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor).map(Node)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("the number is not finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Node(value)) = items.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(KeyText(key)) = entries.next_key()? {
            let Node(value) = entries.next_value()?;
            if map.contains_key(&key) {
                return Err(de::Error::custom(format!("the key `{}` {TWICE}", shortened(&key))));
            }
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

/// A key: text, or a whole number, which Go turns into text as well.
struct KeyText(String);

impl<'de> Deserialize<'de> for KeyText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KeyVisitor).map(KeyText)
    }
}

struct KeyVisitor;

impl Visitor<'_> for KeyVisitor {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a key, which {KEY_FAULT}: quote it")
    }

    fn visit_str<E>(self, value: &str) -> Result<String, E> {
        Ok(value.to_owned())
    }

    fn visit_string<E>(self, value: String) -> Result<String, E> {
        Ok(value)
    }

    fn visit_i64<E>(self, value: i64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_u64<E>(self, value: u64) -> Result<String, E> {
        Ok(value.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn code(text: &str) -> &'static str {
        read(text.as_bytes()).expect_err(text).code
    }

    #[test]
    fn values_are_read_as_go_reads_them() {
        let text =
            "{a: 0755, b: 010, c: 0o17, d: 0x1F, e: 1_000, f: yes, g: No, h: 12:30:45, i: 2001-01-01, j: ~, k: '1'}";

        let expected = json!({"a": 493, "b": 8, "c": 15, "d": 31, "e": 1000, "f": true, "g": false,
            "h": "12:30:45", "i": "2001-01-01", "j": null, "k": "1"});
        assert_eq!(read(text.as_bytes()).unwrap(), expected);
    }

    #[test]
    fn the_largest_integers_stay_exact() {
        let value = read(b"[18446744073709551615, -9223372036854775808]").unwrap();

        assert_eq!(value, json!([u64::MAX, i64::MIN]));
    }

    #[test]
    fn a_fraction_is_the_same_number_whether_it_comes_as_yaml_or_as_json() {
        for text in ["5.165330721958745e-197", "0.1", "1.0464212679639186e-26", "9007199254740993.5"] {
            let json: Value = serde_json::from_str(text).unwrap();

            assert_eq!(read(text.as_bytes()).unwrap(), json);
        }
    }

    #[test]
    fn an_integer_beyond_64_bits_is_refused_with_its_place() {
        let fault = read(b"a: 1\nb: 18446744073709551616\n").unwrap_err();

        assert_eq!((fault.code, fault.line, fault.column), ("number_too_large", 2, 4));
        assert_eq!(code("a: -9223372036854775809"), "number_too_large");
        assert_eq!(read(b"a: '18446744073709551616'").unwrap(), json!({"a": "18446744073709551616"}));
    }

    #[test]
    fn a_key_that_go_reads_as_a_truth_value_is_refused_unless_quoted() {
        assert_eq!(code("a: 1\ny: 2"), "key_not_a_string");
        assert_eq!(code("on: 2"), "key_not_a_string");
        assert_eq!(code("~: 2"), "key_not_a_string");
        assert_eq!(read(b"'y': 1\n\"on\": 2").unwrap(), json!({"y": 1, "on": 2}));
    }

    #[test]
    fn whole_numbers_as_keys_become_text_as_in_go() {
        assert_eq!(read(b"{1: a, 0x10: b}").unwrap(), json!({"1": "a", "16": "b"}));
    }

    #[test]
    fn scalars_on_which_readers_disagree_are_refused() {
        for text in ["a: 1__0", "a: 1_", "a: 1_0.5", "a: yEs", "a: nULL"] {
            assert_eq!(code(text), "ambiguous_scalar", "{text}");
        }
        assert_eq!(read(b"a: '1__0'\nb: _1\nc: x_1\nd: leaf_01").unwrap()["b"], json!("_1"));
    }

    #[test]
    fn a_duplicate_key_is_an_error_with_its_place() {
        let fault = read(b"a:\n  b: 1\n  b: 2\n").unwrap_err();

        assert_eq!((fault.code, fault.line, fault.column), ("duplicate_key", 3, 3));
        assert_eq!(code("1: a\n'1': b\n"), "duplicate_key");
    }

    #[test]
    fn a_syntax_error_says_where_it_is() {
        let fault = read(b"a: 1\nb: [1, 2\nc: }\n").unwrap_err();

        assert_eq!((fault.code, fault.line), (NOT_YAML, 3));
        assert_eq!(code("a: \"x\n"), NOT_YAML);
    }

    #[test]
    fn bytes_that_are_no_utf_8_are_not_yaml() {
        let fault = read(b"a: 1\nb: \xff\n").unwrap_err();

        assert_eq!((fault.code, fault.line, fault.column), (NOT_YAML, 2, 4));
    }

    #[test]
    fn an_alias_bomb_is_refused() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let alias = format!("*a{}", level - 1);
            text += &format!("a{level}: &a{level} [{}]\n", [alias.as_str(); 10].join(", "));
        }

        assert_eq!(code(&text), "too_complex");
    }

    #[test]
    fn deep_nesting_is_refused() {
        assert_eq!(code(&format!("a: {}1{}", "[".repeat(100), "]".repeat(100))), "too_complex");
        assert_eq!(code(&"[".repeat(100_000)), "too_complex");
    }

    #[test]
    fn the_words_that_keys_and_strings_may_be_read_alike() {
        assert_eq!(
            read(b"a: on\nb: null\nc: Null\nd: TRUE").unwrap(),
            json!({"a": true, "b": null, "c": null, "d": true})
        );
    }

    #[test]
    fn many_comment_lines_are_no_trouble() {
        let text = format!("a:\n{}- b: 1\n", "# comment\n".repeat(500));

        assert_eq!(read(text.as_bytes()).unwrap(), json!({"a": [{"b": 1}]}));
    }
}
