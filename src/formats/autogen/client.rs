//! Model clients of `AutoGen`.

use super::{Component, KEY};
use crate::{
    formats::{
        agent::AgentDraft,
        draft::Draft,
        fields::{SourceFields, map_at, text_at, text_of},
        models::AskedModel,
        values::{Variable, is_address, is_local_address, variable, variable_name},
    },
    yaml::{Node, NodeMap, NodeValue},
};

const SETTINGS: [&str; 10] = [
    "temperature",
    "max_tokens",
    "top_p",
    "top_k",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "reasoning_effort",
    "parallel_tool_calls",
    "stop",
];
const EXTRA: [&str; 6] = [
    "logit_bias",
    "n",
    "user",
    "tool_choice",
    "metadata",
    "store",
];
const ADDRESSES: [&str; 4] = ["base_url", "azure_endpoint", "endpoint", "host"];
const KEYS: [&str; 3] = ["api_key", "azure_ad_token", "credential"];
const PROVIDER: [&str; 6] = [
    "organization",
    "api_version",
    "default_headers",
    "headers",
    "azure_ad_token_provider",
    "bedrock_info",
];

/// The provider that a class of clients calls: its name, and its protocol.
fn provider_of(class: &str) -> (&'static str, &'static str) {
    const CLASSES: [(&str, &str, &str); 7] = [
        ("AzureOpenAI", "azure", "azure"),
        ("AzureAI", "azure_ai", "azure"),
        ("OpenAI", "openai", "openai"),
        ("AnthropicBedrock", "bedrock", "bedrock"),
        ("Anthropic", "anthropic", "anthropic"),
        ("Ollama", "ollama", "ollama"),
        ("LlamaCpp", "llamacpp", "openai"),
    ];
    let found = CLASSES.iter().find(|(start, ..)| class.starts_with(start));
    found.map_or(("unknown", "unknown"), |(_, name, api_type)| {
        (name, api_type)
    })
}

pub(super) fn set(draft: &mut Draft<'_>, agent: &mut AgentDraft, node: Node) {
    let mut client = match Component::of(node) {
        Ok(client) => client,
        Err(other) => return agent.keep(&["model_client"], other),
    };
    if client.class.ends_with("Cache") || client.config.get("client").is_some() {
        if let Some(inner) = client.config.take("client") {
            set(draft, agent, inner);
        }
        agent.keep_all(
            &["model", "cache"],
            std::mem::take(&mut client.config).rest(),
        );
        return client.keep_about(agent, &["model", "cache"]);
    }
    let class = client.class.clone();
    let config = &mut client.config;
    settings(draft, agent, config);
    model(draft, agent, config, &class);
    agent.keep_all(&["model"], std::mem::take(config).rest());
    client.keep_about(agent, &["model"]);
}

/// An agent that has its model's settings among its own.
pub(super) fn of_agent(draft: &mut Draft<'_>, agent: &mut AgentDraft, config: &mut SourceFields) {
    for (theirs, ours) in [
        ("temperature", "temperature"),
        ("max_output_tokens", "max_tokens"),
    ] {
        let value = config.take(theirs);
        agent.setting(draft, ours, value);
    }
    if config.boolean("json_mode") == Some(true) {
        let json = NodeMap::from([("type".to_owned(), text_at("json_object", config.origin))]);
        agent.response_format(map_at(json, config.origin));
    }
    for name in ["store", "truncation"] {
        let value = config.take(name);
        agent.extra(name, value);
    }
    if let Some((name, line)) = config.filled_text("model") {
        let model = draft.model(&AskedModel::of(Some("openai"), &name), NodeMap::new(), line);
        agent.set("model", model);
    }
}

fn settings(draft: &mut Draft<'_>, agent: &mut AgentDraft, config: &mut SourceFields) {
    for name in SETTINGS {
        let value = config
            .take(name)
            .filter(|it| it.value != NodeValue::List(Vec::new()));
        agent.setting(draft, name, value);
    }
    let stops = config.take("stop_sequences");
    agent.setting(draft, "stop", stops);
    if let Some(mut thinking) = config.object("thinking") {
        let budget = thinking.number("budget_tokens");
        agent.setting(draft, "thinking_budget", budget);
        match thinking.get("type").and_then(text_of) {
            Some("disabled") => {
                let none = Node {
                    line: thinking.origin,
                    value: NodeValue::Number("0".to_owned()),
                };
                agent.setting(draft, "thinking_budget", Some(none));
                thinking.take("type");
            }
            Some("enabled") => drop(thinking.take("type")),
            _ => {}
        }
        agent.keep_all(&["model", "thinking"], thinking.rest());
    }
    if let Some(format) = config.object("response_format") {
        let line = format.origin;
        agent.response_format(map_at(format.rest(), line));
    }
    for name in EXTRA {
        let value = config.take(name);
        agent.extra(name, value);
    }
    if let Some(mut options) = config.object("options") {
        for name in SETTINGS {
            let value = options.take(name);
            agent.setting(draft, name, value);
        }
        let line = options.origin;
        let rest = options.rest();
        agent.extra("options", (!rest.is_empty()).then(|| map_at(rest, line)));
    }
    for (name, value) in config
        .object("model_extras")
        .map(SourceFields::rest)
        .unwrap_or_default()
    {
        agent.extra(&name, Some(value));
    }
}

