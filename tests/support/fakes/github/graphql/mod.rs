//! GitHub's GraphQL: documents are checked against the schema as a whole, then done field by field.
//!
//! | file | is |
//! |---|---|
//! | `schema.graphql` | the part of GitHub's schema that is modelled |
//! | `syntax` | documents and the schema language |
//! | `validate` | documents and variables against the schema |
//! | `fields` | what objects answer |
//! | `mutations` | what changes |

mod fields;
mod mutations;
mod syntax;
mod validate;

use serde_json::{Map, Value, json};

use self::fields::{Node, Resolved};
use self::syntax::{Document, Field, Operation, Place, Selection};
use super::reply::Reply;
use super::routes::Route;
use super::server::Asked;
use super::world::World;

/// What was posted.
#[derive(Debug, Clone)]
pub(super) struct Request {
    document: Result<(Document, Operation), (String, Place)>,
    variables: Map<String, Value>,
    /// What no client should send.
    strange: Option<String>,
}

/// What went wrong with one field.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub kind: &'static str,
    pub message: String,
}

impl Failure {
    pub fn new(kind: &'static str, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    fn at(&self, path: &[Value], at: Place) -> Value {
        json!({
            "type": self.kind, "path": path, "locations": [{"line": at.0, "column": at.1}], "message": self.message,
        })
    }
}

impl Request {
    pub fn read(body: Option<&Value>) -> Self {
        let empty = Map::new();
        let body = body.and_then(Value::as_object).unwrap_or(&empty);
        let known = ["query", "variables", "operationName"];
        let strange = body.keys().find(|key| !known.contains(&key.as_str())).cloned();
        let text = body.get("query").and_then(Value::as_str);
        let document = match text {
            None => Err(("A query attribute must be specified and must be a string.".to_owned(), (1, 1))),
            Some(text) => syntax::parse(text).and_then(|document| {
                let wanted = body.get("operationName").and_then(Value::as_str);
                let named = |operation: &&Operation| wanted.is_none() || operation.name.as_deref() == wanted;
                let operation = document.operations.iter().find(named).cloned();
                operation.map(|operation| (document, operation)).ok_or(("No operation found".to_owned(), (1, 1)))
            }),
        };
        let variables = body.get("variables").and_then(Value::as_object).cloned().unwrap_or_default();
        Self { document, variables, strange }
    }

    /// A mutation by its first field.
    pub fn route(&self) -> Route {
        let Ok((_, operation)) = &self.document else { return Route::Query };
        let first = operation.selection.iter().find_map(|selected| match selected {
            Selection::Field(field) => Some(field.name.as_str()),
            Selection::On(..) | Selection::Spread(..) => None,
        });
        match first.filter(|_| operation.mutation) {
            Some("updateRefs") => Route::UpdateRefs,
            Some("createRef") => Route::CreateRef,
            Some("createCommitOnBranch") => Route::CreateCommitOnBranch,
            _ => Route::Query,
        }
    }
}

pub(super) fn answer(world: &mut World, asked: &Asked, request: &Request) -> Reply {
    let refuse = |world: &mut World, errors: Vec<Value>| {
        world.unexpected.push(format!("a GraphQL document that GitHub refuses: {}", Value::Array(errors.clone())));
        Reply::ok(json!({ "errors": errors }))
    };
    if asked.method != "POST" {
        world.unexpected.push(format!("{} graphql", asked.method));
        return Reply::not_found();
    }
    if let Some(strange) = &request.strange {
        world.unexpected.push(format!("a GraphQL request with {strange:?}"));
    }
    let (document, operation) = match &request.document {
        Ok(found) => found,
        Err((words, at)) => {
            let error = json!({"message": words, "locations": [{"line": at.0, "column": at.1}]});
            return refuse(world, vec![error]);
        }
    };
    let errors = validate::check(document, operation);
    if !errors.is_empty() {
        return refuse(world, errors);
    }
    let variables = match validate::variables(operation, &request.variables) {
        Ok(variables) => variables,
        Err(words) => return refuse(world, vec![json!({"message": words})]),
    };
    let root = if operation.mutation { Node::Mutation } else { Node::Query };
    let mut doing = Doing { world, asked, document, variables, errors: Vec::new() };
    let data = doing.object(&root, &operation.selection, &mut Vec::new());
    let errors = doing.errors;
    match errors.is_empty() {
        true => Reply::ok(json!({ "data": data })),
        false => Reply::ok(json!({"data": data, "errors": errors})),
    }
}

struct Doing<'a> {
    world: &'a mut World,
    asked: &'a Asked,
    document: &'a Document,
    variables: Map<String, Value>,
    errors: Vec<Value>,
}

impl Doing<'_> {
    fn object(&mut self, node: &Node, selection: &[Selection], path: &mut Vec<Value>) -> Value {
        let mut shown = Map::new();
        self.fill(node, selection, path, &mut shown);
        Value::Object(shown)
    }

    fn fill(&mut self, node: &Node, selection: &[Selection], path: &mut Vec<Value>, shown: &mut Map<String, Value>) {
        for selected in selection {
            match selected {
                Selection::Field(field) => {
                    path.push(json!(field.key));
                    let value = self.field(node, field, path);
                    path.pop();
                    merge(shown, &field.key, value);
                }
                Selection::On(on, inner, _) => {
                    if on.as_deref().is_none_or(|on| validate::is_a(node.type_name(), on)) {
                        self.fill(node, inner, path, shown);
                    }
                }
                Selection::Spread(name, _) => {
                    if let Some((on, inner)) = self.document.fragments.get(name)
                        && validate::is_a(node.type_name(), on)
                    {
                        self.fill(node, inner, path, shown);
                    }
                }
            }
        }
    }

    fn field(&mut self, node: &Node, field: &Field, path: &mut Vec<Value>) -> Value {
        if field.name == "__typename" {
            return json!(node.type_name());
        }
        let args = field.args.iter().map(|(name, value)| (name.clone(), validate::with(value, &self.variables)));
        let args: Map<String, Value> = args.collect();
        let resolved = match node {
            Node::Mutation => mutations::mutate(self.world, self.asked, &field.name, &args["input"]),
            _ => fields::field(self.world, self.asked, node, &field.name, &args),
        };
        match resolved {
            Ok(resolved) => self.show(resolved, field, path),
            Err(failure) => {
                self.errors.push(failure.at(path, field.at));
                Value::Null
            }
        }
    }

    fn show(&mut self, resolved: Resolved, field: &Field, path: &mut Vec<Value>) -> Value {
        match resolved {
            Resolved::Scalar(value) => value,
            Resolved::Object(node) => self.object(&node, &field.selection, path),
            Resolved::List(items) => {
                let mut shown = Vec::new();
                for (at, item) in items.into_iter().enumerate() {
                    path.push(json!(at));
                    shown.push(self.show(item, field, path));
                    path.pop();
                }
                Value::Array(shown)
            }
        }
    }
}

/// The same field may be selected twice, with different parts.
fn merge(shown: &mut Map<String, Value>, key: &str, value: Value) {
    match (shown.get_mut(key), value) {
        (Some(Value::Object(known)), Value::Object(more)) => {
            for (key, value) in more {
                merge(known, &key, value);
            }
        }
        (_, value) => drop(shown.insert(key.to_owned(), value)),
    }
}
