//! What an error of the database means for a request.

use std::borrow::Cow;

use sea_orm::{
    DbErr, RuntimeErr, SqlxError, SqlxSqliteError,
    sqlx::error::{DatabaseError, Error as Sqlx},
};

use super::limited_rows::RowLimit;
use crate::error::Error;

/// Classifies database errors by their code, never by their text.
impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        match (&error, driver_error(&error)) {
            (DbErr::ConnectionAcquire(_), _) => Self::PoolExhausted(error),
            (_, Some(Sqlx::Database(reported))) => match Class::of(reported.as_ref()) {
                Class::Contended => Self::Contended(error),
                Class::Locked => Self::Locked(error),
                Class::TooSlow => Self::TooSlow(error),
                Class::Unavailable => Self::Unavailable(error),
                Class::ReadOnly => Self::ReadOnly(error),
                Class::OutOfSpace => Self::OutOfSpace(error),
                // No session was opened, so it is not the request that is wrong.
                _ if is_of_opening(&error) => Self::Unavailable(error),
                Class::BadValue => {
                    tracing::warn!(cause = %error, "the database refused a value");
                    Self::invalid("#", "holds a value that can't be stored")
                }
                Class::Unique => Self::Unique {
                    index: reported.constraint().map(str::to_owned),
                    cause: error,
                },
                Class::ForeignKey => Self::ForeignKey(error),
                Class::Other => Self::Database(error),
            },
            (_, Some(Sqlx::Io(_) | Sqlx::Tls(_) | Sqlx::Protocol(_) | Sqlx::WorkerCrashed)) => {
                Self::Unavailable(error)
            }
            (_, Some(Sqlx::Decode(cause))) => match cause.downcast_ref() {
                Some(RowLimit::TooLarge) => Self::ResponseTooLarge,
                Some(RowLimit::NoMemory(_)) => Self::Overloaded,
                None => Self::Database(error),
            },
            _ if is_of_opening(&error) => Self::Unavailable(error),
            _ => Self::Database(error),
        }
    }
}

fn driver_error(error: &DbErr) -> Option<&SqlxError> {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => Some(error),
        _ => None,
    }
}

/// Whether the error is that no session could be opened.
fn is_of_opening(error: &DbErr) -> bool {
    matches!(error, DbErr::Conn(_))
}

/// Whether the database refuses the session for a reason that does not pass by itself: a wrong password or
/// user, a database that does not exist, a file that is none, invalid options, or a certificate that is
/// not trusted.
pub(crate) fn is_refused(error: &DbErr) -> bool {
    match driver_error(error) {
        Some(Sqlx::Database(reported)) => {
            is_of_opening(error) && Class::of(reported.as_ref()) == Class::Other
                || is_startup_parameter(error)
        }
        Some(Sqlx::Configuration(_)) => true,
        _ => is_untrusted(error),
    }
}

/// Whether a pooler refuses to open the session, or for another reason has no connection for it.
pub(crate) fn is_from_pooler(error: &DbErr) -> bool {
    match driver_error(error) {
        Some(Sqlx::Database(reported)) => reported.code().is_some_and(|code| code == "08P01"),
        _ => false,
    }
}

/// Whether a pooler refuses a startup parameter. PgBouncer has one code for all that it reports, so
/// only the text tells this from a reason that passes.
fn is_startup_parameter(error: &DbErr) -> bool {
    is_from_pooler(error) && error.to_string().contains("startup parameter")
}

/// What to add to the report of an error about a setting that it does not name.
pub(crate) fn advice(error: &DbErr) -> &'static str {
    if is_startup_parameter(error) {
        "; remove the parameter from DATABASE_URL and PGOPTIONS, or name it in ignore_startup_parameters \
         of PgBouncer"
    } else {
        ""
    }
}

/// Whether the two sides do not agree on encryption, or one does not trust the other's certificate.
pub(crate) fn is_untrusted(error: &DbErr) -> bool {
    match driver_error(error) {
        Some(Sqlx::Tls(_)) => true,
        Some(Sqlx::Io(cause)) => matches!(
            cause.get_ref().and_then(|cause| cause.downcast_ref()),
            Some(rustls::Error::InvalidCertificate(_) | rustls::Error::AlertReceived(_))
        ),
        _ => false,
    }
}

/// Whether the server of the session takes no writes: it is a standby, or the database, the role or the
/// server is set to be read-only.
pub(crate) fn is_read_only(error: &DbErr) -> bool {
    reported_code(error).is_some_and(|code| code == "25006")
}

/// The SQLSTATE of an error, or SQLite's extended result code.
pub(crate) fn reported_code(error: &DbErr) -> Option<Cow<'_, str>> {
    match driver_error(error) {
        Some(Sqlx::Database(reported)) => reported.code(),
        _ => None,
    }
}

/// Why the database can't be used, for everyone: without names, addresses or the database's own words.
pub(crate) fn public_reason(error: &DbErr) -> Cow<'_, str> {
    const DOWN: &str = "The database can't be reached at the moment. Try again shortly.";
    if let DbErr::Conn(RuntimeErr::Internal(reason)) = error {
        return format!("The database can't be used: {reason}.").into();
    }
    if is_untrusted(error) {
        return "No encrypted connection to the database can be established.".into();
    }
    let reason = match &*reported_code(error).unwrap_or_default() {
        "28P01" => "The database refuses the password of the service's user.",
        code if code.starts_with("28") => "The database does not let the service's user log in.",
        "42501" => "The service's user may not connect to the database.",
        "3D000" => "The database server has no database of the configured name.",
        "53300" => "The database has as many clients as it allows.",
        code if code.starts_with("57P") => "The database server is starting or stopping.",
        "" => DOWN,
        _ if is_refused(error) => "The database refuses to open a session.",
        _ => DOWN,
    };
    reason.into()
}

