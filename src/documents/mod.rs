//! Circles as code: documents that describe parts of the registry by name.
//!
//! `dto.rs` says what a document is, `entry.rs` what it says of one resource, and `described.rs` of which. `export.rs` makes a document of what there
//! is, and `team.rs` of what a release holds. `named.rs` and `state.rs` read the rows that documents describe, `plan.rs` compares both (`table.rs` table by table,
//! `members.rs` the members of circles; `planner.rs` collects), and `apply.rs` has `writer.rs` write what differs.

mod api;
mod apply;
mod blocked;
mod described;
mod dto;
mod entry;
mod export;
mod members;
mod named;
mod plan;
mod planner;
mod shown;
mod state;
mod table;
mod team;
mod writer;

pub(crate) use api::DocumentsApi;
pub(crate) use apply::{Applying, apply, plan};
pub(crate) use dto::{
    BlockedDeletion, DocumentPlan, DocumentSet, NotDescribed, PlannedAction, PlannedChange,
    RegistryDocument,
};
pub(crate) use export::export;
pub(crate) use plan::PlanOptions;
pub(crate) use state::ExportSelection;
pub(crate) use team::describe_team;
