//! The API's operational half, through the real server over a real Redis.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use fgd_sync::ledger::types::{Claim, JobError, PartOutcome};
use fgd_sync::webhook::netbox::Model;
use serde_json::{Value, json};

use crate::receive::service::{Answer, Service, TOKEN, done};

mod bulk;
mod connections;
mod dead_letters;
mod deploy;
mod events;
mod fabrics;
mod large;
mod metrics;
mod pausing;
mod repeating;
mod runs;
mod surface;
mod tokens;

async fn service() -> Service {
    Service::start(Model::CustomObjects).await
}

async fn claim(service: &Service) -> Claim {
    try_claim(service).await.expect("something is due")
}

async fn try_claim(service: &Service) -> Option<Claim> {
    service.test.clock.advance(Duration::from_secs(60));
    service.test.ledger.claim("worker").await.expect("Redis answers")
}

/// Posts JSON with a good token.
async fn post(service: &Service, path: &str, body: Value) -> Answer {
    let request = service.post(path).bearer_auth(TOKEN).header("Content-Type", "application/json");
    Answer::of(request.body(body.to_string()).send().await.expect("answered")).await
}

fn failed(code: &str) -> PartOutcome {
    let error = JobError { code: code.to_owned(), message: "it failed".to_owned(), remedy: "Mend it.".to_owned() };
    PartOutcome::Transient { error }
}

/// Asks for a sync of a fabric and lets it fail until it is dead.
async fn dead_job(service: &Service, fabric: &str, code: &str) -> String {
    let job = service.ask(&format!("/api/v1/fabrics/{fabric}/sync")).await.job();
    for _ in 0..100 {
        service.test.clock.advance(Duration::from_secs(3_600));
        let Some(claim) = service.test.ledger.claim("worker").await.expect("Redis answers") else { break };
        service.settle(&claim, |_| failed(code)).await;
    }
    assert_eq!(service.read(&format!("/api/v1/jobs/{job}")).await.text("state"), "dead");
    job
}
