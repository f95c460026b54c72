//! How often one address may ask.
//!
//! Each address has a bucket that fills at a steady rate (the generic cell rate algorithm); of IPv6 a
//! whole /64, which is what one client has. Every answer tells what is left
//! (draft-ietf-httpapi-ratelimit-headers). Each process counts by itself: this keeps one client from
//! taking the service away from others, it is no quota to bill by.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};

use crate::forwarded::ClientAddress;
use crate::problem::{Code, Problem};

const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// After how many requests addresses that are full again are forgotten.
const SWEPT: u32 = 65_536;

/// How often one address may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// How many requests a second are sustained.
    pub per_second: NonZeroU32,
    /// How many may come at once.
    pub burst: NonZeroU32,
}

type Buckets =
    RateLimiter<IpAddr, DefaultKeyedStateStore<IpAddr>, DefaultClock, StateInformationMiddleware>;

/// The buckets of all addresses.
#[derive(Clone)]
pub(super) struct Limiter {
    buckets: Arc<Buckets>,
    limit: RateLimit,
    policy: HeaderValue,
    checked: Arc<AtomicU32>,
}

impl RateLimit {
    /// Nobody has asked yet.
    pub(super) fn start(self) -> Limiter {
        let quota = Quota::per_second(self.per_second).allow_burst(self.burst);
        let buckets = RateLimiter::keyed(quota).with_middleware::<StateInformationMiddleware>();
        let policy = format!("\"address\";q={};w={}", self.burst, self.refill(self.burst.get()));
        Limiter {
            buckets: Arc::new(buckets),
            limit: self,
            policy: HeaderValue::try_from(policy)
                .unwrap_or_else(|_| HeaderValue::from_static("\"address\"")),
            checked: Arc::default(),
        }
    }

    /// In how many whole seconds `requests` more are possible.
    const fn refill(self, requests: u32) -> u32 {
        requests.div_ceil(self.per_second.get())
    }
}

/// Lets the request through if its address has not asked too often.
pub(super) async fn limit(
    State(limiter): State<Limiter>,
    request: Request,
    next: Next,
) -> Response {
    let Some(ClientAddress(address)) = request.extensions().get().copied() else {
        // Over no socket: nobody from outside.
        return next.run(request).await;
    };
    let (mut response, left) = match limiter.check(address) {
        Ok(left) => (next.run(request).await, left),
        Err(wait) => {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            let detail = format!("Too many requests came from your address: wait {seconds} s.");
            let mut response = Problem::new(Code::TooManyRequests, detail).into_response();
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            (response, 0)
        }
    };
    let headers = response.headers_mut();
    headers.insert(RATELIMIT_POLICY, limiter.policy.clone());
    let used = limiter.limit.burst.get().saturating_sub(left);
    let state = format!("\"address\";r={left};t={}", limiter.limit.refill(used));
    if let Ok(state) = HeaderValue::try_from(state) {
        headers.insert(RATELIMIT, state);
    }
    response
}

impl Limiter {
    /// How many more requests `address` may send at once, or how long it must wait.
    fn check(&self, address: IpAddr) -> Result<u32, Duration> {
        if self.checked.fetch_add(1, Ordering::Relaxed) % SWEPT == SWEPT - 1 {
            self.buckets.retain_recent();
            self.buckets.shrink_to_fit();
        }
        match self.buckets.check_key(&client(address)) {
            Ok(state) => Ok(state.remaining_burst_capacity()),
            Err(not_until) => Err(not_until.wait_time_from(DefaultClock::default().now())),
        }
    }
}

/// What one client has: an IPv4 address, or an IPv6 network of 64 bits.
fn client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(network))
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(per_second: u32, burst: u32) -> Limiter {
        let (per_second, burst) = (per_second.try_into().unwrap(), burst.try_into().unwrap());
        RateLimit { per_second, burst }.start()
    }

    #[test]
    fn who_asks_too_often_waits_and_others_do_not() {
        // One in more than an hour: no test takes that long.
        let limiter = of(1, 4_000);
        let [one, other] = ["192.0.2.1", "192.0.2.2"].map(|address| address.parse().unwrap());
        let passed = (0..5_000).take_while(|_| limiter.check(one).is_ok()).count();
        assert!((4_000..4_500).contains(&passed), "{passed}");
        assert!(limiter.check(one).unwrap_err() <= Duration::from_secs(1));
        assert_eq!(limiter.check(other), Ok(3_999));
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let client = |address: &str| client(address.parse().unwrap());
        assert_eq!(client("2001:db8:1:2:3::4"), client("2001:db8:1:2:ffff::"));
        assert_ne!(client("2001:db8:1:2::"), client("2001:db8:1:3::"));
        assert_eq!(client("::ffff:192.0.2.1"), client("192.0.2.1"));
        assert_ne!(client("192.0.2.1"), client("192.0.2.2"));
    }

    #[test]
    fn the_policy_tells_burst_and_window() {
        assert_eq!(of(50, 120).policy, "\"address\";q=120;w=3");
    }
}
