//! HEAD: what GET answers, without its body.

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::middleware::Next;

/// The one read without an end, which has nothing to tell without its body.
pub(super) const ENDLESS: &str = "/api/v1/events";

/// Lets the routes see a GET; the server itself leaves the body out of the answer to a HEAD (RFC 9110, 9.3.2).
pub(super) async fn as_get<B: MessageBody + 'static>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    if request.method() == Method::HEAD && request.path() != ENDLESS {
        request.head_mut().method = Method::GET;
    }
    next.call(request).await
}
