//! Both sides changed: what merges, what conflicts, who decides.

use serde_json::{Value, json};

use super::sides::{
    World, deleted, digest, document, key, one, outcome, path, reason, shared, text, three, two, written,
};
use crate::domain::conflict::{Choice, Content, LostEdit, Resolution};
use crate::domain::names::Oid;
use crate::domain::policy::{OnConflict, OnFirstDifference, OnGitDelete};
use crate::domain::row::{GitBase, MergedFrom, Row};
use crate::plan::written::{acknowledged, intent};
use crate::plan::{Ancestor, FabricPlan, GitSide, NetBoxSide, NetBoxWrite, Overwritten, ancestor_blob};

/// `a` and `b` may change apart.
fn of(a: u8, b: u8) -> Value {
    json!({"a": a, "b": b})
}

/// Both sides had (1, 1); then Git and NetBox changed it.
fn changed(git: Value, netbox: Value) -> World {
    let mut world = World::new();
    world.base("web", 7, of(1, 1)).git("web", git).row("web", 7, netbox);
    world
}

fn choose(world: &mut World, choice: Choice, git: Option<Value>, netbox: Option<Value>) {
    let digest = |spec: Option<Value>| spec.map(|spec| digest(&key("web"), spec));
    let (git, netbox) = (digest(git), digest(netbox));
    world.at(&key("web")).resolution = Some(Resolution { choice, git, netbox, by: "kim".to_owned() });
}

/// NetBox takes the plan's only write.
fn netbox_takes_it(world: &mut World, plan: &FabricPlan) {
    let [write] = plan.netbox.as_slice() else { panic!("{:?}", plan.netbox) };
    let intent = intent(plan, write, world.at(write.key()).base.as_ref(), None);
    let row = match write {
        NetBoxWrite::Create { want } => Some(Row { id: 9, shared: want.clone(), last_updated: "now".to_owned() }),
        NetBoxWrite::Update { against, want } => Some(Row { shared: want.clone(), ..(**against).clone() }),
        NetBoxWrite::Delete { .. } => None,
    };
    let side = world.at(write.key());
    side.base = acknowledged(&intent, side, row.as_ref());
    side.intent = Some(intent);
    side.netbox = row.map_or(NetBoxSide::Absent, |row| NetBoxSide::Row(Box::new(row)));
}

fn wanted(plan: &FabricPlan) -> &Value {
    match plan.netbox.as_slice() {
        [NetBoxWrite::Create { want } | NetBoxWrite::Update { want, .. }] => &want.spec,
        other => panic!("{other:?}"),
    }
}

fn file_of(plan: &FabricPlan) -> Value {
    document(&written(plan, "managed/vpcs/web.yaml").expect("the file is written")).shared().spec
}

fn conflict(plan: &FabricPlan) -> &crate::domain::conflict::Conflict {
    &plan.conflicts[&key("web")].0
}

#[test]
fn changes_of_different_fields_go_to_netbox_and_then_to_the_file() {
    let mut world = changed(of(2, 1), of(1, 3));
    world.at(&key("web")).changed_by.insert("ann".to_owned());

    let first = world.plan();
    assert_eq!(*wanted(&first), of(2, 3));
    assert!(first.edits.is_empty() && first.base.is_empty() && first.overwritten.is_empty());
    netbox_takes_it(&mut world, &first);
    let second = world.plan();

    assert!(second.netbox.is_empty());
    assert_eq!(file_of(&second), of(2, 3));
    assert!(second.changed_by.contains("ann"));
    let update = &second.base[0];
    let base = update.base.as_ref().unwrap();
    assert!(update.clears_intent && base.netbox.as_ref().unwrap().digest == base.git.as_ref().unwrap().shared);
    assert!(second.overwritten.is_empty());
}

