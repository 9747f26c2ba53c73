//! Heads, trees and blobs.

use std::collections::BTreeMap;

use fgd_sync::domain::edit::Mode;

use super::*;

pub async fn an_empty_repository_has_no_head(subject: &impl Subject) {
    assert_eq!(subject.repository().head(&main()).await.unwrap(), None);
}

pub async fn a_missing_branch_has_no_head(subject: &impl Subject) {
    let (person, _) = seed(subject);
    // Ends as the full name of the branch that we ask for.
    person.push("refs/heads/gone", "a branch with a name that misleads");

    assert_eq!(subject.repository().head(&BranchName::new("gone")).await.unwrap(), None);
}

pub async fn the_tree_is_complete_whatever_the_names(subject: &impl Subject) {
    let person = subject.person();
    let names =
        ["-dash", "\"quoted\".yaml", "a b.yaml", "deep/er/est/c.yaml", "ünïcödé/日本.yaml", "*glob?[x]", ":(top)x"];
    for name in names {
        person.write(name, format!("content of {name}"));
    }
    let head = oid(&person.push("main", "unusual names"));

    let tree = subject.repository().tree(&head, &RepoPath::root()).await.unwrap();

    let found: BTreeMap<&str, &Oid> = tree.iter().map(|(path, entry)| (path.as_str(), &entry.blob)).collect();
    let ids = names.map(|name| Oid::of_blob(format!("content of {name}").as_bytes()));
    assert_eq!(found, names.into_iter().zip(&ids).collect());
    assert!(tree.values().all(|entry| entry.mode == Mode::File));
}

pub async fn a_name_that_cannot_be_a_path_is_told_and_harms_no_other_file(subject: &impl Subject) {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let person = subject.person();
    std::fs::create_dir(person.dir().join("lab")).unwrap();
    for name in [&b"lab/not-\xff-utf8.yaml"[..], b"lab/back\\slash.yaml", b"lab/line\nbreak.yaml"] {
        std::fs::write(person.dir().join(OsStr::from_bytes(name)), "x").unwrap();
    }
    let head = oid(&person.write("lab/good.yaml", "good").push("main", "names"));
    let repository = subject.repository();

    let tree = repository.tree(&head, &path("lab")).await.unwrap();
    let ours = commit(&repository, Some(&head), &edits([("lab/new.yaml", write("n: 1\n"))])).await.unwrap();

    let found: Vec<(&str, bool)> = tree.iter().map(|(path, entry)| (path.as_str(), entry.misnamed.is_some())).collect();
    let wanted = [
        ("lab/back%5Cslash.yaml", true),
        ("lab/good.yaml", false),
        ("lab/line%0Abreak.yaml", true),
        ("lab/not-%FF-utf8.yaml", true),
    ];
    assert_eq!(found, wanted);
    assert_eq!(subject.bare().git(&["ls-tree", "-r", "--name-only", ours.as_str()]).lines().count(), 5);
}

pub async fn the_tree_of_a_directory_has_only_what_is_below(subject: &impl Subject) {
    let person = subject.person();
    person.write("fabrics/lab/a", "1").write("fabrics/lab2/b", "2").write("fabrics/lab/x/c", "3").write("lab/d", "4");
    let head = oid(&person.push("main", "first"));

    let tree = subject.repository().tree(&head, &path("fabrics/lab")).await.unwrap();

    let paths: Vec<&str> = tree.keys().map(RepoPath::as_str).collect();
    assert_eq!(paths, ["fabrics/lab/a", "fabrics/lab/x/c"]);
}

pub async fn a_directory_that_does_not_exist_is_empty(subject: &impl Subject) {
    let (_, head) = seed(subject);
    let repository = subject.repository();

    assert!(repository.tree(&head, &path("nowhere")).await.unwrap().is_empty());
    assert!(repository.tree(&head, &path("a.yaml")).await.unwrap().is_empty());
}

