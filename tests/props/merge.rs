//! Three-way merges of arbitrary objects.

use fgd_sync::domain::digest::{Digest, same};
use fgd_sync::domain::document::Shared;
use fgd_sync::domain::kind::{Catalogue, Kind, KindSpec};
use fgd_sync::plan::merge::{Merged, differing_paths, merge};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::model::key;

/// Few names and few values, so that two of them often meet.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        3 => (0u8..4).prop_map(Value::from),
        1 => Just(json!(1.0)),
        1 => Just(Value::Null),
        1 => Just(json!("x")),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            3 => map_of(inner.clone()),
            1 => prop::collection::vec(inner, 0..4).prop_map(Value::Array),
        ]
    })
}

fn map_of(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    let name = prop::sample::select(vec!["a", "b", "c", "d/e", "~"]).prop_map(str::to_owned);
    prop::collection::vec((name, inner), 0..5).prop_map(|entries| Value::Object(entries.into_iter().collect()))
}

fn texts() -> impl Strategy<Value = Map<String, Value>> {
    let entry = ("[abc]", "[xyz]").prop_map(|(name, text)| (name, Value::from(text)));
    prop::collection::vec(entry, 0..3).prop_map(|entries| entries.into_iter().collect())
}

fn object() -> impl Strategy<Value = Shared> {
    (texts(), texts(), map_of(value())).prop_map(|(labels, annotations, spec)| Shared {
        key: key("web"),
        labels,
        annotations,
        spec,
    })
}

/// One side's changes of an object: a new value at a path, or nothing there.
fn edits() -> impl Strategy<Value = Vec<(Vec<&'static str>, Option<Value>)>> {
    let name = prop::sample::select(vec!["a", "b", "c", "d/e", "~", "new"]);
    let path = prop::collection::vec(name, 1..4);
    prop::collection::vec((path, prop::option::weighted(0.7, value())), 0..4)
}

