//! Raw documents: exactly one fate each, and files that leave raw/ whole.

use bytes::Bytes;
use serde_json::json;

use super::sides::{
    World, deleted, digest, document, entry, fates, key, one, outcome, path, reason, text, three, two, written,
};
use crate::domain::fate::{DocumentId, Effect, Fate};
use crate::domain::policy::{Archive, OnFirstDifference};
use crate::plan::{GitSide, NetBoxSide, NetBoxWrite};

const OTHERS: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n";

fn web() -> String {
    text("web", &one())
}

#[test]
fn a_new_document_goes_to_netbox_before_it_goes_to_git() {
    let mut world = World::new();
    world.raw("a.yaml", &web());

    let plan = world.plan();

    assert!(matches!(plan.netbox.as_slice(), [NetBoxWrite::Create { .. }]));
    assert_eq!(fates(&plan), ["pending netbox_write_to_come"]);
    assert!(plan.edits.is_empty() && plan.remember.is_empty());
}

#[test]
fn a_document_that_netbox_has_becomes_the_managed_file_and_leaves_raw() {
    let mut world = World::new();
    world.raw("deep/a.yaml", &web()).row("web", 7, one()).intent("web", None, Some(one()));

    let plan = world.plan();

    assert_eq!(fates(&plan), ["ingested created"]);
    assert!(deleted(&plan, "raw/deep/a.yaml"));
    let text = written(&plan, "managed/vpcs/web.yaml").unwrap();
    assert!(
        text.contains("original-file: raw/deep/a.yaml") && text.contains("original-document-index: \"0\""),
        "{text}"
    );
    assert!(written(&plan, "raw/.gitkeep").is_some());
    assert!(written(&plan, ".hnp/archive-log.yaml").unwrap().contains("path: raw/deep/a.yaml"));
    assert!(plan.base[0].clears_intent && plan.remember.is_empty());
}

#[test]
fn a_document_for_an_agreed_object_updates_it() {
    let mut world = World::new();
    world.agreed("web", 7, one()).raw("a.yaml", &text("web", &two()));
    assert!(matches!(world.plan().netbox.as_slice(), [NetBoxWrite::Update { .. }]));

    world.row("web", 7, two()).intent("web", Some(one()), Some(two()));

    let plan = world.plan();
    assert_eq!(fates(&plan), ["ingested updated"]);
    assert_eq!(document(&written(&plan, "managed/vpcs/web.yaml").unwrap()).shared().spec, two());
}

#[test]
fn an_overlay_on_sides_that_agree_without_a_base_is_finished_after_its_write() {
    let mut world = World::new();
    world.git("web", one()).row("web", 7, one()).raw("a.yaml", &text("web", &two()));
    assert!(matches!(world.plan().netbox.as_slice(), [NetBoxWrite::Update { .. }]));

    world.row("web", 7, two()).intent("web", Some(one()), Some(two()));

    assert_eq!(fates(&world.plan()), ["ingested updated"]);
}

#[test]
fn an_intent_whose_document_is_gone_from_raw_is_undone() {
    let mut world = World::new();
    world.agreed("web", 7, one()).row("web", 7, two()).intent("web", Some(one()), Some(two()));

    let plan = world.plan();

    assert!(matches!(plan.netbox.as_slice(), [NetBoxWrite::Update { want, .. }] if want.spec == one()));
}

#[test]
fn a_document_equal_to_the_managed_file_changes_nothing() {
    let mut world = World::new();
    world.agreed("web", 7, one()).raw("a.yaml", &format!("# again\n{}", web()));

    let plan = world.plan();

    assert_eq!(fates(&plan), ["ingested unchanged"]);
    assert!(deleted(&plan, "raw/a.yaml"));
    assert_eq!(written(&plan, "managed/vpcs/web.yaml"), None);
    assert!(plan.changes.is_empty() && plan.base.is_empty());
}

#[test]
fn the_overlay_applies_only_where_the_managed_file_equals_base() {
    let mut world = World::new();
    world.agreed("web", 7, one()).git("web", two()).raw("a.yaml", &text("web", &three()));

    let plan = world.plan();

    assert_eq!(fates(&plan), ["held managed_file_changed_too"]);
    assert_eq!(outcome(&plan, &key("web")), "held managed_file_changed_too");
    assert!(plan.edits.is_empty() && plan.netbox.is_empty());
}

