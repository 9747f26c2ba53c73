//! The socket: headers, tokens, budgets, faults, counting, and the way to the routes.

use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix_web::body::BodyStream;
use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use bytes::Bytes;
use futures::StreamExt;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::admit::{Admitted, admit};
use super::faults::Fault;
use super::reply::{Body, Reply};
use super::routes::{Found, Route};
use super::world::World;
use super::{answer, graphql};

pub(super) type Shared = Arc<Mutex<World>>;

/// A request, taken apart and let in.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub method: String,
    /// Below the REST root, still encoded.
    pub path: String,
    pub found: Found,
    pub query: Vec<(String, String)>,
    pub json: Option<Value>,
    pub document: Option<graphql::Request>,
    pub accept: String,
    pub if_none_match: Option<String>,
    /// The bearer's token, or a JWT.
    pub token: String,
    /// The token's owner.
    pub login: String,
    /// Root of REST addresses.
    pub base: String,
    pub request_id: String,
    /// Its place among the requests served.
    pub number: usize,
    /// How much was unexpected before it.
    pub unexpected_before: usize,
}

impl Asked {
    pub fn param(&self, name: &str) -> &str {
        self.found.param(name)
    }

    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether the raw, object or another such form is asked for.
    pub fn wants(&self, form: &str) -> bool {
        self.accept.contains(&format!("vnd.github.{form}")) || self.accept.contains(&format!("vnd.github.v3.{form}"))
    }

    /// One page of a list, with links to the others.
    pub fn page(&self, items: Vec<Value>) -> Result<Reply, Reply> {
        let number =
            |name: &str, default: usize| self.query(name).and_then(|text| text.parse().ok()).unwrap_or(default);
        let per_page = number("per_page", 30).clamp(1, 100);
        let page = number("page", 1).max(1);
        let last = items.len().div_ceil(per_page).max(1);
        let shown: Vec<Value> = items.into_iter().skip((page - 1) * per_page).take(per_page).collect();
        let others = self.query.iter().filter(|(name, _)| name != "page");
        let others: String = others.map(|(name, value)| format!("{name}={}&", encode(value))).collect();
        let link = |to: usize, rel: &str| format!("<{}/{}?{others}page={to}>; rel=\"{rel}\"", self.base, self.path);
        let mut links = Vec::new();
        if page > 1 {
            links.extend([link(page - 1, "prev"), link(1, "first")]);
        }
        if page < last {
            links.extend([link(page + 1, "next"), link(last, "last")]);
        }
        let reply = Reply::ok(Value::Array(shown));
        Ok(if links.is_empty() { reply } else { reply.with("Link", links.join(", ")) })
    }
}

