//! Base, Git and NetBox of one key.

use serde_json::json;

use super::sides::{World, deleted, digest, key, one, outcome, path, reason, text, three, two, written};
use crate::domain::key::Key;
use crate::domain::kind::Kind;
use crate::domain::policy::{OnFirstDifference, OnGitDelete};
use crate::plan::{FabricPlan, GitSide, NetBoxSide, NetBoxWrite, Verb};

fn nothing_to_do(plan: &FabricPlan) -> bool {
    plan.edits.is_empty() && plan.netbox.is_empty() && plan.base.is_empty() && plan.remember.is_empty()
}

#[test]
fn sides_that_agree_with_base_need_nothing() {
    let mut world = World::new();
    world.agreed("web", 7, one());

    assert!(nothing_to_do(&world.plan()));
    assert_eq!(world.outcome("web"), "unchanged");
}

#[test]
fn sides_that_were_not_read_are_as_base_says() {
    let mut world = World::new();
    world.agreed("web", 7, one());
    world.at(&key("web")).git = GitSide::AsBase;
    world.at(&key("web")).netbox = NetBoxSide::AsBase;

    assert!(nothing_to_do(&world.plan()));
}

#[test]
fn a_change_in_netbox_is_written_to_the_file_where_it_is() {
    let mut world = World::new();
    world.agreed("web", 7, one()).row("web", 7, two());
    world.at(&key("web")).changed_by.insert("ann".to_owned());

    let plan = world.plan();

    assert_eq!(outcome(&plan, &key("web")), "git_updated");
    assert!(written(&plan, "managed/vpcs/web.yaml").unwrap().ends_with("spec: {\"a\":2}\n"));
    assert_eq!(plan.changes[0].verb, Verb::Update);
    assert!(plan.changed_by.contains("ann"));
    let base = plan.base[0].base.as_ref().unwrap();
    assert_eq!(base.netbox.as_ref().unwrap().digest, digest(&key("web"), two()));
    assert_eq!(base.git.as_ref().unwrap().shared, digest(&key("web"), two()));
}

#[test]
fn an_object_born_in_netbox_gets_a_file() {
    let mut world = World::new();
    world.row("web", 7, one());

    let plan = world.plan();

    assert_eq!(outcome(&plan, &key("web")), "git_created");
    let text = written(&plan, "managed/vpcs/web.yaml").unwrap();
    assert!(text.contains("hnp.githedgehog.com/managed-by: fgd-sync") && text.contains("namespace: default"), "{text}");
}

#[test]
fn an_object_deleted_in_netbox_loses_its_file() {
    let mut world = World::new();
    world.agreed("web", 7, one());
    world.at(&key("web")).netbox = NetBoxSide::Absent;

    let plan = world.plan();

    assert!(deleted(&plan, "managed/vpcs/web.yaml"));
    assert_eq!(plan.base[0].base, None);
}

#[test]
fn a_change_in_git_goes_to_netbox() {
    let mut world = World::new();
    world.agreed("web", 7, one()).git("web", two());

    let plan = world.plan();

    let [NetBoxWrite::Update { against, want }] = plan.netbox.as_slice() else { panic!("{:?}", plan.netbox) };
    assert_eq!((against.id, &want.spec), (7, &two()));
    assert!(plan.edits.is_empty() && plan.base.is_empty());
}

#[test]
fn a_new_managed_file_is_created_in_netbox() {
    let mut world = World::new();
    world.git("web", one());

    assert!(matches!(world.plan().netbox.as_slice(), [NetBoxWrite::Create { .. }]));
}

#[test]
fn a_file_deleted_in_git_is_held_unless_the_policy_says_delete() {
    let mut world = World::new();
    world.agreed("web", 7, one());
    world.at(&key("web")).git = GitSide::Absent;
    assert_eq!(world.outcome("web"), "held deleted_in_git");

    world.policy.on_git_delete = OnGitDelete::Delete;

    assert!(matches!(world.plan().netbox.as_slice(), [NetBoxWrite::Delete { .. }]));
}

#[test]
fn both_sides_gone_are_forgotten() {
    let mut world = World::new();
    world.base("web", 7, one());

    let plan = world.plan();

    assert_eq!(plan.base.len(), 1);
    assert_eq!(plan.base[0].base, None);
    assert!(plan.edits.is_empty() && plan.netbox.is_empty());
}

#[test]
fn both_sides_changed_to_the_same_agree() {
    let mut world = World::new();
    world.base("web", 7, one()).git("web", two()).row("web", 7, two());

    let plan = world.plan();

    assert_eq!(outcome(&plan, &key("web")), "unchanged");
    assert!(plan.edits.is_empty() && plan.netbox.is_empty());
    assert_eq!(plan.base.len(), 1);
}

