//! Git Data: commits, trees and blobs.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::body::{Field, Members, Shape, expect};
use super::reply::Reply;
use super::server::Asked;
use super::show;
use super::store::{Change, Commit, EMPTY_TREE, Stamp, is_oid};
use super::world::{World, parse_time};

/// Largest blob that the API shows.
const LARGEST_BLOB: usize = 100 * 1024 * 1024;

pub(super) const PERSON: &[Field] =
    &[("name", true, Shape::Text), ("email", true, Shape::Text), ("date", false, Shape::Text)];

const NEW_COMMIT: &[Field] = &[
    ("message", true, Shape::Text),
    ("tree", true, Shape::Text),
    ("parents", false, Shape::List(&Shape::Text)),
    ("author", false, Shape::Object(PERSON)),
    ("committer", false, Shape::Object(PERSON)),
    ("signature", false, Shape::Text),
];

const NEW_ENTRY: &[Field] = &[
    ("path", true, Shape::Text),
    ("mode", true, Shape::Word(&["100644", "100755", "040000", "160000", "120000"])),
    ("type", false, Shape::Word(&["blob", "tree", "commit"])),
    ("sha", false, Shape::Nullable(&Shape::Text)),
    ("content", false, Shape::Text),
];

const NEW_TREE: &[Field] = &[("tree", true, Shape::List(&Shape::Object(NEW_ENTRY))), ("base_tree", false, Shape::Text)];

const NEW_BLOB: &[Field] = &[("content", true, Shape::Text), ("encoding", false, Shape::Word(&["utf-8", "base64"]))];

pub(super) fn get_commit(world: &mut World, repo: usize, asked: &Asked) -> Result<Reply, Reply> {
    let sha = asked.param("sha");
    let repo = &world.repos[repo];
    if !is_oid(sha) {
        return Err(Reply::unprocessable("The sha parameter must be exactly 40 characters and contain only [0-9a-f]."));
    }
    let commit = repo.store.commit(sha).ok_or_else(Reply::not_found)?;
    Ok(Reply::ok(show::git_commit(&asked.base, repo, sha, &commit)))
}

pub(super) fn post_commit(world: &mut World, repo: usize, asked: &Asked) -> Result<Reply, Reply> {
    let body = expect(asked.json.as_ref(), NEW_COMMIT, &mut world.unexpected)?;
    let (name, email) = world.token(asked).identity();
    let now = world.now();
    let person = |given: Option<&Value>, default: &Stamp| -> Result<Stamp, Reply> {
        let Some(given) = given else { return Ok(default.clone()) };
        let date = given.text("date").map(|date| {
            parse_time(date).ok_or_else(|| {
                Reply::unprocessable("Invalid request.\n\nFor 'properties/date', it is not a date-time.")
            })
        });
        let (at, offset) = date.transpose()?.unwrap_or((now, 0));
        let text = |name: &str| given.text(name).unwrap_or_default().to_owned();
        Ok(Stamp { name: text("name"), email: text("email"), at, offset })
    };
    let default = Stamp { name, email, at: now, offset: 0 };
    let author = person(body.get("author"), &default)?;
    let committer = person(body.get("committer"), &author)?;
    let store = &world.repos[repo].store;
    let tree = body.text("tree").unwrap_or_default();
    if tree != EMPTY_TREE && store.kind(tree).as_deref() != Some("tree") {
        return Err(Reply::unprocessable("Tree SHA does not exist"));
    }
    let parents = body["parents"].as_array().cloned().unwrap_or_default();
    let parents: Vec<String> = parents.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    if parents.iter().any(|parent| store.kind(parent).as_deref() != Some("commit")) {
        return Err(Reply::unprocessable("Parent SHA does not exist or is not a commit object"));
    }
    let mut commit = Commit {
        tree: tree.to_owned(),
        parents,
        author,
        committer,
        signature: body.text("signature").map(str::to_owned),
        message: body.text("message").unwrap_or_default().to_owned(),
    };
    // GitHub signs what an App commits in its own name.
    let own_name = body.get("author").is_none() && body.get("committer").is_none();
    if own_name && world.token(asked).is_app() {
        commit.signature = Some(signature(&commit));
    }
    let repo = &world.repos[repo];
    let sha = repo.store.write_commit(&commit);
    Ok(Reply::created(show::git_commit(&asked.base, repo, &sha, &commit)))
}

