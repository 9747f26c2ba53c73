//! Setting NetBox up: once, and again without effect.

use std::collections::BTreeSet;
use std::time::Duration;

use fgd_sync::domain::kind::{Catalogue, Home, Kind, KindSpec};
use fgd_sync::domain::mapping::{FieldPath, Mapping};
use fgd_sync::domain::secret::SecretSource;
use fgd_sync::netbox::setup::{Effect, SetupOptions, SetupStep, setup};
use fgd_sync::netbox::{Client, Error, Model, Options};

use secrecy::SecretString;

use super::{Lab, options, setup_options};
use crate::support::fakes::netbox::{NetBox, TOKEN};

fn not_unchanged(steps: &[SetupStep]) -> Vec<&SetupStep> {
    steps.iter().filter(|step| step.effect != Effect::Unchanged).collect()
}

#[tokio::test]
async fn setting_up_twice_changes_nothing_the_second_time() {
    for lab in [Lab::new(NetBox::bare()), Lab::new(NetBox::hedgehog())] {
        let options = setup_options("http://127.0.0.1:9/webhooks/netbox");

        let first = setup(&lab.client, &options).await.unwrap();
        let writes = lab.netbox.writes();
        let second = setup(&lab.client, &options).await.unwrap();

        // Webhook, event rule, links; types with their fields, and the fabric's row.
        let common = 2 + 13 * 3;
        let own = 12 + 12 * 6 + 1 + 7 + 1;
        // The columns that the plugin's fabrics lack.
        let fields = 3;
        let expected = common + if lab.client.model() == Model::CustomObjects { own } else { fields };
        assert_eq!((first.len(), not_unchanged(&first).len(), writes), (expected, expected, expected));
        assert_eq!((second.len(), not_unchanged(&second)), (expected, vec![]));
        assert_eq!(lab.netbox.writes(), writes);
    }
}

#[tokio::test]
async fn what_differs_is_patched_and_nothing_else() {
    for lab in [Lab::new(NetBox::bare()), Lab::new(NetBox::hedgehog())] {
        setup(&lab.client, &setup_options("http://127.0.0.1:9/old")).await.unwrap();
        let writes = lab.netbox.writes();

        let steps = setup(&lab.client, &setup_options("http://127.0.0.1:9/new")).await.unwrap();

        let changed = not_unchanged(&steps);
        assert_eq!(changed.len(), 1);
        assert_eq!(changed[0].effect, Effect::Updated(vec!["payload_url".to_owned()]));
        assert_eq!(lab.netbox.writes(), writes + 1);
        assert_eq!(lab.netbox.admin_rows("extras/webhooks/")[0]["payload_url"], "http://127.0.0.1:9/new");
    }
}

#[tokio::test]
async fn a_dry_run_tells_the_same_steps_and_changes_nothing() {
    for lab in [Lab::new(NetBox::bare()), Lab::new(NetBox::hedgehog())] {
        let options = setup_options("http://127.0.0.1:9/hook");
        let dry = setup(&lab.client, &SetupOptions { dry_run: true, ..setup_options("http://127.0.0.1:9/hook") }).await;
        assert_eq!(lab.netbox.writes(), 0);

        assert_eq!(dry.unwrap(), setup(&lab.client, &options).await.unwrap());
    }
}

#[tokio::test]
async fn after_setting_up_netbox_delivers_what_users_do_signed() {
    for lab in [Lab::new(NetBox::bare()), Lab::new(NetBox::hedgehog())] {
        setup(&lab.client, &setup_options("http://127.0.0.1:9/hook")).await.unwrap();
        // The fabric's own row was made too.
        lab.netbox.deliveries();

        let id = lab.add("VPC", &["web"])[0];
        lab.netbox.user("alice").rename("VPC", id, "www");
        lab.netbox.user("alice").delete("VPC", id);

        let deliveries = lab.netbox.deliveries();
        assert_eq!(
            deliveries.iter().map(|delivery| delivery.event).collect::<Vec<_>>(),
            ["created", "updated", "deleted"]
        );
        assert!(deliveries.iter().all(|delivery| delivery.signature.as_ref().is_some_and(|hex| hex.len() == 128)));
        assert!(deliveries.iter().all(|delivery| delivery.url == "http://127.0.0.1:9/hook"));
    }
}

#[tokio::test]
async fn a_field_of_another_type_is_told_and_left_alone() {
    let lab = Lab::new(NetBox::custom_objects());
    lab.netbox.retype_field("VPC", "spec", "text");

    let error = setup(&lab.client, &setup_options("http://127.0.0.1:9/hook")).await.unwrap_err();

    assert!(matches!(&error, Error::NoEndpoint { request, .. } if request.contains("`spec`")), "{error}");
}

