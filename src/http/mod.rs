//! HTTP types that the resources share: request bodies, responses, problems, and what handlers extract
//! from a request.
//!
//! This folder imports no resource and no middleware, only what is below HTTP: `write`, `page`,
//! `error`. Start with `payload.rs` and `answer.rs` for responses, and `problem.rs` for errors.

mod answer;
mod body;
mod body_cache;
mod cached;
mod caller;
mod error_codes;
mod gzip;
mod input;
mod json;
mod parameters;
mod payload;
mod problem;
mod request_id;
mod shared;
mod tag;
mod write_request;

pub(crate) use answer::{Answer, Created, CreatedOrReplaced, Immutable, Tagged, Untagged};
pub use body::MAX_BODY;
pub(crate) use body::{BodyBudget, drain_body};
pub(crate) use body_cache::{BodyCache, CacheStatistics};
pub(crate) use cached::{CachedAnswer, CachedBody};
pub(crate) use caller::{ClientAddress, caller_of};
pub(crate) use error_codes::ERROR_CODES;
pub(crate) use gzip::{Gzipped, accepts_gzip, gunzip, gzip, gzip_once, is_compressible};
pub(crate) use input::{UpdateField, input};
pub(crate) use json::parse as parse_json;
pub(crate) use parameters::{LastEventId, joined};
pub(crate) use payload::{Body, EVENT_STREAM, Items, NoContent, PageBody, declared_as};
pub use problem::MEDIA_TYPE as PROBLEM_MEDIA_TYPE;
pub(crate) use problem::{MAX_HEADER_FIELDS, ProblemKind, RequestError};
pub(crate) use request_id::RequestId;
pub(crate) use shared::{Shared, SharedState};
pub(crate) use tag::Tag;
pub(crate) use write_request::{NotIdempotent, keep_digest};
