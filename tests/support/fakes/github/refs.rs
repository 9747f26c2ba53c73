//! Refs and branches.

use serde_json::{Value, json};

use super::body::{Field, Members, Shape, expect};
use super::push::{NotMoved, Wanted, push};
use super::reply::Reply;
use super::server::Asked;
use super::show;
use super::store::ZERO;
use super::world::World;

const NEW_REF: &[Field] = &[("ref", true, Shape::Text), ("sha", true, Shape::Text)];

const MOVED_REF: &[Field] = &[("sha", true, Shape::Text), ("force", false, Shape::Bool)];

pub(super) fn get(world: &mut World, repo: usize, asked: &Asked) -> Result<Reply, Reply> {
    let name = format!("refs/{}", asked.param("ref"));
    let repo = &mut world.repos[repo];
    let sha = repo.seen(&name).ok_or_else(Reply::not_found)?;
    Ok(Reply::ok(show::a_ref(&asked.base, repo, &name, &sha)))
}

pub(super) fn matching(world: &mut World, repo: usize, asked: &Asked) -> Result<Reply, Reply> {
    let prefix = format!("refs/{}", asked.param("ref"));
    let repo = &world.repos[repo];
    let found = repo.store.refs(&prefix);
    Ok(Reply::ok(found.iter().map(|(name, sha)| show::a_ref(&asked.base, repo, name, sha)).collect()))
}

pub(super) fn post(world: &mut World, repo: usize, asked: &Asked) -> Result<Reply, Reply> {
    let body = expect(asked.json.as_ref(), NEW_REF, &mut world.unexpected)?;
    let name = body.text("ref").unwrap_or_default().to_owned();
    let to = body.text("sha").unwrap_or_default().to_owned();
    if !name.starts_with("refs/") || name.matches('/').count() < 2 {
        return Err(Reply::unprocessable("Reference name must start with 'refs/' and contain at least two slashes."));
    }
    if world.repos[repo].store.kind(&to).is_none() {
        return Err(Reply::unprocessable("Object does not exist"));
    }
    let wanted =
        Wanted { name: name.clone(), to: to.clone(), before: Some(ZERO.to_owned()), force: false, merges: false };
    push(world, repo, &asked.login, &[wanted]).map_err(|reason| match reason {
        NotMoved::Stale { .. } => Reply::unprocessable("Reference already exists"),
        NotMoved::Against(_) => Reply::unprocessable("Reference update failed"),
        other => refused(&other),
    })?;
    Ok(Reply::created(show::a_ref(&asked.base, &world.repos[repo], &name, &to)))
}

pub(super) fn patch(world: &mut World, repo: usize, asked: &Asked) -> Result<Reply, Reply> {
    let body = expect(asked.json.as_ref(), MOVED_REF, &mut world.unexpected)?;
    let name = format!("refs/{}", asked.param("ref"));
    let to = body.text("sha").unwrap_or_default().to_owned();
    if world.repos[repo].store.ref_target(&name).is_none() {
        return Err(Reply::unprocessable("Reference does not exist"));
    }
    if world.repos[repo].store.kind(&to).is_none() {
        return Err(Reply::unprocessable("Object does not exist"));
    }
    let force = body.flag("force").unwrap_or_default();
    let wanted = Wanted { name: name.clone(), to: to.clone(), before: None, force, merges: false };
    push(world, repo, &asked.login, &[wanted]).map_err(|reason| refused(&reason))?;
    Ok(Reply::ok(show::a_ref(&asked.base, &world.repos[repo], &name, &to)))
}

pub(super) fn delete(world: &mut World, repo: usize, asked: &Asked) -> Result<Reply, Reply> {
    let name = format!("refs/{}", asked.param("ref"));
    if world.repos[repo].store.ref_target(&name).is_none() {
        return Err(Reply::unprocessable("Reference does not exist"));
    }
    let wanted = Wanted { name, to: ZERO.to_owned(), before: None, force: true, merges: false };
    push(world, repo, &asked.login, &[wanted]).map_err(|reason| refused(&reason))?;
    Ok(Reply::empty(204))
}

/// As REST says why a ref did not move.
pub(super) fn refused(reason: &NotMoved) -> Reply {
    match reason {
        NotMoved::Stale { .. } => Reply::refused(409, "Reference cannot be updated"),
        NotMoved::NotFastForward { .. } => Reply::unprocessable("Update is not a fast forward"),
        NotMoved::InvalidName { name } => Reply::unprocessable(&format!("{name} is not a valid ref name.")),
        NotMoved::NoCommit { .. } => Reply::unprocessable("Object does not exist"),
        NotMoved::Against(violation) => violation.reply(),
    }
}

pub(super) fn list_branches(world: &mut World, repo: usize, asked: &Asked) -> Result<Reply, Reply> {
    let heads = world.repos[repo].store.refs("refs/heads/");
    let shown = heads.iter().map(|(name, sha)| branch(world, repo, asked, name, sha)).collect();
    asked.page(shown)
}

pub(super) fn get_branch(world: &mut World, repo: usize, asked: &Asked) -> Result<Reply, Reply> {
    let name = format!("refs/heads/{}", asked.param("branch"));
    let found = world.repos[repo].seen(&name).ok_or_else(|| Reply::refused(404, "Branch not found"))?;
    let mut shown = branch(world, repo, asked, &name, &found);
    let repo = &world.repos[repo];
    shown["commit"] = show::commit(&asked.base, repo, &found).unwrap_or_default();
    let url = format!("{}/branches/{}", show::repo_url(&asked.base, repo), asked.param("branch"));
    shown["_links"] = json!({"self": url, "html": url});
    Ok(Reply::ok(shown))
}

fn branch(world: &World, repo: usize, asked: &Asked, name: &str, sha: &str) -> Value {
    let repo = &world.repos[repo];
    let name = name.strip_prefix("refs/heads/").unwrap_or(name);
    let url = show::repo_url(&asked.base, repo);
    let classic = repo.protections.contains_key(name);
    let protected = classic || repo.rulesets.iter().any(|set| set.branch == name);
    let checks = json!({"enforcement_level": "off", "contexts": [], "checks": []});
    json!({
        "name": name, "commit": {"sha": sha, "url": format!("{url}/commits/{sha}")}, "protected": protected,
        "protection": {"enabled": classic, "required_status_checks": checks},
        "protection_url": format!("{url}/branches/{name}/protection"),
    })
}
