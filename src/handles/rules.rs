//! The rules: what a handle is resolved to. Facts in, handles out; no database and no clock.

use std::borrow::Cow;

use chrono::NaiveDate;
use entity::params::ModelParams;
use sea_orm::DbErr;
use serde::Deserialize;
use sonic_rs::{JsonValueTrait, LazyValue};

use super::{
    dto::{
        Attributes, Capabilities, CircleHandles, Fallback, Handle, Layer, Lint, PromptPart,
        PromptSource, Provenance,
    },
    facts::{AgentFacts, CircleFacts, Facts, ModelFacts},
    related::Related,
    settings::{self, Setting},
    tokens, tools,
    warnings::{self, Asked},
};
use crate::{
    error::Error,
    memory::MAX_RESPONSE,
    rows::{Json, RawJson},
    text::one_line,
};

/// Room for a prompt; most need no more.
const PROMPT_BYTES: usize = 1 << 10;

/// `members` are in the roster's order.
///
/// # Errors
/// Prompts and parameters that are larger together than a response may be: each prompt contains what the circle adds, and
/// each fallback model has parameters of its own.
pub(super) fn resolve_circle<'r>(
    circle: &CircleFacts<'r>,
    members: &[Facts<'r>],
    related: &Related<'r>,
    today: NaiveDate,
) -> Result<CircleHandles<'r>, Error> {
    let additions = Additions::of(circle)?;
    let mut handles = Vec::with_capacity(members.len());
    let mut bytes = 0;
    for facts in members {
        let handle = resolve(facts, &additions, related, today)?;
        bytes += handle.system_prompt.len() + params_size(&handle);
        if bytes > MAX_RESPONSE {
            return Err(Error::ResponseTooLarge);
        }
        handles.push(handle);
    }
    Ok(CircleHandles {
        circle_id: circle.id,
        circle: circle.name.into(),
        status: circle.status,
        require_review: circle.require_review,
        settings: Json::Stored(circle.settings),
        warnings: warnings::of_circle(
            circle,
            handles.len(),
            handles.iter().any(warnings::may_review),
        )?,
        handles,
    })
}

/// One agent's handle, in a circle or outside.
pub(super) fn resolve<'r>(
    facts: &Facts<'r>,
    additions: &Additions,
    related: &Related<'r>,
    today: NaiveDate,
) -> Result<Handle<'r>, DbErr> {
    let Facts {
        member,
        agent,
        model,
    } = facts;
    let (member, model) = (member.as_ref(), model.as_ref());
    let prompt = compose_prompt(agent, additions)?;
    let settings = settings::resolve(member, agent, model)?;
    let tools = tools::resolve(agent, related)?;
    let competencies = first_set([
        (
            Layer::Member,
            member.and_then(|member| non_empty(member.competencies)),
        ),
        (Layer::Agent, non_empty(agent.competencies)),
    ]);
    let can_review = first_set([
        (
            Layer::Member,
            member.and_then(|member| non_empty(member.can_review)),
        ),
        (Layer::Agent, non_empty(agent.can_review)),
    ]);
    let asked = Asked {
        prompt_tokens: tokens::of_weight(prompt.text.weight),
        tools: tools.len(),
        omitted: &settings.omitted,
    };
    let warnings = warnings::of_agent(agent, model, &asked, today);
    Ok(Handle {
        agent_id: agent.id,
        agent_version: agent.version,
        agent_name: agent.name.into(),
        agent_role: agent.role.map(Into::into),
        agent_description: agent.description.map(Into::into),
        agent_status: agent.status,
        member_id: member.map(|member| member.id),
        role: member.map(|member| member.role),
        competencies: Json::Stored(value(competencies).unwrap_or(RawJson::EMPTY_LIST)),
        can_review: Json::Stored(value(can_review).unwrap_or(RawJson::EMPTY_LIST)),
        permissions: Json::Stored(
            member.map_or(RawJson::EMPTY_OBJECT, |member| member.permissions),
        ),
        provider: model.map(|model| model.provider.into()),
        api_type: model.map(|model| model.api_type.into()),
        base_url: model.and_then(|model| model.base_url).map(Into::into),
        api_key_env: model.and_then(|model| model.api_key_env).map(Into::into),
        provider_config: model.map(|model| Json::Stored(model.provider_config)),
        model: model.map(|model| model.name.into()),
        context_window: model.and_then(|model| model.context_window),
        max_output: model.and_then(|model| model.max_output),
        capabilities: model.map(capabilities),
        temperature: value(settings.temperature),
        max_tokens: value(settings.max_tokens),
        params: settings.params,
        omitted: settings.omitted,
        tools,
        fallbacks: fallbacks(facts, related)?,
        attributes: attributes(agent, model),
        skill_names: Json::Stored(agent.skill_names),
        traits: Json::Stored(agent.traits),
        languages: Json::Stored(agent.languages),
        communication_style: agent.communication_style.map(Into::into),
        metadata: Json::Stored(agent.metadata),
        system_prompt: prompt.text.text,
        provenance: Provenance {
            system_prompt: prompt.parts,
            temperature: layer(settings.temperature),
            max_tokens: layer(settings.max_tokens),
            params: settings.param_layers,
            competencies: layer(competencies),
            can_review: layer(can_review),
        },
        warnings,
    })
}

