//! When a token may be used: GitHub's limits, as far as they are known, for everybody who uses the same token.
//!
//! GitHub counts by account, not by repository: a repository whose requests keep failing must not use up what the others
//! of the same token need. So every request asks here first, and every answer is told here. Nothing here ever sleeps: a
//! wait is an answer, which becomes a state of the run.
//!
//! <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api>

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;

/// The budget of tokens, one for all repositories that share it. Implementations may share it between processes.
///
/// An implementation that cannot know (its server is down) lets the request through and forgets what it is told: GitHub
/// itself still refuses.
#[async_trait]
pub trait Pace: Send + Sync {
    /// Takes a place for one request, or says how long there is none. Called once before every request is sent.
    async fn before(&self, token: &TokenName, cost: Cost) -> Result<(), Wait>;

    /// What an answer told of the limits. Called after every answer, so it should be quick; may be dropped.
    async fn learned(&self, token: &TokenName, told: Told);
}

/// An account that GitHub counts requests for; equal for all repositories that use one token or one installation.
///
/// Safe to log and to store: holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenName(String);

impl TokenName {
    pub(super) fn new(text: String) -> Self {
        Self(text)
    }

    /// The name as text, without blanks.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TokenName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What one request uses up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    pub resource: Resource,
    /// Whether it makes or changes something: GitHub wants a second between such requests.
    pub writes: bool,
}

/// The budgets that GitHub keeps apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Resource {
    Rest,
    GraphQl,
}

/// No request before this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    pub after: Duration,
    pub why: WaitReason,
}

/// Why a request has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitReason {
    /// The hour's requests are used up.
    Budget,
    /// GitHub asked for a pause: its secondary limits, which it does not publish as numbers.
    Refused,
    /// Writes come too close together.
    Gap,
}

impl fmt::Display for WaitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Budget => "the token's requests of this hour are used up",
            Self::Refused => "GitHub asked for a pause (secondary rate limit)",
            Self::Gap => "writes come faster than GitHub wants them",
        })
    }
}

/// What an answer told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// This many requests are left until the budget is full again; zero also when GitHub refused for it.
    Left { resource: Resource, remaining: u64, resets_in: Duration },
    /// GitHub refused by a secondary limit; `after` when it said how long.
    Refused { after: Option<Duration> },
}

/// The pause when GitHub refuses without saying how long; doubles while it goes on, as its documentation asks.
const FIRST_PAUSE: Duration = Duration::from_secs(60);
/// The longest of these pauses.
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);
/// GitHub's clock and ours are not one.
const RESET_MARGIN: Duration = Duration::from_secs(1);
/// How many writes may come without a gap: the requests of one large commit. On the average the gap is kept, and GitHub's
/// own number, 80 in a minute, is not reached.
const BURST: u32 = 20;

/// The budget of tokens within this process.
pub struct InProcessPace {
    gap: Duration,
    tokens: Mutex<HashMap<TokenName, Known>>,
}

impl InProcessPace {
    /// `gap` is what writes keep between them on the average: a second on github.com, nothing on a server of one's own.
    pub fn new(gap: Duration) -> Self {
        Self { gap, tokens: Mutex::default() }
    }

    fn with<T>(&self, token: &TokenName, f: impl FnOnce(&mut Known) -> T) -> T {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        f(tokens.entry(token.clone()).or_default())
    }
}

#[async_trait]
impl Pace for InProcessPace {
    async fn before(&self, token: &TokenName, cost: Cost) -> Result<(), Wait> {
        self.with(token, |known| known.before(Instant::now(), cost, self.gap))
    }

    async fn learned(&self, token: &TokenName, told: Told) {
        self.with(token, |known| known.learned(Instant::now(), told));
    }
}

/// What is known of one token.
#[derive(Default)]
struct Known {
    /// When the budget that is used up is full again.
    empty_until: HashMap<Resource, Instant>,
    paused_until: Option<Instant>,
    /// How often in a row GitHub refused without saying how long.
    strikes: u32,
    /// When the next write would come if all had kept the gap.
    next_write: Option<Instant>,
}

