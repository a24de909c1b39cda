//! Tools as toolsets of Docker Agent.

use super::handles::{ExportReport, HandleView};
use crate::yaml::{Node, NodeMap, items_of, members_of, text_of};

/// The toolsets that Docker Agent brings along.
const TYPES: [&str; 15] = [
    "a2a",
    "api",
    "background_agents",
    "fetch",
    "filesystem",
    "lsp",
    "memory",
    "model_picker",
    "openapi",
    "script",
    "shell",
    "tasks",
    "think",
    "todo",
    "user_prompt",
];

/// The toolsets of an agent.
pub(super) fn toolsets(handle: &HandleView, report: &mut ExportReport) -> Vec<Node> {
    let tools = handle.items("tools").iter().filter_map(members_of);
    let toolset = |tool: &NodeMap| {
        let name = tool.get("name").and_then(text_of).unwrap_or_default();
        match tool.get("type").and_then(text_of) {
            Some("mcp") => server(handle, tool),
            Some("builtin") => builtin(handle, tool, name, report),
            _ => {
                report.add(
                    Some(handle.name()),
                    &format!("tools.{name}"),
                    "Docker Agent has no functions: their code is the runtime's",
                );
                None
            }
        }
    };
    tools
        .map(toolset)
        .collect::<Vec<_>>()
        .into_iter()
        .flatten()
        .map(Node::from)
        .collect()
}

fn builtin(
    handle: &HandleView,
    tool: &NodeMap,
    name: &str,
    report: &mut ExportReport,
) -> Option<NodeMap> {
    let config = tool.get("config").and_then(members_of);
    let own = config
        .and_then(|config| config.get("docker_agent"))
        .and_then(members_of);
    let mut own = own.cloned().unwrap_or_default();
    let original = own.shift_remove("name");
    // The second toolset of a type has a number.
    let kind = |name: &str| {
        let numbered = name.rsplit_once('.');
        let numbered = numbered.filter(|(_, number)| number.parse::<u32>().is_ok());
        numbered.map_or(name, |(kind, _)| kind).to_owned()
    };
    if name.starts_with("docker:") {
        // One of Docker's servers: the name in the settings is the one that the user gave to it.
        let mut toolset = NodeMap::from([
            ("type".to_owned(), "mcp".into()),
            ("ref".to_owned(), kind(name).as_str().into()),
        ]);
        toolset.extend(original.map(|it| ("name".to_owned(), it)));
        own.shift_remove("type");
        toolset.extend(own);
        return Some(toolset);
    }
    let name = original.as_ref().and_then(text_of).unwrap_or(name);
    let kind = kind(name);
    let kind = kind.as_str();
    if !TYPES.contains(&kind) {
        report.add(
            Some(handle.name()),
            &format!("tools.{name}"),
            "Docker Agent has no toolset of this type",
        );
        return None;
    }
    let mut toolset = NodeMap::from([("type".to_owned(), kind.into())]);
    toolset.extend(own);
    Some(toolset)
}

/// An MCP server. Docker Agent reads variables of its environment as `${X}`, and those of headers as `${env.X}`.
fn server(handle: &HandleView, tool: &NodeMap) -> Option<NodeMap> {
    let server = tool.get("server").and_then(members_of)?;
    let text = |field: &str| server.get(field).and_then(text_of);
    let name = text("name")?;
    let mut toolset = NodeMap::from([
        ("type".to_owned(), "mcp".into()),
        ("name".to_owned(), name.into()),
    ]);
    let has_members = |field: &str| {
        server
            .get(field)
            .filter(|it| members_of(it).is_some_and(|it| !it.is_empty()))
    };
    if let Some(command) = text("command") {
        toolset.insert("command".to_owned(), command.into());
        let args = server.get("args").filter(|it| !items_of(it).is_empty());
        toolset.extend(args.map(|it| ("args".to_owned(), it.clone())));
        toolset.extend(has_members("env").map(|it| ("env".to_owned(), it.clone())));
    } else {
        let transport = match text("transport") {
            Some("sse") => "sse",
            _ => "streamable",
        };
        let mut remote = NodeMap::from([
            ("url".to_owned(), text("url")?.into()),
            ("transport_type".to_owned(), transport.into()),
        ]);
        if let Some(headers) = has_members("headers").and_then(members_of) {
            let header = |(name, value): (&String, &Node)| {
                let value = text_of(value).unwrap_or_default().replace("${", "${env.");
                (name.clone(), value.as_str().into())
            };
            let headers: NodeMap = headers.iter().map(header).collect();
            remote.insert("headers".to_owned(), headers.into());
        }
        toolset.insert("remote".to_owned(), remote.into());
    }
    let allow = tool.get("allow").filter(|it| !items_of(it).is_empty());
    toolset.extend(allow.map(|it| ("tools".to_owned(), it.clone())));
    let kept = handle
        .at(&["metadata", "docker_agent", "mcp", name])
        .and_then(members_of);
    for (name, value) in kept.into_iter().flatten() {
        toolset.entry(name.clone()).or_insert_with(|| value.clone());
    }
    Some(toolset)
}
