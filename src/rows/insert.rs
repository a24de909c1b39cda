//! Rows that a part of a statement written by hand inserts.

use sea_orm::{ActiveModelTrait, EntityTrait, IdenStatic, Iterable, PrimaryKeyToColumn, Value};

/// `INSERT INTO … SELECT …`, to be followed by `FROM` and the parts of the statement that it selects
/// from. `elsewhere` are the columns whose values those parts have; the database makes the id; all
/// others are values of the statement from `$first` on, those of [`insert_values`]. With the place of
/// the next value.
pub(crate) fn insert_text<E: EntityTrait>(
    elsewhere: &[(E::Column, &'static str)],
    first: usize,
) -> (String, usize) {
    let columns = E::Column::iter().filter(|column| E::PrimaryKey::from_column(*column).is_none());
    let columns: Vec<&str> = columns.map(|column| column.as_str()).collect();
    let mut place = first;
    let selected = columns.iter().map(|column| {
        let part = elsewhere
            .iter()
            .find(|(other, _)| other.as_str() == *column);
        part.map_or_else(
            || {
                place += 1;
                format!("${}", place - 1)
            },
            |(_, part)| (*part).to_owned(),
        )
    });
    let selected: Vec<String> = selected.collect();
    let text = format!(
        "INSERT INTO {} ({}) SELECT {}",
        E::default().table_name(),
        columns.join(", "),
        selected.join(", ")
    );
    (text, place)
}

/// What the row sets, in the order of the columns.
pub(crate) fn insert_values<A: ActiveModelTrait>(row: A) -> impl Iterator<Item = Value> {
    <A::Entity as EntityTrait>::Column::iter()
        .filter_map(move |column| row.get(column).into_value())
}

#[cfg(test)]
mod tests {
    use entity::{audit_entry, values::StringList};
    use sea_orm::ActiveValue::{NotSet, Set};

    use super::*;

    #[test]
    fn a_row_is_inserted_from_other_parts_and_values_in_the_order_of_the_columns() {
        use audit_entry::Column;
        let elsewhere = [
            (Column::Revision, "made.revision"),
            (Column::ResourceId, "made.id"),
        ];
        let text = "INSERT INTO audit_entries \
            (at, key_id, action, resource, resource_id, name, fields, revision, request_id, client_address, circle_id) \
            SELECT $3, $4, $5, $6, made.id, $7, $8, made.revision, $9, $10, $11";
        assert_eq!(
            insert_text::<audit_entry::Entity>(&elsewhere, 3),
            (text.to_owned(), 12)
        );
        let row = audit_entry::ActiveModel {
            id: NotSet,
            at: NotSet,
            key_id: Set(Some(1)),
            action: Set("create".to_owned()),
            resource: NotSet,
            resource_id: NotSet,
            name: Set(None),
            fields: Set(StringList::default()),
            revision: NotSet,
            request_id: NotSet,
            client_address: NotSet,
            circle_id: NotSet,
        };
        let values: Vec<Value> = insert_values(row).collect();
        let expected = [
            Value::from(Some(1_i64)),
            "create".into(),
            None::<String>.into(),
            StringList::default().into(),
        ];
        assert_eq!(values, expected);
    }
}
