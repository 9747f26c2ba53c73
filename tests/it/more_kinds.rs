//! Kinds of the settings: custom object types beside the 12, and one of NetBox's own models field by field.

use fgd_sync::domain::fate::Fate;
use fgd_sync::domain::report::{Item, JobState, Outcome};
use serde_json::{Value, json};

use crate::support::app::{FABRIC, TestApp};
use crate::support::fakes::netbox::NetBox;

const UPSTREAM: [(&str, &str, &str); 4] = [
    ("SwitchProfile", "wiring.githedgehog.com/v1beta1", "hedgehog-switch-profiles"),
    ("ServerProfile", "wiring.githedgehog.com/v1beta1", "hedgehog-server-profiles"),
    ("Gateway", "gateway.githedgehog.com/v1alpha1", "hedgehog-gateways"),
    ("GatewayPeering", "gateway.githedgehog.com/v1alpha1", "hedgehog-gateway-peerings"),
];

const VLANS: &str = "\nkinds:
  Vlan:
    api_version: netbox.example.com/v1
    mapped:
      endpoint: ipam/vlans/
      object_type: ipam.vlan
      fabric: custom_fields.fabric
      fields: {vid: vid, status: status, site: site.slug, owner: custom_fields.owner, description: description}
";

/// The settings of the upstream kinds that are not among the 12.
fn upstream() -> String {
    let kinds = UPSTREAM.map(|(kind, api, slug)| format!("  {kind}: {{api_version: {api}, custom_object: {slug}}}\n"));
    format!("\nkinds:\n{}", kinds.concat())
}

async fn with_upstream_kinds() -> TestApp {
    let more: Vec<(&str, &str)> = UPSTREAM.iter().map(|(kind, _, slug)| (*kind, *slug)).collect();
    TestApp::with(NetBox::custom_objects_and(&more), &upstream()).await
}

async fn with_vlans() -> TestApp {
    let netbox = NetBox::custom_objects();
    netbox.add_vlans();
    TestApp::with(netbox, VLANS).await
}

fn vlan(name: &str, vid: u16) -> Value {
    json!({"name": name, "vid": vid, "site": {"slug": "dc1"}, "custom_fields": {"fabric": FABRIC}})
}

fn document(name: &str, vid: u16) -> String {
    format!(
        "apiVersion: netbox.example.com/v1\nkind: Vlan\nmetadata:\n  name: {name}\nspec:\n  vid: {vid}\n  status: reserved\n  \
         site: dc2\n  owner: ann\n  description: ''\n"
    )
}

#[tokio::test]
async fn further_kinds_of_the_same_form_travel_both_ways() {
    let app = with_upstream_kinds().await;
    let drop: String = UPSTREAM
        .map(|(kind, api, _)| {
            format!("apiVersion: {api}\nkind: {kind}\nmetadata: {{name: dropped}}\nspec: {{a: 1}}\n---\n")
        })
        .concat();
    app.push(&[("raw/more.yaml", &drop)]).await;
    for (kind, ..) in UPSTREAM {
        app.netbox_user("alice").create(kind, "born", json!({"b": 2})).await;
    }

    app.sync().await;

    let files = app.files().await;
    for (kind, api, _) in UPSTREAM {
        assert_eq!(app.netbox.names(kind), ["born", "dropped"]);
        let directory = format!("managed/{}s", kind.to_lowercase());
        let born = &files[&format!("{directory}/born.yaml")];
        assert!(born.starts_with(&format!("apiVersion: {api}\nkind: {kind}\n")), "{born}");
        assert!(files[&format!("{directory}/dropped.yaml")].contains("original-file: raw/more.yaml"));
        assert!(files.contains_key(&format!("{directory}/.gitkeep")), "the skeleton has a place for it");
    }
    app.finish().await;
}

#[tokio::test]
async fn further_kinds_are_renamed_and_deleted_as_the_others_are() {
    let app = with_upstream_kinds().await;
    app.netbox_user("alice").create("Gateway", "old", json!({"b": 2})).await;
    app.netbox_user("alice").create("Gateway", "gone", json!({"b": 3})).await;
    app.sync().await;

    app.netbox_user("alice").rename("Gateway", "old", "new").await;
    app.netbox_user("alice").delete("Gateway", "gone").await;
    app.sync().await;

    let files = app.files().await;
    let gateways: Vec<&String> = files.keys().filter(|path| path.starts_with("managed/gateways/")).collect();
    assert_eq!(gateways, ["managed/gateways/.gitkeep", "managed/gateways/new.yaml"]);
    app.finish().await;
}

