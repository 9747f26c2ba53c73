//! Faults: each happens once, and none is left unnoticed.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::Notify;

use super::{REPO, ask, get, request, seeded, send};
use crate::support::fakes::github::{Fault, GitHub, Route};

/// The status of an attempt to make a branch; `None` when the connection broke.
async fn make(github: &GitHub, name: &str, sha: &str) -> Option<u16> {
    let body = json!({"ref": format!("refs/heads/{name}"), "sha": sha});
    let answer = request(github, "POST", &format!("{REPO}/git/refs")).json(&body).send().await.ok()?;
    let status = answer.status().as_u16();
    answer.bytes().await.ok().map(|_| status)
}

#[tokio::test]
async fn a_request_is_lost_before_or_after_it_was_done() {
    let github = GitHub::start();
    let head = seeded(&github);
    let faults = [
        (Fault::Drop, None, false),
        (Fault::ApplyThenDrop, None, true),
        (Fault::ApplyThenCut, None, true),
        (Fault::Status(502), Some(502), false),
        (Fault::ApplyThenStatus(504), Some(504), true),
        (Fault::Unauthorized, Some(401), false),
        (Fault::Forbidden, Some(403), false),
        (Fault::Secondary { retry_after: None }, Some(403), false),
        (Fault::TooMany { retry_after: Some(3) }, Some(429), false),
        (Fault::Html, Some(200), false),
    ];

    for (number, (fault, status, done)) in faults.into_iter().enumerate() {
        let shown = format!("{fault:?}");
        let name = format!("b{number}");
        github.fault(Route::PostRef, fault);

        assert_eq!(make(&github, &name, &head).await, status, "{shown}");
        assert_eq!(github.hosted("acme/fabric").bare().head(&name).is_some(), done, "{shown}");
    }
}

#[tokio::test]
async fn limits_say_when_or_do_not() {
    let github = GitHub::start();
    seeded(&github);
    github.fault(Route::GetRepository, Fault::Secondary { retry_after: None });
    github.fault(Route::GetRepository, Fault::TooMany { retry_after: Some(7) });
    github.fault(Route::GetRepository, Fault::Exhausted { reset_after: 60 });

    let without = get(&github, REPO).await;
    let with = get(&github, REPO).await;
    let exhausted = get(&github, REPO).await;
    let still = get(&github, REPO).await;
    github.advance(std::time::Duration::from_secs(61));
    let again = get(&github, REPO).await;

    assert_eq!((without.status, without.header("retry-after")), (403, None));
    assert_eq!((with.status, with.header("retry-after")), (429, Some("7")));
    assert_eq!((exhausted.status, exhausted.header("x-ratelimit-remaining")), (403, Some("0")));
    assert_eq!((still.status, again.status), (403, 200));
}

#[tokio::test]
async fn reads_may_be_stale_after_a_write() {
    let github = GitHub::start();
    let first = seeded(&github);
    let second = super::commit_on(&github, &first, "c").await;
    github.fault(Route::PatchRef, Fault::StaleFor { reads: 2 });
    ask(&github, "PATCH", &format!("{REPO}/git/refs/heads/main"), json!({"sha": second})).await;

    let mut seen: Vec<Value> = Vec::new();
    for path in ["git/ref/heads/main", "branches/main", "git/ref/heads/main"] {
        let answer = get(&github, &format!("{REPO}/{path}")).await.body;
        seen.push(answer["object"]["sha"].as_str().or(answer["commit"]["sha"].as_str()).into());
    }

    assert_eq!(seen, [json!(first), json!(first), json!(second)]);
}

#[tokio::test]
async fn somebody_may_come_first() {
    let github = GitHub::start();
    let first = seeded(&github);
    let person = github.hosted("acme/fabric").person();
    github.before(Route::PatchRef, move || drop(person.write("c", "").push("main", "theirs")));

    let body = json!({"sha": first});
    let answer = ask(&github, "PATCH", &format!("{REPO}/git/refs/heads/main"), body).await;

    assert_eq!((answer.status, answer.message()), (422, "Update is not a fast forward"));
}

#[tokio::test]
async fn an_answer_may_wait_for_the_test() {
    let github = GitHub::start();
    let head = seeded(&github);
    let notify = Arc::new(Notify::new());
    github.fault(Route::PostRef, Fault::ApplyThenUntil(Arc::clone(&notify)));

    let (status, ()) = tokio::join!(make(&github, "x", &head), async {
        crate::support::eventually(async || github.hosted("acme/fabric").bare().head("x").map(|_| ()).ok_or("not yet"))
            .await;
        notify.notify_one();
    });

    assert_eq!(status, Some(201));
}

#[tokio::test]
async fn a_server_that_is_down_answers_nobody() {
    let github = GitHub::start();
    seeded(&github);
    github.set_down(true);

    let broken = request(&github, "GET", REPO).send().await;
    let broken = match broken {
        Ok(answer) => answer.bytes().await.is_err(),
        Err(_) => true,
    };
    github.set_down(false);

    assert!(broken);
    assert_eq!(send(request(&github, "GET", REPO)).await.status, 200);
}

#[test]
#[should_panic(expected = "faults that nobody ran into")]
fn an_unused_fault_fails_the_test() {
    let github = GitHub::start();
    github.fault(Route::GetRef, Fault::Drop);
}
