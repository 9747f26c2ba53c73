//! Credentials, and servers that fail in the middle.

use std::time::Duration;

use super::*;
use crate::support::git_server::{Fault, Route};
use fgd_sync::domain::secret::SecretSource;

pub(super) async fn a_wrong_password_is_denied_and_not_shown(subject: &impl OnNetwork) {
    let (_, base) = seed(subject);
    let wrong = "wr0ng-password";
    let repository = subject.repository_with(SecretSource::Text(SecretString::from(wrong)));

    let errors = [
        repository.head(&main()).await.unwrap_err(),
        repository.tree(&base, &RepoPath::root()).await.unwrap_err(),
        commit(&repository, Some(&base), &edits([("a.yaml", write("2"))])).await.unwrap_err(),
    ];

    for error in errors {
        assert!(matches!(error, Error::Denied { .. }), "{error:?}");
        assert!(!format!("{error} {error:?}").contains(wrong), "{error:?}");
    }
}

pub(super) async fn a_rotated_password_counts_at_once(subject: &impl OnNetwork) {
    let (_, base) = seed(subject);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, "an old one\n").unwrap();
    let repository = subject.repository_with(SecretSource::File(file.clone()));
    assert!(matches!(repository.head(&main()).await, Err(Error::Denied { .. })));

    std::fs::write(&file, format!("{PASSWORD}\n")).unwrap();

    assert_eq!(repository.head(&main()).await.unwrap(), Some(base));
}

pub(super) async fn an_unknown_repository_is_not_found(subject: &impl OnNetwork) {
    std::fs::remove_dir_all(subject.bare().path()).unwrap();

    let error = subject.repository().head(&main()).await.unwrap_err();

    assert!(matches!(error, Error::NotFound { .. }), "{error:?}");
    Bare::create(subject.bare().path());
}

pub(super) async fn a_server_that_is_down_is_unavailable(subject: &impl OnNetwork) {
    let (_, base) = seed(subject);
    let repository = subject.repository();
    repository.tree(&base, &RepoPath::root()).await.unwrap();
    subject.server().stop().await;

    let looking = repository.head(&main()).await.unwrap_err();
    let reading = repository.read(&[Oid::of_blob(b"a: 1\n")]).await.unwrap_err();
    let writing = commit(&repository, Some(&base), &edits([("ours.yaml", write("1"))])).await.unwrap_err();
    subject.server().start_again().await;
    let after = commit(&repository, Some(&base), &edits([("ours.yaml", write("1"))])).await;

    for error in [looking, reading, writing] {
        assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    }
    assert_eq!(subject.bare().head("main").as_deref(), Some(after.unwrap().as_str()));
}

pub(super) async fn a_bad_gateway_while_reading_is_unavailable(subject: &impl OnNetwork) {
    let (_, base) = seed(subject);
    let repository = subject.repository();
    subject.server().fault(Route::LookRefs, Fault::Status(502));
    subject.server().fault(Route::Fetch, Fault::Status(500));

    let looking = repository.head(&main()).await.unwrap_err();
    let reading = repository.tree(&base, &RepoPath::root()).await.unwrap_err();

    assert!(matches!(looking, Error::Unavailable { .. }), "{looking:?}");
    assert!(matches!(reading, Error::Unavailable { .. }), "{reading:?}");
}

pub(super) async fn a_bad_gateway_before_the_push_changes_nothing(subject: &impl OnNetwork) {
    let (_, base) = seed(subject);
    subject.server().fault(Route::PushRefs, Fault::Status(502));

    let error = commit(&subject.repository(), Some(&base), &edits([("ours.yaml", write("1"))])).await.unwrap_err();

    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    assert_eq!(subject.bare().head("main").as_deref(), Some(base.as_str()));
}

