//! Pull requests within one repository.

use serde_json::{Value, json};

use super::body::{Field, Members, Shape, expect};
use super::merge::{self, Method};
use super::reply::Reply;
use super::server::Asked;
use super::show;
use super::world::{Repo, World, iso};

/// A pull request.
#[derive(Debug, Clone)]
pub struct Pull {
    pub number: u64,
    pub id: u64,
    pub title: String,
    pub body: Option<String>,
    /// Branch names.
    pub head: String,
    pub base: String,
    pub open: bool,
    /// The commit by which it was merged.
    pub merged: Option<String>,
    pub draft: bool,
    pub author: String,
    /// As they are while it is open, and were when it was closed.
    pub head_sha: String,
    pub base_sha: String,
    pub(super) created: i64,
    pub(super) updated: i64,
    pub(super) closed: Option<i64>,
}

const NEW: &[Field] = &[
    ("title", false, Shape::Text),
    ("head", true, Shape::Text),
    ("base", true, Shape::Text),
    ("body", false, Shape::Nullable(&Shape::Text)),
    ("maintainer_can_modify", false, Shape::Bool),
    ("draft", false, Shape::Bool),
];

const CHANGED: &[Field] = &[
    ("title", false, Shape::Text),
    ("body", false, Shape::Nullable(&Shape::Text)),
    ("state", false, Shape::Word(&["open", "closed"])),
    ("base", false, Shape::Text),
    ("maintainer_can_modify", false, Shape::Bool),
];

const MERGED: &[Field] = &[
    ("commit_title", false, Shape::Text),
    ("commit_message", false, Shape::Text),
    ("sha", false, Shape::Text),
    ("merge_method", false, Shape::Word(&["merge", "squash", "rebase"])),
];

fn custom(message: &str) -> Reply {
    Reply::invalid(json!([{"resource": "PullRequest", "code": "custom", "message": message}]))
}

pub(super) fn post(world: &mut World, at: usize, asked: &Asked) -> Result<Reply, Reply> {
    let body = expect(asked.json.as_ref(), NEW, &mut world.unexpected)?;
    let title = body.text("title").filter(|title| !title.trim().is_empty());
    let title = title.ok_or_else(|| {
        Reply::invalid(json!([{"resource": "PullRequest", "code": "missing_field", "field": "title"}]))
    })?;
    let (number, id, now) = (world.repos[at].next_number(), world.next_id(), world.now());
    let repo = &mut world.repos[at];
    let head = body.text("head").unwrap_or_default();
    let head = head.strip_prefix(&format!("{}:", repo.owner)).unwrap_or(head).to_owned();
    let base = body.text("base").unwrap_or_default().to_owned();
    let tip = |branch: &str, field: &str| {
        let invalid = || Reply::invalid(json!([{"resource": "PullRequest", "field": field, "code": "invalid"}]));
        repo.store.ref_target(&format!("refs/heads/{branch}")).ok_or_else(invalid)
    };
    let (head_sha, base_sha) = (tip(&head, "head")?, tip(&base, "base")?);
    if repo.pulls.iter().any(|pull| pull.open && pull.head == head && pull.base == base) {
        return Err(custom(&format!("A pull request already exists for {}:{head}.", repo.owner)));
    }
    if repo.store.is_ancestor(&head_sha, &base_sha) {
        return Err(custom(&format!("No commits between {base} and {head}")));
    }
    let pull = Pull {
        number,
        id,
        title: title.to_owned(),
        body: body.text("body").map(str::to_owned),
        head,
        base,
        open: true,
        merged: None,
        draft: body.flag("draft").unwrap_or_default(),
        author: asked.login.clone(),
        head_sha,
        base_sha,
        created: now,
        updated: now,
        closed: None,
    };
    repo.pulls.push(pull.clone());
    Ok(Reply::created(shown(&asked.base, repo, &pull, true)))
}

