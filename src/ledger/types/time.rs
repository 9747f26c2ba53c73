//! When things happen, by the ledger's own clock.

use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970 by the ledger's clock, which is Redis's: all replicas share it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(pub u64);

impl Millis {
    /// 9999-12-31T23:59:59.999Z, the last one that RFC 3339 can write.
    pub const LAST: u64 = 253_402_300_799_999;

    /// RFC 3339 in UTC with milliseconds, for example `2026-11-21T04:48:50.238Z`.
    pub fn rfc3339(self) -> String {
        let at = UNIX_EPOCH + Duration::from_millis(self.0.min(Self::LAST));
        humantime::format_rfc3339_millis(at).to_string()
    }
}

/// When a batch closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Debounce {
    pub quiet: Duration,
    pub max_wait: Duration,
    pub max_changes: u64,
}
