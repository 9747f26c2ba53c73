use super::*;

#[tokio::test]
async fn a_dead_letter_is_shown_with_its_changes_and_cause_and_replayed() {
    let service = service().await;
    let job = dead_job(&service, "lab-fabric", "netbox_unavailable").await;

    let shown = service.read("/api/v1/dead-letters").await;

    let letters = shown.body["dead_letters"].as_array().unwrap();
    assert_eq!((letters.len(), &letters[0]["fabric"], &letters[0]["jobs"]), (1, &json!("lab-fabric"), &json!([job])));
    assert_eq!((&letters[0]["changes"], &letters[0]["all_changes"]), (&json!(["full comparison"]), &json!(1)));
    assert_eq!(letters[0]["error"]["code"], "netbox_unavailable");
    assert_eq!(service.ask(&format!("/api/v1/dead-letters/{job}/replay")).await.job(), job);
    assert_eq!(service.read(&format!("/api/v1/jobs/{job}")).await.text("state"), "queued");
    assert_eq!(service.read("/api/v1/dead-letters").await.body["dead_letters"], json!([]));
    service.wake.notified().await;
}

#[tokio::test]
async fn a_discarded_letters_job_has_failed_with_the_reason() {
    let service = service().await;
    let job = dead_job(&service, "lab-fabric", "netbox_unavailable").await;
    let discard = format!("/api/v1/dead-letters/{job}/discard");

    post(&service, &discard, json!({})).await.is_problem(400, "bad_body");
    let discarded = post(&service, &discard, json!({"reason": "dismantled"})).await;

    assert_eq!((discarded.status.as_u16(), discarded.text("state")), (200, "failed"));
    let part = &discarded.body["parts"][0];
    assert_eq!(part["discarded"], json!({"by": "kim", "reason": "dismantled"}));
    assert_eq!(part["error"]["code"], "netbox_unavailable");
    assert_eq!(discarded.body["finished"], true);
    post(&service, &discard, json!({"reason": "x"})).await.is_problem(409, "not_in_this_state");
    let failed = service.read("/api/v1/jobs?state=failed").await;
    assert_eq!(failed.body["jobs"][0]["id"], json!(job));
}

#[tokio::test]
async fn letters_are_ended_in_bulk_by_fabric_and_code() {
    let service = service().await;
    dead_job(&service, "lab-fabric", "netbox_unavailable").await;
    dead_job(&service, "far-fabric", "git_unavailable").await;
    dead_job(&service, "other-fabric", "git_unavailable").await;
    let fabrics = async |query: &str| {
        let page = service.read(&format!("/api/v1/dead-letters?{query}")).await.body;
        page["dead_letters"].as_array().unwrap().iter().map(|letter| letter["fabric"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(fabrics("code=git_unavailable").await, ["other-fabric", "far-fabric"]);
    assert_eq!(fabrics("code=git_unavailable&fabric=far-fabric").await, ["far-fabric"]);

    let replay = json!({"code": "git_unavailable", "fabric": "far-fabric"});
    let replayed = post(&service, "/api/v1/dead-letters/replay", replay).await;
    let discarded = post(&service, "/api/v1/dead-letters/discard", json!({"all": true, "reason": "old"})).await;

    assert_eq!(replayed.body, json!({"dead_letters": 1, "jobs": 1, "more": false}));
    assert_eq!(discarded.body, json!({"dead_letters": 2, "jobs": 2, "more": false}));
    assert_eq!(fabrics("").await, [""; 0]);
}

#[tokio::test]
async fn a_bulk_request_that_names_nothing_ends_nothing() {
    let service = service().await;
    let job = dead_job(&service, "lab-fabric", "x").await;

    for body in [json!({}), json!({"all": false}), json!({"all": true, "fabric": "lab-fabric"})] {
        post(&service, "/api/v1/dead-letters/replay", body).await.is_problem(400, "bad_body");
    }
    post(&service, "/api/v1/dead-letters/discard", json!({"all": true})).await.is_problem(400, "bad_body");

    assert_eq!(service.read(&format!("/api/v1/jobs/{job}")).await.text("state"), "dead");
}

#[tokio::test]
async fn letters_are_listed_in_pages() {
    let service = service().await;
    for fabric in ["lab-fabric", "far-fabric", "other-fabric"] {
        dead_job(&service, fabric, "x").await;
    }

    let first = service.read("/api/v1/dead-letters?limit=2").await.body;
    let cursor = first["next"].as_str().unwrap();
    let second = service.read(&format!("/api/v1/dead-letters?limit=2&cursor={cursor}")).await.body;

    assert_eq!(first["dead_letters"].as_array().unwrap().len(), 2);
    assert_eq!((&second["dead_letters"][0]["fabric"], &second["next"]), (&json!("lab-fabric"), &Value::Null));
    service.read("/api/v1/dead-letters?cursor=x").await.is_problem(400, "bad_query");
}
