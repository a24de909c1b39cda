//! Who is asking, and whether they may.
//!
//! A caller shows an API key's token as `Authorization: Bearer …`. Where no key exists and only this
//! machine reaches the service, none is needed: trying it out takes no setup. The first key ends that.

mod hosts;
mod scopes;

use std::{sync::Arc, time::Duration};

use entity::values::Scope;
use poem::{Endpoint, IntoResponse, Middleware, Request, Response, http::header};
use tokio::{sync::Semaphore, time::timeout};

pub(crate) use scopes::{Access, access_to};

use super::{RateLimit, RequestValidation};
use crate::{
    config::ServerSettings,
    database::Database,
    error::Error,
    http::{RequestError, read_away},
    keys::Keyring,
    write::Caller,
};
use hosts::Hosts;

/// Lets through who may.
#[derive(Clone, Debug)]
pub(crate) struct Auth {
    contract: RequestValidation,
    keyring: Keyring,
    keyless: Keyless,
    limits: RateLimit,
    /// How long a caller is made to wait to be known.
    limit: Duration,
    /// For those who wait for that at once.
    places: Arc<Semaphore>,
}

/// What is done for callers without a key while there are none.
#[derive(Clone, Debug)]
enum Keyless {
    /// Nothing: others reach the service too.
    Refused,
    /// Everything, by the names that the service has on this machine.
    At(Hosts),
    /// Everything; the operator wants it so.
    Anywhere,
}

impl Auth {
    pub(crate) fn new(
        settings: &ServerSettings,
        keyring: Keyring,
        contract: RequestValidation,
        limits: RateLimit,
    ) -> Self {
        let keyless = if settings.is_loopback() {
            Keyless::At(Hosts::new(&settings.allowed_host))
        } else if settings.insecure {
            Keyless::Anywhere
        } else {
            Keyless::Refused
        };
        Self {
            contract,
            keyring,
            keyless,
            limits,
            limit: settings.request_timeout,
            places: Arc::new(Semaphore::new(settings.max_requests)),
        }
    }

    /// Who is asking; nobody in particular where the operation is open to all.
    async fn admit(&self, request: &Request) -> poem::Result<Option<Caller>> {
        let Access::Scope(scope) = self.contract.access_to(request) else {
            return Ok(None);
        };
        let database = request
            .data::<Database>()
            .ok_or(RequestError::Unauthenticated)?;
        match Credentials::of(request) {
            Credentials::None if self.needs_none(request, database).await? => {
                Ok(Some(Caller::Anyone))
            }
            Credentials::None => Err(RequestError::Unauthenticated.into()),
            Credentials::Unreadable => Err(RequestError::InvalidToken.into()),
            Credentials::Bearer(shown) => self.admit_key(database, shown, scope).await.map(Some),
        }
    }

    async fn needs_none(&self, request: &Request, database: &Database) -> poem::Result<bool> {
        if matches!(self.keyless, Keyless::Refused) {
            return Ok(false);
        }
        let is_empty = || self.keyring.is_empty(database);
        if !self.look_up(database, is_empty).await? {
            return Ok(false);
        }
        if let Keyless::At(hosts) = &self.keyless {
            hosts.admit(request)?;
        }
        Ok(true)
    }

    async fn admit_key(
        &self,
        database: &Database,
        shown: &str,
        scope: Scope,
    ) -> poem::Result<Caller> {
        let open = || self.keyring.open(database, shown);
        let Some(key) = self.look_up(database, open).await? else {
            return Err(RequestError::InvalidToken.into());
        };
        tracing::Span::current().record("key", key.id);
        if key.scopes.include(scope) {
            Ok(Caller::Key(key.id))
        } else {
            Err(RequestError::Forbidden { scope }.into())
        }
    }
}

impl Auth {
    /// Asks the database as an operation does, though this comes before the limits of those: within
    /// a number and a time, and again where the connection proved dead.
    async fn look_up<T, F>(&self, database: &Database, look: impl Fn() -> F) -> poem::Result<T>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let _place = self.places.try_acquire().map_err(|_| Error::Overloaded)?;
        let looking = async {
            match look().await {
                Err(Error::Unavailable(cause)) if database.proved_dead(&cause) => look().await,
                found => found,
            }
        };
        if let Ok(found) = timeout(self.limit, looking).await {
            return Ok(found?);
        }
        database.distrust_connections();
        Err(RequestError::TimedOut.into())
    }
}

/// What a request shows of its sender.
enum Credentials<'a> {
    None,
    Bearer(&'a str),
    /// More than one, or one that is no text.
    Unreadable,
}

impl<'a> Credentials<'a> {
    fn of(request: &'a Request) -> Self {
        let values = request.headers().get_all(header::AUTHORIZATION);
        let mut shown = values.iter();
        let value = match (shown.next(), shown.next()) {
            (None, _) => return Self::None,
            (Some(value), None) => value.to_str(),
            (Some(_), Some(_)) => return Self::Unreadable,
        };
        let Ok(text) = value else {
            return Self::Unreadable;
        };
        match text.split_once(' ').unwrap_or((text, "")) {
            (scheme, token) if scheme.eq_ignore_ascii_case("bearer") => Self::Bearer(token.trim()),
            _ => Self::None,
        }
    }
}

impl<E: Endpoint> Middleware<E> for Auth {
    type Output = AuthEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        AuthEndpoint {
            inner,
            auth: self.clone(),
        }
    }
}

pub(crate) struct AuthEndpoint<E> {
    inner: E,
    auth: Auth,
}

impl<E: Endpoint> Endpoint for AuthEndpoint<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        match self.auth.admit(&request).await {
            Ok(caller) => {
                if let Some(caller) = caller {
                    request.set_data(caller);
                }
                self.inner
                    .call(request)
                    .await
                    .map(IntoResponse::into_response)
            }
            Err(refused) => {
                read_away(&mut request).await;
                // Counted where it failed, and after that: a good token passes, whoever else is
                // behind the same address.
                if let Some(RequestError::InvalidToken) = refused.downcast_ref() {
                    self.auth.limits.fail(&request)?;
                }
                Err(refused)
            }
        }
    }
}
