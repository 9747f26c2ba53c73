//! What commands do when something of what they ask for cannot be had: the rest goes on, and nothing passes for an answer.

use std::process::Stdio;

use serde_json::json;
use tokio::io::AsyncReadExt;

use super::{Ended, ask, ask_at_work, asking, command, run};
use crate::support::app::TestApp;

const NO_JOB: &str = "01KAJ3V0M1W9T6N4ZC5X8R7QHD";

#[tokio::test]
async fn a_misspelt_fabric_keeps_no_other_from_its_sync() {
    let app = TestApp::ready().await;

    let ended = ask_at_work(&app, &["sync", "lba", "lab"]).await;

    assert!(ended.code(1).err().contains("the settings have no fabric lba"), "{}", ended.err());
    assert!(ended.out().contains("lab     succeeded"), "{}", ended.out());
    app.finish().await;
}

#[tokio::test]
async fn a_misspelt_fabric_keeps_no_other_from_its_directory() {
    let app = TestApp::ready().await;

    let ended = ask_at_work(&app, &["init", "--fabric", "lba", "--fabric", "lab"]).await;

    assert!(ended.code(1).err().contains("the settings have no fabric lba"), "{}", ended.err());
    assert_eq!(ended.out(), "lab: the directory is right\n");
    app.finish().await;
}

#[tokio::test]
async fn an_unknown_job_keeps_no_other_from_being_called_off() {
    let app = TestApp::ready().await;
    let id = ask(&app, &["sync", "lab", "--no-wait"]).await.code(0).out().trim().to_owned();

    let ended = ask(&app, &["jobs", "cancel", NO_JOB, &id]).await;

    assert!(ended.code(1).err().contains(NO_JOB), "{}", ended.err());
    assert!(ended.out().contains(&id) && ended.out().contains("cancelled"), "{}", ended.out());
    app.finish().await;
}

#[tokio::test]
async fn a_comparison_that_did_not_come_through_is_no_answer() {
    let app = TestApp::ready().await;
    app.push(&[(".hnp/manifest.yaml", "{")]).await;

    let ended = ask_at_work(&app, &["drift", "lab", "--compare"]).await;

    assert_eq!(ended.code(1).out(), "", "an old list would pass for a new one");
    let err = ended.err();
    assert!(err.contains("not compared: lab: stalled") && err.contains("(broken_marker)"), "{err}");
    assert!(err.contains("fgd-sync jobs get "), "{err}");
    app.finish().await;
}

#[tokio::test]
async fn what_was_never_compared_is_not_known_to_be_equal() {
    let app = TestApp::start().await;

    let ended = ask(&app, &["drift", "lab"]).await;

    assert!(ended.code(1).out().starts_with("Not known: it was never compared"), "{}", ended.out());
    app.finish().await;
}

#[tokio::test]
async fn a_wrong_word_on_the_command_line_ends_with_2_and_the_right_ones() {
    let state = run(&["jobs", "list", "--state", "nonsense"]).await;
    let difference = run(&["drift", "lab", "--difference", "odd"]).await;
    let since = run(&["jobs", "list", "--since", "yesterday"]).await;
    let url = run(&["jobs", "list", "--url", "sync.example.com:8080"]).await;

    assert!(state.code(2).err().contains("queued, running, waiting"), "{}", state.err());
    assert!(difference.code(2).err().contains("only_in_netbox"), "{}", difference.err());
    assert!(since.code(2).err().contains("write such as 2h"), "{}", since.err());
    assert!(url.code(2).err().contains("write such as http://"), "{}", url.err());
}

#[tokio::test]
async fn the_service_knows_every_word_that_the_command_line_takes() {
    let app = TestApp::ready().await;
    let help = run(&["jobs", "list", "--help"]).await.code(0).out();
    let states = help.split("[possible values: ").nth(1).unwrap().split(']').next().unwrap().to_owned();

    for state in states.split(", ") {
        ask(&app, &["jobs", "list", "--state", state]).await.code(0);
    }
    for difference in ["only_in_netbox", "only_in_git", "different", "conflict", "invalid"] {
        ask(&app, &["drift", "lab", "--difference", difference]).await.code(0);
    }
    let refused = ask(&app, &["jobs", "list", "--since", "2026-13-45T00:00:00Z"]).await;

    assert_eq!(states.split(", ").count(), 9);
    assert!(refused.code(2).err().contains("`since`"), "{}", refused.err());
    app.finish().await;
}

#[tokio::test]
async fn jobs_are_listed_from_some_time_ago_on() {
    let app = TestApp::ready().await;
    let id = ask(&app, &["sync", "lab", "--no-wait"]).await.code(0).out().trim().to_owned();

    let lately = ask(&app, &["jobs", "list", "--since", "2h"]).await.code(0).out();
    let none = ask(&app, &["jobs", "list", "--since", "2999-01-01T00:00:00Z"]).await.code(0).out();

    assert!(lately.contains(&id), "{lately}");
    assert_eq!(none, "No kept job fits.\n");
    app.sync().await;
    app.finish().await;
}

#[tokio::test]
async fn variables_that_are_set_to_nothing_count_as_not_set() {
    let app = TestApp::ready().await;
    let mut listing = asking(&app, &["jobs", "list"]);
    listing.env("FGD_TOKEN_FILE", "").env("FGD_CA_FILE", "");

    let listed = Ended(listing.output().await.unwrap());
    let url = Ended(command(&["jobs", "list", "--output", "json"]).env("FGD_URL", "").output().await.unwrap());

    listed.code(0);
    assert!(!url.err().contains("not an http(s) address"), "{}", url.err());
    app.finish().await;
}

#[tokio::test]
async fn a_refused_token_is_named_by_where_it_was_found() {
    let app = TestApp::ready().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "somebody-elses").unwrap();
    let path = file.path().to_str().unwrap();

    let variable = Ended(asking(&app, &["jobs", "list"]).env("FGD_TOKEN", "somebody-elses").output().await.unwrap());
    let file = Ended(asking(&app, &["jobs", "list", "--token-file", path]).output().await.unwrap());

    assert!(variable.code(4).err().contains("This one is from FGD_TOKEN."), "{}", variable.err());
    assert!(file.code(4).err().contains(&format!("This one is from the file {path}.")), "{}", file.err());
    app.finish().await;
}

#[tokio::test]
async fn output_that_is_lost_is_a_failure() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();

    let printing = command(&["openapi"]).stdout(full).stderr(Stdio::piped()).spawn().unwrap();
    let ended = Ended(printing.wait_with_output().await.unwrap());

    assert!(ended.code(1).err().contains("the output cannot be written"), "{}", ended.err());
}

#[tokio::test]
async fn whoever_watches_ends_when_its_reader_has_gone() {
    let app = TestApp::ready().await;
    let mut watching = asking(&app, &["jobs", "watch"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut out = watching.stdout.take().unwrap();
    let mut first = [0; 1];

    // As `| head -1` does: one change is read, then the reader goes.
    let read = async {
        out.read_exact(&mut first).await.unwrap();
        drop(out);
        watching.wait().await.unwrap()
    };
    let changes = async {
        loop {
            app.post("/api/v1/fabrics/lab/sync", json!({})).await;
            app.drain().await;
        }
    };
    let status = tokio::select! {
        status = read => status,
        () = changes => unreachable!("it asks until it is dropped"),
    };

    assert_eq!(status.code(), Some(0));
    app.sync().await;
    app.finish().await;
}
