use super::*;

async fn names(service: &Service, query: &str) -> Vec<Value> {
    let page = service.read(&format!("/api/v1/fabrics?{query}")).await.body;
    page["fabrics"].as_array().unwrap().iter().map(|fabric| fabric["name"].clone()).collect()
}

#[tokio::test]
async fn fabrics_are_listed_by_name_in_pages_and_by_where_they_are() {
    let service = service().await;

    let first = service.read("/api/v1/fabrics?limit=2").await.body;
    let next = first["next"].as_str().unwrap();

    assert_eq!(next, "lab-fabric");
    assert_eq!(names(&service, &format!("limit=2&cursor={next}")).await, ["other-fabric"]);
    assert_eq!(service.read(&format!("/api/v1/fabrics?cursor={next}")).await.body["next"], Value::Null);
    assert_eq!(names(&service, "netbox=second").await, ["far-fabric"]);
    assert_eq!(names(&service, "repository=fabrics&netbox=lab&limit=1").await, ["lab-fabric"]);
    assert_eq!(names(&service, "repository=none").await, [""; 0]);
}

#[tokio::test]
async fn a_fabric_tells_since_when_changes_wait_and_what_was_given_up() {
    let service = service().await;
    let job = service.ask("/api/v1/fabrics/lab-fabric/sync").await.job();
    let created = service.read(&format!("/api/v1/jobs/{job}")).await.text("created").to_owned();

    let waiting = service.read("/api/v1/fabrics/lab-fabric").await;
    dead_job(&service, "far-fabric", "x").await;

    assert_eq!((waiting.text("pending_since"), &waiting.body["pending_changes"]), (created.as_str(), &json!(1)));
    let far = service.read("/api/v1/fabrics/far-fabric").await;
    assert_eq!((far.text("standing"), &far.body["dead_letters"]), ("failing", &json!(1)));
}