#[test]
fn both_sides_changed_differently_are_held() {
    let mut world = World::new();
    world.base("web", 7, one()).git("web", two()).row("web", 7, three());

    let plan = world.plan();

    assert_eq!(outcome(&plan, &key("web")), "held changed_on_both_sides");
    assert!(nothing_to_do(&plan));
}

#[test]
fn a_deletion_against_an_edit_is_held() {
    let mut world = World::new();
    world.base("one", 7, one()).git("one", two());
    world.base("two", 8, one()).row("two", 8, two());

    assert_eq!(world.outcome("one"), "held deleted_and_changed");
    assert_eq!(world.outcome("two"), "held deleted_and_changed");
}

#[test]
fn without_a_base_equal_sides_agree_and_are_remembered() {
    let mut world = World::new();
    world.git("web", one()).row("web", 7, one());

    let plan = world.plan();

    assert_eq!(outcome(&plan, &key("web")), "unchanged");
    assert!(plan.base[0].base.as_ref().is_some_and(|base| base.git.is_some() && base.netbox.is_some()));
}

#[test]
fn without_a_base_a_difference_follows_the_policy() {
    let mut world = World::new();
    world.git("web", one()).row("web", 7, two());
    assert_eq!(world.outcome("web"), "held first_difference");

    world.policy.on_first_difference = OnFirstDifference::Netbox;
    assert_eq!(world.outcome("web"), "git_updated");

    world.policy.on_first_difference = OnFirstDifference::Git;
    assert_eq!(world.outcome("web"), "netbox_updated");
}

#[test]
fn a_lost_ledger_copies_and_never_deletes() {
    let mut world = World::new();
    world.policy.on_git_delete = OnGitDelete::Delete;
    world.git("in-git", one()).row("in-netbox", 7, one());

    let plan = world.plan();

    assert_eq!(outcome(&plan, &key("in-git")), "netbox_created");
    assert_eq!(outcome(&plan, &key("in-netbox")), "git_created");
}

#[test]
fn formatting_comments_api_version_and_our_annotations_are_no_difference() {
    let mut world = World::new();
    let other = "# a comment\nkind: VPC\nspec: {a: 1.0}\napiVersion: vpc.githedgehog.com/v1\nmetadata:\n  labels: {}\n  name: web\n  \
                 annotations:\n    hnp.githedgehog.com/last-synced: '2025'\n";
    world.agreed("web", 7, one()).git_text("web", other);

    let plan = world.plan();

    assert!(plan.edits.is_empty() && plan.netbox.is_empty());
    assert_eq!(plan.base.len(), 1, "base follows the file");
}

#[test]
fn a_reformatted_file_does_not_hide_a_change_in_netbox() {
    let mut world = World::new();
    world.agreed("web", 7, one()).git_text("web", &format!("# comment\n{}", text("web", &one()))).row("web", 7, two());

    assert_eq!(world.outcome("web"), "git_updated");
}

#[test]
fn our_annotations_are_never_sent_to_netbox() {
    let mut world = World::new();
    let text = text("web", &one())
        .replace("  name: web\n", "  name: web\n  annotations: {hnp.githedgehog.com/fabric: lab, note: x}\n");
    world.git_text("web", &text);

    let plan = world.plan();

    let [NetBoxWrite::Create { want }] = plan.netbox.as_slice() else { panic!("{:?}", plan.netbox) };
    assert_eq!(want.annotations.keys().collect::<Vec<_>>(), ["note"]);
}

#[test]
fn numbers_are_compared_by_value() {
    let mut world = World::new();
    world.git("web", json!({"mtu": 9000.0})).row("web", 7, json!({"mtu": 9000}));

    assert_eq!(world.outcome("web"), "unchanged");
}

#[test]
fn a_row_made_again_under_another_id_is_the_same_object() {
    let mut world = World::new();
    world.agreed("web", 7, one()).row("web", 8, one());

    let plan = world.plan();

    assert!(plan.edits.is_empty() && plan.netbox.is_empty());
    assert_eq!(plan.base[0].base.as_ref().unwrap().netbox.as_ref().unwrap().id, 8);
}

#[test]
fn absence_that_is_not_proven_is_held() {
    let mut world = World::new();
    world.agreed("web", 7, one());
    world.at(&key("web")).netbox = NetBoxSide::Unproven { reason: reason("not_proven") };

    let plan = world.plan();

    assert_eq!(outcome(&plan, &key("web")), "held not_proven");
    assert!(nothing_to_do(&plan));
}

