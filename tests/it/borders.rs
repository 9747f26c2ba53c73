//! Who may import whom, and who may make what: the borders of the crate, held against its source.
#![allow(clippy::unwrap_used, reason = "a helper of a test may panic as the test does")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What each module may name of the crate, beside itself.
const MAY_IMPORT: [(&str, &[&str]); 13] = [
    ("telemetry", &["domain"]),
    ("domain", &[]),
    ("plan", &["domain"]),
    ("validate", &["domain"]),
    ("lint", &["plan", "validate", "domain"]),
    ("webhook", &["domain"]),
    ("config", &["domain"]),
    ("repo", &["domain", "telemetry"]),
    ("netbox", &["domain", "telemetry"]),
    ("ledger", &["domain", "telemetry"]),
    ("run", &["plan", "validate", "repo", "netbox", "ledger", "domain"]),
    ("queue", &["run", "ledger", "telemetry"]),
    // Never repo or netbox: an answer must not wait for either.
    ("http", &["webhook", "ledger", "queue", "domain", "telemetry"]),
];

/// `queue` speaks in the domain's words too, since those of run and ledger are made of them.
const WORDS_FOR_ALL: &str = "domain";

/// The modules that put everything together.
const COMPOSITION: [&str; 4] = ["main", "cli", "lib", "app"];

/// Source files by their path below src, with test modules and comments blanked out.
pub type Sources = BTreeMap<String, String>;

pub fn sources() -> Sources {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(&root).unwrap().display().to_string();
            (name, production(&std::fs::read_to_string(&path).unwrap()))
        })
        .collect()
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            // A directory `tests` holds a module's tests, which only a test build has.
            if path.file_name().is_none_or(|name| name != "tests") {
                collect(&path, files);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The text without comments and without its test module, which stands last in a file; lines are kept.
fn production(text: &str) -> String {
    let mut kept = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line == "#[cfg(test)]"
            && lines.peek().is_some_and(|next| next.trim_start_matches("pub(super) ").starts_with("mod "))
        {
            break;
        }
        let code = match line.find("//") {
            // An address in a string is no comment.
            Some(at) if !line[..at].ends_with(':') => &line[..at],
            Some(_) | None => line,
        };
        kept.push(code);
    }
    kept.join("\n")
}

/// The crate's modules that a text names through `crate::`, alone or in braces.
fn named_modules(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        if text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &text[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => found.extend(group_heads(group)),
            None => found.push(word(rest)),
        }
    }
    found.sort();
    found.dedup();
    found
}

/// The first word of every item of a `{a::b, c::{d, e}}` group, whose opening brace is already taken.
fn group_heads(group: &str) -> Vec<String> {
    let (mut heads, mut depth, mut start) = (Vec::new(), 1, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 || (depth == 1 && c == ',') {
            heads.push(word(group[start..at].trim_start()));
            start = at + 1;
        }
        if depth == 0 {
            break;
        }
    }
    heads.retain(|head| !head.is_empty());
    heads
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn module_of(file: &str) -> &str {
    file.split('/').next().unwrap().trim_end_matches(".rs")
}

fn forbidden_imports(sources: &Sources) -> Vec<String> {
    let mut faults = Vec::new();
    for (file, text) in sources.iter().filter(|(file, _)| !COMPOSITION.contains(&module_of(file))) {
        let module = module_of(file);
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == module) else {
            faults.push(format!("{file}: `{module}` is not in the table of borders"));
            continue;
        };
        for named in named_modules(text) {
            let fine = named == module || named == WORDS_FOR_ALL || allowed.contains(&named.as_str());
            if !fine {
                faults.push(format!("{file}: {module} must not name {named}"));
            }
        }
    }
    faults
}

/// Calls of the functions that make, lengthen or end a lease, outside the ledger.
///
/// `extend` and `revoke` are also words of other types, so a call counts where the file speaks of leases at all.
fn leases_made_elsewhere(sources: &Sources) -> Vec<String> {
    let mut faults = Vec::new();
    for (file, text) in sources {
        if file.starts_with("ledger/") || file == "ledger.rs" || file == "domain/lease.rs" {
            continue;
        }
        for call in ["LeaseProof::grant", "LeaseProof::extend", "LeaseProof::revoke", "proof.extend(", "proof.revoke("]
        {
            if text.contains(call) {
                faults.push(format!("{file}: `{call}` is for the ledger alone"));
            }
        }
    }
    faults
}