impl Known {
    fn before(&mut self, now: Instant, cost: Cost, gap: Duration) -> Result<(), Wait> {
        let wait = |until: Instant, why| Wait { after: until - now, why };
        if let Some(until) = self.paused_until.filter(|until| *until > now) {
            return Err(wait(until, WaitReason::Refused));
        }
        if let Some(until) = self.empty_until.get(&cost.resource).filter(|until| **until > now) {
            return Err(wait(*until, WaitReason::Budget));
        }
        if cost.writes {
            let due = self.next_write.map_or(now, |next| next.max(now));
            let latest = now + gap * BURST;
            if due > latest {
                return Err(Wait { after: due - latest, why: WaitReason::Gap });
            }
            self.next_write = Some(due + gap);
        }
        Ok(())
    }

    fn learned(&mut self, now: Instant, told: Told) {
        match told {
            Told::Left { resource, remaining: 0, resets_in } => {
                self.empty_until.insert(resource, now + resets_in + RESET_MARGIN);
            }
            Told::Left { resource, .. } => {
                self.empty_until.remove(&resource);
                if self.paused_until.is_none_or(|until| until <= now) {
                    self.strikes = 0;
                }
            }
            Told::Refused { after } => {
                let pause = after.unwrap_or_else(|| {
                    let pause = FIRST_PAUSE.saturating_mul(1 << self.strikes.min(10)).min(LONGEST_PAUSE);
                    self.strikes += 1;
                    pause
                });
                self.paused_until = self.paused_until.max(Some(now + pause));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: Cost = Cost { resource: Resource::Rest, writes: false };
    const WRITE: Cost = Cost { resource: Resource::Rest, writes: true };
    const SECOND: Duration = Duration::from_secs(1);

    fn left(remaining: u64) -> Told {
        Told::Left { resource: Resource::Rest, remaining, resets_in: Duration::from_secs(100) }
    }

    #[test]
    fn an_empty_budget_waits_for_its_reset_and_no_other_budget_with_it() {
        let (mut known, now) = (Known::default(), Instant::now());
        known.learned(now, left(0));

        let wait = known.before(now, READ, SECOND).unwrap_err();

        assert_eq!((wait.after, wait.why), (Duration::from_secs(101), WaitReason::Budget));
        assert!(known.before(now, Cost { resource: Resource::GraphQl, ..READ }, SECOND).is_ok());
        assert!(known.before(now + Duration::from_secs(101), READ, SECOND).is_ok());
    }

    #[test]
    fn a_refusal_without_a_time_pauses_a_minute_and_longer_each_time() {
        let (mut known, mut now) = (Known::default(), Instant::now());
        let mut pauses = Vec::new();
        for _ in 0..6 {
            known.learned(now, Told::Refused { after: None });
            let pause = known.before(now, READ, SECOND).unwrap_err().after;
            pauses.push(pause.as_secs());
            now += pause;
        }

        known.learned(now, left(10));
        known.learned(now, Told::Refused { after: None });

        assert_eq!(pauses, [60, 120, 240, 480, 900, 900]);
        assert_eq!(known.before(now, READ, SECOND).unwrap_err().after, FIRST_PAUSE);
    }

    #[test]
    fn a_late_answer_does_not_shorten_a_pause() {
        let (mut known, now) = (Known::default(), Instant::now());
        known.learned(now, Told::Refused { after: Some(Duration::from_secs(300)) });

        known.learned(now, Told::Refused { after: Some(SECOND) });
        known.learned(now, left(10));

        assert_eq!(known.before(now, READ, SECOND).unwrap_err().after, Duration::from_secs(300));
    }

    #[test]
    fn a_large_commit_need_not_wait_but_many_of_them_keep_the_gap() {
        let (mut known, now) = (Known::default(), Instant::now());

        let at_once = (0..100).take_while(|_| known.before(now, WRITE, SECOND).is_ok()).count();
        let wait = known.before(now, WRITE, SECOND).unwrap_err();

        assert_eq!(at_once, 21);
        assert_eq!((wait.after, wait.why), (SECOND, WaitReason::Gap));
        assert!(known.before(now, READ, SECOND).is_ok());
        assert!(known.before(now + SECOND, WRITE, SECOND).is_ok());
    }
}
