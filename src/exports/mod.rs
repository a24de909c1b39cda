//! Circles as files of other systems, which load them as they are.
//!
//! `snapshot.rs` reads a circle as it is, or as it was released. `handles.rs` is what the writers see of a member,
//! `docker_agent.rs` and `claude.rs` write, and `document.rs` writes the circle as a document. What a format has no place for is
//! reported: nothing is lost unsaid.

mod api;
mod claude;
mod docker_agent;
mod docker_models;
mod docker_tools;
mod document;
mod dto;
mod handles;
mod snapshot;

pub(crate) use api::ExportsApi;
pub(crate) use dto::{CircleFiles, ExportFormat, ExportedFile};
pub(crate) use snapshot::export;
