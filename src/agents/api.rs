//! `/v1/agents`

use entity::{agent, values::AgentStatus};
use poem::web::Data;
use poem_openapi::{
    OpenApi,
    param::{Path, Query},
    payload::Json,
};
use sea_orm::ActiveValue::NotSet;

use super::{
    dto::{Agent, AgentCreate, AgentInclude, AgentRow, AgentUpdate},
    queries::{self, AgentFilter},
    repoint::{self, RepointOperation, Repointing},
};
use crate::{
    database::Database,
    error::Error,
    http::{Body, Created, CreatedOrReplaced, NoContent, PageBody, Shared, Tag, Tagged, Untagged},
    mcp_servers,
    members::jobs::MembershipsAtOnce,
    models::{self, dto::ModelRow},
    page::PageRequest,
    revision::Precondition,
    rows::FromRow,
    sort::SortedRequest,
    write::{VersionMessage, WriteRequest},
};

pub(crate) struct AgentsApi;

#[OpenApi(prefix_path = "/v1", tag = "Tag::Agents")]
impl AgentsApi {
    /// List agents
    ///
    /// Ordered by id, or as `sort` says. Deleted agents are listed only with `include_deleted`. With `include=model`, each
    /// agent that has a model contains it.
    #[oai(path = "/agents", method = "get", operation_id = "list_agents")]
    #[expect(clippy::too_many_arguments, reason = "one argument a query parameter")]
    async fn list_agents(
        &self,
        Data(database): Data<&Database>,
        /// Only agents with this status.
        status: Query<Option<AgentStatus>>,
        /// Only agents that run on this model.
        #[oai(validator(minimum(value = "1")))]
        model_id: Query<Option<i64>>,
        /// Only agents that may fall back on this model.
        #[oai(validator(minimum(value = "1")))]
        fallback_model_id: Query<Option<i64>>,
        /// Only agents with tools of this MCP server.
        #[oai(validator(minimum(value = "1")))]
        mcp_server_id: Query<Option<i64>>,
        /// Only agents with exactly this skill.
        #[oai(validator(min_length = 1, max_length = 200))]
        skill: Query<Option<String>>,
        /// Only agents with exactly this competency.
        #[oai(validator(min_length = 1, max_length = 200))]
        competency: Query<Option<String>>,
        /// Text that the name contains; ASCII letters match regardless of case.
        #[oai(validator(min_length = 1, max_length = 200))]
        q: Query<Option<String>>,
        /// Only agents with these ids: at most 200, separated by commas. Ids that do not exist are
        /// ignored.
        #[oai(validator(max_length = 3999, pattern = "^[1-9][0-9]*(,[1-9][0-9]*)*$"))]
        ids: Query<Option<String>>,
        /// Whether to list deleted agents, too: `is_active` is false, and `updated_at` is when they were deleted.
        include_deleted: Query<Option<bool>>,
        /// Related resources to include.
        include: Query<Option<AgentInclude>>,
        page: SortedRequest,
    ) -> Result<Body<PageBody<Agent>>, Error> {
        let filter = AgentFilter {
            status: status.0,
            model_id: model_id.0,
            fallback_model_id: fallback_model_id.0,
            mcp_server_id: mcp_server_id.0,
            skill: skill.0,
            competency: competency.0,
            q: q.0,
            ids: ids.0.as_deref().map(parse_ids).transpose()?,
            include_deleted: include_deleted.0.unwrap_or(false),
        };
        let with_model = include.0 == Some(AgentInclude::Model);
        let page = queries::list(database.connection(), filter, with_model, page).await?;
        Body::page(&page, |columns| {
            let mut agent = AgentRow::read(columns)?;
            if with_model {
                agent.model = ModelRow::read_joined(columns)?;
            }
            Ok(agent)
        })
    }

    /// Create an agent
    ///
    /// Fails with 422 `invalid_request` if there is no such model or MCP server, or a tool is not as its type asks for, and
    /// with 409 `external_id_taken` if another agent has the external id.
    #[oai(path = "/agents", method = "post", operation_id = "create_agent")]
    async fn create_agent(
        &self,
        write: WriteRequest,
        message: VersionMessage,
        new: Json<AgentCreate>,
    ) -> Result<Created<Agent>, Error> {
        let path = |row: &agent::Model| format!("/v1/agents/{}", row.id);
        write
            .with_message(message)
            .create(path, |work| queries::create(work, new.0.clone().into()))
            .await
    }

