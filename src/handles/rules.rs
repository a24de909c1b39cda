//! The rules: what a handle is resolved to, and what is wrong with it. Facts in, handles out; no
//! database and no clock.

use chrono::NaiveDate;
use entity::values::{MemberRole, StringList};

use super::{
    dto::{
        CircleHandles, Handle, Layer, Lint, PromptPart, PromptSource, Provenance, Warning,
        WarningCode,
    },
    queries::{AgentFacts, CircleFacts, MemberFacts, ModelFacts},
};

/// Characters in a token, as a rule of thumb for English text ("What are tokens and how to count
/// them?", OpenAI's help centre). It errs on the side of a warning too few.
const CHARACTERS_A_TOKEN: usize = 4;

pub(super) fn resolve_circle(
    circle: CircleFacts,
    members: Vec<(MemberFacts, AgentFacts)>,
    today: NaiveDate,
) -> CircleHandles {
    let handles: Vec<Handle> = members
        .into_iter()
        .map(|(member, agent)| resolve(agent, Some(member), Some(&circle), today))
        .collect();
    let warnings = circle_warnings(&circle, &handles);
    CircleHandles {
        circle_id: circle.id,
        circle: circle.name,
        status: circle.status,
        require_review: circle.require_review,
        handles,
        warnings,
    }
}

/// One agent's handle, in a circle or outside.
pub(super) fn resolve(
    agent: AgentFacts,
    member: Option<MemberFacts>,
    circle: Option<&CircleFacts>,
    today: NaiveDate,
) -> Handle {
    let (system_prompt, parts) = compose_prompt(&agent, circle);
    let mut warnings = Vec::new();
    check_model(&agent, &system_prompt, today, &mut warnings);

    let model = agent.model.as_ref();
    let own = member.as_ref();
    let temperature = first_said([
        (Layer::Member, own.and_then(|member| member.temperature)),
        (Layer::Agent, agent.temperature),
        (
            Layer::Model,
            model.and_then(|model| model.default_temperature),
        ),
    ]);
    let max_tokens = first_said([
        (Layer::Member, own.and_then(|member| member.max_tokens)),
        (Layer::Agent, agent.max_tokens),
        (Layer::Model, model.and_then(|model| model.max_output)),
    ]);
    let competencies = first_said([
        (
            Layer::Member,
            own.and_then(|member| said(&member.competencies)),
        ),
        (Layer::Agent, said(&agent.competencies)),
    ]);
    let can_review = first_said([
        (
            Layer::Member,
            own.and_then(|member| said(&member.can_review)),
        ),
        (Layer::Agent, said(&agent.can_review)),
    ]);
    let provenance = Provenance {
        system_prompt: parts,
        temperature: layer(temperature.as_ref()),
        max_tokens: layer(max_tokens.as_ref()),
        competencies: layer(competencies.as_ref()),
        can_review: layer(can_review.as_ref()),
    };
    let mut handle = Handle {
        agent_id: agent.id,
        agent_name: agent.name,
        agent_role: agent.role,
        agent_status: agent.status,
        member_id: member.as_ref().map(|member| member.id),
        role: member.as_ref().map(|member| member.role),
        competencies: value(competencies).unwrap_or_default(),
        can_review: value(can_review).unwrap_or_default(),
        permissions: member.map(|member| member.permissions).unwrap_or_default(),
        provider: None,
        api_type: None,
        base_url: None,
        api_key_env: None,
        model: None,
        context_window: None,
        max_output: None,
        capabilities: None,
        temperature: value(temperature),
        max_tokens: value(max_tokens),
        skill_names: agent.skill_names,
        system_prompt,
        provenance,
        warnings,
    };
    if let Some(model) = agent.model {
        set_model(&mut handle, model);
    }
    handle
}

fn set_model(handle: &mut Handle, model: ModelFacts) {
    let ModelFacts {
        name,
        context_window,
        max_output,
        default_temperature: _,
        capabilities,
        is_deprecated: _,
        deprecation_date: _,
        provider,
        api_type,
        base_url,
        is_local: _,
        api_key_env,
    } = model;
    handle.model = Some(name);
    handle.context_window = context_window;
    handle.max_output = max_output;
    handle.capabilities = Some(capabilities);
    handle.provider = Some(provider);
    handle.api_type = Some(api_type);
    handle.base_url = base_url;
    handle.api_key_env = api_key_env;
}

type Said<T> = Option<(Layer, T)>;

fn first_said<T, const N: usize>(layers: [(Layer, Option<T>); N]) -> Said<T> {
    layers
        .into_iter()
        .find_map(|(layer, value)| value.map(|value| (layer, value)))
}

fn said(list: &StringList) -> Option<StringList> {
    (!list.0.is_empty()).then(|| list.clone())
}

fn layer<T>(said: Option<&(Layer, T)>) -> Option<Layer> {
    said.map(|(layer, _)| *layer)
}

fn value<T>(said: Said<T>) -> Option<T> {
    said.map(|(_, value)| value)
}