pub(super) fn list(world: &mut World, at: usize, asked: &Asked) -> Result<Reply, Reply> {
    let repo = &world.repos[at];
    let state = asked.query("state").unwrap_or("open");
    let head = asked.query("head");
    // A filter that names no owner is ignored.
    let head = head.and_then(|head| head.split_once(':')).map(|(owner, branch)| (owner.to_owned(), branch.to_owned()));
    let mut found: Vec<&Pull> = repo
        .pulls
        .iter()
        .filter(|pull| state == "all" || (state == "open") == pull.open)
        .filter(|pull| asked.query("base").is_none_or(|base| pull.base == base))
        .filter(|pull| {
            head.as_ref().is_none_or(|(owner, branch)| pull.head == *branch && owner.eq_ignore_ascii_case(&repo.owner))
        })
        .collect();
    if asked.query("direction") != Some("asc") {
        found.reverse();
    }
    asked.page(found.iter().map(|pull| shown(&asked.base, repo, pull, false)).collect())
}

fn find(world: &World, at: usize, asked: &Asked) -> Result<usize, Reply> {
    let number: Option<u64> = asked.param("number").parse().ok();
    world.repos[at].pulls.iter().position(|pull| Some(pull.number) == number).ok_or_else(Reply::not_found)
}

pub(super) fn get(world: &mut World, at: usize, asked: &Asked) -> Result<Reply, Reply> {
    let pull = find(world, at, asked)?;
    let repo = &world.repos[at];
    Ok(Reply::ok(shown(&asked.base, repo, &repo.pulls[pull], true)))
}

pub(super) fn commits(world: &mut World, at: usize, asked: &Asked) -> Result<Reply, Reply> {
    let pull = find(world, at, asked)?;
    let repo = &world.repos[at];
    let pull = &repo.pulls[pull];
    let mut found = repo.store.log(&[&pull.head_sha, &format!("^{}", pull.base_sha)], None);
    found.reverse();
    asked.page(found.iter().filter_map(|sha| show::commit(&asked.base, repo, sha)).collect())
}

pub(super) fn patch(world: &mut World, at: usize, asked: &Asked) -> Result<Reply, Reply> {
    let body = expect(asked.json.as_ref(), CHANGED, &mut world.unexpected)?;
    let place = find(world, at, asked)?;
    let now = world.now();
    let repo = &mut world.repos[at];
    let mut pull = repo.pulls[place].clone();
    if let Some(title) = body.text("title") {
        pull.title = title.to_owned();
    }
    if let Some(text) = body.get("body") {
        pull.body = text.as_str().map(str::to_owned);
    }
    if let Some(base) = body.text("base") {
        let missing = || Reply::invalid(json!([{"resource": "PullRequest", "field": "base", "code": "invalid"}]));
        pull.base_sha = repo.store.ref_target(&format!("refs/heads/{base}")).ok_or_else(missing)?;
        pull.base = base.to_owned();
    }
    match (body.text("state"), pull.open) {
        (Some("closed"), true) => (pull.open, pull.closed) = (false, Some(now)),
        (Some("open"), false) => {
            let head = repo.store.ref_target(&format!("refs/heads/{}", pull.head));
            let head = head.filter(|_| pull.merged.is_none());
            pull.head_sha = head.ok_or_else(|| custom("state cannot be changed. The branch was deleted."))?;
            (pull.open, pull.closed) = (true, None);
        }
        _ => {}
    }
    pull.updated = now;
    repo.pulls[place] = pull.clone();
    Ok(Reply::ok(shown(&asked.base, repo, &pull, true)))
}

pub(super) fn merge(world: &mut World, at: usize, asked: &Asked) -> Result<Reply, Reply> {
    let body = expect(asked.json.as_ref(), MERGED, &mut world.unexpected)?;
    let place = find(world, at, asked)?;
    let pull = &world.repos[at].pulls[place];
    if body.text("sha").is_some_and(|sha| sha != pull.head_sha) {
        return Err(Reply::refused(409, "Head branch was modified. Review and try the merge again."));
    }
    let method = match body.text("merge_method") {
        Some("squash") => Method::Squash,
        Some("rebase") => Method::Rebase,
        _ => Method::Merge,
    };
    let sha = merge::merge(world, at, place, &asked.login, method)?;
    Ok(Reply::ok(json!({"sha": sha, "merged": true, "message": "Pull Request successfully merged"})))
}

