//! A webhook's body whose signature agrees; nothing else of a webhook is ever looked at.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{FromRequest, HttpRequest};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use futures::future::LocalBoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::names::{NetBoxName, RepoName};
use crate::webhook::signature::{GITHUB_HEADER, GITHUB_LEGACY_HEADER, NETBOX_HEADER, Signature};

use super::HttpState;
use super::problem::{Header, Problem};

/// So much of every body is free. What is longer draws on what all of them may take together, so that large bodies of
/// strangers never keep an ordinary delivery out.
const FREE: usize = 64 * 1024;
/// For a sender whose body had no room: the slowest of those that take it are gone by then.
const RETRY_AFTER_SECONDS: u32 = 30;

/// How one kind of sender signs.
pub trait Signing: 'static {
    /// What names whoever signed.
    type Signer: 'static;

    /// The signature in the headers.
    fn signature(headers: &HeaderMap) -> Result<Signature, Problem>;

    /// Largest body in bytes.
    fn limit(state: &HttpState) -> usize;

    /// Whose secret made the signature; `None` when it was nobody's.
    fn signer(state: &HttpState, signature: &Signature, body: &[u8]) -> Option<Self::Signer>;
}

/// NetBox: HMAC-SHA512 in `X-Hook-Signature`.
pub struct NetBox;

/// GitHub: HMAC-SHA256 in `X-Hub-Signature-256`.
pub struct GitHub;

impl Signing for NetBox {
    type Signer = NetBoxName;

    fn signature(headers: &HeaderMap) -> Result<Signature, Problem> {
        let text = header_text(headers, NETBOX_HEADER).ok_or_else(|| {
            let detail = format!("the request has no {NETBOX_HEADER} header");
            missing(detail, "Give NetBox's webhook a secret, the same as in the settings.")
        })?;
        Signature::from_netbox(text).map_err(|error| wrong(error.to_string()))
    }

    fn limit(state: &HttpState) -> usize {
        state.limits.netbox_body
    }

    fn signer(state: &HttpState, signature: &Signature, body: &[u8]) -> Option<NetBoxName> {
        state.netbox_keys.signers_sha512(signature, body).into_iter().next()
    }
}

impl Signing for GitHub {
    type Signer = Vec<RepoName>;

    fn signature(headers: &HeaderMap) -> Result<Signature, Problem> {
        let text = header_text(headers, GITHUB_HEADER).ok_or_else(|| {
            let legacy = headers.contains_key(GITHUB_LEGACY_HEADER);
            let only = if legacy { format!(", only {GITHUB_LEGACY_HEADER}, which is SHA-1") } else { String::new() };
            let detail = format!("the request has no {GITHUB_HEADER} header{only}");
            missing(detail, "Give the repository's webhook a secret, the same as in the settings.")
        })?;
        Signature::from_github(text).map_err(|error| wrong(error.to_string()))
    }

    fn limit(state: &HttpState) -> usize {
        state.limits.github_body
    }

    /// All whose secret it was: repositories may share one, and the delivery says which it means.
    fn signer(state: &HttpState, signature: &Signature, body: &[u8]) -> Option<Vec<RepoName>> {
        Some(state.repository_keys.signers_sha256(signature, body)).filter(|signers| !signers.is_empty())
    }
}

/// The raw bytes of a delivery, and whose secret signed them.
pub struct Verified<S: Signing> {
    pub signer: S::Signer,
    pub body: Bytes,
    signing: PhantomData<S>,
}

impl<S: Signing> FromRequest for Verified<S> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let state = HttpState::shared(request).clone();
        let signature = S::signature(request.headers());
        let announced = header_text(request.headers(), header::CONTENT_LENGTH.as_str());
        let announced = announced.and_then(|text| text.parse().ok()).unwrap_or(0);
        let payload = payload.take();
        Box::pin(async move {
            let (signature, limit) = (signature?, S::limit(&state));
            let patience = state.limits.body_time;
            let room = Room { all: state.unverified.clone(), taken: None };
            let body = tokio::time::timeout(patience, read(payload, announced, limit, room)).await;
            // Its room is kept until it is known whose it is.
            let (body, _room) = body.map_err(|_| too_slow(patience))??;
            let signer = S::signer(&state, &signature, &body);
            let nobody = || wrong("the signature was not made with an active secret over this body".to_owned());
            Ok(Self { signer: signer.ok_or_else(nobody)?, body, signing: PhantomData })
        })
    }
}

/// What one body takes of the room for all.
struct Room {
    all: Arc<Semaphore>,
    taken: Option<OwnedSemaphorePermit>,
}

impl Room {
    /// Makes room for a body that has grown to `size`.
    fn grow_to(&mut self, size: usize) -> Result<(), Problem> {
        let taken = self.taken.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let more = size.saturating_sub(FREE).saturating_sub(taken);
        let Ok(more) = u32::try_from(more) else { return Err(no_room()) };
        if more > 0 {
            let more = self.all.clone().try_acquire_many_owned(more).map_err(|_| no_room())?;
            match &mut self.taken {
                Some(taken) => taken.merge(more),
                None => self.taken = Some(more),
            }
        }
        Ok(())
    }
}

async fn read(mut payload: Payload, announced: usize, limit: usize, mut room: Room) -> Result<(Bytes, Room), Problem> {
    if announced > limit {
        return Err(too_large(limit));
    }
    // What is only announced gets no memory.
    let mut body = BytesMut::with_capacity(announced.min(FREE));
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| {
            Problem::bad_request("broken_body", format!("the body broke off: {error}"), "Send the request again.")
        })?;
        if body.len() + chunk.len() > limit {
            return Err(too_large(limit));
        }
        room.grow_to(body.len() + chunk.len())?;
        body.extend_from_slice(&chunk);
    }
    Ok((body.freeze(), room))
}

/// The text of a header that is there and is ASCII.
pub(super) fn header_text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn missing(detail: String, remedy: &'static str) -> Problem {
    Problem::unauthorized("missing_signature", detail, remedy)
}

fn wrong(detail: String) -> Problem {
    let remedy = "Compare the secret in the sender's webhook with the settings; a proxy must not change the body.";
    Problem::unauthorized("wrong_signature", detail, remedy)
}

fn too_large(limit: usize) -> Problem {
    let detail = format!("the body is larger than {limit} bytes");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail, "Nothing that is kept equal is so large.")
}

fn no_room() -> Problem {
    let detail = "too many large bodies arrive at once".to_owned();
    let remedy = "Send the request again later; if this lasts, keep strangers away from the webhooks.";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_bodies", detail, remedy)
        .with_header(Header::RetryAfter(RETRY_AFTER_SECONDS))
}

fn too_slow(patience: Duration) -> Problem {
    let detail = format!("the body did not arrive within {}", humantime::format_duration(patience));
    Problem::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", detail, "Send the request again.")
}