/// Stands for a signature with GitHub's own key.
pub(super) fn signature(commit: &Commit) -> String {
    let sum = show::base64_lines(commit.payload().as_bytes());
    let sum: String = sum.lines().take(3).map(|line| format!("{line}\n")).collect();
    format!("-----BEGIN PGP SIGNATURE-----\n\n{sum}-----END PGP SIGNATURE-----\n")
}

pub(super) fn get_tree(world: &mut World, repo: usize, asked: &Asked) -> Result<Reply, Reply> {
    let limit = world.limits.tree;
    let name = asked.param("sha");
    let repo = &mut world.repos[repo];
    let found = match is_oid(name) {
        true => Some(name.to_owned()),
        false => repo.seen_commit(name),
    };
    let found = found.ok_or_else(Reply::not_found)?;
    let sha = match repo.store.kind(&found).as_deref() {
        Some("commit") => repo.store.commit(&found).map(|commit| commit.tree),
        Some("tree") => Some(found),
        None if found == EMPTY_TREE => Some(found),
        _ => None,
    };
    let sha = sha.ok_or_else(Reply::not_found)?;
    // Any value makes it recursive, as documented.
    let mut entries = repo.store.entries(&sha, asked.query("recursive").is_some());
    let truncated = entries.len() > limit;
    entries.truncate(limit);
    let shown: Vec<Value> = entries.iter().map(|entry| show::entry(&asked.base, repo, entry)).collect();
    let url = format!("{}/git/trees/{sha}", show::repo_url(&asked.base, repo));
    Ok(Reply::ok(json!({"sha": sha, "url": url, "tree": shown, "truncated": truncated})))
}

pub(super) fn post_tree(world: &mut World, repo: usize, asked: &Asked) -> Result<Reply, Reply> {
    let body = expect(asked.json.as_ref(), NEW_TREE, &mut world.unexpected)?;
    let entries = body["tree"].as_array().cloned().unwrap_or_default();
    if entries.is_empty() {
        return Err(Reply::unprocessable("Invalid tree info"));
    }
    if entries.iter().filter(|entry| entry.get("content").is_some()).count() > world.limits.inline {
        return Err(Reply::unprocessable(
            "Sorry, your request timed out. It's likely that your input was too large to process. Consider building \
             the tree incrementally, or building the commits you need in a local clone of the repository and then \
             pushing them to GitHub.",
        ));
    }
    let repo = &world.repos[repo];
    let base = body.text("base_tree").map(|base| repo.store.tree_of(base).ok_or_else(Reply::not_found)).transpose()?;
    let contents: Vec<Vec<u8>> =
        entries.iter().filter_map(|entry| entry.text("content")).map(|content| content.as_bytes().to_vec()).collect();
    let changes = changes(&entries)?;
    let named: Vec<&str> = entries.iter().filter_map(|entry| entry.text("sha")).collect();
    let kinds: BTreeMap<&str, Option<String>> = named.iter().copied().zip(repo.store.kinds(&named)).collect();
    for entry in &entries {
        check_object(entry, &kinds)?;
    }
    let mut made = repo.store.write_blobs(&contents).into_iter();
    let changes: Vec<Change> = changes
        .into_iter()
        .map(|(path, mode, object)| {
            let sha = match object {
                Object::Inline => Some(made.next().unwrap_or_default()),
                Object::Named(sha) => Some(sha),
                Object::Gone => None,
            };
            Change { path, to: sha.map(|sha| (mode, sha)) }
        })
        .collect();
    let sha = repo
        .store
        .change_tree(base.as_deref(), &changes)
        .map_err(|_| Reply::unprocessable("GitRPC::BadObjectState"))?;
    // GitHub makes no empty tree.
    if sha == EMPTY_TREE {
        return Err(Reply::unprocessable("Invalid tree info"));
    }
    let shown: Vec<Value> =
        repo.store.entries(&sha, false).iter().map(|entry| show::entry(&asked.base, repo, entry)).collect();
    let url = format!("{}/git/trees/{sha}", show::repo_url(&asked.base, repo));
    Ok(Reply::created(json!({"sha": sha, "url": url, "tree": shown, "truncated": false})))
}

