use fgd_sync::domain::change::Change;
use fgd_sync::domain::names::JobId;
use fgd_sync::domain::report::JobState;
use fgd_sync::http::Limits;
use fgd_sync::ledger::types::Origin;
use fgd_sync::webhook::netbox::Model;
use serde_json::{Value, json};

use super::service::{ARCHIVE_SECRET, Answer, GITHUB_SECRET, Service, sha256};

async fn service() -> Service {
    Service::start(Model::CustomObjects).await
}

fn push(reference: &str) -> Value {
    json!({
        "ref": reference,
        "before": "6dcb09b5b57875f334f61aebed695e2e4193db5e", "after": "0000000000000000000000000000000000000000",
        "created": false, "deleted": false, "forced": false, "commits": [], "head_commit": null,
        "repository": {
            "id": 1, "full_name": "acme/fabrics", "default_branch": "main",
            "clone_url": "https://git.example.com/acme/fabrics.git",
        },
        "pusher": {"name": "kim", "email": "kim@example.com"},
        "sender": {"login": "kim"},
    })
}

fn moved() -> Vec<(String, Vec<Change>)> {
    ["lab-fabric", "other-fabric"].map(|name| (name.to_owned(), vec![Change::GitMoved])).to_vec()
}

#[tokio::test]
async fn a_push_moves_every_fabric_on_its_branch() {
    let service = service().await;

    let job = service.github("push", "d1", &push("refs/heads/main")).await.job();

    let job = service.test.ledger.job(&JobId::new(job)).await.unwrap().unwrap();
    let origin = Origin::GithubDelivery {
        delivery: "d1".to_owned(),
        repository: "acme/fabrics".to_owned(),
        branch: "main".to_owned(),
        pusher: Some("kim".to_owned()),
    };
    assert_eq!((job.state, job.origin), (JobState::Queued, origin));
    assert_eq!(service.drain().await, moved());
}

#[tokio::test]
async fn a_form_is_as_good_as_json() {
    let service = service().await;
    let payload = push("refs/heads/main").to_string();
    let form = url::form_urlencoded::Serializer::new(String::new()).append_pair("payload", &payload).finish();
    let request =
        service.post("/webhooks/github").header("X-Hub-Signature-256", sha256(GITHUB_SECRET, form.as_bytes()));
    let request = request.header("X-GitHub-Event", "push").header("X-GitHub-Delivery", "d1");
    let request = request.header("Content-Type", "application/x-www-form-urlencoded").body(form);

    Answer::of(request.send().await.unwrap()).await.job();

    assert_eq!(service.drain().await, moved());
}

#[tokio::test]
async fn a_deleted_branch_is_a_moved_one() {
    let service = service().await;
    let mut deleted = push("refs/heads/main");
    deleted["deleted"] = json!(true);

    service.github("push", "d1", &deleted).await.job();

    assert_eq!(service.drain().await, moved());
}

#[tokio::test]
async fn what_is_not_ours_is_ignored_with_its_reason() {
    let service = service().await;
    let mut elsewhere = push("refs/heads/main");
    elsewhere["repository"] = json!({"full_name": "acme/else", "clone_url": "https://git.example.com/acme/else.git"});

    for (event, body, reason) in [
        ("push", push("refs/tags/v1"), "refs/tags/v1 is no branch"),
        ("push", push("refs/heads/feature"), "no fabric is on the branch feature"),
        ("push", elsewhere, "the repository acme/else is not in the settings"),
        ("issues", push("refs/heads/main"), "the event issues is not about a moved branch"),
    ] {
        assert_eq!(service.github(event, "d1", &body).await.ignored(), reason);
    }

    assert_eq!(service.drain().await, []);
    let subjects: Vec<_> = service.ignored().await.into_iter().map(|ignored| ignored.subject).collect();
    let newest_first =
        ["acme/fabrics", "acme/else refs/heads/main", "acme/fabrics refs/heads/feature", "acme/fabrics refs/tags/v1"];
    assert_eq!(subjects, newest_first);
}

