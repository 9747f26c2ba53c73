//! The status API, through the real server over a real Redis.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use fgd_sync::domain::change::Change;
use fgd_sync::domain::directory::{DirectoryReport, DirectoryWork};
use fgd_sync::domain::fate::{Effect, Fate, Reason};
use fgd_sync::domain::key::Key;
use fgd_sync::domain::kind::Kind;
use fgd_sync::domain::names::{FabricName, Oid};
use fgd_sync::domain::path::RepoPath;
use fgd_sync::domain::report::{Counts, FabricReport, Item, Outcome};
use fgd_sync::ledger::types::{Advance, Claim, JobError, PartOutcome};
use fgd_sync::webhook::netbox::Model;
use serde_json::{Value, json};

use crate::receive::service::{Answer, Captured, Service, TOKEN, client, done};
use crate::support::redis::RedisServer;

const HEAD: &str = "1111111111111111111111111111111111111111";
const COMMIT: &str = "2222222222222222222222222222222222222222";

async fn service() -> Service {
    Service::start(Model::CustomObjects).await
}

fn key(name: &str) -> Key {
    Key { kind: Kind::new("VPC"), namespace: "default".to_owned(), name: name.to_owned() }
}

fn oid(text: &str) -> Oid {
    text.parse().expect("hex")
}

async fn claim(service: &Service) -> Claim {
    service.test.clock.advance(Duration::from_secs(60));
    service.test.ledger.claim("worker").await.expect("Redis answers").expect("something is due")
}

/// A report with an item of each sort.
fn full_report(claim: &Claim, fabric: &FabricName) -> FabricReport {
    let reason = Reason::new("changed_on_both_sides", "edit one of them").at(3, 7);
    let ingested = Fate::Ingested { key: key("c"), effect: Effect::Created };
    let readme = RepoPath::new("lab/README.md").expect("a path");
    FabricReport {
        run: claim.run.clone(),
        fabric: fabric.clone(),
        closed_because: claim.closed_because,
        dry_run: false,
        planned_on: Some(oid(HEAD)),
        commit: Some(oid(COMMIT)),
        proposal: None,
        counts: Counts { git_written: 1, held: 1, ingested: 1, unmanaged: 1, ..Counts::default() },
        items: vec![
            Item::Object { key: key("a"), outcome: Outcome::Held { reason: reason.clone() }, request: None },
            Item::Object { key: key("b"), outcome: Outcome::GitCreated, request: None },
            Item::Document { path: "lab/raw/x.yaml".to_owned(), index: 1, item_index: None, line: 9, fate: ingested },
            Item::File { path: "lab/raw/logo.png".to_owned(), reason: Reason::new("not_yaml", "it is no YAML") },
        ],
        directory: DirectoryReport { work: DirectoryWork::Tend, written: vec![readme], moved: None },
    }
}

/// What the ledger may hold after a worker died many times: a dead job.
async fn dead_job(service: &Service) -> String {
    let job = service.ask("/api/v1/fabrics/lab-fabric/sync").await.job();
    let error = JobError {
        code: "netbox_unavailable".to_owned(),
        message: "NetBox lab could not be reached".to_owned(),
        remedy: "Look whether it runs.".to_owned(),
    };
    for _ in 0..100 {
        service.test.clock.advance(Duration::from_secs(3_600));
        let Some(claim) = service.test.ledger.claim("worker").await.expect("Redis answers") else { break };
        service.settle(&claim, |_| PartOutcome::Transient { error: error.clone() }).await;
    }
    assert_eq!(service.read(&format!("/api/v1/jobs/{job}")).await.text("state"), "dead");
    job
}

