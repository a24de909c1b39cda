//! Tools and workbenches of `AutoGen`.

use super::{Component, KEY};
use crate::{
    formats::{
        agent::AgentDraft,
        claude_tools::server_fields,
        draft::Draft,
        fields::{SourceFields, map_at, text_at, text_of},
        values::is_address,
    },
    yaml::{Node, NodeMap, NodeValue},
};

pub(super) fn workbench(draft: &mut Draft<'_>, agent: &mut AgentDraft, node: Node) {
    let mut component = match Component::of(node) {
        Ok(component) => component,
        Err(other) => return agent.keep(&["workbench"], other),
    };
    let config = &mut component.config;
    if let Some(params) = config.object("server_params") {
        let origin = component.origin;
        let server = server(draft, agent, params, None, origin);
        agent.keep_all(&["mcp", &server], std::mem::take(config).rest());
        return component.keep_about(agent, &["mcp", &server]);
    }
    for node in config.list("tools") {
        tool(draft, agent, node);
    }
    agent.keep_all(&["workbench"], std::mem::take(config).rest());
    component.keep_about(agent, &["workbench"]);
}

pub(super) fn tool(draft: &mut Draft<'_>, agent: &mut AgentDraft, node: Node) {
    let mut component = match Component::of(node) {
        Ok(component) => component,
        // OpenAI's agent names its builtin tools.
        Err(Node {
            value: NodeValue::Text(name),
            line,
        }) => {
            return agent.builtin(KEY, &name, NodeMap::new(), line);
        }
        Err(other) => return agent.keep(&["tools"], other),
    };
    let origin = component.origin;
    let config = &mut component.config;
    if let Some(params) = config.object("server_params") {
        let tool = config
            .object("tool")
            .and_then(|mut tool| tool.filled_text("name"));
        let allow = tool.map(|(name, line)| text_at(name, line));
        let server = server(draft, agent, params, allow, origin);
        agent.keep_all(&["mcp", &server], std::mem::take(config).rest());
        return;
    }
    if component.class == "FunctionTool" || component.class == "HttpTool" {
        let name = config
            .filled_text("name")
            .map_or_else(|| component.class.clone(), |(name, _)| name);
        let description = config.text("description");
        let parameters = config
            .object("json_schema")
            .map(|it| (it.origin, it.rest()));
        let parameters = parameters.map(|(line, it)| map_at(it, line));
        let name = agent.function(&name, description, parameters, origin);
        agent.keep_all(&["tools", &name], std::mem::take(config).rest());
        return component.keep_about(agent, &["tools", &name]);
    }
    let name = config.get("name").and_then(text_of).map(str::to_owned);
    let is_type = component.class.is_empty();
    let kind = component
        .about
        .get("type")
        .and_then(text_of)
        .map(str::to_owned);
    let name = name.or(kind).unwrap_or_else(|| {
        if is_type {
            "tool".to_owned()
        } else {
            component.class.clone()
        }
    });
    let mut settings = std::mem::take(config).rest();
    let about = component.about.rest();
    if !about.is_empty() {
        settings.insert("component".to_owned(), map_at(about, origin));
    }
    agent.builtin(KEY, &name, settings, origin);
}

/// An MCP server, which has no name in the file.
fn server(
    draft: &mut Draft<'_>,
    agent: &mut AgentDraft,
    mut params: SourceFields,
    allow: Option<Node>,
    origin: usize,
) -> String {
    let fallback = format!("{}-mcp", agent.name);
    let kind = params
        .get("type")
        .and_then(text_of)
        .unwrap_or_default()
        .to_owned();
    let has_address = params.get("url").and_then(text_of).is_some_and(is_address);
    let transport = match kind.as_str() {
        "SseServerParams" => "sse",
        _ if has_address => "streamable_http",
        _ => "stdio",
    };
    let has_command = params.get("command").and_then(text_of).is_some();
    if !has_address && !has_command {
        draft.changed(
            origin,
            "an MCP server without a command or a fixed address is a builtin tool",
        );
        let config = NodeMap::from([(
            "server_params".to_owned(),
            Node {
                line: origin,
                value: NodeValue::Map(params.rest()),
            },
        )]);
        agent.builtin(KEY, &fallback, config, origin);
        return fallback;
    }
    params.take("type");
    let mut entry = NodeMap::from([("transport".to_owned(), text_at(transport, origin))]);
    entry.extend(server_fields(draft, &fallback, &mut params, transport));
    let name = draft.server(None, &fallback, entry, origin);
    agent.mcp_tool(&name, allow.map(|it| vec![it]), origin);
    agent.keep_all(&["mcp", &name], params.rest());
    name
}
