//! Both flows against a real NetBox, whose own event rules send the webhooks. `tests/netbox/run` starts it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod shown;
mod world;

#[path = "../support/mod.rs"]
mod support;

use fgd_sync::domain::kind::Catalogue;
use reqwest::Method;
use serde_json::json;

use support::app::{drop_of_all_kinds, spec_of};
use support::real_netbox::{RealNetBox, worker};
use world::World;

#[tokio::test]
async fn setup_leaves_alone_what_is_right() {
    let world = World::start("setup").await;

    let again = world.setup().await;

    assert!(!again.is_empty());
    assert!(again.iter().all(|step| step.ends_with(" is right")), "{again:#?}");
    world.finish().await;
}

#[tokio::test]
async fn objects_of_all_kinds_reach_git_with_their_users_name() {
    let world = World::start("kinds").await;

    for spec in Catalogue::hedgehog().iter() {
        world.create(spec.kind.as_str(), "first", spec_of(spec.kind.as_str())).await;
    }
    world.until("all files are there", |world| world.managed().len() == 12).await;

    let authors = world.authors();
    assert!(authors.contains(&"alice".to_owned()), "{authors:?}");
    assert!(world.file("managed/switchgroups/first.yaml").contains("spec: {}"));
    world.finish().await;
}

#[tokio::test]
async fn a_drop_of_all_kinds_reaches_netbox() {
    let world = World::start("drop").await;

    world.push(&drop_of_all_kinds()).await;
    world.until("raw/ is empty", |world| world.below("raw/") == [".gitkeep"]).await;

    assert_eq!(world.rows("VPC").await.len(), 2);
    assert_eq!(world.rows("Switch").await[0]["spec"]["asn"], json!(4_200_000_101_u64));
    assert_eq!(world.rows("SwitchGroup").await[0]["spec"], json!({}));
    assert!(world.below("unmanaged/").contains(&"mixed/bad.yaml.reasons.yaml".to_owned()));
    world.settle().await;
    let commits = world.commits();
    world.compare().await;
    assert_eq!(world.commits(), commits, "the echoes and a full comparison change nothing");
    world.finish().await;
}

#[tokio::test]
async fn renames_deletions_and_edits_that_change_nothing_end_right() {
    let world = World::start("edits").await;
    let kept = world.create("Server", "kept", json!({"description": "a"})).await;
    let renamed = world.create("Server", "old-name", json!({"description": "b"})).await;
    let deleted = world.create("Server", "gone", json!({"description": "c"})).await;
    world.until("three files are there", |world| world.managed().len() == 3).await;
    world.settle().await;
    let commits = world.commits();

    world.patch("Server", kept, json!({"spec": {"description": "a"}})).await;
    world.patch("Server", renamed, json!({"name": "new-name"})).await;
    world.delete("Server", deleted).await;
    world
        .until("the deletion arrived", |world| world.managed() == ["servers/kept.yaml", "servers/new-name.yaml"])
        .await;
    world.settle().await;

    assert!((1..=2).contains(&(world.commits() - commits)), "{} commits", world.commits() - commits);
    world.finish().await;
}

#[tokio::test]
async fn five_hundred_objects_created_in_bulk_are_a_few_commits() {
    let world = World::start("bulk").await;
    let before = world.commits();

    world.create_many("Server", 500).await;
    world.until("500 files are there", |world| world.managed().len() == 500).await;
    world.settle().await;

    // About 19 deliveries a second outlast the longest wait of 15 s once or twice.
    assert!(world.commits() - before <= 6, "{} commits", world.commits() - before);
    world.finish().await;
}

#[tokio::test]
async fn what_happened_while_netboxs_worker_was_down_is_found_without_it() {
    let world = World::start("worker").await;
    let changed = world.create("Server", "changed", json!({"description": "before"})).await;
    let deleted = world.create("Server", "deleted", json!({"description": "x"})).await;
    world.until("two files are there", |world| world.managed().len() == 2).await;
    world.settle().await;

    worker("stop");
    world.patch("Server", changed, json!({"spec": {"description": "after"}})).await;
    world.delete("Server", deleted).await;
    world.create("Server", "created", json!({"description": "y"})).await;
    world.compare().await;

    assert_eq!(world.managed(), ["servers/changed.yaml", "servers/created.yaml"]);
    assert!(world.file("managed/servers/changed.yaml").contains("after"));
    let commits = world.commits();
    worker("start");
    world.until_deliveries(3).await;
    world.settle().await;
    assert_eq!(world.commits(), commits, "the late deliveries change nothing");
    world.finish().await;
}

