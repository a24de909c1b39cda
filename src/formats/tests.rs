//! Nothing of a file is lost unsaid: each value is in the document, or the report names it.

mod refused;

use std::{fs, path::PathBuf};

use tempfile::TempDir;

use super::{
    ConvertOptions, ModelTable, SourceFormat, convert,
    report::{ChoiceKind, ImportRemark, ImportReport},
    sources,
};
use crate::yaml::{Node, NodeValue, items_of, members_of, text_of};

const TEAM: &str = include_str!("samples/team.yaml");
const REVIEWER: &str = include_str!("samples/reviewer.md");
const PRIVACY: &str = include_str!("samples/privacy.md");
const AGENTS: &str = include_str!("samples/agents.yaml");
const CREW: &str = include_str!("samples/crew/crew.jsonc");
const EDITOR: &str = include_str!("samples/crew/agents/editor.jsonc");
const COMPONENT: &str = include_str!("samples/component.json");
const MEMORY: &str = include_str!("samples/memory.af");

struct Converted {
    document: Node,
    report: ImportReport,
}

/// Converts files that have these texts, without a catalogue.
fn converted(files: &[(&str, &str)], options: &ConvertOptions) -> Result<Converted, String> {
    let folder = TempDir::new().expect("a folder");
    let paths: Vec<PathBuf> = files
        .iter()
        .map(|(name, text)| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(&path, text).expect("a file");
            path
        })
        .collect();
    let converted = convert(&paths, None, options);
    converted
        .map(|(document, report)| Converted { document, report })
        .map_err(|error| error.to_string())
}

fn convert_one(name: &str, text: &str) -> Converted {
    converted(&[(name, text)], &ConvertOptions::default()).expect(name)
}

impl Converted {
    fn at(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(&self.document, |node, key| {
            key.parse::<usize>().map_or_else(
                |_| members_of(node)?.get(*key),
                |index| items_of(node).get(index),
            )
        })
    }

    fn json(&self, path: &[&str]) -> String {
        let node = self.at(path);
        let node = node.unwrap_or_else(|| panic!("{path:?} in {}", self.text()));
        serde_json::to_string(node).expect("JSON")
    }

    fn text(&self) -> String {
        serde_json::to_string(&self.document).expect("JSON")
    }

    fn remarks(&self) -> impl Iterator<Item = &ImportRemark> {
        let ImportReport {
            not_kept, changed, ..
        } = &self.report;
        not_kept.iter().chain(changed)
    }
}

/// The values of a tree that have no values in them, with their paths as reports have them.
fn leaves(node: &Node, path: &str, found: &mut Vec<(String, String)>) {
    match &node.value {
        NodeValue::Null => {}
        NodeValue::List(items) => {
            for (index, item) in items.iter().enumerate() {
                leaves(item, &format!("{path}[{index}]"), found);
            }
        }
        NodeValue::Map(members) => {
            for (name, member) in members {
                let dot = if path.is_empty() { "" } else { "." };
                leaves(member, &format!("{path}{dot}{name}"), found);
            }
        }
        NodeValue::Text(text) => found.push((path.to_owned(), text.trim().to_owned())),
        NodeValue::Number(digits) => found.push((path.to_owned(), digits.clone())),
        NodeValue::Bool(value) => found.push((path.to_owned(), value.to_string())),
    }
}

/// What the file's own structure says, which the document says in its own way.
const STRUCTURE: [&str; 13] = [
    "type",
    "transport_type",
    "api_type",
    "id",
    "provider",
    "component_type",
    "server_type",
    "tool_type",
    "model_endpoint_type",
    "handle",
    "ref",
    "agent",
    "model_endpoint",
];

