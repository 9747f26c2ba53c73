use std::num::NonZeroU32;

use super::*;
use crate::receive::service::{Captured, NETBOX_SECRET};
use fgd_sync::http::RateLimits;

async fn get(service: &Service, path: &str, headers: &[(&str, &str)]) -> Answer {
    let request = headers.iter().fold(service.get(path), |request, (name, value)| request.header(*name, *value));
    Answer::of(request.bearer_auth(TOKEN).send().await.expect("answered")).await
}

async fn limited(api: u32, webhooks: u32, proxies: &[&str]) -> Service {
    let rates =
        RateLimits { api_per_second: NonZeroU32::new(api), refused_webhooks_per_minute: NonZeroU32::new(webhooks) };
    let proxies = proxies.iter().map(|proxy| proxy.parse().unwrap()).collect();
    Service::with(Model::CustomObjects, |state| state.with_rate_limits(rates, proxies)).await
}

#[tokio::test]
async fn links_begin_with_the_public_address() {
    let url = "https://sync.example.com/fgd/".parse().unwrap();
    let service = Service::with(Model::CustomObjects, |state| state.with_public_url(url)).await;

    let accepted = service.ask("/api/v1/fabrics/lab-fabric/sync").await;

    let job = accepted.job();
    assert_eq!(accepted.text("status_url"), format!("https://sync.example.com/fgd/api/v1/jobs/{job}"));
    assert_eq!(accepted.header("strict-transport-security"), "max-age=31536000");
}

#[tokio::test]
async fn every_answer_names_its_request() {
    let service = service().await;

    let own = get(&service, "/api/v1/jobs", &[("X-Request-ID", "trace-1")]).await;
    let ours = get(&service, "/healthz", &[]).await;
    let forged = get(&service, "/api/v1/nothing", &[("X-Request-ID", "a \"b\"")]).await;

    assert_eq!(own.header("x-request-id"), "trace-1");
    assert_eq!(ours.header("x-request-id").len(), 26);
    assert_eq!((forged.status.as_u16(), forged.header("x-request-id").len()), (404, 26));
}

#[tokio::test]
async fn a_read_of_what_did_not_change_has_no_body() {
    let service = service().await;
    let first = get(&service, "/api/v1/jobs", &[]).await;
    let tag = first.header("etag").to_owned();
    assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() > 20, "{tag}");
    assert_eq!(first.header("cache-control"), "private, no-cache");

    for known in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
        let same = get(&service, "/api/v1/jobs", &[("If-None-Match", &known)]).await;
        assert_eq!((same.status.as_u16(), same.header("etag"), &same.body), (304, tag.as_str(), &Value::Null));
        assert_eq!(same.header("content-security-policy"), first.header("content-security-policy"));
    }
    service.ask("/api/v1/fabrics/lab-fabric/sync").await.job();
    let changed = get(&service, "/api/v1/jobs", &[("If-None-Match", &tag)]).await;

    assert_eq!(changed.status.as_u16(), 200);
    assert_ne!(changed.header("etag"), tag);
    assert_eq!(get(&service, "/api/v1/nothing", &[]).await.header("etag"), "");
}

/// Calls until the answer is 429, which a slow machine delays, and says how many calls came through.
async fn until_limited(call: impl AsyncFn() -> Answer) -> (usize, Answer) {
    for passed in 0..200 {
        let answer = call().await;
        if answer.status.as_u16() == 429 {
            return (passed, answer);
        }
    }
    panic!("never limited");
}

#[tokio::test]
async fn who_calls_too_often_has_to_wait_and_health_is_told_all_the_same() {
    let service = limited(1, 0, &[]).await;

    let (passed, answer) = until_limited(async || service.read("/api/v1/jobs").await).await;

    assert!(passed >= 10, "{passed}");
    answer.is_problem(429, "too_many_requests");
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(get(&service, "/healthz", &[]).await.status.as_u16(), 200);
    assert_eq!(Captured::number(30).send(&service).await.status.as_u16(), 202);
}

#[tokio::test]
async fn a_token_of_nobodys_costs_ten_calls() {
    let service = limited(10, 0, &[]).await;
    let wrong = async || Answer::of(service.get("/api/v1/jobs").bearer_auth("guess").send().await.unwrap()).await;

    let (passed, answer) = until_limited(wrong).await;

    assert!((10..50).contains(&passed), "{passed} of a burst of 100 calls");
    answer.is_problem(429, "too_many_requests");
}

#[tokio::test]
async fn forged_webhooks_are_limited_and_signed_ones_never_cost() {
    let service = limited(0, 3, &[]).await;
    for number in [1, 2, 3, 30, 31] {
        assert!(Captured::number(number).send(&service).await.status.is_success());
    }
    let forged = async || service.netbox("no-secret-of-ours", "{}").await;

    for _ in 0..3 {
        forged().await.is_problem(401, "wrong_signature");
    }

    forged().await.is_problem(429, "too_many_requests");
    let answer = service.netbox(NETBOX_SECRET, "{}").await;
    answer.is_problem(429, "too_many_requests");
    assert!(!answer.header("retry-after").is_empty());
    assert_eq!(service.read("/api/v1/jobs").await.status.as_u16(), 200, "the API has limits of its own");
}

#[tokio::test]
async fn callers_behind_a_trusted_proxy_are_told_apart() {
    let service = limited(1, 0, &["127.0.0.0/8"]).await;
    let from = async |address: &str| get(&service, "/api/v1/jobs", &[("X-Forwarded-For", address)]).await;

    // What stands before the caller may be invented.
    let invented = std::cell::Cell::new(0);
    let invents = async || {
        invented.set(invented.get() + 1);
        from(&format!("198.51.100.{}, 203.0.113.7", invented.get())).await
    };
    let (passed, _) = until_limited(invents).await;

    assert!(passed >= 10, "{passed}");
    assert_eq!(from("203.0.113.8").await.status.as_u16(), 200);
}
