//! One request to NetBox and what its answer means.

use std::path::Path;
use std::time::{Duration, SystemTime};

use backon::{ExponentialBuilder, Retryable};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderValue, IF_MATCH, LOCATION, RETRY_AFTER};
use reqwest::{Method, StatusCode};
use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tracing::Instrument;
use url::Url;

use crate::domain::cause::with_causes;
use crate::domain::names::NetBoxName;
use crate::domain::secret::SecretSource;
use crate::telemetry;

use super::Error;
use super::client::Timeouts;
use super::refusal;

/// The largest answer that is read: a page of 1,000 rows is some 8 MB.
const MAX_ANSWER: usize = 64 * 1024 * 1024;
/// How often a failed GET is tried again before the caller hears of it.
const READ_RETRIES: usize = 2;

/// The connection to one NetBox.
pub(super) struct Http {
    name: NetBoxName,
    api: Url,
    token: SecretSource,
    pub(super) timeouts: Timeouts,
    client: reqwest::Client,
}

/// A request that may change something.
pub(super) struct Write<'a> {
    pub method: Method,
    /// Below `/api/`.
    pub path: &'a str,
    pub query: &'a [(&'static str, String)],
    pub body: &'a Value,
    /// The ETag that the row must still have.
    pub if_match: Option<String>,
}

/// A complete answer, whatever it says.
pub(super) struct Answer {
    pub status: StatusCode,
    /// NetBox's own id of the request: the same as in its change log and webhooks.
    pub request_id: Option<String>,
    /// `None` when the body is not JSON.
    pub json: Option<Value>,
    html: bool,
    /// The time by NetBox's clock.
    date: Option<SystemTime>,
    location: Option<String>,
    retry_after: Option<Duration>,
}

/// An answer whose body was not looked into.
struct Unread {
    /// Without its `json`.
    answer: Answer,
    body: Vec<u8>,
}

impl Unread {
    /// The body; of an empty one that it is nothing.
    fn json(&self) -> &[u8] {
        if self.body.is_empty() { b"null" } else { &self.body }
    }

    fn read(self) -> Answer {
        Answer { json: serde_json::from_slice(self.json()).ok(), ..self.answer }
    }
}

/// Why there is no answer.
pub(super) enum NoAnswer {
    /// The request did not leave this machine, or was not even made.
    NotSent(Error),
    /// NetBox may have done it, or may still be at it.
    Lost(String),
}

