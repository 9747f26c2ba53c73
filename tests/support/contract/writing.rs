//! What one commit does, and does not do.

use fgd_sync::domain::edit::Mode;

use super::*;

pub async fn the_first_commit_makes_the_branch(subject: &impl Subject) {
    let repository = subject.repository();

    let ours = commit(&repository, None, &edits([("x/a.yaml", write("a: 1\n"))])).await.unwrap();

    assert_eq!(subject.bare().head("main").as_deref(), Some(ours.as_str()));
    assert_eq!(subject.bare().git(&["rev-list", "--count", "main"]), "1");
    assert_eq!(subject.bare().show("main", "x/a.yaml"), "a: 1");
    assert_eq!(repository.head(&main()).await.unwrap(), Some(ours));
}

pub async fn a_new_branch_starts_beside_the_others(subject: &impl Subject) {
    let (_, first) = seed(subject);
    let other = Target { repo: RepoName::new("lab"), branch: BranchName::new("team/other") };
    let edits = edits([("new.yaml", write("n: 1\n"))]);

    let ours = subject.repository().commit(&proof_for(&other), None, &edits, &message("01RUN")).await.unwrap();

    assert_eq!(subject.bare().paths(ours.as_str()), ["new.yaml"]);
    assert_eq!(subject.bare().head("team/other").as_deref(), Some(ours.as_str()));
    assert_eq!(subject.bare().head("main").as_deref(), Some(first.as_str()));
}

pub async fn a_commit_writes_and_deletes_at_once(subject: &impl Subject) {
    let (_, base) = seed(subject);
    let edits = edits([("a.yaml", write("a: 2\n")), ("dir/b.yaml", Edit::Delete), ("new/c.yaml", write("c: 1\n"))]);

    let ours = commit(&subject.repository(), Some(&base), &edits).await.unwrap();

    let bare = subject.bare();
    assert_eq!(bare.head("main").as_deref(), Some(ours.as_str()));
    assert_eq!(bare.git(&["log", "-1", "--format=%P", "main"]), base.as_str());
    assert_eq!(bare.paths("main"), ["a.yaml", "new/c.yaml"]);
    assert_eq!((bare.show("main", "a.yaml"), bare.show("main", "new/c.yaml")), ("a: 2".into(), "c: 1".into()));
}

pub async fn author_committer_and_message_are_exact(subject: &impl Subject) {
    let (_, base) = seed(subject);
    let mut words = message("01RUN");
    words.text = "Sync «lab»\n\n  indented\n\n\n# no comment\nFgd-Run: 01RUN\n".to_owned();
    let edits = edits([("a.yaml", write("a: 2\n"))]);

    subject.repository().commit(&proof_for(&target()), Some(&base), &edits, &words).await.unwrap();

    let raw = subject.bare().git(&["cat-file", "commit", "main"]);
    let (head, text) = raw.split_once("\n\n").unwrap();
    let role = |role: &str| head.lines().find(|line| line.starts_with(role)).unwrap().to_owned();
    assert_eq!(format!("{text}\n"), words.text);
    assert!(role("author").starts_with("author Alice Ö <alice@example.com> "), "{head}");
    assert!(role("committer").starts_with("committer fgd-sync <sync@example.com> "), "{head}");
}

pub async fn the_mode_of_a_file_is_kept(subject: &impl Subject) {
    let base = with_a_script(subject);
    let repository = subject.repository();

    let ours = commit(&repository, Some(&base), &edits([("run.sh", write("2")), ("new", write("x"))])).await.unwrap();

    let tree = repository.tree(&ours, &RepoPath::root()).await.unwrap();
    assert_eq!(tree[&path("run.sh")].mode, Mode::Executable);
    assert_eq!(tree[&path("new")].mode, Mode::File);
    assert_eq!(subject.bare().show("main", "run.sh"), "2");
}

pub async fn a_moved_file_takes_its_mode_along(subject: &impl Subject) {
    let base = with_a_script(subject);
    let repository = subject.repository();
    let moved =
        |from: &str, content: &str| Edit::Move { from: path(from), bytes: Bytes::copy_from_slice(content.as_bytes()) };
    let wanted = edits([
        ("run.sh", Edit::Delete),
        ("bin/run", moved("run.sh", "1")),
        ("bin/other", moved("run.sh", "changed")),
        ("dir/b.yaml", moved("run.sh", "there already")),
        ("c.yaml", moved("a.yaml", "a: 1\n")),
        ("new", moved("nowhere", "x")),
    ]);

    let ours = commit(&repository, Some(&base), &wanted).await.unwrap();

    let tree = repository.tree(&ours, &RepoPath::root()).await.unwrap();
    let modes: Vec<(&str, Mode)> = tree.iter().map(|(path, entry)| (path.as_str(), entry.mode)).collect();
    assert_eq!(
        modes,
        [
            ("a.yaml", Mode::File),
            ("bin/other", Mode::Executable),
            ("bin/run", Mode::Executable),
            ("c.yaml", Mode::File),
            ("dir/b.yaml", Mode::File),
            ("new", Mode::File),
        ]
    );
    assert_eq!(subject.bare().show("main", "bin/run"), "1");
}

