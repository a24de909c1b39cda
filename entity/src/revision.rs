//! Revisions: a number that grows with every change of a row, so that a client can say which state of
//! a resource its change starts from.
//!
//! A revision is the time of the change in microseconds since 1970, or one more than the revision before
//! where that is greater. A counter would repeat itself after a backup is restored or a standby that lags
//! is promoted: the next change would get the number of a change that was lost, and clients that saw the
//! lost one could not tell the two apart.
//!
//! `before_save` stamps a row that is saved by itself. Bulk statements do not call it: their callers
//! call it for each row, or stamp the columns in the statement.

use sea_orm::{
    ActiveValue::{self, NotSet, Set, Unchanged},
    ColumnTrait, DbErr, EntityTrait,
    sea_query::{Expr, ExprTrait, Func},
};

use crate::values;

/// A table whose rows have a revision and the time of their last change.
pub trait Versioned: EntityTrait {
    const ID: Self::Column;
    const UPDATED_AT: Self::Column;
    const REVISION: Self::Column;
}

/// The revision to save for a new row, or for a row that was read.
///
/// # Errors
/// An update that does not say which revision it starts from.
pub(crate) fn next(current: &ActiveValue<i64>, insert: bool) -> Result<ActiveValue<i64>, DbErr> {
    match current {
        NotSet if insert => Ok(Set(values::now().timestamp_micros())),
        NotSet => Err(DbErr::AttrNotSet("revision".to_owned())),
        Unchanged(revision) => Ok(Set(std::cmp::max(
            values::now().timestamp_micros(),
            revision + 1,
        ))),
        Set(revision) => Ok(Set(*revision)),
    }
}

/// The revision that a bulk statement sets.
pub fn next_in_sql(column: impl ColumnTrait) -> Expr {
    let now = values::now().timestamp_micros();
    Func::greatest([Expr::value(now), Expr::col(column).add(1)]).into()
}

/// Makes the entity of this module [`Versioned`], and stamps `created_at`, `updated_at` and `revision`
/// when a row is saved. A timestamp that the caller has set stays.
macro_rules! versioned {
    () => {
        impl $crate::revision::Versioned for Entity {
            const ID: Column = Column::Id;
            const UPDATED_AT: Column = Column::UpdatedAt;
            const REVISION: Column = Column::Revision;
        }

        #[async_trait::async_trait]
        impl ActiveModelBehavior for ActiveModel {
            async fn before_save<C>(mut self, _db: &C, insert: bool) -> Result<Self, DbErr>
            where
                C: ConnectionTrait,
            {
                use sea_orm::ActiveValue::Set;
                let now = $crate::values::now();
                if insert && !self.created_at.is_set() {
                    self.created_at = Set(now);
                }
                if !self.updated_at.is_set() {
                    self.updated_at = Set(now);
                }
                self.revision = $crate::revision::next(&self.revision, insert)?;
                Ok(self)
            }
        }
    };
}

pub(crate) use versioned;
