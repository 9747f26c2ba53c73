//! Webhooks: made and changed, deliveries signed, sent, listed and asked for again.

use std::sync::{Arc, Mutex};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde_json::{Value, json};

use super::{REPO, ask, get, seeded};
use crate::support::fakes::github::{ContentType, GitHub};

type Seen = Arc<Mutex<Vec<(String, String, String, String)>>>;

/// Somebody who listens: event, delivery, signature and body of what came.
fn listener() -> (String, Seen) {
    let seen = Seen::default();
    let data = web::Data::new(Arc::clone(&seen));
    let answer = |request: HttpRequest, body: String, seen: web::Data<Seen>| async move {
        let header = |name: &str| request.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or("").to_owned();
        let entry = (header("x-github-event"), header("x-github-delivery"), header("x-hub-signature-256"), body);
        seen.lock().unwrap().push(entry);
        HttpResponse::Accepted().finish()
    };
    let server = HttpServer::new(move || App::new().app_data(data.clone()).default_service(web::to(answer)))
        .workers(1)
        .disable_signals()
        .bind(("127.0.0.1", 0))
        .unwrap();
    let url = format!("http://{}/hook", server.addrs()[0]);
    let server = server.run();
    std::thread::spawn(move || actix_web::rt::System::new().block_on(server));
    (url, seen)
}

#[tokio::test]
async fn a_new_hook_is_pinged_and_its_secret_is_never_shown() {
    let github = GitHub::start();
    seeded(&github);
    let (url, seen) = listener();
    let config = json!({"url": url, "content_type": "json", "secret": "s"});

    let made = ask(&github, "POST", &format!("{REPO}/hooks"), json!({"config": config})).await;
    let again = ask(&github, "POST", &format!("{REPO}/hooks"), json!({"config": config})).await;
    let codes = github.deliver_all().await;

    assert_eq!((made.status, &made.body["config"]["secret"]), (201, &json!("********")));
    assert_eq!(again.body["errors"][0]["message"], "Hook already exists on this repository");
    assert_eq!((codes, seen.lock().unwrap()[0].0.as_str()), (vec![202], "ping"));
}

#[tokio::test]
async fn a_change_of_the_configuration_without_the_secret_removes_it() {
    let github = GitHub::start();
    seeded(&github);
    let repo = github.hosted("acme/fabric");
    let id = repo.hook("http://127.0.0.1:1/", "s", ContentType::Json);

    ask(&github, "PATCH", &format!("{REPO}/hooks/{id}"), json!({"config": {"url": "http://127.0.0.1:1/"}})).await;

    assert_eq!((repo.hooks()[0].secret.clone(), repo.hooks()[0].content_type), (None, ContentType::Form));
}

#[tokio::test]
async fn pushes_are_delivered_signed_whoever_pushed() {
    let github = GitHub::start();
    let first = seeded(&github);
    let (url, seen) = listener();
    github.hosted("acme/fabric").hook(&url, "It's a Secret to Everybody", ContentType::Json);

    let second = github.hosted("acme/fabric").person().write("c", "").push("main", "second");
    let move_back = json!({"sha": first, "force": true});
    ask(&github, "PATCH", &format!("{REPO}/git/refs/heads/main"), move_back).await;
    github.deliver_all().await;

    let seen = seen.lock().unwrap().clone();
    let bodies: Vec<Value> = seen.iter().map(|(.., body)| serde_json::from_str(body).unwrap()).collect();
    assert_eq!((&bodies[0]["before"], &bodies[0]["after"]), (&json!(first), &json!(second)));
    assert_eq!((&bodies[0]["pusher"]["name"], &bodies[0]["commits"][0]["added"]), (&json!("a-person"), &json!(["c"])));
    assert_eq!((&bodies[1]["pusher"]["name"], &bodies[1]["forced"]), (&json!("fgd-sync"), &json!(true)));
    assert!(seen[0].2.starts_with("sha256=") && seen[0].2.len() == 71);
}

#[tokio::test]
async fn a_form_carries_the_payload_encoded() {
    let github = GitHub::start();
    seeded(&github);
    let (url, seen) = listener();
    github.hosted("acme/fabric").hook(&url, "s", ContentType::Form);
    github.hosted("acme/fabric").person().write("ö", "").push("main", "second");

    github.deliver_all().await;

    let body = seen.lock().unwrap()[0].3.clone();
    assert!(body.starts_with("payload=%7B") && body.is_ascii());
}

#[tokio::test]
async fn a_failed_delivery_is_listed_and_comes_again_under_its_guid() {
    let github = GitHub::start();
    seeded(&github);
    let (url, seen) = listener();
    let repo = github.hosted("acme/fabric");
    let id = repo.hook(&url, "s", ContentType::Json);
    repo.person().write("c", "").push("main", "second");
    github.lose_deliveries();
    let path = format!("{REPO}/hooks/{id}/deliveries");

    let failed = get(&github, &format!("{path}?status=failure")).await;
    let delivery = failed.body[0]["id"].as_u64().unwrap();
    let asked = ask(&github, "POST", &format!("{path}/{delivery}/attempts"), json!({})).await;
    github.deliver_all().await;
    let all = get(&github, &format!("{path}?per_page=1")).await;

    assert_eq!((asked.status, failed.body.as_array().unwrap().len()), (202, 1));
    assert_eq!(seen.lock().unwrap()[0].1, failed.body[0]["guid"].as_str().unwrap());
    assert_eq!((&all.body[0]["redelivery"], &all.body[0]["status_code"]), (&json!(true), &json!(202)));
    assert!(all.header("link").unwrap().contains("cursor="));
}
