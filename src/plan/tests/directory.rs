//! The directory itself: skeleton, adoption, onboarding.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::sides::{World, deleted, entry, fates, key, one, path, reason, text, two, written};
use crate::domain::directory::{DirectoryStatus, DirectoryWork};
use crate::domain::edit::Edit;
use crate::domain::kind::Catalogue;
use crate::domain::names::{FabricName, LedgerId};
use crate::plan::directory::{Look, condition_by, is_onboarding};
use crate::plan::layout::{Marker, MarkerState, marker_path, read_marker, render_marker};
use crate::plan::{FabricPlan, Verb};

const OLD_MARKER: &[u8] =
    br#"{"apiVersion": "hnp.githedgehog.com/v1", "fabric": "lab", "created": "2025-01-01T00:00:00"}"#;

fn marker() -> Marker {
    Marker::new(FabricName::new("lab"), LedgerId::new("01LEDGER"))
}

/// A world whose marker file holds these bytes; none for none.
fn world_with(bytes: Option<&[u8]>) -> World {
    let mut world = World::new();
    let at = marker_path(&world.sides.directory);
    world.sides.tree.remove(&at);
    world.sides.own_files.remove(&at);
    if let Some(bytes) = bytes {
        world.sides.tree.insert(at.clone(), entry(bytes));
        world.sides.own_files.insert(at, Bytes::copy_from_slice(bytes));
    }
    world
}

/// A directory of ours with every part of the skeleton but these.
fn without(missing: &[&str]) -> World {
    let mut world = world_with(Some(&render_marker(&marker(), None)));
    for path in parts().iter().filter(|part| !missing.contains(&part.as_str())).map(|part| path(part)) {
        world.sides.tree.insert(path, entry(b""));
    }
    world
}

fn parts() -> Vec<String> {
    let kinds = Catalogue::hedgehog().iter().map(|spec| format!("managed/{}/.gitkeep", spec.directory));
    let others = ["raw/.gitkeep", "unmanaged/.gitkeep", "README.md", ".hnp/archive-log.yaml"].map(str::to_owned);
    kinds.chain(others).collect()
}

/// The paths that a plan writes, below the directory.
fn touched(plan: &FabricPlan) -> BTreeSet<String> {
    let directory = marker_path(&World::new().sides.directory);
    let root = directory.as_str().strip_suffix(".hnp/manifest.yaml").unwrap();
    plan.edits.keys().map(|path| path.as_str().strip_prefix(root).unwrap().to_owned()).collect()
}

