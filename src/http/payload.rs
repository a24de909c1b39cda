//! Responses to reads. Serde writes them to bytes directly: poem-openapi's `Json` builds a tree of the whole
//! response first, which costs more than the rest of the request.

use std::marker::PhantomData;

use poem::{IntoResponse, Response};
use poem_openapi::{
    ApiResponse, Object,
    registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchemaRef, Registry},
    types::{ParseFromJSON, ToJSON, Type},
};
use sea_orm::{DbErr, QueryResult};
use serde::Serialize;

use crate::{
    error::Error,
    memory::MAX_RESPONSE,
    page::Page,
    rows::{self, Columns, Timestamp},
    write::{Replayable, StoredResponse},
};

const JSON: &str = "application/json";
/// Server-sent events (HTML Standard, section 9.2).
pub(crate) const EVENT_STREAM: &str = "text/event-stream";

/// Declares a response with status 200.
pub(crate) fn declared_as(content_type: &'static str, schema: MetaSchemaRef) -> MetaResponses {
    MetaResponses {
        responses: vec![MetaResponse {
            // The finishing pass says what it is.
            description: "",
            status: Some(200),
            status_range: None,
            content: vec![MetaMediaType {
                content_type,
                schema,
            }],
            headers: vec![],
        }],
    }
}

/// A JSON response with status 200. It is serialized when it is made, because it usually borrows from rows. `T`
/// declares its schema.
#[derive(Debug)]
pub(crate) struct Body<T> {
    json: Vec<u8>,
    declared: PhantomData<fn() -> T>,
}

impl<T: Type> Body<T> {
    /// `value` is a `T`, or the same type with borrowed fields.
    pub(crate) fn new<U: Type + Serialize>(value: &U) -> Result<Self, Error> {
        const BYTES: usize = 1 << 12;
        Self::with_capacity(BYTES, value)
    }

    /// The same, with the expected size of the response.
    pub(crate) fn with_capacity<U: Type + Serialize>(
        bytes: usize,
        value: &U,
    ) -> Result<Self, Error> {
        debug_assert_eq!(T::name(), U::name());
        Ok(Self {
            json: rows::to_json(value, bytes)?,
            declared: PhantomData,
        })
    }
}

impl<T> Body<T> {
    /// A `T` that is written already.
    ///
    /// # Errors
    /// A response that is larger than one may be.
    pub(crate) fn of_json(json: Vec<u8>) -> Result<Self, Error> {
        if json.len() > MAX_RESPONSE {
            return Err(Error::ResponseTooLarge);
        }
        Ok(Self {
            json,
            declared: PhantomData,
        })
    }
}

impl<T> IntoResponse for Body<T> {
    fn into_response(self) -> Response {
        Response::builder().content_type(JSON).body(self.json)
    }
}

impl<T: Type> ApiResponse for Body<T> {
    fn meta() -> MetaResponses {
        declared_as(JSON, T::schema_ref())
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

/// The answer to a delete.
#[derive(ApiResponse)]
pub(crate) enum NoContent {
    /// Done
    #[oai(status = 204)]
    Done,
}

impl Replayable for NoContent {
    const STATUS: u16 = 204;

    fn stored(&self) -> StoredResponse {
        StoredResponse::default()
    }

    fn replay(_: StoredResponse) -> Self {
        Self::Done
    }
}

/// One page of a list.
#[derive(Debug, Object, Serialize)]
pub(crate) struct PageBody<T: Type + ParseFromJSON + ToJSON + Serialize> {
    /// The rows of this page.
    pub(crate) data: Vec<T>,
    /// The `cursor` of the next page; null on the last page.
    #[oai(nullable)]
    pub(crate) next_cursor: Option<String>,
    /// Number of rows in the whole list; only with `count=true`.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) total: Option<u64>,
    /// Up to when the list shows all changes: the `updated_since` to poll with next. Only with `updated_since`, on the first
    /// page.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) watermark: Option<Timestamp<'static>>,
}

impl<T: Type + ParseFromJSON + ToJSON + Serialize> Body<PageBody<T>> {
    /// A page of rows, which `read` reads from their columns.
    pub(crate) fn page<'r, R: Type + ParseFromJSON + ToJSON + Serialize>(
        page: &'r Page<QueryResult>,
        mut read: impl FnMut(&mut Columns<'r>) -> Result<R, DbErr>,
    ) -> Result<Self, Error> {
        let mut data = Vec::with_capacity(page.rows.len());
        for row in &page.rows {
            data.push(read(&mut Columns::of(row))?);
        }
        Self::of_page(Page {
            rows: data,
            next_cursor: page.next_cursor.clone(),
            total: page.total,
            watermark: page.watermark,
        })
    }

    /// A page of `T`s, or of the same type with borrowed fields.
    pub(crate) fn of_page<R: Type + ParseFromJSON + ToJSON + Serialize>(
        page: Page<R>,
    ) -> Result<Self, Error> {
        let Page {
            rows: data,
            next_cursor,
            total,
            watermark,
        } = page;
        // With the names of its fields, a row takes about twice as much in JSON.
        let capacity = 2 * size_of::<R>() * (data.len() + 1);
        let body = PageBody {
            data,
            next_cursor,
            total,
            watermark: watermark.map(Timestamp::Decoded),
        };
        Self::with_capacity(capacity, &body)
    }
}

/// A list without pages.
#[derive(Debug, Object, Serialize)]
pub(crate) struct Items<T: Type + ParseFromJSON + ToJSON + Serialize> {
    /// The rows.
    pub(crate) data: Vec<T>,
}
