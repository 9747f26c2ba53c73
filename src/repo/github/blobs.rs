//! Blobs, byte for byte.
//!
//! GraphQL gives a hundred texts in one request, but only texts, and cuts long ones off. So each is held against its id,
//! and what is not exact is asked for alone over REST, which gives any bytes.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::bounded::Bounded;
use super::call::Call;
use super::capabilities::Capabilities;
use super::graphql::{self, NoData, Query};
use super::http::Http;
use crate::domain::names::Oid;
use crate::repo::Error;

/// How many bytes of blobs are kept.
const KEPT_BYTES: usize = 32 * 1024 * 1024;
/// How many blobs one query asks for.
const BATCH: usize = 100;
/// How many requests are under way at once; GitHub takes a hundred of one account.
const AT_ONCE: usize = 4;

/// What is remembered of the repository's blobs.
pub(super) struct Blobs {
    kept: Mutex<Bounded<Oid, Bytes>>,
}

impl Default for Blobs {
    fn default() -> Self {
        Self { kept: Mutex::new(Bounded::new(KEPT_BYTES)) }
    }
}

type Found = BTreeMap<Oid, Bytes>;

impl Blobs {
    /// The content of blobs; only what is not known is asked for.
    pub async fn read(&self, http: &Http, can: &Capabilities, blobs: &[Oid]) -> Result<Found, Error> {
        let mut wanted = blobs.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        let mut found = Found::new();
        wanted.retain(|oid| match self.known(oid) {
            Some(bytes) => found.insert(oid.clone(), bytes).is_some(),
            None => true,
        });
        let texts =
            if wanted.len() > 1 && can.graphql() { self.texts(http, can, &wanted).await? } else { Found::new() };
        wanted.retain(|oid| !texts.contains_key(oid));
        let others: Found =
            futures::stream::iter(wanted).map(|oid| alone(http, oid)).buffer_unordered(AT_ONCE).try_collect().await?;
        for (oid, bytes) in texts.into_iter().chain(others) {
            self.keep(&oid, &bytes);
            found.insert(oid, bytes);
        }
        Ok(found)
    }

    /// Takes note of a blob that needs no reading.
    pub fn keep(&self, oid: &Oid, bytes: &Bytes) {
        // Room for the key too, so that many empty ones count.
        let weight = bytes.len() + 128;
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).put(oid.clone(), bytes.clone(), weight);
    }

    fn known(&self, oid: &Oid) -> Option<Bytes> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(oid)
    }

    /// Those that GraphQL has exactly.
    async fn texts(&self, http: &Http, can: &Capabilities, wanted: &[Oid]) -> Result<Found, Error> {
        let batches: Vec<Vec<Oid>> = wanted.chunks(BATCH).map(<[Oid]>::to_vec).collect();
        let asking = futures::stream::iter(batches).map(|batch| texts_of(http, can, batch));
        let found: Vec<Found> = asking.buffer_unordered(AT_ONCE).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }
}

/// One query; two halves of it when GitHub cannot answer it whole.
async fn texts_of(http: &Http, can: &Capabilities, wanted: Vec<Oid>) -> Result<Found, Error> {
    let mut found = Found::new();
    let mut ahead = vec![wanted.as_slice()];
    while let Some(batch) = ahead.pop() {
        match query(http, batch).await {
            Ok(texts) => found.extend(texts),
            Err(NoData::NotDone(error)) => return Err(error),
            Err(NoData::Refused(words)) => {
                can.without_graphql(http, &words);
                return Ok(found);
            }
            // Too much at once is answered as any trouble is. REST has the last word on a single blob.
            Err(NoData::Lost(words)) if batch.len() > 1 => {
                tracing::debug!(repository = %http.shown(), blobs = batch.len(), %words, "half as many at once");
                let (one, other) = batch.split_at(batch.len() / 2);
                ahead.extend([one, other]);
            }
            Err(NoData::Lost(_)) => {}
            Err(NoData::Faults(faults)) => {
                tracing::debug!(repository = %http.shown(), words = %graphql::words(&faults), "blobs are read over REST");
                return Ok(found);
            }
        }
    }
    Ok(found)
}

/// <https://docs.github.com/en/graphql/reference/objects#blob>
async fn query(http: &Http, batch: &[Oid]) -> Result<Found, NoData> {
    #[derive(Deserialize)]
    struct Data {
        repository: Option<BTreeMap<String, Option<Text>>>,
    }
    #[derive(Deserialize)]
    struct Text {
        text: Option<String>,
    }
    let mut text = "query($owner: String!, $name: String!) { repository(owner: $owner, name: $name) {".to_owned();
    for (at, oid) in batch.iter().enumerate() {
        text.push_str(&format!(" b{at}: object(oid: \"{oid}\") {{ ... on Blob {{ text }} }}"));
    }
    text.push_str(" } }");
    let (owner, name) = http.full_name();
    let variables = json!({ "owner": owner, "name": name });
    let data: Data = http.graphql(&Query { text: &text, variables, writes: false }).await?;
    let Some(mut texts) = data.repository else { return Err(NoData::Refused("it shows no repository".to_owned())) };
    let exact = |(at, oid): (usize, &Oid)| {
        let text = texts.remove(&format!("b{at}"))??.text?;
        let bytes = Bytes::from(text);
        (Oid::of_blob(&bytes) == *oid).then(|| (oid.clone(), bytes))
    };
    Ok(batch.iter().enumerate().filter_map(exact).collect())
}

/// One blob, whatever is in it.
///
/// <https://docs.github.com/en/rest/git/blobs#get-a-blob>
async fn alone(http: &Http, oid: Oid) -> Result<(Oid, Bytes), Error> {
    #[derive(Deserialize)]
    struct Blob {
        content: String,
        encoding: String,
    }
    let call = Call::get(["git", "blobs", oid.as_str()]);
    let reply = http.read(&call).await?;
    match reply.status {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND | StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY => {
            http.repository().await?;
            return Err(Error::Missing { remote: http.shown(), oid });
        }
        _ => return Err(http.failure(&call, &reply)),
    }
    let blob: Blob = http.parse(&call, &reply)?;
    let bytes = match blob.encoding.as_str() {
        "base64" => {
            let digits: String = blob.content.split_ascii_whitespace().collect();
            BASE64_STANDARD.decode(digits).ok().map(Bytes::from)
        }
        "utf-8" => Some(Bytes::from(blob.content)),
        _ => None,
    };
    match bytes.filter(|bytes| Oid::of_blob(bytes) == oid) {
        Some(bytes) => Ok((oid, bytes)),
        None => Err(http.unavailable(format!("what came for the blob {oid} is not that blob"))),
    }
}
