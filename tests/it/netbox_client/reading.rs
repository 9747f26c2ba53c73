//! Reading: complete or an error, and an absence only with proof.

use std::collections::BTreeSet;
use std::time::Duration;

use fgd_sync::domain::key::ObjectId;
use fgd_sync::domain::kind::Kind;
use fgd_sync::domain::names::FabricName;
use fgd_sync::domain::row::Row;
use fgd_sync::domain::secret::SecretSource;
use fgd_sync::netbox::setup::setup;
use fgd_sync::netbox::{Client, Error, Found, Model, Options, Request, Written};
use secrecy::SecretString;
use serde_json::json;

use super::{FABRIC, Lab, client_with, key, labs, names, object, options, setup_options, wish};
use crate::support::fakes::netbox::{Fault, NetBox, Object, TOKEN, TOKEN_V1};

#[tokio::test]
async fn a_row_reads_back_with_the_meaning_that_was_written() {
    for lab in labs() {
        let spec = json!({"zeta": {"b": [1, 2.5]}, "asn": 4_294_967_295_u64, "a": {"deep": null}});
        let want = wish("VPC", "web", spec);

        let written = lab.write(&[Request::Create { want: want.clone() }]).await.unwrap();

        let [Written::Done { row: Some(row), .. }] = written.as_slice() else { panic!("{written:?}") };
        assert_eq!(row.shared.digest(), want.digest());
        assert_eq!(lab.row("VPC", row.id).await, **row);
        assert_eq!(lab.rows("VPC").await, [row.as_ref().clone()]);
    }
}

