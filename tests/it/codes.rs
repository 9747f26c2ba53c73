//! Every code that the service can show has its words for people, and none that it cannot.

use std::collections::{BTreeMap, BTreeSet};

use regex::{Captures, Regex};

use crate::borders::sources;

/// Where a code is given to an error, a reason or a finding: as a text, or by the name of a constant.
const GIVEN: &str = r#"(?:\berror|\bheld|\bwarn|\brefused|\bnot_read|Reason::new|Clash::new|Finding::warning)\(\s*(?:"([a-z0-9_]+)"|(?:\w+::)*([A-Z_]+)\b)"#;
/// Where a code stands in a value.
const VALUE: &str = r#"\bcode: "([a-z0-9_]+)""#;
const CONSTANT: &str = r#"const ([A-Z_]+): &(?:'static )?str = "([a-z0-9_]+)""#;
/// Modules that make errors, reasons and findings. What `http` refuses by itself is in the API's description.
const MODULES: [&str; 9] = ["app", "domain", "ledger", "lint", "netbox", "plan", "queue", "run", "validate"];
/// Files in which every text with an underscore is a code, for they choose among codes.
const TABLES: [&str; 3] = ["plan/yaml.rs", "plan/recognise.rs", "domain/history.rs"];
const WORD: &str = r#""([a-z]+(?:_[a-z0-9]+)+)""#;
/// How values are spelled, and no code.
const SPELLING: &str = "snake_case";

/// The codes in the source, each with a file that has it.
fn codes_of_the_source() -> BTreeMap<String, String> {
    let [given, value, constant, word] = [GIVEN, VALUE, CONSTANT, WORD].map(|pattern| Regex::new(pattern).unwrap());
    let makes_codes = |file: &str| {
        let module = file.split('/').next().unwrap_or_default().trim_end_matches(".rs");
        file == "http/onboarding.rs" || MODULES.contains(&module)
    };
    let sources: BTreeMap<String, String> = sources().into_iter().filter(|(file, _)| makes_codes(file)).collect();
    let constants: BTreeMap<&str, &str> = sources
        .values()
        .flat_map(|text| constant.captures_iter(text).map(|found| found.extract().1))
        .map(|[name, code]| (name, code))
        .collect();
    let mut codes = BTreeMap::new();
    for (file, text) in &sources {
        let named = |found: &Captures<'_>| found.get(2).and_then(|name| constants.get(name.as_str()).copied());
        let code = |found: Captures<'_>| {
            found.get(1).map(|code| code.as_str().to_owned()).or(named(&found).map(str::to_owned))
        };
        let mut all: Vec<String> = given.captures_iter(text).filter_map(code).collect();
        all.extend(value.captures_iter(text).map(|found| found[1].to_owned()));
        if TABLES.contains(&file.as_str()) {
            all.extend(word.captures_iter(text).map(|found| found[1].to_owned()).filter(|word| word != SPELLING));
        }
        codes.extend(all.into_iter().map(|code| (code, file.clone())));
    }
    codes
}

/// The codes that the tables for people have, each with its section; every row says what it means and what to do.
fn codes_in_words() -> BTreeMap<String, &'static str> {
    let mut codes = BTreeMap::new();
    let code = Regex::new("`([a-z0-9_]+)`").unwrap();
    for section in include_str!("../../deploy/CODES.md").split("\n## ").skip(1) {
        let heading = section.lines().next().unwrap_or_default();
        for table in section.split("| code | says | what to do |\n").skip(1) {
            for row in table.lines().skip(1).take_while(|line| line.starts_with('|')) {
                let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
                assert!(cells.len() == 3 && cells.iter().all(|cell| !cell.is_empty()), "{heading}: {row}");
                for found in code.captures_iter(cells[0]) {
                    let twice = codes.insert(found[1].to_owned(), heading);
                    assert!(twice.is_none(), "{heading}: `{}` stands in two rows", &found[1]);
                }
            }
        }
    }
    codes
}

#[test]
fn every_code_has_its_words_and_no_words_are_left_of_a_code_that_is_gone() {
    let (source, words) = (codes_of_the_source(), codes_in_words());

    let without: Vec<_> = source.iter().filter(|(code, _)| !words.contains_key(*code)).collect();
    let left: Vec<_> = words.iter().filter(|(code, _)| !source.contains_key(*code)).collect();

    assert!(without.is_empty(), "give these a row in deploy/CODES.md: {without:#?}");
    assert!(left.is_empty(), "nothing in src gives these codes any more: {left:#?}");
}

/// What a person must do before a fabric is worked on again stands in one place.
#[test]
fn what_stops_a_fabric_stands_in_one_section() {
    let words = codes_in_words();
    let stalling = Regex::new(r#"(?:Stalled|Directory|Refused)\(error\(\s*"([a-z0-9_]+)""#).unwrap();
    let sources = sources();
    let stalled: BTreeSet<&str> = sources
        .iter()
        .filter(|(file, _)| file.starts_with("run/"))
        .flat_map(|(_, text)| stalling.captures_iter(text).filter_map(|found| Some(found.get(1)?.as_str())))
        .collect();

    assert!(stalled.len() >= 10, "{stalled:?}");
    let elsewhere: Vec<_> =
        stalled.into_iter().filter(|code| words.get(*code) != Some(&"What stops a fabric")).collect();
    assert!(elsewhere.is_empty(), "{elsewhere:?}");
}