fn edited(object: &Shared, edits: &[(Vec<&'static str>, Option<Value>)]) -> Shared {
    let mut edited = object.clone();
    for (path, value) in edits {
        let (last, parents) = path.split_last().expect("a path has a name");
        let parent = parents.iter().try_fold(&mut edited.spec, |value, name| value.get_mut(name));
        let Some(Value::Object(map)) = parent else { continue };
        match value {
            Some(value) => _ = map.insert((*last).to_owned(), value.clone()),
            None => _ = map.shift_remove(*last),
        }
    }
    edited
}

/// The same value, its keys the other way round: as NetBox may list them.
fn turned(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            Value::Object(map.iter().rev().map(|(name, value)| (name.clone(), turned(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(turned).collect()),
        leaf => leaf.clone(),
    }
}

/// The connection's links and a switch's groups are lists whose items have an identity.
fn with_lists() -> impl Strategy<Value = (&'static str, Value)> {
    let port = || (0u8..5).prop_map(|port| format!("s/{port}"));
    let link = (port(), 0u8..3).prop_map(|(port, ip)| json!({"leaf": {"port": port, "ip": ip}}));
    let links = prop::collection::vec(link, 0..5).prop_map(|links| ("Connection", json!({"fabric": {"links": links}})));
    let groups = prop::collection::vec("[a-e]", 0..5).prop_map(|groups| ("Switch", json!({"groups": groups})));
    prop_oneof![links, groups]
}

fn kind(name: &str) -> &'static KindSpec {
    Catalogue::hedgehog().get(&Kind::new(name)).expect("it is in the catalogue")
}

fn vpc() -> &'static KindSpec {
    kind("VPC")
}

fn of_spec(spec: Value) -> Shared {
    Shared { key: key("web"), labels: Map::new(), annotations: Map::new(), spec }
}

fn is(merged: &Merged, wanted: &Shared) -> bool {
    matches!(merged, Merged::Clean(object) if object.digest() == wanted.digest())
}

/// Whether `merged` has what `side` made of `base`, wherever the side changed anything.
fn holds_changes(base: Option<&Value>, side: Option<&Value>, merged: Option<&Value>) -> bool {
    match (base, side) {
        (None, None) => true,
        (Some(base), Some(side)) if same(base, side) => true,
        (Some(Value::Object(base)), Some(Value::Object(side))) => {
            let merged = |name: &String| merged.and_then(|merged| merged.get(name));
            base.keys().chain(side.keys()).all(|name| holds_changes(base.get(name), side.get(name), merged(name)))
        }
        // An entry that both sides added is merged field by field.
        (None, Some(Value::Object(side))) => merged.is_some_and(|merged| {
            merged.is_object() && side.keys().all(|name| holds_changes(None, side.get(name), merged.get(name)))
        }),
        (_, Some(side)) => merged.is_some_and(|merged| same(side, merged)),
        (Some(_), None) => merged.is_none(),
    }
}

/// Whether the names that both have stand in the order of `first`, at every depth.
fn in_order_of(first: &Value, other: &Value) -> bool {
    match (first, other) {
        (Value::Object(first), Value::Object(other)) => {
            let kept = other.keys().filter(|name| first.contains_key(*name));
            let wanted = first.keys().filter(|name| other.contains_key(*name));
            kept.eq(wanted)
                && other.iter().all(|(name, value)| first.get(name).is_none_or(|first| in_order_of(first, value)))
        }
        (_, _) => true,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_only_one_side_changed_is_what_comes_out(base in object(), changed in object()) {
        prop_assert!(is(&merge(vpc(), &base, &changed, &base), &changed));
        prop_assert!(is(&merge(vpc(), &base, &base, &changed), &changed));
        prop_assert!(is(&merge(vpc(), &base, &changed, &changed), &changed));
    }

    #[test]
    fn it_does_not_matter_which_side_is_which(base in object(), one in edits(), other in edits()) {
        let (one, other) = (edited(&base, &one), edited(&base, &other));
        match (merge(vpc(), &base, &one, &other), merge(vpc(), &base, &other, &one)) {
            (Merged::Clean(a), Merged::Clean(b)) => prop_assert_eq!(a.digest(), b.digest()),
            (a, b) => prop_assert_eq!(a, b),
        }
    }

    #[test]
    fn a_clean_merge_has_every_change_of_both_sides_and_keeps_gits_order(base in object(), by_git in edits(), by_netbox in edits()) {
        let git = edited(&base, &by_git);
        let mut netbox = edited(&base, &by_netbox);
        netbox.spec = turned(&netbox.spec);
        if let Merged::Clean(both) = merge(vpc(), &base, &git, &netbox) {
            for side in [&git, &netbox] {
                prop_assert!(holds_changes(Some(&base.spec), Some(&side.spec), Some(&both.spec)), "{side:?} in {both:?}");
            }
            prop_assert!(in_order_of(&git.spec, &both.spec), "{git:?} and {both:?}");
        }
    }

    #[test]
    fn a_merge_of_anything_comes_to_an_end(base in object(), git in object(), netbox in object()) {
        match merge(vpc(), &base, &git, &netbox) {
            Merged::Clean(both) => prop_assert_eq!(both.key, git.key),
            Merged::Overlap(paths) => prop_assert!(!paths.is_empty()),
        }
    }

    #[test]
    fn changes_of_different_fields_always_merge(base in map_of(value()), edits in prop::collection::btree_map("[a-h]", (any::<bool>(), prop::option::of(value())), 0..8)) {
        let apply = |sides: &[bool]| {
            let mut object = base.as_object().cloned().unwrap_or_default();
            for (name, (by_git, value)) in edits.iter().filter(|(_, (by_git, _))| sides.contains(by_git)) {
                match value {
                    Some(value) => _ = object.insert(name.clone(), value.clone()),
                    None => _ = object.shift_remove(name),
                }
                let _ = by_git;
            }
            of_spec(Value::Object(object))
        };

        let merged = merge(vpc(), &of_spec(base.clone()), &apply(&[true]), &apply(&[false]));

        prop_assert!(is(&merged, &apply(&[true, false])), "{merged:?}");
    }

    #[test]
    fn every_overlap_is_where_the_sides_differ(base in object(), git in edits(), netbox in edits()) {
        let (git, netbox) = (edited(&base, &git), edited(&base, &netbox));
        if let Merged::Overlap(paths) = merge(vpc(), &base, &git, &netbox) {
            prop_assert!(!paths.is_empty());
            let differing = differing_paths(Some(&git), Some(&netbox));
            for path in paths {
                prop_assert!(differing.iter().any(|other| other.starts_with(&path) || path.starts_with(other)), "{path} of {differing:?}");
            }
        }
    }

    #[test]
    fn lists_with_keyed_items_merge_alike_from_both_sides((name, base) in with_lists(), (one_name, one) in with_lists(), (other_name, other) in with_lists()) {
        let [base, one, other] = [base, one, other].map(of_spec);
        prop_assert!(is(&merge(kind(name), &base, &one, &base), &one));
        if name == one_name && name == other_name {
            match (merge(kind(name), &base, &one, &other), merge(kind(name), &base, &other, &one)) {
                (Merged::Clean(a), Merged::Clean(b)) => prop_assert_eq!(items(&a), items(&b)),
                (a, b) => prop_assert_eq!(a, b),
            }
        }
    }

    #[test]
    fn no_item_of_a_keyed_list_is_lost_or_doubled(lists in prop::array::uniform3(prop::collection::btree_set("[a-g]", 0..6))) {
        let [base, git, netbox] = lists.clone().map(|groups| of_spec(json!({"groups": groups})));
        let [base_groups, git_groups, netbox_groups] = lists;

        if let Merged::Clean(both) = merge(kind("Switch"), &base, &git, &netbox) {
            let merged: Vec<&str> = both.spec["groups"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            for group in "abcdefg".split("").filter(|group| !group.is_empty()) {
                let votes = (base_groups.contains(group), git_groups.contains(group), netbox_groups.contains(group));
                let wanted = match votes {
                    (true, git, netbox) => git && netbox,
                    (false, git, netbox) => git || netbox,
                };
                prop_assert_eq!(merged.iter().filter(|name| **name == group).count(), usize::from(wanted), "{}", group);
            }
        }
    }
}

/// The digests of a list's items, without their order.
fn items(object: &Shared) -> Vec<Digest> {
    let list = object.spec.pointer("/groups").or(object.spec.pointer("/fabric/links"));
    let mut items: Vec<Digest> = list.and_then(Value::as_array).into_iter().flatten().map(Digest::of).collect();
    items.sort();
    items
}
