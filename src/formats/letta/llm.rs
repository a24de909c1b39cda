//! The models of Letta's agents.

use super::KEY;
use crate::{
    formats::{
        agent::AgentDraft,
        draft::Draft,
        fields::{SourceFields, map_at, text_at, text_of},
        models::AskedModel,
        values::{is_address, is_integer, is_local_address},
    },
    yaml::{Node, NodeMap, NodeValue},
};

/// Where the providers' own APIs are. Another address makes a provider of its own.
const ADDRESSES: [&str; 16] = [
    "api.openai.com",
    "api.anthropic.com",
    "generativelanguage.googleapis.com",
    "api.groq.com",
    "api.deepseek.com",
    "api.together.ai",
    "api.together.xyz",
    "api.x.ai",
    "api.mistral.ai",
    "openrouter.ai",
    "inference.letta.com",
    "api.fireworks.ai",
    "api.z.ai",
    "aiplatform.googleapis.com",
    "bedrock",
    "us-central1-aiplatform.googleapis.com",
];

pub(super) fn set(draft: &mut Draft<'_>, agent: &mut AgentDraft, fields: &mut SourceFields) {
    let named = fields.filled_text("model");
    for (theirs, ours) in [
        ("max_tokens", "max_tokens"),
        ("parallel_tool_calls", "parallel_tool_calls"),
    ] {
        let value = fields.take(theirs);
        agent.setting(draft, ours, value);
    }
    if let Some(format) = fields.object("response_format") {
        let line = format.origin;
        agent.response_format(map_at(format.rest(), line));
    }
    if let Some(mut settings) = fields.object("model_settings") {
        settings_of(draft, agent, &mut settings);
        agent.keep_all(&["model", "settings"], settings.rest());
    }
    let mut config = fields.object("llm_config").unwrap_or_default();
    settings_of(draft, agent, &mut config);
    let handle = config.filled_text("handle");
    let own = config.filled_text("model");
    let kind = config
        .filled_text("model_endpoint_type")
        .map(|(kind, _)| kind);
    let provider = config.filled_text("provider_name").map(|(name, _)| name);
    let (asked, line) = match (named, own, handle) {
        (Some((name, line)), ..) => (AskedModel::parse(&name), line),
        (None, Some((name, line)), handle) => {
            let from_handle = handle
                .as_ref()
                .and_then(|(handle, _)| Some(handle.split_once('/')?.0.to_owned()));
            let is_own = |name: &String| !matches!(name.as_str(), "letta" | "base");
            let provider = from_handle
                .filter(is_own)
                .or(provider.filter(is_own))
                .or(kind.clone());
            (AskedModel::of(provider.as_deref(), &name), line)
        }
        (None, None, Some((handle, line))) => (AskedModel::parse(&handle), line),
        (None, None, None) => return agent.keep_all(&["model"], config.rest()),
    };
    let model = match own_provider(draft, &asked, kind.as_deref(), &mut config, line) {
        Some(own) => match draft.models.given(&asked.written, &[&asked.name]) {
            Some(model) => Some(text_at(model, line)),
            None => Some(draft.own_model(&own, &asked.name, NodeMap::new(), line)),
        },
        None => draft.model(&asked, NodeMap::new(), line),
    };
    agent.set("model", model);
    agent.keep_all(&["model"], config.rest());
}

fn settings_of(draft: &mut Draft<'_>, agent: &mut AgentDraft, config: &mut SourceFields) {
    for name in [
        "temperature",
        "max_tokens",
        "top_p",
        "frequency_penalty",
        "parallel_tool_calls",
        "reasoning_effort",
    ] {
        let value = config.take(name);
        if !agent.has_setting(name) {
            agent.setting(draft, name, value);
        }
    }
    let is_on = config
        .get("enable_reasoner")
        .is_none_or(|it| it.value != NodeValue::Bool(false));
    let is_set = config
        .get("max_reasoning_tokens")
        .is_some_and(|it| is_integer(it, 1, i64::MAX));
    if is_on && is_set {
        let budget = config.take("max_reasoning_tokens");
        agent.setting(draft, "thinking_budget", budget);
    }
}

/// A provider of its own, if the address is not that of a provider that is known.
fn own_provider(
    draft: &mut Draft<'_>,
    asked: &AskedModel,
    kind: Option<&str>,
    config: &mut SourceFields,
    origin: usize,
) -> Option<String> {
    let address = config.get("model_endpoint").and_then(text_of)?.to_owned();
    let is_known = ADDRESSES.iter().any(|known| address.contains(known));
    if is_known || !is_address(&address) {
        return None;
    }
    let address_node = config.text("model_endpoint")?;
    let name = asked.provider.as_deref().unwrap_or("openai");
    let api_type = match kind.unwrap_or(name) {
        "anthropic" => "anthropic",
        "google_ai" => "google",
        "azure" => "azure",
        "bedrock" => "bedrock",
        "ollama" => "ollama",
        _ => "openai",
    };
    let mut entry = NodeMap::from([
        ("api_type".to_owned(), text_at(api_type, origin)),
        ("base_url".to_owned(), address_node),
    ]);
    if is_local_address(&address) {
        entry.insert("is_local".to_owned(), Node::from(NodeValue::Bool(true)));
    } else {
        let variable = crate::formats::values::variable_name(&[name, "API_KEY"]);
        entry.insert("api_key_env".to_owned(), text_at(variable, origin));
    }
    Some(draft.own_provider(&format!("{KEY}-{name}"), entry, origin))
}
