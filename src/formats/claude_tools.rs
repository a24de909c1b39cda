//! The tools of Claude Code's sub-agents, and the MCP servers of their own.

use indexmap::IndexMap;

use super::{
    agent::AgentDraft,
    claude::names,
    draft::Draft,
    fields::{SourceFields, items_of, list_at, text_at, text_of},
    values::{is_address, schemed_variable, variable_name},
};
use crate::yaml::{Node, NodeMap, NodeValue};

const KEY: &str = "claude";

pub(super) fn tools(draft: &mut Draft<'_>, agent: &mut AgentDraft, fields: &mut SourceFields) {
    let is_absent = fields
        .get("tools")
        .is_none_or(|it| it.value == NodeValue::Null);
    if is_absent {
        // Without the field, it has all tools; with an empty list, none.
        agent.keep(&["tools"], text_at("inherit", 0));
        return;
    }
    let Some(list) = names(fields, "tools") else {
        return;
    };
    // The rules of one tool are together, as those of `Bash(git *), Bash(ls *)`.
    let mut builtin: IndexMap<String, (Vec<Node>, usize)> = IndexMap::new();
    // The tools that are named of each server; `None` is all that it has.
    let mut servers: IndexMap<String, (Option<Vec<Node>>, usize)> = IndexMap::new();
    for item in items_of(&list) {
        let Some(text) = text_of(item).map(str::trim) else {
            continue;
        };
        let (name, rules) = match text.split_once('(') {
            Some((name, rules)) => (name.trim(), rules.trim_end().strip_suffix(')')),
            None => (text, None),
        };
        if let Some(server) = name.strip_prefix("mcp__") {
            let (server, tool) = server.split_once("__").unwrap_or((server, "*"));
            if draft.has_server(server) {
                let (named, _) = servers
                    .entry(server.to_owned())
                    .or_insert_with(|| (Some(Vec::new()), item.line));
                if tool == "*" {
                    *named = None;
                } else if let Some(named) = named {
                    named.push(text_at(tool, item.line));
                }
                continue;
            }
            let detail = format!(
                "there is no MCP server named {server}: it is a builtin tool of this name; register the server and convert again"
            );
            draft.changed(item.line, detail);
        }
        let (all, _) = builtin
            .entry(name.to_owned())
            .or_insert_with(|| (Vec::new(), item.line));
        all.extend(rules.map(|rules| text_at(rules, item.line)));
    }
    for (server, (named, origin)) in servers {
        agent.mcp_tool(&server, None, origin);
        if let Some(named) = named {
            agent.allow_only(&server, &named);
        }
    }
    for (name, (rules, origin)) in builtin {
        let mut config = NodeMap::new();
        if !rules.is_empty() {
            config.insert("rules".to_owned(), list_at(rules, origin));
        }
        agent.builtin(KEY, &name, config, origin);
    }
}

/// `mcpServers`: names of servers, and servers by name.
pub(super) fn servers(draft: &mut Draft<'_>, agent: &mut AgentDraft, fields: &mut SourceFields) {
    let Some(node) = fields.take("mcpServers") else {
        return;
    };
    let mut described: Vec<(String, Node)> = Vec::new();
    match node.value {
        NodeValue::Map(members) => described.extend(members),
        NodeValue::List(items) => {
            for item in items {
                match item.value {
                    NodeValue::Text(name) => named(draft, agent, &name, item.line),
                    NodeValue::Map(members) => described.extend(members),
                    _ => agent.keep(&["mcpServers"], item),
                }
            }
        }
        NodeValue::Text(name) => named(draft, agent, &name, node.line),
        value => agent.keep(
            &["mcpServers"],
            Node {
                line: node.line,
                value,
            },
        ),
    }
    for (name, node) in described {
        let origin = node.line;
        match SourceFields::of(node) {
            Ok(server) => describe(draft, agent, &name, server, origin),
            Err(Node {
                value: NodeValue::Text(_),
                ..
            }) => named(draft, agent, &name, origin),
            Err(other) => agent.keep(&["mcp", &name], other),
        }
    }
}

