use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::receive::service::Captured;
use crate::support::redis::RedisServer;
use fgd_sync::ledger::types::Settlement;
use fgd_sync::queue::metrics::WorkMetrics;
use fgd_sync::queue::{self, Work, WorkerOptions};
use tokio::sync::Notify;

/// A page, read strictly: every sample belongs to the family above it, and no series stands twice.
pub struct Page {
    /// Family to its kind.
    pub kinds: BTreeMap<String, String>,
    samples: BTreeMap<String, f64>,
}

impl Page {
    pub async fn of(service: &Service) -> Self {
        let answer = service.get("/metrics").bearer_auth(TOKEN).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200);
        assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
        Self::parse(&answer.text().await.unwrap())
    }

    fn parse(text: &str) -> Self {
        let (mut kinds, mut samples) = (BTreeMap::new(), BTreeMap::new());
        let mut family = String::new();
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, help) = help.split_once(' ').expect("a help text");
                assert!(help.ends_with('.') && !kinds.contains_key(name), "{line}");
                family = name.to_owned();
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let kind = kind.strip_prefix(&family).expect("help stands before the kind").trim();
                kinds.insert(family.clone(), kind.to_owned());
            } else {
                let (series, value) = line.rsplit_once(' ').expect("a sample");
                let name = series.split('{').next().unwrap();
                let suffix = name.strip_prefix(&family).unwrap_or_else(|| panic!("{line} is not of {family}"));
                let suffixes: &[&str] =
                    if kinds[&family] == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
                assert!(suffixes.contains(&suffix), "{line}");
                assert_eq!(samples.insert(series.to_owned(), value.parse().expect("a number")), None, "{line}");
            }
        }
        Self { kinds, samples }
    }

    #[track_caller]
    pub fn value(&self, series: &str) -> f64 {
        *self.samples.get(series).unwrap_or_else(|| panic!("there is no {series} in {:#?}", self.samples))
    }
}

