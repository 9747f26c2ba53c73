//! Renames and collisions.

use std::sync::Arc;

use serde_json::json;

use super::sides::{World, deleted, document, entry, key, key_in, one, outcome, path, reason, text, two, written};
use crate::domain::digest::Digest;
use crate::domain::names::Oid;
use crate::domain::policy::OnGitDelete;
use crate::domain::row::{Base, GitBase};
use crate::plan::{GitSide, NetBoxSide, Verb};

/// `old` was renamed in NetBox to `new`.
fn renamed() -> World {
    let mut world = World::new();
    world.agreed("old", 7, one());
    world.at(&key("old")).netbox = NetBoxSide::Absent;
    world.row("new", 7, one());
    world
}

#[test]
fn a_rename_writes_the_new_file_and_deletes_the_old_as_one_change() {
    let plan = renamed().plan();

    assert!(deleted(&plan, "managed/vpcs/old.yaml"));
    assert_eq!(document(&written(&plan, "managed/vpcs/new.yaml").unwrap()).key, key("new"));
    let changes: Vec<_> = plan.changes.iter().map(|change| (change.key.name.as_str(), change.verb)).collect();
    assert_eq!(changes, [("new", Verb::Rename)]);
    assert_eq!(plan.base.len(), 2);
}

#[test]
fn a_renamed_file_keeps_its_order_and_annotations() {
    let mut world = renamed();
    let text = "kind: VPC\nspec: {a: 1}\nmetadata:\n  annotations:\n    hnp.githedgehog.com/original-file: raw/x.yaml\n  name: old\n\
                apiVersion: vpc.githedgehog.com/v1alpha2\n";
    world.git_text("old", text).base_text("old", 7, text);

    let new = written(&world.plan(), "managed/vpcs/new.yaml").unwrap();

    assert_eq!(new, text.replace("name: old", "name: new"));
}

#[test]
fn the_old_file_stays_while_the_new_name_is_held() {
    let mut world = renamed();
    world.at(&key("new")).netbox = NetBoxSide::Invalid { id: 7, reason: reason("bad_labels") };

    let plan = world.plan();

    assert_eq!(outcome(&plan, &key("old")), "held rename_held");
    assert!(plan.edits.is_empty());
}

#[test]
fn a_rename_waits_while_the_old_file_was_edited() {
    let mut world = renamed();
    world.git("old", two());

    let plan = world.plan();

    assert_eq!(outcome(&plan, &key("old")), "held deleted_and_changed");
    assert_eq!(outcome(&plan, &key("new")), "held rename_held");
}

#[test]
fn renames_do_not_count_for_the_guard() {
    let mut world = World::new();
    world.sides.deletions.objects = 30;
    for id in 0..30 {
        let (old, new) = (format!("old{id}"), format!("new{id}"));
        world.agreed(&old, id, one());
        world.at(&key(&old)).netbox = NetBoxSide::Absent;
        world.row(&new, id, one());
    }

    let plan = world.plan();

    assert!(plan.guarded.is_empty());
    assert_eq!(plan.counts.git_deleted, 30);
}

#[test]
fn a_change_of_namespace_that_keeps_the_path_only_writes() {
    let mut world = World::new();
    let old = key_in("a", "b");
    let text = text("b", &one()).replace("  name: b\n", "  name: b\n  namespace: a\n");
    world.git_text("a-b", &text).base_text("a-b", 7, &text);
    world.at(&old).netbox = NetBoxSide::Absent;
    world.row("a-b", 7, one());

    let plan = world.plan();

    assert_eq!(document(&written(&plan, "managed/vpcs/a-b.yaml").unwrap()).key, key("a-b"));
}

#[test]
fn of_two_objects_that_want_one_path_the_one_with_a_file_keeps_it() {
    let mut world = World::new();
    world.agreed("a-b", 7, one()).row_at(&key_in("a", "b"), 8, one());

    let plan = world.plan();

    assert_eq!(outcome(&plan, &key("a-b")), "unchanged");
    assert_eq!(outcome(&plan, &key_in("a", "b")), "held path_collision");
    assert!(plan.edits.is_empty());
}

#[test]
fn of_two_new_objects_that_want_one_path_one_is_held_and_names_the_other() {
    let mut world = World::new();
    world.row("a-b", 7, one()).row_at(&key_in("a", "b"), 8, one());

    let plan = world.plan();

    assert_eq!(outcome(&plan, &key_in("a", "b")), "git_created");
    assert_eq!(outcome(&plan, &key("a-b")), "held path_collision");
    assert!(format!("{:?}", plan.items).contains("VPC/a/b"));
}

#[test]
fn a_path_of_a_key_outside_the_scope_is_taken_whatever_its_case() {
    let mut world = World::new();
    world.row("web", 7, one());
    let git = GitBase {
        path: path("managed/vpcs/WEB.yaml"),
        blob: Oid::of_blob(b"WEB"),
        digest: Digest::of(&json!(1)),
        shared: Digest::of(&json!(1)),
    };
    let other = Base { git: Some(git), netbox: None };
    world.sides.base = Arc::new([(key_in("x", "y"), other)].into());

    assert_eq!(world.outcome("web"), "held path_collision");
}

#[test]
fn a_file_that_is_no_objects_is_not_overwritten() {
    let mut world = World::new();
    world.row("web", 7, one());
    world.sides.tree.insert(path("managed/vpcs/web.yaml"), entry(b"not ours"));

    assert_eq!(world.outcome("web"), "held path_collision");
}

#[test]
fn a_path_that_another_object_leaves_is_free() {
    let mut world = World::new();
    world.agreed("a-b", 7, one()).row_at(&key_in("a", "b"), 8, one());
    world.at(&key("a-b")).netbox = NetBoxSide::Absent;

    let plan = world.plan();

    assert_eq!(document(&written(&plan, "managed/vpcs/a-b.yaml").unwrap()).key, key_in("a", "b"));
}

#[test]
fn a_collision_is_found_before_netbox_is_written() {
    let mut world = World::new();
    world.agreed("a-b", 7, one());
    world.raw("x.yaml", &text("b", &one()).replace("  name: b\n", "  name: b\n  namespace: a\n"));

    let plan = world.plan();

    assert_eq!(super::sides::fates(&plan), ["held path_collision"]);
    assert!(plan.netbox.is_empty());
}

#[test]
fn a_rename_of_the_file_in_git_creates_the_new_object_and_asks_about_the_old() {
    let mut world = World::new();
    world.agreed("old", 7, one()).git("new", one());
    world.at(&key("old")).git = GitSide::Absent;
    assert_eq!(world.outcome("new"), "netbox_created");
    assert_eq!(world.outcome("old"), "held deleted_in_git");

    world.policy.on_git_delete = OnGitDelete::Delete;

    assert_eq!(world.outcome("old"), "netbox_deleted");
}

#[test]
fn a_path_that_a_renamed_object_leaves_is_free_for_others_too() {
    let mut world = World::new();
    let text = text("b", &one()).replace("  name: b\n", "  name: b\n  namespace: a\n");
    world.git_text("a-b", &text).base_text("a-b", 7, &text);
    world.at(&key_in("a", "b")).netbox = NetBoxSide::Absent;
    world.row("new", 7, one()).row("a-b", 8, one());

    let plan = world.plan();

    assert_eq!(document(&written(&plan, "managed/vpcs/a-b.yaml").unwrap()).key, key("a-b"));
    assert!(written(&plan, "managed/vpcs/new.yaml").is_some());
}