#[tokio::test]
async fn a_delivery_is_shown_as_a_job_from_beginning_to_end() {
    let service = service().await;
    let accepted = Captured::number(30).send(&service).await;
    let url = accepted.text("status_url").to_owned();

    let queued = service.read(&url).await;
    assert_eq!(queued.text("state"), "queued");
    assert_eq!(queued.body["progress"], json!({"done": 0, "total": 1}));
    assert_eq!(queued.body["origin"]["kind"], "netbox_delivery");
    assert_eq!(queued.body["origin"]["object"], "netbox_custom_objects.table2model#1");
    assert_eq!(queued.body["origin"]["user"], "admin");
    assert!(humantime::parse_rfc3339(queued.text("created")).is_ok(), "{}", queued.body);

    let claim = claim(&service).await;
    assert_eq!(service.read(&url).await.text("state"), "running");

    let report = |fabric: &FabricName| Box::new(full_report(&claim, fabric));
    service.settle(&claim, |fabric| PartOutcome::Done { report: report(fabric), held: true }).await;
    let ended = service.read(&url).await;
    assert_eq!((ended.text("state"), &ended.body["finished"]), ("held", &json!(true)));
    assert_eq!(ended.body["progress"], json!({"done": 1, "total": 1}));
    let part = &ended.body["parts"][0];
    assert_eq!(
        (&part["fabric"], &part["repository"], &part["branch"]),
        (&json!("lab-fabric"), &json!("fabrics"), &json!("main"))
    );
    assert_eq!((&part["attempts"], &part["run"]), (&json!(1), &json!(claim.run.as_str())));
    assert_eq!((&part["report"]["commit"], &part["report"]["planned_on"]), (&json!(COMMIT), &json!(HEAD)));
    assert_eq!(part["report"]["counts"]["git_written"], 1);
}

#[tokio::test]
async fn a_job_tells_what_happened_to_each_object_and_document() {
    let service = service().await;
    let job = service.ask("/api/v1/fabrics/lab-fabric/sync").await.job();
    let claim = claim(&service).await;
    let report = |fabric: &FabricName| Box::new(full_report(&claim, fabric));

    service.settle(&claim, |fabric| PartOutcome::Done { report: report(fabric), held: true }).await;

    let shown = service.read(&format!("/api/v1/jobs/{job}")).await;
    let vpc = |name: &str| json!({"kind": "VPC", "namespace": "default", "name": name});
    let reason = json!({"code": "changed_on_both_sides", "message": "edit one of them", "line": 3, "column": 7});
    assert_eq!(
        shown.body["parts"][0]["report"]["items"],
        json!([
            {"item": "object", "key": vpc("a"), "outcome": "held", "reason": reason},
            {"item": "object", "key": vpc("b"), "outcome": "git_created", "reason": null},
            {"item": "document", "path": "lab/raw/x.yaml", "index": 1, "line": 9, "fate": "ingested",
             "effect": "created", "key": vpc("c"), "reason": null},
            {"item": "file", "path": "lab/raw/logo.png", "reason": {"code": "not_yaml", "message": "it is no YAML"}},
        ])
    );
}

#[tokio::test]
async fn a_failing_job_tells_why_what_to_do_and_when_it_is_tried_again() {
    let service = service().await;
    let job = service.ask("/api/v1/fabrics/lab-fabric/sync").await.job();
    let error =
        JobError { code: "denied".to_owned(), message: "NetBox said 403".to_owned(), remedy: "Fix it.".to_owned() };
    let claim = claim(&service).await;

    service.settle(&claim, |_| PartOutcome::Transient { error: error.clone() }).await;

    let shown = service.read(&format!("/api/v1/jobs/{job}")).await;
    let part = &shown.body["parts"][0];
    assert_eq!(shown.text("state"), "waiting");
    assert_eq!(part["error"], json!({"code": "denied", "message": "NetBox said 403", "remedy": "Fix it."}));
    assert!(humantime::parse_rfc3339(part["next_try"].as_str().unwrap()).is_ok());
    let fabric = service.read("/api/v1/fabrics/lab-fabric").await;
    assert_eq!((fabric.text("standing"), &fabric.body["error"]["code"]), ("failing", &json!("denied")));
}

#[tokio::test]
async fn jobs_are_listed_newest_first_in_pages() {
    let service = service().await;
    let mut jobs = Vec::new();
    for _ in 0..5 {
        jobs.push(service.ask("/api/v1/fabrics/lab-fabric/sync").await.job());
    }
    jobs.reverse();

    let mut listed = Vec::new();
    let mut path = "/api/v1/jobs?limit=2".to_owned();
    loop {
        let page = service.read(&path).await;
        listed.extend(page.body["jobs"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap().to_owned()));
        let Some(next) = page.body["next"].as_str() else { break };
        path = format!("/api/v1/jobs?limit=2&cursor={next}");
    }

    assert_eq!(listed, jobs);
}

