//! One agent, as a file describes it.

use super::{
    draft::Draft,
    fields::{items_of, list_at, map_at, put, text_at, text_of},
    values::{is_integer, is_number, tool_name},
};
use crate::yaml::{Node, NodeMap, NodeValue};

/// An agent, and its place in a team.
#[derive(Clone, Debug)]
pub(super) struct AgentDraft {
    pub(super) name: String,
    pub(super) origin: usize,
    /// Fields of the agent's entry.
    entry: NodeMap,
    params: NodeMap,
    tools: Vec<Node>,
    /// What means something to the file's system only.
    pub(super) metadata: NodeMap,
    /// What the agent may do in its team.
    pub(super) permissions: NodeMap,
    pub(super) is_lead: bool,
}

/// The longest texts that fields take, in characters.
const MAX_NAME: usize = 200;
const MAX_ROLE: usize = 200;
const MAX_DESCRIPTION: usize = 5_000;

impl AgentDraft {
    pub(super) fn new(name: &str, origin: usize) -> Self {
        Self {
            name: name.trim().chars().take(MAX_NAME).collect(),
            origin,
            entry: NodeMap::new(),
            params: NodeMap::new(),
            tools: Vec::new(),
            metadata: NodeMap::new(),
            permissions: NodeMap::new(),
            is_lead: false,
        }
    }

    /// Sets a field of the entry, unless there is nothing to say.
    pub(super) fn set(&mut self, field: &str, value: Option<Node>) {
        if let Some(value) = value {
            self.entry.insert(field.to_owned(), value);
        }
    }

    pub(super) fn get(&self, field: &str) -> Option<&Node> {
        self.entry.get(field)
    }

    /// Keeps a value as free data.
    pub(super) fn keep(&mut self, path: &[&str], value: Node) {
        put(&mut self.metadata, path, value);
    }

    pub(super) fn keep_all(&mut self, path: &[&str], members: NodeMap) {
        for (name, value) in members {
            self.keep(&[path, &[name.as_str()]].concat(), value);
        }
    }

    pub(super) fn permit(&mut self, name: &str, value: Option<Node>) {
        if let Some(value) = value {
            self.permissions.insert(name.to_owned(), value);
        }
    }

    /// The description, unless it is longer than documents have it.
    pub(super) fn describe(&mut self, draft: &mut Draft<'_>, text: Option<Node>) {
        let Some(node) = text else {
            return;
        };
        let Some(text) = text_of(&node).map(str::trim_end) else {
            return self.keep(&["description"], node);
        };
        if text.chars().count() > MAX_DESCRIPTION {
            let detail = format!("is longer than {MAX_DESCRIPTION} characters: it is free data");
            draft.changed(node.line, detail);
            return self.keep(&["description"], node);
        }
        if !text.is_empty() {
            self.entry
                .insert("description".to_owned(), text_at(text, node.line));
        }
    }

    /// A short description: one line.
    pub(super) fn set_role(&mut self, draft: &mut Draft<'_>, node: Node) {
        let Some(text) = text_of(&node) else {
            return self.keep(&["role"], node);
        };
        let role = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if role.chars().count() > MAX_ROLE {
            let detail = format!("is longer than {MAX_ROLE} characters: it is free data");
            draft.changed(node.line, detail);
            self.keep(&["role"], node);
        } else if !role.is_empty() {
            self.entry
                .insert("role".to_owned(), text_at(role, node.line));
        }
    }

    /// A setting of calls, by the name that it has in documents. What the bounds exclude is free data.
    pub(super) fn setting(&mut self, draft: &mut Draft<'_>, name: &str, value: Option<Node>) {
        let Some(value) = value else {
            return;
        };
        let Some(value) = valid_setting(name, value.clone()) else {
            draft.changed(
                value.line,
                format!("is no {name} that an agent can have: it is free data"),
            );
            return self.keep(&["model", name], value);
        };
        let members = match name {
            "temperature" | "max_tokens" => &mut self.entry,
            _ => &mut self.params,
        };
        members.insert(name.to_owned(), value);
    }

    pub(super) fn has_setting(&self, name: &str) -> bool {
        self.entry.contains_key(name) || self.params.contains_key(name)
    }

    /// A parameter that is passed to the provider as it is.
    pub(super) fn extra(&mut self, name: &str, value: Option<Node>) {
        if let Some(value) = value {
            put(&mut self.params, &["extra", name], value);
        }
    }

    /// Output that keeps to a JSON Schema.
    pub(super) fn json_schema(&mut self, schema: NodeMap, origin: usize) {
        let format = NodeMap::from([
            ("type".to_owned(), text_at("json_schema", origin)),
            ("json_schema".to_owned(), map_at(schema, origin)),
        ]);
        let name = "response_format".to_owned();
        self.params.insert(name, map_at(format, origin));
    }

    /// A form of output, as OpenAI's API has it.
    pub(super) fn response_format(&mut self, format: Node) {
        self.params.insert("response_format".to_owned(), format);
    }

    /// Leaves an agent these tools of a server.
    pub(super) fn allow_only(&mut self, server: &str, tools: &[Node]) {
        for tool in &mut self.tools {
            if let NodeValue::Map(members) = &mut tool.value
                && members.get("server").and_then(text_of) == Some(server)
            {
                let tools = list_at(tools.to_vec(), tool.line);
                members.insert("allow".to_owned(), tools);
            }
        }
    }

