//! The server: build, then run on a listener that the caller has bound.

use std::io;
use std::net::TcpListener;
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{HttpServiceFactory, ResourceDef, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::middleware::from_fn;
use actix_web::{App, Error, HttpRequest, HttpResponse, HttpServer, web};
use utoipa::openapi::PathItem;
use utoipa_actix_web::OpenApiFactory;

use super::problem::{Header, Problem};
use super::surface::{Routes, health_routes, routes};
use super::{HttpState, Surface, access, conditional, dashboard, head, repeating};

/// Longest time that requests may take to end once the server is told to stop.
const GRACE: Duration = Duration::from_secs(10);

/// Threads that answer requests; each does tens of thousands a second.
const THREADS: usize = 2;

/// Connections of one thread at a time; `verified` bounds what the bodies of all take together.
const CONNECTIONS: usize = 1_000;

/// Puts a group of routes into an application.
type Configure = fn(&mut web::ServiceConfig);

/// The application with all routes, for a server or a test.
pub fn app(
    state: HttpState,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = Error,
        InitError = (),
    >,
> {
    let mut known = KnownPaths::default();
    let (api, pages): (Configure, Configure) = match state.surface {
        Surface::Whole => {
            routes(&mut known);
            (routes, dashboard::routes)
        }
        Surface::Health => {
            health_routes(&mut known);
            (health_routes, |_| ())
        }
    };
    let headers = access::security_headers(state.is_over_tls());
    App::new()
        .app_data(web::Data::new(state))
        .app_data(web::Data::new(known))
        .configure(api)
        .configure(pages)
        .default_service(web::to(no_route))
        .wrap(from_fn(repeating::writes))
        .wrap(from_fn(conditional::reads))
        .wrap(from_fn(dashboard::visit))
        .wrap(from_fn(access::limit))
        .wrap(headers)
        .wrap(from_fn(head::as_get))
        .wrap(from_fn(access::log))
}

/// Serves on `listener` until `shutdown` is done, then ends the requests that are under way.
pub async fn serve(listener: TcpListener, state: HttpState, shutdown: impl Future<Output = ()>) -> io::Result<()> {
    let (stopping, tls) = (state.stopping.clone(), state.tls.clone());
    let server = HttpServer::new(move || app(state.clone()))
        .workers(THREADS)
        .max_connections(CONNECTIONS)
        .shutdown_timeout(GRACE.as_secs())
        .disable_signals();
    let server = match tls {
        Some(tls) => server.listen_rustls_0_23(listener, tls.as_ref().clone())?,
        None => server.listen(listener)?,
    }
    .run();
    let handle = server.handle();
    let mut server = std::pin::pin!(server);
    tokio::select! {
        ended = &mut server => ended,
        () = shutdown => {
            stopping.send_replace(true);
            let (ended, ()) = tokio::join!(server, handle.stop(true));
            ended
        }
    }
}

/// Which methods each path has; tells a wrong method from a wrong path.
#[derive(Default)]
struct KnownPaths(Vec<(ResourceDef, &'static str)>);

impl Routes for KnownPaths {
    fn service<F: HttpServiceFactory + OpenApiFactory + 'static>(&mut self, route: F) -> &mut Self {
        let paths = route.paths().paths;
        self.0.extend(paths.iter().map(|(path, item)| (ResourceDef::new(path.as_str()), methods_of(path, item))));
        self
    }
}

impl KnownPaths {
    fn methods(&self, path: &str) -> Option<&'static str> {
        self.0.iter().find(|(known, _)| known.is_match(path)).map(|(_, methods)| *methods)
    }
}

/// No path is both read and written.
fn methods_of(path: &str, item: &PathItem) -> &'static str {
    match item.get.is_some() {
        true if path == head::ENDLESS => "GET",
        true => "GET, HEAD",
        false => "POST",
    }
}

async fn no_route(request: HttpRequest, known: web::Data<KnownPaths>) -> Result<HttpResponse, Problem> {
    let (method, path) = (request.method(), request.path());
    let remedy = "Compare the request with /openapi.json.";
    Err(match known.methods(path) {
        Some(methods) => {
            let detail = format!("{path} takes {methods}, not {method}");
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", detail, remedy)
                .with_header(Header::Allow(methods))
        }
        None => Problem::not_found("unknown_path", format!("there is nothing at {path}"), remedy),
    })
}
