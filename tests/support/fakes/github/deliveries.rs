//! Deliveries: noticing pushes, their payloads, and sending them with a true signature.

use std::collections::BTreeSet;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::hooks::{ContentType, Hook};
use super::server::encode;
use super::store::{EMPTY_TREE, ZERO};
use super::world::{Repo, World, iso};
use super::{hooks, pulls, show};

/// Commits that a payload lists at most.
const MOST_COMMITS: usize = 2_048;

/// How long GitHub waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// One attempt to deliver.
#[derive(Debug, Clone)]
pub struct Parcel {
    pub id: u64,
    pub hook: u64,
    /// The same again in a redelivery.
    pub guid: String,
    pub event: &'static str,
    pub payload: Value,
    pub redelivery: bool,
    /// `None` while it waits.
    pub outcome: Option<Outcome>,
}

/// How an attempt ended.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Of HTTP; 0 when nobody answered.
    pub code: u16,
    pub status: String,
    pub(super) at: i64,
}

impl Outcome {
    pub fn is_success(&self) -> bool {
        (200..400).contains(&self.code)
    }
}

/// Queues a delivery of every ref that moved since the last look, and brings pull requests up to date.
pub(super) fn notice(world: &mut World, at: usize, by: &str) {
    let now = world.now();
    let repo = &mut world.repos[at];
    if repo.hooks.is_empty() && repo.pulls.is_empty() {
        return;
    }
    let is: std::collections::BTreeMap<String, String> = repo.store.refs("refs/").into_iter().collect();
    let was = std::mem::replace(&mut repo.known, is.clone());
    if is == was {
        return;
    }
    pulls::follow(repo, now);
    let names: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
    for name in names.into_iter().filter(|name| was.get(*name) != is.get(*name)) {
        let oid = |refs: &std::collections::BTreeMap<String, String>| refs.get(name).map_or(ZERO, |sha| sha).to_owned();
        let payload = push_payload(world, at, name, (&oid(&was), &oid(&is)), by);
        queue(world, at, "push", &payload, |hook| hook.active && wants(hook, "push"));
    }
}

/// What was pushed before is nothing that a new hook hears of.
pub(super) fn begin(repo: &mut Repo) {
    repo.known = repo.store.refs("refs/").into_iter().collect();
}

fn wants(hook: &Hook, event: &str) -> bool {
    hook.events.iter().any(|wanted| wanted == event || wanted == "*")
}

/// Queues a ping for a hook.
pub(super) fn ping(world: &mut World, at: usize, id: u64, by: &str) {
    let base = world.web();
    let Some(hook) = world.repos[at].hooks.iter().find(|hook| hook.id == id) else { return };
    let payload = json!({
        "zen": "Keep it logically awesome.", "hook_id": id, "hook": hooks::shown(world, at, &base, hook),
        "repository": show::repository(&base, &world.repos[at]), "sender": show::owner(&base, by),
    });
    queue(world, at, "ping", &payload, |hook| hook.id == id);
}

fn queue(world: &mut World, at: usize, event: &'static str, payload: &Value, to: impl Fn(&Hook) -> bool) {
    let ids: Vec<u64> = world.repos[at].hooks.iter().filter(|hook| to(hook)).map(|hook| hook.id).collect();
    if !ids.is_empty() {
        world.record.keep_delivery(event, payload);
    }
    for hook in ids {
        let hex = format!("{:032x}", u128::from(ulid::Ulid::generate()));
        let guid = format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]);
        let id = world.next_id();
        let payload = payload.clone();
        world.parcels.push(Parcel { id, hook, guid, event, payload, redelivery: false, outcome: None });
    }
}

fn push_payload(world: &World, at: usize, name: &str, (before, after): (&str, &str), by: &str) -> Value {
    let base = world.web();
    let repo = &world.repos[at];
    let (created, deleted) = (before == ZERO, after == ZERO);
    let new = match (created, deleted) {
        (_, true) => Vec::new(),
        (true, false) => repo.store.log(&[after], None),
        (false, false) => repo.store.log(&[after, &format!("^{before}")], None),
    };
    let mut commits: Vec<Value> = new.iter().take(MOST_COMMITS).map(|sha| commit(&base, repo, sha)).collect();
    commits.reverse();
    let forced = !created && !deleted && !repo.store.is_ancestor(before, after);
    let root = show::repo_url(&base, repo);
    let mail = format!("{by}@users.noreply.github.com");
    json!({
        "ref": name, "before": before, "after": after, "repository": show::repository(&base, repo),
        "pusher": {"name": by, "email": mail}, "sender": show::owner(&base, by), "created": created,
        "deleted": deleted, "forced": forced, "base_ref": null, "compare": format!("{root}/compare/{before}...{after}"),
        "commits": commits, "head_commit": if deleted { Value::Null } else { commit(&base, repo, after) },
    })
}

