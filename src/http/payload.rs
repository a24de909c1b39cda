//! What goes out. Answers are written by serde straight to bytes; poem-openapi's own `Json` builds
//! a tree of the whole answer first, which costs more than the rest of the request.

use std::marker::PhantomData;

use poem::{IntoResponse, Response, http::StatusCode};
use poem_openapi::{
    ApiResponse, Object,
    payload::Payload,
    registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchemaRef, Registry},
    types::{ParseFromJSON, ToJSON, Type},
};
use sea_orm::DbErr;
use serde::Serialize;

use crate::{
    error::Error,
    page::Page,
    rows::{JsonText, Written},
    write::{Replayable, StoredResponse},
};

/// A JSON answer with status 200. Its schema is the one that `T` declares, and a test holds what
/// serde writes against it.
#[derive(Debug)]
pub(crate) struct Body<T>(pub(crate) T);

impl<T: Type> Payload for Body<T> {
    const CONTENT_TYPE: &'static str = "application/json";

    fn schema_ref() -> MetaSchemaRef {
        T::schema_ref()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<T: Serialize + Send> IntoResponse for Body<T> {
    fn into_response(self) -> Response {
        // A vector that has to grow copies what is in it.
        let mut bytes = Vec::with_capacity(1 << 12);
        match sonic_rs::to_writer(&mut bytes, &self.0) {
            Ok(()) => Response::builder()
                .content_type("application/json")
                .body(bytes),
            Err(error) => {
                tracing::error!(%error, "an answer can't be written as JSON");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}

impl<T: Type> ApiResponse for Body<T> {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: vec![MetaResponse {
                // The finishing pass says what it is.
                description: "",
                status: Some(200),
                status_range: None,
                content: vec![MetaMediaType {
                    content_type: Self::CONTENT_TYPE,
                    schema: Self::schema_ref(),
                }],
                headers: vec![],
            }],
        }
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

/// The same, written already.
#[derive(Debug)]
pub(crate) struct BodyText<T> {
    json: Vec<u8>,
    declared: PhantomData<fn() -> T>,
}

impl<T> BodyText<T> {
    /// What `thing` writes, which has the fields of a `T`.
    pub(crate) fn written(thing: &impl Written) -> Result<Self, Error> {
        const BYTES: usize = 1 << 15;
        let mut json = JsonText::with_capacity(BYTES);
        thing.write(&mut json)?;
        Ok(Self {
            json: json.into_bytes(),
            declared: PhantomData,
        })
    }
}

impl<T> IntoResponse for BodyText<T> {
    fn into_response(self) -> Response {
        Response::builder()
            .content_type("application/json")
            .body(self.json)
    }
}

impl<T: Type> ApiResponse for BodyText<T> {
    fn meta() -> MetaResponses {
        Body::<T>::meta()
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
    /// Pass it as `cursor` to get the next page; null on the last one.
    #[oai(nullable)]
    pub(crate) next_cursor: Option<String>,
    /// How many rows the whole list has; only with `count=true`.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) total: Option<u64>,
}

impl<T: Type + ParseFromJSON + ToJSON + Serialize> BodyText<PageBody<T>> {
    /// A page of rows that `write` writes as a `T` each.
    pub(crate) fn page<R>(
        page: &Page<R>,
        write: impl FnMut(&mut JsonText, &R) -> Result<(), DbErr>,
    ) -> Result<Self, Error> {
        const BYTES_A_ROW: usize = 1 << 9;
        let mut json = JsonText::with_capacity(BYTES_A_ROW * (page.rows.len() + 1));
        json.push("{\"data\":");
        json.list(&page.rows, write)?;
        json.push(",\"next_cursor\":");
        json.value(&page.next_cursor)?;
        if let Some(total) = &page.total {
            json.push(",\"total\":");
            json.value(total)?;
        }
        json.push("}");
        Ok(Self {
            json: json.into_bytes(),
            declared: PhantomData,
        })
    }
}

/// A whole list.
#[derive(Debug, Object, Serialize)]
pub(crate) struct Items<T: Type + ParseFromJSON + ToJSON + Serialize> {
    /// The rows.
    pub(crate) data: Vec<T>,
}

impl<R, T> From<Page<R>> for PageBody<T>
where
    T: Type + ParseFromJSON + ToJSON + Serialize + From<R>,
{
    fn from(page: Page<R>) -> Self {
        let Page {
            rows,
            next_cursor,
            total,
        } = page.map(T::from);
        Self {
            data: rows,
            next_cursor,
            total,
        }
    }
}
