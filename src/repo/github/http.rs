//! Requests about one repository: with its token, within its limits, under its present name.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use backon::{ExponentialBuilder, Retryable};
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use super::auth::{Authorizer, For, Grant};
use super::call::Call;
use super::expiry::Expiry;
use super::pace::{Cost, Pace, Resource, Wait, WaitReason};
use super::place::Place;
use super::transport::{Reply, Request, Silence, Transport};
use super::{answer, limits};
use crate::repo::Error;

/// How often a failed read is tried again before the caller hears of it.
const READ_RETRIES: usize = 2;
/// The first pause before a read is tried again; doubles.
const READ_PAUSE: Duration = Duration::from_millis(200);
/// A wait for the gap between writes that is short enough to be made inside a run.
const SHORT: Duration = Duration::from_secs(2);
/// How often such a wait is made for one request before the run is given back. Many, because a run that is given back
/// makes all its objects again.
const SHORT_WAITS: usize = 30;
/// A pause that nobody knows the length of.
const UNKNOWN_PAUSE: Duration = Duration::from_secs(60);

/// The way to one repository.
pub(super) struct Http {
    transport: Transport,
    authorizer: Authorizer,
    pace: Arc<dyn Pace>,
    place: Mutex<Place>,
    pub expiry: Expiry,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum NoAnswer {
    /// Nothing was done: not sent, refused for a limit, or there is no usable token.
    NotDone(Error),
    /// It may have been done, or may still be.
    Lost(String),
}

impl Http {
    pub fn new(
        transport: Transport,
        authorizer: Authorizer,
        pace: Arc<dyn Pace>,
        (owner, name): (String, String),
    ) -> Self {
        let place = Mutex::new(Place::new(&transport.api, &owner, &name));
        Self { transport, authorizer, pace, place, expiry: Expiry::default() }
    }

    /// `github.com/owner/name`: the repository as errors and logs show it.
    pub fn shown(&self) -> String {
        self.place().shown
    }

    /// Owner and name, as GraphQL wants them.
    pub fn full_name(&self) -> (String, String) {
        let place = self.place();
        (place.owner, place.name)
    }

    /// How long a write may take: a lease must last longer.
    pub fn write_limit(&self) -> Duration {
        self.transport.timeouts().write
    }

    /// A read, tried again while GitHub fails. Every complete answer below 500 is the caller's to understand.
    pub async fn read(&self, call: &Call<'_>) -> Result<Reply, Error> {
        let backoff = ExponentialBuilder::default().with_min_delay(READ_PAUSE).with_max_times(READ_RETRIES);
        (|| self.read_once(call))
            .retry(backoff)
            // A server that says when it wants to be asked again is not asked before.
            .when(|error| matches!(error, Error::Unavailable { after: None, .. }))
            .await
    }

    async fn read_once(&self, call: &Call<'_>) -> Result<Reply, Error> {
        match self.send(call).await {
            Ok(reply) if reply.status.is_server_error() => Err(self.failure(call, &reply)),
            Ok(reply) => Ok(reply),
            Err(NoAnswer::NotDone(error)) => Err(error),
            Err(NoAnswer::Lost(detail)) => Err(self.unavailable(format!("{}: {detail}", call.shown()))),
        }
    }

