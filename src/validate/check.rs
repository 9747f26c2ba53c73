//! A value against a schema: everything that is wrong, with its place in both.

use core::net::{Ipv4Addr, Ipv6Addr};
use std::cmp::Ordering;

use serde_json::{Map, Number, Value};

use super::schema::{Bounds, Limit, ListKind, Schema, Type};
use super::{Finding, MAX_FINDINGS, Severity};
use crate::domain::digest::Digest;
use crate::domain::pointer::{Pointer, Step};

/// Checks a value whose schema stands at `path`; the findings are in the value's order.
pub(super) fn check(value: &Value, schema: &Schema, at: &Pointer, path: &str) -> Vec<Finding> {
    let mut checker = Checker { at: at.steps().to_vec(), path: vec![path.to_owned()], findings: Vec::new() };
    checker.value(value, schema);
    checker.findings
}

struct Checker {
    at: Vec<Step>,
    path: Vec<String>,
    findings: Vec<Finding>,
}

impl Checker {
    fn value(&mut self, value: &Value, schema: &Schema) {
        if self.findings.len() >= MAX_FINDINGS {
            return;
        }
        if value.is_null() && schema.nullable {
            return;
        }
        if let Some(kind) = schema.kind.filter(|kind| !kind.takes(value)) {
            let message = format!("must be {}, is {}", kind.shown(), shown(value));
            self.error("schema_type", "type", message);
            return;
        }
        if let Some(values) = &schema.one_of_values
            && !values.iter().any(|allowed| equal(allowed, value))
        {
            let allowed: Vec<String> = values.iter().map(Value::to_string).collect();
            self.error("schema_enum", "enum", format!("must be one of {}, is {}", allowed.join(", "), shown(value)));
        }
        match value {
            Value::Object(map) => self.object(map, schema),
            Value::Array(items) => self.array(items, schema),
            Value::String(text) => self.text(text, schema),
            Value::Number(number) => self.number(number, schema),
            Value::Null | Value::Bool(_) => {}
        }
        self.alternatives(value, schema);
    }

    fn object(&mut self, map: &Map<String, Value>, schema: &Schema) {
        for name in schema.required.iter().filter(|name| !map.contains_key(*name)) {
            self.at.push(Step::Key(name.clone()));
            self.error("schema_required", "required", "is missing");
            self.at.pop();
        }
        self.bounds(map.len(), schema.entries, ("minProperties", "maxProperties"), "entries");
        for (name, value) in map {
            if let Some(property) = schema.properties.get(name) {
                self.below(Step::Key(name.clone()), &format!("properties.{name}"), |checker| {
                    checker.value(value, property);
                });
            } else if let Some(additional) = &schema.additional {
                self.below(Step::Key(name.clone()), "additionalProperties", |checker| checker.value(value, additional));
            } else if schema.kind == Some(Type::Object) && !schema.keeps_unknown && !schema.properties.is_empty() {
                self.below(Step::Key(name.clone()), "properties", |checker| {
                    let near = nearest(name, schema.properties.keys());
                    let hint = near.map_or(String::new(), |near| format!("; is `{near}` meant?"));
                    let message = format!("`{name}` is not in the schema: a cluster drops it{hint}");
                    checker.warn("schema_unknown_field", None, message);
                });
            }
        }
    }

