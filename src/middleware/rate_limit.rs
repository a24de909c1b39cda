//! How often one caller may ask.
//!
//! A caller is an API key or, where none was needed, an address; of IPv6, the network of 64 bits that
//! one site has. Whoever is on this machine and needs no key has no limit. Callers are told apart by
//! a keyed hash of 16 bits, so that memory is bounded however many there are; that two of them share
//! a place is rare, and nobody can choose with whom.

use std::{
    hash::{BuildHasher, Hash, RandomState},
    net::IpAddr,
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};

use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::StateInformationMiddleware,
    state::keyed::HashMapStateStore,
};
use poem::{
    Addr, Endpoint, IntoResponse, Middleware, Request, Response,
    http::{HeaderMap, HeaderName, HeaderValue, header},
};

use crate::{
    config::ServerSettings,
    http::{RequestError, read_away},
    write::Caller,
};

pub(crate) const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
pub(crate) const STATE: HeaderName = HeaderName::from_static("ratelimit");

type Limiter = RateLimiter<u16, HashMapStateStore<u16>, DefaultClock, StateInformationMiddleware>;

/// What callers may do, and what they have done. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct RateLimit(Arc<Tiers>);

#[derive(Debug)]
struct Tiers {
    reads: Option<Tier>,
    writes: Option<Tier>,
    failures: Option<Tier>,
    places: RandomState,
}

/// So many requests of one kind in so much time.
#[derive(Debug)]
struct Tier {
    name: &'static str,
    requests: NonZeroU32,
    window: Duration,
    limiter: Limiter,
}

/// Where a caller stands, in the fields of the IETF's draft on rate limits
/// (draft-ietf-httpapi-ratelimit-headers).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    policy: String,
    state: String,
    /// Whole seconds after which to ask again, where this was too often.
    retry_after: Option<u64>,
}

impl Tier {
    /// `None` where there is no limit.
    fn new(name: &'static str, requests: u32, window: Duration) -> Option<Self> {
        let requests = NonZeroU32::new(requests)?;
        let quota = Quota::with_period(window / requests.get())?.allow_burst(requests);
        let limiter = Limiter::new(quota, HashMapStateStore::default(), DefaultClock::default());
        Some(Self {
            name,
            requests,
            window,
            limiter,
        })
    }

    fn count(&self, place: u16) -> Standing {
        let (remaining, wait) = match self.limiter.check_key(&place) {
            Ok(state) => (state.remaining_burst_capacity(), None),
            Err(not_until) => {
                let wait = not_until.wait_time_from(self.limiter.clock().now());
                (0, Some(whole_seconds(wait)))
            }
        };
        let Self {
            name,
            requests,
            window,
            ..
        } = self;
        let window = window.as_secs();
        Standing {
            policy: format!("\"{name}\";q={requests};w={window}"),
            state: format!("\"{name}\";r={remaining};t={}", wait.unwrap_or(window)),
            retry_after: wait,
        }
    }
}

fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

impl Standing {
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
}

impl RateLimit {
    pub(crate) fn new(settings: &ServerSettings) -> Self {
        const SECOND: Duration = Duration::from_secs(1);
        const MINUTE: Duration = Duration::from_mins(1);
        Self(Arc::new(Tiers {
            reads: Tier::new("reads", settings.rate_reads, SECOND),
            writes: Tier::new("writes", settings.rate_writes, SECOND),
            failures: Tier::new("auth-failures", settings.rate_auth_failures, MINUTE),
            places: RandomState::new(),
        }))
    }

    /// Counts an authentication that failed, for the address that it came from.
    ///
    /// # Errors
    /// Too many have failed from there.
    pub(crate) fn fail(&self, request: &Request) -> Result<(), RequestError> {
        let (Some(tier), Some(address)) = (&self.0.failures, address_of(request)) else {
            return Ok(());
        };
        let standing = tier.count(self.place_of(site(address)));
        match standing.retry_after {
            None => Ok(()),
            Some(_) => Err(RequestError::RateLimited {
                headers: standing.headers(),
            }),
        }
    }