#[tokio::test]
async fn jobs_are_found_by_fabric_state_and_time() {
    let service = service().await;
    let before = service.ask("/api/v1/fabrics/lab-fabric/sync").await.job();
    let shown = service.read(&format!("/api/v1/jobs/{before}")).await;
    service.test.clock.advance(Duration::from_secs(60));
    let after = service.ask("/api/v1/fabrics/far-fabric/sync").await.job();
    let created = service.read(&format!("/api/v1/jobs/{after}")).await.text("created").to_owned();

    let found = async |query: &str| {
        let page = service.read(&format!("/api/v1/jobs?{query}")).await;
        let ids = page.body["jobs"].as_array().expect("jobs").iter().map(|job| job["id"].as_str().unwrap().to_owned());
        ids.collect::<Vec<_>>()
    };

    assert_eq!(found("fabric=lab-fabric").await, [before.as_str()]);
    assert_eq!(found("state=queued").await, [after.clone(), before.clone()]);
    assert_eq!(found("state=succeeded").await, [""; 0]);
    assert_eq!(found(&format!("since={created}")).await, [after.as_str()]);
    assert_eq!(found(&format!("since={}", shown.text("created"))).await, [after, before.clone()]);
    assert_eq!(found("since=1&fabric=lab-fabric&state=queued").await, [before]);
}

