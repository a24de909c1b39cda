//! Reads of the audit.

use chrono::{DateTime, Utc};
use entity::audit_entry;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, Order, QueryFilter, QueryResult, QueryTrait,
};

use super::dto::AuditEntry;
use crate::{
    error::Error,
    page::{self, Page, PageRequest},
    rows, search,
};

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

/// Rows of [`AuditEntry`]s.
pub(super) async fn list(
    db: &impl ConnectionTrait,
    filter: AuditFilter,
    order: Order,
    page: PageRequest,
) -> Result<Page<QueryResult>, Error> {
    use audit_entry::Column;
    let AuditFilter {
        resource,
        resource_id,
        action,
        key_id,
        since,
        until,
    } = filter;
    let query = rows::select_only::<_, AuditEntry>(audit_entry::Entity::find())
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
        .apply_if(until, |query, until| {
            query.filter(search::until(Column::At, until))
        });
    page::fetch(db, query, Column::Id, order, page).await
}