enum Object {
    Inline,
    Named(String),
    Gone,
}

fn changes(entries: &[Value]) -> Result<Vec<(String, String, Object)>, Reply> {
    let both = "Must supply either tree.sha or tree.content. Request will be rejected if both are present.";
    entries
        .iter()
        .map(|entry| {
            let path = entry.text("path").unwrap_or_default();
            let bad = |part: &str| part.is_empty() || part == "." || part == ".." || part.eq_ignore_ascii_case(".git");
            if path.split('/').any(bad) {
                return Err(Reply::unprocessable("tree.path contains a malformed path component"));
            }
            let object = match (entry.get("sha"), entry.get("content")) {
                (None, Some(_)) => Object::Inline,
                (Some(Value::String(sha)), None) => Object::Named(sha.clone()),
                (Some(Value::Null), None) => Object::Gone,
                _ => return Err(Reply::unprocessable(both)),
            };
            Ok((path.to_owned(), entry.text("mode").unwrap_or_default().to_owned(), object))
        })
        .collect()
}

fn check_object(entry: &Value, kinds: &BTreeMap<&str, Option<String>>) -> Result<(), Reply> {
    let Some(sha) = entry.text("sha") else { return Ok(()) };
    let wanted = match entry.text("mode") {
        Some("040000") => "tree",
        // A commit of another repository.
        Some("160000") => return Ok(()),
        _ => "blob",
    };
    if entry.text("type").is_some_and(|kind| kind != wanted) {
        return Err(Reply::unprocessable("tree.mode and tree.type do not match"));
    }
    match kinds.get(sha) {
        Some(Some(kind)) if kind == wanted && is_oid(sha) => Ok(()),
        _ => Err(Reply::unprocessable(&format!("tree.sha {sha} is not a valid {wanted}"))),
    }
}

pub(super) fn get_blob(world: &mut World, repo: usize, asked: &Asked) -> Result<Reply, Reply> {
    let sha = asked.param("sha");
    let repo = &world.repos[repo];
    if !is_oid(sha) {
        return Err(Reply::unprocessable("The sha parameter must be exactly 40 characters and contain only [0-9a-f]."));
    }
    let content = repo.store.read("blob", sha).ok_or_else(Reply::not_found)?;
    if content.len() > LARGEST_BLOB {
        return Err(Reply::refused(403, "This API returns blobs up to 100 MB in size."));
    }
    if asked.wants("raw") {
        return Ok(Reply::raw("application/vnd.github.raw; charset=utf-8", content));
    }
    Ok(Reply::ok(json!({
        "sha": sha, "node_id": show::node_id("Blob", sha), "size": content.len(),
        "url": format!("{}/git/blobs/{sha}", show::repo_url(&asked.base, repo)),
        "content": show::base64_lines(&content), "encoding": "base64",
    })))
}

pub(super) fn post_blob(world: &mut World, repo: usize, asked: &Asked) -> Result<Reply, Reply> {
    let body = expect(asked.json.as_ref(), NEW_BLOB, &mut world.unexpected)?;
    let content = body.text("content").unwrap_or_default();
    let bytes = match body.text("encoding") {
        Some("base64") => show::from_base64(content)
            .ok_or_else(|| Reply::unprocessable("Problem decoding base64 content of the blob"))?,
        _ => content.as_bytes().to_vec(),
    };
    let repo = &world.repos[repo];
    let sha = repo.store.write_blobs(&[bytes]).remove(0);
    let url = format!("{}/git/blobs/{sha}", show::repo_url(&asked.base, repo));
    Ok(Reply::created(json!({"sha": sha, "url": url})))
}
