//! `CrewAI`'s `agents.yaml`, and crews in JSON with their agents.

use super::{
    agent::AgentDraft,
    draft::{Draft, DraftTeam},
    fields::{SourceFields, items_of, map_at, members_of, text_at, text_of},
    models::AskedModel,
    sources::{self, Content, SourceFile},
};
use crate::yaml::{Node, NodeMap, NodeValue};

mod llm;
mod tools;

const KEY: &str = "crewai";

const NO_TASKS: &str =
    "a task: circle-registry keeps who is in a team, not what the team does next";
const NO_STATE: &str = "state or input of a run, or derived from the rest";

/// State and input of a run.
const STATE: [&str; 20] = [
    "id",
    "entity_type",
    "crew",
    "agent_executor",
    "tools_handler",
    "tools_results",
    "knowledge",
    "agent_knowledge_context",
    "crew_knowledge_context",
    "knowledge_search_query",
    "adapted_agent",
    "execution_context",
    "checkpoint_kickoff_event_id",
    "input",
    "inputs",
    "usage_metrics",
    "token_usage",
    "execution_logs",
    "checkpoint_inputs",
    "checkpoint_train",
];

pub(super) fn read(draft: &mut Draft<'_>, files: Vec<SourceFile>, tasks: Vec<SourceFile>) {
    for file in tasks {
        if let Some(members) = file.members() {
            draft.none_kept(&members.clone(), NO_TASKS);
        }
    }
    let (crews, files): (Vec<_>, Vec<_>) = files.into_iter().partition(is_crew);
    // Agents by name, with where they are from.
    let mut agents: Vec<(String, SourceFields)> = Vec::new();
    let mut title = files.first().map_or_else(String::new, SourceFile::title);
    let is_single =
        |members: &NodeMap| members.contains_key("role") || members.contains_key("goal");
    for file in &files {
        let Some(members) = file.members() else {
            continue;
        };
        if is_single(members) {
            let stem = file
                .path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            agents.push((stem, SourceFields::of_any(tree_of(file))));
            continue;
        }
        for (name, node) in members {
            match SourceFields::of(node.clone()) {
                Ok(fields) => agents.push((name.clone(), fields)),
                Err(other) => draft.not_kept(other.line, "is no agent"),
            }
        }
    }
    if crews.is_empty() {
        let origin = files.first().map_or(0, SourceFile::origin);
        if files.len() > 1 && files.iter().all(|it| it.members().is_some_and(is_single)) {
            let folder = files[0]
                .path
                .parent()
                .and_then(|it| it.parent())
                .and_then(|it| it.file_name());
            title = folder.map_or(title, |name| name.to_string_lossy().into_owned());
        }
        let drafts = agents
            .into_iter()
            .map(|(name, fields)| agent(draft, &name, fields));
        let drafts = drafts.collect();
        return draft.add_team(DraftTeam {
            name: title,
            origin,
            description: None,
            settings: NodeMap::new(),
            agents: drafts,
            is_name_local: false,
        });
    }
    for file in crews {
        crew(draft, &file, &mut agents);
    }
    for (name, fields) in agents {
        draft.not_kept(fields.origin, format!("no crew has the agent {name}"));
    }
}

fn tree_of(file: &SourceFile) -> Node {
    match &file.content {
        Content::Tree(node) => node.clone(),
        Content::Markdown { body, .. } => body.clone(),
    }
}

fn is_crew(file: &SourceFile) -> bool {
    file.members().is_some_and(|members| {
        members
            .get("agents")
            .is_some_and(|agents| match &agents.value {
                NodeValue::List(_) => true,
                NodeValue::Map(agents) => {
                    members.contains_key("tasks")
                        || agents
                            .values()
                            .any(|it| members_of(it).is_some_and(|it| it.contains_key("goal")))
                }
                _ => false,
            })
    })
}

fn crew(draft: &mut Draft<'_>, file: &SourceFile, known: &mut Vec<(String, SourceFields)>) {
    let mut fields = SourceFields::of_any(tree_of(file));
    let name = fields
        .filled_text("name")
        .map_or_else(|| file.title(), |(name, _)| name);
    let mut drafts: Vec<AgentDraft> = Vec::new();
    match fields.take("agents") {
        Some(Node {
            value: NodeValue::Map(agents),
            ..
        }) => {
            for (name, node) in agents {
                drafts.push(agent(draft, &name, SourceFields::of_any(node)));
            }
        }
        Some(list) => {
            for item in items_of(&list) {
                drafts.extend(listed(draft, file, item, known));
            }
        }
        None => {}
    }
    if let Some(manager) = fields.take("manager_agent") {
        match text_of(&manager) {
            Some(name) => match drafts.iter_mut().find(|it| it.name == name) {
                Some(agent) => agent.is_lead = true,
                None => drafts.extend(listed(draft, file, &manager, known).map(|mut agent| {
                    agent.is_lead = true;
                    agent
                })),
            },
            None => drafts.extend(listed(draft, file, &manager, known).map(|mut agent| {
                agent.is_lead = true;
                agent
            })),
        }
    }
    for task in fields.list("tasks") {
        draft.not_kept(task.line, NO_TASKS);
    }
    take_state(draft, &mut fields);
    draft.add_team(DraftTeam {
        name,
        origin: file.origin(),
        description: None,
        settings: fields.rest(),
        agents: drafts,
        is_name_local: false,
    });
}

