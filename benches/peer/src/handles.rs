//! What the service resolves a member's handle to, by hand.

use chrono::{NaiveDate, Utc};
use serde::Serialize;
use serde_json::value::RawValue;

#[derive(Serialize)]
pub struct Handles<'a> {
    pub circle_id: i64,
    pub circle: &'a str,
    pub status: &'a str,
    pub require_review: bool,
    pub settings: &'a RawValue,
    pub handles: Vec<Handle<'a>>,
    pub warnings: Vec<Warning>,
}

#[derive(Serialize)]
pub struct Handle<'a> {
    pub agent_id: i64,
    pub agent_version: i64,
    pub agent_name: &'a str,
    pub agent_role: Option<&'a str>,
    pub agent_description: Option<&'a str>,
    pub agent_status: &'a str,
    pub member_id: i64,
    pub role: &'a str,
    pub competencies: Vec<&'a str>,
    pub can_review: Vec<&'a str>,
    pub permissions: &'a RawValue,
    pub provider: Option<&'a str>,
    pub api_type: Option<&'a str>,
    pub base_url: Option<&'a str>,
    pub api_key_env: Option<&'a str>,
    pub provider_config: Option<&'a RawValue>,
    pub model: Option<&'a str>,
    pub context_window: Option<i64>,
    pub max_output: Option<i64>,
    pub capabilities: Option<Capabilities>,
    pub temperature: Option<f64>,
    pub max_tokens: Option<i64>,
    pub params: Nothing,
    pub omitted: [(); 0],
    pub tools: [(); 0],
    pub fallbacks: [(); 0],
    pub attributes: Attributes<'a>,
    pub skill_names: Vec<&'a str>,
    pub traits: Vec<&'a str>,
    pub languages: Vec<&'a str>,
    pub communication_style: Option<&'a str>,
    pub metadata: &'a RawValue,
    pub system_prompt: String,
    pub provenance: Provenance,
    pub warnings: Vec<Warning>,
}

#[derive(Serialize)]
pub struct Capabilities {
    pub vision: bool,
    pub tools: bool,
    pub streaming: bool,
    pub reasoning: bool,
    pub response_schema: bool,
}

#[derive(Serialize)]
pub struct Nothing {}

#[derive(Serialize)]
pub struct Attributes<'a> {
    #[serde(rename = "gen_ai.agent.id")]
    pub agent_id: String,
    #[serde(rename = "gen_ai.agent.name")]
    pub agent_name: &'a str,
    #[serde(rename = "gen_ai.agent.version")]
    pub agent_version: String,
    #[serde(rename = "gen_ai.request.model")]
    pub request_model: Option<&'a str>,
    #[serde(rename = "gen_ai.provider.name")]
    pub provider_name: Option<&'a str>,
}

#[derive(Serialize)]
pub struct Provenance {
    pub system_prompt: Vec<Part>,
    pub temperature: Option<&'static str>,
    pub max_tokens: Option<&'static str>,
    pub params: Nothing,
    pub competencies: Option<&'static str>,
    pub can_review: Option<&'static str>,
}

#[derive(Serialize)]
pub struct Part {
    source: &'static str,
    start: usize,
    length: usize,
}

#[derive(Serialize)]
pub struct Warning {
    code: &'static str,
    detail: String,
    agent_id: Option<i64>,
}

