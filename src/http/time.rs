//! Times at the edge: RFC 3339 in UTC.

use std::time::{Duration, UNIX_EPOCH};

use crate::ledger::types::Millis;

/// With milliseconds, for example `2026-11-21T04:48:50.238Z`.
pub(super) fn rfc3339(at: Millis) -> String {
    at.rfc3339()
}

/// Whole milliseconds of a duration.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Reads RFC 3339 with any offset, or milliseconds since 1970.
pub(super) fn parse(text: &str) -> Option<Millis> {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().ok().filter(|ms| *ms <= Millis::LAST).map(Millis);
    }
    let (local, offset) = split_offset(text)?;
    let at = humantime::parse_rfc3339(&format!("{local}Z")).ok()?;
    let at = i64::try_from(at.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()?;
    u64::try_from(at - offset * 60_000).ok().map(Millis)
}

/// The local time, and its offset from UTC in minutes.
fn split_offset(text: &str) -> Option<(&str, i64)> {
    if let Some(local) = text.strip_suffix(['Z', 'z']) {
        return Some((local, 0));
    }
    let at = text.len().checked_sub(6).filter(|at| text.is_char_boundary(*at))?;
    let (local, offset) = text.split_at(at);
    // A `+` that was not escaped in a query string has become a space.
    let sign = match offset.chars().next()? {
        '+' | ' ' => 1,
        '-' => -1,
        _ => return None,
    };
    let (hours, minutes) = offset[1..].split_once(':')?;
    let part = |text: &str, below: i64| text.parse::<u8>().ok().map(i64::from).filter(|n| *n < below);
    Some((local, sign * (part(hours, 24)? * 60 + part(minutes, 60)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_reads_back_what_it_shows() {
        let at = Millis(1_795_236_530_238);

        assert_eq!(rfc3339(at), "2026-11-21T04:48:50.238Z");
        assert_eq!(parse(&rfc3339(at)), Some(at));
        assert_eq!(parse("1795236530238"), Some(at));
        assert_eq!(parse("2026-11-21T06:18:50.238+01:30"), Some(at));
        assert_eq!(parse("2026-11-21T06:18:50.238 01:30"), Some(at));
        assert_eq!(parse("2026-11-20T23:48:50.238-05:00"), Some(at));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in
            ["", "yesterday", "2026-11-21", "2026-11-21T04:48:50", "2026-13-21T04:48:50Z", "-1", "1e9", "é+01:00"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_time_out_of_range_does_not_panic() {
        assert_eq!(rfc3339(Millis(u64::MAX)), "9999-12-31T23:59:59.999Z");
    }
}