#[test]
fn two_rows_or_files_for_one_key_are_held() {
    let mut world = World::new();
    world.agreed("rows", 7, one()).agreed("files", 8, one());
    world.at(&key("rows")).netbox = NetBoxSide::Several { ids: vec![7, 9] };
    world.at(&key("files")).git = GitSide::Several { paths: vec![path("a.yaml"), path("b.yaml")] };

    assert_eq!(world.outcome("rows"), "held several_rows");
    assert_eq!(world.outcome("files"), "held several_files");
}

#[test]
fn a_broken_file_is_held_and_never_deleted() {
    let mut world = World::new();
    world.agreed("web", 7, one());
    let at = path("managed/vpcs/web.yaml");
    world.at(&key("web")).git = GitSide::Broken { path: at, reason: reason("not_yaml") };
    world.at(&key("web")).netbox = NetBoxSide::Absent;

    let plan = world.plan();

    assert_eq!(outcome(&plan, &key("web")), "held not_yaml");
    assert!(plan.edits.is_empty());
}

#[test]
fn a_row_with_a_name_that_cannot_be_a_path_is_held() {
    for name in ["", "..", "a/b", "UPPER", "a\u{7}b", &"x".repeat(300)] {
        let mut world = World::new();
        world.row(name, 7, one());

        assert_eq!(world.outcome(name), "held bad_name", "{name:?}");
        assert!(world.plan().edits.is_empty());
    }
}

#[test]
fn a_kind_that_only_another_version_knew_is_held() {
    let mut world = World::new();
    let strange = Key { kind: Kind::new("Gateway"), ..key("web") };
    world.row_at(&strange, 7, one());

    assert_eq!(outcome(&world.plan(), &strange), "held unknown_kind");
}

#[test]
fn what_netbox_refuses_is_held_with_its_words() {
    let mut world = World::new();
    world.agreed("web", 7, one()).git("web", two());
    world.at(&key("web")).refusal = Some(reason("whatever"));
    assert_eq!(world.outcome("web"), "held netbox_refused");

    world.at(&key("web")).refusal = None;
    world.at(&key("web")).unanswered = Some(reason("whatever"));
    assert_eq!(world.outcome("web"), "held netbox_failing");
    assert!(world.plan().netbox.is_empty());
}

#[test]
fn a_refused_intent_ends_so_that_a_users_equal_row_is_theirs() {
    let mut world = World::new();
    world.agreed("web", 7, one()).git("web", two()).intent("web", Some(one()), Some(two()));
    world.at(&key("web")).refusal = Some(reason("no"));

    let plan = world.plan();

    assert!(plan.base.iter().any(|update| update.clears_intent && update.base == world.sides.keys[&key("web")].base));
}

#[test]
fn a_row_that_an_intent_made_is_our_own_write_and_no_users_change() {
    let mut world = World::new();
    world.base("web", 7, one()).git("web", three()).row("web", 7, two());
    world.intent("web", Some(one()), Some(two()));

    assert_eq!(world.outcome("web"), "netbox_updated");
}

#[test]
fn an_intent_ends_when_both_sides_agree() {
    let mut world = World::new();
    world.base("web", 7, one()).git("web", two()).row("web", 7, two()).intent("web", Some(one()), Some(two()));

    let plan = world.plan();

    assert!(plan.base[0].clears_intent && plan.netbox.is_empty() && plan.edits.is_empty());
}

#[test]
fn an_intent_whose_source_is_gone_from_git_is_undone() {
    let mut world = World::new();
    world.base("web", 7, one()).git("web", one()).row("web", 7, two()).intent("web", Some(one()), Some(two()));

    let plan = world.plan();

    let [NetBoxWrite::Update { want, .. }] = plan.netbox.as_slice() else { panic!("{:?}", plan.netbox) };
    assert_eq!(want.spec, one());
}

#[test]
fn a_row_that_our_intent_created_is_deleted_when_its_source_is_gone() {
    let mut world = World::new();
    world.row("web", 7, one()).intent("web", None, Some(one()));

    assert!(matches!(world.plan().netbox.as_slice(), [NetBoxWrite::Delete { against }] if against.id == 7));
}

#[test]
fn a_created_row_that_a_user_changed_since_is_not_deleted() {
    let mut world = World::new();
    world.row("web", 7, two()).intent("web", None, Some(one()));

    assert_eq!(world.outcome("web"), "git_created");
}

