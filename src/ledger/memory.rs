//! What is remembered of a fabric between runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use redis::ScriptInvocation;
use serde::de::DeserializeOwned;

use crate::domain::fabric_ref::FabricRef;
use crate::domain::key::Key;
use crate::domain::lease::LeaseProof;
use crate::domain::names::{FabricName, NetBoxName, Oid, Target};

use super::options::millis;
use super::types::{Advance, FabricMemory, Millis};
use super::{Error, Ledger, conflicts, drift, json, parse, touches};

/// About how many entries of a large hash are read at once: some hundred bytes each.
const SHARE: usize = 1_000;

/// A hash or set of ours, as it comes.
type Hash = Vec<(String, String)>;

impl Ledger {
    /// Everything remembered of a fabric; empty for an unknown one.
    ///
    /// The bases come in shares, since they are as large as the fabric, and all else as of one instant: bases move only by
    /// `advance`, so whoever has the lease of the target reads one state of them.
    pub async fn memory(&self, fabric: &FabricName) -> Result<FabricMemory, Error> {
        let key = |name: &str| self.keys().of(name, fabric);
        let base = self.read_in_shares(&key("base")).await?;
        let (
            (seconds, micros),
            intents,
            remembered,
            held,
            conflicts,
            resolutions,
            lost,
            guarded,
            confirmed,
            deletions,
            (adopt, new_history, directory),
        ): Raw = redis::pipe()
            .atomic()
            .cmd("TIME")
            .hgetall(key("intents"))
            .hgetall(key("remembered"))
            .hgetall(key("held"))
            .hgetall(key("conflicts"))
            .hgetall(key("resolutions"))
            .hgetall(key("lost_edits"))
            .smembers(key("guarded"))
            .smembers(key("confirmed"))
            .zrange_withscores(key("deletions"), 0, -1)
            .hmget(key("fabric"), &["adopt", "new_history", "directory"])
            .query_async(&mut self.connection().await?)
            .await
            .map_err(Error::unavailable("recall a fabric"))?;
        let now = seconds * 1_000 + micros / 1_000 + self.0.clock.shift_ms();
        let since = now.saturating_sub(millis(self.0.options.deletion_window)) as f64;
        Ok(FabricMemory {
            now: Millis(now),
            base: Arc::new(base),
            intents: read_map("intents", intents)?,
            remembered: read_map("remembered", remembered)?,
            held: read_map("held", held)?,
            conflicts: read_map("conflicts", conflicts)?,
            resolutions: read_map("resolutions", resolutions)?,
            lost: read_map("lost_edits", lost)?,
            recent_deletions: deletions.iter().filter(|(_, at)| *at > since).count() as u64,
            confirmed: read_set("confirmed", &confirmed)?,
            guarded: read_set("guarded", &guarded)?,
            adopt: adopt.is_some(),
            directory: directory.map(|text| parse("fabric", &text)).transpose()?,
            new_history: new_history.is_some(),
        })
    }

    /// A hash of ours that is too large to be had at once twice over, as text and as what it says.
    async fn read_in_shares<K: DeserializeOwned + Ord, V: DeserializeOwned>(
        &self,
        key: &str,
    ) -> Result<BTreeMap<K, V>, Error> {
        let mut connection = self.connection().await?;
        let mut read = BTreeMap::new();
        let mut cursor: u64 = 0;
        loop {
            let mut scan = redis::cmd("HSCAN");
            scan.arg(key).arg(cursor).arg("COUNT").arg(SHARE);
            let (next, share): (u64, Hash) =
                scan.query_async(&mut connection).await.map_err(Error::unavailable("recall a fabric"))?;
            for (field, value) in &share {
                read.insert(parse(key, field)?, parse(key, value)?);
            }
            cursor = next;
            if cursor == 0 {
                return Ok(read);
            }
        }
    }

