//! What every request passes through, from the outside in:
//!
//! | middleware | what it does |
//! |---|---|
//! | [`RequestDatabase`] | gives the request the database and its memory |
//! | [`BasePath`] | the path under which a proxy publishes the service |
//! | [`RequestIds`] | request id, span and log line |
//! | [`Headers`] | security headers and CORS |
//! | [`ErrorResponses`] | turns errors and panics into problems |
//! | [`Routing`] | finds the operation: 404, 405 |
//! | [`Traced`] | the span of the request, in its caller's trace |
//! | [`RequestDuration`] | measures how long the operation takes |
//! | [`Readiness`] | 503 until the database is ready |
//! | [`Auth`] | the caller and its scopes: 401, 403, 421 |
//! | [`RateLimit`] | 429 |
//! | [`RequestValidation`] | checks parameters and body against the description |
//! | [`ResponseMemory`] | the limit on the memory of all responses |
//! | [`RunToCompletion`] | concurrency limit and timeout; writes survive a disconnect |
//! | [`Compressed`] | gzip, and entity tags that stay usable with it |
//! | [`ReadReplicas`] | sends reads to replicas |
//! | [`NotModified`] | 304 |
//! | [`HandlerState`] | gives the request what handlers share |
//!
//! `routes` puts them together. This folder may import the resources, `http` and everything below, but
//! neither `routes` nor `openapi`. Start with `wrap.rs`, the shape of all of them, then `routing.rs` and
//! `operation.rs`: what is inside `Routing` asks the operation what to do.

mod access;
mod auth;
mod base_path;
mod client_address;
mod compression;
mod errors;
mod headers;
mod not_modified;
mod operation;
mod rate_limit;
mod read_replicas;
mod readiness;
mod request_duration;
mod request_id;
mod response_memory;
mod routing;
mod run_to_completion;
mod state;
mod suspected_secret;
mod timeout;
mod traced;
mod validation;
mod wrap;

pub(crate) use access::{Access, access_to};
pub(crate) use auth::Auth;
pub(crate) use base_path::BasePath;
pub(crate) use compression::Compressed;
pub(crate) use errors::ErrorResponses;
pub(crate) use headers::Headers;
pub(crate) use not_modified::NotModified;
use operation::ApiOperation;
pub(crate) use rate_limit::RateLimit;
pub(crate) use read_replicas::{ReadReplicas, is_of_the_primary};
pub(crate) use readiness::Readiness;
pub(crate) use request_duration::RequestDuration;
pub(crate) use request_id::RequestIds;
pub(crate) use response_memory::ResponseMemory;
pub(crate) use routing::Routing;
pub(crate) use run_to_completion::RunToCompletion;
pub(crate) use state::{HandlerState, RequestDatabase};
pub(crate) use traced::Traced;
pub(crate) use validation::{JsonSchema, MAX_NAME_LENGTH, RequestValidation};
pub(crate) use wrap::{Middleware, Next, Outermost, Wrap};
