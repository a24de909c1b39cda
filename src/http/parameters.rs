//! Parameters that many operations share: which page of a list, and in which state a resource may be
//! changed. A handler takes them as one argument. poem-openapi describes that argument as one object,
//! and `openapi` lists the object's fields as the parameters they are.

use std::future::{Ready, ready};

use chrono::{DateTime, Utc};
use poem::{
    Request, RequestBody,
    http::{
        HeaderMap, HeaderName, HeaderValue,
        header::{self, ToStrError},
    },
};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions, Object,
    param::Query,
    registry::{MetaParamIn, MetaSchemaRef, Registry},
    types::{ParseFromParameter, Type},
};

use super::RequestError;
use crate::{
    error::Error,
    page::PageRequest,
    revision::Precondition,
    secrets,
    sort::{Sort, SortedFilter, SortedRequest},
    write::VersionMessage,
};

/// The longest `If-Match`, in characters.
const MAX_IF_MATCH: usize = 1000;

#[derive(Object)]
struct PageParameters {
    /// Maximum number of rows in the page. Defaults to 50.
    #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
    limit: Option<u64>,
    /// The `next_cursor` of the previous page. It is valid for the same list in the same order.
    #[oai(validator(max_length = 4096))]
    cursor: Option<String>,
    /// Whether to return the `total` number of rows in the list.
    count: Option<bool>,
}

impl PageParameters {
    async fn read(request: &Request, body: &mut RequestBody) -> poem::Result<Self> {
        Ok(Self {
            limit: query(request, body, "limit").await?,
            cursor: query(request, body, "cursor").await?,
            count: query(request, body, "count").await?,
        })
    }

    async fn extract(request: &Request, body: &mut RequestBody) -> poem::Result<PageRequest> {
        let Self {
            limit,
            cursor,
            count,
        } = Self::read(request, body).await?;
        Ok(PageRequest::parse(limit, cursor.as_deref(), count)?)
    }
}

#[derive(Object)]
struct SortParameters {
    /// The order of the list; `id` by default. `name` orders models by `model_name` and conversations
    /// by `topic`.
    sort: Option<Sort>,
    /// Only rows with exactly this name: models by `model_name`, conversations by `topic`.
    #[oai(validator(min_length = 1, max_length = 500))]
    name: Option<String>,
    /// Only rows that changed at this time or later; of deleted ones, `GET /v1/changes` tells. A poller asks with the
    /// `watermark` of the first page that it got the last time, and skips the rows that it has: on PostgreSQL, a change
    /// is visible some time after its `updated_at`.
    updated_since: Option<DateTime<Utc>>,
    #[oai(flatten)]
    page: PageParameters,
}

impl SortParameters {
    async fn extract(request: &Request, body: &mut RequestBody) -> poem::Result<SortedRequest> {
        let sort = query(request, body, "sort").await?;
        let filter = SortedFilter {
            name: query(request, body, "name").await?,
            updated_since: query(request, body, "updated_since").await?,
        };
        let page = PageParameters::read(request, body).await?;
        let cursor = page.cursor.as_deref();
        let sorted = SortedRequest::parse(sort, page.limit, cursor, page.count)?;
        Ok(sorted.with_filter(filter))
    }
}

#[derive(Object)]
struct PreconditionParameters {
    /// An ETag of the resource that the path names; for a list of members, participants or messages, that of its
    /// circle or conversation. If the resource is in another state, the request fails with 412
    /// `precondition_failed`.
    #[oai(rename = "If-Match", validator(max_length = 1000))]
    if_match: Option<String>,
}

impl PreconditionParameters {
    fn extract(request: &Request, _: &mut RequestBody) -> Ready<poem::Result<Precondition>> {
        ready(Self::read(request))
    }

    /// A precondition that can't be read must not be taken for none.
    fn read(request: &Request) -> poem::Result<Precondition> {
        let tags = joined(request.headers(), &header::IF_MATCH);
        let tags = tags.map_err(|_| RequestError::UnreadableHeader("If-Match"))?;
        if tags.as_ref().is_some_and(|tags| tags.len() > MAX_IF_MATCH) {
            let detail = format!("must have at most {MAX_IF_MATCH} characters");
            return Err(Error::invalid("header/If-Match", detail).into());
        }
        let mut listed = tags.iter().flat_map(|tags| tags.split(','));
        if tags.is_some() && listed.all(|tag| tag.trim().starts_with("W/")) {
            return Err(RequestError::WeakTag.into());
        }
        Ok(Precondition::parse(tags.as_deref()))
    }
}

