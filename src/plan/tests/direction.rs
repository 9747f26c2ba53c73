//! Fabrics whose changes go one way.

use super::sides::{World, deleted, document, fates, key, one, outcome, path, text, three, two, written};
use crate::domain::conflict::{Choice, Resolution};
use crate::domain::policy::{Direction, OnConflict, OnDrift, OnFirstDifference, OnGitDelete, Policy};
use crate::plan::direction::confine;
use crate::plan::table::Decision;
use crate::plan::{FabricPlan, GitSide, NetBoxSide, NetBoxWrite, Overwritten};

fn world(direction: Direction, on_drift: OnDrift) -> World {
    let mut world = World::new();
    world.policy.direction = direction;
    world.policy.on_drift = on_drift;
    world
}

/// NetBox leads.
fn from_netbox(on_drift: OnDrift) -> World {
    world(Direction::NetboxToGit, on_drift)
}

/// Git leads.
fn from_git(on_drift: OnDrift) -> World {
    world(Direction::GitToNetbox, on_drift)
}

fn file_is(plan: &FabricPlan, spec: serde_json::Value) -> bool {
    written(plan, "managed/vpcs/web.yaml").is_some_and(|text| document(&text).shared().spec == spec)
}

fn updates_to(plan: &FabricPlan, spec: serde_json::Value) -> bool {
    matches!(plan.netbox.as_slice(), [NetBoxWrite::Update { want, .. }] if want.spec == spec)
}

#[test]
fn the_leading_sides_changes_go_on_as_everywhere() {
    let mut netbox = from_netbox(OnDrift::Report);
    netbox.agreed("web", 7, one()).row("web", 7, two());
    assert!(file_is(&netbox.plan(), two()));

    let mut netbox = from_netbox(OnDrift::Report);
    netbox.agreed("web", 7, one()).at(&key("web")).netbox = NetBoxSide::Absent;
    assert!(deleted(&netbox.plan(), "managed/vpcs/web.yaml"));

    let mut git = from_git(OnDrift::Report);
    git.agreed("web", 7, one()).git("web", two());
    assert!(updates_to(&git.plan(), two()));

    let mut git = from_git(OnDrift::Report);
    git.policy.on_git_delete = OnGitDelete::Delete;
    git.agreed("web", 7, one()).at(&key("web")).git = GitSide::Absent;
    assert!(matches!(git.plan().netbox.as_slice(), [NetBoxWrite::Delete { .. }]));
}

#[test]
fn a_change_on_the_other_side_is_drift_and_left() {
    let mut netbox = from_netbox(OnDrift::Report);
    netbox.agreed("web", 7, one()).git("web", two());
    let plan = netbox.plan();
    assert_eq!(outcome(&plan, &key("web")), "held drift");
    assert!(plan.netbox.is_empty() && plan.edits.is_empty() && plan.conflicts.is_empty());

    let mut git = from_git(OnDrift::Report);
    git.agreed("web", 7, one()).row("web", 7, two());
    let plan = git.plan();
    assert_eq!(outcome(&plan, &key("web")), "held drift");
    assert!(plan.netbox.is_empty() && plan.edits.is_empty() && plan.conflicts.is_empty());
}

#[test]
fn healing_puts_the_leading_sides_content_back_and_names_what_goes() {
    let mut netbox = from_netbox(OnDrift::Heal);
    netbox.agreed("web", 7, one()).git("web", two());
    let plan = netbox.plan();
    assert!(file_is(&plan, one()));
    assert!(matches!(plan.overwritten.as_slice(), [Overwritten::File { .. }]));

    let mut git = from_git(OnDrift::Heal);
    git.agreed("web", 7, one()).row("web", 7, two());
    let plan = git.plan();
    assert!(updates_to(&plan, one()));
    assert!(matches!(plan.overwritten.as_slice(), [Overwritten::Row { .. }]));
}

#[test]
fn healing_brings_back_what_was_deleted() {
    let mut netbox = from_netbox(OnDrift::Heal);
    netbox.base("web", 7, one()).row("web", 7, one());
    assert!(file_is(&netbox.plan(), one()));

    let mut git = from_git(OnDrift::Heal);
    git.agreed("web", 7, one()).at(&key("web")).netbox = NetBoxSide::Absent;
    assert!(matches!(git.plan().netbox.as_slice(), [NetBoxWrite::Create { want }] if want.spec == one()));
}

#[test]
fn what_both_changed_is_drift_or_healed_and_never_merged() {
    for (direction, on_drift) in [
        (Direction::NetboxToGit, OnDrift::Report),
        (Direction::NetboxToGit, OnDrift::Heal),
        (Direction::GitToNetbox, OnDrift::Report),
        (Direction::GitToNetbox, OnDrift::Heal),
    ] {
        let mut world = world(direction, on_drift);
        world.policy.on_conflict = OnConflict::Git;
        world.base("web", 7, one()).git("web", two()).row("web", 7, three());

        let plan = world.plan();

        assert!(plan.merged.is_empty());
        match (direction, on_drift) {
            (_, OnDrift::Report) => assert_eq!(outcome(&plan, &key("web")), "held drift"),
            (Direction::NetboxToGit, OnDrift::Heal) => assert!(file_is(&plan, three())),
            (_, OnDrift::Heal) => assert!(updates_to(&plan, two())),
        }
    }
}

