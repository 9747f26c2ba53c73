//! Setting NetBox up: once, and again without effect.

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

        let expected = if lab.client.model() == Model::CustomObjects { 12 + 12 * 6 + 2 } else { 2 };
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

    assert_eq!(steps.len(), 13 + 13 * 6 + 2);
    let types = netbox.admin_rows("plugins/custom-objects/custom-object-types/");
    assert!(types.iter().any(|row| row["slug"] == "hedgehog-gateways" && row["name"] == "hedgehog_gateways"));
    let rule = &netbox.admin_rows("extras/event-rules/")[0];
    assert_eq!(rule["object_types"].as_array().unwrap().len(), 14);
    assert!(rule["object_types"].as_array().unwrap().contains(&"ipam.vlan".into()));
}
