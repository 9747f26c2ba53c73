//! Both flows end to end: the real service, a real Redis, a real Git server, NetBox's stand-in.

use std::collections::BTreeSet;

use fgd_sync::domain::kind::Catalogue;
use fgd_sync::domain::report::JobState;
use fgd_sync::ledger::types::Origin;
use serde_json::{Value, json};

use crate::support::app::{TestApp, drop_of_all_kinds, spec_of};

fn all_kinds() -> impl Iterator<Item = &'static str> {
    Catalogue::hedgehog().iter().map(|spec| spec.kind.as_str())
}

#[tokio::test]
async fn objects_of_all_kinds_created_in_netbox_end_as_files() {
    let app = TestApp::start().await;

    for kind in all_kinds() {
        app.netbox_user("alice").create(kind, "first", spec_of(kind)).await;
    }
    app.sync().await;

    let files = app.files().await;
    let managed: Vec<_> = files.keys().filter(|path| path.starts_with("managed/") && path.ends_with(".yaml")).collect();
    assert_eq!(managed.len(), 12, "{managed:?}");
    assert!(files["managed/vpcs/first.yaml"].contains("kind: VPC"), "{}", files["managed/vpcs/first.yaml"]);
    app.finish().await;
}

#[tokio::test]
async fn a_bulk_change_is_one_commit_with_its_user_as_author() {
    let app = TestApp::ready().await;
    let before = app.commits().await.len();

    app.netbox_user("alice").bulk_create("Server", 60, spec_of("Server")).await;
    app.sync().await;

    let commits = app.commits().await;
    assert_eq!(commits.len(), before + 1, "{commits:?}");
    assert_eq!(commits[0].subject, "Sync 60 objects of lab");
    assert_eq!(commits[0].author, "alice");
    assert!(commits[0].body.contains("Changed-by: alice"), "{}", commits[0].body);
    assert!(commits[0].body.contains("Fgd-Run: "), "{}", commits[0].body);
    app.finish().await;
}

#[tokio::test]
async fn an_update_in_netbox_keeps_the_order_and_the_comments_place_of_the_file() {
    let app = TestApp::ready().await;
    app.push(&[(
        "raw/vpc.yaml",
        "apiVersion: vpc.githedgehog.com/v1beta1\nkind: VPC\nmetadata:\n  name: web\nspec:\n  vlanNamespace: default\n  subnets:\n    b:\n      vlan: 2\n      subnet: 10.0.2.0/24\n    a:\n      vlan: 1\n      subnet: 10.0.1.0/24\n",
    )])
    .await;
    app.sync().await;
    let before = app.files().await["managed/vpcs/web.yaml"].clone();

    app.netbox_user("bob")
        .update(
            "VPC",
            "web",
            json!({"vlanNamespace": "default", "subnets": {"a": {"subnet": "10.0.1.0/24", "vlan": 7}, "b": {"subnet": "10.0.2.0/24", "vlan": 2}}}),
        )
        .await;
    app.sync().await;

    let after = app.files().await["managed/vpcs/web.yaml"].clone();
    assert_eq!(after, before.replace("vlan: 1\n", "vlan: 7\n"));
    app.finish().await;
}

#[tokio::test]
async fn a_rename_moves_the_file_in_one_commit() {
    let app = TestApp::ready().await;
    app.netbox_user("alice").create("VPC", "old", spec_of("VPC")).await;
    app.sync().await;
    let before = app.commits().await.len();

    app.netbox_user("alice").rename("VPC", "old", "new").await;
    app.sync().await;

    let files = app.files().await;
    assert!(!files.contains_key("managed/vpcs/old.yaml"));
    assert!(files["managed/vpcs/new.yaml"].contains("name: new"));
    assert_eq!(app.commits().await.len(), before + 1);
    app.finish().await;
}

