//! What differs between both sides, and asking for a comparison.

use fgd_sync::domain::names::FabricName;
use fgd_sync::domain::report::JobState;
use serde_json::{Value, json};

use crate::support::app::{API_TOKEN, TestApp};

const DRIFT: &str = "/api/v1/fabrics/lab/drift";

fn server(name: &str, description: &str) -> String {
    format!(
        "apiVersion: wiring.githedgehog.com/v1beta1\nkind: Server\nmetadata:\n  name: {name}\nspec:\n  description: \
         {description}\n"
    )
}

async fn reconcile(app: &TestApp, mode: &str) -> JobState {
    app.post("/api/v1/fabrics/lab/reconcile", json!({"mode": mode})).await;
    let jobs = app.sync().await;
    assert_eq!(jobs.len(), 1, "{jobs:?}");
    jobs[0].state
}

/// Each item as `difference name-or-path`.
fn items(drift: &Value) -> Vec<String> {
    let shown = |item: &Value| {
        let name = item["key"]["name"].as_str().or(item["path"].as_str()).unwrap();
        format!("{} {name}", item["difference"].as_str().unwrap())
    };
    drift["items"].as_array().unwrap().iter().map(shown).collect()
}

/// Both sides have `one`; then each side changes or gets objects that nobody tells us of.
async fn drifted() -> TestApp {
    let app = TestApp::ready().await;
    app.netbox_user("alice").create("Server", "one", json!({"description": "old"})).await;
    app.sync().await;
    app.netbox_user("bob").update("Server", "one", json!({"description": "new"})).await;
    app.netbox_user("bob").create("Server", "in-netbox", json!({"description": "x"})).await;
    app.push(&[("managed/servers/in-git.yaml", &server("in-git", "y"))]).await;
    app.lose_all_deliveries().await;
    app
}

#[tokio::test]
async fn a_report_tells_what_differs_and_writes_nothing() {
    let app = drifted().await;
    let (commits, writes) = (app.commits().await, app.netbox_writes());

    let state = reconcile(&app, "report").await;

    assert_eq!(state, JobState::Succeeded);
    assert_eq!((app.commits().await, app.netbox_writes()), (commits.clone(), writes));
    let drift = app.get(DRIFT).await;
    assert_eq!(items(&drift), ["different one", "only_in_git in-git", "only_in_netbox in-netbox"]);
    assert_eq!(drift["items"][0]["paths"], json!(["/spec/description"]));
    assert_eq!(drift["items"][0]["reason"], Value::Null, "the next run brings it together");
    assert_eq!(
        drift["counts"],
        json!({"only_in_netbox": 1, "only_in_git": 1, "different": 1, "conflict": 0, "invalid": 0})
    );
    assert_eq!(drift["compared"]["head"], json!(commits[0].oid));
    assert_eq!(drift["compared"]["dry_run"], json!(true));
    assert_eq!(app.get("/api/v1/fabrics/lab").await["drift"], json!(3));
    app.finish().await;
}

/// How many requests a full comparison of both sides asks NetBox and the Git server.
async fn requests_of_a_comparison(app: &TestApp) -> (usize, usize) {
    let before = (app.netbox.count("GET"), app.git.requests().len());
    assert_eq!(reconcile(app, "report").await, JobState::Succeeded);
    (app.netbox.count("GET") - before.0, app.git.requests().len() - before.1)
}

#[tokio::test]
async fn a_comparison_asks_for_pages_and_not_for_each_object() {
    let app = TestApp::ready().await;
    app.netbox_user("alice").create("Server", "one", json!({"description": "old"})).await;
    app.sync().await;
    let of_one = requests_of_a_comparison(&app).await;

    app.netbox_user("alice").bulk_create("Server", 120, json!({"description": "old"})).await;
    app.sync().await;

    assert_eq!(requests_of_a_comparison(&app).await, of_one);
    app.finish().await;
}

#[tokio::test]
async fn what_a_run_heals_is_no_drift_afterwards() {
    let app = drifted().await;
    reconcile(&app, "report").await;

    let state = reconcile(&app, "heal").await;

    assert_eq!(state, JobState::Succeeded);
    let drift = app.get(DRIFT).await;
    assert_eq!(items(&drift), [""; 0]);
    assert_eq!(drift["compared"]["head"], json!(app.commits().await[0].oid), "as of the commit that the run made");
    assert_eq!(drift["compared"]["dry_run"], json!(false));
    assert_eq!(app.rows("Server").await.len(), 3);
    app.finish().await;
}