#[track_caller]
fn nothing_is_lost_unsaid(source: &Node, converted: &Converted) {
    let mut found = Vec::new();
    leaves(source, "", &mut found);
    let mut texts = Vec::new();
    leaves(&converted.document, "", &mut texts);
    // A reference to a variable has one form in documents.
    let squeezed = |text: &str| {
        let text = text.replace("${env.", "${");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let texts: Vec<String> = texts
        .iter()
        .map(|(path, text)| squeezed(&format!("{path} {text}")))
        .collect();
    for (path, text) in found {
        let is_said = converted
            .remarks()
            .any(|it| path.starts_with(&it.path) && !it.path.is_empty());
        let last = path.rsplit('.').next().unwrap_or_default();
        let last = last.split('[').next().unwrap_or_default();
        // Tools of a sub-agent are a list in a text, with rules in brackets and the servers before the names.
        let parts = if path == "tools" {
            text.split([',', '(', ')']).collect()
        } else {
            vec![text.as_str()]
        };
        let is_kept = parts.iter().all(|part| {
            let part = squeezed(part.rsplit("__").next().unwrap_or_default());
            texts.iter().any(|it| it.contains(&part))
        });
        let is_reference =
            path.contains("_ids[") || path.ends_with("_agent_id") || STRUCTURE.contains(&last);
        assert!(
            is_said || is_kept || is_reference,
            "{path}: {text:?} is lost\n{}\n{}",
            converted.report,
            converted.text()
        );
    }
}

#[test]
fn each_value_of_a_file_is_in_the_document_or_in_the_report() {
    for (name, text) in [
        ("team.yaml", TEAM),
        ("agents.yaml", AGENTS),
        ("component.json", COMPONENT),
        ("memory.af", MEMORY),
    ] {
        let source = sources::parse(text).expect(name);
        nothing_is_lost_unsaid(&source[0], &convert_one(name, text));
    }
    let crew = [("crew.jsonc", CREW), ("agents/editor.jsonc", EDITOR)];
    let both = converted(&crew[..], &ConvertOptions::default()).expect("a crew");
    let one = {
        let folder = TempDir::new().expect("a folder");
        fs::create_dir(folder.path().join("agents")).expect("a folder");
        for (name, text) in crew {
            fs::write(folder.path().join(name), text).expect("a file");
        }
        let (document, report) = convert(
            &[folder.path().join("crew.jsonc")],
            None,
            &ConvertOptions::default(),
        )
        .expect("a crew");
        Converted { document, report }
    };
    assert_eq!(
        one.document, both.document,
        "a crew finds its agents' files"
    );
    for (_, text) in crew {
        nothing_is_lost_unsaid(&sources::parse(text).expect("JSON with comments")[0], &both);
    }
    for (name, text) in [("reviewer.md", REVIEWER), ("privacy.md", PRIVACY)] {
        let markdown = super::front_matter::read(text);
        let converted = convert_one(name, text);
        nothing_is_lost_unsaid(&markdown.front.expect("front matter"), &converted);
        assert!(
            converted
                .text()
                .contains(text_of(&markdown.body).expect("a text"))
        );
    }
}

#[test]
fn a_team_of_docker_agent_is_a_circle() {
    let team = convert_one("team.yaml", TEAM);
    assert_eq!(team.json(&["circles", "0", "name"]), r#""team""#);
    assert_eq!(
        team.json(&["circles", "0", "description"]),
        r#""Plans and builds""#
    );
    assert_eq!(
        team.json(&["circles", "0", "members"]),
        r#"[{"agent":"docker_agent:team/root","role":"lead","permissions":{"docker_agent":{"sub_agents":["engineer","writer"]}}},{"agent":"docker_agent:team/engineer","permissions":{"docker_agent":{"handoffs":["root"]}}},{"agent":"docker_agent:team/writer"}]"#
    );
    assert_eq!(
        team.json(&["agents", "0", "params"]),
        r#"{"thinking_budget":4096,"seed":7}"#
    );
    assert_eq!(
        team.json(&["agents", "0", "fallback_models"]),
        r#"["openai/gpt-4o"]"#
    );
    assert_eq!(
        team.json(&["agents", "1", "temperature"]),
        "0.3",
        "of its provider"
    );
    assert_eq!(
        team.json(&["agents", "1", "model"]),
        r#""gateway/gpt-4o-mini""#
    );
    assert_eq!(
        team.json(&["mcp_servers", "1"]),
        r#"{"name":"browser","transport":"stdio","command":"npx","args":["-y","playwright-mcp"],"env":{"PROXY":"${HTTPS_PROXY}","MODE":"${MODE}"}}"#
    );
    assert_eq!(
        team.json(&["mcp_servers", "0", "headers"]),
        r#"{"Authorization":"Bearer ${DOCS_TOKEN}","X-Team":"${SHARED_DOCS_X_TEAM}"}"#
    );
    let tools = team.json(&["agents", "1", "tools"]);
    assert!(tools.contains(r#""name":"shell.2""#), "{tools}");
    let unused = team
        .report
        .not_kept
        .iter()
        .find(|it| it.path == "models.never");
    assert!(
        unused.is_some_and(|it| it.line == Some(25)),
        "{}",
        team.report
    );
    let kinds: Vec<ChoiceKind> = team.report.models.iter().map(|it| it.how).collect();
    assert!(
        kinds.iter().all(|it| *it == ChoiceKind::Described),
        "{kinds:?}"
    );
}

#[test]
fn a_single_agent_makes_no_circle_unless_it_is_named() {
    let agent = convert_one("reviewer.md", REVIEWER);
    assert!(agent.at(&["circles"]).is_none(), "{}", agent.text());
    assert_eq!(
        agent.json(&["agents", "0", "external_id"]),
        r#""claude:code-reviewer""#
    );
    assert_eq!(
        agent.json(&["agents", "0", "tools"]),
        r#"[{"type":"mcp","server":"tracker","allow":["get_issue"]},{"type":"builtin","name":"Read"},{"type":"builtin","name":"Bash","config":{"claude":{"rules":["git diff, git log"]}}}]"#
    );
    let options = ConvertOptions {
        circle: Some("reviews".to_owned()),
        ..ConvertOptions::default()
    };
    let circle = converted(
        &[("reviewer.md", REVIEWER), ("privacy.md", PRIVACY)],
        &options,
    )
    .expect("a circle");
    assert_eq!(circle.json(&["circles", "0", "name"]), r#""reviews""#);
    let lenient = circle
        .report
        .changed
        .iter()
        .any(|it| it.detail.contains("not YAML") && it.file.ends_with("privacy.md"));
    assert!(lenient, "{}", circle.report);
    assert_eq!(
        circle.json(&["agents", "1", "description"]),
        r#""Reviews privacy. Triggers on: 'consent', 'erasure'.""#
    );
}

#[test]
fn an_agent_file_may_be_encoded_twice() {
    let once = convert_one("memory.af", MEMORY);
    let encoded = serde_json::to_string(MEMORY).expect("JSON");
    let twice = convert_one("memory.af", &encoded);
    assert_eq!(once.document, twice.document);
    assert_eq!(
        once.json(&["circles", "0", "members", "0", "role"]),
        r#""lead""#
    );
    assert_eq!(once.json(&["providers", "1", "is_local"]), "true");
    assert_eq!(
        once.json(&["mcp_servers", "0", "headers"]),
        r#"{"Authorization":"${WEB_AUTHORIZATION}"}"#
    );
}

#[test]
fn a_format_that_is_named_is_not_detected() {
    let text = "agents:\n  a: {instruction: Be kind.}\n";
    let options = |from| ConvertOptions {
        from: Some(from),
        ..ConvertOptions::default()
    };
    let docker =
        converted(&[("x.txt", text)], &options(SourceFormat::DockerAgent)).expect("a team");
    assert_eq!(
        docker.json(&["agents", "0", "external_id"]),
        r#""docker_agent:x/a""#
    );
    let claude = converted(
        &[("x.md", "No front matter.")],
        &options(SourceFormat::Claude),
    );
    assert_eq!(
        claude.err().as_deref(),
        Some("there is no agent in the files")
    );
}

#[test]
fn the_user_says_what_names_of_models_stand_for() {
    let mut models = ModelTable::default();
    models.extend(
        [
            "gateway/gpt-4o-mini=acme/small",
            "claude-sonnet-4-5=acme/large",
        ]
        .map(|it| it.parse().expect("a pair")),
    );
    let options = ConvertOptions {
        models,
        owner: Some("team-a".to_owned()),
        ..ConvertOptions::default()
    };
    let team = converted(&[("team.yaml", TEAM)], &options).expect("a team");
    assert_eq!(team.json(&["owner"]), r#""team-a""#);
    let models: Vec<String> = ["0", "1"]
        .map(|it| team.json(&["agents", it, "model"]))
        .to_vec();
    assert_eq!(models, [r#""acme/large""#, r#""acme/small""#]);
    let given = team
        .report
        .models
        .iter()
        .filter(|it| it.how == ChoiceKind::Given)
        .count();
    assert_eq!(given, 2, "{}", team.report);
}