pub async fn a_restored_file_has_its_mode_again(subject: &impl Subject) {
    let base = with_a_script(subject);
    let repository = subject.repository();
    let restored = |content: &'static str, executable: bool| Edit::Restore {
        bytes: Bytes::from_static(content.as_bytes()),
        executable,
    };
    let wanted = edits([
        ("back.sh", restored("1", true)),
        ("back.yaml", restored("a: 1\n", false)),
        ("run.sh", restored("changed", false)),
    ]);

    let ours = commit(&repository, Some(&base), &wanted).await.unwrap();

    let tree = repository.tree(&ours, &RepoPath::root()).await.unwrap();
    assert_eq!(tree[&path("back.sh")].mode, Mode::Executable);
    assert_eq!(tree[&path("back.yaml")].mode, Mode::File);
    assert_eq!(tree[&path("run.sh")].mode, Mode::Executable, "what is there keeps its mode");
    assert_eq!(subject.bare().show("main", "run.sh"), "changed");
}

pub async fn a_symlink_is_replaced_not_followed(subject: &impl Subject) {
    let (person, _) = seed(subject);
    std::os::unix::fs::symlink("a.yaml", person.dir().join("link")).unwrap();
    let base = oid(&person.push("main", "a link"));
    let repository = subject.repository();
    let before = repository.tree(&base, &RepoPath::root()).await.unwrap();

    let ours = commit(&repository, Some(&base), &edits([("link", write("a.yaml"))])).await.unwrap();

    let after = repository.tree(&ours, &RepoPath::root()).await.unwrap();
    assert_eq!((before[&path("link")].mode, after[&path("link")].mode), (Mode::Symlink, Mode::File));
    assert_eq!(before[&path("a.yaml")], after[&path("a.yaml")]);
}

pub async fn deleting_an_absent_path_is_harmless(subject: &impl Subject) {
    let (_, base) = seed(subject);
    let edits = edits([("gone.yaml", Edit::Delete), ("no/dir/x", Edit::Delete), ("a.yaml", write("a: 2\n"))]);

    commit(&subject.repository(), Some(&base), &edits).await.unwrap();

    assert_eq!(subject.bare().paths("main"), ["a.yaml", "dir/b.yaml"]);
}

pub async fn a_directory_is_never_replaced_or_deleted(subject: &impl Subject) {
    let (_, base) = seed(subject);
    let repository = subject.repository();

    let replaced = commit(&repository, Some(&base), &edits([("dir", write("x"))])).await.unwrap_err();
    let below = commit(&repository, Some(&base), &edits([("a.yaml/x", write("x"))])).await.unwrap_err();
    let deleted = commit(&repository, Some(&base), &edits([("dir", Edit::Delete)])).await.unwrap();

    assert!(matches!(replaced, Error::Refused { .. }), "{replaced:?}");
    assert!(matches!(below, Error::Refused { .. }), "{below:?}");
    assert_eq!(deleted, base);
    assert_eq!(subject.bare().head("main").as_deref(), Some(base.as_str()));
}

pub async fn every_name_can_be_written(subject: &impl Subject) {
    let (_, base) = seed(subject);
    let names = ["\"q\" 'q'", "-dash", " leading", "trailing ", "ünïcödé/日本", "*glob?[x]", ":(top)x", "a\u{a0}b"];
    let edits: Edits = names.iter().map(|name| (path(name), write(name))).collect();

    let ours = commit(&subject.repository(), Some(&base), &edits).await.unwrap();

    let tree = subject.repository().tree(&ours, &RepoPath::root()).await.unwrap();
    for name in names {
        assert_eq!(tree[&path(name)].blob, Oid::of_blob(name.as_bytes()), "{name}");
    }
}

pub async fn edits_that_change_nothing_make_no_commit(subject: &impl Subject) {
    let (_, base) = seed(subject);

    let head = commit(&subject.repository(), Some(&base), &edits([("a.yaml", write("a: 1\n"))])).await.unwrap();

    assert_eq!(head, base);
    assert_eq!(subject.bare().git(&["rev-list", "--count", "main"]), "1");
}

pub async fn edits_that_change_nothing_notice_a_moved_head(subject: &impl Subject) {
    let (person, base) = seed(subject);
    let theirs = oid(&person.write("a.yaml", "a: 9\n").push("main", "theirs"));

    let error = commit(&subject.repository(), Some(&base), &edits([("a.yaml", write("a: 1\n"))])).await.unwrap_err();

    assert!(matches!(&error, Error::HeadMoved { now: Some(now), .. } if *now == theirs), "{error:?}");
}

pub async fn a_directory_can_be_moved(subject: &impl Subject) {
    let (_, base) = seed(subject);
    let edits =
        edits([("dir/b.yaml", Edit::Delete), ("moved/b.yaml", write("b: 1\n")), ("also.yaml", write("a: 1\n"))]);

    commit(&subject.repository(), Some(&base), &edits).await.unwrap();

    assert_eq!(subject.bare().paths("main"), ["a.yaml", "also.yaml", "moved/b.yaml"]);
    assert_eq!(subject.bare().show("main", "moved/b.yaml"), "b: 1");
}

/// The seed and an executable `run.sh` that holds `1`.
fn with_a_script(subject: &impl Subject) -> Oid {
    let (person, _) = seed(subject);
    person.write("run.sh", "1").git(&["add", "run.sh"]);
    person.git(&["update-index", "--chmod=+x", "run.sh"]);
    person.git(&["commit", "--quiet", "--message", "a script"]);
    person.git(&["push", "--quiet", "origin", "HEAD:main"]);
    oid(&subject.bare().head("main").unwrap())
}
