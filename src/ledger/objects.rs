//! What is remembered of single objects, for people.

use std::collections::BTreeSet;

use crate::domain::change::Change;
use crate::domain::fate::Reason;
use crate::domain::key::{Key, ObjectId};
use crate::domain::names::{FabricName, NetBoxName};
use crate::domain::row::Base;

use super::{Error, Ledger, json, parse};

/// What is known of one object.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectKnown {
    pub key: Key,
    /// What both sides last agreed on; `None` before they did.
    pub base: Option<Base>,
    /// Why it waits for a person.
    pub held: Option<Reason>,
    /// Whether both sides contradict each other.
    pub in_conflict: bool,
    /// Whether a change of its row is recorded and not settled, or a write to NetBox is outstanding.
    pub pending: bool,
}

/// What a pipeline answers for each object.
const COMMANDS: usize = 6;

impl Ledger {
    /// The objects of a fabric that anything is remembered of.
    pub async fn object_keys(&self, fabric: &FabricName) -> Result<BTreeSet<Key>, Error> {
        let key = |name: &str| self.keys().of(name, fabric);
        let (base, held): (Vec<String>, Vec<String>) = redis::pipe()
            .atomic()
            .hkeys(key("base"))
            .hkeys(key("held"))
            .query_async(&mut self.connection().await?)
            .await
            .map_err(Error::unavailable("list objects"))?;
        base.iter().chain(&held).map(|text| parse("base", text)).collect()
    }

    /// What is known of objects, in the order asked; rows of `netbox` count as pending.
    pub async fn objects(
        &self,
        fabric: &FabricName,
        netbox: &NetBoxName,
        keys: &[Key],
    ) -> Result<Vec<ObjectKnown>, Error> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let of = |name: &str| self.keys().of(name, fabric);
        let mut pipe = redis::pipe();
        for key in keys {
            let field = json(key);
            pipe.hget(of("base"), &field).hget(of("held"), &field);
            pipe.hexists(of("conflicts"), &field).hexists(of("intents"), &field);
            pipe.hexists(of("resolutions"), &field).hexists(of("lost_edits"), &field);
        }
        pipe.hkeys(of("pending")).hkeys(of("batch"));
        let mut answers: Vec<redis::Value> =
            pipe.query_async(&mut self.connection().await?).await.map_err(Error::unavailable("read objects"))?;
        let slots = answers.split_off(keys.len() * COMMANDS);
        let mut pending = BTreeSet::new();
        for hash in slots {
            pending.extend(read::<Vec<String>>(hash)?);
        }
        let known = answers.chunks(COMMANDS).zip(keys).map(|(answers, key)| {
            let answer = redis::Value::Array(answers.to_vec());
            let (base, held, in_conflict, intent, resolution, lost): (
                Option<String>,
                Option<String>,
                bool,
                bool,
                bool,
                bool,
            ) = read(answer)?;
            let base: Option<Base> = base.map(|text| parse("base", &text)).transpose()?;
            let waits = slot(netbox, key, base.as_ref()).is_some_and(|slot| pending.contains(&slot));
            Ok(ObjectKnown {
                held: held.map(|text| parse("held", &text)).transpose()?,
                in_conflict: in_conflict || lost,
                pending: waits || intent || resolution,
                key: key.clone(),
                base,
            })
        });
        known.collect()
    }
}

/// Where a change of the object's row waits.
fn slot(netbox: &NetBoxName, key: &Key, base: Option<&Base>) -> Option<String> {
    let id = base?.netbox.as_ref()?.id;
    let object = ObjectId { kind: key.kind.clone(), id };
    let event = crate::domain::change::ObjectEvent::Updated;
    Some(Change::Object { netbox: netbox.clone(), object, event, cascade: false, user: None }.slot())
}

fn read<T: redis::FromRedisValue>(value: redis::Value) -> Result<T, Error> {
    T::from_redis_value(value).map_err(|error| Error::corrupt("object", error))
}