#[test]
fn a_document_against_a_change_in_netbox_is_held_with_its_object() {
    let mut world = World::new();
    world.agreed("web", 7, one()).row("web", 7, two()).raw("a.yaml", &text("web", &three()));
    world.agreed("gone", 8, one()).raw("b.yaml", &text("gone", &three()));
    world.at(&key("gone")).netbox = NetBoxSide::Absent;

    let plan = world.plan();

    assert_eq!(fates(&plan), ["held changed_on_both_sides", "held deleted_and_changed"]);
    assert_eq!(outcome(&plan, &key("web")), "held changed_on_both_sides");
    assert!(plan.edits.is_empty());
}

#[test]
fn a_document_equal_to_a_file_whose_object_netbox_deleted_is_held() {
    let mut world = World::new();
    world.agreed("web", 7, one()).raw("a.yaml", &web());
    world.at(&key("web")).netbox = NetBoxSide::Absent;

    assert_eq!(fates(&world.plan()), ["held deleted_and_changed"]);
}

#[test]
fn a_first_difference_with_a_document_follows_the_policy() {
    let mut world = World::new();
    world.row("web", 7, two()).raw("a.yaml", &web());
    assert_eq!(fates(&world.plan()), ["held first_difference"]);

    world.policy.on_first_difference = OnFirstDifference::Netbox;
    let plan = world.plan();
    assert_eq!(fates(&plan), ["rejected netbox_kept"]);
    assert!(written(&plan, "unmanaged/a.yaml").is_some());
    assert_eq!(outcome(&plan, &key("web")), "git_created");

    world.policy.on_first_difference = OnFirstDifference::Git;
    assert!(matches!(world.plan().netbox.as_slice(), [NetBoxWrite::Update { .. }]));
}

#[test]
fn equal_documents_for_one_key_are_one_and_different_ones_are_held() {
    let mut world = World::new();
    world.row("web", 7, one()).raw("a.yaml", &web()).raw("b.yaml", &format!("{}---\n{}", web(), web()));
    assert_eq!(fates(&world.plan()), ["ingested created", "ingested unchanged", "ingested unchanged"]);

    let mut world = World::new();
    world.agreed("web", 7, one()).raw("a.yaml", &text("web", &two())).raw("b.yaml", &text("web", &three()));
    let held = "held several_documents_for_one_key";
    assert_eq!(fates(&world.plan()), [held, held]);
    assert_eq!(world.outcome("web"), "unchanged");
}

#[test]
fn a_key_with_contradicting_documents_waits_so_that_none_overwrites_what_it_has_not_seen() {
    let mut world = World::new();
    world.row("web", 7, one()).raw("a.yaml", &text("web", &two())).raw("b.yaml", &text("web", &three()));

    let plan = world.plan();

    assert_eq!(outcome(&plan, &key("web")), "held several_documents_for_one_key");
    assert_eq!(written(&plan, "managed/vpcs/web.yaml"), None);
}

#[test]
fn a_refused_document_never_enters_managed() {
    let mut world = World::new();
    world.raw("a.yaml", &web());
    world.at(&key("web")).refusal = Some(reason("subnets are wrong"));

    let plan = world.plan();

    assert_eq!(fates(&plan), ["rejected netbox_refused"]);
    assert_eq!(written(&plan, "managed/vpcs/web.yaml"), None);
    assert_eq!(written(&plan, "unmanaged/a.yaml").unwrap(), web());
    assert!(written(&plan, "unmanaged/a.yaml.reasons.yaml").unwrap().contains("in words"));
    assert_eq!(outcome(&plan, &key("web")), "unchanged");
}

#[test]
fn a_document_that_netbox_could_not_be_asked_about_stays_pending() {
    let mut world = World::new();
    world.raw("a.yaml", &web());
    world.at(&key("web")).unanswered = Some(reason("down"));

    let plan = world.plan();

    assert_eq!(fates(&plan), ["pending netbox_failing"]);
    assert!(plan.edits.is_empty() && plan.netbox.is_empty());
}

