//! When a token ends, which GitHub tells with every answer.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::pace::TokenName;
use super::transport::Reply;

/// A token with less time left is warned about.
const SOON: Duration = Duration::from_secs(7 * 86_400);
/// How often the same warning is written.
const WARN_EVERY: Duration = Duration::from_secs(86_400);

/// The end of the token that was last used, if it has one.
#[derive(Default)]
pub(super) struct Expiry {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    token: Option<TokenName>,
    at: Option<SystemTime>,
    warned: Option<SystemTime>,
}

impl Expiry {
    /// When the token in use ends; `None` when it does not end or was not used yet.
    pub fn at(&self) -> Option<SystemTime> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).at
    }

    /// Takes note of what an answer tells, and warns once a day when the end is near.
    pub fn learn(&self, token: &TokenName, reply: &Reply, remote: &str, now: SystemTime) {
        let Some(at) = reply.header("github-authentication-token-expiration").and_then(parse) else {
            self.forget_others(token);
            return;
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.token.as_ref() != Some(token) {
            *known = Known { token: Some(token.clone()), at: None, warned: None };
        }
        known.at = Some(at);
        let left = at.duration_since(now).unwrap_or_default();
        let warned_lately = known.warned.is_some_and(|then| now.duration_since(then).is_ok_and(|ago| ago < WARN_EVERY));
        if left < SOON && !warned_lately {
            known.warned = Some(now);
            tracing::warn!(
                repository = remote,
                expires = %humantime::format_rfc3339_seconds(at),
                days_left = left.as_secs() / 86_400,
                "The token for GitHub ends soon: make a new one and put it in the old one's place."
            );
        }
    }

    /// A new token that does not end makes the old one's end meaningless.
    fn forget_others(&self, token: &TokenName) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.token.as_ref().is_some_and(|other| other != token) {
            *known = Known::default();
        }
    }
}

/// `2027-01-31 12:34:56 UTC`, also with an offset such as `+0100`.
fn parse(text: &str) -> Option<SystemTime> {
    let mut words = text.split(' ');
    let (day, time, zone) = (words.next()?, words.next()?, words.next().unwrap_or("UTC"));
    let local = humantime::parse_rfc3339(&format!("{day}T{time}Z")).ok()?;
    let digits = |text: &str| text.parse::<u64>().ok();
    match (zone.split_at_checked(1), zone) {
        (_, "UTC" | "Z") => Some(local),
        (Some((sign @ ("+" | "-"), offset)), _) if offset.len() == 4 && offset.is_ascii() => {
            let offset = Duration::from_secs(digits(&offset[..2])? * 3_600 + digits(&offset[2..])? * 60);
            if sign == "+" { local.checked_sub(offset) } else { local.checked_add(offset) }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::github::transport;

    fn reply(expires: Option<&'static str>) -> Reply {
        let header = expires.map(|expires| ("github-authentication-token-expiration", expires));
        transport::tests::reply(200, header.as_slice(), "")
    }

    #[test]
    fn every_form_of_the_time_is_read() {
        let noon = humantime::parse_rfc3339("2027-01-31T12:00:00Z").unwrap();

        for text in ["2027-01-31 12:00:00 UTC", "2027-01-31 13:30:00 +0130", "2027-01-31 07:00:00 -0500"] {
            assert_eq!(parse(text), Some(noon), "{text}");
        }
        assert_eq!(parse("tomorrow"), None);
    }

    #[test]
    fn the_end_is_that_of_the_token_in_use() {
        let (expiry, now) = (Expiry::default(), SystemTime::UNIX_EPOCH);
        let (old, new) = (TokenName::new("old".to_owned()), TokenName::new("new".to_owned()));
        expiry.learn(&old, &reply(Some("2027-01-31 12:00:00 UTC")), "r", now);
        expiry.learn(&old, &reply(None), "r", now);
        assert!(expiry.at().is_some());

        expiry.learn(&new, &reply(None), "r", now);

        assert_eq!(expiry.at(), None);
    }
}
