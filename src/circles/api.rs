//! `/v1/circles`

use entity::{circle, values::CircleStatus};
use poem::{
    http::{HeaderMap, header},
    web::Data,
};
use poem_openapi::{
    OpenApi,
    param::{Path, Query},
    payload::Json,
};

use super::{
    cache,
    dto::{Circle, CircleCreate, CircleInclude, CircleRow, CircleUpdate, Roster},
    queries::{self, CircleFilter},
    roster,
};
use crate::{
    database::Database,
    error::Error,
    http::{
        Body, BodyCache, CachedAnswer, CachedBody, Created, NoContent, PageBody, Shared, Tag,
        Tagged, accepts_gzip, joined,
    },
    revision::{Precondition, digest, view_etag},
    rows::FromRow,
    sort::SortedRequest,
    write::WriteRequest,
};

pub(crate) struct CirclesApi;

#[OpenApi(prefix_path = "/v1/circles", tag = "Tag::Circles")]
impl CirclesApi {
    /// List circles
    ///
    /// Ordered by id, or as `sort` says. Deleted circles are listed only with `include_deleted`. With `include=members`, each
    /// circle contains its active members as the roster shows them. Fails with 422 `response_too_large` if
    /// the first circle of the page alone is larger than a response may be.
    #[oai(path = "/", method = "get", operation_id = "list_circles")]
    async fn list_circles(
        &self,
        Data(database): Data<&Database>,
        /// Only circles with this status.
        status: Query<Option<CircleStatus>>,
        /// Text that the name or display name contains; ASCII letters match regardless of case.
        #[oai(validator(min_length = 1, max_length = 200))]
        q: Query<Option<String>>,
        /// Whether to list deleted circles, too: `is_active` is false, and `updated_at` is when they were deleted.
        include_deleted: Query<Option<bool>>,
        /// Related resources to include.
        include: Query<Option<CircleInclude>>,
        page: SortedRequest,
    ) -> Result<Body<PageBody<Circle>>, Error> {
        let filter = CircleFilter {
            status: status.0,
            q: q.0,
            include_deleted: include_deleted.0.unwrap_or(false),
        };
        let db = database.connection();
        let Some(CircleInclude::Members) = include.0 else {
            let page = queries::list(db, filter, page).await?;
            return Body::page(&page, CircleRow::read);
        };
        let (page, members) = roster::list_with_members(db, filter, page).await?;
        Body::page(&page, |columns| {
            let mut circle = CircleRow::read(columns)?;
            circle.set_members(members.of(circle.id)?);
            Ok(circle)
        })
    }

    /// Create a circle
    ///
    /// A new circle is stopped and has no members. Fails with 409 `circle_name_taken` if a circle has
    /// the name.
    #[oai(path = "/", method = "post", operation_id = "create_circle")]
    async fn create_circle(
        &self,
        write: WriteRequest,
        new: Json<CircleCreate>,
    ) -> Result<Created<Circle>, Error> {
        let path = |row: &circle::Model| format!("/v1/circles/{}", row.name);
        write
            .create(path, |work| queries::create(work, new.0.clone().into()))
            .await
    }

    /// Get a circle with its members: the roster
    ///
    /// Everything that a runtime needs to build a handle for each member: the agent's prompts and
    /// skills, its model and that model's provider. Members are ordered by role, leads first, and then
    /// by the time they joined. The ETag changes whenever the roster does, and when any model or
    /// provider changes. Fails with 404 `not_found` if there is no circle with this name.
    #[oai(path = "/:circle_name", method = "get", operation_id = "get_circle")]
    async fn get_circle(
        &self,
        Data(database): Data<&Database>,
        Shared(cache): Shared<&BodyCache>,
        /// The circle's name.
        circle_name: Path<String>,
        /// Whether to include memberships that have ended.
        include_inactive: Query<Option<bool>>,
        headers: &HeaderMap,
    ) -> Result<CachedAnswer<Roster>, Error> {
        let db = database.connection();
        if include_inactive.0.unwrap_or(false) {
            let (json, state) = Box::pin(roster::load(db, &circle_name.0, true)).await?;
            let etag = view_etag(state.id, state.revision, digest(&json));
            return Ok(CachedBody::new(json, etag).into());
        }
        // A field that can't be read names no state, and the whole response is always right.
        let if_none_match = joined(headers, &header::IF_NONE_MATCH).ok().flatten();
        let (if_none_match, gzip) = (if_none_match.as_deref(), accepts_gzip(headers));
        // Boxed, because several futures around this one have room for it.
        Box::pin(cache::get(cache, db, circle_name.0, if_none_match, gzip)).await
    }

