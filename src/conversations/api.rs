//! `/v1/conversations`

use entity::{conversation, values::ConversationStatus};
use poem::web::Data;
use poem_openapi::{
    OpenApi,
    param::{Path, Query},
    payload::Json,
};

use super::{
    dto::{
        Conversation, ConversationCreate, ConversationRow, ConversationUpdate, Participant,
        ParticipantCreate,
    },
    messages::dto::MessageRow,
    participants::{self, ParticipantRow},
    queries::{self, ConversationFilter},
};
use crate::{
    database::Database,
    error::Error,
    http::{Body, Created, Items, NoContent, PageBody, Tag, Tagged},
    revision::Precondition,
    rows::FromRow,
    sort::SortedRequest,
    write::WriteRequest,
};

pub(crate) struct ConversationsApi;

#[OpenApi(prefix_path = "/v1/conversations", tag = "Tag::Conversations")]
impl ConversationsApi {
    /// List conversations
    ///
    /// Ordered by id, or as `sort` says.
    #[oai(path = "/", method = "get", operation_id = "list_conversations")]
    #[expect(clippy::too_many_arguments, reason = "one argument a query parameter")]
    async fn list_conversations(
        &self,
        Data(database): Data<&Database>,
        /// Only conversations with this status.
        status: Query<Option<ConversationStatus>>,
        /// Only conversations of this circle.
        #[oai(validator(minimum(value = "1")))]
        circle_id: Query<Option<i64>>,
        /// Only conversations in which this agent participates.
        #[oai(validator(minimum(value = "1")))]
        agent_id: Query<Option<i64>>,
        /// Text that the topic contains; ASCII letters match regardless of case.
        #[oai(validator(min_length = 1, max_length = 200))]
        q: Query<Option<String>>,
        /// Related resources to include: `participants`, `last_message` or both, separated by a comma.
        #[oai(validator(
            max_length = 64,
            pattern = "^(participants|last_message)(,(participants|last_message))*$"
        ))]
        include: Query<Option<String>>,
        page: SortedRequest,
    ) -> Result<Body<PageBody<Conversation>>, Error> {
        let filter = ConversationFilter {
            status: status.0,
            circle_id: circle_id.0,
            agent_id: agent_id.0,
            q: q.0,
        };
        let include = include.0.unwrap_or_default();
        let included = |what: &str| include.split(',').any(|part| part == what);
        let db = database.connection();
        let with_last_message = included("last_message");
        let (page, mut participants) = if included("participants") {
            let list = queries::list_with_participants(db, filter, with_last_message, page);
            let (page, participants) = list.await?;
            (page, Some(participants))
        } else {
            let page = queries::list(db, filter, with_last_message, page).await?;
            (page, None)
        };
        Body::page(&page, |columns| {
            let mut conversation = ConversationRow::read(columns)?;
            if with_last_message {
                conversation.last_message = MessageRow::read_joined(columns)?;
            }
            if let Some(participants) = &mut participants {
                let rows = participants.remove(&conversation.id).unwrap_or_default();
                conversation.participants = Some(rows.into_iter().map(Participant::from).collect());
            }
            Ok(conversation)
        })
    }

    /// Create a conversation
    ///
    /// Fails with 422 `invalid_request` if there is no such circle or agent.
    #[oai(path = "/", method = "post", operation_id = "create_conversation")]
    async fn create_conversation(
        &self,
        write: WriteRequest,
        new: Json<ConversationCreate>,
    ) -> Result<Created<Conversation>, Error> {
        let path = |row: &conversation::Model| format!("/v1/conversations/{}", row.id);
        write
            .create(path, |work| queries::create(work, new.0.clone()))
            .await
    }

    /// Get a conversation
    ///
    /// Fails with 404 `not_found` if there is no conversation with this id.
    #[oai(path = "/:id", method = "get", operation_id = "get_conversation")]
    async fn get_conversation(
        &self,
        Data(database): Data<&Database>,
        /// The conversation's id.
        #[oai(validator(minimum(value = "1")))]
        id: Path<i64>,
    ) -> Result<Tagged<Conversation>, Error> {
        Tagged::row(queries::get(database.connection(), id.0).await?)
    }

    /// Update a conversation
    ///
    /// Absent fields are left unchanged; null clears a nullable field. Fails with 404 `not_found` if
    /// there is no conversation with this id.
    #[oai(path = "/:id", method = "patch", operation_id = "update_conversation")]
    async fn update_conversation(
        &self,
        write: WriteRequest,
        /// The conversation's id.
        #[oai(validator(minimum(value = "1")))]
        id: Path<i64>,
        precondition: Precondition,
        update: Json<ConversationUpdate>,
    ) -> Result<Tagged<Conversation>, Error> {
        write
            .update(|work| queries::update(work, id.0, &precondition, update.0.clone().into()))
            .await
    }

    /// Delete a conversation
    ///
    /// Deletes it permanently, with its messages. Fails with 404 `not_found` if there is no
    /// conversation with this id.
    #[oai(path = "/:id", method = "delete", operation_id = "delete_conversation")]
    async fn delete_conversation(
        &self,
        write: WriteRequest,
        /// The conversation's id.
        #[oai(validator(minimum(value = "1")))]
        id: Path<i64>,
        precondition: Precondition,
    ) -> Result<NoContent, Error> {
        write
            .delete(|work| queries::delete(work, id.0, &precondition))
            .await
    }

    /// List a conversation's participants
    ///
    /// All of them, in the order of their turns; a new conversation can have at most 500. Fails with
    /// 404 `not_found` if there is no conversation with this id.
    #[oai(
        path = "/:id/participants",
        method = "get",
        operation_id = "list_participants"
    )]
    async fn list_participants(
        &self,
        Data(database): Data<&Database>,
        /// The conversation's id.
        #[oai(validator(minimum(value = "1")))]
        id: Path<i64>,
    ) -> Result<Body<Items<Participant>>, Error> {
        let db = database.connection();
        queries::get(db, id.0).await?;
        let rows = participants::of_conversation(db, id.0).await?;
        Body::new(&Items {
            data: rows.into_iter().map(Participant::from).collect(),
        })
    }

    /// Add a participant
    ///
    /// Adds the agent at the end of the order of turns. Fails with 404 `not_found` if there is no
    /// conversation with this id, with 422 `invalid_request` if there is no such agent, and with 409
    /// `participant_exists` if it already participates.
    #[oai(
        path = "/:id/participants",
        method = "post",
        operation_id = "add_participant"
    )]
    async fn add_participant(
        &self,
        write: WriteRequest,
        /// The conversation's id.
        #[oai(validator(minimum(value = "1")))]
        id: Path<i64>,
        precondition: Precondition,
        new: Json<ParticipantCreate>,
    ) -> Result<Created<Participant>, Error> {
        let path = |_: &ParticipantRow| format!("/v1/conversations/{}/participants", id.0);
        write
            .create(path, |work| {
                participants::add(work, id.0, &precondition, new.agent_id)
            })
            .await
    }

    /// Remove a participant
    ///
    /// The agent's messages stay. Fails with 404 `not_found` if there is no conversation with this id,
    /// or the agent does not participate in it.
    #[oai(
        path = "/:id/participants/:agent_id",
        method = "delete",
        operation_id = "remove_participant"
    )]
    async fn remove_participant(
        &self,
        write: WriteRequest,
        /// The conversation's id.
        #[oai(validator(minimum(value = "1")))]
        id: Path<i64>,
        /// The agent's id.
        #[oai(validator(minimum(value = "1")))]
        agent_id: Path<i64>,
        precondition: Precondition,
    ) -> Result<NoContent, Error> {
        write
            .delete(|work| participants::remove(work, id.0, agent_id.0, &precondition))
            .await
    }
}
