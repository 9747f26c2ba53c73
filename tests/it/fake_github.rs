//! The stand-in for GitHub, held against what GitHub documents, with plain HTTP.

mod apps;
mod door;
mod faults;
mod git_data;
mod graphql;
mod pulls;
mod rules;
mod webhooks;

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
    let agent = client(|builder| builder.user_agent("a-test"));
    agent.request(method, url).header("accept", "application/vnd.github+json")
}

fn client(build: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder) -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let plain = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    build(plain).build().unwrap()
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

/// A mutation that moves main.
const UPDATE: &str = "mutation($id: ID!, $updates: [RefUpdate!]!) {
    updateRefs(input: {repositoryId: $id, refUpdates: $updates}) { clientMutationId }
}";

async fn repository_id(github: &GitHub) -> Value {
    let answer = graphql(github, "{ repository(owner: \"acme\", name: \"fabric\") { id } }", json!({})).await;
    answer["data"]["repository"]["id"].clone()
}

/// A commit that is on no branch yet, with one more file.
async fn commit_on(github: &GitHub, parent: &str, file: &str) -> String {
    let tree =
        json!({"base_tree": parent, "tree": [{"path": file, "mode": "100644", "type": "blob", "content": file}]});
    let tree = ask(github, "POST", &format!("{REPO}/git/trees"), tree).await.sha();
    let commit = json!({"message": file, "tree": tree, "parents": [parent]});
    ask(github, "POST", &format!("{REPO}/git/commits"), commit).await.sha()
}

const REPO: &str = "repos/acme/fabric";

/// A repository `acme/fabric` with `a.yaml` and `dir/b.yaml` on main; gives the commit.
fn seeded(github: &GitHub) -> String {
    let person = github.create("acme", "fabric").person();
    person.write("a.yaml", "a: 1\n").write("dir/b.yaml", "b: 1\n").push("main", "first")
}
