//! The NetBox side of a fabric: live rows for the keys in scope, and proof for every absence.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::change::{Change, ObjectEvent};
use crate::domain::fate::Reason;
use crate::domain::key::{Key, ObjectId};
use crate::domain::kind::Kind;
use crate::domain::names::FabricName;
use crate::domain::policy::Fabric;
use crate::domain::report::MAX_ITEMS;
use crate::domain::row::{Base, Row};
use crate::ledger::types::FabricMemory;
use crate::netbox::{Client, Error, Found, Listing};
use crate::plan::{NetBoxSide, Unchanged};
use crate::validate::{Subnets, subnets_of};

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

/// What NetBox has of a fabric.
pub struct NetBoxSides {
    /// Every key in scope but those of `unchanged`.
    pub keys: BTreeMap<Key, NetBoxSide>,
    /// Where everything is in scope, the keys whose row is as base has it and that nothing else is to be looked at for.
    pub unchanged: Unchanged,
    /// What others may name of the rows that are as base has them.
    pub subnets: Subnets,
}

/// Reads every row in scope, and decides for each key without a row whether its absence is proven.
///
/// Of a row that is as base has it, and that nothing in scope asks for, nothing is kept: a large fabric that is compared
/// takes memory for what changed.
pub async fn read(
    client: &Client,
    Of { fabric, catalogue }: Of<'_>,
    memory: &FabricMemory,
    scope: &Scope<'_>,
) -> Result<NetBoxSides, Error> {
    let ids = memory.base.iter().filter_map(|(key, base)| Some(((&key.kind, base.netbox.as_ref()?.id), key))).collect();
    let mut reader = Reader { client, fabric: &fabric.name, memory, ids, rows: Rows::default() };
    for spec in catalogue.iter() {
        reader.read_kind(&spec.kind, scope).await?;
    }
    let keys = reader.keys_in_scope(scope);
    reader.search(&keys).await?;
    let absent: BTreeSet<ObjectId> = keys.iter().filter_map(|key| reader.unexplained(key, scope)).collect();
    let proven = reader.proven_deletions(&absent).await?;
    let unchanged = reader.unchanged(scope);
    let sides = keys.into_iter().map(|key| {
        let side = reader.take_side(&key, &proven, scope);
        (key, side)
    });
    Ok(NetBoxSides { keys: sides.collect(), unchanged, subnets: reader.rows.subnets })
}

/// What was read so far.
#[derive(Default)]
struct Rows {
    /// Rows that are as base has them, and whose content was not kept.
    as_base: BTreeMap<Kind, BTreeSet<u64>>,
    /// What others may name of those.
    subnets: Subnets,
    /// All other rows of this fabric, by the key they have now.
    by_key: BTreeMap<Key, Vec<Found>>,
    /// The key of each of these, where it has one.
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
    ids: BTreeMap<(&'a Kind, u64), &'a Key>,
    rows: Rows,
}

impl Reader<'_> {
    async fn read_kind(&mut self, kind: &Kind, scope: &Scope<'_>) -> Result<(), Error> {
        let mut ids: BTreeSet<ObjectId> = scope.dirty.keys().filter(|object| object.kind == *kind).cloned().collect();
        let keys: Vec<&Key> = scope.keys.iter().filter(|key| key.kind == *kind).collect();
        ids.extend(keys.iter().filter_map(|key| self.base_object(key)));
        let wanted = ids.len() + keys.len();
        if scope.everything || wanted > MAX_SINGLE_READS {
            return self.list_kind(kind, scope).await;
        }
        for object in ids {
            // Rows said to be deleted are read too: a delivery alone proves nothing.
            if let Some(found) = self.client.read(&object).await? {
                self.take(kind, found);
            }
        }
        Ok(())
    }

