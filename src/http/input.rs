//! What callers of the API send beside the path: strict, so that a misspelt word is told instead of overlooked.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use bytes::BytesMut;
use futures::StreamExt;
use futures::future::LocalBoxFuture;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::domain::names::JobId;

use super::problem::Problem;

/// Largest body of an API request; they hold a few fields.
const MAX_BODY: usize = 64 * 1024;

/// Query parameters; `T` denies unknown fields and takes its values as texts, which the handler reads by name.
pub(super) struct Query<T>(pub T);

/// The query of a route without parameters.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NoParameters {}

impl<T: DeserializeOwned> FromRequest for Query<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let query = web::Query::<T>::from_query(request.query_string());
        ready(query.map(|query| Self(query.into_inner())).map_err(|error| {
            let detail = match &error {
                actix_web::error::QueryPayloadError::Deserialize(error) => format!("the query is wrong: {error}"),
                other => format!("the query is wrong: {other}"),
            };
            Problem::bad_request("bad_query", detail, "Compare the request with /openapi.json.")
        }))
    }
}

/// A JSON body; none at all is `T`'s default, and so is `null`.
pub(super) struct JsonBody<T>(pub T);

impl<T: DeserializeOwned + Default + 'static> FromRequest for JsonBody<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let is_json =
            request.content_type().is_empty() || request.content_type().eq_ignore_ascii_case("application/json");
        let payload = payload.take();
        Box::pin(async move {
            let body = read(payload).await?;
            if body.iter().all(u8::is_ascii_whitespace) {
                return Ok(Self(T::default()));
            }
            if !is_json {
                return Err(not_json());
            }
            // What reads objects would take a list for the fields in their order.
            if body.trim_ascii_start().starts_with(b"[") {
                return Err(bad_field("it is a list, not an object"));
            }
            let read: Result<Option<T>, _> = serde_json::from_slice(&body);
            read.map(|given| Self(given.unwrap_or_default())).map_err(|error| bad_field(&error.to_string()))
        })
    }
}

/// A whole body, or what is wrong with it.
pub(super) async fn read(payload: Payload) -> Result<BytesMut, Problem> {
    read_up_to(payload, MAX_BODY).await
}

/// A whole body of at most `most` bytes, or what is wrong with it.
pub(super) async fn read_up_to(mut payload: Payload, most: usize) -> Result<BytesMut, Problem> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| {
            Problem::bad_request("broken_body", format!("the body broke off: {error}"), "Send the request again.")
        })?;
        if body.len() + chunk.len() > most {
            let detail = format!("the body is larger than {most} bytes");
            let remedy = "Send only the fields that /openapi.json names.";
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail, remedy));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn not_json() -> Problem {
    let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    Problem::new(status, "not_json", "the body is not application/json", "Send `Content-Type: application/json`.")
}

/// Reads the id of a job or run; `None` for what cannot be one.
pub(super) fn ulid(text: &str) -> Option<String> {
    ulid::Ulid::from_string(text).ok().map(|id| id.to_string())
}

/// Reads a job's id; `None` for what cannot be one.
pub(super) fn job_id(text: &str) -> Option<JobId> {
    ulid(text).map(JobId::new)
}

/// A bad value of one query parameter.
pub(super) fn bad_parameter(name: &str, wants: &str) -> Problem {
    Problem::bad_request(
        "bad_query",
        format!("the parameter `{name}` is not {wants}"),
        "Compare it with /openapi.json.",
    )
}

/// A field of the body that is missing or wrong.
pub(super) fn bad_field(what: &str) -> Problem {
    Problem::bad_request("bad_body", format!("the body is wrong: {what}"), "Compare the request with /openapi.json.")
}

/// Longest reason that a person may give.
const REASON: usize = 500;

/// A reason that is kept and shown: bounded, without control characters.
pub(super) fn reason(text: String) -> Result<String, Problem> {
    if text.chars().count() > REASON || text.chars().any(|c| c.is_control() && c != '\n') {
        return Err(bad_field(&format!("`reason` has more than {REASON} characters, or a control character")));
    }
    Ok(text)
}

/// A page size from 1 to `most`; `standard` when not given.
pub(super) fn limit(text: Option<&str>, standard: usize, most: usize) -> Result<usize, Problem> {
    let Some(text) = text else { return Ok(standard) };
    let limit = text.parse().ok().filter(|limit| (1..=most).contains(limit));
    limit.ok_or_else(|| bad_parameter("limit", &format!("a number from 1 to {most}")))
}
