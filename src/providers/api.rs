//! `/v1/providers`

use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::{
    OpenApi,
    param::{Header, Path, Query},
    payload::Json,
};

use super::{
    dto::{Provider, ProviderCreate, ProviderUpdate},
    queries::{self, ProviderFilter},
};
use crate::{
    database::Database,
    error::Error,
    http::{Body, Created, NoContent, PageBody, Tag, Tagged},
    revision::Precondition,
    sort::{Sort, SortedRequest},
    write::WriteRequest,
};

pub(crate) struct ProvidersApi;

#[OpenApi(prefix_path = "/v1/providers", tag = "Tag::Providers")]
impl ProvidersApi {
    /// List providers
    ///
    /// In the order of their ids, or as `sort` says.
    #[oai(path = "/", method = "get", operation_id = "list_providers")]
    #[expect(clippy::too_many_arguments, reason = "one argument a query parameter")]
    async fn list_providers(
        &self,
        Data(database): Data<&Database>,
        /// Text anywhere in the name or display name; ASCII letters match in either case.
        #[oai(validator(min_length = 1, max_length = 200))]
        q: Query<Option<String>>,
        /// Only those that run on the caller's own machines, or only the others.
        is_local: Query<Option<bool>>,
        /// Only those that were changed at this moment or later.
        updated_since: Query<Option<DateTime<Utc>>>,
        /// What to sort by; `id` where it is not given.
        sort: Query<Option<Sort>>,
        /// Rows in the page; 50 where it is not given.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u64>>,
        /// Where to go on: `next_cursor` of the page before, which had the same `sort`.
        #[oai(validator(max_length = 4096))]
        cursor: Query<Option<String>>,
        /// Whether to count the whole list too.
        count: Query<Option<bool>>,
    ) -> Result<Body<PageBody<Provider>>, Error> {
        let page = SortedRequest::parse(sort.0, limit.0, cursor.0.as_deref(), count.0)?;
        let filter = ProviderFilter {
            q: q.0,
            is_local: is_local.0,
            updated_since: updated_since.0,
        };
        let rows = queries::list(database.connection(), filter, page).await?;
        Ok(Body(rows.into()))
    }

    /// Create a provider
    ///
    /// Fails with 409 `provider_name_taken` where the name is taken, in whatever case, and with 422
    /// `invalid_request` where a provider that is not local has a `base_url` without https.
    #[oai(path = "/", method = "post", operation_id = "create_provider")]
    async fn create_provider(
        &self,
        Data(database): Data<&Database>,
        write: WriteRequest,
        new: Json<ProviderCreate>,
    ) -> Result<Created<Provider>, Error> {
        let new = &new.0;
        write
            .run(database, |work| async move {
                let row = queries::create(&work, new.clone().into()).await?;
                Created::row(format!("/v1/providers/{}", row.id), row)
            })
            .await
    }

    /// Get a provider
    ///
    /// Fails with 404 `not_found` where there is none of that id.
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
    /// An absent field stays, null clears a field that may be null. Fails with 404 `not_found`
    /// where there is none of that id, with 409 `provider_name_taken`, and with 422
    /// `invalid_request` where it would come to be not local with a `base_url` without https.
    #[oai(path = "/:id", method = "patch", operation_id = "update_provider")]
    async fn update_provider(
        &self,
        Data(database): Data<&Database>,
        write: WriteRequest,
        /// The provider's id.
        #[oai(validator(minimum(value = "1")))]
        id: Path<i64>,
        /// Change it only in the state that this tag names.
        #[oai(name = "If-Match", validator(max_length = 1000))]
        if_match: Header<Option<String>>,
        patch: Json<ProviderUpdate>,
    ) -> Result<Tagged<Provider>, Error> {
        let precondition = &Precondition::parse(if_match.as_deref());
        let patch = &patch.0;
        write
            .run(database, |work| async move {
                let row = queries::update(&work, id.0, precondition, patch.clone().into()).await?;
                Tagged::row(row)
            })
            .await
    }

    /// Delete a provider
    ///
    /// Fails with 404 `not_found` where there is none of that id, with 409 `provider_in_use` while
    /// it has models, and with 409 `model_in_use` where `cascade=true` meets a model that agents
    /// run on. Nothing is deleted then.
    #[oai(path = "/:id", method = "delete", operation_id = "delete_provider")]
    async fn delete_provider(
        &self,
        Data(database): Data<&Database>,
        write: WriteRequest,
        /// The provider's id.
        #[oai(validator(minimum(value = "1")))]
        id: Path<i64>,
        /// Change it only in the state that this tag names.
        #[oai(name = "If-Match", validator(max_length = 1000))]
        if_match: Header<Option<String>>,
        /// Delete its models with it.
        cascade: Query<Option<bool>>,
    ) -> Result<NoContent, Error> {
        let precondition = &Precondition::parse(if_match.as_deref());
        let cascade = cascade.0.unwrap_or(false);
        write
            .run(database, |work| async move {
                queries::delete(&work, id.0, precondition, cascade).await?;
                Ok(NoContent::Done)
            })
            .await
    }
}
