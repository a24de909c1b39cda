//! What every request passes, from the outside in: [`AppState`] (what requests share), [`RequestIds`]
//! (its name and its log line), [`Headers`] (what browsers are told), [`ErrorResponses`] (the one
//! place where errors become responses), [`Readiness`] (503 until the database is there), [`Auth`]
//! (who is asking, and whether they may), [`RateLimit`], [`RequestValidation`] (nothing undeclared
//! gets in), [`RunToCompletion`] (a write runs to its end), [`RetryRead`] (a read that met a dead
//! connection is repeated) and [`NotModified`] (304). `routes` puts them together.

mod auth;
mod errors;
mod headers;
mod not_modified;
mod rate_limit;
mod readiness;
mod request_id;
mod retry_read;
mod run_to_completion;
mod schema;
mod state;
mod suspected_secret;
mod validate;

pub(crate) use auth::{Access, Auth, access_to};
pub(crate) use errors::ErrorResponses;
pub(crate) use headers::Headers;
pub(crate) use not_modified::NotModified;
pub(crate) use rate_limit::RateLimit;
pub(crate) use readiness::Readiness;
pub(crate) use request_id::RequestIds;
pub(crate) use retry_read::RetryRead;
pub(crate) use run_to_completion::RunToCompletion;
pub(crate) use state::AppState;
pub(crate) use validate::RequestValidation;
