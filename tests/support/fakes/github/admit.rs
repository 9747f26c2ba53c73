//! The door: what every request must carry, who sends it, and what is left of their budget.

use actix_web::HttpRequest;
use actix_web::http::header::HeaderMap;
use serde_json::{Value, json};

use super::access::{Budget, Kind, Permission, Token};
use super::reply::{Body, Reply};
use super::routes::{self, Found, Route, decode};
use super::server::{Asked, etag, too_much};
use super::world::{Served, World, iso};
use super::{apps, graphql};

/// What the door says; `No` with the request's place among those served.
pub(super) enum Admitted {
    Yes(Box<Asked>),
    No(Reply, usize),
}

/// The versions of the REST API that may be asked for.
const API_VERSIONS: [&str; 2] = ["2022-11-28", "2026-03-10"];

/// Length of the window of the secondary limit on creating content, in seconds.
const CREATING_WINDOW: i64 = 60;

pub(super) fn admit(request: &HttpRequest, body: &[u8], world: &mut World) -> Admitted {
    let path = request.uri().path_and_query().map_or("", |path| path.as_str()).to_owned();
    let method = request.method().as_str().to_owned();
    let number = world.served.len();
    let json = (!body.is_empty()).then(|| serde_json::from_slice::<Value>(body).ok());
    world.served.push(Served {
        method: method.clone(),
        path: path.clone(),
        route: None,
        status: 0,
        body: json.clone().flatten(),
    });
    match check(request, json, world, number) {
        Ok(asked) => Admitted::Yes(Box::new(asked)),
        Err(refusal) => Admitted::No(*refusal, number),
    }
}

fn check(
    request: &HttpRequest,
    json: Option<Option<Value>>,
    world: &mut World,
    number: usize,
) -> Result<Asked, Box<Reply>> {
    let headers = request.headers();
    let what = format!("{} {}", request.method(), request.path());
    let unexpected_before = world.unexpected.len();
    check_headers(headers, world, &what)?;
    if json == Some(None) {
        world.unexpected.push(format!("{what} with a body that is no JSON"));
        return Err(Box::new(Reply::refused(400, "Problems parsing JSON")));
    }
    let json = json.flatten();
    let (base, path) = place(world, request.path());
    let document = (path == "graphql").then(|| graphql::Request::read(json.as_ref()));
    let found = match &document {
        Some(document) => Some(Found::graphql(document.route())),
        None => routes::find(request.method().as_str(), &path),
    };
    let Some(found) = found else {
        world.unexpected.push(format!("{what} is no route"));
        return Err(Box::new(Reply::not_found()));
    };
    world.served[number].route = Some(found.route);
    let (token, login) = authenticate(headers, world, &found, &what)?;
    let asked = Asked {
        method: request.method().as_str().to_owned(),
        path,
        found,
        query: query(request.query_string()),
        json,
        document,
        accept: header(headers, "accept").unwrap_or_default().to_owned(),
        if_none_match: header(headers, "if-none-match").map(str::to_owned),
        token,
        login,
        base,
        unexpected_before,
        request_id: format!("{number:04X}:FAKE:{:08X}", world.now()),
        number,
    };
    world.charge(&asked)?;
    world.entered(&asked);
    Ok(asked)
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn check_headers(headers: &HeaderMap, world: &mut World, what: &str) -> Result<(), Box<Reply>> {
    if header(headers, "user-agent").is_none_or(str::is_empty) {
        world.unexpected.push(format!("{what} without User-Agent"));
        let words = "Request forbidden by administrative rules. Please make sure your request has a User-Agent header \
                     (https://docs.github.com/en/rest/overview/resources-in-the-rest-api#user-agent-required). Check \
                     https://developer.github.com for other possible causes.\r\n";
        let reply = Reply { status: 403, ..Reply::raw("text/plain", words.as_bytes().to_vec()) };
        return Err(Box::new(reply));
    }
    let accept = header(headers, "accept").unwrap_or_default();
    let known = |form: &str| form.starts_with("application/vnd.github") || form.starts_with("application/json");
    if !accept.split(',').any(|form| known(form.trim())) {
        world.unexpected.push(format!("{what} with Accept {accept:?}"));
        if !accept.is_empty() && !accept.contains("*/*") {
            let words = format!("Unsupported 'Accept' header: '{accept}'. Must accept 'application/json'.");
            return Err(Box::new(Reply::refused(415, &words)));
        }
    }
    if let Some(version) = header(headers, "x-github-api-version").filter(|version| !API_VERSIONS.contains(version)) {
        world.unexpected.push(format!("{what} for API version {version}"));
        return Err(Box::new(Reply::refused(400, "The X-GitHub-Api-Version header is not a supported version.")));
    }
    Ok(())
}

/// The root of REST addresses, and the path below it. The forms of GHES and of github.com are both understood.
fn place(world: &World, path: &str) -> (String, String) {
    let (base, path) = match path.strip_prefix("/api/v3/") {
        Some(rest) => (format!("{}/api/v3", world.origin), rest),
        None => (world.origin.clone(), path.strip_prefix("/api/").unwrap_or(path.trim_start_matches('/'))),
    };
    let by_id = path.strip_prefix("repositories/").and_then(|rest| {
        let (id, rest) = rest.split_once('/').unwrap_or((rest, ""));
        let repo = world.repos.iter().find(|repo| Ok(repo.id) == id.parse())?;
        Some(format!("repos/{}/{rest}", repo.full_name()).trim_end_matches('/').to_owned())
    });
    (base, by_id.unwrap_or_else(|| path.to_owned()))
}

fn query(text: &str) -> Vec<(String, String)> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(&name.replace('+', " ")), decode(&value.replace('+', " ")))
        })
        .collect()
}