    /// Writes what a run wants remembered, all or nothing. Takes thousands of entries; may be repeated.
    ///
    /// `Error::LeaseLost` (and no effect) once the target was given to another worker.
    pub async fn advance(&self, proof: &LeaseProof, fabric: &FabricName, advance: &Advance) -> Result<(), Error> {
        let mut call = self.call(&self.0.scripts.advance);
        call.arg(proof.target().to_string()).arg(proof.fence()).arg(fabric.as_str());
        write_operations(&mut call, advance);
        let written: bool =
            call.invoke_async(&mut self.connection().await?).await.map_err(Error::unavailable("remember a run"))?;
        if written { Ok(()) } else { Err(Error::lease_lost(proof)) }
    }

    /// The head that the last settled run on the target dealt with.
    pub async fn head(&self, target: &Target) -> Result<Option<Oid>, Error> {
        let key = self.keys().of("target", target);
        let head: Option<String> = redis::cmd("HGET")
            .arg(&key)
            .arg("head")
            .query_async(&mut self.connection().await?)
            .await
            .map_err(Error::unavailable("recall a head"))?;
        head.map(|text| text.parse().map_err(|error| Error::corrupt(&key, error))).transpose()
    }

    /// The head up to which each fabric's side of its target was dealt with, in the order asked. Our own commits for one
    /// fabric count for all that knew what they were made on.
    pub async fn fabric_heads(&self, fabrics: &[&FabricName]) -> Result<Vec<Option<Oid>>, Error> {
        if fabrics.is_empty() {
            return Ok(Vec::new());
        }
        let mut asked = redis::pipe();
        for fabric in fabrics {
            asked.hget(self.keys().of("fabric", fabric), "head");
        }
        let heads: Vec<Option<String>> = asked
            .query_async(&mut self.connection().await?)
            .await
            .map_err(Error::unavailable("recall the heads of fabrics"))?;
        let read = |text: String| text.parse().map_err(|error| Error::corrupt("fabric", error));
        heads.into_iter().map(|head| head.map(read).transpose()).collect()
    }

    /// Lets the guarded deletions go: they are confirmed from now on. Returns them.
    pub async fn confirm_deletions(&self, fabric: &FabricName) -> Result<BTreeSet<Key>, Error> {
        let (guarded, confirmed) = (self.keys().of("guarded", fabric), self.keys().of("confirmed", fabric));
        let (keys,): (Vec<String>,) = redis::pipe()
            .atomic()
            .smembers(&guarded)
            .sunionstore(&confirmed, &[&confirmed, &guarded])
            .ignore()
            .del(&guarded)
            .ignore()
            .query_async(&mut self.connection().await?)
            .await
            .map_err(Error::unavailable("confirm deletions"))?;
        read_set("guarded", &keys)
    }

    /// A person lets this ledger take over a directory whose marker names another; ends with `Advance::adopted`.
    pub async fn allow_adoption(&self, fabric: &FabricName) -> Result<(), Error> {
        redis::cmd("HSET")
            .arg(self.keys().of("fabric", fabric))
            .arg("adopt")
            .arg(1)
            .query_async(&mut self.connection().await?)
            .await
            .map_err(Error::unavailable("record a permission"))
    }

    /// Remembers which name each fabric row of a NetBox has; names of rows that are gone stay known.
    pub async fn learn_fabrics(&self, netbox: &NetBoxName, fabrics: &BTreeMap<u64, String>) -> Result<(), Error> {
        if fabrics.is_empty() {
            return Ok(());
        }
        let mut set = redis::cmd("HSET");
        set.arg(self.keys().of("fabric_ids", netbox));
        for (id, name) in fabrics {
            set.arg(id).arg(name);
        }
        set.query_async(&mut self.connection().await?).await.map_err(Error::unavailable("remember fabrics"))
    }

    /// The fabric that a row's reference means; `None` where it may be any of its NetBox's, as an id that was never seen may.
    pub async fn fabric_meant(&self, netbox: &NetBoxName, fabric: &FabricRef) -> Result<Option<FabricName>, Error> {
        match fabric {
            FabricRef::Name(name) => Ok(Some(name.clone())),
            FabricRef::Id(id) => Ok(self.fabric_named(netbox, *id).await?.map(FabricName::new)),
            FabricRef::Any => Ok(None),
        }
    }

