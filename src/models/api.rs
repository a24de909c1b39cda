//! `/v1/models`

use chrono::{DateTime, Utc};
use entity::model;
use poem::web::Data;
use poem_openapi::{
    OpenApi,
    param::{Path, Query},
    payload::Json,
};
use sea_orm::QueryResult;

use super::{
    dto::{Model, ModelCreate, ModelInclude, ModelUpdate},
    queries::{self, ModelFilter},
};
use crate::{
    database::Database,
    error::Error,
    http::{BodyText, Created, NoContent, PageBody, Tag, Tagged},
    page::PageRequest,
    providers::{self, dto::Provider},
    revision::Precondition,
    sort::SortedRequest,
    write::WriteRequest,
};

pub(crate) struct ModelsApi;

#[OpenApi(prefix_path = "/v1", tag = "Tag::Models")]
impl ModelsApi {
    /// List models
    ///
    /// In the order of their ids, or as `sort` says. With `include=provider`, every model brings its
    /// provider along.
    #[oai(path = "/models", method = "get", operation_id = "list_models")]
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
        /// Only those that were changed at this moment or later.
        updated_since: Query<Option<DateTime<Utc>>>,
        /// What to bring along.
        include: Query<Option<ModelInclude>>,
        page: SortedRequest,
    ) -> Result<BodyText<PageBody<Model>>, Error> {
        let filter = ModelFilter {
            provider_id: provider_id.0,
            mode: mode.0,
            is_deprecated: is_deprecated.0,
            q: q.0,
            updated_since: updated_since.0,
        };
        let db = database.connection();
        let page = queries::list(db, filter, page).await?;
        let provider_of = |row: &QueryResult| row.try_get_by_index::<i64>(1);
        let providers = match include.0 {
            None => None,
            Some(ModelInclude::Provider) => {
                let ids = page.rows.iter().map(provider_of);
                let ids = ids.collect::<Result<Vec<_>, _>>()?;
                Some(providers::queries::by_id(db, ids).await?)
            }
        };
        BodyText::page(&page, |json, row| {
            json.fields(row, 0, &Model::FIELDS)?;
            if let Some(providers) = &providers
                && let Some(provider_row) = providers.get(&provider_of(row)?)
            {
                json.push(",\"provider\":");
                json.value(&Provider::from(provider_row.clone()))?;
            }
            json.push("}");
            Ok(())
        })
    }

    /// Create a model
    ///
    /// Fails with 422 `invalid_request` where there is no such provider, and 409
    /// `model_name_taken` where the provider has a model of that name.
    #[oai(path = "/models", method = "post", operation_id = "create_model")]
    async fn create_model(
        &self,
        write: WriteRequest,
        new: Json<ModelCreate>,
    ) -> Result<Created<Model>, Error> {
        let path = |row: &model::Model| format!("/v1/models/{}", row.id);
        write
            .create(path, |work| queries::create(work, new.0.clone().into()))
            .await
    }

    /// Get a model
    ///
    /// Fails with 404 `not_found` where there is none of that id.
    #[oai(path = "/models/:id", method = "get", operation_id = "get_model")]
    async fn get_model(
        &self,
        Data(database): Data<&Database>,
        /// The model's id.
        #[oai(validator(minimum(value = "1")))]
        id: Path<i64>,
    ) -> Result<Tagged<Model>, Error> {
        Tagged::row(queries::get(database.connection(), id.0).await?)
    }

    /// Update a model
    ///
    /// An absent field stays, null clears a field that may be null. Fails with 404 `not_found`
    /// where there is none of that id, and 409 `model_name_taken`.
    #[oai(path = "/models/:id", method = "patch", operation_id = "update_model")]
    async fn update_model(
        &self,
        write: WriteRequest,
        /// The model's id.
        #[oai(validator(minimum(value = "1")))]
        id: Path<i64>,
        precondition: Precondition,
        update: Json<ModelUpdate>,
    ) -> Result<Tagged<Model>, Error> {
        write
            .update(|work| queries::update(work, id.0, &precondition, update.0.clone().into()))
            .await
    }

    /// Delete a model
    ///
    /// Fails with 404 `not_found` where there is none of that id, and 409 `model_in_use` while
    /// agents run on it.
    #[oai(path = "/models/:id", method = "delete", operation_id = "delete_model")]
    async fn delete_model(
        &self,
        write: WriteRequest,
        /// The model's id.
        #[oai(validator(minimum(value = "1")))]
        id: Path<i64>,
        precondition: Precondition,
    ) -> Result<NoContent, Error> {
        write
            .delete(|work| queries::delete(work, id.0, &precondition))
            .await
    }

    /// List a provider's models
    ///
    /// In the order of their ids. `GET /v1/models?provider_id=…` is the same list with filters and
    /// other orders, and is empty for a provider that does not exist. Fails with 404 `not_found`
    /// where there is no provider of that id.
    #[oai(
        path = "/providers/:id/models",
        method = "get",
        operation_id = "list_provider_models"
    )]
    async fn list_provider_models(
        &self,
        Data(database): Data<&Database>,
        /// The provider's id.
        #[oai(validator(minimum(value = "1")))]
        id: Path<i64>,
        page: PageRequest,
    ) -> Result<BodyText<PageBody<Model>>, Error> {
        let db = database.connection();
        providers::queries::get(db, id.0).await?;
        let its = ModelFilter {
            provider_id: Some(id.0),
            ..ModelFilter::default()
        };
        let page = queries::list(db, its, page.into()).await?;
        BodyText::page(&page, |json, row| json.object(row, 0, &Model::FIELDS))
    }
}
