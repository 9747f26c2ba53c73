//! Budgets of tokens at servers that limit their users: one for all replicas, because the server counts them as one.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::options::millis;
use super::{Error, Ledger, parse};

/// The pause when a server refuses without saying for how long; doubles while it goes on.
const FIRST_PAUSE: Duration = Duration::from_secs(60);
/// The longest of these pauses.
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);

/// One request that is about to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// Which of the token's budgets it uses up: a word, as in `Ledger::budget_left`.
    pub resource: &'a str,
    /// What writes keep between them on the average; zero for a read.
    pub gap: Duration,
    /// How many writes may come without a gap.
    pub burst: u32,
}

/// No request before this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoPlace {
    pub after: Duration,
    pub why: NoPlaceBecause,
}

/// Why a request has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoPlaceBecause {
    /// The budget is used up until the server fills it again.
    UsedUp,
    /// The server refused and asked for a pause.
    Refused,
    /// Writes come too close together.
    Gap,
}

/// What a server last said was left of one budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// The token's name.
    pub token: String,
    pub resource: String,
    /// Requests.
    pub left: u64,
}

/// How long what was said of a budget is told: each is full again within an hour.
const TOLD: Duration = Duration::from_secs(3_600);

impl Ledger {
    /// What is left of the budgets that were used within the last hour, by token and resource.
    pub async fn budgets(&self) -> Result<Vec<Budget>, Error> {
        #[derive(Deserialize)]
        struct Kept {
            left: f64,
            at: f64,
        }
        let (time, all): ((u64, u64), BTreeMap<String, String>) = redis::pipe()
            .cmd("TIME")
            .hgetall(self.keys().name("budgets"))
            .query_async(&mut self.connection().await?)
            .await
            .map_err(Error::unavailable("read the budgets"))?;
        let oldest = (time.0 * 1_000 + self.0.clock.shift_ms()).saturating_sub(millis(TOLD));
        let mut budgets = Vec::new();
        for (name, kept) in &all {
            let kept: Kept = parse("budgets", kept)?;
            if let Some((token, resource)) = name.split_once(' ').filter(|_| kept.at as u64 >= oldest) {
                let (token, resource) = (token.to_owned(), resource.to_owned());
                budgets.push(Budget { token, resource, left: kept.left as u64 });
            }
        }
        Ok(budgets)
    }

    /// Takes a place in a token's budget for one request, or says how long there is none. `token` names it, and is no
    /// secret itself.
    pub async fn take_place(&self, token: &str, place: Place<'_>) -> Result<Result<(), NoPlace>, Error> {
        let mut call = self.call(&self.0.scripts.budget);
        call.arg(token).arg("take").arg(place.resource).arg(millis(place.gap)).arg(place.burst);
        let (wait, why): (u64, String) =
            call.invoke_async(&mut self.connection().await?).await.map_err(Error::unavailable("take a place"))?;
        let why = match (wait, why.as_str()) {
            (0, _) => return Ok(Ok(())),
            (_, "budget") => NoPlaceBecause::UsedUp,
            (_, "gap") => NoPlaceBecause::Gap,
            (_, _) => NoPlaceBecause::Refused,
        };
        Ok(Err(NoPlace { after: Duration::from_millis(wait), why }))
    }

    /// Notes what an answer said of a budget: so many requests are left until it is full again.
    pub async fn budget_left(&self, token: &str, resource: &str, left: u64, full_in: Duration) -> Result<(), Error> {
        let mut call = self.call(&self.0.scripts.budget);
        call.arg(token).arg("left").arg(resource).arg(left).arg(millis(full_in));
        call.invoke_async::<()>(&mut self.connection().await?).await.map_err(Error::unavailable("note a budget"))
    }

    /// Notes that the server refused a request for coming too fast: everybody with this token pauses, for as long as it
    /// said, else for a minute and twice as long each time in a row.
    pub async fn budget_refused(&self, token: &str, after: Option<Duration>) -> Result<(), Error> {
        let mut call = self.call(&self.0.scripts.budget);
        call.arg(token).arg("refused").arg(after.map_or(String::new(), |after| millis(after).to_string()));
        call.arg(millis(FIRST_PAUSE)).arg(millis(LONGEST_PAUSE));
        call.invoke_async::<()>(&mut self.connection().await?).await.map_err(Error::unavailable("note a refusal"))
    }
}
