//! Letta's agent files: agents with their blocks of memory, tools and servers, which they refer to by ids of the file.

use indexmap::IndexMap;

use super::{
    agent::AgentDraft,
    claude_tools::server_fields,
    draft::{Draft, DraftTeam},
    fields::{SourceFields, items_of, list_at, map_at, members_of, text_at, text_of},
    sources::{Content, SourceFile},
    values::is_address,
};
use crate::yaml::{Node, NodeMap, NodeValue};

mod llm;
mod tools;

const KEY: &str = "letta";

const NO_STATE: &str =
    "state of a run: circle-registry keeps what an agent is, and not what it did";
const NO_PLACE: &str = "says where Letta keeps it";
const NO_CONTENT: &str = "the content of files and skills is not kept, only the names of skills";

/// What the agents of one file refer to.
#[derive(Debug, Default)]
struct LettaParts {
    blocks: IndexMap<String, Node>,
    tools: IndexMap<String, SourceFields>,
    /// What documents call the servers, by their names in the file.
    servers: IndexMap<String, (String, NodeMap, usize)>,
    skills: Vec<Node>,
}

pub(super) fn read(draft: &mut Draft<'_>, files: Vec<SourceFile>) {
    for file in files {
        let title = file.title();
        let Content::Tree(tree) = file.content else {
            continue;
        };
        let origin = tree.line;
        match SourceFields::of(tree) {
            Ok(fields) => read_file(draft, &title, fields, origin),
            Err(other) => draft.not_kept(other.line, "is no agent file"),
        }
    }
}

fn read_file(draft: &mut Draft<'_>, title: &str, mut fields: SourceFields, origin: usize) {
    // The first version of the format: a single agent, with its parts in it.
    let is_single = fields.get("agent_type").is_some();
    let agents = if is_single {
        vec![map_at(std::mem::take(&mut fields).rest(), origin)]
    } else {
        fields.list("agents")
    };
    let parts = LettaParts::read(draft, &mut fields);
    let (mut drafts, mut ids) = (Vec::new(), Vec::new());
    for node in agents {
        let line = node.line;
        let Ok(mut agent_fields) = SourceFields::of(node) else {
            draft.not_kept(line, "is no agent");
            continue;
        };
        ids.push(
            agent_fields
                .filled_text("id")
                .map_or_else(String::new, |(id, _)| id),
        );
        drafts.push(agent(draft, agent_fields, &parts));
    }
    let mut settings = NodeMap::new();
    groups(&mut fields, &mut settings, &mut drafts, &ids);
    if let Some(metadata) = fields.take("metadata") {
        settings.insert("metadata".to_owned(), metadata);
    }
    for name in ["files", "sources", "folders"] {
        for item in fields.list(name) {
            draft.not_kept(item.line, NO_CONTENT);
        }
    }
    if let Some(created) = fields.take("created_at") {
        draft.not_kept(created.line, NO_STATE);
    }
    parts.report_unused(draft);
    settings.extend(fields.rest());
    draft.add_team(DraftTeam {
        name: title.to_owned(),
        origin,
        description: None,
        settings,
        agents: drafts,
        is_name_local: false,
    });
}

/// Groups say how agents work together: names take the place of the file's ids.
fn groups(
    fields: &mut SourceFields,
    settings: &mut NodeMap,
    agents: &mut [AgentDraft],
    ids: &[String],
) {
    let Some(mut groups) = fields.take("groups") else {
        return;
    };
    if items_of(&groups).is_empty() {
        return;
    }
    let managers: Vec<String> = items_of(&groups)
        .iter()
        .filter_map(|group| {
            let config = members_of(members_of(group)?.get("manager_config")?)?;
            text_of(config.get("manager_agent_id")?).map(str::to_owned)
        })
        .collect();
    for (agent, id) in agents.iter_mut().zip(ids) {
        agent.is_lead |= managers.contains(id);
    }
    let names: Vec<(String, String)> = ids
        .iter()
        .cloned()
        .zip(agents.iter().map(|it| it.name.clone()))
        .collect();
    rename(&mut groups, &names);
    settings.insert("groups".to_owned(), groups);
}