#[test]
fn a_merge_whose_answer_was_never_recorded_is_followed_by_its_commit() {
    let mut world = changed(of(2, 1), of(1, 3));
    let plan = world.plan();
    let side = world.at(&key("web"));
    side.intent = Some(intent(&plan, &plan.netbox[0], side.base.as_ref(), None));
    world.row("web", 7, of(2, 3));

    let plan = world.plan();

    assert!(plan.netbox.is_empty(), "the row holds NetBox's change, which nothing may overwrite");
    assert_eq!(file_of(&plan), of(2, 3));
}

#[test]
fn a_push_between_a_merges_write_and_its_commit_is_merged_with_what_was_merged() {
    let mut world = changed(of(2, 1), of(1, 3));
    let plan = world.plan();
    netbox_takes_it(&mut world, &plan);
    world.history_of("web", of(2, 1));
    world.git("web", of(5, 1));

    let plan = world.plan();

    assert_eq!(*wanted(&plan), of(5, 3));
}

#[test]
fn a_change_in_netbox_between_a_merges_write_and_its_commit_goes_to_the_file() {
    let mut world = changed(of(2, 1), of(1, 3));
    let plan = world.plan();
    netbox_takes_it(&mut world, &plan);
    world.row("web", 7, of(2, 4));

    assert_eq!(file_of(&world.plan()), of(2, 4));
}

#[test]
fn a_file_that_says_no_more_than_netbox_follows_it() {
    let world = changed(of(2, 1), of(2, 3));

    let plan = world.plan();

    assert_eq!(file_of(&plan), of(2, 3));
    assert!(plan.overwritten.is_empty(), "all that Git changed is there");
}

#[test]
fn a_row_that_says_no_more_than_git_is_written() {
    let world = changed(of(2, 3), of(2, 1));

    assert_eq!(*wanted(&world.plan()), of(2, 3));
}

#[test]
fn a_merged_file_keeps_its_order_and_what_netbox_cannot_hold() {
    let before = "kind: VPC\nspec:\n  z: 1\n  a: 1\nmetadata:\n  name: web\napiVersion: vpc.githedgehog.com/v1alpha2\n";
    let mut world = World::new();
    world.base_text("web", 7, before).git_text("web", &before.replace("z: 1", "z: 2")).row(
        "web",
        7,
        json!({"a": 5, "b": 1, "z": 1}),
    );
    let plan = world.plan();
    netbox_takes_it(&mut world, &plan);

    let text = written(&world.plan(), "managed/vpcs/web.yaml").unwrap();

    assert_eq!(text, before.replace("z: 1\n  a: 1\n", "z: 2\n  a: 5\n  b: 1\n"));
}

#[test]
fn different_changes_of_one_field_are_a_conflict_that_says_everything() {
    let mut world = changed(of(2, 1), of(3, 1));
    world.at(&key("web")).changed_by.insert("ann".to_owned());
    world.sides.head = Some(Oid::of_blob(b"the head"));

    let plan = world.plan();

    assert_eq!(outcome(&plan, &key("web")), "held changed_on_both_sides");
    assert!(plan.netbox.is_empty() && plan.edits.is_empty() && plan.base.is_empty());
    let (found, documents) = &plan.conflicts[&key("web")];
    assert_eq!(found.paths, ["/spec/a"]);
    let (git, netbox) = (found.git.as_ref().unwrap(), found.netbox.as_ref().unwrap());
    assert_eq!((git.path.as_str(), git.head.clone()), ("fabrics/lab/managed/vpcs/web.yaml", world.sides.head.clone()));
    assert_eq!((netbox.id, netbox.changed_by.iter().map(String::as_str).collect::<Vec<_>>()), (7, vec!["ann"]));
    let spec =
        |content: &Option<Content>| content.as_ref().and_then(|content| content.shared(&key("web"))).unwrap().spec;
    assert_eq!([&documents.base, &documents.git, &documents.netbox].map(spec), [of(1, 1), of(2, 1), of(3, 1)]);
}

#[test]
fn a_conflict_holds_only_its_own_object() {
    let mut world = changed(of(2, 1), of(3, 1));
    world.agreed("other", 8, one()).row("other", 8, two());

    let plan = world.plan();

    assert_eq!(outcome(&plan, &key("other")), "git_updated");
    assert_eq!(plan.conflicts.len(), 1);
}

