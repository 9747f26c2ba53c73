//! The NetBox side of a fabric: live rows for the keys in scope, and proof for every absence.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::change::{Change, ObjectEvent};
use crate::domain::fate::Reason;
use crate::domain::key::{Key, ObjectId};
use crate::domain::kind::Kind;
use crate::domain::names::FabricName;
use crate::domain::policy::Fabric;
use crate::ledger::types::FabricMemory;
use crate::netbox::{Client, Error, Found};
use crate::plan::NetBoxSide;

use super::gather::Of;

/// Above this many rows of one kind a paged listing is cheaper than single reads.
const MAX_SINGLE_READS: usize = 10;

/// What the deliveries of a batch said of one row.
#[derive(Debug, Clone, Default)]
pub struct Dirty {
    pub deleted: bool,
    pub cascade: bool,
    pub users: BTreeSet<String>,
}

/// Folds a batch's changes into one entry per row of this fabric's NetBox.
pub fn dirty_rows(fabric: &Fabric, changes: &[Change]) -> BTreeMap<ObjectId, Dirty> {
    let mut rows: BTreeMap<ObjectId, Dirty> = BTreeMap::new();
    for change in changes {
        let Change::Object { netbox, object, event, cascade, user } = change else { continue };
        if *netbox != fabric.netbox {
            continue;
        }
        let row = rows.entry(object.clone()).or_default();
        row.deleted |= *event == ObjectEvent::Deleted;
        row.cascade |= cascade;
        row.users.extend(user.clone());
    }
    rows
}

/// Which rows a run must know.
pub struct Scope<'a> {
    pub everything: bool,
    /// Keys that Git, an intent or a confirmation names.
    pub keys: BTreeSet<Key>,
    pub dirty: &'a BTreeMap<ObjectId, Dirty>,
}

/// Reads every row in scope, and decides for each key without a row whether its absence is proven.
pub async fn read(
    client: &Client,
    Of { fabric, catalogue }: Of<'_>,
    memory: &FabricMemory,
    scope: &Scope<'_>,
) -> Result<BTreeMap<Key, NetBoxSide>, Error> {
    let ids: BTreeMap<ObjectId, &Key> = memory
        .base
        .iter()
        .filter_map(|(key, base)| Some((ObjectId { kind: key.kind.clone(), id: base.netbox.as_ref()?.id }, key)))
        .collect();
    let mut reader = Reader { client, fabric: &fabric.name, memory, ids, rows: Rows::default() };
    for spec in catalogue.iter() {
        reader.read_kind(&spec.kind, scope).await?;
    }
    let keys = reader.keys_in_scope(scope);
    reader.search(&keys).await?;
    let absent: BTreeSet<ObjectId> = keys.iter().filter_map(|key| reader.unexplained(key, scope)).collect();
    let proven = reader.proven_deletions(&absent).await?;
    Ok(keys
        .into_iter()
        .map(|key| {
            let side = reader.take_side(&key, &proven, scope);
            (key, side)
        })
        .collect())
}

/// What was read so far.
#[derive(Default)]
struct Rows {
    /// Rows of this fabric, by the key they have now.
    by_key: BTreeMap<Key, Vec<Found>>,
    /// The key of each row of this fabric, where it has one.
    by_id: BTreeMap<ObjectId, Option<Key>>,
    /// Rows that exist, but in another fabric.
    elsewhere: BTreeSet<ObjectId>,
    /// Kinds of which every row of this fabric was listed.
    listed: BTreeSet<Kind>,
    /// Keys that were searched for one by one.
    searched: BTreeSet<Key>,
}

struct Reader<'a> {
    client: &'a Client,
    fabric: &'a FabricName,
    memory: &'a FabricMemory,
    /// Base's rows.
    ids: BTreeMap<ObjectId, &'a Key>,
    rows: Rows,
}

