//! A real NetBox with the custom objects plugin, as `tests/netbox/up` starts it: seen and changed over its REST API.

use std::collections::BTreeMap;
use std::process::Command;

use fgd_sync::domain::kind::{Catalogue, Kind};
use reqwest::Method;
use serde_json::{Value, json};

/// One NetBox, with a user who is not the service.
pub struct RealNetBox {
    /// Ends with `/`.
    pub url: String,
    /// The service's token.
    pub token: String,
    alice: String,
}

impl RealNetBox {
    /// The one that runs, or what to do when none does.
    pub fn running() -> Result<Self, String> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let text = std::fs::read_to_string(".dev/netbox/state.env").map_err(|error| {
            format!("no NetBox runs (.dev/netbox/state.env: {error}): start it with tests/netbox/up")
        })?;
        let state: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once('=')).collect();
        let value = |name: &str| state.get(name).map(|text| (*text).to_owned()).ok_or(format!("no {name} in {text}"));
        Ok(Self { url: value("NETBOX_URL")?, token: value("NETBOX_TOKEN")?, alice: value("NETBOX_ALICE_TOKEN")? })
    }

    /// Alice creates objects of a fabric in one request; returns their ids in the order given.
    pub async fn create(&self, fabric: &str, kind: &str, objects: &[(String, Value)]) -> Vec<u64> {
        let object = |(name, spec): &(String, Value)| json!({"name": name, "fabric": fabric, "namespace": "default", "spec": spec, "labels": {}, "annotations": {}});
        let body = Value::Array(objects.iter().map(object).collect());
        let made = self.ask(Method::POST, &self.path(kind), Some(body)).await;
        made.as_array().unwrap().iter().map(|row| row["id"].as_u64().unwrap()).collect()
    }

    /// Alice changes fields of a row.
    pub async fn patch(&self, kind: &str, id: u64, fields: Value) {
        self.ask(Method::PATCH, &format!("{}{id}/", self.path(kind)), Some(fields)).await;
    }

    /// Alice deletes a row.
    pub async fn delete(&self, kind: &str, id: u64) {
        self.ask(Method::DELETE, &format!("{}{id}/", self.path(kind)), None).await;
    }

    /// A fabric's rows of a kind, by name.
    pub async fn rows(&self, fabric: &str, kind: &str) -> Vec<Value> {
        let url = format!("{}?limit=1000&ordering=name", self.path(kind));
        let found = self.ask(Method::GET, &url, None).await;
        found["results"].as_array().unwrap().iter().filter(|row| row["fabric"] == json!(fabric)).cloned().collect()
    }

    /// How many changes NetBox's change log has of custom objects, whoever made them.
    pub async fn recorded_changes(&self) -> u64 {
        let url = format!("{}api/core/object-changes/?limit=1", self.url);
        self.ask(Method::GET, &url, None).await["count"].as_u64().unwrap()
    }

    /// Alice posts to any endpoint and gets the row; what is there already is fine.
    pub async fn ensure(&self, path: &str, body: Value) {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client.post(format!("{}api/{path}", self.url)).bearer_auth(&self.alice).json(&body);
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
        assert!(status == 201 || (status == 400 && text.contains("already exists")), "{path}: {status} {text}");
    }

    /// Alice asks any endpoint.
    pub async fn any(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        self.ask(method, &format!("{}api/{path}", self.url), body).await
    }

    fn path(&self, kind: &str) -> String {
        let spec = Catalogue::hedgehog().get(&Kind::new(kind)).unwrap();
        format!("{}api/plugins/custom-objects/{}/", self.url, spec.custom_object_slug().unwrap())
    }

    async fn ask(&self, method: Method, url: &str, body: Option<Value>) -> Value {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut request = client.request(method, url).bearer_auth(&self.alice);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{url}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }
}

/// Starts or stops NetBox's background worker, which sends the webhooks.
pub fn worker(verb: &str) {
    let status = Command::new("tests/netbox/worker").arg(verb).status().unwrap();
    assert!(status.success(), "tests/netbox/worker {verb}: {status}");
}
