//! Others at the same branch, the way back after a crash, and refusals.

use std::time::Duration;

use super::*;
use crate::support::lease::proof_that_lasts;

pub(super) async fn a_head_that_moved_is_left_alone(subject: &impl Subject) {
    let (person, base) = seed(subject);
    let theirs = oid(&person.write("theirs.yaml", "1").push("main", "theirs"));

    let error = commit(&subject.repository(), Some(&base), &edits([("ours.yaml", write("1"))])).await.unwrap_err();

    assert!(matches!(&error, Error::HeadMoved { now: Some(now), .. } if *now == theirs), "{error:?}");
    assert_eq!(subject.bare().head("main").as_deref(), Some(theirs.as_str()));
}

pub(super) async fn a_branch_that_appeared_is_left_alone(subject: &impl Subject) {
    let (_, theirs) = seed(subject);

    let error = commit(&subject.repository(), None, &edits([("ours.yaml", write("1"))])).await.unwrap_err();

    assert!(matches!(&error, Error::HeadMoved { now: Some(now), .. } if *now == theirs), "{error:?}");
    assert_eq!(subject.bare().head("main").as_deref(), Some(theirs.as_str()));
}

pub(super) async fn a_branch_that_went_away_is_not_brought_back(subject: &impl Subject) {
    let (person, base) = seed(subject);
    person.push("keep", "another branch");
    let repository = subject.repository();
    repository.tree(&base, &RepoPath::root()).await.unwrap();
    subject.bare().git(&["update-ref", "-d", "refs/heads/main"]);

    let error = commit(&repository, Some(&base), &edits([("ours.yaml", write("1"))])).await.unwrap_err();

    assert!(matches!(&error, Error::HeadMoved { now: None, .. }), "{error:?}");
    assert_eq!(subject.bare().head("main"), None);
}

pub(super) async fn what_a_person_dropped_by_force_stays_dropped(subject: &impl Subject) {
    let (person, first) = seed(subject);
    let dropped = oid(&person.write("secret.yaml", "1").push("main", "a mistake"));
    person.force("main", first.as_str());

    let error = commit(&subject.repository(), Some(&dropped), &edits([("ours.yaml", write("1"))])).await.unwrap_err();

    assert!(matches!(&error, Error::HeadMoved { now: Some(now), .. } if *now == first), "{error:?}");
    assert_eq!(subject.bare().head("main").as_deref(), Some(first.as_str()));
}

pub(super) async fn of_two_writers_exactly_one_wins(subject: &impl Subject) {
    let (person, base) = seed(subject);
    let (one, other) = (subject.repository(), subject.repository());
    let (one_edits, other_edits) = (edits([("one.yaml", write("1"))]), edits([("other.yaml", write("2"))]));

    let (first, second) =
        tokio::join!(commit(&one, Some(&base), &one_edits), commit(&other, Some(&base), &other_edits));

    let (won, lost, again, again_edits) = match (first, second) {
        (Ok(won), Err(lost)) => (won, lost, other, other_edits),
        (Err(lost), Ok(won)) => (won, lost, one, one_edits),
        both => panic!("{both:?}"),
    };
    assert!(matches!(&lost, Error::HeadMoved { now: Some(now), .. } if *now == won), "{lost:?}");
    let theirs = person.update("main").write("human.yaml", "3").push("main", "human");
    commit(&again, Some(&oid(&theirs)), &again_edits).await.unwrap();
    assert_eq!(subject.bare().git(&["rev-list", "--count", "main"]), "4");
    let subjects = subject.bare().git(&["log", "--format=%s", "main"]);
    assert!(subjects.contains("human") && subjects.contains("first"), "{subjects}");
}

pub(super) async fn a_run_is_found_by_its_trailer(subject: &impl Subject) {
    let (person, base) = seed(subject);
    let ours = commit(&subject.repository(), Some(&base), &edits([("a.yaml", write("a: 2\n"))])).await.unwrap();
    person.update("main").write("later.yaml", "1").push("main", "later");
    let repository = subject.repository();

    let since_base = repository.find_run(&main(), Some(&base), &RunId::new("01RUN")).await.unwrap();
    let ever = repository.find_run(&main(), None, &RunId::new("01RUN")).await.unwrap();

    assert_eq!((since_base, ever), (Some(ours.clone()), Some(ours)));
}

pub(super) async fn a_run_outside_the_range_is_not_found(subject: &impl Subject) {
    let (_, base) = seed(subject);
    let repository = subject.repository();
    let ours = commit(&repository, Some(&base), &edits([("a.yaml", write("a: 2\n"))])).await.unwrap();

    assert_eq!(repository.find_run(&main(), Some(&ours), &RunId::new("01RUN")).await.unwrap(), None);
    assert_eq!(repository.find_run(&BranchName::new("gone"), None, &RunId::new("01RUN")).await.unwrap(), None);
}

pub(super) async fn a_run_of_another_name_is_not_found(subject: &impl Subject) {
    let (person, base) = seed(subject);
    let repository = subject.repository();
    commit(&repository, Some(&base), &edits([("a.yaml", write("a: 2\n"))])).await.unwrap();
    person.update("main").write("x", "1").push("main", "Fgd-Run: 01RU in a subject\n\nFgd-Run: 01RU\n\nand a body");

    assert_eq!(repository.find_run(&main(), Some(&base), &RunId::new("01RU")).await.unwrap(), None);
}

pub(super) async fn a_refusal_carries_the_words_of_the_hook(subject: &impl Subject) {
    let (_, base) = seed(subject);
    subject.refuse_pushes("error: GH013: Repository rule violations found for refs/heads/main.");

    let error = commit(&subject.repository(), Some(&base), &edits([("ours.yaml", write("1"))])).await.unwrap_err();

    assert!(matches!(&error, Error::Refused { detail, .. } if detail.contains("GH013: Repository rule")), "{error:?}");
    assert_eq!(subject.bare().head("main").as_deref(), Some(base.as_str()));
}

pub(super) async fn a_lost_lease_stops_before_the_push(subject: &impl Subject) {
    let (_, base) = seed(subject);
    let proof = proof_that_lasts(&target(), Duration::from_secs(1));
    let edits = edits([("ours.yaml", write("1"))]);

    let error = subject.repository().commit(&proof, Some(&base), &edits, &message("01RUN")).await.unwrap_err();

    assert!(matches!(error, Error::Lease(_)), "{error:?}");
    assert_eq!(subject.bare().head("main").as_deref(), Some(base.as_str()));
}

pub(super) async fn five_thousand_edits_are_one_commit(subject: &impl Subject) {
    let (_, base) = seed(subject);
    let edits: Edits = (0..5_000)
        .map(|at| (path(&format!("managed/{}/object-{at}.yaml", at % 12)), write(&format!("name: object-{at}\n"))))
        .collect();

    commit(&subject.repository(), Some(&base), &edits).await.unwrap();

    assert_eq!(subject.bare().paths("main").len(), 5_002);
    assert_eq!(subject.bare().git(&["rev-list", "--count", "main"]), "2");
}