    /// The name that a fabric row was last seen with.
    pub async fn fabric_named(&self, netbox: &NetBoxName, id: u64) -> Result<Option<String>, Error> {
        // Asked while a delivery waits for its answer.
        let mut connection = self.0.accepting.clone();
        let mut get = redis::cmd("HGET");
        get.arg(self.keys().of("fabric_ids", netbox)).arg(id);
        super::connect::within_accept(get.query_async(&mut connection), "recall a fabric's name").await
    }
}

impl Ledger {
    /// Until when a NetBox's change log was read, by NetBox's clock; `None` before the first time.
    pub async fn change_log_read(&self, netbox: &NetBoxName) -> Result<Option<Millis>, Error> {
        let mut get = redis::cmd("HGET");
        get.arg(self.keys().name("change_logs")).arg(netbox.as_str());
        let read: Option<u64> = get
            .query_async(&mut self.connection().await?)
            .await
            .map_err(Error::unavailable("recall how far a change log was read"))?;
        Ok(read.map(Millis))
    }

    /// Notes until when it was read.
    pub async fn note_change_log_read(&self, netbox: &NetBoxName, Millis(until): Millis) -> Result<(), Error> {
        let mut set = redis::cmd("HSET");
        set.arg(self.keys().name("change_logs")).arg(netbox.as_str()).arg(until);
        set.query_async(&mut self.connection().await?)
            .await
            .map_err(Error::unavailable("note how far a change log was read"))
    }
}

/// In the order of the pipeline in `memory`.
type Raw = ((u64, u64), Hash, Hash, Hash, Hash, Hash, Hash, Vec<String>, Vec<String>, Vec<(String, f64)>, OfFabric);
/// That a person allowed to adopt, that one accepted another history, the directory.
type OfFabric = (Option<String>, Option<String>, Option<String>);

fn read_map<K: DeserializeOwned + Ord, V: DeserializeOwned>(key: &str, hash: Hash) -> Result<BTreeMap<K, V>, Error> {
    hash.iter().map(|(field, value)| Ok((parse(key, field)?, parse(key, value)?))).collect()
}

fn read_set(key: &str, texts: &[String]) -> Result<BTreeSet<Key>, Error> {
    texts.iter().map(|text| parse(key, text)).collect()
}

/// The operations of the advance script: what to do, to which of the fabric's keys, field, value.
fn write_operations(call: &mut ScriptInvocation<'_>, advance: &Advance) {
    let mut operation = |what: &str, name: &str, field: &str, value: &str| {
        call.arg(what).arg(name).arg(field).arg(value);
    };
    for update in &advance.base {
        let key = json(&update.key);
        match &update.base {
            Some(base) => operation("set", "base", &key, &json(base)),
            None => operation("unset", "base", &key, ""),
        }
        if update.clears_intent {
            operation("unset", "intents", &key, "");
        }
    }
    for intent in &advance.intents {
        operation("set", "intents", &json(&intent.key), &json(intent));
    }
    for (document, fate) in &advance.remember {
        operation("set", "remembered", &json(document), &json(fate));
    }
    for document in &advance.forget {
        operation("unset", "remembered", &json(document), "");
    }
    for (key, reason) in &advance.held {
        match reason {
            Some(reason) => operation("set", "held", &json(key), &json(reason)),
            None => operation("unset", "held", &json(key), ""),
        }
    }
    for key in &advance.deleted {
        let key = json(key);
        operation("mark", "deletions", &key, "");
        operation("remove", "confirmed", &key, "");
    }
    if let Some(guarded) = &advance.guarded {
        operation("clear", "guarded", "", "");
        for key in guarded {
            operation("add", "guarded", &json(key), "");
        }
    }
    if advance.adopted {
        operation("unset", "fabric", "adopt", "");
    }
    if let Some(directory) = &advance.directory {
        operation("set", "fabric", "directory", &json(directory));
    }
    if advance.history_settled {
        operation("unset", "fabric", "new_history", "");
    }
    conflicts::write_operations(call, advance);
    touches::write_operations(call, advance);
    if let Some(update) = &advance.drift {
        drift::write_operations(call, update);
    }
}
