//! PATCH: an absent field stays, `null` clears a field that may be null.

use poem_openapi::types::MaybeUndefined;
use sea_orm::{ActiveValue, Value};

/// A field of a patch, to be laid over the column it is for.
pub(crate) trait Patch<V: Into<Value>> {
    /// Sets the column, or leaves it alone where the patch says nothing.
    fn apply_to(self, column: &mut ActiveValue<V>);
}

impl<V: Into<Value>> Patch<V> for Option<V> {
    fn apply_to(self, column: &mut ActiveValue<V>) {
        if let Some(value) = self {
            *column = ActiveValue::Set(value);
        }
    }
}

impl<V> Patch<Option<V>> for MaybeUndefined<V>
where
    Option<V>: Into<Value>,
{
    fn apply_to(self, column: &mut ActiveValue<Option<V>>) {
        match self {
            Self::Undefined => {}
            Self::Null => *column = ActiveValue::Set(None),
            Self::Value(value) => *column = ActiveValue::Set(Some(value)),
        }
    }
}
