//! A circle as a configuration of Docker Agent, as its schema of version 7 has it.

use std::{collections::HashSet, fmt::Write as _};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    docker_models::DockerModels,
    docker_tools,
    dto::{CircleFiles, ExportedFile},
    handles::{CircleJson, ExportReport, HandleView},
};
use crate::{
    error::Error,
    handles::released::damaged,
    text::one_line,
    yaml::{self, Node, NodeMap, items_of, members_of, text_of},
};

/// What means something to Docker Agent only, and is written as it was read.
const FIELDS: [&str; 10] = [
    "welcome_message",
    "code_mode_tools",
    "add_date",
    "add_environment_info",
    "max_iterations",
    "num_history_items",
    "add_prompt_files",
    "commands",
    "add_description_parameter",
    "hooks",
];
/// What is placed elsewhere.
const PLACED: [&str; 6] = [
    "model",
    "fallback",
    "mcp",
    "structured_output",
    "skills",
    "instruction_file",
];
const NO_FIELD: &str = "Docker Agent has no field for it";
const NO_SCHEMA: &str = "the schema that this is written for (version 7) has no field for it";

pub(super) fn write(team: &[u8], handles: &[u8]) -> Result<CircleFiles, Error> {
    let circle: CircleJson<'_> = serde_json::from_slice(handles).map_err(damaged)?;
    let mut report = ExportReport::default();
    let mut models = DockerModels::default();
    let (names, is_linked) = unique_names(&circle, &mut report)?;
    let mut agents = NodeMap::new();
    for (index, json) in circle.handles.iter().enumerate() {
        let view = HandleView::parse(json)?;
        let mut agent = agent(&view, &names, &mut models, &mut report);
        if index == 0 && !is_linked && names.len() > 1 {
            // Without links, a user would reach the first agent alone.
            let others = names[1..].iter().map(|name| name.as_str().into());
            let others: Vec<Node> = others.collect();
            agent.insert("sub_agents".to_owned(), others.into());
            let detail =
                "no member says whom it works with: the first one may give work to all others";
            report.add(Some(view.name()), "sub_agents", detail);
        }
        agents.insert(names[index].clone(), agent.into());
    }
    let mut config = NodeMap::new();
    top(team, &circle, &mut config, &mut report)?;
    for (name, entries) in [
        ("providers", models.providers),
        ("models", models.models),
        ("agents", agents),
    ] {
        if !entries.is_empty() {
            config.insert(name.to_owned(), entries.into());
        }
    }
    let report = report.into_remarks();
    let mut content = format!("# Circle {}, as circle-registry has it.\n", circle.circle);
    for remark in &report {
        // Writing to a string does not fail.
        let _ = writeln!(content, "# not kept: {}", one_line(&remark.to_string()));
    }
    content.push_str(&yaml::to_yaml(&config.into()));
    let path = format!("{}.yaml", circle.circle);
    Ok(CircleFiles {
        files: vec![ExportedFile { path, content }],
        report,
    })
}

/// Names of agents need not be unique in a circle; in a configuration they are. And whether any agent says whom it works with.
fn unique_names(
    circle: &CircleJson<'_>,
    report: &mut ExportReport,
) -> Result<(Vec<String>, bool), Error> {
    let mut names: Vec<String> = Vec::with_capacity(circle.handles.len());
    let mut taken: HashSet<String> = HashSet::new();
    let mut is_linked = false;
    for json in &circle.handles {
        let view = HandleView::parse(json)?;
        let links = ["sub_agents", "handoffs"];
        let link = |field: &&str| view.at(&["permissions", "docker_agent", field]).is_some();
        is_linked |= links.iter().any(link);
        let (base, mut number) = (view.name(), 1);
        let mut unique = base.to_owned();
        while !taken.insert(unique.clone()) {
            number += 1;
            unique = format!("{base} {number}");
        }
        if unique != base {
            report.add(
                Some(base),
                "agent_name",
                format!("another agent has this name: this one is {unique}"),
            );
        }
        names.push(unique);
    }
    Ok((names, is_linked))
}

