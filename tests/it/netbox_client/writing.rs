//! Writing: every row settled, none twice, nobody's work overwritten unseen.

use std::time::Duration;

use fgd_sync::netbox::{Error, Request, Written};
use serde_json::{Value, json};

use super::{FABRIC, Lab, creations, deletions, edits, labs, lease, letters, names, object, proof, wish};
use crate::support::fakes::netbox::{Fault, NetBox, Object};

#[tokio::test]
async fn few_rows_are_written_one_by_one_and_many_in_one_request() {
    for lab in labs() {
        assert_eq!(letters(&lab.write(&creations("VPC", &names(4))).await.unwrap()), "DDDD");
        assert_eq!(lab.netbox.count("POST"), 4);

        let many: Vec<String> = names(100).iter().map(|name| format!("{name}-b")).collect();
        assert_eq!(letters(&lab.write(&creations("VPC", &many)).await.unwrap()), "D".repeat(100));
        assert_eq!(lab.netbox.count("POST"), 5);
        assert_eq!(lab.netbox.rows("VPC").len(), 104);
    }
}

#[tokio::test]
async fn answers_keep_the_order_of_the_requests() {
    for lab in labs() {
        let mut names = names(30);
        names.reverse();

        let written = lab.write(&creations("VPC", &names)).await.unwrap();

        let back: Vec<String> = written
            .iter()
            .map(|written| match written {
                Written::Done { row: Some(row), .. } => row.shared.key.name.clone(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(back, names);
    }
}

#[tokio::test]
async fn every_write_says_why_in_the_change_log() {
    for lab in labs() {
        let long = "x".repeat(500);
        lab.client.write_lot(&proof(), &creations("VPC", &names(1)), &lab.context(&long)).await.unwrap();
        lab.write(&edits(&lab.rows("VPC").await)).await.unwrap();
        lab.write(&creations("Switch", &names(6))).await.unwrap();
        lab.write(&deletions(&lab.rows("Switch").await)).await.unwrap();

        let messages: Vec<String> = lab
            .netbox
            .changes()
            .iter()
            .filter(|change| change["user_name"] == "fgd-sync")
            .map(|change| change["message"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(messages.len(), 14);
        assert_eq!(messages[0], long[..200]);
        assert!(messages[1..].iter().all(|message| message == "Sync by a test"), "{messages:?}");
    }
}

#[tokio::test]
async fn a_write_that_was_done_before_is_done_without_a_write() {
    for lab in labs() {
        lab.write(&creations("VPC", &names(7))).await.unwrap();
        let edits = edits(&lab.rows("VPC").await);
        lab.write(&edits).await.unwrap();
        let before = lab.netbox.counts();

        assert_eq!(letters(&lab.write(&edits).await.unwrap()), "DDDDDDD");
        assert_eq!(letters(&lab.write(&edits[..2]).await.unwrap()), "DD");

        assert_eq!(lab.netbox.counts().get("PATCH"), before.get("PATCH"));
    }
}

#[tokio::test]
async fn a_row_that_changed_since_the_plan_is_not_written() {
    for lab in labs() {
        let ids = lab.add("VPC", &["a", "b", "c", "d", "e", "f"]);
        let rows = lab.rows("VPC").await;
        lab.netbox.user("bob").update("VPC", ids[1], json!({"spec": {"bob": 1}}));
        lab.netbox.user("bob").delete("VPC", ids[3]);

        assert_eq!(letters(&lab.write(&edits(&rows[..4])).await.unwrap()), "DCDC");
        assert_eq!(letters(&lab.write(&deletions(&rows)).await.unwrap()), "CCCCDD");

        assert_eq!(lab.row("VPC", ids[1]).await.shared.spec, json!({"bob": 1}));
    }
}

#[tokio::test]
async fn a_row_that_was_only_touched_is_still_the_one_planned_against() {
    for lab in labs() {
        let ids = lab.add("VPC", &["a"]);
        let rows = lab.rows("VPC").await;
        lab.netbox.user("bob").update("VPC", ids[0], json!({}));

        assert_eq!(letters(&lab.write(&edits(&rows)).await.unwrap()), "D");
    }
}

#[tokio::test]
async fn an_edit_between_our_read_and_our_single_write_survives() {
    for lab in labs() {
        let ids = lab.add("VPC", &["a", "b"]);
        let rows = lab.rows("VPC").await;
        let (first, second) = (ids[0], ids[1]);
        lab.netbox.meanwhile("PATCH", lab.path(), move |user| user.update("VPC", first, json!({"spec": {"bob": 1}})));
        lab.netbox.meanwhile("DELETE", lab.path(), move |user| user.update("VPC", second, json!({"spec": {"bob": 2}})));

        assert_eq!(letters(&lab.write(&edits(&rows[..1])).await.unwrap()), "C");
        assert_eq!(letters(&lab.write(&deletions(&rows[1..])).await.unwrap()), "C");

        let specs: Vec<Value> = lab.rows("VPC").await.into_iter().map(|row| row.shared.spec).collect();
        assert_eq!(specs, [json!({"bob": 1}), json!({"bob": 2})]);
        let sent: Vec<_> = lab.netbox.served().into_iter().filter(|served| served.method != "GET").collect();
        assert!(sent.iter().all(|served| served.if_match.as_deref().is_some_and(|etag| etag.ends_with("+00:00\""))));
    }
}

#[tokio::test]
async fn an_edit_that_a_bulk_write_covered_is_reported_with_what_it_was() {
    for lab in labs() {
        let ids = lab.add("VPC", &["a", "b", "c", "d", "e"]);
        let rows = lab.rows("VPC").await;
        let edited = ids[2];
        lab.netbox.meanwhile("PATCH", lab.path(), move |user| {
            user.named("bob").update("VPC", edited, json!({"spec": {"bob": 1}}));
        });

        let written = lab.write(&edits(&rows)).await.unwrap();

        assert_eq!(letters(&written), "DDLDD");
        let Written::LostEdit { object, by, before } = &written[2] else { panic!() };
        assert_eq!(
            (object, by.as_deref(), &before["spec"]),
            (&self::object("VPC", edited), Some("bob"), &json!({"bob": 1}))
        );
    }
}

#[tokio::test]
async fn an_edit_that_a_bulk_deletion_covered_is_reported_too() {
    for lab in labs() {
        let ids = lab.add("VPC", &["a", "b", "c", "d", "e"]);
        let rows = lab.rows("VPC").await;
        let edited = ids[4];
        lab.netbox.meanwhile("DELETE", lab.path(), move |user| user.update("VPC", edited, json!({"spec": {"bob": 1}})));

        assert_eq!(letters(&lab.write(&deletions(&rows)).await.unwrap()), "DDDDL");
    }
}

#[tokio::test]
async fn without_the_change_log_bulk_writes_still_work() {
    for lab in labs() {
        lab.add("VPC", &["a", "b", "c", "d", "e"]);
        lab.netbox.deny("core/object-changes/");

        assert_eq!(letters(&lab.write(&edits(&lab.rows("VPC").await)).await.unwrap()), "DDDDD");
    }
}

#[tokio::test]
async fn only_the_rows_that_netbox_blames_are_refused() {
    for lab in labs() {
        lab.netbox.refuse_name("vpc-003", "VLAN 7 is reserved.");
        lab.netbox.refuse_name("vpc-009", "VLAN 8 is reserved.");

        let written = lab.write(&creations("VPC", &names(12))).await.unwrap();

        assert_eq!(letters(&written), "DDDRDDDDDRDD");
        let Written::Refused { words } = &written[3] else { panic!() };
        assert_eq!(words, "VLAN 7 is reserved.");
        assert_eq!(lab.netbox.rows("VPC").len(), 10);
        assert_eq!(lab.netbox.count("POST"), 2);
    }
}

#[tokio::test]
async fn refused_updates_harm_no_other() {
    for lab in labs() {
        let names = names(6);
        lab.add("VPC", &names.iter().map(String::as_str).collect::<Vec<_>>());
        let rows = lab.rows("VPC").await;
        lab.netbox.refuse_name("vpc-002", "No.");

        assert_eq!(letters(&lab.write(&edits(&rows)).await.unwrap()), "DDRDDD");
        assert_eq!(letters(&lab.write(&edits(&rows[2..3])).await.unwrap()), "R");
    }
}

#[tokio::test]
async fn the_plugin_refuses_an_empty_spec_in_its_own_words() {
    let lab = Lab::new(NetBox::hedgehog());
    let mut requests = creations("SwitchGroup", &names(6));
    requests[4] = Request::Create { want: wish("SwitchGroup", "empty", json!({})) };

    let written = lab.write(&requests).await.unwrap();

    assert_eq!(letters(&written), "DDDDRD");
    assert!(matches!(&written[4], Written::Refused { words } if words == "spec: This field cannot be blank."));
}

#[tokio::test]
async fn custom_objects_take_an_empty_spec() {
    let lab = Lab::new(NetBox::custom_objects());
    let request = Request::Create { want: wish("SwitchGroup", "empty", json!({})) };

    assert_eq!(letters(&lab.write(&[request]).await.unwrap()), "D");
}

#[tokio::test]
async fn a_refusal_that_names_no_row_is_split_until_it_does() {
    for lab in labs() {
        for status in [400, 413] {
            lab.netbox.before("POST", lab.path(), Fault::Status(status));
        }

        assert_eq!(letters(&lab.write(&creations("VPC", &names(20))).await.unwrap()), "D".repeat(20));
        assert_eq!(lab.netbox.rows("VPC").len(), 20);
    }
}

#[tokio::test]
async fn a_row_on_which_netbox_breaks_is_held_alone() {
    for lab in labs() {
        lab.netbox.break_name("vpc-005");

        let written = lab.write(&creations("VPC", &names(12))).await.unwrap();

        assert_eq!(letters(&written), "DDDDDFDDDDDD");
        assert_eq!(lab.netbox.rows("VPC").len(), 11);
    }
}

#[tokio::test]
async fn updates_and_deletions_of_a_broken_row_are_held_alone() {
    for lab in labs() {
        let names = names(6);
        lab.add("VPC", &names.iter().map(String::as_str).collect::<Vec<_>>());
        lab.netbox.break_name("vpc-001");

        assert_eq!(letters(&lab.write(&edits(&lab.rows("VPC").await)).await.unwrap()), "DFDDDD");
        assert_eq!(letters(&lab.write(&deletions(&lab.rows("VPC").await)).await.unwrap()), "DFDDDD");
        assert_eq!(lab.netbox.names("VPC"), ["vpc-001"]);
    }
}

#[tokio::test]
async fn a_500_for_rows_that_were_saved_is_looked_up_not_repeated() {
    for lab in labs() {
        for count in [1, 8] {
            lab.netbox.before("POST", lab.path(), Fault::ApplyThenStatus(500));
            let names: Vec<String> = names(count).iter().map(|name| format!("{name}-{count}")).collect();
            let posts = lab.netbox.count("POST");

            assert_eq!(letters(&lab.write(&creations("VPC", &names)).await.unwrap()), "D".repeat(count));

            assert_eq!(lab.netbox.count("POST"), posts + 1);
        }
        assert_eq!(lab.netbox.rows("VPC").len(), 9);
    }
}

#[tokio::test]
async fn the_plugins_six_endpoints_are_written_although_they_answer_500() {
    let lab = Lab::new(NetBox::hedgehog());

    assert_eq!(letters(&lab.write(&creations("External", &names(40))).await.unwrap()), "D".repeat(40));
    assert_eq!(letters(&lab.write(&creations("VPCPeering", &names(2))).await.unwrap()), "DD");
    let rows = lab.rows("External").await;
    assert_eq!(letters(&lab.write(&edits(&rows)).await.unwrap()), "D".repeat(40));
    assert_eq!(letters(&lab.write(&deletions(&lab.rows("External").await)).await.unwrap()), "D".repeat(40));

    assert_eq!((lab.netbox.rows("External").len(), lab.netbox.rows("VPCPeering").len()), (0, 2));
    assert_eq!(lab.netbox.counts().get("POST"), Some(&3));
}

#[tokio::test]
async fn an_answer_that_is_lost_is_looked_up_before_anything_is_repeated() {
    for lab in labs() {
        let lab = lab.impatient();
        for count in [1, 8] {
            let names: Vec<String> = names(count).iter().map(|name| format!("{name}-{count}")).collect();
            lab.netbox.before("POST", lab.path(), Fault::ApplyThenDrop);
            lab.netbox.before("PATCH", lab.path(), Fault::ApplyThenDrop);
            lab.netbox.before("DELETE", lab.path(), Fault::ApplyThenDrop);

            assert_eq!(letters(&lab.write(&creations("VPC", &names)).await.unwrap()), "D".repeat(count));
            assert_eq!(lab.netbox.names("VPC"), names);
            assert_eq!(letters(&lab.write(&edits(&lab.rows("VPC").await)).await.unwrap()), "D".repeat(count));
            assert_eq!(letters(&lab.write(&deletions(&lab.rows("VPC").await)).await.unwrap()), "D".repeat(count));
        }
        assert_eq!(lab.netbox.writes(), 6);
        assert!(lab.netbox.rows("VPC").is_empty());
    }
}

#[tokio::test]
async fn a_write_that_got_lost_on_its_way_is_repeated() {
    for lab in labs() {
        let lab = lab.impatient();
        for count in [1, 8] {
            let names: Vec<String> = names(count).iter().map(|name| format!("{name}-{count}")).collect();
            lab.netbox.before("POST", lab.path(), Fault::Refuse);

            assert_eq!(letters(&lab.write(&creations("VPC", &names)).await.unwrap()), "D".repeat(count));
        }
        assert_eq!(lab.netbox.rows("VPC").len(), 9);
    }
}

#[tokio::test]
async fn what_the_last_try_wrote_is_found_although_its_answer_is_lost() {
    for lab in labs() {
        let lab = lab.impatient();
        for count in [1, 20] {
            let names: Vec<String> = names(count).iter().map(|name| format!("{name}-{count}")).collect();
            // Many rows go together first, and then in halves.
            let halves = if count == 1 { 1 } else { 2 };
            lab.netbox.before("POST", lab.path(), Fault::Refuse);
            for _ in 0..halves {
                lab.netbox.before("POST", lab.path(), Fault::ApplyThenDrop);
            }
            let posts = lab.netbox.count("POST");

            assert_eq!(letters(&lab.write(&creations("VPC", &names)).await.unwrap()), "D".repeat(count));

            assert_eq!(lab.netbox.count("POST"), posts + 1 + halves);
        }
        assert_eq!(lab.netbox.rows("VPC").len(), 21);
    }
}

#[tokio::test]
async fn a_server_that_is_slower_than_the_time_limit_is_waited_for() {
    for lab in labs() {
        let lab = lab.impatient();
        lab.netbox.before("POST", lab.path(), Fault::Delay(Duration::from_millis(600)));

        assert_eq!(letters(&lab.write(&creations("VPC", &names(8))).await.unwrap()), "D".repeat(8));

        assert_eq!(lab.netbox.rows("VPC").len(), 8);
        assert_eq!(lab.netbox.count("POST"), 1);
    }
}

#[tokio::test]
async fn a_server_that_never_answers_is_unavailable() {
    for lab in labs() {
        let lab = lab.impatient();
        lab.netbox.before("POST", lab.path(), Fault::Refuse);
        lab.netbox.before("POST", lab.path(), Fault::Refuse);

        let error = lab.write(&creations("VPC", &names(1))).await.unwrap_err();

        assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_key_that_is_taken_is_done_when_equal_and_else_changed() {
    for lab in labs() {
        for count in [2, 12] {
            let names: Vec<String> = names(count).iter().map(|name| format!("{name}-{count}")).collect();
            let requests = creations("VPC", &names);
            lab.write(&requests[..1]).await.unwrap();
            lab.netbox.user("bob").create(&Object::new("VPC", FABRIC, &names[1], json!({"bob": 1})));

            let written = lab.write(&requests).await.unwrap();

            assert_eq!(letters(&written), format!("DC{}", "D".repeat(count - 2)));
        }
        assert_eq!(lab.netbox.rows("VPC").len(), 14);
    }
}

#[tokio::test]
async fn a_row_that_others_depend_on_is_refused_with_netboxs_words() {
    for lab in labs() {
        let names = names(7);
        lab.add("VPC", &names.iter().map(String::as_str).collect::<Vec<_>>());
        lab.netbox.protect_name("vpc-002");
        let rows = lab.rows("VPC").await;

        let written = lab.write(&deletions(&rows)).await.unwrap();

        assert_eq!(letters(&written), "DDRDDDD");
        let written = lab.write(&deletions(&rows[2..3])).await.unwrap();
        assert!(matches!(&written[0], Written::Refused { words } if words.contains("dependent")), "{written:?}");
    }
}

#[tokio::test]
async fn a_fabric_that_is_gone_stalls_and_refuses_no_document() {
    let lab = Lab::new(NetBox::hedgehog());
    lab.netbox.meanwhile("POST", lab.path(), |user| user.delete_fabric(FABRIC));

    let error = lab.write(&creations("VPC", &names(6))).await.unwrap_err();
    assert!(matches!(&error, Error::NoEndpoint { request, .. } if request.contains("`lab`")), "{error}");

    let error = lab.write(&creations("VPC", &names(6))).await.unwrap_err();
    assert!(matches!(&error, Error::NoEndpoint { request, .. } if request.contains("`lab`")), "{error}");
}

#[tokio::test]
async fn a_write_that_the_token_may_not_do_is_denied_not_refused() {
    for lab in labs() {
        for count in [1, 8] {
            lab.netbox.before("POST", lab.path(), Fault::Status(403));

            let error = lab.write(&creations("VPC", &names(count))).await.unwrap_err();

            assert!(matches!(error, Error::Denied { .. }), "{error}");
        }
    }
}

#[tokio::test]
async fn nothing_is_written_with_a_lease_that_may_end_before_the_answer() {
    for lab in labs() {
        let short = lease(Duration::from_secs(12));

        let end = lab.client.write_lot(&short, &creations("VPC", &names(2)), &lab.context("x")).await;

        assert!(matches!(end, Err(Error::Lease(_))), "{end:?}");
        assert_eq!(lab.netbox.writes(), 0);
    }
}

#[tokio::test]
async fn what_was_acknowledged_is_told_even_if_the_lot_ends_early() {
    for lab in labs() {
        lab.netbox.meanwhile("POST", lab.path(), |_| {});
        lab.netbox.before("POST", lab.path(), Fault::Status(503));

        let written = lab.write(&creations("VPC", &names(3))).await.unwrap();

        assert_eq!(letters(&written), "DUU");
        assert!(matches!(&written[1], Written::Unanswered(Error::Unavailable { .. })), "{written:?}");
        assert_eq!(lab.netbox.names("VPC"), ["vpc-000"]);
    }
}

#[tokio::test]
async fn a_lot_is_of_one_kind_and_one_verb() {
    for lab in labs() {
        let mixed = [creations("VPC", &names(1)), creations("Switch", &names(1))].concat();

        assert!(matches!(lab.write(&mixed).await, Err(Error::Unexpected { .. })));
        assert!(matches!(lab.write(&creations("VPC", &names(101))).await, Err(Error::Unexpected { .. })));
        assert!(lab.write(&[]).await.unwrap().is_empty());
        assert_eq!(lab.netbox.writes(), 0);
    }
}

#[tokio::test]
async fn netbox_that_asks_for_patience_is_left_alone() {
    for lab in labs() {
        lab.netbox.before("POST", lab.path(), Fault::Status(429));

        let error = lab.write(&creations("VPC", &names(8))).await.unwrap_err();

        assert!(matches!(error, Error::Unavailable { .. }), "{error}");
        assert_eq!(lab.netbox.writes(), 1);
    }
}
