//! The models and providers of Docker Agent's files.

mod parts;

use indexmap::IndexMap;

use self::parts::{facts, provider_entry, provider_options, thinking};
use super::{
    agent::AgentDraft,
    docker_agent::add_fallbacks,
    draft::Draft,
    fields::{SourceFields, items_of, text_at, text_of},
    models::AskedModel,
};
use crate::yaml::{Node, NodeMap, NodeValue};

/// Settings of calls that documents have under the same name.
const SETTINGS: [&str; 6] = [
    "temperature",
    "max_tokens",
    "top_p",
    "frequency_penalty",
    "presence_penalty",
    "parallel_tool_calls",
];

/// The models and providers of one file.
#[derive(Debug, Default)]
pub(super) struct DockerSourceModels {
    models: IndexMap<String, SourceFields>,
    providers: IndexMap<String, DockerProvider>,
    used: Vec<String>,
}

/// A provider that the file describes.
#[derive(Debug)]
struct DockerProvider {
    /// What documents call it.
    name: String,
    /// Settings for models that lack them.
    defaults: SourceFields,
}

impl DockerSourceModels {
    pub(super) fn read(draft: &mut Draft<'_>, fields: &mut SourceFields) -> Self {
        let mut models = Self::default();
        if let Some(providers) = fields.object("providers") {
            for (name, node) in providers.rest() {
                let origin = node.line;
                match SourceFields::of(node) {
                    Ok(fields) => {
                        let provider = provider(draft, &name, fields, origin);
                        models.providers.insert(name, provider);
                    }
                    Err(other) => draft.not_kept(other.line, "is no provider"),
                }
            }
        }
        if let Some(described) = fields.object("models") {
            for (name, node) in described.rest() {
                let line = node.line;
                match node.value {
                    NodeValue::Text(text) => {
                        let mut fields = SourceFields::default();
                        fields.origin = line;
                        fields.insert("model", text_at(text, line));
                        models.models.insert(name, fields);
                    }
                    NodeValue::Map(_) => {
                        models.models.insert(name, SourceFields::of_any(node));
                    }
                    _ => draft.not_kept(line, "is no model"),
                }
            }
        }
        models
    }

    /// Sets the model of an agent, with its settings.
    pub(super) fn set(
        &mut self,
        draft: &mut Draft<'_>,
        agent: &mut AgentDraft,
        fields: &mut SourceFields,
    ) {
        let Some(node) = fields.take("model") else {
            return;
        };
        let (name, origin) = match &node.value {
            NodeValue::Text(name) => (name.clone(), node.line),
            // Newer versions take a model that is written out in the agent.
            NodeValue::Map(_) => {
                let inline = SourceFields::of_any(node);
                let origin = inline.origin;
                return self.set_described(draft, agent, inline, origin);
            }
            _ => return agent.keep(&["model"], node),
        };
        // Several models with commas between them take turns: the first one is the agent's.
        let mut names = name.split(',').map(str::trim).filter(|it| !it.is_empty());
        let Some(first) = names.next() else {
            return;
        };
        if let Some(described) = self.models.get(first).cloned() {
            self.used.push(first.to_owned());
            agent.keep(&["model", "name"], text_at(first, origin));
            self.set_described(draft, agent, described, origin);
        } else {
            let model = self.reference(draft, first, origin);
            agent.set("model", model);
            self.apply_defaults(draft, agent, first.split('/').next().unwrap_or_default());
        }
        let others: Vec<Node> = names
            .filter_map(|name| self.reference(draft, name, origin))
            .collect();
        if !others.is_empty() {
            draft.changed(
                origin,
                "the first model is the agent's, the others are those to fall back on",
            );
            add_fallbacks(agent, others, origin);
        }
    }

    fn set_described(
        &mut self,
        draft: &mut Draft<'_>,
        agent: &mut AgentDraft,
        mut model: SourceFields,
        origin: usize,
    ) {
        let provider = model.get("provider").and_then(text_of).map(str::to_owned);
        let found = self.find(draft, &mut model, origin);
        agent.set("model", found);
        for name in SETTINGS {
            let value = model.take(name);
            agent.setting(draft, name, value);
        }
        if let Some(budget) = model.take("thinking_budget") {
            thinking(draft, agent, budget);
        }
        if let Some(options) = model.object("provider_opts") {
            provider_options(draft, agent, options);
        }
        if let Some(provider) = provider {
            self.apply_defaults(draft, agent, &provider);
        }
        if let Some(first) = model.get("first_available").cloned() {
            let names: Vec<Node> = items_of(&first).to_vec();
            let models = names
                .iter()
                .filter_map(|it| self.reference(draft, text_of(it)?, it.line));
            let mut models: Vec<Node> = models.collect();
            if agent.get("model").is_none() && !models.is_empty() {
                agent.set("model", Some(models.remove(0)));
            }
            add_fallbacks(agent, models, first.line);
        }
        agent.keep_all(&["model"], model.rest());
    }