#[test]
fn a_base_that_git_lost_is_a_conflict_with_that_reason() {
    let mut world = changed(of(2, 1), of(1, 3));
    world.at(&key("web")).ancestor = Ancestor::Gone(reason("base_gone"));

    let plan = world.plan();

    assert_eq!(outcome(&plan, &key("web")), "held base_gone");
    assert_eq!(conflict(&plan).paths, ["/spec/a", "/spec/b"]);
}

#[test]
fn halves_of_a_base_that_differ_are_no_base_for_a_merge() {
    let mut world = changed(of(2, 1), of(1, 3));
    let base = world.at(&key("web")).base.as_mut().unwrap();
    base.netbox.as_mut().unwrap().digest = digest(&key("web"), of(9, 9));

    assert_eq!(world.outcome("web"), "held no_common_base");
}

#[test]
fn what_both_sides_agreed_on_is_read_only_where_both_changed() {
    let mut world = changed(of(2, 1), of(1, 3));
    world.agreed("other", 8, one()).row("other", 8, two());
    world.base("equal", 9, one()).git("equal", two()).row("equal", 9, two());
    let blob = |name: &str| ancestor_blob(&key(name), &world.sides.keys[&key(name)]);

    assert_eq!(blob("web"), Some(Oid::of_blob(text("web", &of(1, 1)).as_bytes())));
    assert_eq!((blob("other"), blob("equal")), (None, None));
}

#[test]
fn the_policy_may_choose_netbox_and_the_file_is_named() {
    let mut world = changed(of(2, 1), of(3, 1));
    world.policy.on_conflict = OnConflict::Netbox;

    let plan = world.plan();

    assert_eq!(file_of(&plan), of(3, 1));
    let blob = Oid::of_blob(text("web", &of(2, 1)).as_bytes());
    let file = Overwritten::File { key: key("web"), path: path("managed/vpcs/web.yaml"), blob };
    assert_eq!(plan.overwritten, [file]);
}

#[test]
fn the_policy_may_choose_git_and_the_rows_content_is_named() {
    let mut world = changed(of(2, 1), of(3, 1));
    world.policy.on_conflict = OnConflict::Git;

    let plan = world.plan();

    assert_eq!(*wanted(&plan), of(2, 1));
    assert_eq!(plan.overwritten, [Overwritten::Row { key: key("web"), digest: digest(&key("web"), of(3, 1)) }]);
}

#[test]
fn changes_that_merge_are_merged_whatever_the_policy() {
    for policy in [OnConflict::Hold, OnConflict::Netbox, OnConflict::Git] {
        let mut world = changed(of(2, 1), of(1, 3));
        world.policy.on_conflict = policy;

        assert_eq!(*wanted(&world.plan()), of(2, 3));
    }
}

#[test]
fn a_deletion_against_an_edit_follows_the_policy() {
    let deleted_in_netbox = |policy| {
        let mut world = World::new();
        world.base("web", 7, one()).git("web", two());
        world.policy.on_conflict = policy;
        world.plan()
    };
    assert!(deleted(&deleted_in_netbox(OnConflict::Netbox), "managed/vpcs/web.yaml"));
    assert!(matches!(deleted_in_netbox(OnConflict::Netbox).overwritten.as_slice(), [Overwritten::File { .. }]));
    assert!(matches!(deleted_in_netbox(OnConflict::Git).netbox.as_slice(), [NetBoxWrite::Create { .. }]));
    assert_eq!(conflict(&deleted_in_netbox(OnConflict::Hold)).netbox, None);

    let deleted_in_git = |policy, on_git_delete| {
        let mut world = World::new();
        world.base("web", 7, one()).row("web", 7, two());
        world.policy.on_conflict = policy;
        world.policy.on_git_delete = on_git_delete;
        world.plan()
    };
    assert_eq!(file_of(&deleted_in_git(OnConflict::Netbox, OnGitDelete::Hold)), two());
    let held = deleted_in_git(OnConflict::Git, OnGitDelete::Hold);
    assert_eq!(outcome(&held, &key("web")), "held deleted_in_git");
    let plan = deleted_in_git(OnConflict::Git, OnGitDelete::Delete);
    assert!(matches!(plan.netbox.as_slice(), [NetBoxWrite::Delete { .. }]));
    assert!(matches!(plan.overwritten.as_slice(), [Overwritten::Row { .. }]));
}

