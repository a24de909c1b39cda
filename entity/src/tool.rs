//! Tools of agents: the column, and what the API shows of it.

use std::borrow::Cow;

use poem_openapi::{
    Enum, Object,
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseError, ParseFromJSON, ParseResult},
};
use sea_orm::{DbErr, DeriveValueType};
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

use crate::{
    free_json::json_text,
    values::{JsonObject, StringList},
};

/// The kinds of tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub enum ToolKind {
    /// Tools of an MCP server.
    Mcp,
    /// A function that the runtime calls.
    Function,
    /// A tool that the runtime or the provider brings along, such as `web_search`.
    Builtin,
}

/// A tool that an agent may use. Its `type` decides which fields it has.
#[derive(Clone, Debug, Object)]
pub struct Tool {
    /// What kind of tool it is.
    #[oai(rename = "type")]
    kind: ToolKind,
    /// The name of the MCP server. Only with `mcp`, and required there.
    #[oai(
        nullable,
        skip_serializing_if_is_none,
        validator(max_length = 64, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$")
    )]
    server: Option<String>,
    /// The names of the server's tools that the agent may use; null for all. Only with `mcp`.
    #[oai(nullable, skip_serializing_if_is_none)]
    allow: Option<StringList>,
    /// The name by which the model calls the tool, unique in the list. With `function` and `builtin`, and required there.
    #[oai(
        nullable,
        skip_serializing_if_is_none,
        validator(max_length = 128, pattern = "^[A-Za-z_][A-Za-z0-9_.:-]*$")
    )]
    name: Option<String>,
    /// What the tool does, for the model. Only with `function`.
    #[oai(nullable, skip_serializing_if_is_none, validator(max_length = 5000))]
    description: Option<String>,
    /// The JSON Schema of the function's arguments. Only with `function`.
    #[oai(nullable, skip_serializing_if_is_none)]
    parameters: Option<JsonObject>,
    /// Settings, interpreted by the runtime. Only with `builtin`.
    #[oai(nullable, skip_serializing_if_is_none)]
    config: Option<JsonObject>,
}

/// A tool in the text of a [`ToolList`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoredTool<'t> {
    #[serde(rename = "type")]
    pub kind: ToolKind,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub server: Option<Cow<'t, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Option<StringList>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub name: Option<Cow<'t, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<Cow<'t, str>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<&'t RawValue>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub config: Option<&'t RawValue>,
}

impl<'t> From<&'t Tool> for StoredTool<'t> {
    fn from(tool: &'t Tool) -> Self {
        let Tool {
            kind,
            server,
            allow,
            name,
            description,
            parameters,
            config,
        } = tool;
        let raw = |object: &'t JsonObject| serde_json::from_str(object.as_str()).ok();
        Self {
            kind: *kind,
            server: server.as_deref().map(Cow::Borrowed),
            allow: allow.clone(),
            name: name.as_deref().map(Cow::Borrowed),
            description: description.as_deref().map(Cow::Borrowed),
            parameters: parameters.as_ref().and_then(raw),
            config: config.as_ref().and_then(raw),
        }
    }
}

impl StoredTool<'_> {
    /// The first field that is missing or does not belong to a tool of this kind, and what is wrong with it.
    #[must_use]
    pub fn check(&self) -> Option<(&'static str, &'static str)> {
        use ToolKind::{Builtin, Function, Mcp};
        let fields = [
            ("server", self.server.is_some(), &[Mcp][..], true),
            ("allow", self.allow.is_some(), &[Mcp], false),
            ("name", self.name.is_some(), &[Function, Builtin], true),
            (
                "description",
                self.description.is_some(),
                &[Function],
                false,
            ),
            ("parameters", self.parameters.is_some(), &[Function], false),
            ("config", self.config.is_some(), &[Builtin], false),
        ];
        fields
            .into_iter()
            .find_map(|(field, is_set, kinds, required)| {
                let belongs = kinds.contains(&self.kind);
                match (is_set, belongs) {
                    (true, false) => Some((field, "does not belong to a tool of this type")),
                    (false, true) if required => {
                        Some((field, "is missing, and a tool of this type has it"))
                    }
                    _ => None,
                }
            })
    }
}

/// The tools of an agent: at most 128. The text of the list, in which MCP servers are named.
#[derive(Clone, Debug, PartialEq, Eq, DeriveValueType)]
#[sea_orm(column_type = "Json")]
pub struct ToolList(String);

json_text!(
    ToolList,
    "[]",
    Tool,
    MetaSchemaRef::Inline(Box::new(MetaSchema {
        items: Some(Box::new(Tool::schema_ref())),
        max_items: Some(128),
        ..MetaSchema::new("array")
    })),
    Tool
);

impl ToolList {
    /// # Errors
    /// A tool that can't be written.
    pub fn of(tools: &[StoredTool<'_>]) -> Result<Self, DbErr> {
        let text = serde_json::to_string(tools);
        text.map(Self)
            .map_err(|error| DbErr::Json(error.to_string()))
    }

    /// # Errors
    /// A text that this type has not written.
    pub fn tools(&self) -> Result<Vec<StoredTool<'_>>, DbErr> {
        serde_json::from_str(&self.0).map_err(|error| DbErr::Json(error.to_string()))
    }
}

impl ParseFromJSON for ToolList {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        let tools = Vec::<Tool>::parse_from_json(value).map_err(ParseError::propagate)?;
        let tools: Vec<StoredTool<'_>> = tools.iter().map(StoredTool::from).collect();
        Self::of(&tools).map_err(ParseError::custom)
    }
}