#[tokio::test]
async fn what_a_caller_gets_wrong_is_named() {
    let service = service().await;

    for (query, name) in [
        ("colour=red", "colour"),
        ("state=asleep", "state"),
        ("since=yesterday", "since"),
        ("cursor=x", "cursor"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=many", "limit"),
    ] {
        let answer = service.read(&format!("/api/v1/jobs?{query}")).await;
        answer.is_problem(400, "bad_query");
        assert!(answer.text("detail").contains(&format!("`{name}`")), "{}", answer.body);
    }
    service.read("/api/v1/fabrics?limit=501").await.is_problem(400, "bad_query");
    service.read("/api/v1/fabrics/lab-fabric?limit=2").await.is_problem(400, "bad_query");
    for (body, name) in [(r#"{"dryrun": true}"#, "dryrun"), (r#"{"dry_run": "yes"}"#, "boolean"), ("{", "line 1")] {
        let request = service.post("/api/v1/fabrics/lab-fabric/sync").bearer_auth(TOKEN);
        let request = request.header("Content-Type", "application/json").body(body);
        let answer = Answer::of(request.send().await.unwrap()).await;
        answer.is_problem(400, "bad_body");
        assert!(answer.text("detail").contains(name), "{}", answer.body);
    }
    assert!(service.test.ledger.next_due().await.unwrap().is_none(), "nothing was recorded");
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let service = service().await;

    service.read("/api/v1/jobs/01KAJ3V0M1W9T6N4ZC5X8R7QHD").await.is_problem(404, "unknown_job");
    service.read("/api/v1/jobs/fabric:lab-fabric").await.is_problem(404, "unknown_job");
    service.ask("/api/v1/jobs/01KAJ3V0M1W9T6N4ZC5X8R7QHD/cancel").await.is_problem(404, "unknown_job");
    service.ask("/api/v1/jobs/01KAJ3V0M1W9T6N4ZC5X8R7QHD/retry").await.is_problem(404, "unknown_job");
    service.read("/api/v1/fabrics/none").await.is_problem(404, "unknown_fabric");
    service.ask("/api/v1/fabrics/none/sync").await.is_problem(404, "unknown_fabric");
    service.read("/api/v2/jobs").await.is_problem(404, "unknown_path");
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_one() {
    let service = service().await;

    let answer = service.ask("/api/v1/jobs").await;
    answer.is_problem(405, "wrong_method");
    assert_eq!(answer.header("allow"), "GET, HEAD");

    let answer = service.read("/webhooks/netbox").await;
    answer.is_problem(405, "wrong_method");
    assert_eq!(answer.header("allow"), "POST");
}

#[tokio::test]
async fn whatever_answers_get_answers_head_without_a_body() {
    let service = service().await;
    let token = format!("Bearer {TOKEN}");

    for path in ["/healthz", "/openapi.json", "/api/v1/jobs", "/api/v1/fabrics/lab-fabric", "/api/v1/jobs/none"] {
        let get = service.get(path).header("Authorization", &token).send().await.unwrap();
        let head = client().head(get.url().clone()).header("Authorization", &token).send().await.unwrap();

        assert_eq!(head.status(), get.status(), "{path}");
        for name in ["content-type", "content-length", "etag"] {
            assert_eq!(head.headers().get(name), get.headers().get(name), "{path} {name}");
        }
        assert_eq!(head.text().await.unwrap(), "", "{path}");
    }
    let events = service.get("/api/v1/events").build().unwrap().url().clone();
    let events = client().head(events).header("Authorization", &token).send().await.unwrap();
    assert_eq!((events.status().as_u16(), &events.headers()["allow"]), (405, &"GET".parse().unwrap()));
}

#[tokio::test]
async fn a_body_that_is_no_object_is_refused_and_null_is_none() {
    let service = service().await;
    let send = async |body: &'static str| {
        let request = service.post("/api/v1/fabrics/lab-fabric/sync").bearer_auth(TOKEN);
        Answer::of(request.header("Content-Type", "application/json").body(body).send().await.unwrap()).await
    };

    for body in ["[]", " [true]"] {
        let answer = send(body).await;
        answer.is_problem(400, "bad_body");
        assert!(answer.text("detail").contains("a list, not an object"), "{}", answer.body);
    }
    assert!(service.test.ledger.next_due().await.unwrap().is_none(), "nothing was recorded");
    assert_eq!(send("null").await.status.as_u16(), 202);
}

#[tokio::test]
async fn the_description_is_served_to_everybody() {
    let service = service().await;

    let served = Answer::of(service.get("/openapi.json").send().await.unwrap()).await;

    assert_eq!(served.status.as_u16(), 200);
    assert_eq!(served.body, serde_json::to_value(fgd_sync::http::openapi()).unwrap());
}

#[tokio::test]
async fn a_sync_compares_everything_at_once() {
    let service = service().await;

    let job = service.ask("/api/v1/fabrics/lab-fabric/sync").await.job();

    let claim = service.test.ledger.claim("worker").await.unwrap().expect("due without a wait");
    assert_eq!(claim.parts[0].changes, [Change::Everything]);
    assert_eq!(service.read(&format!("/api/v1/jobs/{job}")).await.body["origin"]["what"], "sync by kim");
    service.wake.notified().await;
}

#[tokio::test]
async fn a_dry_run_is_a_job_of_its_own_kind() {
    let service = service().await;
    let request = service.post("/api/v1/fabrics/lab-fabric/sync").bearer_auth(TOKEN);

    let request = request.header("Content-Type", "application/json").body(r#"{"dry_run": true}"#);
    Answer::of(request.send().await.unwrap()).await.job();

    assert_eq!(service.drain().await, [("lab-fabric".to_owned(), vec![Change::DryRun])]);
}

#[tokio::test]
async fn a_fabric_shows_how_it_stands() {
    let service = service().await;
    let standing = async || service.read("/api/v1/fabrics/lab-fabric").await.text("standing").to_owned();

    assert_eq!(standing().await, "never_synced");
    service.ask("/api/v1/fabrics/lab-fabric/sync").await.job();
    assert_eq!(standing().await, "pending");
    let claim = claim(&service).await;
    service.settle(&claim, |fabric| done(&claim, fabric)).await;
    assert_eq!(standing().await, "in_sync");

    let all = service.read("/api/v1/fabrics").await;
    let names: Vec<_> = all.body["fabrics"].as_array().unwrap().iter().map(|fabric| fabric["name"].clone()).collect();
    assert_eq!(names, ["far-fabric", "lab-fabric", "other-fabric"]);
    assert_eq!(all.body["fabrics"][1]["standing"], "in_sync");
    assert_eq!(all.body["fabrics"][1]["directory"], "lab-fabric");
}

/// Leaves one object held and its deletion guarded.
async fn hold(service: &Service) {
    service.ask("/api/v1/fabrics/lab-fabric/sync").await.job();
    let claim = claim(service).await;
    let held = BTreeMap::from([(key("a"), Some(Reason::new("deletion_guard", "too many at once")))]);
    let advance = Advance { held, guarded: Some(BTreeSet::from([key("a")])), ..Advance::default() };
    service.test.ledger.advance(&claim.proof, &FabricName::new("lab-fabric"), &advance).await.expect("Redis answers");
    service.settle(&claim, |fabric| done(&claim, fabric)).await;
}

#[tokio::test]
async fn held_deletions_are_shown_and_let_go_by_a_person() {
    let service = service().await;
    hold(&service).await;
    let vpc = json!({"kind": "VPC", "namespace": "default", "name": "a"});

    let shown = service.read("/api/v1/fabrics/lab-fabric").await;
    assert_eq!((shown.text("standing"), &shown.body["held"]), ("held", &json!(1)));
    assert_eq!(shown.body["held_objects"][0]["key"], vpc);
    assert_eq!(shown.body["held_objects"][0]["reason"]["code"], "deletion_guard");
    assert_eq!(shown.body["guarded"], json!([vpc]));

    let confirmed = service.ask("/api/v1/fabrics/lab-fabric/confirm-deletions").await;
    assert_eq!((confirmed.status.as_u16(), &confirmed.body["confirmed"]), (202, &json!([vpc])));
    assert!(confirmed.body["job"]["job_id"].is_string());
    let memory = service.test.ledger.memory(&FabricName::new("lab-fabric")).await.unwrap();
    assert_eq!(memory.confirmed, BTreeSet::from([key("a")]));
    assert_eq!(service.drain().await, [("lab-fabric".to_owned(), vec![Change::Everything])]);

    let again = service.ask("/api/v1/fabrics/lab-fabric/confirm-deletions").await;
    assert_eq!((again.status.as_u16(), &again.body), (200, &json!({"confirmed": [], "job": null})));
}

#[tokio::test]
async fn a_person_may_let_this_ledger_adopt_a_directory() {
    let service = service().await;

    service.ask("/api/v1/fabrics/lab-fabric/adopt").await.job();

    assert!(service.test.ledger.memory(&FabricName::new("lab-fabric")).await.unwrap().adopt);
    assert_eq!(service.drain().await, [("lab-fabric".to_owned(), vec![Change::Everything])]);
}

#[tokio::test]
async fn a_queued_job_can_be_called_off_and_a_finished_one_cannot() {
    let service = service().await;
    let job = service.ask("/api/v1/fabrics/lab-fabric/sync").await.job();
    let cancel = format!("/api/v1/jobs/{job}/cancel");

    let cancelled = service.ask(&cancel).await;
    assert_eq!((cancelled.status.as_u16(), cancelled.text("state")), (200, "cancelled"));

    let again = service.ask(&cancel).await;
    again.is_problem(409, "not_in_this_state");
    assert!(again.text("detail").contains("cancelled"), "{}", again.body);
}

#[tokio::test]
async fn a_dead_job_is_tried_again_and_a_living_one_is_not() {
    let service = service().await;
    let living = service.ask("/api/v1/fabrics/far-fabric/sync").await.job();
    service.ask(&format!("/api/v1/jobs/{living}/retry")).await.is_problem(409, "not_in_this_state");
    let dead = dead_job(&service).await;

    let answer = service.ask(&format!("/api/v1/jobs/{dead}/retry")).await;

    assert_eq!(answer.job(), dead);
    assert_eq!(service.read(&format!("/api/v1/jobs/{dead}")).await.text("state"), "queued");
    assert!(service.drain().await.contains(&("lab-fabric".to_owned(), vec![Change::Everything])));
}

#[tokio::test]
async fn ignored_deliveries_are_listed_newest_first() {
    let service = service().await;
    for number in [1, 2] {
        Captured::number(number).send(&service).await.ignored();
    }

    let shown = service.read("/api/v1/deliveries?outcome=ignored&limit=1").await;

    let deliveries = shown.body["deliveries"].as_array().unwrap();
    assert_eq!(deliveries.len(), 1);
    assert_eq!(
        (&deliveries[0]["sender"], &deliveries[0]["subject"]),
        (&json!("netbox"), &json!("netbox_hedgehog.vpc#6"))
    );
    let next = shown.text("next");
    let rest = service.read(&format!("/api/v1/deliveries?outcome=ignored&cursor={next}")).await;
    assert_eq!((rest.body["deliveries"].as_array().unwrap().len(), &rest.body["next"]), (1, &Value::Null));
    for query in ["limit=501", "outcome=accepted", "cursor=yesterday"] {
        service.read(&format!("/api/v1/deliveries?{query}")).await.is_problem(400, "bad_query");
    }
}

#[tokio::test]
async fn deliveries_are_listed_with_what_they_led_to() {
    let service = service().await;
    let job = Captured::number(30).send(&service).await.job();
    Captured::number(1).send(&service).await.ignored();
    Captured::number(30).send(&service).await.job();

    let shown = service.read("/api/v1/deliveries").await.body;

    let outcomes: Vec<_> =
        shown["deliveries"].as_array().unwrap().iter().map(|each| (&each["outcome"], &each["job_id"])).collect();
    let job = json!(job);
    assert_eq!(outcomes, [(&json!("duplicate"), &job), (&json!("ignored"), &Value::Null), (&json!("accepted"), &job)]);
    assert_eq!(shown["deliveries"][0]["subject"], "netbox_custom_objects.table2model#1 updated");
}

#[tokio::test]
async fn every_route_of_the_api_wants_a_good_token() {
    let service = service().await;
    let description = serde_json::to_value(fgd_sync::http::openapi()).unwrap();
    let paths = description["paths"].as_object().unwrap();
    let mut asked = 0;

    for (path, methods) in paths.iter().filter(|(path, _)| path.starts_with("/api/")) {
        let path = path.replace("{name}", "lab-fabric");
        let path = path.replace("{id}", "01KAJ3V0M1W9T6N4ZC5X8R7QHD").replace("{job}", "01KAJ3V0M1W9T6N4ZC5X8R7QHD");
        for method in methods.as_object().unwrap().keys() {
            let request = || if method == "get" { service.get(&path) } else { service.post(&path) };
            let none = Answer::of(request().send().await.unwrap()).await;
            none.is_problem(401, "missing_token");
            assert_eq!(none.header("www-authenticate"), "Bearer realm=\"fgd-sync\"");
            for header in ["Bearer wrong", "Bearer ", "Bearer", &format!("Basic {TOKEN}"), &format!("Bearer {TOKEN}x")]
            {
                let wrong = Answer::of(request().header("Authorization", header).send().await.unwrap()).await;
                wrong.is_problem(401, "wrong_token");
                assert!(wrong.header("www-authenticate").contains("invalid_token"));
            }
            asked += 1;
        }
    }

    assert_eq!(asked, paths.iter().filter(|(path, _)| path.starts_with("/api/")).count());
    assert!(asked > 18, "{asked}");
    assert!(service.test.ledger.next_due().await.unwrap().is_none(), "nothing was recorded");
}

#[tokio::test]
async fn health_needs_no_token_and_readiness_needs_redis() {
    let mut service = service().await;
    let answer = async |service: &Service, path: &str| Answer::of(service.get(path).send().await.unwrap()).await;

    assert_eq!(answer(&service, "/readyz").await.status.as_u16(), 200);
    // The old one ends, and the ledger does not know the new one.
    service.test.server = RedisServer::start();

    let ready = answer(&service, "/readyz").await;
    ready.is_problem(503, "ledger_unavailable");
    assert!(!ready.header("retry-after").is_empty());
    assert_eq!(answer(&service, "/healthz").await.status.as_u16(), 200);
    service.read("/api/v1/jobs").await.is_problem(503, "ledger_unavailable");
}

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    let service = service().await;

    for path in ["/healthz", "/api/v1/jobs", "/api/v1/nothing", "/api/v1/jobs?x=1"] {
        let answer = service.read(path).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("cross-origin-resource-policy"), "same-origin", "{path}");
        let kept = if answer.header("etag").is_empty() { "no-store" } else { "private, no-cache" };
        assert_eq!(answer.header("cache-control"), kept, "{path}");
        assert!(answer.header("content-security-policy").contains("default-src 'none'"), "{path}");
    }
}

#[test]
fn openapi_json_is_what_the_code_says() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("openapi/openapi.json");
    let made = format!("{}\n", fgd_sync::http::openapi().to_pretty_json().unwrap());
    if std::env::var_os("UPDATE").is_some_and(|value| value == "1") {
        std::fs::write(&path, &made).unwrap();
    }

    let kept = std::fs::read_to_string(&path).unwrap();

    assert!(kept == made, "openapi/openapi.json is old: run this test with UPDATE=1");
}