#[test]
fn a_person_chooses_a_side() {
    let mut world = changed(of(2, 1), of(3, 1));
    choose(&mut world, Choice::Netbox, Some(of(2, 1)), Some(of(3, 1)));
    assert_eq!(file_of(&world.plan()), of(3, 1));
    assert!(world.plan().answered.contains(&key("web")));

    choose(&mut world, Choice::Git, Some(of(2, 1)), Some(of(3, 1)));
    let plan = world.plan();
    assert_eq!(*wanted(&plan), of(2, 1));
    assert!(plan.answered.is_empty(), "it is answered when the row is written");
    netbox_takes_it(&mut world, &plan);
    assert!(world.plan().answered.contains(&key("web")));
}

#[test]
fn a_person_who_saw_the_deletion_deletes_whatever_the_policy_for_files() {
    let mut world = World::new();
    world.base("web", 7, one()).row("web", 7, two());
    choose(&mut world, Choice::Git, None, Some(two()));

    assert!(matches!(world.plan().netbox.as_slice(), [NetBoxWrite::Delete { .. }]));
}

#[test]
fn a_persons_merge_goes_to_both_sides() {
    let document = shared(&key("web"), of(8, 8)).document("vpc.githedgehog.com/v1beta1");
    let chosen = Choice::Merged { document };
    let mut world = changed(of(2, 1), of(3, 1));
    choose(&mut world, chosen.clone(), Some(of(2, 1)), Some(of(3, 1)));

    let plan = world.plan();
    assert_eq!(*wanted(&plan), of(8, 8));
    netbox_takes_it(&mut world, &plan);
    assert_eq!(file_of(&world.plan()), of(8, 8));

    // Also where one side deleted it.
    let mut world = World::new();
    world.base("web", 7, of(1, 1)).git("web", of(2, 1));
    choose(&mut world, chosen.clone(), Some(of(2, 1)), None);
    let plan = world.plan();
    netbox_takes_it(&mut world, &plan);
    assert_eq!(file_of(&world.plan()), of(8, 8));

    let mut world = World::new();
    world.base("web", 7, of(1, 1)).row("web", 7, of(2, 1));
    choose(&mut world, chosen, None, Some(of(2, 1)));
    let plan = world.plan();
    netbox_takes_it(&mut world, &plan);
    assert_eq!(file_of(&world.plan()), of(8, 8));
}

#[test]
fn a_decision_for_other_contents_does_not_count_and_is_over() {
    let mut world = changed(of(2, 1), of(3, 1));
    choose(&mut world, Choice::Netbox, Some(of(2, 1)), Some(of(9, 9)));

    let plan = world.plan();

    assert_eq!(outcome(&plan, &key("web")), "held changed_on_both_sides");
    assert!(plan.answered.contains(&key("web")));
    let words = &conflict(&plan).reason.message;
    assert!(words.contains("The resolution by kim was for other content"), "{words}");
}

#[test]
fn a_decision_that_the_guard_holds_waits_for_the_confirmation() {
    let mut world = World::new();
    world.base("web", 7, one()).row("web", 7, two());
    world.policy.guard.count = 0;
    world.policy.guard.percent = 0;
    choose(&mut world, Choice::Git, None, Some(two()));

    let plan = world.plan();

    assert_eq!(outcome(&plan, &key("web")), "held deletion_guard");
    assert!(plan.answered.is_empty());
}

