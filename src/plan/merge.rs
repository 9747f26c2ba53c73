//! Three-way merge of one object: what only one side changed is taken, what both changed differently is an overlap.
//!
//! Maps are merged by key. A list is merged by its items where the catalogue says what tells them apart, and is one
//! value otherwise. A field that one side deleted and the other changed is an overlap, as is one that both changed,
//! unless they changed it to the same.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::domain::digest::{Digest, same};
use crate::domain::document::Shared;
use crate::domain::kind::{ItemKey, KindSpec};

/// What came of a merge.
#[derive(Debug, Clone, PartialEq)]
pub enum Merged {
    /// Holds every change of both sides; keys stand in Git's order.
    Clean(Box<Shared>),
    /// JSON pointers into the document, sorted: where the two sides contradict each other.
    ///
    /// An item of a list is named by its place in base's list, or by `-` when base does not have it.
    Overlap(Vec<String>),
}

/// Merges what Git and NetBox made of `base`. All three are the same object's.
pub fn merge(spec: &KindSpec, base: &Shared, git: &Shared, netbox: &Shared) -> Merged {
    let mut merge = Merge { spec, path: Vec::new(), overlaps: BTreeSet::new() };
    let labels = merge.field(&["metadata", "labels"], |merge| merge.maps(&base.labels, &git.labels, &netbox.labels));
    let annotations = merge.field(&["metadata", "annotations"], |merge| {
        merge.maps(&base.annotations, &git.annotations, &netbox.annotations)
    });
    let body =
        merge.field(&["spec"], |merge| merge.value(present(&base.spec), present(&git.spec), present(&netbox.spec)));
    if merge.overlaps.is_empty() {
        let spec = body.unwrap_or(Value::Null);
        return Merged::Clean(Box::new(Shared { key: git.key.clone(), labels, annotations, spec }));
    }
    Merged::Overlap(merge.overlaps.into_iter().collect())
}

/// JSON pointers to where two states of an object differ, sorted; the whole document's where only one exists.
pub fn differing_paths(one: Option<&Shared>, other: Option<&Shared>) -> Vec<String> {
    let (Some(one), Some(other)) = (one, other) else {
        return if one.is_none() && other.is_none() { Vec::new() } else { vec![String::new()] };
    };
    let mut paths = BTreeSet::new();
    compare_maps("/metadata/labels", &one.labels, &other.labels, &mut paths);
    compare_maps("/metadata/annotations", &one.annotations, &other.annotations, &mut paths);
    compare("/spec", present(&one.spec), present(&other.spec), &mut paths);
    paths.into_iter().collect()
}

fn compare(path: &str, one: Option<&Value>, other: Option<&Value>, paths: &mut BTreeSet<String>) {
    match (one, other) {
        (Some(Value::Object(one)), Some(Value::Object(other))) => compare_maps(path, one, other, paths),
        (Some(Value::Array(one)), Some(Value::Array(other))) if one.len() == other.len() => {
            for (index, (one, other)) in one.iter().zip(other).enumerate() {
                compare(&format!("{path}/{index}"), Some(one), Some(other), paths);
            }
        }
        (one, other) if alike(one, other) => {}
        (_, _) => _ = paths.insert(path.to_owned()),
    }
}

fn compare_maps(path: &str, one: &Map<String, Value>, other: &Map<String, Value>, paths: &mut BTreeSet<String>) {
    let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    for name in names {
        compare(&format!("{path}/{}", escaped(name)), one.get(name), other.get(name), paths);
    }
}

/// An absent spec and a null one are the same.
fn present(spec: &Value) -> Option<&Value> {
    (!spec.is_null()).then_some(spec)
}

fn alike(one: Option<&Value>, other: Option<&Value>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => same(one, other),
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// As RFC 6901 writes a name in a pointer.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// One merge on its way through the three documents.
struct Merge<'a> {
    spec: &'a KindSpec,
    /// Names from the document's root.
    path: Vec<String>,
    overlaps: BTreeSet<String>,
}

