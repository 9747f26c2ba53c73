//! What the API reads by the page: ids from an index, a hash for each, and in a hash a part for each fabric.

use std::collections::HashMap;
use std::fmt::Display;

use crate::domain::names::FabricName;

use super::{Error, Ledger};

/// A hash; empty for one that is not there.
pub(super) type Fields = HashMap<String, String>;

impl Ledger {
    pub(super) async fn hash(&self, of: &str, id: impl Display, doing: &'static str) -> Result<Fields, Error> {
        let mut connection = self.connection().await?;
        let mut asked = redis::cmd("HGETALL");
        asked.arg(self.keys().of(of, id)).query_async(&mut connection).await.map_err(Error::unavailable(doing))
    }

    /// In the order of the ids.
    pub(super) async fn hashes(&self, of: &str, ids: &[String], doing: &'static str) -> Result<Vec<Fields>, Error> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut asked = redis::pipe();
        for id in ids {
            asked.hgetall(self.keys().of(of, id));
        }
        asked.query_async(&mut self.connection().await?).await.map_err(Error::unavailable(doing))
    }
}

/// Cuts a page of `limit` off what was asked for with one more; the last on it, where there are more.
pub(super) fn cut<T: Clone>(items: &mut Vec<T>, limit: usize) -> Option<T> {
    let more = items.len() > limit;
    items.truncate(limit);
    items.last().filter(|_| more).cloned()
}

/// What a hash says of each fabric, by name.
pub(super) fn parts<T>(fields: &Fields, read: impl Fn(FabricName, &str) -> Result<T, Error>) -> Result<Vec<T>, Error> {
    let named = fields.iter().filter_map(|(name, value)| Some((FabricName::new(name.strip_prefix("part:")?), value)));
    let mut parts: Vec<_> = named.collect();
    parts.sort();
    parts.into_iter().map(|(fabric, value)| read(fabric, value)).collect()
}
