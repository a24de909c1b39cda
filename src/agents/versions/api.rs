//! `/v1/agents/{id}/versions`

use poem::web::Data;
use poem_openapi::{
    OpenApi,
    param::{Path, Query},
};

use super::{
    dto::{
        AgentVersion, AgentVersionDiff, AgentVersionEntry, AgentVersionEntryRow, AgentVersionRow,
    },
    queries,
};
use crate::{
    agents::dto::Agent,
    database::Database,
    error::Error,
    http::{Body, Immutable, PageBody, Tag, Tagged},
    page::PageRequest,
    revision::Precondition,
    rows::{Columns, FromRow},
    write::{VersionMessage, WriteRequest},
};

pub(crate) struct AgentVersionsApi;

#[OpenApi(prefix_path = "/v1/agents", tag = "Tag::Agents")]
impl AgentVersionsApi {
    /// List the versions of an agent
    ///
    /// The newest first, without their definitions. Fails with 404 `not_found` if there is no agent with this id.
    #[oai(
        path = "/:id/versions",
        method = "get",
        operation_id = "list_agent_versions"
    )]
    async fn list_agent_versions(
        &self,
        Data(database): Data<&Database>,
        /// The agent's id.
        #[oai(validator(minimum(value = "1")))]
        id: Path<i64>,
        page: PageRequest,
    ) -> Result<Body<PageBody<AgentVersionEntry>>, Error> {
        let page = queries::list(database.connection(), id.0, page).await?;
        Body::page(&page, AgentVersionEntryRow::read)
    }

    /// Get a version of an agent
    ///
    /// A version never changes, so that the response may be cached: its ETag is the digest of the definition.
    /// Fails with 404 `not_found` if there is no agent with this id, or it has no such version.
    #[oai(
        path = "/:id/versions/:number",
        method = "get",
        operation_id = "get_agent_version"
    )]
    async fn get_agent_version(
        &self,
        Data(database): Data<&Database>,
        /// The agent's id.
        #[oai(validator(minimum(value = "1")))]
        id: Path<i64>,
        /// The number of the version.
        #[oai(validator(minimum(value = "1")))]
        number: Path<i64>,
    ) -> Result<Immutable<Tagged<AgentVersion>>, Error> {
        let row = queries::get(database.connection(), id.0, number.0).await?;
        let version = AgentVersionRow::read(&mut Columns::of(&row))?;
        Immutable::view(&version, version.digest.as_str())
    }

    /// Compare two versions of an agent
    ///
    /// What changed from `against` to this version, field by field; texts of several lines as a unified diff. Fails with
    /// 404 `not_found` if there is no agent with this id, or it lacks one of the versions.
    #[oai(
        path = "/:id/versions/:number/diff",
        method = "get",
        operation_id = "diff_agent_version"
    )]
    async fn diff_agent_version(
        &self,
        Data(database): Data<&Database>,
        /// The agent's id.
        #[oai(validator(minimum(value = "1")))]
        id: Path<i64>,
        /// The number of the version.
        #[oai(validator(minimum(value = "1")))]
        number: Path<i64>,
        /// The number of the version to compare it with; by default, the one before. Version 1 is compared with nothing then.
        #[oai(validator(minimum(value = "1")))]
        against: Query<Option<i64>>,
    ) -> Result<Tagged<AgentVersionDiff>, Error> {
        let diff = queries::diff(database.connection(), id.0, number.0, against.0).await?;
        Tagged::view(&diff)
    }

    /// Restore a version of an agent
    ///
    /// Gives the agent the definition that it had, which makes a new version. If it has that definition already, nothing
    /// changes. Fails with 404 `not_found` if there is no agent with this id, or it has no such version, with 409
    /// `reference_gone` if the version refers to a model or an MCP server that no longer exists, and with 409
    /// `external_id_taken` if another agent has its external id since.
    #[oai(
        path = "/:id/versions/:number/restore",
        method = "post",
        operation_id = "restore_agent_version"
    )]
    async fn restore_agent_version(
        &self,
        write: WriteRequest,
        /// The agent's id.
        #[oai(validator(minimum(value = "1")))]
        id: Path<i64>,
        /// The number of the version.
        #[oai(validator(minimum(value = "1")))]
        number: Path<i64>,
        precondition: Precondition,
        message: VersionMessage,
    ) -> Result<Tagged<Agent>, Error> {
        write
            .with_message(message)
            .update(|work| queries::restore(work, id.0, number.0, &precondition))
            .await
    }
}
