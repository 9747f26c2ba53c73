//! The reference of the settings, held against the file in `deploy/`, the example and the reader.

use fgd_sync::config::{Described, described};
use serde_json::{Value, json};

use super::*;

/// Every setting, those of groups among them.
fn all() -> Vec<Described> {
    fn flat(settings: Vec<Described>) -> Vec<Described> {
        let with_those_below = |setting: Described| {
            let below = setting.below.clone().map(|(_, below)| flat(below)).unwrap_or_default();
            [setting].into_iter().chain(below).collect::<Vec<_>>()
        };
        settings.into_iter().flat_map(with_those_below).collect()
    }
    flat(described())
}

#[test]
fn the_reference_in_deploy_is_what_the_code_says() {
    let path = in_repository("deploy/SETTINGS.md");
    let made = config::reference();

    if std::env::var_os("UPDATE").is_some_and(|value| value == "1") {
        std::fs::write(&path, &made).unwrap();
    }

    assert!(std::fs::read_to_string(path).unwrap() == made, "deploy/SETTINGS.md is old: run this test with UPDATE=1");
}

#[test]
fn every_setting_says_in_one_sentence_what_it_does() {
    for setting in all() {
        let sentence = setting.about;

        assert!(sentence.len() > 8 && sentence.ends_with('.') && !sentence.contains('|'), "{setting:?}");
    }
}

#[test]
fn every_variable_stands_beside_its_setting() {
    let told: BTreeSet<&str> = all().iter().flat_map(|setting| setting.variables.clone()).collect();

    let known: BTreeSet<&str> = config::VARIABLES.iter().map(|variable| variable.name).collect();
    assert_eq!(told, known);
}

/// The paths of a file's settings, with `<name>` for the names that an operator chose and `[]` for a place in a list.
fn paths(value: &Value, path: &str, leaves: &BTreeSet<String>, found: &mut BTreeSet<String>) {
    if leaves.contains(path) {
        found.insert(path.to_owned());
        return;
    }
    match value {
        Value::Object(fields) => {
            let named = format!("{path}.<name>");
            let is_named = leaves.iter().any(|leaf| leaf.starts_with(&named));
            for (name, field) in fields {
                let below = match (path, is_named) {
                    ("", _) => name.clone(),
                    (_, true) => named.clone(),
                    (_, false) => format!("{path}.{name}"),
                };
                paths(field, &below, leaves, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| paths(item, &format!("{path}[]"), leaves, found)),
        _ => {
            found.insert(path.to_owned());
        }
    }
}

#[test]
fn the_example_has_every_setting_and_no_other() {
    let known: Vec<Vec<String>> =
        all().into_iter().filter(|setting| setting.below.is_none()).map(|setting| setting.paths).collect();
    let leaves = known.iter().flatten().cloned().collect();
    let example: Value = serde_yaml::from_str(&uncommented_example()).unwrap();

    let mut written = BTreeSet::new();
    paths(&example, "", &leaves, &mut written);

    let unknown: Vec<_> = written.difference(&leaves).collect();
    assert_eq!(unknown, Vec::<&String>::new());
    // One form of a secret is enough.
    let unnamed: Vec<_> = known.iter().filter(|forms| !forms.iter().any(|form| written.contains(form))).collect();
    assert_eq!(unnamed, Vec::<&Vec<String>>::new());
}

#[test]
fn every_setting_is_read() {
    let good: Value = serde_yaml::from_str(GOOD).unwrap();
    for path in all().into_iter().flat_map(|setting| setting.paths) {
        let mut settings = good.clone();
        let concrete = path.replace("<name>", if path.starts_with("fabrics") { "lab" } else { "main" });
        put_nonsense(&mut settings, &concrete);

        let problems = Case::new(&settings.to_string()).problems();

        // Where something around it is wrong already, that is what is told.
        let felt = problems.iter().any(|problem| {
            concrete.starts_with(&problem.setting.replace("[0]", "[]")) || problem.setting.starts_with(&concrete)
        });
        assert!(felt, "{path} is never read: {}", shown(&problems));
    }
}

/// Writes what is neither a text, a number, a map nor a list of any of them.
fn put_nonsense(settings: &mut Value, path: &str) {
    let mut place = settings;
    for part in path.split('.') {
        let name = part.trim_end_matches("[]");
        if !place.is_object() {
            *place = json!({});
        }
        place = &mut place[name];
        if name != part {
            *place = json!([{}]);
            place = &mut place[0];
        }
    }
    *place = json!([[]]);
}
