use fgd_sync::http::HttpState;
use fgd_sync::webhook::netbox::Model;

use super::*;
use crate::receive::service::{EXPIRED_TOKEN, OPERATE_TOKEN, READ_TOKEN, Service, TOKEN};
use crate::support::redis::RedisServer;

async fn service() -> Service {
    Service::start(Model::CustomObjects).await
}

async fn at(url: &'static str) -> Service {
    let change = |state: HttpState| state.with_public_url(url.parse().unwrap());
    Service::with(Model::CustomObjects, change).await
}

#[tokio::test]
async fn a_page_asks_whoever_is_nobody_to_sign_in_and_brings_them_back() {
    let service = service().await;
    let mut browser = Browser::at(service.address());

    let asked = browser.open("/jobs?state=held").await;
    assert_eq!((asked.status, asked.location()), (303, "/sign-in?to=%2Fjobs%3Fstate%3Dheld"));
    browser.open(asked.location()).await.shows(&["API token", "value=\"/jobs?state=held\""]);
    let signed_in = browser.sign_in(READ_TOKEN, "/jobs?state=held").await;

    assert_eq!((signed_in.status, signed_in.location()), (303, "/jobs?state=held"));
    browser.open("/jobs?state=held").await.shows(&["rae", "read", "Sign out"]);
}

#[tokio::test]
async fn the_cookie_holds_no_token_and_is_for_no_script_and_no_form_of_another_site() {
    let service = service().await;
    let answer = Browser::at(service.address()).sign_in(TOKEN, "/").await;

    let cookie = answer.header("set-cookie");
    assert!(!cookie.contains(TOKEN));
    assert!(cookie.ends_with("; Path=/; Max-Age=43200; HttpOnly; SameSite=Lax"), "{cookie}");
}

#[tokio::test]
async fn over_tls_and_below_a_path_the_cookie_stays_there() {
    let service = at("https://sync.example.com/fgd/").await;
    let mut browser = Browser::at(service.address());

    let answer = browser.sign_in(TOKEN, "/jobs").await;

    assert_eq!(answer.location(), "/fgd/jobs");
    let cookie = answer.header("set-cookie");
    assert!(cookie.ends_with("; Path=/fgd; Max-Age=43200; HttpOnly; SameSite=Lax; Secure"), "{cookie}");
    browser.open("/jobs").await.shows(&["href=\"/fgd/assets/style.css\"", "href=\"/fgd/conflicts\""]);
}

#[tokio::test]
async fn a_token_that_is_no_good_lets_nobody_in() {
    let service = service().await;
    let mut browser = Browser::at(service.address());

    for (token, words) in [("a guess", "no token of ours"), ("", "no token of ours"), (EXPIRED_TOKEN, "is over")] {
        let answer = browser.sign_in(token, "/").await;
        assert_eq!((answer.status, answer.header("set-cookie")), (401, ""), "{token}");
        assert!(answer.text.contains(words), "{}", answer.text);
    }
    assert_eq!(browser.open("/").await.status, 303);
}

#[tokio::test]
async fn signing_in_never_leads_to_another_site() {
    let service = service().await;

    for to in ["//evil.example/", "https://evil.example/", "/\\evil.example", "javascript:alert(1)"] {
        assert_eq!(Browser::at(service.address()).sign_in(TOKEN, to).await.location(), "/", "{to}");
    }
}

#[tokio::test]
async fn a_form_of_another_site_signs_nobody_in() {
    let service = service().await;
    let browser = Browser::at(service.address());
    let form = || browser.form("/sign-in", &[("token", TOKEN)]);

    for (name, value) in [("Sec-Fetch-Site", "cross-site"), ("Origin", "https://evil.example"), ("Origin", "null")] {
        let answer = browser.send(form().header(name, value)).await;
        assert_eq!((answer.status, answer.header("set-cookie")), (403, ""), "{name}: {value}");
    }
    let own = browser.send(form().header("Origin", service.address())).await;
    assert_eq!(own.status, 303);
}

#[tokio::test]
async fn who_signs_out_is_out_everywhere() {
    let service = service().await;
    let browser = Browser::signed_in(service.address(), OPERATE_TOKEN).await;

    let out = browser.submit("/sign-out", &[]).await;

    assert_eq!((out.status, out.location()), (303, "/sign-in"));
    assert!(out.header("set-cookie").starts_with("fgd_session=; "), "{}", out.header("set-cookie"));
    assert_eq!(browser.open("/").await.status, 303, "the old cookie is worth nothing");
}

#[tokio::test]
async fn a_session_is_kept_without_its_secret_and_ends_with_its_token() {
    let service = service().await;
    let browser = Browser::signed_in(service.address(), TOKEN).await;
    let secret = browser.cookie.clone().unwrap().split_once('=').unwrap().1.to_owned();
    let session = service.test.ledger.session(&secret).await.unwrap().expect("it is kept");
    assert_eq!(session.token, "kim");

    let other = fgd_sync::ledger::Session { digest: "00".repeat(32), ..session };
    service.test.ledger.open_session(&secret, &other, std::time::Duration::from_secs(60)).await.unwrap();

    assert_eq!(browser.open("/").await.status, 303, "another token has the name now");
}

#[tokio::test]
async fn a_session_reads_the_api_and_does_not_write_it() {
    let service = service().await;
    let browser = Browser::signed_in(service.address(), TOKEN).await;

    let read = browser.open("/api/v1/fabrics").await;
    let written = browser.send(browser.client.post(browser.url("/api/v1/fabrics/lab-fabric/sync"))).await;

    assert_eq!((read.status, read.header("content-type")), (200, "application/json"));
    assert_eq!(written.status, 401, "a request of the API proves nothing of where it comes from");
    assert_eq!(service.drain().await, []);
}

#[tokio::test]
async fn without_redis_a_page_says_so() {
    let mut service = service().await;
    let browser = Browser::signed_in(service.address(), TOKEN).await;

    service.test.server = RedisServer::start();
    let page = browser.open("/").await;

    assert_eq!((page.status, page.header("content-type")), (503, "text/html; charset=utf-8"));
    assert!(page.text.contains("Redis cannot be reached"), "{}", page.text);
}
