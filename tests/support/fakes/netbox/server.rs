//! The socket: tokens, faults, counting, and the way to the endpoints.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde_json::{Value, json};

use super::super::super::hold::Hold;
use super::user::User;
use super::world::{By, World, request_id};
use super::{TOKEN, TOKEN_V1, admin, objects};

/// What one request runs into.
pub enum Fault {
    /// The connection is cut; nothing is done.
    Refuse,
    /// It is done, and the connection is cut instead of an answer.
    ApplyThenDrop,
    /// It is done and answered this much later, also when the client has gone by then.
    Delay(Duration),
    /// Nothing is done; this status is answered.
    Status(u16),
    /// It is done; this status is answered.
    ApplyThenStatus(u16),
    /// A login page.
    Html,
    /// A listing that ends in the middle although it says otherwise.
    HalfPage,
    /// A listing as a user sees it who may view none of the rows.
    EmptyPage,
    /// A listing whose filters are overlooked, as NetBox does with those that it does not know.
    Unfiltered,
    /// It stops, before or after it is done, until it is let go; its client may be gone by then.
    Hold { applied: bool, hold: Hold },
    /// A user does something first; the request is then answered as usual.
    Meanwhile(Box<dyn FnOnce(&mut User<'_>) + Send>),
}

impl std::fmt::Debug for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refuse => f.write_str("Refuse"),
            Self::ApplyThenDrop => f.write_str("ApplyThenDrop"),
            Self::Delay(time) => write!(f, "Delay({time:?})"),
            Self::Status(status) => write!(f, "Status({status})"),
            Self::ApplyThenStatus(status) => write!(f, "ApplyThenStatus({status})"),
            Self::Html => f.write_str("Html"),
            Self::HalfPage => f.write_str("HalfPage"),
            Self::EmptyPage => f.write_str("EmptyPage"),
            Self::Unfiltered => f.write_str("Unfiltered"),
            Self::Hold { applied, .. } => write!(f, "Hold(applied: {applied})"),
            Self::Meanwhile(_) => f.write_str("Meanwhile"),
        }
    }
}

/// One request that came in.
#[derive(Debug, Clone)]
pub struct Served {
    pub method: String,
    /// With its query.
    pub path: String,
    pub body: Option<Value>,
    pub if_match: Option<String>,
    pub traceparent: Option<String>,
}

/// A request, taken apart.
pub(super) struct Asked {
    pub method: String,
    /// Below `/api/`.
    pub path: String,
    pub query: Vec<(String, String)>,
    pub body: Option<Value>,
    pub if_match: Option<String>,
    pub base: String,
    pub by: By,
}

impl Asked {
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn all(&self, name: &str) -> Vec<&str> {
        self.query.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
    }
}

/// An answer, before it goes out.
pub(super) struct Reply {
    pub status: u16,
    pub json: Option<Value>,
    pub etag: Option<String>,
}

impl Reply {
    pub fn json(status: u16, json: Value) -> Self {
        Self { status, json: Some(json), etag: None }
    }

    pub fn detail(status: u16, detail: &str) -> Self {
        Self::json(status, json!({ "detail": detail }))
    }

    pub fn empty(status: u16) -> Self {
        Self { status, json: None, etag: None }
    }

    /// As NetBox's middleware answers an exception.
    pub fn broken(error: &str) -> Self {
        let body =
            json!({"error": error, "exception": "Exception", "netbox_version": "4.7.3", "python_version": "3.12"});
        Self::json(500, body)
    }
}

/// A server on a thread of its own.
pub(super) struct Running {
    handle: ServerHandle,
}

impl Running {
    pub fn stop(&self) {
        // Not awaited: the listening socket is closed at once, and nobody asks any more.
        drop(self.handle.stop(false));
    }
}

type Shared = Arc<Mutex<World>>;

pub(super) fn start(world: Shared) -> (Running, u16) {
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let server = HttpServer::new(move || {
                App::new()
                    .app_data(web::Data::new(Arc::clone(&world)))
                    .app_data(web::PayloadConfig::new(64 * 1024 * 1024))
                    .default_service(web::route().to(handle))
            })
            .workers(1)
            .shutdown_timeout(0)
            .disable_signals()
            .bind(("127.0.0.1", 0))
            .expect("a free port on 127.0.0.1");
            let port = server.addrs()[0].port();
            let server = server.run();
            let _ = send.send((server.handle(), port));
            let _ = server.await;
        });
    });
    let (handle, port) = receive.recv().expect("the stand-in's thread starts");
    (Running { handle }, port)
}

