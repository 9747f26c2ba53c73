//! Errors as the caller sees them: RFC 9457 problems with a stable code and what to do.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::cause::with_causes;
use crate::ledger;

/// Why a request was not done.
///
/// `code` is stable and meant for programs; the texts are for people and may change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!({
    "type": "about:blank", "title": "Not Found", "status": 404, "code": "unknown_job",
    "detail": "there is no job 01KAJ3V0M1W9T6N4ZC5X8R7QHD, or it is no longer kept",
    "remedy": "List the jobs with GET /api/v1/jobs.",
}))]
pub struct Problem {
    /// Always `about:blank`: `code` tells problems apart.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    status: u16,
    code: &'static str,
    /// What is wrong and with which thing.
    detail: String,
    /// What to do about it.
    remedy: &'static str,
    #[serde(skip)]
    header: Option<Header>,
}

/// A header that goes with a problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Header {
    /// In seconds.
    RetryAfter(u32),
    Challenge(&'static str),
    /// The methods that a path has.
    Allow(&'static str),
}

/// How soon to come back when Redis cannot be reached: it is usually a restart.
const RETRY_AFTER_SECONDS: u32 = 5;

impl Problem {
    pub(super) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>, remedy: &'static str) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            code,
            detail: detail.into(),
            remedy,
            header: None,
        }
    }

    pub(super) fn with_header(self, header: Header) -> Self {
        Self { header: Some(header), ..self }
    }

    pub(super) fn bad_request(code: &'static str, detail: impl Into<String>, remedy: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail, remedy)
    }

    pub(super) fn unauthorized(code: &'static str, detail: impl Into<String>, remedy: &'static str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, detail, remedy)
    }

    pub(super) fn not_found(code: &'static str, detail: impl Into<String>, remedy: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, detail, remedy)
    }

    pub(super) fn conflict(code: &'static str, detail: impl Into<String>, remedy: &'static str) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail, remedy)
    }

    /// The stable word for programs.
    pub(super) fn code(&self) -> &'static str {
        self.code
    }

    /// What is wrong, and what to do about it.
    pub(super) fn words(&self) -> (&str, &'static str) {
        (&self.detail, self.remedy)
    }

    /// For a state of this service that should not be; the log has what the caller must not see.
    pub(super) fn internal(cause: &dyn std::error::Error) -> Self {
        tracing::error!(cause = with_causes(cause), "a request could not be answered");
        let remedy = "Look into the service's log for this request, and report it.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "something unexpected went wrong", remedy)
    }
}

impl From<ledger::Error> for Problem {
    fn from(error: ledger::Error) -> Self {
        match &error {
            ledger::Error::Unavailable { .. } => {
                tracing::warn!(cause = with_causes(&error), "Redis could not be asked");
                if error.is_out_of_memory() {
                    let detail = "Redis has no memory left, so nothing was recorded";
                    let remedy = "Give Redis more memory (`maxmemory`), then send the request again.";
                    return Self::new(StatusCode::SERVICE_UNAVAILABLE, "ledger_full", detail, remedy)
                        .with_header(Header::RetryAfter(RETRY_AFTER_SECONDS));
                }
                let detail = "Redis cannot be reached or is too slow, so nothing was recorded for certain";
                let remedy = "Send the request again; if this lasts, look at Redis and GET /readyz.";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "ledger_unavailable", detail, remedy)
                    .with_header(Header::RetryAfter(RETRY_AFTER_SECONDS))
            }
            ledger::Error::LeaseLost { .. }
            | ledger::Error::Layout { .. }
            | ledger::Error::Corrupt { .. }
            | ledger::Error::Settings { .. }
            | ledger::Error::Embedded { .. } => Self::internal(&error),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        match self.header {
            Some(Header::RetryAfter(seconds)) => response.insert_header((header::RETRY_AFTER, seconds)),
            Some(Header::Challenge(challenge)) => response.insert_header((header::WWW_AUTHENTICATE, challenge)),
            Some(Header::Allow(methods)) => response.insert_header((header::ALLOW, methods)),
            None => &mut response,
        };
        let body = serde_json::to_string(self).expect("a problem is plain JSON");
        response.content_type("application/problem+json").body(body)
    }
}
