//! Changes in NetBox that no webhook told of, from NetBox's own change log.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::future::try_join_all;

use crate::domain::change::{Change, told_as};
use crate::domain::fabric_ref::FabricRef;
use crate::domain::names::{FabricName, NetBoxName, Target};
use crate::domain::policy::Fabric;
use crate::ledger::types::{Accept, Millis, Origin};
use crate::netbox::Logged;

use super::{Failure, Runner};

/// Each span begins so long before the end of the one before: NetBox shows a change once it is committed, with the time
/// that it was made at.
const OVERLAP: Duration = Duration::from_secs(600);
/// Changes that are recorded at the same time.
const TOGETHER: usize = 64;

impl Runner {
    /// Records a job for each change that NetBox's change log has since the last call and that no delivery told of.
    /// Returns how many; safe to repeat.
    ///
    /// A change is given `age` to be told of first. What lies longer ago than `longest` is left to the full comparisons,
    /// and so is what came before the first call.
    pub async fn catch_up(&self, name: &NetBoxName, age: Duration, longest: Duration) -> Result<usize, Failure> {
        let client = self.netbox(name)?;
        let until = whole_second(client.time().await?.checked_sub(age).unwrap_or(UNIX_EPOCH));
        let read = self.ledger.change_log_read(name).await?.map(Millis::time);
        let near = |read: &SystemTime| until.duration_since(*read).is_ok_and(|since| since <= longest);
        let mut found = 0;
        if let Some(read) = read.filter(near) {
            let logged = client.logged(read.checked_sub(OVERLAP).unwrap_or(UNIX_EPOCH), until).await?;
            found = self.record_untold(name, logged).await?;
        }
        self.ledger.note_change_log_read(name, Millis::of(until)).await?;
        Ok(found)
    }

    async fn record_untold(&self, name: &NetBoxName, logged: Vec<Logged>) -> Result<usize, Failure> {
        let told = |logged: &Logged| told_as(name, &logged.object, logged.event, &logged.request);
        let names: Vec<String> = logged.iter().map(told).collect();
        let known = self.ledger.known(&names).await?;
        let ours: Vec<&Fabric> = self.fabrics.values().filter(|fabric| fabric.netbox == *name).collect();
        let mut meant = BTreeMap::new();
        let mut untold = Vec::new();
        for ((logged, dedupe), _) in logged.into_iter().zip(names).zip(known).filter(|(_, known)| !known) {
            for fabric in &logged.fabrics {
                if !meant.contains_key(fabric) {
                    meant.insert(fabric.clone(), self.ledger.fabric_meant(name, fabric).await?);
                }
            }
            let changes = changes(name, &logged, (&ours, &meant));
            if changes.is_empty() {
                continue;
            }
            let what = format!("{} was {} in NetBox, and no webhook told of it", logged.object, logged.event.as_str());
            untold.push(Accept { origin: Origin::Schedule { what }, dedupe: Some(dedupe), changes, at_once: false });
        }
        let mut found = 0;
        for some in untold.chunks(TOGETHER) {
            let recording: Vec<_> = some.iter().map(|accept| self.ledger.accept(accept)).collect();
            let accepted = try_join_all(recording).await?;
            found += accepted.iter().filter(|accepted| !accepted.duplicate).count();
        }
        Ok(found)
    }
}

/// What the change is for each of our fabrics that it may be about; `meant` are the references' fabrics.
fn changes(
    netbox: &NetBoxName,
    logged: &Logged,
    (ours, meant): (&[&Fabric], &BTreeMap<FabricRef, Option<FabricName>>),
) -> Vec<(FabricName, Target, Change)> {
    let change = Change::Object {
        netbox: netbox.clone(),
        object: logged.object.clone(),
        event: logged.event,
        // The change log does not tell; the deletion guard holds a fabric's own deletion then.
        cascade: false,
        user: logged.user.clone(),
    };
    let names: Vec<&Option<FabricName>> = logged.fabrics.iter().filter_map(|fabric| meant.get(fabric)).collect();
    let is_meant = |fabric: &Fabric| names.iter().any(|name| name.as_ref().is_none_or(|name| *name == fabric.name));
    let of = ours.iter().filter(|fabric| is_meant(fabric));
    of.map(|fabric| (fabric.name.clone(), fabric.target.clone(), change.clone())).collect()
}

/// The filters of the change log know no parts of a second.
fn whole_second(time: SystemTime) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
}
