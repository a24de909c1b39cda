//! `/v1/webhooks`

use chrono::TimeDelta;
use entity::webhook;
use poem::web::Data;
use poem_openapi::{
    OpenApi,
    param::{Path, Query},
    payload::Json,
};

use super::{
    deliverer::Webhooks,
    dto::{
        Webhook, WebhookAttempt, WebhookAttemptRow, WebhookCreate, WebhookRow, WebhookTest,
        WebhookUpdate, WebhookWithSecret,
    },
    message::WebhookMessage,
    progress, queries,
};
use crate::{
    changes,
    database::Database,
    error::Error,
    http::{Body, Created, NoContent, NotIdempotent, PageBody, Shared, Tag, Tagged},
    page::PageRequest,
    revision::Precondition,
    rows::FromRow,
    write::WriteRequest,
};

pub(crate) struct WebhooksApi;

/// How long the secret before is signed with, unless the client says so: a day.
const OVERLAP_SECONDS: u32 = 86_400;

#[OpenApi(prefix_path = "/v1/webhooks", tag = "Tag::Webhooks")]
impl WebhooksApi {
    /// List webhooks
    ///
    /// Ordered by id.
    #[oai(path = "/", method = "get", operation_id = "list_webhooks")]
    async fn list_webhooks(
        &self,
        Data(database): Data<&Database>,
        page: PageRequest,
    ) -> Result<Body<PageBody<Webhook>>, Error> {
        let page = queries::list(database.connection(), page).await?;
        Body::page(&page, WebhookRow::read)
    }

    /// Create a webhook
    ///
    /// From now on, each change that its filters show is sent to it as a POST, signed by the Standard Webhooks specification: in
    /// the order of the feed, one after the other, until it is answered with a status of 200 to 299. The response contains the
    /// secret, which can't be retrieved later; so an `Idempotency-Key` is not accepted (422). Fails with 422
    /// `invalid_request` if the URL has no https or an address that is not public, and with 409 `too_many_webhooks` if there are
    /// 200.
    #[oai(path = "/", method = "post", operation_id = "create_webhook")]
    async fn create_webhook(
        &self,
        Shared(webhooks): Shared<&Webhooks>,
        _once: NotIdempotent,
        write: WriteRequest,
        new: Json<WebhookCreate>,
    ) -> Result<Created<WebhookWithSecret>, Error> {
        let path = |row: &webhook::Model| format!("/v1/webhooks/{}", row.id);
        let create = |work| queries::create(work, webhooks.policy(), new.0.clone().into());
        let created = write.create(path, create).await?;
        webhooks.announce_edit();
        Ok(created)
    }

    /// Get a webhook
    ///
    /// Without its secret. Fails with 404 `not_found` if there is no webhook with this id.
    #[oai(path = "/:id", method = "get", operation_id = "get_webhook")]
    async fn get_webhook(
        &self,
        Data(database): Data<&Database>,
        /// The webhook's id.
        #[oai(validator(minimum(value = "1")))]
        id: Path<i64>,
    ) -> Result<Tagged<Webhook>, Error> {
        Tagged::row(queries::get(database.connection(), id.0).await?)
    }

    /// Update a webhook
    ///
    /// Absent fields are left unchanged; null clears a nullable field. What was not delivered yet is delivered as the webhook is then.
    /// Fails with 404 `not_found` if there is no webhook with this id, and with 422 `invalid_request` as the create does.
    #[oai(path = "/:id", method = "patch", operation_id = "update_webhook")]
    async fn update_webhook(
        &self,
        Shared(webhooks): Shared<&Webhooks>,
        write: WriteRequest,
        /// The webhook's id.
        #[oai(validator(minimum(value = "1")))]
        id: Path<i64>,
        precondition: Precondition,
        update: Json<WebhookUpdate>,
    ) -> Result<Tagged<Webhook>, Error> {
        let policy = webhooks.policy();
        let updated = write
            .update(|work| {
                queries::update(work, id.0, &precondition, policy, update.0.clone().into())
            })
            .await?;
        webhooks.announce_edit();
        Ok(updated)
    }

    /// Delete a webhook
    ///
    /// With its attempts. What was not delivered is not delivered. Fails with 404 `not_found` if there is no webhook with this id.
    #[oai(path = "/:id", method = "delete", operation_id = "delete_webhook")]
    async fn delete_webhook(
        &self,
        Shared(webhooks): Shared<&Webhooks>,
        write: WriteRequest,
        /// The webhook's id.
        #[oai(validator(minimum(value = "1")))]
        id: Path<i64>,
        precondition: Precondition,
    ) -> Result<NoContent, Error> {
        let deleted = write
            .delete(|work| queries::delete(work, id.0, &precondition))
            .await?;
        webhooks.announce_edit();
        Ok(deleted)
    }