    /// Counts a request; `None` where it has no limit.
    fn count(&self, request: &Request) -> Option<Standing> {
        let tier = if request.method().is_safe() {
            self.0.reads.as_ref()?
        } else {
            self.0.writes.as_ref()?
        };
        // Nobody is asking where the operation is open to all.
        let place = match request.data::<Caller>()? {
            Caller::Key(id) => self.place_of(("key", id)),
            Caller::Anyone => {
                let address = address_of(request).filter(|address| !address.is_loopback())?;
                self.place_of(site(address))
            }
        };
        Some(tier.count(place))
    }

    fn place_of(&self, caller: impl Hash) -> u16 {
        let [first, second, ..] = self.0.places.hash_one(caller).to_le_bytes();
        u16::from_le_bytes([first, second])
    }
}

fn address_of(request: &Request) -> Option<IpAddr> {
    match &request.remote_addr().0 {
        Addr::SocketAddr(address) => Some(address.ip().to_canonical()),
        _ => None,
    }
}

/// What of an address one site can't change at will.
fn site(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(address) => u64::from(address.to_bits()),
        IpAddr::V6(address) => (address.to_bits() >> 64).try_into().unwrap_or(u64::MAX),
    }
}

impl<E: Endpoint> Middleware<E> for RateLimit {
    type Output = RateLimitEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        RateLimitEndpoint {
            inner,
            limits: self.clone(),
        }
    }
}

pub(crate) struct RateLimitEndpoint<E> {
    inner: E,
    limits: RateLimit,
}

impl<E: Endpoint> Endpoint for RateLimitEndpoint<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let standing = self.limits.count(&request);
        match standing {
            Some(standing) if standing.retry_after.is_some() => {
                read_away(&mut request).await;
                Err(RequestError::RateLimited {
                    headers: standing.headers(),
                }
                .into())
            }
            standing => {
                let mut response = self.inner.call(request).await?.into_response();
                if let Some(standing) = standing {
                    response.headers_mut().extend(standing.headers());
                }
                Ok(response)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tier(requests: u32) -> Tier {
        Tier::new("reads", requests, Duration::from_mins(1)).expect("a limit")
    }

    #[test]
    fn a_caller_hears_where_it_stands_and_when_to_come_again() {
        let tier = tier(2);
        let standings: Vec<Standing> = (0..3).map(|_| tier.count(7)).collect();
        let states: Vec<&str> = standings.iter().map(|it| it.state.as_str()).collect();
        assert_eq!(
            states,
            [
                "\"reads\";r=1;t=60",
                "\"reads\";r=0;t=60",
                "\"reads\";r=0;t=30"
            ]
        );
        assert_eq!(standings[2].retry_after, Some(30));
        assert_eq!(standings[0].policy, "\"reads\";q=2;w=60");
        assert_eq!(tier.count(8).retry_after, None, "another caller");
    }

    #[test]
    fn memory_is_bounded_however_many_callers_there_are() {
        let tier = tier(10);
        let places = RandomState::new();
        for caller in 0..300_000_u32 {
            let [first, second, ..] = places.hash_one(caller).to_le_bytes();
            tier.count(u16::from_le_bytes([first, second]));
        }
        assert!(tier.limiter.len() <= 1 << 16, "{}", tier.limiter.len());
    }

    #[test]
    fn the_addresses_of_one_site_are_one_caller() {
        let site = |text: &str| site(text.parse::<IpAddr>().expect("an address").to_canonical());
        assert_eq!(site("2001:db8:1:2::1"), site("2001:db8:1:2:ffff::2"));
        assert_ne!(site("2001:db8:1:2::1"), site("2001:db8:1:3::1"));
        assert_eq!(site("::ffff:10.0.0.1"), site("10.0.0.1"));
        assert_ne!(site("10.0.0.1"), site("10.0.0.2"));
    }

    #[test]
    fn no_requests_a_second_is_no_limit() {
        assert!(Tier::new("reads", 0, Duration::from_secs(1)).is_none());
    }
}
