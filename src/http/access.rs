//! What every request goes through: an id, a line in the log, a limit, and headers that take power away from whoever
//! embeds an answer.

use std::net::IpAddr;
use std::time::Instant;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::{DefaultHeaders, Next};
use actix_web::{Error, HttpMessage, ResponseError};
use tracing::Instrument;
use tracing::field::Empty;

use crate::telemetry;

use super::problem::{Header, Problem};
use super::rates::Buckets;
use super::token::ApiToken;
use super::{HttpState, peer};

/// Names a request in both directions.
static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest id that is taken from a caller.
const LONGEST_ID: usize = 128;
/// What a call with a token of nobody's costs, in ordinary calls.
const REFUSED_COST: f64 = 10.0;

/// The caller's address, for the log and the limits.
#[derive(Clone, Copy)]
struct Peer(IpAddr);

/// Gives the request an id and writes one line about it: no query, no headers, no body.
pub(super) async fn log<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let begun = Instant::now();
    let id = request_id(request.headers());
    let (method, path) = (request.method().clone(), request.path().to_owned());
    let state = HttpState::shared(request.request()).clone();
    let peer = peer::address(request.peer_addr().map(|address| address.ip()), request.headers(), &state.proxies);
    request.extensions_mut().insert(Peer(peer));
    let span = tracing::info_span!("request", request.id = %id, trace.id = Empty);
    telemetry::name_trace(&span);
    let answer = next.call(request).instrument(span.clone()).await.map(ServiceResponse::map_into_boxed_body);
    let took = begun.elapsed();
    let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let (status, bytes, token, route) = match &answer {
        Ok(response) => (response.status(), bytes_of(response), token_of(response), response.request().match_pattern()),
        Err(error) => (error.as_response_error().status_code(), 0, None, None),
    };
    telemetry::describe(&span, |span| {
        span.name(format!("{method} {}", route.as_deref().unwrap_or("unknown")));
        span.kind(telemetry::Kind::Server);
        span.attribute("http.response.status_code", i64::from(status.as_u16()));
    });
    state.requests.count(&method, route, status.as_u16(), took);
    span.in_scope(|| {
        tracing::info!(%method, path, status = status.as_u16(), duration_ms, bytes, %peer, token, "answered a request");
    });
    let mut response = answer?;
    // The id is one that a header can carry.
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID.clone(), value);
    }
    Ok(response)
}

/// 0 for a stream, which has only begun.
fn bytes_of(response: &ServiceResponse<BoxBody>) -> u64 {
    match response.response().body().size() {
        BodySize::Sized(bytes) => bytes,
        BodySize::None | BodySize::Stream => 0,
    }
}

fn token_of(response: &ServiceResponse<BoxBody>) -> Option<String> {
    response.request().extensions().get::<ApiToken>().map(|token| token.name.clone())
}

/// The caller's own id when it can stand in a log, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '/' | '+' | '=');
    let given = headers.get(&REQUEST_ID).and_then(|value| value.to_str().ok());
    let usable = given.filter(|id| !id.is_empty() && id.len() <= LONGEST_ID && id.chars().all(plain));
    usable.map_or_else(|| ulid::Ulid::generate().to_string(), str::to_owned)
}

/// Lets callers wait who call too often.
///
/// A delivery that is accepted costs nothing: NetBox does not send one again. Health and numbers are always told.
pub(super) async fn limit<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let state = HttpState::shared(request.request()).clone();
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
    let (Some(peer), Some((buckets, cost))) = (peer, limits_of(&state, request.path())) else {
        return Ok(next.call(request).await?.map_into_boxed_body());
    };
    if let Err(wait) = buckets.take(peer, cost, Instant::now()) {
        let seconds = u32::try_from(wait.as_secs() + 1).unwrap_or(u32::MAX);
        let detail = format!("{peer} calls more often than the settings' rate_limits allow");
        let remedy = "Wait as long as Retry-After says, or raise the limit.";
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", detail, remedy)
            .with_header(Header::RetryAfter(seconds));
        return Ok(request.into_response(problem.error_response()));
    }
    let response = next.call(request).await?.map_into_boxed_body();
    let late = match response.status() {
        // A webhook was only asked for; what its sender gets wrong is paid for now.
        status if cost == 0.0 && status.is_client_error() => 1.0,
        StatusCode::UNAUTHORIZED => REFUSED_COST - cost,
        _ => 0.0,
    };
    // The next call finds out.
    let _ = buckets.take(peer, late, Instant::now());
    Ok(response)
}

/// The buckets of a path, and what a call costs before it is answered.
fn limits_of<'s>(state: &'s HttpState, path: &str) -> Option<(&'s Buckets, f64)> {
    if path.starts_with("/webhooks/") {
        return state.webhook_rates.as_deref().map(|buckets| (buckets, 0.0));
    }
    if matches!(path, "/healthz" | "/readyz" | "/metrics") {
        return None;
    }
    state.api_rates.as_deref().map(|buckets| (buckets, 1.0))
}

/// For an API that no page should embed, cache or run.
pub(super) fn security_headers(over_tls: bool) -> DefaultHeaders {
    let headers = DefaultHeaders::new()
        .add(("X-Content-Type-Options", "nosniff"))
        .add(("X-Frame-Options", "DENY"))
        .add(("Referrer-Policy", "no-referrer"))
        .add(("Cache-Control", "no-store"))
        .add(("Cross-Origin-Opener-Policy", "same-origin"))
        .add(("Cross-Origin-Resource-Policy", "same-origin"))
        .add(("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"))
        .add((
            "Content-Security-Policy",
            "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        ));
    if over_tls { headers.add(("Strict-Transport-Security", "max-age=31536000")) } else { headers }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_of(given: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST_ID.clone(), HeaderValue::from_str(given).unwrap());
        request_id(&headers)
    }

    #[test]
    fn a_callers_id_is_kept_when_a_log_can_hold_it() {
        assert_eq!(id_of("0a930016-58a2-433a-9268-111e9d80826a"), "0a930016-58a2-433a-9268-111e9d80826a");
    }

    #[test]
    fn what_could_forge_a_log_line_is_replaced() {
        for given in ["", "a b", "x\"y", "é", &"x".repeat(129)] {
            let id = id_of(given);

            assert!(id != given && id.len() == 26, "{id}");
        }
    }
}
