//! Members as sub-agents of Claude Code: a file of Markdown each.

use super::{
    dto::{CircleFiles, ExportedFile},
    handles::{CircleJson, ExportReport, HandleView},
};
use crate::{
    error::Error,
    handles::released::damaged,
    yaml::{self, Node, NodeMap, NodeValue, items_of, members_of, text_of},
};

const NO_FIELD: &str = "Claude Code has no field for it";

/// What means something to Claude Code only, and is written as it was read.
const FIELDS: [&str; 11] = [
    "disallowedTools",
    "permissionMode",
    "maxTurns",
    "hooks",
    "memory",
    "background",
    "isolation",
    "color",
    "initialPrompt",
    "omitClaudeMd",
    "experimental",
];
/// The words of Claude Code for models.
const ALIASES: [&str; 5] = ["fable", "haiku", "inherit", "opus", "sonnet"];
const EFFORTS: [&str; 5] = ["low", "medium", "high", "xhigh", "max"];

pub(super) fn write(handles: &[u8]) -> Result<CircleFiles, Error> {
    let circle: CircleJson<'_> = serde_json::from_slice(handles).map_err(damaged)?;
    let mut report = ExportReport::default();
    let mut files: Vec<ExportedFile> = Vec::new();
    for json in &circle.handles {
        let view = HandleView::parse(json)?;
        let base = file_name(view.name());
        let (mut name, mut number) = (base.clone(), 1);
        while files.iter().any(|file| file.path == format!("{name}.md")) {
            number += 1;
            name = format!("{base}-{number}");
        }
        if name != view.name() {
            let detail = format!("names are lower-case letters, digits and hyphens: {name}");
            report.add(Some(view.name()), "agent_name", detail);
        }
        let front = front_matter(&view, &name, &mut report);
        let prompt = view.prompt(&["default", "agent_skills"]);
        files.push(ExportedFile {
            path: format!("{name}.md"),
            content: format!("---\n{}---\n\n{prompt}\n", yaml::to_yaml(&front.into())),
        });
    }
    if let Some(settings) = members_of(&Node::parse(circle.settings.get()).map_err(damaged)?) {
        for name in settings.keys() {
            let detail = match name.as_str() {
                "instructions" => "they are part of each prompt",
                _ => NO_FIELD,
            };
            report.add(None, &format!("settings.{name}"), detail);
        }
    }
    Ok(CircleFiles {
        files,
        report: report.into_remarks(),
    })
}

/// A name as Claude Code has them.
fn file_name(name: &str) -> String {
    let mut file_name = String::new();
    for character in name.chars() {
        if character.is_ascii_alphanumeric() {
            file_name.push(character.to_ascii_lowercase());
        } else if !file_name.is_empty() && !file_name.ends_with('-') {
            file_name.push('-');
        }
    }
    file_name.truncate(200);
    let file_name = file_name.trim_end_matches('-');
    if file_name.is_empty() {
        "agent"
    } else {
        file_name
    }
    .to_owned()
}

fn front_matter(view: &HandleView, name: &str, report: &mut ExportReport) -> NodeMap {
    let mut front = NodeMap::from([("name".to_owned(), name.into())]);
    let description = view
        .text("agent_description")
        .or_else(|| view.text("agent_role"));
    if description.is_none() {
        report.add(
            Some(view.name()),
            "agent_description",
            "Claude Code needs one: the name takes its place",
        );
    }
    front.insert(
        "description".to_owned(),
        description.unwrap_or(view.name()).into(),
    );
    let inherits = view.at(&["metadata", "claude", "tools"]).and_then(text_of) == Some("inherit");
    let tools = tools(view, report);
    if !inherits || !tools.is_empty() {
        front.insert("tools".to_owned(), tools.into());
    }
    let servers = servers(view);
    if !servers.is_empty() {
        front.insert("mcpServers".to_owned(), servers.into());
    }
    model(view, &mut front, report);
    let skills = view.get("skill_names").cloned();
    front.extend(skills.map(|it| ("skills".to_owned(), it)));
    metadata(view, &mut front, report);
    let others = [
        "competencies",
        "can_review",
        "permissions",
        "traits",
        "languages",
        "communication_style",
        "temperature",
        "max_tokens",
        "fallbacks",
    ];
    report.add_all(view, &others, NO_FIELD);
    if view.text("role") == Some("lead") {
        report.add(
            Some(view.name()),
            "role",
            "Claude Code's sub-agents are all alike",
        );
    }
    if view.get("agent_role").is_some() && view.get("agent_description").is_some() {
        report.add(Some(view.name()), "agent_role", NO_FIELD);
    }
    front
}

