//! `/v1/audit`

use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::{OpenApi, param::Query};

use super::{
    dto::{AuditEntry, AuditEntryRow, AuditOrder},
    queries::{self, AuditFilter},
};
use crate::{
    database::Database,
    error::Error,
    http::{Body, PageBody, Tag},
    page::PageRequest,
    rows::FromRow,
};

pub(crate) struct AuditApi;

#[OpenApi(prefix_path = "/v1/audit", tag = "Tag::Audit")]
impl AuditApi {
    /// List audit entries
    ///
    /// One entry for every resource that a request changed, written in the same transaction as the
    /// change. Ordered by id, newest first; with `since` or `until` by time, and by id within one time. On PostgreSQL an entry appears when its transaction
    /// commits, which may be shortly after entries with higher ids: when polling, request the last
    /// minute again.
    #[oai(path = "/", method = "get", operation_id = "list_audit_entries")]
    #[expect(clippy::too_many_arguments, reason = "one argument a query parameter")]
    async fn list_audit_entries(
        &self,
        Data(database): Data<&Database>,
        /// Only entries for this kind of resource, as `agent`.
        #[oai(validator(max_length = 64, pattern = "^[a-z_]+$"))]
        resource: Query<Option<String>>,
        /// Only entries for the resource with this id. Requires `resource`, because ids are unique only
        /// within a kind of resource.
        #[oai(validator(minimum(value = "1")))]
        resource_id: Query<Option<i64>>,
        /// Only entries for this action, as `delete`.
        #[oai(validator(max_length = 64, pattern = "^[a-z_]+$"))]
        action: Query<Option<String>>,
        /// Only entries for what had exactly this name at that time, as `review-team`, or `review-team/7` for a
        /// member.
        #[oai(validator(max_length = 500))]
        name: Query<Option<String>>,
        /// Only changes that were made with this API key.
        #[oai(validator(minimum(value = "1")))]
        key_id: Query<Option<i64>>,
        /// Only changes at this time or later.
        since: Query<Option<DateTime<Utc>>>,
        /// Only changes before this time.
        until: Query<Option<DateTime<Utc>>>,
        /// The order of the list; `desc` by default.
        order: Query<Option<AuditOrder>>,
        page: PageRequest,
    ) -> Result<Body<PageBody<AuditEntry>>, Error> {
        if resource_id.is_some() && resource.is_none() {
            let detail = "requires `resource`";
            return Err(Error::invalid("query/resource_id", detail));
        }
        let filter = AuditFilter {
            resource: resource.0,
            resource_id: resource_id.0,
            action: action.0,
            name: name.0,
            key_id: key_id.0,
            since: since.0,
            until: until.0,
        };
        let order = order.0.unwrap_or_default().into();
        let page = queries::list(database.connection(), filter, order, page).await?;
        Body::page(&page, AuditEntryRow::read)
    }
}
