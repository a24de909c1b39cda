//! The settings of calls to a model, in layers: the member's before the agent's before the model's. What the model would
//! reject is left out, and the next layer is tried.

use std::collections::BTreeMap;

use entity::params::ModelParams;
use sea_orm::DbErr;

use super::{
    dto::{Layer, Omission, Omitted},
    facts::{AgentFacts, MemberFacts, ModelFacts},
};
use crate::rows::{Json, RawJson};

/// A setting, if any layer sets it, and the layer that does.
pub(super) type Setting<T> = Option<(Layer, T)>;

/// The settings for calls to one model.
#[derive(Debug)]
pub(super) struct CallSettings<'r> {
    pub(super) temperature: Setting<f64>,
    pub(super) max_tokens: Setting<i64>,
    pub(super) params: Json<'r, ModelParams>,
    pub(super) param_layers: BTreeMap<String, Layer>,
    pub(super) omitted: Vec<Omitted>,
}

/// What one layer sets.
#[derive(Clone, Copy)]
struct LayerFacts<'r> {
    layer: Layer,
    temperature: Option<f64>,
    max_tokens: Option<i64>,
    params: RawJson<'r>,
}

/// Resolves the settings of an agent, in a circle or outside, for calls to its model or a fallback.
pub(super) fn resolve<'r>(
    member: Option<&MemberFacts<'r>>,
    agent: &AgentFacts<'r>,
    model: Option<&ModelFacts<'r>>,
) -> Result<CallSettings<'r>, DbErr> {
    let layers = [
        member.map(|member| LayerFacts {
            layer: Layer::Member,
            temperature: member.temperature,
            max_tokens: member.max_tokens,
            params: member.params,
        }),
        Some(LayerFacts {
            layer: Layer::Agent,
            temperature: agent.temperature,
            max_tokens: agent.max_tokens,
            params: agent.params,
        }),
        model.map(|model| LayerFacts {
            layer: Layer::Model,
            temperature: model.default_temperature,
            max_tokens: model.max_output,
            params: model.default_params,
        }),
    ];
    let layers: Vec<LayerFacts<'r>> = layers.into_iter().flatten().collect();
    let limits = model.map(|model| Limits {
        model,
        has_tools: !agent.tools.is_empty_list(),
    });
    let mut omitted = Vec::new();
    let temperatures = layers.iter().map(|of| (of.layer, of.temperature));
    let temperature = first_accepted("temperature", temperatures, &mut omitted, |_| {
        limits.as_ref()?.sampling()
    });
    let maxima = layers.iter().map(|of| (of.layer, of.max_tokens));
    let max_tokens = first_accepted("max_tokens", maxima, &mut omitted, |wanted| {
        limits.as_ref()?.output(*wanted)
    });
    let (params, param_layers) = merge_params(&layers, limits.as_ref(), &mut omitted)?;
    Ok(CallSettings {
        temperature,
        max_tokens,
        params,
        param_layers,
        omitted,
    })
}

/// The first value that is set and that the model does not reject.
fn first_accepted<T>(
    name: &str,
    layers: impl Iterator<Item = (Layer, Option<T>)>,
    omitted: &mut Vec<Omitted>,
    rejects: impl Fn(&T) -> Option<Omission>,
) -> Setting<T> {
    for (source, value) in layers {
        let Some(value) = value else { continue };
        let Some(reason) = rejects(&value) else {
            return Some((source, value));
        };
        let name = name.to_owned();
        omitted.push(Omitted {
            name,
            source,
            reason,
        });
    }
    None
}

/// The parameters of all layers, each from the first layer that sets it, and where each is from. Most handles have none.
fn merge_params<'r>(
    layers: &[LayerFacts<'r>],
    limits: Option<&Limits<'_>>,
    omitted: &mut Vec<Omitted>,
) -> Result<(Json<'r, ModelParams>, BTreeMap<String, Layer>), DbErr> {
    const EXTRA: &str = "extra";
    let (mut params, mut extra, mut sources) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for LayerFacts {
        layer, params: own, ..
    } in layers
    {
        for (name, value) in own.members()? {
            if name == EXTRA {
                for (name, value) in value.members()? {
                    sources.entry(format!("{EXTRA}.{name}")).or_insert(*layer);
                    extra.entry(name).or_insert(value.as_str()?);
                }
                continue;
            }
            if sources.contains_key(&name) {
                continue;
            }
            if let Some(reason) = limits.map_or(Ok(None), |limits| limits.param(&name, value))? {
                omitted.push(Omitted {
                    name,
                    source: *layer,
                    reason,
                });
            } else {
                sources.insert(name.clone(), *layer);
                params.insert(name, value.as_str()?.to_owned());
            }
        }
    }
    if !extra.is_empty() {
        params.insert(EXTRA.to_owned(), object(&extra)?);
    }
    if params.is_empty() {
        return Ok((Json::Stored(RawJson::EMPTY_OBJECT), sources));
    }
    let params = ModelParams::from_stored(&object(&params)?);
    Ok((Json::Owned(params), sources))
}

/// The text of an object, of the texts of its members.
fn object(members: &BTreeMap<String, impl AsRef<str>>) -> Result<String, DbErr> {
    let mut text = String::from("{");
    for (name, value) in members {
        if text.len() > 1 {
            text.push(',');
        }
        let name = serde_json::to_string(name).map_err(|error| DbErr::Json(error.to_string()))?;
        text.push_str(&name);
        text.push(':');
        text.push_str(value.as_ref());
    }
    text.push('}');
    Ok(text)
}

/// What a model accepts.
struct Limits<'f> {
    model: &'f ModelFacts<'f>,
    has_tools: bool,
}

impl Limits<'_> {
    fn sampling(&self) -> Option<Omission> {
        (!self.model.accepts_sampling).then_some(Omission::NoSampling)
    }

    fn output(&self, wanted: i64) -> Option<Omission> {
        let is_over = self.model.max_output.is_some_and(|limit| wanted > limit);
        is_over.then_some(Omission::OverMaxOutput)
    }

    /// Why the model would reject a parameter.
    fn param(&self, name: &str, value: RawJson<'_>) -> Result<Option<Omission>, DbErr> {
        Ok(match name {
            "top_p" | "top_k" | "min_p" | "frequency_penalty" | "presence_penalty" => {
                self.sampling()
            }
            "thinking_budget" | "reasoning_effort" if !self.model.supports_reasoning => {
                Some(Omission::NoReasoning)
            }
            "reasoning_effort" if !self.knows_effort(value)? => Some(Omission::UnknownEffort),
            "parallel_tool_calls" if !(self.has_tools && self.model.supports_tools) => {
                Some(Omission::NoTools)
            }
            "response_format" if asks_for_schema(value) && !self.model.supports_response_schema => {
                Some(Omission::NoResponseSchema)
            }
            _ => None,
        })
    }

    /// Whether the effort is one that the model has, if it is known which it has.
    fn knows_effort(&self, effort: RawJson<'_>) -> Result<bool, DbErr> {
        let known: Vec<String> = self.model.reasoning_efforts.parse()?;
        let effort: String = effort.parse()?;
        Ok(known.is_empty() || known.contains(&effort))
    }
}

/// Whether a `response_format` asks for output by a JSON Schema.
fn asks_for_schema(format: RawJson<'_>) -> bool {
    #[derive(serde::Deserialize)]
    struct ResponseFormat {
        r#type: String,
    }
    format
        .parse::<ResponseFormat>()
        .is_ok_and(|format| format.r#type == "json_schema")
}
