//! Docker Agent's YAML: a team of agents, with models, providers and toolsets that they name.

use super::{
    agent::AgentDraft,
    docker_models::DockerSourceModels,
    docker_toolsets::DockerToolsets,
    draft::{Draft, DraftTeam},
    fields::{SourceFields, items_of, list_at, map_at, text_at, text_of},
    sources::{Content, SourceFile},
};
use crate::yaml::{Node, NodeMap, NodeValue};

pub(super) const KEY: &str = "docker_agent";

/// What the file says of the team as a whole and means something to Docker Agent only.
const SETTINGS: [&str; 7] = [
    "version",
    "permissions",
    "runtime",
    "budget",
    "budgets",
    "commands",
    "skills",
];

pub(super) fn read(draft: &mut Draft<'_>, files: Vec<SourceFile>) {
    for file in files {
        let title = file.title();
        let Content::Tree(tree) = file.content else {
            continue;
        };
        let origin = tree.line;
        match SourceFields::of(tree) {
            Ok(fields) => read_team(draft, title, fields, origin, file.path.parent()),
            Err(other) => draft.not_kept(other.line, "is no configuration of Docker Agent"),
        }
    }
}

fn read_team(
    draft: &mut Draft<'_>,
    title: String,
    mut fields: SourceFields,
    origin: usize,
    folder: Option<&std::path::Path>,
) {
    let mut settings = NodeMap::new();
    let mut description = None;
    if let Some(mut metadata) = fields.object("metadata") {
        let line = metadata.origin;
        description = metadata.text("description");
        let rest = metadata.rest();
        if !rest.is_empty() {
            settings.insert("metadata".to_owned(), map_at(rest, line));
        }
    }
    for name in SETTINGS {
        settings.extend(fields.take(name).map(|it| (name.to_owned(), it)));
    }
    if let Some(flavors) = fields.take("flavors") {
        draft.not_kept(
            flavors.line,
            "patches of the file, which are applied before it is read: convert the result",
        );
    }
    let mut models = DockerSourceModels::read(draft, &mut fields);
    let toolsets = DockerToolsets::read(&mut fields);
    let agents = match fields.take("agents") {
        Some(Node {
            value: NodeValue::Map(agents),
            ..
        }) => agents,
        Some(other) => {
            draft.not_kept(other.line, "is no map of agents");
            NodeMap::new()
        }
        None => NodeMap::new(),
    };
    let lead = lead_of(&agents);
    let mut drafts = Vec::new();
    for (name, node) in agents {
        let origin = node.line;
        match SourceFields::of(node) {
            Ok(fields) => {
                let mut agent = AgentDraft::new(&name, origin);
                agent.is_lead = Some(&name) == lead.as_ref();
                read_agent(draft, &mut agent, fields, &mut models, &toolsets, folder);
                drafts.push(agent);
            }
            Err(other) => draft.not_kept(other.line, "is no agent"),
        }
    }
    models.report_unused(draft);
    toolsets.report_unused(draft);
    settings.extend(fields.rest());
    draft.add_team(DraftTeam {
        name: title,
        origin,
        description,
        settings,
        agents: drafts,
        is_name_local: true,
    });
}

/// The agent that a user talks to: `root`, as all versions had it, or the first one.
fn lead_of(agents: &NodeMap) -> Option<String> {
    let mut names = agents.keys();
    let root = names.clone().find(|name| *name == "root");
    root.or_else(|| names.next()).cloned()
}

fn read_agent(
    draft: &mut Draft<'_>,
    agent: &mut AgentDraft,
    mut fields: SourceFields,
    models: &mut DockerSourceModels,
    toolsets: &DockerToolsets,
    folder: Option<&std::path::Path>,
) {
    let description = fields.text("description");
    agent.describe(draft, description);
    let prompt = instruction(draft, agent, &mut fields, folder);
    agent.set("system_prompt", prompt);
    models.set(draft, agent, &mut fields);
    fallback(draft, agent, &mut fields, models);
    for name in ["sub_agents", "handoffs", "force_handoff"] {
        let value = fields
            .take(name)
            .filter(|it| it.value != NodeValue::List(Vec::new()));
        agent.permit(name, value);
    }
    if let Some(output) = fields.object("structured_output") {
        structured_output(agent, output);
    }
    skills(agent, &mut fields);
    let groups = fields.list("use_toolsets");
    let own = fields.list("toolsets");
    toolsets.set(draft, agent, groups, own);
    agent.keep_all(&[], fields.rest());
}

