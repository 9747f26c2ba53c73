//! The log of deliveries: what came in, bounded, newest first.

use std::collections::HashMap;

use redis::streams::StreamRangeReply;

use crate::domain::names::JobId;

use super::pages::cut;
use super::types::{Delivered, Delivery, DeliveryFilter, DeliveryPage, Ignored};
use super::{Error, Ledger, parse};

/// Deliveries on a page at most.
const MOST: usize = 1_000;

impl Ledger {
    /// A page of deliveries, newest first. A log of the ignored ones is kept by itself, so that those which lead to jobs
    /// do not push them out.
    pub async fn deliveries(&self, filter: &DeliveryFilter) -> Result<DeliveryPage, Error> {
        let log = self.keys().name(if filter.ignored_only { "deliveries:ignored" } else { "deliveries" });
        let limit = filter.limit.clamp(1, MOST);
        let newest = filter.after.as_ref().map_or("+".to_owned(), |after| format!("({after}"));
        let reply: StreamRangeReply = redis::cmd("XREVRANGE")
            .arg((&log, newest, "-", "COUNT", limit + 1))
            .query_async(&mut self.connection().await?)
            .await
            .map_err(Error::unavailable("list deliveries"))?;
        let mut deliveries = Vec::with_capacity(reply.ids.len());
        for entry in reply.ids {
            let fields: HashMap<String, String> = entry.map.into_iter().map(field).collect::<Result<_, Error>>()?;
            deliveries.push(read(&log, entry.id, &fields)?);
        }
        let next = cut(&mut deliveries, limit).map(|last| last.id);
        Ok(DeliveryPage { deliveries, next })
    }
}

fn field((name, value): (String, redis::Value)) -> Result<(String, String), Error> {
    let text = redis::from_redis_value(value).map_err(|error| Error::corrupt("deliveries", error))?;
    Ok((name, text))
}

fn read(log: &str, id: String, fields: &HashMap<String, String>) -> Result<Delivery, Error> {
    let field = |name: &str| fields.get(name).ok_or_else(|| Error::corrupt(log, format!("no {name}")));
    let at = parse(log, field("at")?)?;
    let what = match fields.get("ignored") {
        Some(text) => Delivered::Ignored(parse::<Ignored>(log, text)?),
        None => Delivered::Accepted {
            origin: parse(log, field("origin")?)?,
            job: JobId::new(field("job")?),
            duplicate: fields.contains_key("duplicate"),
        },
    };
    Ok(Delivery { id, at, what })
}
