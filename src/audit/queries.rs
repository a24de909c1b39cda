//! Reads of the audit.

use chrono::{DateTime, Utc};
use entity::audit_entry;
use sea_orm::{
    ColumnTrait, EntityTrait, IntoSimpleExpr, Order, QueryFilter, QueryOrder, QueryResult,
    QuerySelect, QueryTrait, Select,
    sea_query::{Expr, ExprTrait, Func, SimpleExpr},
};

use super::dto::AuditEntry;
use crate::{
    database::{Connections, PartialRows},
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
    pub(super) name: Option<String>,
    pub(super) key_id: Option<i64>,
    pub(super) since: Option<DateTime<Utc>>,
    pub(super) until: Option<DateTime<Utc>>,
}

/// Rows of [`AuditEntry`]s.
pub(super) async fn list(
    db: &Connections,
    filter: AuditFilter,
    order: Order,
    page: PageRequest,
) -> Result<Page<QueryResult>, Error> {
    use audit_entry::Column;
    let AuditFilter {
        resource,
        resource_id,
        action,
        name,
        key_id,
        since,
        until,
    } = filter;
    let by_time = since.is_some() || until.is_some();
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
        .apply_if(name, |query, name| query.filter(Column::Name.eq(name)))
        .apply_if(key_id, |query, id| query.filter(Column::KeyId.eq(id)))
        .apply_if(since, |query, since| {
            query.filter(search::since(Column::At, since))
        })
        .apply_if(until, |query, until| {
            query.filter(search::until(Column::At, until))
        });
    if by_time {
        fetch_by_time(db, query, order, page).await
    } else {
        page::fetch(db, query, Column::Id, order, page).await
    }
}

/// Fetches a page in the order of times, and of ids within one time. In the order of ids, entries of long ago
/// are found only after all that came since. The cursor is an id all the same: if its entry has been pruned,
/// so have all that are older.
async fn fetch_by_time(
    db: &Connections,
    mut query: Select<audit_entry::Entity>,
    order: Order,
    request: PageRequest,
) -> Result<Page<QueryResult>, Error> {
    use audit_entry::Column;
    let total = page::total(db, &query, request).await?;
    if let Some(id) = request.after {
        let at = audit_entry::Entity::find()
            .select_only()
            .column(Column::At)
            .filter(Column::Id.eq(id));
        let at = SimpleExpr::SubQuery(None, Box::new(at.into_query().into()));
        let at = Func::coalesce([at, Expr::value(DateTime::UNIX_EPOCH)]);
        let keys = Expr::tuple([Column::At, Column::Id].map(Column::into_simple_expr));
        let last = Expr::tuple([at.into(), Expr::value(id)]);
        query = query.filter(match order {
            Order::Desc => keys.lt(last),
            _ => keys.gt(last),
        });
    }
    let query = query.order_by(Column::At, order.clone());
    let PartialRows { rows, ended_early } =
        page::rows_of_page(db, query.order_by(Column::Id, order), request).await?;
    let cursor = |row: &QueryResult| Ok(page::encode(row.try_get_by_index(0)?));
    Page::cut(rows, ended_early, request, total, cursor)
}
