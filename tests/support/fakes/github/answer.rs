//! From a request that was let in to its answer.

use std::collections::BTreeMap;

use serde_json::json;

use super::access::{Level, Permission};
use super::reply::{Body, Reply};
use super::routes::Route;
use super::server::Asked;
use super::world::World;
use super::{apps, commits, contents, deliveries, git_data, graphql, hooks, pulls, refs, rules, show, statuses};

/// Does what is asked. With `stale_for`, the next reads of what it moved still see what was before.
pub(super) fn answer(world: &mut World, asked: &Asked, stale_for: Option<usize>) -> Reply {
    // People push beside HTTP, so what they did is noticed late, but before what comes now.
    notice(world, "a-person");
    let before = stale_for.map(|_| all_refs(world));
    let reply = match &asked.document {
        Some(document) => graphql::answer(world, asked, document),
        None => rest(world, asked).unwrap_or_else(|refusal| refusal),
    };
    notice(world, &asked.login);
    if let Some((before, reads)) = before.zip(stale_for) {
        for (repo, was) in world.repos.iter_mut().zip(before) {
            let is: BTreeMap<String, String> = repo.store.refs("refs/").into_iter().collect();
            let names: Vec<&String> = was.keys().chain(is.keys()).collect();
            for name in names.into_iter().filter(|name| was.get(*name) != is.get(*name)) {
                repo.stale.insert(name.clone(), (was.get(name).cloned(), reads));
            }
        }
    }
    reply
}

fn notice(world: &mut World, by: &str) {
    for repo in 0..world.repos.len() {
        deliveries::notice(world, repo, by);
    }
}

fn all_refs(world: &World) -> Vec<BTreeMap<String, String>> {
    world.repos.iter().map(|repo| repo.store.refs("refs/").into_iter().collect()).collect()
}

fn rest(world: &mut World, asked: &Asked) -> Result<Reply, Reply> {
    let route = asked.found.route;
    if asked.param("repo").is_empty() || route == Route::GetRepositoryInstallation {
        return beside_repositories(world, asked);
    }
    let repo = visible(world, asked)?;
    let (permission, level) = route.needs();
    if !world.token(asked).can(permission, level) {
        return Err(world.forbidden(asked));
    }
    if needs_commits(route) && world.repos[repo].store.is_empty() {
        return Err(Reply::refused(409, "Git Repository is empty."));
    }
    match route {
        Route::GetRepository => Ok(Reply::ok(repository(world, repo, asked))),
        Route::GetRef => refs::get(world, repo, asked),
        Route::MatchingRefs => refs::matching(world, repo, asked),
        Route::PostRef => refs::post(world, repo, asked),
        Route::PatchRef => refs::patch(world, repo, asked),
        Route::DeleteRef => refs::delete(world, repo, asked),
        Route::GetGitCommit => git_data::get_commit(world, repo, asked),
        Route::PostGitCommit => git_data::post_commit(world, repo, asked),
        Route::GetTree => git_data::get_tree(world, repo, asked),
        Route::PostTree => git_data::post_tree(world, repo, asked),
        Route::GetBlob => git_data::get_blob(world, repo, asked),
        Route::PostBlob => git_data::post_blob(world, repo, asked),
        Route::ListCommits => commits::list(world, repo, asked),
        Route::GetCommit => commits::get(world, repo, asked),
        Route::Compare => commits::compare(world, repo, asked),
        Route::ListBranches => refs::list_branches(world, repo, asked),
        Route::GetBranch => refs::get_branch(world, repo, asked),
        Route::GetProtection => Ok(rules::protection(world, repo, &asked.base, asked.param("branch"))),
        Route::GetBranchRules => Ok(rules::of_branch(world, repo, asked.param("branch"))),
        Route::GetRuleset => rules::ruleset(world, repo, asked),
        Route::GetContents => contents::get(world, repo, asked),
        Route::PutContents => contents::put(world, repo, asked),
        Route::DeleteContents => contents::delete(world, repo, asked),
        Route::GetCombinedStatus => statuses::combined(world, repo, asked),
        Route::ListStatuses => statuses::list(world, repo, asked),
        Route::PostStatus => statuses::post(world, repo, asked),
        Route::ListPulls => pulls::list(world, repo, asked),
        Route::PostPull => pulls::post(world, repo, asked),
        Route::GetPull => pulls::get(world, repo, asked),
        Route::PatchPull => pulls::patch(world, repo, asked),
        Route::ListPullCommits => pulls::commits(world, repo, asked),
        Route::MergePull => pulls::merge(world, repo, asked),
        Route::ListHooks => hooks::list(world, repo, asked),
        Route::PostHook => hooks::post(world, repo, asked),
        Route::GetHook => hooks::get(world, repo, asked),
        Route::PatchHook => hooks::patch(world, repo, asked),
        Route::DeleteHook => hooks::delete(world, repo, asked),
        Route::PingHook => hooks::ping(world, repo, asked),
        Route::ListDeliveries => hooks::list_deliveries(world, repo, asked),
        Route::GetDelivery => hooks::get_delivery(world, repo, asked),
        Route::Redeliver => hooks::redeliver(world, repo, asked),
        Route::GetRateLimit
        | Route::GetApp
        | Route::ListInstallations
        | Route::GetInstallation
        | Route::CreateToken
        | Route::GetRepositoryInstallation
        | Route::GetUser
        | Route::Query
        | Route::UpdateRefs
        | Route::CreateRef
        | Route::CreateCommitOnBranch => unreachable!("{route:?} is of no repository"),
    }
}