    /// A tool of an MCP server; of all its tools, or of some. Several mentions of a server are one.
    pub(super) fn mcp_tool(&mut self, server: &str, allow: Option<Vec<Node>>, origin: usize) {
        let is_same = |tool: &Node| match &tool.value {
            NodeValue::Map(members) => members.get("server").and_then(text_of) == Some(server),
            _ => false,
        };
        if let Some(Node {
            value: NodeValue::Map(tool),
            ..
        }) = self.tools.iter_mut().find(|tool| is_same(tool))
        {
            match (tool.get_mut("allow"), allow) {
                (
                    Some(Node {
                        value: NodeValue::List(items),
                        ..
                    }),
                    Some(more),
                ) => {
                    for item in more {
                        if !items.contains(&item) {
                            items.push(item);
                        }
                    }
                }
                (Some(_), None) => {
                    tool.shift_remove("allow");
                }
                _ => {}
            }
            return;
        }
        let mut tool = NodeMap::from([
            ("type".to_owned(), text_at("mcp", origin)),
            ("server".to_owned(), text_at(server, origin)),
        ]);
        if let Some(allow) = allow {
            tool.insert("allow".to_owned(), list_at(allow, origin));
        }
        self.tools.push(map_at(tool, origin));
    }

    /// A tool that the runtime brings along. A name that is taken, or that documents can't have, is another one then; the
    /// file's is in the settings.
    pub(super) fn builtin(&mut self, key: &str, name: &str, mut config: NodeMap, origin: usize) {
        let base = tool_name(name);
        if base != name {
            config.insert("name".to_owned(), text_at(name, origin));
        }
        let mut unique = base.clone();
        let mut number = 1;
        while self.tool_names().any(|taken| taken == unique) {
            number += 1;
            unique = format!("{base}.{number}");
        }
        let mut tool = NodeMap::from([
            ("type".to_owned(), text_at("builtin", origin)),
            ("name".to_owned(), text_at(unique, origin)),
        ]);
        if !config.is_empty() {
            let config = NodeMap::from([(key.to_owned(), map_at(config, origin))]);
            tool.insert("config".to_owned(), map_at(config, origin));
        }
        self.tools.push(map_at(tool, origin));
    }

    /// A function that the runtime has code for. The name that it has here.
    pub(super) fn function(
        &mut self,
        name: &str,
        description: Option<Node>,
        parameters: Option<Node>,
        origin: usize,
    ) -> String {
        let name = tool_name(name);
        if self.tool_names().any(|taken| taken == name) {
            return name;
        }
        let mut tool = NodeMap::from([
            ("type".to_owned(), text_at("function", origin)),
            ("name".to_owned(), text_at(name.as_str(), origin)),
        ]);
        let is_short = |text: &&Node| {
            text_of(text).is_some_and(|text| text.chars().count() <= MAX_DESCRIPTION)
        };
        if let Some(description) = description.as_ref().filter(is_short) {
            tool.insert("description".to_owned(), description.clone());
        } else if let Some(description) = description {
            self.keep(&["tools", &name, "description"], description);
        }
        if let Some(parameters) = parameters {
            tool.insert("parameters".to_owned(), parameters);
        }
        self.tools.push(map_at(tool, origin));
        name
    }

    fn tool_names(&self) -> impl Iterator<Item = &str> {
        self.tools.iter().filter_map(|tool| match &tool.value {
            NodeValue::Map(members) => members.get("name").and_then(text_of),
            _ => None,
        })
    }

    pub(super) fn has_tools(&self) -> bool {
        !self.tools.is_empty()
    }

    /// The entry of a document.
    pub(super) fn into_entry(self, key: &str, external_id: &str) -> NodeMap {
        let origin = self.origin;
        let mut entry = NodeMap::from([
            ("name".to_owned(), text_at(self.name, origin)),
            ("external_id".to_owned(), text_at(external_id, origin)),
        ]);
        entry.extend(self.entry);
        if !self.params.is_empty() {
            entry.insert("params".to_owned(), map_at(self.params, origin));
        }
        if !self.tools.is_empty() {
            entry.insert("tools".to_owned(), list_at(self.tools, origin));
        }
        if !self.metadata.is_empty() {
            let metadata = NodeMap::from([(key.to_owned(), map_at(self.metadata, origin))]);
            entry.insert("metadata".to_owned(), map_at(metadata, origin));
        }
        entry
    }
}

/// A setting within the bounds of documents, if it is.
fn valid_setting(name: &str, value: Node) -> Option<Node> {
    const MAX_STOPS: usize = 16;
    let is_valid = match name {
        "temperature" => is_number(&value, 0.0, 2.0),
        "top_p" | "min_p" => is_number(&value, 0.0, 1.0),
        "frequency_penalty" | "presence_penalty" => is_number(&value, -2.0, 2.0),
        "max_tokens" => is_integer(&value, 1, 1_000_000_000),
        "top_k" => is_integer(&value, 0, 1_000_000),
        "seed" => is_integer(&value, -((1 << 53) - 1), (1 << 53) - 1),
        "thinking_budget" => is_integer(&value, -1, 1_000_000_000),
        "parallel_tool_calls" => matches!(value.value, NodeValue::Bool(_)),
        "reasoning_effort" => text_of(&value).is_some_and(|text| {
            let mut characters = text.chars();
            let is_first = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit();
            characters.next().is_some_and(is_first)
                && characters.all(|it| is_first(it) || matches!(it, '_' | '-'))
                && text.len() <= 64
        }),
        "stop" => {
            if let NodeValue::Text(_) = value.value {
                let line = value.line;
                return Some(list_at(vec![value], line));
            }
            let stops = items_of(&value);
            !stops.is_empty()
                && stops.len() <= MAX_STOPS
                && stops
                    .iter()
                    .all(|stop| text_of(stop).is_some_and(|text| !text.is_empty()))
        }
        _ => false,
    };
    is_valid.then_some(value)
}