fn shown(base: &str, repo: &Repo, pull: &Pull, whole: bool) -> Value {
    let root = show::repo_url(base, repo);
    let url = format!("{root}/pulls/{}", pull.number);
    let issue = format!("{root}/issues/{}", pull.number);
    let side = |branch: &str, sha: &str| {
        json!({
            "label": format!("{}:{branch}", repo.owner), "ref": branch, "sha": sha,
            "user": show::owner(base, &repo.owner), "repo": show::repository(base, repo),
        })
    };
    let link = |to: &str| json!({ "href": to });
    let mut shown = json!({
        "url": url, "id": pull.id, "node_id": show::node_id("PullRequest", &pull.id.to_string()), "html_url": url,
        "diff_url": format!("{url}.diff"), "patch_url": format!("{url}.patch"), "issue_url": issue,
        "commits_url": format!("{url}/commits"), "review_comments_url": format!("{url}/comments"),
        "review_comment_url": format!("{root}/pulls/comments{{/number}}"),
        "comments_url": format!("{issue}/comments"), "statuses_url": format!("{root}/statuses/{}", pull.head_sha),
    });
    let more = json!({
        "number": pull.number, "state": if pull.open { "open" } else { "closed" }, "locked": false,
        "title": pull.title, "user": show::owner(base, &pull.author), "body": pull.body, "labels": [],
        "milestone": null, "active_lock_reason": null, "created_at": iso(pull.created),
        "updated_at": iso(pull.updated), "closed_at": pull.closed.map(iso),
        "merged_at": pull.closed.filter(|_| pull.merged.is_some()).map(iso), "merge_commit_sha": pull.merged,
        "assignee": null, "assignees": [], "requested_reviewers": [], "requested_teams": [], "draft": pull.draft,
        "head": side(&pull.head, &pull.head_sha), "base": side(&pull.base, &pull.base_sha),
        "_links": {
            "self": link(&url), "html": link(&url), "issue": link(&issue), "comments": link(&issue),
            "review_comments": link(&url), "review_comment": link(&url), "commits": link(&url),
            "statuses": link(&url),
        },
        "author_association": "CONTRIBUTOR", "auto_merge": null,
    });
    show::extend(&mut shown, &more);
    if whole {
        let range = [pull.head_sha.as_str(), &format!("^{}", pull.base_sha)];
        let mergeable = pull.open && merge::tree(repo, pull).is_some();
        let more = json!({
            "merged": pull.merged.is_some(), "mergeable": mergeable, "rebaseable": mergeable,
            "mergeable_state": if mergeable { "clean" } else { "dirty" }, "merged_by": null, "comments": 0,
            "review_comments": 0, "maintainer_can_modify": false, "commits": repo.store.log(&range, None).len(),
            "additions": 0, "deletions": 0, "changed_files": 0,
        });
        show::extend(&mut shown, &more);
    }
    shown
}

/// Brings pull requests up to what was pushed meanwhile.
pub(super) fn follow(repo: &mut Repo, now: i64) {
    let store = repo.store.clone();
    for pull in repo.pulls.iter_mut().filter(|pull| pull.open) {
        let tip = |branch: &str| store.ref_target(&format!("refs/heads/{branch}"));
        let (head, base) = (tip(&pull.head), tip(&pull.base));
        let moved = head.as_ref() != Some(&pull.head_sha) || base.as_ref() != Some(&pull.base_sha);
        match (head, base) {
            (Some(head), Some(base)) => {
                if moved && store.is_ancestor(&head, &base) {
                    // Somebody pushed its commits to the base: that counts as merged.
                    (pull.open, pull.closed, pull.merged) = (false, Some(now), Some(base.clone()));
                }
                (pull.head_sha, pull.base_sha) = (head, base);
            }
            _ => (pull.open, pull.closed) = (false, Some(now)),
        }
    }
}
