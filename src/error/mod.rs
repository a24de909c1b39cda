//! The service's errors. `database::errors` says which one a database error becomes.
//!
//! Nothing here knows of HTTP: `http::problem` is the one place that maps an [`Error`] to a response.

mod field;
mod place;

use std::fmt;

use entity::values::Scope;
use sea_orm::DbErr;

pub use field::{FieldError, FieldErrors};
pub(crate) use place::Place;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no {resource} {key}")]
    NotFound { resource: &'static str, key: String },
    /// The request is valid, but conflicts with what is stored.
    #[error("{detail}")]
    Conflict { code: &'static str, detail: String },
    /// The resource no longer has the ETag that the request names.
    #[error("it has been changed since")]
    PreconditionFailed,
    /// The feed of changes can't be continued from this cursor without a gap.
    #[error("the feed of changes does not go back to this cursor")]
    CursorExpired,
    /// A unique index is violated, and no call of [`OnConstraint::on_unique`] said what that means. Only
    /// PostgreSQL tells which.
    #[error("a unique index is violated: {cause}")]
    Unique { index: Option<String>, cause: DbErr },
    /// A foreign key is violated, and no call of [`OnConstraint::on_foreign_key`] said what that means.
    #[error("a foreign key is violated: {0}")]
    ForeignKey(DbErr),
    /// The response would be larger than a response that is not streamed may be.
    #[error("the response would be too large")]
    ResponseTooLarge,
    /// The caller lacks a scope that this change needs.
    #[error("the API key lacks the scope {0}")]
    Forbidden(Scope),
    /// The request has invalid fields.
    #[error("{0}")]
    Invalid(FieldErrors),
    /// An all-or-nothing batch failed, for these reasons.
    #[error("{0}")]
    BatchFailed(FieldErrors),
    /// The service is starting, and what it waits for.
    #[error("{0}")]
    Starting(&'static str),
    #[error("the service has been told to stop")]
    Draining,
    #[error("the database's schema is not the one this build knows")]
    SchemaNotCurrent,
    /// More concurrent requests than the service accepts.
    #[error("too many concurrent requests")]
    Overloaded,
    /// More open event streams than the service accepts.
    #[error("too many event streams")]
    TooManyStreams,
    /// No connection became free within the acquire timeout.
    #[error("no database connection within the timeout: {0}")]
    PoolExhausted(DbErr),
    /// The database aborted the transaction because of a concurrent one. Retrying may succeed at once.
    #[error("aborted because of a concurrent transaction: {0}")]
    Contended(DbErr),
    /// A concurrent transaction held a lock for longer than the lock timeout. It has been waited for, so
    /// the request is not retried here.
    #[error("locked by a concurrent transaction: {0}")]
    Locked(DbErr),
    /// A statement took longer than the statement timeout. The same request may never succeed.
    #[error("a statement was cancelled: {0}")]
    TooSlow(DbErr),
    /// The database is down or too busy. The same request may succeed later.
    #[error("the database is unavailable: {0}")]
    Unavailable(DbErr),
    /// The database accepts no writes: its server is a standby, or it is set to be read-only.
    #[error("the database accepts no writes: {0}")]
    ReadOnly(DbErr),
    #[error("the database is out of space: {0}")]
    OutOfSpace(DbErr),
    #[error("the operating system returned no random bytes: {0}")]
    Randomness(getrandom::Error),
    #[error("{0}")]
    Database(DbErr),
}

impl Error {
    pub fn not_found(resource: &'static str, key: impl Into<String>) -> Self {
        Self::NotFound {
            resource,
            key: key.into(),
        }
    }

    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::Conflict {
            code,
            detail: detail.into(),
        }
    }

    /// Whether the service refuses on purpose. Nothing failed then, and nothing is logged.
    pub(crate) fn is_deliberate(&self) -> bool {
        matches!(
            self,
            Self::Starting(_)
                | Self::Draining
                | Self::SchemaNotCurrent
                | Self::Overloaded
                | Self::TooManyStreams
        )
    }

    /// What the database reported, if that is the reason.
    pub(crate) fn database_error(&self) -> Option<&DbErr> {
        match self {
            Self::Unique { cause, .. }
            | Self::ForeignKey(cause)
            | Self::PoolExhausted(cause)
            | Self::Contended(cause)
            | Self::Locked(cause)
            | Self::TooSlow(cause)
            | Self::Unavailable(cause)
            | Self::ReadOnly(cause)
            | Self::OutOfSpace(cause)
            | Self::Database(cause) => Some(cause),
            _ => None,
        }
    }

    /// A request to restore what is not deleted.
    pub fn not_deleted(resource: &'static str, key: impl fmt::Display) -> Self {
        Self::conflict("not_deleted", format!("{resource} {key} is not deleted"))
    }

    pub fn invalid(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let error = FieldError {
            pointer: pointer.into(),
            detail: detail.into(),
        };
        Self::Invalid(vec![error].into())
    }
}

/// An error that may come from a dead connection, whatever its type.
pub(crate) trait DatabaseCause: fmt::Display {
    /// The database error behind it, if that may be the reason.
    fn database_cause(&self) -> Option<&DbErr>;
}

impl DatabaseCause for DbErr {
    fn database_cause(&self) -> Option<&DbErr> {
        Some(self)
    }
}

impl DatabaseCause for Error {
    fn database_cause(&self) -> Option<&DbErr> {
        match self {
            Self::Unavailable(cause) | Self::ReadOnly(cause) => Some(cause),
            _ => None,
        }
    }
}

/// Says what a constraint violation means for a statement.
pub trait OnConstraint<T> {
    /// # Errors
    /// `taken` if this unique index is violated, otherwise the error itself.
    fn on_unique(self, index: &str, taken: impl FnOnce() -> Error) -> Result<T, Error>;

    /// # Errors
    /// `broken` if a foreign key is violated, otherwise the error itself.
    fn on_foreign_key(self, broken: impl FnOnce() -> Error) -> Result<T, Error>;
}

impl<T, E: Into<Error>> OnConstraint<T> for Result<T, E> {
    fn on_unique(self, index: &str, taken: impl FnOnce() -> Error) -> Result<T, Error> {
        self.map_err(|error| match error.into() {
            Error::Unique { index: of, .. } if of.as_deref().is_none_or(|of| of == index) => {
                taken()
            }
            other => other,
        })
    }

    fn on_foreign_key(self, broken: impl FnOnce() -> Error) -> Result<T, Error> {
        self.map_err(|error| match error.into() {
            Error::ForeignKey(_) => broken(),
            other => other,
        })
    }
}
