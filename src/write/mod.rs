//! Writes. One transaction contains the change, its audit entries and, for a POST with an idempotency key,
//! its response: either all of them are stored, or none.
//!
//! A transaction that the database aborts because of a concurrent one is retried. So a change is a function
//! that may be called more than once and has effects only through its [`UnitOfWork`].
//!
//! Start with [`unit_of_work`]. This folder may import `database` and what is below it.

use std::net::IpAddr;

use entity::{
    free_json,
    values::{Scope, ScopeList},
};
use sea_orm::{
    ActiveModelBehavior, ActiveModelTrait, ActiveValue, ColumnTrait, ColumnType, ConnectionTrait,
    DbErr, EntityTrait, IntoActiveModel, Iterable, Value,
};

mod audit;
pub(crate) mod bulk;
mod caller;
mod idempotency;
mod request;
mod unit_of_work;

pub(crate) use audit::{Action, Change, Fields, Resource, entry_sql, entry_values};
pub(crate) use caller::Caller;
pub(crate) use idempotency::{
    BodyDigest, IdempotencyKey, InFlight, MAX_KEY_LENGTH, RETENTION, Replayable, StoredResponse,
};
pub(crate) use request::{FastPath, VersionMessage, WriteRequest};
pub(crate) use unit_of_work::{UnitOfWork, run};

use crate::error::Error;

/// `row` with the columns that `requested` sets. A column that has the value already does not count as
/// changed.
pub(crate) fn merge<A: ActiveModelTrait>(mut row: A, requested: &A) -> A {
    for column in <A::Entity as EntityTrait>::Column::iter() {
        if let ActiveValue::Set(value) = requested.get(column)
            && !is_same_json(column, row.get(column).into_value(), &value)
        {
            row.set_if_not_equals(column, value);
        }
    }
    row
}

/// Sets the columns of a row, which is locked, that `requested` sets to another value, and returns the row as
/// it is then, with the names of all that it requests. `None` if the row has all values already: then it is not
/// written, because a request that changes nothing makes no revision and no audit entry.
pub(crate) async fn save_changes<A>(
    db: &impl ConnectionTrait,
    before: &<A::Entity as EntityTrait>::Model,
    requested: &A,
) -> Result<Option<(<A::Entity as EntityTrait>::Model, Fields)>, DbErr>
where
    A: ActiveModelTrait + ActiveModelBehavior + Send,
    <A::Entity as EntityTrait>::Model: IntoActiveModel<A>,
{
    let row = merge(before.clone().into_active_model(), requested);
    if !row.is_changed() {
        return Ok(None);
    }
    Ok(Some((row.update(db).await?, Fields::set_in(requested))))
}

/// Whether a column of JSON has this value already, in another form.
fn is_same_json(column: impl ColumnTrait, before: Option<Value>, after: &Value) -> bool {
    match (column.def().get_column_type(), before, after) {
        (ColumnType::Json, Some(Value::String(Some(before))), Value::String(Some(after))) => {
            free_json::is_same(&before, after)
        }
        _ => false,
    }
}

/// Who makes a change, and in which request it is made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Actor {
    pub(crate) caller: Caller,
    /// `None` on the command line, like the address.
    pub(crate) request_id: Option<String>,
    pub(crate) client_address: Option<IpAddr>,
    /// What the caller may do, for changes that need more than their operation does.
    pub(crate) scopes: ScopeList,
    /// Why, in the client's words: for the versions of agents that the change makes.
    pub(crate) message: Option<String>,
}

impl Actor {
    /// # Errors
    /// [`Error::Forbidden`] if the caller lacks the scope.
    pub(crate) fn require(&self, scope: Scope) -> Result<(), Error> {
        if self.scopes.include(scope) {
            return Ok(());
        }
        Err(Error::Forbidden(scope))
    }
}