#[tokio::test]
async fn a_deletion_in_netbox_deletes_the_file() {
    let app = TestApp::ready().await;
    app.netbox_user("alice").create("VPC", "web", spec_of("VPC")).await;
    app.sync().await;

    app.netbox_user("alice").delete("VPC", "web").await;
    app.sync().await;

    assert!(!app.files().await.contains_key("managed/vpcs/web.yaml"));
    app.finish().await;
}

#[tokio::test]
async fn a_mass_deletion_is_held_until_it_is_confirmed_and_then_is_one_commit() {
    let app = TestApp::ready().await;
    app.netbox_user("alice").bulk_create("Server", 30, spec_of("Server")).await;
    app.sync().await;
    let before = app.commits().await.len();

    app.netbox_user("alice").delete_all("Server").await;
    app.sync().await;

    assert_eq!(app.commits().await.len(), before, "nothing is deleted unconfirmed");
    let status = app.fabric_status().await;
    assert_eq!(status.guarded.len(), 30);

    app.post("/api/v1/fabrics/lab/confirm-deletions", json!({})).await;
    app.sync().await;

    assert_eq!(app.commits().await.len(), before + 1);
    assert!(!app.files().await.keys().any(|path| path.starts_with("managed/servers/") && path.ends_with(".yaml")));
    app.finish().await;
}

#[tokio::test]
async fn a_drop_of_all_kinds_ends_in_netbox_and_in_managed_with_raw_empty() {
    let app = TestApp::ready().await;
    let before = app.commits().await.len();

    app.push(&drop_of_all_kinds()).await;
    app.sync().await;

    let files = app.files().await;
    let raw: Vec<_> = files.keys().filter(|path| path.starts_with("raw/")).collect();
    assert_eq!(raw, ["raw/.gitkeep"]);
    assert_eq!(app.commits().await.len(), before + 2, "the person's commit and ours");
    for kind in all_kinds() {
        assert!(!app.rows(kind).await.is_empty(), "no row of {kind}");
    }
    assert!(files[".hnp/archive-log.yaml"].contains("raw/networks/prod/vpcs.yml"));
    assert!(files["managed/servers/server-03.yaml"].contains("server-03"), "good documents of a bad file are taken");
    assert!(files["unmanaged/mixed/bad.yaml"].contains("not-ours"));
    let reasons = &files["unmanaged/mixed/bad.yaml.reasons.yaml"];
    for code in ["bad_name", "not_yaml"] {
        assert!(reasons.contains(code), "{reasons}");
    }
    app.finish().await;
}

#[tokio::test]
async fn what_netbox_refuses_never_enters_managed() {
    let app = TestApp::hedgehog().await;

    app.push(&[(
        "raw/groups.yaml",
        "apiVersion: wiring.githedgehog.com/v1beta1\nkind: SwitchGroup\nmetadata:\n  name: empty\nspec: {}\n",
    )])
    .await;
    app.sync().await;

    let files = app.files().await;
    assert!(!files.contains_key("managed/switchgroups/empty.yaml"));
    assert!(files["unmanaged/groups.yaml"].contains("name: empty"));
    assert!(files["unmanaged/groups.yaml.reasons.yaml"].contains("cannot be blank"));
    app.finish().await;
}

#[tokio::test]
async fn a_persons_edit_of_a_managed_file_reaches_netbox() {
    let app = TestApp::ready().await;
    app.netbox_user("alice").create("Server", "one", json!({"description": "old"})).await;
    app.sync().await;
    let file = app.files().await["managed/servers/one.yaml"].clone();

    app.push(&[("managed/servers/one.yaml", &format!("# mine\n{}", file.replace("old", "new")))]).await;
    app.sync().await;

    assert_eq!(app.rows("Server").await[0]["spec"]["description"], "new");
    assert!(app.files().await["managed/servers/one.yaml"].starts_with("# mine\n"), "the person's bytes stay");
    app.finish().await;
}