/// Encodes a query value.
pub(super) fn encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// Encodes a path, but for its slashes.
pub(super) fn encode_path(path: &str) -> String {
    encode(path).replace("%2F", "/")
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

pub(super) fn start(listener: TcpListener, world: Shared) -> Running {
    let data = web::Data::new(world);
    let app = move || {
        App::new()
            .app_data(data.clone())
            .app_data(web::PayloadConfig::new(64 * 1024 * 1024))
            .default_service(web::route().to(handle))
    };
    let server = HttpServer::new(app)
        .workers(2)
        .shutdown_timeout(0)
        .disable_signals()
        .listen(listener)
        .expect("the listener is bound")
        .run();
    let handle = server.handle();
    std::thread::spawn(move || actix_web::rt::System::new().block_on(server));
    Running { handle }
}

pub(super) fn lock(world: &Shared) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn handle(request: HttpRequest, body: Bytes, world: web::Data<Shared>) -> HttpResponse {
    let world = Arc::clone(&world);
    let (down, latency) = {
        let world = lock(&world);
        (world.down, world.latency)
    };
    if down {
        return cut(None);
    }
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let admitted = admit(&request, &body, &mut lock(&world));
    match admitted {
        Admitted::No(reply, number) => {
            lock(&world).served[number].status = reply.status;
            out(reply)
        }
        Admitted::Yes(asked) => {
            let asked = Arc::new(*asked);
            let response = serve(&world, &asked).await;
            lock(&world).left(&asked);
            response
        }
    }
}

/// Runs into a fault, or answers.
async fn serve(world: &Shared, asked: &Arc<Asked>) -> HttpResponse {
    let fault = lock(world).take_fault(asked.found.route);
    let faulty = fault.as_ref().is_some_and(|fault| !matches!(fault, Fault::Before(_)));
    let reply = match fault {
        None => answered(world, asked, None).await,
        Some(Fault::Before(act)) => {
            web::block(act).await.expect("what happens before does not panic");
            answered(world, asked, None).await
        }
        Some(Fault::Until(notify)) => {
            notify.notified().await;
            answered(world, asked, None).await
        }
        Some(Fault::Drop) => return cut(None),
        Some(Fault::Status(status)) => proxy_page(status),
        Some(Fault::Html) => Reply::raw("text/html; charset=utf-8", b"<!DOCTYPE html><title>Sign in</title>".to_vec()),
        Some(Fault::Secondary { retry_after }) => too_much(403, asked, retry_after),
        Some(Fault::TooMany { retry_after }) => too_much(429, asked, retry_after),
        Some(Fault::Exhausted { reset_after }) => lock(world).exhaust(asked, reset_after),
        Some(Fault::Unauthorized) => Reply::refused(401, "Bad credentials"),
        Some(Fault::Forbidden) => lock(world).forbidden(asked),
        Some(Fault::StaleFor { reads }) => answered(world, asked, Some(reads)).await,
        Some(Fault::ApplyThenDrop) => {
            answered(world, asked, None).await;
            return cut(None);
        }
        Some(Fault::ApplyThenCut) => {
            answered(world, asked, None).await;
            return cut(Some(b"{\"data\""));
        }
        Some(Fault::ApplyThenStatus(status)) => {
            answered(world, asked, None).await;
            proxy_page(status)
        }
        Some(Fault::ApplyThenUntil(notify)) => {
            let reply = answered(world, asked, None).await;
            notify.notified().await;
            reply
        }
        Some(Fault::Delay(time)) => {
            let reply = answered(world, asked, None).await;
            tokio::time::sleep(time).await;
            reply
        }
    };
    let mut world = lock(world);
    let reply = world.dress(asked, reply);
    let unexpected = world.unexpected.len() > asked.unexpected_before;
    world.record.keep(asked, &reply, (unexpected, faulty));
    out(reply)
}

/// Answers on a thread that may block; also when the client has gone by then.
async fn answered(world: &Shared, asked: &Arc<Asked>, stale_for: Option<usize>) -> Reply {
    let (world, asked) = (Arc::clone(world), Arc::clone(asked));
    let route = asked.found.route;
    let here = Arc::clone(&world);
    let done = web::block(move || answer::answer(&mut lock(&world), &asked, stale_for)).await;
    done.unwrap_or_else(|_| {
        lock(&here).unexpected.push(format!("{route:?}: the stand-in itself broke; it said why on standard error"));
        Reply::refused(500, "Server Error")
    })
}

fn proxy_page(status: u16) -> Reply {
    let page = format!("<html><head><title>{status}</title></head><body><h1>Whoa there!</h1></body></html>");
    Reply { status, ..Reply::raw("text/html", page.into_bytes()) }
}

/// The secondary limit.
pub(super) fn too_much(status: u16, asked: &Asked, retry_after: Option<u64>) -> Reply {
    let words = format!(
        "You have exceeded a secondary rate limit. Please wait a few minutes before you try again. If you reach out to \
         GitHub Support for help, please include the request ID {}.",
        asked.request_id
    );
    let mut reply = Reply::refused(status, &words);
    if let Body::Json(body) = &mut reply.body {
        let page = "rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits";
        body["documentation_url"] = json!(format!("https://docs.github.com/{page}"));
    }
    match retry_after {
        Some(seconds) => reply.with("Retry-After", seconds),
        None => reply,
    }
}

fn out(reply: Reply) -> HttpResponse {
    let mut response = HttpResponse::build(StatusCode::from_u16(reply.status).expect("a status"));
    for (name, value) in &reply.headers {
        response.insert_header((*name, value.as_str()));
    }
    match reply.body {
        Body::None => response.finish(),
        Body::Json(body) => response.content_type("application/json; charset=utf-8").body(body.to_string()),
        Body::Raw(media_type, bytes) => response.content_type(media_type).body(bytes),
    }
}

/// What an unchanged answer is known by.
pub(super) fn etag(body: &Value) -> String {
    format!("W/\"{}\"", hex::encode(Sha256::digest(body.to_string())))
}

/// Ends the connection, before the answer or within it.
fn cut(begun: Option<&'static [u8]>) -> HttpResponse {
    let broken = async move {
        if begun.is_some() {
            // Until the server has flushed what it has.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(std::io::Error::other("cut by the stand-in"))
    };
    let beginning = futures::stream::iter(begun.map(|begun| Ok(Bytes::from_static(begun))));
    let body = beginning.chain(futures::stream::once(broken));
    HttpResponse::Ok().content_type("application/json; charset=utf-8").body(BodyStream::new(Box::pin(body)))
}

impl World {
    fn take_fault(&mut self, route: Route) -> Option<Fault> {
        let at = self.faults.iter().position(|(of, _)| *of == route)?;
        self.faults.remove(at).map(|(_, fault)| fault)
    }
}
