//! Circles as code: documents that describe parts of the registry by name.
//!
//! `dto.rs` says what a document is, and `entry.rs` what it says of one resource. `export.rs` makes a document of what there
//! is. `named.rs` and `state.rs` read the rows that documents describe, `plan.rs` compares both (`table.rs` table by table,
//! `members.rs` the members of circles), and `apply.rs` writes what differs. `node.rs` keeps free JSON exact on its way.

mod api;
mod apply;
mod dto;
mod entry;
mod export;
mod members;
mod named;
mod node;
mod plan;
mod shown;
mod state;
mod table;

pub(crate) use api::DocumentsApi;
pub(crate) use apply::{Applying, apply, plan};
pub(crate) use dto::{
    DocumentPlan, DocumentSet, NotDescribed, PlannedAction, PlannedChange, RegistryDocument,
};
pub(crate) use export::export;
pub(crate) use node::{Node, NodeMap, NodeValue};
pub(crate) use plan::PlanOptions;
pub(crate) use state::ExportSelection;
