use super::*;
use std::path::Path;

use fgd_sync::ledger::{Clock, Connection, Options};
use tempfile::TempDir;

use crate::support::redis::{embedded_pid, kill_embedded};

async fn open(directory: &Path) -> Result<Ledger, Error> {
    Ledger::open(Options::new(Connection::Embedded { directory: directory.to_owned() }), Clock::default()).await
}

#[tokio::test]
async fn a_private_server_keeps_accepted_work_over_a_clean_stop() {
    let directory = TempDir::new().unwrap();
    let ledger = open(directory.path()).await.unwrap();
    let (id, job) = (ledger.id().clone(), accept(&ledger, &delivery("lab", updated(1))).await);
    assert_eq!(ledger.durability().await.unwrap(), Vec::<String>::new());
    ledger.close().await;

    let ledger = open(directory.path()).await.unwrap();

    assert_eq!(ledger.id(), &id);
    assert_eq!(state(&ledger, &job).await, JobState::Queued);
    ledger.close().await;
}

#[tokio::test]
async fn a_private_server_that_is_killed_comes_back_with_all_accepted_work() {
    let directory = TempDir::new().unwrap();
    let ledger = open(directory.path()).await.unwrap();
    let job = accept(&ledger, &delivery("lab", updated(1))).await;

    let pid = kill_embedded(directory.path()).await;
    let back = tokio::time::timeout(SECOND * 30, async {
        while ledger.can_record().await.is_err() || ledger.job(&job).await.is_err() {
            tokio::task::yield_now().await;
        }
    });

    assert!(back.await.is_ok(), "the server did not come back");
    assert_eq!(state(&ledger, &job).await, JobState::Queued);
    assert_ne!(embedded_pid(directory.path()).await, pid);
    ledger.close().await;
}

#[tokio::test]
async fn two_processes_do_not_share_a_directory() {
    let directory = TempDir::new().unwrap();
    let ledger = open(directory.path()).await.unwrap();

    let second = open(directory.path()).await;

    let said = second.expect_err("the directory is taken").to_string();
    assert!(said.contains("in use by another fgd-sync process"), "{said}");
    ledger.close().await;
}

#[tokio::test]
async fn a_server_that_outlived_its_owner_is_replaced() {
    let directory = TempDir::new().unwrap();
    let ledger = open(directory.path()).await.unwrap();
    let job = accept(&ledger, &delivery("lab", updated(1))).await;
    ledger.close().await;
    // What a killed owner leaves behind: a server that holds redis.lock through its stdin.
    let lock = std::fs::File::options().write(true).open(directory.path().join("redis.lock")).unwrap();
    lock.lock().unwrap();
    let mut orphan = std::process::Command::new("redis-server")
        .args(["--port", "0", "--appendonly", "yes", "--save", "", "--unixsocket", "redis.sock", "--dir"])
        .arg(directory.path())
        .stdin(lock)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    while std::os::unix::net::UnixStream::connect(directory.path().join("redis.sock")).is_err() {
        tokio::task::yield_now().await;
    }

    let ledger = open(directory.path()).await.unwrap();

    assert!(orphan.wait().unwrap().success(), "it was asked to stop");
    assert_eq!(state(&ledger, &job).await, JobState::Queued);
    ledger.close().await;
}

#[tokio::test]
async fn a_directory_too_deep_for_a_socket_is_no_hindrance() {
    let directory = TempDir::new().unwrap();
    let deep = directory.path().join("d".repeat(120));

    let ledger = open(&deep).await.unwrap();

    accept(&ledger, &delivery("lab", updated(1))).await;
    ledger.close().await;
}
