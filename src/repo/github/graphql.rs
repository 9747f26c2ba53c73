//! GraphQL: one answer may carry data, errors, or both, under any status.
//!
//! <https://docs.github.com/en/graphql/guides/using-graphql-clients>

use reqwest::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::answer;
use super::http::{Http, NoAnswer};
use super::transport::Reply;
use crate::repo::Error;

/// A query or mutation with its variables.
pub(super) struct Query<'a> {
    pub text: &'a str,
    pub variables: Value,
    pub writes: bool,
}

/// One error of an answer.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Fault {
    /// GitHub's own word: `NOT_FOUND`, `FORBIDDEN`, `STALE_DATA`.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
    #[serde(default)]
    pub message: String,
    #[serde(default)]
    extensions: Extensions,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Extensions {
    #[serde(default)]
    code: Option<String>,
}

/// Why a query has no data that is whole.
#[derive(Debug)]
pub(super) enum NoData {
    /// Nothing was done.
    NotDone(Error),
    /// This server or token has no GraphQL, or not this part of it: the REST way is left. The words say why.
    Refused(String),
    /// It was understood, and not done.
    Faults(Vec<Fault>),
    /// It may have been done, or may still be.
    Lost(String),
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(default)]
    data: Value,
    #[serde(default)]
    errors: Vec<Fault>,
}

/// An answer with nothing but errors is small; a larger one need not be read for them twice.
const SMALL: usize = 64 * 1024;

impl Fault {
    fn is(&self, kinds: &[&str]) -> bool {
        let code = self.extensions.code.as_deref();
        kinds.iter().any(|kind| self.kind.as_deref() == Some(kind) || code == Some(kind))
    }

    /// Whether the schema of this server lacks what was asked for.
    fn is_of_the_schema(&self) -> bool {
        self.is(&["undefinedField", "undefinedType", "argumentNotAccepted"])
    }

    fn is_of_permission(&self) -> bool {
        self.is(&["FORBIDDEN", "INSUFFICIENT_SCOPES"])
    }

    /// Whether GitHub itself does not know what became of it.
    fn is_of_the_server(&self) -> bool {
        self.is(&["INTERNAL", "INTERNAL_SERVER_ERROR", "SERVICE_UNAVAILABLE", "TIMEOUT"])
            || (self.kind.is_none() && self.message.starts_with("Something went wrong"))
    }
}

/// The words of faults, for people.
pub(super) fn words(faults: &[Fault]) -> String {
    let one = |fault: &Fault| match &fault.kind {
        Some(kind) => format!("{} ({kind})", fault.message.trim().replace('\n', " ")),
        None => fault.message.trim().replace('\n', " "),
    };
    faults.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// Whether the answer, whatever its status, refuses for the budget.
pub(super) fn is_rate_limited(reply: &Reply) -> bool {
    if reply.body.len() > SMALL {
        return false;
    }
    let envelope: Result<Envelope, _> = serde_json::from_slice(&reply.body);
    let limited =
        |fault: &Fault| fault.is(&["RATE_LIMITED", "RATE_LIMIT"]) || fault.message.contains("secondary rate limit");
    envelope.is_ok_and(|envelope| envelope.errors.iter().any(limited))
}

impl Http {
    /// Asks once. Data that comes together with faults is not returned.
    pub async fn graphql<T: DeserializeOwned>(&self, query: &Query<'_>) -> Result<T, NoData> {
        let body = json!({ "query": query.text, "variables": query.variables });
        let reply = self.send_graphql(&body, query.writes).await.map_err(|silence| match silence {
            NoAnswer::NotDone(error) => NoData::NotDone(error),
            NoAnswer::Lost(detail) => NoData::Lost(detail),
        })?;
        self.understand(&reply)
    }

    fn understand<T: DeserializeOwned>(&self, reply: &Reply) -> Result<T, NoData> {
        match reply.status {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED => {
                return Err(NoData::NotDone(answer::failure(&self.shown(), "POST graphql", reply)));
            }
            status if status.is_server_error() => return Err(NoData::Lost(answer::words(reply))),
            _ => return Err(NoData::Refused(answer::words(reply))),
        }
        let not_understood = |error: serde_json::Error| NoData::Lost(format!("the answer is not understood: {error}"));
        let Envelope { data, errors: faults } = serde_json::from_slice(&reply.body).map_err(not_understood)?;
        if faults.is_empty() {
            return serde_json::from_value(data).map_err(not_understood);
        }
        Err(if faults.iter().any(|fault| fault.is_of_the_schema() || fault.is_of_permission()) {
            NoData::Refused(words(&faults))
        } else if faults.iter().any(Fault::is_of_the_server) {
            NoData::Lost(words(&faults))
        } else {
            NoData::Faults(faults)
        })
    }
}