#[tokio::test]
async fn a_persons_deletion_of_a_managed_file_is_held_by_default() {
    let app = TestApp::ready().await;
    app.netbox_user("alice").create("Server", "one", spec_of("Server")).await;
    app.sync().await;

    app.push_deletion(&["managed/servers/one.yaml"]).await;
    let jobs = app.sync().await;

    assert_eq!(app.rows("Server").await.len(), 1);
    assert!(jobs.iter().any(|job| job.state == JobState::Held), "{jobs:?}");
    app.finish().await;
}

#[tokio::test]
async fn a_persons_deletion_reaches_netbox_where_the_policy_says_so() {
    let app = TestApp::with_fabric_settings("on_git_delete: delete").await;
    app.netbox_user("alice").create("Server", "one", spec_of("Server")).await;
    app.sync().await;

    app.push_deletion(&["managed/servers/one.yaml"]).await;
    app.sync().await;

    assert!(app.rows("Server").await.is_empty());
    app.finish().await;
}

#[tokio::test]
async fn a_change_on_both_sides_is_held_and_nothing_is_overwritten() {
    let app = TestApp::ready().await;
    app.netbox_user("alice").create("Server", "one", json!({"description": "old"})).await;
    app.sync().await;
    let file = app.files().await["managed/servers/one.yaml"].clone();

    app.netbox_user("alice").update("Server", "one", json!({"description": "from netbox"})).await;
    app.push(&[("managed/servers/one.yaml", &file.replace("old", "from git"))]).await;
    app.sync().await;

    assert_eq!(app.rows("Server").await[0]["spec"]["description"], "from netbox");
    assert!(app.files().await["managed/servers/one.yaml"].contains("from git"));
    assert_eq!(app.fabric_status().await.held.len(), 1);
    app.finish().await;
}

#[tokio::test]
async fn the_same_end_comes_without_any_webhook() {
    let app = TestApp::ready().await;
    app.netbox_user("alice").create("Server", "one", spec_of("Server")).await;
    app.netbox_user("alice").create("Server", "gone", spec_of("Server")).await;
    app.sync().await;

    app.netbox_user("alice").update("Server", "one", json!({"description": "changed"})).await;
    app.netbox_user("alice").delete("Server", "gone").await;
    app.netbox_user("alice").create("Server", "two", spec_of("Server")).await;
    app.push(&[("raw/three.yaml", "apiVersion: wiring.githedgehog.com/v1beta1\nkind: Server\nmetadata:\n  name: three\nspec:\n  description: third\n")]).await;
    app.lose_all_deliveries().await;
    app.take_scheduled_turns().await;
    app.drain().await;

    let files = app.files().await;
    let servers: BTreeSet<_> = files.keys().filter_map(|path| path.strip_prefix("managed/servers/")).collect();
    assert_eq!(servers, BTreeSet::from([".gitkeep", "one.yaml", "three.yaml", "two.yaml"]));
    assert!(files["managed/servers/one.yaml"].contains("changed"));
    assert_eq!(app.rows("Server").await.len(), 3);
    app.finish().await;
}

#[tokio::test]
async fn replaying_every_delivery_twice_changes_nothing() {
    let app = TestApp::ready().await;
    for kind in all_kinds() {
        app.netbox_user("alice").create(kind, "first", spec_of(kind)).await;
    }
    app.push(&drop_of_all_kinds()).await;
    app.sync().await;
    let (commits, writes) = (app.commits().await, app.netbox_writes());

    app.replay_deliveries().await;
    app.replay_deliveries().await;
    app.drain().await;

    assert_eq!(app.commits().await, commits);
    assert_eq!(app.netbox_writes(), writes);
    app.finish().await;
}

#[tokio::test]
async fn a_second_full_comparison_changes_nothing() {
    let app = TestApp::ready().await;
    app.push(&drop_of_all_kinds()).await;
    app.sync().await;
    let (commits, writes) = (app.commits().await, app.netbox_writes());

    app.post("/api/v1/fabrics/lab/sync", json!({})).await;
    app.drain().await;

    assert_eq!(app.commits().await, commits);
    assert_eq!(app.netbox_writes(), writes);
    app.finish().await;
}