/// Whether the database itself reports this error, rather than the network.
pub(crate) fn is_reported(error: &DbErr) -> bool {
    matches!(driver_error(error), Some(Sqlx::Database(_)))
}

/// Whether the server has as many clients as it allows, in all or with this role.
pub(crate) fn is_out_of_connections(error: &DbErr) -> bool {
    reported_code(error).is_some_and(|code| code == "53300")
}

/// Whether the connection proved dead, so that the statement may succeed on another one.
pub(crate) fn is_connection_lost(error: &DbErr) -> bool {
    match driver_error(error) {
        Some(Sqlx::Io(_)) => true,
        // The server closed the session: on command, after a crash, or because of a timeout.
        Some(Sqlx::Database(reported)) => reported.code().is_some_and(|code| {
            code.starts_with("08") || matches!(&*code, "57P01" | "57P02" | "57P05" | "25P03")
        }),
        _ => false,
    }
}

/// What an error reported by the database means for the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Contended,
    Locked,
    TooSlow,
    Unavailable,
    ReadOnly,
    OutOfSpace,
    BadValue,
    Unique,
    ForeignKey,
    Other,
}

impl Class {
    fn of(reported: &dyn DatabaseError) -> Self {
        let code = reported.code().unwrap_or_default();
        if reported.try_downcast_ref::<SqlxSqliteError>().is_some() {
            return code.parse().map_or(Self::Other, Self::of_sqlite);
        }
        match Self::of_sqlstate(&code) {
            // The database chose the key, so no request is at fault: its sequence is behind the table.
            Self::Unique
                if reported
                    .constraint()
                    .is_some_and(|name| name.ends_with("_pkey")) =>
            {
                Self::Other
            }
            class => class,
        }
    }

    /// Classifies an SQLSTATE, as in "PostgreSQL Error Codes", appendix A of the manual.
    fn of_sqlstate(code: &str) -> Self {
        match code {
            // Serialization failure, deadlock.
            "40001" | "40P01" => Self::Contended,
            // Lock not available within the lock timeout.
            "55P03" => Self::Locked,
            // Cancelled, by the statement timeout or by an administrator.
            "57014" => Self::TooSlow,
            // Too many clients.
            "53300" => Self::Unavailable,
            // Connection lost, server shutting down.
            _ if code.starts_with("08") || code.starts_with("57P0") => Self::Unavailable,
            // The server is a standby, or it, the database or the role is read-only.
            "25006" => Self::ReadOnly,
            "53100" => Self::OutOfSpace,
            // NUL in a text, out of range, invalid JSON escape, not-null constraint, check constraint.
            "22021" | "22003" | "22P05" | "23502" | "23514" => Self::BadValue,
            "23505" => Self::Unique,
            "23503" => Self::ForeignKey,
            _ => Self::Other,
        }
    }

    /// Classifies an extended result code, as in "Result and Error Codes" of SQLite's manual.
    fn of_sqlite(code: i32) -> Self {
        const BUSY: i32 = 5;
        const LOCKED: i32 = 6;
        const READONLY: i32 = 8;
        const FULL: i32 = 13;
        // A write, or growing the shared-memory file, failed for a reason such as a quota. A full disk
        // is FULL.
        const IOERR_WRITE: i32 = 778;
        const IOERR_SHMSIZE: i32 = 4874;
        const TOO_BIG: i32 = 18;
        const CHECK: i32 = 275;
        const FOREIGN_KEY: i32 = 787;
        const NOT_NULL: i32 = 1299;
        const UNIQUE: i32 = 2067;
        match code {
            CHECK | NOT_NULL => Self::BadValue,
            UNIQUE => Self::Unique,
            FOREIGN_KEY => Self::ForeignKey,
            IOERR_WRITE | IOERR_SHMSIZE => Self::OutOfSpace,
            _ => match code & 0xff {
                BUSY => Self::Contended,
                LOCKED => Self::Unavailable,
                READONLY => Self::ReadOnly,
                FULL => Self::OutOfSpace,
                TOO_BIG => Self::BadValue,
                _ => Self::Other,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_of_the_database_is_sorted_by_what_the_client_can_do() {
        for (code, class) in [
            ("08006", Class::Unavailable),
            ("57P01", Class::Unavailable),
            ("53300", Class::Unavailable),
            ("57014", Class::TooSlow),
            ("55P03", Class::Locked),
            ("40P01", Class::Contended),
            ("40001", Class::Contended),
            ("40003", Class::Other),
            ("25006", Class::ReadOnly),
            ("53100", Class::OutOfSpace),
            ("22021", Class::BadValue),
            ("23514", Class::BadValue),
            ("23503", Class::ForeignKey),
            ("42601", Class::Other),
        ] {
            assert_eq!(Class::of_sqlstate(code), class, "{code}");
        }
        for (code, class) in [
            (5, Class::Contended),
            (261, Class::Contended),
            (517, Class::Contended),
            (6, Class::Unavailable),
            (8, Class::ReadOnly),
            (1032, Class::ReadOnly),
            (13, Class::OutOfSpace),
            (778, Class::OutOfSpace),
            (275, Class::BadValue),
            (787, Class::ForeignKey),
            (2067, Class::Unique),
            // A primary key, which the database chooses.
            (1555, Class::Other),
            (1, Class::Other),
        ] {
            assert_eq!(Class::of_sqlite(code), class, "{code}");
        }
    }
}