    async fn list_kind(&mut self, kind: &Kind, scope: &Scope<'_>) -> Result<(), Error> {
        let mut subnets = Subnets::new();
        let is_as_base = |row: &Row| {
            let as_base = self.is_as_base(row, scope);
            if let Some(named) = subnets_of(&row.shared.key.kind, &row.shared.spec).filter(|_| as_base) {
                subnets.insert(row.shared.key.clone(), named);
            }
            as_base
        };
        let Listing { as_known, others } = self.client.list_but(self.fabric, kind, is_as_base).await?;
        self.rows.subnets.append(&mut subnets);
        self.rows.as_base.insert(kind.clone(), as_known);
        for found in others {
            self.take(kind, found);
        }
        self.rows.listed.insert(kind.clone());
        Ok(())
    }

    /// Whether a row is as base has it, base is an agreement of both sides, and nothing else asks for the row: then the
    /// plan needs no more of it than that.
    fn is_as_base(&self, row: &Row, scope: &Scope<'_>) -> bool {
        let key = &row.shared.key;
        let Some(Base { git: Some(git), netbox: Some(base) }) = self.memory.base.get(key) else { return false };
        let waits = self.memory.held.contains_key(key) || self.memory.guarded.contains(key);
        let is_asked_for = waits || scope.keys.contains(key) || scope.dirty.contains_key(&row.object());
        let is_its_row = base.id == row.id && self.ids.get(&(&key.kind, row.id)) == Some(&key);
        !is_asked_for
            && is_its_row
            && git.shared == base.digest
            && base.last_updated == row.last_updated
            && base.digest == row.shared.digest()
    }

    /// Whether a row was listed, and is as base has it.
    fn was_as_base(&self, object: &ObjectId) -> bool {
        self.rows.as_base.get(&object.kind).is_some_and(|ids| ids.contains(&object.id))
    }

    /// The row of a key that is as base has it.
    fn row_as_base(&self, key: &Key) -> Option<u64> {
        let object = self.base_object(key).filter(|object| self.was_as_base(object))?;
        (self.ids.get(&(&object.kind, object.id)) == Some(&key)).then_some(object.id)
    }

    fn unchanged(&self, scope: &Scope<'_>) -> Unchanged {
        let mut unchanged = Unchanged::default();
        if !scope.everything {
            return unchanged;
        }
        for key in self.memory.base.keys().filter(|key| self.is_left_out(key)) {
            unchanged.count += 1;
            if unchanged.first.len() < MAX_ITEMS {
                unchanged.first.push(key.clone());
            }
        }
        unchanged
    }

    /// A key whose only row is as base has it.
    fn is_left_out(&self, key: &Key) -> bool {
        self.row_as_base(key).is_some() && !self.rows.by_key.contains_key(key)
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
            scope.dirty.keys().filter_map(|object| self.ids.get(&(&object.kind, object.id))).map(|key| (*key).clone()),
        );
        if scope.everything {
            keys.extend(self.rows.by_key.keys().cloned());
            keys.extend(self.memory.base.keys().filter(|key| !self.is_left_out(key)).cloned());
        } else {
            let touched = |object: &ObjectId| scope.dirty.contains_key(object);
            keys.extend(
                self.rows.by_id.iter().filter(|(object, _)| touched(object)).filter_map(|(_, key)| key.clone()),
            );
        }
        // A row that base knows under another name takes its old key into scope: the old file goes with the new one.
        let renamed = keys
            .iter()
            .flat_map(|key| self.rows.by_key.get(key).into_iter().flatten())
            .filter_map(|found| self.ids.get(&(&found.key()?.kind, found.id())).map(|key| (*key).clone()));
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
        let explained = self.was_as_base(&object)
            || self.rows.by_key.contains_key(key)
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
        let as_base = self.row_as_base(key);
        let ids: BTreeSet<u64> = rows.iter().map(Found::id).chain(as_base).collect();
        if ids.len() > 1 {
            return NetBoxSide::Several { ids: ids.into_iter().collect() };
        }
        match rows.pop() {
            Some(Found::Row { row, .. }) => NetBoxSide::Row(Box::new(row)),
            Some(Found::Invalid { id, reason, .. }) => NetBoxSide::Invalid { id, reason },
            None if as_base.is_some() => NetBoxSide::AsBase,
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