fn beside_repositories(world: &mut World, asked: &Asked) -> Result<Reply, Reply> {
    match asked.found.route {
        Route::GetRateLimit => Ok(rate_limit(world, asked)),
        Route::GetUser => Ok(Reply::ok(show::owner(&asked.base, &asked.login))),
        _ => apps::answer(world, asked),
    }
}

/// The repository, when the token may know of it. One that was renamed redirects.
fn visible(world: &mut World, asked: &Asked) -> Result<usize, Reply> {
    let name = format!("{}/{}", asked.param("owner"), asked.param("repo"));
    let token = world.token(asked);
    let sees = |repo: &usize| token.sees(&world.repos[*repo].full_name());
    if let Some(repo) = world.repo_named(&name).filter(sees) {
        return Ok(repo);
    }
    let moved = world.repo_formerly(&name).filter(sees).ok_or_else(Reply::not_found)?;
    let rest: Vec<&str> = asked.path.splitn(4, '/').collect();
    let rest = rest.get(3).map(|rest| format!("/{rest}")).unwrap_or_default();
    let mut url = format!("{}/repositories/{}{rest}", asked.base, world.repos[moved].id);
    if !asked.query.is_empty() {
        let pairs: Vec<String> =
            asked.query.iter().map(|(name, value)| format!("{name}={}", super::server::encode(value))).collect();
        url += &format!("?{}", pairs.join("&"));
    }
    let (status, words) = if asked.method == "GET" { (301, "Moved Permanently") } else { (307, "Temporary Redirect") };
    let mut reply = Reply::refused(status, words).with("Location", &url);
    if let Body::Json(body) = &mut reply.body {
        body["url"] = json!(url);
    }
    Err(reply)
}

/// Git Data and its neighbours do not work on a repository without a commit.
fn needs_commits(route: Route) -> bool {
    matches!(
        route,
        Route::GetRef
            | Route::MatchingRefs
            | Route::PostRef
            | Route::PatchRef
            | Route::DeleteRef
            | Route::GetGitCommit
            | Route::PostGitCommit
            | Route::GetTree
            | Route::PostTree
            | Route::GetBlob
            | Route::PostBlob
            | Route::ListCommits
            | Route::GetCommit
    )
}

fn rate_limit(world: &mut World, asked: &Asked) -> Reply {
    let now = world.now();
    let mut budgets = world.token(asked).budgets;
    budgets.core.roll(now);
    budgets.graphql.roll(now);
    let shown = |budget: &super::access::Budget| {
        let (limit, remaining, reset, used) = (budget.limit, budget.remaining(), budget.reset, budget.used);
        json!({"limit": limit, "remaining": remaining, "reset": reset, "used": used})
    };
    let (core, graphql) = (shown(&budgets.core), shown(&budgets.graphql));
    let search = json!({"limit": 30, "remaining": 30, "reset": budgets.core.reset, "used": 0});
    Reply::ok(json!({"resources": {"core": core, "graphql": graphql, "search": search}, "rate": core}))
}

fn repository(world: &World, at: usize, asked: &Asked) -> serde_json::Value {
    let token = world.token(asked);
    let mut shown = show::repository(&asked.base, &world.repos[at]);
    shown["permissions"] = json!({
        "admin": token.can(Permission::Administration, Level::Write),
        "push": token.can(Permission::Contents, Level::Write), "pull": true,
    });
    for (name, value) in [("network_count", 0), ("subscribers_count", 0)] {
        shown[name] = json!(value);
    }
    shown
}