fn commit(base: &str, repo: &Repo, sha: &str) -> Value {
    let Some(commit) = repo.store.commit(sha) else { return Value::Null };
    let parent = commit.parents.first().map_or(EMPTY_TREE, |parent| parent);
    let differences = repo.store.differences(parent, sha);
    let of = |letters: &[char]| -> Vec<&str> {
        differences.iter().filter(|(letter, ..)| letters.contains(letter)).map(|(_, path, _)| path.as_str()).collect()
    };
    let person = |stamp: &super::store::Stamp| json!({"name": stamp.name, "email": stamp.email});
    json!({
        "id": sha, "tree_id": commit.tree, "distinct": true, "message": commit.message.trim_end(),
        "timestamp": iso(commit.committer.at), "url": format!("{}/commit/{sha}", show::repo_url(base, repo)),
        "author": person(&commit.author), "committer": person(&commit.committer), "added": of(&['A', 'R']),
        "removed": of(&['D']), "modified": of(&['M', 'T']),
    })
}

/// As the list of deliveries has it.
pub(super) fn brief(parcel: &Parcel, repo: &Repo) -> Value {
    let outcome = parcel.outcome.clone().unwrap_or(Outcome { code: 0, status: String::new(), at: 0 });
    json!({
        "id": parcel.id, "guid": parcel.guid, "delivered_at": iso(outcome.at), "redelivery": parcel.redelivery,
        "duration": 0.1, "status": outcome.status, "status_code": outcome.code, "event": parcel.event, "action": null,
        "installation_id": null, "repository_id": repo.id, "throttled_at": null,
    })
}

pub(super) fn whole(parcel: &Parcel, repo: &Repo) -> Value {
    let mut shown = brief(parcel, repo);
    let url = repo.hooks.iter().find(|hook| hook.id == parcel.hook).map(|hook| hook.url.clone());
    shown["url"] = json!(url);
    let headers = json!({"X-GitHub-Event": parcel.event, "X-GitHub-Delivery": parcel.guid});
    shown["request"] = json!({"headers": headers, "payload": parcel.payload});
    shown["response"] = json!({"headers": {}, "payload": ""});
    shown
}

/// A request that is ready to go.
pub(super) struct Post {
    pub parcel: u64,
    pub url: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

/// What waits, signed, oldest first. A hook that is gone takes its deliveries along.
impl World {
    pub fn waiting(&self) -> Vec<Post> {
        let hook = |id: u64| self.repos.iter().flat_map(|repo| &repo.hooks).find(|hook| hook.id == id);
        let waiting = self.parcels.iter().filter(|parcel| parcel.outcome.is_none());
        waiting.filter_map(|parcel| Some(post(parcel, hook(parcel.hook)?))).collect()
    }
}

fn post(parcel: &Parcel, hook: &Hook) -> Post {
    let json = parcel.payload.to_string();
    let (media_type, body) = match hook.content_type {
        ContentType::Json => ("application/json", json),
        ContentType::Form => ("application/x-www-form-urlencoded", format!("payload={}", encode(&json))),
    };
    let mut headers = vec![
        ("Content-Type", media_type.to_owned()),
        ("Accept", "*/*".to_owned()),
        ("User-Agent", "GitHub-Hookshot/standin".to_owned()),
        ("X-GitHub-Delivery", parcel.guid.clone()),
        ("X-GitHub-Event", parcel.event.to_owned()),
        ("X-GitHub-Hook-ID", parcel.hook.to_string()),
        ("X-GitHub-Hook-Installation-Target-Type", "repository".to_owned()),
    ];
    if let Some(secret) = &hook.secret {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any key will do");
        mac.update(body.as_bytes());
        headers.push(("X-Hub-Signature-256", format!("sha256={}", hex::encode(mac.finalize().into_bytes()))));
    }
    Post { parcel: parcel.id, url: hook.url.clone(), headers, body }
}

/// Sends one and tells how it ended: HTTP's status, or 0 with the reason.
pub(super) async fn send(post: &Post) -> (u16, String) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).timeout(PATIENCE);
    let mut request = client.build().expect("a client").post(&post.url).body(post.body.clone());
    for (name, value) in &post.headers {
        request = request.header(*name, value);
    }
    match request.send().await {
        Ok(answer) if answer.status().is_success() => (answer.status().as_u16(), "OK".to_owned()),
        Ok(answer) => {
            let status = answer.status();
            (status.as_u16(), format!("Invalid HTTP Response: {}", status.as_u16()))
        }
        Err(error) if error.is_timeout() => (0, "timed out".to_owned()),
        Err(_) => (0, "failed to connect to host".to_owned()),
    }
}