impl Merge<'_> {
    fn field<T>(&mut self, names: &[&str], merge: impl FnOnce(&mut Self) -> T) -> T {
        let depth = self.path.len();
        self.path.extend(names.iter().map(|name| (*name).to_owned()));
        let merged = merge(self);
        self.path.truncate(depth);
        merged
    }

    /// The value that both sides end with; `None` when it is gone. After an overlap it means nothing.
    fn value(&mut self, base: Option<&Value>, git: Option<&Value>, netbox: Option<&Value>) -> Option<Value> {
        if alike(git, netbox) || alike(base, netbox) {
            return git.cloned();
        }
        match (base, git, netbox) {
            (None, Some(Value::Object(git)), Some(Value::Object(netbox))) => {
                Some(Value::Object(self.maps(&Map::new(), git, netbox)))
            }
            (Some(Value::Object(base)), Some(Value::Object(git)), Some(Value::Object(netbox))) => {
                Some(Value::Object(self.maps(base, git, netbox)))
            }
            (base, git, netbox) if alike(base, git) => netbox.cloned(),
            (None, Some(Value::Array(git)), Some(Value::Array(netbox))) => self.lists(&[], git, netbox),
            (Some(Value::Array(base)), Some(Value::Array(git)), Some(Value::Array(netbox))) => {
                self.lists(base, git, netbox)
            }
            (_, _, _) => self.overlap(),
        }
    }

    fn overlap<T>(&mut self) -> Option<T> {
        self.overlaps.insert(self.path.iter().map(|name| format!("/{}", escaped(name))).collect());
        None
    }

    fn maps(
        &mut self,
        base: &Map<String, Value>,
        git: &Map<String, Value>,
        netbox: &Map<String, Value>,
    ) -> Map<String, Value> {
        let added: BTreeSet<&String> = netbox.keys().filter(|name| !git.contains_key(*name)).collect();
        let mut merged = Map::new();
        for name in git.keys().chain(added) {
            let value = self.field(&[name], |merge| merge.value(base.get(name), git.get(name), netbox.get(name)));
            if let Some(value) = value {
                merged.insert(name.clone(), value);
            }
        }
        merged
    }

    fn lists(&mut self, base: &[Value], git: &[Value], netbox: &[Value]) -> Option<Value> {
        let key = self.path.split_first().filter(|(root, _)| *root == "spec");
        let key = key.and_then(|(_, path)| self.spec.item_key(path));
        let by_item = key.and_then(|key| Some((Items::of(base, key)?, Items::of(git, key)?, Items::of(netbox, key)?)));
        let Some((base, git, netbox)) = by_item else { return self.overlap() };
        if replaced_differently(&base, &git, &netbox) {
            return self.overlap();
        }
        Some(Value::Array(self.items(&base, &git, &netbox)))
    }

    /// Git's items in Git's order; what NetBox added stands behind what it stands behind there.
    fn items(&mut self, base: &Items, git: &Items, netbox: &Items) -> Vec<Value> {
        let mut merged: Vec<(&Digest, Value)> = Vec::new();
        for (id, item) in &git.in_order {
            if let Some(item) = self.item(id, base, (Some(item), netbox.get(id))) {
                merged.push((id, item));
            }
        }
        for (index, (id, item)) in netbox.in_order.iter().enumerate().filter(|(_, (id, _))| git.get(id).is_none()) {
            let Some(item) = self.item(id, base, (None, Some(item))) else { continue };
            let before = netbox.in_order[..index].iter().rev();
            let behind = before.filter_map(|(id, _)| merged.iter().position(|(other, _)| *other == id)).next();
            merged.insert(behind.map_or(0, |place| place + 1), (id, item));
        }
        merged.into_iter().map(|(_, item)| item).collect()
    }

    fn item(&mut self, id: &Digest, base: &Items, (git, netbox): (Option<&Value>, Option<&Value>)) -> Option<Value> {
        let place = base.in_order.iter().position(|(other, _)| other == id);
        let name = place.map_or("-".to_owned(), |place| place.to_string());
        self.field(&[&name], |merge| merge.value(base.get(id), git, netbox))
    }
}

/// The longest list that is merged by its items: the work grows with the square of it.
const MAX_ITEMS: usize = 2_000;

/// The items of a list by what tells them apart.
struct Items<'a> {
    in_order: Vec<(Digest, &'a Value)>,
    by_id: BTreeMap<Digest, &'a Value>,
}

impl<'a> Items<'a> {
    /// `None` when an item has no identity, or two have the same, or there are too many.
    fn of(list: &'a [Value], key: &ItemKey) -> Option<Self> {
        if list.len() > MAX_ITEMS {
            return None;
        }
        let mut items = Self { in_order: Vec::new(), by_id: BTreeMap::new() };
        for item in list {
            let id = match key {
                ItemKey::Whole => item,
                ItemKey::Field(names) => names.iter().try_fold(item, |value, name| value.get(name))?,
            };
            let id = Digest::of(id);
            items.in_order.push((id.clone(), item));
            if items.by_id.insert(id, item).is_some() {
                return None;
            }
        }
        Some(items)
    }

    fn get(&self, id: &Digest) -> Option<&'a Value> {
        self.by_id.get(id).copied()
    }

    fn without<'s>(&'s self, others: &'s [&Items]) -> impl Iterator<Item = &'s Digest> {
        self.by_id.keys().filter(|id| others.iter().all(|items| items.get(id).is_none()))
    }
}

/// Both took away the same item and each put something else there: two replacements of one thing, not two additions.
fn replaced_differently(base: &Items, git: &Items, netbox: &Items) -> bool {
    base.without(&[git, netbox]).next().is_some()
        && git.without(&[base, netbox]).next().is_some()
        && netbox.without(&[base, git]).next().is_some()
}
