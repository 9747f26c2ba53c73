//! The webhook of a repository on GitHub: `setup github`, and asking again for what did not arrive.

use std::collections::BTreeMap;

use fgd_sync::app::setup_githubs;
use fgd_sync::config::{self, Settings};
use fgd_sync::repo::Repository;
use fgd_sync::repo::github::GitHubRepository;
use tempfile::TempDir;

use crate::github::options_for;
use crate::support::fakes::github::{ContentType, GitHub, TOKEN};

const RECEIVER: &str = "http://sync.example.com/webhooks/github";

fn settings(github: &GitHub) -> Settings {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("fgd-sync.yaml");
    let text = format!(
        "public_url: http://sync.example.com/\nredis: embedded\n\
         netbox: {{main: {{url: 'http://127.0.0.1:9/', token: made-up}}}}\n\
         repositories: {{main: {{kind: github, github: acme/fabric, api_url: '{}', token: '{TOKEN}', \
         webhook_secret: a-secret-of-this-test}}}}\n\
         fabrics: {{lab: {{netbox: main, repository: main, branch: main, directory: lab}}}}\n",
        github.rest_url()
    );
    std::fs::write(&file, text).unwrap();
    config::load(Some(&file), &BTreeMap::new()).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

async fn set_up(github: &GitHub, dry_run: bool) -> Vec<String> {
    let mut told = Vec::new();
    setup_githubs(&settings(github), None, dry_run, |step| told.push(step)).await.unwrap();
    told
}

#[tokio::test]
async fn the_webhook_is_made_once_and_found_right_afterwards() {
    let github = GitHub::start();
    github.create("acme", "fabric");

    let dry = set_up(&github, true).await;
    let none_yet = github.hosted("acme/fabric").hooks().len();
    let first = set_up(&github, false).await;
    let second = set_up(&github, false).await;

    assert_eq!((dry, none_yet), (vec![format!("main: the webhook to {RECEIVER} would be created")], 0));
    assert_eq!(first, [format!("main: the webhook to {RECEIVER} created")]);
    assert_eq!(second, [format!("main: the webhook to {RECEIVER} is right")]);
    let hooks = github.hosted("acme/fabric").hooks();
    assert_eq!(hooks.len(), 1);
    assert_eq!(
        (hooks[0].secret.as_deref(), &hooks[0].events),
        (Some("a-secret-of-this-test"), &vec!["push".to_owned()])
    );
}

#[tokio::test]
async fn a_webhook_that_was_changed_is_mended_and_others_are_left_alone() {
    let github = GitHub::start();
    github.create("acme", "fabric");
    let hosted = github.hosted("acme/fabric");
    hosted.hook("http://other.example.com/", "theirs", ContentType::Form);
    hosted.hook(RECEIVER, "an-old-secret", ContentType::Form);

    let told = set_up(&github, false).await;

    assert_eq!(told, [format!("main: the webhook to {RECEIVER} updated (content type)")]);
    let hooks = github.hosted("acme/fabric").hooks();
    let ours = hooks.iter().find(|hook| hook.url == RECEIVER).unwrap();
    assert_eq!((ours.content_type, ours.secret.as_deref()), (ContentType::Json, Some("a-secret-of-this-test")));
    assert_eq!(hooks.iter().find(|hook| hook.url != RECEIVER).unwrap().secret.as_deref(), Some("theirs"));
}

#[tokio::test]
async fn deliveries_that_never_arrived_are_asked_for_and_those_that_did_are_not() {
    let github = GitHub::start();
    let hosted = github.create("acme", "fabric");
    let person = hosted.person();
    person.write("a.yaml", "a: 1\n").push("main", "first");
    // Nobody listens there.
    hosted.hook("http://127.0.0.1:9/webhooks/github", "a-secret", ContentType::Json);
    person.write("a.yaml", "a: 2\n").push("main", "second");
    github.deliver_all().await;
    let repository = GitHubRepository::open(options_for(&github, "acme/fabric")).unwrap();

    let asked = repository.ask_again(&"http://127.0.0.1:9/webhooks/github".parse().unwrap()).await.unwrap();
    let elsewhere = repository.ask_again(&RECEIVER.parse().unwrap()).await.unwrap();

    assert_eq!((asked, elsewhere), (1, 0), "the push, and not the ping");
    assert!(!github.deliveries().is_empty(), "it is on its way again");
}