fn rename(node: &mut Node, names: &[(String, String)]) {
    match &mut node.value {
        NodeValue::Text(text) => {
            if let Some((_, name)) = names.iter().find(|(id, _)| id == text && !id.is_empty()) {
                name.clone_into(text);
            }
        }
        NodeValue::List(items) => items.iter_mut().for_each(|item| rename(item, names)),
        NodeValue::Map(members) => members
            .values_mut()
            .for_each(|member| rename(member, names)),
        _ => {}
    }
}

impl LettaParts {
    fn read(draft: &mut Draft<'_>, fields: &mut SourceFields) -> Self {
        let mut parts = Self::default();
        for node in fields.list("blocks") {
            let id = id_of(&node);
            parts.blocks.insert(id, node);
        }
        for node in fields.list("tools") {
            let (id, line) = (id_of(&node), node.line);
            match SourceFields::of(node) {
                Ok(tool) => drop(parts.tools.insert(id, tool)),
                Err(_) => draft.not_kept(line, "is no tool"),
            }
        }
        for node in fields.list("mcp_servers") {
            let line = node.line;
            match SourceFields::of(node) {
                Ok(server) => parts.add_server(draft, server, line),
                Err(_) => draft.not_kept(line, "is no MCP server"),
            }
        }
        for node in fields.list("skills") {
            let line = node.line;
            match SourceFields::of(node) {
                Ok(mut skill) => {
                    parts.skills.extend(
                        skill
                            .filled_text("name")
                            .map(|(name, line)| text_at(name, line)),
                    );
                    draft.none_kept(&skill.rest(), NO_CONTENT);
                }
                Err(Node {
                    value: NodeValue::Text(name),
                    ..
                }) => parts.skills.push(text_at(name, line)),
                Err(_) => draft.not_kept(line, "is no skill"),
            }
        }
        parts
    }

    fn add_server(&mut self, draft: &mut Draft<'_>, mut server: SourceFields, origin: usize) {
        let name = ["server_name", "name"]
            .iter()
            .find_map(|name| server.filled_text(name));
        let name = name.map_or_else(|| "letta-mcp".to_owned(), |(name, _)| name);
        let url = server.text("server_url").or_else(|| server.text("url"));
        if let Some(config) = server.object("stdio_config") {
            for (name, value) in config.rest() {
                server.insert(&name, value);
            }
        }
        let kind = ["server_type", "mcp_server_type", "type"]
            .iter()
            .find_map(|name| server.filled_text(name));
        let kind = kind.map_or_else(String::new, |(kind, _)| kind);
        let url = url.filter(|it| text_of(it).is_some_and(is_address));
        let transport = match (kind.as_str(), &url) {
            ("sse", Some(_)) => "sse",
            (_, Some(_)) => "streamable_http",
            _ => "stdio",
        };
        if transport == "stdio" && server.get("command").and_then(text_of).is_none() {
            return draft.not_kept(origin, "an MCP server without a command or a fixed address");
        }
        if let Some(url) = url {
            server.insert("url", url);
        }
        let mut headers = server.object("custom_headers").unwrap_or_default();
        if let Some(token) = server.take("token") {
            let header = server
                .filled_text("auth_header")
                .map_or_else(|| "Authorization".to_owned(), |(name, _)| name);
            headers.insert(&header, token);
        }
        if !headers.is_empty() {
            let line = if headers.origin == 0 {
                origin
            } else {
                headers.origin
            };
            server.insert("headers", map_at(headers.rest(), line));
        }
        let mut entry = NodeMap::from([("transport".to_owned(), text_at(transport, origin))]);
        entry.extend(server_fields(draft, &name, &mut server, transport));
        let unique = draft.server(Some(&name), &name, entry, origin);
        server.take("id");
        self.servers.insert(name, (unique, server.rest(), origin));
    }

    fn report_unused(self, draft: &mut Draft<'_>) {
        for (_, block) in self.blocks {
            if block.line > 0 && !draft.is_placed(block.line) {
                draft.not_kept(block.line, "no agent has this block");
            }
        }
        for (_, tool) in self.tools {
            if !draft.is_placed(tool.origin) {
                draft.not_kept(tool.origin, "no agent has this tool");
            }
        }
    }
}

fn id_of(node: &Node) -> String {
    let members = members_of(node);
    let id = members.and_then(|members| {
        ["id", "label", "name"]
            .iter()
            .find_map(|name| text_of(members.get(*name)?))
    });
    id.unwrap_or_default().to_owned()
}

