//! How often one address may call: a bucket of permits for each, filled at a steady rate.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often one address may call before it has to wait; `None` is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RateLimits {
    /// A burst may hold ten times as many.
    pub api_per_second: Option<NonZeroU32>,
    /// Webhooks whose signature or body was no good; those that are accepted cost nothing.
    pub refused_webhooks_per_minute: Option<NonZeroU32>,
}

impl RateLimits {
    /// Buckets for calls of the API.
    pub(super) fn api(&self) -> Option<Buckets> {
        let per_second = f64::from(self.api_per_second?.get());
        Some(Buckets::new(per_second, per_second * 10.0))
    }

    /// Buckets for refused webhooks.
    pub(super) fn webhooks(&self) -> Option<Buckets> {
        let per_minute = f64::from(self.refused_webhooks_per_minute?.get());
        Some(Buckets::new(per_minute / 60.0, per_minute))
    }
}

/// Addresses that are told apart; the others share one bucket, so that memory is bounded.
const MOST: usize = 10_000;

/// A bucket for each address.
pub(super) struct Buckets {
    per_second: f64,
    most: f64,
    buckets: Mutex<HashMap<IpAddr, Bucket>>,
}

#[derive(Clone, Copy)]
struct Bucket {
    permits: f64,
    at: Instant,
}

impl Buckets {
    fn new(per_second: f64, most: f64) -> Self {
        Self { per_second, most, buckets: Mutex::default() }
    }

    /// Takes permits, into debt of one call at most; or says how long to wait when none is left.
    ///
    /// A cost of 0 only asks whether there is one.
    pub(super) fn take(&self, address: IpAddr, cost: f64, now: Instant) -> Result<(), Duration> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let key = self.key_of(address, &mut buckets, now);
        let known = buckets.get(&key).copied().unwrap_or(Bucket { permits: self.most, at: now });
        let permits = self.permits_of(&known, now);
        if permits < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - permits) / self.per_second));
        }
        if cost > 0.0 {
            buckets.insert(key, Bucket { permits: permits - cost, at: now });
        }
        Ok(())
    }

    fn permits_of(&self, bucket: &Bucket, now: Instant) -> f64 {
        let filled = now.saturating_duration_since(bucket.at).as_secs_f64() * self.per_second;
        (bucket.permits + filled).min(self.most)
    }

    /// The key of an address's own bucket, or of the shared one when there are too many.
    fn key_of(&self, address: IpAddr, buckets: &mut HashMap<IpAddr, Bucket>, now: Instant) -> IpAddr {
        const SHARED: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        let own = network_of(address);
        if buckets.contains_key(&own) || buckets.len() < MOST {
            return own;
        }
        buckets.retain(|_, bucket| self.permits_of(bucket, now) < self.most);
        if buckets.len() < MOST { own } else { SHARED }
    }
}

/// One customer has a whole /64 of IPv6.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u32) -> IpAddr {
        IpAddr::V4(std::net::Ipv4Addr::from_bits(0x0a00_0000 + last))
    }

    fn api(per_second: u32) -> Buckets {
        RateLimits { api_per_second: NonZeroU32::new(per_second), ..RateLimits::default() }.api().unwrap()
    }

    #[test]
    fn a_burst_is_let_through_then_the_steady_rate() {
        let (buckets, start) = (api(2), Instant::now());
        for n in 0..20 {
            assert_eq!(buckets.take(address(1), 1.0, start), Ok(()), "{n}");
        }

        let wait = buckets.take(address(1), 1.0, start).unwrap_err();

        assert_eq!(wait, Duration::from_millis(500));
        assert_eq!(buckets.take(address(2), 1.0, start), Ok(()), "others are not concerned");
        assert_eq!(buckets.take(address(1), 1.0, start + wait), Ok(()));
        assert!(buckets.take(address(1), 1.0, start + wait).is_err());
    }

    #[test]
    fn asking_costs_nothing() {
        let (buckets, start) = (api(1), Instant::now());
        for _ in 0..100 {
            assert_eq!(buckets.take(address(1), 0.0, start), Ok(()));
        }
        assert!(buckets.buckets.lock().unwrap().is_empty());
    }

    #[test]
    fn addresses_beyond_the_bound_share_a_bucket_until_others_have_rested() {
        let (buckets, start) = (api(1), Instant::now());
        for n in 0..MOST as u32 + 1_000 {
            let _ = buckets.take(address(n), 1.0, start);
        }
        assert_eq!(buckets.buckets.lock().unwrap().len(), MOST + 1);
        assert!(buckets.take(address(1_000_000), 1.0, start).is_err(), "the shared bucket is empty");

        let rested = start + Duration::from_secs(60);
        assert_eq!(buckets.take(address(1_000_000), 1.0, rested), Ok(()));
        assert_eq!(buckets.buckets.lock().unwrap().len(), 1);
    }

    #[test]
    fn one_network_of_ipv6_is_one_caller() {
        let (buckets, start) = (api(1), Instant::now());
        for n in 0..10_u128 {
            let address = IpAddr::V6(Ipv6Addr::from_bits((0x2001_0db8 << 96) + n));
            assert_eq!(buckets.take(address, 1.0, start), Ok(()));
        }

        assert!(buckets.take("2001:db8::ffff".parse().unwrap(), 1.0, start).is_err());
        assert_eq!(buckets.take("2001:db8:0:1::1".parse().unwrap(), 1.0, start), Ok(()));
    }
}
