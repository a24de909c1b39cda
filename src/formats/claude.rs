//! Sub-agents of Claude Code: Markdown with front matter, one agent a file; or objects by name, as `--agents` takes them.

use super::{
    agent::AgentDraft,
    claude_tools,
    draft::{Draft, DraftTeam},
    fields::{SourceFields, list_at, text_at, text_of},
    models::AskedModel,
    report::ChoiceKind,
    sources::{Content, SourceFile},
};
use crate::yaml::{Node, NodeMap, NodeValue};

/// The words of Claude Code for models, which are no names of models themselves.
const ALIASES: [&str; 5] = ["fable", "haiku", "inherit", "opus", "sonnet"];

pub(super) fn read(draft: &mut Draft<'_>, files: Vec<SourceFile>, folder: Option<String>) {
    let mut agents: Vec<AgentDraft> = Vec::new();
    let title = files.first().map_or_else(String::new, SourceFile::title);
    let origin = files.first().map_or(0, SourceFile::origin);
    for file in files {
        let title = file.title();
        match file.content {
            Content::Markdown {
                front,
                is_lenient,
                body,
            } => {
                let origin = front.as_ref().map_or(body.line, |front| front.line);
                if is_lenient {
                    let detail = "the front matter is not YAML: it was read line by line; Claude Code itself skips such a file";
                    draft.changed(origin, detail);
                }
                let fields = front.map(SourceFields::of_any).unwrap_or_default();
                agents.extend(agent(draft, &title, fields, Some(body), origin));
            }
            Content::Tree(node) => {
                let Ok(by_name) = SourceFields::of(node) else {
                    continue;
                };
                for (name, node) in by_name.rest() {
                    let origin = node.line;
                    match SourceFields::of(node) {
                        Ok(fields) => agents.extend(agent(draft, &name, fields, None, origin)),
                        Err(other) => draft.not_kept(other.line, "is no agent"),
                    }
                }
            }
        }
    }
    let mut seen: Vec<String> = Vec::new();
    agents.retain(|agent| {
        let is_new = !seen.contains(&agent.name);
        if is_new {
            seen.push(agent.name.clone());
        } else {
            let why = format!(
                "there is another agent named {}, which Claude Code takes in its place",
                agent.name
            );
            draft.not_kept(agent.origin, why);
        }
        is_new
    });
    draft.add_team(DraftTeam {
        name: folder.unwrap_or(title),
        origin,
        description: None,
        settings: NodeMap::new(),
        agents,
        is_name_local: false,
    });
}

/// One agent. A file without a name and a description is none.
fn agent(
    draft: &mut Draft<'_>,
    title: &str,
    mut fields: SourceFields,
    body: Option<Node>,
    origin: usize,
) -> Option<AgentDraft> {
    let is_agent =
        body.is_none() || fields.get("name").is_some() || fields.get("description").is_some();
    if !is_agent {
        draft.not_kept(
            origin,
            "has neither a name nor a description, and is no agent",
        );
        return None;
    }
    let (name, at) = fields
        .filled_text("name")
        .unwrap_or_else(|| (title.to_owned(), origin));
    let mut agent = AgentDraft::new(&name, at);
    let description = fields.text("description");
    agent.describe(draft, description);
    let prompt = fields.text("prompt").or(body);
    let prompt = prompt.filter(|it| text_of(it).is_some_and(|text| !text.is_empty()));
    agent.set("system_prompt", prompt);
    model(draft, &mut agent, &mut fields);
    match fields.take("effort") {
        Some(
            effort @ Node {
                value: NodeValue::Text(_),
                ..
            },
        ) => {
            agent.setting(draft, "reasoning_effort", Some(effort));
        }
        Some(effort) => agent.keep(&["effort"], effort),
        None => {}
    }
    if let Some(skills) = names(&mut fields, "skills") {
        agent.set("skill_names", Some(skills));
    }
    claude_tools::servers(draft, &mut agent, &mut fields);
    claude_tools::tools(draft, &mut agent, &mut fields);
    if let Some(disallowed) = names(&mut fields, "disallowedTools") {
        agent.keep(&["disallowedTools"], disallowed);
    }
    agent.keep_all(&[], fields.rest());
    Some(agent)
}

fn model(draft: &mut Draft<'_>, agent: &mut AgentDraft, fields: &mut SourceFields) {
    let Some((name, at)) = fields.filled_text("model") else {
        return;
    };
    let name = name.trim();
    if ALIASES.contains(&name) {
        agent.keep(&["model"], text_at(name, at));
    }
    if name == "inherit" {
        let model = draft.models.given(name, &[]);
        if model.is_none() {
            let detail = "the model of the conversation, which no file names: the agent has none; --model 'inherit=PROVIDER/MODEL' gives it one";
            draft.models.choose(name, None, ChoiceKind::None, detail);
        }
        agent.set("model", model.map(|model| text_at(model, at)));
        return;
    }
    // All models of Claude Code are Claude's. `sonnet[1m]` asks for a long context.
    let bare = name.split('[').next().unwrap_or_default();
    if bare != name {
        agent.keep(&["model"], text_at(name, at));
    }
    let mut asked = AskedModel::parse(bare);
    if asked.provider.is_none() && (ALIASES.contains(&bare) || bare.starts_with("claude")) {
        asked.provider = Some("anthropic".to_owned());
    }
    let model = draft.model(&asked, NodeMap::new(), at);
    agent.set("model", model);
}

/// A list, or a text with commas in it.
pub(super) fn names(fields: &mut SourceFields, name: &str) -> Option<Node> {
    if let Some(list) = fields.texts(name) {
        return Some(list);
    }
    let text = fields.text(name)?;
    let line = text.line;
    let items = split(text_of(&text).unwrap_or_default());
    let items = items.into_iter().map(|item| text_at(item, line));
    Some(list_at(items.collect(), line))
}

/// The items of a text with commas, but for those in parentheses.
fn split(text: &str) -> Vec<String> {
    let (mut items, mut depth, mut item) = (Vec::new(), 0_usize, String::new());
    for character in text.chars() {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if character == ',' && depth == 0 {
            items.push(std::mem::take(&mut item));
        } else {
            item.push(character);
        }
    }
    items.push(item);
    let items = items.into_iter().map(|item| item.trim().to_owned());
    items.filter(|item| !item.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_in_parentheses_part_no_tools() {
        assert_eq!(
            split("Read, Bash(git diff, git log), Agent(a,b),"),
            ["Read", "Bash(git diff, git log)", "Agent(a,b)"]
        );
        assert!(split(" ").is_empty());
    }
}
