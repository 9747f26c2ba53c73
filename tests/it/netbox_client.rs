//! The NetBox client against the stand-in; every rule in both object models.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod reading;
mod setting_up;
mod writing;

use std::collections::BTreeMap;
use std::time::Duration;

use fgd_sync::domain::document::Shared;
use fgd_sync::domain::key::{Key, ObjectId};
use fgd_sync::domain::kind::{Catalogue, Kind};
use fgd_sync::domain::lease::LeaseProof;
use fgd_sync::domain::names::{BranchName, FabricName, NetBoxName, RepoName, Target};
use fgd_sync::domain::row::Row;
use fgd_sync::domain::secret::SecretSource;
use fgd_sync::netbox::setup::{SetupOptions, Telling};
use fgd_sync::netbox::{Client, Error, Found, Model, Options, Request, Timeouts, WriteContext, Written};
use secrecy::SecretString;
use serde_json::{Map, Value, json};

use crate::support::fakes::netbox::{Flavor, NetBox, Object, TOKEN};
use crate::support::lease::proof_that_lasts;

const FABRIC: &str = "lab";

struct Lab {
    netbox: NetBox,
    client: Client,
    fabric: FabricName,
}

impl Lab {
    fn new(netbox: NetBox) -> Self {
        netbox.user("admin").create_fabric(FABRIC);
        let client = client(&netbox, Duration::from_secs(10));
        Self { netbox, client, fabric: FabricName::new(FABRIC) }
    }

    /// Gives up on a write's answer soon.
    fn impatient(self) -> Self {
        Self { client: client(&self.netbox, Duration::from_millis(400)), ..self }
    }

    fn add(&self, kind: &str, names: &[&str]) -> Vec<u64> {
        let objects: Vec<Object> = names.iter().map(|name| Object::new(kind, FABRIC, name, spec_of(name))).collect();
        self.netbox.user("alice").bulk_create(&objects)
    }

    async fn row(&self, kind: &str, id: u64) -> Row {
        match self.client.read(&object(kind, id)).await.unwrap() {
            Some(Found::Row { row, .. }) => row,
            other => panic!("{other:?}"),
        }
    }

    async fn rows(&self, kind: &str) -> Vec<Row> {
        let found = self.client.list(&self.fabric, &Kind::new(kind)).await.unwrap();
        found
            .into_iter()
            .map(|found| match found {
                Found::Row { row, .. } => row,
                invalid @ Found::Invalid { .. } => panic!("{invalid:?}"),
            })
            .collect()
    }

    async fn write(&self, requests: &[Request]) -> Result<Vec<Written>, Error> {
        self.client.write_lot(&proof(), requests, &self.context("Sync by a test")).await
    }

    fn context(&self, message: &str) -> WriteContext {
        WriteContext { fabric: self.fabric.clone(), message: message.to_owned(), notes: BTreeMap::new() }
    }

    fn path(&self) -> &'static str {
        "vpcs/"
    }
}

fn client(netbox: &NetBox, write: Duration) -> Client {
    client_with(netbox, SecretSource::Text(SecretString::from(TOKEN)), write)
}

fn client_with(netbox: &NetBox, token: SecretSource, write: Duration) -> Client {
    let model = match netbox.flavor() {
        Flavor::CustomObjects => Model::CustomObjects,
        Flavor::Hedgehog => Model::Hedgehog,
    };
    Client::new(options(netbox.url(), token, model, write)).unwrap()
}

fn options(url: &str, token: SecretSource, model: Model, write: Duration) -> Options {
    Options {
        name: NetBoxName::new("main"),
        url: url.parse().unwrap(),
        token,
        model,
        catalogue: Catalogue::hedgehog().clone(),
        ca_file: None,
        proxy: None,
        timeouts: Timeouts {
            connect: Duration::from_secs(5),
            read: Duration::from_secs(10),
            write,
            appear: write,
            ..Timeouts::default()
        },
    }
}

fn labs() -> [Lab; 2] {
    [Lab::new(NetBox::custom_objects()), Lab::new(NetBox::hedgehog())]
}

fn proof() -> LeaseProof {
    lease(Duration::from_secs(600))
}

fn lease(length: Duration) -> LeaseProof {
    let target = Target { repo: RepoName::new("fgd"), branch: BranchName::new("main") };
    proof_that_lasts(&target, length)
}

fn spec_of(name: &str) -> Value {
    json!({"subnets": {"web": {"subnet": "10.0.1.0/24", "vlan": 1001}}, "description": format!("of {name}")})
}

fn key(kind: &str, name: &str) -> Key {
    Key { kind: Kind::new(kind), namespace: "default".to_owned(), name: name.to_owned() }
}

fn object(kind: &str, id: u64) -> ObjectId {
    ObjectId { kind: Kind::new(kind), id }
}

fn wish(kind: &str, name: &str, spec: Value) -> Shared {
    let labels: Map<String, Value> = [("team".to_owned(), json!("net"))].into_iter().collect();
    Shared { key: key(kind, name), labels, annotations: Map::new(), spec }
}

fn creations(kind: &str, names: &[String]) -> Vec<Request> {
    names.iter().map(|name| Request::Create { want: wish(kind, name, spec_of(name)) }).collect()
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("vpc-{number:03}")).collect()
}

fn edits(rows: &[Row]) -> Vec<Request> {
    rows.iter()
        .map(|row| {
            let want = Shared { spec: json!({"edited": true}), ..row.shared.clone() };
            Request::Update { against: Box::new(row.clone()), want }
        })
        .collect()
}

fn deletions(rows: &[Row]) -> Vec<Request> {
    rows.iter().map(|row| Request::Delete { against: Box::new(row.clone()) }).collect()
}

/// One letter a row: Done, Changed, Refused, Failing, Lost edit, Unanswered.
fn letters(written: &[Written]) -> String {
    let letter = |written: &Written| match written {
        Written::Done { .. } => 'D',
        Written::Changed => 'C',
        Written::Refused { .. } => 'R',
        Written::Failing { .. } => 'F',
        Written::LostEdit { .. } => 'L',
        Written::Unanswered(_) => 'U',
    };
    written.iter().map(letter).collect()
}

fn setup_options(url: &str) -> SetupOptions {
    SetupOptions {
        receiver_url: url.parse().unwrap(),
        secret: SecretString::from("fixture-secret"),
        fabrics: vec![FabricName::new(FABRIC)],
        fabric_status: Telling::On,
        journal: Telling::On,
        links: Some("https://sync.example.com/".parse().unwrap()),
        dry_run: false,
    }
}
