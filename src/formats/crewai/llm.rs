//! The models of `CrewAI`'s agents: a name, or an object with settings.

use super::{KEY, NO_STATE, asked};
use crate::{
    formats::{
        agent::AgentDraft,
        draft::Draft,
        fields::{SourceFields, map_at, text_at, text_of},
        values::{Variable, is_address, is_local_address, variable, variable_name},
    },
    yaml::{Node, NodeMap, NodeValue},
};

/// What is passed to the provider as it is.
const EXTRA: [&str; 7] = [
    "n",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "store",
    "include",
    "safety_settings",
];
const ADDRESSES: [&str; 4] = ["base_url", "api_base", "endpoint", "account_url"];
/// What belongs to the provider.
const PROVIDER: [&str; 17] = [
    "organization",
    "project",
    "location",
    "region_name",
    "api_version",
    "default_headers",
    "default_query",
    "credential_scopes",
    "use_vertexai",
    "aws_access_key_id",
    "aws_secret_access_key",
    "aws_session_token",
    "account_identifier",
    "database",
    "schema_name",
    "warehouse",
    "role",
];
/// Derived from the model, Python's objects, or state of a run.
const DERIVED: [&str; 6] = [
    "llm_type",
    "completion_cost",
    "previous_response_id",
    "callbacks",
    "interceptor",
    "model_type",
];

pub(super) fn set(draft: &mut Draft<'_>, agent: &mut AgentDraft, llm: Node) {
    let origin = llm.line;
    let mut fields = match SourceFields::of(llm) {
        Ok(fields) => fields,
        Err(Node {
            value: NodeValue::Text(name),
            ..
        }) => {
            let model = draft.model(&asked(&name, None), NodeMap::new(), origin);
            return agent.set("model", model);
        }
        Err(other) => return agent.keep(&["llm"], other),
    };
    settings(draft, agent, &mut fields);
    let facts = facts(&mut fields);
    let names = ["model", "model_id", "deployment_name", "model_name"];
    let Some((name, line)) = names.iter().find_map(|name| fields.filled_text(name)) else {
        draft.none_kept(&facts, "there is no model that it belongs to");
        return agent.keep_all(&["model"], fields.rest());
    };
    let provider = fields.filled_text("provider").map(|(provider, _)| provider);
    let asked = asked(&name, provider.as_deref());
    let own = own_provider(
        draft,
        asked.provider.as_deref().unwrap_or("openai"),
        &mut fields,
        line,
    );
    let model = match own {
        Some(own) => match draft.models.given(&asked.written, &[&asked.name]) {
            Some(model) => Some(text_at(model, line)),
            None => Some(draft.own_model(&own, &asked.name, facts, line)),
        },
        None => draft.model(&asked, facts, line),
    };
    agent.set("model", model);
    agent.keep_all(&["model"], fields.rest());
}

fn settings(draft: &mut Draft<'_>, agent: &mut AgentDraft, fields: &mut SourceFields) {
    for (theirs, ours) in [
        ("temperature", "temperature"),
        ("max_tokens", "max_tokens"),
        ("max_completion_tokens", "max_tokens"),
        ("max_output_tokens", "max_tokens"),
        ("top_p", "top_p"),
        ("top_k", "top_k"),
        ("seed", "seed"),
        ("frequency_penalty", "frequency_penalty"),
        ("presence_penalty", "presence_penalty"),
        ("reasoning_effort", "reasoning_effort"),
        ("stop", "stop"),
        ("stop_sequences", "stop"),
    ] {
        let value = fields
            .take(theirs)
            .filter(|it| it.value != NodeValue::List(Vec::new()));
        agent.setting(draft, ours, value);
    }
    for name in ["thinking", "thinking_config"] {
        let Some(mut thinking) = fields.object(name) else {
            continue;
        };
        let budget = ["budget_tokens", "thinking_budget"]
            .iter()
            .find_map(|it| thinking.number(it));
        agent.setting(draft, "thinking_budget", budget);
        if thinking.get("type").and_then(text_of) == Some("disabled") {
            thinking.take("type");
            let none = Node {
                line: thinking.origin,
                value: NodeValue::Number("0".to_owned()),
            };
            agent.setting(draft, "thinking_budget", Some(none));
        }
        agent.keep_all(&["model", name], thinking.rest());
    }
    if let Some(format) = fields.object("response_format") {
        let line = format.origin;
        let format = format.rest();
        if format.contains_key("type") {
            agent.response_format(map_at(format, line));
        } else {
            agent.keep(&["model", "response_format"], map_at(format, line));
        }
    }
    for name in EXTRA {
        let value = fields.take(name);
        agent.extra(name, value);
    }
    for name in ["additional_params", "additional_model_request_fields"] {
        for (name, value) in fields
            .object(name)
            .map(SourceFields::rest)
            .unwrap_or_default()
        {
            agent.extra(&name, Some(value));
        }
    }
    for name in DERIVED {
        if let Some(derived) = fields.take(name) {
            draft.not_kept(derived.line, NO_STATE);
        }
    }
}

