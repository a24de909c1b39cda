//! The models and providers of a circle, as Docker Agent names them.

use indexmap::IndexMap;

use super::handles::{ExportReport, HandleView};
use crate::yaml::{Node, NodeMap, NodeValue, members_of, text_of};

/// The providers that Docker Agent knows: its name, the registry's, its variable and its address.
const NATIVE: [(&str, &str, &str, &str); 7] = [
    (
        "anthropic",
        "anthropic",
        "ANTHROPIC_API_KEY",
        "https://api.anthropic.com",
    ),
    (
        "google",
        "gemini",
        "GOOGLE_API_KEY",
        "https://generativelanguage.googleapis.com",
    ),
    (
        "openai",
        "openai",
        "OPENAI_API_KEY",
        "https://api.openai.com/v1",
    ),
    (
        "mistral",
        "mistral",
        "MISTRAL_API_KEY",
        "https://api.mistral.ai/v1",
    ),
    ("xai", "xai", "XAI_API_KEY", "https://api.x.ai/v1"),
    ("ollama", "ollama", "", "http://localhost:11434/v1"),
    ("amazon-bedrock", "bedrock", "AWS_BEARER_TOKEN_BEDROCK", ""),
];

/// Words for a budget of reasoning in the schema that this is written for.
const EFFORTS: [&str; 5] = ["none", "minimal", "low", "medium", "high"];

/// The models and providers of one configuration.
#[derive(Debug, Default)]
pub(super) struct DockerModels {
    pub(super) models: IndexMap<String, Node>,
    pub(super) providers: IndexMap<String, Node>,
}

impl DockerModels {
    /// What the agent's `model` is: a model's key, or `provider/model`.
    pub(super) fn of_agent(
        &mut self,
        handle: &HandleView,
        report: &mut ExportReport,
    ) -> Option<Node> {
        let name = handle.text("model")?;
        let (provider, mut config) = self.provider(
            handle.at(&["provider"]),
            |field| handle.get(field).cloned(),
            handle.name(),
            report,
        );
        let bare = config.is_empty();
        let settings = settings(handle, report);
        let key = handle
            .at(&["metadata", "docker_agent", "model", "name"])
            .and_then(text_of);
        if bare && settings.is_empty() && key.is_none() {
            return Some(format!("{provider}/{name}").as_str().into());
        }
        let mut model = NodeMap::from([
            ("provider".to_owned(), provider.as_str().into()),
            ("model".to_owned(), name.into()),
        ]);
        model.append(&mut config);
        model.extend(settings);
        let key = key.unwrap_or(name);
        Some(self.add(key, model).as_str().into())
    }

    /// A model to fall back on, as `provider/model` or a model's key.
    pub(super) fn of_fallback(
        &mut self,
        fallback: &Node,
        agent: &str,
        report: &mut ExportReport,
    ) -> Option<Node> {
        let members = members_of(fallback)?;
        let name = members.get("model").and_then(text_of)?;
        let field = |field: &str| {
            members
                .get(field)
                .filter(|it| it.value != NodeValue::Null)
                .cloned()
        };
        let (provider, config) = self.provider(members.get("provider"), field, agent, report);
        if config.is_empty() {
            return Some(format!("{provider}/{name}").as_str().into());
        }
        let mut model = NodeMap::from([
            ("provider".to_owned(), provider.as_str().into()),
            ("model".to_owned(), name.into()),
        ]);
        model.extend(config);
        Some(self.add(name, model).as_str().into())
    }

    /// Adds a model. The same one is there once, and another one with its key gets a number.
    fn add(&mut self, key: &str, model: NodeMap) -> String {
        let base: String = key
            .chars()
            .map(|it| {
                if it.is_alphanumeric() || "._-".contains(it) {
                    it
                } else {
                    '-'
                }
            })
            .collect();
        let model = Node::from(model);
        let mut unique = base.clone();
        let mut number = 1;
        while self
            .models
            .get(&unique)
            .is_some_and(|other| *other != model)
        {
            number += 1;
            unique = format!("{base}-{number}");
        }
        self.models.insert(unique.clone(), model);
        unique
    }