fn written_marker(plan: &FabricPlan) -> Marker {
    match read_marker(written(plan, ".hnp/manifest.yaml").expect("the marker is written").as_bytes()) {
        MarkerState::Named(marker) => marker,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_new_directory_gets_a_marker_and_the_whole_skeleton() {
    let plan = world_with(None).plan();

    let marker = ".hnp/manifest.yaml".to_owned();
    assert_eq!(touched(&plan), parts().into_iter().chain([marker]).collect());
    assert_eq!(
        (plan.directory_report.work, plan.directory.status),
        (DirectoryWork::Initialize, DirectoryStatus::Initialized)
    );
}

#[test]
fn a_new_directory_keeps_what_is_there() {
    let mut world = world_with(None);
    world.sides.tree.insert(path("README.md"), entry(b"# Ours"));
    world.sides.tree.insert(path("managed/vpcs/.keep"), entry(b""));

    let touched = touched(&world.plan());

    assert!(!touched.contains("README.md") && !touched.contains("managed/vpcs/.gitkeep"));
}

#[test]
fn a_complete_directory_needs_nothing() {
    let mut world = without(&[]);
    world.sides.compared_in_full = true;

    let plan = world.plan();

    assert_eq!(touched(&plan), BTreeSet::new());
    assert_eq!(
        (plan.directory_report.work, plan.directory.status),
        (DirectoryWork::None, DirectoryStatus::Initialized)
    );
}

#[test]
fn a_missing_part_is_put_back_once_at_a_full_comparison() {
    let mut world = without(&["README.md"]);
    assert_eq!(touched(&world.plan()), BTreeSet::new(), "not by a commit of its own in any other run");

    world.sides.compared_in_full = true;
    let plan = world.plan();

    assert_eq!(touched(&plan), [".hnp/manifest.yaml", "README.md"].map(str::to_owned).into());
    assert_eq!(plan.directory_report.work, DirectoryWork::Tend);
    assert_eq!(written_marker(&plan).restored, ["README.md".to_owned()].into());
}

#[test]
fn a_missing_part_is_put_back_with_the_next_commit() {
    let mut world = without(&["managed/servers/.gitkeep"]);
    world.row("web", 7, one());

    let plan = world.plan();

    assert!(written(&plan, "managed/servers/.gitkeep").is_some() && written(&plan, "managed/vpcs/web.yaml").is_some());
}

#[test]
fn a_part_that_is_deleted_again_is_not_fought_over() {
    let mut world = without(&["README.md"]);
    world.sides.compared_in_full = true;
    let bytes = Bytes::from(written(&world.plan(), ".hnp/manifest.yaml").unwrap());
    world.sides.own_files.insert(path(".hnp/manifest.yaml"), bytes);

    assert_eq!(touched(&world.plan()), BTreeSet::new());
}

#[test]
fn a_directory_that_we_empty_ourselves_stays_one() {
    let mut world = without(&["managed/vpcs/.gitkeep"]);
    world.git("web", one()).base("web", 7, one());

    let plan = world.plan();

    assert!(deleted(&plan, "managed/vpcs/web.yaml"));
    assert!(written(&plan, "managed/vpcs/.gitkeep").is_some());
    assert_eq!(written(&plan, ".hnp/manifest.yaml"), None, "nobody took it away");
}

#[test]
fn a_fabric_without_an_archive_needs_no_log() {
    let mut world = without(&[".hnp/archive-log.yaml"]);
    world.sides.compared_in_full = true;
    world.policy.archive = crate::domain::policy::Archive::None;

    assert_eq!(touched(&world.plan()), BTreeSet::new());
}

#[test]
fn a_directory_of_the_service_before_us_gets_a_marker_and_nothing_else() {
    let mut world = world_with(Some(OLD_MARKER));
    world.sides.compared_in_full = true;
    world.git("web", one()).row("web", 7, one());

    let plan = world.plan();

    assert_eq!(touched(&plan), [".hnp/manifest.yaml".to_owned()].into());
    assert_eq!(plan.directory_report.work, DirectoryWork::Adopt);
    assert!(written(&plan, ".hnp/manifest.yaml").unwrap().contains("2025-01-01T00:00:00"));
    assert!(written_marker(&plan).restored.contains("raw"), "what is missing is taken as it was found");
}

#[test]
fn a_directory_of_another_ledger_keeps_what_was_not_to_be_put_back() {
    let mut other = marker();
    other.ledger = LedgerId::new("01OTHER");
    other.restored = ["README.md".to_owned()].into();

    let plan = world_with(Some(&render_marker(&other, None))).plan();

    assert_eq!(plan.directory_report.work, DirectoryWork::Adopt);
    assert_eq!(written_marker(&plan), Marker { restored: other.restored, ..marker() });
}

#[test]
fn a_file_found_outside_raw_goes_the_way_of_raw_files() {
    let mut world = world_with(None);
    world.row("web", 7, one()).found("old/net.yaml", &text("web", &one()));

    let plan = world.plan();

    assert_eq!(fates(&plan), ["ingested created"]);
    assert!(deleted(&plan, "old/net.yaml") && written(&plan, "managed/vpcs/web.yaml").is_some());
    assert_eq!(plan.directory.status, DirectoryStatus::Initialized);
}

#[test]
fn what_is_refused_of_a_file_found_outside_raw_keeps_its_path_in_unmanaged() {
    let mut world = world_with(None);
    let others = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n";
    world.row("web", 7, one()).found("old/net.yaml", &format!("{}---\n{others}", text("web", &one())));

    assert_eq!(written(&world.plan(), "unmanaged/old/net.yaml").unwrap(), format!("---\n{others}"));
}

#[test]
fn an_onboarding_lasts_until_every_file_found_is_taken_over() {
    let mut world = world_with(None);
    world.found("net.yaml", &text("web", &one()));
    world.at(&key("web")).unanswered = Some(reason("down"));
    let plan = world.plan();
    assert_eq!(plan.directory.status, DirectoryStatus::Initializing);
    let bytes = written(&plan, ".hnp/manifest.yaml").unwrap();
    assert!(is_onboarding(Some(bytes.as_bytes()), Look::default()));

    world.sides.own_files.insert(path(".hnp/manifest.yaml"), Bytes::from(bytes.clone()));
    world.sides.tree.insert(path(".hnp/manifest.yaml"), entry(bytes.as_bytes()));
    world.at(&key("web")).unanswered = None;
    world.row("web", 7, one());
    let plan = world.plan();

    assert!(deleted(&plan, "net.yaml"));
    assert_eq!(plan.directory.status, DirectoryStatus::Initialized);
    assert!(!is_onboarding(Some(written(&plan, ".hnp/manifest.yaml").unwrap().as_bytes()), Look::default()));
}

#[test]
fn a_copy_goes_with_the_first_commit_unless_its_object_is_held() {
    let mut world = World::new();
    world.git("web", one()).row("web", 7, one());
    world.sides.copies.insert(path("managed/vpcs/web-1.yaml"), key("web"));

    let plan = world.plan();
    assert_eq!(plan.edits.get(&path("managed/vpcs/web-1.yaml")), Some(&Edit::Delete));
    assert_eq!(plan.changes.iter().map(|change| change.verb).collect::<Vec<_>>(), [Verb::RemoveCopy]);

    world.row("web", 7, two());
    assert!(world.plan().edits.is_empty(), "the sides differ, and a person has to look");
}

#[test]
fn the_status_is_what_the_marker_says() {
    let (fabric, ledger) = (FabricName::new("lab"), LedgerId::new("01LEDGER"));
    let status = |marker: Option<&[u8]>| condition_by(marker, &fabric, &ledger).status;
    let error = |marker: &[u8]| {
        let found = condition_by(Some(marker), &fabric, &ledger);
        assert_eq!(found.status, DirectoryStatus::Error);
        found.reason.unwrap().code
    };

    assert_eq!(status(None), DirectoryStatus::NotInitialized);
    assert_eq!(status(Some(OLD_MARKER)), DirectoryStatus::NotInitialized);
    assert_eq!(status(Some(&render_marker(&marker(), None))), DirectoryStatus::Initialized);
    let waiting = Marker { onboarding: true, ..marker() };
    assert_eq!(status(Some(&render_marker(&waiting, None))), DirectoryStatus::Initializing);
    assert_eq!(error(b"["), "broken_marker");
    assert_eq!(error(&render_marker(&Marker { ledger: LedgerId::new("x"), ..marker() }, None)), "other_ledger");
    assert_eq!(error(&render_marker(&Marker { fabric: FabricName::new("x"), ..marker() }, None)), "other_fabric");
}