    /// Settings that the file gives to all models of a provider.
    fn apply_defaults(&self, draft: &mut Draft<'_>, agent: &mut AgentDraft, provider: &str) {
        let Some(provider) = self.providers.get(provider) else {
            return;
        };
        let mut defaults = provider.defaults.clone();
        for name in SETTINGS {
            let value = defaults.take(name);
            if !agent.has_setting(name) {
                agent.setting(draft, name, value);
            }
        }
        let is_set = agent.has_setting("thinking_budget") || agent.has_setting("reasoning_effort");
        if let Some(budget) = defaults.take("thinking_budget").filter(|_| !is_set) {
            thinking(draft, agent, budget);
        }
    }

    /// The model that a name stands for: one of the file's, or `provider/model`.
    pub(super) fn reference(
        &mut self,
        draft: &mut Draft<'_>,
        name: &str,
        origin: usize,
    ) -> Option<Node> {
        if let Some(mut described) = self.models.get(name).cloned() {
            self.used.push(name.to_owned());
            let found = self.find(draft, &mut described, origin);
            let why = "a setting of a model to fall back on: an agent has one set of settings";
            draft.none_kept(&described.rest(), why);
            return found;
        }
        if let Some((provider, model)) = name.split_once('/')
            && let Some(own) = self.providers.get(provider)
        {
            let provider = own.name.clone();
            return Some(own_or_given(
                draft,
                name,
                &provider,
                model,
                NodeMap::new(),
                origin,
            ));
        }
        draft.model(&AskedModel::parse(name), NodeMap::new(), origin)
    }

    /// Takes what says which model it is, and what is known of it.
    fn find(&self, draft: &mut Draft<'_>, model: &mut SourceFields, origin: usize) -> Option<Node> {
        let (name, line) = model.filled_text("model")?;
        let provider = model.filled_text("provider").map(|(provider, _)| provider);
        let facts = facts(model);
        let asked = match &provider {
            Some(provider) => AskedModel::of(Some(provider), &name),
            None => AskedModel::parse(&name),
        };
        let named = asked.provider.as_deref().unwrap_or_default();
        if let Some(own) = self.providers.get(named) {
            let own = own.name.clone();
            return Some(own_or_given(
                draft,
                &asked.written,
                &own,
                &asked.name,
                facts,
                origin,
            ));
        }
        let has_address = model.get("base_url").is_some() || model.get("token_key").is_some();
        if !has_address {
            return draft.model(&asked, facts, line);
        }
        let key = asked.provider.clone().unwrap_or_else(|| "model".to_owned());
        let mut fields = SourceFields::default();
        for name in ["base_url", "token_key", "auth"] {
            if let Some(value) = model.take(name) {
                fields.insert(name, value);
            }
        }
        fields.insert("provider", text_at(key.as_str(), line));
        let title = self.models.iter().find(|(_, it)| it.origin == model.origin);
        let title = title.map_or(key, |(name, _)| name.clone());
        let own = provider_entry(draft, &title, &mut fields, line);
        Some(own_or_given(
            draft,
            &asked.written,
            &own,
            &asked.name,
            facts,
            origin,
        ))
    }

    /// Says which models and providers no agent has.
    pub(super) fn report_unused(&self, draft: &mut Draft<'_>) {
        for (name, model) in &self.models {
            if !self.used.contains(name) {
                draft.not_kept(model.origin, "no agent has this model");
            }
        }
    }
}

fn own_or_given(
    draft: &mut Draft<'_>,
    written: &str,
    provider: &str,
    name: &str,
    facts: NodeMap,
    origin: usize,
) -> Node {
    match draft.models.given(written, &[name]) {
        Some(model) => {
            draft.none_kept(&facts, "--model names another model");
            text_at(model, origin)
        }
        None => draft.own_model(provider, name, facts, origin),
    }
}

fn provider(
    draft: &mut Draft<'_>,
    name: &str,
    mut fields: SourceFields,
    origin: usize,
) -> DockerProvider {
    let defaults = fields.clone();
    let name = provider_entry(draft, name, &mut fields, origin);
    DockerProvider { name, defaults }
}
