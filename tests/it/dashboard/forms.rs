use fgd_sync::domain::change::Change;
use fgd_sync::ledger::types::{JobError, PartOutcome};
use fgd_sync::webhook::netbox::Model;
use std::time::Duration;

use super::*;
use crate::receive::service::{OPERATE_TOKEN, READ_TOKEN, Service, TOKEN};

async fn service() -> Service {
    Service::start(Model::CustomObjects).await
}

async fn dead_job(service: &Service) -> String {
    let job = service.ask("/api/v1/fabrics/lab-fabric/sync").await.job();
    let error = JobError { code: "broken".to_owned(), message: "it failed".to_owned(), remedy: "Mend it.".to_owned() };
    for _ in 0..100 {
        service.test.clock.advance(Duration::from_secs(3_600));
        let Some(claim) = service.test.ledger.claim("worker").await.unwrap() else { break };
        service.settle(&claim, |_| PartOutcome::Transient { error: error.clone() }).await;
    }
    job
}

/// Every form there is, with what it needs.
const FORMS: [(&str, &[(&str, &str)]); 12] = [
    ("/fabrics", &[("action", "sync"), ("fabric", "lab-fabric")]),
    ("/fabrics", &[("action", "pause_everything")]),
    ("/fabrics/lab-fabric", &[("action", "sync")]),
    ("/fabrics/lab-fabric", &[("action", "dry_run")]),
    ("/fabrics/lab-fabric", &[("action", "pause")]),
    ("/fabrics/lab-fabric", &[("action", "confirm_deletions")]),
    ("/fabrics/lab-fabric", &[("action", "adopt")]),
    ("/jobs/01KAJ3V0M1W9T6N4ZC5X8R7QHD", &[("action", "cancel")]),
    ("/jobs/01KAJ3V0M1W9T6N4ZC5X8R7QHD", &[("action", "retry")]),
    ("/conflicts/lab-fabric/VPC/default/web", &[("side", "git")]),
    ("/dead-letters/01KAJ3V0M1W9T6N4ZC5X8R7QHD", &[("action", "replay")]),
    ("/dead-letters/01KAJ3V0M1W9T6N4ZC5X8R7QHD", &[("action", "discard"), ("reason", "gone")]),
];

#[tokio::test]
async fn no_form_is_believed_without_the_proof_of_its_session() {
    let service = service().await;
    let browser = Browser::signed_in(service.address(), TOKEN).await;
    let other = Browser::signed_in(service.address(), TOKEN).await.proof().await;

    for (path, fields) in FORMS {
        for proof in ["", "00", other.as_str()] {
            let answer = browser.submit_with(path, proof, fields).await;
            assert_eq!(answer.status, 403, "{path} {fields:?}");
            assert!(answer.text.contains("forged_form"), "{}", answer.text);
        }
    }
    assert_eq!(browser.submit_with("/sign-out", "", &[]).await.status, 403);
    assert_eq!(service.drain().await, [], "nothing was done");
}

#[tokio::test]
async fn a_form_of_nobodys_leads_to_the_sign_in() {
    let service = service().await;
    let browser = Browser::at(service.address());

    for (path, fields) in FORMS {
        let answer = browser.submit_with(path, "", fields).await;
        assert_eq!((answer.status, answer.location()), (303, "/sign-in?to=%2F"), "{path}");
    }
    assert_eq!(service.drain().await, []);
}

#[tokio::test]
async fn a_role_that_is_too_low_is_told_which_is_needed() {
    let service = service().await;
    let reader = Browser::signed_in(service.address(), READ_TOKEN).await;
    let operator = Browser::signed_in(service.address(), OPERATE_TOKEN).await;

    for (path, fields) in FORMS {
        let answer = reader.submit(path, fields).await;
        assert_eq!(answer.status, 403, "{path} {fields:?}");
        assert!(answer.text.contains("role_too_low"), "{}", answer.text);
    }
    for (path, fields) in FORMS
        .into_iter()
        .filter(|(_, fields)| matches!(fields[0].1, "pause_everything" | "confirm_deletions" | "adopt" | "discard"))
    {
        assert_eq!(operator.submit(path, fields).await.status, 403, "{path} {fields:?}");
    }
    assert_eq!(service.drain().await, []);
}