/// The token and its owner.
fn authenticate(
    headers: &HeaderMap,
    world: &mut World,
    found: &Found,
    what: &str,
) -> Result<(String, String), Box<Reply>> {
    let Some(given) = header(headers, "authorization") else {
        world.unexpected.push(format!("{what} without a token"));
        let reply = match found.route.writes() || found.route == Route::Query {
            true => Reply::refused(401, "Requires authentication"),
            false => Reply::not_found(),
        };
        return Err(Box::new(reply));
    };
    let bad = || Box::new(Reply::refused(401, "Bad credentials"));
    let (scheme, token) = given.split_once(' ').unwrap_or((given, ""));
    if !scheme.eq_ignore_ascii_case("bearer") && !scheme.eq_ignore_ascii_case("token") {
        world.unexpected.push(format!("{what} with authentication scheme {scheme}"));
        return Err(bad());
    }
    if found.route.needs().0 == Permission::App {
        let app = apps::verify(world, token).map_err(|words| {
            world.unexpected.push(format!("{what} with a JWT that GitHub refuses: {words}"));
            Box::new(Reply::refused(401, words))
        })?;
        return Ok((token.to_owned(), app));
    }
    let now = world.now();
    match world.tokens.get(token) {
        Some(found) if found.expires.is_none_or(|end| end > now) => Ok((token.to_owned(), found.login.clone())),
        _ => Err(bad()),
    }
}

impl World {
    /// The rights that a request has. A JWT has none but its App's.
    pub fn token(&self, asked: &Asked) -> Token {
        self.tokens.get(&asked.token).cloned().unwrap_or_else(|| Token::of(&asked.login).may(&[]))
    }

    /// Takes one request from the token's budget, or refuses.
    fn charge(&mut self, asked: &Asked) -> Result<(), Box<Reply>> {
        let now = self.now();
        let (graphql, route) = (asked.document.is_some(), asked.found.route);
        if let Some(budget) = self.budget(asked).filter(|_| route != Route::GetRateLimit) {
            budget.roll(now);
            if budget.remaining() == 0 {
                budget.used += u64::from(!graphql);
                let reply = self.exhausted(asked);
                let reply = self.dress(asked, reply);
                return Err(Box::new(reply));
            }
            budget.used += 1;
        }
        while self.created.front().is_some_and(|at| at + CREATING_WINDOW <= now) {
            self.created.pop_front();
        }
        if let Some(limit) = self.limits.creating.filter(|_| route.writes()) {
            if self.created.len() >= limit {
                let wait = self.created.front().map_or(CREATING_WINDOW, |at| at + CREATING_WINDOW - now);
                let reply = too_much(403, asked, Some(wait.cast_unsigned()));
                return Err(Box::new(self.dress(asked, reply)));
            }
            self.created.push_back(now);
        }
        Ok(())
    }

