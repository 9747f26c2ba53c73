//! What `deploy/` says about metrics, held against the metrics that there are.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::*;
use crate::api::metrics::Page;

fn deployed(file: &str) -> String {
    std::fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("deploy").join(file)).expect("it is there")
}

/// Every name of ours in a text.
fn names(text: &str) -> BTreeSet<String> {
    let of_a_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let starts = text.match_indices("fgd_").filter(|(at, _)| !text[..*at].ends_with(of_a_name));
    starts.map(|(at, _)| text[at..].chars().take_while(|c| of_a_name(*c)).collect()).collect()
}

/// All texts below a key, at any depth.
fn below<'v>(value: &'v Value, key: &str, found: &mut Vec<&'v str>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match field.as_str().filter(|_| name == key) {
                    Some(text) => found.push(text),
                    None => below(field, key, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| below(item, key, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The series that a page tells, by the names that a query gives them.
fn series(page: &Page) -> BTreeSet<String> {
    let of = |(name, kind): (&String, &String)| match kind.as_str() {
        "histogram" => ["_bucket", "_sum", "_count"].iter().map(|suffix| format!("{name}{suffix}")).collect(),
        _ => vec![name.clone()],
    };
    page.kinds.iter().flat_map(of).collect()
}

fn alerts() -> Vec<Value> {
    let rules: Value = serde_yaml::from_str(&deployed("prometheus-alerts.yaml")).expect("YAML");
    rules["groups"][0]["rules"].as_array().expect("rules").clone()
}

#[tokio::test]
async fn the_dashboard_and_the_alerts_use_metrics_that_there_are() {
    let dashboard: Value = serde_json::from_str(&deployed("grafana-dashboard.json")).expect("JSON");
    let mut queries = Vec::new();
    below(&dashboard, "expr", &mut queries);
    let alerts = alerts();
    queries.extend(alerts.iter().map(|alert| alert["expr"].as_str().expect("a query")));
    let scaling = ["kubernetes/autoscaling.yaml", "prometheus-adapter.yaml"].map(deployed);
    queries.extend(scaling.iter().map(String::as_str));
    assert!(queries.len() > 40, "{}", queries.len());

    let used: BTreeSet<String> = queries.iter().flat_map(|query| names(query)).collect();

    let there = series(&Page::of(&service().await).await);
    let missing: Vec<_> = used.difference(&there).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(used.len() > 20, "{used:?}");
}

#[tokio::test]
async fn the_dashboard_shows_every_metric_that_there_is() {
    let shown = names(&deployed("grafana-dashboard.json"));
    let page = Page::of(&service().await).await;

    let of_histogram = |name: &str| format!("{name}_bucket");
    let not_shown: Vec<_> =
        page.kinds.keys().filter(|name| !shown.contains(*name) && !shown.contains(&of_histogram(name))).collect();

    assert!(not_shown.is_empty(), "{not_shown:?}");
}

#[test]
fn what_waits_for_a_person_has_an_alert() {
    let watched: BTreeSet<String> = alerts().iter().flat_map(|alert| names(alert["expr"].as_str().unwrap())).collect();

    for metric in [
        "fgd_dead_letters",
        "fgd_fabric_conflicts",
        "fgd_fabric_drift_objects",
        "fgd_fabric_failing",
        "fgd_fabric_guarded_deletions",
        "fgd_fabric_held_objects",
        "fgd_fabric_history_broken",
        "fgd_fabric_paused",
        "fgd_lease_age_seconds",
        "fgd_rate_limit_remaining",
        "fgd_server_token_expiry_timestamp_seconds",
        "fgd_server_up",
        "fgd_trace_spans_dropped_total",
    ] {
        assert!(watched.contains(metric), "no alert watches {metric}");
    }
}

#[test]
fn every_alert_has_its_paragraph_in_the_runbook_and_every_paragraph_its_alert() {
    let runbook = deployed("RUNBOOK.md");
    let paragraphs: BTreeSet<&str> = runbook.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let alerts = alerts();

    for alert in &alerts {
        let name = alert["alert"].as_str().expect("a name");
        let link = format!("RUNBOOK.md#{}", name.to_lowercase());
        assert_eq!(alert["annotations"]["runbook_url"], json!(link));
        assert!(alert["annotations"]["summary"].is_string() && alert["labels"]["severity"].is_string(), "{name}");
    }
    let named: BTreeSet<&str> = alerts.iter().filter_map(|alert| alert["alert"].as_str()).collect();
    assert_eq!(named, paragraphs);
}

#[test]
fn every_route_that_the_runbook_names_is_there() {
    let description = serde_json::to_value(fgd_sync::http::openapi()).unwrap();
    let known: BTreeSet<&str> = description["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    let runbook = deployed("RUNBOOK.md");
    let mut named = 0;

    for text in runbook.split("$API").skip(1) {
        let path: String = text.chars().take_while(|c| c.is_ascii_alphanumeric() || "/_-{}".contains(*c)).collect();
        if path.starts_with('/') {
            assert!(known.contains(path.as_str()), "{path}");
            named += 1;
        }
    }
    assert!(named > 10, "{named}");
}
