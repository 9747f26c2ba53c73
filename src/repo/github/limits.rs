//! What an answer says of GitHub's limits.
//!
//! <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api>

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::StatusCode;

use super::pace::{Resource, Told};
use super::transport::Reply;

/// What the answer tells of the budgets, and whether it is a refusal for one of them.
pub(super) struct Limits {
    pub told: Option<Told>,
    pub refused: bool,
}

/// Reads an answer to a request of this budget.
pub(super) fn of(reply: &Reply, resource: Resource, now: SystemTime) -> Limits {
    let left = left(reply, resource, now);
    if !is_refusal(reply) {
        return Limits { told: left, refused: false };
    }
    let exhausted = left.filter(|left| matches!(left, Told::Left { remaining: 0, .. }));
    let after = retry_after(reply);
    let told = match (exhausted, after) {
        // Where both are said, the longer of them counts: the reset is at most an hour away.
        (Some(exhausted), None) => exhausted,
        (_, after) => Told::Refused { after },
    };
    Limits { told: Some(told), refused: true }
}

/// The budget is used up, in an answer that carries an error of its own: GraphQL answers 200 then.
pub(super) fn of_graphql_refusal(reply: &Reply, now: SystemTime) -> Told {
    match left(reply, Resource::GraphQl, now) {
        Some(Told::Left { resource, resets_in, .. }) => Told::Left { resource, remaining: 0, resets_in },
        Some(Told::Refused { .. }) | None => Told::Refused { after: retry_after(reply) },
    }
}

/// Whether GitHub refused for a limit and not for a lack of permission, which is 403 too.
fn is_refusal(reply: &Reply) -> bool {
    match reply.status {
        StatusCode::TOO_MANY_REQUESTS => true,
        StatusCode::FORBIDDEN => {
            retry_after(reply).is_some()
                || number(reply, "x-ratelimit-remaining") == Some(0)
                || String::from_utf8_lossy(&reply.body).contains("rate limit")
        }
        _ => false,
    }
}

fn left(reply: &Reply, resource: Resource, now: SystemTime) -> Option<Told> {
    // Some endpoints have budgets of their own (`search`, `integration_manifest`); none of them is used here.
    let named = reply.header("x-ratelimit-resource");
    let resource = match named {
        Some("core") => Resource::Rest,
        Some("graphql") => Resource::GraphQl,
        Some(_) => return None,
        None => resource,
    };
    let remaining = number(reply, "x-ratelimit-remaining")?;
    let resets_at = UNIX_EPOCH + Duration::from_secs(number(reply, "x-ratelimit-reset")?);
    Some(Told::Left { resource, remaining, resets_in: resets_at.duration_since(now).unwrap_or_default() })
}

/// Seconds, as GitHub writes it; a date, which proxies may write, counts as not said.
pub(super) fn retry_after(reply: &Reply) -> Option<Duration> {
    number(reply, "retry-after").map(Duration::from_secs)
}

fn number(reply: &Reply, name: &str) -> Option<u64> {
    reply.header(name)?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::github::transport::tests::reply;

    fn at(reply: &Reply) -> (Option<Told>, bool) {
        let limits = of(reply, Resource::Rest, UNIX_EPOCH + Duration::from_secs(1_000));
        (limits.told, limits.refused)
    }

    #[test]
    fn an_ordinary_answer_tells_what_is_left() {
        let headers =
            [("x-ratelimit-remaining", "4998"), ("x-ratelimit-reset", "1060"), ("x-ratelimit-resource", "core")];

        let told = Told::Left { resource: Resource::Rest, remaining: 4998, resets_in: Duration::from_secs(60) };
        assert_eq!(at(&reply(200, &headers, "{}")), (Some(told), false));
    }

    #[test]
    fn the_last_request_of_the_hour_is_no_refusal() {
        let headers = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1060")];

        assert!(!at(&reply(200, &headers, "{}")).1);
    }

    #[test]
    fn every_form_of_a_limit_is_told_from_a_lack_of_permission() {
        let empty = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1060")];
        let used_up = Told::Left { resource: Resource::Rest, remaining: 0, resets_in: Duration::from_secs(60) };
        let pause = |after: Option<u64>| Told::Refused { after: after.map(Duration::from_secs) };
        let secondary = r#"{"message":"You have exceeded a secondary rate limit. Please wait."}"#;

        assert_eq!(at(&reply(403, &empty, "{}")), (Some(used_up), true));
        assert_eq!(at(&reply(429, &empty, "{}")), (Some(used_up), true));
        assert_eq!(at(&reply(403, &[("retry-after", "30")], "{}")), (Some(pause(Some(30))), true));
        assert_eq!(at(&reply(403, &[], secondary)), (Some(pause(None)), true));
        assert_eq!(at(&reply(429, &[], "")), (Some(pause(None)), true));
        assert!(!at(&reply(403, &[], r#"{"message":"Resource not accessible by integration"}"#)).1);
    }
}