fn capabilities(model: &ModelFacts<'_>) -> Capabilities {
    Capabilities {
        vision: model.supports_vision,
        tools: model.supports_tools,
        streaming: model.supports_streaming,
        reasoning: model.supports_reasoning,
        response_schema: model.supports_response_schema,
    }
}

/// The size of the parameters that a handle does not borrow, in bytes.
fn params_size(handle: &Handle<'_>) -> usize {
    let fallbacks = handle.fallbacks.iter().map(|fallback| &fallback.params);
    let owned = |params: &Json<'_, ModelParams>| match params {
        Json::Stored(_) => 0,
        Json::Owned(params) => params.as_str().len(),
    };
    fallbacks.chain([&handle.params]).map(owned).sum()
}

/// The agent's fallback models, each with the settings for calls to it.
fn fallbacks<'r>(facts: &Facts<'r>, related: &Related<'r>) -> Result<Vec<Fallback<'r>>, DbErr> {
    let models = facts.agent.fallbacks()?;
    let models = models.iter().filter_map(|id| related.models.get(id));
    let fallbacks = models.map(|model| {
        let settings = settings::resolve(facts.member.as_ref(), &facts.agent, Some(model))?;
        Ok(Fallback {
            provider: model.provider.into(),
            api_type: model.api_type.into(),
            base_url: model.base_url.map(Into::into),
            api_key_env: model.api_key_env.map(Into::into),
            provider_config: Json::Stored(model.provider_config),
            model: model.name.into(),
            context_window: model.context_window,
            max_output: model.max_output,
            capabilities: capabilities(model),
            temperature: value(settings.temperature),
            max_tokens: value(settings.max_tokens),
            params: settings.params,
            omitted: settings.omitted,
        })
    });
    fallbacks.collect()
}

fn attributes<'r>(agent: &AgentFacts<'r>, model: Option<&ModelFacts<'r>>) -> Attributes<'r> {
    Attributes {
        agent_id: agent.id.to_string(),
        agent_name: agent.name.into(),
        agent_version: agent.version.to_string(),
        request_model: model.map(|model| model.name.into()),
        provider_name: model.map(|model| conventional(model.provider).into()),
    }
}

/// What OpenTelemetry's semantic conventions call a provider (`gen_ai.provider.name`).
fn conventional(provider: &str) -> &str {
    match provider {
        "azure" => "azure.ai.openai",
        "azure_ai" => "azure.ai.inference",
        "bedrock" | "bedrock_converse" => "aws.bedrock",
        "cohere_chat" => "cohere",
        "gemini" | "google" => "gcp.gemini",
        "mistral" => "mistral_ai",
        "vertex_ai" => "gcp.vertex_ai",
        "watsonx" => "ibm.watsonx.ai",
        "xai" => "x_ai",
        other => other,
    }
}

fn first_set<T, const N: usize>(layers: [(Layer, Option<T>); N]) -> Setting<T> {
    layers
        .into_iter()
        .find_map(|(layer, value)| value.map(|value| (layer, value)))
}