/// An agent of a crew: its name, whose file is beside the crew's, or the agent itself.
fn listed(
    draft: &mut Draft<'_>,
    file: &SourceFile,
    item: &Node,
    known: &mut Vec<(String, SourceFields)>,
) -> Option<AgentDraft> {
    let Some(name) = text_of(item) else {
        let mut fields = SourceFields::of(item.clone()).ok()?;
        let name = fields.filled_text("name").map(|(name, _)| name);
        let role = fields
            .get("role")
            .and_then(text_of)
            .map(|role| role.trim().to_owned());
        let name = name.or(role)?;
        return Some(agent(draft, &name, fields));
    };
    if let Some(index) = known.iter().position(|(known, _)| known == name) {
        let (name, fields) = known.remove(index);
        return Some(agent(draft, &name, fields));
    }
    let is_plain = !name.contains(['/', '\\']) && name != "..";
    let folder = file.path.parent()?.join("agents");
    let found = ["jsonc", "json"]
        .iter()
        .filter(|_| is_plain)
        .find_map(|extension| {
            sources::read_named(
                &folder.join(format!("{name}.{extension}")),
                &mut draft.origins,
            )
        });
    let Some(found) = found else {
        draft.not_kept(
            item.line,
            format!("there is no file agents/{name}.jsonc beside this one"),
        );
        return None;
    };
    draft.report.files.push(found.name());
    Some(agent(draft, name, SourceFields::of_any(tree_of(&found))))
}

fn take_state(draft: &mut Draft<'_>, fields: &mut SourceFields) {
    for name in STATE {
        if let Some(state) = fields.take(name) {
            draft.not_kept(state.line, NO_STATE);
        }
    }
}

fn agent(draft: &mut Draft<'_>, name: &str, mut fields: SourceFields) -> AgentDraft {
    let name = fields
        .filled_text("name")
        .map_or_else(|| name.to_owned(), |(name, _)| name);
    let mut agent = AgentDraft::new(&name, fields.origin);
    if let Some(config) = fields.object("config") {
        for (name, value) in config.rest() {
            if fields.get(&name).is_none() {
                fields.insert(&name, value);
            }
        }
    }
    let text = |node: &Option<Node>| {
        node.as_ref()
            .and_then(text_of)
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    let (role, goal, backstory) = (
        fields.text("role"),
        fields.text("goal"),
        fields.text("backstory"),
    );
    let prompt = format!(
        "You are {}. {}\nYour personal goal is: {}",
        text(&role),
        text(&backstory),
        text(&goal)
    );
    if role.is_some() || goal.is_some() || backstory.is_some() {
        agent.set("system_prompt", Some(text_at(prompt, fields.origin)));
    }
    if let Some(role) = role {
        agent.set_role(draft, role);
    }
    agent.describe(draft, goal);
    let backstory = backstory.filter(|it| text_of(it).is_some_and(|text| !text.is_empty()));
    agent.set("base_prompt", backstory);
    // A setting of the model itself goes before that of the agent.
    let max_tokens = fields.number("max_tokens");
    agent.setting(draft, "max_tokens", max_tokens);
    if let Some(llm) = fields.take("llm") {
        llm::set(draft, &mut agent, llm);
    }
    if let Some(skills) = fields.texts("skills").filter(|it| !items_of(it).is_empty()) {
        let is_short = items_of(&skills).iter().all(|it| {
            text_of(it).is_some_and(|text| text.len() <= 200 && !text.contains(['\n', '/']))
        });
        if is_short {
            agent.set("skill_names", Some(skills));
        } else {
            agent.keep(&["skills"], skills);
        }
    }
    tools::tools(&mut agent, &mut fields);
    tools::servers(draft, &mut agent, &mut fields);
    take_state(draft, &mut fields);
    if let Some(mut settings) = fields.object("settings") {
        let max_tokens = settings.number("max_tokens");
        if !agent.has_setting("max_tokens") {
            agent.setting(draft, "max_tokens", max_tokens);
        }
        let line = settings.origin;
        let rest = settings.rest();
        if !rest.is_empty() {
            agent.keep(&["settings"], map_at(rest, line));
        }
    }
    agent.keep_all(&[], fields.rest());
    agent
}

/// A model by its name alone.
fn asked(name: &str, provider: Option<&str>) -> AskedModel {
    match provider {
        Some(provider) if !name.starts_with(&format!("{provider}/")) => {
            AskedModel::of(Some(provider), name)
        }
        _ => AskedModel::parse(name),
    }
}
