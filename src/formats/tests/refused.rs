//! What is not stored, and what is not read.

use super::{AGENTS, COMPONENT, MEMORY, TEAM, convert_one, converted};
use crate::formats::ConvertOptions;

#[test]
fn secrets_are_not_stored_and_not_shown() {
    let key = format!("sk-ant-api03-{}", "Zq3vT9xKpL2mWc8RnY5b".repeat(4));
    let team = TEAM
        .replace("Be brief.", &format!("Use {key} for it."))
        .replace(
            "some_new_field: kept as it is",
            &format!("some_new_field: {{api_key: {key}}}"),
        )
        .replace("playwright-mcp", &format!("--key={key}"));
    let mut texts = vec![convert_one("team.yaml", &team)];
    let password = "https://user:Zq3vT9xKpL2m@llm.example.com/v1";
    let url = TEAM.replace("https://llm.example.com/v1", password);
    texts.push(convert_one("team.yaml", &url));
    texts.push(convert_one("component.json", COMPONENT));
    texts.push(convert_one("memory.af", MEMORY));
    for converted in &texts {
        let said = format!(
            "{}{}{}",
            converted.text(),
            converted.report,
            serde_json::to_string(&converted.report).expect("JSON")
        );
        for secret in [
            key.as_str(),
            "Zq3vT9xKpL2m@",
            "not-a-real-key",
            "literal-value",
            "a-value-of-it",
            "literal-token-of-web",
        ] {
            assert!(!said.contains(secret), "{secret}: {said}");
        }
    }
    let said = &texts[0].report.not_kept;
    let paths: Vec<&str> = said.iter().map(|it| it.path.as_str()).collect();
    for path in [
        "agents.root.instruction",
        "agents.writer.some_new_field.api_key",
        "agents.engineer.toolsets[2].args[1]",
    ] {
        assert!(paths.contains(&path), "{path}: {paths:?}");
    }
    assert!(
        texts[0]
            .json(&["agents", "0", "system_prompt"])
            .contains("Use ${REMOVED_SECRET} for it.")
    );
    assert_eq!(
        texts[2].json(&["providers", "0", "api_key_env"]),
        r#""AZURE_API_KEY""#
    );
    assert!(
        texts[3]
            .json(&["agents", "0", "metadata"])
            .contains(r#""secrets":["NOTES_TOKEN","EMPTY"]"#)
    );
}

#[test]
fn graphs_and_other_formats_are_refused_with_the_reason() {
    for (name, text, reason) in [
        (
            "a.yml",
            "app: {name: x, mode: workflow}\nkind: app\nworkflow: {graph: {nodes: [], edges: []}}",
            "a workflow of Dify, a graph",
        ),
        (
            "a.json",
            r#"{"provider": "autogen_agentchat.teams.GraphFlow", "component_type": "team", "config": {"participants": []}}"#,
            "GraphFlow, a graph",
        ),
        (
            "a.json",
            r#"{"nodes": [], "connections": {}}"#,
            "n8n, a graph",
        ),
        (
            "a.json",
            r#"{"data": {"nodes": [], "edges": []}}"#,
            "a graph",
        ),
        (
            "a.yaml",
            "methods: {begin: {start: true}, next: {listen: begin}}",
            "a flow of CrewAI, a graph",
        ),
        (
            "a.yaml",
            "apiVersion: kagent.dev/v1alpha2\nkind: Agent\nspec: {}",
            "a resource of kagent, which is not one of docker-agent, claude, crewai, autogen, letta",
        ),
        (
            "a.yaml",
            "apiVersion: ar.dev/v1alpha1\nkind: Agent",
            "a resource of agentregistry, which is not one of",
        ),
        (
            "a.yaml",
            "agent_class: LlmAgent\nname: a\ninstruction: b",
            "Google's Agent Development Kit, which is not one of",
        ),
        (
            "a.yaml",
            "kind: Prompt\nname: a\ninstructions: b",
            "Microsoft's Agent Framework, which is not one of",
        ),
        (
            "a.json",
            r#"{"name": "a", "url": "http://a", "skills": [], "capabilities": {}}"#,
            "an agent card of A2A, which is not one of",
        ),
        (
            "a.yaml",
            "kind: CircleRegistry\nversion: 1",
            "plan and apply take it as it is",
        ),
        (
            "a.yaml",
            "one: {description: a, expected_output: b}",
            "give its agents.yaml, too",
        ),
        (
            "a.yaml",
            "something: else",
            "is not one of docker-agent, claude, crewai, autogen, letta; if it is, say which with --from",
        ),
        ("a.txt", "just a text", "is not one of"),
        ("a.yaml", "a: [", "a.yaml:2: is not YAML"),
    ] {
        let error = converted(&[(name, text)], &ConvertOptions::default()).err();
        let error = error.unwrap_or_else(|| panic!("{text} was taken"));
        assert!(error.contains(reason), "{error}");
    }
    let both = [("team.yaml", TEAM), ("agents.yaml", AGENTS)];
    let error = converted(&both, &ConvertOptions::default())
        .err()
        .expect("two formats");
    assert!(
        error.contains("docker-agent") && error.contains("crewai"),
        "{error}"
    );
}
