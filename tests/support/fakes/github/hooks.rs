//! Webhooks of repositories, and what became of their deliveries.

use serde_json::{Value, json};

use super::body::{Field, Members, Shape, expect};
use super::deliveries::{self, Parcel};
use super::reply::Reply;
use super::server::Asked;
use super::show;
use super::world::{Repo, World, iso};

/// A webhook.
#[derive(Debug, Clone)]
pub struct Hook {
    pub id: u64,
    pub url: String,
    pub content_type: ContentType,
    pub secret: Option<String>,
    pub insecure_ssl: bool,
    pub events: Vec<String>,
    pub active: bool,
    pub(super) created: i64,
    pub(super) updated: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentType {
    Json,
    /// GitHub's default: `payload=…`.
    Form,
}

impl ContentType {
    fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Form => "form",
        }
    }
}

const CONFIG: &[Field] = &[
    ("url", false, Shape::Text),
    ("content_type", false, Shape::Word(&["json", "form"])),
    ("secret", false, Shape::Text),
    ("insecure_ssl", false, Shape::Word(&["0", "1"])),
];

const EVENTS: Shape = Shape::List(&Shape::Text);

const NEW: &[Field] = &[
    ("name", false, Shape::Word(&["web"])),
    ("config", false, Shape::Object(CONFIG)),
    ("events", false, EVENTS),
    ("active", false, Shape::Bool),
];

const CHANGED: &[Field] = &[
    ("config", false, Shape::Object(CONFIG)),
    ("events", false, EVENTS),
    ("add_events", false, EVENTS),
    ("remove_events", false, EVENTS),
    ("active", false, Shape::Bool),
];

/// Events that repositories have, as far as anybody here could want them.
const KNOWN_EVENTS: [&str; 6] = ["*", "push", "pull_request", "status", "create", "delete"];