    /// Sends it once. Only the caller can know whether a write whose answer was lost may be repeated.
    pub async fn send(&self, call: &Call<'_>) -> Result<Reply, NoAnswer> {
        let (writes, limit) = match call.method {
            Method::GET => (false, self.transport.timeouts().read),
            _ => (true, self.transport.timeouts().write),
        };
        let path = self.place().path;
        let parts = path.iter().map(String::as_str).chain(call.path.iter().copied());
        let mut url = self.transport.api.rest(parts);
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&call.query);
        }
        let started = std::time::Instant::now();
        let outgoing = Outgoing { method: &call.method, url: &url, body: call.body, etag: call.etag, limit };
        let reply = self.authorized(&outgoing, Cost { resource: Resource::Rest, writes }).await?;
        if writes {
            tracing::info!(
                repository = %self.shown(),
                http.method = %call.method,
                http.path = %url.path(),
                http.status = reply.status.as_u16(),
                duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
                "GitHub answered a write"
            );
        }
        if let Some(moved) = &reply.moved {
            self.follow_rename(&url, moved).await;
        }
        Ok(reply)
    }

    /// One GraphQL request; `writes` when the query is a mutation.
    pub(super) async fn send_graphql(&self, body: &Value, writes: bool) -> Result<Reply, NoAnswer> {
        let timeouts = self.transport.timeouts();
        let outgoing = Outgoing {
            method: &Method::POST,
            url: &self.transport.api.graphql,
            body: Some(body),
            etag: None,
            limit: if writes { timeouts.write } else { timeouts.read },
        };
        self.authorized(&outgoing, Cost { resource: Resource::GraphQl, writes }).await
    }

    /// Sends with the token of now, and once more with another when that one is refused.
    async fn authorized(&self, outgoing: &Outgoing<'_>, cost: Cost) -> Result<Reply, NoAnswer> {
        let place = self.place();
        let wanted = For { transport: &self.transport, repository: &place.path, remote: &place.shown };
        let grant = self.authorizer.grant(wanted).await.map_err(NoAnswer::NotDone)?;
        let reply = self.granted(outgoing, &grant, cost).await?;
        if reply.status != StatusCode::UNAUTHORIZED {
            return Ok(reply);
        }
        match self.authorizer.other_than(&grant, wanted).await.map_err(NoAnswer::NotDone)? {
            Some(other) => self.granted(outgoing, &other, cost).await,
            None => Ok(reply),
        }
    }

    async fn granted(&self, outgoing: &Outgoing<'_>, grant: &Grant, cost: Cost) -> Result<Reply, NoAnswer> {
        self.take_a_place(grant, cost).await.map_err(NoAnswer::NotDone)?;
        let request = Request {
            method: outgoing.method.clone(),
            url: outgoing.url.clone(),
            body: outgoing.body,
            etag: outgoing.etag,
            authorization: &grant.header().map_err(NoAnswer::NotDone)?,
            limit: outgoing.limit,
        };
        let reply = self.transport.exchange(request).await.map_err(|silence| match silence {
            Silence::NotSent(detail) => NoAnswer::NotDone(self.unavailable(detail)),
            Silence::Lost(detail) => NoAnswer::Lost(detail),
        })?;
        let now = SystemTime::now();
        self.expiry.learn(&grant.name, &reply, &self.shown(), now);
        let limits = limits::of(&reply, cost.resource, now);
        if let Some(told) = limits.told {
            self.pace.learned(&grant.name, told).await;
        }
        if limits.refused {
            return Err(NoAnswer::NotDone(self.paused(grant, cost, &answer::words(&reply)).await));
        }
        if cost.resource == Resource::GraphQl && super::graphql::is_rate_limited(&reply) {
            let told = limits::of_graphql_refusal(&reply, now);
            self.pace.learned(&grant.name, told).await;
            return Err(NoAnswer::NotDone(self.paused(grant, cost, "GraphQL: RATE_LIMITED").await));
        }
        Ok(reply)
    }

    /// Waits for the gap between writes; any longer wait is the run's.
    async fn take_a_place(&self, grant: &Grant, cost: Cost) -> Result<(), Error> {
        for _ in 0..SHORT_WAITS {
            match self.pace.before(&grant.name, cost).await {
                Ok(()) => return Ok(()),
                Err(Wait { after, why: WaitReason::Gap }) if after <= SHORT => tokio::time::sleep(after).await,
                Err(wait) => return Err(self.waiting(&wait)),
            }
        }
        Err(self.waiting(&Wait { after: SHORT, why: WaitReason::Gap }))
    }

    /// The error after GitHub refused for a limit: the pace knows how long that lasts.
    async fn paused(&self, grant: &Grant, cost: Cost, words: &str) -> Error {
        let after = match self.pace.before(&grant.name, cost).await {
            Err(wait) => wait.after,
            Ok(()) => UNKNOWN_PAUSE,
        };
        tracing::warn!(
            repository = %self.shown(), token = %grant.name, wait_s = after.as_secs(),
            "GitHub refused a request for its rate limit."
        );
        Error::Unavailable { remote: self.shown(), detail: words.to_owned(), after: Some(after) }
    }

    fn waiting(&self, wait: &Wait) -> Error {
        Error::Unavailable { remote: self.shown(), detail: wait.why.to_string(), after: Some(wait.after) }
    }

    /// Uses the repository's new place from now on, and says under which name it is there.
    async fn follow_rename(&self, asked: &Url, moved: &Url) {
        let api = &self.transport.api;
        let before = self.place();
        let Some(path) = before.path_after(api, asked, moved) else { return };
        self.change_place(|place| place.path = path);
        // Only for the log and for GraphQL: all goes on without it.
        let Ok(known) = Box::pin(self.repository()).await else { return };
        tracing::warn!(
            repository = %before.shown, new_name = %known.full_name,
            "The repository was renamed: put its new name into the settings."
        );
        if let Some((owner, name)) = known.full_name.split_once('/') {
            self.change_place(|place| *place = Place { path: place.path.clone(), ..Place::new(api, owner, name) });
        }
    }

    /// What GitHub says of the repository itself; an error when the token does not show it.
    pub async fn repository(&self) -> Result<Known, Error> {
        let call = Call::get([]);
        let reply = self.read(&call).await?;
        match reply.status {
            StatusCode::OK => self.parse(&call, &reply),
            _ => Err(self.failure(&call, &reply)),
        }
    }

    /// False when GitHub says that the token's account may not push; a token may still be allowed less than its account.
    pub async fn may_push(&self) -> Result<bool, Error> {
        Ok(self.repository().await?.permissions.is_none_or(|may| may.push))
    }

    fn place(&self) -> Place {
        self.place.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change_place(&self, change: impl FnOnce(&mut Place)) {
        change(&mut self.place.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The body of an answer.
    pub fn parse<T: DeserializeOwned>(&self, call: &Call<'_>, reply: &Reply) -> Result<T, Error> {
        serde_json::from_slice(&reply.body)
            .map_err(|error| self.unavailable(format!("{}: the answer is not understood: {error}", call.shown())))
    }

    /// The error of a refused write: what the token may read and not write is answered with 404 too.
    pub async fn write_failure(&self, call: &Call<'_>, reply: &Reply) -> Error {
        if reply.status != StatusCode::NOT_FOUND {
            return self.failure(call, reply);
        }
        if let Err(unseen) = self.repository().await {
            return unseen;
        }
        let missing = answer::what_is_missing(reply).unwrap_or_else(|| "the token may not write here".to_owned());
        let detail = format!("{}: {}; {missing}", call.shown(), answer::words(reply));
        Error::Denied { remote: self.shown(), detail }
    }

    /// The error of an answer that the caller has no meaning of its own for.
    pub fn failure(&self, call: &Call<'_>, reply: &Reply) -> Error {
        answer::failure(&self.shown(), &call.shown(), reply)
    }

    pub fn unavailable(&self, detail: String) -> Error {
        Error::Unavailable { remote: self.shown(), detail, after: None }
    }
}

/// What GitHub says of a repository.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Known {
    /// `owner/name`
    pub full_name: String,
    /// What the token's account may do; not every token is told.
    #[serde(default)]
    permissions: Option<Permissions>,
}

#[derive(Debug, serde::Deserialize)]
struct Permissions {
    push: bool,
}

struct Outgoing<'a> {
    method: &'a Method,
    url: &'a Url,
    body: Option<&'a Value>,
    etag: Option<&'a str>,
    limit: Duration,
}
