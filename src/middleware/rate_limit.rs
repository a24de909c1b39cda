//! Rate limits for each client.
//!
//! A client is an API key or, without one, an address; for IPv6 its /64 network. A client on the
//! loopback interface that needs no key has no limit. A keyed hash maps clients to 65,536 slots, which
//! bounds memory. Two clients rarely share a slot, and neither can choose it.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash, RandomState},
    net::IpAddr,
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::StateInformationMiddleware,
    state::keyed::HashMapStateStore,
};
use poem::{
    Request, Response,
    http::{HeaderMap, HeaderName, HeaderValue, header},
};

use super::{Middleware, Next};
use crate::{
    config::ServerSettings,
    http::{ClientAddress, RequestError, drain_body},
    write::Caller,
};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STATE: HeaderName = HeaderName::from_static("ratelimit");

type Limiter = RateLimiter<u16, HashMapStateStore<u16>, DefaultClock, StateInformationMiddleware>;

/// Clones share the counters.
#[derive(Clone, Debug)]
pub(crate) struct RateLimit(Arc<Policies>);

#[derive(Debug)]
struct Policies {
    reads: Option<QuotaPolicy>,
    writes: Option<QuotaPolicy>,
    auth_failures: Option<QuotaPolicy>,
    /// The addresses, by their slots, beyond their limit of failures, and until when.
    suspects: Mutex<HashMap<u16, Instant>>,
    hasher: RandomState,
}

/// How many requests of one kind a client may send in a window.
#[derive(Debug)]
struct QuotaPolicy {
    name: &'static str,
    quota: NonZeroU32,
    window: Duration,
    limiter: Limiter,
}

/// A client's quota, in the fields of draft-ietf-httpapi-ratelimit-headers.
#[derive(Clone, Debug, PartialEq, Eq)]
struct RateLimitStatus {
    policy: String,
    state: String,
    /// Whole seconds to wait; only if the limit is exceeded.
    retry_after: Option<u64>,
}

impl QuotaPolicy {
    /// `None` for a quota of 0, which means no limit.
    fn new(name: &'static str, quota: u32, window: Duration) -> Option<Self> {
        let quota = NonZeroU32::new(quota)?;
        let burst = Quota::with_period(window / quota.get())?.allow_burst(quota);
        let limiter = Limiter::new(burst, HashMapStateStore::default(), DefaultClock::default());
        Some(Self {
            name,
            quota,
            window,
            limiter,
        })
    }

    /// Counts a request of the client in this slot.
    fn count(&self, slot: u16) -> RateLimitStatus {
        let (remaining, wait) = match self.limiter.check_key(&slot) {
            Ok(state) => (state.remaining_burst_capacity(), None),
            Err(not_until) => {
                let wait = not_until.wait_time_from(self.limiter.clock().now());
                (0, Some(whole_seconds(wait)))
            }
        };
        let Self { name, quota, .. } = self;
        let window = self.window.as_secs();
        RateLimitStatus {
            policy: format!("\"{name}\";q={quota};w={window}"),
            state: format!("\"{name}\";r={remaining};t={}", wait.unwrap_or(window)),
            retry_after: wait,
        }
    }
}

fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

impl RateLimitStatus {
    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let retry_after = self.retry_after.map(|seconds| seconds.to_string());
        for (name, value) in [
            (POLICY, Some(&self.policy)),
            (STATE, Some(&self.state)),
            (header::RETRY_AFTER, retry_after.as_ref()),
        ] {
            if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
                headers.insert(name, value);
            }
        }
        headers
    }

    /// # Errors
    /// The limit is exceeded.
    fn check(&self) -> Result<(), RequestError> {
        match self.retry_after {
            None => Ok(()),
            Some(_) => Err(RequestError::RateLimited {
                headers: self.headers(),
            }),
        }
    }
}

impl RateLimit {
    pub(crate) fn new(settings: &ServerSettings) -> Self {
        const SECOND: Duration = Duration::from_secs(1);
        const MINUTE: Duration = Duration::from_mins(1);
        Self(Arc::new(Policies {
            reads: QuotaPolicy::new("reads", settings.rate_limit_reads, SECOND),
            writes: QuotaPolicy::new("writes", settings.rate_limit_writes, SECOND),
            auth_failures: QuotaPolicy::new(
                "auth-failures",
                settings.rate_limit_auth_failures,
                MINUTE,
            ),
            suspects: Mutex::default(),
            hasher: RandomState::new(),
        }))
    }

