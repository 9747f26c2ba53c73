//! What merges, and what does not.

use serde_json::{Value, json};

use super::sides::shared;
use crate::domain::document::Shared;
use crate::domain::key::Key;
use crate::domain::kind::{Catalogue, Kind, KindSpec};
use crate::plan::merge::{Merged, differing_paths, merge};

fn kind(kind: &str) -> &'static KindSpec {
    Catalogue::hedgehog().get(&Kind::new(kind)).unwrap()
}

fn object(kind: &str, spec: Value) -> Shared {
    let key = Key { kind: Kind::new(kind), namespace: "default".to_owned(), name: "web".to_owned() };
    shared(&key, spec)
}

/// Base, Git, NetBox.
fn merged(name: &str, [base, git, netbox]: [Value; 3]) -> Merged {
    merge(kind(name), &object(name, base), &object(name, git), &object(name, netbox))
}

fn clean(name: &str, sides: [Value; 3]) -> Value {
    match merged(name, sides) {
        Merged::Clean(object) => object.spec,
        Merged::Overlap(paths) => panic!("they overlap at {paths:?}"),
    }
}

fn overlaps(name: &str, sides: [Value; 3]) -> Vec<String> {
    match merged(name, sides) {
        Merged::Clean(object) => panic!("they merge to {object:?}"),
        Merged::Overlap(paths) => paths,
    }
}

#[test]
fn changes_of_different_fields_merge() {
    let base = json!({"subnets": {"a": {"vlan": 1, "gateway": "x"}}, "vlanNamespace": "default"});
    let git = json!({"subnets": {"a": {"vlan": 7, "gateway": "x"}}, "vlanNamespace": "default"});
    let netbox = json!({"subnets": {"a": {"vlan": 1, "gateway": "y"}, "b": {"vlan": 2}}});

    let both = json!({"subnets": {"a": {"vlan": 7, "gateway": "y"}, "b": {"vlan": 2}}});
    assert_eq!(clean("VPC", [base, git, netbox]), both);
}

#[test]
fn labels_annotations_and_spec_merge_apart() {
    let mut base = object("VPC", json!({"a": 1}));
    base.labels.insert("gone".to_owned(), json!("x"));
    let (mut git, mut netbox) = (base.clone(), base.clone());
    git.labels.insert("by".to_owned(), json!("git"));
    netbox.labels.shift_remove("gone");
    netbox.annotations.insert("note".to_owned(), json!("netbox"));

    let Merged::Clean(both) = merge(kind("VPC"), &base, &git, &netbox) else { panic!() };

    assert_eq!(Value::Object(both.labels), json!({"by": "git"}));
    assert_eq!(Value::Object(both.annotations), json!({"note": "netbox"}));
}

#[test]
fn different_changes_of_one_field_overlap_and_are_named() {
    let sides = [json!({"a/b": {"~": 1}, "c": 1}), json!({"a/b": {"~": 2}, "c": 2}), json!({"a/b": {"~": 3}, "c": 3})];

    assert_eq!(overlaps("VPC", sides), ["/spec/a~1b/~0", "/spec/c"]);
}

#[test]
fn the_same_change_on_both_sides_is_one_change() {
    let sides = [json!({"mtu": 1, "a": 1}), json!({"mtu": 9000.0, "a": 2}), json!({"mtu": 9000, "a": 1, "b": 3})];

    assert_eq!(clean("Switch", sides), json!({"mtu": 9000.0, "a": 2, "b": 3}));
}

#[test]
fn a_deletion_against_a_change_below_it_overlaps() {
    let base = json!({"subnets": {"a": {"vlan": 1}}});
    let without = json!({"subnets": {}});
    let changed = json!({"subnets": {"a": {"vlan": 2}}});

    assert_eq!(overlaps("VPC", [base.clone(), without.clone(), changed.clone()]), ["/spec/subnets/a"]);
    assert_eq!(overlaps("VPC", [base, changed, without]), ["/spec/subnets/a"]);
}

#[test]
fn a_change_of_type_against_a_change_below_it_overlaps() {
    assert_eq!(overlaps("VPC", [json!({"a": {"b": 1}}), json!({"a": 1}), json!({"a": {"b": 2}})]), ["/spec/a"]);
    assert_eq!(overlaps("VPC", [json!({"a": 1}), json!({"a": {"x": 1}}), json!({"a": {"y": 1}})]), ["/spec/a"]);
}

#[test]
fn an_entry_that_both_added_is_merged_field_by_field() {
    let git = json!({"subnets": {"new": {"vlan": 1}}});
    let netbox = json!({"subnets": {"new": {"gateway": "x"}, "other": {}}});

    let both = json!({"subnets": {"new": {"vlan": 1, "gateway": "x"}, "other": {}}});
    assert_eq!(clean("VPC", [json!({}), git, netbox]), both);
}