async fn handle(request: HttpRequest, body: web::Bytes, world: web::Data<Shared>) -> HttpResponse {
    let world = Arc::clone(&world);
    {
        let mut world = world.lock().unwrap_or_else(PoisonError::into_inner);
        if world.down {
            world.unanswered += 1;
            return cut();
        }
    }
    let asked = match admit(&request, &body, &world) {
        Ok(asked) => asked,
        Err(reply) => return out(reply, &request_id()),
    };
    let id = asked.by.request_id.clone();
    let answer = |world: &Shared, asked: Asked| {
        let mut world = world.lock().unwrap_or_else(PoisonError::into_inner);
        serve(&mut world, &asked)
    };
    match next_fault(&world, &asked) {
        None => out(answer(&world, asked), &id),
        Some(Fault::Meanwhile(act)) => {
            act(&mut User::new(world.lock().unwrap_or_else(PoisonError::into_inner), "somebody"));
            out(answer(&world, asked), &id)
        }
        Some(Fault::Refuse) => cut(),
        Some(Fault::ApplyThenDrop) => {
            answer(&world, asked);
            cut()
        }
        Some(Fault::Delay(time)) => {
            // In a task of its own: NetBox does not stop when its client hangs up.
            let late = actix_web::rt::spawn(async move {
                actix_web::rt::time::sleep(time).await;
                answer(&world, asked)
            });
            late.await.map_or_else(|_| cut(), |reply| out(reply, &id))
        }
        Some(Fault::Status(status)) => out(Reply::detail(status, "a fault of the stand-in"), &id),
        Some(Fault::ApplyThenStatus(status)) => {
            answer(&world, asked);
            out(Reply::detail(status, "a fault of the stand-in"), &id)
        }
        Some(Fault::Html) => {
            let page = "<!DOCTYPE html><title>Log in</title>";
            HttpResponse::Ok().content_type("text/html; charset=utf-8").body(page)
        }
        Some(Fault::HalfPage) => out(half(answer(&world, asked)), &id),
        Some(Fault::EmptyPage) => {
            let page = serde_json::json!({"count": 0, "next": null, "previous": null, "results": []});
            out(Reply { json: Some(page), ..answer(&world, asked) }, &id)
        }
        Some(Fault::Unfiltered) => {
            let paging = |name: &str| matches!(name, "limit" | "offset" | "ordering");
            let query = asked.query.iter().filter(|(name, _)| paging(name)).cloned().collect();
            out(answer(&world, Asked { query, ..asked }), &id)
        }
        Some(Fault::Hold { applied, hold }) => {
            // In a task of its own, as above.
            let held = actix_web::rt::spawn(async move {
                if applied {
                    let reply = answer(&world, asked);
                    hold.wait().await;
                    return Some(reply);
                }
                hold.wait().await.then(|| answer(&world, asked))
            });
            held.await.ok().flatten().map_or_else(cut, |reply| out(reply, &id))
        }
    }
}

/// Checks the token and takes the request apart; every request is counted.
fn admit(request: &HttpRequest, body: &[u8], world: &Shared) -> Result<Asked, Reply> {
    let mut world = world.lock().unwrap_or_else(PoisonError::into_inner);
    let method = request.method().as_str().to_owned();
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let body = (!body.is_empty()).then(|| serde_json::from_slice::<Value>(body).unwrap_or(Value::Null));
    let path = request.uri().path_and_query().map(|path| path.as_str().to_owned()).unwrap_or_default();
    let if_match = header("if-match");
    world.served.push(Served {
        method: method.clone(),
        path: path.clone(),
        body: body.clone(),
        if_match: if_match.clone(),
        traceparent: header("traceparent"),
    });
    match header("authorization").as_deref() {
        Some(token) if token == format!("Bearer {TOKEN}") || token == format!("Token {TOKEN_V1}") => {}
        Some(_) => return Err(Reply::detail(403, "Invalid token")),
        None => {
            world.unexpected.push(format!("{method} {path} without a token"));
            return Err(Reply::detail(403, "Authentication credentials were not provided."));
        }
    }
    let message = body.as_ref().and_then(|body| body.get("changelog_message")).and_then(Value::as_str);
    let by = By {
        request_id: request_id(),
        user: "fgd-sync".to_owned(),
        method: method.clone(),
        path: request.path().to_owned(),
        message: message.unwrap_or_default().to_owned(),
        silent: false,
    };
    let query: web::Query<Vec<(String, String)>> =
        web::Query::from_query(request.query_string()).unwrap_or(web::Query(Vec::new()));
    Ok(Asked {
        method,
        path: request.path().strip_prefix("/api/").unwrap_or("not the api").to_owned(),
        query: query.into_inner(),
        body,
        if_match,
        base: format!("http://{}/", request.connection_info().host()),
        by,
    })
}