/// The effective system prompt: the agent's own words, then what the circle adds, then its skills.
fn compose_prompt(agent: &AgentFacts, circle: Option<&CircleFacts>) -> (String, Vec<PromptPart>) {
    let mut prompt = Prompt::default();
    match (
        text(agent.system_prompt.as_ref()),
        text(agent.base_prompt.as_ref()),
    ) {
        (Some(own), _) => prompt.add(PromptSource::AgentSystemPrompt, own),
        (None, Some(base)) => prompt.add(PromptSource::AgentBasePrompt, base),
        (None, None) => prompt.add(PromptSource::Default, &default_prompt(agent)),
    }
    if let Some(circle) = circle {
        if let Some(instructions) = instructions(circle) {
            let text = format!("## Instructions of the circle\n\n{instructions}");
            prompt.add(PromptSource::CircleInstructions, &text);
        }
        if let Some(context) = text(circle.project_context.as_ref()) {
            let text = format!("## Project context\n\n{context}");
            prompt.add(PromptSource::CircleProjectContext, &text);
        }
    }
    if !agent.skill_names.0.is_empty() {
        let text = format!("## Skills\n\n- {}", agent.skill_names.0.join("\n- "));
        prompt.add(PromptSource::AgentSkills, &text);
    }
    (prompt.text, prompt.parts)
}

/// A text that says something.
fn text(text: Option<&String>) -> Option<&str> {
    text.map(|text| text.trim()).filter(|text| !text.is_empty())
}

fn default_prompt(agent: &AgentFacts) -> String {
    match text(agent.role.as_ref()) {
        Some(role) => format!("You are {}, {role}.", agent.name),
        None => format!("You are {}.", agent.name),
    }
}

fn instructions(circle: &CircleFacts) -> Option<&str> {
    let instructions = circle.settings.0.get("instructions")?.as_str()?.trim();
    (!instructions.is_empty()).then_some(instructions)
}

#[derive(Default)]
struct Prompt {
    text: String,
    length: usize,
    parts: Vec<PromptPart>,
}

impl Prompt {
    fn add(&mut self, source: PromptSource, part: &str) {
        const BETWEEN: &str = "\n\n";
        if !self.text.is_empty() {
            self.text.push_str(BETWEEN);
            self.length += BETWEEN.len();
        }
        let length = part.chars().count();
        self.parts.push(PromptPart {
            source,
            start: u32::try_from(self.length).unwrap_or(u32::MAX),
            length: u32::try_from(length).unwrap_or(u32::MAX),
        });
        self.text.push_str(part);
        self.length += length;
    }
}

fn check_model(agent: &AgentFacts, prompt: &str, today: NaiveDate, warnings: &mut Vec<Warning>) {
    let mut warn = |code, detail: String| {
        warnings.push(Warning {
            code,
            detail,
            agent_id: Some(agent.id),
        });
    };
    let name = &agent.name;
    let Some(model) = &agent.model else {
        return warn(WarningCode::NoModel, format!("{name} has no model"));
    };
    let retired = model.deprecation_date.filter(|date| *date <= today);
    if let Some(date) = retired {
        let detail = format!("{name} runs on {}, which was retired on {date}", model.name);
        warn(WarningCode::ModelDeprecated, detail);
    } else if model.is_deprecated {
        let detail = format!("{name} runs on {}, which is deprecated", model.name);
        warn(WarningCode::ModelDeprecated, detail);
    }
    if model.api_key_env.is_none() && !model.is_local {
        let detail = format!(
            "{name} runs on {}, for whose key no variable is named",
            model.provider
        );
        warn(WarningCode::NoKeyVariable, detail);
    }
    let tokens = i64::try_from(prompt.chars().count() / CHARACTERS_A_TOKEN).unwrap_or(i64::MAX);
    if let Some(window) = model.context_window.filter(|window| tokens > *window) {
        let detail = format!("{name}'s prompt takes about {tokens} tokens, its model {window}");
        warn(WarningCode::PromptOverContext, detail);
    }
}

fn circle_warnings(circle: &CircleFacts, handles: &[Handle]) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let mut warn = |code, detail| {
        warnings.push(Warning {
            code,
            detail,
            agent_id: None,
        });
    };
    if circle.require_review && !handles.iter().any(may_review) {
        let detail = "work must be reviewed, and no active member may review".to_owned();
        warn(WarningCode::NoReviewer, detail);
    }
    let limit = circle
        .max_members
        .and_then(|limit| usize::try_from(limit).ok());
    if let Some(limit) = limit.filter(|limit| handles.len() > *limit) {
        let detail = format!("{} active members, where {limit} may be", handles.len());
        warn(WarningCode::OverMaxMembers, detail);
    }
    warnings
}

/// Reviewers may review, and whoever has a field to review in.
fn may_review(handle: &Handle) -> bool {
    handle.role == Some(MemberRole::Reviewer) || !handle.can_review.0.is_empty()
}

pub(super) fn lint(circle: CircleHandles) -> Lint {
    let mut warnings = circle.warnings;
    warnings.extend(
        circle
            .handles
            .into_iter()
            .flat_map(|handle| handle.warnings),
    );
    Lint {
        circle: circle.circle,
        ok: warnings.is_empty(),
        warnings,
    }
}