#[test]
fn a_first_difference_is_a_conflict_that_a_person_can_decide() {
    let mut world = World::new();
    world.git("web", of(1, 2)).row("web", 7, of(1, 3));
    let plan = world.plan();
    assert_eq!(conflict(&plan).paths, ["/spec/b"]);
    assert!(conflict(&plan).base.is_none());

    choose(&mut world, Choice::Netbox, Some(of(1, 2)), Some(of(1, 3)));
    assert_eq!(file_of(&world.plan()), of(1, 3));
    choose(&mut world, Choice::Git, Some(of(1, 2)), Some(of(1, 3)));
    assert_eq!(*wanted(&world.plan()), of(1, 2));

    world.at(&key("web")).resolution = None;
    world.policy.on_conflict = OnConflict::Git;
    assert_eq!(world.outcome("web"), "held first_difference", "that policy is for what both changed");
    world.policy.on_first_difference = OnFirstDifference::Netbox;
    assert!(matches!(world.plan().overwritten.as_slice(), [Overwritten::File { .. }]));
}

#[test]
fn a_conflict_with_a_raw_document_shows_the_document_as_gits_side() {
    let mut world = World::new();
    world.agreed("web", 7, one()).row("web", 7, two()).raw("a.yaml", &text("web", &three()));

    let plan = world.plan();

    let git = conflict(&plan).git.clone().unwrap();
    assert_eq!((git.path, git.index, git.digest), (path("raw/a.yaml"), Some(0), digest(&key("web"), three())));
    assert_eq!(conflict(&plan).paths, ["/spec/a"]);
}

#[test]
fn a_person_decides_about_a_raw_document_as_about_a_file() {
    let mut world = World::new();
    world.agreed("web", 7, one()).row("web", 7, two()).raw("a.yaml", &text("web", &three()));

    choose(&mut world, Choice::Netbox, Some(three()), Some(two()));
    let plan = world.plan();
    assert_eq!(super::sides::fates(&plan), ["rejected netbox_kept"]);
    assert_eq!(file_of(&plan), two());
    assert!(written(&plan, "unmanaged/a.yaml").is_some(), "what was dropped is not lost");

    choose(&mut world, Choice::Git, Some(three()), Some(two()));
    let plan = world.plan();
    assert_eq!(*wanted(&plan), three());
    netbox_takes_it(&mut world, &plan);
    assert_eq!(super::sides::fates(&world.plan()), ["ingested updated"]);
}

fn lost(content: Value) -> LostEdit {
    let was = shared(&key("web"), content);
    let content = Content::of(&was.document("vpc.githedgehog.com/v1beta1"));
    LostEdit { id: 7, by: Some("bob".to_owned()), digest: was.digest(), content }
}

/// Our write of (2) covered bob's edit (3).
fn with_lost_edit() -> World {
    let mut world = World::new();
    world.base("web", 7, one()).git("web", two()).row("web", 7, two()).intent("web", Some(one()), Some(two()));
    world.at(&key("web")).lost = Some(lost(three()));
    world
}

#[test]
fn a_lost_edit_is_a_conflict_that_lasts_and_has_its_content() {
    let world = with_lost_edit();

    let plan = world.plan();

    assert_eq!(outcome(&plan, &key("web")), "held lost_edit");
    assert!(plan.settled_edits.is_empty());
    let (found, documents) = &plan.conflicts[&key("web")];
    assert!(found.reason.message.starts_with("bob changed it"), "{}", found.reason.message);
    assert_eq!(found.paths, ["/spec/a"]);
    assert_eq!(documents.netbox.as_ref().and_then(|content| content.shared(&key("web"))).unwrap().spec, three());
    assert_eq!(plan.base.len(), 1, "both sides agree all the same");
}

#[test]
fn a_lost_edit_is_put_back_and_goes_to_the_file() {
    let mut world = with_lost_edit();
    choose(&mut world, Choice::Netbox, Some(two()), Some(three()));

    let plan = world.plan();
    assert_eq!(*wanted(&plan), three());
    netbox_takes_it(&mut world, &plan);
    let plan = world.plan();

    assert_eq!(file_of(&plan), three());
    assert!(plan.settled_edits.contains(&key("web")) && plan.answered.contains(&key("web")));
}

