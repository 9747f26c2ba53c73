//! `kind: List`, as kubectl and API servers write it: each of its items is a document of its own.

use serde_json::{Map, Value};

use crate::domain::fate::Reason;
use crate::domain::kind::Catalogue;

/// What a value is, looked at as a list.
pub(super) enum Listed {
    /// It is none.
    No(Value),
    /// Its items, in order; of the list itself nothing is kept.
    Items(Vec<Value>),
    Unusable(Reason),
}

/// Looks whether a value is a list: `kind: List` of `v1`, or `<Kind>List` of one of our kinds.
pub(super) fn listed(catalogue: &Catalogue, value: Value) -> Listed {
    let Some(of) = list_of(catalogue, &value) else { return Listed::No(value) };
    let Value::Object(mut list) = value else { return Listed::No(value) };
    match list.shift_remove("items") {
        None | Some(Value::Null) => Listed::Items(Vec::new()),
        Some(Value::Array(items)) => {
            Listed::Items(items.into_iter().map(|item| described(item, of.as_ref())).collect())
        }
        Some(_) => Listed::Unusable(Reason::new("bad_list", "it is a list of documents, but its `items` are no list")),
    }
}

/// Whether an item is itself a list; one within another is not taken apart.
pub(super) fn is_list(catalogue: &Catalogue, value: &Value) -> bool {
    list_of(catalogue, value).is_some()
}

/// What the items of a typed list are; inside, `None` for a list that says nothing of its items.
type ItemType = Option<(String, String)>;

fn list_of(catalogue: &Catalogue, value: &Value) -> Option<ItemType> {
    let text = |field: &str| value.get(field).and_then(Value::as_str);
    let (api_version, kind) = (text("apiVersion")?, text("kind")?);
    if (api_version, kind) == ("v1", "List") {
        return Some(None);
    }
    let of = kind.strip_suffix("List")?;
    catalogue.of_document(api_version, of)?;
    Some(Some((api_version.to_owned(), of.to_owned())))
}

/// An API server leaves the type of a typed list's items out.
fn described(item: Value, of: Option<&(String, String)>) -> Value {
    let (Value::Object(item), Some((api_version, kind))) = (&item, of) else { return item };
    if item.contains_key("apiVersion") || item.contains_key("kind") {
        return Value::Object(item.clone());
    }
    let mut typed = Map::new();
    typed.insert("apiVersion".to_owned(), Value::from(api_version.as_str()));
    typed.insert("kind".to_owned(), Value::from(kind.as_str()));
    typed.extend(item.clone());
    Value::Object(typed)
}
