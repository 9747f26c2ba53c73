//! Request bodies, held against the shape that GitHub documents.

use serde_json::Value;

use super::reply::Reply;

/// What a value may be.
pub(super) enum Shape {
    Text,
    Bool,
    Number,
    /// One of these words.
    Word(&'static [&'static str]),
    List(&'static Shape),
    Object(&'static [Field]),
    /// The shape, or null.
    Nullable(&'static Shape),
}

/// A member of an object: its name, whether it must be there, and its shape.
pub(super) type Field = (&'static str, bool, Shape);

/// The text members of what was sent.
pub(super) trait Members {
    fn text(&self, name: &str) -> Option<&str>;
    fn flag(&self, name: &str) -> Option<bool>;
}

impl Members for Value {
    fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }

    fn flag(&self, name: &str) -> Option<bool> {
        self.get(name).and_then(Value::as_bool)
    }
}

/// The body when it has the shape. What GitHub would overlook, but nobody should send, is added to `strange`.
pub(super) fn expect(
    body: Option<&Value>,
    fields: &'static [Field],
    strange: &mut Vec<String>,
) -> Result<Value, Reply> {
    let empty = Value::Object(serde_json::Map::new());
    let body = body.unwrap_or(&empty);
    if !body.is_object() {
        return Err(Reply::refused(400, "Body should be a JSON object"));
    }
    check(body, &Shape::Object(fields), "", strange).map_err(|words| {
        strange.push(words.clone());
        Reply::unprocessable(&format!("Invalid request.\n\n{words}"))
    })?;
    Ok(body.clone())
}

fn check(value: &Value, shape: &Shape, at: &str, strange: &mut Vec<String>) -> Result<(), String> {
    let wrong = |what: &str| Err(format!("For 'properties{at}', {value} is not {what}."));
    match (shape, value) {
        (Shape::Nullable(_), Value::Null) => Ok(()),
        (Shape::Nullable(shape), value) => check(value, shape, at, strange),
        (Shape::Text, Value::String(_)) | (Shape::Bool, Value::Bool(_)) | (Shape::Number, Value::Number(_)) => Ok(()),
        (Shape::Word(words), Value::String(word)) if words.contains(&word.as_str()) => Ok(()),
        (Shape::List(shape), Value::Array(items)) => {
            for (number, item) in items.iter().enumerate() {
                check(item, shape, &format!("{at}/{number}"), strange)?;
            }
            Ok(())
        }
        (Shape::Object(fields), Value::Object(map)) => {
            for (name, must, _) in *fields {
                if *must && !map.contains_key(*name) {
                    return Err(format!("{name:?} wasn't supplied."));
                }
            }
            for (name, value) in map {
                match fields.iter().find(|(known, ..)| known == name) {
                    Some((_, _, shape)) => check(value, shape, &format!("{at}/{name}"), strange)?,
                    None => strange.push(format!("{at}/{name} is nothing that GitHub knows")),
                }
            }
            Ok(())
        }
        (Shape::Text, _) => wrong("a string"),
        (Shape::Bool, _) => wrong("a boolean"),
        (Shape::Number, _) => wrong("an integer"),
        (Shape::Word(words), _) => wrong(&format!("one of {words:?}")),
        (Shape::List(_), _) => wrong("an array"),
        (Shape::Object(_), _) => wrong("an object"),
    }
}