#[test]
fn every_operation_is_documented_with_its_errors() {
    let description = serde_json::to_value(fgd_sync::http::openapi()).unwrap();

    for (path, methods) in description["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let at = format!("{method} {path}");
            assert!(operation["summary"].is_string() && operation["operationId"].is_string(), "{at}");
            assert_eq!(operation["tags"].as_array().map(Vec::len), Some(1), "{at}");
            let responses = operation["responses"].as_object().unwrap();
            for (status, response) in responses {
                assert!(response["description"].is_string(), "{at} {status}");
                if status.starts_with(['4', '5']) {
                    let schema = &response["content"]["application/problem+json"]["schema"]["$ref"];
                    assert_eq!(schema, "#/components/schemas/Problem", "{at} {status}");
                }
            }
            if path.starts_with("/api/") {
                assert!(["400", "401", "503"].iter().all(|status| responses.contains_key(*status)), "{at}");
                let role = operation["security"][0]["api_token"][0].as_str().unwrap();
                assert_eq!(role == "read", method == "get", "{at}");
                assert_eq!(role != "read", responses.contains_key("403"), "{at}");
            }
        }
    }
}

/// Whether an answer shows what it looks like, in its own place or in its schema's.
fn has_example(description: &Value, response: &Value) -> bool {
    let content = response["content"].as_object().and_then(|kinds| kinds.values().next()).unwrap_or(&Value::Null);
    let reference = content["schema"]["$ref"].as_str().unwrap_or_default();
    let schema = &description["components"]["schemas"][reference.rsplit('/').next().unwrap_or_default()];
    !content["example"].is_null() || !schema["example"].is_null()
}

