//! Requests that their senders may repeat: what was answered is kept for a day.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::options::millis;
use super::{Error, Ledger, json, parse};

/// How long a request that began and did not end is waited for: its process may have died.
const UNFINISHED: Duration = Duration::from_secs(60);
/// How long an answer is kept.
const KEPT: Duration = Duration::from_secs(24 * 3_600);

/// One request that may come again.
#[derive(Debug, Clone)]
pub struct Repeatable {
    /// SHA-256 of the sender and the key that it gave.
    name: String,
    /// SHA-256 of what it asks for: the same key with something else is a mistake.
    asks: String,
}

/// What a request was answered with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptAnswer {
    pub status: u16,
    pub content_type: String,
    pub body: String,
}

/// What is known of a request when it comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// Nothing: carry it out, then call `finish` or `abandon`.
    New,
    /// It is being carried out, or its process died within the last minute.
    Unfinished,
    /// It was answered so.
    Answered(KeptAnswer),
    /// The key was used for something else.
    Other,
}

#[derive(Serialize, Deserialize)]
struct Record {
    asks: String,
    answer: Option<KeptAnswer>,
}

impl Repeatable {
    /// A request by its sender, the key that it gave, and everything that it asks for.
    pub fn new(sender: &str, key: &str, asks: &[&[u8]]) -> Self {
        let mut digest = Sha256::new();
        for part in asks {
            digest.update(part.len().to_be_bytes());
            digest.update(part);
        }
        let name = hex::encode(Sha256::digest(format!("{sender}\0{key}")));
        Self { name, asks: hex::encode(digest.finalize()) }
    }
}

impl Ledger {
    /// Begins a request, or tells what came of it. One of several that come at once is told to begin.
    pub async fn begin(&self, request: &Repeatable) -> Result<Begun, Error> {
        let record = Record { asks: request.asks.clone(), answer: None };
        let mut call = self.call(&self.0.scripts.once);
        call.arg(&request.name).arg(json(&record)).arg(millis(UNFINISHED));
        let there: Option<String> =
            call.invoke_async(&mut self.connection().await?).await.map_err(Error::unavailable("begin a request"))?;
        let Some(there) = there else { return Ok(Begun::New) };
        let known: Record = parse("request", &there)?;
        Ok(match known.answer {
            _ if known.asks != request.asks => Begun::Other,
            Some(answer) => Begun::Answered(answer),
            None => Begun::Unfinished,
        })
    }

    /// Keeps the answer for whoever repeats the request within a day.
    pub async fn finish(&self, request: &Repeatable, answer: KeptAnswer) -> Result<(), Error> {
        let record = Record { asks: request.asks.clone(), answer: Some(answer) };
        redis::cmd("SET")
            .arg(self.keys().of("request", &request.name))
            .arg(json(&record))
            .arg("PX")
            .arg(millis(KEPT))
            .query_async(&mut self.connection().await?)
            .await
            .map_err(Error::unavailable("keep an answer"))
    }

    /// Forgets a request that came to nothing, so that it can be repeated.
    pub async fn abandon(&self, request: &Repeatable) -> Result<(), Error> {
        redis::cmd("DEL")
            .arg(self.keys().of("request", &request.name))
            .query_async(&mut self.connection().await?)
            .await
            .map_err(Error::unavailable("forget a request"))
    }
}
