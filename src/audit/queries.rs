//! Reads of the audit, and the one way to write it.

use chrono::{DateTime, Utc};
use entity::{audit_entry, values::now};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, EntityTrait, Order, QueryFilter, QueryTrait, Value,
};

use super::change::Change;
use crate::{
    error::Error,
    page::{self, Page, PageRequest},
    rows, search,
    write::Origin,
};

/// Rows in one statement. An entry has nine columns and SQLite takes 32,766 values.
const CHUNK: usize = 1000;

/// Leaves an entry for each of these changes, in the order in which they were made.
pub(crate) async fn leave(
    db: &impl ConnectionTrait,
    origin: &Origin,
    changes: Vec<Change>,
) -> Result<(), Error> {
    let at = now();
    let rows: Vec<audit_entry::ActiveModel> = changes
        .into_iter()
        .map(|change| entry(origin, at, change))
        .collect();
    for chunk in rows.chunks(CHUNK) {
        audit_entry::Entity::insert_many(chunk.iter().cloned())
            .exec_without_returning(db)
            .await?;
    }
    Ok(())
}

/// The same by a part of the statement that makes the change: the entry of each row of `made`, with its
/// `id` and `revision`. Its values, from `$first` on, are those of [`values_to_leave`].
pub(crate) fn text_to_leave(first: usize) -> String {
    use audit_entry::Column;
    let elsewhere = [
        (Column::ResourceId, "made.id"),
        (Column::Revision, "made.revision"),
    ];
    let (insert, _) = rows::insert_text::<audit_entry::Entity>(&elsewhere, first);
    format!("{insert} FROM made")
}

pub(crate) fn values_to_leave(origin: &Origin, change: Change) -> impl Iterator<Item = Value> {
    rows::insert_values(audit_entry::ActiveModel {
        resource_id: NotSet,
        revision: NotSet,
        ..entry(origin, now(), change)
    })
}

fn entry(origin: &Origin, at: DateTime<Utc>, change: Change) -> audit_entry::ActiveModel {
    let Change {
        action,
        resource,
        id,
        name,
        fields,
        revision,
    } = change;
    audit_entry::ActiveModel {
        id: NotSet,
        at: Set(at),
        key_id: Set(origin.caller.key_id()),
        action: Set(action.as_str().to_owned()),
        resource: Set(resource.as_str().to_owned()),
        resource_id: Set(id),
        name: Set(name),
        fields: Set(fields.into()),
        revision: Set(revision),
        request_id: Set(origin.request_id.clone()),
    }
}

/// Which entries a list shows.
#[derive(Debug, Default)]
pub(super) struct AuditFilter {
    pub(super) resource: Option<String>,
    pub(super) resource_id: Option<i64>,
    pub(super) action: Option<String>,
    pub(super) key_id: Option<i64>,
    pub(super) since: Option<DateTime<Utc>>,
    pub(super) until: Option<DateTime<Utc>>,
}

pub(super) async fn list(
    db: &impl ConnectionTrait,
    filter: AuditFilter,
    order: Order,
    page: PageRequest,
) -> Result<Page<audit_entry::Model>, Error> {
    use audit_entry::Column;
    let AuditFilter {
        resource,
        resource_id,
        action,
        key_id,
        since,
        until,
    } = filter;
    let query = audit_entry::Entity::find()
        .apply_if(resource, |query, resource| {
            query.filter(Column::Resource.eq(resource))
        })
        .apply_if(resource_id, |query, id| {
            query.filter(Column::ResourceId.eq(id))
        })
        .apply_if(action, |query, action| {
            query.filter(Column::Action.eq(action))
        })
        .apply_if(key_id, |query, id| query.filter(Column::KeyId.eq(id)))
        .apply_if(since, |query, since| {
            query.filter(search::since(Column::At, since))
        })
        .apply_if(until, |query, until| query.filter(Column::At.lt(until)));
    let id_of = |row: &audit_entry::Model| row.id;
    page::fetch_in(db, query, Column::Id, order, page, id_of).await
}
