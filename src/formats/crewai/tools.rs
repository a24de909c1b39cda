//! The tools and MCP servers of `CrewAI`'s agents.

use super::KEY;
use crate::{
    formats::{
        agent::AgentDraft,
        claude_tools::server_fields,
        draft::Draft,
        fields::{SourceFields, items_of, list_at, map_at, text_at, text_of},
        values::{is_address, tool_name},
    },
    yaml::{Node, NodeMap, NodeValue},
};

pub(super) fn tools(agent: &mut AgentDraft, fields: &mut SourceFields) {
    let Some(tools) = fields.take("tools") else {
        return;
    };
    let NodeValue::List(items) = tools.value else {
        return agent.keep(&["tools"], tools);
    };
    for item in items {
        let line = item.line;
        match item.value {
            NodeValue::Text(name) if !name.trim().is_empty() => {
                agent.builtin(KEY, &name, NodeMap::new(), line);
            }
            NodeValue::Map(mut members) => {
                let name = ["name", "type", "tool"]
                    .iter()
                    .find_map(|field| text_of(members.get(*field)?));
                let name = name.unwrap_or("tool").to_owned();
                if tool_name(&name) == name {
                    members.retain(|_, value| text_of(value) != Some(&name));
                }
                agent.builtin(KEY, &name, members, line);
            }
            _ => {}
        }
    }
}

/// `mcps`: addresses, names on `CrewAI`'s platform, and servers that are written out.
pub(super) fn servers(draft: &mut Draft<'_>, agent: &mut AgentDraft, fields: &mut SourceFields) {
    let mut others = Vec::new();
    let line = fields.get("mcps").map_or(0, |it| it.line);
    for item in fields.list("mcps") {
        let origin = item.line;
        match SourceFields::of(item) {
            Ok(server) => described(draft, agent, server, origin),
            Err(Node {
                value: NodeValue::Text(text),
                ..
            }) => {
                let (address, tool) = text
                    .split_once('#')
                    .map_or((text.as_str(), None), |(address, tool)| {
                        (address, Some(tool))
                    });
                if !is_address(address) {
                    others.push(text_at(text, origin));
                    continue;
                }
                let entry = NodeMap::from([
                    ("transport".to_owned(), text_at("streamable_http", origin)),
                    ("url".to_owned(), text_at(address, origin)),
                ]);
                let fallback = format!("{}-mcp", agent.name);
                let name = draft.server(None, &fallback, entry, origin);
                let allow = tool.map(|tool| vec![text_at(tool, origin)]);
                agent.mcp_tool(&name, allow, origin);
            }
            Err(other) => others.push(other),
        }
    }
    if !others.is_empty() {
        agent.keep(&["mcps"], list_at(others, line));
    }
}

fn described(
    draft: &mut Draft<'_>,
    agent: &mut AgentDraft,
    mut server: SourceFields,
    origin: usize,
) {
    let name = server.filled_text("name").map(|(name, _)| name);
    let fallback = format!("{}-mcp", agent.name);
    let title = name.as_deref().unwrap_or(&fallback).to_owned();
    let address = server.get("url").and_then(text_of).is_some_and(is_address);
    let transport = match server
        .get("type")
        .or_else(|| server.get("transport"))
        .and_then(text_of)
    {
        Some("sse") if address => "sse",
        _ if address => "streamable_http",
        _ if server.get("command").and_then(text_of).is_some() => "stdio",
        _ => {
            let rest = server.rest();
            return agent.keep(&["mcps", &title], map_at(rest, origin));
        }
    };
    for name in ["type", "transport"] {
        server.take(name);
    }
    let mut entry = NodeMap::from([("transport".to_owned(), text_at(transport, origin))]);
    entry.extend(server_fields(draft, &title, &mut server, transport));
    let mut allow = None;
    if let Some(mut filter) = server.object("tool_filter") {
        let line = filter.origin;
        let names = ["allowed_tool_names", "allowed_tools", "allowed"]
            .iter()
            .find_map(|name| filter.texts(name));
        allow = names
            .map(|it| items_of(&it).to_vec())
            .filter(|it| !it.is_empty());
        let rest = filter.rest();
        if !rest.is_empty() {
            server.insert("tool_filter", map_at(rest, line));
        }
    }
    let unique = draft.server(name.as_deref(), &fallback, entry, origin);
    agent.mcp_tool(&unique, allow, origin);
    agent.keep_all(&["mcp", &unique], server.rest());
}