    fn array(&mut self, items: &[Value], schema: &Schema) {
        self.bounds(items.len(), schema.count, ("minItems", "maxItems"), "items");
        if let Some(of_items) = &schema.items {
            for (index, item) in items.iter().enumerate() {
                self.below(Step::Index(index), "items", |checker| checker.value(item, of_items));
            }
        }
        let identity = |item: &Value| match &schema.list {
            ListKind::Any => None,
            ListKind::Set => Some(Digest::of(item)),
            ListKind::Map(keys) => {
                let key = |name: &String| item.get(name).cloned().unwrap_or_default();
                Some(Digest::of(&keys.iter().map(key).collect()))
            }
        };
        let mut seen = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let Some(identity) = identity(item) else { return };
            if let Some(first) = seen.iter().position(|seen| *seen == identity) {
                self.below(Step::Index(index), "x-kubernetes-list-type", |checker| {
                    checker.error("schema_duplicate", "", format!("is the same as item {first}"));
                });
            }
            seen.push(identity);
        }
    }

    fn text(&mut self, text: &str, schema: &Schema) {
        self.bounds(text.chars().count(), schema.length, ("minLength", "maxLength"), "characters");
        if let Some(pattern) = schema.pattern.as_ref().filter(|pattern| !pattern.is_match(text)) {
            let message = format!("{} does not match {pattern}", shown(&Value::from(text)));
            self.error("schema_pattern", "pattern", message);
        }
        let is = match schema.format.as_deref() {
            Some("ipv4") => text.parse::<Ipv4Addr>().is_ok(),
            Some("ipv6") => text.parse::<Ipv6Addr>().is_ok(),
            // Clusters do not enforce the other formats alike.
            Some(_) | None => true,
        };
        if let Some(format) = schema.format.as_deref().filter(|_| !is) {
            self.warn("schema_format", Some("format"), format!("{} is no {format}", shown(&Value::from(text))));
        }
    }

    fn number(&mut self, number: &Number, schema: &Schema) {
        let outside = |limit: &Limit, wrong: Ordering| {
            let found = compare(number, &limit.value);
            found == wrong || (limit.exclusive && found == Ordering::Equal)
        };
        if let Some(limit) = schema.minimum.as_ref().filter(|limit| outside(limit, Ordering::Less)) {
            let than = if limit.exclusive { "more than" } else { "at least" };
            self.error("schema_minimum", "minimum", format!("must be {than} {}, is {number}", limit.value));
        }
        if let Some(limit) = schema.maximum.as_ref().filter(|limit| outside(limit, Ordering::Greater)) {
            let than = if limit.exclusive { "less than" } else { "at most" };
            self.error("schema_maximum", "maximum", format!("must be {than} {}, is {number}", limit.value));
        }
        if let (Some(factor), Some(value)) = (schema.multiple_of, number.as_f64())
            && (value / factor).fract() != 0.0
        {
            self.error("schema_multiple", "multipleOf", format!("must be a multiple of {factor}, is {number}"));
        }
        let fits = match schema.format.as_deref() {
            Some("int32") => compare(number, &i32::MIN.into()).is_ge() && compare(number, &i32::MAX.into()).is_le(),
            Some(_) | None => true,
        };
        if !fits {
            // Upstream writes int32 for unsigned fields too, ASNs among them.
            self.warn("schema_format", Some("format"), format!("{number} does not fit into 32 bits with a sign"));
        }
    }

    fn bounds(&mut self, found: usize, bounds: Bounds, words: (&str, &str), of: &str) {
        let found = found as u64;
        if let Some(least) = bounds.least.filter(|least| found < *least) {
            self.error("schema_too_few", words.0, format!("must have at least {least} {of}, has {found}"));
        }
        if let Some(most) = bounds.most.filter(|most| found > *most) {
            self.error("schema_too_many", words.1, format!("must have at most {most} {of}, has {found}"));
        }
    }

    fn alternatives(&mut self, value: &Value, schema: &Schema) {
        for (index, part) in schema.all_of.iter().enumerate() {
            self.path.push(format!("allOf[{index}]"));
            self.value(value, part);
            self.path.pop();
        }
        let matching = |schemas: &[Schema]| schemas.iter().filter(|part| self.holds(value, part)).count();
        let (any, one) = (matching(&schema.any_of), matching(&schema.one_of));
        if !schema.any_of.is_empty() && any == 0 {
            self.error("schema_alternatives", "anyOf", "matches none of the alternatives");
        }
        if !schema.one_of.is_empty() && one != 1 {
            let of = schema.one_of.len();
            self.error(
                "schema_alternatives",
                "oneOf",
                format!("must match exactly one of {of} alternatives, matches {one}"),
            );
        }
        if schema.not.as_ref().is_some_and(|not| self.holds(value, not)) {
            self.error("schema_alternatives", "not", "matches what is excluded");
        }
    }

    fn holds(&self, value: &Value, schema: &Schema) -> bool {
        check(value, schema, &Pointer::default(), "").iter().all(|finding| finding.severity != Severity::Error)
    }

    fn below(&mut self, step: Step, path: &str, act: impl FnOnce(&mut Self)) {
        self.at.push(step);
        self.path.push(path.to_owned());
        act(self);
        self.path.pop();
        self.at.pop();
    }

    fn error(&mut self, code: &'static str, keyword: &str, message: impl Into<String>) {
        self.note(Severity::Error, code, Some(keyword), message.into());
    }

    fn warn(&mut self, code: &'static str, keyword: Option<&str>, message: String) {
        self.note(Severity::Warning, code, keyword, message);
    }

    fn note(&mut self, severity: Severity, code: &'static str, keyword: Option<&str>, message: String) {
        let mut path = self.path.join(".");
        if let Some(keyword) = keyword.filter(|keyword| !keyword.is_empty()) {
            path = format!("{path}.{keyword}");
        }
        self.findings.push(Finding { severity, code, message, at: Pointer::from(&self.at[..]), schema: Some(path) });
    }
}

