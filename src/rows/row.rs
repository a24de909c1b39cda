//! Structs that are read from a row by position: [`row!`].

use sea_orm::DbErr;

use super::{Columns, source::Cell};

/// A struct whose fields are read from consecutive columns of a row. [`row!`] implements it, so that each
/// field is named once: for its column, its position in the row and its name in the response.
pub(crate) trait FromRow<'r>: Sized {
    /// The columns, as `table.column`.
    fn columns() -> Vec<String>;

    fn read(columns: &mut Columns<'r>) -> Result<Self, DbErr>;

    /// `None` if an outer join found no row. The first column must be one that is never null in a row.
    fn read_joined(columns: &mut Columns<'r>) -> Result<Option<Self>, DbErr> {
        if columns.is_null()? {
            return Ok(None);
        }
        Self::read(columns).map(Some)
    }
}

/// A field that is read from one column.
pub(crate) trait FromColumn<'r>: Sized {
    fn from_column(columns: &mut Columns<'r>) -> Result<Self, DbErr>;
}

impl<'r, T: Cell<'r>> FromColumn<'r> for T {
    fn from_column(columns: &mut Columns<'r>) -> Result<Self, DbErr> {
        columns.next()
    }
}

impl<'r, T: Cell<'r>> FromColumn<'r> for Option<T> {
    fn from_column(columns: &mut Columns<'r>) -> Result<Self, DbErr> {
        columns.maybe()
    }
}

/// Declares a struct and implements [`FromRow`] for it.
///
/// - `struct CircleRow<'r> of circle without revision { … }` has a field for each column of one entity, except
///   those listed after `without`. It converts from the entity's `Model`, too. Fields in `with { … }` are not
///   columns; they start as `None`.
/// - `struct RosterMember<'r> { member_id: i64 = member::Id, … }` has columns of several joined entities.
///
/// In both forms, code with a column that the entity no longer has does not compile.
macro_rules! row {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident<$life:lifetime> of $entity:ident $(without $($hidden:ident),+)? {
            $( $(#[$field_meta:meta])* $field_vis:vis $field:ident: $type:ty, )*
        }
        $( with {
            $( $(#[$more_meta:meta])* $more_vis:vis $more:ident: $more_type:ty, )*
        } )?
    ) => {
        $(#[$meta])*
        $vis struct $name<$life> {
            $( $(#[$field_meta])* $field_vis $field: $type, )*
            $($( $(#[$more_meta])* $more_vis $more: $more_type, )*)?
        }

        impl<$life> $crate::rows::FromRow<$life> for $name<$life> {
            fn columns() -> Vec<String> {
                let table = ::sea_orm::EntityName::table_name(&$entity::Entity);
                let columns = [$(stringify!($field)),*];
                columns.map(|column| format!("{table}.{column}")).to_vec()
            }

            fn read(
                columns: &mut $crate::rows::Columns<$life>,
            ) -> Result<Self, ::sea_orm::DbErr> {
                Ok(Self {
                    $( $field: $crate::rows::FromColumn::from_column(columns)?, )*
                    $($( $more: None, )*)?
                })
            }
        }

        impl From<$entity::Model> for $name<'static> {
            fn from(row: $entity::Model) -> Self {
                let $entity::Model { $($field,)* $($($hidden: _,)+)? } = row;
                Self {
                    $( $field: $crate::rows::FromField::from_field($field), )*
                    $($( $more: None, )*)?
                }
            }
        }
    };
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident<$life:lifetime> {
            $( $(#[$field_meta:meta])* $field_vis:vis $field:ident: $type:ty = $entity:ident :: $column:ident, )*
        }
    ) => {
        $(#[$meta])*
        $vis struct $name<$life> {
            $( $(#[$field_meta])* $field_vis $field: $type, )*
        }

        impl<$life> $crate::rows::FromRow<$life> for $name<$life> {
            fn columns() -> Vec<String> {
                vec![$( $crate::rows::qualified::<$entity::Entity>($entity::Column::$column) ),*]
            }

            fn read(
                columns: &mut $crate::rows::Columns<$life>,
            ) -> Result<Self, ::sea_orm::DbErr> {
                Ok(Self {
                    $( $field: $crate::rows::FromColumn::from_column(columns)?, )*
                })
            }
        }
    };
}

pub(crate) use row;