#[test]
fn a_lost_edit_is_given_up() {
    let mut world = with_lost_edit();
    choose(&mut world, Choice::Git, Some(two()), Some(three()));

    let plan = world.plan();

    assert_eq!(outcome(&plan, &key("web")), "unchanged");
    assert!(plan.settled_edits.contains(&key("web")) && plan.answered.contains(&key("web")));
}

#[test]
fn a_lost_edit_is_merged_by_a_person() {
    let mut world = with_lost_edit();
    let document = shared(&key("web"), of(8, 8)).document("vpc.githedgehog.com/v1beta1");
    choose(&mut world, Choice::Merged { document }, Some(two()), Some(three()));

    let plan = world.plan();
    netbox_takes_it(&mut world, &plan);
    let plan = world.plan();

    assert_eq!(file_of(&plan), of(8, 8));
    assert!(plan.settled_edits.contains(&key("web")));
}

#[test]
fn a_lost_edit_that_somebody_makes_again_is_found() {
    let mut world = with_lost_edit();
    world.at(&key("web")).intent = None;
    world.base("web", 7, two()).row("web", 7, three());

    let plan = world.plan();

    assert_eq!(file_of(&plan), three());
    assert!(plan.settled_edits.contains(&key("web")));
}

#[test]
fn a_lost_edit_of_a_row_that_we_deleted_can_be_put_back() {
    let mut world = World::new();
    world.at(&key("web")).lost = Some(lost(three()));
    assert_eq!(world.outcome("web"), "held lost_edit");

    choose(&mut world, Choice::Netbox, None, Some(three()));
    let plan = world.plan();
    assert!(matches!(plan.netbox.as_slice(), [NetBoxWrite::Create { .. }]));
    netbox_takes_it(&mut world, &plan);

    assert_eq!(file_of(&world.plan()), three());
}

#[test]
fn a_raw_document_behind_a_lost_edit_waits_with_it() {
    let mut world = World::new();
    world.agreed("web", 7, one()).row("web", 7, two()).raw("a.yaml", &text("web", &two()));
    world.intent("web", Some(one()), Some(two()));
    world.at(&key("web")).lost = Some(lost(three()));

    assert_eq!(super::sides::fates(&world.plan()), ["held lost_edit"]);
    choose(&mut world, Choice::Git, Some(one()), Some(three()));

    assert_eq!(super::sides::fates(&world.plan()), ["ingested updated"]);
}

#[test]
fn a_renamed_row_is_not_made_again_under_its_old_name() {
    let mut world = World::new();
    world.policy.on_conflict = OnConflict::Git;
    world.base("old", 7, one()).git("old", two());
    world.row("new", 7, one());

    let plan = world.plan();

    assert_eq!(outcome(&plan, &key("old")), "held renamed_in_netbox");
    assert!(plan.netbox.is_empty());
}

#[test]
fn the_file_that_was_merged_is_what_both_agree_on_until_the_commit() {
    let mut world = changed(of(2, 1), of(1, 3));
    let plan = world.plan();

    let Some(MergedFrom { git: Some(GitBase { blob, .. }) }) = plan.merged.get(&key("web")) else { panic!() };
    assert_eq!(*blob, Oid::of_blob(text("web", &of(2, 1)).as_bytes()));
    netbox_takes_it(&mut world, &plan);

    let base = world.at(&key("web")).base.clone().unwrap();
    assert_eq!((&base.git.unwrap().blob, base.netbox.unwrap().digest), (blob, digest(&key("web"), of(2, 1))));
}

#[test]
fn a_side_that_was_not_read_is_never_merged() {
    let mut world = changed(of(2, 1), of(1, 3));
    world.at(&key("web")).git = GitSide::AsBase;

    assert_ne!(world.outcome("web"), "netbox_updated");
}
