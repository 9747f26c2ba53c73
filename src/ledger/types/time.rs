//! When things happen, by the ledger's own clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970 by the ledger's clock, which is Redis's: all replicas share it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(pub u64);

impl Millis {
    /// 9999-12-31T23:59:59.999Z, the last one that RFC 3339 can write.
    pub const LAST: u64 = 253_402_300_799_999;

    /// A time since 1970; whole milliseconds.
    pub fn of(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// The same as a time of the system; 9999 at the latest.
    pub fn time(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.0.min(Self::LAST))
    }

    /// RFC 3339 in UTC with milliseconds, for example `2026-11-21T04:48:50.238Z`.
    pub fn rfc3339(self) -> String {
        humantime::format_rfc3339_millis(self.time()).to_string()
    }
}

/// When a batch closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Debounce {
    pub quiet: Duration,
    pub max_wait: Duration,
    pub max_changes: u64,
}
