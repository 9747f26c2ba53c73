use fgd_sync::domain::file_edit::{FileEdit, RunEdits};
use fgd_sync::domain::names::FabricName;

use super::*;

#[tokio::test]
async fn a_run_is_shown_with_what_asked_for_it_and_what_came_of_it() {
    let service = service().await;
    let job = service.ask("/api/v1/fabrics/lab-fabric/sync").await.job();
    let claim = claim(&service).await;
    let path = format!("/api/v1/runs/{}", claim.run);

    let begun = service.read(&path).await;
    assert_eq!((begun.status.as_u16(), &begun.body["ended"]), (200, &Value::Null), "{}", begun.body);
    assert_eq!((&begun.body["parts"][0]["outcome"], begun.text("repository")), (&json!("running"), "fabrics"));
    assert_eq!((&begun.body["parts"][0]["jobs"], &begun.body["parts"][0]["report"]), (&json!([job]), &Value::Null));
    service.settle(&claim, |fabric| done(&claim, fabric)).await;

    let ended = service.read(&path).await;
    let part = &ended.body["parts"][0];
    assert_eq!((&part["outcome"], &part["counts"]["held"]), (&json!("succeeded"), &json!(0)));
    assert_eq!(part["report"]["run"], json!(claim.run.as_str()));
    assert!(part["lag_ms"].as_u64().unwrap() >= 60_000 && ended.body["duration_ms"].is_u64(), "{}", ended.body);
    let listed = service.read("/api/v1/runs?fabric=lab-fabric").await.body;
    assert_eq!((&listed["runs"][0]["id"], &listed["next"]), (&json!(claim.run.as_str()), &Value::Null));
    assert!(listed["runs"][0]["parts"][0].get("report").is_none(), "the list leaves reports out");
    assert_eq!(service.read("/api/v1/runs?fabric=far-fabric").await.body["runs"], json!([]));
}

#[tokio::test]
async fn a_failed_run_says_why() {
    let service = service().await;
    service.ask("/api/v1/fabrics/lab-fabric/sync").await.job();
    let claim = claim(&service).await;

    service.settle(&claim, |_| failed("netbox_unavailable")).await;

    let shown = service.read(&format!("/api/v1/runs/{}", claim.run)).await;
    let part = &shown.body["parts"][0];
    assert_eq!((&part["outcome"], &part["error"]["code"]), (&json!("transient"), &json!("netbox_unavailable")));
    service.read("/api/v1/runs/01KAJ3V0M1W9T6N4ZC5X8R7QHD").await.is_problem(404, "unknown_run");
    service.read("/api/v1/runs/none").await.is_problem(404, "unknown_run");
    service.read("/api/v1/runs?cursor=none").await.is_problem(400, "bad_query");
}

#[tokio::test]
async fn the_edits_of_a_run_come_by_fabric_and_in_pages() {
    let service = service().await;
    let body = json!({"action": "sync", "netbox": "lab"});
    assert_eq!(post(&service, "/api/v1/bulk", body).await.status.as_u16(), 202);
    let claim = claim(&service).await;
    let mut fabrics: Vec<FabricName> = claim.parts.iter().map(|part| part.fabric.clone()).collect();
    fabrics.sort();
    assert_eq!(fabrics.len(), 2, "{fabrics:?}");
    let edit = FileEdit { path: "lab/managed/vpcs/web.yaml".to_owned(), diff: "@@ -1 +1 @@\n-a\n+b\n".to_owned() };
    let edits = RunEdits { files: vec![edit], left_out: 3 };
    service.test.ledger.keep_edits(&claim.run, &fabrics[0], &edits).await.unwrap();
    let path = format!("/api/v1/runs/{}/edits", claim.run);

    let all = service.read(&path).await;
    let first = service.read(&format!("{path}?limit=1")).await;
    let second = service.read(&format!("{path}?limit=1&cursor={}", first.text("next"))).await;
    let other = service.read(&format!("{path}?fabric={}", fabrics[1])).await;

    let shown = |answer: &Answer| -> Vec<Value> { answer.body["fabrics"].as_array().unwrap().clone() };
    assert_eq!(shown(&all).len(), fabrics.len(), "{}", all.body);
    let changed = json!({
        "fabric": fabrics[0],
        "files": [{"path": "lab/managed/vpcs/web.yaml", "diff": "@@ -1 +1 @@\n-a\n+b\n"}],
        "left_out": 3,
    });
    let unchanged = json!({"fabric": fabrics[1], "files": [], "left_out": 0});
    assert_eq!((shown(&all)[0].clone(), &all.body["next"]), (changed.clone(), &Value::Null));
    assert_eq!((shown(&first), first.text("next")), (vec![changed], fabrics[0].to_string().as_str()));
    assert_eq!(shown(&second)[0], unchanged);
    assert_eq!(shown(&other), [unchanged]);
    service.read("/api/v1/runs/none/edits").await.is_problem(404, "unknown_run");
    service.read(&format!("{path}?limit=51")).await.is_problem(400, "bad_query");
}
