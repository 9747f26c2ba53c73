//! Runs over both sides, as people change them.

use std::collections::BTreeMap;

use bytes::Bytes;
use fgd_sync::domain::conflict::{Choice, Resolution};
use fgd_sync::domain::key::Key;
use fgd_sync::domain::kind::Catalogue;
use fgd_sync::domain::policy::{Direction, OnConflict, OnDrift, OnFirstDifference, OnGitDelete, Policy};
use fgd_sync::domain::report::{Item, Outcome};
use fgd_sync::plan::managed::{ManagedFile, read_document};
use fgd_sync::plan::{FabricPlan, NetBoxWrite, Overwritten};
use proptest::prelude::*;

use crate::model::{Model, REFUSED, document_text, key, path, shared};

/// What a person, or a user of NetBox, does.
#[derive(Debug, Clone)]
enum Action {
    PutRow(Key, u8),
    DeleteRow(Key),
    RenameRow(Key, Key),
    WriteFile(Key, u8),
    Reformat(Key),
    DeleteFile(Key),
    BreakFile(Key),
    Drop(&'static str, Vec<(Option<Key>, u8)>),
    RemoveRaw(&'static str),
}

/// Two of the names want one path.
const NAMES: [&str; 5] = ["a", "b", "c", "n-a", "n/a"];

fn any_key() -> impl Strategy<Value = Key> {
    prop::sample::select(NAMES.to_vec()).prop_map(key)
}

fn value() -> impl Strategy<Value = u8> {
    prop::sample::select(vec![1, 2, 3, 11, 12, 21, REFUSED])
}

fn raw_name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["raw/x.yaml", "raw/d/y.yml", "raw/n.txt"])
}

fn action() -> impl Strategy<Value = Action> {
    let documents = prop::collection::vec((prop::option::weighted(0.8, any_key()), value()), 1..4);
    prop_oneof![
        3 => (any_key(), value()).prop_map(|(key, value)| Action::PutRow(key, value)),
        1 => any_key().prop_map(Action::DeleteRow),
        1 => (any_key(), any_key()).prop_map(|(from, to)| Action::RenameRow(from, to)),
        2 => (any_key(), value()).prop_map(|(key, value)| Action::WriteFile(key, value)),
        1 => any_key().prop_map(Action::Reformat),
        1 => any_key().prop_map(Action::DeleteFile),
        1 => any_key().prop_map(Action::BreakFile),
        3 => (raw_name(), documents).prop_map(|(name, documents)| Action::Drop(name, documents)),
        1 => raw_name().prop_map(Action::RemoveRaw),
    ]
}

fn apply(model: &mut Model, action: &Action) {
    let file_of = |model: &Model, key: &Key| model.files().get(key).and_then(|paths| paths.first().cloned());
    match action {
        Action::PutRow(key, value) => model.put_row(key, *value),
        Action::DeleteRow(key) => model.delete_row(key),
        Action::RenameRow(from, to) => model.rename_row(from, to),
        Action::WriteFile(key, value) => {
            let namespace = if key.namespace == "default" { String::new() } else { format!("{}-", key.namespace) };
            let usual = path(&format!("managed/vpcs/{namespace}{}.yaml", key.name));
            let at = file_of(model, key).unwrap_or(usual);
            model.put_file(&at, Bytes::from(document_text(key, *value)));
        }
        Action::Reformat(key) => {
            if let Some(at) = file_of(model, key) {
                let text = [b"# a comment\n---\n".as_slice(), &model.git[&at]].concat();
                model.put_file(&at, Bytes::from(text));
            }
        }
        Action::DeleteFile(key) => {
            if let Some(at) = file_of(model, key) {
                model.git.remove(&at);
            }
        }
        Action::BreakFile(key) => {
            if let Some(at) = file_of(model, key) {
                model.put_file(&at, Bytes::from_static(b"a: [1\n"));
            }
        }
        Action::Drop(name, documents) => {
            let texts = documents.iter().map(|(key, value)| match key {
                Some(key) => document_text(key, *value),
                None => format!("not: ours\nv: {value}\n"),
            });
            model.git.insert(path(name), Bytes::from(texts.collect::<Vec<_>>().join("---\n")));
        }
        Action::RemoveRaw(name) => _ = model.git.remove(&path(name)),
    }
}

