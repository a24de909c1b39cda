//! `/v1/models`

use chrono::Days;
use entity::model;
use poem::web::Data;
use poem_openapi::{
    OpenApi,
    param::{Path, Query},
    payload::Json,
};

use super::{
    cost::{self, Cost, Usage},
    dto::{Model, ModelCreate, ModelInclude, ModelRow, ModelUpdate, capabilities},
    queries::{self, ModelFilter},
    retirements::{self, Retirement},
};
use crate::{
    database::Database,
    error::Error,
    http::{Body, Created, NoContent, NotIdempotent, PageBody, Tag, Tagged},
    page::PageRequest,
    providers::{self, dto::ProviderRow},
    revision::Precondition,
    rows::FromRow,
    sort::SortedRequest,
    write::WriteRequest,
};

pub(crate) struct ModelsApi;

#[OpenApi(prefix_path = "/v1", tag = "Tag::Models")]
impl ModelsApi {
    /// List models
    ///
    /// Ordered by id, or as `sort` says. With `include=provider`, each model contains its provider.
    #[oai(path = "/models", method = "get", operation_id = "list_models")]
    #[expect(clippy::too_many_arguments, reason = "one argument a query parameter")]
    async fn list_models(
        &self,
        Data(database): Data<&Database>,
        /// Only models of this provider.
        #[oai(validator(minimum(value = "1")))]
        provider_id: Query<Option<i64>>,
        /// Only models with this mode, as `chat`.
        #[oai(validator(min_length = 1, max_length = 64))]
        mode: Query<Option<String>>,
        /// Only models that are deprecated, or only those that are not. A model is deprecated if it is marked, or if
        /// its `deprecation_date` has come (UTC).
        is_deprecated: Query<Option<bool>>,
        /// Only models that support all of these, separated by commas: `vision`, `tools`, `streaming`, `reasoning`,
        /// `response_schema`, `prompt_caching`, `pdf_input`, `audio_input`, `web_search`, `computer_use`.
        #[oai(validator(max_length = 200, pattern = "^[a-z_]+(,[a-z_]+)*$"))]
        supports: Query<Option<String>>,
        /// Only models whose API accepts parameters of sampling, or only those that do not.
        accepts_sampling: Query<Option<bool>>,
        /// Text that the name or alias contains; ASCII letters match regardless of case.
        #[oai(validator(min_length = 1, max_length = 200))]
        q: Query<Option<String>>,
        /// Related resources to include.
        include: Query<Option<ModelInclude>>,
        page: SortedRequest,
    ) -> Result<Body<PageBody<Model>>, Error> {
        let filter = ModelFilter {
            provider_id: provider_id.0,
            mode: mode.0,
            is_deprecated: is_deprecated.0,
            supports: supports.0.as_deref().map(capabilities).transpose()?,
            accepts_sampling: accepts_sampling.0,
            q: q.0,
        };
        let with_provider = include.0 == Some(ModelInclude::Provider);
        let page = queries::list(database.connection(), filter, with_provider, page).await?;
        Body::page(&page, |columns| {
            let mut model = ModelRow::read(columns)?;
            if with_provider {
                model.provider = Some(ProviderRow::read(columns)?);
            }
            Ok(model)
        })
    }

    /// List models that retire
    ///
    /// Models that retire within a time or are retired already, with the agents that run on them or may fall back on
    /// them, and the circles that those are members of. Ordered by id.
    #[oai(
        path = "/models/retirements",
        method = "get",
        operation_id = "list_model_retirements"
    )]
    async fn list_model_retirements(
        &self,
        Data(database): Data<&Database>,
        /// How far ahead to look, in days or weeks (ISO 8601); 90 days by default.
        #[oai(validator(max_length = 16, pattern = "^P[0-9]{1,5}[DW]$"))]
        within: Query<Option<String>>,
        /// Only models that an agent runs on or may fall back on.
        used: Query<Option<bool>>,
        page: PageRequest,
    ) -> Result<Body<PageBody<Retirement>>, Error> {
        let within = within.0.as_deref().map_or(Days::new(90), days);
        let used = used.0.unwrap_or_default();
        let page = retirements::list(database.connection(), within, used, page).await?;
        Body::of_page(page)
    }

    /// Create a model
    ///
    /// Fails with 422 `invalid_request` if there is no such provider, if thresholds of `price_tiers` do not ascend, or
    /// for an unknown key of `prices` or name in `pinned_fields`; and with 409 `model_name_taken`
    /// if the provider has a model with this name.
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
    /// Fails with 404 `not_found` if there is no model with this id.
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

    /// Get the cost of a request
    ///
    /// Exact, without rounding. The prices of the highest threshold that input, cache reads and cache writes together
    /// exceed apply to the whole request. Nothing is stored, and no `Idempotency-Key` is taken. Fails with 404 `not_found`
    /// if there is no model with this id, and with 422 `invalid_request` if the model has no price for something that was
    /// used.
    #[oai(
        path = "/models/:id/cost",
        method = "post",
        operation_id = "get_model_cost"
    )]
    async fn get_model_cost(
        &self,
        Data(database): Data<&Database>,
        /// The model's id.
        #[oai(validator(minimum(value = "1")))]
        id: Path<i64>,
        _once: NotIdempotent,
        usage: Json<Usage>,
    ) -> Result<Body<Cost>, Error> {
        let row = queries::get(database.connection(), id.0).await?;
        Body::new(&cost::cost(&row, &usage)?)
    }

    /// Update a model
    ///
    /// Absent fields are left unchanged; null clears a nullable field. Fails with 404 `not_found` if
    /// there is no model with this id, and with 409 `model_name_taken` if the provider has another
    /// model with this name.
    ///
    /// In a model that was imported, the changed fields are added to `pinned_fields`, so that the next import leaves
    /// them alone; a request that sets `pinned_fields` itself decides. Prices that change are no longer from
    /// `price_source`, which becomes null unless the request sets it.
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
    /// Fails with 404 `not_found` if there is no model with this id, and with 409 `model_in_use` while
    /// agents use it.
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
    /// Ordered by id. `GET /v1/models?provider_id=…` returns the same list with filters and other
    /// orders, and is empty for a provider that does not exist. Fails with 404 `not_found` if there is
    /// no provider with this id.
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
    ) -> Result<Body<PageBody<Model>>, Error> {
        let db = database.connection();
        providers::queries::get(db, id.0).await?;
        let its = ModelFilter {
            provider_id: Some(id.0),
            ..ModelFilter::default()
        };
        let page = queries::list(db, its, false, page.into()).await?;
        Body::page(&page, ModelRow::read)
    }
}

/// The days of a duration such as `P90D` or `P2W`.
fn days(duration: &str) -> Days {
    let number = |text: &str| text.parse().unwrap_or(u64::MAX);
    let text = duration.trim_start_matches('P');
    Days::new(text.strip_suffix('W').map_or_else(
        || number(text.trim_end_matches('D')),
        |weeks| number(weeks).saturating_mul(7),
    ))
}
