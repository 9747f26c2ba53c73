//! What the operator's CRDs forbid is refused on its way, and what may be wrong is shown.

use fgd_sync::domain::fate::Fate;
use fgd_sync::domain::report::{Item, Outcome};
use fgd_sync::ledger::types::Job;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::app::TestApp;

const CRD: &str = "\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
spec:
  group: vpc.githedgehog.com
  names: {kind: VPC, plural: vpcs}
  versions:
  - name: v1beta1
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              subnets:
                type: object
                additionalProperties:
                  type: object
                  properties: {subnet: {type: string}, vlan: {type: integer, maximum: 4094}}
";

fn crds() -> TempDir {
    let directory = TempDir::new().unwrap();
    std::fs::write(directory.path().join("vpc.yaml"), CRD).unwrap();
    directory
}

async fn held_to(crds: &TempDir, validation: &str) -> TestApp {
    let settings = format!("crds: {}\n    validation: {validation}", crds.path().display());
    TestApp::with_fabric_settings(&settings).await
}

fn spec(vlan: u32) -> Value {
    json!({"subnets": {"web": {"subnet": "10.10.1.0/24", "vlan": vlan}}})
}

fn vpc(name: &str, vlan: u32) -> String {
    format!("apiVersion: vpc.githedgehog.com/v1beta1\nkind: VPC\nmetadata:\n  name: {name}\nspec: {}\n", spec(vlan))
}

/// What a person reads in the jobs: rejections, held objects and warnings, each once.
async fn told(app: &TestApp, jobs: &[Job]) -> Vec<String> {
    let mut told = Vec::new();
    for job in jobs {
        for item in app.report_of(job).await.items {
            told.extend(match item {
                Item::Document { path, fate: Fate::Rejected { reason, .. }, .. } => {
                    Some(format!("rejected {path}:{} {}", reason.line.unwrap_or_default(), reason.message))
                }
                Item::Object { key, outcome: Outcome::Held { reason }, .. } => {
                    Some(format!("held {key} {}", reason.message))
                }
                Item::Warning { about, reason } => Some(format!("warning {about} {}", reason.message)),
                Item::Document { .. } | Item::Object { .. } | Item::File { .. } => None,
            });
        }
    }
    told.sort();
    told.dedup();
    told
}

const TOO_LARGE: &str = "spec.subnets.web.vlan: must be at most 4094, is 5000 (schema: \
    openAPIV3Schema.properties.spec.properties.subnets.additionalProperties.properties.vlan.maximum)";

#[tokio::test]
async fn a_dropped_document_that_a_cluster_would_refuse_is_rejected_alone() {
    let crds = crds();
    let app = held_to(&crds, "strict").await;
    app.push(&[("raw/a.yaml", &format!("{}---\n{}", vpc("good", 10), vpc("bad", 5000)))]).await;

    let jobs = app.sync().await;

    assert_eq!(told(&app, &jobs).await, [format!("rejected lab/raw/a.yaml:11 {TOO_LARGE}")]);
    let files = app.files().await;
    assert!(files.contains_key("managed/vpcs/good.yaml") && !files.contains_key("managed/vpcs/bad.yaml"));
    assert!(files["unmanaged/a.yaml.reasons.yaml"].contains("schema_maximum"));
    assert_eq!(app.netbox.names("VPC"), ["good"]);
    app.finish().await;
}

#[tokio::test]
async fn an_edited_file_that_a_cluster_would_refuse_is_held_and_mended_by_the_next_edit() {
    let crds = crds();
    let app = held_to(&crds, "strict").await;
    app.push(&[("raw/a.yaml", &vpc("web", 10))]).await;
    app.sync().await;

    app.push(&[("managed/vpcs/web.yaml", &vpc("web", 5000))]).await;
    let jobs = app.sync().await;
    assert_eq!(told(&app, &jobs).await, [format!("held VPC/default/web lab/managed/vpcs/web.yaml: {TOO_LARGE}")]);
    assert_eq!(app.rows("VPC").await[0]["spec"], spec(10));

    app.push(&[("managed/vpcs/web.yaml", &vpc("web", 20))]).await;
    app.sync().await;

    assert_eq!(app.rows("VPC").await[0]["spec"], spec(20));
    app.finish().await;
}

#[tokio::test]
async fn a_row_that_a_cluster_would_refuse_is_held() {
    let crds = crds();
    let app = held_to(&crds, "strict").await;
    app.netbox_user("alice").create("VPC", "web", spec(5000)).await;

    let jobs = app.sync().await;

    assert_eq!(told(&app, &jobs).await, [format!("held VPC/default/web {TOO_LARGE}")]);
    assert!(!app.files().await.contains_key("managed/vpcs/web.yaml"));
    app.netbox_user("alice").update("VPC", "web", spec(30)).await;
    app.sync().await;
    assert!(app.files().await["managed/vpcs/web.yaml"].contains("vlan: 30"));
    app.finish().await;
}

#[tokio::test]
async fn warnings_are_shown_and_nothing_is_refused() {
    let crds = crds();
    let app = held_to(&crds, "warn").await;
    app.push(&[("raw/a.yaml", &vpc("web-with-long-name", 5000))]).await;

    let jobs = app.sync().await;

    let told = told(&app, &jobs).await;
    let name = "metadata.name: Hedgehog takes at most 11 characters for the name of a VPC";
    assert_eq!(told, [format!("warning lab/raw/a.yaml {name}"), format!("warning lab/raw/a.yaml {TOO_LARGE}")]);
    assert_eq!(app.netbox.names("VPC"), ["web-with-long-name"]);
    app.finish().await;
}

#[tokio::test]
async fn references_that_lead_nowhere_are_shown_with_their_names() {
    let app = TestApp::ready().await;
    let attachment = "apiVersion: vpc.githedgehog.com/v1beta1\nkind: VPCAttachment\nmetadata: {name: a}\n\
                      spec: {connection: missing, subnet: web/web}\n";
    app.netbox_user("alice").create("VPC", "web", spec(10)).await;
    app.sync().await;
    app.push(&[("raw/a.yaml", attachment)]).await;

    let jobs = app.sync().await;

    let told = told(&app, &jobs).await;
    assert_eq!(told, ["warning lab/raw/a.yaml spec.connection: there is no Connection `missing`"]);
    assert_eq!(app.netbox.names("VPCAttachment"), ["a"]);
    app.finish().await;
}

#[tokio::test]
async fn nothing_is_looked_at_where_validation_is_off() {
    let crds = crds();
    let app = held_to(&crds, "off").await;
    app.push(&[("raw/a.yaml", &vpc("web-with-long-name", 5000))]).await;

    let jobs = app.sync().await;

    assert_eq!(told(&app, &jobs).await, Vec::<String>::new());
    assert_eq!(app.netbox.names("VPC"), ["web-with-long-name"]);
    app.finish().await;
}

#[tokio::test]
async fn what_both_sides_agree_on_is_left_alone() {
    let crds = crds();
    let app = held_to(&crds, "strict").await;
    app.netbox_user("alice").create("VPC", "web", spec(5000)).await;
    app.push(&[("managed/vpcs/web.yaml", &vpc("web", 5000))]).await;

    let jobs = app.sync().await;

    assert_eq!(told(&app, &jobs).await, Vec::<String>::new());
    app.finish().await;
}
