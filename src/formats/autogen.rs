//! `AutoGen`'s components: a team, an agent, or a gallery of them.

use super::{
    agent::AgentDraft,
    convert::ConvertError,
    draft::{Draft, DraftTeam},
    fields::{SourceFields, list_at, map_at, text_of},
    sources::{Content, SourceFile},
};
use crate::yaml::{Node, NodeMap, NodeValue};

mod client;
mod tools;

pub(super) const KEY: &str = "autogen";

/// A component: its class, and what it is made of.
#[derive(Debug)]
pub(super) struct Component {
    /// The name of the class.
    pub(super) class: String,
    pub(super) config: SourceFields,
    /// What is known of it besides: its version, label and the like.
    pub(super) about: SourceFields,
    pub(super) origin: usize,
}

impl Component {
    pub(super) fn of(node: Node) -> Result<Self, Node> {
        let origin = node.line;
        let mut about = SourceFields::of(node)?;
        let provider = about.get("provider").and_then(text_of).unwrap_or_default();
        let class = provider.rsplit('.').next().unwrap_or_default().to_owned();
        let config = about.object("config").unwrap_or_default();
        about.take("component_type");
        Ok(Self {
            class,
            config,
            about,
            origin,
        })
    }

    /// What is known of it besides what is in its place.
    pub(super) fn keep_about(self, agent: &mut AgentDraft, path: &[&str]) {
        let (origin, about) = (self.origin, self.about.rest());
        if !about.is_empty() {
            agent.keep(&[path, &["component"]].concat(), map_at(about, origin));
        }
    }
}

pub(super) fn read(draft: &mut Draft<'_>, files: Vec<SourceFile>) -> Result<(), ConvertError> {
    for file in files {
        let (title, name) = (file.title(), file.name());
        let Content::Tree(tree) = file.content else {
            continue;
        };
        let refused = |reason: &str| ConvertError::Refused {
            file: name.clone(),
            reason: reason.to_owned(),
        };
        let mut top = SourceFields::of(tree).map_err(|_| refused("is no component of AutoGen"))?;
        if let Some(gallery) = top.object("components") {
            read_gallery(draft, gallery, &title);
            draft.none_kept(&top.rest(), "says something of the gallery as a whole");
            continue;
        }
        if let Some(component) = top.object("component") {
            draft.none_kept(&top.rest(), "says where AutoGen Studio keeps the component");
            top = component;
        }
        let origin = top.origin;
        let node = map_at(top.rest(), origin);
        add(draft, node, &title).map_err(|reason| refused(&reason))?;
    }
    Ok(())
}

/// A gallery has teams, and agents besides. Its models, tools and ends of conversations are copies of what these have.
fn read_gallery(draft: &mut Draft<'_>, mut gallery: SourceFields, title: &str) {
    for name in ["teams", "agents"] {
        for node in gallery.list(name) {
            let origin = node.line;
            if let Err(reason) = add(draft, node, title) {
                draft.not_kept(origin, reason);
            }
        }
    }
    draft.none_kept(
        &gallery.rest(),
        "a component that is in no team: teams and agents have their own",
    );
}

fn add(draft: &mut Draft<'_>, node: Node, title: &str) -> Result<(), String> {
    let kind = match &node.value {
        NodeValue::Map(members) => members
            .get("component_type")
            .and_then(text_of)
            .unwrap_or_default()
            .to_owned(),
        _ => String::new(),
    };
    let component = Component::of(node).map_err(|_| "is no component of AutoGen".to_owned())?;
    let is_team = kind == "team" || component.config.get("participants").is_some();
    if component.class == "GraphFlow" {
        return Err("is AutoGen's GraphFlow, a graph: circle-registry keeps who is in a team, not what the team does next".to_owned());
    }
    if is_team {
        let team = team(draft, component, title);
        draft.add_team(team);
        return Ok(());
    }
    if kind == "agent"
        || component.config.get("model_client").is_some()
        || component.class.ends_with("Agent")
    {
        let origin = component.origin;
        let mut agents = Vec::new();
        agent(draft, component, &mut agents);
        draft.add_team(DraftTeam {
            name: title.to_owned(),
            origin,
            description: None,
            settings: NodeMap::new(),
            agents,
            is_name_local: false,
        });
        return Ok(());
    }
    Err(format!(
        "is a {} of AutoGen, and neither a team nor an agent",
        if kind.is_empty() { "component" } else { &kind }
    ))
}

