//! What changed, in order, for whoever listens: a bounded log that all replicas share.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use redis::streams::{StreamId, StreamRangeReply};

use crate::domain::names::{FabricName, JobId, RunId};

use super::health::read_name;
use super::pause::EVERYTHING;
use super::types::{Event, EventId, Happening};
use super::{Error, Ledger, parse, parse_word};

/// Events that one call returns at most.
const MOST: usize = 1_000;

impl Ledger {
    /// The events after one, oldest first, a bounded number of them, and the place to go on from.
    ///
    /// A kind that only a newer version knows is left out.
    pub async fn events_after(&self, after: EventId) -> Result<(Vec<Event>, EventId), Error> {
        let reply = self.range("XRANGE", &format!("({after}"), "+", MOST).await?;
        let mut last = after;
        let mut events = Vec::with_capacity(reply.ids.len());
        for entry in reply.ids {
            last = read_id(&entry.id)?;
            events.extend(read(last, entry)?);
        }
        Ok((events, last))
    }

    /// The places of the oldest event that is kept and of the newest; `None` when nothing ever happened.
    pub async fn events_kept(&self) -> Result<Option<(EventId, EventId)>, Error> {
        let oldest = self.range("XRANGE", "-", "+", 1).await?;
        let newest = self.range("XREVRANGE", "+", "-", 1).await?;
        let id = |reply: &StreamRangeReply| reply.ids.first().map(|entry| read_id(&entry.id)).transpose();
        Ok(id(&oldest)?.zip(id(&newest)?))
    }

    async fn range(&self, command: &str, from: &str, to: &str, most: usize) -> Result<StreamRangeReply, Error> {
        redis::cmd(command)
            .arg((self.keys().name("events"), from, to, "COUNT", most))
            .query_async(&mut self.connection().await?)
            .await
            .map_err(Error::unavailable("read events"))
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

/// The text is not the place of an event.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not the id of an event")]
pub struct NotAnEventId(String);

impl FromStr for EventId {
    type Err = NotAnEventId;

    fn from_str(text: &str) -> Result<Self, NotAnEventId> {
        let read = |(ms, seq): (&str, &str)| Some(Self { ms: ms.parse().ok()?, seq: seq.parse().ok()? });
        text.split_once('-').and_then(read).ok_or_else(|| NotAnEventId(text.to_owned()))
    }
}

fn read_id(text: &str) -> Result<EventId, Error> {
    text.parse().map_err(|error| Error::corrupt("events", error))
}

fn read(id: EventId, entry: StreamId) -> Result<Option<Event>, Error> {
    const KEY: &str = "events";
    let text = |value| redis::from_redis_value::<String>(value).map_err(|error| Error::corrupt(KEY, error));
    let fields: HashMap<String, String> =
        entry.map.into_iter().map(|(name, value)| Ok((name, text(value)?))).collect::<Result<_, Error>>()?;
    let field = |name: &str| fields.get(name).ok_or_else(|| Error::corrupt(KEY, format!("no {name}")));
    let what = match field("kind")?.as_str() {
        "job" => Happening::Job {
            job: JobId::new(field("job")?),
            state: parse_word(KEY, field("state")?)?,
            fabrics: parse(KEY, field("fabrics")?)?,
        },
        "run" => Happening::Run {
            run: RunId::new(field("run")?),
            fabric: FabricName::new(field("fabric")?),
            outcome: parse_word(KEY, field("outcome")?)?,
            commit: fields.get("commit").filter(|oid| !oid.is_empty()).map(|oid| parse_word(KEY, oid)).transpose()?,
        },
        "fabric" => {
            let (fabric, change) = (field("fabric")?, parse_word(KEY, field("change")?)?);
            match fabric.as_str() {
                EVERYTHING => Happening::Service { change },
                name => Happening::Fabric { fabric: FabricName::new(name), change },
            }
        }
        "server" => Happening::Server { server: read_name(field("server")?)?, ok: field("ok")? == "1" },
        _ => return Ok(None),
    };
    Ok(Some(Event { id, at: parse(KEY, field("at")?)?, what }))
}