    fn budget(&mut self, asked: &Asked) -> Option<&mut Budget> {
        let budgets = &mut self.tokens.get_mut(&asked.token)?.budgets;
        Some(if asked.document.is_some() { &mut budgets.graphql } else { &mut budgets.core })
    }

    fn exhausted(&self, asked: &Asked) -> Reply {
        let who = match self.token(asked).kind {
            Kind::Personal => format!("user ID {}", asked.login.len()),
            Kind::Installation { id, .. } => format!("installation ID {id}"),
        };
        let words = format!("API rate limit exceeded for {who}.");
        match asked.document.is_some() {
            true => Reply::ok(json!({"errors": [{"type": "RATE_LIMITED", "message": words}]})),
            false => Reply::refused(403, &words),
        }
    }

    /// Uses up the budget of the request's token.
    pub fn exhaust(&mut self, asked: &Asked, reset_after: u64) -> Reply {
        let reset = self.now() + reset_after.cast_signed();
        if let Some(budget) = self.budget(asked) {
            budget.used = budget.limit;
            budget.reset = reset;
        }
        self.exhausted(asked)
    }

    /// As a token is refused that lacks a permission.
    pub fn forbidden(&self, asked: &Asked) -> Reply {
        let words = format!("Resource not accessible by {}", self.token(asked).described());
        match asked.document.is_some() {
            true => Reply::ok(json!({"data": null, "errors": [{"type": "FORBIDDEN", "message": words}]})),
            false => Reply::refused(403, &words),
        }
    }

    /// Adds the headers that every answer has, notes its status, and makes it a 304 where nothing changed.
    pub fn dress(&mut self, asked: &Asked, reply: Reply) -> Reply {
        let mut reply = self.unless_changed(asked, reply).with("X-GitHub-Request-Id", &asked.request_id);
        let (permission, level) = asked.found.route.needs();
        if !permission.name().is_empty() {
            let needs = format!("{}={}", permission.name(), level.name());
            reply = reply.with("X-Accepted-GitHub-Permissions", needs);
        }
        let expires = self.tokens.get(&asked.token).filter(|token| token.kind == Kind::Personal);
        if let Some(end) = expires.and_then(|token| token.expires) {
            let shown = iso(end).replace('T', " ").replace('Z', " UTC");
            reply = reply.with("github-authentication-token-expiration", shown);
        }
        let resource = if asked.document.is_some() { "graphql" } else { "core" };
        if let Some(budget) = self.budget(asked).filter(|budget| budget.limit > 0) {
            reply = reply
                .with("X-RateLimit-Limit", budget.limit)
                .with("X-RateLimit-Remaining", budget.remaining())
                .with("X-RateLimit-Used", budget.used)
                .with("X-RateLimit-Reset", budget.reset)
                .with("X-RateLimit-Resource", resource);
        }
        self.served[asked.number].status = reply.status;
        reply
    }

    fn unless_changed(&mut self, asked: &Asked, reply: Reply) -> Reply {
        let Body::Json(body) = &reply.body else { return reply };
        if asked.method != "GET" || reply.status != 200 {
            return reply;
        }
        let tag = etag(body);
        let weak = |text: &str| text.trim().trim_start_matches("W/").to_owned();
        let known = asked.if_none_match.as_deref().unwrap_or_default();
        if known.split(',').all(|one| weak(one) != weak(&tag)) {
            return reply.with("ETag", tag);
        }
        // What did not change is free.
        if let Some(budget) = self.budget(asked) {
            budget.used = budget.used.saturating_sub(1);
        }
        Reply::empty(304).with("ETag", tag)
    }

    fn entered(&mut self, asked: &Asked) {
        if let Some(place) = writing_place(asked) {
            let count = self.under_way.entry(place).or_default();
            *count += 1;
            self.most_writes_at_once = self.most_writes_at_once.max(*count);
        }
    }

    /// The request is answered, or its connection cut.
    pub fn left(&mut self, asked: &Asked) {
        if let Some(place) = writing_place(asked) {
            *self.under_way.entry(place).or_default() -= 1;
        }
    }
}

/// The repository that a request would write; GraphQL's mutations count together.
fn writing_place(asked: &Asked) -> Option<String> {
    let place = match asked.document {
        Some(_) => "graphql".to_owned(),
        None => format!("{}/{}", asked.param("owner"), asked.param("repo")),
    };
    asked.found.route.writes().then_some(place)
}
