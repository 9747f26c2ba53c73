//! Headers, tokens, permissions, budgets, unchanged answers and renamed repositories.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use super::{REPO, ask, bare_request, client, get, graphql, request, seeded, send};
use crate::support::fakes::github::{GitHub, Level, Permission, TOKEN, Token};

fn with_token(github: &GitHub, method: Method, path: &str, token: &str) -> reqwest::RequestBuilder {
    bare_request(method, &format!("{}/{path}", github.rest_url())).bearer_auth(token)
}

#[tokio::test]
async fn a_request_without_user_agent_is_forbidden() {
    let github = GitHub::start();
    seeded(&github);
    let anonymous = client(|builder| builder);

    let answer = send(anonymous.get(format!("{}/{REPO}", github.rest_url())).bearer_auth(TOKEN)).await;

    assert_eq!(answer.status, 403);
    assert_eq!(github.forgive().len(), 1);
}

#[tokio::test]
async fn a_request_without_a_token_is_told_nothing() {
    let github = GitHub::start();
    seeded(&github);

    let answer = send(bare_request(Method::GET, &format!("{}/{REPO}", github.rest_url()))).await;

    assert_eq!((answer.status, answer.message()), (404, "Not Found"));
    assert_eq!(github.forgive().len(), 1);
}

#[tokio::test]
async fn unknown_routes_and_members_are_noted() {
    let github = GitHub::start();
    let head = seeded(&github);

    let nowhere = get(&github, "repos/acme/fabric/secrets").await;
    let strange = json!({"ref": "refs/heads/x", "sha": head, "colour": "red"});
    let strange = ask(&github, "POST", &format!("{REPO}/git/refs"), strange).await;
    let wrong = ask(&github, "POST", &format!("{REPO}/git/refs"), json!({"ref": 1, "sha": head})).await;

    assert_eq!((nowhere.status, strange.status, wrong.status), (404, 201, 422));
    assert_eq!(wrong.message(), "Invalid request.\n\nFor 'properties/ref', 1 is not a string.");
    assert_eq!(github.forgive().len(), 3);
}

#[tokio::test]
async fn what_a_token_may_not_see_is_not_found_and_what_it_may_not_write_is_forbidden() {
    let github = GitHub::start();
    let head = seeded(&github);
    github.create("acme", "other");
    let reader = Token::of("reader").only(&["acme/fabric"]).may(&[(Permission::Contents, Level::Read)]);
    github.add_token("reader", reader);

    let seen = send(with_token(&github, Method::GET, &format!("{REPO}/git/commits/{head}"), "reader")).await;
    let hidden = send(with_token(&github, Method::GET, "repos/acme/other", "reader")).await;
    let write = with_token(&github, Method::POST, &format!("{REPO}/git/blobs"), "reader");
    let write = send(write.json(&json!({"content": ""}))).await;

    assert_eq!((seen.status, hidden.status), (200, 404));
    assert_eq!((write.status, write.message()), (403, "Resource not accessible by personal access token"));
    assert_eq!(write.header("x-accepted-github-permissions"), Some("contents=write"));
}

#[tokio::test]
async fn an_expired_token_is_bad() {
    let github = GitHub::start();
    seeded(&github);
    github.expire_token(TOKEN, Duration::from_secs(60));

    let before = get(&github, REPO).await;
    github.advance(Duration::from_secs(61));
    let after = get(&github, REPO).await;

    assert!(before.header("github-authentication-token-expiration").unwrap().ends_with(" UTC"));
    assert_eq!((after.status, after.message()), (401, "Bad credentials"));
}

#[tokio::test]
async fn a_used_up_budget_comes_back_after_its_reset() {
    let github = GitHub::start();
    seeded(&github);
    github.add_token("small", Token::of("small").limited_to(1));
    let ask = || send(with_token(&github, Method::GET, REPO, "small"));

    let first = ask().await;
    let second = ask().await;
    github.advance(Duration::from_secs(3_601));
    let third = ask().await;

    assert_eq!((first.status, first.header("x-ratelimit-remaining")), (200, Some("0")));
    assert_eq!((second.status, second.header("x-ratelimit-remaining")), (403, Some("0")));
    assert!(second.message().starts_with("API rate limit exceeded"));
    assert_eq!(third.status, 200);
}

#[tokio::test]
async fn graphql_has_a_budget_of_its_own() {
    let github = GitHub::start();
    seeded(&github);
    github.add_token("small", Token::of("small").limited_to(1));
    let query = || {
        let request = bare_request(Method::POST, &github.graphql_url()).bearer_auth("small");
        send(request.json(&json!({"query": "{ viewer { login } }"})))
    };

    query().await;
    let second = query().await;
    let rest = send(with_token(&github, Method::GET, REPO, "small")).await;

    assert_eq!((second.status, &second.body["errors"][0]["type"]), (200, &json!("RATE_LIMITED")));
    assert_eq!(rest.status, 200);
}