#[tokio::test]
async fn a_moved_head_that_a_report_saw_is_still_found_by_polling() {
    let app = drifted().await;

    reconcile(&app, "report").await;
    let target = &app.runner.fabrics[&FabricName::new("lab")].target;
    let moved = app.runner.poll_head(target).await.unwrap();

    assert!(moved.is_some());
    app.sync().await;
    assert!(app.rows("Server").await.iter().any(|row| row["name"] == "in-git"), "the push was never announced");
    app.finish().await;
}

#[tokio::test]
async fn what_waits_for_a_person_stays_drift_with_its_reason_until_it_is_settled() {
    let app = TestApp::ready().await;
    for name in ["one", "two", "three"] {
        app.netbox_user("alice").create("Server", name, json!({"description": "old"})).await;
    }
    app.sync().await;
    app.netbox_user("bob").update("Server", "one", json!({"description": "from netbox"})).await;
    app.push(&[("managed/servers/one.yaml", &server("one", "from git")), ("managed/servers/odd.yaml", "a: [")]).await;
    app.push_deletion(&["managed/servers/two.yaml"]).await;
    app.sync().await;

    reconcile(&app, "heal").await;

    let drift = app.get(DRIFT).await;
    assert_eq!(items(&drift), ["conflict one", "invalid lab/managed/servers/odd.yaml", "only_in_netbox two"]);
    let codes: Vec<&Value> = drift["items"].as_array().unwrap().iter().map(|item| &item["reason"]["code"]).collect();
    assert_eq!(codes[0], "changed_on_both_sides");
    assert_eq!(codes[2], "deleted_in_git");

    app.push(&[("managed/servers/two.yaml", &server("two", "old"))]).await;
    app.push_deletion(&["managed/servers/odd.yaml"]).await;
    app.sync().await;

    let now = app.get(DRIFT).await;
    assert_eq!(items(&now), ["conflict one"], "runs keep up what they look at");
    assert_eq!(now["compared"], drift["compared"], "nothing was compared in full since");
    app.finish().await;
}

#[tokio::test]
async fn drift_comes_in_pages_and_by_difference() {
    let app = TestApp::ready().await;
    app.netbox_user("alice").bulk_create("Server", 5, json!({"description": "x"})).await;
    app.push(&[("managed/servers/in-git.yaml", &server("in-git", "y"))]).await;
    app.lose_all_deliveries().await;
    reconcile(&app, "report").await;

    let mut found = Vec::new();
    let mut path = format!("{DRIFT}?difference=only_in_netbox&limit=2");
    loop {
        let page = app.get(&path).await;
        assert_eq!(page["counts"]["only_in_netbox"], 5);
        found.extend(items(&page));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("{DRIFT}?difference=only_in_netbox&limit=2&cursor={}", next.replace('/', "%2F"));
    }

    let wanted: Vec<String> = (0..5).map(|number| format!("only_in_netbox server-{number:03}")).collect();
    assert_eq!(found, wanted);
    app.finish().await;
}

#[tokio::test]
async fn the_number_of_differences_is_a_metric_once_there_was_a_comparison() {
    let app = TestApp::start().await;
    let metrics = async || {
        let request = reqwest::Client::new().get(format!("{}/metrics", app.address())).bearer_auth(API_TOKEN);
        request.send().await.unwrap().text().await.unwrap()
    };
    assert!(!metrics().await.contains("fgd_fabric_drift_objects{"));
    assert_eq!(app.get(DRIFT).await["compared"], Value::Null);
    app.netbox_user("alice").create("Server", "one", json!({"description": "old"})).await;
    app.lose_all_deliveries().await;

    reconcile(&app, "report").await;

    let text = metrics().await;
    assert!(text.contains("fgd_fabric_drift_objects{fabric=\"lab\"} 1\n"), "{text}");
    app.finish().await;
}

#[tokio::test]
async fn a_reconciliation_without_a_mode_is_refused() {
    let app = TestApp::start().await;

    let (status, problem) = app.ask("/api/v1/fabrics/lab/reconcile", json!({})).await;
    assert_eq!((status, &problem["code"]), (400, &json!("bad_body")));

    let (status, problem) = app.ask("/api/v1/fabrics/lab/reconcile", json!({"mode": "mend"})).await;
    assert_eq!((status, &problem["code"]), (400, &json!("bad_body")));
    app.finish().await;
}
