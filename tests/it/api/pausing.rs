use super::*;

#[tokio::test]
async fn a_paused_fabric_says_so_and_accepts_what_waits_for_its_resumption() {
    let service = service().await;

    let paused = post(&service, "/api/v1/fabrics/lab-fabric/pause", json!({"reason": "cabling"})).await;
    let job = service.ask("/api/v1/fabrics/lab-fabric/sync").await.job();

    assert_eq!((paused.status.as_u16(), &paused.body["paused"]["by"]), (200, &json!("kim")));
    let shown = service.read("/api/v1/fabrics/lab-fabric").await;
    assert_eq!((shown.text("standing"), &shown.body["paused"]), ("paused", &paused.body["paused"]));
    assert_eq!(
        (&shown.body["paused"]["scope"], &shown.body["paused"]["reason"]),
        (&json!("fabric"), &json!("cabling"))
    );
    assert!(try_claim(&service).await.is_none());
    assert_eq!(service.read(&format!("/api/v1/jobs/{job}")).await.text("state"), "queued");

    let resumed = service.ask("/api/v1/fabrics/lab-fabric/resume").await;
    assert_eq!((resumed.status.as_u16(), &resumed.body["paused"]), (200, &Value::Null));
    let claim = claim(&service).await;
    service.settle(&claim, |fabric| done(&claim, fabric)).await;
    assert_eq!(service.read("/api/v1/fabrics/lab-fabric").await.text("standing"), "in_sync");
}

#[tokio::test]
async fn a_pause_of_everything_is_shown_at_every_fabric() {
    let service = service().await;
    service.ask("/api/v1/fabrics/lab-fabric/sync").await.job();
    service.ask("/api/v1/fabrics/far-fabric/pause").await;

    let paused = service.ask("/api/v1/pause").await;

    assert_eq!(
        (&paused.body["paused"]["scope"], &paused.body["paused"]["reason"]),
        (&json!("everything"), &Value::Null)
    );
    let all = service.read("/api/v1/fabrics").await.body;
    assert_eq!(all["paused"], paused.body["paused"]);
    let scopes: Vec<_> = all["fabrics"].as_array().unwrap().iter().map(|fabric| &fabric["paused"]["scope"]).collect();
    assert_eq!(scopes, ["fabric", "everything", "everything"], "a fabric's own pause comes first");
    assert!(try_claim(&service).await.is_none());

    let resumed = service.ask("/api/v1/fabrics/far-fabric/resume").await;
    assert_eq!(resumed.body["paused"]["scope"], "everything", "what still holds is told");
    assert_eq!(service.ask("/api/v1/resume").await.body["paused"], Value::Null);
    claim(&service).await;
}

#[tokio::test]
async fn what_is_wrong_with_a_pause_is_named() {
    let service = service().await;

    let unknown = post(&service, "/api/v1/fabrics/lab-fabric/pause", json!({"why": "x"})).await;
    let long = post(&service, "/api/v1/pause", json!({"reason": "x".repeat(501)})).await;

    assert!(unknown.is_problem(400, "bad_body").text("detail").contains("`why`"), "{}", unknown.body);
    assert!(long.is_problem(400, "bad_body").text("detail").contains("`reason`"), "{}", long.body);
    service.ask("/api/v1/fabrics/none/pause").await.is_problem(404, "unknown_fabric");
    service.ask("/api/v1/fabrics/none/resume").await.is_problem(404, "unknown_fabric");
    assert_eq!(service.read("/api/v1/fabrics").await.body["paused"], Value::Null);
}
