//! Agents that belong together, and the circle that they are.

use super::Draft;
use crate::{
    formats::{
        agent::AgentDraft,
        fields::{list_at, map_at, members_of, put, text_at, text_of},
        report::{ImportRemark, ImportReport},
        values::handle,
    },
    yaml::{Node, NodeMap, NodeValue},
};

/// Agents of a file that belong together.
#[derive(Debug)]
pub(in crate::formats) struct DraftTeam {
    pub(in crate::formats) name: String,
    pub(in crate::formats) origin: usize,
    pub(in crate::formats) description: Option<Node>,
    /// What means something to the file's system only.
    pub(in crate::formats) settings: NodeMap,
    pub(in crate::formats) agents: Vec<AgentDraft>,
    /// Whether the name of a single agent says too little by itself.
    pub(in crate::formats) is_name_local: bool,
}

impl Draft<'_> {
    /// Adds agents, and the circle that they are, unless it is a single one.
    pub(in crate::formats) fn add_team(&mut self, team: DraftTeam) {
        let DraftTeam {
            name,
            origin,
            description,
            settings,
            agents,
            is_name_local,
        } = team;
        let key = self.format.key();
        let given = self.circle.clone();
        let is_circle = given.is_some() || agents.len() > 1;
        let circle = given.clone().unwrap_or_else(|| handle(&name));
        if circle != name && given.is_none() && is_circle {
            self.changed(origin, format!("the circle is called {circle}"));
        }
        let mut members = Vec::new();
        let mut settings = settings;
        for mut agent in agents {
            let external_id = if is_circle || is_name_local {
                format!("{key}:{circle}/{}", agent.name)
            } else {
                format!("{key}:{}", agent.name)
            };
            let external_id: String = external_id.chars().take(255).collect();
            let permissions = std::mem::take(&mut agent.permissions);
            if !is_circle {
                agent.keep_all(&[], permissions.clone());
                agent.keep_all(&["file"], std::mem::take(&mut settings));
                if let Some(description) = description.clone() {
                    agent.keep(&["file", "description"], description);
                }
            }
            self.infer_capabilities(&agent);
            self.report_metadata(
                &agent.metadata,
                &format!("the metadata of agent {}", agent.name),
            );
            let mut member = NodeMap::from([(
                "agent".to_owned(),
                text_at(external_id.as_str(), agent.origin),
            )]);
            if agent.is_lead {
                member.insert("role".to_owned(), text_at("lead", agent.origin));
            }
            if !permissions.is_empty() && is_circle {
                let mut nested = NodeMap::new();
                put(&mut nested, &[key], map_at(permissions, agent.origin));
                member.insert("permissions".to_owned(), map_at(nested, agent.origin));
            }
            members.push(map_at(member, agent.origin));
            self.agents.push(agent.into_entry(key, &external_id));
        }
        if is_circle {
            self.report_metadata(&settings, &format!("the settings of circle {circle}"));
            self.add_circle(&circle, description, settings, members, origin);
        }
    }

    fn add_circle(
        &mut self,
        name: &str,
        description: Option<Node>,
        settings: NodeMap,
        members: Vec<Node>,
        origin: usize,
    ) {
        let no = || Node::from(NodeValue::Bool(false));
        let mut entry = NodeMap::from([("name".to_owned(), text_at(name, origin))]);
        entry.extend(description.map(|it| ("description".to_owned(), it)));
        entry.insert("require_review".to_owned(), no());
        entry.insert("auto_route".to_owned(), no());
        if !settings.is_empty() {
            let nested = NodeMap::from([(self.format.key().to_owned(), map_at(settings, origin))]);
            entry.insert("settings".to_owned(), map_at(nested, origin));
        }
        entry.insert("members".to_owned(), list_at(members, origin));
        self.circles.push(entry);
    }

    fn report_metadata(&mut self, members: &NodeMap, place: &str) {
        for (name, member) in members {
            let inner = members_of(member)
                .filter(|_| matches!(name.as_str(), "model" | "mcp" | "tools" | "file"));
            match inner {
                Some(inner) => self.report_metadata(inner, place),
                None if member.line > 0 => {
                    let remark: ImportRemark =
                        self.origins.remark(member.line, format!("is in {place}"));
                    ImportReport::add_to(&mut self.report.metadata, remark);
                }
                None => {}
            }
        }
    }

    /// A file that asks a model for something says that the model can do it, as long as nothing else does.
    fn infer_capabilities(&mut self, agent: &AgentDraft) {
        let reference = agent.get("model").and_then(text_of).unwrap_or_default();
        let Some(entry) = self.model_entries.get_mut(reference) else {
            return;
        };
        let reasons = agent.has_setting("thinking_budget") || agent.has_setting("reasoning_effort");
        for (field, is_used) in [
            ("supports_tools", agent.has_tools()),
            ("supports_reasoning", reasons),
            (
                "supports_response_schema",
                agent.has_setting("response_format"),
            ),
        ] {
            if is_used && !entry.contains_key(field) {
                entry.insert(field.to_owned(), NodeValue::Bool(true).into());
            }
        }
    }
}
