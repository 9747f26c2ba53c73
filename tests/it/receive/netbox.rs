use std::collections::BTreeMap;

use fgd_sync::domain::change::{Change, ObjectEvent};
use fgd_sync::domain::key::ObjectId;
use fgd_sync::domain::kind::Kind;
use fgd_sync::domain::names::{JobId, NetBoxName};
use fgd_sync::http::Limits;
use fgd_sync::ledger::types::Origin;
use fgd_sync::webhook::netbox::Model;

use crate::support::redis::RedisServer;

use super::service::{Answer, Captured, NETBOX_SECRET, NEXT_SECRET, SECOND_SECRET, Service, fixtures};

/// What a delivery leads to.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Expected {
    Row(&'static str, u64, ObjectEvent),
    WithItsFabric(&'static str, u64),
    Everything,
    Nothing,
}
use Expected::{Everything, Nothing, Row, WithItsFabric};
use ObjectEvent::{Created, Deleted, Updated};

const PLUGIN: [Expected; 28] = [
    Everything,
    Row("VPC", 6, Created),
    Row("VPC", 6, Updated),
    Row("VPC", 6, Updated),
    Nothing,
    Row("Connection", 1, Created),
    Row("Server", 1, Created),
    Row("Switch", 2, Created),
    Row("VLANNamespace", 1, Created),
    Row("IPv4Namespace", 1, Created),
    Row("External", 1, Created),
    Row("VPCAttachment", 2, Created),
    Row("VPC", 7, Created),
    Row("VPC", 8, Created),
    Row("VPC", 9, Created),
    Row("VPC", 6, Deleted),
    Nothing,
    WithItsFabric("External", 1),
    WithItsFabric("IPv4Namespace", 1),
    WithItsFabric("VPCAttachment", 2),
    WithItsFabric("Connection", 1),
    WithItsFabric("Server", 1),
    WithItsFabric("Switch", 2),
    WithItsFabric("VLANNamespace", 1),
    WithItsFabric("VPC", 7),
    WithItsFabric("VPC", 8),
    WithItsFabric("VPC", 9),
    Everything,
];

const CUSTOM_OBJECTS: [Expected; 5] = [
    Row("VPC", 1, Created),
    Row("VPC", 1, Updated),
    Row("VPC", 1, Updated),
    Row("SwitchGroup", 1, Created),
    Row("VPC", 1, Deleted),
];

impl Expected {
    fn change(self) -> Option<Change> {
        let row = |kind: &str, id, event, cascade| Change::Object {
            netbox: NetBoxName::new("lab"),
            object: ObjectId { kind: Kind::new(kind), id },
            event,
            cascade,
            user: Some("admin".to_owned()),
        };
        match self {
            Row(kind, id, event) => Some(row(kind, id, event, false)),
            WithItsFabric(kind, id) => Some(row(kind, id, Deleted, true)),
            Everything => Some(Change::Everything),
            Nothing => None,
        }
    }
}

/// Each delivery alone, so that nothing is merged.
async fn each_leads_to(service: &Service, captured: &[Captured], expected: &[Expected]) {
    assert_eq!(captured.len(), expected.len());
    for (captured, expected) in captured.iter().zip(expected) {
        let answer = captured.send(service).await;

        let pending = service.drain().await;
        match expected.change() {
            Some(change) => {
                answer.job();
                assert_eq!(pending, [("lab-fabric".to_owned(), vec![change])], "{}", captured.name);
            }
            None => {
                answer.ignored();
                assert_eq!(pending, [], "{}", captured.name);
            }
        }
    }
}

async fn plugin() -> Service {
    let service = Service::start(Model::Hedgehog).await;
    let known = BTreeMap::from([(3, "lab-fabric".to_owned())]);
    service.test.ledger.learn_fabrics(&NetBoxName::new("lab"), &known).await.expect("Redis answers");
    service
}

#[tokio::test]
async fn every_captured_delivery_of_the_plugin_leads_to_its_change() {
    let service = plugin().await;

    each_leads_to(&service, &Captured::all()[..28], &PLUGIN).await;
}

#[tokio::test]
async fn every_captured_delivery_of_custom_objects_leads_to_its_change() {
    let service = Service::start(Model::CustomObjects).await;

    each_leads_to(&service, &Captured::all()[28..], &CUSTOM_OBJECTS).await;
}

#[tokio::test]
async fn the_bodies_of_older_versions_say_the_same() {
    for version in ["3.7", "4.3", "4.4", "4.5", "4.6"] {
        let service = plugin().await;
        // Before 4.6 the body has no request path, so a row that went with its fabric looks like any deleted one.
        let gone = if version == "4.6" { WithItsFabric("External", 1) } else { Row("External", 1, Deleted) };
        for (name, expected) in [("vpc-updated", Row("VPC", 6, Updated)), ("external-deleted-with-fabric", gone)] {
            let body = std::fs::read(fixtures().join(format!("derived/{version}-{name}.body"))).unwrap();

            service.netbox(NETBOX_SECRET, body.clone()).await.job();

            let changes = vec![expected.change().unwrap()];
            assert_eq!(service.drain().await, [("lab-fabric".to_owned(), changes)], "{version} {name}");
            assert_eq!(service.netbox(NETBOX_SECRET, body).await.text("delivery"), "duplicate", "{version} {name}");
        }
    }
}

#[tokio::test]
async fn a_delivery_with_one_changed_byte_is_refused_and_leaves_nothing() {
    let service = plugin().await;

    for mut captured in Captured::all() {
        let last = captured.body.len() - 1;
        captured.body[last / 2] ^= 1;
        captured.send(&service).await.is_problem(401, "wrong_signature");
    }

    assert_eq!(service.drain().await, []);
    assert_eq!(service.ignored().await, []);
}

#[tokio::test]
async fn a_delivery_without_a_good_signature_is_refused_before_it_is_parsed() {
    let service = plugin().await;
    let signed = |signature: Option<String>| {
        let request = service.post("/webhooks/netbox").body("{not json");
        let request = match signature {
            Some(signature) => request.header("X-Hook-Signature", signature),
            None => request,
        };
        async move { Answer::of(request.send().await.unwrap()).await }
    };

    signed(None).await.is_problem(401, "missing_signature");
    signed(Some(String::new())).await.is_problem(401, "wrong_signature");
    signed(Some("0".repeat(127))).await.is_problem(401, "wrong_signature");
    signed(Some("0".repeat(128))).await.is_problem(401, "wrong_signature");
    signed(Some("z".repeat(128))).await.is_problem(401, "wrong_signature");
}

#[tokio::test]
async fn while_a_secret_is_rotated_both_are_good() {
    let service = plugin().await;
    let created = Captured::number(2);

    let old = service.netbox(NETBOX_SECRET, created.body.clone()).await;
    let new = service.netbox(NEXT_SECRET, created.body).await;

    assert_eq!(old.job(), new.job());
    assert_eq!((old.text("delivery"), new.text("delivery")), ("new", "duplicate"));
}

#[tokio::test]
async fn the_secret_tells_which_netbox_sent_it() {
    let service = plugin().await;
    let body = Captured::number(2).body;

    let of_lab = service.netbox(NETBOX_SECRET, body.clone()).await.job();
    let of_second = service.netbox(SECOND_SECRET, body).await.job();

    assert_ne!(of_lab, of_second);
    let job = service.test.ledger.job(&JobId::new(of_second)).await.unwrap().unwrap();
    assert_eq!(job.parts[0].fabric.as_str(), "far-fabric");
    assert!(matches!(&job.origin, Origin::NetboxDelivery { netbox, .. } if netbox == "second"), "{:?}", job.origin);
}

#[tokio::test]
async fn a_repeated_delivery_answers_with_the_first_job() {
    let service = plugin().await;
    let captured = Captured::number(3);

    let first = captured.send(&service).await;
    let again = captured.send(&service).await;

    assert_eq!((first.text("delivery"), again.text("delivery")), ("new", "duplicate"));
    assert_eq!(first.job(), again.job());
    assert_eq!(first.text("status_url"), format!("/api/v1/jobs/{}", first.job()));
    assert_eq!(service.drain().await.len(), 1);
}

#[tokio::test]
async fn the_deliveries_of_one_bulk_request_are_not_each_others_duplicates() {
    let service = plugin().await;

    for number in 13..=15 {
        assert_eq!(Captured::number(number).send(&service).await.text("delivery"), "new");
    }

    let pending = service.drain().await;
    assert_eq!(pending[0].1.len(), 3);
}

#[tokio::test]
async fn a_fabric_id_that_was_never_seen_concerns_every_fabric_of_its_netbox() {
    let service = Service::start(Model::Hedgehog).await;

    Captured::number(2).send(&service).await.job();

    let fabrics: Vec<_> = service.drain().await.into_iter().map(|(fabric, _)| fabric).collect();
    assert_eq!(fabrics, ["lab-fabric", "other-fabric"]);
}

#[tokio::test]
async fn a_row_that_moved_concerns_both_fabrics() {
    let service = Service::start(Model::CustomObjects).await;
    let body = r#"{"event": "updated", "object_type": "netbox_custom_objects.table9model",
        "data": {"id": 4, "url": "/api/plugins/custom-objects/hedgehog-vpcs/4/", "fabric": "other-fabric"},
        "request": {"id": "r1", "user": "kim"},
        "snapshots": {"prechange": {"fabric": "lab-fabric"}, "postchange": {"fabric": "other-fabric"}}}"#;

    service.netbox(NETBOX_SECRET, body).await.job();

    let fabrics: Vec<_> = service.drain().await.into_iter().map(|(fabric, _)| fabric).collect();
    assert_eq!(fabrics, ["lab-fabric", "other-fabric"]);
}