fn policies() -> impl Strategy<Value = Policy> {
    let deletes = prop::sample::select(vec![OnGitDelete::Hold, OnGitDelete::Delete]);
    let firsts = prop::sample::select(vec![OnFirstDifference::Hold, OnFirstDifference::Netbox, OnFirstDifference::Git]);
    let conflicts = prop::sample::select(vec![OnConflict::Hold, OnConflict::Netbox, OnConflict::Git]);
    let directions = prop_oneof![
        3 => Just(Direction::Both),
        1 => Just(Direction::NetboxToGit),
        1 => Just(Direction::GitToNetbox),
    ];
    let drifts = prop::sample::select(vec![OnDrift::Report, OnDrift::Heal]);
    let all = (deletes, firsts, conflicts, directions, drifts);
    all.prop_map(|(on_git_delete, on_first_difference, on_conflict, direction, on_drift)| Policy {
        on_git_delete,
        on_first_difference,
        on_conflict,
        direction,
        on_drift,
        ..Policy::default()
    })
}

fn model_with(policy: Policy) -> Model {
    let mut model = Model::default();
    model.policy = policy;
    model
}

fn nothing_to_do(plan: &FabricPlan) -> bool {
    plan.edits.is_empty() && plan.netbox.is_empty() && plan.base.is_empty() && plan.remember.is_empty()
}

fn held(plan: &FabricPlan) -> Vec<&Key> {
    let objects = plan.items.iter().filter_map(|item| match item {
        Item::Object { key, outcome: Outcome::Held { .. }, .. } => Some(key),
        Item::Object { .. } | Item::Document { .. } | Item::File { .. } | Item::Warning { .. } => None,
    });
    objects.collect()
}

/// Several turns: people change things, then a run. Half of the time all of it is about one object.
fn turns() -> impl Strategy<Value = Vec<Vec<Action>>> {
    let anything = prop::collection::vec(prop::collection::vec(action(), 1..4), 1..5);
    let one_object = prop::collection::vec(turn_of_one(), 1..5);
    prop_oneof![anything, one_object]
}

fn turn_of_one() -> impl Strategy<Value = Vec<Action>> {
    turn_with(vec![1, 2, 3, 11, 12, 21, REFUSED])
}

fn turn_with(values: Vec<u8>) -> impl Strategy<Value = Vec<Action>> {
    let value = || prop::sample::select(values.clone());
    let action = prop_oneof![
        4 => value().prop_map(|value| Action::PutRow(key("a"), value)),
        4 => value().prop_map(|value| Action::WriteFile(key("a"), value)),
        1 => Just(Action::DeleteRow(key("a"))),
        1 => Just(Action::DeleteFile(key("a"))),
        1 => value().prop_map(|value| Action::Drop("raw/x.yaml", vec![(Some(key("a")), value)])),
    ];
    prop::collection::vec(action, 1..4)
}