impl Type {
    fn takes(self, value: &Value) -> bool {
        match self {
            Self::Object => value.is_object(),
            Self::Array => value.is_array(),
            Self::String => value.is_string(),
            Self::Integer => value.as_number().is_some_and(is_whole),
            Self::Number => value.is_number(),
            Self::Boolean => value.is_boolean(),
            Self::IntOrString => value.is_string() || value.as_number().is_some_and(is_whole),
        }
    }

    fn shown(self) -> &'static str {
        match self {
            Self::Object => "a mapping",
            Self::Array => "a list",
            Self::String => "a text",
            Self::Integer => "a whole number",
            Self::Number => "a number",
            Self::Boolean => "true or false",
            Self::IntOrString => "a whole number or a text",
        }
    }
}

fn is_whole(number: &Number) -> bool {
    !number.is_f64() || number.as_f64().is_some_and(|value| value.fract() == 0.0)
}

/// Exact for integers; with fractions as far as 64 bits carry.
fn compare(one: &Number, other: &Number) -> Ordering {
    let whole = |number: &Number| number.as_i128();
    match (whole(one), whole(other)) {
        (Some(one), Some(other)) => one.cmp(&other),
        _ => {
            let value = |number: &Number| number.as_f64().unwrap_or(f64::NAN);
            value(one).partial_cmp(&value(other)).unwrap_or(Ordering::Equal)
        }
    }
}

fn equal(one: &Value, other: &Value) -> bool {
    one == other || (one.is_number() && other.is_number() && Digest::of(one) == Digest::of(other))
}

/// What a value is, for a message: short, and on one line.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => {
            format!("\"{}\"", text.chars().take(60).flat_map(char::escape_debug).collect::<String>())
        }
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a mapping".to_owned(),
    }
}