#[test]
fn an_absent_spec_and_a_null_one_are_the_same() {
    assert_eq!(clean("VPC", [Value::Null, json!({"a": 1}), json!({"b": 1})]), json!({"a": 1, "b": 1}));
    assert_eq!(clean("VPC", [json!({}), Value::Null, json!({})]), Value::Null);
}

#[test]
fn a_list_without_identity_is_one_value() {
    let base = json!({"ranges": [{"from": 1, "to": 2}]});
    let git = json!({"ranges": [{"from": 1, "to": 5}]});
    let netbox = json!({"ranges": [{"from": 0, "to": 2}]});

    assert_eq!(clean("VLANNamespace", [base.clone(), git.clone(), base.clone()]), git);
    assert_eq!(overlaps("VLANNamespace", [base, git, netbox]), ["/spec/ranges"]);
}

#[test]
fn a_list_of_names_keeps_what_each_side_added_and_loses_what_each_removed() {
    let sides =
        [json!({"groups": ["a", "b", "c"]}), json!({"groups": ["a", "x", "c"]}), json!({"groups": ["b", "y", "c"]})];

    assert_eq!(clean("Switch", sides), json!({"groups": ["y", "x", "c"]}));
}

#[test]
fn a_list_with_a_key_merges_item_by_item() {
    let route = |prefix: &str, hop: &str| json!({"prefix": prefix, "nextHops": [hop]});
    let base = json!({"staticRoutes": [route("p1", "h1"), route("p2", "h2")]});
    let git = json!({"staticRoutes": [route("p1", "h9"), route("p2", "h2"), route("p3", "h3")]});
    let netbox = json!({"staticRoutes": [route("p4", "h4"), route("p1", "h1"), route("p2", "h8")]});

    let both = json!({"staticRoutes": [route("p4", "h4"), route("p1", "h9"), route("p2", "h8"), route("p3", "h3")]});
    assert_eq!(clean("VPC", [base, git, netbox]), both);
}

#[test]
fn items_of_a_keyed_list_overlap_by_their_place_in_base() {
    let link = |port: &str, ip: &str| json!({"switch": {"port": port, "ip": ip}});
    let base = json!({"gateway": {"links": [link("s1/1", "a"), link("s1/2", "a")]}});
    let git = json!({"gateway": {"links": [link("s1/2", "b"), link("s1/3", "g")]}});
    let netbox = json!({"gateway": {"links": [link("s1/1", "c"), link("s1/2", "d"), link("s1/3", "n")]}});

    let expected = ["/spec/gateway/links/-/switch/ip", "/spec/gateway/links/0", "/spec/gateway/links/1/switch/ip"];
    assert_eq!(overlaps("Connection", [base, git, netbox]), expected);
}

#[test]
fn an_item_that_both_sides_replaced_by_another_overlaps() {
    let sides =
        [json!({"subnets": ["10.0.0.0/16"]}), json!({"subnets": ["10.0.0.0/15"]}), json!({"subnets": ["10.0.0.0/14"]})];

    assert_eq!(overlaps("IPv4Namespace", sides), ["/spec/subnets"]);
}

#[test]
fn a_keyed_list_with_a_missing_or_doubled_key_is_one_value() {
    let sides = |item: Value| {
        let list = |value: u8| json!({"staticRoutes": [{"prefix": "p", "n": value}, item]});
        [list(0), list(1), list(2)]
    };

    assert_eq!(overlaps("VPC", sides(json!({"nextHops": []}))), ["/spec/staticRoutes"]);
    assert_eq!(overlaps("VPC", sides(json!({"prefix": "p"}))), ["/spec/staticRoutes"]);
}

#[test]
fn the_order_of_gits_keys_is_kept() {
    let git = json!({"z": 1, "b": {"y": 1, "x": 1}, "a": 1});
    let netbox = json!({"a": 1, "b": {"k": 1, "x": 1}, "c": 1, "z": 2});

    let both = clean("VPC", [json!({"a": 1, "b": {"x": 1}, "z": 1}), git, netbox]);

    assert_eq!(both.to_string(), r#"{"z":2,"b":{"y":1,"x":1,"k":1},"a":1,"c":1}"#);
}

#[test]
fn differences_are_named_down_to_the_field() {
    let one = object("VPC", json!({"a": {"b": 1, "c": [1, {"d": 1}]}, "e": [1]}));
    let other = object("VPC", json!({"a": {"b": 1.0, "c": [1, {"d": 2}]}, "e": [1, 2], "f": null}));

    assert_eq!(differing_paths(Some(&one), Some(&other)), ["/spec/a/c/1/d", "/spec/e", "/spec/f"]);
    assert_eq!(differing_paths(Some(&one), None), [""]);
    assert!(differing_paths(None, None).is_empty() && differing_paths(Some(&one), Some(&one)).is_empty());
}