    /// Docker Agent's name of a provider, and what a model needs besides to reach it.
    fn provider(
        &mut self,
        name: Option<&Node>,
        field: impl Fn(&str) -> Option<Node>,
        agent: &str,
        report: &mut ExportReport,
    ) -> (String, NodeMap) {
        let name = name.and_then(text_of).unwrap_or_default();
        let text = |name: &str| field(name).as_ref().and_then(text_of).map(str::to_owned);
        let (api_type, base_url, key) = (
            text("api_type").unwrap_or_default(),
            text("base_url"),
            text("api_key_env"),
        );
        let mut config = NodeMap::new();
        let is_native = |(theirs, ours, ..): &&(&str, &str, &str, &str)| {
            name.eq_ignore_ascii_case(ours) || name.eq_ignore_ascii_case(theirs)
        };
        if api_type != "openai-responses"
            && let Some((theirs, _, variable, address)) = NATIVE.iter().find(is_native)
        {
            if let Some(base_url) = base_url.filter(|it| it != address) {
                config.insert("base_url".to_owned(), base_url.as_str().into());
            }
            if let Some(key) = key.filter(|it| it != variable) {
                config.insert("token_key".to_owned(), key.as_str().into());
            }
            return ((*theirs).to_owned(), config);
        }
        let protocol = match api_type.as_str() {
            "openai-responses" => "openai_responses",
            "openai" | "azure" => "openai_chatcompletions",
            // A protocol that Docker Agent speaks, at another address.
            "anthropic" | "google" | "ollama" => {
                config.extend(base_url.map(|it| ("base_url".to_owned(), it.as_str().into())));
                config.extend(key.map(|it| ("token_key".to_owned(), it.as_str().into())));
                report.add(
                    Some(agent),
                    "provider",
                    format!("{name} is written as {api_type}, with its address"),
                );
                return (api_type, config);
            }
            "bedrock" => return ("amazon-bedrock".to_owned(), config),
            _ => {
                report.add(
                    Some(agent),
                    "provider",
                    format!("Docker Agent speaks no protocol {api_type}"),
                );
                return (name.to_owned(), config);
            }
        };
        let Some(base_url) = base_url else {
            report.add(
                Some(agent),
                "provider",
                format!("{name} has no address: Docker Agent has to know it by its name"),
            );
            return (name.to_owned(), config);
        };
        let mut provider = NodeMap::from([
            ("api_type".to_owned(), protocol.into()),
            ("base_url".to_owned(), base_url.as_str().into()),
        ]);
        provider.extend(key.map(|it| ("token_key".to_owned(), it.as_str().into())));
        if field("provider_config")
            .as_ref()
            .and_then(members_of)
            .is_some_and(|it| !it.is_empty())
        {
            report.add(
                Some(agent),
                "provider_config",
                "Docker Agent has no field for it",
            );
        }
        self.providers.insert(name.to_owned(), provider.into());
        (name.to_owned(), config)
    }
}

/// The settings of calls.
fn settings(handle: &HandleView, report: &mut ExportReport) -> NodeMap {
    let agent = handle.name();
    let mut settings = NodeMap::new();
    for name in ["temperature", "max_tokens"] {
        settings.extend(handle.get(name).map(|it| (name.to_owned(), it.clone())));
    }
    let param = |name: &str| handle.at(&["params", name]).cloned();
    for name in [
        "top_p",
        "frequency_penalty",
        "presence_penalty",
        "parallel_tool_calls",
    ] {
        settings.extend(param(name).map(|it| (name.to_owned(), it)));
    }
    let mut options = handle
        .at(&["metadata", "docker_agent", "model", "provider_opts"])
        .and_then(members_of)
        .cloned()
        .unwrap_or_default();
    for name in ["top_k", "min_p", "seed"] {
        options.extend(param(name).map(|it| (name.to_owned(), it)));
    }
    let extra = handle.at(&["params", "extra"]).and_then(members_of);
    for (name, value) in extra.into_iter().flatten() {
        if name == "repetition_penalty" {
            options.insert(name.clone(), value.clone());
        } else {
            report.add(
                Some(agent),
                &format!("params.extra.{name}"),
                "Docker Agent passes nothing on to the provider as it is",
            );
        }
    }
    if !options.is_empty() {
        settings.insert("provider_opts".to_owned(), options.into());
    }
    thinking(handle, &mut settings, report);
    if param("stop").is_some() {
        report.add(
            Some(agent),
            "params.stop",
            "Docker Agent has no field for it",
        );
    }
    let kept = handle
        .at(&["metadata", "docker_agent", "model"])
        .and_then(members_of);
    for (name, value) in kept.into_iter().flatten() {
        match name.as_str() {
            "name" | "provider_opts" => {}
            "track_usage" | "routing" => {
                settings.insert(name.clone(), value.clone());
            }
            _ => report.add(
                Some(agent),
                &format!("metadata.docker_agent.model.{name}"),
                "the schema that this is written for (version 7) has no field for it",
            ),
        }
    }
    settings
}

fn thinking(handle: &HandleView, settings: &mut NodeMap, report: &mut ExportReport) {
    let budget = handle.at(&["params", "thinking_budget"]);
    let effort = handle.at(&["params", "reasoning_effort"]);
    let is_word = effort
        .and_then(text_of)
        .is_some_and(|word| EFFORTS.contains(&word));
    let (kept, left) = match (budget, effort) {
        (budget, Some(effort)) if is_word => (Some(effort), budget.map(|_| "thinking_budget")),
        (budget, effort) => (budget, effort.map(|_| "reasoning_effort")),
    };
    settings.extend(kept.map(|it| ("thinking_budget".to_owned(), it.clone())));
    if let Some(left) = left {
        let field = format!("params.{left}");
        report.add(
            Some(handle.name()),
            &field,
            "Docker Agent takes a number of tokens, or one of its words",
        );
    }
}
