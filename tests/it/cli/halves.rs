//! A receiver and a worker: two processes, one ledger.

use std::collections::BTreeMap;

use fgd_sync::app::{App, Duty};
use fgd_sync::config;
use fgd_sync::ledger::Clock;
use tokio::sync::watch;

use super::*;
use crate::support::fakes::netbox::{self, NetBox, Object};
use crate::support::git_server::GitServer;
use crate::support::redis::RedisServer;

fn settings(directory: &Path, redis: &str, netbox: &str, repository: &str) -> config::Settings {
    let file = directory.join("fgd-sync.yaml");
    let text = format!(
        "listen: 127.0.0.1:0\nworker_listen: 127.0.0.1:0\npublic_url: http://sync.example.com/\ndata_directory: data\n\
         debounce: {{quiet_ms: 0, max_wait_ms: 0}}\nredis: {redis}\n\
         api_tokens:\n  - {{name: test, token: {API_TOKEN}}}\n\
         netbox:\n  main: {{url: '{netbox}', token: '{}', webhook_secret: a-secret-of-this-test}}\n\
         repositories:\n  main: {{kind: git, url: '{repository}', webhook_secret: another-secret-of-it}}\n\
         fabrics:\n  lab: {{netbox: main, repository: main, branch: main, directory: lab}}\n",
        netbox::TOKEN,
    );
    std::fs::write(&file, text).unwrap();
    config::load(Some(&file), &BTreeMap::new()).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

#[tokio::test]
async fn a_receiver_takes_what_a_worker_does() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (netbox, git, redis) = (NetBox::custom_objects(), GitServer::start().await, RedisServer::start());
    let bare = git.create("fabrics.git");
    netbox.user("alice").create(&Object::new("Server", "lab", "one", json!({})));
    let (directory, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let url = format!("{{url: '{}'}}", redis.url());
    let settings = |of: &TempDir| settings(of.path(), &url, netbox.url(), &git.url("fabrics.git"));
    let receiver = App::build_for(Duty::Receive, settings(&directory), Clock::default()).await.unwrap();
    let worker = App::build_for(Duty::Work, settings(&other), Clock::default()).await.unwrap();
    let (receiving, working) = (receiver.address().unwrap(), worker.address().unwrap());
    let (stop, stopping) = watch::channel(false);
    let until = || {
        let mut stopping = stopping.clone();
        async move { _ = stopping.wait_for(|stop| *stop).await }
    };
    let both = tokio::spawn(futures::future::join(receiver.run_until(until()), worker.run_until(until())));

    let ended = command(&["sync", "lab", "--url", &format!("http://{receiving}")])
        .env("FGD_TOKEN", API_TOKEN)
        .output()
        .await
        .unwrap();

    Ended(ended).code(0);
    assert!(bare.paths("main").contains(&"lab/managed/servers/one.yaml".to_owned()));
    let client = crate::support::process::client();
    let of_worker = async |path: &str| {
        client.get(format!("http://{working}{path}")).bearer_auth(API_TOKEN).send().await.unwrap().status().as_u16()
    };
    assert_eq!((of_worker("/healthz").await, of_worker("/readyz").await, of_worker("/metrics").await), (200, 200, 200));
    assert_eq!((of_worker("/api/v1/jobs").await, of_worker("/webhooks/netbox").await), (404, 404));
    stop.send_replace(true);
    let (received, worked) = both.await.unwrap();
    received.unwrap();
    worked.unwrap();
}

#[tokio::test]
async fn halves_refuse_a_redis_that_only_one_process_has() {
    let directory = TempDir::new().unwrap();
    settings(directory.path(), "embedded", "http://127.0.0.1:9", "http://127.0.0.1:9/fabrics.git");
    for half in ["receiver", "worker"] {
        let mut command = command(&[half]);

        let ended = Ended(command.current_dir(directory.path()).output().await.unwrap());

        assert!(ended.code(2).err().contains("receivers and workers share one Redis"), "{}", ended.err());
    }
}