/// The first that is said, and by whom.
pub fn first<T, const N: usize>(said: [(&'static str, Option<T>); N]) -> (Option<&'static str>, Option<T>) {
    let found = said.into_iter().find_map(|(who, value)| value.map(|value| (who, value)));
    match found {
        Some((who, value)) => (Some(who), Some(value)),
        None => (None, None),
    }
}

/// A list that says something.
pub fn said(list: Vec<&str>) -> Option<Vec<&str>> {
    (!list.is_empty()).then_some(list)
}

fn text(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.trim().is_empty())
}

#[derive(Default)]
pub struct Prompt {
    pub text: String,
    length: usize,
    pub parts: Vec<Part>,
}

impl Prompt {
    fn add(&mut self, source: &'static str, pieces: &[&str]) {
        if !self.text.is_empty() {
            self.text.push_str("\n\n");
            self.length += 2;
        }
        let start = self.length;
        for piece in pieces {
            self.length += piece.chars().count();
            self.text.push_str(piece);
        }
        let length = self.length - start;
        self.parts.push(Part { source, start, length });
    }
}

pub struct Words<'a> {
    pub name: &'a str,
    pub role: Option<&'a str>,
    pub system_prompt: Option<&'a str>,
    pub base_prompt: Option<&'a str>,
    pub instructions: Option<&'a str>,
    pub project_context: Option<&'a str>,
}

pub fn compose(words: &Words<'_>, skills: &[&str]) -> Prompt {
    let mut prompt = Prompt { text: String::with_capacity(1024), ..Prompt::default() };
    match (text(words.system_prompt), text(words.base_prompt), text(words.role)) {
        (Some(own), ..) => prompt.add("agent_system_prompt", &[own]),
        (None, Some(base), _) => prompt.add("agent_base_prompt", &[base]),
        (None, None, Some(role)) => prompt.add("default", &["You are ", words.name, ", ", role, "."]),
        (None, None, None) => prompt.add("default", &["You are ", words.name, "."]),
    }
    if let Some(own) = text(words.instructions) {
        prompt.add("circle_instructions", &["## Instructions of the circle\n\n", own]);
    }
    if let Some(own) = text(words.project_context) {
        prompt.add("circle_project_context", &["## Project context\n\n", own]);
    }
    if !skills.is_empty() {
        prompt.add("agent_skills", &["## Skills\n\n- ", &skills.join("\n- ")]);
    }
    prompt
}

pub struct ModelState<'a> {
    pub name: &'a str,
    pub retired: Option<NaiveDate>,
    pub is_deprecated: bool,
    pub provider: &'a str,
    pub has_key: bool,
    pub is_local: bool,
    pub context_window: Option<i64>,
}

pub fn check(agent_id: i64, name: &str, prompt: &Prompt, model: Option<&ModelState<'_>>) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let mut warn = |code, detail| warnings.push(Warning { code, detail, agent_id: Some(agent_id) });
    let Some(model) = model else {
        warn("no_model", format!("{name} has no model"));
        return warnings;
    };
    let on = format_args!("{name} runs on");
    if let Some(date) = model.retired.filter(|date| *date <= Utc::now().date_naive()) {
        warn("model_deprecated", format!("{on} {}, which was retired on {date}", model.name));
    } else if model.is_deprecated {
        warn("model_deprecated", format!("{on} {}, which is deprecated", model.name));
    }
    if !model.has_key && !model.is_local {
        warn("no_key_variable", format!("{on} {}, for whose key no variable is named", model.provider));
    }
    let tokens = i64::try_from(prompt.length / 4).unwrap_or(i64::MAX);
    if let Some(window) = model.context_window.filter(|window| tokens > *window) {
        warn(
            "prompt_over_context",
            format!("{name}'s prompt takes about {tokens} tokens, its model {window}"),
        );
    }
    warnings
}

pub fn check_circle(require_review: bool, max_members: Option<i32>, handles: &[Handle<'_>]) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let mut warn = |code, detail| warnings.push(Warning { code, detail, agent_id: None });
    let may_review = |handle: &Handle<'_>| handle.role == "reviewer" || !handle.can_review.is_empty();
    if handles.is_empty() {
        warn("empty_circle", "the circle has no active members".to_owned());
    }
    if require_review && !handles.iter().any(may_review) {
        warn("no_reviewer", "work must be reviewed, and no active member may review".to_owned());
    }
    if let Some(limit) = max_members.and_then(|limit| usize::try_from(limit).ok()).filter(|limit| handles.len() > *limit) {
        warn("over_max_members", format!("{} active members, where {limit} may be", handles.len()));
    }
    warnings
}
