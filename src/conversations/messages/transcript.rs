//! Transcripts, streamed: a conversation of any length takes the memory of a few messages, and no
//! connection is held while a client is slow to read.

use std::io;

use entity::conversation;
use futures_util::{Stream, stream};
use poem::{Body, IntoResponse, Response};
use poem_openapi::{
    ApiResponse,
    registry::{MetaMediaType, MetaResponse, MetaResponses, Registry},
    types::Type,
};

use super::{dto::TranscriptFormat, entries, queries};
use crate::{conversations::queries as conversations, database::Database, error::Error};

/// Messages in one read.
const CHUNK: u64 = 200;
/// About as many bytes are in one read, unless one message is larger.
const CHUNK_BYTES: usize = 256 << 10;

const TEXT: &str = "text/plain; charset=utf-8";
const MARKDOWN: &str = "text/markdown; charset=utf-8";

/// A transcript on its way.
pub(super) struct Transcript {
    format: TranscriptFormat,
    body: Body,
}

impl Transcript {
    /// Begins the transcript of a conversation, as far as it has come.
    pub(super) async fn begin(
        database: &Database,
        id: i64,
        format: TranscriptFormat,
    ) -> Result<Self, Error> {
        let conversation_row = conversations::get(database.connection(), id).await?;
        let body = Body::from_bytes_stream(chunks(database.clone(), conversation_row, format));
        Ok(Self { format, body })
    }
}

/// Messages are never changed and their numbers never reused, so that reading them a part at a
/// time, up to the last one there was at the start, gives one consistent whole.
fn chunks(
    database: Database,
    conversation_row: conversation::Model,
    format: TranscriptFormat,
) -> impl Stream<Item = io::Result<String>> {
    let last = conversation_row.turn_count;
    let id = conversation_row.id;
    let title = stream::once(async move { Ok(entries::title(&conversation_row, format)) });
    let messages = stream::try_unfold(0, move |number| {
        let database = database.clone();
        async move {
            if number >= last {
                return Ok(None);
            }
            let db = database.connection();
            // What was read before has been sent.
            db.release_memory();
            let rows = queries::after(db, id, number, CHUNK, CHUNK_BYTES).await;
            let rows = rows.map_err(|cause| {
                tracing::error!(%cause, "a transcript broke off");
                io::Error::other("the transcript broke off")
            })?;
            let rows = rows.into_iter().take_while(|row| row.number <= last);
            let mut text = String::new();
            let mut next = last;
            for row in rows {
                next = row.number;
                text.push_str(&entries::entry(&row, format));
            }
            Ok(Some((text, next)))
        }
    });
    stream::StreamExt::chain(title, messages)
}

impl IntoResponse for Transcript {
    fn into_response(self) -> Response {
        let media_type = match self.format {
            TranscriptFormat::Text => TEXT,
            TranscriptFormat::Markdown => MARKDOWN,
        };
        Response::builder().content_type(media_type).body(self.body)
    }
}

impl ApiResponse for Transcript {
    fn meta() -> MetaResponses {
        let content = [TEXT, MARKDOWN].map(|content_type| MetaMediaType {
            content_type,
            schema: String::schema_ref(),
        });
        MetaResponses {
            responses: vec![MetaResponse {
                description: "The transcript, in UTF-8",
                status: Some(200),
                status_range: None,
                content: content.into(),
                headers: vec![],
            }],
        }
    }

    fn register(_: &mut Registry) {}
}