#[tokio::test]
async fn creating_too_much_in_a_minute_hits_the_secondary_limit() {
    let github = GitHub::start();
    seeded(&github);
    github.limit_creating(1);
    let blob = || ask(&github, "POST", "repos/acme/fabric/git/blobs", json!({"content": "x"}));

    let first = blob().await;
    let second = blob().await;
    github.advance(Duration::from_secs(61));
    let third = blob().await;

    assert_eq!((first.status, second.status, third.status), (201, 403, 201));
    assert!(second.message().contains("secondary rate limit"));
    assert!(second.header("retry-after").is_some());
}

#[tokio::test]
async fn an_unchanged_answer_is_empty_and_free() {
    let github = GitHub::start();
    seeded(&github);
    let path = format!("{REPO}/git/ref/heads/main");

    let first = get(&github, &path).await;
    let tag = first.header("etag").unwrap().to_owned();
    let same = send(request(&github, "GET", &path).header("if-none-match", &tag)).await;
    github.hosted("acme/fabric").person().write("c", "").push("main", "second");
    let changed = send(request(&github, "GET", &path).header("if-none-match", &tag)).await;

    assert_eq!((same.status, same.body), (304, json!("")));
    assert_eq!(same.headers["x-ratelimit-remaining"], first.headers["x-ratelimit-remaining"]);
    assert_eq!(changed.status, 200);
}

#[tokio::test]
async fn a_renamed_repository_redirects() {
    let github = GitHub::start();
    seeded(&github);
    github.hosted("acme/fabric").rename("acme", "lab");

    let answer = get(&github, &format!("{REPO}/commits?sha=main&per_page=2")).await;
    let to = answer.header("location").unwrap().to_owned();
    let followed = send(bare_request(Method::GET, &to).bearer_auth(TOKEN)).await;
    let write = ask(&github, "POST", &format!("{REPO}/git/blobs"), json!({"content": ""})).await;
    let query = "{ repository(owner: \"acme\", name: \"fabric\") { nameWithOwner } }";
    let asked = graphql(&github, query, json!({})).await;

    assert_eq!((answer.status, write.status), (301, 307));
    assert!(to.contains("/repositories/") && to.ends_with("/commits?sha=main&per_page=2"), "{to}");
    assert_eq!(followed.status, 200);
    assert_eq!(asked["data"]["repository"]["nameWithOwner"], "acme/lab");
}

#[tokio::test]
async fn files_are_written_one_by_one_also_into_an_empty_repository() {
    let github = GitHub::start();
    github.create("acme", "fabric");
    let path = format!("{REPO}/contents/dir/a%20b.yaml");

    let made = ask(&github, "PUT", &path, json!({"message": "m", "content": "YQ=="})).await;
    let again = ask(&github, "PUT", &path, json!({"message": "m", "content": "Yg=="})).await;
    let sha = made.body["content"]["sha"].clone();
    let read = get(&github, &path).await;
    let gone = ask(&github, "DELETE", &path, json!({"message": "m", "sha": sha})).await;

    assert_eq!((made.status, again.status, gone.status), (201, 422, 200));
    assert_eq!((&read.body["content"], &read.body["path"]), (&json!("YQ==\n"), &json!("dir/a b.yaml")));
    assert!(github.hosted("acme/fabric").bare().paths("main").is_empty());
}

#[tokio::test]
async fn lists_come_in_pages_with_links() {
    let github = GitHub::start();
    seeded(&github);
    github.hosted("acme/fabric").person().write("c", "").push("main", "second");

    let first = get(&github, &format!("{REPO}/commits?sha=main&per_page=1")).await;
    let second = get(&github, &format!("{REPO}/commits?sha=main&per_page=1&page=2")).await;

    assert!(first.header("link").unwrap().contains("page=2>; rel=\"next\""));
    assert_eq!(second.body[0]["commit"]["message"], "first\n");
}

#[tokio::test]
async fn a_comparison_shows_what_is_ahead() {
    let github = GitHub::start();
    let first = seeded(&github);
    let second = github.hosted("acme/fabric").person().write("c", "").push("main", "second");

    let ahead = get(&github, &format!("{REPO}/compare/{first}...main")).await;
    let behind = get(&github, &format!("{REPO}/compare/main...{first}")).await;

    assert_eq!((&ahead.body["status"], &ahead.body["commits"][0]["sha"]), (&json!("ahead"), &json!(second)));
    assert_eq!(ahead.body["files"][0]["filename"], "c");
    assert_eq!((&behind.body["status"], &behind.body["behind_by"]), (&json!("behind"), &json!(1)));
}
