//! The stand-in for GitHub, held against what GitHub documents, with plain HTTP.

mod git_data;
mod graphql;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::fakes::github::{GitHub, TOKEN};

/// An answer, taken apart.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: reqwest::header::HeaderMap,
    body: Value,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }

    fn sha(&self) -> String {
        self.body["sha"].as_str().unwrap_or_default().to_owned()
    }
}

/// A request below REST's root, as a well-behaved client sends it.
fn request(github: &GitHub, method: &str, path: &str) -> RequestBuilder {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    bare_request(method, &format!("{}/{path}", github.rest_url())).bearer_auth(TOKEN)
}

fn bare_request(method: Method, url: &str) -> RequestBuilder {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .user_agent("a-test")
        .build()
        .unwrap();
    client.request(method, url).header("accept", "application/vnd.github+json")
}

async fn send(request: RequestBuilder) -> Answer {
    let answer = request.send().await.unwrap();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let text = answer.text().await.unwrap();
    Answer { status, headers, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) }
}

async fn get(github: &GitHub, path: &str) -> Answer {
    send(request(github, "GET", path)).await
}

async fn ask(github: &GitHub, method: &str, path: &str, body: Value) -> Answer {
    send(request(github, method, path).json(&body)).await
}

async fn graphql(github: &GitHub, query: &str, variables: Value) -> Value {
    let request = bare_request(Method::POST, &github.graphql_url()).bearer_auth(TOKEN);
    let answer = send(request.json(&json!({"query": query, "variables": variables}))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

/// A repository `acme/fabric` with `a.yaml` and `dir/b.yaml` on main; gives the commit.
fn seeded(github: &GitHub) -> String {
    let person = github.create("acme", "fabric").person();
    person.write("a.yaml", "a: 1\n").write("dir/b.yaml", "b: 1\n").push("main", "first")
}
