//! Repositories, refs and commits as REST shows them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::store::{Commit, Entry, Stamp};
use super::world::{Repo, iso};

/// An opaque id, of the form that GraphQL takes.
pub(super) fn node_id(kind: &str, of: &str) -> String {
    STANDARD.encode(format!("{kind}:{of}")).trim_end_matches('=').to_owned()
}

pub(super) fn repo_node_id(repo: &Repo) -> String {
    format!("R_{}", node_id("Repository", &repo.id.to_string()))
}

/// Base64 in lines of 60, as GitHub's answers have it.
pub(super) fn base64_lines(bytes: &[u8]) -> String {
    let encoded = STANDARD.encode(bytes);
    let mut lines = String::new();
    for chunk in encoded.as_bytes().chunks(60) {
        lines += &String::from_utf8_lossy(chunk);
        lines.push('\n');
    }
    lines
}

pub(super) fn from_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text.replace(['\n', '\r'], "")).ok()
}

pub(super) fn owner(base: &str, login: &str) -> Value {
    let id = login.bytes().fold(7_u64, |sum, byte| (sum * 31 + u64::from(byte)) % 1_000_000);
    let url = format!("{base}/users/{login}");
    json!({
        "login": login, "id": id, "node_id": node_id("User", login), "avatar_url": format!("{url}/avatar"),
        "gravatar_id": "", "url": url, "html_url": url, "followers_url": format!("{url}/followers"),
        "following_url": format!("{url}/following{{/other_user}}"), "gists_url": format!("{url}/gists{{/gist_id}}"),
        "starred_url": format!("{url}/starred{{/owner}}{{/repo}}"),
        "subscriptions_url": format!("{url}/subscriptions"), "organizations_url": format!("{url}/orgs"),
        "repos_url": format!("{url}/repos"), "events_url": format!("{url}/events{{/privacy}}"),
        "received_events_url": format!("{url}/received_events"), "type": "User", "site_admin": false,
    })
}

pub(super) fn repo_url(base: &str, repo: &Repo) -> String {
    format!("{base}/repos/{}", repo.full_name())
}

pub(super) fn a_ref(base: &str, repo: &Repo, name: &str, sha: &str) -> Value {
    let url = repo_url(base, repo);
    let kind = repo.store.kind(sha).unwrap_or_else(|| "commit".to_owned());
    json!({
        "ref": name, "node_id": node_id("Ref", &format!("{}:{name}", repo.id)), "url": format!("{url}/git/{name}"),
        "object": {"sha": sha, "type": kind, "url": format!("{url}/git/{kind}s/{sha}")},
    })
}

pub(super) fn stamp(stamp: &Stamp) -> Value {
    json!({"name": stamp.name, "email": stamp.email, "date": iso(stamp.at)})
}

pub(super) fn verification(commit: &Commit) -> Value {
    match &commit.signature {
        Some(signature) => json!({
            "verified": true, "reason": "valid", "signature": signature, "payload": commit.payload(),
            "verified_at": iso(commit.committer.at),
        }),
        None => json!({
            "verified": false, "reason": "unsigned", "signature": null, "payload": null, "verified_at": null,
        }),
    }
}

/// A commit as Git Data shows it.
pub(super) fn git_commit(base: &str, repo: &Repo, sha: &str, commit: &Commit) -> Value {
    let url = repo_url(base, repo);
    let parents: Vec<Value> = commit
        .parents
        .iter()
        .map(|parent| {
            let html = format!("{url}/commit/{parent}");
            json!({"sha": parent, "url": format!("{url}/git/commits/{parent}"), "html_url": html})
        })
        .collect();
    json!({
        "sha": sha, "node_id": node_id("Commit", sha), "url": format!("{url}/git/commits/{sha}"),
        "html_url": format!("{url}/commit/{sha}"), "author": stamp(&commit.author),
        "committer": stamp(&commit.committer),
        "tree": {"sha": commit.tree, "url": format!("{url}/git/trees/{}", commit.tree)},
        "message": commit.message, "parents": parents, "verification": verification(commit),
    })
}

/// A commit as the commits endpoints show it, without files.
pub(super) fn commit(base: &str, repo: &Repo, sha: &str) -> Option<Value> {
    let commit = repo.store.commit(sha)?;
    let url = repo_url(base, repo);
    let parents: Vec<Value> = commit
        .parents
        .iter()
        .map(|parent| {
            let html = format!("{url}/commit/{parent}");
            json!({"sha": parent, "url": format!("{url}/commits/{parent}"), "html_url": html})
        })
        .collect();
    Some(json!({
        "sha": sha, "node_id": node_id("Commit", sha), "url": format!("{url}/commits/{sha}"),
        "html_url": format!("{url}/commit/{sha}"), "comments_url": format!("{url}/commits/{sha}/comments"),
        "commit": {
            "author": stamp(&commit.author), "committer": stamp(&commit.committer), "message": commit.message,
            "tree": {"sha": commit.tree, "url": format!("{url}/git/trees/{}", commit.tree)},
            "url": format!("{url}/git/commits/{sha}"), "comment_count": 0, "verification": verification(&commit),
        },
        "author": null, "committer": null, "parents": parents,
    }))
}

pub(super) fn entry(base: &str, repo: &Repo, entry: &Entry) -> Value {
    let url = repo_url(base, repo);
    let mut shown = json!({"path": entry.path, "mode": entry.mode, "type": entry.kind, "sha": entry.sha});
    match entry.kind.as_str() {
        "blob" => {
            shown["size"] = json!(entry.size);
            shown["url"] = json!(format!("{url}/git/blobs/{}", entry.sha));
        }
        "tree" => shown["url"] = json!(format!("{url}/git/trees/{}", entry.sha)),
        // A submodule has neither.
        _ => {}
    }
    shown
}
