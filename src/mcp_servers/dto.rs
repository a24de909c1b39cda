//! What an MCP server looks like on the wire.

use entity::{
    mcp_server,
    values::{StringList, Transport},
    variables::VariableMap,
};
use poem_openapi::Object;
use sea_orm::ActiveValue::NotSet;
use serde::Serialize;

use crate::{
    http::input,
    rows::{Json, Text, Timestamp, row},
};

row! {
    /// A server of the Model Context Protocol, from which agents get tools.
    #[derive(Debug, Object, Serialize)]
    #[oai(rename = "McpServer")]
    pub(crate) struct McpServerRow<'r> of mcp_server without revision {
        /// Assigned by the service.
        pub(crate) id: i64,
        /// Stable handle, by which the tools of agents name the server.
        pub(crate) name: Text<'r>,
        /// Display name.
        #[oai(nullable)]
        pub(crate) display_name: Option<Text<'r>>,
        /// What the server offers.
        #[oai(nullable)]
        pub(crate) description: Option<Text<'r>>,
        /// How a runtime reaches the server.
        pub(crate) transport: Transport,
        /// The program that a runtime starts; null unless the transport is `stdio`.
        #[oai(nullable)]
        pub(crate) command: Option<Text<'r>>,
        /// The program's arguments.
        pub(crate) args: Json<'r, StringList>,
        /// The server's address; null if the transport is `stdio`.
        #[oai(nullable)]
        pub(crate) url: Option<Text<'r>>,
        /// The program's environment: by the name of each variable, which of the runtime's variables it gets, as
        /// `${GITHUB_TOKEN}`. The values themselves are never stored.
        pub(crate) env: Json<'r, VariableMap>,
        /// Header fields of requests to the address: by the name of each, which of the runtime's variables it gets, as
        /// `Bearer ${GITHUB_TOKEN}`. The values themselves are never stored.
        pub(crate) headers: Json<'r, VariableMap>,
        /// When it was created (UTC).
        pub(crate) created_at: Timestamp<'r>,
        /// When it was last changed (UTC).
        pub(crate) updated_at: Timestamp<'r>,
    }
}

/// A row that owns its values.
pub(crate) type McpServer = McpServerRow<'static>;

input! {
    mcp_server;
    /// An MCP server to create. With the transport `stdio` it has a command, otherwise a url.
    create McpServerCreate;
    /// Changes to an MCP server. Lists and objects are replaced as a whole.
    update McpServerUpdate;
    required {
        /// Stable handle, unique, by which the tools of agents name the server: letters, digits, `.`, `_` and `-`,
        /// starting with a letter or digit.
        #[oai(validator(max_length = 64, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$"))]
        name: String,
        /// How a runtime reaches the server.
        transport: Transport,
    }
    nullable {
        /// Display name.
        #[oai(validator(min_length = 1, max_length = 200))]
        display_name: String,
        /// What the server offers.
        #[oai(validator(max_length = 5000))]
        description: String,
        /// The program that a runtime starts. Required with the transport `stdio`, and only there.
        #[oai(validator(min_length = 1, max_length = 1000))]
        command: String,
        /// The server's address: an absolute URL without user name, password or fragment. Required unless the transport
        /// is `stdio`. This service never requests it.
        #[oai(validator(
            max_length = 2048,
            pattern = "^https?://[!$-.0-;=A-\\[\\]-~]+([/?][!$-~]*)?$"
        ))]
        url: String,
    }
    defaulted {
        /// The program's arguments. Only with the transport `stdio`.
        args: StringList,
        /// The program's environment: by the name of each variable, which of the runtime's variables it gets, as
        /// `${GITHUB_TOKEN}`. A bare name is taken as a reference to that variable. Only with the transport `stdio`.
        env: VariableMap,
        /// Header fields of requests to the address: by the name of each, which of the runtime's variables it gets, as
        /// `Bearer ${GITHUB_TOKEN}`. A bare name is taken as a reference to that variable. Not with the transport `stdio`.
        headers: VariableMap,
    }
    row {
        id: NotSet,
        created_at: NotSet,
        updated_at: NotSet,
        revision: NotSet,
    }
}