fn turn() -> impl Strategy<Value = Vec<Action>> {
    prop_oneof![prop::collection::vec(action(), 1..4), turn_of_one()]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn planning_again_on_the_planned_result_gives_nothing(turns in turns(), policies in policies()) {
        let mut model = model_with(policies);
        for turn in &turns {
            turn.iter().for_each(|action| apply(&mut model, action));
            prop_assert!(model.run(None));

            let again = model.plan();
            prop_assert!(nothing_to_do(&again), "{again:#?}");
        }
    }

    #[test]
    fn at_rest_both_sides_are_equal_or_held(turns in turns(), policies in policies()) {
        let mut model = model_with(policies);
        for turn in &turns {
            turn.iter().for_each(|action| apply(&mut model, action));
            prop_assert!(model.run(None));

            let plan = model.plan();
            let held = held(&plan);
            for (key, (git, netbox)) in model.contents() {
                prop_assert!(git == netbox || held.contains(&&key), "{key}: {git:?} and {netbox:?}");
            }
        }
    }

    #[test]
    fn every_key_and_document_in_scope_has_one_item_and_the_counts_are_theirs(turn in prop::collection::vec(action(), 1..8), policies in policies()) {
        let mut model = model_with(policies);
        turn.iter().for_each(|action| apply(&mut model, action));
        let sides = model.sides();

        let plan = model.plan();

        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for item in &plan.items {
            let name = match item {
                Item::Object { key, .. } => key.to_string(),
                Item::Document { path, index, item_index, .. } => format!("{path}#{index}{}", item_index.map(|item| format!(".{item}")).unwrap_or_default()),
                Item::File { path, .. } => path.clone(),
                Item::Warning { about, .. } => about.clone(),
            };
            *seen.entry(name).or_default() += 1;
        }
        let keys = sides.keys.keys().map(ToString::to_string);
        let documents = sides.raw.iter().flat_map(|raw| (0..raw.documents.len()).map(move |place| raw.id(place).to_string()));
        let files = sides.broken.iter().map(|file| file.path.to_string());
        let expected: BTreeMap<String, usize> = keys.chain(documents).chain(files).map(|name| (name, 1)).collect();
        prop_assert_eq!(seen, expected);
        let writes = plan.counts.netbox_created + plan.counts.netbox_updated + plan.counts.netbox_deleted;
        prop_assert_eq!(writes as usize, plan.netbox.len());
    }

    #[test]
    fn the_order_in_which_raw_files_are_listed_does_not_matter(turn in prop::collection::vec(action(), 1..8)) {
        let mut model = Model::default();
        turn.iter().for_each(|action| apply(&mut model, action));
        let sides = model.sides();
        let mut turned = sides.clone();
        turned.raw.reverse();
        turned.broken.reverse();

        let (one, other) = (fgd_sync::plan::plan_fabric(&sides, &model.policy), fgd_sync::plan::plan_fabric(&turned, &model.policy));

        prop_assert_eq!(one, other);
    }

    #[test]
    fn a_run_killed_anywhere_and_run_again_ends_where_an_undisturbed_one_does(
        before in turns(), turn in turn(), kill_at in 1usize..12, policies in policies()
    ) {
        let mut model = model_with(policies);
        for turn in &before {
            turn.iter().for_each(|action| apply(&mut model, action));
            prop_assert!(model.run(None));
        }
        turn.iter().for_each(|action| apply(&mut model, action));
        let mut killed = model.clone();

        prop_assert!(model.run(None));
        killed.run(Some(kill_at));
        prop_assert!(killed.run(None));

        prop_assert_eq!(model.contents(), killed.contents());
        prop_assert!(nothing_to_do(&killed.plan()));
        let area = |model: &Model, name: &str| model.git.keys().filter(|file| file.is_within(&path(name))).cloned().collect::<Vec<_>>();
        for name in ["raw", "managed", "unmanaged"] {
            prop_assert_eq!(area(&model, name), area(&killed, name));
        }
    }

    #[test]
    fn two_small_batches_end_where_one_big_one_does(before in turns(), first in apart("a"), second in apart("b"), policies in policies()) {
        let mut model = model_with(policies);
        for turn in &before {
            turn.iter().filter(|action| !touches_several(action)).for_each(|action| apply(&mut model, action));
            prop_assert!(model.run(None));
        }
        let mut big = model.clone();
        first.iter().chain(&second).for_each(|action| apply(&mut big, action));
        prop_assert!(big.run(None));

        first.iter().for_each(|action| apply(&mut model, action));
        prop_assert!(model.run(None));
        second.iter().for_each(|action| apply(&mut model, action));
        prop_assert!(model.run(None));

        prop_assert_eq!(big.contents(), model.contents());
    }

    #[test]
    fn nothing_is_written_to_netbox_that_a_user_changed_unseen(before in turns(), turn in turn()) {
        let mut model = Model::default();
        for turn in &before {
            turn.iter().for_each(|action| apply(&mut model, action));
            prop_assert!(model.run(None));
        }
        turn.iter().for_each(|action| apply(&mut model, action));

        let plan = model.plan();
        for write in &plan.netbox {
            let touched = match write {
                NetBoxWrite::Create { .. } => continue,
                NetBoxWrite::Update { against, .. } | NetBoxWrite::Delete { against } => against.shared.key.clone(),
            };
            let by_user = turn.iter().any(|action| matches!(action, Action::PutRow(key, _) | Action::RenameRow(_, key) if *key == touched));
            let same = model.sides().keys[&touched].base.as_ref().and_then(|base| base.netbox.as_ref()).is_some_and(|base| {
                Some(&base.digest) == model.id_of(&touched).map(|id| model.rows[&id].shared.digest()).as_ref()
            });
            // Git says the same as the user: both agree, and a raw document may change both.
            let agreed = model.contents().get(&touched).is_some_and(|(git, netbox)| git == netbox);
            // A merge holds what the user changed; `a_merge_killed_anywhere...` looks at that.
            let merged = plan.merged.contains_key(&touched);
            prop_assert!(!by_user || same || agreed || merged, "{touched} would be overwritten");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Git's people change one field and NetBox's users the other, before a run is killed and after it.
    #[test]
    fn a_merge_killed_anywhere_loses_no_change_of_either_side(
        kill_at in 1usize..8,
        by_git in (2u8..5, prop::option::of(2u8..5)),
        by_netbox in (2u8..5, prop::option::of(2u8..5)),
    ) {
        let mut model = Model::default();
        model.put_row(&key("a"), 11);
        prop_assert!(model.run(None));
        let git_says = |model: &mut Model, v: u8| {
            let x = model.contents()[&key("a")].0.as_ref().and_then(|spec| spec["w"]["x"].as_u64()).unwrap();
            apply(model, &Action::WriteFile(key("a"), x as u8 * 10 + v));
        };
        let netbox_says = |model: &mut Model, x: u8| {
            let v = model.contents()[&key("a")].1.as_ref().and_then(|spec| spec["v"].as_u64()).unwrap();
            model.put_row(&key("a"), x * 10 + v as u8);
        };

        git_says(&mut model, by_git.0);
        netbox_says(&mut model, by_netbox.0);
        model.run(Some(kill_at));
        if let Some(v) = by_git.1 {
            git_says(&mut model, v);
        }
        if let Some(x) = by_netbox.1 {
            netbox_says(&mut model, x);
        }
        prop_assert!(model.run(None));

        let expected = shared(&key("a"), by_netbox.1.unwrap_or(by_netbox.0) * 10 + by_git.1.unwrap_or(by_git.0)).spec;
        let (git, netbox) = model.contents()[&key("a")].clone();
        if model.plan().conflicts.is_empty() {
            prop_assert_eq!((git, netbox), (Some(expected.clone()), Some(expected)));
        } else {
            // Killed between a write (of the row, of the commit) and its record, and then both sides went on: nothing
            // tells whether the write took place, so a person looks. Each side still has its own last change.
            prop_assert!(matches!(kill_at, 3 | 5) && by_git.1.is_some() && by_netbox.1.is_some());
            prop_assert_eq!((&git.unwrap()["v"], &netbox.unwrap()["w"]["x"]), (&expected["v"], &expected["w"]["x"]));
        }
        prop_assert!(nothing_to_do(&model.plan()));
    }

    #[test]
    fn every_conflict_ends_as_a_person_decides_wherever_the_run_is_killed(
        turns in prop::collection::vec(turn_with(vec![1, 2, 3, 11, 12, 21]), 1..5),
        side in 0u8..3,
        kill_at in 1usize..8,
        on_git_delete in prop::sample::select(vec![OnGitDelete::Hold, OnGitDelete::Delete]),
    ) {
        let mut model = model_with(Policy { on_git_delete, ..Policy::default() });
        for turn in &turns {
            turn.iter().for_each(|action| apply(&mut model, action));
            prop_assert!(model.run(None));
        }
        let Some((key, (conflict, _))) = model.plan().conflicts.pop_first() else { return Ok(()) };
        let raw = conflict.git.as_ref().is_some_and(|git| git.index.is_some());
        let before = model.contents()[&key].clone();
        let (choice, expected) = match side {
            0 => (Choice::Netbox, before.1.clone()),
            1 => (Choice::Git, if raw { None } else { before.0.clone() }),
            _ => {
                let document = shared(&key, 44).document("vpc.githedgehog.com/v1beta1");
                (Choice::Merged { document }, Some(shared(&key, 44).spec))
            }
        };
        let is_merge = matches!(choice, Choice::Merged { .. });
        let git = conflict.git.map(|git| git.digest);
        let netbox = conflict.netbox.map(|netbox| netbox.digest);
        model.resolutions.insert(key.clone(), Resolution { choice, git, netbox, by: "kim".to_owned() });

        model.run(Some(kill_at));
        prop_assert!(model.run(None));

        prop_assert!(model.resolutions.is_empty());
        let plan = model.plan();
        prop_assert!(nothing_to_do(&plan));
        if raw && is_merge {
            prop_assert!(plan.conflicts.contains_key(&key), "a raw document is not merged");
            return Ok(());
        }
        prop_assert!(plan.conflicts.is_empty(), "{:?}", plan.conflicts);
        let after = model.contents().remove(&key).unwrap_or_default();
        prop_assert_eq!(&after.0, &after.1);
        if !raw || side == 0 {
            prop_assert_eq!(after.0, expected);
        }
    }

    #[test]
    fn every_file_that_a_plan_overwrites_unagreed_is_named(
        // Values of one field: nothing merges.
        turns in prop::collection::vec(turn_with(vec![1, 2, 3, 4]), 1..5), policy in policies()
    ) {
        let mut model = model_with(policy);
        for turn in &turns {
            let agreed = model.agreed_contents();
            // A raw document is Git's own word: what it replaces is not lost against anybody's will.
            turn.iter().filter(|action| !matches!(action, Action::Drop(..))).for_each(|action| apply(&mut model, action));
            let before = model.git.clone();

            let plans = model.run_and_show();

            let named: Vec<_> = plans.iter().flat_map(|plan| &plan.overwritten).filter_map(|overwritten| match overwritten {
                Overwritten::File { path, .. } => Some(path),
                Overwritten::Row { .. } => None,
            }).collect();
            for (file, bytes) in before.iter().filter(|(file, _)| file.is_within(&path("managed"))) {
                let ManagedFile::Document(was) = read_document(Catalogue::hedgehog(), bytes) else { continue };
                if agreed.get(&was.key) == Some(&was.shared().digest()) {
                    continue;
                }
                let is = model.git.get(file).map(|bytes| read_document(Catalogue::hedgehog(), bytes));
                let kept = matches!(&is, Some(ManagedFile::Document(is)) if is.shared().spec == was.shared().spec);
                prop_assert!(kept || named.contains(&file), "{file} was overwritten and not named");
            }
        }
    }

    #[test]
    fn where_changes_go_one_way_the_leading_side_is_never_written(turns in turns(), policy in policies()) {
        let mut model = model_with(policy);
        for turn in &turns {
            turn.iter().for_each(|action| apply(&mut model, action));
            for plan in model.run_and_show() {
                let managed = path("managed");
                let edited = plan.edits.keys().any(|file| file.is_within(&managed) && file.file_name() != ".gitkeep");
                match model.policy.direction {
                    Direction::Both => {}
                    Direction::NetboxToGit => prop_assert!(plan.netbox.is_empty(), "{:?}", plan.netbox),
                    // What was dropped into raw/ is Git's own.
                    Direction::GitToNetbox => prop_assert!(!edited || plan.counts.ingested > 0, "{:?}", plan.edits.keys()),
                }
            }
        }
    }
}

#[test]
fn changes_of_different_fields_end_on_both_sides() {
    let mut model = Model::default();
    model.put_row(&key("a"), 11);
    assert!(model.run(None));

    model.put_row(&key("a"), 12);
    apply(&mut model, &Action::WriteFile(key("a"), 21));
    assert!(model.run(None));

    let spec = &model.contents()[&key("a")];
    assert_eq!(spec.0.as_ref().map(|spec| (&spec["v"], &spec["w"]["x"])), Some((&2.into(), &2.into())));
    assert_eq!(spec.0, spec.1);
}

/// Changes of one object alone, on either side or by a raw file of its own.
fn apart(name: &'static str) -> impl Strategy<Value = Vec<Action>> {
    let file = if name == "a" { "raw/only-a.yaml" } else { "raw/only-b.yaml" };
    let one = prop_oneof![
        value().prop_map(move |value| Action::PutRow(key(name), value)),
        Just(Action::DeleteRow(key(name))),
        value().prop_map(move |value| Action::WriteFile(key(name), value)),
        Just(Action::DeleteFile(key(name))),
        value().prop_map(move |value| Action::Drop(file, vec![(Some(key(name)), value)])),
    ];
    prop::collection::vec(one, 1..3)
}

/// Objects that depend on each other (one path, one file, one row) may end differently in another order.
fn touches_several(action: &Action) -> bool {
    let collides = |key: &Key| key.name == "n-a" || key.namespace == "n";
    match action {
        Action::RenameRow(..) | Action::Drop(..) | Action::RemoveRaw(..) => true,
        Action::PutRow(key, _) | Action::WriteFile(key, _) => collides(key),
        Action::DeleteRow(key) | Action::Reformat(key) | Action::DeleteFile(key) | Action::BreakFile(key) => {
            collides(key)
        }
    }
}

/// What is sent is what both sides agreed on before: nothing but the intent tells that it was not written yet.
#[test]
fn a_decision_for_content_as_it_was_agreed_survives_a_kill_before_the_write() {
    let mut model = model_with(Policy::default());
    apply(&mut model, &Action::Drop("raw/x.yaml", vec![(Some(key("a")), 1)]));
    assert!(model.run(None));
    apply(&mut model, &Action::DeleteRow(key("a")));
    apply(&mut model, &Action::WriteFile(key("a"), 1));
    assert!(model.run(None));
    let (conflict, _) = model.plan().conflicts.remove(&key("a")).expect("changed against deleted");
    let git = conflict.git.map(|git| git.digest);
    let resolution = Resolution { choice: Choice::Git, git, netbox: None, by: "kim".to_owned() };
    model.resolutions.insert(key("a"), resolution);

    assert!(!model.run(Some(2)));
    assert!(model.run(None));

    let spec = Some(shared(&key("a"), 1).spec);
    assert_eq!(model.contents()[&key("a")], (spec.clone(), spec));
}
