//! `/v1/changes`

use entity::values::{Scope, ScopeList};
use poem::web::Data;
use poem_openapi::{OpenApi, param::Query};

use super::{
    cursor::ChangeCursor,
    dto::{ChangePage, ChangeRow},
    feed::After,
    queries::{self, ChangeFilter},
};
use crate::{
    circles,
    database::Database,
    error::Error,
    http::{Body, Tag},
    page,
    rows::{Columns, Timestamp},
};

pub(crate) struct ChangesApi;

/// The `after` that stands for the newest change.
const LATEST: &str = "latest";

#[OpenApi(prefix_path = "/v1/changes", tag = "Tag::Changes")]
impl ChangesApi {
    /// List changes
    ///
    /// The feed of changes, oldest first, deletions included. It has no gap: no change that is committed later appears
    /// before a cursor that was given out. So a follower that asks again and again with the `next_cursor` of the page
    /// before hears of every change exactly once, and all followers in the same order. It shows the audit trail's entries without the
    /// key, the address and the fields; those of keys and of the trail itself take `admin`. Fails with 410
    /// `cursor_expired` if changes after the cursor were deleted by `circle-registry prune`, or its own was lost when a
    /// backup was restored or a standby promoted.
    #[oai(path = "/", method = "get", operation_id = "list_changes")]
    #[expect(clippy::too_many_arguments, reason = "one argument a query parameter")]
    async fn list_changes(
        &self,
        Data(database): Data<&Database>,
        Data(scopes): Data<&ScopeList>,
        /// The `next_cursor` of the page before, or the `cursor` of a change: the page has what follows. `latest` for a
        /// cursor that only what is committed from now on follows. Without it, the page starts with the oldest change that
        /// is kept.
        #[oai(validator(min_length = 1, max_length = 100))]
        after: Query<Option<String>>,
        /// Only changes of these kinds of resources, as `agent,model,catalog`.
        #[oai(validator(max_length = 200, pattern = "^[a-z_]+(,[a-z_]+)*$"))]
        resource: Query<Option<String>>,
        /// Only changes of the circle that has this name now, and of its members, releases, labels and conversations. Fails
        /// with 404 `not_found` if there is none.
        #[oai(validator(min_length = 1, max_length = 64))]
        circle: Query<Option<String>>,
        /// Only changes of the circle with this id. An id stays the same when the circle is renamed or deleted.
        #[oai(validator(minimum(value = "1")))]
        circle_id: Query<Option<i64>>,
        /// Maximum number of changes in the page. Defaults to 50.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u64>>,
    ) -> Result<Body<ChangePage<'static>>, Error> {
        let after = match after.0.as_deref() {
            None => After::Start,
            Some(LATEST) => After::Latest,
            Some(cursor) => After::Cursor(ChangeCursor::decode(cursor)?),
        };
        let db = database.connection();
        let mut filter = filter(scopes, resource.0.as_deref())?;
        filter.circle_id = match circle.0 {
            Some(_) if circle_id.is_some() => {
                let detail = "is not taken together with `circle`";
                return Err(Error::invalid("query/circle_id", detail));
            }
            Some(name) => Some(circles::queries::get(db, &name).await?.id),
            None => circle_id.0,
        };
        let limit = limit.unwrap_or(page::DEFAULT_LIMIT);
        let (page, window) = queries::list(db, filter, after, limit).await?;
        let changes = page
            .rows
            .iter()
            .map(|row| ChangeRow::read(&mut Columns::of(row)));
        Body::new(&ChangePage {
            data: changes.collect::<Result<_, _>>()?,
            has_more: page.next_cursor.is_some() || window.is_full,
            next_cursor: page.next_cursor.unwrap_or_else(|| window.end().encode()),
            held_back_since: window.held_back_since.map(Timestamp::Decoded),
        })
    }
}

/// What the caller may see of these kinds of resources, or of all.
fn filter(scopes: &ScopeList, resources: Option<&str>) -> Result<ChangeFilter, Error> {
    let resources: Option<Vec<String>> =
        resources.map(|names| names.split(',').map(ToOwned::to_owned).collect());
    let is_admin = scopes.include(Scope::Admin);
    let is_admins = |name: &String| {
        ChangeFilter::ADMINS
            .iter()
            .any(|kind| kind.as_str() == name)
    };
    if !is_admin && resources.iter().flatten().any(is_admins) {
        return Err(Error::Forbidden(Scope::Admin));
    }
    Ok(ChangeFilter {
        resources,
        circle_id: None,
        without_admins: !is_admin,
    })
}
