//! What every request of a browser goes through: who it is, and errors as pages.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpResponse, ResponseError};
use url::form_urlencoded;

use crate::http::HttpState;
use crate::http::problem::Problem;
use crate::http::verified::header_text;

use super::session::{self, Viewer};
use super::shell::{self, Site};

/// Paths that are not for people.
const MACHINES: [&str; 7] = ["/api/", "/openapi.json", "/webhooks/", "/assets/", "/metrics", "/healthz", "/readyz"];

/// Finds out whose session it is; turns problems into pages, and pages for nobody into the sign-in form.
///
/// A session may also read the API, for the events and for whoever follows a link there. It may not write it: a request
/// of the API carries no proof of where it comes from.
pub(in crate::http) async fn visit<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let is_page = !MACHINES.iter().any(|path| request.path().starts_with(path));
    let reads_api = request.path().starts_with("/api/")
        && request.method() == Method::GET
        && !request.headers().contains_key(header::AUTHORIZATION);
    if !is_page && !reads_api {
        return Ok(next.call(request).await?.map_into_boxed_body());
    }
    let state = HttpState::shared(request.request()).clone();
    let viewer = match session::recognise(request.headers(), &state).await {
        Ok(viewer) => viewer,
        Err(problem) if is_page => return Ok(request.into_response(shell::problem(&Site::of(&state), None, &problem))),
        Err(problem) => return Ok(request.into_response(problem.error_response())),
    };
    if let Some(viewer) = &viewer {
        request.extensions_mut().insert(viewer.token.clone());
        request.extensions_mut().insert(viewer.clone());
    }
    let wants_page = is_page && wants_page(request.headers());
    let response = next.call(request).await?.map_into_boxed_body();
    let problem = response.response().error().and_then(|error| error.as_error::<Problem>()).cloned();
    let Some(problem) = problem.filter(|_| wants_page) else { return Ok(response) };
    let answer = page_of(
        response.request().uri().path_and_query(),
        &state,
        viewer.as_ref(),
        &problem,
        response.request().method(),
    );
    Ok(response.into_response(answer))
}

fn page_of(
    asked: Option<&actix_web::http::uri::PathAndQuery>,
    state: &HttpState,
    viewer: Option<&Viewer>,
    problem: &Problem,
    method: &Method,
) -> HttpResponse {
    let site = Site::of(state);
    if problem.code() == "not_signed_in" {
        let asked = asked.filter(|_| method == Method::GET).map_or("/", |asked| asked.as_str());
        let to: String = form_urlencoded::byte_serialize(asked.as_bytes()).collect();
        let location = site.link(&format!("/sign-in?to={to}"));
        return HttpResponse::SeeOther().insert_header((header::LOCATION, location)).finish();
    }
    shell::problem(&site, viewer, problem)
}

/// Programs get their problems as JSON.
fn wants_page(headers: &HeaderMap) -> bool {
    header_text(headers, header::ACCEPT.as_str()).is_some_and(|accept| accept.contains("text/html"))
}
