//! `/v1/conversations/{id}/messages` and `/v1/conversations/{id}/transcript`

use entity::message;
use poem::web::Data;
use poem_openapi::{
    OpenApi,
    param::{Path, Query},
    payload::Json,
};

use super::{
    dto::{Message, MessageCreate, MessageOrder, MessageRow, TranscriptFormat},
    queries,
    transcript::Transcript,
};
use crate::{
    database::Database,
    error::Error,
    http::{Body, Created, PageBody, Tag, Tagged},
    page::PageRequest,
    revision::Precondition,
    rows::FromRow,
    write::WriteRequest,
};

pub(crate) struct MessagesApi;

#[OpenApi(prefix_path = "/v1/conversations", tag = "Tag::Messages")]
impl MessagesApi {
    /// List a conversation's messages
    ///
    /// Ordered by number, ascending or descending. Fails with 404 `not_found` if there is no
    /// conversation with this id.
    #[oai(path = "/:id/messages", method = "get", operation_id = "list_messages")]
    async fn list_messages(
        &self,
        Data(database): Data<&Database>,
        /// The conversation's id.
        #[oai(validator(minimum(value = "1")))]
        id: Path<i64>,
        /// The order of the list; `asc` by default.
        order: Query<Option<MessageOrder>>,
        page: PageRequest,
    ) -> Result<Body<PageBody<Message>>, Error> {
        let order = order.0.unwrap_or_default();
        let page = queries::list(database.connection(), id.0, order, page).await?;
        Body::page(&page, MessageRow::read)
    }

    /// Append a message
    ///
    /// Checks that the author may speak, numbers the message and passes the turn on, in one
    /// transaction. An agent whose message only calls tools keeps the turn until its next message; tools and the
    /// system leave the turn as it is, unless they mention agents. Fails with 404 `not_found` if there is no conversation with this id, with 409
    /// `conversation_not_active` if it is not active, with 409 `no_turns_left` after `max_turns`
    /// messages, with 409 `not_its_turn` if another agent speaks next, and with 422 `invalid_request`
    /// if the agent or an agent it mentions does not participate or was deleted, or the message it
    /// replies to does not exist.
    #[oai(
        path = "/:id/messages",
        method = "post",
        operation_id = "create_message"
    )]
    async fn create_message(
        &self,
        write: WriteRequest,
        /// The conversation's id.
        #[oai(validator(minimum(value = "1")))]
        id: Path<i64>,
        precondition: Precondition,
        new: Json<MessageCreate>,
    ) -> Result<Created<Message>, Error> {
        let path = |row: &message::Model| {
            let (id, number) = (row.conversation_id, row.number);
            format!("/v1/conversations/{id}/messages/{number}")
        };
        write
            .create(path, |work| {
                queries::append(work, id.0, &precondition, new.0.clone())
            })
            .await
    }

    /// Get a message
    ///
    /// Fails with 404 `not_found` if there is no conversation with this id, or no message with this
    /// number in it.
    #[oai(
        path = "/:id/messages/:number",
        method = "get",
        operation_id = "get_message"
    )]
    async fn get_message(
        &self,
        Data(database): Data<&Database>,
        /// The conversation's id.
        #[oai(validator(minimum(value = "1")))]
        id: Path<i64>,
        /// The message's number.
        #[oai(validator(minimum(value = "1")))]
        number: Path<i64>,
    ) -> Result<Tagged<Message>, Error> {
        Tagged::row(queries::get(database.connection(), id.0, number.0).await?)
    }

    /// Get the transcript of a conversation
    ///
    /// Streams all messages that exist at the start of the request. Fails with 404 `not_found` if there
    /// is no conversation with this id.
    #[oai(
        path = "/:id/transcript",
        method = "get",
        operation_id = "get_transcript"
    )]
    async fn get_transcript(
        &self,
        Data(database): Data<&Database>,
        /// The conversation's id.
        #[oai(validator(minimum(value = "1")))]
        id: Path<i64>,
        /// The format; `text` by default.
        format: Query<Option<TranscriptFormat>>,
    ) -> Result<Transcript, Error> {
        Transcript::begin(database, id.0, format.0.unwrap_or_default()).await
    }
}
