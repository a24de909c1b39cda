//! Requests that this service sends: to addresses that users name, and so to none that only this service reaches.
//!
//! `addresses.rs` says which addresses those are, `client.rs` resolves, checks and connects. Imports nothing of the service. A
//! client of the command line goes where its user says, and traces where the operator says: they share only how TLS is set up
//! and how errors are told.

mod addresses;
mod client;

pub(crate) use client::{
    Client, EgressPolicy, RequestFailure, http_only, https_or_http, with_causes,
};
