//! Which format a file is in, and why some are refused.

use std::fmt;

use clap::ValueEnum;

use super::{
    fields::{items_of, members_of, text_of},
    sources::{Content, SourceFile},
};
use crate::yaml::NodeMap;

/// A format of agents that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SourceFormat {
    /// Docker Agent (before: cagent): YAML
    DockerAgent,
    /// Claude Code's sub-agents: Markdown
    Claude,
    /// `CrewAI`: agents.yaml, or crew.jsonc with its agents
    Crewai,
    /// `AutoGen`: a team or an agent as a component, in JSON
    Autogen,
    /// Letta: an agent file, .af
    Letta,
}

impl SourceFormat {
    /// Its key in metadata, settings and external ids.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::DockerAgent => "docker_agent",
            Self::Claude => "claude",
            Self::Crewai => "crewai",
            Self::Autogen => "autogen",
            Self::Letta => "letta",
        }
    }
}

impl fmt::Display for SourceFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DockerAgent => "docker-agent",
            Self::Claude => "claude",
            Self::Crewai => "crewai",
            Self::Autogen => "autogen",
            Self::Letta => "letta",
        })
    }
}

/// What a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Detected {
    Format(SourceFormat),
    /// `CrewAI`'s tasks, which belong to its agents.
    Tasks,
    /// A known kind of file that has no agents to take, and why.
    Refused(String),
    /// Nothing that is known.
    Unknown,
}

/// What the supported formats are called.
pub(super) const FORMATS: &str = "docker-agent, claude, crewai, autogen, letta";

const GRAPHS: &str = "circle-registry keeps who is in a team, not what the team does next";

pub(super) fn detect(file: &SourceFile) -> Detected {
    let Content::Tree(tree) = &file.content else {
        return match &file.content {
            Content::Markdown { front: Some(_), .. } => Detected::Format(SourceFormat::Claude),
            _ => Detected::Unknown,
        };
    };
    let Some(members) = members_of(tree) else {
        return Detected::Unknown;
    };
    if let Some(refused) = graph(members) {
        return Detected::Refused(format!("is {refused}, a graph: {GRAPHS}"));
    }
    if let Some(other) = unsupported(members) {
        return Detected::Refused(format!("is {other}, which is not one of {FORMATS}"));
    }
    if text_in(members, "kind") == Some("CircleRegistry") {
        let detail = "is a document of circle-registry: plan and apply take it as it is";
        return Detected::Refused(detail.to_owned());
    }
    if is_autogen(members) {
        return Detected::Format(SourceFormat::Autogen);
    }
    if is_letta(members) {
        return Detected::Format(SourceFormat::Letta);
    }
    crewai(members)
        .or_else(|| is_docker_agent(members).then_some(Detected::Format(SourceFormat::DockerAgent)))
        .or_else(|| is_claude(members).then_some(Detected::Format(SourceFormat::Claude)))
        .unwrap_or(Detected::Unknown)
}

fn text_in<'m>(members: &'m NodeMap, name: &str) -> Option<&'m str> {
    text_of(members.get(name)?)
}

fn has(members: &NodeMap, names: &[&str]) -> bool {
    names.iter().all(|name| members.contains_key(*name))
}

/// The name of a system whose files are graphs.
fn graph(members: &NodeMap) -> Option<&'static str> {
    let inner = |name: &str| members.get(name).and_then(members_of);
    let is_dify = text_in(members, "kind") == Some("app") && has(members, &["app"]);
    if is_dify && members.contains_key("workflow") {
        return Some("a workflow of Dify");
    }
    let provider = text_in(members, "provider").unwrap_or_default();
    if provider.ends_with(".GraphFlow") || provider == "GraphFlow" {
        return Some("AutoGen's GraphFlow");
    }
    if text_in(members, "kind").is_some_and(|kind| kind == "Workflow" || kind == "AdaptiveDialog") {
        return Some("a workflow of Microsoft's Agent Framework");
    }
    if has(members, &["nodes", "connections"]) {
        return Some("a workflow of n8n");
    }
    let data = inner("data").unwrap_or(members);
    if has(data, &["nodes", "edges"]) || inner("graph").is_some_and(|it| it.contains_key("edges")) {
        return Some("a flow (as of Langflow or Flowise)");
    }
    let is_method = |name: &str| {
        inner(name).is_some_and(|methods| {
            let mut methods = methods.values().filter_map(members_of);
            methods.any(|it| {
                it.contains_key("listen") || it.contains_key("start") || it.contains_key("router")
            })
        })
    };
    (text_in(members, "type") == Some("flow") || is_method("methods")).then_some("a flow of CrewAI")
}

