//! `/v1/audit`

use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::{OpenApi, param::Query};

use super::{
    dto::{AuditEntry, AuditOrder},
    queries::{self, AuditFilter},
};
use crate::{
    database::Database,
    error::Error,
    http::{Body, PageBody, Tag},
    page::PageRequest,
};

pub(crate) struct AuditApi;

#[OpenApi(prefix_path = "/v1/audit", tag = "Tag::Audit")]
impl AuditApi {
    /// List audit entries
    ///
    /// One for every thing that was changed, left in the same step as the change; a request that
    /// changed nothing left none. In the order of their ids, the newest first. On PostgreSQL an
    /// entry shows once its change is complete, which may be a moment after entries with higher
    /// ids: a poller does well to ask for the last minute again.
    #[oai(path = "/", method = "get", operation_id = "list_audit_entries")]
    #[expect(clippy::too_many_arguments, reason = "one argument a query parameter")]
    async fn list_audit_entries(
        &self,
        Data(database): Data<&Database>,
        /// Only those of this kind of thing, as `agent`.
        #[oai(validator(max_length = 64, pattern = "^[a-z_]+$"))]
        resource: Query<Option<String>>,
        /// Only those of the thing of this id; things of different kinds have the same ids, so it
        /// goes with `resource`.
        #[oai(validator(minimum(value = "1")))]
        resource_id: Query<Option<i64>>,
        /// Only those in which this was done, as `delete`.
        #[oai(validator(max_length = 64, pattern = "^[a-z_]+$"))]
        action: Query<Option<String>>,
        /// Only those made with this API key.
        #[oai(validator(minimum(value = "1")))]
        key_id: Query<Option<i64>>,
        /// Only those at this moment or later.
        since: Query<Option<DateTime<Utc>>>,
        /// Only those before this moment.
        until: Query<Option<DateTime<Utc>>>,
        /// From which end; `desc` where it is not given.
        order: Query<Option<AuditOrder>>,
        page: PageRequest,
    ) -> Result<Body<PageBody<AuditEntry>>, Error> {
        if resource_id.is_some() && resource.is_none() {
            let detail = "goes with `resource`";
            return Err(Error::invalid("query/resource_id", detail));
        }
        let filter = AuditFilter {
            resource: resource.0,
            resource_id: resource_id.0,
            action: action.0,
            key_id: key_id.0,
            since: since.0,
            until: until.0,
        };
        let order = order.0.unwrap_or_default().into();
        let rows = queries::list(database.connection(), filter, order, page).await?;
        Ok(Body(rows.into()))
    }
}
