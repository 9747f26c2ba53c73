//! Apps: JWTs, installations and their tokens.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use reqwest::Method;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};

use super::{REPO, bare_request, seeded, send};
use crate::support::fakes::github::{APP_KEY, GitHub, Level, Permission};

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

fn jwt(claims: &Value) -> String {
    let body: String = APP_KEY.lines().filter(|line| !line.starts_with("-----")).collect();
    let key = RsaKeyPair::from_der(&STANDARD.decode(body).unwrap()).unwrap();
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&json!({"alg": "RS256", "typ": "JWT"})), part(claims));
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn as_app(github: &GitHub, method: Method, path: &str, jwt: &str) -> reqwest::RequestBuilder {
    bare_request(method, &format!("{}/{path}", github.rest_url())).bearer_auth(jwt)
}

#[tokio::test]
async fn an_app_gets_a_token_for_an_hour() {
    let github = GitHub::start();
    seeded(&github);
    let app = github.add_app("fgd");
    let id = github.install(app, "acme", &["acme/fabric"], &[(Permission::Contents, Level::Write)]);
    let jwt = jwt(&json!({"iat": now() - 60, "exp": now() + 540, "iss": app.to_string()}));

    let found = send(as_app(&github, Method::GET, &format!("{REPO}/installation"), &jwt)).await;
    let path = format!("app/installations/{id}/access_tokens");
    let made = send(as_app(&github, Method::POST, &path, &jwt)).await;
    let token = made.body["token"].as_str().unwrap().to_owned();
    let used = send(as_app(&github, Method::GET, REPO, &token)).await;
    github.advance(Duration::from_secs(3_601));
    let late = send(as_app(&github, Method::GET, REPO, &token)).await;

    assert_eq!((found.status, &found.body["id"]), (200, &json!(id)));
    assert_eq!((made.status, &made.body["permissions"]["contents"]), (201, &json!("write")));
    assert_eq!((used.status, late.status), (200, 401));
}

#[tokio::test]
async fn tokens_differ_in_length_and_may_be_narrowed() {
    let github = GitHub::start();
    seeded(&github);
    let app = github.add_app("fgd");
    let id = github.install(app, "acme", &[], &[(Permission::Contents, Level::Write)]);
    let jwt = jwt(&json!({"iat": now(), "exp": now() + 300, "iss": app}));
    let path = format!("app/installations/{id}/access_tokens");
    let ask = |body: Value| send(as_app(&github, Method::POST, &path, &jwt).json(&body));

    let one = ask(json!({"repositories": ["fabric"], "permissions": {"contents": "read"}})).await;
    let other = ask(json!({})).await;
    let foreign = ask(json!({"repositories": ["nothing"]})).await;
    let ungranted = ask(json!({"permissions": {"statuses": "write"}})).await;
    let reader = one.body["token"].as_str().unwrap();
    let write = as_app(&github, Method::POST, &format!("{REPO}/git/blobs"), reader).json(&json!({"content": ""}));
    let write = send(write).await;

    assert_ne!(reader.len(), other.body["token"].as_str().unwrap().len());
    assert_eq!((foreign.status, ungranted.status), (422, 422));
    assert_eq!((write.status, write.message()), (403, "Resource not accessible by integration"));
    assert_eq!(github.tokens_made(), 2);
}

#[tokio::test]
async fn a_jwt_must_be_signed_issued_in_the_past_and_end_within_ten_minutes() {
    let github = GitHub::start();
    let app = github.add_app("fgd");
    let good = json!({"iat": now() - 60, "exp": now() + 540, "iss": app});
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        jwt(&claims)
    };
    let mut forged = jwt(&good);
    forged.replace_range(forged.len() - 8.., "AAAAAAAA");
    let bad = [
        (forged, "decoded"),
        (with("iat", json!(now() + 60)), "'iat'"),
        (with("exp", json!(now() + 660)), "too far"),
        (with("exp", json!(now() - 1)), "'exp'"),
        (with("iss", json!(1)), "Integration not found"),
    ];

    let ok = send(as_app(&github, Method::GET, "app", &jwt(&good))).await;

    assert_eq!((ok.status, &ok.body["slug"]), (200, &json!("fgd")));
    for (jwt, words) in bad {
        let answer = send(as_app(&github, Method::GET, "app", &jwt)).await;
        assert!(answer.message().contains(words), "{answer:?}");
    }
    assert_eq!(github.forgive().len(), 5);
}

#[tokio::test]
async fn a_suspended_installation_loses_its_tokens() {
    let github = GitHub::start();
    seeded(&github);
    let app = github.add_app("fgd");
    let id = github.install(app, "acme", &[], &[]);
    let jwt = jwt(&json!({"iat": now(), "exp": now() + 300, "iss": app}));
    let path = format!("app/installations/{id}/access_tokens");
    let token = send(as_app(&github, Method::POST, &path, &jwt)).await.body["token"].as_str().unwrap().to_owned();

    github.suspend(id);

    let used = send(as_app(&github, Method::GET, REPO, &token)).await;
    let more = send(as_app(&github, Method::POST, &path, &jwt)).await;
    assert_eq!((used.status, more.status), (401, 403));
}