fn facts(fields: &mut SourceFields) -> NodeMap {
    let mut facts = NodeMap::new();
    let window = fields
        .number("context_window_size")
        .filter(|it| it.value != NodeValue::Number("0".to_owned()));
    facts.extend(window.map(|it| ("context_window".to_owned(), it)));
    for name in ["supports_tools", "supports_streaming"] {
        let line = fields.get(name).map_or(0, |it| it.line);
        let value = fields.boolean(name).map(|it| Node {
            line,
            value: NodeValue::Bool(it),
        });
        facts.extend(value.map(|it| (name.to_owned(), it)));
    }
    facts
}

/// A provider of its own, if the object has an address or a key.
fn own_provider(
    draft: &mut Draft<'_>,
    kind: &str,
    fields: &mut SourceFields,
    origin: usize,
) -> Option<String> {
    let responses = fields.get("api").and_then(text_of) == Some("responses");
    let address = ADDRESSES.iter().find_map(|name| fields.text(name));
    let key = fields.text("api_key");
    let mut config = NodeMap::new();
    for name in PROVIDER {
        config.extend(fields.take(name).map(|it| (name.to_owned(), it)));
    }
    let key_env = key.map(|key| {
        let text = text_of(&key).unwrap_or_default();
        match variable(text) {
            Variable::Named(name) => text_at(name, key.line),
            Variable::Literal => {
                let name = variable_name(&[kind, "API_KEY"]);
                draft.not_kept(
                    key.line,
                    format!("a secret is never stored: set {name} where the runtime runs"),
                );
                text_at(name, key.line)
            }
        }
    });
    if address.is_none() && config.is_empty() && !responses {
        // The provider of this name has its own variable.
        if let Some(key_env) = key_env.filter(|it| it.line > 0) {
            let name = text_of(&key_env).unwrap_or_default().to_owned();
            draft.changed(key_env.line, format!("the provider {kind} is not described here: its key has to be in the variable of its api_key_env; the file has it in {name}"));
        }
        return None;
    }
    if responses {
        fields.take("api");
    }
    let api_type = match kind {
        _ if responses => "openai-responses",
        "google" | "gemini" => "google",
        "anthropic" | "azure" | "bedrock" | "ollama" | "cohere" => kind,
        _ => "openai",
    };
    let mut entry = NodeMap::from([("api_type".to_owned(), text_at(api_type, origin))]);
    if let Some(address) = address {
        let text = text_of(&address).unwrap_or_default().to_owned();
        if is_address(&text) {
            let is_local = is_local_address(&text);
            entry.insert("base_url".to_owned(), address);
            if is_local {
                entry.insert("is_local".to_owned(), NodeValue::Bool(true).into());
            }
        } else {
            draft.changed(
                address.line,
                "an address with a variable in it is free data: set the provider's base_url",
            );
            config.insert("base_url".to_owned(), address);
        }
    }
    entry.extend(key_env.map(|it| ("api_key_env".to_owned(), it)));
    if !config.is_empty() {
        let config = NodeMap::from([(KEY.to_owned(), map_at(config, origin))]);
        entry.insert("config".to_owned(), map_at(config, origin));
    }
    let name = if responses {
        format!("{kind}-responses")
    } else {
        format!("crewai-{kind}")
    };
    Some(draft.own_provider(&name, entry, origin))
}