fn non_empty(list: RawJson<'_>) -> Option<RawJson<'_>> {
    (!list.is_empty_list()).then_some(list)
}

fn layer<T>(setting: Setting<T>) -> Option<Layer> {
    setting.map(|(layer, _)| layer)
}

fn value<T>(setting: Setting<T>) -> Option<T> {
    setting.map(|(_, value)| value)
}

/// What a circle adds to the prompt of each member, measured once.
#[derive(Debug, Default)]
pub(super) struct Additions(Vec<(PromptSource, Measured)>);

impl Additions {
    fn of(circle: &CircleFacts<'_>) -> Result<Self, DbErr> {
        let mut additions = Vec::new();
        if let Some(instructions) = text(instructions(circle)?.as_deref()) {
            let text = Measured::of(["## Instructions of the circle\n\n", instructions]);
            additions.push((PromptSource::CircleInstructions, text));
        }
        if let Some(context) = text(circle.project_context) {
            let text = Measured::of(["## Project context\n\n", context]);
            additions.push((PromptSource::CircleProjectContext, text));
        }
        Ok(Self(additions))
    }
}

/// The effective system prompt: the agent's own words, then what the circle adds, then its skills.
fn compose_prompt(agent: &AgentFacts<'_>, additions: &Additions) -> Result<Prompt, DbErr> {
    let mut prompt = Prompt::default();
    prompt.text.text.reserve(PROMPT_BYTES);
    match (text(agent.system_prompt), text(agent.base_prompt)) {
        (Some(own), _) => prompt.add(PromptSource::AgentSystemPrompt, |text| text.push(own)),
        (None, Some(base)) => prompt.add(PromptSource::AgentBasePrompt, |text| text.push(base)),
        (None, None) => prompt.add(PromptSource::Default, |text| {
            text.push(&default_prompt(agent));
        }),
    }
    for (source, addition) in &additions.0 {
        prompt.add(*source, |text| text.append(addition));
    }
    if !agent.skill_names.is_empty_list() {
        let skills: Vec<Skill<'_>> = agent.skill_names.parse()?;
        let mut section = String::from("## Skills\n");
        for Skill(name) in &skills {
            section.extend(["\n- ", &one_line(name)]);
        }
        prompt.add(PromptSource::AgentSkills, |text| text.push(&section));
    }
    Ok(prompt)
}

/// A name, copied only if it contains escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Skill<'r>(#[serde(borrow)] Cow<'r, str>);

/// A text that is not blank.
fn text(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.trim().is_empty())
}

/// One line: names that earlier versions stored may have several.
fn default_prompt(agent: &AgentFacts<'_>) -> String {
    let name = one_line(agent.name);
    match text(agent.role) {
        Some(role) => format!("You are {name}, {}.", one_line(role)),
        None => format!("You are {name}."),
    }
}

/// The circle's instructions, if they are a string.
fn instructions(circle: &CircleFacts<'_>) -> Result<Option<String>, DbErr> {
    let instructions = raw_instructions(circle)?;
    Ok(instructions.and_then(|text| text.as_str().map(ToOwned::to_owned)))
}

/// What the circle's settings have as instructions.
pub(super) fn raw_instructions<'r>(
    circle: &CircleFacts<'r>,
) -> Result<Option<LazyValue<'r>>, DbErr> {
    #[derive(Deserialize)]
    struct CircleSettings<'r> {
        #[serde(borrow)]
        instructions: Option<LazyValue<'r>>,
    }
    let CircleSettings { instructions } = circle.settings.parse()?;
    Ok(instructions)
}

#[derive(Default)]
struct Prompt {
    text: Measured,
    parts: Vec<PromptPart>,
}

impl Prompt {
    /// Adds the part that `write` appends.
    fn add(&mut self, source: PromptSource, write: impl FnOnce(&mut Measured)) {
        if !self.text.text.is_empty() {
            self.text.push("\n\n");
        }
        let start = self.text.length;
        write(&mut self.text);
        self.parts.push(PromptPart {
            source,
            start: u32::try_from(start).unwrap_or(u32::MAX),
            length: u32::try_from(self.text.length - start).unwrap_or(u32::MAX),
        });
    }
}

/// A text whose characters and tokens are counted.
#[derive(Debug, Default)]
struct Measured {
    text: String,
    /// In characters.
    length: usize,
    weight: usize,
}

impl Measured {
    fn of(parts: [&str; 2]) -> Self {
        let mut text = Self::default();
        for part in parts {
            text.push(part);
        }
        text
    }

    fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.length += text.chars().count();
        self.weight += tokens::weight(text);
    }

    fn append(&mut self, other: &Self) {
        self.text.push_str(&other.text);
        self.length += other.length;
        self.weight += other.weight;
    }
}

/// The warnings of a circle's handles. One handle is in memory at a time.
pub(super) fn lint(
    circle: &CircleFacts<'_>,
    members: &[Facts<'_>],
    related: &Related<'_>,
    today: NaiveDate,
) -> Result<Lint, DbErr> {
    let additions = Additions::of(circle)?;
    let (mut of_members, mut any_reviewer) = (Vec::new(), false);
    for facts in members {
        let handle = resolve(facts, &additions, related, today)?;
        any_reviewer |= warnings::may_review(&handle);
        of_members.extend(handle.warnings);
    }
    let mut warnings = warnings::of_circle(circle, members.len(), any_reviewer)?;
    warnings.append(&mut of_members);
    Ok(Lint {
        circle: circle.name.to_owned(),
        ok: warnings.is_empty(),
        warnings,
    })
}