pub(super) async fn a_push_whose_answer_was_lost_counts(subject: &impl OnNetwork) {
    for fault in [Fault::ApplyThenCut, Fault::ApplyThenDrop, Fault::ApplyThenStatus(502)] {
        let base = subject.repository().head(&main()).await.unwrap();
        let count = subject.server().requests().len();
        subject.server().fault(Route::Push, fault);
        let edits = edits([("ours.yaml", write(&count.to_string()))]);

        let ours = commit(&subject.repository(), base.as_ref(), &edits).await.unwrap();

        assert_eq!(subject.bare().head("main").as_deref(), Some(ours.as_str()));
    }
    assert_eq!(subject.bare().git(&["rev-list", "--count", "main"]), "3");
}

pub(super) async fn a_push_that_takes_too_long_is_uncertain(subject: &impl OnNetwork) {
    let (_, base) = seed(subject);
    let limits = Timeouts { push: Duration::from_millis(1500), ..Timeouts::default() };
    let repository = subject.repository_within(limits);
    subject.server().fault(Route::Push, Fault::Delay(Duration::from_secs(600)));

    let error = commit(&repository, Some(&base), &edits([("ours.yaml", write("1"))])).await.unwrap_err();

    assert!(matches!(error, Error::Uncertain { .. }), "{error:?}");
    assert_eq!(subject.bare().head("main").as_deref(), Some(base.as_str()));
}

pub(super) async fn a_push_that_nobody_can_ask_about_is_uncertain_and_found_later(subject: &impl OnNetwork) {
    let (_, base) = seed(subject);
    let repository = subject.repository();
    repository.tree(&base, &RepoPath::root()).await.unwrap();
    // The push that curl repeats is rejected, and that must not count.
    subject.server().fault(Route::Push, Fault::ApplyThenDrop);
    subject.server().fault(Route::LookRefs, Fault::Status(502));

    let error = commit(&repository, Some(&base), &edits([("ours.yaml", write("1"))])).await.unwrap_err();

    assert!(matches!(error, Error::Uncertain { .. }), "{error:?}");
    let found = repository.find_run(&main(), Some(&base), &RunId::new("01RUN")).await.unwrap();
    assert_eq!(found.map(String::from), subject.bare().head("main"));
}

pub(super) async fn a_person_who_pushes_during_our_push_wins(subject: &impl OnNetwork) {
    let (person, base) = seed(subject);
    let theirs = person.write("theirs.yaml", "1").commit("theirs");
    let pushed = theirs.clone();
    // Ours has asked for the refs and seen the base; the server itself must compare.
    let during = move || {
        person.git(&["push", "--quiet", "origin", &format!("{pushed}:refs/heads/main")]);
    };
    subject.server().fault(Route::Push, Fault::Before(Box::new(during)));

    let error = commit(&subject.repository(), Some(&base), &edits([("ours.yaml", write("1"))])).await.unwrap_err();

    assert!(matches!(&error, Error::HeadMoved { now: Some(now), .. } if now.as_str() == theirs), "{error:?}");
    assert_eq!(subject.bare().head("main"), Some(theirs));
}

pub(super) async fn many_blobs_come_in_one_fetch(subject: &impl OnNetwork) {
    let person = subject.person();
    let contents: Vec<String> = (0..300).map(|at| format!("object {at}\n")).collect();
    for (at, content) in contents.iter().enumerate() {
        person.write(&format!("{at}.yaml"), content);
    }
    let head = oid(&person.push("main", "many"));
    let repository = subject.repository();
    repository.tree(&head, &RepoPath::root()).await.unwrap();
    let ids: Vec<Oid> = contents.iter().map(|content| Oid::of_blob(content.as_bytes())).collect();
    let before = subject.server().requests().len();

    let read = repository.read(&ids).await.unwrap();
    let once = subject.server().requests().len() - before;
    repository.read(&ids).await.unwrap();
    let twice = subject.server().requests().len() - before;

    assert_eq!(read.len(), 300);
    assert!(once <= 2, "{once} requests");
    assert_eq!(twice, once, "what was read once is cached");
}
