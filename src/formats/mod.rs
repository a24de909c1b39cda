//! Files of other systems, read as documents: what each says of agents, and what has no place here.
//!
//! `sources.rs` reads files and folders, `detect.rs` tells the formats, and a file for each format reads it: it takes the fields
//! that it knows out of the file (`fields.rs`), and puts what is left where it is kept, so that nothing is lost unsaid.
//! `draft.rs` collects the document, `agent.rs` one agent of it. `models.rs` finds models in the catalogue, `secrets.rs` leaves
//! secrets out, and `report.rs` says what is not kept. `docs/formats.md` has the tables that this follows.

mod agent;
mod autogen;
mod catalogue;
mod claude;
mod claude_tools;
mod convert;
mod crewai;
mod detect;
mod docker_agent;
mod docker_models;
mod docker_toolsets;
mod draft;
mod fields;
mod front_matter;
mod letta;
mod models;
mod report;
mod secrets;
mod sources;
#[cfg(test)]
mod tests;
mod values;

pub(crate) use catalogue::Catalogue;
pub(crate) use convert::{ConvertOptions, convert};
pub(crate) use detect::SourceFormat;
pub(crate) use models::{ModelTable, NamedModel};
