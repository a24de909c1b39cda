//! Circles as code: documents that describe parts of the registry by name.
//!
//! `dto.rs` says what a document is, and `entry.rs` what it says of one resource. `export.rs` makes a document of what there
//! is. `node.rs` keeps free JSON exact on its way.

mod dto;
mod entry;
mod export;
mod node;
mod shown;
mod state;

pub(crate) use dto::RegistryDocument;
pub(crate) use export::export;
pub(crate) use node::{Node, NodeMap, NodeValue};
pub(crate) use state::ExportSelection;
