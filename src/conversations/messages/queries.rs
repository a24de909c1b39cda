//! Reads and writes of messages.

use entity::{
    conversation, message,
    values::{Author, now},
};
use sea_orm::{
    ActiveEnum, ActiveModelTrait,
    ActiveValue::{NotSet, Set, Unchanged},
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder,
    QueryResult, QuerySelect, QueryTrait,
};

use super::super::{
    participants::{self, ParticipantRow},
    queries as conversations, turns,
};
use super::dto::{Message, MessageCreate, MessageOrder};
use crate::{
    database::Connections,
    error::Error,
    page::{self, Page, PageRequest},
    revision::{HasEtag, Precondition, etag},
    rows,
    write::{Action, Change, Resource, UnitOfWork},
};

/// A message never changes.
impl HasEtag for message::Model {
    fn etag(&self) -> String {
        etag(self.id, self.created_at.timestamp_micros())
    }
}

/// One page of a conversation's messages in either direction: rows of [`Message`]s. A page is found
/// through the number, which is the key: the last page costs what the first one costs.
pub(super) async fn list(
    db: &Connections,
    conversation_id: i64,
    order: MessageOrder,
    page: PageRequest,
) -> Result<Page<QueryResult>, Error> {
    let conversation_row = conversations::get(db, conversation_id).await?;
    let messages =
        message::Entity::find().filter(message::Column::ConversationId.eq(conversation_id));
    let query = rows::select_only::<_, Message>(messages);
    let uncounted = PageRequest {
        count: false,
        ..page
    };
    let number = message::Column::Number;
    let found = page::fetch(db, query, number, order.into(), uncounted).await?;
    let total = page
        .count
        .then(|| u64::try_from(conversation_row.turn_count).unwrap_or_default());
    Ok(Page { total, ..found })
}

/// Some of the messages after a number, for a reader that wants them all in the end.
pub(super) async fn after(
    db: &Connections,
    conversation_id: i64,
    number: i64,
    limit: u64,
    max_bytes: usize,
) -> Result<Vec<message::Model>, Error> {
    let messages = message::Entity::find()
        .filter(message::Column::ConversationId.eq(conversation_id))
        .filter(message::Column::Number.gt(number))
        .order_by_asc(message::Column::Number)
        .limit(limit)
        .build(db.get_database_backend());
    let part = db.query_part(messages, max_bytes).await?;
    let messages = part
        .rows
        .iter()
        .map(|row| message::Model::from_query_result(row, ""));
    Ok(messages.collect::<Result<_, _>>()?)
}

pub(super) async fn get(
    db: &impl ConnectionTrait,
    conversation_id: i64,
    number: i64,
) -> Result<message::Model, Error> {
    message::Entity::find()
        .filter(message::Column::ConversationId.eq(conversation_id))
        .filter(message::Column::Number.eq(number))
        .one(db)
        .await?
        .ok_or_else(|| {
            let key = format!("{number} of conversation {conversation_id}");
            Error::not_found("message", key)
        })
}

/// Appends a message and passes the turn on. The conversation is locked meanwhile, so that numbers have no
/// gaps and the last turn is taken once.
pub(super) async fn append(
    work: UnitOfWork,
    conversation_id: i64,
    precondition: &Precondition,
    new: MessageCreate,
) -> Result<message::Model, Error> {
    let db = work.db();
    let conversation_row = conversations::get_for_update(db, conversation_id).await?;
    precondition.check(conversation_id, conversation_row.revision)?;
    let participants = participants::of_conversation(db, conversation_id).await?;
    check(&conversation_row, &participants, &new)?;
    let row = numbered(&conversation_row, &participants, new)?;
    let row = row.insert(db).await?;
    let next = turns::after(&conversation_row, &participants, &row);
    let turn = conversation::ActiveModel {
        id: Unchanged(conversation_id),
        turn_count: Set(row.number),
        next_speakers: Set(next),
        updated_at: Set(row.created_at),
        revision: Unchanged(conversation_row.revision),
        ..ActiveModelTrait::default()
    };
    turn.update(db).await?;
    let change = Change::new(Action::Create, Resource::Message)
        .id(row.id)
        .name(format!("{conversation_id}/{}", row.number))
        .circle(conversation_row.circle_id);
    work.record(change);
    Ok(row)
}

/// Checks that the author may speak, and what the message refers to.
fn check(
    conversation_row: &conversation::Model,
    participants: &[ParticipantRow],
    new: &MessageCreate,
) -> Result<(), Error> {
    turns::check(conversation_row, participants, new.agent_id)?;
    for (index, id) in new.mentions.0.iter().enumerate() {
        turns::participant(participants, *id, format_args!("#/mentions/{index}"))?;
    }
    if new
        .reply_to
        .is_some_and(|number| number > conversation_row.turn_count)
    {
        return Err(Error::invalid("#/reply_to", "there is no such message"));
    }
    Ok(())
}

fn numbered(
    conversation_row: &conversation::Model,
    participants: &[ParticipantRow],
    new: MessageCreate,
) -> Result<message::ActiveModel, Error> {
    let (author, author_name) = author(participants, &new)?;
    let MessageCreate {
        author: _,
        agent_id,
        author_name: _,
        content,
        mentions,
        tool_calls,
        reply_to,
    } = new;
    let content = content.unwrap_or_default();
    if content.is_empty() && tool_calls.is_empty() {
        let detail = "may be empty only if the message calls tools";
        return Err(Error::invalid("#/content", detail));
    }
    Ok(message::ActiveModel {
        id: NotSet,
        conversation_id: Set(conversation_row.id),
        number: Set(conversation_row.turn_count + 1),
        author: Set(author),
        agent_id: Set(agent_id),
        author_name: Set(author_name),
        content: Set(content),
        mentions: Set(mentions),
        tool_calls: Set(tool_calls),
        reply_to: Set(reply_to),
        created_at: Set(now()),
    })
}

/// Who wrote a message, and under which name.
fn author(participants: &[ParticipantRow], new: &MessageCreate) -> Result<(Author, String), Error> {
    let by_default = new.agent_id.map_or(Author::User, |_| Author::Agent);
    let author = new.author.unwrap_or(by_default);
    if author == Author::Agent {
        let missing = || Error::invalid("#/agent_id", "is required if the author is an agent");
        let id = new.agent_id.ok_or_else(missing)?;
        if new.author_name.is_some() {
            return Err(Error::invalid(
                "#/author_name",
                "is not accepted for agents",
            ));
        }
        let speaker = turns::participant(participants, id, "#/agent_id")?;
        return Ok((author, speaker.agent_name.clone()));
    }
    if new.agent_id.is_some() {
        return Err(Error::invalid("#/agent_id", "is for agents only"));
    }
    let name = new.author_name.clone();
    Ok((author, name.unwrap_or_else(|| author.to_value())))
}