    /// Replace a webhook's secret
    ///
    /// The response contains the new secret, which can't be retrieved later; so an `Idempotency-Key` is not accepted (422). For a
    /// while, messages have two signatures, one by each secret, so that the receiver can be given the new one meanwhile. Fails with
    /// 404 `not_found` if there is no webhook with this id.
    #[oai(
        path = "/:id/secret",
        method = "post",
        operation_id = "rotate_webhook_secret"
    )]
    async fn rotate_webhook_secret(
        &self,
        Shared(webhooks): Shared<&Webhooks>,
        _once: NotIdempotent,
        write: WriteRequest,
        /// The webhook's id.
        #[oai(validator(minimum(value = "1")))]
        id: Path<i64>,
        precondition: Precondition,
        /// For how many seconds messages are signed with the secret before, too. Defaults to 86400, a day; with 0 it is of no use at once.
        #[oai(validator(minimum(value = "0"), maximum(value = "604800")))]
        overlap_seconds: Query<Option<u32>>,
    ) -> Result<Tagged<WebhookWithSecret>, Error> {
        let overlap = overlap_seconds.0.unwrap_or(OVERLAP_SECONDS);
        let overlap = TimeDelta::seconds(overlap.into());
        let rotated = write
            .update(|work| queries::rotate_secret(work, id.0, &precondition, overlap))
            .await?;
        webhooks.announce_edit();
        Ok(rotated)
    }

    /// Resume a webhook
    ///
    /// A paused webhook continues where it was, so nothing is left out. One that waits for its next attempt makes it now. With `after`,
    /// the delivery continues from another place in the feed: changes are left out, or sent again. Fails with 404 `not_found` if there is
    /// no webhook with this id, and with 410 `cursor_expired` if the feed does not go back to `after`.
    #[oai(path = "/:id/resume", method = "post", operation_id = "resume_webhook")]
    async fn resume_webhook(
        &self,
        Shared(webhooks): Shared<&Webhooks>,
        write: WriteRequest,
        /// The webhook's id.
        #[oai(validator(minimum(value = "1")))]
        id: Path<i64>,
        precondition: Precondition,
        /// The cursor of a change: what follows it is delivered. `latest` for what is committed from now on.
        #[oai(validator(min_length = 1, max_length = 100))]
        after: Query<Option<String>>,
    ) -> Result<Tagged<Webhook>, Error> {
        let after = after.0.as_deref();
        let after = after.map(|text| changes::parse_after(text, "query/after"));
        let after = after.transpose()?;
        let resumed = write
            .update(|work| queries::resume(work, id.0, &precondition, after))
            .await?;
        webhooks.announce_edit();
        Ok(resumed)
    }

    /// Send a test to a webhook
    ///
    /// Sends a message of the type `webhook.test` now, whether or not the webhook is enabled, and waits for the answer. It is not
    /// repeated, and has no effect on the delivery of changes. Fails with 404 `not_found` if there is no webhook with this id; a receiver
    /// that fails is in the response.
    #[oai(path = "/:id/test", method = "post", operation_id = "test_webhook")]
    async fn test_webhook(
        &self,
        Data(database): Data<&Database>,
        Shared(webhooks): Shared<&Webhooks>,
        _once: NotIdempotent,
        /// The webhook's id.
        #[oai(validator(minimum(value = "1")))]
        id: Path<i64>,
    ) -> Result<Body<WebhookTest>, Error> {
        let row = queries::get(database.connection(), id.0).await?;
        let message = WebhookMessage::test(row.id)?;
        let attempt = webhooks.send_test(&row, &message).await?;
        progress::record_test(database, &row, &message, &attempt).await?;
        Body::new(&WebhookTest::of(&message, attempt))
    }

    /// List attempts
    ///
    /// The last hundred attempts to deliver to a webhook, tests included, newest first. Those that succeeded are listed within a
    /// second. Fails with 404 `not_found` if there is no webhook with this id.
    #[oai(
        path = "/:id/attempts",
        method = "get",
        operation_id = "list_webhook_attempts"
    )]
    async fn list_webhook_attempts(
        &self,
        Data(database): Data<&Database>,
        /// The webhook's id.
        #[oai(validator(minimum(value = "1")))]
        id: Path<i64>,
        page: PageRequest,
    ) -> Result<Body<PageBody<WebhookAttempt>>, Error> {
        let page = queries::list_attempts(database.connection(), id.0, page).await?;
        Body::page(&page, WebhookAttemptRow::read)
    }
}