#[tokio::test]
async fn a_repository_can_be_known_by_its_address_alone() {
    let service = service().await;
    let mut archive = push("refs/heads/main");
    archive["repository"] = json!({"full_name": "acme/archive", "ssh_url": "git@git.example.com:acme/archive.git"});

    let answer = service.github_signed(ARCHIVE_SECRET, "push", "d1", &archive).await;

    assert_eq!(answer.ignored(), "no fabric is on the branch main");
}

#[tokio::test]
async fn one_repositorys_secret_does_not_speak_for_another() {
    let service = service().await;

    let answer = service.github_signed(ARCHIVE_SECRET, "push", "d1", &push("refs/heads/main")).await;

    assert_eq!(answer.ignored(), "it was signed with another repository's secret");
    assert_eq!(service.drain().await, []);
}

#[tokio::test]
async fn a_ping_is_answered_and_recorded_nowhere() {
    let service = service().await;

    let answer = service.github("ping", "d1", &json!({"zen": "Keep it logically awesome.", "hook_id": 1})).await;

    assert_eq!((answer.status.as_u16(), answer.text("status")), (200, "pong"));
    assert_eq!(service.ignored().await, []);
}

#[tokio::test]
async fn a_redelivery_is_a_duplicate_while_its_job_is_unfinished() {
    let service = service().await;

    let first = service.github("push", "d1", &push("refs/heads/main")).await;
    let again = service.github("push", "d1", &push("refs/heads/main")).await;
    let other = service.github("push", "d2", &push("refs/heads/main")).await;

    assert_eq!((again.text("delivery"), again.job()), ("duplicate", first.job()));
    assert_eq!(other.text("delivery"), "new");
}

#[tokio::test]
async fn a_sha1_signature_alone_is_refused_with_the_header_that_is_wanted() {
    let service = service().await;
    let request =
        service.post("/webhooks/github").header("X-Hub-Signature", "sha1=0123").header("X-GitHub-Event", "push");

    let answer = Answer::of(request.body("{}").send().await.unwrap()).await;

    answer.is_problem(401, "missing_signature");
    assert!(answer.text("detail").contains("X-Hub-Signature-256"), "{}", answer.body);
}

#[tokio::test]
async fn a_wrong_or_missing_signature_is_refused() {
    let service = service().await;
    let unsigned = service.post("/webhooks/github").header("X-GitHub-Event", "push").body("{}");

    Answer::of(unsigned.send().await.unwrap()).await.is_problem(401, "missing_signature");
    let answer = service.github_signed("wrong", "push", "d1", &push("refs/heads/main")).await;

    answer.is_problem(401, "wrong_signature");
    assert_eq!(service.drain().await, []);
}

#[tokio::test]
async fn what_is_missing_or_not_json_is_named() {
    let service = service().await;
    let signed = |body: &'static str| {
        service
            .post("/webhooks/github")
            .header("X-Hub-Signature-256", sha256(GITHUB_SECRET, body.as_bytes()))
            .body(body)
    };

    Answer::of(signed("{}").send().await.unwrap()).await.is_problem(400, "missing_event");
    let answer = Answer::of(signed("{").header("X-GitHub-Event", "push").send().await.unwrap()).await;
    answer.is_problem(400, "not_a_delivery");
    assert!(answer.text("detail").contains("line 1, column 1"), "{}", answer.body);
    let answer = Answer::of(signed("{}").header("X-GitHub-Event", "push").send().await.unwrap()).await;
    assert!(answer.text("detail").contains("`ref`"), "{}", answer.body);
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused() {
    let limits = Limits { github_body: 100, ..Limits::default() };
    let service = Service::with_limits(Model::CustomObjects, limits).await;

    service.github("push", "d1", &push("refs/heads/main")).await.is_problem(413, "body_too_large");
}