#[test]
fn a_difference_that_nothing_explains_is_held() {
    let mut world = World::new();
    world.agreed("web", 7, one()).row("web", 7, two());
    let base = world.at(&key("web")).base.as_mut().unwrap();
    base.netbox.as_mut().unwrap().digest = digest(&key("web"), two());

    assert_eq!(world.outcome("web"), "held unexplained_difference");
}

#[test]
fn a_file_that_was_not_read_is_never_rewritten_blindly() {
    let mut world = World::new();
    world.agreed("web", 7, one()).row("web", 7, two());
    world.at(&key("web")).git = GitSide::AsBase;

    assert_eq!(world.outcome("web"), "held git_not_read");
}

#[test]
fn the_order_of_an_edited_file_is_kept() {
    let mut world = World::new();
    let text = "kind: VPC\nspec:\n  z: 1\n  a: 1\nmetadata:\n  name: web\napiVersion: vpc.githedgehog.com/v1alpha2\n";
    world.git_text("web", text).base_text("web", 7, text).row("web", 7, json!({"a": 2, "b": 3, "z": 1}));

    let written = written(&world.plan(), "managed/vpcs/web.yaml").unwrap();

    assert_eq!(written, text.replace("  a: 1\n", "  a: 2\n  b: 3\n"));
}

#[test]
fn writes_go_in_catalogue_order_and_deletions_in_reverse_behind_them() {
    let mut world = World::new();
    world.policy.on_git_delete = OnGitDelete::Delete;
    for (id, (kind, is_new)) in
        [("VPC", true), ("Switch", true), ("VPCAttachment", false), ("Switch", false), ("VPC", false)]
            .into_iter()
            .enumerate()
    {
        let name = format!("{}-{is_new}", kind.to_lowercase());
        let key = Key { kind: Kind::new(kind), ..key(&name) };
        if is_new {
            let group = if kind == "VPC" { "vpc" } else { "wiring" };
            let text =
                format!("apiVersion: {group}.githedgehog.com/v1beta1\nkind: {kind}\nmetadata: {{name: {name}}}\n");
            world.git_text(&name, &text);
        } else {
            world.base(&name, id as u64, one());
            let base = world.at(&super::sides::key(&name)).base.take();
            world.sides.keys.remove(&super::sides::key(&name));
            world.row_at(&key, id as u64, one());
            let mut base = base.unwrap();
            base.netbox.as_mut().unwrap().digest = digest(&key, one());
            world.at(&key).base = Some(base);
        }
    }

    let order: Vec<String> = world
        .plan()
        .netbox
        .iter()
        .map(|write| match write {
            NetBoxWrite::Create { want } | NetBoxWrite::Update { want, .. } => format!("+{}", want.key.kind),
            NetBoxWrite::Delete { against } => format!("-{}", against.shared.key.kind),
        })
        .collect();

    assert_eq!(order, ["+Switch", "+VPC", "-VPCAttachment", "-VPC", "-Switch"]);
}

#[test]
fn broken_files_are_shown() {
    let mut world = World::new();
    world.sides.broken.push(crate::plan::BrokenFile { path: path("managed/vpcs/x.yaml"), reason: reason("not_yaml") });

    let plan = world.plan();

    assert_eq!((plan.items.len(), plan.counts.held), (1, 1));
}

#[test]
fn a_directory_without_a_marker_is_given_its_skeleton_and_then_nothing() {
    let mut world = World::new();
    world.sides.tree.clear();
    world.sides.own_files.clear();

    let plan = world.plan();

    assert!(written(&plan, ".hnp/manifest.yaml").unwrap().contains("01LEDGER"));
    assert!(written(&plan, "managed/vpcs/.gitkeep").is_some());
}

#[test]
fn a_marker_that_names_no_ledger_is_given_ours() {
    let mut world = World::new();
    let at = path(".hnp/manifest.yaml");
    world.sides.own_files.insert(at, bytes::Bytes::from_static(b"{\"fabric\": \"lab\"}"));

    assert!(written(&world.plan(), ".hnp/manifest.yaml").unwrap().contains("01LEDGER"));
}

#[test]
fn comments_survive_an_update_where_their_values_did() {
    let mut world = World::new();
    let text = "# Ours.\napiVersion: vpc.githedgehog.com/v1beta1\nkind: VPC\nmetadata: {name: web}\nspec:\n  a: 1 # one\n  b: 2 # two\n";
    world.git_text("web", text).base_text("web", 7, text).row("web", 7, json!({"a": 1, "b": 3}));

    let plan = world.plan();

    assert_eq!(written(&plan, "managed/vpcs/web.yaml").unwrap(), text.replace("b: 2 # two", "b: 3 # two"));
}
