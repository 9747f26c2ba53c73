//! The pages that people read: their links, and the commands that they tell to run.

use regex::Regex;

use super::{here, read};

/// The files that people read, from the repository's root.
fn pages() -> Vec<String> {
    let folder = |folder: &str| {
        let names = std::fs::read_dir(here(folder)).unwrap().map(|entry| entry.unwrap().file_name());
        let names = names.map(|name| name.into_string().unwrap()).filter(|name| name.ends_with(".md"));
        names.map(|name| format!("{folder}/{name}")).collect::<Vec<_>>()
    };
    [vec!["README.md".to_owned()], folder("deploy"), folder(".github")].concat()
}

/// What a heading is linked by: its words in lower case, without marks, joined by dashes.
fn anchor(heading: &str) -> String {
    let words = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = words.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn every_link_in_the_pages_leads_somewhere() {
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let mut links = 0;

    for page in pages() {
        for found in link.captures_iter(&read(&page)) {
            let target = &found[1];
            if target.starts_with("https://") {
                continue;
            }
            let (file, place) = target.split_once('#').unwrap_or((target, ""));
            let beside = here(&page).parent().unwrap().join(file);
            let leads_to = if file.is_empty() { here(&page) } else { beside };
            assert!(leads_to.exists(), "{page}: {target}");
            if !place.is_empty() {
                let text = std::fs::read_to_string(&leads_to).unwrap();
                let mut headings = text.lines().filter(|line| line.starts_with('#')).map(anchor);
                assert!(headings.any(|heading| heading == place), "{page}: {target}");
            }
            links += 1;
        }
    }
    assert!(links > 30, "{links}");
}

/// A step that a page tells to run is one that `./dev` has.
#[test]
fn every_command_of_dev_in_the_pages_is_there() {
    let command = Regex::new(r"\./dev ([a-z]+)(?: ([a-z]+))?").unwrap();
    let known = read("dev");
    let known = |word: &str| Regex::new(&format!(r"(?m)^  {word}\b")).unwrap().is_match(&known);
    let benches = read("tests/bench/main.rs");
    let mut commands = 0;

    for page in pages() {
        for found in command.captures_iter(&read(&page)) {
            assert!(known(&found[1]), "{page}: {}", &found[0]);
            if let Some(name) = found.get(2).filter(|_| &found[1] == "bench") {
                assert!(benches.contains(&format!("\"{}\"", name.as_str())), "{page}: {}", &found[0]);
            }
            commands += 1;
        }
    }
    assert!(commands > 10, "{commands}");
}
