//! Authentication by API key, and authorization by the key's scopes.
//!
//! A key's token is sent as `Authorization: Bearer …`. As long as no key exists and the service
//! listens on the loopback interface only, none is needed: trying it out takes no setup. The first key
//! ends that.
//!
//! It knows of keys what `keys::Keyring` answers, and nothing of resources. Start with
//! `Auth::authorize`; who may call which operation is in `middleware/access.rs`.

mod allowed_hosts;
mod proxies;

use std::{sync::Arc, time::Duration};

use entity::values::{Scope, ScopeList};
use poem::{Request, Response, http::header};
use tokio::{sync::Semaphore, time::timeout};

use self::allowed_hosts::AllowedHosts;
use super::{ApiOperation, Middleware, Next, RateLimit, access::Access, timeout::with_timeout};
use crate::{
    config::ServerSettings,
    database::Database,
    error::Error,
    http::{RequestError, drain_body},
    keys::Keyring,
    write::Caller,
};

#[derive(Debug)]
pub(crate) struct Auth {
    keyring: Keyring,
    keyless_access: KeylessAccess,
    rate_limit: RateLimit,
    lookup_timeout: Duration,
    lookup_permits: Semaphore,
    suspect_permits: Semaphore,
    statistics_permit: Arc<Semaphore>,
}

/// How long a request for statistics waits to learn whether keys exist.
const STATISTICS_LOOKUP_TIMEOUT: Duration = Duration::from_millis(250);

/// How many lookups run at once for all addresses from which too many have failed. They wait for each
/// other, so that what guesses keys takes no connections from those that have one.
const MAX_SUSPECT_LOOKUPS: usize = 2;

/// What callers without a key may do as long as no key exists.
#[derive(Debug)]
enum KeylessAccess {
    /// Nothing: other machines can reach the service, or keys are required.
    Denied,
    /// Everything, if the request comes from this machine and names one of these hosts.
    OnThisMachine {
        hosts: AllowedHosts,
        allow_proxies: bool,
    },
    /// Everything: the operator has chosen `--insecure`.
    Unrestricted,
}

impl Auth {
    pub(crate) fn new(settings: &ServerSettings, keyring: Keyring, rate_limit: RateLimit) -> Self {
        let keyless_access = if settings.require_key {
            KeylessAccess::Denied
        } else if settings.is_loopback() {
            KeylessAccess::OnThisMachine {
                hosts: AllowedHosts::new(&settings.allowed_host, &settings.cors_origin),
                allow_proxies: settings.insecure,
            }
        } else if settings.insecure {
            KeylessAccess::Unrestricted
        } else {
            KeylessAccess::Denied
        };
        Self {
            keyring,
            keyless_access,
            rate_limit,
            lookup_timeout: settings.request_timeout,
            lookup_permits: Semaphore::new(settings.max_concurrent_requests),
            suspect_permits: Semaphore::new(MAX_SUSPECT_LOOKUPS),
            statistics_permit: Arc::new(Semaphore::new(1)),
        }
    }

    /// The caller, and what it may do; `None` if the operation is public.
    async fn authorize(&self, request: &Request) -> poem::Result<Option<(Caller, ScopeList)>> {
        let access = ApiOperation::of(request)?.access;
        if access == Access::Public {
            return Ok(None);
        }
        let database = request
            .data::<Database>()
            .ok_or(RequestError::Unauthenticated)?;
        match BearerToken::of(request) {
            BearerToken::Missing
                if access == Access::Statistics && self.shows_statistics(database).await =>
            {
                Ok(None)
            }
            BearerToken::Missing if access == Access::Statistics => {
                Err(RequestError::Unauthenticated.into())
            }
            BearerToken::Missing if self.allows_keyless(request, database).await? => {
                Ok(Some((Caller::Anyone, ScopeList(vec![Scope::Admin]))))
            }
            BearerToken::Missing => Err(RequestError::Unauthenticated.into()),
            BearerToken::Malformed => Err(RequestError::InvalidToken.into()),
            BearerToken::Present(token) => {
                let is_suspect = self.rate_limit.is_suspect(request);
                let key = self.authorize_key(database, token, access.scope(), is_suspect);
                key.await.map(Some)
            }
        }
    }

