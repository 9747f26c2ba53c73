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

pub(super) fn repository(base: &str, repo: &Repo) -> Value {
    let url = repo_url(base, repo);
    let web = base.strip_suffix("/api/v3").unwrap_or(base);
    let html = format!("{web}/{}", repo.full_name());
    let mut shown = json!({
        "id": repo.id, "node_id": repo_node_id(repo), "name": repo.name, "full_name": repo.full_name(),
        "private": true, "visibility": "private", "owner": owner(base, &repo.owner), "html_url": html,
        "description": null, "fork": false, "url": url, "clone_url": format!("{html}.git"),
        "git_url": format!("{html}.git"), "ssh_url": format!("{html}.git"), "svn_url": html, "mirror_url": null,
    });
    let more = json!({
        "homepage": null, "language": null, "license": null, "topics": [], "default_branch": repo.default_branch,
        "archived": false, "disabled": false, "size": 1, "forks": 0, "forks_count": 0, "open_issues": 0,
        "open_issues_count": 0, "watchers": 0, "watchers_count": 0, "stargazers_count": 0, "is_template": false,
        "has_issues": true, "has_projects": true, "has_wiki": true, "has_pages": false, "has_downloads": true,
        "has_discussions": false, "web_commit_signoff_required": false, "allow_forking": true,
        "allow_merge_commit": true, "allow_squash_merge": true, "allow_rebase_merge": true,
        "created_at": "2024-01-01T00:00:00Z", "updated_at": "2024-01-01T00:00:00Z",
        "pushed_at": "2024-01-01T00:00:00Z",
    });
    extend(&mut shown, &more);
    for (name, path) in URLS {
        shown[*name] = json!(format!("{url}/{path}"));
    }
    shown
}

/// Adds the members of one object to another.
pub(super) fn extend(shown: &mut Value, more: &Value) {
    for (name, value) in more.as_object().into_iter().flatten() {
        shown[name] = value.clone();
    }
}

/// Addresses below a repository's own.
const URLS: &[(&str, &str)] = &[
    ("archive_url", "{archive_format}{/ref}"),
    ("assignees_url", "assignees{/user}"),
    ("blobs_url", "git/blobs{/sha}"),
    ("branches_url", "branches{/branch}"),
    ("collaborators_url", "collaborators{/collaborator}"),
    ("comments_url", "comments{/number}"),
    ("commits_url", "commits{/sha}"),
    ("compare_url", "compare/{base}...{head}"),
    ("contents_url", "contents/{+path}"),
    ("contributors_url", "contributors"),
    ("deployments_url", "deployments"),
    ("downloads_url", "downloads"),
    ("events_url", "events"),
    ("forks_url", "forks"),
    ("git_commits_url", "git/commits{/sha}"),
    ("git_refs_url", "git/refs{/sha}"),
    ("git_tags_url", "git/tags{/sha}"),
    ("hooks_url", "hooks"),
    ("issue_comment_url", "issues/comments{/number}"),
    ("issue_events_url", "issues/events{/number}"),
    ("issues_url", "issues{/number}"),
    ("keys_url", "keys{/key_id}"),
    ("labels_url", "labels{/name}"),
    ("languages_url", "languages"),
    ("merges_url", "merges"),
    ("milestones_url", "milestones{/number}"),
    ("notifications_url", "notifications{?since,all,participating}"),
    ("pulls_url", "pulls{/number}"),
    ("releases_url", "releases{/id}"),
    ("stargazers_url", "stargazers"),
    ("statuses_url", "statuses/{sha}"),
    ("subscribers_url", "subscribers"),
    ("subscription_url", "subscription"),
    ("tags_url", "tags"),
    ("teams_url", "teams"),
    ("trees_url", "git/trees{/sha}"),
];

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
