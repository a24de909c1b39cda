//! API keys: who may use the service, for what, and until when.
//!
//! Imports no other resource. Start with `token.rs`; `keyring.rs` checks the tokens of requests, and `command.rs`
//! is the command line.

mod api;
pub mod command;
pub(crate) mod dto;
mod keyring;
pub(crate) mod queries;
pub(crate) mod token;

pub(crate) use api::KeysApi;
pub(crate) use keyring::Keyring;
