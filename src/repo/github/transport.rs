//! One request and its whole answer. Redirects are followed within GitHub's own origin and nowhere else, because the
//! token goes along.

use std::path::Path;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, IF_NONE_MATCH, LOCATION};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use tracing::Instrument;
use url::Url;

use super::Timeouts;
use super::address::Api;
use crate::domain::cause::with_causes;
use crate::telemetry;

/// The largest answer that is read: a blob of 100 MB, the most that GitHub gives, in base64.
const MAX_ANSWER: usize = 150 * 1024 * 1024;
/// A renamed repository redirects once; its owner may have been renamed too.
const MAX_REDIRECTS: usize = 3;
/// The version of the REST API that this client was written for.
const API_VERSION: &str = "2022-11-28";

/// The connection to one GitHub.
pub(super) struct Transport {
    pub api: Api,
    client: reqwest::Client,
    timeouts: Timeouts,
}

/// One request, ready to be sent.
pub(super) struct Request<'a> {
    pub method: Method,
    pub url: Url,
    pub body: Option<&'a Value>,
    /// Only asks whether it still has this tag.
    pub etag: Option<&'a str>,
    pub authorization: &'a HeaderValue,
    pub limit: Duration,
}

/// A complete answer, whatever it says.
pub(super) struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Where it lives for good now, when GitHub redirected for good.
    pub moved: Option<Url>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Silence {
    /// The request did not leave this machine.
    NotSent(String),
    /// GitHub may have done it, or may still be at it.
    Lost(String),
}

impl Transport {
    /// Checks the options; nothing is sent. Fails with what is wrong.
    pub fn new(api: Url, ca_file: Option<&Path>, proxy: Option<Url>, timeouts: Timeouts) -> Result<Self, String> {
        // reqwest is built without a crypto provider of its own; a second installation changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .connect_timeout(timeouts.connect)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("fgd-sync/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = ca_file {
            let failed = |error: &dyn std::fmt::Display| format!("ca_file {}: {error}", path.display());
            let pem = std::fs::read(path).map_err(|error| failed(&error))?;
            let certificates = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| failed(&error))?;
            if certificates.is_empty() {
                return Err(failed(&"it holds no PEM certificate"));
            }
            builder = builder.tls_certs_merge(certificates);
        }
        if let Some(proxy) = proxy {
            // The address may hold a password: it is not shown.
            let proxy = reqwest::Proxy::all(proxy).map_err(|_| "the proxy's address cannot be used".to_owned())?;
            builder = builder.proxy(proxy);
        }
        let client = builder.build().map_err(|error| with_causes(&error))?;
        Ok(Self { api: Api::new(api)?, client, timeouts })
    }

    pub fn timeouts(&self) -> &Timeouts {
        &self.timeouts
    }

    /// Sends it once, and again where GitHub sends it on to.
    pub async fn exchange(&self, request: Request<'_>) -> Result<Reply, Silence> {
        let mut url = request.url.clone();
        let mut moved = None;
        for _ in 0..=MAX_REDIRECTS {
            let span = telemetry::request_span("GitHub", request.method.as_str(), url.path());
            let reply = self.once(&request, url.clone()).instrument(span).await?;
            let Some(next) = self.redirect(&url, &reply)? else { return Ok(Reply { moved, ..reply }) };
            // 301 from GitHub means the same as 308: nothing was done yet, so the method may stay.
            if matches!(reply.status.as_u16(), 301 | 308) {
                moved = Some(next.clone());
            }
            url = next;
        }
        Err(Silence::NotSent("GitHub redirects in a circle".to_owned()))
    }

    /// Where to go on; an error when that is another server.
    fn redirect(&self, from: &Url, reply: &Reply) -> Result<Option<Url>, Silence> {
        if !matches!(reply.status.as_u16(), 301 | 302 | 307 | 308) {
            return Ok(None);
        }
        let target = reply.headers.get(LOCATION).and_then(|value| value.to_str().ok());
        let next = target.and_then(|target| from.join(target).ok());
        match next {
            Some(next) if self.api.is_ours(&next) => Ok(Some(next)),
            Some(next) => Err(Silence::NotSent(format!(
                "a redirect to {}, where the token must not go; check the api_url",
                next.host_str().unwrap_or("another server")
            ))),
            None => Err(Silence::NotSent("a redirect to nowhere".to_owned())),
        }
    }

    async fn once(&self, request: &Request<'_>, url: Url) -> Result<Reply, Silence> {
        let mut authorization = request.authorization.clone();
        authorization.set_sensitive(true);
        let mut sending = self
            .client
            .request(request.method.clone(), url)
            .header(ACCEPT, "application/vnd.github+json")
            .header("x-github-api-version", API_VERSION)
            .header(AUTHORIZATION, authorization)
            .timeout(request.limit);
        if let Some(body) = request.body {
            sending = sending.json(body);
        }
        if let Some(etag) = request.etag {
            sending = sending.header(IF_NONE_MATCH, etag);
        }
        if let Some(trace) = telemetry::outgoing() {
            sending = sending.header("traceparent", trace);
        }
        let mut response = sending.send().await.map_err(silence)?;
        let status = response.status();
        telemetry::answered(status.as_u16());
        let headers = std::mem::take(response.headers_mut());
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(silence)? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(Silence::Lost(format!("the answer is larger than {MAX_ANSWER} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply { status, headers, body: body.freeze(), moved: None })
    }
}

fn silence(error: reqwest::Error) -> Silence {
    let not_sent = error.is_connect() || error.is_builder();
    let detail = with_causes(&error.without_url());
    if not_sent { Silence::NotSent(detail) } else { Silence::Lost(detail) }
}

impl Reply {
    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use reqwest::header::HeaderName;

    /// A complete answer.
    pub fn reply(status: u16, headers: &[(&'static str, &'static str)], body: &'static str) -> Reply {
        let header = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        Reply {
            status: StatusCode::from_u16(status).unwrap(),
            headers: headers.iter().map(header).collect(),
            body: body.into(),
            moved: None,
        }
    }
}