pub async fn a_commit_that_does_not_exist_is_missing(subject: &impl Subject) {
    seed(subject);
    let nothing = oid(&"1".repeat(40));

    let error = subject.repository().tree(&nothing, &RepoPath::root()).await.unwrap_err();

    assert!(matches!(&error, Error::Missing { oid, .. } if *oid == nothing), "{error:?}");
}

pub async fn blobs_are_read_byte_for_byte(subject: &impl Subject) {
    let person = subject.person();
    let all: Vec<u8> = (0..=255).collect();
    let contents: [&[u8]; 5] = [b"", b"\n", b"no newline", b"\r\n\0\xff\n\n", &all];
    for (at, content) in contents.iter().enumerate() {
        person.write(&format!("{at}.bin"), content);
    }
    person.push("main", "binary");
    let ids = contents.map(Oid::of_blob);
    let twice: Vec<Oid> = ids.iter().chain(&ids).cloned().collect();

    let read = subject.repository().read(&twice).await.unwrap();

    assert_eq!(read, ids.into_iter().zip(contents.map(Bytes::copy_from_slice)).collect());
}

pub async fn a_blob_that_does_not_exist_is_missing(subject: &impl Subject) {
    let (_, head) = seed(subject);
    let repository = subject.repository();
    repository.tree(&head, &RepoPath::root()).await.unwrap();
    let nothing = oid(&"2".repeat(40));

    let error = repository.read(&[Oid::of_blob(b"a: 1\n"), nothing.clone()]).await.unwrap_err();

    assert!(matches!(&error, Error::Missing { oid, .. } if *oid == nothing), "{error:?}");
}

pub async fn an_earlier_commit_can_be_read_after_a_forced_push(subject: &impl Subject) {
    let (person, first) = seed(subject);
    let second = oid(&person.write("c.yaml", "c: 1\n").push("main", "second"));
    person.force("main", first.as_str());

    let repository = subject.repository();
    let tree = repository.tree(&second, &RepoPath::root()).await.unwrap();
    let read = repository.read(&[tree[&path("c.yaml")].blob.clone()]).await.unwrap();

    assert_eq!(read.into_values().collect::<Vec<_>>(), [Bytes::from("c: 1\n")]);
}

pub async fn a_history_contains_what_came_before(subject: &impl Subject) {
    let (person, first) = seed(subject);
    person.write("c.yaml", "c: 1\n").push("main", "second");
    let third = oid(&person.write("d.yaml", "d: 1\n").push("main", "third"));
    let repository = subject.repository();

    assert_eq!(repository.history(&first, &third).await.unwrap(), History::Contains);
    assert_eq!(repository.history(&third, &third).await.unwrap(), History::Contains);
}

pub async fn a_forced_push_rewrites_the_history(subject: &impl Subject) {
    let (person, first) = seed(subject);
    let dropped = oid(&person.write("c.yaml", "c: 1\n").push("main", "dropped"));
    person.force("main", first.as_str());

    assert_eq!(subject.repository().history(&dropped, &first).await.unwrap(), History::Rewritten, "set back");

    person.git(&["reset", "--quiet", "--hard", first.as_str()]);
    let other = oid(&person.write("c.yaml", "c: 2\n").push("main", "another"));

    assert_eq!(subject.repository().history(&dropped, &other).await.unwrap(), History::Rewritten, "another way");
}

pub async fn a_history_that_begins_anew_is_unrelated(subject: &impl Subject) {
    let (person, first) = seed(subject);
    person.git(&["checkout", "--quiet", "--orphan", "anew"]);
    let anew = person.write("e.yaml", "e: 1\n").commit("anew");
    person.force("main", &anew);

    assert_eq!(subject.repository().history(&first, &oid(&anew)).await.unwrap(), History::Unrelated);
}

pub async fn a_history_without_the_commit_is_unrelated(subject: &impl Subject) {
    let (_, head) = seed(subject);
    let nothing = oid(&"1".repeat(40));

    assert_eq!(subject.repository().history(&nothing, &head).await.unwrap(), History::Unrelated);
}