/// The name that was probably meant: the same but for case, `-` and `_`, or one with one end cut off.
fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n String>) -> Option<&'n String> {
    let plain = |text: &str| text.replace(['-', '_'], "").to_ascii_lowercase();
    let wanted = plain(name);
    let mut known = known.filter(|known| {
        let known = plain(known);
        known == wanted
            || (wanted.len() > 3
                && known.len().abs_diff(wanted.len()) == 1
                && (known.starts_with(&wanted) || wanted.starts_with(&known)))
    });
    known.next()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::validate::schema::Unchecked;

    fn findings(schema: Value, value: Value) -> Vec<String> {
        let mut unchecked = Unchecked::default();
        let schema = Schema::read(&schema, &mut unchecked);
        let found = check(&value, &schema, &Pointer::default().key("spec"), "s");
        found
            .iter()
            .map(|finding| format!("{} {} {}", finding.code, finding.at, finding.schema.as_deref().unwrap_or("")))
            .collect()
    }

    fn none(schema: Value, value: Value) {
        assert_eq!(findings(schema, value), Vec::<String>::new());
    }

    #[test]
    fn every_type_takes_its_own_and_nothing_else() {
        for (kind, good, bad) in [
            ("object", json!({}), json!([])),
            ("array", json!([]), json!({})),
            ("string", json!("1"), json!(1)),
            ("integer", json!(1.0), json!(1.5)),
            ("number", json!(1.5), json!("1.5")),
            ("boolean", json!(true), json!("true")),
        ] {
            none(json!({"type": kind}), good);
            assert_eq!(findings(json!({"type": kind}), bad), ["schema_type spec s.type"], "{kind}");
        }
    }

    #[test]
    fn null_is_taken_only_where_the_schema_says_so() {
        none(json!({"type": "string", "nullable": true}), Value::Null);
        assert_eq!(findings(json!({"type": "string"}), Value::Null), ["schema_type spec s.type"]);
    }

    #[test]
    fn an_int_or_string_is_either() {
        let schema = json!({"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]});

        none(schema.clone(), json!(80));
        none(schema.clone(), json!("http"));
        assert_eq!(findings(schema, json!(true)), ["schema_type spec s.type"]);
    }

    #[test]
    fn places_are_those_of_the_value_and_of_the_schema() {
        let schema = json!({"type": "object", "required": ["role"], "properties": {
            "ports": {"type": "array", "items": {"type": "object", "properties": {"mtu": {"type": "integer", "maximum": 9216}}}},
            "speeds": {"type": "object", "additionalProperties": {"type": "string", "enum": ["25G", "100G"]}}
        }});
        let value = json!({"ports": [{"mtu": 1}, {"mtu": 10000}], "speeds": {"E1/1": "50G"}});

        assert_eq!(
            findings(schema, value),
            [
                "schema_required spec.role s.required",
                "schema_maximum spec.ports[1].mtu s.properties.ports.items.properties.mtu.maximum",
                "schema_enum spec.speeds[\"E1/1\"] s.properties.speeds.additionalProperties.enum",
            ]
        );
    }

    #[test]
    fn what_a_cluster_would_drop_is_a_warning_with_what_may_be_meant() {
        let schema = json!({"type": "object", "properties": {"subnets": {}, "ipv4Namespace": {}}});
        let mut unchecked = Unchecked::default();
        let read = Schema::read(&schema, &mut unchecked);

        let found = check(&json!({"subnet": 1, "ipv4_namespace": 2, "x": 3}), &read, &Pointer::default(), "s");

        let messages: Vec<&str> = found.iter().map(|finding| finding.message.as_str()).collect();
        assert!(found.iter().all(|finding| finding.severity == Severity::Warning));
        assert!(messages[0].ends_with("is `subnets` meant?") && messages[1].ends_with("is `ipv4Namespace` meant?"));
        assert!(messages[2].ends_with("a cluster drops it"), "{messages:?}");
    }

    #[test]
    fn unknown_fields_are_fine_where_they_are_kept() {
        none(
            json!({"type": "object", "properties": {"a": {}}, "x-kubernetes-preserve-unknown-fields": true}),
            json!({"b": 1}),
        );
        none(json!({"type": "object", "properties": {"a": {}}, "additionalProperties": true}), json!({"b": 1}));
        none(json!({"type": "object"}), json!({"b": 1}));
    }

    #[test]
    fn large_integers_are_compared_exactly() {
        let schema = json!({"type": "integer", "maximum": 18446744073709551614u64});

        none(schema.clone(), json!(18446744073709551614u64));
        assert_eq!(findings(schema, json!(u64::MAX)), ["schema_maximum spec s.maximum"]);
        let exclusive = json!({"type": "integer", "minimum": 0, "exclusiveMinimum": true});
        assert_eq!(findings(exclusive, json!(0)), ["schema_minimum spec s.minimum"]);
    }

    #[test]
    fn an_asn_beyond_a_signed_format_is_only_a_warning() {
        let schema = Schema::read(&json!({"type": "integer", "format": "int32"}), &mut Unchecked::default());

        let found = check(&json!(4_200_000_000u64), &schema, &Pointer::default(), "s");

        assert_eq!((found.len(), found[0].severity), (1, Severity::Warning));
    }

    #[test]
    fn texts_are_held_to_pattern_and_length() {
        let schema = json!({"type": "string", "maxLength": 3, "pattern": "^é+$"});

        none(schema.clone(), json!("ééé"));
        assert_eq!(
            findings(schema, json!("abcd")),
            ["schema_too_many spec s.maxLength", "schema_pattern spec s.pattern"]
        );
    }

    #[test]
    fn lists_are_held_to_count_and_distinctness() {
        let few = json!({"type": "array", "minItems": 1, "maxItems": 2});
        assert_eq!(findings(few.clone(), json!([])), ["schema_too_few spec s.minItems"]);
        assert_eq!(findings(few, json!([1, 2, 3])), ["schema_too_many spec s.maxItems"]);
        let map = json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]});
        assert_eq!(
            findings(map, json!([{"name": "a", "x": 1}, {"name": "b"}, {"name": "a", "x": 2}])),
            ["schema_duplicate spec[2] s.x-kubernetes-list-type"]
        );
    }

    #[test]
    fn alternatives_are_counted() {
        let one = json!({"oneOf": [{"required": ["a"]}, {"required": ["b"]}]});
        none(one.clone(), json!({"a": 1}));
        assert_eq!(findings(one.clone(), json!({})), ["schema_alternatives spec s.oneOf"]);
        assert_eq!(findings(one, json!({"a": 1, "b": 2})), ["schema_alternatives spec s.oneOf"]);
        assert_eq!(findings(json!({"anyOf": [{"type": "string"}]}), json!(1)), ["schema_alternatives spec s.anyOf"]);
        assert_eq!(findings(json!({"not": {"required": ["a"]}}), json!({"a": 1})), ["schema_alternatives spec s.not"]);
        assert_eq!(findings(json!({"allOf": [{"type": "string"}]}), json!(1)), ["schema_type spec s.allOf[0].type"]);
    }

    #[test]
    fn what_cannot_be_checked_is_noted() {
        let mut unchecked = Unchecked::default();
        let schema =
            json!({"pattern": "(?<=a)b", "properties": {"x": {"x-kubernetes-validations": [{"rule": "self > 1"}]}}});

        let schema = Schema::read(&schema, &mut unchecked);

        assert_eq!((unchecked.rules, unchecked.patterns), (1, vec!["(?<=a)b".to_owned()]));
        assert!(check(&json!("x"), &schema, &Pointer::default(), "s").is_empty());
    }
}
