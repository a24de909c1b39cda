//! What is wrong with a circle and its agents, by the facts that their handles are resolved from.

use chrono::{Days, NaiveDate};
use entity::{model::retired_on, values::MemberRole};
use sea_orm::DbErr;
use sonic_rs::JsonValueTrait;

use super::{
    dto::{Handle, Omission, Omitted, Warning, WarningCode},
    facts::{AgentFacts, CircleFacts, ModelFacts},
    rules::raw_instructions,
};

/// The modes of price lists whose models do not answer prompts with text.
const NOT_CHAT: [&str; 12] = [
    "audio_speech",
    "audio_transcription",
    "embedding",
    "image_edit",
    "image_generation",
    "moderation",
    "ocr",
    "realtime",
    "rerank",
    "search",
    "vector_store",
    "video_generation",
];

/// What a handle asks of its model.
pub(super) struct Asked<'h> {
    pub(super) prompt_tokens: usize,
    /// The number of tools.
    pub(super) tools: usize,
    pub(super) omitted: &'h [Omitted],
}

/// How long before its retirement a model is warned of.
const RETIREMENT_NOTICE: Days = Days::new(90);

pub(super) fn of_agent(
    agent: &AgentFacts<'_>,
    model: Option<&ModelFacts<'_>>,
    asked: &Asked<'_>,
    today: NaiveDate,
) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let mut warn = |code, detail: String| {
        warnings.push(Warning {
            code,
            detail,
            agent_id: Some(agent.id),
        });
    };
    match model {
        None => warn(WarningCode::NoModel, format!("{} has no model", agent.name)),
        Some(model) => {
            check_model(agent.name, model, today, &mut warn);
            check_provider(agent.name, model, &mut warn);
            check_limits(agent.name, model, asked, &mut warn);
        }
    }
    warnings
}

fn check_model(
    name: &str,
    model: &ModelFacts<'_>,
    today: NaiveDate,
    warn: &mut impl FnMut(WarningCode, String),
) {
    let runs_on = format_args!("{name} runs on {}", model.name);
    if let Some(date) = retired_on(model.deprecation_date, today) {
        let detail = format!("{runs_on}, which was retired on {date}");
        warn(WarningCode::ModelDeprecated, detail);
    } else if model.is_deprecated {
        let detail = format!("{runs_on}, which is deprecated");
        warn(WarningCode::ModelDeprecated, detail);
    }
    if let Some(date) = model.deprecation_date
        && date > today
        && date <= today + RETIREMENT_NOTICE
    {
        let detail = format!("{runs_on}, which will be retired on {date}");
        warn(WarningCode::ModelRetiresSoon, detail);
    }
    if let Some(mode) = model.mode.filter(|mode| NOT_CHAT.contains(mode)) {
        let detail = format!("{runs_on}, whose mode is {mode}: it does not answer prompts");
        warn(WarningCode::NotAChatModel, detail);
    }
}

fn check_provider(name: &str, model: &ModelFacts<'_>, warn: &mut impl FnMut(WarningCode, String)) {
    let runs_on = format_args!("{name} runs on {}", model.provider);
    if model.api_key_env.is_none() && !model.is_local {
        let detail = format!("{runs_on}, for whose key no variable is named");
        warn(WarningCode::NoKeyVariable, detail);
    }
    if model.api_type == "unknown" {
        let detail = format!("{runs_on}, whose api_type is unknown");
        warn(WarningCode::UnknownApiType, detail);
    }
    if model.base_url.is_none() {
        let detail = format!("{runs_on}, which has no base_url");
        warn(WarningCode::NoAddress, detail);
    }
}

fn check_limits(
    name: &str,
    model: &ModelFacts<'_>,
    asked: &Asked<'_>,
    warn: &mut impl FnMut(WarningCode, String),
) {
    let tokens = i64::try_from(asked.prompt_tokens).unwrap_or(i64::MAX);
    if let Some(window) = model.context_window.filter(|window| tokens > *window) {
        let detail = format!("{name}'s prompt takes about {tokens} tokens, its model {window}");
        warn(WarningCode::PromptOverContext, detail);
    }
    let omits = |reason| asked.omitted.iter().any(|omitted| omitted.reason == reason);
    if let Some(limit) = model.max_output.filter(|_| omits(Omission::OverMaxOutput)) {
        let detail = format!("{name} may write more tokens than its model, which writes {limit}");
        warn(WarningCode::MaxTokensOverOutput, detail);
    }
    if asked.tools > 0 && !model.supports_tools {
        let detail = format!("{name} has tools, and {} calls none", model.name);
        warn(WarningCode::ToolsNotSupported, detail);
    }
    if omits(Omission::NoResponseSchema) {
        let detail = format!(
            "{name} has a response schema, and {} keeps to none",
            model.name
        );
        warn(WarningCode::ResponseSchemaNotSupported, detail);
    }
}

pub(super) fn of_circle(
    circle: &CircleFacts<'_>,
    members: usize,
    any_reviewer: bool,
) -> Result<Vec<Warning>, DbErr> {
    let mut warnings = Vec::new();
    let mut warn = |code, detail| {
        warnings.push(Warning {
            code,
            detail,
            agent_id: None,
        });
    };
    if members == 0 {
        let detail = "the circle has no active members".to_owned();
        warn(WarningCode::EmptyCircle, detail);
    }
    let instructions = raw_instructions(circle)?;
    if instructions.is_some_and(|value| !(value.is_str() || value.is_null())) {
        let detail = "settings.instructions is not text, and is left out of the prompts".to_owned();
        warn(WarningCode::InstructionsNotText, detail);
    }
    if circle.require_review && !any_reviewer {
        let detail = "work must be reviewed, and no active member may review".to_owned();
        warn(WarningCode::NoReviewer, detail);
    }
    let limit = circle
        .max_members
        .and_then(|limit| usize::try_from(limit).ok());
    if let Some(limit) = limit.filter(|limit| members > *limit) {
        let detail = format!("{members} active members, where {limit} may be");
        warn(WarningCode::OverMaxMembers, detail);
    }
    Ok(warnings)
}

/// Reviewers may review, and members with a field to review in.
pub(super) fn may_review(handle: &Handle<'_>) -> bool {
    handle.role == Some(MemberRole::Reviewer) || handle.provenance.can_review.is_some()
}
