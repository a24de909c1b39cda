//! `/v1/models`

use poem::web::Data;
use poem_openapi::{
    OpenApi,
    param::{Header, Path, Query},
    payload::Json,
};

use super::{
    dto::{Model, ModelPatch, NewModel},
    queries::{self, ModelFilter},
};
use crate::{
    database::Database,
    error::Error,
    http::{Body, Created, NoContent, PageBody, Tag, Tagged},
    idempotency::{Attempt, Once},
    page::PageRequest,
    revision::{Expected, etag},
};

pub(crate) struct ModelsApi;

#[OpenApi(prefix_path = "/v1/models", tag = "Tag::Models")]
impl ModelsApi {
    /// List models
    ///
    /// In the order of their ids.
    #[oai(path = "/", method = "get", operation_id = "list_models")]
    #[expect(clippy::too_many_arguments, reason = "one argument a query parameter")]
    async fn list_models(
        &self,
        Data(database): Data<&Database>,
        /// Only those of this provider.
        #[oai(validator(minimum(value = "1")))]
        provider_id: Query<Option<i64>>,
        /// Only those that do this, as `chat`.
        #[oai(validator(min_length = 1, max_length = 64))]
        mode: Query<Option<String>>,
        /// Only those that should no longer be used, or only the others.
        is_deprecated: Query<Option<bool>>,
        /// Text anywhere in the name or alias; ASCII letters match in either case.
        #[oai(validator(min_length = 1, max_length = 200))]
        q: Query<Option<String>>,
        /// Rows in the page; 50 where it is not given.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u64>>,
        /// Where to go on: `next_cursor` of the page before.
        #[oai(validator(max_length = 64))]
        cursor: Query<Option<String>>,
        /// Whether to count the whole list too.
        count: Query<Option<bool>>,
    ) -> Result<Body<PageBody<Model>>, Error> {
        let page = PageRequest::parse(limit.0, cursor.0.as_deref(), count.0)?;
        let filter = ModelFilter {
            provider_id: provider_id.0,
            mode: mode.0,
            is_deprecated: is_deprecated.0,
            q: q.0,
        };
        let rows = queries::list(database.connection(), filter, page).await?;
        Ok(Body(rows.into()))
    }

    /// Create a model
    ///
    /// Fails with 422 `invalid_request` where there is no such provider, and 409
    /// `model_name_taken` where the provider has a model of that name.
    #[oai(path = "/", method = "post", operation_id = "create_model")]
    async fn create_model(
        &self,
        Data(database): Data<&Database>,
        once: Once,
        new: Json<NewModel>,
    ) -> Result<Created<Model>, Error> {
        let effect = match once.begin(database).await? {
            Attempt::Done(kept) => return Ok(Created::again(kept)),
            Attempt::New(effect) => effect,
        };
        let row = queries::create(effect.db(), new.0.into()).await?;
        let location = format!("/v1/models/{}", row.id);
        let etag = etag(row.id, row.revision);
        let created = Created::at(location, &Model::from(row), etag)?;
        effect.answer(created).await
    }

    /// Get a model
    ///
    /// Fails with 404 `not_found` where there is none of that id.
    #[oai(path = "/:id", method = "get", operation_id = "get_model")]
    async fn get_model(
        &self,
        Data(database): Data<&Database>,
        /// The model's id.
        #[oai(validator(minimum(value = "1")))]
        id: Path<i64>,
    ) -> Result<Tagged<Model>, Error> {
        let row = queries::get(database.connection(), id.0).await?;
        let etag = etag(row.id, row.revision);
        Tagged::with(&Model::from(row), etag)
    }

    /// Update a model
    ///
    /// An absent field stays, null clears a field that may be null. Fails with 404 `not_found`
    /// where there is none of that id, and 409 `model_name_taken`.
    #[oai(path = "/:id", method = "patch", operation_id = "update_model")]
    async fn update_model(
        &self,
        Data(database): Data<&Database>,
        /// The model's id.
        #[oai(validator(minimum(value = "1")))]
        id: Path<i64>,
        /// Change it only in the state that this tag names.
        #[oai(name = "If-Match", validator(max_length = 1000))]
        if_match: Header<Option<String>>,
        patch: Json<ModelPatch>,
    ) -> Result<Tagged<Model>, Error> {
        let expected = Expected::parse(if_match.as_deref());
        let row = queries::update(database.connection(), id.0, &expected, patch.0.into()).await?;
        let etag = etag(row.id, row.revision);
        Tagged::with(&Model::from(row), etag)
    }

    /// Delete a model
    ///
    /// Fails with 404 `not_found` where there is none of that id, and 409 `model_in_use` while
    /// agents run on it.
    #[oai(path = "/:id", method = "delete", operation_id = "delete_model")]
    async fn delete_model(
        &self,
        Data(database): Data<&Database>,
        /// The model's id.
        #[oai(validator(minimum(value = "1")))]
        id: Path<i64>,
        /// Change it only in the state that this tag names.
        #[oai(name = "If-Match", validator(max_length = 1000))]
        if_match: Header<Option<String>>,
    ) -> Result<NoContent, Error> {
        let expected = Expected::parse(if_match.as_deref());
        queries::delete(database, id.0, &expected).await?;
        Ok(NoContent::Done)
    }
}
