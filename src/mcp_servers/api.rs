//! `/v1/mcp-servers`

use entity::{mcp_server, values::Transport};
use poem::web::Data;
use poem_openapi::{
    OpenApi,
    param::{Path, Query},
    payload::Json,
};

use super::{
    dto::{McpServer, McpServerCreate, McpServerRow, McpServerUpdate},
    queries::{self, McpServerFilter},
};
use crate::{
    database::Database,
    error::Error,
    http::{Body, Created, NoContent, PageBody, Tag, Tagged},
    revision::Precondition,
    rows::FromRow,
    sort::SortedRequest,
    write::{VersionMessage, WriteRequest},
};

pub(crate) struct McpServersApi;

#[OpenApi(prefix_path = "/v1/mcp-servers", tag = "Tag::McpServers")]
impl McpServersApi {
    /// List MCP servers
    ///
    /// Ordered by id, or as `sort` says.
    #[oai(path = "/", method = "get", operation_id = "list_mcp_servers")]
    async fn list_mcp_servers(
        &self,
        Data(database): Data<&Database>,
        /// Text that the name or display name contains; ASCII letters match regardless of case.
        #[oai(validator(min_length = 1, max_length = 200))]
        q: Query<Option<String>>,
        /// Only servers with this transport.
        transport: Query<Option<Transport>>,
        page: SortedRequest,
    ) -> Result<Body<PageBody<McpServer>>, Error> {
        let filter = McpServerFilter {
            q: q.0,
            transport: transport.0,
        };
        let page = queries::list(database.connection(), filter, page).await?;
        Body::page(&page, McpServerRow::read)
    }

    /// Create an MCP server
    ///
    /// Fails with 409 `mcp_server_name_taken` if the name is taken, and with 422 `invalid_request` if a field does not
    /// belong to the transport, or one that it requires is missing.
    #[oai(path = "/", method = "post", operation_id = "create_mcp_server")]
    async fn create_mcp_server(
        &self,
        write: WriteRequest,
        new: Json<McpServerCreate>,
    ) -> Result<Created<McpServer>, Error> {
        let path = |row: &mcp_server::Model| format!("/v1/mcp-servers/{}", row.id);
        write
            .create(path, |work| queries::create(work, new.0.clone().into()))
            .await
    }

    /// Get an MCP server
    ///
    /// Fails with 404 `not_found` if there is no MCP server with this id.
    #[oai(path = "/:id", method = "get", operation_id = "get_mcp_server")]
    async fn get_mcp_server(
        &self,
        Data(database): Data<&Database>,
        /// The MCP server's id.
        #[oai(validator(minimum(value = "1")))]
        id: Path<i64>,
    ) -> Result<Tagged<McpServer>, Error> {
        Tagged::row(queries::get(database.connection(), id.0).await?)
    }

    /// Update an MCP server
    ///
    /// Absent fields are left unchanged; null clears a nullable field. A new name is written to the tools of the agents
    /// that use the server, which changes these agents, too. Fails with 404 `not_found` if there is no MCP server with
    /// this id, with 409 `mcp_server_name_taken` if the name is taken, and with 422 `invalid_request` if the result has a
    /// field that does not belong to its transport, or lacks one that it requires.
    #[oai(path = "/:id", method = "patch", operation_id = "update_mcp_server")]
    async fn update_mcp_server(
        &self,
        write: WriteRequest,
        /// The MCP server's id.
        #[oai(validator(minimum(value = "1")))]
        id: Path<i64>,
        precondition: Precondition,
        message: VersionMessage,
        update: Json<McpServerUpdate>,
    ) -> Result<Tagged<McpServer>, Error> {
        write
            .with_message(message)
            .update(|work| queries::update(work, id.0, &precondition, update.0.clone().into()))
            .await
    }

    /// Delete an MCP server
    ///
    /// Fails with 404 `not_found` if there is no MCP server with this id, and with 409 `mcp_server_in_use` if agents use
    /// it.
    #[oai(path = "/:id", method = "delete", operation_id = "delete_mcp_server")]
    async fn delete_mcp_server(
        &self,
        write: WriteRequest,
        /// The MCP server's id.
        #[oai(validator(minimum(value = "1")))]
        id: Path<i64>,
        precondition: Precondition,
    ) -> Result<NoContent, Error> {
        write
            .delete(|work| queries::delete(work, id.0, &precondition))
            .await
    }
}
