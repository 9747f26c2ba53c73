//! How many fabrics stand, in one pipeline.

use std::collections::HashMap;
use std::time::Duration;

use redis::{FromRedisValue, Pipeline, Value};

use crate::domain::names::{FabricName, Target};

use super::types::{FabricStanding, Millis};
use super::{Error, Ledger, parse};

/// Fabrics of one pipeline: a few thousand commands.
const AT_ONCE: usize = 250;
/// Commands for each fabric; see `ask`.
const COMMANDS: usize = 13;
/// The last of them.
const DRIFT_COMMANDS: usize = 2;

type Fields = HashMap<String, String>;
type Raw = (Fields, u64, u64, u64, u64, u64, u64, u64, Vec<String>, Vec<String>, Option<String>);
/// How many objects, and how many files, differ.
type Differing = (u64, u64);

impl Ledger {
    /// How fabrics stand, in the order asked; an unknown one stands empty. A fixed number of commands for each, none of
    /// which costs more for a larger fabric.
    pub async fn standings(&self, fabrics: &[(&FabricName, &Target)]) -> Result<Vec<FabricStanding>, Error> {
        let mut standings = Vec::with_capacity(fabrics.len());
        let mut connection = self.connection().await?;
        for some in fabrics.chunks(AT_ONCE) {
            let mut pipe = redis::pipe();
            for (fabric, target) in some {
                self.ask(&mut pipe, fabric, target);
            }
            let all: Vec<Value> =
                pipe.query_async(&mut connection).await.map_err(Error::unavailable("read how fabrics stand"))?;
            for answers in all.chunks(COMMANDS) {
                let (raw, differing) = answers.split_at(answers.len().saturating_sub(DRIFT_COMMANDS));
                standings.push(read(read_answers(raw)?, read_answers(differing)?)?);
            }
        }
        Ok(standings)
    }

    fn ask(&self, pipe: &mut Pipeline, fabric: &FabricName, target: &Target) {
        let key = |name: &str| self.keys().of(name, fabric);
        pipe.hgetall(key("fabric"))
            .hlen(key("pending"))
            .hlen(key("batch"))
            .hlen(key("base"))
            .hlen(key("held"))
            .hlen(key("conflicts"))
            .scard(key("guarded"))
            .zcard(key("dead_letters:fabric"))
            .zrange(key("pending_jobs"), 0, 0)
            .zrange(key("batch_jobs"), 0, 0)
            .hget(self.keys().of("target", target), "head")
            .hlen(key("drift"))
            .hlen(key("drift_files"));
    }
}

fn read_answers<T: FromRedisValue>(answers: &[Value]) -> Result<T, Error> {
    T::from_redis_value(Value::Array(answers.to_vec())).map_err(|error| Error::corrupt("fabric", error))
}

fn read(
    (fields, pending, batch, objects, held, conflicts, guarded, dead_letters, waiting, at_work, head): Raw,
    (objects_differing, files_differing): Differing,
) -> Result<FabricStanding, Error> {
    let time = |name: &str| fields.get(name).map(|text| parse::<Millis>("fabric", text)).transpose();
    let oid = |text: &String| text.parse().map_err(|error| Error::corrupt("fabric", error));
    let commit = fields.get("commit").map(oid).transpose()?.zip(time("committed")?);
    Ok(FabricStanding {
        pending_changes: pending + batch,
        oldest_pending: waiting.iter().chain(&at_work).filter_map(|job| accepted(job)).min(),
        objects,
        held,
        conflicts,
        guarded,
        drift: fields.contains_key("compared").then_some(objects_differing + files_differing),
        dead_letters,
        last_sync: time("last_sync")?,
        head: head.as_ref().map(oid).transpose()?,
        commit,
        lag: time("lag")?.map(|Millis(ms)| Duration::from_millis(ms)),
        error: fields.get("error").map(|text| parse("fabric", text)).transpose()?,
        directory: fields.get("directory").map(|text| parse("fabric", text)).transpose()?,
        at_work: fields.contains_key("batch_of"),
        shown: fields.get("shown").map(|text| parse("fabric", text)).transpose()?,
    })
}

/// A job's id begins with the time of its acceptance, by the ledger's clock.
fn accepted(job: &str) -> Option<Millis> {
    ulid::Ulid::from_string(job).ok().map(|id| Millis(id.timestamp_ms()))
}