#[derive(Object)]
struct MessageParameters {
    /// Why the change is made. The versions of agents that it makes keep it.
    #[oai(validator(min_length = 1, max_length = 500))]
    message: Option<String>,
}

impl MessageParameters {
    async fn extract(request: &Request, body: &mut RequestBody) -> poem::Result<VersionMessage> {
        let Self { message } = Self {
            message: query(request, body, "message").await?,
        };
        // A version is never changed, so a secret would stay in it.
        let found = secrets::look_through(&message.as_deref().into());
        match found.refused.listed().first() {
            Some(secret) => Err(Error::invalid("query/message", &*secret.detail).into()),
            None => Ok(VersionMessage(message)),
        }
    }
}

/// The id of the last event that a client of a stream has seen.
#[derive(Debug)]
pub(crate) struct LastEventId(pub(crate) Option<String>);

#[derive(Object)]
struct StreamParameters {
    /// The last `id` that the client has seen, from this stream or as the cursor of a page. It takes precedence over `after`.
    #[oai(rename = "Last-Event-ID", validator(min_length = 1, max_length = 100))]
    last_event_id: Option<String>,
}

impl StreamParameters {
    fn extract(request: &Request, _: &mut RequestBody) -> Ready<poem::Result<LastEventId>> {
        const NAME: HeaderName = HeaderName::from_static("last-event-id");
        let id = joined(request.headers(), &NAME);
        let id = id.map_err(|_| RequestError::UnreadableHeader("Last-Event-ID").into());
        ready(id.map(LastEventId))
    }
}

/// The lines of a field as one list (RFC 9110, section 5.3).
///
/// # Errors
/// One of them is not text.
pub(crate) fn joined(headers: &HeaderMap, name: &HeaderName) -> Result<Option<String>, ToStrError> {
    let mut lines = headers.get_all(name).iter().map(HeaderValue::to_str);
    let Some(first) = lines.next() else {
        return Ok(None);
    };
    let mut joined = first?.to_owned();
    for line in lines {
        joined.push_str(", ");
        joined.push_str(line?);
    }
    Ok(Some(joined))
}

/// A query parameter, parsed as poem-openapi parses it. Its bounds are checked before.
async fn query<T: ParseFromParameter>(
    request: &Request,
    body: &mut RequestBody,
    name: &'static str,
) -> poem::Result<T> {
    let Query(value) = Query::from_request(request, body, options(name)).await?;
    Ok(value)
}

fn options<T>(name: &'static str) -> ExtractParamOptions<T> {
    ExtractParamOptions {
        name,
        ..ExtractParamOptions::default()
    }
}

/// Lets handlers take `$argument`, which is extracted and described by `$parameters`.
macro_rules! extractor {
    ($argument:ty, $parameters:ty, $place:ident) => {
        impl<'a> ApiExtractor<'a> for $argument {
            const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::Parameter];
            type ParamType = ();
            type ParamRawType = ();

            fn register(registry: &mut Registry) {
                <$parameters>::register(registry);
            }

            fn param_in() -> Option<MetaParamIn> {
                Some(MetaParamIn::$place)
            }

            fn param_schema_ref() -> Option<MetaSchemaRef> {
                Some(<$parameters>::schema_ref())
            }

            async fn from_request(
                request: &'a Request,
                body: &mut RequestBody,
                _: ExtractParamOptions<()>,
            ) -> poem::Result<Self> {
                <$parameters>::extract(request, body).await
            }
        }
    };
}

extractor!(PageRequest, PageParameters, Query);
extractor!(SortedRequest, SortParameters, Query);
extractor!(Precondition, PreconditionParameters, Header);
extractor!(VersionMessage, MessageParameters, Query);
extractor!(LastEventId, StreamParameters, Header);