#[tokio::test]
async fn requests_are_counted_by_route_and_status() {
    let service = service().await;
    for number in [30, 1, 30] {
        Captured::number(number).send(&service).await;
    }
    service.read("/api/v1/jobs/none").await;
    service.read("/api/v1/jobs/other").await;
    service.read("/nothing/at/all").await;

    let page = Page::of(&service).await;

    let webhooks = r#"method="POST",route="/webhooks/netbox""#;
    assert_eq!(page.value(&format!("fgd_http_requests_total{{{webhooks},status=\"202\"}}")), 2.0);
    assert_eq!(page.value(&format!("fgd_http_requests_total{{{webhooks},status=\"200\"}}")), 1.0);
    assert_eq!(page.value(&format!("fgd_http_request_duration_seconds_count{{{webhooks}}}")), 3.0);
    assert_eq!(
        page.value(r#"fgd_http_requests_total{method="GET",route="/api/v1/jobs/{id}",status="404"}"#),
        2.0,
        "an id is no series of its own"
    );
    assert_eq!(page.value(r#"fgd_http_requests_total{method="GET",route="unknown",status="404"}"#), 1.0);
}

#[tokio::test]
async fn the_ledger_is_told_in_numbers() {
    let service = service().await;
    service.ask("/api/v1/fabrics/lab-fabric/sync").await.job();
    service.ask("/api/v1/fabrics/far-fabric/pause").await;
    let page = Page::of(&service).await;
    assert_eq!(page.value(r#"fgd_jobs{state="queued"}"#), 1.0);
    assert_eq!((page.value("fgd_due_targets"), page.value("fgd_scheduled_targets")), (1.0, 1.0));
    assert_eq!(page.value(r#"fgd_fabric_pending_changes{fabric="lab-fabric"}"#), 1.0);

    service.test.clock.advance(Duration::from_secs(100));
    let page = Page::of(&service).await;
    assert!(page.value("fgd_most_overdue_seconds") >= 100.0);
    assert!(page.value(r#"fgd_fabric_pending_age_seconds{fabric="lab-fabric"}"#) >= 100.0);
    let claim = claim(&service).await;
    service.test.clock.advance(Duration::from_secs(10));
    let page = Page::of(&service).await;
    assert!(page.value(r#"fgd_lease_age_seconds{repository="fabrics",branch="main"}"#) >= 10.0);
    assert_eq!(page.value("fgd_due_targets"), 0.0);
    service.settle(&claim, |fabric| done(&claim, fabric)).await;
    dead_job(&service, "other-fabric", "branch_gone").await;
    service.test.ledger.budget_left("app:1/2@github.com", "graphql", 4_321, Duration::from_secs(60)).await.unwrap();

    let page = Page::of(&service).await;
    assert!(page.value(r#"fgd_fabric_lag_seconds{fabric="lab-fabric"}"#) >= 110.0);
    assert!(page.value(r#"fgd_fabric_last_sync_timestamp_seconds{fabric="lab-fabric"}"#) > 1e9);
    assert_eq!((page.value("fgd_dead_letters"), page.value("fgd_paused")), (1.0, 0.0));
    let budget = r#"fgd_rate_limit_remaining{token="app:1/2@github.com",resource="graphql"}"#;
    assert_eq!(page.value(budget), 4_321.0);
    assert_eq!(page.value(r#"fgd_fabric_failing{fabric="other-fabric"}"#), 1.0);
    assert_eq!(page.value(r#"fgd_fabric_history_broken{fabric="other-fabric"}"#), 1.0);
    assert_eq!(page.value(r#"fgd_fabric_history_broken{fabric="far-fabric"}"#), 0.0);
    assert_eq!(page.value(r#"fgd_fabric_paused{fabric="far-fabric"}"#), 1.0);
}

#[tokio::test]
async fn without_redis_the_rest_is_told() {
    let mut service = service().await;
    // The old one ends, and the ledger does not know the new one.
    service.test.server = RedisServer::start();

    let page = Page::of(&service).await;

    assert_eq!(page.value("fgd_ledger_up"), 0.0);
    assert!(page.kinds.contains_key("fgd_jobs") && page.kinds.contains_key("fgd_fabric_failing"));
    assert_eq!(page.value(&format!("fgd_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"))), 1.0);
}

/// Ends every part as done, and tells when a number of runs has ended.
struct Quick {
    ended: Notify,
}

impl Work for Quick {
    async fn run(&self, claim: Claim) -> Settlement {
        self.ended.notify_one();
        let parts = claim.parts.iter().map(|part| (part.fabric.clone(), done(&claim, &part.fabric))).collect();
        Settlement { parts, head: None }
    }
}

#[tokio::test]
async fn the_workers_count_what_they_do() {
    let metrics = Arc::new(WorkMetrics::default());
    let service = Service::with(Model::CustomObjects, |state| state.with_work_metrics(metrics.clone())).await;
    Captured::number(30).send(&service).await.job();
    service.test.clock.advance(Duration::from_secs(60));
    let work = Arc::new(Quick { ended: Notify::new() });
    let options = WorkerOptions { metrics, ..WorkerOptions::default() };

    let stop = work.clone();
    let until = async move { stop.ended.notified().await };
    queue::work(service.test.ledger.clone(), work, options, Arc::default(), until).await.unwrap();

    let page = Page::of(&service).await;
    assert_eq!(page.value(r#"fgd_runs_total{outcome="succeeded"}"#), 1.0);
    assert_eq!(page.value(r#"fgd_batches_total{closed_because="quiet"}"#) as u64, 1);
    assert_eq!((page.value("fgd_batch_changes_sum"), page.value("fgd_runs_at_work")), (1.0, 0.0));
    assert_eq!(page.value("fgd_run_duration_seconds_count"), 1.0);
    assert_eq!(page.value(r#"fgd_lag_seconds_count{asked_by="netbox_delivery"}"#), 1.0);
    assert!(page.value(r#"fgd_lag_seconds_sum{asked_by="netbox_delivery"}"#) >= 60.0);
}

#[tokio::test]
async fn numbers_are_for_whoever_has_a_token() {
    let service = service().await;

    Answer::of(service.get("/metrics").send().await.unwrap()).await.is_problem(401, "missing_token");
}