/// The prompt: in the file itself, or in files beside it.
fn instruction(
    draft: &mut Draft<'_>,
    agent: &mut AgentDraft,
    fields: &mut SourceFields,
    folder: Option<&std::path::Path>,
) -> Option<Node> {
    let own = fields.text("instruction");
    let Some(paths) = fields.get("instruction_file").cloned() else {
        return own.filter(|it| text_of(it).is_some_and(|text| !text.is_empty()));
    };
    let names = match &paths.value {
        NodeValue::List(items) => items.clone(),
        _ => vec![paths.clone()],
    };
    let mut texts: Vec<String> = own.iter().filter_map(text_of).map(str::to_owned).collect();
    for name in names {
        let read = text_of(&name).and_then(|name| inside(folder?, name));
        match read {
            Some(text) => texts.push(text),
            None => draft.not_kept(
                name.line,
                "the file can't be read: its text is not part of the prompt",
            ),
        }
    }
    agent.keep(&["instruction_file"], paths.clone());
    fields.take("instruction_file");
    (!texts.is_empty()).then(|| text_at(texts.join("\n\n"), paths.line))
}

/// The text of a file in the folder. A path that leads out of it is not followed: files come from others.
fn inside(folder: &std::path::Path, name: &str) -> Option<String> {
    const MAX_PROMPT: u64 = 2 << 20;
    let folder = if folder.as_os_str().is_empty() {
        std::path::Path::new(".")
    } else {
        folder
    };
    let root = folder.canonicalize().ok()?;
    let path = folder.join(name).canonicalize().ok()?;
    if !path.starts_with(root) {
        return None;
    }
    migration::bounds::read_to_string(&path, MAX_PROMPT).ok()
}

fn fallback(
    draft: &mut Draft<'_>,
    agent: &mut AgentDraft,
    fields: &mut SourceFields,
    models: &mut DockerSourceModels,
) {
    let Some(mut fallback) = fields.object("fallback") else {
        return;
    };
    let origin = fallback.origin;
    let mut found: Vec<Node> = Vec::new();
    for name in fallback.list("models") {
        let line = name.line;
        let model = text_of(&name).and_then(|text| models.reference(draft, text, line));
        match model {
            Some(model) if found.len() < 10 => found.push(model),
            _ => draft.not_kept(line, "is no model to fall back on"),
        }
    }
    add_fallbacks(agent, found, origin);
    agent.keep_all(&["fallback"], fallback.rest());
}

/// Adds models to fall back on, each once.
pub(super) fn add_fallbacks(agent: &mut AgentDraft, more: Vec<Node>, origin: usize) {
    let mut models: Vec<Node> = agent
        .get("fallback_models")
        .map(items_of)
        .unwrap_or_default()
        .to_vec();
    for model in more {
        if !models.contains(&model) && models.len() < 10 {
            models.push(model);
        }
    }
    if !models.is_empty() {
        agent.set("fallback_models", Some(list_at(models, origin)));
    }
}

fn structured_output(agent: &mut AgentDraft, mut output: SourceFields) {
    let origin = output.origin;
    if let Some(mode) = output.take("mode") {
        agent.keep(&["structured_output", "mode"], mode);
    }
    let mut schema = NodeMap::new();
    for name in ["name", "description", "strict", "schema"] {
        schema.extend(output.take(name).map(|it| (name.to_owned(), it)));
    }
    agent.json_schema(schema, origin);
    agent.keep_all(&["structured_output"], output.rest());
}

/// Names of skills are the agent's. Whether it has any at all, and skills that are written out, are free data.
fn skills(agent: &mut AgentDraft, fields: &mut SourceFields) {
    let Some(skills) = fields.take("skills") else {
        return;
    };
    let NodeValue::List(items) = &skills.value else {
        return agent.keep(&["skills"], skills);
    };
    let is_path = |text: &str| text.contains(['/', '\\']) || text == "local";
    let name_of = |item: &Node| match &item.value {
        NodeValue::Text(text) if !is_path(text) => Some(text_at(text.as_str(), item.line)),
        NodeValue::Map(members) => members
            .get("name")
            .filter(|it| text_of(it).is_some())
            .cloned(),
        _ => None,
    };
    let names: Vec<Node> = items.iter().filter_map(name_of).collect();
    let is_all_names = items
        .iter()
        .all(|it| text_of(it).is_some_and(|text| !is_path(text)));
    if !names.is_empty() {
        agent.set("skill_names", Some(list_at(names, skills.line)));
    }
    if !is_all_names {
        agent.keep(&["skills"], skills);
    }
}
