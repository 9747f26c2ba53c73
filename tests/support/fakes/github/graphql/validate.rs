//! Documents and variables held against the schema, as GitHub does before it does anything.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::syntax::{Declared, Definition, Document, Field, Literal, Operation, Place, Selection, Type, parse_schema};
use crate::support::fakes::github::show::from_base64;
use crate::support::fakes::github::store::is_oid;

static SCHEMA: LazyLock<BTreeMap<String, Definition>> = LazyLock::new(|| {
    let definitions = parse_schema(include_str!("schema.graphql")).expect("the schema is well-formed");
    definitions.into_iter().map(|definition| (definition.name.clone(), definition)).collect()
});

/// Whether an object type is, or implements, another type.
pub(super) fn is_a(object: &str, of: &str) -> bool {
    object == of || SCHEMA.get(object).is_some_and(|definition| definition.interfaces.iter().any(|name| name == of))
}

/// What is wrong with an operation, as errors.
pub(super) fn check(document: &Document, operation: &Operation) -> Vec<Value> {
    let (root, word) = if operation.mutation { ("Mutation", "mutation") } else { ("Query", "query") };
    let mut checker = Checker { document, operation, errors: Vec::new() };
    let path = operation.name.as_ref().map_or(word.to_owned(), |name| format!("{word} {name}"));
    checker.selection(root, &operation.selection, &mut vec![path]);
    checker.errors
}

struct Checker<'a> {
    document: &'a Document,
    operation: &'a Operation,
    errors: Vec<Value>,
}

impl Checker<'_> {
    fn error(&mut self, code: &str, message: String, path: &[String], at: Place) {
        self.errors.push(json!({
            "path": path, "extensions": {"code": code}, "message": message,
            "locations": [{"line": at.0, "column": at.1}],
        }));
    }

    fn selection(&mut self, of: &str, selection: &[Selection], path: &mut Vec<String>) {
        for selected in selection {
            match selected {
                Selection::Field(field) => {
                    path.push(field.key.clone());
                    self.field(of, field, path);
                    path.pop();
                }
                Selection::On(on, inner, at) => {
                    let on = on.clone().unwrap_or_else(|| of.to_owned());
                    self.part(of, &on, inner, path, *at);
                }
                Selection::Spread(name, at) => match self.document.fragments.get(name) {
                    Some((on, inner)) => self.part(of, on, inner, path, *at),
                    None => {
                        let words = format!("Fragment {name} was used, but not defined");
                        self.error("useAndDefineFragment", words, path, *at);
                    }
                },
            }
        }
    }

    fn part(&mut self, of: &str, on: &str, inner: &[Selection], path: &mut Vec<String>, at: Place) {
        if !SCHEMA.contains_key(on) {
            self.error("undefinedType", format!("No such type {on}, so it can't be a fragment condition"), path, at);
        } else if !is_a(on, of) && !is_a(of, on) {
            let words = format!("Fragment on {on} can't be spread inside {of}");
            self.error("cannotSpreadFragment", words, path, at);
        } else {
            self.selection(on, inner, path);
        }
    }

    fn field(&mut self, of: &str, field: &Field, path: &mut Vec<String>) {
        if field.name == "__typename" {
            return;
        }
        let known =
            SCHEMA.get(of).and_then(|definition| definition.fields.iter().find(|(name, ..)| *name == field.name));
        let Some((_, args, result)) = known else {
            let words = format!("Field '{}' doesn't exist on type '{of}'", field.name);
            return self.error("undefinedField", words, path, field.at);
        };
        for (name, _) in field.args.iter().filter(|(name, _)| !args.iter().any(|(known, _)| known == name)) {
            let words = format!("Field '{}' doesn't accept argument '{name}'", field.name);
            self.error("argumentNotAccepted", words, path, field.at);
        }
        for (name, wanted) in args {
            match field.args.iter().find(|(given, _)| given == name) {
                Some((_, value)) => {
                    if let Err(words) = self.literal(value, wanted, name) {
                        let words =
                            format!("Argument '{name}' on Field '{}' has an invalid value: {words}", field.name);
                        self.error("argumentLiteralsIncompatible", words, path, field.at);
                    }
                }
                None if matches!(wanted, Type::Must(_)) => {
                    let words = format!("Field '{}' is missing required arguments: {name}", field.name);
                    self.error("missingRequiredArguments", words, path, field.at);
                }
                None => {}
            }
        }
        let inner = named(result).to_owned();
        let is_object = SCHEMA.get(&inner).is_some_and(|definition| definition.keyword != "enum");
        match (is_object, field.selection.is_empty()) {
            (true, true) => {
                let words = format!("Field must have selections (field '{}' returns {inner})", field.name);
                self.error("selectionMismatch", words, path, field.at);
            }
            (false, false) => {
                let words = format!("Selections can't be made on scalars (field '{}' returns {inner})", field.name);
                self.error("selectionMismatch", words, path, field.at);
            }
            (true, false) => self.selection(&inner, &field.selection, path),
            (false, true) => {}
        }
    }

    /// A literal against a type; variables by their declared type.
    fn literal(&self, literal: &Literal, wanted: &Type, name: &str) -> Result<(), String> {
        match (literal, wanted) {
            (Literal::Variable(variable), wanted) => {
                let declared = self.operation.variables.iter().find(|(declared, ..)| declared == variable);
                let (_, of, default) = declared.ok_or_else(|| format!("Variable ${variable} is not declared"))?;
                let fits = fits(of, wanted) || (default.is_some() && fits(&Type::Must(Box::new(of.clone())), wanted));
                if fits { Ok(()) } else { Err(format!("Type mismatch on variable ${variable} and argument {name}")) }
            }
            (Literal::Null, Type::Must(_)) => Err(format!("{name} must not be null")),
            (literal, Type::Must(inner)) => self.literal(literal, inner, name),
            (Literal::Null, _) => Ok(()),
            (Literal::List(items), Type::List(inner)) => {
                items.iter().try_for_each(|item| self.literal(item, inner, name))
            }
            (literal, Type::List(inner)) => self.literal(literal, inner, name),
            (Literal::Object(members), Type::Named(of)) => {
                let fields = input_fields(of).ok_or_else(|| format!("{name} is no {of}"))?;
                for (member, value) in members {
                    let known = fields.iter().find(|(known, ..)| known == member);
                    let (_, _, wanted) =
                        known.ok_or_else(|| format!("InputObject '{of}' doesn't accept '{member}'"))?;
                    self.literal(value, wanted, member)?;
                }
                missing(of, |name| members.iter().any(|(given, _)| given == name))
            }
            (literal, Type::Named(of)) => scalar(&plain(literal), of).map_err(|()| format!("{name} is no {of}")),
        }
    }
}

