//! Answers before they go out, and the ways in which GitHub refuses.

use serde_json::{Value, json};

/// An answer.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Body,
}

#[derive(Debug, Clone)]
pub(super) enum Body {
    None,
    Json(Value),
    Raw(&'static str, Vec<u8>),
}

impl Reply {
    pub fn json(status: u16, body: Value) -> Self {
        Self { status, headers: Vec::new(), body: Body::Json(body) }
    }

    pub fn ok(body: Value) -> Self {
        Self::json(200, body)
    }

    pub fn created(body: Value) -> Self {
        let at = body["url"].as_str().map(|url| ("Location", url.to_owned()));
        Self { status: 201, headers: at.into_iter().collect(), body: Body::Json(body) }
    }

    pub fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Body::None }
    }

    pub fn raw(media_type: &'static str, bytes: Vec<u8>) -> Self {
        Self { status: 200, headers: Vec::new(), body: Body::Raw(media_type, bytes) }
    }

    pub fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    /// In the form that all errors have.
    pub fn refused(status: u16, message: &str) -> Self {
        let url = "https://docs.github.com/rest";
        Self::json(status, json!({"message": message, "documentation_url": url, "status": status.to_string()}))
    }

    pub fn not_found() -> Self {
        Self::refused(404, "Not Found")
    }

    /// A well-formed request that cannot be done.
    pub fn unprocessable(message: &str) -> Self {
        Self::refused(422, message)
    }

    /// `Validation Failed` with its list of what is wrong.
    pub fn invalid(errors: Value) -> Self {
        let mut reply = Self::refused(422, "Validation Failed");
        if let Body::Json(body) = &mut reply.body {
            body["errors"] = errors;
        }
        reply
    }
}
