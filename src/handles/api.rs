//! `/v1/circles/{circle_name}/handles`, `/v1/circles/{circle_name}/lint` and `/v1/agents/{id}/handle`

use entity::label_name::LabelName;
use poem::{
    http::{HeaderMap, header},
    web::Data,
};
use poem_openapi::{
    OpenApi,
    param::{Path, Query},
};

use super::{
    dto::{CircleHandles, Handle, Lint},
    facts::Facts,
    queries::{self, today},
    related::Related,
    released::{self, ReleaseKey},
    rules,
};
use crate::{
    circles::{
        self,
        dto::{CircleName, CircleNameRow},
    },
    database::Database,
    error::Error,
    http::{Body, BodyCache, CachedAnswer, CachedBody, PageBody, Shared, Tag, Tagged, joined},
    page::PageRequest,
    rows::FromRow,
};

pub(crate) struct HandlesApi;

#[OpenApi(prefix_path = "/v1", tag = "Tag::Handles")]
impl HandlesApi {
    /// List the circles that have handles
    ///
    /// The names of all circles that are not deleted, ordered by id, for runtimes whose key has no other scope.
    #[oai(
        path = "/handles/circles",
        method = "get",
        operation_id = "list_handle_circles"
    )]
    async fn list_handle_circles(
        &self,
        Data(database): Data<&Database>,
        page: PageRequest,
    ) -> Result<Body<PageBody<CircleName>>, Error> {
        let page = circles::queries::names(database.connection(), page).await?;
        Body::page(&page, CircleNameRow::read)
    }

    /// Get the handles of a circle
    ///
    /// For each active member, in the roster's order, everything that a runtime needs to start it: provider and
    /// model, sampling settings, skills and the effective system prompt, each with its origin. Problems are
    /// listed as warnings. The ETag changes exactly when the handles do.
    ///
    /// With `label`, the handles of the release that the label points to, as they were when it was published: later
    /// changes of the circle, its agents and the catalogue do not show, and fields that are newer than the release are
    /// absent. The ETag is the release's digest. Fails with 404 `not_found` if there is no circle with this name, or no
    /// such label.
    #[oai(
        path = "/circles/:circle_name/handles",
        method = "get",
        operation_id = "get_circle_handles"
    )]
    async fn get_circle_handles(
        &self,
        Data(database): Data<&Database>,
        Shared(cache): Shared<&BodyCache>,
        /// The circle's name.
        circle_name: Path<String>,
        /// The label of a release, as `production`.
        label: Query<Option<LabelName>>,
        headers: &HeaderMap,
    ) -> Result<CachedAnswer<CircleHandles<'static>>, Error> {
        let db = database.connection();
        if let Some(label) = &label.0 {
            circles::labels::check("query/label", label)?;
            let release = ReleaseKey::Label(label);
            let known = joined(headers, &header::IF_NONE_MATCH).ok().flatten();
            // Boxed, because several futures around this one have room for it.
            let read = released::get(cache, db, &circle_name.0, release, known.as_deref());
            return Box::pin(read).await;
        }
        let body = queries::of_circle(db, &circle_name.0, |circle, members, related| {
            let handles = rules::resolve_circle(circle, members, related, today())?;
            CachedBody::view(&handles, queries::capacity(members.len()))
        });
        Box::pin(body).await.map(CachedAnswer::from)
    }

    /// Lint a circle
    ///
    /// All warnings of its handles, and no handles. `circle-registry circle lint` says the same.
    /// Fails with 404 `not_found` if there is no circle with this name.
    #[oai(
        path = "/circles/:circle_name/lint",
        method = "get",
        operation_id = "lint_circle"
    )]
    async fn lint_circle(
        &self,
        Data(database): Data<&Database>,
        /// The circle's name.
        circle_name: Path<String>,
    ) -> Result<Body<Lint>, Error> {
        Body::new(&queries::lint(database, &circle_name.0).await?)
    }

    /// Get the handle of an agent
    ///
    /// The handle outside any circle, of the agent as it is, or of a version of it. What a version refers to is shown as it is
    /// now. Fails with 404 `not_found` if there is no agent with this id, or it has no such version, and with 409
    /// `reference_gone` if the version refers to a model or an MCP server that no longer exists.
    #[oai(
        path = "/agents/:id/handle",
        method = "get",
        operation_id = "get_agent_handle"
    )]
    async fn get_agent_handle(
        &self,
        Data(database): Data<&Database>,
        /// The agent's id.
        #[oai(validator(minimum(value = "1")))]
        id: Path<i64>,
        /// The number of the version; the agent as it is by default.
        #[oai(validator(minimum(value = "1")))]
        version: Query<Option<i64>>,
    ) -> Result<Tagged<Handle<'static>>, Error> {
        let db = database.connection();
        let alone = rules::Additions::default();
        let resolve = |facts: &Facts<'_>, related: &Related<'_>| {
            Tagged::view(&rules::resolve(facts, &alone, related, today())?)
        };
        match version.0 {
            Some(number) => queries::of_version(db, id.0, number, resolve).await,
            None => queries::of_agent(db, id.0, resolve).await,
        }
    }
}