fn next_fault(world: &Shared, asked: &Asked) -> Option<Fault> {
    let mut world = world.lock().unwrap_or_else(PoisonError::into_inner);
    match world.later.take() {
        Some((0, fault)) => return Some(fault),
        later => world.later = later.map(|(left, fault)| (left - 1, fault)),
    }
    let hit =
        |(method, path, _): &(String, String, Fault)| *method == asked.method && asked.path.contains(path.as_str());
    let place = world.faults.iter().position(hit)?;
    Some(world.faults.remove(place).2)
}

fn serve(world: &mut World, asked: &Asked) -> Reply {
    let denied = world.denied.iter().any(|path| asked.path.contains(path.as_str()));
    if denied && asked.method != "OPTIONS" {
        return Reply::detail(403, "You do not have permission to perform this action.");
    }
    if asked.method == "OPTIONS" {
        return options(world, asked);
    }
    let action = match asked.method.as_str() {
        "GET" => "view",
        "POST" => "add",
        "PATCH" | "PUT" => "change",
        _ => "delete",
    };
    if is_lacking(world, action, &asked.path) {
        return Reply::detail(403, "You do not have permission to perform this action.");
    }
    if asked.method == "GET" && asked.path == "status/" {
        let plugins = json!({"netbox_custom_objects": "0.7.1"});
        return Reply::json(200, json!({"netbox-version": "4.7.3", "plugins": plugins, "django-version": "5.2"}));
    }
    if let Some(reply) = admin::serve(world, asked).or_else(|| objects::serve(world, asked)) {
        return reply;
    }
    // A custom object type that does not exist is a 404 of NetBox's own; any other path is no route at all.
    if asked.path.starts_with("plugins/custom-objects/") && world.flavor == super::Flavor::CustomObjects {
        return Reply::detail(404, "Not found.");
    }
    world.unexpected.push(format!("{} /api/{}", asked.method, asked.path));
    Reply {
        status: 404,
        json: Some(Value::String("<!DOCTYPE html><title>Page Not Found</title>".to_owned())),
        etag: None,
    }
}

fn is_lacking(world: &World, action: &str, path: &str) -> bool {
    world.lacking.iter().any(|(lacking, of)| lacking == action && path.starts_with(of.as_str()))
}

/// Everybody may ask; what the token's user may do is among the actions.
fn options(world: &World, asked: &Asked) -> Reply {
    let path = asked.path.as_str();
    if !world.admin.contains_key(path) && !world.tables.contains_key(path) && path != "core/object-changes/" {
        return Reply::detail(404, "Not found.");
    }
    let denied = world.denied.iter().chain(&world.read_only).any(|denied| path.contains(denied.as_str()));
    let mut actions = serde_json::Map::new();
    // Who may not view is told of no action at all.
    let blind = is_lacking(world, "view", path);
    for (method, action) in [("PUT", "change"), ("POST", "add")] {
        if !denied && !blind && path != "core/object-changes/" && !is_lacking(world, action, path) {
            actions.insert(method.to_owned(), json!({"id": {"type": "integer", "read_only": true}}));
        }
    }
    let mut answer = json!({"name": "List", "description": "", "renders": ["application/json"]});
    if !actions.is_empty() {
        answer["actions"] = Value::Object(actions);
    }
    Reply::json(200, answer)
}

fn half(mut reply: Reply) -> Reply {
    if let Some(page) = &mut reply.json {
        if let Some(rows) = page["results"].as_array_mut() {
            rows.truncate(rows.len() / 2);
        }
        page["next"] = Value::Null;
    }
    reply
}

fn out(reply: Reply, request_id: &str) -> HttpResponse {
    let mut response = HttpResponse::build(StatusCode::from_u16(reply.status).expect("a status"));
    response.insert_header(("X-Request-ID", request_id)).insert_header(("API-Version", "4.7"));
    if let Some(etag) = reply.etag {
        response.insert_header(("ETag", etag));
    }
    match reply.json {
        Some(Value::String(html)) => response.content_type("text/html; charset=utf-8").body(html),
        Some(json) => response.json(json),
        None => response.finish(),
    }
}

/// Ends the connection in the middle of an answer.
fn cut() -> HttpResponse {
    let end = futures::stream::once(async { Err::<web::Bytes, _>(io::Error::other("cut by the stand-in")) });
    HttpResponse::Ok().streaming(end)
}
