//! Inputs: what creates and what updates a row, declared together, so that a field has one line of
//! documentation and one set of bounds.
//!
//! `DeriveIntoActiveModel` does not fit: it can't convert `MaybeUndefined`, which is not
//! ours to implement a foreign trait for, and with an id that the database assigns it needs
//! `..Default::default()`, so that a column which nothing sets would no longer fail to compile.

use poem_openapi::types::MaybeUndefined;
use sea_orm::{
    ActiveValue::{self, NotSet, Set},
    Value,
};

/// A field of an update: an absent field leaves its column alone, `null` clears it.
pub(crate) trait UpdateField<V: Into<Value>> {
    fn into_column(self) -> ActiveValue<V>;
}

impl<V: Into<Value>> UpdateField<V> for Option<V> {
    fn into_column(self) -> ActiveValue<V> {
        self.map_or(NotSet, Set)
    }
}

impl<V> UpdateField<Option<V>> for MaybeUndefined<V>
where
    Option<V>: Into<Value>,
{
    fn into_column(self) -> ActiveValue<Option<V>> {
        match self {
            Self::Undefined => NotSet,
            Self::Null => Set(None),
            Self::Value(value) => Set(Some(value)),
        }
    }
}

/// Declares the body that creates a row of an entity, the body that updates it, and how each becomes
/// an `ActiveModel`. A field is in the section that says what it means to leave it out:
///
/// | section | in the create | in the update |
/// |---|---|---|
/// | `required` | must be there | absent: unchanged |
/// | `nullable` | absent or null: null | absent: unchanged; null: null |
/// | `defaulted` | absent: the default | absent: unchanged |
/// | `create_only`, `update_only` | as its type says | as its type says |
/// | `not_columns` | as its type says, and in no column | – |
///
/// `row` sets the remaining columns of a new row. A new column that neither a field nor `row` names
/// fails to compile.
macro_rules! input {
    (
        $entity:ident;
        $(#[$create_meta:meta])* create $create:ident;
        $(#[$update_meta:meta])* update $update:ident;
        $(not_columns { $( $(#[$x_meta:meta])* $x:ident: $x_type:ty, )* })?
        $(create_only { $( $(#[$c_meta:meta])* $c:ident: $c_type:ty, )* })?
        $(required { $( $(#[$r_meta:meta])* $r:ident: $r_type:ty, )* })?
        $(nullable { $( $(#[$n_meta:meta])* $n:ident: $n_type:ty, )* })?
        $(defaulted { $( $(#[$d_meta:meta])* $d:ident: $d_type:ty $(= $default:literal)?, )* })?
        $(update_only { $( $(#[$u_meta:meta])* $u:ident: $u_type:ty, )* })?
        row { $( $column:ident: $value:expr, )* }
    ) => {
        $(#[$create_meta])*
        #[derive(Clone, Debug, ::poem_openapi::Object)]
        pub(crate) struct $create {
            $($( $(#[$c_meta])* pub(crate) $c: $c_type, )*)?
            $($( $(#[$r_meta])* pub(crate) $r: $r_type, )*)?
            $($( $(#[$x_meta])* pub(crate) $x: $x_type, )*)?
            $($( $(#[$n_meta])* #[oai(nullable)] pub(crate) $n: Option<$n_type>, )*)?
            $($( $(#[$d_meta])* #[oai(default $(= $default)?)] pub(crate) $d: $d_type, )*)?
        }

        impl From<$create> for $entity::ActiveModel {
            fn from(input: $create) -> Self {
                Self {
                    $($( $c: ::sea_orm::ActiveValue::Set(input.$c), )*)?
                    $($( $r: ::sea_orm::ActiveValue::Set(input.$r), )*)?
                    $($( $n: ::sea_orm::ActiveValue::Set(input.$n), )*)?
                    $($( $d: ::sea_orm::ActiveValue::Set(input.$d), )*)?
                    $( $column: $value, )*
                }
            }
        }

        $(#[$update_meta])*
        #[derive(Clone, Debug, ::poem_openapi::Object)]
        pub(crate) struct $update {
            $($( $(#[$r_meta])* pub(crate) $r: Option<$r_type>, )*)?
            $($(
                $(#[$n_meta])*
                #[oai(nullable)]
                pub(crate) $n: ::poem_openapi::types::MaybeUndefined<$n_type>,
            )*)?
            $($( $(#[$d_meta])* pub(crate) $d: Option<$d_type>, )*)?
            $($( $(#[$u_meta])* pub(crate) $u: $u_type, )*)?
        }

        impl From<$update> for $entity::ActiveModel {
            fn from(input: $update) -> Self {
                use $crate::http::UpdateField;
                Self {
                    $($( $r: input.$r.into_column(), )*)?
                    $($( $n: input.$n.into_column(), )*)?
                    $($( $d: input.$d.into_column(), )*)?
                    $($( $u: input.$u.into_column(), )*)?
                    ..::sea_orm::ActiveModelTrait::default()
                }
            }
        }
    };
}

pub(crate) use input;
