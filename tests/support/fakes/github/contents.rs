//! Files one by one, each with a commit of its own.

use serde_json::{Value, json};

use super::body::{Field, Members, Shape, expect};
use super::git_data::PERSON;
use super::push::{NotMoved, Wanted, push};
use super::refs;
use super::reply::Reply;
use super::server::{Asked, encode_path};
use super::show;
use super::store::{Change, Commit, Entry, Stamp, ZERO};
use super::world::{Repo, World};

/// Largest file whose content is shown in JSON.
const LARGEST_SHOWN: u64 = 1024 * 1024;

const PUT: &[Field] = &[
    ("message", true, Shape::Text),
    ("content", true, Shape::Text),
    ("sha", false, Shape::Text),
    ("branch", false, Shape::Text),
    ("committer", false, Shape::Object(PERSON)),
    ("author", false, Shape::Object(PERSON)),
];

const DELETE: &[Field] = &[
    ("message", true, Shape::Text),
    ("sha", true, Shape::Text),
    ("branch", false, Shape::Text),
    ("committer", false, Shape::Object(PERSON)),
    ("author", false, Shape::Object(PERSON)),
];

pub(super) fn get(world: &mut World, repo: usize, asked: &Asked) -> Result<Reply, Reply> {
    let path = asked.param("path").trim_matches('/').to_owned();
    let repo = &mut world.repos[repo];
    let wanted = asked.query("ref").map_or(repo.default_branch.clone(), str::to_owned);
    let commit = repo.seen_commit(&wanted);
    let commit = commit.ok_or_else(|| Reply::refused(404, &format!("No commit found for the ref {wanted}")))?;
    let entries = repo.store.entries(&commit, true);
    if let Some(file) = entries.iter().find(|entry| entry.path == path && entry.kind == "blob") {
        let content = repo.store.read("blob", &file.sha).unwrap_or_default();
        if asked.wants("raw") {
            return Ok(Reply::raw("application/vnd.github.raw+json; charset=utf-8", content));
        }
        let mut shown = shown(&asked.base, repo, file, &wanted);
        let small = file.size.unwrap_or_default() <= LARGEST_SHOWN;
        shown["encoding"] = json!(if small { "base64" } else { "none" });
        shown["content"] = json!(if small { show::base64_lines(&content) } else { String::new() });
        return Ok(Reply::ok(shown));
    }
    if !path.is_empty() && !entries.iter().any(|entry| entry.path == path) {
        return Err(Reply::not_found());
    }
    let start = if path.is_empty() { String::new() } else { format!("{path}/") };
    let inside = |entry: &&Entry| entry.path.strip_prefix(&start).is_some_and(|rest| !rest.contains('/'));
    Ok(Reply::ok(entries.iter().filter(inside).map(|entry| shown(&asked.base, repo, entry, &wanted)).collect()))
}

fn shown(base: &str, repo: &Repo, entry: &Entry, at: &str) -> Value {
    let root = show::repo_url(base, repo);
    let (kind, folder) = if entry.kind == "tree" { ("dir", "trees") } else { ("file", "blobs") };
    let url = format!("{root}/contents/{}?ref={at}", encode_path(&entry.path));
    let git = format!("{root}/git/{folder}/{}", entry.sha);
    json!({
        "type": kind, "size": entry.size.unwrap_or_default(), "name": entry.path.rsplit('/').next(),
        "path": entry.path, "sha": entry.sha, "url": url, "git_url": git, "html_url": url,
        "download_url": (kind == "file").then_some(&url), "_links": {"self": url, "git": git, "html": url},
    })
}

pub(super) fn put(world: &mut World, repo: usize, asked: &Asked) -> Result<Reply, Reply> {
    let body = expect(asked.json.as_ref(), PUT, &mut world.unexpected)?;
    let content = show::from_base64(body.text("content").unwrap_or_default())
        .ok_or_else(|| Reply::unprocessable("content is not valid Base64"))?;
    let sha = world.repos[repo].store.write_blobs(&[content]).remove(0);
    write(world, repo, asked, &body, Some(sha))
}

pub(super) fn delete(world: &mut World, repo: usize, asked: &Asked) -> Result<Reply, Reply> {
    let body = expect(asked.json.as_ref(), DELETE, &mut world.unexpected)?;
    write(world, repo, asked, &body, None)
}

fn write(world: &mut World, at: usize, asked: &Asked, body: &Value, to: Option<String>) -> Result<Reply, Reply> {
    let path = asked.param("path").to_owned();
    let repo = &world.repos[at];
    let store = repo.store.clone();
    let branch = body.text("branch").unwrap_or(&repo.default_branch).to_owned();
    let name = format!("refs/heads/{branch}");
    let head = store.ref_target(&name);
    if head.is_none() && !store.is_empty() {
        return Err(Reply::refused(404, &format!("Branch {branch} not found")));
    }
    let there = head.as_ref().and_then(|head| store.object_at(head, &path));
    match (&there, body.text("sha")) {
        (Some(_), None) => return Err(Reply::unprocessable("Invalid request.\n\n\"sha\" wasn't supplied.")),
        (Some(there), Some(sha)) if there != sha => {
            return Err(Reply::refused(409, &format!("{path} does not match {sha}")));
        }
        (None, _) if to.is_none() => return Err(Reply::not_found()),
        _ => {}
    }
    let change = Change { path: path.clone(), to: to.clone().map(|sha| ("100644".to_owned(), sha)) };
    let base = head.as_ref().and_then(|head| store.tree_of(head));
    let tree = store.change_tree(base.as_deref(), &[change]).map_err(|_| Reply::not_found())?;
    let commit = commit(world, asked, body, (tree, head.clone()));
    let sha = store.write_commit(&commit);
    let before = Some(head.unwrap_or_else(|| ZERO.to_owned()));
    let wanted = Wanted { name, to: sha.clone(), before, force: false, merges: false };
    push(world, at, &asked.login, &[wanted]).map_err(|reason| match reason {
        NotMoved::Against(violation) => Reply { status: 409, ..violation.reply() },
        other => refs::refused(&other),
    })?;
    let repo = &world.repos[at];
    let file = store.entries(&sha, true).into_iter().find(|entry| entry.path == path);
    let file = file.map(|file| shown(&asked.base, repo, &file, &branch));
    let body = json!({"content": file, "commit": show::git_commit(&asked.base, repo, &sha, &commit)});
    Ok(Reply::json(if there.is_none() { 201 } else { 200 }, body))
}

fn commit(world: &World, asked: &Asked, body: &Value, (tree, head): (String, Option<String>)) -> Commit {
    let (name, email) = world.token(asked).identity();
    let own = Stamp { name, email, at: world.now(), offset: 0 };
    let person = |given: &Value, default: &Stamp| match given.as_object() {
        Some(_) => Stamp {
            name: given.text("name").unwrap_or_default().to_owned(),
            email: given.text("email").unwrap_or_default().to_owned(),
            ..own.clone()
        },
        None => default.clone(),
    };
    let committer = person(&body["committer"], &own);
    Commit {
        tree,
        parents: head.into_iter().collect(),
        author: person(&body["author"], &committer),
        committer,
        signature: None,
        message: body.text("message").unwrap_or_default().to_owned(),
    }
}