fn team(draft: &mut Draft<'_>, component: Component, title: &str) -> DraftTeam {
    const GENERIC: &str = "GroupChat";
    let Component {
        class,
        mut config,
        mut about,
        origin,
    } = component;
    let name = config.filled_text("name").map(|(name, _)| name);
    let label = about
        .get("label")
        .and_then(text_of)
        .filter(|label| *label != class && !label.ends_with(GENERIC));
    let name = name
        .or_else(|| label.map(str::to_owned))
        .unwrap_or_else(|| title.to_owned());
    let description = config
        .text("description")
        .or_else(|| about.text("description"));
    let mut agents = Vec::new();
    for participant in config.list("participants") {
        let line = participant.line;
        match Component::of(participant) {
            Ok(participant) => agent(draft, participant, &mut agents),
            Err(_) => draft.not_kept(line, "is no participant"),
        }
    }
    for name in ["termination_condition", "graph"] {
        if let Some(end) = config.take(name) {
            draft.not_kept(end.line, "when a conversation ends, or who speaks next, is no part of a circle: see the turn strategies of conversations");
        }
    }
    let mut settings = config.rest();
    let about = about.rest();
    if !about.is_empty() {
        settings.insert("component".to_owned(), map_at(about, origin));
    }
    let description =
        description.filter(|it| text_of(it).is_some_and(|text| text.chars().count() <= 10_000));
    DraftTeam {
        name,
        origin,
        description,
        settings,
        agents,
        is_name_local: false,
    }
}

/// Adds an agent; or those of a team within an agent.
fn agent(draft: &mut Draft<'_>, mut component: Component, agents: &mut Vec<AgentDraft>) {
    let origin = component.origin;
    if component.class == "UserProxyAgent" {
        return draft.not_kept(origin, "stands for a person, who is no agent here");
    }
    if let Some(wrapped) = component.config.take("wrapped_agent") {
        let before = agents.len();
        if let Ok(wrapped) = Component::of(wrapped) {
            agent(draft, wrapped, agents);
        }
        if let Some(agent) = agents.get_mut(before) {
            let rest = component.config.rest();
            agent.keep_all(&["wrapper"], rest);
            agent.keep(
                &["wrapper", "component"],
                map_at(component.about.rest(), origin),
            );
        }
        return;
    }
    let inner = component.config.take("team");
    let (name, line) = component
        .config
        .filled_text("name")
        .unwrap_or_else(|| (component.class.clone(), origin));
    if agents.iter().any(|agent| agent.name == name) {
        return draft.not_kept(origin, "there is an agent with this name already, and AutoGen tells agents apart by their names");
    }
    let mut draft_agent = AgentDraft::new(&name, line);
    fill(draft, &mut draft_agent, &mut component);
    if let Some(inner) = inner {
        let line = inner.line;
        if let Ok(inner) = Component::of(inner) {
            let team = team(draft, inner, &format!("{name}-team"));
            draft_agent.keep(
                &["team"],
                super::fields::text_at(super::values::handle(&team.name), line),
            );
            draft.add_team(team);
        }
    }
    let config = std::mem::take(&mut component.config);
    draft_agent.keep_all(&[], config.rest());
    component.keep_about(&mut draft_agent, &[]);
    agents.push(draft_agent);
}

fn fill(draft: &mut Draft<'_>, agent: &mut AgentDraft, component: &mut Component) {
    let config = &mut component.config;
    let description = config.text("description");
    agent.describe(draft, description);
    let prompt = ["system_message", "instruction", "instructions"]
        .iter()
        .find_map(|name| config.text(name));
    let prompt = prompt.filter(|it| text_of(it).is_some_and(|text| !text.is_empty()));
    agent.set("system_prompt", prompt);
    if let Some(client) = config.take("model_client") {
        client::set(draft, agent, client);
    }
    if component.class.starts_with("OpenAI") && config.get("model").is_some() {
        client::of_agent(draft, agent, config);
    }
    for workbench in config.list("workbench") {
        tools::workbench(draft, agent, workbench);
    }
    for tool in config.list("tools") {
        tools::tool(draft, agent, tool);
    }
    let handoffs = config.list("handoffs");
    if !handoffs.is_empty() {
        let line = handoffs[0].line;
        agent.permit("handoffs", Some(list_at(handoffs, line)));
    }
    if let Some(mut factory) = config.object("structured_message_factory") {
        let mut inner = factory.object("config").unwrap_or_default();
        let target = if inner.is_empty() {
            &mut factory
        } else {
            &mut inner
        };
        let origin = target.origin;
        let mut schema = NodeMap::new();
        schema.extend(
            target
                .take("content_model_name")
                .map(|it| ("name".to_owned(), it)),
        );
        schema.extend(
            target
                .take("json_schema")
                .map(|it| ("schema".to_owned(), it)),
        );
        if schema.contains_key("schema") {
            agent.json_schema(schema, origin);
        }
        agent.keep_all(&["structured_message_factory"], inner.rest());
        agent.keep_all(&["structured_message_factory"], factory.rest());
    }
}
