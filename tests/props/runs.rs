//! Runs over both sides, as people change them.

use std::collections::BTreeMap;

use bytes::Bytes;
use fgd_sync::domain::key::Key;
use fgd_sync::domain::policy::{OnFirstDifference, OnGitDelete};
use fgd_sync::domain::report::{Item, Outcome};
use fgd_sync::plan::{FabricPlan, NetBoxWrite};
use proptest::prelude::*;

use crate::model::{Model, REFUSED, document_text, key, path};

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
fn any_key() -> impl Strategy<Value = Key> {
    prop::sample::select(vec!["a", "b", "c", "n-a", "n/a"]).prop_map(key)
}

fn value() -> impl Strategy<Value = u8> {
    prop::sample::select(vec![1, 2, 3, REFUSED])
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
            model.git.insert(at, Bytes::from(document_text(key, *value)));
        }
        Action::Reformat(key) => {
            if let Some(at) = file_of(model, key) {
                let text = [b"# a comment\n---\n".as_slice(), &model.git[&at]].concat();
                model.git.insert(at, Bytes::from(text));
            }
        }
        Action::DeleteFile(key) => {
            if let Some(at) = file_of(model, key) {
                model.git.remove(&at);
            }
        }
        Action::BreakFile(key) => {
            if let Some(at) = file_of(model, key) {
                model.git.insert(at, Bytes::from_static(b"a: [1\n"));
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

fn policies() -> impl Strategy<Value = (OnGitDelete, OnFirstDifference)> {
    let deletes = prop::sample::select(vec![OnGitDelete::Hold, OnGitDelete::Delete]);
    let firsts = vec![OnFirstDifference::Hold, OnFirstDifference::Netbox, OnFirstDifference::Git];
    (deletes, prop::sample::select(firsts))
}

fn model_with((on_git_delete, on_first_difference): (OnGitDelete, OnFirstDifference)) -> Model {
    let mut model = Model::default();
    model.policy.on_git_delete = on_git_delete;
    model.policy.on_first_difference = on_first_difference;
    model
}

fn nothing_to_do(plan: &FabricPlan) -> bool {
    plan.edits.is_empty() && plan.netbox.is_empty() && plan.base.is_empty() && plan.remember.is_empty()
}

fn held(plan: &FabricPlan) -> Vec<&Key> {
    let objects = plan.items.iter().filter_map(|item| match item {
        Item::Object { key, outcome: Outcome::Held { .. } } => Some(key),
        Item::Object { .. } | Item::Document { .. } | Item::File { .. } | Item::Warning { .. } => None,
    });
    objects.collect()
}

/// Several turns: people change things, then a run.
fn turns() -> impl Strategy<Value = Vec<Vec<Action>>> {
    prop::collection::vec(prop::collection::vec(action(), 1..4), 1..5)
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
        before in turns(), turn in prop::collection::vec(action(), 1..4), kill_at in 1usize..12, policies in policies()
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
    fn nothing_is_written_to_netbox_that_a_user_changed_unseen(before in turns(), turn in prop::collection::vec(action(), 1..4)) {
        let mut model = Model::default();
        for turn in &before {
            turn.iter().for_each(|action| apply(&mut model, action));
            prop_assert!(model.run(None));
        }
        turn.iter().for_each(|action| apply(&mut model, action));

        for write in model.plan().netbox {
            let touched = match write {
                NetBoxWrite::Create { .. } => continue,
                NetBoxWrite::Update { against, .. } | NetBoxWrite::Delete { against } => against.shared.key,
            };
            let by_user = turn.iter().any(|action| matches!(action, Action::PutRow(key, _) | Action::RenameRow(_, key) if *key == touched));
            let same = model.sides().keys[&touched].base.as_ref().and_then(|base| base.netbox.as_ref()).is_some_and(|base| {
                Some(&base.digest) == model.id_of(&touched).map(|id| model.rows[&id].shared.digest()).as_ref()
            });
            // Git says the same as the user: both agree, and a raw document may change both.
            let agreed = model.contents().get(&touched).is_some_and(|(git, netbox)| git == netbox);
            prop_assert!(!by_user || same || agreed, "{touched} would be overwritten");
        }
    }
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
