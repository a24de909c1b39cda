//! `/v1/circles`

use chrono::{DateTime, Utc};
use entity::{circle, values::CircleStatus};
use poem::{
    IntoResponse, Response,
    http::{HeaderMap, StatusCode, header},
    web::Data,
};
use poem_openapi::{
    ApiResponse, OpenApi,
    param::{Path, Query},
    payload::Json,
    registry::{MetaResponses, Registry},
};
use sea_orm::QueryResult;

use super::{
    cache::RosterCache,
    dto::{Circle, CircleCreate, CircleInclude, CircleUpdate, Roster},
    queries::{self, CircleFilter},
    roster::{self, Members},
};
use crate::{
    database::Database,
    error::Error,
    http::{BodyText, Created, NoContent, PageBody, Tag, Tagged, Written},
    revision::{Precondition, is_named, view_etag},
    sort::SortedRequest,
    write::WriteRequest,
};

pub(crate) struct CirclesApi;

#[OpenApi(prefix_path = "/v1/circles", tag = "Tag::Circles")]
impl CirclesApi {
    /// List circles
    ///
    /// In the order of their ids, or as `sort` says. Deleted circles are not shown. With
    /// `include=members`, every circle brings its active members along, as the roster shows them.
    #[oai(path = "/", method = "get", operation_id = "list_circles")]
    async fn list_circles(
        &self,
        Data(database): Data<&Database>,
        /// Only those in this state.
        status: Query<Option<CircleStatus>>,
        /// Text anywhere in the name or display name; ASCII letters match in either case.
        #[oai(validator(min_length = 1, max_length = 200))]
        q: Query<Option<String>>,
        /// Only those that were changed at this moment or later.
        updated_since: Query<Option<DateTime<Utc>>>,
        /// What to bring along.
        include: Query<Option<CircleInclude>>,
        page: SortedRequest,
    ) -> Result<BodyText<PageBody<Circle>>, Error> {
        let filter = CircleFilter {
            status: status.0,
            q: q.0,
            updated_since: updated_since.0,
        };
        let db = database.connection();
        let page = queries::list(db, filter, page).await?;
        let id_of = |row: &QueryResult| row.try_get_by_index::<i64>(0);
        let members = match include.0 {
            None => None,
            Some(CircleInclude::Members) => {
                let ids = page.rows.iter().map(id_of).collect::<Result<Vec<_>, _>>()?;
                Some(roster::members_of(db, &ids).await?)
            }
        };
        BodyText::page(&page, |json, row| {
            json.fields(row, 0, &Circle::FIELDS)?;
            if let Some(members) = &members {
                json.push(",\"members\":");
                let of_nobody = Members::default();
                members
                    .get(&id_of(row)?)
                    .unwrap_or(&of_nobody)
                    .write(json)?;
            }
            json.push("}");
            Ok(())
        })
    }

    /// Create a circle
    ///
    /// It starts out stopped and without members. Fails with 409 `circle_name_taken` where a live
    /// circle has the name.
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
    /// All that a runtime needs to build a handle for every member: its agent's prompts and
    /// skills, the model it runs on and that model's provider. Members are ordered by role (leads
    /// first), then by when they joined. The ETag changes exactly when anything shown does; with an
    /// `If-None-Match` that names it the answer is 304, after one cheap look. Fails with 404
    /// `not_found` where there is no live circle of that name.
    #[oai(path = "/:circle_name", method = "get", operation_id = "get_circle")]
    async fn get_circle(
        &self,
        Data(database): Data<&Database>,
        Data(cache): Data<&RosterCache>,
        /// The circle's name.
        circle_name: Path<String>,
        /// Whether to show memberships that ended too.
        include_inactive: Query<Option<bool>>,
        headers: &HeaderMap,
    ) -> Result<RosterAnswer, Error> {
        let db = database.connection();
        if include_inactive.0.unwrap_or(false) {
            let (roster, state) = roster::get(db, &circle_name.0, true).await?;
            let etag = view_etag(state.id, state.revision, &roster);
            return Ok(RosterAnswer::Whole(Written::new(roster, etag)));
        }
        let named = headers
            .get(header::IF_NONE_MATCH)
            .and_then(|tags| tags.to_str().ok());
        let kept = cache.find(&circle_name.0);
        if named.is_some() || kept.is_some() {
            let state = queries::get_state(db, &circle_name.0).await?;
            if named.is_some_and(|named| is_named(named, &state.etag())) {
                return Ok(RosterAnswer::NotModified(state.etag()));
            }
            if let Some((kept_state, written)) = kept
                && kept_state == state
            {
                cache.count(true);
                return Ok(RosterAnswer::Whole(written));
            }
        }
        let (roster, state) = roster::get(db, &circle_name.0, false).await?;
        let written = Written::new(roster, state.etag());
        cache.count(false);
        cache.keep(circle_name.0, state, written.clone());
        Ok(RosterAnswer::Whole(written))
    }

    /// Update a circle
    ///
    /// An absent field stays, null clears a field that may be null. Fails with 404 `not_found`
    /// where there is no live circle of that name, and 409 `circle_name_taken`.
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
    /// It stops, and its name is free again. `restore_circle` brings it back. Fails with 404
    /// `not_found` where there is no live circle of that name.
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
    /// The one of that name that was deleted last; give it another name, and the one deleted
    /// before it can be restored in turn. It comes back stopped, with the members it had, except
    /// for agents that were deleted since. Fails with 404 `not_found` where there never was a
    /// circle of that name, 409 `circle_name_taken` where a live circle has taken the name since,
    /// and 409 `not_deleted` where the live circle is the only one there ever was.
    #[oai(
        path = "/:circle_name/restore",
        method = "post",
        operation_id = "restore_circle"
    )]
    async fn restore_circle(
        &self,
        write: WriteRequest,
        /// The circle's name when it was deleted.
        circle_name: Path<String>,
    ) -> Result<Tagged<Circle>, Error> {
        write
            .update(|work| queries::restore(work, &circle_name))
            .await
    }

    /// Start a circle
    ///
    /// A circle that is running stays as it is. Fails with 404 `not_found` where there is no live
    /// circle of that name.
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
    ) -> Result<Tagged<Circle>, Error> {
        write
            .update(|work| queries::set_status(work, &circle_name, CircleStatus::Running))
            .await
    }

    /// Stop a circle
    ///
    /// A circle that is stopped stays as it is. Fails with 404 `not_found` where there is no live
    /// circle of that name.
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
    ) -> Result<Tagged<Circle>, Error> {
        write
            .update(|work| queries::set_status(work, &circle_name, CircleStatus::Stopped))
            .await
    }
}

/// The answer to a request for a roster.
enum RosterAnswer {
    Whole(Written),
    NotModified(String),
}

impl IntoResponse for RosterAnswer {
    fn into_response(self) -> Response {
        match self {
            Self::Whole(written) => written.into_response(),
            Self::NotModified(etag) => StatusCode::NOT_MODIFIED
                .with_header(header::ETAG, etag)
                .into_response(),
        }
    }
}

/// Declared like any tagged answer. A 304 is what a client asks for by `If-None-Match`; declared
/// beside a 200, it makes some generators fail.
impl ApiResponse for RosterAnswer {
    fn meta() -> MetaResponses {
        Tagged::<Roster>::meta()
    }

    fn register(registry: &mut Registry) {
        Tagged::<Roster>::register(registry);
    }
}