#[tokio::test]
async fn rows_of_netboxs_own_model_become_files() {
    let app = with_vlans().await;
    app.netbox.user("alice").create_fields("Vlan", vlan("storage", 100));
    let mut elsewhere = vlan("elsewhere", 200);
    elsewhere["custom_fields"]["fabric"] = json!("another");
    app.netbox.user("alice").create_fields("Vlan", elsewhere);

    app.sync().await;

    let files = app.files().await;
    let text = &files["managed/vlans/storage.yaml"];
    let spec = "spec:\n  description: \"\"\n  owner: null\n  site: dc1\n  status: active\n  vid: 100";
    assert!(text.trim_end().ends_with(spec), "{text}");
    assert!(!files.contains_key("managed/vlans/elsewhere.yaml"));
    assert_eq!(app.commits().await[0].author, "alice");
    app.finish().await;
}

#[tokio::test]
async fn a_dropped_document_becomes_a_row_of_netboxs_own_model() {
    let app = with_vlans().await;
    app.push(&[("raw/vlans.yaml", &format!("{}---\n{}", document("storage", 100), document("backup", 101)))]).await;

    app.sync().await;

    let rows = app.rows("Vlan").await;
    assert_eq!(app.netbox.names("Vlan"), ["backup", "storage"]);
    assert_eq!((&rows[0]["site"]["slug"], &rows[0]["status"]["value"]), (&json!("dc2"), &json!("reserved")));
    assert_eq!(rows[0]["custom_fields"], json!({"fabric": FABRIC, "owner": "ann"}));
    assert!(app.files().await.contains_key("managed/vlans/backup.yaml"));
    let commits = app.commits().await.len();
    app.post("/api/v1/fabrics/lab/sync", json!({})).await;
    app.sync().await;
    assert_eq!(app.commits().await.len(), commits, "both sides agree");
    app.finish().await;
}

#[tokio::test]
async fn changes_of_such_a_row_travel_both_ways() {
    let app = with_vlans().await;
    app.push(&[("raw/vlans.yaml", &document("storage", 100))]).await;
    app.sync().await;

    app.netbox_user("bob").rename("Vlan", "storage", "fast-storage").await;
    app.sync().await;
    let text = app.files().await["managed/vlans/fast-storage.yaml"].clone();
    app.push(&[(
        "managed/vlans/fast-storage.yaml",
        &text.replace("site: dc2", "site: null").replace("vid: 100", "vid: 300"),
    )])
    .await;
    app.sync().await;

    let row = &app.rows("Vlan").await[0];
    assert_eq!((&row["vid"], &row["site"], &row["name"]), (&json!(300), &Value::Null, &json!("fast-storage")));
    let id = row["id"].as_u64().unwrap();
    app.netbox.user("bob").delete("Vlan", id);
    app.sync().await;
    assert!(!app.files().await.contains_key("managed/vlans/fast-storage.yaml"));
    app.finish().await;
}

#[tokio::test]
async fn what_such_a_row_cannot_hold_or_netbox_refuses_is_rejected_with_the_reason() {
    let app = with_vlans().await;
    let labelled = document("labelled", 1).replace("  name: labelled\n", "  name: labelled\n  labels: {a: b}\n");
    let less = document("less", 2).replace("  owner: ann\n", "");
    let beyond = document("beyond", 5000);
    app.push(&[("raw/vlans.yaml", &[labelled, less, beyond].join("---\n"))]).await;

    let jobs = app.sync().await;

    let mut reasons = Vec::new();
    for job in &jobs {
        let items = app.report_of(job).await.items;
        reasons.extend(items.into_iter().filter_map(|item| match item {
            Item::Document { fate: Fate::Rejected { reason, .. }, .. } => Some(reason.message),
            Item::Document { .. } | Item::Object { .. } | Item::File { .. } | Item::Warning { .. } => None,
        }));
    }
    reasons.sort();
    // More than one job asked for the run.
    reasons.dedup();
    assert!(reasons[0].contains("no field for labels"), "{reasons:?}");
    assert!(reasons[2].contains("less than or equal to 4094"), "{reasons:?}");
    assert!(reasons[1].contains("spec.owner is missing"), "{reasons:?}");
    assert!(app.rows("Vlan").await.is_empty());
    app.finish().await;
}

#[tokio::test]
async fn such_a_row_whose_name_cannot_be_an_objects_is_shown_and_left_alone() {
    let app = with_vlans().await;
    app.netbox.user("alice").create_fields("Vlan", vlan("VLAN 100", 100));

    let jobs = app.sync().await;

    assert_eq!(jobs[0].state, JobState::Succeeded, "{:?}", jobs[0]);
    assert!(app.files().await.keys().all(|path| !path.contains("100")));
    let report = app.report_of(&jobs[0]).await;
    let written = |item: &&Item| matches!(item, Item::Object { outcome: Outcome::GitCreated, .. });
    assert_eq!(report.items.iter().filter(written).count(), 0);
    app.finish().await;
}
