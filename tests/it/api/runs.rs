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
