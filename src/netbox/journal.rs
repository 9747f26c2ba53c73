//! Entries in the journals of NetBox's objects.
//!
//! An entry has no name that a second one could be found by, and NetBox takes the same one twice. So each is sent at most
//! once: after an answer that leaves a doubt it is given up, because an entry that is missing misleads nobody and a
//! doubled one tells of something that did not happen. Only a refusal, which saves nothing, lets the others be sent again.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::domain::key::ObjectId;
use crate::domain::kind::Kind;
use crate::domain::lease::LeaseProof;

use super::client::Client;
use super::http::{NoAnswer, Write};
use super::refusal::{Blame, Refusal, blame};
use super::{Error, MAX_LOT};

pub(super) const JOURNAL: &str = "extras/journal-entries/";

/// One entry to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalEntry {
    pub object: ObjectId,
    pub level: JournalLevel,
    /// Markdown.
    pub comments: String,
}

/// How NetBox colours an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JournalLevel {
    Info,
    Warning,
}

impl JournalLevel {
    fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
        }
    }
}

impl Client {
    /// Writes the entries, at most `MAX_LOT` in a request; returns why some were not written, each reason once.
    ///
    /// Not to be repeated: what became of entries without an answer is not known. Types that have no journal are passed
    /// over, and told the first time.
    pub async fn write_journal(&self, proof: &LeaseProof, entries: &[JournalEntry]) -> BTreeSet<String> {
        let mut unwritten = BTreeSet::new();
        for lot in entries.chunks(MAX_LOT) {
            if let Err(error) = self.write_entries(proof, lot, &mut unwritten).await {
                unwritten.insert(error.to_string());
            }
        }
        unwritten
    }

    /// Whether the token's user may write entries.
    pub async fn may_write_journal(&self) -> Result<bool, Error> {
        Ok(self.http.options(JOURNAL).await?.pointer("/actions/POST").is_some())
    }

    async fn write_entries(
        &self,
        proof: &LeaseProof,
        lot: &[JournalEntry],
        unwritten: &mut BTreeSet<String>,
    ) -> Result<(), Error> {
        let mut bodies: Vec<(&Kind, Value)> = Vec::new();
        for entry in lot.iter().filter(|entry| !self.is_without_journal(&entry.object.kind)) {
            let object_type = self.object_type(self.spec(&entry.object.kind)?).await?;
            let body = json!({
                "assigned_object_type": object_type,
                "assigned_object_id": entry.object.id,
                "kind": entry.level.as_str(),
                "comments": entry.comments,
            });
            bodies.push((&entry.object.kind, body));
        }
        // Each refusal takes at least one entry away.
        while !bodies.is_empty() {
            proof.require(self.http.timeouts.connect + self.http.timeouts.write)?;
            let body = bodies.iter().map(|(_, body)| body.clone()).collect();
            let write = Write { method: Method::POST, path: JOURNAL, query: &[], body: &body, if_match: None };
            let answer = self.http.write(&write).await.map_err(|none| match none {
                NoAnswer::NotSent(error) => error,
                NoAnswer::Lost(detail) => self.http.unavailable(format!("POST {JOURNAL}: {detail}"), None),
            })?;
            let refused = match answer.status {
                status if status.is_success() => return Ok(()),
                StatusCode::BAD_REQUEST => blame(answer.json.as_ref().unwrap_or(&Value::Null), bodies.len(), &[]),
                _ => return Err(self.http.failure(&Method::POST, JOURNAL, &answer)),
            };
            let Blame::Rows(refused) = refused else {
                return Err(self.http.failure(&Method::POST, JOURNAL, &answer));
            };
            for (place, refusal) in refused.into_iter().rev() {
                let (kind, _) = bodies.remove(place);
                unwritten.extend(self.why(kind, refusal));
            }
            bodies.retain(|(kind, _)| !self.is_without_journal(kind));
        }
        Ok(())
    }

    /// Why an entry was refused; nothing when its type has no journal and that was told already.
    fn why(&self, kind: &Kind, refusal: Refusal) -> Option<String> {
        if !refusal.is_of_no_journal() {
            return Some(refusal.words);
        }
        let mut without = self.without_journal.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = without.insert(kind.clone());
        is_news
            .then(|| format!("objects of {kind} have no journal in this NetBox, and get no entries: {}", refusal.words))
    }

    fn is_without_journal(&self, kind: &Kind) -> bool {
        self.without_journal.lock().unwrap_or_else(PoisonError::into_inner).contains(kind)
    }
}
