//! The toolsets of Docker Agent's files.

use std::cell::RefCell;

use indexmap::IndexMap;

use super::{
    agent::AgentDraft,
    claude_tools::server_fields,
    docker_agent::KEY,
    draft::Draft,
    fields::{SourceFields, items_of, text_at, text_of},
    values::is_address,
};
use crate::yaml::{Node, NodeMap, NodeValue};

/// The toolsets, MCP servers and sources of documents that agents of one file name.
#[derive(Debug, Default)]
pub(super) struct DockerToolsets {
    mcps: IndexMap<String, SourceFields>,
    groups: IndexMap<String, Node>,
    rag: IndexMap<String, SourceFields>,
    used: RefCell<Vec<usize>>,
}

impl DockerToolsets {
    pub(super) fn read(fields: &mut SourceFields) -> Self {
        let mut take = |name: &str| {
            fields
                .object(name)
                .map(SourceFields::rest)
                .unwrap_or_default()
        };
        let objects = |members: NodeMap| {
            let object = |(name, node)| (name, SourceFields::of_any(node));
            members.into_iter().map(object).collect()
        };
        Self {
            mcps: objects(take("mcps")),
            rag: objects(take("rag")),
            groups: take("toolsets").into_iter().collect(),
            used: RefCell::default(),
        }
    }

    /// Sets the tools of an agent: those of groups, and its own.
    pub(super) fn set(
        &self,
        draft: &mut Draft<'_>,
        agent: &mut AgentDraft,
        groups: Vec<Node>,
        own: Vec<Node>,
    ) {
        for group in groups {
            let found = text_of(&group).and_then(|name| self.groups.get(name));
            let Some(found) = found else {
                draft.not_kept(
                    group.line,
                    "the file has no group of toolsets with this name",
                );
                continue;
            };
            self.used.borrow_mut().push(found.line);
            match &found.value {
                NodeValue::List(items) => {
                    for item in items {
                        self.add(draft, agent, item.clone());
                    }
                }
                _ => self.add(draft, agent, found.clone()),
            }
        }
        for toolset in own {
            self.add(draft, agent, toolset);
        }
    }

    fn add(&self, draft: &mut Draft<'_>, agent: &mut AgentDraft, toolset: Node) {
        let origin = toolset.line;
        let mut fields = match SourceFields::of(toolset) {
            Ok(fields) => fields,
            Err(Node {
                value: NodeValue::Text(kind),
                line,
            }) => {
                let mut fields = SourceFields::default();
                fields.insert("type", text_at(kind, line));
                fields
            }
            Err(other) => return draft.not_kept(other.line, "is no toolset"),
        };
        let Some((kind, _)) = fields.filled_text("type") else {
            draft.changed(origin, "a toolset without a type is free data");
            let toolset = Node {
                line: origin,
                value: NodeValue::Map(fields.rest()),
            };
            return agent.keep(&["toolsets"], toolset);
        };
        match kind.as_str() {
            "mcp" => self.add_server(draft, agent, fields, origin),
            "rag" => {
                let name = fields.get("ref").and_then(text_of).map(str::to_owned);
                let source = name.and_then(|name| self.rag.get(&name));
                if let Some(source) = source {
                    self.used.borrow_mut().push(source.origin);
                    for (name, value) in source.clone().rest() {
                        if fields.get(&name).is_none() {
                            fields.insert(&name, value);
                        }
                    }
                }
                agent.builtin(KEY, "rag", fields.rest(), origin);
            }
            kind => agent.builtin(KEY, kind, fields.rest(), origin),
        }
    }

    fn add_server(
        &self,
        draft: &mut Draft<'_>,
        agent: &mut AgentDraft,
        mut fields: SourceFields,
        origin: usize,
    ) {
        let mut name = fields.filled_text("name").map(|(name, _)| name);
        if let Some((reference, line)) = fields.filled_text("ref") {
            if let Some(server) = self.mcps.get(&reference) {
                self.used.borrow_mut().push(server.origin);
                // What the agent says goes before what the server's own entry says.
                for (field, value) in server.clone().rest() {
                    if fields.get(&field).is_none() {
                        fields.insert(&field, value);
                    }
                }
                name = fields.filled_text("name").map(|(name, _)| name).or(name);
                name = name.or(Some(reference));
            } else {
                // Of Docker's catalogue: the runtime brings it along.
                if let Some(name) = name {
                    fields.insert("name", text_at(name, line));
                }
                return agent.builtin(KEY, &reference, fields.rest(), origin);
            }
            if let Some((reference, _)) = fields.filled_text("ref") {
                return agent.builtin(KEY, &reference, fields.rest(), origin);
            }
        }
        fields.take("type");
        let allow = fields
            .texts("tools")
            .map(|it| items_of(&it).to_vec())
            .filter(|it| !it.is_empty());
        let mut entry = NodeMap::new();
        let mut remote = fields.object("remote");
        let fallback = format!("{}-mcp", agent.name);
        let title = name.as_deref().unwrap_or(&fallback).to_owned();
        if let Some(remote) = &mut remote {
            let address = remote.get("url").and_then(text_of).unwrap_or_default();
            let transport = match remote.get("transport_type").and_then(text_of) {
                Some("sse") => "sse",
                _ => "streamable_http",
            };
            if is_address(address) {
                remote.take("transport_type");
                entry.insert("transport".to_owned(), text_at(transport, origin));
                entry.extend(server_fields(draft, &title, remote, transport));
            }
        } else if fields.get("command").and_then(text_of).is_some() {
            entry.insert("transport".to_owned(), text_at("stdio", origin));
            entry.extend(server_fields(draft, &title, &mut fields, "stdio"));
        }
        let remote = remote
            .map(|it| (it.origin, it.rest()))
            .filter(|(_, rest)| !rest.is_empty());
        if let Some((line, rest)) = remote {
            fields.insert(
                "remote",
                Node {
                    line,
                    value: NodeValue::Map(rest),
                },
            );
        }
        if entry.is_empty() {
            draft.changed(
                origin,
                "an MCP server without a command or a fixed address is a builtin tool",
            );
            let mut config = fields.rest();
            config.extend(
                allow.map(|items| ("tools".to_owned(), super::fields::list_at(items, origin))),
            );
            return agent.builtin(KEY, &title, config, origin);
        }
        let server = draft.server(name.as_deref(), &fallback, entry, origin);
        agent.mcp_tool(&server, allow, origin);
        agent.keep_all(&["mcp", &server], fields.rest());
    }

    /// Says which toolsets no agent has.
    pub(super) fn report_unused(&self, draft: &mut Draft<'_>) {
        let used = self.used.borrow();
        let objects = self
            .mcps
            .values()
            .chain(self.rag.values())
            .map(|it| it.origin);
        let groups = self.groups.values().map(|it| it.line);
        for origin in objects.chain(groups) {
            if !used.contains(&origin) {
                draft.not_kept(origin, "no agent has it");
            }
        }
    }
}
