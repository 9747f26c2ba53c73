//! Reads that change nothing since the caller's last one are answered without a body.

use actix_web::body::{BoxBody, MessageBody, to_bytes};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse};
use sha2::{Digest, Sha256};

/// Gives every answer to a read of the API its ETag, and answers 304 to whoever has it already.
pub(super) async fn reads<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let is_read = request.method() == Method::GET && has_tag(request.path());
    let known = request.headers().get(header::IF_NONE_MATCH).cloned();
    let response = next.call(request).await?.map_into_boxed_body();
    // An answer without an end has no digest.
    if !is_read || response.status() != StatusCode::OK || is_stream(response.headers()) {
        return Ok(response);
    }
    let (request, response) = response.into_parts();
    let (mut head, body) = response.into_parts();
    let body = to_bytes(body).await?;
    let tag = format!("\"{}\"", hex::encode(&Sha256::digest(&body)[..16]));
    for (name, value) in [
        (header::ETAG, tag.as_str()),
        (header::CACHE_CONTROL, "private, no-cache"),
        (header::VARY, "Authorization, Cookie"),
    ] {
        if let Ok(value) = HeaderValue::from_str(value) {
            head.headers_mut().insert(name, value);
        }
    }
    if known.is_some_and(|known| names(&known, &tag)) {
        let mut unchanged = HttpResponse::NotModified().finish();
        *unchanged.headers_mut() = head.headers().clone();
        unchanged.headers_mut().remove(header::CONTENT_TYPE);
        return Ok(ServiceResponse::new(request, unchanged));
    }
    Ok(ServiceResponse::new(request, head.set_body(body).map_into_boxed_body()))
}

/// What does not change from one request to the next unless something happened.
fn has_tag(path: &str) -> bool {
    path.starts_with("/api/") || path.starts_with("/assets/")
}

fn is_stream(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

/// Whether `If-None-Match` names the tag; compared weakly, as RFC 9110 wants it for reads.
fn names(known: &HeaderValue, tag: &str) -> bool {
    let known = known.to_str().unwrap_or_default();
    known.split(',').map(str::trim).any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}
