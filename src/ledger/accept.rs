//! Accepting: what is answered is in Redis.

use sha2::{Digest, Sha256};
use ulid::Ulid;

use crate::telemetry;

use super::connect::within_accept;
use super::entry::Parts;
use super::types::{Accept, Accepted, Ignored, Origin};
use super::{Error, Ledger, json};

/// Keys that are asked for in one call.
const MOST_ASKED: usize = 1_000;

impl Ledger {
    /// Records a job and its changes, or finds the job of an equal delivery. Atomic.
    ///
    /// A delivery with a dedupe text may be repeated after any error; one without becomes a second job, whose changes
    /// join the first one's. A delivery of GitHub's whose job failed, died or was cancelled is a new job: that is what
    /// its "redeliver" button is for.
    pub async fn accept(&self, accept: &Accept) -> Result<Accepted, Error> {
        let dedupe = accept.dedupe.as_deref().map(digest);
        let mut arguments = vec![
            dedupe.unwrap_or_default(),
            sender(&accept.origin).to_owned(),
            Ulid::generate().to_string()[14..].to_owned(),
            json(&accept.origin),
            urgency(accept).to_owned(),
            accept.changes.len().to_string(),
            telemetry::current().map(|context| context.to_string()).unwrap_or_default(),
        ];
        for (fabric, target, change) in &accept.changes {
            let Parts { slot, event, cascade, user, rest } = Parts::of(change);
            let cascade = u8::from(cascade).to_string();
            arguments.extend([fabric.to_string(), target.to_string(), slot, event.to_owned(), cascade, user, rest]);
        }
        self.0.recorder.record(arguments).await
    }

    /// Which of these dedupe texts a delivery or a request had already, as far as that is remembered.
    pub async fn known(&self, dedupe: &[String]) -> Result<Vec<bool>, Error> {
        let mut known = Vec::with_capacity(dedupe.len());
        let mut connection = self.connection().await?;
        for some in dedupe.chunks(MOST_ASKED) {
            let keys: Vec<String> = some.iter().map(|text| self.keys().of("delivery", digest(text))).collect();
            let jobs: Vec<Option<String>> = redis::cmd("MGET")
                .arg(keys)
                .query_async(&mut connection)
                .await
                .map_err(Error::unavailable("look for deliveries"))?;
            known.extend(jobs.iter().map(Option::is_some));
        }
        Ok(known)
    }

    /// Notes an authentic delivery that is not ours, in the bounded logs of deliveries.
    pub async fn ignore(&self, ignored: &Ignored) -> Result<(), Error> {
        let mut call = self.call(&self.0.scripts.ignore);
        call.arg(json(ignored));
        let mut connection = self.0.accepting.clone();
        within_accept(call.invoke_async(&mut connection), "note an ignored delivery").await
    }
}

/// What a dedupe text is known by.
fn digest(dedupe: &str) -> String {
    hex::encode(Sha256::digest(dedupe))
}

/// Whose delivery it is; nothing for what is no delivery.
fn sender(origin: &Origin) -> &'static str {
    match origin {
        Origin::NetboxDelivery { .. } => "netbox",
        Origin::GithubDelivery { .. } => "github",
        Origin::Request { .. } | Origin::Schedule { .. } => "",
    }
}

/// How soon: debounced with what else comes, at once, or at once and in spite of a back-off (a person asks).
fn urgency(accept: &Accept) -> &'static str {
    match accept.origin {
        _ if !accept.at_once => "debounced",
        Origin::Request { .. } => "insistent",
        Origin::NetboxDelivery { .. } | Origin::GithubDelivery { .. } | Origin::Schedule { .. } => "at_once",
    }
}
