//! A real NetBox with the custom objects plugin, as `tests/netbox/up` starts it: seen and changed over its REST API.

use std::collections::BTreeMap;
use std::process::Command;

use fgd_sync::domain::kind::{Catalogue, Kind};
use reqwest::Method;
use serde_json::{Value, json};

/// The custom object type of the fabrics themselves.
pub const FABRICS: &str = "hedgehog-fabrics";

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

    /// The fabric's own row.
    pub async fn fabric(&self, name: &str) -> Value {
        let rows = self.any(Method::GET, &format!("plugins/custom-objects/{FABRICS}/?limit=1000"), None).await;
        let row = rows["results"].as_array().unwrap().iter().find(|row| row["name"] == name).cloned();
        row.unwrap_or_else(|| panic!("no row of {name}: {rows}"))
    }

    /// NetBox's name of a custom object type, such as deliveries and the change log have it.
    pub async fn object_type(&self, slug: &str) -> String {
        let path = format!("plugins/custom-objects/custom-object-types/?slug={slug}");
        let found = self.any(Method::GET, &path, None).await;
        found["results"][0]["object_type_name"].as_str().unwrap().to_owned()
    }

    /// What NetBox's change log has of a row, oldest first.
    pub async fn changes_of(&self, slug: &str, row: &Value) -> Vec<Value> {
        let object_type = self.object_type(slug).await;
        let path = format!("core/object-changes/?changed_object_id={}&limit=1000&ordering=id", row["id"]);
        let found = self.any(Method::GET, &path, None).await;
        let of_type = |change: &&Value| change["changed_object_type"] == object_type;
        found["results"].as_array().unwrap().iter().filter(of_type).cloned().collect()
    }

    /// Alice signs in with her browser and opens a page.
    pub async fn page(&self, address: &str) -> String {
        let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let form = client.get(format!("{}login/", self.url)).send().await.unwrap();
        let token = cookies(&form);
        let proof = between(&form.text().await.unwrap(), "name=\"csrfmiddlewaretoken\" value=\"", "\"").to_owned();
        let fields = [("csrfmiddlewaretoken", proof.as_str()), ("username", "alice"), ("password", "test-only")];
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = client.post(format!("{}login/", self.url)).header("Cookie", token);
        let request = request.header("Content-Type", "application/x-www-form-urlencoded").body(body);
        let signed_in = request.send().await.unwrap();
        assert_eq!(signed_in.status(), 302, "alice cannot sign in");
        let answer = client.get(address).header("Cookie", cookies(&signed_in)).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{address}");
        answer.text().await.unwrap()
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

/// The cookies that an answer sets, as they are sent back.
fn cookies(answer: &reqwest::Response) -> String {
    let set = answer.headers().get_all("Set-Cookie").iter().filter_map(|cookie| cookie.to_str().ok());
    set.filter_map(|cookie| cookie.split(';').next()).collect::<Vec<_>>().join("; ")
}

/// What stands between two marks; panics where it does not.
fn between<'t>(text: &'t str, before: &str, after: &str) -> &'t str {
    let rest = text.split_once(before).unwrap_or_else(|| panic!("no {before} in {text}")).1;
    rest.split_once(after).unwrap_or_else(|| panic!("no {after} in {rest}")).0
}

/// Starts or stops NetBox's background worker, which sends the webhooks.
pub fn worker(verb: &str) {
    let status = Command::new("tests/netbox/worker").arg(verb).status().unwrap();
    assert!(status.success(), "tests/netbox/worker {verb}: {status}");
}
