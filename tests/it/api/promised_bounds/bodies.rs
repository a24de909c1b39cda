//! The largest bodies that the other bounds allow.

use serde_json::{Map, Value, json};

/// The number of agents with the largest prompts, and of all agents.
pub(super) const LARGE_AGENTS: i64 = 14;
pub(super) const AGENTS: i64 = 200;
/// The number of agents in a release.
pub(super) const PUBLISHED: usize = 3;
/// More rows than SQLite's driver reads ahead.
pub(super) const READ_AHEAD: usize = 70;

/// The longest prompt, in a script that makes it as large as a body may be.
pub(super) fn long_prompt() -> String {
    "团".repeat(500_000)
}

pub(super) fn wide_text(characters: usize) -> String {
    "é".repeat(characters)
}

/// As many values as a body may have, and as deep as they may be.
pub(super) fn wide_json() -> Value {
    let deep = (0..100).fold(json!(1), |value, _| json!([value]));
    json!({"wide": vec![json!({"a": 1}); 24_000], "deep": deep, "text": wide_text(800_000)})
}

pub(super) fn words() -> Vec<String> {
    (0..100)
        .map(|word| format!("{word:03}{}", wide_text(197)))
        .collect()
}

pub(super) fn provider(name: &str) -> Value {
    json!({
        "name": name, "api_type": "openai", "display_name": wide_text(200), "config": wide_json(),
        "base_url": format!("https://{}.example", "x".repeat(2000))
    })
}

pub(super) fn model(name: &str) -> Value {
    let alias = wide_text(255);
    json!({"provider_id": 1, "model_name": format!("{name}{}", wide_text(240)), "model_alias": alias})
}

pub(super) fn mcp_server(name: &str) -> Value {
    let env: Vec<String> = (0..100)
        .map(|number| format!("{}{number}", "N".repeat(250)))
        .collect();
    let env: Map<String, Value> = env
        .into_iter()
        .map(|name| (name, "X".repeat(200).into()))
        .collect();
    json!({
        "name": name, "transport": "stdio", "command": wide_text(1000), "args": words(), "env": env,
        "description": wide_text(5000), "display_name": wide_text(200)
    })
}

/// About 1.9 MB.
pub(super) fn agent() -> Value {
    let prompt = wide_text(400_000);
    let wide = json!({"wide": vec![json!({"a": 1}); 7_000]});
    let function = json!({"type": "function", "name": "f", "parameters": wide});
    let servers = (0..2).map(|number| json!({"type": "mcp", "server": format!("server-{number}")}));
    let tools: Vec<Value> = servers.chain([function]).collect();
    let fallbacks: Vec<i64> = (2..10).collect();
    json!({
        "name": wide_text(200), "role": wide_text(200), "model_id": 1, "system_prompt": prompt,
        "base_prompt": prompt, "skill_names": words(), "competencies": words(), "can_review": words(),
        "metadata": wide, "params": {"extra": wide}, "tools": tools, "fallback_model_ids": fallbacks
    })
}

/// The longest prompts, of very many lines that no other such agent has.
pub(super) fn agent_with_lines(seed: u32) -> Value {
    let lines: Vec<String> = (0..70_000)
        .map(|line| (2 * line + seed).to_string())
        .collect();
    let lines = lines.join("\n");
    json!({"name": "lines", "system_prompt": lines, "base_prompt": lines, "metadata": {"lines": lines}})
}

/// A webhook that is not delivered: nothing listens at its address.
pub(super) fn webhook() -> Value {
    let words = vec![wide_text(200); 100];
    json!({
        "name": wide_text(200), "description": wide_text(5000), "url": "https://8.8.8.8:9/x",
        "resources": words, "actions": words, "is_enabled": false
    })
}

pub(super) fn circle(name: &str) -> Value {
    json!({
        "name": name, "display_name": wide_text(200), "description": wide_text(10_000),
        "project_context": wide_text(400_000),
        "settings": {"instructions": wide_text(400_000), "wide": vec![json!({"a": 1}); 20_000]}
    })
}

pub(super) fn members() -> Vec<Value> {
    let permissions = json!({"may": vec![json!({"a": 1}); 40]});
    (1..=AGENTS)
        .map(|id| json!({"agent_id": id, "permissions": permissions, "competencies": ["é"]}))
        .collect()
}

/// As many labels as a release can be published with.
pub(super) fn labels() -> Vec<String> {
    (0..100).map(|label| format!("label-{label}")).collect()
}

pub(super) fn batch() -> Value {
    let add = |mut member: Value| {
        member["op"] = "add".into();
        member
    };
    json!({"operations": members().into_iter().map(add).collect::<Vec<_>>()})
}

pub(super) fn batch_of_updates() -> Value {
    let update = |id| json!({"op": "update", "agent_id": id, "role": "lead"});
    json!({"operations": (1..=LARGE_AGENTS).map(update).collect::<Vec<_>>()})
}

pub(super) fn conversation() -> Value {
    let participants: Vec<i64> = (1..=AGENTS).collect();
    json!({"topic": wide_text(500), "initial_prompt": long_prompt(), "participants": participants})
}

pub(super) fn message() -> Value {
    let call = json!({"wide": vec![json!({"a": 1}); 200]});
    json!({"content": long_prompt(), "tool_calls": vec![call; 100]})
}

/// As many agents and members as a request may describe, with texts that fill the body.
pub(super) fn documents() -> Value {
    let name = |number: usize| format!("described {number}");
    let agents: Vec<Value> = (0..245)
        .map(|number| json!({"name": name(number), "system_prompt": "line\n".repeat(1350)}))
        .collect();
    let members: Vec<Value> = (0..245)
        .map(|number| json!({"agent": name(number)}))
        .collect();
    let document = json!({"kind": "CircleRegistry", "version": 1, "owner": "o", "agents": agents,
        "circles": [{"name": "described", "members": members}]});
    json!({"documents": [document]})
}
