//! What applying documents does: the documents compared with the rows that they describe. Nothing is read or written here.

use entity::{agent, circle, mcp_server, model, provider};

use super::{
    dto::{DocumentPlan, DocumentSet},
    members::{CircleMembers, MemberPlan},
    planner::Planner,
    shown::ReferenceNames,
    state::RegistryState,
    table::{TablePlan, Tables, compare, nothing_more},
};
use crate::{error::Error, write::Resource};

/// How documents are applied.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PlanOptions {
    /// Whether to delete what the documents' owners have and no document describes.
    pub(crate) prune: bool,
    /// Whether to take what belongs to another owner.
    pub(crate) take_over: bool,
}

/// Another owner of a resource, or none.
#[derive(Debug)]
pub(super) struct OwnerChange {
    pub(super) resource: Resource,
    pub(super) id: i64,
    pub(super) owner: Option<String>,
}

/// What is done, and how it is shown.
#[derive(Debug)]
pub(crate) struct RegistryPlan {
    pub(super) providers: TablePlan<provider::Entity>,
    pub(super) models: TablePlan<model::Entity>,
    pub(super) mcp_servers: TablePlan<mcp_server::Entity>,
    pub(super) agents: TablePlan<agent::Entity>,
    pub(super) circles: TablePlan<circle::Entity>,
    pub(super) members: MemberPlan,
    pub(super) owners: Vec<OwnerChange>,
    pub(super) names: ReferenceNames,
    pub(crate) shown: DocumentPlan,
}

/// Compares documents with the rows that they describe.
///
/// # Errors
/// All that is wrong with the documents.
pub(super) fn plan(
    set: DocumentSet,
    mut state: RegistryState,
    options: PlanOptions,
) -> Result<RegistryPlan, Error> {
    let owners = set.documents.iter().filter_map(|it| it.owner.clone());
    let owners = owners.collect();
    let tables = Tables::of(set);
    let providers = std::mem::take(&mut state.providers);
    let models = std::mem::take(&mut state.models);
    let mcp_servers = std::mem::take(&mut state.mcp_servers);
    let agents = std::mem::take(&mut state.agents);
    let circles = std::mem::take(&mut state.circles);
    let mut members = CircleMembers::of(std::mem::take(&mut state.members))?;
    let mut planner = Planner::new(state, options, owners);
    planner.know::<provider::Entity>(&providers);
    planner.know::<model::Entity>(&models);
    planner.know::<mcp_server::Entity>(&mcp_servers);
    planner.know::<agent::Entity>(&agents);
    let providers = compare(&mut planner, tables.providers, providers, nothing_more)?;
    let models = compare(&mut planner, tables.models, models, nothing_more)?;
    let mcp_servers = compare(&mut planner, tables.mcp_servers, mcp_servers, nothing_more)?;
    planner.check_tools(&tables.agents);
    let agents = compare(&mut planner, tables.agents, agents, nothing_more)?;
    let circles = compare(&mut planner, tables.circles, circles, |planner, circle| {
        members.compare(planner, &circle)
    })?;
    let (shown, owners, names) = planner.finish()?;
    Ok(RegistryPlan {
        providers,
        models,
        mcp_servers,
        agents,
        circles,
        members: members.into_plan(),
        owners,
        names,
        shown,
    })
}
