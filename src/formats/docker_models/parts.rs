//! Providers, and what files say of models besides their settings.

use crate::{
    formats::{
        agent::AgentDraft,
        docker_agent::KEY,
        draft::Draft,
        fields::{SourceFields, map_at, text_at, text_of},
        values::{Variable, handle, is_address, is_local_address, price, variable, variable_name},
    },
    secrets,
    yaml::{Node, NodeMap, NodeValue},
};

/// The entry of a provider. Its name.
pub(super) fn provider_entry(
    draft: &mut Draft<'_>,
    name: &str,
    fields: &mut SourceFields,
    origin: usize,
) -> String {
    let kind = fields
        .filled_text("provider")
        .map_or_else(|| "openai".to_owned(), |(kind, _)| kind);
    let api_type = match fields
        .filled_text("api_type")
        .map(|(api_type, _)| api_type)
        .as_deref()
    {
        Some("openai_chatcompletions") => "openai".to_owned(),
        Some("openai_responses") => "openai-responses".to_owned(),
        Some(other) => handle(&other.to_ascii_lowercase()),
        None => api_type_of(&kind),
    };
    let mut entry = NodeMap::from([("api_type".to_owned(), text_at(api_type, origin))]);
    let mut config = NodeMap::new();
    let mut is_local = false;
    if let Some(address) = fields.text("base_url") {
        let text = text_of(&address).unwrap_or_default();
        if is_address(text) {
            is_local = is_local_address(text);
            entry.insert("base_url".to_owned(), address);
        } else {
            draft.changed(
                address.line,
                "an address with a variable in it is free data: set the provider's base_url",
            );
            config.insert("base_url".to_owned(), address);
        }
    }
    if let Some((token, line)) = fields.filled_text("token_key") {
        let name = match variable(&token) {
            Variable::Named(name) => name,
            Variable::Literal => variable_name(&[&token]),
        };
        if secrets::is_secret(&token) || name.len() > 100 {
            draft.not_kept(
                line,
                "looks like a secret in place of the name of its variable",
            );
        } else {
            entry.insert("api_key_env".to_owned(), text_at(name, line));
        }
    }
    if is_local {
        entry.insert("is_local".to_owned(), NodeValue::Bool(true).into());
    }
    config.extend(std::mem::take(fields).rest());
    if !config.is_empty() {
        let config = NodeMap::from([(KEY.to_owned(), map_at(config, origin))]);
        entry.insert("config".to_owned(), map_at(config, origin));
    }
    draft.own_provider(name, entry, origin)
}

/// The protocol of a provider that Docker Agent knows.
fn api_type_of(provider: &str) -> String {
    match provider {
        "anthropic" | "google" | "azure" | "ollama" => provider.to_owned(),
        "amazon-bedrock" => "bedrock".to_owned(),
        _ => "openai".to_owned(),
    }
}

/// What a file says of the model itself.
pub(super) fn facts(model: &mut SourceFields) -> NodeMap {
    let mut facts = NodeMap::new();
    if let Some(mut cost) = model.object("cost") {
        let line = cost.origin;
        for (theirs, ours) in [
            ("input", "input_price"),
            ("output", "output_price"),
            ("cache_read", "cache_read_price"),
            ("cache_write", "cache_write_price"),
        ] {
            if let Some(text) = cost.get(theirs).and_then(price) {
                cost.take(theirs);
                facts.insert(ours.to_owned(), text_at(text, line));
            }
        }
        let rest = cost.rest();
        if !rest.is_empty() {
            model.insert("cost", map_at(rest, line));
        }
    }
    if let Some(mut capabilities) = model.object("capabilities") {
        let line = capabilities.origin;
        if let Some(image) = capabilities.boolean("image") {
            let value = NodeValue::Bool(image);
            facts.insert("supports_vision".to_owned(), Node { line, value });
        }
        if let Some(pdf) = capabilities.boolean("pdf") {
            let value = NodeValue::Bool(pdf);
            facts.insert("supports_pdf_input".to_owned(), Node { line, value });
        }
        let rest = capabilities.rest();
        if !rest.is_empty() {
            model.insert("capabilities", map_at(rest, line));
        }
    }
    if let Some(mut options) = model.object("provider_opts") {
        if let Some(size) = options.number("context_size") {
            facts.insert("context_window".to_owned(), size);
        }
        let line = options.origin;
        model.insert("provider_opts", map_at(options.rest(), line));
    }
    facts
}

pub(super) fn provider_options(
    draft: &mut Draft<'_>,
    agent: &mut AgentDraft,
    mut options: SourceFields,
) {
    for name in ["top_k", "min_p", "seed"] {
        let value = options.number(name);
        agent.setting(draft, name, value);
    }
    let penalty = options.take("repetition_penalty");
    agent.extra("repetition_penalty", penalty);
    agent.keep_all(&["model", "provider_opts"], options.rest());
}

/// A number of tokens, an effort, or both.
pub(super) fn thinking(draft: &mut Draft<'_>, agent: &mut AgentDraft, budget: Node) {
    let line = budget.line;
    let number = |digits: &str| {
        Some(Node {
            line,
            value: NodeValue::Number(digits.to_owned()),
        })
    };
    let NodeValue::Text(word) = &budget.value else {
        return agent.setting(draft, "thinking_budget", Some(budget));
    };
    match word.split_once('/') {
        Some(("adaptive", effort)) => {
            agent.setting(draft, "thinking_budget", number("-1"));
            agent.setting(draft, "reasoning_effort", Some(text_at(effort, line)));
        }
        _ if word == "none" => agent.setting(draft, "thinking_budget", number("0")),
        _ if word == "adaptive" => agent.setting(draft, "thinking_budget", number("-1")),
        _ => agent.setting(draft, "reasoning_effort", Some(budget)),
    }
}