/// The values of an operation's variables.
pub(super) fn variables(operation: &Operation, given: &Map<String, Value>) -> Result<Map<String, Value>, String> {
    let mut values = Map::new();
    for (name, of, default) in &operation.variables {
        let value = match (given.get(name), default) {
            (Some(value), _) => value.clone(),
            (None, Some(default)) => plain(default),
            (None, None) => Value::Null,
        };
        check_value(&value, of)
            .map_err(|words| format!("Variable ${name} of type {} was provided invalid value ({words})", shown(of)))?;
        values.insert(name.clone(), value);
    }
    Ok(values)
}

fn check_value(value: &Value, of: &Type) -> Result<(), String> {
    match (value, of) {
        (Value::Null, Type::Must(_)) => Err("Expected value to not be null".to_owned()),
        (value, Type::Must(inner)) => check_value(value, inner),
        (Value::Null, _) => Ok(()),
        (Value::Array(items), Type::List(inner)) => items.iter().try_for_each(|item| check_value(item, inner)),
        (value, Type::List(inner)) => check_value(value, inner),
        (Value::Object(members), Type::Named(of)) => {
            let fields = input_fields(of).ok_or_else(|| format!("Could not coerce value to {of}"))?;
            for (member, value) in members {
                let known = fields.iter().find(|(known, ..)| known == member);
                let (_, _, wanted) = known.ok_or_else(|| format!("Field is not defined on {of}: {member}"))?;
                check_value(value, wanted).map_err(|words| format!("{member}: {words}"))?;
            }
            missing(of, |name| members.contains_key(name))
        }
        (value, Type::Named(of)) => scalar(value, of).map_err(|()| format!("Could not coerce value {value} to {of}")),
    }
}

fn input_fields(of: &str) -> Option<&'static [Declared]> {
    SCHEMA.get(of).filter(|definition| definition.keyword == "input").map(|definition| definition.fields.as_slice())
}

fn missing(of: &str, has: impl Fn(&str) -> bool) -> Result<(), String> {
    let fields = input_fields(of).unwrap_or_default();
    match fields.iter().find(|(name, _, of)| matches!(of, Type::Must(_)) && !has(name)) {
        Some((name, ..)) => Err(format!("{name} (Expected value to not be null)")),
        None => Ok(()),
    }
}

fn scalar(value: &Value, of: &str) -> Result<(), ()> {
    let fits = match of {
        "Int" => value.is_i64(),
        "Boolean" => value.is_boolean(),
        "GitObjectID" => value.as_str().is_some_and(is_oid),
        "GitRefname" => value.as_str().is_some_and(|text| text.starts_with("refs/")),
        "Base64String" => value.as_str().is_some_and(|text| from_base64(text).is_some()),
        _ => value.is_string(),
    };
    if fits { Ok(()) } else { Err(()) }
}

fn fits(given: &Type, wanted: &Type) -> bool {
    match (given, wanted) {
        (Type::Must(given), Type::Must(wanted)) => fits(given, wanted),
        (Type::Must(given), wanted) => fits(given, wanted),
        (Type::List(given), Type::List(wanted)) => fits(given, wanted),
        (given, wanted) => given == wanted,
    }
}

fn named(of: &Type) -> &str {
    match of {
        Type::Named(name) => name,
        Type::List(inner) | Type::Must(inner) => named(inner),
    }
}

fn shown(of: &Type) -> String {
    match of {
        Type::Named(name) => name.clone(),
        Type::List(inner) => format!("[{}]", shown(inner)),
        Type::Must(inner) => format!("{}!", shown(inner)),
    }
}

/// A literal without variables.
fn plain(literal: &Literal) -> Value {
    with(literal, &Map::new())
}

/// A literal with its variables filled in.
pub(super) fn with(literal: &Literal, variables: &Map<String, Value>) -> Value {
    match literal {
        Literal::Variable(name) => variables.get(name).cloned().unwrap_or_default(),
        Literal::Number(number) => json!(number),
        Literal::Text(text) | Literal::Word(text) => json!(text),
        Literal::Bool(flag) => json!(flag),
        Literal::Null => Value::Null,
        Literal::List(items) => items.iter().map(|item| with(item, variables)).collect(),
        Literal::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), with(value, variables))).collect()
        }
    }
}