fn model(draft: &mut Draft<'_>, agent: &mut AgentDraft, config: &mut SourceFields, class: &str) {
    let (provider, api_type) = provider_of(class);
    let facts = facts(config);
    let deployment = config.filled_text("azure_deployment");
    let named = config.filled_text("model");
    let Some((name, line)) = deployment.clone().or_else(|| named.clone()) else {
        return draft.none_kept(&facts, "there is no model that it belongs to");
    };
    let mut facts = facts;
    if let (Some(_), Some((alias, line))) = (&deployment, &named)
        && *alias != name
    {
        facts.insert("model_alias".to_owned(), text_at(alias.as_str(), *line));
    }
    let own = own_provider(draft, provider, api_type, config, line);
    let asked = AskedModel::of((provider != "unknown").then_some(provider), &name);
    let model = match own {
        Some(own) => match draft.models.given(&asked.written, &[&name]) {
            Some(model) => Some(text_at(model, line)),
            None => Some(draft.own_model(&own, &name, facts, line)),
        },
        None => draft.model(&asked, facts, line),
    };
    agent.set("model", model);
}

fn facts(config: &mut SourceFields) -> NodeMap {
    let mut facts = NodeMap::new();
    for name in ["model_info", "model_capabilities"] {
        let Some(mut info) = config.object(name) else {
            continue;
        };
        let line = info.origin;
        for (theirs, ours) in [
            ("vision", "supports_vision"),
            ("function_calling", "supports_tools"),
            ("structured_output", "supports_response_schema"),
        ] {
            let value = info.boolean(theirs).map(|it| Node {
                line,
                value: NodeValue::Bool(it),
            });
            facts.extend(value.map(|it| (ours.to_owned(), it)));
        }
        let rest = info.rest();
        if !rest.is_empty() {
            config.insert(name, map_at(rest, line));
        }
    }
    facts
}

/// A provider of its own, if the client has an address or settings of its own.
fn own_provider(
    draft: &mut Draft<'_>,
    name: &str,
    api_type: &str,
    config: &mut SourceFields,
    origin: usize,
) -> Option<String> {
    let mut entry = NodeMap::from([("api_type".to_owned(), text_at(api_type, origin))]);
    let mut own = NodeMap::new();
    for field in PROVIDER {
        own.extend(config.take(field).map(|it| (field.to_owned(), it)));
    }
    let mut key_env = None;
    for field in KEYS {
        let Some(key) = config.take(field) else {
            continue;
        };
        let text = text_of(&key).unwrap_or_default();
        let variable = match variable(text) {
            Variable::Named(name) => name,
            Variable::Literal => {
                let variable = variable_name(&[name, "API_KEY"]);
                draft.not_kept(
                    key.line,
                    format!("a secret is never stored: set {variable} where the runtime runs"),
                );
                variable
            }
        };
        key_env = Some(text_at(variable, key.line));
    }
    let address = ADDRESSES.iter().find_map(|field| config.text(field));
    if address.is_none() && own.is_empty() {
        if let Some(key_env) = key_env {
            draft.changed(key_env.line, format!("the provider {name} is not described here: its key has to be in the variable of its api_key_env"));
        }
        return None;
    }
    if let Some(address) = address {
        let text = text_of(&address).unwrap_or_default().to_owned();
        if is_address(&text) {
            entry.insert("base_url".to_owned(), address);
            if is_local_address(&text) {
                entry.insert("is_local".to_owned(), NodeValue::Bool(true).into());
            }
        } else {
            draft.changed(address.line, "is no address that a provider can have: it is free data; set the provider's base_url");
            own.insert("base_url".to_owned(), address);
        }
    }
    entry.extend(key_env.map(|it| ("api_key_env".to_owned(), it)));
    if !own.is_empty() {
        let own = NodeMap::from([(KEY.to_owned(), map_at(own, origin))]);
        entry.insert("config".to_owned(), map_at(own, origin));
    }
    Some(draft.own_provider(&format!("autogen-{name}"), entry, origin))
}
