//! A fabric on the Hedgehog plugin, with each of the plugin's measured faults in its way.
//!
//! However a request is answered, the end is right: one row for each object, nothing lost, each document's fate told in
//! words, and nothing left to do.

mod faults;
mod kinds;
mod measured;

use serde_json::{Value, json};

use fgd_sync::domain::kind::Catalogue;
use fgd_sync::ledger::types::Job;

use crate::support::app::{FABRIC, TestApp};
use crate::support::fakes::netbox::NetBox;

/// The kinds whose pages the plugin cannot name: each POST and PATCH of a row answers 500 although it is saved.
const BROKEN: [&str; 5] = ["External", "ExternalAttachment", "ExternalPeering", "VPCAttachment", "VPCPeering"];

/// With the fabric, and nothing in it.
fn plugin() -> NetBox {
    let netbox = NetBox::hedgehog();
    netbox.user("admin").create_fabric(FABRIC);
    netbox
}

fn all_kinds() -> impl Iterator<Item = &'static str> {
    Catalogue::hedgehog().iter().map(|spec| spec.kind.as_str())
}

/// A document of a kind; its `description` is of no kind's rules.
fn document(kind: &str, name: &str, description: &str) -> String {
    let api_version = Catalogue::hedgehog().iter().find(|spec| spec.kind.as_str() == kind).unwrap().api_version();
    format!("apiVersion: {api_version}\nkind: {kind}\nmetadata:\n  name: {name}\nspec:\n  description: {description}\n")
}

/// The documents of one file.
fn file(documents: impl IntoIterator<Item = String>) -> String {
    documents.into_iter().collect::<Vec<_>>().join("---\n")
}

/// Where a kind's object of this name is managed.
fn managed(kind: &str, name: &str) -> String {
    let spec = Catalogue::hedgehog().iter().find(|spec| spec.kind.as_str() == kind).unwrap();
    format!("managed/{}/{name}.yaml", spec.directory)
}

/// What a job did, as the API tells it.
async fn report(app: &TestApp, job: &Job) -> Value {
    app.get(&format!("/api/v1/jobs/{}", job.id)).await["parts"][0]["report"].clone()
}

/// The reports of jobs in one text, to look for words in.
async fn words(app: &TestApp, jobs: &[Job]) -> String {
    let mut words = String::new();
    for job in jobs {
        words.push_str(&report(app, job).await.to_string());
    }
    words
}

/// Ends a test: everything is compared once more, and there is nothing to do.
async fn at_rest(app: TestApp) {
    let (commits, writes) = (app.commits().await, app.netbox_writes());

    app.post("/api/v1/fabrics/lab/sync", json!({})).await;
    app.sync().await;

    assert_eq!(app.commits().await, commits, "a comparison committed");
    assert_eq!(app.netbox_writes(), writes, "a comparison wrote NetBox");
    app.finish().await;
}