#[test]
fn a_fabric_unknown_to_netbox_holds_its_raw_files() {
    let mut world = World::new();
    world.raw("a.yaml", &format!("{}---\n{OTHERS}", web()));
    world.sides.fabric_missing = true;

    let plan = world.plan();

    let held = "held fabric_unknown_to_netbox";
    assert_eq!(fates(&plan), [held, held]);
    assert!(plan.edits.is_empty() && plan.remember.is_empty());
}

#[test]
fn documents_of_a_held_object_are_held() {
    let mut world = World::new();
    world.raw("a.yaml", &web());
    world.at(&key("web")).netbox = NetBoxSide::Several { ids: vec![1, 2] };
    world.raw("b.yaml", &text("file", &one()));
    world.at(&key("file")).git = GitSide::Broken { path: path("managed/vpcs/file.yaml"), reason: reason("not_yaml") };

    assert_eq!(fates(&world.plan()), ["held several_rows", "held not_yaml"]);
}

#[test]
fn a_file_stays_whole_while_one_of_its_documents_is_open_and_the_others_are_remembered() {
    let mut world = World::new();
    world.row("web", 7, one());
    world.raw("a.yaml", &format!("{}---\n{OTHERS}---\n{}", web(), text("other", &one())));
    world.at(&key("other")).unanswered = Some(reason("down"));

    let plan = world.plan();

    assert_eq!(fates(&plan), ["ingested created", "unmanaged unknown_kind", "pending netbox_failing"]);
    assert!(!deleted(&plan, "raw/a.yaml") && written(&plan, "unmanaged/a.yaml").is_none());
    assert!(written(&plan, "managed/vpcs/web.yaml").is_some());
    let remembered: Vec<usize> = plan.remember.iter().map(|(id, _)| id.index).collect();
    assert_eq!(remembered, [0, 1]);
}

#[test]
fn a_remembered_document_is_never_overlay_again_and_leaves_with_its_file() {
    let mut world = World::new();
    world.agreed("web", 7, two()).raw("a.yaml", &format!("{}---\n{OTHERS}", web()));
    let blob = world.sides.raw[0].blob.clone();
    let id = |index| DocumentId { path: path("raw/a.yaml"), blob: blob.clone(), index, item: None };
    let ingested = Fate::Ingested { key: key("web"), effect: Effect::Created };
    world.sides.remembered.insert(id(0), ingested);
    world.sides.remembered.insert(id(1), Fate::Unmanaged { reason: reason("unknown_kind") });

    let plan = world.plan();

    assert_eq!(fates(&plan), ["ingested created", "unmanaged unknown_kind"]);
    assert!(deleted(&plan, "raw/a.yaml") && plan.netbox.is_empty());
    assert_eq!(written(&plan, "unmanaged/a.yaml").unwrap(), format!("---\n{OTHERS}"));
}

#[test]
fn what_was_not_taken_lies_byte_for_byte_in_unmanaged_with_places_and_reasons() {
    let mut world = World::new();
    let bad = "---\r\nnot: ours # caf\u{e9}\r\n";
    let broken = "---\nx: [1\n---\nlost: yes\n";
    world.row("web", 7, one()).raw("d/a.yml", &format!("{bad}{}{broken}", "---\n---\n".to_owned() + &web()));

    let plan = world.plan();

    assert_eq!(fates(&plan), ["unmanaged not_kubernetes", "unmanaged empty", "ingested created", "rejected not_yaml"]);
    assert_eq!(written(&plan, "unmanaged/d/a.yml").unwrap(), format!("{bad}{broken}"));
    let reasons = written(&plan, "unmanaged/d/a.yml.reasons.yaml").unwrap();
    assert!(reasons.contains("index: 0") && reasons.contains("index: 3") && reasons.contains("not_yaml"), "{reasons}");
}

#[test]
fn empty_documents_leave_nothing_in_unmanaged() {
    let mut world = World::new();
    world.raw("a.yaml", "# nothing\n---\n");

    let plan = world.plan();

    assert!(deleted(&plan, "raw/a.yaml"));
    assert_eq!(written(&plan, "unmanaged/a.yaml"), None);
    assert!(written(&plan, ".hnp/archive-log.yaml").unwrap().contains("code: empty"));
}