const OFTEN: &str = "schedule: {catch_up_seconds: 10}\n";

#[tokio::test]
async fn what_no_webhook_told_of_is_found_in_netboxs_change_log() {
    let world = World::start_with("log", OFTEN).await;
    let changed = world.create("Server", "changed", json!({"description": "before"})).await;
    let deleted = world.create("Server", "deleted", json!({"description": "x"})).await;
    world.until("two files are there", |world| world.managed().len() == 2).await;
    world.settle().await;

    worker("stop");
    world.patch("Server", changed, json!({"spec": {"description": "after"}})).await;
    world.delete("Server", deleted).await;
    world.create("Server", "created", json!({"description": "y"})).await;
    let found = |world: &World| {
        world.managed() == ["servers/changed.yaml", "servers/created.yaml"]
            && world.file("managed/servers/changed.yaml").contains("after")
    };
    world.until("the change log told of it", found).await;

    let commits = world.commits();
    worker("start");
    world.until_deliveries(3).await;
    world.settle().await;
    assert_eq!(world.commits(), commits, "the late deliveries change nothing");
    world.finish().await;
}

const MORE_KINDS: &str = "kinds:
  Gateway: {api_version: gateway.githedgehog.com/v1alpha1, custom_object: hedgehog-gateways}
  Vlan:
    api_version: netbox.example.com/v1
    mapped:
      endpoint: ipam/vlans/
      object_type: ipam.vlan
      fabric: custom_fields.fabric
      fields: {vid: vid, status: status, site: site.slug}
";

#[tokio::test]
async fn kinds_of_the_settings_travel_both_ways() {
    let netbox = RealNetBox::running().unwrap();
    let field = json!({"name": "fabric", "type": "text", "object_types": ["ipam.vlan"]});
    netbox.ensure("extras/custom-fields/", field).await;
    netbox.ensure("dcim/sites/", json!({"name": "DC1", "slug": "dc1"})).await;
    let world = World::start_with("more", MORE_KINDS).await;
    let fabric = world.fabric().to_owned();

    let born = json!({"name": "born", "vid": 10, "site": {"slug": "dc1"}, "custom_fields": {"fabric": fabric}});
    let id = netbox.any(Method::POST, "ipam/vlans/", Some(born)).await["id"].as_u64().unwrap();
    world.until("the row is a file", |world| world.managed() == ["vlans/born.yaml"]).await;
    assert!(world.file("managed/vlans/born.yaml").contains("spec:\n  site: dc1\n  status: active\n  vid: 10"));

    let drop = "apiVersion: netbox.example.com/v1\nkind: Vlan\nmetadata: {name: dropped}\nspec: {vid: 11, status: reserved, site: null}\n\
                ---\napiVersion: gateway.githedgehog.com/v1alpha1\nkind: Gateway\nmetadata: {name: gw-1}\nspec: {asn: 65500}\n";
    world.push(&[("raw/more.yaml", drop)]).await;
    world.until("raw/ is empty", |world| world.below("raw/") == [".gitkeep"]).await;
    let rows = netbox.any(Method::GET, &format!("ipam/vlans/?cf_fabric={fabric}&name=dropped"), None).await;
    let row = &rows["results"][0];
    assert_eq!((&row["vid"], &row["status"]["value"], &row["site"]), (&json!(11), &json!("reserved"), &json!(null)));
    assert!(world.file("managed/gateways/gw-1.yaml").contains("asn: 65500"));

    netbox.any(Method::PATCH, &format!("ipam/vlans/{id}/"), Some(json!({"name": "renamed", "site": null}))).await;
    world.until("the rename arrived", |world| world.managed().contains(&"vlans/renamed.yaml".to_owned())).await;
    netbox.any(Method::DELETE, &format!("ipam/vlans/{id}/"), None).await;
    world.until("the deletion arrived", |world| world.managed() == ["gateways/gw-1.yaml", "vlans/dropped.yaml"]).await;
    world.settle().await;
    let commits = world.commits();
    world.compare().await;
    assert_eq!(world.commits(), commits, "the echoes and a full comparison change nothing");
    world.finish().await;
}
