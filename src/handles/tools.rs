//! The tools of a handle, with their servers.

use std::borrow::Cow;

use entity::tool::StoredTool;
use sea_orm::DbErr;

use super::{dto::HandleTool, facts::AgentFacts, related::Related};
use crate::rows::{Json, RawJson, Text};

/// An agent's tools. [`Related::hold_all_of`] makes sure that no server is missing.
pub(super) fn resolve<'r>(
    agent: &AgentFacts<'r>,
    related: &Related<'r>,
) -> Result<Vec<HandleTool<'r>>, DbErr> {
    let tools = agent.tools()?.into_iter();
    Ok(tools.map(|tool| with_server(tool, related)).collect())
}

fn with_server<'r>(tool: StoredTool<'r>, related: &Related<'r>) -> HandleTool<'r> {
    let StoredTool {
        kind,
        server,
        allow,
        name,
        description,
        parameters,
        config,
    } = tool;
    HandleTool {
        kind,
        server: server.and_then(|name| related.servers.get(&*name).cloned()),
        allow,
        name: name.map(text),
        description: description.map(text),
        parameters: parameters.map(|object| Json::Stored(RawJson::from(object))),
        config: config.map(|object| Json::Stored(RawJson::from(object))),
    }
}

fn text(text: Cow<'_, str>) -> Text<'_> {
    Text::from(text)
}
