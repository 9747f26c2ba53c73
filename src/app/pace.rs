//! GitHub's limits, kept in the ledger: all replicas and repositories of a token share them.

use std::time::Duration;

use async_trait::async_trait;
use url::Url;

use crate::domain::cause::with_causes;
use crate::ledger::Ledger;
use crate::ledger::budget::{NoPlaceBecause, Place};
use crate::repo::github::pace::{Cost, Pace, Resource, TokenName, Told, Wait, WaitReason};

/// What writes of one account keep between them on the average, as github.com asks for. A server of one's own has no such
/// limit unless it is switched on, and says so then.
const GAP: Duration = Duration::from_secs(1);
/// How many writes may come without a gap: the requests of one large commit. On the average the gap is kept, and GitHub's
/// own number, 80 in a minute, is not reached.
const BURST: u32 = 20;

/// The budget of tokens, in the ledger. A ledger that cannot be asked stops nothing: GitHub itself still refuses.
pub(super) struct SharedPace {
    ledger: Ledger,
    gap: Duration,
}

impl SharedPace {
    /// For the server of this API.
    pub(super) fn at(api: &Url, ledger: Ledger) -> Self {
        let is_hosted = api.host_str().is_some_and(|host| host.starts_with("api."));
        Self { ledger, gap: if is_hosted { GAP } else { Duration::ZERO } }
    }
}

#[async_trait]
impl Pace for SharedPace {
    async fn before(&self, token: &TokenName, cost: Cost) -> Result<(), Wait> {
        let gap = if cost.writes { self.gap } else { Duration::ZERO };
        let place = Place { resource: word(cost.resource), gap, burst: BURST };
        match self.ledger.take_place(token.as_str(), place).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(none)) => Err(Wait { after: none.after, why: reason(none.why) }),
            Err(error) => {
                tracing::warn!(error = with_causes(&error), token.name = %token, "the token's budget is not known");
                Ok(())
            }
        }
    }

    async fn learned(&self, token: &TokenName, told: Told) {
        let noted = match told {
            Told::Left { resource, remaining, resets_in } => {
                self.ledger.budget_left(token.as_str(), word(resource), remaining, resets_in).await
            }
            Told::Refused { after } => self.ledger.budget_refused(token.as_str(), after).await,
        };
        if let Err(error) = noted {
            tracing::warn!(error = with_causes(&error), token.name = %token, "the token's budget could not be noted");
        }
    }
}

fn word(resource: Resource) -> &'static str {
    match resource {
        Resource::Rest => "rest",
        Resource::GraphQl => "graphql",
    }
}

fn reason(why: NoPlaceBecause) -> WaitReason {
    match why {
        NoPlaceBecause::UsedUp => WaitReason::Budget,
        NoPlaceBecause::Refused => WaitReason::Refused,
        NoPlaceBecause::Gap => WaitReason::Gap,
    }
}
