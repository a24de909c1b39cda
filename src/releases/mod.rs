//! Releases: circles as they were when they were published, and the labels that point to them.
//!
//! Imports `handles`, `circles` and the resources that a team is made of. Start with `publish.rs`; `team.rs` says what
//! a release holds and what its digest covers, `labels.rs` moves labels, `diff.rs` compares, and `retention.rs` deletes
//! old releases. The handles of a release are read by `handles/released.rs`.

mod api;
mod diff;
mod dto;
mod label_api;
mod labels;
mod publish;
mod queries;
pub(crate) mod retention;
mod team;

pub(crate) use api::ReleasesApi;
pub(crate) use diff::{Side, TeamDiff, diff};
pub(crate) use dto::TeamMember;
pub(crate) use label_api::LabelsApi;
pub(crate) use team::{Frozen, freeze, thaw};