#[tokio::test]
async fn a_renamed_fabric_is_compared_as_a_whole() {
    let service = plugin().await;
    let body = r#"{"event": "updated", "object_type": "netbox_hedgehog.hedgehogfabric",
        "data": {"id": 3, "name": "lab-fabric"}, "request": {"id": "r1", "user": "kim"},
        "snapshots": {"prechange": {"name": "lab"}, "postchange": {"name": "lab-fabric"}}}"#;

    service.netbox(NETBOX_SECRET, body).await.job();

    assert_eq!(service.drain().await, [("lab-fabric".to_owned(), vec![Change::Everything])]);
}

#[tokio::test]
async fn what_is_not_ours_is_ignored_with_a_reason_that_can_be_read_later() {
    let service = Service::start(Model::CustomObjects).await;
    let custom = |fabric: &str| {
        format!(
            r#"{{"event": "created", "object_type": "netbox_custom_objects.table9model", "data": {{"id": 4,
            "url": "/api/plugins/custom-objects/hedgehog-vpcs/4/", "fabric": {fabric}}}, "request": {{"id": "r"}}}}"#
        )
    };
    let bodies = [
        (custom(r#""strange-fabric""#), "unknown fabric: strange-fabric"),
        (custom(r#""far-fabric""#), "unknown fabric: far-fabric"),
        (custom("null"), "the object belongs to no fabric"),
        (
            String::from_utf8(Captured::number(2).body).unwrap(),
            "the settings say that this NetBox holds the objects as custom objects",
        ),
        (
            r#"{"event": "created", "object_type": "dcim.site", "data": {"id": 1}}"#.to_owned(),
            "its type is not one that is kept equal",
        ),
        (
            r#"{"event": "job_ended", "object_type": "core.job", "data": null}"#.to_owned(),
            "its event is not about a change of an object",
        ),
    ];

    for (body, reason) in &bodies {
        assert_eq!(service.netbox(NETBOX_SECRET, body.clone()).await.ignored(), *reason);
    }

    assert_eq!(service.drain().await, []);
    let recorded = service.ignored().await;
    let newest_first: Vec<_> = recorded.iter().map(|ignored| ignored.reason.as_str()).collect();
    assert!(newest_first.iter().rev().eq(bodies.iter().map(|(_, reason)| reason)));
    assert_eq!(recorded[0].subject, "core.job");
}

#[tokio::test]
async fn a_body_that_is_not_json_is_told_where() {
    let service = plugin().await;

    let answer = service.netbox(NETBOX_SECRET, "{\"event\": \"created\",\n}").await;
    answer.is_problem(400, "not_a_delivery");
    assert!(answer.text("detail").contains("line 2, column 1"), "{}", answer.body);

    let answer = service.netbox(NETBOX_SECRET, r#"{"event": "created"}"#).await;
    answer.is_problem(400, "not_a_delivery");
    assert!(answer.text("detail").contains("`object_type`"), "{}", answer.body);
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused_announced_or_not() {
    let limits = Limits { netbox_body: 2_000, ..Limits::default() };
    let service = Service::with_limits(Model::Hedgehog, limits).await;
    let large = Captured::number(3);
    assert!(large.body.len() > 2_000);

    large.send(&service).await.is_problem(413, "body_too_large");
    assert!(service.post_chunked("/webhooks/netbox", &large).starts_with("HTTP/1.1 413"));

    Captured::number(2).send(&service).await.job();
}

#[tokio::test]
async fn the_standard_limit_takes_eight_mebibytes_and_no_more() {
    let service = plugin().await;
    let padded = |length: usize| {
        let mut body = Captured::number(2).body;
        body.resize(length, b' ');
        body
    };

    service.netbox(NETBOX_SECRET, padded(8 * 1024 * 1024)).await.job();
    service.netbox(NETBOX_SECRET, padded(8 * 1024 * 1024 + 1)).await.is_problem(413, "body_too_large");
}

#[tokio::test]
async fn without_redis_a_delivery_is_asked_for_again() {
    let mut service = plugin().await;
    // The old one ends, and the ledger does not know the new one.
    service.test.server = RedisServer::start();

    let answer = Captured::number(2).send(&service).await;

    answer.is_problem(503, "ledger_unavailable");
    assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0);
}

#[tokio::test]
async fn workers_are_woken_by_what_was_recorded() {
    let service = plugin().await;

    Captured::number(2).send(&service).await.job();

    service.wake.notified().await;
}

#[tokio::test]
async fn no_path_is_answered_with_a_redirect() {
    let service = plugin().await;

    for path in ["/webhooks/netbox/", "//webhooks/netbox", "/webhooks/./netbox", "/webhooks"] {
        let answer = Answer::of(service.post(path).body("{}").send().await.unwrap()).await;
        assert!(answer.status.is_client_error(), "{path}: {}", answer.status);
    }
}