    /// Create or replace the agent with an external id
    ///
    /// Creates the agent (201), or sets all its fields (200): an absent field takes its default, as when an
    /// agent is created. Sending the same again changes nothing. Fails with 422 `invalid_request` if
    /// there is no such model or MCP server, a tool is not as its type asks for, or the body names another `external_id`.
    #[oai(
        path = "/agents/by-external-id/:agent_external_id",
        method = "put",
        operation_id = "replace_agent"
    )]
    async fn replace_agent(
        &self,
        write: WriteRequest,
        /// The agent's external id.
        #[oai(validator(min_length = 1, max_length = 255))]
        agent_external_id: Path<String>,
        precondition: Precondition,
        message: VersionMessage,
        new: Json<AgentCreate>,
    ) -> Result<CreatedOrReplaced<Agent>, Error> {
        let external_id = agent_external_id.0;
        let mut new = new.0;
        let named = new.external_id.get_or_insert_with(|| external_id.clone());
        if *named != external_id {
            let detail = "is not the external id in the path";
            return Err(Error::invalid("#/external_id", detail));
        }
        // What is not part of the body stays.
        let row = agent::ActiveModel {
            is_active: NotSet,
            ..new.into()
        };
        let path = |row: &agent::Model| format!("/v1/agents/{}", row.id);
        let change = |work| queries::replace(work, &external_id, &precondition, row.clone());
        let write = write.with_message(message);
        write.create_or_replace(path, change).await
    }

    /// Get an agent
    ///
    /// Fails with 404 `not_found` if there is no agent with this id, or it is deleted.
    #[oai(path = "/agents/:id", method = "get", operation_id = "get_agent")]
    async fn get_agent(
        &self,
        Data(database): Data<&Database>,
        /// The agent's id.
        #[oai(validator(minimum(value = "1")))]
        id: Path<i64>,
    ) -> Result<Tagged<Agent>, Error> {
        Tagged::row(queries::get(database.connection(), id.0).await?)
    }

    /// Update an agent
    ///
    /// Absent fields are left unchanged; null clears a nullable field. Fails with 404 `not_found` if
    /// there is no agent with this id, with 422 `invalid_request` if there is no such model or MCP server, or a tool is not
    /// as its type asks for, and with 409 `external_id_taken` if another agent has the external id.
    #[oai(path = "/agents/:id", method = "patch", operation_id = "update_agent")]
    async fn update_agent(
        &self,
        write: WriteRequest,
        /// The agent's id.
        #[oai(validator(minimum(value = "1")))]
        id: Path<i64>,
        precondition: Precondition,
        message: VersionMessage,
        update: Json<AgentUpdate>,
    ) -> Result<Tagged<Agent>, Error> {
        write
            .with_message(message)
            .update(|work| queries::update(work, id.0, &precondition, update.0.clone().into()))
            .await
    }

    /// Delete an agent
    ///
    /// Also ends its memberships: from then on, no roster and no list of members shows it. If they are very
    /// many (more than 1,000 by default), their `left_at` and the `member_count` of their circles follow in
    /// the background. Fails with 404 `not_found` if there is no agent with this id.
    #[oai(path = "/agents/:id", method = "delete", operation_id = "delete_agent")]
    async fn delete_agent(
        &self,
        write: WriteRequest,
        Shared(at_once): Shared<&MembershipsAtOnce>,
        /// The agent's id.
        #[oai(validator(minimum(value = "1")))]
        id: Path<i64>,
        precondition: Precondition,
    ) -> Result<NoContent, Error> {
        write
            .delete(|work| queries::delete(work, id.0, &precondition, *at_once))
            .await
    }

    /// Restore a deleted agent
    ///
    /// The agent returns as it was, but a model that was deleted since is unset. With
    /// `memberships=true`, the memberships that its deletion ended return, too;
    /// `list_agent_circles` with `include_inactive=true` shows them. If they are very many, they return in the
    /// background, except to circles that have no place. Fails with 404 `not_found` if there never was an
    /// agent with this id, with 409 `not_deleted` if it is not deleted, with 409 `circle_full` if
    /// a circle has no place for it, with 409 `external_id_taken` if another agent has its external id since,
    /// and with 409 `memberships_ending` if its very many memberships are still being ended
    /// and are not to return.
    #[oai(
        path = "/agents/:id/restore",
        method = "post",
        operation_id = "restore_agent"
    )]
    async fn restore_agent(
        &self,
        write: WriteRequest,
        Shared(at_once): Shared<&MembershipsAtOnce>,
        /// The agent's id.
        #[oai(validator(minimum(value = "1")))]
        id: Path<i64>,
        /// Whether to restore the memberships that the deletion ended.
        memberships: Query<Option<bool>>,
        precondition: Precondition,
        message: VersionMessage,
    ) -> Result<Tagged<Agent>, Error> {
        let memberships = memberships.0.unwrap_or(false);
        write
            .with_message(message)
            .update(|work| queries::restore(work, id.0, &precondition, memberships, *at_once))
            .await
    }

    /// Move the agents of a model to another one
    ///
    /// Every agent that runs on the model or may fall back on it, in one transaction; deleted agents stay. The response says
    /// how many agents that are, and how the models differ. With `dry_run`, nothing is changed. Repeated, it finds no agents.
    /// Fails with 404 `not_found` if there is no model with this id, and with 422 `invalid_request` if there is no model `to`.
    #[oai(
        path = "/models/:id/repoint",
        method = "post",
        operation_id = "repoint_model"
    )]
    async fn repoint_model(
        &self,
        write: WriteRequest,
        /// The model's id.
        #[oai(validator(minimum(value = "1")))]
        id: Path<i64>,
        message: VersionMessage,
        operation: Json<RepointOperation>,
    ) -> Result<Untagged<Repointing>, Error> {
        write
            .with_message(message)
            .update_many(|work| repoint::repoint(work, id.0, &operation))
            .await
    }

    /// List the agents that run on a model
    ///
    /// Ordered by id, without deleted agents. Together with the agents that may fall back on it
    /// (`GET /v1/agents?fallback_model_id=…`) they prevent the model from being deleted.
    /// `GET /v1/agents?model_id=…` returns the same list with filters and other orders, and is empty
    /// for a model that does not exist. Fails with 404 `not_found` if there is no model with this id.
    #[oai(
        path = "/models/:id/agents",
        method = "get",
        operation_id = "list_model_agents"
    )]
    async fn list_model_agents(
        &self,
        Data(database): Data<&Database>,
        /// The model's id.
        #[oai(validator(minimum(value = "1")))]
        id: Path<i64>,
        page: PageRequest,
    ) -> Result<Body<PageBody<Agent>>, Error> {
        let db = database.connection();
        models::queries::get(db, id.0).await?;
        let its = AgentFilter {
            model_id: Some(id.0),
            ..AgentFilter::default()
        };
        let page = queries::list(db, its, false, page.into()).await?;
        Body::page(&page, AgentRow::read)
    }

    /// List the agents with tools of an MCP server
    ///
    /// Ordered by id, without deleted agents: the agents that prevent the server from being deleted.
    /// `GET /v1/agents?mcp_server_id=…` returns the same list with filters and other orders, and is empty for a server that
    /// does not exist. Fails with 404 `not_found` if there is no MCP server with this id.
    #[oai(
        path = "/mcp-servers/:id/agents",
        method = "get",
        operation_id = "list_mcp_server_agents"
    )]
    async fn list_mcp_server_agents(
        &self,
        Data(database): Data<&Database>,
        /// The MCP server's id.
        #[oai(validator(minimum(value = "1")))]
        id: Path<i64>,
        page: PageRequest,
    ) -> Result<Body<PageBody<Agent>>, Error> {
        let db = database.connection();
        mcp_servers::queries::get(db, id.0).await?;
        let its = AgentFilter {
            mcp_server_id: Some(id.0),
            ..AgentFilter::default()
        };
        let page = queries::list(db, its, false, page.into()).await?;
        Body::page(&page, AgentRow::read)
    }
}

/// Parses a list of ids. A number that is too large is not the id of any agent.
fn parse_ids(list: &str) -> Result<Vec<i64>, Error> {
    const AT_MOST: usize = 200;
    if list.split(',').count() > AT_MOST {
        let detail = format!("must have at most {AT_MOST} ids");
        return Err(Error::invalid("query/ids", detail));
    }
    Ok(list.split(',').filter_map(|id| id.parse().ok()).collect())
}
