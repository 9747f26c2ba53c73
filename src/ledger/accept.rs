//! Accepting: one round trip on the multiplexed connection, and what it answers is in Redis.

use sha2::{Digest, Sha256};
use ulid::Ulid;

use crate::domain::names::JobId;

use super::connect::within_accept;
use super::entry::Parts;
use super::types::{Accept, Accepted, Ignored, Origin};
use super::{Error, Ledger, json};

impl Ledger {
    /// Records a job and its changes, or finds the job of an equal delivery. Atomic.
    ///
    /// A delivery with a dedupe text may be repeated after any error; one without becomes a second job, whose changes
    /// join the first one's. A delivery of GitHub's whose job failed, died or was cancelled is a new job: that is what
    /// its "redeliver" button is for.
    pub async fn accept(&self, accept: &Accept) -> Result<Accepted, Error> {
        let dedupe = accept.dedupe.as_ref().map(|text| hex::encode(Sha256::digest(text)));
        let mut call = self.call(&self.0.scripts.accept);
        call.arg(dedupe.unwrap_or_default())
            .arg(sender(&accept.origin))
            .arg(&Ulid::generate().to_string()[14..])
            .arg(json(&accept.origin))
            .arg(urgency(accept));
        for (fabric, target, change) in &accept.changes {
            let parts = Parts::of(change);
            call.arg(fabric.as_str()).arg(target.to_string()).arg(parts.slot);
            call.arg(parts.event).arg(u8::from(parts.cascade)).arg(parts.user).arg(parts.rest);
        }
        let mut connection = self.0.accepting.clone();
        let (job, duplicate): (String, bool) =
            within_accept(call.invoke_async(&mut connection), "record a delivery").await?;
        Ok(Accepted { job: JobId::new(job), duplicate })
    }

    /// Notes an authentic delivery that is not ours, in the bounded logs of deliveries.
    pub async fn ignore(&self, ignored: &Ignored) -> Result<(), Error> {
        let mut call = self.call(&self.0.scripts.ignore);
        call.arg(json(ignored));
        let mut connection = self.0.accepting.clone();
        within_accept(call.invoke_async(&mut connection), "note an ignored delivery").await
    }
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
