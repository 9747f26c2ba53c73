//! What NetBox has of a lot's rows now: settles the decided ones, names those still to be sent.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::domain::key::{Key, ObjectId};
use crate::domain::kind::KindSpec;

use super::client::Client;
use super::form::Form;
use super::rows::Found;
use super::write::{Lot, Request, Verb};
use super::{Error, Written};

/// Up to this many rows are looked for one by one.
const MAX_SINGLE_READS: usize = 10;

/// Whether the rows may have been written by a request of ours already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Fresh,
    Sent,
}

/// A row that is still as it was planned against.
pub(super) struct Open {
    /// Place in the lot's requests.
    pub row: usize,
    /// As read just now; empty for a row to be created.
    pub last_updated: String,
}

impl Lot<'_> {
    /// Compares the rows with NetBox's. Those that are as wished, changed or gone are settled; the others come back.
    pub(super) async fn look(&mut self, rows: &[usize], asked: Asked) -> Result<Vec<Open>, Error> {
        match self.verb {
            _ if rows.is_empty() => Ok(Vec::new()),
            Verb::Create => self.look_for_keys(rows, asked).await,
            Verb::Update | Verb::Delete => self.look_for_ids(rows, asked).await,
        }
    }

    async fn look_for_keys(&mut self, rows: &[usize], asked: Asked) -> Result<Vec<Open>, Error> {
        let keys: BTreeSet<&Key> = rows.iter().map(|&row| self.requests[row].key()).collect();
        let form = self.client.form(self.spec);
        let existing = match (asked, &form) {
            // The plugin's tables are unique over fabric, namespace and name: NetBox itself prevents a second row.
            (Asked::Fresh, Form::Plugin { .. }) => BTreeMap::new(),
            (Asked::Fresh, Form::CustomObject { .. }) if keys.len() > MAX_SINGLE_READS => self.taken(&keys).await?,
            (Asked::Sent, _) | (Asked::Fresh, Form::Mapped(_)) if keys.len() > MAX_SINGLE_READS => {
                let ours =
                    |found: &Found| found.is_of(self.fabric) && found.key().is_some_and(|key| keys.contains(key));
                let filters = form.filters(self.fabric, None);
                by_key(self.client.listed(self.spec, filters, |found| Some(found).filter(&ours)).await?)
            }
            (Asked::Fresh | Asked::Sent, _) => {
                let mut found = Vec::new();
                for key in keys {
                    found.extend(self.client.find(self.fabric, key).await?);
                }
                by_key(found)
            }
        };
        let mut open = Vec::new();
        for &row in rows {
            let Request::Create { want } = &self.requests[row] else { continue };
            match existing.get(&want.key).map(Vec::as_slice) {
                None | Some([]) => open.push(Open { row, last_updated: String::new() }),
                Some([Found::Row { row: found, .. }]) if found.shared.digest() == want.digest() => {
                    self.settled[row] = Some(Written::Done { row: Some(Box::new(found.clone())), request: None });
                }
                Some(_) => self.settled[row] = Some(Written::Changed),
            }
        }
        Ok(open)
    }

    /// The rows that already hold one of the keys. The listing is of names only; what it finds is read in full.
    async fn taken(&self, keys: &BTreeSet<&Key>) -> Result<BTreeMap<Key, Vec<Found>>, Error> {
        let query = [("fabric", self.fabric.to_string()), ("fields", "id,name".to_owned())];
        let names: BTreeSet<&str> = keys.iter().map(|key| key.name.as_str()).collect();
        let mut found = Vec::new();
        for wire in self.client.http.list(&self.client.path(self.spec), &query).await? {
            let named = wire.get("name").and_then(Value::as_str).is_some_and(|name| names.contains(name));
            let Some(id) = wire.get("id").and_then(Value::as_u64).filter(|_| named) else { continue };
            found.extend(self.client.read(&ObjectId { kind: self.spec.kind.clone(), id }).await?);
        }
        found.retain(|row| row.is_of(self.fabric));
        Ok(by_key(found))
    }

    async fn look_for_ids(&mut self, rows: &[usize], asked: Asked) -> Result<Vec<Open>, Error> {
        let ids: BTreeSet<u64> = rows.iter().filter_map(|&row| Some(self.requests[row].against()?.id)).collect();
        let existing = self.client.read_many(self.spec, &ids).await?;
        let mut open = Vec::new();
        for &row in rows {
            let Some(against) = self.requests[row].against() else { continue };
            match existing.get(&against.id) {
                Some(Found::Row { row: found, fabric }) if fabric.as_ref() == Some(self.fabric) => {
                    let now = found.shared.digest();
                    if matches!(&self.requests[row], Request::Update { want, .. } if want.digest() == now) {
                        self.settled[row] = Some(Written::Done { row: Some(Box::new(found.clone())), request: None });
                    } else if against.shared.digest() == now {
                        open.push(Open { row, last_updated: found.last_updated.clone() });
                    } else {
                        self.settled[row] = Some(Written::Changed);
                    }
                }
                Some(Found::Row { .. } | Found::Invalid { .. }) => self.settled[row] = Some(Written::Changed),
                // Our own request may have deleted it; otherwise somebody else did, and the plan must know.
                None if self.verb == Verb::Delete && asked == Asked::Sent => {
                    self.settled[row] = Some(Written::Done { row: None, request: None });
                }
                None => self.settled[row] = Some(Written::Changed),
            }
        }
        Ok(open)
    }
}

fn by_key(found: Vec<Found>) -> BTreeMap<Key, Vec<Found>> {
    let mut rows: BTreeMap<Key, Vec<Found>> = BTreeMap::new();
    for row in found {
        if let Some(key) = row.key().cloned() {
            rows.entry(key).or_default().push(row);
        }
    }
    rows
}

impl Client {
    /// The rows with these ids, as far as they exist.
    async fn read_many(&self, spec: &KindSpec, ids: &BTreeSet<u64>) -> Result<BTreeMap<u64, Found>, Error> {
        let mut rows = BTreeMap::new();
        if ids.len() > 1 {
            let filters = ids.iter().map(|id| ("id".to_owned(), id.to_string())).collect();
            let asked = |found: Found| Some((found.id(), found)).filter(|(id, _)| ids.contains(id));
            rows.extend(self.listed(spec, filters, asked).await?);
        }
        for &id in ids {
            // A listing that misses a row proves nothing.
            if let std::collections::btree_map::Entry::Vacant(missing) = rows.entry(id)
                && let Some(found) = self.read(&ObjectId { kind: spec.kind.clone(), id }).await?
            {
                missing.insert(found);
            }
        }
        Ok(rows)
    }
}