#[tokio::test]
async fn a_dry_run_tells_the_plan_and_writes_nothing() {
    let app = TestApp::ready().await;
    app.netbox_user("alice").create("Server", "one", spec_of("Server")).await;
    app.lose_all_deliveries().await;
    let (commits, writes) = (app.commits().await, app.netbox_writes());

    let job = app.post("/api/v1/fabrics/lab/sync", json!({"dry_run": true})).await;
    app.drain().await;

    let text = app.get(job["status_url"].as_str().expect("a status url")).await.to_string();
    assert!(text.contains("git_created"), "{text}");
    assert_eq!(app.commits().await, commits);
    assert_eq!(app.netbox_writes(), writes);
    app.finish().await;
}

#[tokio::test]
async fn a_dry_run_beside_real_changes_still_tells_a_plan() {
    let app = TestApp::ready().await;
    app.netbox_user("alice").create("Server", "one", spec_of("Server")).await;
    app.deliver().await;

    let job = app.post("/api/v1/fabrics/lab/sync", json!({"dry_run": true})).await;
    app.drain().await;

    let answer = app.get(job["status_url"].as_str().expect("a status url")).await;
    let report = &answer["parts"][0]["report"];
    assert_eq!((&report["dry_run"], &report["commit"]), (&json!(true), &Value::Null), "{answer}");
    assert!(report.to_string().contains("git_created"), "{answer}");
    assert!(app.files().await.contains_key("managed/servers/one.yaml"), "the change itself was carried out");
    app.finish().await;
}

#[tokio::test]
async fn a_job_succeeds_with_the_commit_that_the_head_contains() {
    let app = TestApp::ready().await;

    app.netbox_user("alice").create("Server", "one", spec_of("Server")).await;
    let jobs = app.sync().await;

    let job =
        jobs.iter().find(|job| matches!(job.origin, Origin::NetboxDelivery { .. })).expect("a job of the delivery");
    let report = app.report_of(job).await;
    assert_eq!(job.state, JobState::Succeeded);
    assert_eq!(report.commit.map(|oid| oid.to_string()), Some(app.commits().await[0].oid.clone()));
    app.finish().await;
}

#[tokio::test]
async fn a_head_that_moves_between_plan_and_push_is_planned_on_again() {
    let app = TestApp::ready().await;
    app.netbox_user("alice").create("Server", "one", spec_of("Server")).await;

    app.before_next_push_a_person_commits(&[("README-of-mine.txt", "hello\n")]).await;
    app.sync().await;

    let files = app.repository_files().await;
    assert!(files.contains_key("README-of-mine.txt"));
    assert!(files.contains_key("lab/managed/servers/one.yaml"));
    app.finish().await;
}

#[tokio::test]
async fn a_push_whose_answer_is_cut_off_is_not_done_twice() {
    let app = TestApp::ready().await;
    let before = app.commits().await.len();
    app.netbox_user("alice").create("Server", "one", spec_of("Server")).await;

    app.cut_the_next_push_after_it_was_applied().await;
    app.sync().await;

    assert_eq!(app.commits().await.len(), before + 1);
    app.finish().await;
}

#[tokio::test]
async fn netbox_down_leaves_the_drop_in_raw_and_is_tried_again() {
    let app = TestApp::ready().await;
    app.push(&[(
        "raw/one.yaml",
        "apiVersion: wiring.githedgehog.com/v1beta1\nkind: Server\nmetadata:\n  name: one\nspec:\n  description: x\n",
    )])
    .await;

    app.deliver().await;
    app.netbox.set_down(true);
    app.step_until_idle_now().await;
    let files = app.files().await;
    assert!(files.contains_key("raw/one.yaml"));
    assert!(!files.contains_key("managed/servers/one.yaml"));
    assert_eq!(app.fabric_status().await.error.map(|error| error.code), Some("netbox_unavailable".to_owned()));

    app.netbox.set_down(false);
    app.sync().await;

    let files = app.files().await;
    assert!(!files.contains_key("raw/one.yaml"));
    assert!(files.contains_key("managed/servers/one.yaml"));
    app.finish().await;
}

