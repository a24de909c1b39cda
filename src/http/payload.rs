//! What goes out. Answers are written by serde straight to bytes; poem-openapi's own `Json` builds
//! a tree of the whole answer first, which costs more than the rest of the request.

use std::{borrow::Cow, marker::PhantomData};

use poem::{IntoResponse, Response, http::StatusCode};
use poem_openapi::{
    ApiResponse, Object,
    payload::Payload,
    registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchemaRef, Registry},
    types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type},
};
use serde::{Serialize, Serializer};
use serde_json::{Value, value::RawValue};

use super::answer::{Kept, Repeatable};
use crate::page::Page;

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
        match serde_json::to_vec(&self.0) {
            Ok(bytes) => Response::builder()
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
                description: "What was asked for",
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

/// The answer to a delete.
#[derive(ApiResponse)]
pub(crate) enum NoContent {
    /// Done; there is nothing to say
    #[oai(status = 204)]
    Done,
}

impl Repeatable for NoContent {
    const STATUS: u16 = 204;

    fn kept(&self) -> Kept {
        Kept::default()
    }

    fn again(_: Kept) -> Self {
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

/// A JSON column on its way from the database to the client, never parsed; declared as `T`.
#[derive(Clone, Debug)]
pub(crate) struct RawJson<T> {
    json: Box<RawValue>,
    declared: PhantomData<fn() -> T>,
}

impl<T> TryFrom<String> for RawJson<T> {
    type Error = serde_json::Error;

    fn try_from(json: String) -> Result<Self, serde_json::Error> {
        Ok(Self {
            json: RawValue::from_string(json)?,
            declared: PhantomData,
        })
    }
}

impl<T> Serialize for RawJson<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.json.serialize(serializer)
    }
}

impl<T: Type> Type for RawJson<T> {
    const IS_REQUIRED: bool = T::IS_REQUIRED;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        T::name()
    }

    fn schema_ref() -> MetaSchemaRef {
        T::schema_ref()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::empty())
    }
}

impl<T: Type> ParseFromJSON for RawJson<T> {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        Self::try_from(value.unwrap_or_default().to_string()).map_err(ParseError::custom)
    }
}

impl<T: Type> ToJSON for RawJson<T> {
    fn to_json(&self) -> Option<Value> {
        serde_json::from_str(self.json.get()).ok()
    }
}
