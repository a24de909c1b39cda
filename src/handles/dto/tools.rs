//! Tools, with the servers that they are of.

use entity::{
    mcp_server,
    tool::ToolKind,
    values::{JsonObject, StringList, Transport},
    variables::VariableMap,
};
use poem_openapi::Object;
use serde::Serialize;

use crate::rows::{Json, Text, row};

row! {
    /// An MCP server, as a runtime connects to it.
    #[derive(Clone, Debug, Object, Serialize)]
    pub(crate) struct HandleServer<'r> {
        /// The server's handle.
        pub(crate) name: Text<'r> = mcp_server::Name,
        /// How to reach the server.
        pub(crate) transport: Transport = mcp_server::Transport,
        /// The program to start; null unless the transport is `stdio`.
        #[oai(nullable)]
        pub(crate) command: Option<Text<'r>> = mcp_server::Command,
        /// The program's arguments.
        pub(crate) args: Json<'r, StringList> = mcp_server::Args,
        /// The server's address; null if the transport is `stdio`.
        #[oai(nullable)]
        pub(crate) url: Option<Text<'r>> = mcp_server::Url,
        /// The program's environment. `${NAME}` stands for the value of the runtime's own variable NAME.
        pub(crate) env: Json<'r, VariableMap> = mcp_server::Env,
        /// Header fields of requests. `${NAME}` stands for the value of the runtime's own variable NAME.
        pub(crate) headers: Json<'r, VariableMap> = mcp_server::Headers,
    }
}

/// A tool that the agent may use. Its `type` decides which of the other fields are not null.
#[derive(Debug, Object, Serialize)]
pub(crate) struct HandleTool<'r> {
    /// What kind of tool it is.
    #[oai(rename = "type")]
    #[serde(rename = "type")]
    pub(crate) kind: ToolKind,
    /// With `mcp`: the server.
    #[oai(nullable)]
    pub(crate) server: Option<HandleServer<'r>>,
    /// With `mcp`: the names of the server's tools that the agent may use; null for all.
    #[oai(nullable)]
    pub(crate) allow: Option<StringList>,
    /// With `function` and `builtin`: the name by which the model calls the tool.
    #[oai(nullable)]
    pub(crate) name: Option<Text<'r>>,
    /// With `function`: what the tool does, for the model.
    #[oai(nullable)]
    pub(crate) description: Option<Text<'r>>,
    /// With `function`: the JSON Schema of the function's arguments.
    #[oai(nullable)]
    pub(crate) parameters: Option<Json<'r, JsonObject>>,
    /// With `builtin`: settings, interpreted by the runtime.
    #[oai(nullable)]
    pub(crate) config: Option<Json<'r, JsonObject>>,
}