#[tokio::test]
async fn kinds_of_the_settings_are_set_up_with_the_others() {
    let gateways = KindSpec {
        kind: Kind::new("Gateway"),
        group: "gateway.githedgehog.com".to_owned(),
        version: "v1alpha1".to_owned(),
        directory: "gateways".to_owned(),
        home: Home::CustomObject { slug: "hedgehog-gateways".to_owned() },
        keyed_lists: Vec::new(),
    };
    let mapping = Mapping {
        endpoint: "ipam/vlans/".to_owned(),
        object_type: "ipam.vlan".to_owned(),
        fabric: FieldPath::new("custom_fields.fabric").unwrap(),
        name: FieldPath::new("name").unwrap(),
        fields: Vec::new(),
    };
    let vlans = KindSpec {
        kind: Kind::new("Vlan"),
        directory: "vlans".to_owned(),
        home: Home::Mapped(mapping),
        ..gateways.clone()
    };
    let catalogue = Catalogue::hedgehog().with([gateways, vlans]).unwrap();
    let netbox = NetBox::bare();
    netbox.add_vlans();
    let token = SecretSource::Text(SecretString::from(TOKEN));
    let options = options(netbox.url(), token, Model::CustomObjects, Duration::from_secs(10));
    let client = Client::new(Options { catalogue, ..options }).unwrap();

    let steps = setup(&client, &setup_options("http://127.0.0.1:9/hook")).await.unwrap();

    assert_eq!(steps.len(), 13 + 13 * 6 + 1 + 7 + 1 + 2 + 15 * 3);
    let types = netbox.admin_rows("plugins/custom-objects/custom-object-types/");
    assert!(types.iter().any(|row| row["slug"] == "hedgehog-gateways" && row["name"] == "hedgehog_gateways"));
    let rule = &netbox.admin_rows("extras/event-rules/")[0];
    assert_eq!(rule["object_types"].as_array().unwrap().len(), 15);
    assert!(rule["object_types"].as_array().unwrap().contains(&"ipam.vlan".into()));
}

#[tokio::test]
async fn what_the_token_lacks_for_the_setup_is_told_before_anything_is_changed() {
    let lab = Lab::new(NetBox::bare());
    lab.netbox.take_permission("add", "extras/webhooks/");
    lab.netbox.take_permission("change", "extras/event-rules/");
    lab.netbox.take_permission("view", "extras/custom-links/");

    for dry_run in [true, false] {
        let options = SetupOptions { dry_run, ..setup_options("http://127.0.0.1:9/hook") };
        let error = setup(&lab.client, &options).await.unwrap_err().to_string();

        for lacking in ["add extras/webhooks/", "change extras/event-rules/", "view extras/custom-links/"] {
            assert!(error.contains(lacking), "{error}");
        }
    }
    assert_eq!(lab.netbox.writes(), 0);
}

#[tokio::test]
async fn what_the_token_lacks_for_the_work_afterwards_is_told_and_ends_nothing() {
    for lab in [Lab::new(NetBox::custom_objects()), Lab::new(NetBox::hedgehog())] {
        lab.netbox.take_permission("view", "core/object-changes/");
        let servers = lab.client.model();
        let path = if servers == Model::CustomObjects { "custom-objects/hedgehog-servers" } else { "hedgehog/servers" };
        lab.netbox.take_permission("add", &format!("plugins/{path}/"));

        let steps = setup(&lab.client, &setup_options("http://127.0.0.1:9/hook")).await.unwrap();

        let lacking: Vec<&str> =
            steps.iter().filter(|step| step.effect == Effect::Lacking).map(|step| step.what.as_str()).collect();
        let wanted = format!("permission to add plugins/{path}/");
        assert_eq!(lacking, [wanted.as_str(), "permission to view core/object-changes/"]);
        assert!(!lab.netbox.admin_rows("extras/event-rules/").is_empty());
    }
}

#[tokio::test]
async fn every_kind_and_the_fabric_are_in_the_event_rule_and_have_links_to_their_pages() {
    for lab in [Lab::new(NetBox::bare()), Lab::new(NetBox::hedgehog())] {
        setup(&lab.client, &setup_options("http://127.0.0.1:9/hook")).await.unwrap();

        let types = lab.netbox.object_types();
        let rule = &lab.netbox.admin_rows("extras/event-rules/")[0];
        let covered: BTreeSet<&str> =
            rule["object_types"].as_array().unwrap().iter().filter_map(|t| t.as_str()).collect();
        assert_eq!((covered.len(), covered), (13, types.iter().map(String::as_str).collect()));
        let links = lab.netbox.admin_rows("extras/custom-links/");
        for object_type in &types {
            let of_type = links.iter().filter(|link| link["object_types"][0] == object_type.as_str());
            let texts: Vec<&str> = of_type.map(|link| link["link_text"].as_str().unwrap()).collect();
            assert_eq!(texts, ["Status", "Sync now", "History"], "{object_type}");
        }
        let url = |name: &str| links.iter().find(|link| link["name"] == name).unwrap()["link_url"].clone();
        let segment = |field: &str| format!("{{{{ ({field})|string|urlencode|replace('/', '%2F') }}}}");
        let fabric = match lab.client.model() {
            Model::CustomObjects => "object.fabric",
            Model::Hedgehog => "object.fabric.name",
        };
        assert_eq!(
            url("fgd-sync fabric: status"),
            format!("https://sync.example.com/fabrics/{}", segment("object.name"))
        );
        assert_eq!(
            url("fgd-sync VPC: status"),
            format!(
                "https://sync.example.com/objects/{}/VPC/{}/{}",
                segment(fabric),
                segment("object.namespace or 'default'"),
                segment("object.name")
            )
        );
    }
}

#[tokio::test]
async fn a_type_that_went_from_the_event_rule_is_put_back() {
    let lab = Lab::new(NetBox::hedgehog());
    setup(&lab.client, &setup_options("http://127.0.0.1:9/hook")).await.unwrap();
    lab.netbox.forget_in_event_rules("netbox_hedgehog.vpc");

    let steps = setup(&lab.client, &setup_options("http://127.0.0.1:9/hook")).await.unwrap();

    let changed = not_unchanged(&steps);
    assert_eq!(changed.len(), 1);
    assert_eq!(changed[0].effect, Effect::Updated(vec!["object_types".to_owned()]));
}