    async fn allows_keyless(&self, request: &Request, database: &Database) -> poem::Result<bool> {
        if matches!(self.keyless_access, KeylessAccess::Denied) {
            return Ok(false);
        }
        let no_key_exists = self.keyring.is_empty(database);
        if !self.look_up(database, no_key_exists).await? {
            return Ok(false);
        }
        if let KeylessAccess::OnThisMachine {
            hosts,
            allow_proxies,
        } = &self.keyless_access
        {
            hosts.check(request)?;
            if !allow_proxies {
                proxies::check(request)?;
            }
        }
        Ok(true)
    }

    /// Whether callers without a key see statistics: as long as no key is known to exist. The lookup runs in
    /// a task of its own, one at a time, so that a database that is slow or down delays nothing.
    async fn shows_statistics(&self, database: &Database) -> bool {
        if matches!(self.keyless_access, KeylessAccess::Denied) || self.keyring.knows_keys() {
            return false;
        }
        if let Ok(permit) = Arc::clone(&self.statistics_permit).try_acquire_owned() {
            let (keyring, database) = (self.keyring.clone(), database.clone());
            let lookup = tokio::spawn(async move {
                let _ = keyring.is_empty(&database).await;
                drop(permit);
            });
            let _ = timeout(STATISTICS_LOOKUP_TIMEOUT, lookup).await;
        }
        !self.keyring.knows_keys()
    }

    async fn authorize_key(
        &self,
        database: &Database,
        token: &str,
        scope: Option<Scope>,
        is_suspect: bool,
    ) -> poem::Result<(Caller, ScopeList)> {
        let find_key = self.keyring.open(database, token);
        let key = if is_suspect {
            self.look_up_suspect(database, find_key).await?
        } else {
            self.look_up(database, find_key).await?
        };
        let Some(key) = key else {
            return Err(RequestError::InvalidToken.into());
        };
        tracing::Span::current().record("key", key.id);
        match scope {
            Some(scope) if !key.scopes.include(scope) => Err(Error::Forbidden(scope).into()),
            _ => Ok((Caller::Key(key.id), key.scopes)),
        }
    }

    /// Runs a query of the keyring. Authentication comes before the limits that an operation has, so
    /// it has the same limits of its own: concurrent requests and a timeout.
    async fn look_up<T>(
        &self,
        database: &Database,
        query: impl Future<Output = Result<T, Error>>,
    ) -> poem::Result<T> {
        let permit = self.lookup_permits.try_acquire();
        let _permit = permit.map_err(|_| Error::Overloaded)?;
        with_timeout(self.lookup_timeout, Some(database), query).await
    }

    /// The same for an address from which too many have failed: it waits for one of the few permits.
    async fn look_up_suspect<T>(
        &self,
        database: &Database,
        query: impl Future<Output = Result<T, Error>>,
    ) -> poem::Result<T> {
        let permit = timeout(self.lookup_timeout, self.suspect_permits.acquire());
        let _permit = permit.await.map_err(|_| Error::Overloaded)?;
        self.look_up(database, query).await
    }
}

/// The token in a request's `Authorization` header.
enum BearerToken<'a> {
    /// No such header, or one of another scheme.
    Missing,
    Present(&'a str),
    /// More than one such header, or one that is not text.
    Malformed,
}

impl<'a> BearerToken<'a> {
    fn of(request: &'a Request) -> Self {
        let mut headers = request.headers().get_all(header::AUTHORIZATION).iter();
        let value = match (headers.next(), headers.next()) {
            (None, _) => return Self::Missing,
            (Some(value), None) => value.to_str(),
            (Some(_), Some(_)) => return Self::Malformed,
        };
        let Ok(text) = value else {
            return Self::Malformed;
        };
        match text.split_once(' ').unwrap_or((text, "")) {
            (scheme, token) if scheme.eq_ignore_ascii_case("bearer") => Self::Present(token.trim()),
            _ => Self::Missing,
        }
    }
}

impl Middleware for Auth {
    async fn call(
        &self,
        mut request: Box<Request>,
        next: &Arc<impl Next>,
    ) -> poem::Result<Response> {
        match self.authorize(&request).await {
            Ok(caller) => {
                if let Some((caller, scopes)) = caller {
                    request.set_data(caller);
                    request.set_data(scopes);
                }
                next.call(request).await
            }
            Err(error) => {
                drain_body(&mut request).await;
                // Only failures count, and only after the lookup: a valid token always passes, no
                // matter how many failures came from the same address.
                if let Some(RequestError::InvalidToken) = error.downcast_ref() {
                    self.rate_limit.count_auth_failure(&request)?;
                }
                Err(error)
            }
        }
    }
}
