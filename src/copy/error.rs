//! Why a copy failed.

use std::fmt;

use migration::{connection::TargetError, runner::MigrateError};
use sea_orm::{DbErr, RuntimeErr, sqlx};

/// One of the two databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CopySide {
    Source,
    Target,
}

impl fmt::Display for CopySide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "the source",
            Self::Target => "the target",
        })
    }
}

/// Why a copy failed. The same command continues it, unless it was refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CopyError {
    #[error(transparent)]
    Address(#[from] TargetError),
    #[error("{0} is a database in memory, which no other process sees; name a file or a server")]
    InMemory(CopySide),
    #[error("the source has no tables of this program; name the database that the service uses")]
    NoSource,
    #[error("{0}: {1}")]
    Schema(CopySide, MigrateError),
    #[error(
        "{0} has tables or columns that this build does not know ({names}), and which it would not copy; \
         use the build that made them", names = .1.join(", ")
    )]
    Unknown(CopySide, Vec<String>),
    #[error("{0} lacks {names}, which this build's schema has", names = .1.join(", "))]
    Lacking(CopySide, Vec<String>),
    #[error(
        "no rule says how to copy the column {column} of {table}, which is of the type {type_name}"
    )]
    UnknownType {
        table: String,
        column: String,
        type_name: String,
    },
    #[error(
        "the target is not empty: it has rows in {}; name an empty database, or delete all that is in it with \
         `circle-registry migrate fresh`", .0.join(", ")
    )]
    NotEmpty(Vec<String>),
    #[error(
        "the copy into the target was begun by another build; run `circle-registry migrate fresh` on the target, and \
         copy again"
    )]
    OtherBuild,
    #[error("another copy into the target has begun, and this one ends")]
    TakenOver,
    #[error("{side} has a value in the column {column} of {table} that can't be read: {cause}")]
    Value {
        side: CopySide,
        table: String,
        column: String,
        cause: String,
    },
    #[error("rows of the target refer to rows that the source lacks: {}", .0.join(", "))]
    Dangling(Vec<String>),
    #[error("{0} failed at {1}: {2}")]
    Table(CopySide, String, sqlx::Error),
    #[error("{0} failed: {1}")]
    Database(CopySide, DbErr),
}

impl CopyError {
    /// What a driver reports.
    pub(super) fn of(side: CopySide) -> impl Fn(sqlx::Error) -> Self {
        move |cause| Self::Database(side, DbErr::Conn(RuntimeErr::SqlxError(cause.into())))
    }
}
