//! The tools of Letta's agents.

use super::{KEY, LettaParts, NO_PLACE};
use crate::{
    formats::{
        agent::AgentDraft,
        draft::Draft,
        fields::{SourceFields, items_of, map_at, members_of, text_at, text_of},
    },
    yaml::{Node, NodeMap, NodeValue},
};

pub(super) fn set(
    draft: &mut Draft<'_>,
    agent: &mut AgentDraft,
    fields: &mut SourceFields,
    parts: &LettaParts,
) {
    let mut found: Vec<SourceFields> = Vec::new();
    for id in fields.list("tool_ids") {
        match text_of(&id).and_then(|id| parts.tools.get(id)) {
            Some(tool) => found.push(tool.clone()),
            None => draft.not_kept(id.line, "the file has no such tool"),
        }
    }
    for node in fields.list("tools") {
        match SourceFields::of(node) {
            Ok(tool) => found.push(tool),
            Err(Node {
                value: NodeValue::Text(name),
                line,
            }) => agent.builtin(KEY, &name, NodeMap::new(), line),
            Err(other) => draft.not_kept(other.line, "is no tool"),
        }
    }
    for tool in found {
        draft.place(tool.origin);
        add_tool(draft, agent, tool, parts);
    }
}

fn add_tool(
    draft: &mut Draft<'_>,
    agent: &mut AgentDraft,
    mut tool: SourceFields,
    parts: &LettaParts,
) {
    let origin = tool.origin;
    tool.take("id");
    let (name, _) = tool
        .filled_text("name")
        .unwrap_or_else(|| ("tool".to_owned(), origin));
    for name in [
        "created_by_id",
        "last_updated_by_id",
        "organization_id",
        "project_id",
        "created_at",
        "updated_at",
    ] {
        if let Some(place) = tool.take(name) {
            draft.not_kept(place.line, NO_PLACE);
        }
    }
    let kind = tool
        .get("tool_type")
        .and_then(text_of)
        .unwrap_or("custom")
        .to_owned();
    if kind == "external_mcp" {
        let metadata = tool.get("metadata_").and_then(members_of);
        let server =
            metadata.and_then(|it| text_of(members_of(it.get("mcp")?)?.get("server_name")?));
        let tags = tool.get("tags").map(items_of).unwrap_or_default();
        let tagged = tags
            .iter()
            .find_map(|tag| text_of(tag)?.strip_prefix("mcp:"));
        if let Some((server, rest, _)) = server.or(tagged).and_then(|name| parts.servers.get(name))
        {
            agent.mcp_tool(server, Some(vec![text_at(name, origin)]), origin);
            agent.keep_all(&["mcp", server], rest.clone());
            let why = "the MCP server itself says it of its tool";
            tool.take("tool_type");
            return draft.none_kept(&tool.rest(), why);
        }
    }
    if kind.starts_with("letta_") {
        // Letta brings it along, with its code and its schema.
        let mut config = NodeMap::new();
        config.insert("tool_type".to_owned(), text_at(kind, origin));
        tool.take("tool_type");
        draft.none_kept(
            &tool.rest(),
            "Letta brings the tool along, and knows this of it",
        );
        return agent.builtin(KEY, &name, config, origin);
    }
    let mut schema = tool.object("json_schema").unwrap_or_default();
    let description = schema.text("description").or_else(|| {
        tool.get("description")
            .cloned()
            .filter(|it| text_of(it).is_some())
    });
    if description.as_ref().map(text_of) == tool.get("description").map(text_of) {
        tool.take("description");
    }
    let line = schema.origin;
    let parameters = schema
        .object("parameters")
        .map(|it| map_at(it.rest(), line));
    if schema.get("name").and_then(text_of) == Some(&name) {
        schema.take("name");
    }
    let name = agent.function(&name, description, parameters, origin);
    agent.keep_all(&["tools", &name, "json_schema"], schema.rest());
    let mut rest = tool.rest();
    rest.retain(|_, node| {
        !matches!(&node.value, NodeValue::List(items) if items.is_empty())
            && !matches!(&node.value, NodeValue::Map(members) if members.is_empty())
    });
    agent.keep_all(&["tools", &name], rest);
}