#[tokio::test]
async fn a_row_that_is_not_there_reads_as_none() {
    for lab in labs() {
        assert_eq!(lab.client.read(&object("VPC", 77)).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_404_of_an_endpoint_that_is_gone_is_no_missing_row() {
    let bare = Lab::new(NetBox::bare());
    let error = bare.client.read(&object("VPC", 1)).await.unwrap_err();
    assert!(matches!(error, Error::NoEndpoint { .. }), "{error}");

    let token = SecretSource::Text(SecretString::from(TOKEN));
    let other = Client::new(options(bare.netbox.url(), token, Model::Hedgehog, Duration::from_secs(5))).unwrap();
    let error = other.read(&object("VPC", 1)).await.unwrap_err();
    assert!(matches!(error, Error::NoEndpoint { .. }), "{error}");
    assert!(error.to_string().contains("main") && error.to_string().contains("setup netbox"), "{error}");
    assert_eq!(bare.netbox.forgive().len(), 1);
}

#[tokio::test]
async fn a_listing_is_complete_over_many_pages() {
    for lab in labs() {
        let names = names(23);
        lab.add("VPC", &names.iter().map(String::as_str).collect::<Vec<_>>());
        lab.netbox.set_max_page(5);

        let listed: Vec<String> = lab.rows("VPC").await.into_iter().map(|row| row.shared.key.name).collect();

        assert_eq!(listed, names);
    }
}

#[tokio::test]
async fn a_listing_under_which_rows_move_misses_none() {
    for lab in labs() {
        let ids = lab.add("VPC", &["a", "b", "c", "d", "e", "f"]);
        lab.netbox.set_max_page(3);
        lab.netbox.meanwhile("GET", lab.path(), |_| {});
        let first = ids[0];
        lab.netbox.meanwhile("GET", lab.path(), move |user| {
            user.delete("VPC", first);
            user.create(&Object::new("VPC", FABRIC, "g", json!({"x": 1})));
        });

        let listed: Vec<String> = lab.rows("VPC").await.into_iter().map(|row| row.shared.key.name).collect();

        assert_eq!(listed, ["b", "c", "d", "e", "f", "g"]);
    }
}

#[tokio::test]
async fn of_rows_that_are_known_a_listing_keeps_the_ids() {
    for lab in labs() {
        let ids = lab.add("VPC", &["a", "b", "c", "d", "e", "f"]);
        let known = |row: &Row| row.shared.key.name.as_str() < "e";

        let listing = lab.client.list_but(&lab.fabric, &Kind::new("VPC"), known).await.unwrap();

        assert_eq!(listing.as_known, ids[..4].iter().copied().collect());
        assert_eq!(listing.others.iter().map(Found::id).collect::<Vec<_>>(), ids[4..]);
    }
}

#[tokio::test]
async fn a_half_page_is_an_error() {
    for lab in labs() {
        lab.add("VPC", &["a", "b", "c", "d"]);
        lab.netbox.before("GET", lab.path(), Fault::HalfPage);

        let error = lab.client.list(&lab.fabric, &Kind::new("VPC")).await.unwrap_err();

        assert!(matches!(error, Error::Unexpected { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_login_page_is_an_error_that_says_so() {
    for lab in labs() {
        lab.netbox.before("GET", lab.path(), Fault::Html);

        let error = lab.client.list(&lab.fabric, &Kind::new("VPC")).await.unwrap_err();

        assert!(matches!(&error, Error::Unexpected { detail, .. } if detail.contains("HTML")), "{error}");
    }
}

#[tokio::test]
async fn rows_of_other_fabrics_are_not_ours_whatever_the_filter_gives() {
    for lab in labs() {
        lab.netbox.user("admin").create_fabric("lab2");
        lab.netbox.user("alice").create(&Object::new("VPC", "lab2", "web", json!({"x": 1})));
        lab.add("VPC", &["web", "web-2"]);

        assert_eq!(lab.rows("VPC").await.len(), 2);
        let found = lab.client.find(&lab.fabric, &key("VPC", "web")).await.unwrap();
        assert_eq!(found.iter().map(Found::id).collect::<Vec<_>>(), [2]);
    }
}

#[tokio::test]
async fn the_endpoints_that_fail_by_themselves_are_read_all_the_same() {
    let lab = Lab::new(NetBox::hedgehog());
    for kind in ["External", "ExternalAttachment", "ExternalPeering", "VPCAttachment", "VPCPeering"] {
        let ids = lab.add(kind, &["edge"]);

        assert_eq!(lab.rows(kind).await.len(), 1);
        assert_eq!(lab.row(kind, ids[0]).await.shared.key.name, "edge");
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_a_document_says_why() {
    for lab in labs() {
        let labels = Object { labels: json!({"vlan": 7}), ..Object::new("VPC", FABRIC, "web", json!({"x": 1})) };
        let spec = Object::new("VPC", FABRIC, "list", json!([1]));
        lab.netbox.user("alice").bulk_create(&[labels, spec]);

        let found = lab.client.list(&lab.fabric, &Kind::new("VPC")).await.unwrap();

        let [Found::Invalid { key: first, reason: labels, .. }, Found::Invalid { reason: spec, .. }] = found.as_slice()
        else {
            panic!("{found:?}")
        };
        assert_eq!(first.as_ref(), Some(&key("VPC", "web")));
        assert_eq!((labels.code.as_str(), spec.code.as_str()), ("labels_not_strings", "spec_not_an_object"));
    }
}

#[tokio::test]
async fn empty_fields_of_custom_objects_mean_nothing_and_the_default_namespace() {
    let lab = Lab::new(NetBox::custom_objects());
    let id = lab.add("SwitchGroup", &["mclag-1"])[0];
    let patch = json!({"namespace": null, "labels": null, "annotations": null, "spec": {}});
    lab.netbox.user("alice").update("SwitchGroup", id, patch);

    let row = lab.row("SwitchGroup", id).await;

    assert_eq!(row.shared.key, key("SwitchGroup", "mclag-1"));
    assert_eq!((row.shared.labels.len(), row.shared.annotations.len(), row.shared.spec), (0, 0, json!({})));
}

#[tokio::test]
async fn a_field_that_the_type_lacks_is_not_an_empty_field() {
    let lab = Lab::new(NetBox::bare());
    let quick = setup_options("http://127.0.0.1:9/hook");
    setup(&lab.client, &quick).await.unwrap();
    let id = lab.add("VPC", &["web"])[0];
    lab.netbox.forget_field("VPC", "spec");

    let error = lab.client.read(&object("VPC", id)).await.unwrap_err();

    assert!(matches!(&error, Error::NoEndpoint { request, .. } if request.contains("`spec`")), "{error}");
}

#[tokio::test]
async fn a_deletion_is_proven_by_its_record_alone() {
    for lab in labs() {
        let gone = lab.add("VPC", &["a", "b"]);
        let other = lab.add("Switch", &["s1", "s2", "s3"]);
        lab.netbox.user("alice").bulk_delete("VPC", &gone);
        let asked = BTreeSet::from([object("VPC", gone[0]), object("VPC", 99), object("Switch", other[0])]);

        assert_eq!(lab.client.deleted(&asked).await.unwrap(), BTreeSet::from([object("VPC", gone[0])]));
    }
}

#[tokio::test]
async fn many_deletions_are_proven_in_few_requests() {
    for lab in labs() {
        let names = names(60);
        let ids = lab.add("VPC", &names.iter().map(String::as_str).collect::<Vec<_>>());
        lab.netbox.user("alice").bulk_delete("VPC", &ids);
        let asked: BTreeSet<ObjectId> = ids.iter().map(|id| object("VPC", *id)).collect();

        assert_eq!(lab.client.deleted(&asked).await.unwrap(), asked);
        assert!(lab.netbox.count("GET") <= 3, "{:?}", lab.netbox.counts());
    }
}

#[tokio::test]
async fn a_change_log_that_may_not_be_read_is_denied_not_empty() {
    for lab in labs() {
        lab.netbox.deny("core/object-changes/");

        let error = lab.client.deleted(&BTreeSet::from([object("VPC", 1)])).await.unwrap_err();

        assert!(matches!(error, Error::Denied { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_wrong_token_is_denied_and_never_shown() {
    let netbox = NetBox::custom_objects();
    let wrong = SecretSource::Text(SecretString::from("nbt_wrong.topsecret"));
    let client = client_with(&netbox, wrong, Duration::from_secs(5));

    let error = client.status().await.unwrap_err();

    assert!(matches!(error, Error::Denied { .. }), "{error}");
    assert!(!format!("{error} {error:?}").contains("topsecret"));
}

#[tokio::test]
async fn both_token_versions_work_and_a_file_is_read_again_each_time() {
    let netbox = NetBox::custom_objects();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    std::fs::write(&path, format!("{TOKEN_V1}\n")).unwrap();
    let client = client_with(&netbox, SecretSource::File(path.clone()), Duration::from_secs(5));

    assert_eq!(client.status().await.unwrap().version, "4.7.3");
    std::fs::write(&path, "nbt_revoked").unwrap();
    assert!(matches!(client.status().await, Err(Error::Denied { .. })));
    std::fs::write(&path, TOKEN).unwrap();
    assert!(client.status().await.is_ok());
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(client.status().await, Err(Error::Settings { .. })));
}

#[tokio::test]
async fn a_read_survives_a_passing_failure_and_reports_a_lasting_one() {
    for lab in labs() {
        let id = lab.add("VPC", &["web"])[0];
        lab.netbox.before("GET", lab.path(), Fault::Status(502));
        lab.netbox.before("GET", lab.path(), Fault::Refuse);
        assert_eq!(lab.row("VPC", id).await.id, id);

        for _ in 0..3 {
            lab.netbox.before("GET", lab.path(), Fault::Status(500));
        }
        let error = lab.client.read(&object("VPC", id)).await.unwrap_err();
        assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let url = NetBox::hedgehog().url().to_owned();
    let token = SecretSource::Text(SecretString::from(TOKEN));
    let client = Client::new(options(&url, token, Model::Hedgehog, Duration::from_secs(5))).unwrap();

    assert!(matches!(client.status().await, Err(Error::Unavailable { .. })));
}

#[tokio::test]
async fn fabrics_are_told_without_asking_for_their_secrets() {
    let lab = Lab::new(NetBox::hedgehog());

    let fabrics = lab.client.fabrics().await.unwrap().unwrap();

    assert_eq!(fabrics.into_values().collect::<Vec<_>>(), [FABRIC]);
    assert!(
        lab.netbox.served().iter().all(|served| served.path.contains("fields=id%2Cname")),
        "{:?}",
        lab.netbox.served()
    );
    assert_eq!(Lab::new(NetBox::custom_objects()).client.fabrics().await.unwrap(), None);
}

#[tokio::test]
async fn a_renamed_fabric_takes_its_rows_along() {
    let lab = Lab::new(NetBox::hedgehog());
    lab.add("VPC", &["web"]);
    lab.netbox.user("admin").rename_fabric(FABRIC, "prod");

    let rows = lab.client.list(&FabricName::new("prod"), &Kind::new("VPC")).await.unwrap();

    assert_eq!(rows.len(), 1);
    assert!(lab.rows("VPC").await.is_empty());
}

#[test]
fn settings_that_cannot_be_used_are_told_without_their_secrets() {
    let with = |url: &str, ca_file: Option<&str>| {
        let token = SecretSource::Text(SecretString::from(TOKEN));
        let options = options(url, token, Model::Hedgehog, Duration::from_secs(5));
        Client::new(Options { ca_file: ca_file.map(Into::into), ..options }).err()
    };

    assert!(with("https://netbox.example/prefix/", None).is_none());
    for (url, ca_file) in [
        ("ftp://netbox.example/", None),
        ("https://admin:hunter2@netbox.example/", None),
        ("https://netbox.example/", Some("/nowhere/ca.pem")),
        ("https://netbox.example/", Some("/dev/null")),
    ] {
        let error = with(url, ca_file).unwrap();
        assert!(matches!(error, Error::Settings { .. }), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"));
    }
}
