//! Deletions are guarded.

use super::sides::{World, key, one, outcome, two};
use crate::domain::policy::OnGitDelete;
use crate::plan::{GitSide, NetBoxSide};

/// A fabric of `objects`, of which the first `deleted` went in NetBox.
fn world(objects: u64, deleted: u64) -> World {
    let mut world = World::new();
    world.sides.deletions.objects = objects;
    for id in 0..deleted {
        let name = format!("v{id}");
        world.agreed(&name, id, one());
        world.at(&key(&name)).netbox = NetBoxSide::Absent;
    }
    world
}

#[test]
fn deletions_beyond_both_limits_are_held_and_listed() {
    let plan = world(60, 21).plan();

    assert_eq!((plan.guarded.len(), plan.counts.held, plan.edits.len()), (21, 21, 0));
    assert_eq!(outcome(&plan, &key("v0")), "held deletion_guard");
}

#[test]
fn one_limit_alone_holds_nothing() {
    assert!(world(20, 20).plan().guarded.is_empty(), "20 of 20 are not more than 20");
    assert!(world(70, 21).plan().guarded.is_empty(), "21 of 70 are not more than 30 %");
}

#[test]
fn deletions_of_the_whole_window_count() {
    let mut world = world(40, 1);
    world.sides.deletions.recent = 20;

    let plan = world.plan();

    assert_eq!(plan.guarded.len(), 1, "21 of the 60 objects at the window's start");
}

#[test]
fn deletions_in_both_directions_count() {
    let mut world = world(60, 11);
    world.policy.on_git_delete = OnGitDelete::Delete;
    for id in 100..110 {
        let name = format!("g{id}");
        world.agreed(&name, id, one());
        world.at(&key(&name)).git = GitSide::Absent;
    }

    let plan = world.plan();

    assert_eq!(plan.guarded.len(), 21);
    assert!(plan.netbox.is_empty() && plan.edits.is_empty());
}

#[test]
fn confirmed_deletions_go_and_others_stay_held() {
    let mut world = world(60, 22);
    world.sides.deletions.confirmed = world.plan().guarded;
    world.sides.deletions.confirmed.remove(&key("v3"));

    let plan = world.plan();

    assert_eq!(plan.counts.git_deleted, 21);
    assert_eq!(plan.guarded.iter().collect::<Vec<_>>(), [&key("v3")]);
}

#[test]
fn changes_that_are_no_deletions_go_on_beside_guarded_ones() {
    let mut world = world(60, 30);
    world.agreed("web", 500, one()).row("web", 500, two());

    assert_eq!(world.outcome("web"), "git_updated");
}

#[test]
fn a_fabrics_own_cascade_is_held_as_one_unit() {
    let mut world = world(1_000, 3);
    for name in ["v0", "v1", "v2"] {
        world.at(&key(name)).cascade = true;
    }
    assert_eq!(world.plan().guarded.len(), 3);
    assert_eq!(world.outcome("v1"), "held fabric_deleted");

    world.sides.deletions.confirmed = [key("v0"), key("v1")].into();
    assert_eq!(world.plan().counts.git_deleted, 0, "not in part");

    world.sides.deletions.confirmed.insert(key("v2"));
    assert_eq!(world.plan().counts.git_deleted, 3);
}

#[test]
fn in_a_new_history_each_deletion_of_a_row_is_held_until_it_is_confirmed() {
    let mut world = world(1_000, 1);
    world.policy.on_git_delete = OnGitDelete::Delete;
    world.agreed("web", 500, one()).row("web", 500, one()).at(&key("web")).git = GitSide::Absent;
    world.sides.deletions.new_history = true;

    let plan = world.plan();

    assert_eq!(outcome(&plan, &key("web")), "held new_history");
    assert_eq!(plan.guarded, [key("web")].into());
    assert_eq!(plan.counts.git_deleted, 1, "what went in NetBox has nothing to do with Git's history");

    world.sides.deletions.confirmed = plan.guarded;
    assert_eq!(world.plan().netbox.len(), 1);
}
