//! Commit statuses.

use serde_json::{Value, json};

use super::body::{Field, Members, Shape, expect};
use super::reply::Reply;
use super::server::Asked;
use super::show;
use super::store::is_oid;
use super::world::{Repo, World, iso};

/// Statuses of one commit and context at most.
const MOST: usize = 1_000;

/// Longest description, in characters.
const LONGEST: usize = 140;

/// A status of a commit.
#[derive(Debug, Clone)]
pub struct Status {
    pub id: u64,
    pub sha: String,
    pub state: String,
    pub target_url: Option<String>,
    pub description: Option<String>,
    pub context: String,
    pub creator: String,
    at: i64,
}

const NEW: &[Field] = &[
    ("state", true, Shape::Word(&["error", "failure", "pending", "success"])),
    ("target_url", false, Shape::Nullable(&Shape::Text)),
    ("description", false, Shape::Nullable(&Shape::Text)),
    ("context", false, Shape::Text),
];

pub(super) fn post(world: &mut World, repo: usize, asked: &Asked) -> Result<Reply, Reply> {
    let body = expect(asked.json.as_ref(), NEW, &mut world.unexpected)?;
    let sha = asked.param("sha").to_owned();
    let known = is_oid(&sha) && world.repos[repo].store.kind(&sha).as_deref() == Some("commit");
    if !known {
        return Err(Reply::unprocessable(&format!("No commit found for SHA: {sha}")));
    }
    let wrong = |field: &str, message: &str| {
        Reply::invalid(json!([{"resource": "Status", "code": "custom", "field": field, "message": message}]))
    };
    if body.text("description").is_some_and(|text| text.chars().count() > LONGEST) {
        return Err(wrong("description", "description is too long (maximum is 140 characters)"));
    }
    if body.text("target_url").is_some_and(|url| !url.starts_with("http://") && !url.starts_with("https://")) {
        return Err(wrong("target_url", "target_url must use http(s) scheme"));
    }
    let context = body.text("context").unwrap_or("default").to_owned();
    let others = world.repos[repo].statuses.iter();
    if others.filter(|status| status.sha == sha && status.context == context).count() >= MOST {
        return Err(wrong("base", "This SHA and context has reached the maximum number of statuses."));
    }
    let text = |name: &str| body.text(name).map(str::to_owned);
    let status = Status {
        id: world.next_id(),
        sha,
        state: text("state").unwrap_or_default(),
        target_url: text("target_url"),
        description: text("description"),
        context,
        creator: asked.login.clone(),
        at: world.now(),
    };
    let repo = &mut world.repos[repo];
    let shown = shown(&asked.base, repo, &status);
    repo.statuses.push(status);
    Ok(Reply::created(shown))
}

fn shown(base: &str, repo: &Repo, status: &Status) -> Value {
    let url = format!("{}/statuses/{}", show::repo_url(base, repo), status.sha);
    let (at, id) = (iso(status.at), status.id);
    json!({
        "url": url, "avatar_url": null, "id": id, "node_id": show::node_id("Status", &id.to_string()),
        "state": status.state, "description": status.description, "target_url": status.target_url,
        "context": status.context, "created_at": at, "updated_at": at, "creator": show::owner(base, &status.creator),
    })
}

/// Newest first.
fn of_commit(world: &mut World, repo: usize, asked: &Asked) -> Result<(String, Vec<Status>), Reply> {
    let repo = &mut world.repos[repo];
    let wanted = asked.param("ref");
    let sha = repo.seen_commit(wanted);
    let sha = sha.ok_or_else(|| Reply::unprocessable(&format!("No commit found for SHA: {wanted}")))?;
    let found = repo.statuses.iter().rev().filter(|status| status.sha == sha).cloned().collect();
    Ok((sha, found))
}

pub(super) fn list(world: &mut World, repo: usize, asked: &Asked) -> Result<Reply, Reply> {
    let (_, found) = of_commit(world, repo, asked)?;
    let repo = &world.repos[repo];
    asked.page(found.iter().map(|status| shown(&asked.base, repo, status)).collect())
}

pub(super) fn combined(world: &mut World, repo: usize, asked: &Asked) -> Result<Reply, Reply> {
    let (sha, found) = of_commit(world, repo, asked)?;
    let mut latest: Vec<Status> = Vec::new();
    for status in found {
        if latest.iter().all(|known| known.context != status.context) {
            latest.push(status);
        }
    }
    let any = |state: &str| latest.iter().any(|status| status.state == state);
    let state = match (any("error") || any("failure"), any("pending") || latest.is_empty()) {
        (true, _) => "failure",
        (false, true) => "pending",
        (false, false) => "success",
    };
    let repo = &world.repos[repo];
    let url = format!("{}/commits/{sha}", show::repo_url(&asked.base, repo));
    let statuses: Vec<Value> = latest.iter().map(|status| shown(&asked.base, repo, status)).collect();
    Ok(Reply::ok(json!({
        "state": state, "statuses": statuses, "sha": sha, "total_count": latest.len(),
        "repository": show::repository(&asked.base, repo), "commit_url": url, "url": format!("{url}/status"),
    })))
}