#[test]
fn an_existing_unmanaged_file_gets_a_numbered_sibling_unless_it_is_equal() {
    let mut world = World::new();
    world.raw("a.yaml", OTHERS);
    let first = world.plan();
    let reasons = written(&first, "unmanaged/a.yaml.reasons.yaml").unwrap();
    world.sides.tree.insert(path("unmanaged/a.yaml"), entry(OTHERS.as_bytes()));
    world.sides.tree.insert(path("unmanaged/a.yaml.reasons.yaml"), entry(reasons.as_bytes()));
    assert_eq!(written(&world.plan(), "unmanaged/a-1.yaml"), None);

    world.sides.tree.insert(path("unmanaged/a.yaml"), entry(b"something else"));

    let plan = world.plan();
    assert!(
        written(&plan, "unmanaged/a-1.yaml").is_some() && written(&plan, "unmanaged/a-1.yaml.reasons.yaml").is_some()
    );
    assert_eq!(written(&plan, "unmanaged/a.yaml"), None);
}

#[test]
fn a_file_in_the_way_of_a_directory_is_not_overwritten() {
    let mut world = World::new();
    world.raw("d/a.yaml", OTHERS);
    world.sides.tree.insert(path("unmanaged/d"), entry(b"a file"));

    let plan = world.plan();

    let aside: Vec<_> = plan.edits.keys().filter(|edit| edit.is_within(&path("unmanaged"))).collect();
    assert_eq!(aside.len(), 2);
    assert!(aside.iter().all(|edit| !edit.is_within(&path("unmanaged/d"))), "{aside:?}");
}

#[test]
fn the_archive_log_has_one_entry_for_each_file_and_keeps_the_newest() {
    let mut world = World::new();
    let old: Vec<_> = (0..1_000).map(|number| json!({"path": format!("raw/{number}.yaml"), "blob": "x"})).collect();
    let log = serde_json::to_vec(&json!({"version": 1, "entries": old})).unwrap();
    world.sides.own_files.insert(path(".hnp/archive-log.yaml"), Bytes::from(log));
    world.raw("a.yaml", OTHERS);

    let log = written(&world.plan(), ".hnp/archive-log.yaml").unwrap();

    assert_eq!(log.matches("path:").count(), 1_000);
    assert!(!log.contains("raw/0.yaml") && log.contains("raw/1.yaml") && log.contains("version: 1"));
    assert!(log.trim_end().ends_with("code: unknown_kind"), "the newest is last");
}

#[test]
fn raw_stays_a_directory_when_its_last_file_leaves() {
    let mut world = World::new();
    world.raw("a.yaml", OTHERS).raw(".gitkeep", "");

    let plan = world.plan();

    assert!(!plan.edits.contains_key(&path("raw/.gitkeep")));
    assert_eq!(fates(&plan).len(), 1, "the keep file is nobody's document");
}

#[test]
fn an_ingested_document_keeps_its_own_form() {
    let mut world = World::new();
    let raw =
        "kind: VPC\napiVersion: vpc.githedgehog.com/v1alpha2\nextra: kept\nmetadata: {name: web}\nspec: {z: 1, a: 2}\n";
    world.row("web", 7, json!({"a": 2, "z": 1})).raw("a.yaml", raw);

    let text = written(&world.plan(), "managed/vpcs/web.yaml").unwrap();

    assert!(text.starts_with("kind: VPC\napiVersion: vpc.githedgehog.com/v1alpha2\nextra: kept\n"), "{text}");
    assert!(text.ends_with("spec:\n  z: 1\n  a: 2\n"), "{text}");
}

#[test]
fn the_base_of_an_ingested_object_is_both_sides_as_they_will_be() {
    let mut world = World::new();
    world.row("web", 7, one()).raw("a.yaml", &web());

    let base = world.plan().base.remove(0).base.unwrap();

    assert_eq!(base.git.unwrap().shared, digest(&key("web"), one()));
    assert_eq!(base.netbox.unwrap().id, 7);
}

fn list(items: &[String]) -> String {
    let items: Vec<String> =
        items.iter().map(|item| format!("- {}\n", item.trim_end().replace('\n', "\n  "))).collect();
    format!("# from kubectl\napiVersion: v1\nkind: List\nitems:\n{}", items.concat())
}