/// The name of a system whose files are known and not read.
fn unsupported(members: &NodeMap) -> Option<String> {
    if let Some(version) = text_in(members, "apiVersion") {
        let group = version.split('/').next().unwrap_or_default();
        return Some(match group {
            _ if group.ends_with("kagent.dev") => "a resource of kagent".to_owned(),
            "ar.dev" => "a resource of agentregistry".to_owned(),
            _ => "a Kubernetes resource (as those of kagent)".to_owned(),
        });
    }
    if text_in(members, "kind") == Some("app") && has(members, &["app"]) {
        return Some("an app of Dify".to_owned());
    }
    let is_prompt =
        text_in(members, "kind").is_some_and(|kind| kind.eq_ignore_ascii_case("prompt"));
    if is_prompt && (members.contains_key("instructions") || members.contains_key("model")) {
        return Some("an agent of Microsoft's Agent Framework".to_owned());
    }
    let sub_agents = members.get("sub_agents").map(items_of).unwrap_or_default();
    let has_paths = sub_agents
        .iter()
        .filter_map(members_of)
        .any(|it| it.contains_key("config_path") || it.contains_key("code"));
    let is_adk = has(members, &["name", "instruction"]) && !members.contains_key("agents");
    if members.contains_key("agent_class") || has_paths || is_adk {
        return Some("an agent of Google's Agent Development Kit".to_owned());
    }
    let is_card = has(members, &["name", "skills", "capabilities"])
        && (members.contains_key("url") || members.contains_key("supportedInterfaces"));
    if is_card {
        return Some("an agent card of A2A".to_owned());
    }
    let is_assistant = text_in(members, "object") == Some("assistant");
    is_assistant.then(|| "an assistant of OpenAI's API".to_owned())
}

fn is_autogen(members: &NodeMap) -> bool {
    let is_component = |members: &NodeMap| {
        let provider = text_in(members, "provider").unwrap_or_default();
        members.contains_key("config")
            && (members.contains_key("component_type") || provider.contains("autogen"))
    };
    let wrapped = members.get("component").and_then(members_of);
    let gallery = members.get("components").and_then(members_of);
    is_component(members)
        || wrapped.is_some_and(is_component)
        || gallery.is_some_and(|it| it.contains_key("teams") || it.contains_key("agents"))
}

fn is_letta(members: &NodeMap) -> bool {
    let is_agent = |members: &NodeMap| {
        members.contains_key("agent_type")
            && ["llm_config", "system", "core_memory", "memory_blocks"]
                .iter()
                .any(|name| members.contains_key(*name))
    };
    let agents = members.get("agents").map(items_of).unwrap_or_default();
    let has_parts = members.contains_key("blocks") || members.contains_key("groups");
    is_agent(members)
        || agents.iter().filter_map(members_of).any(is_agent)
        || !agents.is_empty() && has_parts
}

fn is_crew_agent(members: &NodeMap) -> bool {
    members.contains_key("role")
        && (members.contains_key("goal") || members.contains_key("backstory"))
}

fn crewai(members: &NodeMap) -> Option<Detected> {
    let crewai = Some(Detected::Format(SourceFormat::Crewai));
    let all = |is_such: &dyn Fn(&NodeMap) -> bool| {
        !members.is_empty()
            && members
                .values()
                .all(|it| members_of(it).is_some_and(is_such))
    };
    if is_crew_agent(members) || all(&is_crew_agent) {
        return crewai;
    }
    let is_task = |it: &NodeMap| it.contains_key("expected_output");
    if all(&is_task) {
        return Some(Detected::Tasks);
    }
    let agents = members.get("agents")?;
    let listed = items_of(agents).iter();
    let described = members_of(agents).into_iter().flat_map(NodeMap::values);
    let mut described = listed.chain(described).filter_map(members_of);
    let is_crew = members.contains_key("tasks") && !members.contains_key("blocks");
    if is_crew || described.any(is_crew_agent) {
        return crewai;
    }
    None
}

fn is_docker_agent(members: &NodeMap) -> bool {
    let agents = members.get("agents").and_then(members_of);
    agents.is_some_and(|agents| agents.values().any(|agent| members_of(agent).is_some()))
}

/// Agents as `--agents` of Claude Code takes them: objects by name, each with a prompt.
fn is_claude(members: &NodeMap) -> bool {
    !members.is_empty()
        && members
            .values()
            .all(|it| members_of(it).is_some_and(|it| has(it, &["description", "prompt"])))
}
