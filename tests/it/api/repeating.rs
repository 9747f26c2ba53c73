use super::*;
use crate::receive::service::OPERATE_TOKEN;

async fn send(service: &Service, path: &str, key: &str, token: &str, body: &Value) -> Answer {
    let request = service.post(path).bearer_auth(token).header("Idempotency-Key", key);
    let request = request.header("Content-Type", "application/json").body(body.to_string());
    Answer::of(request.send().await.expect("answered")).await
}

const SYNC: &str = "/api/v1/fabrics/lab-fabric/sync";

async fn jobs(service: &Service) -> usize {
    service.read("/api/v1/jobs").await.body["jobs"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_repeated_write_is_carried_out_once_and_answered_the_same() {
    let service = service().await;
    let dry = json!({"dry_run": true});

    let first = send(&service, SYNC, "k1", TOKEN, &dry).await;
    let again = send(&service, SYNC, "k1", TOKEN, &dry).await;

    assert_eq!((again.status, &again.body), (first.status, &first.body));
    assert_eq!(again.header("content-type"), "application/json");
    assert_eq!((first.header("idempotency-replayed"), again.header("idempotency-replayed")), ("", "true"));
    assert_eq!(jobs(&service).await, 1);
    send(&service, SYNC, "k2", TOKEN, &dry).await.job();
    send(&service, SYNC, "k1", OPERATE_TOKEN, &dry).await.job();
    assert_eq!(jobs(&service).await, 3, "another key or another token is another request");
}

#[tokio::test]
async fn a_key_that_was_used_for_something_else_is_refused() {
    let service = service().await;
    send(&service, SYNC, "k1", TOKEN, &json!({})).await.job();

    let other_body = send(&service, SYNC, "k1", TOKEN, &json!({"dry_run": true})).await;
    let other_path = send(&service, "/api/v1/fabrics/far-fabric/sync", "k1", TOKEN, &json!({})).await;

    other_body.is_problem(422, "idempotency_key_reused");
    other_path.is_problem(422, "idempotency_key_reused");
    assert_eq!(jobs(&service).await, 1);
}

#[tokio::test]
async fn a_refusal_is_repeated_too() {
    let service = service().await;

    for replayed in ["", "true"] {
        let answer = send(&service, "/api/v1/fabrics/none/sync", "k1", TOKEN, &json!({})).await;
        answer.is_problem(404, "unknown_fabric");
        assert_eq!(answer.header("idempotency-replayed"), replayed);
    }
}

#[tokio::test]
async fn of_twenty_at_once_one_is_carried_out() {
    let service = service().await;
    let body = json!({});

    let answers = futures::future::join_all((0..20).map(|_| send(&service, SYNC, "k1", TOKEN, &body))).await;

    assert_eq!(jobs(&service).await, 1);
    for answer in answers {
        match answer.status.as_u16() {
            202 => {}
            _ => drop(answer.is_problem(409, "request_unfinished")),
        }
    }
    assert_eq!(send(&service, SYNC, "k1", TOKEN, &body).await.header("idempotency-replayed"), "true");
}

#[tokio::test]
async fn a_key_needs_a_token_and_a_sane_form() {
    let service = service().await;

    send(&service, SYNC, "k1", "nobody", &json!({})).await.is_problem(401, "wrong_token");
    send(&service, SYNC, "k1", TOKEN, &json!({})).await.job();
    send(&service, SYNC, "k1", "nobody", &json!({})).await.is_problem(401, "wrong_token");
    send(&service, SYNC, "", TOKEN, &json!({})).await.is_problem(400, "bad_idempotency_key");
    send(&service, SYNC, &"x".repeat(256), TOKEN, &json!({})).await.is_problem(400, "bad_idempotency_key");

    assert_eq!(jobs(&service).await, 1);
}