#[test]
fn what_was_never_agreed_on_is_never_deleted_by_healing() {
    let mut netbox = from_netbox(OnDrift::Heal);
    netbox.git("web", one());
    assert_eq!(netbox.outcome("web"), "held drift");

    let mut git = from_git(OnDrift::Heal);
    git.row("web", 7, one());
    assert_eq!(git.outcome("web"), "held drift");
}

#[test]
fn a_first_difference_still_follows_its_own_policy() {
    let mut world = from_netbox(OnDrift::Heal);
    world.git("web", one()).row("web", 7, two());
    assert_eq!(world.outcome("web"), "held first_difference");

    world.policy.on_first_difference = OnFirstDifference::Netbox;
    assert_eq!(world.outcome("web"), "git_updated");
}

#[test]
fn nothing_goes_against_the_direction_whoever_asks() {
    let mut world = from_netbox(OnDrift::Report);
    world.git("web", one()).row("web", 7, two());
    let digest = |spec| Some(super::sides::digest(&key("web"), spec));
    let resolution =
        Resolution { choice: Choice::Git, git: digest(one()), netbox: digest(two()), by: "kim".to_owned() };
    world.at(&key("web")).resolution = Some(resolution.clone());
    let plan = world.plan();
    assert_eq!(outcome(&plan, &key("web")), "held direction");
    assert!(plan.answered.contains(&key("web")));

    world.policy.direction = Direction::GitToNetbox;
    world.at(&key("web")).resolution = Some(Resolution { choice: Choice::Netbox, ..resolution });
    assert_eq!(world.outcome("web"), "held direction");
}

#[test]
fn whatever_was_decided_is_confined_to_the_direction() {
    let mut world = World::new();
    world.agreed("web", 7, one()).git("web", two());
    let write = world.plan().netbox.remove(0);
    let send = || Decision::Send { write: Box::new(write.clone()), file: None, merged: None };
    let write_file = || Decision::WriteFile { path: path("managed/vpcs/web.yaml"), merged: false };
    let delete_file = || Decision::DeleteFile { path: path("managed/vpcs/web.yaml") };
    let confined = |decision, direction| {
        let policy = Policy { direction, ..Policy::default() };
        confine(decision, &policy).held_for().map(|reason| reason.code.clone())
    };

    let against = Some("direction".to_owned());
    let decisions = || [send(), write_file(), delete_file()];
    let of = |direction| decisions().map(|decision| confined(decision, direction));
    assert_eq!(of(Direction::Both), [None, None, None]);
    assert_eq!(of(Direction::NetboxToGit), [against.clone(), None, None]);
    assert_eq!(of(Direction::GitToNetbox), [None, against.clone(), against]);
}

#[test]
fn a_raw_document_is_held_where_netbox_leads_unless_netbox_has_it() {
    let mut world = from_netbox(OnDrift::Heal);
    world.agreed("web", 7, one()).row("web", 7, two()).raw("a.yaml", &text("web", &three()));
    let plan = world.plan();
    assert_eq!(fates(&plan), ["held direction"]);
    assert!(file_is(&plan, two()), "its object goes on");

    world.row("web", 7, three());
    assert_eq!(fates(&world.plan()), ["ingested updated"]);
}

#[test]
fn a_raw_document_is_gits_word_where_git_leads() {
    let drifted = |on_drift| {
        let mut world = from_git(on_drift);
        world.agreed("web", 7, one()).row("web", 7, two()).raw("a.yaml", &text("web", &three()));
        world.plan()
    };

    assert_eq!(fates(&drifted(OnDrift::Report)), ["held drift"]);
    assert!(updates_to(&drifted(OnDrift::Heal), three()));
}

#[test]
fn a_rename_in_netbox_is_drift_where_git_leads() {
    let mut world = from_git(OnDrift::Heal);
    world.agreed("old", 7, one()).row("new", 7, one()).at(&key("old")).netbox = NetBoxSide::Absent;

    let plan = world.plan();

    assert_eq!(outcome(&plan, &key("old")), "held renamed_in_netbox");
    assert_eq!(outcome(&plan, &key("new")), "held drift");
    assert!(plan.netbox.is_empty());
}

#[test]
fn an_outstanding_write_is_taken_back_where_git_leads_and_followed_where_netbox_does() {
    let outstanding = |mut world: World| {
        world.base("web", 7, one()).git("web", one()).row("web", 7, two()).intent("web", Some(one()), Some(two()));
        world.plan()
    };

    assert!(updates_to(&outstanding(from_git(OnDrift::Report)), one()));
    assert!(file_is(&outstanding(from_netbox(OnDrift::Report)), two()));
}

#[test]
fn a_row_that_an_outstanding_write_made_goes_with_its_file_where_git_leads() {
    let mut world = from_git(OnDrift::Report);
    world.policy.on_git_delete = OnGitDelete::Hold;
    world.row("web", 7, one()).intent("web", None, Some(one()));

    assert!(matches!(world.plan().netbox.as_slice(), [NetBoxWrite::Delete { .. }]));
}

#[test]
fn a_difference_that_nobody_made_is_no_order_to_write_where_git_leads() {
    let mut world = from_git(OnDrift::Heal);
    let at = world.agreed("web", 7, one()).at(&key("web"));
    let differs = super::sides::digest(&key("web"), two());
    at.base.as_mut().and_then(|base| base.netbox.as_mut()).expect("both agreed").digest = differs;
    world.row("web", 7, two());

    let plan = world.plan();

    assert!(plan.netbox.is_empty() && plan.edits.is_empty());
    assert_eq!(plan.conflicts.len(), 1);
}