fn agent(draft: &mut Draft<'_>, mut fields: SourceFields, parts: &LettaParts) -> AgentDraft {
    let (name, line) = fields
        .filled_text("name")
        .unwrap_or_else(|| ("agent".to_owned(), fields.origin));
    let mut agent = AgentDraft::new(&name, line);
    let description = fields.text("description");
    agent.describe(draft, description);
    let prompt = fields
        .text("system")
        .filter(|it| text_of(it).is_some_and(|text| !text.is_empty()));
    agent.set("system_prompt", prompt);
    llm::set(draft, &mut agent, &mut fields);
    blocks(draft, &mut agent, &mut fields, parts);
    tools::set(draft, &mut agent, &mut fields, parts);
    if !parts.skills.is_empty() {
        agent.set(
            "skill_names",
            Some(list_at(
                parts.skills.iter().take(100).cloned().collect(),
                line,
            )),
        );
    }
    variables(draft, &mut agent, &mut fields);
    for name in [
        "messages",
        "in_context_message_ids",
        "initial_message_sequence",
        "files_agents",
        "created_at",
        "updated_at",
        "message_ids",
    ] {
        if let Some(state) = fields
            .take(name)
            .filter(|it| it.value != NodeValue::List(Vec::new()))
        {
            draft.not_kept(state.line, NO_STATE);
        }
    }
    for name in [
        "project",
        "project_id",
        "template_id",
        "base_template_id",
        "identity_ids",
        "from_template",
        "deployment_id",
        "entity_id",
    ] {
        if let Some(place) = fields
            .take(name)
            .filter(|it| it.value != NodeValue::List(Vec::new()))
        {
            draft.not_kept(place.line, NO_PLACE);
        }
    }
    // They stand for what is in the file, which is placed where it is.
    for name in [
        "id",
        "group_ids",
        "source_ids",
        "folder_ids",
        "multi_agent_group",
    ] {
        fields.take(name);
    }
    let mut rest = fields.rest();
    rest.retain(|_, node| !matches!(&node.value, NodeValue::List(items) if items.is_empty()));
    agent.keep_all(&[], rest);
    agent
}

/// The blocks of memory, by label.
fn blocks(
    draft: &mut Draft<'_>,
    agent: &mut AgentDraft,
    fields: &mut SourceFields,
    parts: &LettaParts,
) {
    let ids = fields.list("block_ids");
    let mut blocks: Vec<Node> = Vec::new();
    for id in ids {
        match text_of(&id).and_then(|id| parts.blocks.get(id)) {
            Some(block) => blocks.push(block.clone()),
            None => draft.not_kept(id.line, "the file has no such block"),
        }
    }
    blocks.extend(fields.list("memory_blocks"));
    blocks.extend(fields.list("core_memory"));
    for block in blocks {
        draft.place(block.line);
        let line = block.line;
        let Ok(mut block) = SourceFields::of(block) else {
            draft.not_kept(line, "is no block");
            continue;
        };
        block.take("id");
        let label = block
            .filled_text("label")
            .map_or_else(|| "block".to_owned(), |(label, _)| label);
        let rest = block.rest();
        agent.keep(&["blocks", &label], map_at(rest, line));
    }
}

/// Variables of tools: their names are kept, and never their values.
fn variables(draft: &mut Draft<'_>, agent: &mut AgentDraft, fields: &mut SourceFields) {
    for field in ["tool_exec_environment_variables", "secrets"] {
        let Some(variables) = fields.take(field) else {
            continue;
        };
        let line = variables.line;
        let mut names = Vec::new();
        match variables.value {
            NodeValue::Map(members) => {
                for (name, value) in members {
                    if text_of(&value).is_none_or(|text| !text.is_empty()) {
                        draft.not_kept(
                            value.line,
                            format!("a secret is never stored: set {name} where the runtime runs"),
                        );
                    }
                    names.push(text_at(name, value.line));
                }
            }
            NodeValue::List(items) => {
                for item in items {
                    let mut variable = SourceFields::of_any(item);
                    let name = ["key", "name"]
                        .iter()
                        .find_map(|name| variable.filled_text(name));
                    names.extend(name.map(|(name, line)| text_at(name, line)));
                    draft.none_kept(
                        &variable.rest(),
                        "a secret is never stored: set the variable where the runtime runs",
                    );
                }
            }
            _ => draft.not_kept(line, "are no variables"),
        }
        if !names.is_empty() {
            agent.keep(&[field], list_at(names, line));
        }
    }
}