fn invalid(message: &str) -> Reply {
    Reply::invalid(json!([{"resource": "Hook", "code": "custom", "message": message}]))
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Takes over a configuration whole: what is not given, the secret too, is gone.
fn configure(hook: &mut Hook, config: &Value) -> Result<(), Reply> {
    hook.url = config.text("url").unwrap_or_default().to_owned();
    if !hook.url.starts_with("http://") && !hook.url.starts_with("https://") {
        return Err(invalid("url is missing a scheme or is no address"));
    }
    hook.content_type = if config.text("content_type") == Some("json") { ContentType::Json } else { ContentType::Form };
    hook.secret = config.text("secret").map(str::to_owned);
    hook.insecure_ssl = config.text("insecure_ssl") == Some("1");
    Ok(())
}

fn check(repo: &Repo, hook: &Hook) -> Result<(), Reply> {
    if let Some(unknown) = hook.events.iter().find(|event| !KNOWN_EVENTS.contains(&event.as_str())) {
        return Err(invalid(&format!("events are invalid: {unknown}")));
    }
    let same = |other: &&Hook| other.id != hook.id && other.url == hook.url && other.events == hook.events;
    match repo.hooks.iter().find(same) {
        Some(_) => Err(invalid("Hook already exists on this repository")),
        None => Ok(()),
    }
}

pub(super) fn post(world: &mut World, at: usize, asked: &Asked) -> Result<Reply, Reply> {
    let body = expect(asked.json.as_ref(), NEW, &mut world.unexpected)?;
    let now = world.now();
    let events = body.get("events").map_or(vec!["push".to_owned()], strings);
    let mut hook = Hook {
        id: world.next_id(),
        url: String::new(),
        content_type: ContentType::Form,
        secret: None,
        insecure_ssl: false,
        events,
        active: body.flag("active").unwrap_or(true),
        created: now,
        updated: now,
    };
    configure(&mut hook, &body["config"])?;
    check(&world.repos[at], &hook)?;
    deliveries::begin(&mut world.repos[at]);
    let shown = shown(world, at, &asked.base, &hook);
    let id = hook.id;
    world.repos[at].hooks.push(hook);
    deliveries::ping(world, at, id, &asked.login);
    Ok(Reply::created(shown))
}

fn find(world: &World, at: usize, asked: &Asked) -> Result<usize, Reply> {
    let id: Option<u64> = asked.param("id").parse().ok();
    world.repos[at].hooks.iter().position(|hook| Some(hook.id) == id).ok_or_else(Reply::not_found)
}

pub(super) fn list(world: &mut World, at: usize, asked: &Asked) -> Result<Reply, Reply> {
    asked.page(world.repos[at].hooks.iter().map(|hook| shown(world, at, &asked.base, hook)).collect())
}

pub(super) fn get(world: &mut World, at: usize, asked: &Asked) -> Result<Reply, Reply> {
    let place = find(world, at, asked)?;
    Ok(Reply::ok(shown(world, at, &asked.base, &world.repos[at].hooks[place])))
}

pub(super) fn patch(world: &mut World, at: usize, asked: &Asked) -> Result<Reply, Reply> {
    let body = expect(asked.json.as_ref(), CHANGED, &mut world.unexpected)?;
    let place = find(world, at, asked)?;
    let mut hook = world.repos[at].hooks[place].clone();
    if let Some(config) = body.get("config") {
        configure(&mut hook, config)?;
    }
    if let Some(events) = body.get("events") {
        hook.events = strings(events);
    }
    let removed = strings(&body["remove_events"]);
    hook.events.retain(|event| !removed.contains(event));
    hook.events.extend(strings(&body["add_events"]));
    hook.active = body.flag("active").unwrap_or(hook.active);
    hook.updated = world.now();
    check(&world.repos[at], &hook)?;
    world.repos[at].hooks[place] = hook.clone();
    Ok(Reply::ok(shown(world, at, &asked.base, &hook)))
}

pub(super) fn delete(world: &mut World, at: usize, asked: &Asked) -> Result<Reply, Reply> {
    let place = find(world, at, asked)?;
    world.repos[at].hooks.remove(place);
    Ok(Reply::empty(204))
}

pub(super) fn ping(world: &mut World, at: usize, asked: &Asked) -> Result<Reply, Reply> {
    let place = find(world, at, asked)?;
    let id = world.repos[at].hooks[place].id;
    deliveries::ping(world, at, id, &asked.login);
    Ok(Reply::empty(204))
}

pub(super) fn shown(world: &World, at: usize, base: &str, hook: &Hook) -> Value {
    let url = format!("{}/hooks/{}", show::repo_url(base, &world.repos[at]), hook.id);
    let mut config = json!({
        "url": hook.url, "content_type": hook.content_type.name(), "insecure_ssl": if hook.insecure_ssl { "1" } else { "0" },
    });
    if hook.secret.is_some() {
        config["secret"] = json!("********");
    }
    let last = world.parcels.iter().rev().find(|parcel| parcel.hook == hook.id && parcel.outcome.is_some());
    let last = match last.and_then(|parcel| parcel.outcome.as_ref()) {
        Some(outcome) => json!({"code": outcome.code, "status": "active", "message": outcome.status}),
        None => json!({"code": null, "status": "unused", "message": null}),
    };
    json!({
        "type": "Repository", "id": hook.id, "name": "web", "active": hook.active, "events": hook.events,
        "config": config, "updated_at": iso(hook.updated), "created_at": iso(hook.created), "url": url,
        "test_url": format!("{url}/test"), "ping_url": format!("{url}/pings"),
        "deliveries_url": format!("{url}/deliveries"), "last_response": last,
    })
}

pub(super) fn list_deliveries(world: &mut World, at: usize, asked: &Asked) -> Result<Reply, Reply> {
    let place = find(world, at, asked)?;
    let hook = world.repos[at].hooks[place].id;
    let per_page = asked.query("per_page").and_then(|text| text.parse().ok()).unwrap_or(30_usize).clamp(1, 100);
    let cursor = asked.query("cursor").and_then(|text| text.strip_prefix("v1_")).and_then(|text| text.parse().ok());
    let fits = |parcel: &&Parcel| match (asked.query("status"), &parcel.outcome) {
        (Some("success"), Some(outcome)) => outcome.is_success(),
        (Some("failure"), Some(outcome)) => !outcome.is_success(),
        (_, outcome) => outcome.is_some(),
    };
    let all = world.parcels.iter().rev().filter(|parcel| parcel.hook == hook).filter(fits);
    let rest: Vec<&Parcel> = all.filter(|parcel| cursor.is_none_or(|cursor: u64| parcel.id < cursor)).collect();
    let page = &rest[..rest.len().min(per_page)];
    let reply = Reply::ok(page.iter().map(|parcel| deliveries::brief(parcel, &world.repos[at])).collect());
    Ok(match page.last().filter(|_| rest.len() > per_page) {
        Some(last) => {
            let url = format!("{}/{}?per_page={per_page}&cursor=v1_{}", asked.base, asked.path, last.id);
            reply.with("Link", format!("<{url}>; rel=\"next\""))
        }
        None => reply,
    })
}

fn find_delivery(world: &World, at: usize, asked: &Asked) -> Result<Parcel, Reply> {
    let hook = world.repos[at].hooks[find(world, at, asked)?].id;
    let id: Option<u64> = asked.param("delivery").parse().ok();
    let found = world.parcels.iter().find(|parcel| parcel.hook == hook && Some(parcel.id) == id);
    found.filter(|parcel| parcel.outcome.is_some()).cloned().ok_or_else(Reply::not_found)
}

pub(super) fn get_delivery(world: &mut World, at: usize, asked: &Asked) -> Result<Reply, Reply> {
    let parcel = find_delivery(world, at, asked)?;
    Ok(Reply::ok(deliveries::whole(&parcel, &world.repos[at])))
}

pub(super) fn redeliver(world: &mut World, at: usize, asked: &Asked) -> Result<Reply, Reply> {
    let parcel = find_delivery(world, at, asked)?;
    let id = world.next_id();
    world.parcels.push(Parcel { id, redelivery: true, outcome: None, ..parcel });
    Ok(Reply::json(202, json!({})))
}
