//! `fgd-sync init`, the real binary.

use std::process::{Command, Output};

use super::*;
use crate::support::app::API_TOKEN;

/// Runs the binary to its end while the test's own runtime goes on.
async fn run(arguments: Vec<String>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fgd-sync"));
    for variable in ["FGD_CONFIG", "FGD_API_TOKEN", "FGD_URL"] {
        command.env_remove(variable);
    }
    command.env("FGD_TOKEN", API_TOKEN);
    command.args(arguments);
    tokio::task::spawn_blocking(move || command.output().expect("it runs")).await.expect("it ends")
}

fn words(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    (text(&output.stdout), text(&output.stderr))
}

fn arguments(list: &[&str]) -> Vec<String> {
    std::iter::once("init").chain(list.iter().copied()).map(str::to_owned).collect()
}

#[tokio::test]
async fn without_a_service_it_does_the_work_itself() {
    let app = TestApp::start().await.stopped().await;
    let settings = app.settings_file().display().to_string();

    let planned = run(arguments(&["--direct", "--config", &settings, "--dry-run"])).await;
    let done = run(arguments(&["--direct", "--config", &settings, "--fabric", "lab"])).await;
    let again = run(arguments(&["--direct", "--config", &settings, "--force"])).await;

    assert_eq!(
        words(&planned),
        ("lab: the directory would be initialized, 16 parts would be written".into(), "".into())
    );
    assert!(words(&done).0.starts_with("lab: the directory initialized, 16 parts written, commit "), "{done:?}");
    assert_eq!(words(&again).0, "lab: the directory is right");
    assert!([planned, done, again].iter().all(|output| output.status.success()));
    assert_eq!(app.commits(), 1);
}

#[tokio::test]
async fn through_the_service_it_asks_and_waits() {
    let app = TestApp::start().await;
    let url = app.address().to_owned();

    let working = app.work_until(run(arguments(&["--url", &url, "--dry-run"]))).await;
    let done = app.work_until(run(arguments(&["--url", &url]))).await;
    let unknown = run(arguments(&["--url", &url, "--fabric", "no such"])).await;

    assert!(words(&working).0.starts_with("lab: the directory would be initialized"), "{working:?}");
    assert!(words(&done).0.starts_with("lab: the directory initialized, 16 parts written, commit "), "{done:?}");
    assert_eq!(unknown.status.code(), Some(1));
    assert!(words(&unknown).1.contains("the settings have no fabric no such"), "{unknown:?}");
    app.sync().await;
    app.finish().await;
}

#[tokio::test]
async fn what_cannot_be_done_ends_with_one_and_says_why() {
    let app = TestApp::ready().await;
    app.push(&[(".hnp/manifest.yaml", "[")]).await;
    let url = app.address().to_owned();

    let failed = app.work_until(run(arguments(&["--url", &url]))).await;

    assert_eq!(failed.status.code(), Some(1));
    let (told, _) = words(&failed);
    assert!(told.starts_with("lab: not done (stalled): the marker of `lab`") && told.contains("delete it"), "{told}");
    app.sync().await;
    app.finish().await;
}