fn files_naming<'a>(sources: &'a Sources, name: &str) -> Vec<&'a str> {
    sources.iter().filter(|(_, text)| text.contains(name)).map(|(file, _)| file.as_str()).collect()
}

fn unwraps(sources: &Sources) -> Vec<String> {
    let mut faults = Vec::new();
    for (file, text) in sources {
        for (index, _) in text.lines().enumerate().filter(|(_, line)| line.contains(".unwrap()")) {
            faults.push(format!("{file}:{}: unwrap", index + 1));
        }
    }
    faults
}

fn none(faults: Vec<String>) {
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn modules_import_only_what_the_design_lets_them() {
    none(forbidden_imports(&sources()));
}

#[test]
fn only_the_ledger_makes_leases() {
    none(leases_made_elsewhere(&sources()));
}

#[test]
fn one_file_at_most_names_apalis() {
    let sources = sources();
    let naming = files_naming(&sources, "apalis");

    assert!(naming.len() <= 1, "{naming:?}");
    assert!(naming.iter().all(|file| file.starts_with("queue/")), "{naming:?}");
}

#[test]
fn nothing_in_production_unwraps() {
    none(unwraps(&sources()));
}

#[test]
fn the_plan_has_no_io_no_clock_and_no_async() {
    let faults = sources()
        .iter()
        // A secret is a value that reads its own file; nothing of the plan holds one.
        .filter(|(file, _)| matches!(module_of(file), "plan" | "domain" | "validate") && *file != "domain/secret.rs")
        .flat_map(|(file, text)| {
            [
                "async fn",
                "tokio::",
                "std::fs",
                "SystemTime::now",
                "TcpStream",
                "TcpListener",
                "UdpSocket",
                "ToSocketAddrs",
            ]
            .into_iter()
            .filter(|word| text.contains(word))
            .map(move |word| format!("{file}: {word}"))
        })
        .collect();

    none(faults);
}

/// One file of the crate, as the checks see it.
fn sample(file: &str, text: &str) -> Sources {
    Sources::from([(file.to_owned(), production(text))])
}

#[test]
fn a_forbidden_import_is_found_in_every_form() {
    for text in [
        "use crate::repo::Error;",
        "use crate::{domain::key::Key, repo::{self, Error}};",
        "fn f() -> crate::repo::Error { todo!() }",
        "use crate::{\n    domain::key,\n    repo,\n};",
    ] {
        assert_eq!(forbidden_imports(&sample("http/routes.rs", text)), ["http/routes.rs: http must not name repo"]);
    }
}

#[test]
fn an_allowed_import_a_comment_and_a_test_module_pass() {
    let text = "use crate::ledger::Job; // not crate::repo\n/// Unlike crate::repo.\n#[cfg(test)]\nmod tests { use crate::repo; }";

    assert!(forbidden_imports(&sample("http/routes.rs", text)).is_empty());
}

#[test]
fn a_module_outside_the_table_is_found() {
    assert_eq!(forbidden_imports(&sample("helper.rs", "")), ["helper.rs: `helper` is not in the table of borders"]);
}

#[test]
fn a_lease_made_outside_the_ledger_is_found() {
    let text = "let proof = LeaseProof::grant(target, 1, now, length);";

    assert_eq!(leases_made_elsewhere(&sample("run/apply.rs", text)).len(), 1);
    assert!(leases_made_elsewhere(&sample("ledger/claim.rs", text)).is_empty());
}

#[test]
fn an_unwrap_is_found_by_its_line_and_not_in_tests() {
    let text = "fn f() {\n    x.unwrap();\n}\n#[cfg(test)]\nmod tests { fn g() { x.unwrap(); } }";

    assert_eq!(unwraps(&sample("plan/merge.rs", text)), ["plan/merge.rs:2: unwrap"]);
}
