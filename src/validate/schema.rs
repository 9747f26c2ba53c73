//! A structural schema as Kubernetes defines it, compiled once.
//!
//! <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema>

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::{Map, Number, Value};

/// One node of a schema. What is not said allows everything.
#[derive(Debug, Clone, Default)]
pub(super) struct Schema {
    pub kind: Option<Type>,
    pub nullable: bool,
    /// What is not mentioned is kept instead of dropped.
    pub keeps_unknown: bool,
    pub properties: BTreeMap<String, Schema>,
    pub additional: Option<Box<Schema>>,
    pub items: Option<Box<Schema>>,
    pub required: Vec<String>,
    pub one_of_values: Option<Vec<Value>>,
    pub format: Option<String>,
    pub pattern: Option<Regex>,
    pub minimum: Option<Limit>,
    pub maximum: Option<Limit>,
    pub multiple_of: Option<f64>,
    pub length: Bounds,
    pub count: Bounds,
    pub entries: Bounds,
    pub list: ListKind,
    pub all_of: Vec<Schema>,
    pub any_of: Vec<Schema>,
    pub one_of: Vec<Schema>,
    pub not: Option<Box<Schema>>,
}

/// The JSON types that Kubernetes knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
    IntOrString,
}

/// A bound of a number.
#[derive(Debug, Clone)]
pub(super) struct Limit {
    pub value: Number,
    pub exclusive: bool,
}

/// From and to, both included.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bounds {
    pub least: Option<u64>,
    pub most: Option<u64>,
}

/// What makes the items of a list distinct.
#[derive(Debug, Clone, Default)]
pub(super) enum ListKind {
    #[default]
    Any,
    Set,
    /// By the values of these keys.
    Map(Vec<String>),
}

/// What of a schema is not checked.
#[derive(Debug, Clone, Default)]
pub(super) struct Unchecked {
    /// Rules in CEL.
    pub rules: usize,
    /// Patterns that our engine does not take.
    pub patterns: Vec<String>,
}

/// Schemas are nested as deep as objects are; a deeper one is cut off and allows everything.
const MAX_DEPTH: usize = 64;

impl Schema {
    /// Reads a schema; what it cannot check is noted.
    pub fn read(value: &Value, unchecked: &mut Unchecked) -> Self {
        Self::at_depth(value, 0, unchecked)
    }

    fn at_depth(value: &Value, depth: usize, unchecked: &mut Unchecked) -> Self {
        let Some(map) = value.as_object().filter(|_| depth < MAX_DEPTH) else { return Self::default() };
        let flag = |name: &str| map.get(name).and_then(Value::as_bool).unwrap_or_default();
        unchecked.rules += map.get("x-kubernetes-validations").and_then(Value::as_array).map_or(0, Vec::len);
        let pattern = map.get("pattern").and_then(Value::as_str).and_then(|text| match Regex::new(text) {
            Ok(pattern) => Some(pattern),
            Err(_) => {
                unchecked.patterns.push(text.to_owned());
                None
            }
        });
        let limit = |name: &str, exclusive: &str| match map.get(name) {
            Some(Value::Number(value)) => Some(Limit { value: value.clone(), exclusive: flag(exclusive) }),
            Some(_) | None => None,
        };
        let (minimum, maximum) = (limit("minimum", "exclusiveMinimum"), limit("maximum", "exclusiveMaximum"));
        let mut below = |value: &Value| Self::at_depth(value, depth + 1, unchecked);
        let mut list = |name: &str| -> Vec<Self> { array(map, name).iter().map(&mut below).collect() };
        let (all_of, any_of, one_of) = (list("allOf"), list("anyOf"), list("oneOf"));
        let properties = map.get("properties").and_then(Value::as_object).into_iter().flatten();
        Self {
            kind: type_of(map, flag("x-kubernetes-int-or-string")),
            nullable: flag("nullable"),
            keeps_unknown: flag("x-kubernetes-preserve-unknown-fields"),
            properties: properties.map(|(name, schema)| (name.clone(), below(schema))).collect(),
            additional: match map.get("additionalProperties") {
                Some(Value::Bool(true)) => Some(Box::default()),
                Some(schema @ Value::Object(_)) => Some(Box::new(below(schema))),
                Some(_) | None => None,
            },
            items: map.get("items").map(|schema| Box::new(below(schema))),
            required: texts(map, "required"),
            one_of_values: map.get("enum").and_then(Value::as_array).cloned(),
            format: map.get("format").and_then(Value::as_str).map(str::to_owned),
            pattern,
            minimum,
            maximum,
            multiple_of: map.get("multipleOf").and_then(Value::as_f64).filter(|factor| *factor > 0.0),
            length: bounds(map, "minLength", "maxLength"),
            count: bounds(map, "minItems", "maxItems"),
            entries: bounds(map, "minProperties", "maxProperties"),
            list: match map.get("x-kubernetes-list-type").and_then(Value::as_str) {
                Some("set") => ListKind::Set,
                Some("map") => ListKind::Map(texts(map, "x-kubernetes-list-map-keys")),
                Some(_) | None if flag("uniqueItems") => ListKind::Set,
                Some(_) | None => ListKind::Any,
            },
            all_of,
            any_of,
            one_of,
            not: map.get("not").map(|schema| Box::new(below(schema))),
        }
    }
}

fn type_of(map: &Map<String, Value>, int_or_string: bool) -> Option<Type> {
    if int_or_string {
        return Some(Type::IntOrString);
    }
    match map.get("type").and_then(Value::as_str)? {
        "object" => Some(Type::Object),
        "array" => Some(Type::Array),
        "string" => Some(Type::String),
        "integer" => Some(Type::Integer),
        "number" => Some(Type::Number),
        "boolean" => Some(Type::Boolean),
        // No type that Kubernetes allows in a structural schema.
        _ => None,
    }
}

fn array<'a>(map: &'a Map<String, Value>, name: &str) -> &'a [Value] {
    map.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn texts(map: &Map<String, Value>, name: &str) -> Vec<String> {
    array(map, name).iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn bounds(map: &Map<String, Value>, least: &str, most: &str) -> Bounds {
    let number = |name: &str| map.get(name).and_then(Value::as_u64);
    Bounds { least: number(least), most: number(most) }
}
