//! Commits, listed, shown and compared.

use serde_json::{Value, json};

use super::reply::Reply;
use super::server::{Asked, encode_path};
use super::show;
use super::world::{Repo, World};

/// Files that a comparison shows at most.
const FILES: usize = 300;

pub(super) fn list(world: &mut World, repo: usize, asked: &Asked) -> Result<Reply, Reply> {
    let repo = &mut world.repos[repo];
    let wanted = asked.query("sha").map_or(repo.default_branch.clone(), str::to_owned);
    let head = repo.seen_commit(&wanted).ok_or_else(Reply::not_found)?;
    let found = repo.store.log(&[&head], asked.query("path"));
    asked.page(found.iter().filter_map(|sha| show::commit(&asked.base, repo, sha)).collect())
}

pub(super) fn get(world: &mut World, repo: usize, asked: &Asked) -> Result<Reply, Reply> {
    let repo = &mut world.repos[repo];
    let wanted = asked.param("ref");
    let no_commit = || Reply::unprocessable(&format!("No commit found for SHA: {wanted}"));
    let sha = repo.seen_commit(wanted).ok_or_else(no_commit)?;
    if asked.wants("sha") {
        return Ok(Reply::raw("application/vnd.github.sha; charset=utf-8", sha.into_bytes()));
    }
    let mut shown = show::commit(&asked.base, repo, &sha).ok_or_else(no_commit)?;
    let parent = shown["parents"][0]["sha"].as_str().map_or(super::store::EMPTY_TREE.to_owned(), str::to_owned);
    let files = files(&asked.base, repo, &parent, &sha);
    let total = files.len();
    shown["files"] = files.into_iter().take(FILES).collect();
    shown["stats"] = json!({"total": total, "additions": total, "deletions": 0});
    Ok(Reply::ok(shown))
}

pub(super) fn compare(world: &mut World, repo: usize, asked: &Asked) -> Result<Reply, Reply> {
    let repo = &mut world.repos[repo];
    let (base, head) = asked.param("basehead").split_once("...").ok_or_else(Reply::not_found)?;
    let base = repo.seen_commit(base).ok_or_else(Reply::not_found)?;
    let head = repo.seen_commit(head).ok_or_else(Reply::not_found)?;
    let store = repo.store.clone();
    let common = store.merge_base(&base, &head);
    let common = common.ok_or_else(|| Reply::refused(404, "No common ancestor between the two commits."))?;
    let mut ahead = store.log(&[&head, &format!("^{base}")], None);
    ahead.reverse();
    let behind = store.log(&[&base, &format!("^{head}")], None).len();
    let status = match (ahead.len(), behind) {
        (0, 0) => "identical",
        (_, 0) => "ahead",
        (0, _) => "behind",
        _ => "diverged",
    };
    let shown = |sha: &str| show::commit(&asked.base, repo, sha).unwrap_or_default();
    let commits: Vec<Value> = ahead.iter().map(|sha| shown(sha)).collect();
    let page = asked.page(commits)?;
    let first = asked.query("page").is_none_or(|page| page == "1");
    // Files come with the first page only.
    let mut files = if first { files(&asked.base, repo, &common, &head) } else { Vec::new() };
    files.truncate(FILES);
    let url = format!("{}/compare/{base}...{head}", show::repo_url(&asked.base, repo));
    let super::reply::Body::Json(commits) = page.body else { return Err(Reply::not_found()) };
    let mut reply = Reply::ok(json!({
        "url": url, "html_url": url, "permalink_url": url, "diff_url": format!("{url}.diff"),
        "patch_url": format!("{url}.patch"), "base_commit": shown(&base), "merge_base_commit": shown(&common),
        "status": status, "ahead_by": ahead.len(), "behind_by": behind, "total_commits": ahead.len(),
        "commits": commits, "files": files,
    }));
    reply.headers = page.headers;
    Ok(reply)
}

fn files(base: &str, repo: &Repo, from: &str, to: &str) -> Vec<Value> {
    let url = show::repo_url(base, repo);
    let differences = repo.store.differences(from, to);
    let shown = differences.into_iter().map(|(letter, path, former)| {
        let status = match letter {
            'A' => "added",
            'D' => "removed",
            'R' => "renamed",
            _ => "modified",
        };
        let of = if letter == 'D' { from } else { to };
        let place = encode_path(&path);
        let mut file = json!({
            "sha": repo.store.object_at(of, &path), "filename": path, "status": status, "additions": 1, "deletions": 0,
            "changes": 1, "blob_url": format!("{url}/blob/{of}/{place}"), "raw_url": format!("{url}/raw/{of}/{place}"),
            "contents_url": format!("{url}/contents/{place}?ref={of}"),
        });
        if let Some(former) = former {
            file["previous_filename"] = json!(former);
        }
        file
    });
    shown.collect()
}
