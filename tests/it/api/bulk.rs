use super::*;
use fgd_sync::domain::change::Change;

async fn bulk(service: &Service, body: Value) -> Answer {
    post(service, "/api/v1/bulk", body).await
}

fn names(answer: &Answer) -> Vec<&str> {
    answer.body["fabrics"].as_array().unwrap().iter().map(|each| each["fabric"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn each_selected_fabric_gets_a_job_of_its_own() {
    let service = service().await;

    let asked = bulk(&service, json!({"action": "sync", "netbox": "lab"})).await;

    assert_eq!((asked.status.as_u16(), names(&asked)), (202, vec!["lab-fabric", "other-fabric"]));
    for each in asked.body["fabrics"].as_array().unwrap() {
        let job = service.read(each["job"]["status_url"].as_str().unwrap()).await;
        assert_eq!(
            (&job.body["parts"][0]["fabric"], &job.body["origin"]["what"]),
            (&each["fabric"], &json!("sync by kim"))
        );
    }
    let due =
        [("lab-fabric".to_owned(), vec![Change::Everything]), ("other-fabric".to_owned(), vec![Change::Everything])];
    assert_eq!(service.drain().await, due);
}

#[tokio::test]
async fn fabrics_are_selected_by_name_and_place_and_all() {
    let service = service().await;

    let named =
        json!({"action": "dry_run", "fabrics": ["other-fabric", "far-fabric", "other-fabric"], "netbox": "lab"});
    assert_eq!(names(&bulk(&service, named).await), ["other-fabric"]);
    let all = bulk(&service, json!({"action": "pause", "all": true, "reason": "power"})).await;
    assert_eq!((names(&all).len(), &all.body["fabrics"][0]["job"]), (3, &Value::Null));
    let paused = service.read("/api/v1/fabrics/far-fabric").await.body["paused"].clone();
    assert_eq!((&paused["scope"], &paused["reason"]), (&json!("fabric"), &json!("power")));
    assert!(try_claim(&service).await.is_none());

    bulk(&service, json!({"action": "resume", "repository": "fabrics"})).await;
    assert_eq!(service.drain().await, [("other-fabric".to_owned(), vec![Change::DryRun])]);
}

#[tokio::test]
async fn a_selection_that_is_not_one_does_nothing() {
    let service = service().await;

    for body in [
        json!({"action": "sync"}),
        json!({"action": "sync", "all": true, "netbox": "lab"}),
        json!({"action": "erase", "all": true}),
        json!({"all": true}),
        json!({"action": "sync", "all": true, "colour": "red"}),
    ] {
        bulk(&service, body).await.is_problem(400, "bad_body");
    }
    let unknown = json!({"action": "sync", "fabrics": ["lab-fabric", "none"]});
    bulk(&service, unknown).await.is_problem(404, "unknown_fabric");
    service.ask("/api/v1/bulk").await.is_problem(400, "bad_body");

    assert!(try_claim(&service).await.is_none());
}