impl Reader<'_> {
    async fn read_kind(&mut self, kind: &Kind, scope: &Scope<'_>) -> Result<(), Error> {
        let mut ids: BTreeSet<ObjectId> = scope.dirty.keys().filter(|object| object.kind == *kind).cloned().collect();
        let keys: Vec<&Key> = scope.keys.iter().filter(|key| key.kind == *kind).collect();
        ids.extend(keys.iter().filter_map(|key| self.base_object(key)));
        let wanted = ids.len() + keys.len();
        if scope.everything || wanted > MAX_SINGLE_READS {
            for found in self.client.list(self.fabric, kind).await? {
                self.take(kind, found);
            }
            self.rows.listed.insert(kind.clone());
            return Ok(());
        }
        for object in ids {
            // Rows said to be deleted are read too: a delivery alone proves nothing.
            if let Some(found) = self.client.read(&object).await? {
                self.take(kind, found);
            }
        }
        Ok(())
    }

    fn take(&mut self, kind: &Kind, found: Found) {
        let object = ObjectId { kind: kind.clone(), id: found.id() };
        if !found.is_of(self.fabric) {
            self.rows.elsewhere.insert(object);
            return;
        }
        let key = found.key().cloned();
        self.rows.by_id.insert(object, key.clone());
        if let Some(key) = key {
            let rows = self.rows.by_key.entry(key).or_default();
            if rows.iter().all(|row| row.id() != found.id()) {
                rows.push(found);
            }
        }
    }

    fn base_object(&self, key: &Key) -> Option<ObjectId> {
        let id = self.memory.base.get(key)?.netbox.as_ref()?.id;
        Some(ObjectId { kind: key.kind.clone(), id })
    }

    fn keys_in_scope(&self, scope: &Scope<'_>) -> BTreeSet<Key> {
        let mut keys = scope.keys.clone();
        keys.extend(
            self.ids.iter().filter(|(object, _)| scope.dirty.contains_key(object)).map(|(_, key)| (*key).clone()),
        );
        if scope.everything {
            keys.extend(self.rows.by_key.keys().cloned());
            keys.extend(self.memory.base.keys().cloned());
        } else {
            let touched = |object: &ObjectId| scope.dirty.contains_key(object);
            keys.extend(
                self.rows.by_id.iter().filter(|(object, _)| touched(object)).filter_map(|(_, key)| key.clone()),
            );
        }
        // A row that base knows under another name takes its old key into scope: the old file goes with the new one.
        let renamed = keys.iter().flat_map(|key| self.rows.by_key.get(key).into_iter().flatten()).filter_map(|found| {
            self.ids.get(&ObjectId { kind: found.key()?.kind.clone(), id: found.id() }).map(|key| (*key).clone())
        });
        let renamed: Vec<Key> = renamed.collect();
        keys.extend(renamed);
        // The other way round: a key in scope whose row now has another name brings that name in.
        let new_names: Vec<Key> =
            keys.iter().filter_map(|key| self.rows.by_id.get(&self.base_object(key)?)?.clone()).collect();
        keys.extend(new_names);
        keys
    }

    /// Looks for each key that no row was found for, unless a listing already answered.
    async fn search(&mut self, keys: &BTreeSet<Key>) -> Result<(), Error> {
        for key in keys {
            if self.rows.listed.contains(&key.kind) || self.rows.by_key.contains_key(key) {
                continue;
            }
            for found in self.client.find(self.fabric, key).await? {
                self.take(&key.kind, found);
            }
            self.rows.searched.insert(key.clone());
        }
        Ok(())
    }

    /// The base row of a key that has none now, when no delivery, rename or move explains it.
    fn unexplained(&self, key: &Key, scope: &Scope<'_>) -> Option<ObjectId> {
        let object = self.base_object(key)?;
        let explained = self.rows.by_key.contains_key(key)
            || self.rows.by_id.contains_key(&object)
            || self.rows.elsewhere.contains(&object)
            || self.memory.guarded.contains(key)
            || scope.dirty.get(&object).is_some_and(|dirty| dirty.deleted);
        (!explained).then_some(object)
    }

    /// Those of the rows whose deletion NetBox's change log proves and which a read does not find.
    async fn proven_deletions(&self, absent: &BTreeSet<ObjectId>) -> Result<BTreeSet<ObjectId>, Error> {
        if absent.is_empty() {
            return Ok(BTreeSet::new());
        }
        match self.client.deleted(absent).await {
            Ok(proven) => Ok(proven),
            // A token that may not read the change log proves nothing; the objects are held, with that reason.
            Err(Error::Denied { .. }) => Ok(BTreeSet::new()),
            Err(failed) => Err(failed),
        }
    }

    /// What NetBox has of a key; its rows are given away.
    fn take_side(&mut self, key: &Key, proven: &BTreeSet<ObjectId>, scope: &Scope<'_>) -> NetBoxSide {
        let mut rows = self.rows.by_key.remove(key).unwrap_or_default();
        if rows.len() > 1 {
            return NetBoxSide::Several { ids: rows.iter().map(Found::id).collect() };
        }
        match rows.pop() {
            Some(Found::Row { row, .. }) => NetBoxSide::Row(Box::new(row)),
            Some(Found::Invalid { id, reason, .. }) => NetBoxSide::Invalid { id, reason },
            None => match self.unexplained(key, scope) {
                Some(object) if !proven.contains(&object) => NetBoxSide::Unproven { reason: unproven(&object) },
                Some(_) | None => NetBoxSide::Absent,
            },
        }
    }
}

fn unproven(object: &ObjectId) -> Reason {
    Reason::new(
        "absence_not_proven",
        format!(
            "NetBox no longer shows {object}, but nothing proves that it was deleted: no delivery, and no record in the \
             change log that this token may read. Give the token's user permission to view the object and the change \
             log, or delete the file in Git if the object is really gone"
        ),
    )
}