    /// Counts a failed authentication for the client's address.
    ///
    /// # Errors
    /// Too many have failed from there.
    pub(super) fn count_auth_failure(&self, request: &Request) -> Result<(), RequestError> {
        let (Some(policy), Some(address)) = (&self.0.auth_failures, address_of(request)) else {
            return Ok(());
        };
        let slot = self.slot(network_of(address));
        let status = policy.count(slot);
        if status.retry_after.is_some() {
            let until = Instant::now() + policy.window;
            self.lock_suspects().insert(slot, until);
        }
        status.check()
    }

    /// Whether the client's address was beyond its limit of failed authentications within the last window.
    pub(super) fn is_suspect(&self, request: &Request) -> bool {
        let Some(address) = address_of(request) else {
            return false;
        };
        let slot = self.slot(network_of(address));
        let mut suspects = self.lock_suspects();
        let is_suspect = suspects
            .get(&slot)
            .is_some_and(|until| Instant::now() < *until);
        if !is_suspect {
            suspects.remove(&slot);
        }
        is_suspect
    }

    fn lock_suspects(&self) -> MutexGuard<'_, HashMap<u16, Instant>> {
        let suspects = self.0.suspects.lock();
        suspects.unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request; `None` if it has no limit.
    fn count(&self, request: &Request) -> Option<RateLimitStatus> {
        let policy = if request.method().is_safe() {
            self.0.reads.as_ref()?
        } else {
            self.0.writes.as_ref()?
        };
        // Requests for public operations have no caller.
        let slot = match request.data::<Caller>()? {
            Caller::Key(id) => self.slot(("key", id)),
            Caller::Anyone => {
                let address = address_of(request).filter(|address| !address.is_loopback())?;
                self.slot(network_of(address))
            }
        };
        Some(policy.count(slot))
    }

    fn slot(&self, client: impl Hash) -> u16 {
        slot_of(&self.0.hasher, client)
    }
}

fn slot_of(hasher: &RandomState, client: impl Hash) -> u16 {
    let [first, second, ..] = hasher.hash_one(client).to_le_bytes();
    u16::from_le_bytes([first, second])
}

fn address_of(request: &Request) -> Option<IpAddr> {
    let ClientAddress(address) = request.data()?;
    Some(*address)
}

/// The part of an address that a client can't change at will.
fn network_of(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(address) => u64::from(address.to_bits()),
        IpAddr::V6(address) => (address.to_bits() >> 64).try_into().unwrap_or(u64::MAX),
    }
}

impl Middleware for RateLimit {
    async fn call(
        &self,
        mut request: Box<Request>,
        next: &Arc<impl Next>,
    ) -> poem::Result<Response> {
        let Some(status) = self.count(&request) else {
            return next.call(request).await;
        };
        if let Err(exceeded) = status.check() {
            drain_body(&mut request).await;
            return Err(exceeded.into());
        }
        let mut response = next.call(request).await?;
        response.headers_mut().extend(status.headers());
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_a_minute() -> QuotaPolicy {
        QuotaPolicy::new("reads", 2, Duration::from_mins(1)).expect("a policy")
    }

    #[test]
    fn a_client_learns_its_remaining_quota_and_when_to_retry() {
        let policy = two_a_minute();
        let statuses: Vec<RateLimitStatus> = (0..3).map(|_| policy.count(7)).collect();
        let states: Vec<&str> = statuses.iter().map(|it| it.state.as_str()).collect();
        assert_eq!(
            states,
            [
                "\"reads\";r=1;t=60",
                "\"reads\";r=0;t=60",
                "\"reads\";r=0;t=30"
            ]
        );
        assert_eq!(statuses[2].retry_after, Some(30));
        assert_eq!(statuses[0].policy, "\"reads\";q=2;w=60");
        assert_eq!(policy.count(8).retry_after, None, "another client");
    }

    #[test]
    fn memory_is_bounded_for_any_number_of_clients() {
        let policy = two_a_minute();
        let hasher = RandomState::new();
        for client in 0..300_000_u32 {
            policy.count(slot_of(&hasher, client));
        }
        assert!(policy.limiter.len() <= 1 << 16, "{}", policy.limiter.len());
    }

    #[test]
    fn the_addresses_of_one_network_are_one_client() {
        let network =
            |text: &str| network_of(text.parse::<IpAddr>().expect("an address").to_canonical());
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff::2"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_eq!(network("::ffff:10.0.0.1"), network("10.0.0.1"));
        assert_ne!(network("10.0.0.1"), network("10.0.0.2"));
    }

    #[test]
    fn zero_requests_is_no_limit() {
        assert!(QuotaPolicy::new("reads", 0, Duration::from_secs(1)).is_none());
    }
}
