//! Writes with an `Idempotency-Key`: however often one is sent, it is carried out once, and answered the same.

use actix_web::body::{BoxBody, MessageBody, to_bytes};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpResponse, ResponseError};
use bytes::Bytes;
use futures::stream;

use crate::ledger::{Begun, KeptAnswer, Repeatable};

use super::HttpState;
use super::input;
use super::problem::Problem;
use super::token;

/// What the sender calls its request.
const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Marks an answer that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Longest key.
const LONGEST: usize = 255;
/// Largest answer that is kept; ours are a few kB.
const LARGEST: usize = 1024 * 1024;

/// Carries out a write with a key unless it was, and then answers as it was answered.
///
/// A failure of ours (5xx) is not kept: nobody knows what it did, and repeating is what the key is for.
pub(super) async fn writes<B: MessageBody + 'static>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let is_write = request.method() == Method::POST && request.path().starts_with("/api/");
    let caller = token::authenticate(request.request());
    let (Some(key), true, Ok(caller)) = (request.headers().get(&KEY).cloned(), is_write, caller) else {
        return Ok(next.call(request).await?.map_into_boxed_body());
    };
    let state = HttpState::shared(request.request()).clone();
    let repeatable = match read(&mut request, &key, &caller.name).await {
        Ok(repeatable) => repeatable,
        Err(problem) => return Ok(request.into_response(problem.error_response())),
    };
    let answer = match state.ledger.begin(&repeatable).await {
        Ok(Begun::New) => return carry_out(&state, &repeatable, next.call(request).await).await,
        Ok(Begun::Answered(answer)) => replayed(answer),
        Ok(Begun::Unfinished) => unfinished().error_response(),
        Ok(Begun::Other) => other().error_response(),
        Err(error) => Problem::from(error).error_response(),
    };
    Ok(request.into_response(answer))
}

/// Reads the body and puts it back.
async fn read(request: &mut ServiceRequest, key: &HeaderValue, caller: &str) -> Result<Repeatable, Problem> {
    let key = key.to_str().ok().filter(|key| !key.is_empty() && key.len() <= LONGEST).ok_or_else(|| {
        let detail = format!("the Idempotency-Key is empty, longer than {LONGEST} characters, or not ASCII");
        Problem::bad_request("bad_idempotency_key", detail, "Send a random one, such as a UUID.")
    })?;
    let body = input::read(request.take_payload()).await?.freeze();
    let asks = [request.path().as_bytes(), request.query_string().as_bytes(), &body];
    let repeatable = Repeatable::new(caller, key, &asks);
    request.set_payload(payload(body));
    Ok(repeatable)
}

fn payload(body: Bytes) -> Payload {
    Payload::Stream { payload: Box::pin(stream::once(async move { Ok(body) })) }
}

async fn carry_out<B: MessageBody + 'static>(
    state: &HttpState,
    request: &Repeatable,
    answer: Result<ServiceResponse<B>, Error>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let response = match answer {
        Ok(response) if !response.status().is_server_error() => response.map_into_boxed_body(),
        failed => {
            forget(state, request).await;
            return failed.map(ServiceResponse::map_into_boxed_body);
        }
    };
    let content_type = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let (status, content_type) = (response.status().as_u16(), content_type.unwrap_or_default().to_owned());
    let (asked, response) = response.into_parts();
    let (head, body) = response.into_parts();
    let body = to_bytes(body).await?;
    match std::str::from_utf8(&body) {
        Ok(text) if text.len() <= LARGEST => {
            let answer = KeptAnswer { status, content_type, body: text.to_owned() };
            if let Err(error) = state.ledger.finish(request, answer).await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "an answer could not be kept for a repetition"
                );
            }
        }
        Ok(_) | Err(_) => forget(state, request).await,
    }
    Ok(ServiceResponse::new(asked, head.set_body(body).map_into_boxed_body()))
}

async fn forget(state: &HttpState, request: &Repeatable) {
    if let Err(error) = state.ledger.abandon(request).await {
        tracing::warn!(error = &error as &dyn std::error::Error, "a request could not be forgotten for a repetition");
    }
}

fn replayed(answer: KeptAnswer) -> HttpResponse {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    response.insert_header((REPLAYED, "true"));
    if !answer.content_type.is_empty() {
        response.content_type(answer.content_type);
    }
    response.body(answer.body)
}

fn unfinished() -> Problem {
    let detail = "a request with this Idempotency-Key is still being carried out";
    let remedy = "Send it again a little later: within a minute it is answered, or can be carried out anew.";
    Problem::conflict("request_unfinished", detail, remedy)
}

fn other() -> Problem {
    let detail = "this Idempotency-Key was used for another request within the last day";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", detail, "Use a new key for each request.")
}