#[test]
fn every_answer_has_an_example() {
    let description = serde_json::to_value(fgd_sync::http::openapi()).unwrap();

    for (path, methods) in description["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            for (status, response) in operation["responses"].as_object().unwrap() {
                if status.starts_with('2') {
                    assert!(has_example(&description, response), "{method} {path} {status}");
                }
            }
        }
    }
    assert!(!description["components"]["schemas"]["Problem"]["example"].is_null());
}

fn fields(value: &Value) -> BTreeSet<String> {
    value.as_object().expect("an object").keys().cloned().collect()
}

#[tokio::test]
async fn the_examples_have_the_fields_of_real_answers() {
    let service = service().await;
    let job = service.ask("/api/v1/fabrics/lab-fabric/sync").await.job();
    let claim = claim(&service).await;
    let report = |fabric: &FabricName| Box::new(full_report(&claim, fabric));
    service.settle(&claim, |fabric| PartOutcome::Done { report: report(fabric), held: true }).await;
    let description = serde_json::to_value(fgd_sync::http::openapi()).unwrap();
    let example = |schema: &str| description["components"]["schemas"][schema]["example"].clone();

    let (real, shown) = (service.read(&format!("/api/v1/jobs/{job}")).await.body, example("JobView"));
    assert_eq!(fields(&real), fields(&shown));
    assert_eq!(fields(&real["parts"][0]), fields(&shown["parts"][0]));
    assert_eq!(fields(&real["parts"][0]["report"]), fields(&shown["parts"][0]["report"]));
    let (real, shown) = (service.read("/api/v1/jobs").await.body, example("JobsView"));
    assert_eq!(fields(&real["jobs"][0]["parts"][0]), fields(&shown["jobs"][0]["parts"][0]));
    let (real, shown) = (service.read("/api/v1/fabrics").await.body, example("FabricsView"));
    assert_eq!(fields(&real["fabrics"][0]), fields(&shown["fabrics"][0]));
    let real = service.read("/api/v1/fabrics/lab-fabric").await.body;
    assert_eq!(fields(&real), fields(&example("FabricDetailView")));
    assert_eq!(fields(&service.read("/api/v1/nothing").await.body), fields(&example("Problem")));
}

#[test]
fn every_schema_that_is_named_is_there() {
    let text = fgd_sync::http::openapi().to_json().unwrap();
    let description: Value = serde_json::from_str(&text).unwrap();
    let schemas = description["components"]["schemas"].as_object().unwrap();

    for reference in text.split("#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(schemas.contains_key(name), "{name}");
    }
}