#[tokio::test]
async fn what_a_form_asks_for_is_done_in_its_senders_name() {
    let service = service().await;
    let browser = Browser::signed_in(service.address(), OPERATE_TOKEN).await;

    let answer = browser.submit("/fabrics/lab-fabric", &[("action", "sync")]).await;

    assert!(answer.status == 303 && answer.location().starts_with("/jobs/"), "{}", answer.text);
    browser.open(answer.location()).await.shows(&["sync by ola", "queued", "Call off"]);
    assert_eq!(service.drain().await, [("lab-fabric".to_owned(), vec![Change::Everything])]);
}

#[tokio::test]
async fn many_fabrics_are_acted_on_at_once() {
    let service = service().await;
    let browser = Browser::signed_in(service.address(), OPERATE_TOKEN).await;
    let picked = [("fabric", "lab-fabric"), ("fabric", "far-fabric")];
    let with = |action: &'static str| [&[("action", action)], picked.as_slice()].concat();

    assert_eq!(browser.submit("/fabrics", &with("pause")).await.location(), "/");
    let page = browser.open("/").await;
    assert_eq!(page.text.matches("paused</span>").count(), 3, "two lines and the tile: {}", page.text);
    assert_eq!(browser.submit("/fabrics", &with("resume")).await.location(), "/");
    assert_eq!(browser.submit("/fabrics", &with("dry_run")).await.location(), "/jobs");

    let due = ["far-fabric", "lab-fabric"].map(|name| (name.to_owned(), vec![Change::DryRun]));
    assert_eq!(service.drain().await, due);
    assert_eq!(browser.submit("/fabrics", &[("action", "sync")]).await.status, 400, "none is selected");
    let unknown = [("action", "sync"), ("fabric", "lab-fabric"), ("fabric", "none")];
    assert_eq!(browser.submit("/fabrics", &unknown).await.status, 404);
    assert_eq!(service.drain().await, [], "not even the one that there is");
}

#[tokio::test]
async fn an_admin_stops_everything_and_lets_it_go_on() {
    let service = service().await;
    let browser = Browser::signed_in(service.address(), TOKEN).await;

    browser.submit("/fabrics", &[("action", "pause_everything"), ("reason", "<i>power</i>")]).await;
    browser.open("/").await.shows(&["Everything is paused", "by kim", "&lt;i&gt;power&lt;/i&gt;", "Resume everything"]);
    browser.submit("/fabrics", &[("action", "resume_everything")]).await;

    browser.open("/").await.shows(&["Pause everything"]);
}

#[tokio::test]
async fn a_dead_letter_is_replayed_or_discarded_with_a_reason() {
    let service = service().await;
    let browser = Browser::signed_in(service.address(), TOKEN).await;
    let job = dead_job(&service).await;
    let path = format!("/dead-letters/{job}");
    browser.open("/dead-letters").await.shows(&["It failed", "Mend it.", "full comparison", &job, "Replay", "Discard"]);

    assert_eq!(browser.submit(&path, &[("action", "discard")]).await.status, 400, "a discard wants a reason");
    let answer = browser.submit(&path, &[("action", "discard"), ("reason", "the fabric is gone")]).await;

    assert_eq!(answer.location(), format!("/jobs/{job}"));
    browser.open(answer.location()).await.shows(&["failed", "Discarded by kim", "the fabric is gone"]);
    browser.open("/dead-letters").await.shows(&["Nothing was given up"]);
    let again = dead_job(&service).await;
    browser.submit(&format!("/dead-letters/{again}"), &[("action", "replay")]).await;
    assert_eq!(service.drain().await, [("lab-fabric".to_owned(), vec![Change::Everything])]);
}

#[tokio::test]
async fn a_job_that_waits_is_called_off() {
    let service = service().await;
    let browser = Browser::signed_in(service.address(), OPERATE_TOKEN).await;
    let job = service.ask("/api/v1/fabrics/lab-fabric/sync").await.job();

    let answer = browser.submit(&format!("/jobs/{job}"), &[("action", "cancel")]).await;

    browser.open(answer.location()).await.shows(&["cancelled"]);
    let twice = browser.submit(&format!("/jobs/{job}"), &[("action", "cancel")]).await;
    assert_eq!(twice.status, 409);
    assert!(twice.text.contains("cannot be called off"), "{}", twice.text);
}
