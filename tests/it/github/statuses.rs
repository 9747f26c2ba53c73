//! Reports beside a commit.

use fgd_sync::repo::{StatusReport, StatusState};

use super::*;
use crate::support::fakes::github::{Level, Permission, Token};

fn report(state: StatusState, description: &str) -> StatusReport {
    StatusReport {
        state,
        description: description.to_owned(),
        target_url: Some("https://sync.example.com/api/v1/jobs/1".parse().unwrap()),
        context: "fgd-sync/lab".to_owned(),
    }
}

#[tokio::test]
async fn a_report_stands_beside_its_commit() {
    let scene = Scene::start();

    let long = "12 documents taken; ".repeat(20);
    scene.open().report_status(&scene.first, &report(StatusState::Failure, &long)).await.unwrap();

    let statuses = scene.github.hosted("acme/fabric").statuses();
    assert_eq!(statuses.len(), 1);
    assert_eq!(statuses[0].sha, scene.first.as_str());
    assert_eq!((statuses[0].state.as_str(), statuses[0].context.as_str()), ("failure", "fgd-sync/lab"));
    assert_eq!(statuses[0].description.as_deref().map(|text| text.chars().count()), Some(140));
}

#[tokio::test]
async fn a_report_about_a_commit_that_is_gone_is_no_trouble() {
    let scene = Scene::start();

    scene.open().report_status(&oid(&"1".repeat(40)), &report(StatusState::Success, "fine")).await.unwrap();

    assert!(scene.github.hosted("acme/fabric").statuses().is_empty());
}

#[tokio::test]
async fn a_missing_permission_for_reports_is_named() {
    let scene = Scene::start();
    let secret = "github_pat_without_statuses";
    scene.github.add_token(secret, Token::of("bot").may(&[(Permission::Contents, Level::Write)]));
    let auth = Auth::Token(SecretSource::Text(secret.into()));
    let repository = GitHubRepository::open(Options { auth, ..scene.options() }).unwrap();

    let error = repository.report_status(&scene.first, &report(StatusState::Success, "fine")).await.unwrap_err();

    assert!(matches!(&error, Error::Denied { detail, .. } if detail.contains("`statuses: write`")), "{error:?}");
}
