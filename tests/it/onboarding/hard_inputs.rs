//! A drop of everything that is hard to read: each document has its outcome, and what is not taken keeps its bytes.

use std::collections::BTreeMap;
use std::process::Command;

use fgd_sync::domain::fate::Fate;
use fgd_sync::domain::report::Item;

use super::*;

const GOOD: &str = "apiVersion: wiring.githedgehog.com/v1beta1\nkind: Server\nmetadata: {name: good}\nspec: {}\n";

fn named(name: &str) -> String {
    GOOD.replace("good", name)
}

/// The files of the drop below raw/, with their bytes.
fn drop_of_hard_files() -> BTreeMap<&'static str, Vec<u8>> {
    let wide = named("wide");
    let wide = [0xFF, 0xFE].into_iter().chain(wide.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let doubled = format!("{}---\n{}", named("before"), named("twice").replace("spec: {}", "spec:\n  a: 1\n  a: 2"));
    let laughs = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned()
        + "b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]\n"
        + "d: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c]\ne: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d, *d]\n"
        + "f: &f [*e, *e, *e, *e, *e, *e, *e, *e, *e, *e]\n";
    let anchors = named("anchored").replace("spec: {}", "spec: {a: &one {b: 1}, c: *one}");
    let mut too_large = named("large").into_bytes();
    too_large.resize(10 * 1024 * 1024 + 1, b'#');
    BTreeMap::from([
        ("anchors.yaml", anchors.into_bytes()),
        ("crlf.yaml", named("crlf").replace('\n', "\r\n").into_bytes()),
        ("doubled.yaml", doubled.into_bytes()),
        ("large.yaml", too_large),
        ("laughs.yaml", laughs.into_bytes()),
        ("lfs.yaml", b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n".to_vec()),
        ("many.yaml", b"---\n".repeat(100_000)),
        ("nul.yaml", b"a: \0\n".to_vec()),
        ("tab.yaml", named("tab").replace("metadata: {name: tab}", "metadata:\n\tname: tab").into_bytes()),
        ("wide.yaml", wide),
    ])
}

/// Pushes the drop, a symbolic link, a submodule, and beside them a good file.
fn push_the_drop(app: &TestApp) {
    let person = app.person();
    person.write("lab/raw/good.yaml", GOOD);
    for (name, bytes) in drop_of_hard_files() {
        person.write(&format!("lab/raw/{name}"), bytes);
    }
    std::os::unix::fs::symlink("good.yaml", person.dir().join("lab/raw/link.yaml")).unwrap();
    let head = person.git(&["rev-parse", "HEAD"]);
    person.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{},lab/raw/module.yaml", head.trim())]);
    person.git(&["add", "lab"]);
    person.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{},lab/raw/module.yaml", head.trim())]);
    person.git(&["commit", "--quiet", "--message", "a hard drop"]);
    person.git(&["push", "--quiet", "origin", "HEAD:main"]);
}

/// The exact bytes of a file at the head.
fn bytes(app: &TestApp, path: &str) -> Vec<u8> {
    let mut show = Command::new("git");
    show.arg("-C").arg(app.bare.path()).args(["cat-file", "blob", &format!("main:{path}")]);
    show.output().unwrap().stdout
}

#[tokio::test]
async fn each_document_of_a_hard_drop_has_its_outcome_and_what_is_refused_keeps_its_bytes() {
    let app = TestApp::ready().await;
    push_the_drop(&app);

    let jobs = app.sync().await;

    // The oldest; the delivery of our own commit finds the held ones again.
    let job = jobs.iter().rev().find(|job| job.state == JobState::Held).expect("something is held");
    let report = app.report_of(job).await;
    let outcomes: BTreeMap<(String, usize), String> = report
        .items
        .iter()
        .filter_map(|item| match item {
            Item::Document { path, index, fate, .. } => {
                let code = match fate {
                    Fate::Ingested { .. } => String::new(),
                    Fate::Unmanaged { reason } | Fate::Rejected { reason, .. } => format!(" {}", reason.code),
                    Fate::Held { reason, .. } | Fate::Pending { reason, .. } => format!(" {}", reason.code),
                };
                let file = path.strip_prefix("lab/raw/").unwrap().to_owned();
                Some(((file, *index), format!("{}{code}", fate.word())))
            }
            Item::Object { .. } | Item::File { .. } | Item::Warning { .. } => None,
        })
        .collect();
    let expected = [
        (("anchors.yaml", 0), "ingested"),
        (("crlf.yaml", 0), "ingested"),
        (("doubled.yaml", 0), "ingested"),
        (("doubled.yaml", 1), "rejected duplicate_key"),
        (("good.yaml", 0), "ingested"),
        (("large.yaml", 0), "held file_too_large"),
        (("laughs.yaml", 0), "rejected too_complex"),
        (("lfs.yaml", 0), "held lfs_pointer"),
        (("link.yaml", 0), "held not_a_file"),
        (("many.yaml", 0), "held too_many_documents"),
        (("module.yaml", 0), "held not_a_file"),
        (("nul.yaml", 0), "rejected not_yaml"),
        (("tab.yaml", 0), "rejected not_yaml"),
        (("wide.yaml", 0), "rejected not_utf_8"),
    ];
    let expected = expected.map(|((file, index), outcome)| ((file.to_owned(), index), outcome.to_owned()));
    assert_eq!(outcomes, expected.into());
    let drop = drop_of_hard_files();
    for refused in ["laughs.yaml", "nul.yaml", "tab.yaml", "wide.yaml"] {
        assert_eq!(bytes(&app, &format!("lab/unmanaged/{refused}")), drop[refused], "{refused}");
        assert!(!bytes(&app, &format!("lab/unmanaged/{refused}.reasons.yaml")).is_empty());
    }
    for held in ["large.yaml", "lfs.yaml", "many.yaml"] {
        assert_eq!(bytes(&app, &format!("lab/raw/{held}")), drop[held], "{held}");
    }
    let mut names = app.netbox.names("Server");
    names.sort();
    assert_eq!(names, ["anchored", "before", "crlf", "good"]);
    app.finish().await;
}

#[tokio::test]
async fn the_archive_setting_decides_what_is_kept_of_a_drop() {
    for (archive, log, file) in [("log", true, false), ("rename", true, true), ("none", false, false)] {
        let app = TestApp::with_fabric_settings(&format!("archive: {archive}")).await;
        app.push(&[("raw/good.yaml", GOOD)]).await;

        app.sync().await;

        let files = app.files().await;
        let logged = files.get(".hnp/archive-log.yaml").is_some_and(|log| log.contains("raw/good.yaml"));
        assert_eq!((logged, files.contains_key("raw/good.yaml.archived")), (log, file), "{archive}");
        assert!(files.contains_key("managed/servers/good.yaml") && !files.contains_key("raw/good.yaml"), "{archive}");
        app.finish().await;
    }
}

#[tokio::test]
async fn an_archived_file_keeps_its_mode() {
    let app = TestApp::with_fabric_settings("archive: rename").await;
    let person = app.person();
    person.write("lab/raw/good.yaml", GOOD).make_executable("lab/raw/good.yaml").push("main", "an executable drop");

    app.sync().await;

    assert_eq!(app.bare.mode("main", "lab/raw/good.yaml.archived"), "100755");
    app.finish().await;
}
