//! Budgets and the secondary limit.

use serde_json::json;

use super::access::{Budget, Kind};
use super::reply::{Body, Reply};
use super::routes::Route;
use super::server::Asked;
use super::world::World;

/// Length of the window of the secondary limit on creating content, in seconds.
const CREATING_WINDOW: i64 = 60;

impl World {
    /// Takes one request from the token's budget, or refuses.
    pub fn charge(&mut self, asked: &Asked) -> Result<(), Box<Reply>> {
        let now = self.now();
        let (graphql, route) = (asked.document.is_some(), asked.found.route);
        if let Some(budget) = self.budget(asked).filter(|_| route != Route::GetRateLimit) {
            budget.roll(now);
            if budget.remaining() == 0 {
                budget.used += u64::from(!graphql);
                let reply = self.exhausted(asked);
                let reply = self.dress(asked, reply);
                return Err(Box::new(reply));
            }
            budget.used += 1;
        }
        while self.created.front().is_some_and(|at| at + CREATING_WINDOW <= now) {
            self.created.pop_front();
        }
        if let Some(limit) = self.limits.creating.filter(|_| route.writes()) {
            if self.created.len() >= limit {
                let wait = self.created.front().map_or(CREATING_WINDOW, |at| at + CREATING_WINDOW - now);
                let reply = too_much(403, asked, Some(wait.cast_unsigned()));
                return Err(Box::new(self.dress(asked, reply)));
            }
            self.created.push_back(now);
        }
        Ok(())
    }

    pub fn budget(&mut self, asked: &Asked) -> Option<&mut Budget> {
        let budgets = &mut self.tokens.get_mut(&asked.token)?.budgets;
        Some(if asked.document.is_some() { &mut budgets.graphql } else { &mut budgets.core })
    }

    fn exhausted(&self, asked: &Asked) -> Reply {
        let who = match self.token(asked).kind {
            Kind::Personal => format!("user ID {}", asked.login.len()),
            Kind::Installation { id, .. } => format!("installation ID {id}"),
        };
        let words = format!("API rate limit exceeded for {who}.");
        match asked.document.is_some() {
            true => Reply::ok(json!({"errors": [{"type": "RATE_LIMITED", "message": words}]})),
            false => Reply::refused(403, &words),
        }
    }

    /// Uses up the budget of the request's token.
    pub fn exhaust(&mut self, asked: &Asked, reset_after: u64) -> Reply {
        let reset = self.now() + reset_after.cast_signed();
        if let Some(budget) = self.budget(asked) {
            budget.used = budget.limit;
            budget.reset = reset;
        }
        self.exhausted(asked)
    }

    /// As a token is refused that lacks a permission.
    pub fn forbidden(&self, asked: &Asked) -> Reply {
        let words = format!("Resource not accessible by {}", self.token(asked).described());
        match asked.document.is_some() {
            true => Reply::ok(json!({"data": null, "errors": [{"type": "FORBIDDEN", "message": words}]})),
            false => Reply::refused(403, &words),
        }
    }
}

/// The secondary limit.
pub(super) fn too_much(status: u16, asked: &Asked, retry_after: Option<u64>) -> Reply {
    let words = format!(
        "You have exceeded a secondary rate limit. Please wait a few minutes before you try again. If you reach out to \
         GitHub Support for help, please include the request ID {}.",
        asked.request_id
    );
    let mut reply = Reply::refused(status, &words);
    if let Body::Json(body) = &mut reply.body {
        let page = "rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits";
        body["documentation_url"] = json!(format!("https://docs.github.com/{page}"));
    }
    match retry_after {
        Some(seconds) => reply.with("Retry-After", seconds),
        None => reply,
    }
}