#[tokio::test]
async fn a_run_killed_between_netbox_and_git_is_finished_by_the_next_one() {
    let app = TestApp::ready().await;
    app.push(&drop_of_all_kinds()).await;
    app.deliver().await;

    app.kill_the_run_before_its_push().await;
    let writes = app.netbox_writes();
    assert!(!app.rows("VPC").await.is_empty(), "NetBox was written before the kill");
    app.let_the_lease_expire().await;
    app.sync().await;

    assert_eq!(app.netbox_writes(), writes, "NetBox found equal: only the commit was left");
    let files = app.files().await;
    assert!(files.keys().filter(|path| path.starts_with("raw/")).eq(["raw/.gitkeep"]));
    app.finish().await;
}

#[tokio::test]
async fn a_second_ledger_holds_until_it_is_told_to_adopt() {
    let app = TestApp::ready().await;
    app.netbox_user("alice").create("Server", "one", spec_of("Server")).await;
    app.sync().await;
    let commits = app.commits().await;

    let app = app.with_a_new_ledger().await;
    app.post("/api/v1/fabrics/lab/sync", json!({})).await;
    app.step_until_idle_now().await;
    assert_eq!(app.commits().await, commits, "another ledger's directory is left alone");
    assert_eq!(app.fabric_status().await.error.map(|error| error.code), Some("other_ledger".to_owned()));

    app.post("/api/v1/fabrics/lab/adopt", json!({})).await;
    app.drain().await;

    let now = app.commits().await;
    assert_eq!(now.len(), commits.len() + 1, "one commit: the marker");
    app.finish().await;
}

#[tokio::test]
async fn the_api_shows_every_item_of_a_job_and_its_commit() {
    let app = TestApp::ready().await;
    app.push(&[("raw/a.yaml", "apiVersion: v1\nkind: ConfigMap\n---\nkind: [broken\n")]).await;
    let jobs = app.sync().await;

    let pushed = jobs.iter().filter(|job| matches!(job.origin, Origin::GithubDelivery { .. }));
    let mut answers = Vec::new();
    for job in pushed {
        answers.push(app.get(&format!("/api/v1/jobs/{}", job.id)).await.to_string());
    }

    let commit = app.commits().await[0].oid.clone();
    let told = answers.iter().find(|answer| answer.contains(&format!("\"commit\":\"{commit}\"")));
    let told = told.unwrap_or_else(|| panic!("no job names the commit {commit}: {answers:#?}"));
    for part in ["\"fate\":\"unmanaged\"", "\"fate\":\"rejected\"", "not_yaml", "lab/raw/a.yaml", "\"index\":1"] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    app.finish().await;
}

#[tokio::test]
async fn a_file_with_an_unusable_name_is_shown_and_the_rest_of_the_fabric_goes_on() {
    let app = TestApp::ready().await;
    let server = |name: &str| {
        format!(
            "apiVersion: wiring.githedgehog.com/v1beta1\nkind: Server\nmetadata:\n  name: {name}\nspec: {{description: x}}\n"
        )
    };

    let files = [("raw/back\\slash.yaml", server("one")), ("managed/servers/line\nbreak.yaml", server("two"))];
    app.push(&files.each_ref().map(|(path, text)| (*path, text.as_str()))).await;
    app.push(&[("raw/good.yaml", &server("good"))]).await;
    let jobs = app.sync().await;

    assert_eq!(app.netbox.names("Server"), ["good"]);
    let files = app.files().await;
    assert!(files.contains_key("managed/servers/good.yaml") && files.contains_key("raw/back\\slash.yaml"));
    let held = jobs.iter().find(|job| job.state == JobState::Held).expect("a person must rename them");
    let shown = app.get(&format!("/api/v1/jobs/{}", held.id)).await.to_string();
    for part in
        ["lab/raw/back%5Cslash.yaml", "lab/managed/servers/line%0Abreak.yaml", "unusable_name", "rename the file"]
    {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
    app.finish().await;
}
