//! The stand-in has the plugin's faults as they were measured: without them, the tests beside this one prove nothing.

use reqwest::Method;
use serde_json::{Value, json};

use super::{BROKEN, plugin};
use crate::support::app::FABRIC;
use crate::support::fakes::netbox::{NetBox, Object, TOKEN};

async fn ask(netbox: &NetBox, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.request(method, format!("{}api/plugins/hedgehog/{path}", netbox.url())).bearer_auth(TOKEN);
    let request = body.into_iter().fold(request, |request, body| request.json(&body));
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

async fn get(netbox: &NetBox, path: &str) -> (u16, Value) {
    ask(netbox, Method::GET, path, None).await
}

fn row(name: &str) -> Value {
    json!({"fabric": 1, "name": name, "spec": {"description": "x"}})
}

#[tokio::test]
async fn lists_need_an_ordering_and_overlook_filters() {
    let netbox = plugin();
    for name in ["one", "two"] {
        netbox.user("alice").create(&Object::new("Server", FABRIC, name, json!({"description": "x"})));
    }

    assert_eq!(get(&netbox, "servers/").await.0, 500);
    let (status, page) = get(&netbox, "servers/?ordering=id&name=one&id=1&fabric=7").await;
    assert_eq!((status, &page["count"]), (200, &json!(2)));
}

#[tokio::test]
async fn six_endpoints_answer_500_but_for_reads_without_the_address() {
    let netbox = plugin();
    netbox.hook("http://127.0.0.1:9/", "a-secret-of-this-test");
    let segments = ["externals", "external-attachments", "external-peerings", "vpc-attachments", "vpc-peerings"];

    for (kind, segment) in BROKEN.into_iter().zip(segments) {
        let (status, _) = ask(&netbox, Method::POST, &format!("{segment}/?omit=display_url"), Some(row("one"))).await;
        assert_eq!((status, netbox.names(kind), netbox.deliveries().len()), (500, vec!["one".to_owned()], 0));
        assert_eq!(get(&netbox, &format!("{segment}/?ordering=id")).await.0, 500);
        assert_eq!(get(&netbox, &format!("{segment}/1/")).await.0, 500);
        assert_eq!(get(&netbox, &format!("{segment}/?ordering=id&omit=display_url")).await.0, 200);
        assert_eq!(get(&netbox, &format!("{segment}/1/?omit=display_url")).await.0, 200);
    }
    let (status, _) = ask(&netbox, Method::POST, "fabrics/", Some(json!({"name": "other"}))).await;
    assert_eq!((status, netbox.names("Fabric").len(), netbox.deliveries().len()), (500, 2, 0));
}

#[tokio::test]
async fn a_duplicate_is_a_500_and_an_empty_spec_or_a_dotted_name_a_400() {
    let netbox = plugin();
    let post = |body| ask(&netbox, Method::POST, "servers/", Some(body));

    assert_eq!(post(row("one")).await.0, 201);
    assert_eq!(post(row("one")).await.0, 500);
    let empty = post(json!({"fabric": 1, "name": "two", "spec": {}})).await;
    assert_eq!(empty, (400, json!({"spec": ["This field cannot be blank."]})));
    assert_eq!(post(row("a.b")).await.0, 400);
    assert_eq!(netbox.names("Server"), ["one"]);
}