fn tools(view: &HandleView, report: &mut ExportReport) -> Vec<Node> {
    let mut tools: Vec<Node> = Vec::new();
    for tool in view.items("tools").iter().filter_map(members_of) {
        let name = tool.get("name").and_then(text_of).unwrap_or_default();
        match tool.get("type").and_then(text_of) {
            Some("mcp") => {
                let server = tool.get("server").and_then(members_of);
                let server = server
                    .and_then(|it| text_of(it.get("name")?))
                    .unwrap_or_default();
                let allow = tool.get("allow").map(items_of).unwrap_or_default();
                if allow.is_empty() {
                    tools.push(format!("mcp__{server}").as_str().into());
                }
                let allowed = allow
                    .iter()
                    .filter_map(text_of)
                    .map(|it| format!("mcp__{server}__{it}"));
                tools.extend(allowed.map(|it| it.as_str().into()));
            }
            Some("builtin") => {
                let config = tool.get("config").and_then(members_of);
                let own = config.and_then(|it| it.get("claude")).and_then(members_of);
                let name = own.and_then(|it| text_of(it.get("name")?)).unwrap_or(name);
                let is_theirs = own.is_some()
                    || name.starts_with(|it: char| it.is_ascii_uppercase())
                    || name.starts_with("mcp__");
                if !is_theirs || config.is_some_and(|it| it.keys().any(|key| key != "claude")) {
                    report.add(
                        Some(view.name()),
                        &format!("tools.{name}"),
                        "it is a tool of another system",
                    );
                    continue;
                }
                let rules = own
                    .and_then(|it| it.get("rules"))
                    .map(items_of)
                    .unwrap_or_default();
                if rules.is_empty() {
                    tools.push(name.into());
                }
                let with_rules = rules
                    .iter()
                    .filter_map(text_of)
                    .map(|it| format!("{name}({it})"));
                tools.extend(with_rules.map(|it| it.as_str().into()));
            }
            _ => report.add(
                Some(view.name()),
                &format!("tools.{name}"),
                "Claude Code has no functions: their code is the runtime's",
            ),
        }
    }
    tools
}

/// The MCP servers of the agent's tools, as Claude Code connects to them.
fn servers(view: &HandleView) -> NodeMap {
    let mut servers = NodeMap::new();
    for tool in view.items("tools").iter().filter_map(members_of) {
        let Some(server) = tool.get("server").and_then(members_of) else {
            continue;
        };
        let Some(name) = server.get("name").and_then(text_of) else {
            continue;
        };
        let kind = match server.get("transport").and_then(text_of) {
            Some("streamable_http") => "http",
            Some(other) => other,
            None => "stdio",
        };
        let mut entry = NodeMap::from([("type".to_owned(), kind.into())]);
        for field in ["command", "args", "env", "url", "headers"] {
            let says_something = |node: &&Node| match &node.value {
                NodeValue::Null => false,
                NodeValue::List(items) => !items.is_empty(),
                NodeValue::Map(members) => !members.is_empty(),
                _ => true,
            };
            let value = server.get(field).filter(says_something);
            entry.extend(value.map(|it| (field.to_owned(), it.clone())));
        }
        let kept = view
            .at(&["metadata", "claude", "mcp", name])
            .and_then(members_of);
        for (field, value) in kept.into_iter().flatten() {
            entry.entry(field.clone()).or_insert_with(|| value.clone());
        }
        servers.insert(name.to_owned(), entry.into());
    }
    servers
}

fn model(view: &HandleView, front: &mut NodeMap, report: &mut ExportReport) {
    let word = view.at(&["metadata", "claude", "model"]).and_then(text_of);
    let model = view.text("model");
    let is_claude = model.is_some_and(|it| it.contains("claude"));
    let is_word = |it: &&str| ALIASES.contains(it) || it.contains('[');
    match (word.filter(is_word), model) {
        (Some(word), _) => drop(front.insert("model".to_owned(), word.into())),
        (None, Some(model)) if is_claude => drop(front.insert("model".to_owned(), model.into())),
        (None, Some(model)) => {
            let detail = format!(
                "Claude Code has no {model}: the agent inherits the model of the conversation"
            );
            report.add(Some(view.name()), "model", detail);
        }
        (None, None) => {}
    }
    let params = view.get("params").and_then(members_of);
    for (name, value) in params.into_iter().flatten() {
        match (name.as_str(), text_of(value)) {
            _ if value.value == NodeValue::Null => {}
            ("reasoning_effort", Some(effort)) if EFFORTS.contains(&effort) => {
                front.insert("effort".to_owned(), effort.into());
            }
            _ => report.add(Some(view.name()), &format!("params.{name}"), NO_FIELD),
        }
    }
    if let Some(effort) = view.at(&["metadata", "claude", "effort"]) {
        front.insert("effort".to_owned(), effort.clone());
    }
}

fn metadata(view: &HandleView, front: &mut NodeMap, report: &mut ExportReport) {
    let metadata = view.get("metadata").and_then(members_of);
    for (system, value) in metadata.into_iter().flatten() {
        if system != "claude" {
            report.add(Some(view.name()), &format!("metadata.{system}"), NO_FIELD);
            continue;
        }
        for (field, value) in members_of(value).into_iter().flatten() {
            let is_placed = matches!(
                field.as_str(),
                "tools" | "model" | "effort" | "mcp" | "file"
            );
            if FIELDS.contains(&field.as_str()) {
                front.insert(field.clone(), value.clone());
            } else if !is_placed {
                report.add(
                    Some(view.name()),
                    &format!("metadata.claude.{field}"),
                    NO_FIELD,
                );
            }
        }
    }
}