impl Http {
    pub fn new(
        name: NetBoxName,
        url: Url,
        token: SecretSource,
        timeouts: Timeouts,
        ca_file: Option<&Path>,
        proxy: Option<Url>,
    ) -> Result<Self, Error> {
        let settings = |detail: String| Error::Settings { netbox: name.to_string(), detail };
        // reqwest is built without a crypto provider of its own; a second installation changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .connect_timeout(timeouts.connect)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .user_agent(concat!("fgd-sync/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = ca_file {
            let failed = |error: &dyn std::fmt::Display| settings(format!("ca_file {}: {error}", path.display()));
            let pem = std::fs::read(path).map_err(|error| failed(&error))?;
            let certificates = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| failed(&error))?;
            if certificates.is_empty() {
                return Err(failed(&"it holds no PEM certificate"));
            }
            builder = builder.tls_certs_merge(certificates);
        }
        if let Some(proxy) = proxy {
            // The url may hold a password: it is not shown.
            let proxy =
                reqwest::Proxy::all(proxy).map_err(|_| settings("the proxy's url cannot be used".to_owned()))?;
            builder = builder.proxy(proxy);
        }
        let client = builder.build().map_err(|error| settings(with_causes(&error)))?;
        let api = api_root(url).map_err(settings)?;
        Ok(Self { name, api, token, timeouts, client })
    }

    /// A GET that NetBox must have an answer to: a 404 is an error.
    pub async fn get_present(&self, path: &str, query: &[(&str, String)]) -> Result<Value, Error> {
        self.get_present_as(path, query).await
    }

    /// The same, read as something smaller than a tree of values; `Error::Unexpected` where it is JSON of another shape.
    pub async fn get_present_as<T: DeserializeOwned>(&self, path: &str, query: &[(&str, String)]) -> Result<T, Error> {
        let found = self.get_as(path, query).await?;
        found.ok_or_else(|| self.no_endpoint(&format!("GET {}", self.shown(path)), ENDPOINT_REMEDY.to_owned()))
    }

    /// A GET, tried again while NetBox fails; `None` when NetBox itself says 404.
    pub async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Option<Value>, Error> {
        self.get_as(path, query).await
    }

    async fn get_as<T: DeserializeOwned>(&self, path: &str, query: &[(&str, String)]) -> Result<Option<T>, Error> {
        let backoff = ExponentialBuilder::default().with_min_delay(self.timeouts.pause).with_max_times(READ_RETRIES);
        (|| self.get_once(path, query))
            .retry(backoff)
            // A server that says when it wants to be asked again is not asked before.
            .when(|error| matches!(error, Error::Unavailable { after: None, .. }))
            .await
    }

    /// A GET that NetBox must have an answer to, with the time by its clock; tried once.
    pub async fn get_dated(&self, path: &str) -> Result<(Value, Option<SystemTime>), Error> {
        let answer = self.ask(Method::GET, path, &[]).await?.read();
        let date = answer.date;
        match (answer.status, answer.json) {
            (StatusCode::OK, Some(json)) => Ok((json, date)),
            (_, json) => Err(self.failure(&Method::GET, path, &Answer { json, ..answer })),
        }
    }

    /// What an endpoint says of itself; changes nothing.
    pub async fn options(&self, path: &str) -> Result<Value, Error> {
        let answer = self.ask(Method::OPTIONS, path, &[]).await?.read();
        match (answer.status, answer.json) {
            (StatusCode::OK, Some(json)) => Ok(json),
            (_, json) => Err(self.failure(&Method::OPTIONS, path, &Answer { json, ..answer })),
        }
    }

    async fn ask(&self, method: Method, path: &str, query: &[(&str, String)]) -> Result<Unread, Error> {
        let request = self.client.request(method.clone(), self.url(path)).query(query).timeout(self.timeouts.read);
        self.send(request).await.map_err(|failed| match failed {
            NoAnswer::NotSent(error) => error,
            NoAnswer::Lost(detail) => self.unavailable(format!("{method} {}: {detail}", self.shown(path)), None),
        })
    }

    async fn get_once<T: DeserializeOwned>(&self, path: &str, query: &[(&str, String)]) -> Result<Option<T>, Error> {
        let unread = self.ask(Method::GET, path, query).await?;
        let unlike = match unread.answer.status {
            StatusCode::OK => match serde_json::from_slice(unread.json()) {
                Ok(found) => return Ok(Some(found)),
                Err(error) => Some(error),
            },
            _ => None,
        };
        let answer = unread.read();
        match (answer.status, answer.json, unlike) {
            (StatusCode::NOT_FOUND, Some(_), _) => Ok(None),
            (_, Some(_), Some(error)) => {
                Err(self.unexpected(&format!("GET {}", self.shown(path)), format!("JSON of another shape: {error}")))
            }
            (_, json, _) => Err(self.failure(&Method::GET, path, &Answer { json, ..answer })),
        }
    }

    /// Sends a write once. Never repeated here: only the caller can look up what became of it.
    pub async fn write(&self, write: &Write<'_>) -> Result<Answer, NoAnswer> {
        let mut request = self
            .client
            .request(write.method.clone(), self.url(write.path))
            .query(write.query)
            .timeout(self.timeouts.write)
            .json(write.body);
        if let Some(etag) = &write.if_match {
            request = request.header(IF_MATCH, etag);
        }
        let started = std::time::Instant::now();
        let answer = self.send(request).await?.read();
        tracing::info!(
            netbox = %self.name,
            request.id = answer.request_id.as_deref().unwrap_or(""),
            http.method = %write.method,
            http.path = %self.shown(write.path),
            http.status = answer.status.as_u16(),
            rows = write.body.as_array().map_or(1, Vec::len),
            duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            "NetBox answered a write"
        );
        Ok(answer)
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Unread, NoAnswer> {
        let request = request.build().map_err(|error| self.no_answer(error))?;
        let span = telemetry::request_span("NetBox", request.method().as_str(), request.url().path());
        self.exchange(request).instrument(span).await
    }

    async fn exchange(&self, mut request: reqwest::Request) -> Result<Unread, NoAnswer> {
        let token = self.authorization().map_err(NoAnswer::NotSent)?;
        request.headers_mut().insert(AUTHORIZATION, token);
        if let Some(Ok(trace)) = telemetry::outgoing().map(HeaderValue::try_from) {
            request.headers_mut().insert("traceparent", trace);
        }
        let mut response = self.client.execute(request).await.map_err(|error| self.no_answer(error))?;
        let status = response.status();
        telemetry::answered(status.as_u16());
        let headers = std::mem::take(response.headers_mut());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.no_answer(error))? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(NoAnswer::Lost(format!("the answer is larger than {MAX_ANSWER} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let answer = Answer {
            status,
            request_id: text("x-request-id"),
            json: None,
            html: is_html(&headers),
            date: text(DATE.as_str()).and_then(|text| httpdate::parse_http_date(&text).ok()),
            location: text(LOCATION.as_str()),
            retry_after: text(RETRY_AFTER.as_str()).and_then(|text| text.parse().ok()).map(Duration::from_secs),
        };
        Ok(Unread { answer, body })
    }

    fn no_answer(&self, error: reqwest::Error) -> NoAnswer {
        let not_sent = error.is_connect() || error.is_builder();
        let error = error.without_url();
        match not_sent {
            true => NoAnswer::NotSent(self.unavailable(with_causes(&error), None)),
            false => NoAnswer::Lost(with_causes(&error)),
        }
    }

    fn authorization(&self) -> Result<HeaderValue, Error> {
        let settings = |detail: String| Error::Settings { netbox: self.name.to_string(), detail };
        let token = self.token.read().map_err(|unusable| settings(with_causes(&unusable)))?;
        let token = token.expose_secret();
        let scheme = if token.starts_with("nbt_") { "Bearer" } else { "Token" };
        let mut value = HeaderValue::try_from(format!("{scheme} {token}"))
            .map_err(|_| settings("the token has characters that a token cannot have".to_owned()))?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// What an answer without the wished result means.
    pub fn failure(&self, method: &Method, path: &str, answer: &Answer) -> Error {
        let request = format!("{method} {}", self.shown(path));
        let words = answer.words();
        match answer.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Error::Denied {
                netbox: self.name.to_string(),
                request,
                detail: format!("{words}; check the token and its user's permissions"),
            },
            StatusCode::NOT_FOUND => self.no_endpoint(&request, ENDPOINT_REMEDY.to_owned()),
            StatusCode::TOO_MANY_REQUESTS => self.unavailable(format!("{request}: {words}"), answer.retry_after),
            status if status.is_server_error() => self.unavailable(format!("{request}: {words}"), answer.retry_after),
            status if status.is_redirection() => {
                let to = answer.location.as_deref().unwrap_or("nowhere");
                self.unexpected(&request, format!("a redirect to {to}; set the url to where NetBox itself answers"))
            }
            _ if answer.html => self.unexpected(
                &request,
                format!("an HTML page (status {}); set the url to where NetBox itself answers", answer.status.as_u16()),
            ),
            _ => self.unexpected(&request, words),
        }
    }

    pub fn unavailable(&self, detail: String, after: Option<Duration>) -> Error {
        Error::Unavailable { netbox: self.name.to_string(), detail, after }
    }

    pub fn no_endpoint(&self, request: &str, detail: String) -> Error {
        Error::NoEndpoint { netbox: self.name.to_string(), request: request.to_owned(), detail }
    }

    pub fn unexpected(&self, request: &str, detail: String) -> Error {
        Error::Unexpected { netbox: self.name.to_string(), request: request.to_owned(), detail }
    }

    fn url(&self, path: &str) -> Url {
        let mut url = self.api.clone();
        url.set_path(&format!("{}{path}", self.api.path()));
        url
    }

    /// The path as messages show it.
    pub fn shown(&self, path: &str) -> String {
        format!("{}{path}", self.api.path())
    }
}

const ENDPOINT_REMEDY: &str = "run `fgd-sync setup netbox`, or correct the NetBox's url or model in the settings";

impl Answer {
    /// NetBox's own words, or the bare status.
    pub fn words(&self) -> String {
        let status = format!("status {}", self.status.as_u16());
        match self.json.as_ref().map(refusal::words).filter(|words| !words.is_empty()) {
            Some(words) => format!("{words} ({status})"),
            None => status,
        }
    }
}

fn api_root(mut url: Url) -> Result<Url, String> {
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("the url must begin with http:// or https:// and name a host".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the url must not hold a user or password; use the token".to_owned());
    }
    let prefix = url.path().trim_end_matches('/').trim_end_matches("/api").to_owned();
    url.set_path(&format!("{prefix}/api/"));
    url.set_query(None);
    url.set_fragment(None);
    Ok(url)
}

fn is_html(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(|kind| kind.starts_with("text/html"))
}