fn agent(
    view: &HandleView,
    names: &[String],
    models: &mut DockerModels,
    report: &mut ExportReport,
) -> NodeMap {
    let name = view.name();
    let mut agent = NodeMap::new();
    agent.extend(
        models
            .of_agent(view, report)
            .map(|it| ("model".to_owned(), it)),
    );
    if agent.is_empty() {
        report.add(
            Some(name),
            "model",
            "the agent has none, and Docker Agent needs one",
        );
    }
    agent.extend(
        view.get("agent_description")
            .map(|it| ("description".to_owned(), it.clone())),
    );
    let prompt = view.prompt(&["default"]);
    if !prompt.is_empty() {
        agent.insert("instruction".to_owned(), prompt.as_str().into());
    }
    links(view, names, &mut agent, report);
    let toolsets = docker_tools::toolsets(view, report);
    if !toolsets.is_empty() {
        agent.insert("toolsets".to_owned(), toolsets.into());
    }
    fallback(view, models, &mut agent, report);
    structured_output(view, &mut agent, report);
    metadata(view, &mut agent, report);
    report.add_all(
        view,
        &[
            "agent_role",
            "competencies",
            "can_review",
            "traits",
            "languages",
            "communication_style",
        ],
        NO_FIELD,
    );
    if view.get("skill_names").is_some() {
        report.add(Some(name), "skill_names", "they are part of the prompt");
    }
    for omitted in view.items("omitted").iter().filter_map(members_of) {
        let field = omitted.get("name").and_then(text_of).unwrap_or_default();
        report.add(Some(name), field, "the model would reject it");
    }
    agent
}

/// Whom an agent gives work to.
fn links(view: &HandleView, names: &[String], agent: &mut NodeMap, report: &mut ExportReport) {
    let name = view.name();
    let permissions = view.get("permissions").and_then(members_of);
    for (system, value) in permissions.into_iter().flatten() {
        if system != "docker_agent" {
            report.add(Some(name), &format!("permissions.{system}"), NO_FIELD);
            continue;
        }
        for (field, value) in members_of(value).into_iter().flatten() {
            if !matches!(field.as_str(), "sub_agents" | "handoffs") {
                report.add(
                    Some(name),
                    &format!("permissions.docker_agent.{field}"),
                    NO_SCHEMA,
                );
                continue;
            }
            // A reference to another file or an image names no member.
            let is_known = |it: &&Node| {
                text_of(it).is_some_and(|it| {
                    names.iter().any(|name| name == it) || it.contains(['/', ':'])
                })
            };
            let known: Vec<Node> = items_of(value).iter().filter(is_known).cloned().collect();
            if known.len() < items_of(value).len() {
                report.add(
                    Some(name),
                    &format!("permissions.docker_agent.{field}"),
                    "it names agents that are no members",
                );
            }
            if !known.is_empty() {
                agent.insert(field.clone(), known.into());
            }
        }
    }
}

fn fallback(
    view: &HandleView,
    models: &mut DockerModels,
    agent: &mut NodeMap,
    report: &mut ExportReport,
) {
    let name = view.name();
    let found: Vec<Node> = view
        .items("fallbacks")
        .iter()
        .filter_map(|it| models.of_fallback(it, name, report))
        .collect();
    let mut fallback = NodeMap::new();
    if !found.is_empty() {
        fallback.insert("models".to_owned(), found.into());
    }
    let kept = view
        .at(&["metadata", "docker_agent", "fallback"])
        .and_then(members_of);
    for field in ["retries", "cooldown"] {
        fallback.extend(
            kept.and_then(|it| it.get(field))
                .map(|it| (field.to_owned(), it.clone())),
        );
    }
    if !fallback.is_empty() {
        agent.insert("fallback".to_owned(), fallback.into());
    }
}

