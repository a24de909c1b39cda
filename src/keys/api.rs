//! `/v1/keys`

use entity::api_key;
use poem::web::Data;
use poem_openapi::{
    OpenApi,
    param::{Path, Query},
    payload::Json,
};

use super::{
    Keyring,
    dto::{CreatedKey, Key, KeyCreate, KeyRow},
    queries,
    token::Token,
};
use crate::{
    database::Database,
    error::Error,
    http::{Answer, Body, NoContent, NotIdempotent, PageBody, Shared, Tag},
    page::PageRequest,
    rows::FromRow,
    write::{Caller, WriteRequest},
};

pub(crate) struct KeysApi;

#[OpenApi(prefix_path = "/v1/keys", tag = "Tag::Keys")]
impl KeysApi {
    /// List keys
    ///
    /// Ordered by id, including revoked and expired keys.
    #[oai(path = "/", method = "get", operation_id = "list_keys")]
    async fn list_keys(
        &self,
        Data(database): Data<&Database>,
        /// Only keys with exactly this name.
        #[oai(validator(min_length = 1, max_length = 200))]
        name: Query<Option<String>>,
        page: PageRequest,
    ) -> Result<Body<PageBody<Key>>, Error> {
        let page = queries::list(database.connection(), name.0, page).await?;
        Body::page(&page, KeyRow::read)
    }

    /// Create a key
    ///
    /// The response contains the key's token, which is not stored and can't be retrieved later. For
    /// that reason an `Idempotency-Key` is not accepted (422). If the response is lost, revoke the key
    /// and create another. Once the first key exists, every operation requires one.
    #[oai(path = "/", method = "post", operation_id = "create_key")]
    async fn create_key(
        &self,
        Shared(keyring): Shared<&Keyring>,
        _once: NotIdempotent,
        write: WriteRequest,
        new: Json<KeyCreate>,
    ) -> Result<Answer<CreatedKey, 201, false>, Error> {
        let respond = |(row, token): (api_key::Model, Token)| {
            let path = format!("/v1/keys/{}", row.id);
            Answer::untagged_at(path, &CreatedKey::new(row, &token))
        };
        let created = write
            .run(|work| queries::create(work, new.0.clone()), respond)
            .await?;
        keyring.has_keys();
        Ok(created)
    }

    /// Get the key of this request
    ///
    /// Which key the client sends, with its scopes. Fails with 404 `not_found` if it sends none, because no
    /// keys exist.
    #[oai(path = "/self", method = "get", operation_id = "get_own_key")]
    async fn get_own_key(
        &self,
        Data(database): Data<&Database>,
        caller: Caller,
    ) -> Result<Body<Key>, Error> {
        let id = caller.key_id();
        let id = id.ok_or_else(|| Error::not_found("key", "in this request"))?;
        let row = queries::get(database.connection(), id).await?;
        Body::new(&Key::from(row))
    }

    /// Get a key
    ///
    /// Without its token, which is not stored. Fails with 404 `not_found` if there is no key with this
    /// id.
    #[oai(path = "/:id", method = "get", operation_id = "get_key")]
    async fn get_key(
        &self,
        Data(database): Data<&Database>,
        /// The key's id.
        #[oai(validator(minimum(value = "1")))]
        id: Path<i64>,
    ) -> Result<Body<Key>, Error> {
        let row = queries::get(database.connection(), id.0).await?;
        Body::new(&Key::from(row))
    }

    /// Revoke a key
    ///
    /// The key is rejected from the next request on, by every instance. It stays in the list as a
    /// record. Revoking it again does nothing. Fails with 404 `not_found` if there is no key with this
    /// id.
    #[oai(path = "/:id", method = "delete", operation_id = "revoke_key")]
    async fn revoke_key(
        &self,
        write: WriteRequest,
        /// The key's id.
        #[oai(validator(minimum(value = "1")))]
        id: Path<i64>,
    ) -> Result<NoContent, Error> {
        write.delete(|work| queries::revoke(work, id.0)).await
    }
}