#[test]
fn the_items_of_a_list_become_managed_files_that_say_which_item_they_were() {
    let mut world = World::new();
    world.row("web", 7, one()).row("db", 8, two());
    world.raw("a.yaml", &format!("---\n---\n{}", list(&[web(), text("db", &two())])));

    let plan = world.plan();

    assert_eq!(fates(&plan), ["unmanaged empty", "ingested created", "ingested created"]);
    assert!(deleted(&plan, "raw/a.yaml"));
    let text = written(&plan, "managed/vpcs/db.yaml").unwrap();
    assert!(text.contains("original-document-index: \"1\"") && text.contains("original-item-index: \"1\""), "{text}");
    let log = written(&plan, ".hnp/archive-log.yaml").unwrap();
    assert!(log.contains("item: 1\n    fate: ingested\n    key: VPC/default/db"), "{log}");
}

#[test]
fn a_list_with_a_refused_item_goes_aside_whole_and_once() {
    let mut world = World::new();
    let bad = "apiVersion: vpc.githedgehog.com/v1beta1\nkind: VPC\nmetadata: {}\n".to_owned();
    let drop = format!("{}---\n{OTHERS}", list(&[bad.clone(), web(), bad]));
    world.row("web", 7, one()).raw("a.yaml", &drop);

    let plan = world.plan();

    assert_eq!(fates(&plan), ["rejected no_name", "ingested created", "rejected no_name", "unmanaged unknown_kind"]);
    assert_eq!(written(&plan, "unmanaged/a.yaml").unwrap(), drop);
    let reasons = written(&plan, "unmanaged/a.yaml.reasons.yaml").unwrap();
    assert!(reasons.contains("- index: 0\n  item: 2\n  line: 13\n"), "{reasons}");
}

#[test]
fn a_list_stays_whole_while_one_of_its_items_is_open() {
    let mut world = World::new();
    world.row("web", 7, one()).raw("a.yaml", &list(&[web(), text("db", &two())]));
    world.at(&key("db")).unanswered = Some(reason("down"));

    let plan = world.plan();

    assert_eq!(fates(&plan), ["ingested created", "pending netbox_failing"]);
    assert!(!deleted(&plan, "raw/a.yaml"));
    assert_eq!(plan.remember[0].0.to_string(), "fabrics/lab/raw/a.yaml#0.0");
}

#[test]
fn an_archive_may_keep_the_file_itself_beside_its_old_place() {
    let mut world = World::new();
    world.policy.archive = Archive::Rename;
    world.row("web", 7, one()).raw("d/a.yaml", &web());

    let plan = world.plan();

    assert!(deleted(&plan, "raw/d/a.yaml"));
    assert_eq!(written(&plan, "raw/d/a.yaml.archived").unwrap(), web());
    assert!(written(&plan, ".hnp/archive-log.yaml").is_some());
}

#[test]
fn an_archived_file_is_never_overwritten_and_an_equal_one_is_enough() {
    let mut world = World::new();
    world.policy.archive = Archive::Rename;
    world.raw("a.yaml", OTHERS).raw("b.yaml", OTHERS);
    world.sides.tree.insert(path("raw/a.yaml.archived"), entry(b"another one"));
    world.sides.tree.insert(path("raw/b.yaml.archived"), entry(OTHERS.as_bytes()));

    let plan = world.plan();

    assert_eq!(written(&plan, "raw/a.yaml-1.archived").unwrap(), OTHERS);
    assert!(!plan.edits.contains_key(&path("raw/a.yaml.archived")));
    assert!(deleted(&plan, "raw/b.yaml") && !plan.edits.contains_key(&path("raw/b.yaml-1.archived")));
}

#[test]
fn an_archive_may_keep_nothing() {
    let mut world = World::new();
    world.policy.archive = Archive::None;
    world.row("web", 7, one()).raw("a.yaml", &web());

    let plan = world.plan();

    assert!(deleted(&plan, "raw/a.yaml"));
    assert_eq!(written(&plan, ".hnp/archive-log.yaml"), None);
}

#[test]
fn archived_files_are_nobodys_documents() {
    let mut world = World::new();
    world.raw("a.yaml.archived", &web());

    let plan = world.plan();

    assert!(fates(&plan).is_empty() && plan.edits.is_empty());
}
