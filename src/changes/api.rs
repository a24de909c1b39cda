//! `/v1/changes` and `/v1/events`

use entity::values::{Scope, ScopeList};
use poem::{Request, web::Data};
use poem_openapi::{OpenApi, param::Query};

use super::{
    cursor::ChangeCursor,
    dto::{ChangePage, ChangeRow},
    events::{EventStream, Events},
    feed::After,
    queries::{self, ChangeFilter},
};
use crate::{
    circles,
    database::{Connections, Database},
    error::Error,
    http::{Body, LastEventId, Shared, Tag},
    page,
    rows::{Columns, Timestamp},
};

pub(crate) struct ChangesApi;

/// The `after` that stands for the newest change.
const LATEST: &str = "latest";

#[OpenApi(prefix_path = "/v1", tag = "Tag::Changes")]
impl ChangesApi {
    /// List changes
    ///
    /// The feed of changes, oldest first, deletions included. It has no gap: no change that is committed later appears
    /// before a cursor that was given out. So a follower that asks again and again with the `next_cursor` of the page
    /// before hears of every change exactly once, and all followers in the same order. It shows the audit trail's entries without the
    /// key, the address and the fields; those of keys and of the trail itself take `admin`. Fails with 410
    /// `cursor_expired` if changes after the cursor were deleted by `circle-registry prune`, or its own was lost when a
    /// backup was restored or a standby promoted.
    #[oai(path = "/changes", method = "get", operation_id = "list_changes")]
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
        let after = after.0.as_deref();
        let after = after.map_or(Ok(After::Start), |text| parse_after(text, "query/after"))?;
        let db = database.connection();
        let circle_id = id_of_circle(db, circle.0, circle_id.0).await?;
        let filter = filter(scopes, resource.0.as_deref(), circle_id)?;
        let limit = limit.unwrap_or(page::DEFAULT_LIMIT);
        let following = queries::list(db, &filter, after, limit).await?;
        let rows = following.rows.iter();
        let changes = rows.map(|row| ChangeRow::read(&mut Columns::of(row)));
        Body::new(&ChangePage {
            data: changes.collect::<Result<_, _>>()?,
            has_more: following.has_more,
            next_cursor: following.end.encode(),
            held_back_since: following.held_back_since.map(Timestamp::Decoded),
        })
    }

    /// Stream changes
    ///
    /// The feed of changes as server-sent events: those that follow a cursor, and then each one soon after it is committed. What
    /// `GET /v1/changes` says of the feed holds here, too. Each change is an event `change` with the change as its
    /// `data` and its cursor as its `id`. A client that reconnects with the last `id` in `Last-Event-ID` misses nothing and hears of
    /// nothing twice. At least every 15 seconds there is a comment, and an `id` without an event if the filters have left out
    /// changes. The stream ends when the service stops, when its client reads too slowly, or after an event `problem`, whose
    /// `data` is a problem: `cursor_expired`, or `unauthenticated` within 5 seconds after the key was revoked or expired. Fails with 410
    /// `cursor_expired` as `GET /v1/changes` does, and with 503 `too_many_streams` if the service has as many as it may have.
    #[oai(path = "/events", method = "get", operation_id = "stream_events")]
    #[expect(clippy::too_many_arguments, reason = "one argument a parameter")]
    async fn stream_events(
        &self,
        request: &Request,
        Data(database): Data<&Database>,
        Data(scopes): Data<&ScopeList>,
        Shared(events): Shared<&Events>,
        LastEventId(last_event_id): LastEventId,
        /// The cursor after which a first connection starts. `latest`, which is the default, for what is committed from now on.
        #[oai(validator(min_length = 1, max_length = 100))]
        after: Query<Option<String>>,
        /// Only changes of these kinds of resources, as `agent,model,catalog`.
        #[oai(validator(max_length = 200, pattern = "^[a-z_]+(,[a-z_]+)*$"))]
        resource: Query<Option<String>>,
        /// Only changes of the circle that has this name when the stream begins, and of its members, releases, labels and
        /// conversations. Fails with 404 `not_found` if there is none.
        #[oai(validator(min_length = 1, max_length = 64))]
        circle: Query<Option<String>>,
        /// Only changes of the circle with this id. An id stays the same when the circle is renamed or deleted.
        #[oai(validator(minimum(value = "1")))]
        circle_id: Query<Option<i64>>,
    ) -> Result<EventStream, Error> {
        let after = match (last_event_id.as_deref(), after.0.as_deref()) {
            (Some(id), _) => parse_after(id, "header/Last-Event-ID")?,
            (None, Some(after)) => parse_after(after, "query/after")?,
            (None, None) => After::Latest,
        };
        let db = database.connection();
        let circle_id = id_of_circle(db, circle.0, circle_id.0).await?;
        let filter = filter(scopes, resource.0.as_deref(), circle_id)?;
        events.open(request, db, filter, after).await
    }
}

/// # Errors
/// What is neither `latest` nor a cursor.
pub(crate) fn parse_after(text: &str, parameter: &str) -> Result<After, Error> {
    match text {
        LATEST => Ok(After::Latest),
        cursor => ChangeCursor::decode(cursor, parameter).map(After::Cursor),
    }
}

/// The circle that the caller asks for by its name or its id.
async fn id_of_circle(
    db: &Connections,
    name: Option<String>,
    id: Option<i64>,
) -> Result<Option<i64>, Error> {
    match name {
        Some(_) if id.is_some() => {
            let detail = "is not taken together with `circle`";
            Err(Error::invalid("query/circle_id", detail))
        }
        Some(name) => Ok(Some(circles::queries::get(db, &name).await?.id)),
        None => Ok(id),
    }
}

/// What the caller may see of these kinds of resources and this circle, or of all.
fn filter(
    scopes: &ScopeList,
    resources: Option<&str>,
    circle_id: Option<i64>,
) -> Result<ChangeFilter, Error> {
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
        actions: None,
        circle_id,
        without_admins: !is_admin,
    })
}