fn named(draft: &mut Draft<'_>, agent: &mut AgentDraft, name: &str, origin: usize) {
    if draft.has_server(name) {
        return agent.mcp_tool(name, None, origin);
    }
    let detail = format!(
        "there is no MCP server named {name}: it is free data; register the server and convert again"
    );
    draft.changed(origin, detail);
    agent.keep(&["mcp", name], text_at(name, origin));
}

fn describe(
    draft: &mut Draft<'_>,
    agent: &mut AgentDraft,
    name: &str,
    mut server: SourceFields,
    origin: usize,
) {
    let kind = server.get("type").and_then(text_of).unwrap_or_default();
    let address = server.get("url").and_then(text_of).unwrap_or_default();
    let transport = match kind {
        "sse" if is_address(address) => "sse",
        "http" | "streamable-http" | "streamable_http" | "" if is_address(address) => {
            "streamable_http"
        }
        "stdio" | "" if server.get("command").and_then(text_of).is_some() => "stdio",
        _ => {
            draft.changed(origin, "no transport of this kind: the server is free data");
            let whole = Node {
                line: origin,
                value: NodeValue::Map(server.rest()),
            };
            return agent.keep(&["mcp", name], whole);
        }
    };
    server.take("type");
    let mut entry = NodeMap::from([("transport".to_owned(), text_at(transport, origin))]);
    entry.extend(server_fields(draft, name, &mut server, transport));
    let unique = draft.server(Some(name), name, entry, origin);
    agent.mcp_tool(&unique, None, origin);
    agent.keep_all(&["mcp", &unique], server.rest());
}

/// The fields of an MCP server that formats write alike.
pub(super) fn server_fields(
    draft: &mut Draft<'_>,
    name: &str,
    server: &mut SourceFields,
    transport: &str,
) -> NodeMap {
    let mut entry = NodeMap::new();
    let (own, variables) = match transport {
        "stdio" => ("command", "env"),
        _ => ("url", "headers"),
    };
    entry.extend(server.text(own).map(|it| (own.to_owned(), it)));
    if transport == "stdio"
        && let Some(args) = server.texts("args")
        && !items_of(&args).is_empty()
    {
        entry.insert("args".to_owned(), args);
    }
    let values = match server.take(variables).map(SourceFields::of) {
        Some(Ok(values)) => values,
        Some(Err(list)) => environment_list(&list),
        None => SourceFields::default(),
    };
    let origin = values.origin;
    let values = self::variables(draft, name, transport, values);
    if !values.is_empty() {
        let values = Node {
            line: origin,
            value: NodeValue::Map(values),
        };
        entry.insert(variables.to_owned(), values);
    }
    entry
}

/// `["A=b"]`, as some write environments.
fn environment_list(list: &Node) -> SourceFields {
    let mut fields = SourceFields::default();
    fields.origin = list.line;
    for item in items_of(list) {
        if let Some((name, value)) = text_of(item).and_then(|text| text.split_once('=')) {
            fields.insert(name, text_at(value, item.line));
        }
    }
    fields
}

/// References in place of values, which may be secrets.
fn variables(
    draft: &mut Draft<'_>,
    server: &str,
    transport: &str,
    values: SourceFields,
) -> NodeMap {
    let mut references = NodeMap::new();
    for (name, value) in values.rest() {
        let text = match &value.value {
            NodeValue::Text(text) | NodeValue::Number(text) => text.clone(),
            NodeValue::Bool(value) => value.to_string(),
            _ => String::new(),
        };
        let reference = match schemed_variable(&text) {
            Some(("", variable)) => format!("${{{variable}}}"),
            Some((scheme, variable)) => format!("{scheme} ${{{variable}}}"),
            None => {
                let variable = match transport {
                    "stdio" => variable_name(&[&name]),
                    _ => variable_name(&[server, &name]),
                };
                let scheme = text.split_once(' ').map(|(scheme, _)| scheme);
                let scheme = scheme.filter(|it| matches!(*it, "Bearer" | "Basic" | "Token"));
                let detail = format!(
                    "values are not stored here, because they may be secrets: set {variable} where the runtime runs"
                );
                draft.not_kept(value.line, detail);
                scheme.map_or_else(
                    || format!("${{{variable}}}"),
                    |it| format!("{it} ${{{variable}}}"),
                )
            }
        };
        references.insert(name, text_at(reference, value.line));
    }
    references
}
