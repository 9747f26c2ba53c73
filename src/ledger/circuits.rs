//! Circuit breaking: a server that run after run fails on is left alone, until one run alone may try it. So an outage
//! costs a few runs, and not one for each fabric again and again; those that wait use up no attempt.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use redis::aio::ConnectionLike;

use super::servers::Endpoint;
use super::types::{Circuit, JobError, Millis};
use super::{Error, Ledger, json, parse};

/// How a run fared with a server.
#[derive(Debug, Clone, Copy)]
pub enum Fared<'a> {
    /// It answered, if only to refuse.
    Answered,
    /// A passing failure.
    Failed(&'a JobError),
    /// It asked this run to come back later, which says nothing of others: a failure only of a server that is tried after
    /// it was left alone.
    AskedToWait(&'a JobError),
}

impl Ledger {
    /// Notes how a run fared with what it needed. True when that is left alone from now on.
    pub async fn record_run_on(&self, endpoint: &Endpoint, fared: Fared<'_>) -> Result<bool, Error> {
        let mut call = self.call(&self.0.scripts.circuit);
        call.arg(endpoint.to_string());
        match fared {
            Fared::Answered => {}
            Fared::Failed(error) => drop(call.arg(json(error)).arg(json(&waiting(endpoint, error))).arg(0)),
            Fared::AskedToWait(error) => drop(call.arg(json(error)).arg(json(&waiting(endpoint, error))).arg(1)),
        }
        call.invoke_async(&mut self.connection().await?).await.map_err(Error::unavailable("note how a run fared"))
    }

    /// What is left alone now, or tried by one run after it was.
    pub async fn circuits(&self) -> Result<BTreeMap<Endpoint, Circuit>, Error> {
        let mut connection = self.connection().await?;
        let (now, broken) = (self.time(&mut connection).await?, self.broken(&mut connection).await?);
        let mut circuits = BTreeMap::new();
        for (server, until) in broken {
            let key = self.keys().of("circuit", &server);
            let (waiting, fields): (u64, [Option<String>; 3]) = redis::pipe()
                .zcard(self.keys().of("parked", &server))
                .cmd("HMGET")
                .arg((&key, "since", "failures", "error"))
                .query_async(&mut connection)
                .await
                .map_err(Error::unavailable("read what is left alone"))?;
            // It answered in between.
            let [Some(since), Some(failures), Some(error)] = fields else { continue };
            let circuit = Circuit {
                since: parse(&key, &since)?,
                until,
                may_be_tried: until <= now,
                failures: parse(&key, &failures)?,
                waiting_targets: waiting,
                error: parse(&key, &error)?,
            };
            circuits.insert(Endpoint::read(&server)?, circuit);
        }
        Ok(circuits)
    }

    /// What nobody may ask anything at this moment.
    pub async fn left_alone(&self) -> Result<BTreeSet<Endpoint>, Error> {
        let mut connection = self.connection().await?;
        let now = self.time(&mut connection).await?;
        let broken = self.broken(&mut connection).await?.into_iter().filter(|(_, until)| *until > now);
        broken.map(|(server, _)| Endpoint::read(&server)).collect()
    }

    async fn time(&self, connection: &mut impl ConnectionLike) -> Result<Millis, Error> {
        let time = redis::cmd("TIME").query_async(connection).await;
        let (seconds, micros): (u64, u64) = time.map_err(Error::unavailable("read the time"))?;
        Ok(Millis(seconds * 1_000 + micros / 1_000 + self.0.clock.shift_ms()))
    }

    /// Until when each server that is left alone is, by its name in the scripts.
    pub(super) async fn broken(&self, connection: &mut impl ConnectionLike) -> Result<BTreeMap<String, Millis>, Error> {
        let broken: Vec<(String, f64)> = redis::cmd("ZRANGE")
            .arg((self.keys().name("broken"), 0, -1, "WITHSCORES"))
            .query_async(connection)
            .await
            .map_err(Error::unavailable("read what is left alone"))?;
        Ok(broken.into_iter().map(|(server, until)| (server, Millis(until as u64))).collect())
    }

    /// When a server that targets wait for is tried next, by the ledger's clock; `None` when a run tries it already.
    pub(super) async fn next_try(&self, connection: &mut impl ConnectionLike) -> Result<Option<Duration>, Error> {
        let broken = self.broken(connection).await?;
        if broken.is_empty() {
            return Ok(None);
        }
        let mut asked = redis::pipe();
        for server in broken.keys() {
            asked.exists(self.keys().of("parked", server)).exists(self.keys().of("at_work", server));
        }
        let answers: Vec<bool> =
            asked.query_async(connection).await.map_err(Error::unavailable("read what is left alone"))?;
        let waits = |answers: &[bool]| matches!(answers, [true, false]);
        let tried = broken.into_values().zip(answers.chunks(2)).filter(|(_, answers)| waits(answers));
        Ok(tried.map(|(until, _)| Duration::from_millis(until.0)).min())
    }
}

/// Why jobs wait that need the server.
fn waiting(endpoint: &Endpoint, error: &JobError) -> JobError {
    JobError {
        code: "server_left_alone".to_owned(),
        message: format!(
            "run after run failed on {endpoint}, so the others wait until one has tried it: {}",
            error.message
        ),
        remedy: error.remedy.clone(),
    }
}
