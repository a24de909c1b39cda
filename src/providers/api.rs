//! `/v1/providers`

use entity::provider;
use poem::web::Data;
use poem_openapi::{
    OpenApi,
    param::{Path, Query},
    payload::Json,
};

use super::{
    dto::{Provider, ProviderCreate, ProviderRow, ProviderUpdate},
    queries::{self, ProviderFilter},
};
use crate::{
    database::Database,
    error::Error,
    http::{Body, Created, NoContent, PageBody, Tag, Tagged},
    revision::Precondition,
    rows::FromRow,
    sort::SortedRequest,
    write::WriteRequest,
};

pub(crate) struct ProvidersApi;

#[OpenApi(prefix_path = "/v1/providers", tag = "Tag::Providers")]
impl ProvidersApi {
    /// List providers
    ///
    /// Ordered by id, or as `sort` says.
    #[oai(path = "/", method = "get", operation_id = "list_providers")]
    async fn list_providers(
        &self,
        Data(database): Data<&Database>,
        /// Text that the name or display name contains; ASCII letters match regardless of case.
        #[oai(validator(min_length = 1, max_length = 200))]
        q: Query<Option<String>>,
        /// Only providers that are local, or only those that are not.
        is_local: Query<Option<bool>>,
        page: SortedRequest,
    ) -> Result<Body<PageBody<Provider>>, Error> {
        let filter = ProviderFilter {
            q: q.0,
            is_local: is_local.0,
        };
        let page = queries::list(database.connection(), filter, page).await?;
        Body::page(&page, ProviderRow::read)
    }

    /// Create a provider
    ///
    /// Fails with 409 `provider_name_taken` if the name is taken, regardless of case, and with 422
    /// `invalid_request` if a provider that is not local has a `base_url` without https.
    #[oai(path = "/", method = "post", operation_id = "create_provider")]
    async fn create_provider(
        &self,
        write: WriteRequest,
        new: Json<ProviderCreate>,
    ) -> Result<Created<Provider>, Error> {
        let path = |row: &provider::Model| format!("/v1/providers/{}", row.id);
        write
            .create(path, |work| queries::create(work, new.0.clone().into()))
            .await
    }

    /// Get a provider
    ///
    /// Fails with 404 `not_found` if there is no provider with this id.
    #[oai(path = "/:id", method = "get", operation_id = "get_provider")]
    async fn get_provider(
        &self,
        Data(database): Data<&Database>,
        /// The provider's id.
        #[oai(validator(minimum(value = "1")))]
        id: Path<i64>,
    ) -> Result<Tagged<Provider>, Error> {
        Tagged::row(queries::get(database.connection(), id.0).await?)
    }

    /// Update a provider
    ///
    /// Absent fields are left unchanged; null clears a nullable field. Fails with 404 `not_found` if
    /// there is no provider with this id, with 409 `provider_name_taken` if the name is taken, and with
    /// 422 `invalid_request` if the result is a provider that is not local and has a `base_url` without
    /// https.
    #[oai(path = "/:id", method = "patch", operation_id = "update_provider")]
    async fn update_provider(
        &self,
        write: WriteRequest,
        /// The provider's id.
        #[oai(validator(minimum(value = "1")))]
        id: Path<i64>,
        precondition: Precondition,
        update: Json<ProviderUpdate>,
    ) -> Result<Tagged<Provider>, Error> {
        write
            .update(|work| queries::update(work, id.0, &precondition, update.0.clone().into()))
            .await
    }

    /// Delete a provider
    ///
    /// Fails with 404 `not_found` if there is no provider with this id, with 409 `provider_in_use` if
    /// it has models and `cascade` is not set, and with 409 `model_in_use` if `cascade` would delete a
    /// model that agents use. If it fails, nothing is deleted.
    #[oai(path = "/:id", method = "delete", operation_id = "delete_provider")]
    async fn delete_provider(
        &self,
        write: WriteRequest,
        /// The provider's id.
        #[oai(validator(minimum(value = "1")))]
        id: Path<i64>,
        precondition: Precondition,
        /// Whether to delete the provider's models too.
        cascade: Query<Option<bool>>,
    ) -> Result<NoContent, Error> {
        let cascade = cascade.0.unwrap_or(false);
        write
            .delete(|work| queries::delete(work, id.0, &precondition, cascade))
            .await
    }
}