    /// Update a circle
    ///
    /// Absent fields are left unchanged; null clears a nullable field. Fails with 404 `not_found` if
    /// there is no circle with this name, and with 409 `circle_name_taken` if another circle has the
    /// new name.
    #[oai(
        path = "/:circle_name",
        method = "patch",
        operation_id = "update_circle"
    )]
    async fn update_circle(
        &self,
        write: WriteRequest,
        /// The circle's name.
        circle_name: Path<String>,
        precondition: Precondition,
        update: Json<CircleUpdate>,
    ) -> Result<Tagged<Circle>, Error> {
        write
            .update(|work| {
                queries::update(work, &circle_name, &precondition, update.0.clone().into())
            })
            .await
    }

    /// Delete a circle
    ///
    /// Stops the circle and frees its name. `restore_circle` restores it. Fails with 404 `not_found`
    /// if there is no circle with this name.
    #[oai(
        path = "/:circle_name",
        method = "delete",
        operation_id = "delete_circle"
    )]
    async fn delete_circle(
        &self,
        write: WriteRequest,
        /// The circle's name.
        circle_name: Path<String>,
        precondition: Precondition,
    ) -> Result<NoContent, Error> {
        write
            .delete(|work| queries::delete(work, &circle_name, &precondition))
            .await
    }

    /// Restore a deleted circle
    ///
    /// Restores the most recently deleted circle with this name; once that one is renamed, the next can
    /// be restored. The circle is stopped and has the members it had, except for agents that were
    /// deleted since. Fails with 404 `not_found` if there never was a circle with this name, with 409
    /// `circle_name_taken` if another circle has taken the name since, and with 409 `not_deleted` if
    /// the only circle with this name is not deleted.
    #[oai(
        path = "/:circle_name/restore",
        method = "post",
        operation_id = "restore_circle"
    )]
    async fn restore_circle(
        &self,
        write: WriteRequest,
        /// The circle's name at its deletion.
        circle_name: Path<String>,
        precondition: Precondition,
    ) -> Result<Tagged<Circle>, Error> {
        write
            .update(|work| queries::restore(work, &circle_name, &precondition))
            .await
    }

    /// Start a circle
    ///
    /// Does nothing if the circle is running. Fails with 404 `not_found` if there is no circle with
    /// this name.
    #[oai(
        path = "/:circle_name/start",
        method = "post",
        operation_id = "start_circle"
    )]
    async fn start_circle(
        &self,
        write: WriteRequest,
        /// The circle's name.
        circle_name: Path<String>,
        precondition: Precondition,
    ) -> Result<Tagged<Circle>, Error> {
        write
            .update(|work| {
                queries::set_status(work, &circle_name, &precondition, CircleStatus::Running)
            })
            .await
    }

    /// Stop a circle
    ///
    /// Does nothing if the circle is stopped. Fails with 404 `not_found` if there is no circle with
    /// this name.
    #[oai(
        path = "/:circle_name/stop",
        method = "post",
        operation_id = "stop_circle"
    )]
    async fn stop_circle(
        &self,
        write: WriteRequest,
        /// The circle's name.
        circle_name: Path<String>,
        precondition: Precondition,
    ) -> Result<Tagged<Circle>, Error> {
        write
            .update(|work| {
                queries::set_status(work, &circle_name, &precondition, CircleStatus::Stopped)
            })
            .await
    }
}