/// Output that keeps to a JSON Schema.
fn structured_output(view: &HandleView, agent: &mut NodeMap, report: &mut ExportReport) {
    let Some(format) = view.at(&["params", "response_format"]) else {
        return;
    };
    let schema = view
        .at(&["params", "response_format", "json_schema"])
        .and_then(members_of);
    let is_object = |schema: &&NodeMap| {
        let inner = schema.get("schema").and_then(members_of);
        inner.is_some_and(|it| {
            it.get("type").and_then(text_of) == Some("object") && it.contains_key("properties")
        })
    };
    let Some(schema) = schema.filter(is_object) else {
        let kind = members_of(format)
            .and_then(|it| text_of(it.get("type")?))
            .unwrap_or_default();
        report.add(
            Some(view.name()),
            "params.response_format",
            format!("Docker Agent takes JSON Schemas of objects, and not {kind:?}"),
        );
        return;
    };
    let mut output = NodeMap::from([("name".to_owned(), "output".into())]);
    for field in ["name", "description", "strict", "schema"] {
        output.extend(schema.get(field).map(|it| (field.to_owned(), it.clone())));
    }
    agent.insert("structured_output".to_owned(), output.into());
}

fn metadata(view: &HandleView, agent: &mut NodeMap, report: &mut ExportReport) {
    let name = view.name();
    let metadata = view.get("metadata").and_then(members_of);
    for (system, value) in metadata.into_iter().flatten() {
        if system != "docker_agent" {
            report.add(Some(name), &format!("metadata.{system}"), NO_FIELD);
            continue;
        }
        for (field, value) in members_of(value).into_iter().flatten() {
            match field.as_str() {
                field if FIELDS.contains(&field) => {
                    agent.insert(field.to_owned(), value.clone());
                }
                "skills" if members_of(value).is_none() && items_of(value).is_empty() => {
                    agent.insert(field.clone(), value.clone());
                }
                "file" => {}
                field if PLACED.contains(&field) && field != "skills" => {}
                _ => report.add(
                    Some(name),
                    &format!("metadata.docker_agent.{field}"),
                    NO_SCHEMA,
                ),
            }
        }
    }
}

/// What the configuration says of itself.
fn top(
    team: &[u8],
    circle: &CircleJson<'_>,
    config: &mut NodeMap,
    report: &mut ExportReport,
) -> Result<(), Error> {
    #[derive(Deserialize)]
    struct TeamHead<'t> {
        #[serde(borrow)]
        circle: &'t RawValue,
    }
    #[derive(Deserialize)]
    struct CircleHead {
        description: Option<String>,
    }
    let team: TeamHead<'_> = serde_json::from_slice(team).map_err(damaged)?;
    let CircleHead { description } = serde_json::from_str(team.circle.get()).map_err(damaged)?;
    let settings = Node::parse(circle.settings.get()).map_err(damaged)?;
    let mut metadata = NodeMap::new();
    for (system, value) in members_of(&settings).into_iter().flatten() {
        match system.as_str() {
            "docker_agent" => {
                for (field, value) in members_of(value).into_iter().flatten() {
                    match field.as_str() {
                        "metadata" => {
                            metadata.extend(members_of(value).cloned().unwrap_or_default());
                        }
                        "permissions" => drop(config.insert(field.clone(), value.clone())),
                        "version" => report.add(
                            None,
                            "settings.docker_agent.version",
                            "the file is written for the current version",
                        ),
                        _ => report.add(None, &format!("settings.docker_agent.{field}"), NO_SCHEMA),
                    }
                }
            }
            "instructions" => report.add(
                None,
                "settings.instructions",
                "they are part of each prompt",
            ),
            _ => report.add(None, &format!("settings.{system}"), NO_FIELD),
        }
    }
    metadata.extend(description.map(|it| ("description".to_owned(), it.as_str().into())));
    let allowed = ["author", "license", "readme", "description", "version"];
    let others: Vec<String> = metadata
        .keys()
        .filter(|it| !allowed.contains(&it.as_str()))
        .cloned()
        .collect();
    for field in others {
        metadata.shift_remove(&field);
        report.add(
            None,
            &format!("settings.docker_agent.metadata.{field}"),
            NO_SCHEMA,
        );
    }
    if !metadata.is_empty() {
        config.insert("metadata".to_owned(), metadata.into());
    }
    Ok(())
}
